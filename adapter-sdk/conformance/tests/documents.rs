//! What authors read has to be what the suite does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::tests_outside_test_module,
    missing_docs,
    reason = "an integration test"
)]

use std::{collections::BTreeMap, path::Path};

use adapter_conformance::{
    Answer, CASES, Command, Control, Edition, Hello, PROTOCOL, Packet, Profile, VenueReport, serve,
};

const GUIDE: &str = include_str!("../../README.md");
const LIST: &str = include_str!("../../../adapters/README.md");

/// The first block of a language after a heading of the guide.
fn block(heading: &str, language: &str) -> &'static str {
    let (_, section) = GUIDE.split_once(&format!("\n### {heading}\n")).unwrap();
    let (_, rest) = section.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

fn packet() -> Packet {
    let (_, line) = GUIDE.split_once(r#"{"do": "tick", "packet": "#).unwrap();
    let json = line.split_once("```").unwrap().0.trim().strip_suffix('}').unwrap();
    serde_json::from_str(json).unwrap()
}

#[test]
fn every_case_is_listed() {
    for case in CASES {
        assert!(LIST.contains(&format!("| {} |", case.id)), "{}", case.id);
    }
}

#[test]
fn the_profile_of_the_guide_is_one() {
    let profile = Profile::parse(block("The profile", "toml"), Path::new(".")).unwrap();
    assert_eq!(profile.bulk.unwrap().largest_message, Some(100));
}

#[test]
fn every_command_is_described_and_the_examples_are_read() {
    let commands = [
        Command::Accept { sets: Vec::new() },
        Command::Tick { packet: packet() },
        Command::Partial { packet: packet() },
        Command::Frame { packets: Vec::new() },
        Command::Disconnect,
        Command::Mute,
        Command::Garbage { seed: 1, frames: 1 },
        Command::Order { order: BTreeMap::new() },
        Command::List(Edition::default()),
        Command::Answer { field: String::new(), url: None },
        Command::Replace,
        Command::Report,
    ];
    for command in commands {
        let name = command.name();
        assert!(GUIDE.contains(&format!("\n| `{name}` |")), "{name}");
        // The match in `name` and the words on the wire are two lists.
        assert!(
            serde_json::to_string(&command).unwrap().starts_with(&format!(r#"{{"do":"{name}""#)),
            "{name}"
        );
    }
    let hello: Hello = serde_json::from_str(block("The fake venue", "json")).unwrap();
    assert_eq!(hello.venue, PROTOCOL);
    assert_eq!(packet().bids, [("625.00".to_owned(), 10, 2)]);
}

/// A venue that can report and nothing else.
struct Mute;

impl Control for Mute {
    fn hello(&self) -> Hello {
        Hello::new("127.0.0.1:1", &["report"], &[])
    }

    fn execute(&mut self, command: Command) -> Answer {
        match command {
            Command::Report => Answer::Report(VenueReport::default()),
            command => Answer::Unsupported(format!("no {}", command.name())),
        }
    }
}

#[test]
fn a_venue_answers_each_line_as_the_guide_says() {
    let input = "{\"do\":\"mute\"}\nnonsense\n{\"do\":\"report\"}\n";
    let mut output = Vec::new();
    serve(&mut Mute, input.as_bytes(), &mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.len(), 4, "{output}");
    assert!(lines[0].starts_with(r#"{"venue":1,"listening":"127.0.0.1:1""#), "{output}");
    assert_eq!(lines[1], r#"{"unsupported":"no mute"}"#);
    assert!(lines[2].starts_with(r#"{"error":"that is no command: "#), "{output}");
    assert_eq!(lines[3], r#"{"report":{"opened":0,"open":0,"log_ins":[],"subscribes":[],"subscribed":[]}}"#);
    assert_eq!(serde_json::to_string(&Answer::Done).unwrap(), r#""done""#);
}
