//! Binary messages of Upstox, several on one connection: what is known after each.

#![no_main]

use adapter_upstox::{
    decode::State,
    key::Key,
    wire::{Branch, Feed, LEVELS, Response},
};
use fuzz::{begin_with, bounded, joined, split, vectors};
use libfuzzer_sys::fuzz_target;

const VECTORS: &str = include_str!("../../../adapters/upstox/testdata/upstox-v3.jsonl");

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    vectors(VECTORS).into_iter().filter_map(|line| {
        let frames = line["frames"].as_array()?.iter();
        let frames = frames.filter_map(|frame| hex::decode(frame["hex"].as_str()?).ok());
        Some(joined(&frames.collect::<Vec<_>>()))
    })
}

fuzz_target!(init: begin_with("upstox", seeds()), |input: &[u8]| bounded(input, || {
    let (mut state, mut feed) = (State::default(), Feed::default());
    for message in split(input) {
        let Ok(response) = Response::read(&message) else { continue };
        response.segments(|_| {});
        response.feeds(&mut feed, |taken| {
            let Ok((name, feed)) = taken else { return };
            // It is of an instrument that the message names.
            assert!(name.is_empty() || message.windows(name.len()).any(|part| part == name.as_bytes()));
            assert!(feed.rows.len() <= LEVELS);
            let Some(key) = Key::parse(name) else { return };
            assert_eq!(key.to_string(), name);
            let Some(decoded) = state.take(key, feed, response.at) else {
                assert_eq!(feed.branch, Branch::Nothing);
                return;
            };
            assert_eq!(decoded.book().is_some(), feed.branch == Branch::Market && feed.has_rows);
            let sides = decoded.book().map(|book| [book.buy(), book.sell()]);
            let levels = sides.iter().flatten().flat_map(|side| side.iter());
            for level in levels.chain(decoded.best().iter().flatten()) {
                assert!(level.quantity > 0 && level.price.as_nanos() != 0);
            }
            // Once more the same changes nothing.
            let first = (decoded.tick(), decoded.best(), decoded.greeks(), decoded.book().copied());
            let again = state.take(key, feed, response.at).expect("it was one before");
            assert_eq!((again.tick(), again.best(), again.greeks(), again.book().copied()), first);
        });
    }
}));
