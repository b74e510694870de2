//! Frames of Fyers' data socket, in the order in which one connection gets them, so that numbers of topics
//! are announced, changed and used. The first byte says which symbols were asked for.

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

static LINES: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let lines = vectors(include_str!("../../../adapters/fyers/testdata/fyers.jsonl"));
    lines.into_iter().filter(|line| line["feed"] == "hsm").take(150).collect()
});

fn seed((number, line): (usize, &Value)) -> Vec<u8> {
    let frames: Vec<Vec<u8>> = line["frames_hex"].as_array().into_iter().flatten().map(bytes).collect();
    [vec![u8::try_from(number).unwrap_or_default()], joined(&frames)].concat()
}

fuzz_target!(init: begin_with("fyers_data", LINES.iter().enumerate().map(seed)), |input: &[u8]| bounded(input, || {
    let Some((line, frames)) = input.split_first() else { return };
    let (symbols, frames) = (&LINES[usize::from(*line) % LINES.len()]["symbols"], split(frames));
    // The same frames give the same, whatever order a table has.
    assert_eq!(invariants::data_socket(symbols, &frames), invariants::data_socket(symbols, &frames));
}));
