//! Messages of brokers with Symphony XTS, several on one connection: what is known after each, and orders.

#![no_main]

use adapter_sdk::read::Odd;
use adapter_xts::{
    decode::{self, Books},
    engine::{Packet, said},
    order,
    wire::{About, LEVELS, News, binary, exchange_of, json, read_event, segment_of},
};
use fuzz::{begin_with, bounded, joined, split, vectors};
use libfuzzer_sys::fuzz_target;

const VECTORS: &str = include_str!("../../../adapters/xts/testdata/xts.jsonl");

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    vectors(VECTORS).into_iter().filter_map(|line| {
        let frames = line["frames"].as_array()?.iter().filter_map(|frame| {
            let text = frame["text"].as_str().or_else(|| frame["list_quote"].as_str());
            text.map(|text| text.as_bytes().to_vec()).or_else(|| hex::decode(frame["hex"].as_str()?).ok())
        });
        Some(joined(&frames.collect::<Vec<_>>()))
    })
}

/// What a message says, and what is known then.
fn check(books: &mut Books, news: &News<'_>) {
    let About::Instrument(key) = news.about else { return };
    let (segment, _) = segment_of(key.exchange).expect("an exchange of a segment");
    assert_eq!(exchange_of(segment.into()), Some(key.exchange));
    assert!(key.token > 0);
    let known = decode::take(books, key, news);
    for side in [known.book().buy(), known.book().sell()] {
        assert!(side.len() <= LEVELS);
        assert!(side.iter().all(|level| level.quantity > 0 && level.price.as_nanos() != 0));
    }
    // Once more the same changes nothing.
    let first = (known.tick(1), *known.book());
    let again = decode::take(books, key, news);
    assert_eq!((again.tick(1), *again.book()), first);
    decode::complete(books, news.code, key);
}

fuzz_target!(init: begin_with("xts", seeds()), |input: &[u8]| bounded(input, || {
    let (mut books, mut unpacker, mut scratch) = (Books::new(), binary::Unpacker::default(), String::new());
    let odd = Odd::new();
    for frame in split(input) {
        binary::read(&frame, &mut unpacker, |news| {
            if let Ok(news) = news {
                check(&mut books, &news);
            }
        });
        let Ok(text) = std::str::from_utf8(&frame) else { continue };
        if let Some(news) = json::read(text, None) {
            check(&mut books, &news);
        }
        let Packet::Event(name, argument) = Packet::read(text) else { continue };
        let Some(text) = said(argument, &mut scratch) else { continue };
        assert!(text.len() <= argument.len());
        if let Ok(Some(news)) = read_event(name, text) {
            check(&mut books, &news);
        }
        if let Some(update) = order::read(text, &odd, |_| None) {
            let quantities = [update.quantity, update.filled_quantity, update.pending_quantity];
            assert!(quantities.into_iter().flatten().all(|quantity| quantity >= 0));
            assert!([update.price, update.trigger_price, update.average_price].into_iter().flatten().all(f64::is_finite));
            assert!(!update.orderid.is_empty());
        }
    }
}));
