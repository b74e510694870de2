//! The venue as a program that is told what to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test reports by panicking"
)]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

struct Program {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(broker: &str) -> (Self, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_venues"));
        command.args([broker, "--control"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut program = Self { child, input, output: BufReader::new(output) };
        let hello = program.line();
        (program, hello)
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.input, "{command}").unwrap();
        self.line()
    }
}

#[test]
fn every_command_is_answered_and_the_program_ends_with_its_input() {
    for broker in ["zerodha", "angel", "dhan", "fyers"] {
        let (mut program, hello) = Program::start(broker);
        assert_eq!(hello["venue"], 1);
        assert!(hello["values"].as_array().unwrap().iter().any(|name| name == "volume"));
        let packet = |ltp: &str| {
            json!({ "exchange": "NSE", "symbol": "M&M", "kind": "depth", "values": { "ltp": ltp, "volume": "7" },
                "bids": [["2950.05", 10, 2]] })
        };
        let mut deep = packet("1");
        deep["bids"] = (0..6).map(|place| json!([(9 - place).to_string(), 1, 1])).collect();
        for (command, member) in [
            (json!({ "do": "accept", "sets": [{ "access_token": "of tomorrow" }] }), "done"),
            (json!({ "do": "tick", "packet": packet("2950.05") }), "done"),
            (json!({ "do": "tick", "packet": packet("0.001") }), "error"),
            (
                json!({ "do": "tick", "packet": deep }),
                if matches!(broker, "dhan" | "fyers") { "done" } else { "error" },
            ),
            (
                json!({ "do": "partial", "packet": packet("1") }),
                if broker == "fyers" { "done" } else { "unsupported" },
            ),
            (json!({ "do": "frame", "packets": [packet("1"), packet("2")] }), "done"),
            (json!({ "do": "stray", "packet": packet("3.05") }), "done"),
            (json!({ "do": "garbage", "seed": 1, "frames": 20 }), "done"),
            (json!({ "do": "expire", "now": true }), "done"),
            (json!({ "do": "half_open", "on": false }), "done"),
            (json!({ "do": "refuse", "status": 429, "times": 2, "rest": false }), "done"),
            (json!({ "do": "storm", "after_ms": null }), "done"),
            (json!({ "do": "split", "bytes": 1 }), "done"),
            (json!({ "do": "fragment", "on": true }), "done"),
            (json!({ "do": "stack", "on": true }), "done"),
            (json!({ "do": "binary", "hex": "00ff" }), "done"),
            (json!({ "do": "binary", "hex": "0" }), "error"),
            (json!({ "do": "own", "command": {} }), "error"),
            (json!({ "do": "deafen" }), "done"),
            (json!({ "do": "text", "text": "{" }), "done"),
            (json!({ "do": "order", "data": {} }), "done"),
            (json!({ "do": "reuse", "exchange": "NSE", "one": "INFY", "other": "SBIN" }), "done"),
            (json!({ "do": "reuse", "exchange": "NSE", "one": "INFY", "other": "NOSUCH" }), "error"),
            (json!({ "do": "trade" }), "done"),
            (json!({ "do": "disconnect" }), "done"),
            (json!({ "do": "mute" }), "done"),
            (json!({ "do": "report" }), "report"),
            (json!({ "do": "dance" }), "error"),
        ] {
            let answer = program.ask(&command);
            assert!(answer == member || answer.get(member).is_some(), "{broker}: {command} gave {answer}");
        }
        let sent = program.ask(&json!({ "do": "sent", "exchange": "NSE", "symbol": "M&M", "kind": "depth" }));
        assert_eq!(sent["sent"]["ltp"], "3.05");
        assert_eq!(sent["sent"]["bids"], json!([["2950.05", 10, 2]]));
        drop(program.input);
        assert!(program.child.wait().unwrap().success());
    }
}
