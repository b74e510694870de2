//! Text messages of brokers' sockets; the first byte says of which.

#![no_main]

use fuzz::{begin_with, bounded, vectors};
use libfuzzer_sys::fuzz_target;

const ZERODHA: &str = include_str!("../../../adapters/zerodha/testdata/zerodha-text.jsonl");
const ANGEL: &str = include_str!("../../../adapters/angel/testdata/angel-text.jsonl");

fn seeds() -> Vec<Vec<u8>> {
    let of = |socket: &'static str, text| {
        vectors(text)
            .into_iter()
            .filter_map(move |line| Some([socket, line["frame_text"].as_str()?].concat().into_bytes()))
    };
    of("0", ZERODHA).chain(of("1", ANGEL)).collect()
}

fuzz_target!(init: begin_with("texts", seeds()), |input: &[u8]| bounded(input, || {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut letters = text.chars();
    match letters.next() {
        Some('0') => {
            if let adapter_zerodha::wire::Text::Order(order) = adapter_zerodha::wire::read(letters.as_str()) {
                _ = order.update("NSE", "SBIN");
            }
        }
        Some(_) => _ = adapter_angel::control::read(letters.as_str()),
        None => {}
    }
}));
