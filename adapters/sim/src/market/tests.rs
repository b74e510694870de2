use proptest::prelude::*;

use super::*;
use crate::universe::{Date, Right};

const NOW_NS: u64 = 1_764_570_600_000_000_000;

fn universe() -> Universe {
    Universe::new(Date::new(2025, 12, 1))
}

fn simulated(seed: u64, exchange: &str, symbol: &str) -> Simulated {
    Simulated::new(seed, universe().find(exchange, symbol).expect("listed").1)
}

fn ticks(mut simulated: Simulated, count: u64) -> Vec<(View, Vec<Level>)> {
    (0..count)
        .map(|number| {
            simulated.advance(NOW_NS + number);
            let book = simulated.levels(Side::Buy, 5).chain(simulated.levels(Side::Sell, 5)).collect();
            (simulated.view(), book)
        })
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_ticks_whatever_else_is_subscribed() {
    let universe = universe();
    let position = |symbol| universe.find("NSE", symbol).expect("listed").0;
    let (sbin, tcs) = (position("SBIN"), position("TCS"));

    let mut alone = Market::new(5, universe.clone());
    let mut among_others = Market::new(5, universe.clone());
    among_others.advance(tcs, NOW_NS);
    for number in 0..100 {
        let now_ns = NOW_NS + number;
        among_others.advance(tcs, now_ns);
        let expected = alone.advance(sbin, now_ns).expect("listed").view();
        // The book is only looked at on one side: that must not change what comes next.
        let other = among_others.advance(sbin, now_ns).expect("listed");
        assert_eq!(other.levels(Side::Buy, 50).count(), 50);
        assert_eq!(other.view(), expected);
    }
    assert!(alone.advance(usize::MAX, NOW_NS).is_none());
}

#[test]
fn another_seed_gives_other_ticks() {
    assert_eq!(ticks(simulated(1, "NSE", "SBIN"), 50), ticks(simulated(1, "NSE", "SBIN"), 50));
    assert_ne!(ticks(simulated(1, "NSE", "SBIN"), 50), ticks(simulated(2, "NSE", "SBIN"), 50));
}

#[test]
fn an_index_has_neither_trades_nor_a_book() {
    let mut index = simulated(1, "NSE_INDEX", "NIFTY");
    index.advance(NOW_NS);
    let view = index.view();
    assert_eq!((view.trading, view.oi, view.limits), (None, None, None));
    assert_eq!(index.levels(Side::Buy, 5).count() + index.levels(Side::Sell, 5).count(), 0);
}

#[test]
fn only_derivatives_have_open_interest() {
    for (exchange, symbol, expected) in
        [("NSE", "SBIN", false), ("CRYPTO", "BTC_INR", false), ("NFO", "NIFTY30DEC25FUT", true)]
    {
        let mut simulated = simulated(1, exchange, symbol);
        simulated.advance(NOW_NS);
        assert_eq!(simulated.view().oi.is_some(), expected, "{exchange}:{symbol}");
        assert!(simulated.view().trading.is_some());
    }
}

#[test]
fn a_deep_book_has_the_levels_asked_for_and_a_cheap_option_as_many_as_fit() {
    let mut share = simulated(1, "NSE", "RELIANCE");
    share.advance(NOW_NS);
    for count in [5, 20, 30, 50] {
        assert_eq!(share.levels(Side::Buy, count).count(), usize::from(count));
        assert_eq!(share.levels(Side::Sell, count).count(), usize::from(count));
    }
    let mut option = simulated(1, "NFO", "NIFTY02DEC2524750PE");
    option.advance(NOW_NS);
    assert!((1..50).contains(&option.levels(Side::Buy, 50).count()));
    assert_eq!(option.levels(Side::Sell, 50).count(), 50);
}

#[test]
fn a_price_changes_and_sometimes_only_the_book_does() {
    let ticks = ticks(simulated(1, "NSE", "SBIN"), 200);
    let changes = ticks.windows(2).filter(|pair| pair[0].0.ltp != pair[1].0.ltp).count();
    let trades = ticks
        .windows(2)
        .filter(|pair| pair[0].0.trading.expect("share").volume != pair[1].0.trading.expect("share").volume)
        .count();
    assert!((60..200).contains(&changes), "{changes}");
    assert!((120..195).contains(&trades), "{trades}");
}

#[test]
fn options_keep_near_their_intrinsic_value_or_above() {
    let universe = universe();
    for instrument in universe.instruments() {
        let Kind::Option { right, strike, .. } = instrument.kind else { continue };
        let mut option = Simulated::new(3, instrument);
        let spot_now = |option: &Simulated| option.path.price(Kind::Index);
        for _ in 0..20 {
            option.trade(NOW_NS);
            let intrinsic = match right {
                Right::Call => spot_now(&option) - strike,
                Right::Put => strike - spot_now(&option),
            };
            assert!(option.ltp >= intrinsic - instrument.tick, "{}", instrument.name());
            option.path.advance();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_tick_is_consistent(seed: u64, pick in 0_usize..100_000) {
        let universe = universe();
        let instrument = &universe.instruments()[pick % universe.instruments().len()];
        let mut simulated = Simulated::new(seed, instrument);
        let mut before: Option<View> = None;
        for number in 0..1_500 {
            simulated.advance(NOW_NS + number);
            let view = simulated.view();
            check(instrument, &simulated, view, before)?;
            before = Some(view);
        }
    }
}

fn check(
    instrument: &Instrument,
    simulated: &Simulated,
    view: View,
    before: Option<View>,
) -> Result<(), TestCaseError> {
    let name = instrument.name();
    for price in [view.ltp, view.open, view.high, view.low, view.prev_close] {
        prop_assert!(price > 0 && price % instrument.tick == 0, "{} {:?}", name, view);
    }
    prop_assert!(view.low <= view.ltp && view.ltp <= view.high, "{} {:?}", name, view);
    prop_assert!(view.low <= view.open && view.open <= view.high, "{} {:?}", name, view);
    prop_assert_eq!(view.change, view.ltp - view.prev_close);
    prop_assert!(view.change.signum() * view.change_percent.signum() >= 0);
    if let Some(limits) = view.limits {
        prop_assert!(limits.lower > 0 && limits.lower % instrument.tick == 0);
        prop_assert!(limits.upper % instrument.tick == 0);
        prop_assert!(limits.lower <= view.low && view.high <= limits.upper, "{} {:?}", name, view);
    }
    if let Some(oi) = view.oi {
        prop_assert!(oi.low <= oi.now && oi.now <= oi.high && oi.low > 0);
        prop_assert_eq!(oi.now % instrument.lot, 0);
    }
    if let Some(before) = before {
        prop_assert!(view.high >= before.high && view.low <= before.low);
        prop_assert_eq!((view.open, view.prev_close), (before.open, before.prev_close));
    }
    let Some(trading) = view.trading else { return Ok(()) };
    prop_assert!(trading.last_quantity > 0 && trading.last_quantity % instrument.lot == 0);
    prop_assert!(trading.volume % instrument.lot == 0);
    prop_assert!(
        (view.low..=view.high).contains(&trading.average_price),
        "{} average {} of {:?}",
        name,
        trading.average_price,
        view
    );
    prop_assert!(trading.bid.price < trading.ask.price);
    prop_assert!(trading.bid.price <= view.ltp && view.ltp <= trading.ask.price, "{} {:?}", name, view);
    if let Some(before) = before.and_then(|before| before.trading) {
        prop_assert!(trading.volume >= before.volume);
        prop_assert!(trading.last_trade_ts_ns >= before.last_trade_ts_ns);
    }
    check_book(instrument, simulated, trading)
}

fn check_book(instrument: &Instrument, simulated: &Simulated, trading: Trading) -> Result<(), TestCaseError> {
    let buy: Vec<_> = simulated.levels(Side::Buy, 50).collect();
    let sell: Vec<_> = simulated.levels(Side::Sell, 50).collect();
    prop_assert_eq!(buy.first(), Some(&trading.bid));
    prop_assert_eq!(sell.first(), Some(&trading.ask));
    prop_assert!(buy.windows(2).all(|pair| pair[0].price > pair[1].price));
    prop_assert!(sell.windows(2).all(|pair| pair[0].price < pair[1].price));
    for level in buy.iter().chain(&sell) {
        prop_assert!(level.price > 0 && level.price % instrument.tick == 0);
        prop_assert!(level.quantity > 0 && level.quantity % instrument.lot == 0 && level.orders > 0);
    }
    let sum = |levels: &[Level]| levels.iter().map(|level| level.quantity).sum::<i64>();
    prop_assert!(trading.total_buy_quantity >= sum(&buy));
    prop_assert!(trading.total_sell_quantity >= sum(&sell));
    Ok(())
}
