mod days;
mod greeks;
mod rig;
mod streams;

use std::{collections::BTreeMap, time::Duration};

use self::rig::Rig;
use super::*;
use crate::metrics::FeedCounters;
use crate::model::{Depth, DepthClass, DepthLevel, Ltp, PRICE_SCALE, Quote, Variant, field};

const MS: Nanos = 1_000_000;
const FEED: FeedId = FeedId(1);
const OTHER: FeedId = FeedId(2);

fn ltp() -> Variant {
    Variant::new(Mode::Ltp, DepthClass::Five, false)
}

fn variant(mode: Mode) -> Variant {
    Variant::new(mode, DepthClass::Five, false)
}

fn tick(instrument: InstrumentId, price: i64) -> Ltp {
    Ltp { instrument: instrument.0, fields: field::LTP, ltp: price * PRICE_SCALE, ..Ltp::default() }
}

fn quote(instrument: InstrumentId, price: i64) -> Quote {
    Quote::from(&tick(instrument, price))
}

const SBIN: InstrumentId = InstrumentId::new(3, 0);

#[test]
fn a_tick_reaches_the_shards_that_hold_its_key_and_no_other() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(1, SBIN, ltp());
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 100)]);
    rig.turn(0);
    assert!(rig.frames(0).is_empty());
    assert_eq!(rig.frames(1), [("SBIN".to_owned(), 1, 100.0)]);
    rig.assert_balanced(FEED);
}

#[test]
fn each_mode_that_is_held_gets_its_frames_and_none_from_below() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    Mode::ALL.into_iter().for_each(|mode| rig.attach(0, SBIN, variant(mode)));
    rig.intakes[&FEED].offer_quote(&[quote(SBIN, 100)]);
    rig.turn(0);
    let modes: Vec<u64> = rig.frames(0).into_iter().map(|(_, mode, _)| mode).collect();
    assert_eq!(modes, [1, 2]);
    rig.assert_balanced(FEED);
}

#[test]
fn a_late_tick_of_an_instrument_that_left_is_dropped_even_if_its_place_is_taken() {
    let mut rig = Rig::new(0, false);
    let next = InstrumentId::new(3, 1);
    rig.activate(FEED, SBIN, "SBIN");
    rig.handle.send(Command::Deactivate { instrument: SBIN });
    rig.activate(FEED, next, "TCS");
    rig.attach(0, next, ltp());
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 100), tick(next, 200)]);
    rig.turn(0);
    assert_eq!(rig.frames(0), [("TCS".to_owned(), 1, 200.0)]);
    assert_eq!(rig.counters(FEED).dropped_unsubscribed.get(), 1);
    rig.assert_balanced(FEED);
}

#[test]
fn a_feed_cannot_publish_the_instrument_of_another() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.intakes[&OTHER].offer_ltp(&[tick(SBIN, 666)]);
    rig.turn(0);
    assert!(rig.frames(0).is_empty());
    assert_eq!(rig.counters(OTHER).dropped_unsubscribed.get(), 1);
}

#[test]
fn the_first_tick_passes_at_once_and_the_last_of_a_burst_at_the_end() {
    let mut rig = Rig::new(50, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1), tick(SBIN, 2), tick(SBIN, 3)]);
    rig.turn(100 * MS);
    assert_eq!(rig.frames(0), [("SBIN".to_owned(), 1, 1.0)]);
    assert_eq!(rig.router.next_due(), Some(150 * MS));
    rig.turn(150 * MS);
    assert_eq!(rig.frames(0), [("SBIN".to_owned(), 1, 3.0)]);
    rig.assert_balanced(FEED);
    assert_eq!(rig.counters(FEED).conflated_throttle.get(), 1);
}

#[test]
fn what_waits_when_the_last_subscriber_leaves_is_accounted_for() {
    let mut rig = Rig::new(50, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 1), tick(SBIN, 2)]);
    rig.turn(0);
    rig.detach(0, SBIN, ltp());
    rig.turn(1);
    assert_eq!((rig.router.next_due(), rig.counters(FEED).abandoned.get()), (None, 1));
    rig.assert_balanced(FEED);
}

#[test]
fn who_attaches_to_a_known_value_gets_it_as_a_snapshot_and_alone() {
    let mut rig = Rig::new(50, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.turn(0);
    assert!(rig.received(0).is_empty(), "nothing is known yet");
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 7)]);
    rig.turn(1);
    rig.received(0);
    let key = Key { instrument: SBIN, variant: ltp() };
    rig.handle.send(Command::Attach { shard: 0, key, session: SessionId(42) });
    rig.turn(2);
    let updates = rig.received(0);
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0].only, Some(SessionId(42)));
    assert!(updates[0].frame.contains("\"snapshot\":true"));
}

#[test]
fn a_publisher_that_repeats_a_tick_under_every_mode_is_heard_once() {
    let mut rig = Rig::new(0, true);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    let intake = Arc::clone(&rig.intakes[&FEED]);
    let book = Depth { quote: quote(SBIN, 100), first_level: 0, buy_levels: 1, sell_levels: 0 };
    intake
        .offer_depth(&[book], &[DepthLevel { price: 99 * PRICE_SCALE, quantity: 1, orders: 1, reserved: 0 }]);
    intake.offer_quote(&[quote(SBIN, 100)]);
    intake.offer_ltp(&[tick(SBIN, 100)]);
    rig.turn(0);
    assert_eq!(rig.frames(0).len(), 1);
    // The same price again, later or under the same mode, is a tick of its own.
    intake.offer_ltp(&[tick(SBIN, 100)]);
    rig.turn(1);
    assert_eq!(rig.frames(0).len(), 1);
    intake.offer_quote(&[quote(SBIN, 100)]);
    rig.turn(200 * MS);
    assert_eq!(rig.frames(0).len(), 1);
    rig.assert_balanced(FEED);
}

/// Thirty prices, each published under all modes in this order, as adapters of the reference do: what a
/// client of each mode gets.
fn prices_under_every_mode(order: [Mode; 3]) -> BTreeMap<u64, Vec<f64>> {
    let mut rig = Rig::new(0, true);
    rig.activate(FEED, SBIN, "NIFTY");
    Mode::ALL.into_iter().for_each(|mode| rig.attach(0, SBIN, variant(mode)));
    let intake = Arc::clone(&rig.intakes[&FEED]);
    let level = DepthLevel { price: PRICE_SCALE, quantity: 1, orders: 1, reserved: 0 };
    let mut seen: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for number in 0..30 {
        for mode in order {
            let price = quote(SBIN, number);
            match mode {
                Mode::Ltp => intake.offer_ltp(&[tick(SBIN, number)]),
                Mode::Quote => intake.offer_quote(&[price]),
                Mode::Depth => intake.offer_depth(
                    &[Depth { quote: price, first_level: 0, buy_levels: 1, sell_levels: 0 }],
                    &[level],
                ),
            };
            rig.turn(u64::try_from(number).unwrap() * 200 * MS + u64::from(mode.number()));
        }
        for (_, mode, price) in rig.frames(0) {
            seen.entry(mode).or_default().push(price);
        }
    }
    rig.assert_balanced(FEED);
    seen
}

#[test]
fn every_mode_sees_every_new_value_once_in_whatever_order_it_is_published() {
    let prices: Vec<f64> = (0..30).map(f64::from).collect();
    let [ltp, quote, depth] = Mode::ALL;
    for order in [
        [ltp, quote, depth],
        [depth, quote, ltp],
        [quote, ltp, depth],
        [ltp, depth, quote],
        [depth, ltp, quote],
        [quote, depth, ltp],
    ] {
        let seen = prices_under_every_mode(order);
        for mode in 1..=3 {
            assert_eq!(seen.get(&mode), Some(&prices), "mode {mode}, published as {order:?}");
        }
    }
}

#[test]
fn a_suffixed_symbol_keeps_its_suffix_beside_the_plain_one() {
    let mut rig = Rig::new(0, false);
    rig.activate(FEED, SBIN, "SBIN");
    rig.attach(0, SBIN, ltp());
    rig.attach(0, SBIN, Variant::new(Mode::Ltp, DepthClass::Fifty, true));
    rig.intakes[&FEED].offer_ltp(&[tick(SBIN, 5)]);
    rig.turn(0);
    let symbols: Vec<String> = rig.frames(0).into_iter().map(|(symbol, ..)| symbol).collect();
    assert_eq!(symbols, ["SBIN", "SBIN:50"]);
}

/// A cheap generator: the test draws tens of millions of numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Ten million ticks of two feeds that hold the same symbols, published under right, foreign, outdated and
/// invented numbers in random order while instruments come and go. A price carries the number and the feed it
/// was meant for.
#[test]
fn ten_million_interleaved_ticks_and_none_is_misrouted() {
    const INSTRUMENTS: u32 = 400;
    const TICKS: u64 = 10_000_000;
    let mut rig = Rig::new(4, false);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let owner = |slot: u32| if slot.is_multiple_of(2) { FEED } else { OTHER };
    let mut generations = vec![0_u32; INSTRUMENTS as usize];
    for slot in 0..INSTRUMENTS {
        let instrument = InstrumentId::new(slot, 0);
        rig.activate(owner(slot), instrument, &format!("S{}", slot / 2));
        rig.attach(0, instrument, ltp());
    }
    let price_of =
        |feed: FeedId, instrument: u32| i64::from(feed.0) * 100_000_000 + i64::from(instrument % (1 << 26));
    let (mut sent, mut checked, mut now) = (0, 0, 0);
    let mut batch = Vec::new();
    while sent < TICKS {
        now += MS;
        for feed in [FEED, OTHER] {
            batch.clear();
            for _ in 0..2_000 {
                let slot = u32::try_from(random.below(u64::from(INSTRUMENTS))).unwrap();
                let generation = generations[slot as usize];
                let instrument = match random.below(20) {
                    // A tick for what has left, or for what nobody has.
                    0 => InstrumentId::new(slot, generation.wrapping_sub(1) % 4_096),
                    1 => InstrumentId::new(slot + 5_000, 0),
                    _ => InstrumentId::new(slot, generation),
                };
                batch.push(tick(instrument, price_of(feed, instrument.0)));
            }
            rig.intakes[&feed].offer_ltp(&batch);
            sent += batch.len() as u64;
        }
        let slot = u32::try_from(random.below(u64::from(INSTRUMENTS))).unwrap();
        let generation = &mut generations[slot as usize];
        rig.handle.send(Command::Deactivate { instrument: InstrumentId::new(slot, *generation) });
        *generation = (*generation + 1) % 4_096;
        let instrument = InstrumentId::new(slot, *generation);
        rig.activate(owner(slot), instrument, &format!("S{}", slot / 2));
        rig.attach(0, instrument, ltp());
        rig.turn(now);
        for update in rig.received(0) {
            let instrument = update.key.instrument;
            let feed = owner(u32::try_from(instrument.slot()).unwrap());
            let expected = format!("\"ltp\":{}.0,", price_of(feed, instrument.0));
            assert!(update.frame.contains(&expected), "{} lacks {expected}", update.frame);
            let symbol = format!("\"symbol\":\"S{}\"", instrument.slot() / 2);
            assert!(update.frame.contains(&symbol), "{} lacks {symbol}", update.frame);
            checked += 1;
        }
    }
    for feed in [FEED, OTHER] {
        rig.assert_balanced(feed);
        // Half of all belonged to the other feed, a tenth of the rest to nobody.
        let dropped = rig.counters(feed).dropped_unsubscribed.get();
        assert!(dropped > TICKS / 2 / 2, "{dropped} dropped");
    }
    assert!(checked > 200_000, "{checked} frames checked");
}

#[test]
fn intakes_are_told_which_ticks_are_of_one_trading_day() {
    let mut rig = Rig::new(0, false);
    let at = |date: &str, time: &str| {
        date.parse::<crate::calendar::date::Date>().unwrap().at(time.parse().unwrap())
    };
    for (date, other) in [("2026-11-25", "2026-11-26"), ("2026-11-26", "2026-11-25")] {
        rig.router.set_time_of_day(at(date, "12:00"));
        rig.turn(0);
        let settled = rig.router.settled;
        assert!(settled.contains(at(date, "13:00")) && !settled.contains(at(other, "13:00")), "{date}");
        assert_eq!(rig.handle.doorbell.settled(), settled);
    }
}
