//! Who of a shard gets the frames of a key, and at which rate.

use std::{
    hash::{Hash, Hasher},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
};

use tickhost_core::{
    index::{Inserted, Removed},
    metrics::FeedCounters,
    model::{Key, MaxRate},
    router,
};

use super::{Shard, pace::Group};
use crate::clients::seat::Seat;

/// Who gets the frames of a key.
#[derive(Clone, Debug)]
pub(super) enum Subscriber {
    /// One that gets all of them.
    Session(Seat),
    /// Several that get some of them.
    Group(Rc<Group>),
}

impl Subscriber {
    /// The rate that was asked for, if one was.
    fn rate(&self) -> Option<MaxRate> {
        match self {
            Self::Session(_) => None,
            Self::Group(group) => Some(group.rate()),
        }
    }
}

impl Eq for Subscriber {}

impl Hash for Subscriber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Session(session) => session.hash(state),
            Self::Group(group) => Rc::as_ptr(group).hash(state),
        }
    }
}

impl PartialEq for Subscriber {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session(one), Self::Session(other)) => one == other,
            (Self::Group(one), Self::Group(other)) => Rc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Shard {
    /// A session holds a key from now on, and gets a snapshot if a value is known. One that held it already
    /// at another rate gets it at this one.
    pub(crate) fn attach(
        &self,
        key: Key,
        rate: Option<MaxRate>,
        session: &Seat,
        counters: &Arc<FeedCounters>,
    ) {
        let before = self.subscriber_of(key, session);
        if before.as_ref().is_some_and(|before| before.rate() == rate) {
            return;
        }
        let subscriber = match rate {
            None => Subscriber::Session(session.clone()),
            Some(rate) => Subscriber::Group(self.pacer.borrow_mut().join(key, rate, session)),
        };
        let inserted = self.index.borrow_mut().insert(key, subscriber, || Arc::clone(counters));
        if let Some(before) = before {
            self.leave_subscriber(key, &before, session);
            return;
        }
        if inserted == Inserted::FirstOfKey {
            self.handle.keys.fetch_add(1, Ordering::Relaxed);
        }
        self.router.send(router::Command::Attach { shard: self.number, key, session: session.id() });
    }

    /// A session does not hold a key any more.
    pub(crate) fn detach(&self, key: Key, session: &Seat) {
        let Some(subscriber) = self.subscriber_of(key, session) else { return };
        if self.leave_subscriber(key, &subscriber, session) == Removed::LastOfKey {
            self.handle.keys.fetch_sub(1, Ordering::Relaxed);
            self.router.send(router::Command::Detach { shard: self.number, key });
        }
    }

    /// The rate at which a session holds a key, if it asked for one.
    pub(crate) fn rate_of(&self, key: Key, session: &Seat) -> Option<MaxRate> {
        self.subscriber_of(key, session)?.rate()
    }

    /// What a session is in the index.
    pub(super) fn subscriber_of(&self, key: Key, session: &Seat) -> Option<Subscriber> {
        if let Some(group) = self.pacer.borrow().group_of(key, session) {
            return Some(Subscriber::Group(Rc::clone(group)));
        }
        let alone = Subscriber::Session(session.clone());
        self.index.borrow().contains(key, &alone).then_some(alone)
    }

    fn leave_subscriber(&self, key: Key, subscriber: &Subscriber, session: &Seat) -> Removed {
        if let Subscriber::Group(group) = subscriber
            && !self.pacer.borrow_mut().leave(group, session)
        {
            return Removed::OthersRemain;
        }
        self.index.borrow_mut().remove(key, subscriber)
    }
}
