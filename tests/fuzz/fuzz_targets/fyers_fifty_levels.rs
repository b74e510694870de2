//! Messages of Fyers' socket of fifty levels, in the order in which one connection gets them. The first byte
//! says which symbols were asked for.

#![no_main]

#[path = "../../../adapters/fyers/tests/vectors/decoders.rs"]
mod decoders;
#[allow(dead_code, clippy::unwrap_used, reason = "shared with tests")]
#[path = "../../../adapters/fyers/tests/invariants/mod.rs"]
mod invariants;

use std::sync::LazyLock;

use fuzz::{begin_with, bounded, bytes, joined, split, vectors};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

use self::decoders::Tbt;

static LINES: LazyLock<Vec<(Vec<String>, Vec<Vec<u8>>)>> = LazyLock::new(|| {
    let lines = vectors(include_str!("../../../adapters/fyers/testdata/fyers.jsonl"));
    let frames = |line: &Value| line["frames_hex"].as_array().into_iter().flatten().map(bytes).collect();
    let lines = lines.into_iter().filter(|line| line["feed"] == "tbt");
    lines.map(|line| (Tbt::wanted(&line), frames(&line))).collect()
});

fn seed((number, (_, frames)): (usize, &(Vec<String>, Vec<Vec<u8>>))) -> Vec<u8> {
    [vec![u8::try_from(number).unwrap_or_default()], joined(frames)].concat()
}

fuzz_target!(init: begin_with("fyers_fifty_levels", LINES.iter().enumerate().map(seed)), |input: &[u8]| bounded(input, || {
    let Some((line, frames)) = input.split_first() else { return };
    let (wanted, frames) = (&LINES[usize::from(*line) % LINES.len()].0, split(frames));
    assert_eq!(invariants::fifty_levels(wanted, &frames), invariants::fifty_levels(wanted, &frames));
}));
