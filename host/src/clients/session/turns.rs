//! What a session holds and gives up, some subscriptions at a time: all sessions of a shard share its thread,
//! so a request for thousands is done in turns, between which the others are served.
//!
//! While something is left to do nothing more is read from the client, so its requests are still handled
//! strictly in order.

use std::{sync::Arc, vec};

use bytes::Bytes;
use rustc_hash::FxHashSet;
use tickhost_core::{
    model::{Key, MaxRate},
    outbox::GapNames,
};

use super::{
    Effects, Session,
    ask::{Ask, Awaited},
};
use crate::{base::clock::Moment, clients::seat::Holding, feeds::feed::Grant};

/// Subscriptions that are begun or ended in one turn: a fraction of a millisecond.
pub(super) const TURN: usize = 256;

/// What a large request still has to do.
#[derive(Debug, Default)]
pub(super) enum Rest {
    #[default]
    Nothing,
    /// Subscriptions of this request that are granted and acknowledged.
    Hold(vec::IntoIter<(Holding, Grant)>),
    /// Subscriptions that are held no more, and the acknowledgement that follows their end.
    Release(vec::IntoIter<Key>, Option<Bytes>),
}

impl Session {
    /// Does the first turn, and leaves the rest to the next ones.
    pub(super) fn begin_turns(&mut self, now: Moment, rest: Rest) {
        self.seat.set_beginning(matches!(rest, Rest::Hold(_)));
        self.rest = rest;
        self.go_on(now);
    }

    /// Does a turn of what is left.
    pub(super) fn go_on(&mut self, now: Moment) {
        if self.take_turn(now) {
            self.ask(Ask::Turn, Awaited::Turn);
        }
    }

    /// Does at once what is left: what comes next is about subscriptions that are in it.
    pub(super) fn finish_turns(&mut self, now: Moment) {
        self.work(now, usize::MAX);
    }

    /// The session has ended: what it holds is to be given back without a word, in turns by
    /// [`Self::take_turn`]. Nothing is waited for any more.
    pub(super) fn leave(&mut self) {
        (self.awaited, self.effects) = (None, Effects::default());
        let mut keys = Vec::new();
        match std::mem::take(&mut self.rest) {
            Rest::Nothing => {}
            // What was granted is not begun any more.
            Rest::Hold(granted) => {
                self.release_grants(granted.map(|(holding, grant)| holding.key(grant.instrument)).collect());
            }
            Rest::Release(rest, _) => keys.extend(rest),
        }
        let all = self.seat.holdings().remove_all();
        keys.extend(all.into_iter().flat_map(|(_, keys)| keys));
        self.rest = Rest::Release(keys.into_iter(), None);
    }

    /// Gives everything back at once, without a word.
    pub(super) fn release_everything(&mut self, now: Moment) {
        self.finish_turns(now);
        let all = self.seat.holdings().remove_all();
        self.release(all.into_iter().flat_map(|(_, keys)| keys).collect());
    }

    /// Does a turn of what is left; true if there is more.
    pub(super) fn take_turn(&mut self, now: Moment) -> bool {
        self.work(now, TURN)
    }

    /// Begins or ends so many subscriptions at most; true if more are left.
    fn work(&mut self, now: Moment, at_most: usize) -> bool {
        match std::mem::take(&mut self.rest) {
            Rest::Nothing => {}
            Rest::Hold(mut granted) => {
                for (holding, grant) in granted.by_ref().take(at_most) {
                    self.hold(now, holding, grant);
                }
                if granted.len() > 0 {
                    self.rest = Rest::Hold(granted);
                    return true;
                }
                self.seat.set_beginning(false);
                self.seat.holdings().settle();
                self.apply_deferred(now);
            }
            Rest::Release(mut keys, acknowledgement) => {
                self.release(keys.by_ref().take(at_most).collect());
                if keys.len() > 0 {
                    self.rest = Rest::Release(keys, acknowledgement);
                    return true;
                }
                if let Some(acknowledgement) = acknowledgement {
                    self.send(acknowledgement);
                }
            }
        }
        false
    }

    /// Notes a granted subscription, and gets its frames from now on.
    pub(super) fn hold(&mut self, now: Moment, holding: Holding, grant: Grant) {
        let key = holding.key(grant.instrument);
        let Holding { name, rate, request, .. } = holding;
        self.track(now, key, &name, &request);
        if key.variant.is_lossless() {
            let symbol = name.full_symbol().into();
            self.seat.expect_lossless(key, GapNames { exchange: Arc::clone(&name.exchange), symbol });
        }
        let before = self.seat.holdings().note(name, key, grant.failures);
        self.attach(key, rate);
        match before {
            // Held already: the grant was one too many. The rate may be another.
            Some(before) if before == key => self.release_grants(vec![key]),
            Some(before) => self.release(vec![before]),
            None => {}
        }
    }

    /// Ends these streams: nothing of them is sent any more, not even what waits.
    pub(super) fn release(&mut self, keys: Vec<Key>) {
        self.detach(&keys);
        self.release_grants(keys);
    }

    /// Gives grants back to the feed.
    fn release_grants(&self, keys: Vec<Key>) {
        if let Some(feed) = self.identity.feed() {
            feed.release(keys);
        }
    }

    fn attach(&self, key: Key, rate: Option<MaxRate>) {
        if let Some(counters) = self.identity.counters() {
            self.shard.attach(key, rate, &self.seat, counters);
        }
    }

    pub(super) fn detach(&mut self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        for key in keys {
            self.untrack(*key);
            self.shard.detach(*key, &self.seat);
        }
        let gone: FxHashSet<Key> = keys.iter().copied().collect();
        let discarded = self.seat.discard(|key| gone.contains(&key));
        if let Some(counters) = self.identity.counters() {
            counters.discarded.add(discarded as u64);
        }
    }
}
