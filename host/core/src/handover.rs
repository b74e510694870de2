//! From one instance to the next while ticks flow: what the old one published last decides what the new one
//! adds.
//!
//! Both instances hear the same broker, one of them a little ahead. While the new one gets ready the old
//! one's ticks pass and its last tick of each instrument is noted; the new one's ticks are held. The flip
//! waits until the old one, which may be the slower of the two, has said what the new one said first, so that
//! no tick lies between them. Then the old one is cut off, and of the new one's ticks those pass that come
//! after the old one's last: nothing is missing and nothing comes twice. An instrument is *settled* once that
//! point was found, or [`Handover::settle`] ended the search.

mod batch;

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

pub use self::batch::Published;
use self::batch::{Line, Mark, Owned};
use crate::{
    book::Entry,
    intake::{Batch, Doorbell, Intake, Merged},
    model::{Depth, DepthLevel, FeedId, Ltp, Mode},
};

/// Ticks of one instrument that may wait until it is known whether they are newer than the old one's last.
/// Brokers that send seconds send a few in one of them.
const DOUBTFUL_LIMIT: usize = 256;

/// One handover. Locked for one batch at a time, and only while it is under way.
///
/// Lock order: before `Intake::state`.
#[derive(Debug)]
pub struct Handover(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The old one's last tick of each instrument; the search for it in what the new one says.
    last: FxHashMap<Line, Last>,
    /// What the new one published before the flip: in order, then merged, as in front of the router.
    held: Arc<Intake>,
    /// Instruments of which the new one has said something.
    seen: FxHashSet<u32>,
    /// Instruments of which the old one has said something since the new one was ready, and the new one
    /// nothing yet.
    uncovered: FxHashSet<u32>,
    /// What the new one has said first of an instrument since it was ready, while the old one may not have
    /// come so far.
    ahead: FxHashMap<u32, Mark>,
    is_ready: bool,
    is_flipped: bool,
    repeated: u64,
    /// Merged records that held ticks and greeks, and were passed on as one of each.
    divided: u64,
}

#[derive(Debug)]
struct Last {
    mark: Mark,
    /// Ticks of the new one that were left out although they may be newer than the old one's last: of the
    /// same time, and not the same. In order, at most [`DOUBTFUL_LIMIT`].
    doubtful: VecDeque<Owned>,
}

impl Last {
    const fn new(mark: Mark) -> Self {
        Self { mark, doubtful: VecDeque::new() }
    }

    fn doubt(&mut self, tick: Option<Owned>) {
        if self.doubtful.len() == DOUBTFUL_LIMIT {
            self.doubtful.pop_front();
        }
        self.doubtful.extend(tick);
    }
}

/// What becomes of a batch of the new instance.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed {
    /// It waits for the flip.
    Held,
    /// What was to pass did; the handover goes on.
    Some,
    /// What was to pass did, and from now on everything does.
    Finished,
}

impl Handover {
    /// A handover that begins.
    pub fn new(feed: FeedId) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            last: FxHashMap::default(),
            held: Intake::new(feed, Arc::default(), Doorbell::new()),
            seen: FxHashSet::default(),
            uncovered: FxHashSet::default(),
            ahead: FxHashMap::default(),
            is_ready: false,
            is_flipped: false,
            repeated: 0,
            divided: 0,
        })))
    }

    /// A batch of the old instance: passes before the flip, gives the malformed then, and none after.
    pub fn old(&self, batch: Published<'_>, intake: &Arc<Intake>) -> Option<u32> {
        let mut state = self.0.lock();
        if state.is_flipped {
            return None;
        }
        let State { last, seen, uncovered, ahead, is_ready, .. } = &mut *state;
        batch.each(|line, mark| {
            last.insert(line, Last::new(mark));
            if line.is_greeks {
                return;
            }
            let instrument = line.instrument;
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
    pub fn new_one(&self, batch: Published<'_>, intake: &Arc<Intake>) -> Passed {
        let mut state = self.0.lock();
        if !state.is_flipped {
            let State { last, seen, uncovered, ahead, .. } = &mut *state;
            batch.each(|line, mark| {
                // What the ticks of an instrument cover, its greeks need not: another build may not have any.
                if line.is_greeks {
                    return;
                }
                let (instrument, old) = (line.instrument, last.get(&line).map(|last| last.mark));
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
    pub fn set_ready(&self) {
        let mut state = self.0.lock();
        state.is_ready = true;
        // What it has said before may have been of other subscriptions; what counts is what it says from now
        // on.
        state.seen.clear();
        state.ahead.clear();
    }

    /// Whether the new instance has said something of every instrument of which the old one did, and of one
    /// at least, and the old one has come as far as the new one began.
    pub fn is_covered(&self) -> bool {
        let state = self.0.lock();
        state.is_ready && !state.seen.is_empty() && state.uncovered.is_empty() && state.ahead.is_empty()
    }

    /// Whether there is an instrument of which the old one speaks and the new one does not.
    pub fn is_uncovered(&self) -> bool {
        !self.0.lock().uncovered.is_empty()
    }

    /// Whether the old instance has said nothing since the handover began, nor the new one since it was
    /// ready. A pause of one that did speak is no quiet: the broker may owe both what happened meanwhile, and
    /// pay the old one first.
    pub fn is_quiet(&self) -> bool {
        let state = self.0.lock();
        state.seen.is_empty() && state.last.is_empty()
    }

    /// Cuts the old instance off and lets the new one pass.
    pub fn flip(&self, intake: &Arc<Intake>) -> Passed {
        let mut state = self.0.lock();
        state.is_flipped = true;
        let mut batches = Vec::new();
        state.held.take(&mut batches);
        for batch in &batches {
            match batch {
                Batch::Ltp(ticks) => state.pass(Published::Ltp(ticks), intake),
                Batch::Quote(quotes) => state.pass(Published::Quote(quotes), intake),
                Batch::Depth(books, levels) => state.pass(Published::Depth(books, levels), intake),
                Batch::Greeks(records) => state.pass(Published::Greeks(records), intake),
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
    pub fn settle(&self, intake: &Arc<Intake>) {
        let mut state = self.0.lock();
        #[expect(clippy::iter_over_hash_type, reason = "instruments are independent of each other")]
        for (_, last) in state.last.drain() {
            last.doubtful.iter().for_each(|tick| {
                tick.borrowed().offer(intake);
            });
        }
    }

    /// Ticks of the new instance that the old one had published, and those that were merged while they were
    /// held.
    pub fn repeated_and_merged(&self) -> (u64, u64) {
        let state = self.0.lock();
        let merged = state.held.counters().conflated_intake.get();
        (state.repeated, merged.saturating_sub(state.divided))
    }
}

impl State {
    fn pass(&mut self, batch: Published<'_>, intake: &Arc<Intake>) {
        if self.last.is_empty() {
            batch.offer(intake);
            return;
        }
        let State { last, repeated, .. } = self;
        let (mut newer, mut place) = (Vec::new(), 0..);
        let passing = batch.filtered(|line, mark| {
            let place = place.next().unwrap_or(usize::MAX);
            let Some(known) = last.get_mut(&line) else { return true };
            match (mark.exchange_ts_ns, known.mark.exchange_ts_ns) {
                _ if known.mark == mark => {
                    *repeated += 1 + known.doubtful.len() as u64;
                    last.remove(&line);
                    false
                }
                (Some(new), Some(old)) if new > old => {
                    // The old one's last is not among those of its time, so the new one began after it.
                    newer.extend(known.doubtful.drain(..));
                    last.remove(&line);
                    true
                }
                (Some(new), Some(old)) if new < old => {
                    *repeated += 1;
                    false
                }
                _ => {
                    known.doubt(batch.single(place));
                    false
                }
            }
        });
        newer.iter().chain([&passing]).for_each(|batch| {
            batch.borrowed().offer(intake);
        });
    }

    fn pass_merged(&mut self, merged: &Merged, intake: &Arc<Intake>) {
        // Several ticks in one have no point of their own; being the newest, they pass.
        let instrument = merged.instrument.0;
        if let Some(mode) = merged.mode {
            self.last.remove(&Line::of(instrument));
            pass_values(&merged.entry, mode, intake);
        }
        if let Some(greeks) = merged.entry.greeks_record() {
            self.last.remove(&Line::of_greeks(instrument));
            self.divided += u64::from(merged.mode.is_some());
            Published::Greeks(&[greeks]).offer(intake);
        }
    }
}

fn pass_values(entry: &Entry, mode: Mode, intake: &Arc<Intake>) {
    let (record, view) = (entry.record(mode), entry.view());
    match mode {
        Mode::Ltp => Published::Ltp(&[Ltp::from(&record)]).offer(intake),
        Mode::Quote => Published::Quote(&[record]).offer(intake),
        Mode::Depth => {
            let levels = [view.buy, view.sell].concat();
            let count = |side: &[DepthLevel]| u16::try_from(side.len()).unwrap_or(u16::MAX);
            let book = Depth {
                quote: record,
                first_level: 0,
                buy_levels: count(view.buy),
                sell_levels: count(view.sell),
            };
            Published::Depth(&[book], &levels).offer(intake)
        }
    };
}

#[cfg(test)]
mod tests;
