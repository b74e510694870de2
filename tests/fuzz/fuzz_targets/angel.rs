//! Binary messages of SmartAPI's WebSocket.

#![no_main]

#[path = "../../../adapters/angel/tests/invariants/mod.rs"]
mod invariants;

use fuzz::{begin_with, bounded, bytes, vectors};
use libfuzzer_sys::fuzz_target;

const VECTORS: &str = include_str!("../../../adapters/angel/testdata/angel.jsonl");

fuzz_target!(
    init: begin_with("angel", vectors(VECTORS).iter().map(|line| bytes(&line["frame_hex"]))),
    |message: &[u8]| bounded(message, || invariants::check(message))
);
