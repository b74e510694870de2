//! Text messages of SmartAPI's WebSocket.

#![no_main]

use adapter_angel::control;
use fuzz::{begin_with, bounded, vectors};
use libfuzzer_sys::fuzz_target;

const VECTORS: &str = include_str!("../../../adapters/angel/testdata/angel-text.jsonl");

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    vectors(VECTORS).into_iter().filter_map(|line| Some(line["frame_text"].as_str()?.as_bytes().to_vec()))
}

fuzz_target!(init: begin_with("angel_text", seeds()), |input: &[u8]| bounded(input, || {
    if let Ok(text) = std::str::from_utf8(input) {
        _ = control::read(text);
    }
}));
