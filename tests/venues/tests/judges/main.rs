//! The brokers' own Python clients decode what the venues send: every value of every mode has to be what was
//! sent. They need the interpreter that `TICKHOST_PYTHON` names; `.ci/run` makes one. Without it these tests
//! say so and pass, unless `TICKHOST_REQUIRE_CLIENTS` is set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test reports by panicking"
)]

mod client;
mod dhanhq;
mod dhanhq_login;
mod fyers;
mod kiteconnect;
mod noren;
mod smartapi;
mod upstox;
mod xts;

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};
use venues::{Broker, Instrument, Options, PRICE_SCALE, Venue};

/// Longest run of a client.
const LIMIT: Duration = Duration::from_secs(90);

/// A client program of `tests/clients`; none without an interpreter.
fn program(name: &str) -> Option<Command> {
    let python = std::env::var_os("TICKHOST_PYTHON");
    let is_required = std::env::var_os("TICKHOST_REQUIRE_CLIENTS").is_some();
    assert!(python.is_some() || !is_required, "TICKHOST_REQUIRE_CLIENTS is set, but TICKHOST_PYTHON is not");
    let Some(python) = python else {
        #[expect(clippy::print_stderr, reason = "a skipped test must not look like one that ran")]
        {
            eprintln!("SKIPPED: {name} needs TICKHOST_PYTHON, see .ci/run");
        }
        return None;
    };
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients").join(name));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Some(command)
}

/// Instruments of all exchanges that the broker has, at least 200.
fn chosen<B: Broker>(venue: &Venue<B>) -> Vec<Instrument> {
    let all = venues::EXCHANGES.iter().flat_map(|exchange| venue.some(exchange, 40));
    let chosen: Vec<Instrument> = all.filter(|one| B::key(one).is_some()).collect();
    assert!(chosen.len() >= 200, "{}", chosen.len());
    chosen
}

/// Runs the client until it has a tick of every instrument, and gives the last one of each by its number.
async fn ticks<B: Broker>(venue: &Venue<B>, mut command: Command, input: &Value) -> BTreeMap<String, Value> {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{input}\n").as_bytes()).await.unwrap();
    drop(stdin);
    let output =
        tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("an end in time").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{:?}", venue.report().log_ins);
    let lines = String::from_utf8(output.stdout).unwrap();
    let ticks = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    ticks.map(|tick| (tick["key"].as_str().unwrap().to_owned(), tick["tick"].clone())).collect()
}

fn options() -> Options {
    Options { rate_hz: 0.0, instruments: 2_000, seed: 7, ..Options::default() }
}

/// The floating point number that the client makes of a price.
fn float(price: i64, divisor: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "the client does the same")]
    let float = (price / (PRICE_SCALE / divisor)) as f64 / divisor as f64;
    json!(float)
}
