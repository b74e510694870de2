//! Two names of one instrument, which every adapter has to keep apart.

use super::{Bench, Published};
use crate::{Mode, sink::unix_nanos};

impl Published {
    /// Its last price in billionths, if it has one.
    pub fn ltp(&self) -> Option<i64> {
        let (fields, ltp) = match self {
            Self::Ltp(tick) => (tick.fields, tick.ltp),
            Self::Quote(quote) | Self::Depth(quote, ..) => (quote.fields, quote.ltp),
        };
        (fields & adapter_abi::field::LTP != 0).then_some(ltp)
    }

    /// When it was received, in nanoseconds since the Unix epoch.
    pub const fn received_ts_ns(&self) -> u64 {
        match self {
            Self::Ltp(tick) => tick.received_ts_ns,
            Self::Quote(quote) | Self::Depth(quote, ..) => quote.received_ts_ns,
        }
    }
}

/// Subscribes two names of one instrument and finds that each ticks under its own number: that the second one
/// gets the broker's state without waiting for a trade, of which there may be none today, that both tick with
/// a trade, and that the second goes on when the first has ended. `trade` makes the venue trade everything
/// that is subscribed.
///
/// Numbers 1 and 2 are used, in mode QUOTE.
///
/// # Panics
/// When something of that does not hold.
pub fn assert_two_names(bench: &Bench, exchange: &str, names: [&str; 2], trade: impl Fn()) {
    let [one, other] = names;
    let outcome = bench.subscribe(1, exchange, one, Mode::Quote);
    assert!(outcome.code.is_taken(), "{one}: {outcome:?}");
    bench.wait_for_ticks(1, 1);
    let outcome = bench.subscribe(2, exchange, other, Mode::Quote);
    assert!(outcome.code.is_taken(), "{other}: {outcome:?}");
    bench.wait_for_ticks(2, 1);
    // The broker's state may come more than once, but nothing was traded between.
    let shown = |number| {
        bench.heard().ticks.iter().rev().find_map(|tick| (tick.instrument() == number).then(|| tick.ltp()))
    };
    assert_eq!(shown(1), shown(2), "the state of {one} is not that of {other}");
    let traded = |numbers: &[u32]| {
        let since = unix_nanos();
        trade();
        for number in numbers {
            let is_new = |tick: &&Published| tick.instrument() == *number && tick.received_ts_ns() >= since;
            bench.wait_for(&format!("a trade under {number}"), |heard| {
                heard.ticks.iter().find(is_new).map(|_| ())
            });
        }
    };
    traded(&[1, 2]);
    bench.unsubscribe(&[1]);
    traded(&[2]);
}
