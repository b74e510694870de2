//! What must hold of any frames, whoever made them up: the property tests and the fuzzer ask the same.

use adapter_fyers::{decode, topic::Topic};
use adapter_sdk::{Level, Tick};
use serde_json::Value;

use super::decoders::{Hsm, HsmEvent, Tbt};

/// Whatever comes, there is nothing that was not asked for, and a tick is of the topic that its number was
/// announced for. Gives the ticks.
pub(crate) fn data_socket(symbols: &Value, frames: &[Vec<u8>]) -> Vec<Tick> {
    let mut hsm = Hsm::wanting(symbols);
    let mut ticks = Vec::new();
    for frame in frames {
        _ = hsm.feed(frame, |event| {
            if let HsmEvent::Tick(feed, instrument) = event {
                assert!(symbols.get(instrument.topic().of(feed)).is_some());
                ticks.extend(decode::quote(instrument, 1));
                if let Ok(Some(book)) = decode::book(instrument) {
                    for side in [book.buy(), book.sell()] {
                        assert!(side.len() <= 5 && side.iter().all(|level| level.quantity >= 0));
                        assert!(side.iter().all(|level| level.price.as_nanos() != 0));
                    }
                }
            }
        });
    }
    let wanted = symbols.as_object().unwrap().keys();
    let mut topics: Vec<Topic> = wanted.map(|name| Topic::parse(name.as_bytes()).unwrap().1).collect();
    topics.sort();
    topics.dedup();
    assert_eq!(hsm.topics.len(), topics.len());
    ticks
}

/// Whatever comes, there are the books that were asked for, of at most fifty levels. Gives their sides.
pub(crate) fn fifty_levels(wanted: &[String], frames: &[Vec<u8>]) -> Vec<Level> {
    let mut tbt = Tbt::wanting(wanted);
    for frame in frames {
        if let Ok(events) = tbt.feed(frame) {
            assert!(
                events
                    .iter()
                    .all(|event| event.symbol().is_empty() || wanted.iter().any(|one| one == event.symbol()))
            );
        }
    }
    let mut levels = Vec::new();
    for book in tbt.books.clone_all() {
        let book = book.levels(50);
        for side in [book.buy(), book.sell()] {
            assert!(side.len() <= 50 && side.iter().all(|level| level.quantity >= 0));
            levels.extend_from_slice(side);
        }
    }
    levels
}
