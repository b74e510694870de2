//! A shard: one thread with a current-thread runtime, its sessions, and its part of the subscription index.
//!
//! Everything in here belongs to that one thread: no locks, no atomics on the way of a tick to a session's
//! outbox. Other threads reach a shard through its [`Mailbox`](tickhost_core::mailbox::Mailbox) (ticks) and
//! its inbox of [`ShardCommand`]s.
//!
//! [`Shard`] reads no clock and waits for nothing: [`run`] does, and hands in the time. It knows of a session
//! what stands in its [`Seat`], and nothing of what serves one.

mod followers;
mod handle;
mod idle;
mod offers;
mod pace;
mod rhythm;
mod run;
mod subscribers;
mod survey;

use std::{
    cell::{Cell, RefCell},
    sync::{Arc, atomic::Ordering},
};

use rustc_hash::FxHashMap;
use tickhost_core::{
    index::Index,
    mailbox::{SessionId, Times, Update},
    metrics::{FeedCounters, ServerCounters},
    protocol::codes::CloseReason,
    router::RouterHandle,
    throttle::Nanos,
};

use self::{
    followers::Followers,
    offers::Offers,
    pace::{Paced, Pacer},
    rhythm::Rhythm,
    subscribers::Subscriber,
};
pub use self::{
    handle::{Arrival, ShardCommand, ShardHandle},
    idle::{on_park, on_unpark},
    run::run,
    survey::{Survey, Surveyed},
};
use crate::{
    base::clock::Moment,
    clients::seat::{Notice, Seat},
    feeds::{bulletin::Bulletin, feed::Feed},
};

/// Offers to sessions between two pauses in which the sessions write: bounds the time that a flood holds the
/// thread.
const OFFERS_PER_TURN: usize = 8_192;

/// Sessions for which a shard keeps room.
const SPARE_SESSIONS: usize = 1_024;

/// What the sessions of a shard share.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    handle: Arc<ShardHandle>,
    router: RouterHandle,
    index: RefCell<Index<Subscriber, Arc<FeedCounters>>>,
    pacer: RefCell<Pacer>,
    rhythm: Rhythm,
    sessions: RefCell<FxHashMap<SessionId, Seat>>,
    followers: Followers,
    next_session: Cell<u64>,
    is_draining: Cell<bool>,
    counters: Arc<ServerCounters>,
}

impl Shard {
    pub(crate) fn new(
        number: usize,
        handle: Arc<ShardHandle>,
        router: RouterHandle,
        counters: Arc<ServerCounters>,
    ) -> Self {
        Self {
            number,
            handle,
            router,
            index: RefCell::default(),
            pacer: RefCell::default(),
            rhythm: Rhythm::default(),
            sessions: RefCell::default(),
            followers: Followers::default(),
            next_session: Cell::new(0),
            is_draining: Cell::new(false),
            counters,
        }
    }

    /// Offers updates to sessions at `now` until a turn is full. True when updates may be left: the sessions
    /// are to write before the next turn, after [`Self::advance`].
    pub(crate) fn deliver(&self, now: Nanos, updates: &mut impl Iterator<Item = Update>) -> bool {
        let mut offers = 0;
        for update in updates {
            offers += self.offer(now, update);
            if offers >= OFFERS_PER_TURN {
                return true;
            }
        }
        false
    }

    /// Does what is due at `now`: gives those who asked for fewer updates theirs, and lets those write who
    /// wait for the beat. `idle` is how long the thread had nothing to do since it began.
    pub(crate) fn advance(&self, now: Nanos, idle: Nanos) {
        self.pace(now);
        self.rhythm.turn(now, idle);
    }

    /// When [`Self::advance`] has to be called next although no update comes.
    pub(crate) fn next_due(&self) -> Option<Nanos> {
        [self.pacer.borrow().next_due(), self.rhythm.next_due()].into_iter().flatten().min()
    }

    /// Refuses new sessions, and ends those that are there.
    pub(crate) fn drain(&self) {
        self.is_draining.set(true);
        self.notify(|_| true, || Notice::Close(CloseReason::ShuttingDown));
    }

    /// Whether no session is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.borrow().is_empty()
    }

    /// Hands what a feed or an account has to say to the sessions that it concerns.
    pub(crate) fn announce(&self, bulletin: Bulletin) {
        match bulletin {
            Bulletin::Revoke(keys) => {
                self.notify(|session| session.uses_key(&keys), || Notice::Close(CloseReason::KeyRevoked));
            }
            Bulletin::Moved { user } => {
                self.notify(|session| session.is_user(&user), || Notice::Moved);
            }
            Bulletin::Order { user, frame } => {
                let sessions = self.sessions.borrow();
                let readers =
                    sessions.values().filter(|session| session.is_user(&user) && session.wants_orders());
                let dropped = readers.filter(|session| !session.push_order(frame.clone())).count();
                self.counters.orders_dropped.add(dropped as u64);
            }
            Bulletin::Failed { instrument, mode, number, message } => {
                self.notify(
                    |session| session.may_hold(instrument),
                    || Notice::Failed(instrument, mode, number, Arc::clone(&message)),
                );
            }
            Bulletin::Lost { instrument, message } => {
                self.notify(
                    |session| session.may_hold(instrument),
                    || Notice::Lost(instrument, Arc::clone(&message)),
                );
            }
            Bulletin::Waiting { instruments, message } => {
                self.notify(Seat::wants_news, || {
                    Notice::Waiting(Arc::clone(&instruments), Arc::clone(&message))
                });
            }
            Bulletin::FeedStatus { feed, number, frame } => {
                self.followers.tell(feed, number, &frame);
            }
        }
    }

    /// Gives a frame to everybody who gets it; returns how many that were.
    fn offer(&self, now: Nanos, update: Update) -> usize {
        let index = self.index.borrow();
        let Some((subscribers, counters)) = index.subscribers(update.key) else {
            self.counters.unclaimed.add(u64::from(update.only.is_none()));
            return 1;
        };
        let Update { key, frame, only, missed, times } = update;
        let wake = |waker| self.rhythm.wake(waker);
        let mut offers = Offers::default();
        if let Some(id) = only {
            let session = self.sessions.borrow().get(&id).cloned();
            if let Some(session) = session.filter(|session| self.subscriber_of(key, session).is_some()) {
                offers.count(session.offer(key, frame, missed, times, wake));
            }
        } else {
            for subscriber in subscribers {
                match subscriber {
                    Subscriber::Session(session) => {
                        session.note_live(key);
                        offers.count(session.offer(key, frame.clone(), missed, times, wake));
                    }
                    Subscriber::Group(group) => {
                        let paced = self.pacer.borrow_mut().offer(group, frame.clone(), now);
                        match paced {
                            Paced::Due(frame) => {
                                group.each(|session| {
                                    session.note_live(key);
                                    offers.count(session.offer(key, frame.clone(), 0, times, wake));
                                });
                            }
                            Paced::Waiting => {}
                            Paced::Replaced => counters.conflated_max_rate.add(1),
                        }
                    }
                }
            }
            counters.fanned.add(1);
        }
        offers.settle(counters);
        offers.offered.max(1)
    }

    /// Gives the groups that asked for fewer updates what is due.
    fn pace(&self, now: Nanos) {
        if self.pacer.borrow().is_empty() {
            return;
        }
        let index = self.index.borrow();
        let wake = |waker| self.rhythm.wake(waker);
        self.pacer.borrow_mut().advance(now, |group, key, frame| {
            let Some((_, counters)) = index.subscribers(key) else { return };
            let mut offers = Offers::default();
            group.each(|session| {
                session.note_live(key);
                // It waited as long as its clients asked for, which measures nothing.
                offers.count(session.offer(key, frame.clone(), 0, Times::default(), wake));
            });
            offers.settle(counters);
        });
    }

    fn notify(&self, wanted: impl Fn(&Seat) -> bool, notice: impl Fn() -> Notice) {
        self.sessions.borrow().values().filter(|session| wanted(session)).for_each(|session| {
            session.notify(notice());
        });
    }

    /// An identity for a new session.
    pub(crate) fn next_session_id(&self) -> SessionId {
        let count = self.next_session.get() + 1;
        self.next_session.set(count);
        SessionId((count << 8) | self.number as u64)
    }

    /// Whether new sessions are refused.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// A session begins.
    pub(crate) fn enter(&self, session: &Seat) {
        self.sessions.borrow_mut().insert(session.id(), session.clone());
        self.handle.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// A session has ended and holds nothing any more.
    pub(crate) fn leave(&self, session: &Seat) {
        self.follow(session, None);
        let mut sessions = self.sessions.borrow_mut();
        if sessions.remove(&session.id()).is_some() {
            self.handle.sessions.fetch_sub(1, Ordering::Relaxed);
        }
        // A peak must not keep its memory for ever.
        if sessions.capacity() > SPARE_SESSIONS && sessions.len() < sessions.capacity() / 8 {
            let room = sessions.len() * 2;
            sessions.shrink_to(room);
        }
    }

    /// A session is told of the state of this feed, at this moment and whenever it changes; or of none any
    /// more.
    pub(crate) fn follow(&self, session: &Seat, feed: Option<(&Feed, Moment)>) {
        self.followers.follow(session, feed);
    }
}

#[cfg(test)]
mod tests;
