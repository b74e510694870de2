//! The router's input. Every source of ticks (an adapter instance, the bus, later a child process or another
//! host) owns an [`Intake`] of its feed and offers batches to it; none of them ever waits, and none loses the
//! newest value.
//!
//! An intake is a queue in order, bounded in bytes, with a conflated overflow behind it: while the router
//! keeps up, every tick passes; when it does not, ticks of one instrument merge, and the router finds the
//! newest of each.
//!
//! Lock order: `Intake::state`, then `Doorbell::ready` or `Doorbell::settled`. All are held for a copy of a
//! batch at most, never over an await.

mod overflow;

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

use self::overflow::Overflow;
use crate::{
    book::{Entry, moment},
    calendar::Moments,
    metrics::FeedCounters,
    model::{Depth, DepthLevel, FeedId, Greeks, InstrumentId, Ltp, MAX_DEPTH_LEVELS, Mode, Quote},
};

/// Bytes of ticks that a feed may have waiting in order before they conflate: 262,144 LTP ticks, a second's
/// flood.
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
    /// Greeks.
    Greeks(Box<[Greeks]>),
    /// What the overflow held, in order: of most instruments one, of a few one for each minute.
    Merged(Vec<Merged>),
}

impl Batch {
    /// Records in it.
    pub(crate) const fn len(&self) -> usize {
        match self {
            Self::Ltp(ticks) => ticks.len(),
            Self::Quote(quotes) => quotes.len(),
            Self::Depth(books, _) => books.len(),
            Self::Greeks(records) => records.len(),
            Self::Merged(entries) => entries.len(),
        }
    }

    /// Bytes of its records; what the overflow held is not counted.
    fn bytes(&self) -> usize {
        match self {
            Self::Ltp(ticks) => size_of_val(&**ticks),
            Self::Quote(quotes) => size_of_val(&**quotes),
            Self::Depth(books, levels) => size_of_val(&**books) + size_of_val(&**levels),
            Self::Greeks(records) => size_of_val(&**records),
            Self::Merged(_) => 0,
        }
    }
}

/// Several ticks of one instrument, merged because the router was behind.
#[derive(Debug)]
pub struct Merged {
    /// The instrument.
    pub instrument: InstrumentId,
    /// The highest mode that one of them was published as; none when all of them are greeks.
    pub mode: Option<Mode>,
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
    settled: Mutex<Moments>,
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

    /// Says between which moments no trading day begins, of whatever exchange: ticks of those may merge. None
    /// at first.
    pub fn settle(&self, moments: Moments) {
        *self.settled.lock() = moments;
    }

    /// What was said so.
    pub fn settled(&self) -> Moments {
        *self.settled.lock()
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
                    let at_ns = moment(tick.fields, tick.exchange_ts_ns, tick.received_ts_ns);
                    overflow.merge(tick.instrument, Some(Mode::Ltp), at_ns, |entry| entry.merge_ltp(tick));
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
                    let at_ns = moment(quote.fields, quote.exchange_ts_ns, quote.received_ts_ns);
                    overflow
                        .merge(quote.instrument, Some(Mode::Quote), at_ns, |entry| entry.merge_quote(quote));
                }
                return None;
            }
            Some(Batch::Quote(batch.into()))
        });
        0
    }

    /// Takes books. Those whose levels do not lie within `levels`, are more than [`MAX_DEPTH_LEVELS`] on a
    /// side, or have a negative quantity are malformed: they are left out, counted, and their number is
    /// returned.
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
                    let quote = &book.quote;
                    let at_ns = moment(quote.fields, quote.exchange_ts_ns, quote.received_ts_ns);
                    overflow.merge(quote.instrument, Some(Mode::Depth), at_ns, |entry| {
                        entry.merge_depth(quote, buy, sell)
                    });
                }
                return None;
            }
            Some(Batch::Depth(books.map(|(book, _)| *book).collect(), levels.into()))
        });
        u32::try_from(invalid).unwrap_or(u32::MAX)
    }

    /// Takes greeks; returns how many were malformed.
    pub fn offer_greeks(self: &Arc<Self>, batch: &[Greeks]) -> u32 {
        self.offer(batch.len(), size_of_val(batch), |state| {
            if let Some(overflow) = state {
                for greeks in batch {
                    let at_ns = moment(greeks.fields, greeks.exchange_ts_ns, greeks.received_ts_ns);
                    overflow.merge(greeks.instrument, None, at_ns, |entry| entry.merge_greeks(greeks));
                }
                return None;
            }
            Some(Batch::Greeks(batch.into()))
        });
        0
    }

    /// Moves everything that waits into `batches`, in order.
    pub fn take(&self, batches: &mut Vec<Batch>) {
        self.state.lock().take(batches, usize::MAX);
    }

    /// Moves what waits into `batches`, in order, until they hold this many bytes. When something is left,
    /// the doorbell rings for it again, behind the feeds that have something by then.
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
                // Once something overflowed, everything after it does, or an older value would overtake a
                // newer one.
                let settled = self.doorbell.settled();
                let mut overflow = Overflow {
                    entries: overflow,
                    places: overflow_places,
                    settled,
                    conflated: 0,
                    beyond_limit: 0,
                };
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

#[cfg(test)]
mod tests;
