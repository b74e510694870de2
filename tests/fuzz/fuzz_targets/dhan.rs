//! Binary messages of Dhan's three sockets; the first byte says of which.

#![no_main]

#[path = "../../../adapters/dhan/tests/invariants/mod.rs"]
mod invariants;

use adapter_dhan::wire::depth::Tier;
use fuzz::{begin_with, bounded, bytes, vectors};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const VECTORS: &str = include_str!("../../../adapters/dhan/testdata/dhan.jsonl");

fn seed(line: &Value) -> Vec<u8> {
    let socket = match line["feed"].as_str() {
        Some("depth20") => 1,
        Some("depth200") => 2,
        _ => 0,
    };
    [vec![socket], bytes(&line["frame_hex"])].concat()
}

fuzz_target!(init: begin_with("dhan", vectors(VECTORS).iter().map(seed)), |input: &[u8]| bounded(input, || {
    let Some((socket, message)) = input.split_first() else { return };
    let tier = [None, Some(Tier::Twenty), Some(Tier::TwoHundred)][usize::from(socket % 3)];
    assert_eq!(invariants::read(tier, message), invariants::read(tier, message));
}));
