//! What a session holds and gives up, some subscriptions at a time: all sessions of a shard share its thread, so a request for
//! thousands is done in turns, between which the others are served.
//!
//! While something is left to do nothing more is read from the client, so its requests are still handled strictly in order.

use std::{rc::Rc, sync::Arc, vec};

use bytes::Bytes;
use rustc_hash::FxHashSet;
use tickhost_core::{
    model::{Key, MaxRate},
    outbox::GapNames,
    protocol::request::RequestId,
};

use super::{Session, held::Name, requests::Done};

/// Subscriptions that are begun or ended in one turn: a fraction of a millisecond.
const TURN: usize = 256;

/// A subscription that the feed has granted.
#[derive(Debug)]
pub(super) struct Granting {
    pub(super) name: Name,
    pub(super) key: Key,
    pub(super) rate: Option<MaxRate>,
}

/// What a large request still has to do.
#[derive(Debug, Default)]
pub(super) enum Rest {
    #[default]
    Nothing,
    /// Subscriptions of this request that are granted and acknowledged.
    Hold(vec::IntoIter<Granting>, Rc<RequestId>),
    /// Subscriptions that are held no more, and the acknowledgement that follows their end.
    GiveUp(vec::IntoIter<Key>, Bytes),
}

impl Session {
    /// Does the first turn, and leaves the rest to the next ones.
    pub(super) fn begin(&mut self, rest: Rest) {
        self.rest = rest;
        self.take_turn();
    }

    /// Does a turn of what is left.
    pub(super) fn take_turn(&mut self) {
        if self.work(TURN) {
            self.pending = Some(Box::pin(async {
                tokio::task::yield_now().await;
                Done::Yielded
            }));
        }
    }

    /// Does at once what is left: what comes next is about subscriptions that are in it.
    pub(super) fn finish_turns(&mut self) {
        self.work(usize::MAX);
    }

    /// Gives everything back, without a word, at the end of the session.
    pub(super) async fn leave(&mut self) {
        // What was granted is not begun any more.
        if let Rest::Hold(granted, _) = &mut self.rest {
            let granted: Vec<Key> = granted.map(|granting| granting.key).collect();
            if let Some(feed) = self.identity.feed() {
                feed.release(granted);
            }
        }
        while self.work(TURN) {
            tokio::task::yield_now().await;
        }
        let all = self.held.remove_all();
        let keys: Vec<Key> = all.into_iter().flat_map(|(_, keys)| keys).collect();
        for keys in keys.chunks(TURN) {
            self.give_up(keys.to_vec());
            tokio::task::yield_now().await;
        }
    }

    /// Gives everything back at once, without a word.
    pub(super) fn give_up_everything(&mut self) {
        self.finish_turns();
        let all = self.held.remove_all();
        self.give_up(all.into_iter().flat_map(|(_, keys)| keys).collect());
    }

    /// Begins or ends so many subscriptions at most; true if more are left.
    fn work(&mut self, at_most: usize) -> bool {
        match std::mem::take(&mut self.rest) {
            Rest::Nothing => {}
            Rest::Hold(mut granted, request) => {
                for Granting { name, key, rate } in granted.by_ref().take(at_most) {
                    self.await_tick(key, &name, &request);
                    self.hold(name, key, rate);
                }
                if granted.len() > 0 {
                    self.rest = Rest::Hold(granted, request);
                    return true;
                }
                self.held.settle();
            }
            Rest::GiveUp(mut keys, acknowledgement) => {
                self.give_up(keys.by_ref().take(at_most).collect());
                if keys.len() > 0 {
                    self.rest = Rest::GiveUp(keys, acknowledgement);
                    return true;
                }
                self.send(acknowledgement);
            }
        }
        false
    }

    /// Notes a granted subscription, and gets its frames from now on.
    pub(super) fn hold(&mut self, name: Name, key: Key, rate: Option<MaxRate>) {
        let Some(feed) = self.identity.feed().cloned() else { return };
        if key.variant.is_lossless() {
            let symbol = name.full_symbol().into();
            self.me.expect_lossless(key, GapNames { exchange: Arc::clone(&name.exchange), symbol });
        }
        match self.held.insert(name, key.instrument, key.variant) {
            // Held already: the grant was one too many. The rate may be another.
            Some(before) if before == key => {
                feed.release(vec![key]);
                self.set_rate(key, rate);
            }
            Some(before) => {
                self.attach(key, rate);
                self.detach(&[before]);
                feed.release(vec![before]);
            }
            None => self.attach(key, rate),
        }
    }

    /// Ends these streams: nothing of them is sent any more, not even what waits.
    pub(super) fn give_up(&mut self, keys: Vec<Key>) {
        self.detach(&keys);
        if let Some(feed) = self.identity.feed() {
            feed.release(keys);
        }
    }

    fn attach(&self, key: Key, rate: Option<MaxRate>) {
        self.me.note_held(key.instrument);
        self.set_rate(key, rate);
    }

    fn set_rate(&self, key: Key, rate: Option<MaxRate>) {
        if let Some(counters) = self.identity.counters() {
            self.shard.attach(key, rate, &self.me, counters);
        }
    }

    pub(super) fn detach(&mut self, keys: &[Key]) {
        if keys.is_empty() {
            return;
        }
        for key in keys {
            self.forget_news(*key);
            self.shard.detach(*key, &self.me);
            self.me.note_released(key.instrument);
        }
        let gone: FxHashSet<Key> = keys.iter().copied().collect();
        let discarded = self.me.discard(|key| gone.contains(&key));
        if let Some(counters) = self.identity.counters() {
            counters.discarded.add(discarded as u64);
        }
    }
}
