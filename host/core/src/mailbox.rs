//! From the router to a shard: one update for each changed key, however many sessions want it.
//!
//! Bound: [`QUEUE_LIMIT`] updates in order, then the newest of each key. Producer: the router. Consumer: the
//! shard. Beyond the limit a newer update of a key replaces the waiting one; a snapshot is never replaced.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use crate::{model::Key, protocol::Frame};

/// Updates that a shard may have waiting in order.
pub const QUEUE_LIMIT: usize = 65_536;

/// Identity of a session, unique while the host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Times of the tick that a frame was made of, in nanoseconds since the Unix epoch; 0 for unknown. They are
/// only measured with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// When its adapter received it, or when its wait for the throttle was over.
    pub received_ns: u64,
    /// The time that the exchange put on it.
    pub exchange_ns: u64,
}

/// A frame on its way to the sessions of one shard.
#[derive(Clone, Debug)]
pub struct Update {
    /// What it is a frame of.
    pub key: Key,
    /// The encoded message, shared by everybody who gets it.
    pub frame: Frame,
    /// The only session that gets it (a snapshot), or all that hold the key.
    pub only: Option<SessionId>,
    /// Ticks of this key, just before this one, that no frame was made of or whose frame was replaced. For
    /// those who want every tick.
    pub missed: u32,
    /// Times of its tick; unknown in what is no news.
    pub times: Times,
}

/// Updates for one shard.
#[derive(Debug, Default)]
pub struct Mailbox {
    state: Mutex<State>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct State {
    updates: Vec<Update>,
    /// Place of the last update of each key beyond the limit.
    overflow: FxHashMap<Key, usize>,
    conflated: u64,
}

impl Mailbox {
    /// Moves the updates out of `updates` into the mailbox, in order, and wakes the shard.
    pub fn post(&self, updates: &mut Vec<Update>) {
        if updates.is_empty() {
            return;
        }
        {
            let mut state = self.state.lock();
            if state.updates.len() + updates.len() <= QUEUE_LIMIT {
                state.updates.append(updates);
            } else {
                for update in updates.drain(..) {
                    state.post(update);
                }
            }
        }
        self.notify.notify_one();
    }

    /// Moves everything that waits to the end of `into`; returns how many updates were replaced since the
    /// last time.
    pub fn take(&self, into: &mut Vec<Update>) -> u64 {
        let mut state = self.state.lock();
        if into.is_empty() {
            std::mem::swap(into, &mut state.updates);
        } else {
            into.append(&mut state.updates);
        }
        state.overflow = FxHashMap::default();
        std::mem::take(&mut state.conflated)
    }

    /// Waits for a post. One that came before is not missed.
    ///
    /// # Cancel Safety
    /// A post that is not returned stays.
    pub async fn filled(&self) {
        self.notify.notified().await;
    }
}

impl State {
    fn post(&mut self, update: Update) {
        if self.updates.len() < QUEUE_LIMIT || update.only.is_some() {
            self.updates.push(update);
            return;
        }
        let next = self.updates.len();
        let place = *self.overflow.entry(update.key).or_insert(next);
        if let Some(waiting) = self.updates.get_mut(place) {
            let missed = waiting.missed.saturating_add(1).saturating_add(update.missed);
            *waiting = Update { missed, ..update };
            self.conflated += 1;
        } else {
            self.updates.push(update);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DepthClass, InstrumentId, Mode, Variant};

    fn update(instrument: u32, frame: &str) -> Update {
        let variant = Variant::new(Mode::Ltp, DepthClass::Five, false);
        Update {
            key: Key { instrument: InstrumentId(instrument), variant },
            frame: frame.into(),
            only: None,
            missed: 0,
            times: Times::default(),
        }
    }

    #[test]
    fn a_shard_that_is_behind_finds_the_newest_of_each_key() {
        let mailbox = Mailbox::default();
        let mut first: Vec<Update> = (0..QUEUE_LIMIT).map(|_| update(1, "old")).collect();
        mailbox.post(&mut first);
        for round in 0..3 {
            mailbox.post(&mut vec![update(1, &format!("a{round}")), update(2, &format!("b{round}"))]);
        }
        let mut snapshot = update(1, "snapshot");
        snapshot.only = Some(SessionId(9));
        mailbox.post(&mut vec![snapshot]);
        let mut taken = Vec::new();
        assert_eq!(mailbox.take(&mut taken), 4);
        let tail: Vec<&str> = taken.iter().skip(QUEUE_LIMIT).map(|update| update.frame.as_str()).collect();
        assert_eq!(tail, ["a2", "b2", "snapshot"]);
        let missed: Vec<u32> = taken.iter().skip(QUEUE_LIMIT).map(|update| update.missed).collect();
        assert_eq!(missed, [2, 2, 0]);
        assert_eq!(mailbox.take(&mut Vec::new()), 0);
    }

    #[test]
    fn a_post_wakes_the_shard_and_nothing_else_does() {
        let is_filled = |mailbox: &Mailbox| {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            std::pin::pin!(mailbox.filled()).poll(&mut context).is_ready()
        };
        let mailbox = Mailbox::default();
        mailbox.post(&mut Vec::new());
        assert!(!is_filled(&mailbox));
        mailbox.post(&mut vec![update(1, "a")]);
        assert!(is_filled(&mailbox) && !is_filled(&mailbox));
    }

    #[test]
    fn places_of_what_was_taken_are_forgotten_and_what_it_missed_is_counted() {
        let mailbox = Mailbox::default();
        for order in [[1, 2], [2, 1]] {
            mailbox.post(&mut (0..QUEUE_LIMIT).map(|_| update(9, "old")).collect());
            mailbox.post(&mut order.map(|instrument| update(instrument, "a")).to_vec());
            mailbox.post(&mut vec![Update { missed: 3, ..update(1, "b") }]);
            let mut taken = vec![update(8, "before")];
            assert_eq!(mailbox.take(&mut taken), 1);
            assert_eq!(taken[0].frame.as_str(), "before", "what was there stays in front");
            let tail = taken.iter().skip(1 + QUEUE_LIMIT);
            let seen: Vec<_> = tail.map(|update| (update.key.instrument.0, update.missed)).collect();
            assert_eq!(seen, order.map(|instrument| (instrument, if instrument == 1 { 4 } else { 0 })));
        }
    }
}
