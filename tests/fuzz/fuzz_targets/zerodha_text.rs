//! Text messages of Kite's WebSocket: orders, errors and other news.

#![no_main]

use adapter_sdk::read::Odd;
use adapter_zerodha::wire::{self, Text};
use fuzz::{begin_with, bounded, vectors};
use libfuzzer_sys::fuzz_target;

const VECTORS: &str = include_str!("../../../adapters/zerodha/testdata/zerodha-text.jsonl");

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    vectors(VECTORS).into_iter().filter_map(|line| Some(line["frame_text"].as_str()?.as_bytes().to_vec()))
}

fuzz_target!(init: begin_with("zerodha_text", seeds()), |input: &[u8]| bounded(input, || {
    if let Ok(text) = std::str::from_utf8(input)
        && let Text::Order(update, _) = wire::read(text, &Odd::new())
    {
        let quantities = [update.quantity, update.filled_quantity, update.pending_quantity];
        assert!(quantities.into_iter().flatten().all(|quantity| quantity >= 0));
        let prices = [update.price, update.trigger_price, update.average_price];
        assert!(prices.into_iter().flatten().all(f64::is_finite));
        assert!(!update.orderid.is_empty());
    }
}));
