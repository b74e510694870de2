use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use proptest::prelude::*;

use super::*;
use crate::abi::field;

fn price(paise: i64) -> Price {
    Price::from_scaled(paise, 2).unwrap()
}

fn row(price_paise: i64, quantity: i64) -> Row {
    Row { price: Some(price(price_paise)), quantity: Some(quantity), orders: None }
}

#[test]
fn rows_of_a_book_change_one_by_one_and_an_image_begins_again() {
    let mut state = State::<u32, 2>::new();
    let known = state.image(7, Tick::new(0).ltp(price(100)));
    assert!(matches!(known.packet(1), Packet::Values(_)), "nothing was said of a book");
    known.row(Side::Buy, 0, row(100, 5));
    known.row(Side::Buy, 1, row(99, 6));
    known.row(Side::Buy, 2, row(98, 7));
    let known = state.update(7, Tick::new(0));
    known.row(Side::Buy, 0, Row { quantity: Some(9), ..Row::default() });
    let levels: Vec<(i64, i64)> = known
        .book()
        .buy()
        .iter()
        .map(|level| (level.price.as_nanos() / 10_000_000, level.quantity))
        .collect();
    assert_eq!(levels, [(100, 9), (99, 6)]);
    // A row that was emptied is no level, and those behind it move up.
    known.row(Side::Buy, 0, Row { quantity: Some(0), ..Row::default() });
    assert_eq!(known.book().buy().len(), 1);
    // So it is when its price is taken back.
    known.row(Side::Buy, 1, Row { price: Some(price(0)), ..Row::default() });
    assert!(known.book().buy().is_empty());
    known.empty_book();
    assert!(matches!(known.packet(1), Packet::Depth(_, [], [])), "an empty book is said to be empty");
    assert!(matches!(state.image(7, Tick::new(0)).packet(1), Packet::Values(_)));
}

#[test]
fn an_image_of_one_channel_leaves_what_the_others_said() {
    let mut state = State::<u32, 2>::new();
    state.update(7, Tick::new(0).volume(3)).row(Side::Buy, 0, row(100, 5));
    let known = state.image_of_channel(7, Tick::new(0).ltp(price(101)));
    assert_eq!(known.tick(1), Tick::new(1).ltp(price(101)).volume(3).image());
    assert_eq!(known.book().buy().len(), 1);
}

#[test]
fn what_was_known_ends_with_the_day_and_with_the_last_who_wants_it() {
    // Midnight in India is at half past six in the evening, UTC.
    let at = |hours: u64, minutes: u64| UNIX_EPOCH + Duration::from_secs(hours * 3_600 + minutes * 60);
    let mut state = State::<u32, 1>::new();
    assert!(!state.begin_day(at(18, 0)));
    state.image(7, Tick::new(0));
    assert!(!state.begin_day(at(18, 29)));
    assert!(state.get(&7).is_some());
    assert!(state.begin_day(at(18, 30)));
    assert!(state.get(&7).is_none());
    state.image(7, Tick::new(0));
    state.forget(&7);
    assert!(state.get(&7).is_none());
}

#[test]
fn images_are_asked_for_once_whoever_notices_the_day() {
    let at = |hour: u64| UNIX_EPOCH + Duration::from_hours(hour);
    let mut state = State::<u32, 1>::new();
    state.begin_day(at(0));
    assert!(!state.lacks_images(), "there was no day before");
    state.begin_day(at(24));
    state.begin_day(at(24));
    assert!(state.lacks_images());
    assert!(!state.lacks_images());
}

#[test]
fn the_touchline_is_the_values_with_the_best_of_either_side() {
    let mut state = State::<u32, 2>::new();
    let known = state.image(7, Tick::new(0).volume(9));
    known.rows([(Side::Buy, 0, row(10_000, 5)), (Side::Buy, 1, row(9_900, 6)), (Side::Buy, 2, row(1, 1))]);
    assert_eq!(known.book().buy().len(), 2);
    let wanted = Tick::new(1).volume(9).bid_price(price(10_000)).bid_size(5);
    assert_eq!(known.touchline(1), wanted.image());
    known.rows([(Side::Buy, 0, row(0, 0)), (Side::Sell, 1, row(10_100, 7))]);
    let wanted = Tick::new(1).volume(9).bid_price(price(9_900)).bid_size(6);
    assert_eq!(known.touchline(1), wanted.ask_price(price(10_100)).ask_size(7).image());
    state.empty_book(&7);
    assert_eq!(state.get(&7).unwrap().touchline(1), Tick::new(1).volume(9).image());
    // Of what is not known there is nothing to forget.
    state.empty_book(&8);
    assert!(state.get(&8).is_none());
}

proptest! {
    /// Against a map of values by field.
    #[test]
    fn the_whole_is_what_was_said_last_of_each_value(
        steps in proptest::collection::vec((0_u8..4, 0_u8..3, any::<i64>()), 0..40),
    ) {
        let mut state = State::<u32, 1>::new();
        let (mut model, mut is_image) = (BTreeMap::new(), false);
        let set = |tick: Tick, value: u8, number: i64| match value {
            0 => tick.volume(number),
            1 => tick.oi(number),
            _ => tick.ltp(Price::from_nanos(number)),
        };
        for (what, value, number) in steps {
            match what {
                0 => {
                    state.image(7, set(Tick::new(0), value, number));
                    model = BTreeMap::from([(value, number)]);
                    is_image = true;
                }
                1 => {
                    state.update(7, Tick::new(0)).clear([field::VOLUME, field::OI, field::LTP][usize::from(value)]);
                    model.remove(&value);
                }
                _ => {
                    state.update(7, set(Tick::new(0), value, number));
                    model.insert(value, number);
                }
            }
            let expected = model.iter().fold(Tick::new(3), |tick, (value, number)| set(tick, *value, *number));
            let expected = if is_image { expected.image() } else { expected };
            let known = state.get(&7).unwrap().tick(3);
            prop_assert_eq!(known.quote.fields, expected.quote.fields);
            for (value, number) in &model {
                let quote = known.quote;
                prop_assert_eq!([quote.volume, quote.oi, quote.ltp][usize::from(*value)], *number);
            }
        }
    }
}
