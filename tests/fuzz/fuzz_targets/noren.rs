//! Messages of the Noren family, several on one connection: what is known after each, and orders.

#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use adapter_noren::{
    decode::{self, Book, LEVELS},
    order,
    wire::{self, Kind, Message},
};
use adapter_sdk::read::Odd;
use fuzz::{begin_with, bounded, joined, split, vectors};
use libfuzzer_sys::fuzz_target;

const VECTORS: &str = include_str!("../../../adapters/noren/testdata/noren.jsonl");

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    vectors(VECTORS).into_iter().filter_map(|line| {
        let frames =
            line["frames"].as_array()?.iter().filter_map(|frame| Some(frame.as_str()?.as_bytes().to_vec()));
        Some(joined(&frames.collect::<Vec<_>>()))
    })
}

fuzz_target!(init: begin_with("noren", seeds()), |input: &[u8]| bounded(input, || {
    let (mut state, odd, now) = (Book::new(), Odd::new(), UNIX_EPOCH + Duration::from_secs(1_795_578_300));
    for frame in split(input) {
        let Ok(text) = std::str::from_utf8(&frame) else { continue };
        let Some(message) = Message::read(text) else { continue };
        if wire::kind(&message) == Kind::Order
            && let Some(update) = order::read(text, &odd, |_, symbol| symbol.len() % 2 == 0)
        {
            let quantities = [update.quantity, update.filled_quantity];
            assert!(quantities.into_iter().flatten().all(|quantity| quantity >= 0));
            assert!([update.price, update.trigger_price, update.average_price].into_iter().flatten().all(f64::is_finite));
            assert!(!update.orderid.is_empty());
        }
        let Some(key) = wire::key(&message) else { continue };
        // It is of an instrument that the message names.
        assert!(text.contains(key.exchange.code()) && text.contains(&key.token.to_string()));
        let Some(known) = decode::take(&mut state, key, &message, now) else { continue };
        for side in [known.book().buy(), known.book().sell()] {
            assert!(side.len() <= LEVELS);
            assert!(side.iter().all(|level| level.quantity > 0 && level.price.as_nanos() != 0));
        }
        // Once more the same changes nothing, and says nothing of others.
        let first = (known.tick(1), *known.book());
        let again = decode::take(&mut state, key, &message, now).expect("it was one before");
        assert_eq!((again.tick(1), *again.book()), first);
    }
}));
