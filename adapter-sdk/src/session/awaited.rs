//! What was subscribed of late, and has to show that it was.

use std::{fmt, hash::Hash, time::Duration};

use tokio::time::Instant;
use tracing::info;

use super::{Live, Protocol, Recent};
use crate::plan::Change;

/// Keys whose first packet is awaited, at a broker that acknowledges nothing but sends the state of what it
/// has subscribed. What stays silent is asked for again, so often; what the broker has answered meanwhile is
/// not. [`Recent`] is for who decides otherwise.
///
/// Keep it in the [`Protocol`]: call [`Self::subscribed`] in its `requests`, [`Self::wake_at`] in its method
/// of that name, and [`Self::repeat_silent`] in its `advance`.
pub struct Awaited<K> {
    within: Duration,
    /// By how often they were asked for again.
    rounds: Vec<Recent<K>>,
}

impl<K: Clone + Eq + Hash> Awaited<K> {
    /// The broker has so much time for the first packet, and is asked so many times more.
    pub fn new(within: Duration, repeats: usize) -> Self {
        Self { within, rounds: vec![Recent::default(); repeats] }
    }

    /// The broker is about to be told of these changes: those that subscribe something are awaited.
    pub fn subscribed<M>(&mut self, changes: &[Change<K, M>]) {
        if let Some(first) = self.rounds.first_mut() {
            first.note(changes, Instant::now());
        }
    }

    /// When to look at those that have waited longest.
    pub fn wake_at(&self) -> Option<Instant> {
        self.rounds.iter().filter_map(|round| round.due(self.within)).min()
    }

    /// Asks again for what should have shown by now and has not.
    pub fn repeat_silent<P: Protocol<Key = K>>(&mut self, now: Instant, live: &mut Live<P>) {
        let mut again = Vec::new();
        for round in &mut self.rounds {
            let due = round.take_older(self.within, now);
            // Those that the round before has asked for.
            round.note(&std::mem::take(&mut again), now);
            let silent = due.into_iter().filter(|key| live.is_silent(key));
            again.extend(silent.map(|key| Change { key, before: None, now: None::<()> }));
            if !again.is_empty() {
                info!(
                    count = again.len(),
                    "The broker says nothing of some instruments; asking for them again"
                );
            }
            again.iter().for_each(|change| live.repeat(&change.key));
        }
    }
}

impl<K> fmt::Debug for Awaited<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited").field("within", &self.within).finish_non_exhaustive()
    }
}
