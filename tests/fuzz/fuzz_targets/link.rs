//! What an adapter's process sends to the host: the frames of ticks on its private connection, in two pieces,
//! or, behind a first byte that is odd, a line of its standard output.

#![no_main]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use adapter_abi::{
    Depth, DepthLevel, Greeks, LogLevel, Ltp, PublishOutcome, Quote, StatusEvent, SubscriptionOutcome,
};
use fuzz::{begin_with, bounded};
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use serde_json::Value;
use tickhost::adapters::{AdapterEvents, process::fuzzing};
use tickhost_core::{
    intake::{Batch, Doorbell, Intake, depth_levels},
    model::FeedId,
};

/// Longest frame, with its head and the head of its records: what 64 KiB can hold of ticks.
const MOST_TICKS: usize = 64 * 1_024 / size_of::<Ltp>();

/// Puts everything into an intake, as the host does.
struct Checked {
    intake: Arc<Intake>,
    ticks: AtomicUsize,
}

impl Checked {
    fn count(&self, ticks: usize) -> PublishOutcome {
        assert!(ticks <= MOST_TICKS);
        self.ticks.fetch_add(ticks, Ordering::Relaxed);
        PublishOutcome::default()
    }
}

impl AdapterEvents for Checked {
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome {
        self.intake.offer_ltp(batch);
        self.count(batch.len())
    }

    fn quote(&self, batch: &[Quote]) -> PublishOutcome {
        self.intake.offer_quote(batch);
        self.count(batch.len())
    }

    fn depth(&self, batch: &[Depth], levels: &[DepthLevel]) -> PublishOutcome {
        let malformed = self.intake.offer_depth(batch, levels) as usize;
        assert!(malformed <= batch.len());
        self.count(batch.len() - malformed)
    }

    fn greeks(&self, batch: &[Greeks]) -> PublishOutcome {
        assert_eq!(self.intake.offer_greeks(batch), 0);
        self.count(batch.len())
    }

    fn order_update(&self, _: &str) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn status(&self, _: StatusEvent) {}

    fn outcomes(&self, _: u64, _: &[SubscriptionOutcome]) {}

    fn credentials(&self) -> SecretString {
        SecretString::default()
    }

    fn log_level(&self) -> LogLevel {
        LogLevel::ERROR
    }

    fn log(&self, _: LogLevel, _: &str, _: &str, _: &str) {}

    fn replaced(&self, _: u32) {}

    fn invalid(&self, _: u64) {}

    fn lost(&self, _: u64) {}
}

fn ticks(first: usize, bytes: &[u8]) {
    let intake = Intake::new(FeedId(1), Arc::default(), Doorbell::new());
    let events = Checked { intake: Arc::clone(&intake), ticks: AtomicUsize::new(0) };
    if let Some(taken) = fuzzing::ticks(bytes, first, &events) {
        assert!(taken <= bytes.len());
    }
    // As many as were offered come out, and every book lies within its levels.
    let mut batches = Vec::new();
    intake.take(&mut batches);
    let count: usize = batches
        .iter()
        .map(|batch| match batch {
            Batch::Ltp(ticks) => ticks.len(),
            Batch::Quote(quotes) => quotes.len(),
            Batch::Depth(books, levels) => {
                for book in books {
                    let (buy, sell) = depth_levels(book, levels).expect("a book has its levels");
                    assert!(buy.iter().chain(sell).all(|level| level.quantity >= 0));
                }
                books.len()
            }
            Batch::Greeks(records) => records.len(),
            Batch::Merged(merged) => merged.iter().map(|merged| 1 + merged.missed as usize).sum(),
        })
        .sum();
    assert_eq!(count, events.ticks.load(Ordering::Relaxed));
}

fn line(text: &str) {
    if let Some(again) = fuzzing::line(text) {
        let once: Value = serde_json::from_str(&again).expect("a line is JSON");
        let twice = fuzzing::line(&again).expect("what the host said is a line");
        assert_eq!(serde_json::from_str::<Value>(&twice).expect("a line is JSON"), once);
    }
}

/// A frame of one tick, quote, book or greeks, and lines of every kind.
fn seeds() -> Vec<Vec<u8>> {
    let frame = |kind: u8, records: usize, levels: usize| {
        let body = records + levels * size_of::<DepthLevel>();
        let mut bytes = vec![0, 7];
        bytes.extend((16 + body as u32).to_le_bytes());
        bytes.extend([kind, 0, 0, 0, 1, 0, 0, 0]);
        bytes.extend((levels as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.resize(bytes.len() + body, 0);
        bytes
    };
    let mut seeds = vec![
        frame(1, size_of::<Ltp>(), 0),
        frame(2, size_of::<Quote>(), 0),
        frame(3, size_of::<Depth>(), 4),
        frame(4, size_of::<Greeks>(), 0),
        b"\0\0\0\0\0\0".to_vec(),
        b"\0\0\xff\xff\xff\xff".to_vec(),
    ];
    let lines = [
        r#"{"refused":{"code":1,"message":"no"}}"#,
        r#"{"status":{"kind":1,"code":0,"request":1,"retry_in_ms":0,"message":""}}"#,
        r#"{"outcomes":{"request":1,"outcomes":[{"instrument":1,"code":0,"depth":5}]}}"#,
        r#"{"order":{"json":"{}"}}"#,
        r#"{"log":{"level":3,"target":"a","message":"b","fields":"{}"}}"#,
        r#"{"alive":{"health":{"connected":1,"published":1,"dropped":0,"undecodable":0,"connects":1,"last_packet_ts_ns":1,"last_turn_ts_ns":1},"busy_ms":0,"resident_bytes":1,"descriptors":1,"invalid":0,"lost":0}}"#,
    ];
    seeds.extend(lines.map(|line| [b"\x01", line.as_bytes()].concat()));
    seeds
}

fuzz_target!(init: begin_with("link", seeds()), |input: &[u8]| bounded(input, || {
    let Some((kind, bytes)) = input.split_first() else { return };
    if kind % 2 == 0 {
        // The second byte says where the bytes are cut in two, as a socket cuts them.
        let Some((first, bytes)) = bytes.split_first() else { return };
        ticks(usize::from(*first), bytes);
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        line(text);
    }
}));
