//! Batches of two instances, and what their ticks are compared by.

use std::{
    hash::{Hash as _, Hasher as _},
    sync::Arc,
};

use rustc_hash::FxHasher;

use crate::{
    intake::{Intake, depth_levels},
    model::{Depth, DepthLevel, Greeks, Ltp, Mode, Quote, field, greek},
};

/// A batch as it is published, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Published<'a> {
    /// Last prices.
    Ltp(&'a [Ltp]),
    /// Quotes.
    Quote(&'a [Quote]),
    /// Books, and the levels that all of them point into.
    Depth(&'a [Depth], &'a [DepthLevel]),
    /// Greeks.
    Greeks(&'a [Greeks]),
}

impl Published<'_> {
    /// Records in it.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub const fn len(self) -> usize {
        match self {
            Self::Ltp(ticks) => ticks.len(),
            Self::Quote(quotes) => quotes.len(),
            Self::Depth(books, _) => books.len(),
            Self::Greeks(records) => records.len(),
        }
    }

    /// Gives it to an intake; returns how many records were malformed.
    pub fn offer(self, intake: &Arc<Intake>) -> u32 {
        match self {
            Self::Ltp(ticks) => intake.offer_ltp(ticks),
            Self::Quote(quotes) => intake.offer_quote(quotes),
            Self::Depth(books, levels) => intake.offer_depth(books, levels),
            Self::Greeks(records) => intake.offer_greeks(records),
        }
    }

    pub(super) fn each(self, mut visit: impl FnMut(Line, Mark)) {
        match self {
            Self::Ltp(ticks) => {
                ticks.iter().for_each(|tick| visit(Line::of(tick.instrument), Mark::of_ltp(tick)));
            }
            Self::Quote(quotes) => quotes
                .iter()
                .for_each(|quote| visit(Line::of(quote.instrument), Mark::of_quote(quote, &[], &[]))),
            Self::Depth(books, levels) => books.iter().for_each(|book| {
                let (buy, sell) = depth_levels(book, levels).unwrap_or_default();
                visit(Line::of(book.quote.instrument), Mark::of_quote(&book.quote, buy, sell));
            }),
            Self::Greeks(records) => {
                records
                    .iter()
                    .for_each(|greeks| visit(Line::of_greeks(greeks.instrument), Mark::of_greeks(greeks)));
            }
        }
    }

    /// The records that pass.
    pub(super) fn filtered(self, mut passes: impl FnMut(Line, Mark) -> bool) -> Owned {
        let mut passing = Vec::with_capacity(self.len());
        self.each(|line, mark| passing.push(passes(line, mark)));
        match self {
            Self::Ltp(ticks) => Owned::Ltp(kept(ticks, &passing)),
            Self::Quote(quotes) => Owned::Quote(kept(quotes, &passing)),
            Self::Depth(books, levels) => Owned::Depth(kept(books, &passing), levels.to_vec()),
            Self::Greeks(records) => Owned::Greeks(kept(records, &passing)),
        }
    }
}

fn kept<T: Copy>(records: &[T], passing: &[bool]) -> Vec<T> {
    records.iter().zip(passing).filter(|(_, passes)| **passes).map(|(record, _)| *record).collect()
}

/// What is followed from one instance to the next: the ticks of an instrument, or its greeks, which each have
/// a last record of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line {
    pub(super) instrument: u32,
    pub(super) is_greeks: bool,
}

impl Line {
    pub(super) const fn of(instrument: u32) -> Self {
        Self { instrument, is_greeks: false }
    }

    pub(super) const fn of_greeks(instrument: u32) -> Self {
        Self { instrument, is_greeks: true }
    }
}

/// A batch that stands for itself.
#[derive(Debug)]
pub(super) enum Owned {
    Ltp(Vec<Ltp>),
    Quote(Vec<Quote>),
    Depth(Vec<Depth>, Vec<DepthLevel>),
    Greeks(Vec<Greeks>),
}

impl Owned {
    pub(super) fn borrowed(&self) -> Published<'_> {
        match self {
            Self::Ltp(ticks) => Published::Ltp(ticks),
            Self::Quote(quotes) => Published::Quote(quotes),
            Self::Depth(books, levels) => Published::Depth(books, levels),
            Self::Greeks(records) => Published::Greeks(records),
        }
    }
}

/// What two ticks of one instrument are compared by: the exchange's time, and everything that the broker
/// said. The number and the arrival differ between instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) exchange_ts_ns: Option<u64>,
    content: u64,
}

impl Mark {
    fn of_ltp(tick: &Ltp) -> Self {
        Self::of(&Quote::from(tick), Mode::Ltp, &[], &[])
    }

    fn of_quote(quote: &Quote, buy: &[DepthLevel], sell: &[DepthLevel]) -> Self {
        Self::of(quote, Mode::Quote, buy, sell)
    }

    fn of_greeks(greeks: &Greeks) -> Self {
        let mut hasher = FxHasher::default();
        [greeks.fields.into(), greeks.exchange_ts_ns].hash(&mut hasher);
        [greeks.delta, greeks.gamma, greeks.theta, greeks.vega, greeks.rho, greeks.implied_volatility]
            .hash(&mut hasher);
        let has_time = greeks.fields & greek::EXCHANGE_TS != 0;
        Self { exchange_ts_ns: has_time.then_some(greeks.exchange_ts_ns), content: hasher.finish() }
    }

    fn of(quote: &Quote, kind: Mode, buy: &[DepthLevel], sell: &[DepthLevel]) -> Self {
        let mut hasher = FxHasher::default();
        kind.number().hash(&mut hasher);
        // An older build may not say whether its records are images.
        let fields = quote.fields & field::IN_QUOTE;
        [u64::from(fields), quote.exchange_ts_ns, quote.last_trade_ts_ns].hash(&mut hasher);
        [
            quote.ltp,
            quote.volume,
            quote.last_quantity,
            quote.open,
            quote.high,
            quote.low,
            quote.close,
            quote.average_price,
            quote.total_buy_quantity,
            quote.total_sell_quantity,
            quote.change,
            quote.oi,
            quote.bid_price,
            quote.ask_price,
            quote.bid_size,
            quote.ask_size,
        ]
        .hash(&mut hasher);
        for level in buy.iter().chain(sell) {
            [level.price, level.quantity, i64::from(level.orders)].hash(&mut hasher);
        }
        let has_time = quote.fields & field::EXCHANGE_TS != 0;
        Self { exchange_ts_ns: has_time.then_some(quote.exchange_ts_ns), content: hasher.finish() }
    }

    /// Whether who says this has said `first` at the latest now. Of two ticks of one time either may be the
    /// earlier.
    pub(super) fn has_reached(self, first: Self) -> bool {
        let is_later = self.exchange_ts_ns.zip(first.exchange_ts_ns).is_some_and(|(own, first)| own > first);
        self == first || is_later
    }
}

impl Published<'_> {
    /// The record at this place by itself.
    pub(super) fn single(self, place: usize) -> Option<Owned> {
        match self {
            Self::Ltp(ticks) => ticks.get(place).map(|tick| Owned::Ltp(vec![*tick])),
            Self::Quote(quotes) => quotes.get(place).map(|quote| Owned::Quote(vec![*quote])),
            Self::Depth(books, levels) => {
                let book = books.get(place)?;
                let (buy, sell) = depth_levels(book, levels).unwrap_or_default();
                Some(Owned::Depth(vec![Depth { first_level: 0, ..*book }], [buy, sell].concat()))
            }
            Self::Greeks(records) => records.get(place).map(|greeks| Owned::Greeks(vec![*greeks])),
        }
    }
}
