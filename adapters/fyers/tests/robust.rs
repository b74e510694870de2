//! Random and damaged frames: nothing panics, nothing is invented, nothing is allocated.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they compared"
)]

#[path = "vectors/decoders.rs"]
mod decoders;
mod invariants;

use std::sync::LazyLock;

use adapter_fyers::{
    decode,
    state::Topics,
    tbt::{
        book::{Books, News},
        wire::SocketMessage,
    },
    topic::Topic,
    wire::{Frame, LITE_VALUES},
};
use proptest::prelude::*;
use serde_json::Value;

use self::decoders::{Hsm, Tbt, lines};

static VECTORS: LazyLock<Vec<Value>> =
    LazyLock::new(|| lines(include_str!("../testdata/fyers.jsonl")).collect());

fn of(feed: &str) -> Vec<&'static Value> {
    VECTORS.iter().filter(|line| line["feed"] == feed).collect()
}

fn frames(line: &Value) -> Vec<Vec<u8>> {
    let frames = line["frames_hex"].as_array().unwrap().iter();
    frames.map(|frame| hex::decode(frame.as_str().unwrap()).unwrap()).collect()
}

fn change(frames: &mut [Vec<u8>], changes: &[(usize, usize, u8)], cut: usize) {
    for (frame, at, byte) in changes {
        let frame = frame % frames.len();
        let frame = &mut frames[frame];
        if !frame.is_empty() {
            let at = at % frame.len();
            frame[at] = *byte;
        }
    }
    let last = frames.len() - 1;
    let length = frames[last].len();
    frames[last].truncate(length.saturating_sub(cut));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn random_bytes_are_survived(
        line in 0_usize..150,
        kind in prop_oneof![Just(6_u8), any::<u8>()],
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut hsm = Hsm::new(of("hsm")[line]);
        _ = hsm.feed(&bytes, |_| {});
        let head = [0, 0, kind, 0, 0, 0, 1, 0, 9];
        _ = hsm.feed(&[head.as_slice(), bytes.as_slice()].concat(), |_| {});
        _ = SocketMessage::parse(&bytes);
    }

    /// Whatever is changed, there is nothing that was not asked for, and a tick is of the topic that its
    /// number was announced for.
    #[test]
    fn changed_frames_are_survived(
        line in 0_usize..150,
        changes in proptest::collection::vec((0_usize..20, 0_usize..600, any::<u8>()), 1..12),
        cut in 0_usize..40,
    ) {
        let line = of("hsm")[line];
        let mut frames = frames(line);
        change(&mut frames, &changes, cut);
        invariants::data_socket(&line["symbols"], &frames);
    }

    #[test]
    fn changed_messages_of_fifty_levels_are_survived(
        line in 0_usize..50,
        changes in proptest::collection::vec((0_usize..20, 0_usize..4_000, any::<u8>()), 1..12),
        cut in 0_usize..40,
    ) {
        let line = of("tbt")[line];
        let mut frames = frames(line);
        change(&mut frames, &changes, cut);
        invariants::fifty_levels(&Tbt::wanted(line), &frames);
    }
}

#[test]
fn a_number_that_is_announced_for_something_else_does_not_stand_for_the_first_any_more() {
    let snapshot = |topic: &str, ltp: i32| {
        let mut frame = vec![0, 0, 6, 0, 0, 0, 1, 0, 1, b'S', 0, 7, u8::try_from(topic.len()).unwrap()];
        frame.extend(topic.as_bytes());
        frame.push(1);
        frame.extend(ltp.to_be_bytes());
        frame.extend([0, 0, 0, 1, 2, 0, 0, 0]);
        frame
    };
    let update = [0, 0, 6, 0, 0, 0, 2, 0, 1, b'U', 0, 7, 1, 0, 0, 0, 99];
    let mut hsm = Hsm::new(&serde_json::json!({"symbols": {"sf|nse_cm|3045": "NSE:SBIN-EQ"}}));
    let ticks = |hsm: &mut Hsm, frame: &[u8]| {
        let mut ticks = 0;
        hsm.feed(frame, |_| ticks += 1).unwrap();
        ticks
    };
    assert_eq!(ticks(&mut hsm, &update), 0, "the number was never announced");
    assert_eq!(ticks(&mut hsm, &snapshot("sf|nse_cm|3045", 5)), 1);
    assert_eq!(ticks(&mut hsm, &update), 1);
    assert_eq!(ticks(&mut hsm, &update), 0, "nothing has changed");
    assert_eq!(ticks(&mut hsm, &snapshot("sf|nse_cm|1594", 5)), 0, "nobody asked for it");
    assert_eq!(ticks(&mut hsm, &update), 0, "the number is that of the other one now");
}

#[test]
fn a_place_that_is_taken_again_does_not_inherit_a_number() {
    let (feed, one) = Topic::parse(b"sf|nse_cm|1").unwrap();
    let (_, other) = Topic::parse(b"sf|nse_cm|2").unwrap();
    let mut topics = Topics::new();
    let feed_frame = |topics: &mut Topics, bytes: &[u8]| {
        let Ok(Frame::Data(data)) = Frame::parse(bytes, LITE_VALUES) else { return 0 };
        data.records
            .filter(|record| {
                let record = record.unwrap();
                let target = topics.target(&record);
                topics.apply(&record, target)
            })
            .count()
    };
    let mut snapshot = vec![0, 0, 6, 0, 0, 0, 1, 0, 1, b'S', 0, 7, 11];
    snapshot.extend(b"sf|nse_cm|1");
    snapshot.extend([1, 0, 0, 0, 5, 0, 0, 0, 1, 2, 0, 0, 0]);
    let update = [0, 0, 6, 0, 0, 0, 2, 0, 1, b'U', 0, 7, 1, 0, 0, 0, 99];
    topics.want(feed, one);
    assert_eq!(feed_frame(&mut topics, &snapshot), 1);
    topics.drop(feed, &one);
    assert!(topics.is_empty());
    topics.want(feed, other);
    assert_eq!(feed_frame(&mut topics, &update), 0, "a late update of the one before");
    assert!(topics.find(&other).unwrap().prices().is_none());
}

#[test]
fn decoding_allocates_nothing() {
    let hsm: Vec<(Hsm, Vec<Vec<u8>>)> =
        of("hsm").into_iter().map(|line| (Hsm::new(line), frames(line))).collect();
    let mut ticks = 0;
    let mut states: Vec<(Topics, Vec<Vec<u8>>)> =
        hsm.into_iter().map(|(hsm, frames)| (hsm.topics, frames)).collect();
    // Once to meet every topic, and once more to count.
    let mut run = |topics: &mut Topics, frames: &[Vec<u8>]| {
        for frame in frames {
            let Ok(Frame::Data(data)) = Frame::parse(frame, LITE_VALUES) else { continue };
            for record in data.records.flatten() {
                let target = topics.target(&record);
                if topics.apply(&record, target) {
                    let instrument = topics.get(target.unwrap().place).unwrap();
                    assert!(decode::quote(instrument, 1).is_ok() && decode::book(instrument).is_ok());
                    ticks += 1;
                }
            }
        }
    };
    states.iter_mut().for_each(|(topics, frames)| run(topics, frames));
    let counts =
        allocation_counter::measure(|| states.iter_mut().for_each(|(topics, frames)| run(topics, frames)));
    println!("data socket: {ticks} ticks in two rounds, {} allocations in the second", counts.count_total);
    assert_eq!(counts.count_total, 0);
    assert!(ticks > 3_000);

    let lines = of("tbt");
    let mut books: Vec<(Books, Vec<Vec<u8>>)> = lines
        .into_iter()
        .map(|line| {
            let mut books = Books::new();
            for event in
                line["expected"].as_array().unwrap().iter().flat_map(|events| events.as_array().unwrap())
            {
                if let Some(symbol) = event["symbol"].as_str() {
                    books.want(symbol);
                }
            }
            (books, frames(line))
        })
        .collect();
    let mut changes = 0;
    let counts = allocation_counter::measure(|| {
        for (books, frames) in &mut books {
            for frame in frames {
                let message = SocketMessage::parse(frame).unwrap();
                let taken = books.apply(&message, |news| {
                    if let News::Changed(book) = news {
                        changes += usize::from(!book.levels(50).buy().is_empty());
                    }
                });
                assert_eq!(taken, Ok(()));
            }
        }
    });
    println!("fifty levels: {changes} changes, {} allocations", counts.count_total);
    assert_eq!(counts.count_total, 0);
    assert!(changes > 200);
}
