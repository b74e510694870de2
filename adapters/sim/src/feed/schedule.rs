//! Which instrument ticks next.
//!
//! No clock: times are spans since the connection began. A tick that is late is made up for only within
//! [`LAG_MAX`]; beyond that it never happens, so that a slow machine loses ticks instead of falling behind.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

/// How far behind an instrument may be and still catch up. Covers the millisecond that timers are late by, no
/// overload.
const LAG_MAX: Duration = Duration::from_millis(4);

/// Stale entries of the heap that are put up with beyond one for each instrument.
const STALE_MAX: usize = 64;

/// The instruments of one connection, each with the time of its next tick and something to remember of it.
#[derive(Debug)]
pub(super) struct Schedule<T> {
    slots: HashMap<u32, Slot<T>>,
    /// May hold entries that no longer agree with their slot: those are stale and skipped. At most
    /// `2 * slots.len() + STALE_MAX` entries.
    heap: BinaryHeap<Reverse<Entry>>,
    skipped: u64,
}

#[derive(Debug)]
struct Slot<T> {
    due: Duration,
    item: T,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    due: Duration,
    instrument: u32,
}

impl<T> Schedule<T> {
    pub(super) fn new() -> Self {
        Self { slots: HashMap::new(), heap: BinaryHeap::new(), skipped: 0 }
    }

    /// Instruments that are scheduled.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Ticks that came too late and never happened.
    pub(super) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Schedules an instrument, again if it is scheduled already.
    pub(super) fn insert(&mut self, instrument: u32, due: Duration, item: T) {
        self.slots.insert(instrument, Slot { due, item });
        self.push(Entry { due, instrument });
    }

    /// What is remembered of an instrument, if it is scheduled.
    pub(super) fn get_mut(&mut self, instrument: u32) -> Option<&mut T> {
        self.slots.get_mut(&instrument).map(|slot| &mut slot.item)
    }

    /// Ends an instrument's ticks.
    pub(super) fn remove(&mut self, instrument: u32) {
        self.slots.remove(&instrument);
        self.compact();
    }

    /// When the next tick is due.
    pub(super) fn next_due(&mut self) -> Option<Duration> {
        while let Some(&Reverse(entry)) = self.heap.peek() {
            if self.slots.get(&entry.instrument).is_some_and(|slot| slot.due == entry.due) {
                return Some(entry.due);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the next tick that is due, if one is, with the time at which it was due, and schedules the one
    /// after it, `interval` later.
    pub(super) fn pop_due(
        &mut self,
        now: Duration,
        interval: impl FnOnce(&T) -> Duration,
    ) -> Option<(u32, Duration, &T)> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse(entry) = self.heap.pop()?;
        let slot = self.slots.get_mut(&entry.instrument)?;
        let was_due = slot.due;
        let wanted = was_due.saturating_add(interval(&slot.item));
        let earliest = now.saturating_sub(LAG_MAX);
        self.skipped += u64::from(wanted < earliest);
        slot.due = wanted.max(earliest);
        let due = slot.due;
        self.push(Entry { due, instrument: entry.instrument });
        self.slots.get(&entry.instrument).map(|slot| (entry.instrument, was_due, &slot.item))
    }

    fn push(&mut self, entry: Entry) {
        self.heap.push(Reverse(entry));
        self.compact();
    }

    fn compact(&mut self) {
        if self.heap.len() > self.slots.len().saturating_mul(2).saturating_add(STALE_MAX) {
            self.heap = self
                .slots
                .iter()
                .map(|(&instrument, slot)| Reverse(Entry { due: slot.due, instrument }))
                .collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn drain(schedule: &mut Schedule<u64>, now: Duration) -> Vec<u32> {
        let mut popped = Vec::new();
        while let Some((instrument, ..)) = schedule.pop_due(now, |interval| ms(*interval)) {
            popped.push(instrument);
        }
        popped
    }

    #[test]
    fn instruments_tick_in_order_of_time_each_at_its_own_interval() {
        let mut schedule = Schedule::new();
        schedule.insert(1, ms(10), 10);
        schedule.insert(2, ms(5), 100);
        assert_eq!(schedule.next_due(), Some(ms(5)));
        assert!(drain(&mut schedule, ms(4)).is_empty());
        assert_eq!(drain(&mut schedule, ms(10)), [2, 1]);
        assert_eq!(drain(&mut schedule, ms(20)), [1]);
        assert_eq!(schedule.skipped(), 0);
    }

    #[test]
    fn late_ticks_are_skipped_beyond_a_few_milliseconds() {
        let mut schedule = Schedule::new();
        schedule.insert(1, ms(1), 1);
        // Ten seconds late: one tick for the slot, then those of the last milliseconds.
        let popped = drain(&mut schedule, ms(10_000)).len();
        assert!((2..=6).contains(&popped), "{popped}");
        assert_eq!(schedule.skipped(), 1);
        assert!(schedule.next_due().expect("scheduled") > ms(10_000));
    }

    #[test]
    fn a_removed_instrument_never_ticks_and_one_that_returns_ticks_once() {
        let mut schedule = Schedule::new();
        schedule.insert(1, ms(10), 1_000);
        schedule.remove(1);
        assert_eq!(schedule.next_due(), None);
        schedule.insert(1, ms(10), 1_000);
        schedule.insert(1, ms(20), 1_000);
        assert_eq!(drain(&mut schedule, ms(500)), [1]);
        assert_eq!(schedule.len(), 1);
    }

    #[test]
    fn coming_and_going_leaves_nothing_behind() {
        let mut schedule = Schedule::new();
        for round in 0..10_000 {
            schedule.insert(7, ms(100_000 + round), 1);
            schedule.remove(7);
        }
        assert!(schedule.heap.len() <= STALE_MAX);
    }
}
