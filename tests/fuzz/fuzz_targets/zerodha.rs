//! Binary messages of Kite's WebSocket.

#![no_main]

#[path = "../../../adapters/zerodha/tests/invariants/mod.rs"]
mod invariants;

use fuzz::{begin_with, bounded, bytes, vectors};
use libfuzzer_sys::fuzz_target;

const VECTORS: &str = include_str!("../../../adapters/zerodha/testdata/zerodha.jsonl");

fuzz_target!(
    init: begin_with("zerodha", vectors(VECTORS).iter().map(|line| bytes(&line["frame_hex"]))),
    |message: &[u8]| bounded(message, || assert_eq!(invariants::read(message), invariants::read(message)))
);
