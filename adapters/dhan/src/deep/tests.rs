use std::ops::{Deref, DerefMut};

use adapter_sdk::Price;

use super::*;
use crate::{config::Config, segment::Segment};

const ONE: Key = Key { segment: Segment::NseEquity, id: 1333 };
const OTHER: Key = Key { segment: Segment::NseDerivatives, id: 1333 };
const NOBODY: Key = Key { segment: Segment::NseEquity, id: 7 };

/// Deep books on sockets that lead nowhere, and more places than those have.
struct Wanted {
    deep: Deep,
    places: Places,
}

impl Wanted {
    /// Whether the book comes.
    fn want(&mut self, instrument: u32, key: Key, tier: Tier) -> bool {
        self.places.take(instrument, key, &[tier]);
        self.deep.follow(&self.places);
        self.deep.is_coming(key)
    }

    fn drop(&mut self, instrument: u32) {
        self.places.give_back(instrument);
        self.deep.follow(&self.places);
    }
}

impl Deref for Wanted {
    type Target = Deep;

    fn deref(&self) -> &Deep {
        &self.deep
    }
}

impl DerefMut for Wanted {
    fn deref_mut(&mut self) -> &mut Deep {
        &mut self.deep
    }
}

fn deep() -> Wanted {
    let config = r#"{"depth":200,"depth20_url":"ws://127.0.0.1:9","depth200_url":"ws://127.0.0.1:9"}"#;
    let config: Config = serde_json::from_str(config).unwrap();
    let deep = Deep::new(&Keys::of_tests(), &Arc::new(config.check().unwrap()));
    Wanted { deep, places: Places::new(Tier::ALL.map(|tier| (tier, usize::MAX))) }
}

/// A packet of 20 levels, of which the first has this price.
fn side(key: Key, code: u8, price: f64) -> Vec<u8> {
    let mut packet = vec![0x4c, 1, code, key.segment.code()];
    packet.extend(key.id.to_le_bytes());
    packet.extend([0; 4]);
    packet.extend(price.to_le_bytes());
    packet.extend([75, 0, 0, 0, 3, 0, 0, 0]);
    packet.resize(332, 0);
    packet
}

fn take(deep: &mut Deep, tier: Tier, message: &[u8]) -> Outcome {
    deep.take(tier, message, Day { year: 2026, month: 11, day: 25 })
}

fn both(key: Key, bid: f64, ask: f64) -> Vec<u8> {
    [side(key, 41, bid), side(key, 51, ask)].concat()
}

fn best(deep: &Deep, key: Key) -> Option<(Price, Price)> {
    let (buy, sell) = deep.sides(key)?;
    Some((buy.first()?.price, sell.first()?.price))
}

fn rupees(price: f64) -> Price {
    Price::from_f64(price).unwrap()
}

#[tokio::test]
async fn a_book_is_shown_once_both_sides_are_known_and_then_on_either() {
    let mut deep = deep();
    assert!(deep.want(1, ONE, Tier::Twenty));
    let first = take(&mut deep, Tier::Twenty, &side(ONE, 41, 100.05));
    assert_eq!((first, best(&deep, ONE)), (Outcome::default(), None));
    let second = take(&mut deep, Tier::Twenty, &side(ONE, 51, 100.1));
    assert_eq!(second, Outcome { changed: vec![ONE], ..Outcome::default() });
    assert_eq!(best(&deep, ONE), Some((rupees(100.05), rupees(100.1))));
    let third = take(&mut deep, Tier::Twenty, &side(ONE, 41, 100.0));
    assert_eq!(third.changed, [ONE]);
    assert_eq!(best(&deep, ONE), Some((rupees(100.0), rupees(100.1))));
    assert_eq!(deep.due(), None);
}

#[tokio::test]
async fn a_message_of_several_books_shows_each_once_and_keeps_ids_of_segments_apart() {
    let mut deep = deep();
    deep.want(1, ONE, Tier::Twenty);
    deep.want(2, OTHER, Tier::Twenty);
    let message = [both(ONE, 1.0, 2.0), both(NOBODY, 3.0, 4.0), both(OTHER, 5.0, 6.0)].concat();
    let outcome = take(&mut deep, Tier::Twenty, &message);
    assert_eq!(outcome, Outcome { changed: vec![ONE, OTHER], ..Outcome::default() });
    assert_eq!(best(&deep, OTHER), Some((rupees(5.0), rupees(6.0))));
    assert_eq!(deep.sides(NOBODY), None);
    // What is not wanted any more goes on coming.
    deep.drop(1);
    assert_eq!(take(&mut deep, Tier::Twenty, &both(ONE, 1.0, 2.0)), Outcome::default());
    // Neither is a book of one feed taken for one of the other.
    deep.want(1, ONE, Tier::TwoHundred);
    assert_eq!(take(&mut deep, Tier::Twenty, &both(ONE, 1.0, 2.0)), Outcome::default());
}

#[tokio::test]
async fn a_book_that_does_not_begin_is_missed_until_it_comes() {
    let mut deep = deep();
    deep.want(1, ONE, Tier::Twenty);
    let due = deep.due().unwrap();
    assert_eq!(deep.expire(due - Duration::from_secs(1)), Outcome::default());
    assert_eq!(deep.expire(due), Outcome { missing: vec![ONE], ..Outcome::default() });
    assert!(!deep.is_coming(ONE) && !deep.want(1, ONE, Tier::Twenty));
    assert_eq!(deep.due(), None);
    let outcome = take(&mut deep, Tier::Twenty, &both(ONE, 1.0, 2.0));
    assert_eq!((outcome.begun, outcome.changed, outcome.missing), (vec![ONE], vec![ONE], vec![]));
    assert!(deep.is_coming(ONE));
}

#[tokio::test]
async fn after_a_loss_an_old_side_is_not_shown_with_a_new_one() {
    let mut deep = deep();
    deep.want(1, ONE, Tier::Twenty);
    take(&mut deep, Tier::Twenty, &both(ONE, 1.0, 2.0));
    let lost = AdapterError::network("x");
    assert_eq!(deep.lose(0, &lost), Outcome { missing: vec![ONE], ..Outcome::default() });
    assert_eq!(deep.lose(0, &lost), Outcome::default());
    assert_eq!(take(&mut deep, Tier::Twenty, &side(ONE, 41, 3.0)), Outcome::default());
    assert_eq!(best(&deep, ONE), None);
    assert_eq!(deep.lose(0, &AdapterError::auth("x")).closed, Some(Tier::Twenty));
}

#[tokio::test]
async fn a_row_without_a_price_is_no_level_and_a_side_without_rows_is_empty() {
    let mut deep = deep();
    deep.want(1, ONE, Tier::Twenty);
    // The first row is of orders at the market.
    assert_eq!(take(&mut deep, Tier::Twenty, &both(ONE, 0.0, 2.0)).changed, [ONE]);
    let (buy, sell) = deep.sides(ONE).unwrap();
    assert_eq!((buy.len(), sell.len()), (0, 1));
}

#[tokio::test]
async fn a_side_of_yesterday_is_not_shown_with_one_of_today() {
    let mut deep = deep();
    deep.want(1, ONE, Tier::Twenty);
    take(&mut deep, Tier::Twenty, &both(ONE, 1.0, 2.0));
    let tomorrow = Day { year: 2026, month: 11, day: 26 };
    assert_eq!(deep.take(Tier::Twenty, &side(ONE, 41, 3.0), tomorrow), Outcome::default());
    assert_eq!(best(&deep, ONE), None);
    assert_eq!(deep.take(Tier::Twenty, &side(ONE, 51, 4.0), tomorrow).changed, [ONE]);
    assert_eq!(best(&deep, ONE), Some((rupees(3.0), rupees(4.0))));
}

#[tokio::test]
async fn a_damaged_side_is_counted_and_hides_the_book_until_the_next_one() {
    let mut deep = deep();
    deep.want(1, ONE, Tier::Twenty);
    take(&mut deep, Tier::Twenty, &both(ONE, 1.0, 2.0));
    let outcome = take(&mut deep, Tier::Twenty, &side(ONE, 41, f64::NAN));
    assert_eq!(outcome, Outcome { undecodable: 1, ..Outcome::default() });
    assert_eq!(deep.sides(ONE), None);
    assert_eq!(take(&mut deep, Tier::Twenty, &[1, 2, 3]).undecodable, 1);
    assert_eq!(take(&mut deep, Tier::Twenty, &side(ONE, 41, 1.5)).changed, [ONE]);
}

#[tokio::test]
async fn instruments_are_spread_over_as_many_sockets_as_there_may_be() {
    let mut deep = deep();
    let key = |id| Key { segment: Segment::NseEquity, id };
    for number in 1..=50 {
        assert!(deep.want(number, key(number), Tier::Twenty));
    }
    assert!(!deep.want(51, key(51), Tier::Twenty));
    assert!(deep.want(52, key(52), Tier::TwoHundred));
    assert!(!deep.want(53, key(53), Tier::TwoHundred));
    deep.drop(53);
    assert_eq!(deep.sockets.iter().filter(|socket| socket.room > 0).count(), 2);
    // Another name of one that comes.
    assert!(deep.want(54, key(7), Tier::Twenty));
    deep.drop(7);
    assert!(deep.is_coming(key(7)) && !deep.is_coming(key(51)));
    // Whoever has waited for a place gets it.
    deep.drop(54);
    assert!(deep.is_coming(key(51)));
    // More levels of the same instrument.
    deep.drop(52);
    assert!(deep.want(51, key(51), Tier::TwoHundred));
    assert!(deep.want(53, key(53), Tier::Twenty));
}

#[tokio::test]
async fn what_the_broker_says_before_it_hangs_up_decides_whether_it_is_asked_again() {
    // Too many sockets; no subscription to the Data API.
    for (reason, closed) in [(805_u16, None), (806, Some(Tier::Twenty))] {
        let mut deep = deep();
        deep.want(1, ONE, Tier::Twenty);
        let mut message = both(ONE, 1.0, 2.0);
        message.extend([14, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        message.extend(reason.to_le_bytes());
        let outcome = deep.take_from(0, &message);
        assert_eq!((outcome.missing, outcome.closed), (vec![ONE], closed), "{reason}");
        assert_eq!((deep.sides(ONE), deep.is_coming(ONE)), (None, false));
        // Who wants one more is told at once that it does not come.
        assert_eq!(deep.want(2, OTHER, Tier::Twenty), closed.is_none());
    }
}

#[tokio::test]
async fn a_side_of_before_the_time_was_over_is_not_shown_with_a_later_one() {
    let mut deep = deep();
    deep.want(1, ONE, Tier::Twenty);
    take(&mut deep, Tier::Twenty, &side(ONE, 41, 1.0));
    let due = deep.due().unwrap();
    assert_eq!(deep.expire(due).missing, [ONE]);
    assert_eq!(take(&mut deep, Tier::Twenty, &side(ONE, 51, 2.0)), Outcome::default());
}
