//! Batches of two instances, and what their ticks are compared by.

use std::{
    hash::{Hash as _, Hasher as _},
    sync::Arc,
};

use rustc_hash::FxHasher;

use crate::{
    intake::{Intake, depth_levels},
    model::{Depth, DepthLevel, Ltp, Mode, Quote, field},
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
}

impl Published<'_> {
    /// Records in it.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub const fn len(self) -> usize {
        match self {
            Self::Ltp(ticks) => ticks.len(),
            Self::Quote(quotes) => quotes.len(),
            Self::Depth(books, _) => books.len(),
        }
    }

    /// Gives it to an intake; returns how many records were malformed.
    pub fn offer(self, intake: &Arc<Intake>) -> u32 {
        match self {
            Self::Ltp(ticks) => intake.offer_ltp(ticks),
            Self::Quote(quotes) => intake.offer_quote(quotes),
            Self::Depth(books, levels) => intake.offer_depth(books, levels),
        }
    }

    pub(super) fn each(self, mut visit: impl FnMut(u32, Mark)) {
        match self {
            Self::Ltp(ticks) => ticks.iter().for_each(|tick| visit(tick.instrument, Mark::of_ltp(tick))),
            Self::Quote(quotes) => {
                quotes.iter().for_each(|quote| visit(quote.instrument, Mark::of_quote(quote, &[], &[])));
            }
            Self::Depth(books, levels) => books.iter().for_each(|book| {
                let (buy, sell) = depth_levels(book, levels).unwrap_or_default();
                visit(book.quote.instrument, Mark::of_quote(&book.quote, buy, sell));
            }),
        }
    }

    /// The records that pass.
    pub(super) fn filtered(self, mut passes: impl FnMut(u32, Mark) -> bool) -> Owned {
        match self {
            Self::Ltp(ticks) => Owned::Ltp(
                ticks.iter().filter(|tick| passes(tick.instrument, Mark::of_ltp(tick))).copied().collect(),
            ),
            Self::Quote(quotes) => Owned::Quote(
                quotes
                    .iter()
                    .filter(|quote| passes(quote.instrument, Mark::of_quote(quote, &[], &[])))
                    .copied()
                    .collect(),
            ),
            Self::Depth(books, levels) => Owned::Depth(
                books
                    .iter()
                    .filter(|book| {
                        let (buy, sell) = depth_levels(book, levels).unwrap_or_default();
                        passes(book.quote.instrument, Mark::of_quote(&book.quote, buy, sell))
                    })
                    .copied()
                    .collect(),
                levels.to_vec(),
            ),
        }
    }
}

/// A batch that stands for itself.
#[derive(Debug)]
pub(super) enum Owned {
    Ltp(Vec<Ltp>),
    Quote(Vec<Quote>),
    Depth(Vec<Depth>, Vec<DepthLevel>),
}

impl Owned {
    pub(super) fn borrowed(&self) -> Published<'_> {
        match self {
            Self::Ltp(ticks) => Published::Ltp(ticks),
            Self::Quote(quotes) => Published::Quote(quotes),
            Self::Depth(books, levels) => Published::Depth(books, levels),
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
        }
    }
}
