//! Spacing of updates: the first at once, then the newest at the end of each interval, never one lost.
//!
//! All keys of one [`Throttle`] share its interval, so their intervals end in the order in which they began:
//! a queue is all the timer that is needed, and a changed key costs one push and one pop whatever the number
//! of keys.

use std::{collections::VecDeque, time::Duration};

/// When the interval of a key ends, in nanoseconds on the caller's monotonic clock.
pub type Nanos = u64;

/// What a key knows of its own spacing. Lives with the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spacing {
    /// End of the running interval, 0 when none runs. Tells its place in the queue from one that an earlier
    /// holder of the same key left behind.
    ends: Nanos,
    /// Something newer waits for the end of the interval.
    is_dirty: bool,
}

impl Spacing {
    /// Whether an update waits.
    pub const fn is_dirty(self) -> bool {
        self.is_dirty
    }
}

/// What to do with an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it now.
    Emit,
    /// It waits for the end of the interval.
    Wait,
    /// It took the place of one that waited.
    Replaced,
}

/// Intervals of all keys of one feed.
#[derive(Debug)]
pub struct Throttle<K> {
    interval: Nanos,
    running: VecDeque<(Nanos, K)>,
    dirty: usize,
}

impl<K: Clone> Throttle<K> {
    /// A throttle with this spacing; zero lets everything pass.
    pub fn new(interval: Duration) -> Self {
        let mut throttle = Self { interval: 0, running: VecDeque::new(), dirty: 0 };
        throttle.set_interval(interval);
        throttle
    }

    /// Changes the spacing. Intervals that run end as they began; a shorter one may end behind a longer one
    /// that runs.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = u64::try_from(interval.as_nanos()).unwrap_or(Nanos::MAX);
    }

    /// Judges an update of `key` at `now`.
    pub fn offer(&mut self, key: K, spacing: &mut Spacing, now: Nanos) -> Verdict {
        if self.interval == 0 {
            return Verdict::Emit;
        }
        if spacing.ends != 0 {
            if std::mem::replace(&mut spacing.is_dirty, true) {
                return Verdict::Replaced;
            }
            self.dirty += 1;
            return Verdict::Wait;
        }
        self.begin(key, spacing, now);
        Verdict::Emit
    }

    /// Ends every interval that is over at `now`. `visit` is called for each key in the queue with a function
    /// to be applied to the key's spacing, if the key still exists; that function says whether the key's
    /// newest value is due.
    pub fn advance(&mut self, now: Nanos, mut visit: impl FnMut(K, &mut dyn FnMut(&mut Spacing) -> bool)) {
        while self.running.front().is_some_and(|&(end, _)| end <= now) {
            let Some((end, key)) = self.running.pop_front() else { break };
            visit(key.clone(), &mut |spacing| {
                if spacing.ends != end {
                    return false;
                }
                spacing.ends = 0;
                if !std::mem::take(&mut spacing.is_dirty) {
                    return false;
                }
                self.dirty = self.dirty.saturating_sub(1);
                self.begin(key.clone(), spacing, now);
                true
            });
        }
    }

    /// Either the interval is not zero, or one has just ended, so that `now` is not: the end is never 0.
    fn begin(&mut self, key: K, spacing: &mut Spacing, now: Nanos) {
        spacing.ends = now.saturating_add(self.interval);
        self.running.push_back((spacing.ends, key));
    }

    /// Forgets that a key waits; it is leaving.
    pub fn forget(&mut self, spacing: Spacing) {
        if spacing.is_dirty {
            self.dirty = self.dirty.saturating_sub(1);
        }
    }

    /// When [`Self::advance`] next has something to send: the end of the oldest interval while any key waits.
    pub fn next_due(&self) -> Option<Nanos> {
        if self.dirty == 0 { None } else { self.running.front().map(|&(end, _)| end) }
    }

    /// Intervals that run, of keys that are gone too.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Forgets the intervals of keys that are gone.
    pub fn retain(&mut self, mut is_held: impl FnMut(&K) -> bool) {
        self.running.retain(|(_, key)| is_held(key));
    }

    /// Updates that wait.
    pub const fn waiting(&self) -> usize {
        self.dirty
    }
}

#[cfg(test)]
mod tests;
