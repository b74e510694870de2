use super::*;
use crate::{
    state::Topics,
    topic::Topic,
    wire::{Frame, LITE_VALUES},
};

#[test]
fn prices_are_exact_and_rounded_beyond_the_ninth_place() {
    for (divisor, raw, nanos) in [
        (1, i32::MAX, 2_147_483_647_000_000_000),
        (100, 62_505, 625_050_000_000),
        (100, -3_763, -37_630_000_000),
        (10_000, 830_025, 83_002_500_000),
        (3, 2, 666_666_667),
        (3, -2, -666_666_667),
        (65_535 * UNITS, i32::MAX, 32_768),
    ] {
        assert_eq!(Scale::of(divisor).price(raw).as_nanos(), nanos, "{raw} / {divisor}");
    }
}

const ABSENT: i32 = i32::MIN;

/// What is known of the only topic after a snapshot of these values.
fn known(name: &str, values: &[i32]) -> Topics {
    let (feed, topic) = Topic::parse(name.as_bytes()).unwrap();
    let mut topics = Topics::new();
    topics.want(feed, topic);
    let mut frame = vec![0, 0, 6, 0, 0, 0, 1, 0, 1, b'S', 0, 1];
    frame.push(u8::try_from(name.len()).unwrap());
    frame.extend_from_slice(name.as_bytes());
    frame.push(u8::try_from(values.len()).unwrap());
    frame.extend(values.iter().flat_map(|value| value.to_be_bytes()));
    // A multiplier of 1, two decimal places, three empty texts.
    frame.extend([0, 0, 0, 1, 2, 0, 0, 0]);
    let Ok(Frame::Data(data)) = Frame::parse(&frame, LITE_VALUES) else { panic!("no data") };
    for record in data.records {
        let record = record.unwrap();
        let target = topics.target(&record);
        assert!(topics.apply(&record, target));
    }
    topics
}

fn of<'a>(topics: &'a Topics, name: &str) -> &'a Instrument {
    topics.find(&Topic::parse(name.as_bytes()).unwrap().1).unwrap()
}

fn paise(paise: i64) -> Price {
    Price::from_scaled(paise, 2).unwrap()
}

/// A scrip whose values are all zero but these.
fn scrip(name: &str, values: &[(usize, i32)]) -> (Tick, Option<Price>) {
    let mut all = [0; 21];
    for (place, value) in values {
        all[*place] = *value;
    }
    let topics = known(name, &all);
    (quote(of(&topics, name), 7).unwrap(), last_price(of(&topics, name)).unwrap())
}

const SHARE: &str = "sf|nse_cm|3045";
const OIL: &str = "sf|mcx_fo|463007";

fn zeros() -> Tick {
    Tick::new(7).volume(0).total_buy_quantity(0).total_sell_quantity(0)
}

#[test]
fn before_the_opening_zeros_are_no_prices_no_times_and_no_last_quantity() {
    assert_eq!(scrip(SHARE, &[]), (zeros(), None));
    assert_eq!(scrip(OIL, &[(20, 5_900)]), (zeros().oi(0).close(paise(5_900)), None));
    let topics = known("if|nse_cm|Nifty 50", &[0; 6]);
    assert_eq!(quote(of(&topics, "if|nse_cm|Nifty 50"), 7), Ok(Tick::new(7)));
}

#[test]
fn words_for_none_are_no_values() {
    for word in [i32::MAX, -1, -2_000_000_000, 2_000_000_000] {
        let prices = [0, 6, 7, 11, 13, 14, 17, 18, 19, 20].map(|place| (place, word));
        assert_eq!(scrip(OIL, &prices), (zeros().oi(0), None), "{word}");
    }
    let counts = [1, 4, 5, 8, 9, 10, 12].map(|place| (place, -1));
    assert_eq!(scrip(OIL, &counts), (Tick::new(7), None));
    for none in [315_532_800, -1, i32::MAX] {
        assert_eq!(scrip(SHARE, &[(2, none), (3, none)]), (zeros(), None), "{none}");
    }
}

#[test]
fn values_that_are_there_are_kept() {
    let (tick, price) = scrip(OIL, &[(0, -3_763), (1, -2), (6, -3_764), (4, 9), (5, 8), (2, 1_790_676_600)]);
    let wanted = zeros().oi(0).ltp(paise(-3_763)).volume(4_294_967_294).bid_price(paise(-3_764)).bid_size(9);
    assert_eq!((tick, price), (wanted.last_trade_ts_ns(1_790_676_600_000_000_000), Some(paise(-3_763))));
    assert_eq!(scrip(SHARE, &[(0, -3_763)]), (zeros(), None));
}

#[test]
fn a_book_of_nothing_is_none_and_a_level_has_a_price() {
    let name = "dp|nse_fo|68407";
    let rows = |bids: [i32; 5], sizes: [i32; 5]| {
        let mut values = [0; 30];
        values[..5].copy_from_slice(&bids);
        values[10..15].copy_from_slice(&sizes);
        let topics = known(name, &values);
        let book = book(of(&topics, name)).unwrap().unwrap();
        assert!(book.sell().is_empty());
        book.buy().iter().map(|level| (level.price, level.quantity)).collect::<Vec<_>>()
    };
    assert_eq!(rows([0, 900, 899, 0, 0], [75, 1, 2, 0, 0]), [(paise(900), 1), (paise(899), 2)]);
    assert_eq!(rows([900, ABSENT, 898, 0, 0], [1, 2, 3, 0, 0]), [(paise(900), 1)]);
    assert_eq!(rows([900, i32::MAX, 898, 0, 0], [1, 2, 3, 0, 0]), [(paise(900), 1)]);
    assert_eq!(rows([0; 5], [0; 5]), []);
    let topics = known(name, &[ABSENT; 30]);
    assert_eq!(book(of(&topics, name)), Ok(None));
}
