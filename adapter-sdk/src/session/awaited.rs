//! What was subscribed of late, and has to show that it was.

use std::{collections::VecDeque, fmt, hash::Hash, time::Duration};

use tokio::time::Instant;
use tracing::info;

use super::{Live, Protocol};
use crate::plan::Change;

/// Most batches that are awaited. Of more, the oldest are believed to have worked.
const MOST_BATCHES: usize = 1_024;

/// Keys whose first packet is awaited, at a broker that acknowledges nothing but sends the state of what it has subscribed. What
/// stays silent is asked for again, so often; what the broker has answered meanwhile is not.
///
/// Keep it in the [`Protocol`]: call [`Self::subscribed`] in its `requests`, [`Self::wake_at`] in its method of that name, and
/// [`Self::repeat_silent`] in its `advance`.
pub struct Awaited<K> {
    within: Duration,
    repeats: u8,
    /// Until when, what, and how often it was asked for again.
    batches: VecDeque<(Instant, Vec<K>, u8)>,
}

impl<K: Clone + Eq + Hash> Awaited<K> {
    /// The broker has so much time for the first packet, and is asked so many times more.
    pub const fn new(within: Duration, repeats: u8) -> Self {
        Self { within, repeats, batches: VecDeque::new() }
    }

    /// The broker is about to be told of these changes: those that subscribe something are awaited.
    pub fn subscribed<M>(&mut self, changes: &[Change<K, M>]) {
        let new = changes.iter().filter(|change| change.before.is_none()).map(|change| change.key.clone());
        self.push(new.collect(), 0, Instant::now());
    }

    fn push(&mut self, keys: Vec<K>, times: u8, now: Instant) {
        if keys.is_empty() {
            return;
        }
        if self.batches.len() >= MOST_BATCHES {
            self.batches.pop_front();
        }
        self.batches.push_back((now + self.within, keys, times));
    }

    /// When to look at the oldest batch.
    pub fn wake_at(&self) -> Option<Instant> {
        self.batches.front().map(|(at, ..)| *at)
    }

    /// Asks again for what should have shown by now and has not.
    pub fn repeat_silent<P: Protocol<Key = K>>(&mut self, now: Instant, live: &mut Live<P>) {
        while self.wake_at().is_some_and(|at| at <= now)
            && let Some((_, mut keys, times)) = self.batches.pop_front()
        {
            keys.retain(|key| live.is_silent(key));
            if keys.is_empty() || times >= self.repeats {
                continue;
            }
            info!(count = keys.len(), "The broker says nothing of some instruments; asking for them again");
            keys.iter().for_each(|key| live.repeat(key));
            self.push(keys, times + 1, now);
        }
    }
}

impl<K> fmt::Debug for Awaited<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited").field("batches", &self.batches.len()).finish_non_exhaustive()
    }
}
