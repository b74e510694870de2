//! The router's input. Every source of ticks (an adapter instance, the bus, later a child process or another host) owns
//! an [`Intake`] of its feed and offers batches to it; none of them ever waits, and none loses the newest value.
//!
//! An intake is a queue in order, bounded in bytes, with a conflated overflow behind it: while the router keeps up, every
//! tick passes; when it does not, ticks of one instrument merge, and the router finds the newest of each.
//!
//! Lock order: `Intake::state`, then `Doorbell::ready`. Both are held for a copy of a batch at most, never over an await.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::{
    book::Entry,
    metrics::FeedCounters,
    model::{Depth, DepthLevel, FeedId, InstrumentId, Ltp, MAX_DEPTH_LEVELS, Mode, Quote},
};

/// Bytes of ticks that a feed may have waiting in order before they conflate: 262,144 LTP ticks, a second's flood.
pub const QUEUE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Instruments in the overflow of one feed, 30 MiB of them: more than any broker serves on one account.
pub const OVERFLOW_LIMIT: usize = 131_072;

/// A batch as it was published.
#[derive(Debug)]
pub enum Batch {
    /// Trade ticks.
    Ltp(Box<[Ltp]>),
    /// Quotes.
    Quote(Box<[Quote]>),
    /// Books, and the levels that they point into.
    Depth(Box<[Depth]>, Box<[DepthLevel]>),
    /// What the overflow held.
    Merged(Vec<Merged>),
}

impl Batch {
    /// Bytes of its records; what the overflow held is not counted.
    fn bytes(&self) -> usize {
        match self {
            Self::Ltp(ticks) => size_of_val(&**ticks),
            Self::Quote(quotes) => size_of_val(&**quotes),
            Self::Depth(books, levels) => size_of_val(&**books) + size_of_val(&**levels),
            Self::Merged(_) => 0,
        }
    }
}

/// Several ticks of one instrument, merged because the router was behind.
#[derive(Debug)]
pub struct Merged {
    /// The instrument.
    pub instrument: InstrumentId,
    /// The highest mode that one of them was published as.
    pub mode: Mode,
    /// Their values, of each field the newest.
    pub entry: Entry,
    /// How many of them nobody will see by themselves.
    pub missed: u32,
}

/// Ticks of one feed on their way to the router.
#[derive(Debug)]
pub struct Intake {
    feed: FeedId,
    counters: Arc<FeedCounters>,
    doorbell: Arc<Doorbell>,
    closed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    queued_bytes: usize,
    overflow: Vec<Merged>,
    overflow_places: FxHashMap<u32, usize>,
    is_announced: bool,
}

/// Tells the router which feeds have something for it.
#[derive(Debug, Default)]
pub struct Doorbell {
    ready: Mutex<Vec<Arc<Intake>>>,
    notify: Notify,
}

impl Doorbell {
    /// A doorbell that nobody has rung.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Wakes the router without a feed: it has commands to look at.
    pub fn ring(&self) {
        self.notify.notify_one();
    }

    /// Waits for a ring. One that came before is not missed.
    ///
    /// # Cancel Safety
    /// A ring that is not returned stays.
    pub async fn rung(&self) {
        self.notify.notified().await;
    }

    /// Moves the feeds that have something into `ready`.
    pub fn take_ready(&self, ready: &mut Vec<Arc<Intake>>) {
        ready.append(&mut self.ready.lock());
    }
}

impl Intake {
    /// An empty intake for a feed.
    pub fn new(feed: FeedId, counters: Arc<FeedCounters>, doorbell: Arc<Doorbell>) -> Arc<Self> {
        Arc::new(Self { feed, counters, doorbell, closed: AtomicBool::new(false), state: Mutex::default() })
    }

    /// The feed whose ticks these are.
    pub const fn feed(&self) -> FeedId {
        self.feed
    }

    /// Counters of that feed.
    pub const fn counters(&self) -> &Arc<FeedCounters> {
        &self.counters
    }

    /// Refuses everything from now on; what waits is still taken by the router.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether the feed has ended.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes trade ticks; returns how many were malformed.
    pub fn offer_ltp(self: &Arc<Self>, batch: &[Ltp]) -> u32 {
        self.offer(batch.len(), size_of_val(batch), |state| {
            if let Some(overflow) = state {
                for tick in batch {
                    overflow.merge(tick.instrument, Mode::Ltp, |entry| entry.merge_ltp(tick));
                }
                return None;
            }
            Some(Batch::Ltp(batch.into()))
        });
        0
    }

    /// Takes quotes; returns how many were malformed.
    pub fn offer_quote(self: &Arc<Self>, batch: &[Quote]) -> u32 {
        self.offer(batch.len(), size_of_val(batch), |state| {
            if let Some(overflow) = state {
                for quote in batch {
                    overflow.merge(quote.instrument, Mode::Quote, |entry| entry.merge_quote(quote));
                }
                return None;
            }
            Some(Batch::Quote(batch.into()))
        });
        0
    }

    /// Takes books. Those whose levels do not lie within `levels`, are more than [`MAX_DEPTH_LEVELS`] on a side, or have a
    /// negative quantity are malformed: they are left out, counted, and their number is returned.
    pub fn offer_depth(self: &Arc<Self>, batch: &[Depth], levels: &[DepthLevel]) -> u32 {
        let invalid = batch.iter().filter(|book| sound_levels(book, levels).is_none()).count();
        if invalid > 0 {
            self.counters.received.add(invalid as u64);
            self.counters.dropped_invalid.add(invalid as u64);
        }
        let valid = batch.len() - invalid;
        if valid == 0 {
            return u32::try_from(invalid).unwrap_or(u32::MAX);
        }
        self.offer(valid, size_of_val(batch) + size_of_val(levels), |state| {
            let books = batch.iter().filter_map(|book| Some((book, sound_levels(book, levels)?)));
            if let Some(overflow) = state {
                for (book, (buy, sell)) in books {
                    overflow.merge(book.quote.instrument, Mode::Depth, |entry| {
                        entry.merge_depth(&book.quote, buy, sell);
                    });
                }
                return None;
            }
            Some(Batch::Depth(books.map(|(book, _)| *book).collect(), levels.into()))
        });
        u32::try_from(invalid).unwrap_or(u32::MAX)
    }

    /// Moves everything that waits into `batches`, in order.
    pub fn take(&self, batches: &mut Vec<Batch>) {
        self.state.lock().take(batches, usize::MAX);
    }

    /// Moves what waits into `batches`, in order, until they hold this many bytes. When something is left, the doorbell
    /// rings for it again, behind the feeds that have something by then.
    pub fn take_turn(self: &Arc<Self>, batches: &mut Vec<Batch>, limit_bytes: usize) {
        let has_more = {
            let mut state = self.state.lock();
            state.take(batches, limit_bytes);
            state.is_announced
        };
        if has_more {
            self.announce();
        }
    }

    fn announce(self: &Arc<Self>) {
        self.doorbell.ready.lock().push(Arc::clone(self));
        self.doorbell.notify.notify_one();
    }

    fn offer(
        self: &Arc<Self>,
        ticks: usize,
        bytes: usize,
        store: impl FnOnce(Option<&mut Overflow<'_>>) -> Option<Batch>,
    ) {
        self.counters.received.add(ticks as u64);
        if self.is_closed() {
            self.counters.dropped_retired.add(ticks as u64);
            return;
        }
        let must_ring = {
            let mut state = self.state.lock();
            let State { batches, queued_bytes, overflow, overflow_places, is_announced } = &mut *state;
            if overflow.is_empty() && *queued_bytes + bytes <= QUEUE_LIMIT_BYTES {
                *queued_bytes += bytes;
                batches.extend(store(None));
            } else {
                // Once something overflowed, everything after it does, or an older value would overtake a newer one.
                let mut overflow =
                    Overflow { entries: overflow, places: overflow_places, conflated: 0, beyond_limit: 0 };
                store(Some(&mut overflow));
                self.counters.conflated_intake.add(overflow.conflated);
                self.counters.dropped_unsubscribed.add(overflow.beyond_limit);
            }
            !std::mem::replace(is_announced, true)
        };
        if must_ring {
            self.announce();
        }
    }
}

impl State {
    /// Takes whole batches until they hold this many bytes, and the overflow behind the last of them.
    fn take(&mut self, batches: &mut Vec<Batch>, limit_bytes: usize) {
        let mut taken = 0;
        while taken < limit_bytes
            && let Some(batch) = self.batches.pop_front()
        {
            taken += batch.bytes();
            batches.push(batch);
        }
        self.is_announced = !self.batches.is_empty();
        if self.is_announced {
            self.queued_bytes = self.queued_bytes.saturating_sub(taken);
            return;
        }
        self.queued_bytes = 0;
        if !self.overflow.is_empty() {
            batches.push(Batch::Merged(std::mem::take(&mut self.overflow)));
            self.overflow_places.clear();
        }
    }
}

/// The bids and asks that a record points to, when they can be shown.
fn sound_levels<'a>(book: &Depth, levels: &'a [DepthLevel]) -> Option<(&'a [DepthLevel], &'a [DepthLevel])> {
    let sides = depth_levels(book, levels)?;
    let is_sound = |side: &[DepthLevel]| side.iter().all(|level| level.quantity >= 0);
    (is_sound(sides.0) && is_sound(sides.1)).then_some(sides)
}

/// The bids and asks that a record points to, when they lie where it says.
pub fn depth_levels<'a>(
    book: &Depth,
    levels: &'a [DepthLevel],
) -> Option<(&'a [DepthLevel], &'a [DepthLevel])> {
    if book.buy_levels > MAX_DEPTH_LEVELS || book.sell_levels > MAX_DEPTH_LEVELS {
        return None;
    }
    let first = usize::try_from(book.first_level).ok()?;
    let middle = first.checked_add(usize::from(book.buy_levels))?;
    let end = middle.checked_add(usize::from(book.sell_levels))?;
    Some((levels.get(first..middle)?, levels.get(middle..end)?))
}

struct Overflow<'a> {
    entries: &'a mut Vec<Merged>,
    places: &'a mut FxHashMap<u32, usize>,
    conflated: u64,
    beyond_limit: u64,
}

impl Overflow<'_> {
    fn merge<R>(&mut self, instrument: u32, mode: Mode, merge: impl FnOnce(&mut Entry) -> R) {
        if let Some(merged) = self.places.get(&instrument).and_then(|&at| self.entries.get_mut(at)) {
            merged.mode = merged.mode.max(mode);
            merged.missed = merged.missed.saturating_add(1);
            merge(&mut merged.entry);
            self.conflated += 1;
        } else if self.entries.len() < OVERFLOW_LIMIT {
            let mut entry = Entry::default();
            merge(&mut entry);
            self.places.insert(instrument, self.entries.len());
            self.entries.push(Merged { instrument: InstrumentId(instrument), mode, entry, missed: 0 });
        } else {
            self.beyond_limit += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::field;

    fn tick(instrument: u32, seq: u64) -> Ltp {
        Ltp { instrument, fields: field::LTP, seq, ltp: i64::try_from(seq).unwrap(), ..Ltp::default() }
    }

    fn intake() -> Arc<Intake> {
        Intake::new(FeedId(1), Arc::default(), Doorbell::new())
    }

    #[test]
    fn ticks_pass_in_order_while_there_is_room() {
        let intake = intake();
        intake.offer_ltp(&[tick(1, 1), tick(2, 2)]);
        intake.offer_ltp(&[tick(1, 3)]);
        let mut batches = Vec::new();
        intake.take(&mut batches);
        let seqs: Vec<u64> = batches
            .iter()
            .flat_map(|batch| match batch {
                Batch::Ltp(ticks) => ticks.iter().map(|tick| tick.seq).collect::<Vec<_>>(),
                _ => panic!("not ltp"),
            })
            .collect();
        assert_eq!(seqs, [1, 2, 3]);
    }

    #[test]
    fn the_doorbell_rings_once_until_the_router_took() {
        let intake = intake();
        let mut ready = Vec::new();
        intake.offer_ltp(&[tick(1, 1)]);
        intake.offer_ltp(&[tick(1, 2)]);
        intake.doorbell.take_ready(&mut ready);
        assert_eq!(ready.len(), 1);
        intake.take(&mut Vec::new());
        intake.offer_ltp(&[tick(1, 3)]);
        intake.doorbell.take_ready(&mut ready);
        assert_eq!(ready.len(), 2);
    }

    #[test]
    fn a_flood_is_taken_in_turns_in_order_and_its_end_last() {
        let intake = intake();
        let batch: Vec<Ltp> = (0..1_000).map(|number| tick(number, 1)).collect();
        let fitting = QUEUE_LIMIT_BYTES / size_of_val(batch.as_slice());
        for round in 0..=fitting as u64 {
            let batch: Vec<Ltp> = batch.iter().map(|t| tick(t.instrument, round)).collect();
            intake.offer_ltp(&batch);
        }
        let mut ready = Vec::new();
        let (mut rounds, mut turns, mut has_ended) = (0, 0, false);
        loop {
            intake.doorbell.take_ready(&mut ready);
            let Some(intake) = ready.pop() else { break };
            assert!(ready.is_empty(), "one place in the queue for each feed");
            let mut batches = Vec::new();
            intake.take_turn(&mut batches, 2 * size_of_val(batch.as_slice()));
            turns += 1;
            for taken in batches {
                assert!(!has_ended, "nothing comes behind the overflow");
                match taken {
                    Batch::Ltp(ticks) => {
                        assert!(ticks.iter().all(|tick| tick.seq == rounds));
                        rounds += 1;
                    }
                    Batch::Merged(merged) => {
                        assert!(merged.iter().all(|merged| merged.entry.quote().seq == rounds));
                        has_ended = true;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!((rounds, turns), (fitting as u64, fitting.div_ceil(2)));
        assert!(has_ended);
    }

    #[test]
    fn a_flood_keeps_the_newest_of_each_instrument_in_bounded_memory() {
        let intake = intake();
        let batch: Vec<Ltp> = (0..100).map(|i| tick(i, 1)).collect();
        let rounds = QUEUE_LIMIT_BYTES / (100 * size_of::<Ltp>()) + 50;
        for round in 0..rounds {
            let batch: Vec<Ltp> = batch.iter().map(|t| tick(t.instrument, round as u64)).collect();
            intake.offer_ltp(&batch);
        }
        let mut batches = Vec::new();
        intake.take(&mut batches);
        let Some(Batch::Merged(merged)) = batches.last() else { panic!("no overflow") };
        assert_eq!(merged.len(), 100);
        for Merged { mode, entry, .. } in merged {
            assert_eq!(*mode, Mode::Ltp);
            assert_eq!(entry.quote().seq, rounds as u64 - 1);
        }
        let missed: u64 = merged.iter().map(|merged| u64::from(merged.missed)).sum();
        assert_eq!(missed, intake.counters().conflated_intake.get());
        let queued: usize =
            batches.iter().map(|b| if let Batch::Ltp(ticks) = b { ticks.len() } else { 0 }).sum();
        let counters = intake.counters();
        assert_eq!(counters.received.get(), rounds as u64 * 100);
        assert_eq!(counters.received.get(), queued as u64 + 100 + counters.conflated_intake.get());
    }

    #[test]
    fn a_book_that_points_outside_its_levels_is_left_out_and_counted() {
        let intake = intake();
        let quote = Quote { instrument: 1, ..Quote::default() };
        let levels = [DepthLevel::default(); 4];
        let good = Depth { quote, first_level: 0, buy_levels: 2, sell_levels: 2 };
        let beyond = Depth { first_level: 1, ..good };
        let overflowing = Depth { first_level: u32::MAX, ..good };
        let too_many = Depth { buy_levels: 201, ..good };
        assert_eq!(intake.offer_depth(&[good, beyond, overflowing, too_many], &levels), 3);
        let mut batches = Vec::new();
        intake.take(&mut batches);
        assert!(matches!(batches.as_slice(), [Batch::Depth(books, _)] if books.len() == 1));
        assert_eq!(intake.counters().dropped_invalid.get(), 3);
    }

    #[test]
    fn a_book_with_a_negative_quantity_is_left_out_and_counted() {
        let intake = intake();
        let quote = Quote { instrument: 1, ..Quote::default() };
        let mut levels = [DepthLevel::default(); 4];
        levels[3].quantity = -1;
        let good = Depth { quote, first_level: 0, buy_levels: 1, sell_levels: 2 };
        let bid = Depth { first_level: 3, buy_levels: 1, sell_levels: 0, ..good };
        let ask = Depth { first_level: 2, buy_levels: 0, sell_levels: 2, ..good };
        assert_eq!(intake.offer_depth(&[bid, good, ask], &levels), 2);
        assert_eq!(intake.counters().dropped_invalid.get(), 2);
    }

    #[test]
    fn a_closed_intake_counts_what_still_arrives() {
        let intake = intake();
        intake.close();
        intake.offer_ltp(&[tick(1, 1)]);
        let mut batches = Vec::new();
        intake.take(&mut batches);
        assert!(batches.is_empty());
        assert_eq!(intake.counters().dropped_retired.get(), 1);
    }
}
