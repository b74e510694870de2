//! From one instance to the next while ticks flow: what the old one published last decides what the new one adds.
//!
//! Both instances hear the same broker, one of them a little ahead. While the new one gets ready the old one's ticks pass
//! and its last tick of each instrument is noted; the new one's ticks are held. The flip waits until the old one, which may
//! be the slower of the two, has said what the new one said first, so that no tick lies between them. Then the old one is
//! cut off, and of the new one's ticks those pass that come after the old one's last: nothing is missing and nothing comes twice. An
//! instrument is *settled* once that point was found, or [`Handover::settle`] ended the search.

use std::{
    hash::{Hash as _, Hasher as _},
    sync::Arc,
};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::{
    intake::{Batch, Doorbell, Intake, depth_levels},
    model::{Depth, DepthLevel, FeedId, Ltp, Mode, Quote, field},
};

/// A batch as it is published, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Published<'a> {
    Ltp(&'a [Ltp]),
    Quote(&'a [Quote]),
    Depth(&'a [Depth], &'a [DepthLevel]),
}

impl Published<'_> {
    pub(super) const fn len(self) -> usize {
        match self {
            Self::Ltp(ticks) => ticks.len(),
            Self::Quote(quotes) => quotes.len(),
            Self::Depth(books, _) => books.len(),
        }
    }

    /// Gives it to an intake; returns how many records were malformed.
    pub(super) fn offer(self, intake: &Arc<Intake>) -> u32 {
        match self {
            Self::Ltp(ticks) => intake.offer_ltp(ticks),
            Self::Quote(quotes) => intake.offer_quote(quotes),
            Self::Depth(books, levels) => intake.offer_depth(books, levels),
        }
    }

    fn each(self, mut visit: impl FnMut(u32, Mark)) {
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
    fn filtered(self, mut passes: impl FnMut(u32, Mark) -> bool) -> Owned {
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
enum Owned {
    Ltp(Vec<Ltp>),
    Quote(Vec<Quote>),
    Depth(Vec<Depth>, Vec<DepthLevel>),
}

impl Owned {
    fn borrowed(&self) -> Published<'_> {
        match self {
            Self::Ltp(ticks) => Published::Ltp(ticks),
            Self::Quote(quotes) => Published::Quote(quotes),
            Self::Depth(books, levels) => Published::Depth(books, levels),
        }
    }
}

/// What two ticks of one instrument are compared by: the exchange's time, and everything that the broker said. The
/// number and the arrival differ between instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    exchange_ts_ns: Option<u64>,
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
        [u64::from(quote.fields), quote.exchange_ts_ns, quote.last_trade_ts_ns].hash(&mut hasher);
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

    /// Whether who says this has said `first` at the latest now. Of two ticks of one time either may be the earlier.
    fn has_reached(self, first: Self) -> bool {
        let is_later = self.exchange_ts_ns.zip(first.exchange_ts_ns).is_some_and(|(own, first)| own > first);
        self == first || is_later
    }
}

/// One handover. Locked for one batch at a time, and only while it is under way.
///
/// Lock order: before `Intake::state`.
#[derive(Debug)]
pub(super) struct Handover(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The old one's last tick of each instrument; the search for it in what the new one says.
    last: FxHashMap<u32, Last>,
    /// What the new one published before the flip: in order, then merged, as in front of the router.
    held: Arc<Intake>,
    /// Instruments of which the new one has said something.
    seen: FxHashSet<u32>,
    /// Instruments of which the old one has said something since the new one was ready, and the new one nothing yet.
    uncovered: FxHashSet<u32>,
    /// What the new one has said first of an instrument since it was ready, while the old one may not have come so far.
    ahead: FxHashMap<u32, Mark>,
    is_ready: bool,
    is_flipped: bool,
    repeated: u64,
}

#[derive(Debug)]
struct Last {
    mark: Mark,
    /// The newest tick that was left out although it may be newer than the old one's last: of the same time, and not
    /// the same.
    doubtful: Option<Owned>,
}

/// What becomes of a batch of the new instance.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// It waits for the flip.
    Held,
    /// What was to pass did; the handover goes on.
    Some,
    /// What was to pass did, and from now on everything does.
    Finished,
}

impl Handover {
    /// A handover that begins.
    pub(super) fn new(feed: FeedId) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            last: FxHashMap::default(),
            held: Intake::new(feed, Arc::default(), Doorbell::new()),
            seen: FxHashSet::default(),
            uncovered: FxHashSet::default(),
            ahead: FxHashMap::default(),
            is_ready: false,
            is_flipped: false,
            repeated: 0,
        })))
    }

    /// A batch of the old instance: passes before the flip, gives the malformed then, and none after.
    pub(super) fn old(&self, batch: Published<'_>, intake: &Arc<Intake>) -> Option<u32> {
        let mut state = self.0.lock();
        if state.is_flipped {
            return None;
        }
        let State { last, seen, uncovered, ahead, is_ready, .. } = &mut *state;
        batch.each(|instrument, mark| {
            last.insert(instrument, Last { mark, doubtful: None });
            if *is_ready && !seen.contains(&instrument) {
                uncovered.insert(instrument);
            }
            if ahead.get(&instrument).is_some_and(|first| mark.has_reached(*first)) {
                ahead.remove(&instrument);
            }
        });
        Some(batch.offer(intake))
    }

    /// A batch of the new instance.
    pub(super) fn new_one(&self, batch: Published<'_>, intake: &Arc<Intake>) -> Passed {
        let mut state = self.0.lock();
        if !state.is_flipped {
            let State { last, seen, uncovered, ahead, .. } = &mut *state;
            batch.each(|instrument, mark| {
                let old = last.get(&instrument).map(|last| last.mark);
                if seen.insert(instrument) {
                    uncovered.remove(&instrument);
                    if !old.is_some_and(|old| old.has_reached(mark)) {
                        ahead.insert(instrument, mark);
                    }
                } else if old == Some(mark) {
                    // It repeats what the old one said last, so it is the one that follows.
                    ahead.remove(&instrument);
                }
            });
            batch.offer(&state.held);
            return Passed::Held;
        }
        state.pass(batch, intake);
        if state.last.is_empty() { Passed::Finished } else { Passed::Some }
    }

    /// The new instance is connected, and its subscriptions are taken.
    pub(super) fn set_ready(&self) {
        let mut state = self.0.lock();
        state.is_ready = true;
        // What it has said before may have been of other subscriptions; what counts is what it says from now on.
        state.seen.clear();
        state.ahead.clear();
    }

    /// Whether the new instance has said something of every instrument of which the old one did, and of one at least, and
    /// the old one has come as far as the new one began.
    pub(super) fn is_covered(&self) -> bool {
        let state = self.0.lock();
        state.is_ready && !state.seen.is_empty() && state.uncovered.is_empty() && state.ahead.is_empty()
    }

    /// Whether there is an instrument of which the old one speaks and the new one does not.
    pub(super) fn is_uncovered(&self) -> bool {
        !self.0.lock().uncovered.is_empty()
    }

    /// Whether the old instance has said nothing since the handover began, nor the new one since it was ready. A pause of
    /// one that did speak is no quiet: the broker may owe both what happened meanwhile, and pay the old one first.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.0.lock();
        state.seen.is_empty() && state.last.is_empty()
    }

    /// Cuts the old instance off and lets the new one pass.
    pub(super) fn flip(&self, intake: &Arc<Intake>) -> Passed {
        let mut state = self.0.lock();
        state.is_flipped = true;
        let mut batches = Vec::new();
        state.held.take(&mut batches);
        for batch in &batches {
            match batch {
                Batch::Ltp(ticks) => state.pass(Published::Ltp(ticks), intake),
                Batch::Quote(quotes) => state.pass(Published::Quote(quotes), intake),
                Batch::Depth(books, levels) => state.pass(Published::Depth(books, levels), intake),
                Batch::Merged(entries) => {
                    for merged in entries {
                        state.pass_merged(merged, intake);
                    }
                }
            }
        }
        if state.last.is_empty() { Passed::Finished } else { Passed::Some }
    }

    /// Ends the search for instruments whose point was not found: what may be newer passes.
    pub(super) fn settle(&self, intake: &Arc<Intake>) {
        let mut state = self.0.lock();
        #[expect(clippy::iter_over_hash_type, reason = "instruments are independent of each other")]
        for (_, last) in state.last.drain() {
            if let Some(doubtful) = last.doubtful {
                doubtful.borrowed().offer(intake);
            }
        }
    }

    /// Ticks of the new instance that the old one had published, and those that were merged while they were held.
    pub(super) fn repeated_and_merged(&self) -> (u64, u64) {
        let state = self.0.lock();
        (state.repeated, state.held.counters().conflated_intake.get())
    }
}

impl State {
    fn pass(&mut self, batch: Published<'_>, intake: &Arc<Intake>) {
        if self.last.is_empty() {
            batch.offer(intake);
            return;
        }
        let State { last, repeated, .. } = self;
        let mut doubtful: Vec<u32> = Vec::new();
        let passing = batch.filtered(|instrument, mark| {
            let Some(known) = last.get(&instrument) else { return true };
            if known.mark == mark {
                last.remove(&instrument);
                *repeated += 1;
                return false;
            }
            match (mark.exchange_ts_ns, known.mark.exchange_ts_ns) {
                (Some(new), Some(old)) if new > old => {
                    last.remove(&instrument);
                    return true;
                }
                (Some(new), Some(old)) if new < old => {}
                _ => doubtful.push(instrument),
            }
            *repeated += 1;
            false
        });
        passing.borrowed().offer(intake);
        for instrument in doubtful {
            if let Some(known) = last.get_mut(&instrument) {
                // The last of the batch is the newest.
                known.doubtful = batch.newest_of(instrument);
            }
        }
    }

    fn pass_merged(&mut self, merged: &crate::intake::Merged, intake: &Arc<Intake>) {
        // Several ticks in one have no point of their own; being the newest, they pass.
        self.last.remove(&merged.instrument.0);
        let view = merged.entry.view();
        match merged.mode {
            Mode::Ltp => Published::Ltp(&[Ltp::from(view.quote)]).offer(intake),
            Mode::Quote => Published::Quote(&[*view.quote]).offer(intake),
            Mode::Depth => {
                let levels = [view.buy, view.sell].concat();
                let count = |side: &[DepthLevel]| u16::try_from(side.len()).unwrap_or(u16::MAX);
                let book = Depth {
                    quote: *view.quote,
                    first_level: 0,
                    buy_levels: count(view.buy),
                    sell_levels: count(view.sell),
                };
                Published::Depth(&[book], &levels).offer(intake)
            }
        };
    }
}

impl Published<'_> {
    fn newest_of(self, instrument: u32) -> Option<Owned> {
        match self {
            Self::Ltp(ticks) => {
                ticks.iter().rfind(|tick| tick.instrument == instrument).map(|tick| Owned::Ltp(vec![*tick]))
            }
            Self::Quote(quotes) => quotes
                .iter()
                .rfind(|quote| quote.instrument == instrument)
                .map(|quote| Owned::Quote(vec![*quote])),
            Self::Depth(books, levels) => books
                .iter()
                .rfind(|book| book.quote.instrument == instrument)
                .map(|book| Owned::Depth(vec![*book], levels.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: FeedId = FeedId(1);

    fn tick(instrument: u32, number: i64, seconds: Option<u64>) -> Ltp {
        Ltp {
            instrument,
            fields: field::LTP | seconds.map_or(0, |_| field::EXCHANGE_TS),
            // Of each instance its own.
            seq: rand::random(),
            received_ts_ns: rand::random(),
            exchange_ts_ns: seconds.unwrap_or(0) * 1_000_000_000,
            ltp: number,
            ..Ltp::default()
        }
    }

    fn intake() -> Arc<Intake> {
        Intake::new(FEED, Arc::default(), Doorbell::new())
    }

    fn taken(intake: &Intake, instrument: u32) -> Vec<i64> {
        let mut batches = Vec::new();
        intake.take(&mut batches);
        batches
            .iter()
            .flat_map(|batch| match batch {
                Batch::Ltp(ticks) => ticks.to_vec(),
                other => panic!("not ltp: {other:?}"),
            })
            .filter(|tick| tick.instrument == instrument)
            .map(|tick| tick.ltp)
            .collect()
    }

    /// Lets the old instance publish `1..=old`, the new one hold `from..=held` before the flip and publish up to `end`
    /// after it; gives what passed.
    fn hand_over(old: i64, from: i64, held: i64, end: i64, time: impl Fn(i64) -> Option<u64>) -> Vec<i64> {
        let (handover, intake) = (Handover::new(FEED), intake());
        for number in 1..=old {
            handover.old(Published::Ltp(&[tick(7, number, time(number))]), &intake).unwrap();
        }
        for number in from..=held {
            let passed = handover.new_one(Published::Ltp(&[tick(7, number, time(number))]), &intake);
            assert_eq!(passed, Passed::Held);
        }
        handover.flip(&intake);
        assert_eq!(handover.old(Published::Ltp(&[tick(7, 99, None)]), &intake), None);
        for number in held.max(from - 1) + 1..=end {
            handover.new_one(Published::Ltp(&[tick(7, number, time(number))]), &intake);
        }
        handover.settle(&intake);
        taken(&intake, 7)
    }

    #[test]
    fn nothing_is_missing_and_nothing_comes_twice_whoever_is_ahead() {
        let each_second = |number: i64| Some(u64::try_from(number).unwrap());
        // Four ticks share a second, as at brokers that send seconds.
        let coarse = |number: i64| Some(u64::try_from(number).unwrap() / 4);
        let none = |_| None;
        let all: Vec<i64> = (1..=20).collect();
        for old in 5..=15 {
            for from in 2..=5 {
                for held in from..=15 {
                    assert_eq!(hand_over(old, from, held, 20, each_second), all, "{old} {from} {held}");
                    assert_eq!(hand_over(old, from, held, 20, coarse), all, "coarse {old} {from} {held}");
                    assert_eq!(hand_over(old, from, held, 20, none), all, "no time {old} {from} {held}");
                }
            }
        }
    }

    #[test]
    fn the_newest_passes_when_the_point_is_not_found() {
        // The new instance was never told the old one's last tick, and both are of one second.
        let (handover, intake) = (Handover::new(FEED), intake());
        handover.old(Published::Ltp(&[tick(7, 1, Some(5))]), &intake);
        handover.flip(&intake);
        assert_eq!(handover.new_one(Published::Ltp(&[tick(7, 2, Some(5))]), &intake), Passed::Some);
        assert_eq!(taken(&intake, 7), [1]);
        handover.settle(&intake);
        assert_eq!(taken(&intake, 7), [2]);
        assert_eq!(handover.new_one(Published::Ltp(&[tick(7, 3, Some(5))]), &intake), Passed::Finished);
    }

    #[test]
    fn an_older_tick_never_passes_after_a_newer_one() {
        let (handover, intake) = (Handover::new(FEED), intake());
        handover.old(Published::Ltp(&[tick(7, 9, Some(9))]), &intake);
        handover.flip(&intake);
        handover.new_one(Published::Ltp(&[tick(7, 8, Some(8))]), &intake);
        handover.settle(&intake);
        assert_eq!(taken(&intake, 7), [9]);
    }

    #[test]
    fn an_old_instance_that_lags_is_heard_until_it_has_said_what_the_new_one_said_first() {
        let time = |number: i64| Some(u64::try_from(number).unwrap());
        for time in [time, |_| None] {
            let (handover, intake) = (Handover::new(FEED), intake());
            let old = |number| handover.old(Published::Ltp(&[tick(7, number, time(number))]), &intake);
            let new = |number| handover.new_one(Published::Ltp(&[tick(7, number, time(number))]), &intake);
            old(1);
            handover.set_ready();
            new(4);
            new(5);
            assert!(!handover.is_covered(), "2 and 3 are with nobody but the old one");
            old(2);
            old(3);
            assert!(!handover.is_covered());
            old(4);
            assert!(handover.is_covered());
            handover.flip(&intake);
            assert_eq!(taken(&intake, 7), [1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn a_new_instance_that_lags_is_covered_when_it_says_what_the_old_one_said_last() {
        for time in [Some(1), None] {
            let (handover, intake) = (Handover::new(FEED), intake());
            handover.set_ready();
            for number in 1..=3 {
                handover.old(Published::Ltp(&[tick(7, number, time)]), &intake);
            }
            handover.new_one(Published::Ltp(&[tick(7, 2, time)]), &intake);
            assert!(!handover.is_covered());
            handover.new_one(Published::Ltp(&[tick(7, 3, time)]), &intake);
            assert!(handover.is_covered());
        }
    }

    #[test]
    fn a_handover_is_covered_when_the_new_one_speaks_of_all_that_the_old_one_does() {
        let (handover, intake) = (Handover::new(FEED), intake());
        handover.new_one(Published::Ltp(&[tick(1, 1, None)]), &intake);
        assert!(!handover.is_covered());
        handover.set_ready();
        assert!(!handover.is_covered(), "nothing was said since");
        handover.old(Published::Ltp(&[tick(1, 1, None), tick(2, 1, None)]), &intake);
        handover.new_one(Published::Ltp(&[tick(1, 1, None)]), &intake);
        assert!(!handover.is_covered() && handover.is_uncovered());
        handover.new_one(Published::Ltp(&[tick(2, 1, None)]), &intake);
        assert!(handover.is_covered() && !handover.is_uncovered());
    }

    #[test]
    fn a_pause_of_an_instance_that_spoke_is_no_quiet() {
        let (handover, intake) = (Handover::new(FEED), intake());
        handover.set_ready();
        assert!(handover.is_quiet());
        let (handover, before_ready) = (Handover::new(FEED), tick(7, 1, None));
        handover.old(Published::Ltp(&[before_ready]), &intake);
        handover.set_ready();
        assert!(!handover.is_quiet() && !handover.is_covered());
    }

    #[test]
    fn a_flood_while_ticks_are_held_ends_with_the_newest() {
        let (handover, intake) = (Handover::new(FEED), intake());
        let flood: Vec<Ltp> = (0..1_000).map(|number| tick(7, number, None)).collect();
        for _ in 0..400 {
            handover.new_one(Published::Ltp(&flood), &intake);
        }
        handover.new_one(Published::Ltp(&[tick(7, -1, None)]), &intake);
        handover.flip(&intake);
        let mut batches = Vec::new();
        intake.take(&mut batches);
        let newest = match batches.last().unwrap() {
            Batch::Ltp(ticks) => ticks.last().unwrap().ltp,
            Batch::Merged(entries) => entries.last().unwrap().entry.quote().ltp,
            other => panic!("{other:?}"),
        };
        assert_eq!(newest, -1);
        assert!(handover.repeated_and_merged().1 > 0);
    }
}
