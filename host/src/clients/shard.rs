//! A shard: one thread with a current-thread runtime, its sessions, and its part of the subscription index.
//!
//! Everything in here belongs to that one thread: no locks, no atomics on the way of a tick to a session's outbox. Other
//! threads reach a shard through its [`Mailbox`] (ticks) and its inbox of [`ShardCommand`]s.

mod followers;
mod offers;
mod pace;
mod rhythm;
mod survey;

use std::{
    cell::{Cell, RefCell},
    hash::{Hash, Hasher},
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use tickhost_core::{
    inbox::{Inbox, KEPT_MESSAGES},
    index::{Index, Inserted, Removed},
    mailbox::{Mailbox, SessionId, Times, Update},
    metrics::{FeedCounters, ServerCounters},
    model::{Key, MaxRate},
    protocol::{Frame, codes::CloseReason},
    router::{self, RouterHandle},
};
use tokio::task::LocalSet;

use self::{
    followers::Followers,
    offers::Offers,
    pace::{Group, Paced, Pacer},
    rhythm::Rhythm,
};
pub use self::{
    rhythm::{on_park, on_unpark},
    survey::{Survey, Surveyed},
};
use crate::{
    accounts::UserName,
    base::clock::Clock,
    clients::{
        admissions::Admission,
        session::{self, Notice, SessionContext, SessionRef},
        tls::Incoming,
    },
    feeds::{
        bulletin::{Bulletin, Recipient},
        feed::Feed,
    },
};

/// Offers to sessions between two pauses in which the sessions write: bounds the time that a flood holds the thread.
const OFFERS_PER_TURN: usize = 8_192;

/// Order updates that a shard may have waiting; more are counted and lost.
const ORDER_LIMIT: usize = 8_192;

/// Sessions for which a shard keeps room.
const SPARE_SESSIONS: usize = 1_024;

/// What other threads ask of a shard.
#[derive(Debug)]
pub enum ShardCommand {
    /// A new connection.
    Accept(Arrival),
    /// News of the feeds and accounts for the sessions.
    News(Bulletin),
    /// What the operator wants to know of the sessions.
    Survey(Survey),
    /// Close every session, then end.
    Drain,
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Arrival {
    /// The connection, encrypted or not.
    pub stream: Incoming,
    /// The other end.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub since: Instant,
    /// Its place among the connections, given back when dropped; or why there is none.
    pub admission: Result<Admission, CloseReason>,
    /// The place of one that is only told why it is refused.
    pub refusal: Option<Admission>,
}

/// How other threads reach a shard.
#[derive(Debug)]
pub struct ShardHandle {
    /// Ticks.
    pub mailbox: Arc<Mailbox>,
    /// Everything else. Bounded by what can be said: connections are admitted, order updates limited.
    pub commands: Inbox<ShardCommand>,
    /// Sessions at the moment.
    pub sessions: AtomicUsize,
    /// Keys that somebody holds at the moment.
    pub keys: AtomicUsize,
}

impl ShardHandle {
    /// A handle to a shard yet to be started.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            mailbox: Arc::default(),
            commands: Inbox::default(),
            sessions: AtomicUsize::new(0),
            keys: AtomicUsize::new(0),
        })
    }
}

impl Recipient for ShardHandle {
    fn tell(&self, bulletin: Bulletin) {
        self.commands.push(ShardCommand::News(bulletin));
    }

    fn offer_order(&self, user: &UserName, frame: &Frame) -> bool {
        let order = Bulletin::Order { user: user.clone(), frame: frame.clone() };
        self.commands.try_push(ShardCommand::News(order), ORDER_LIMIT).is_ok()
    }
}

/// What the sessions of a shard share.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    handle: Arc<ShardHandle>,
    router: RouterHandle,
    index: RefCell<Index<Subscriber, Arc<FeedCounters>>>,
    pacer: RefCell<Pacer>,
    rhythm: Rhythm,
    clock: Clock,
    sessions: RefCell<FxHashMap<SessionId, SessionRef>>,
    followers: Followers,
    next_session: Cell<u64>,
    is_draining: Cell<bool>,
}

/// Who gets the frames of a key.
#[derive(Clone, Debug)]
enum Subscriber {
    /// One that gets all of them.
    Session(SessionRef),
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

/// Runs a shard until it was told to drain and its sessions have ended.
pub async fn run(
    number: usize,
    handle: Arc<ShardHandle>,
    router: RouterHandle,
    context: Arc<SessionContext>,
) {
    let shard = Rc::new(Shard::new(number, handle, router));
    let deliver = deliver(Rc::clone(&shard), Arc::clone(&context));
    let obey = obey(shard, context);
    // The set looks at this future before each few dozen sessions, so that new ticks do not queue behind all of those
    // that are still to write the last ones: they find more to write, and write it at once.
    let before_sessions = async {
        tokio::select! {
            biased;
            () = obey => {}
            () = deliver => {}
        }
    };
    LocalSet::new().run_until(before_sessions).await;
}

/// Never ends.
async fn deliver(shard: Rc<Shard>, context: Arc<SessionContext>) {
    let mut updates = Vec::new();
    loop {
        let due = [shard.pacer.borrow().next_due(), shard.rhythm.next_due()].into_iter().flatten().min();
        let due = due.map(|due| shard.clock.instant_of(due));
        tokio::select! {
            biased;
            () = shard.handle.mailbox.filled() => {}
            () = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
        context.counters.conflated_mailbox.add(shard.handle.mailbox.take(&mut updates));
        let mut offers = 0;
        for update in updates.drain(..) {
            offers += shard.offer(update, &context.counters);
            if offers >= OFFERS_PER_TURN {
                offers = 0;
                // Those who wait for the beat must be among those who now write, or a long batch fills their outboxes.
                shard.rhythm.turn(shard.clock.nanos(), rhythm::idle_nanos());
                tokio::task::yield_now().await;
            }
        }
        shard.pace();
        shard.rhythm.turn(shard.clock.nanos(), rhythm::idle_nanos());
        // A burst must not keep its memory for ever.
        updates.shrink_to(4_096);
    }
}

async fn obey(shard: Rc<Shard>, context: Arc<SessionContext>) {
    let mut commands = Vec::new();
    loop {
        shard.handle.commands.filled().await;
        shard.handle.commands.take(&mut commands);
        for command in commands.drain(..) {
            match command {
                ShardCommand::Accept(arrival) => {
                    tokio::task::spawn_local(session::run(Rc::clone(&shard), Arc::clone(&context), arrival));
                }
                ShardCommand::News(bulletin) => shard.hear(bulletin, &context),
                ShardCommand::Survey(survey) => shard.answer(survey),
                ShardCommand::Drain => {
                    shard.is_draining.set(true);
                    shard.notify(|_| true, || Notice::Close(CloseReason::ShuttingDown));
                }
            }
        }
        commands.shrink_to(KEPT_MESSAGES);
        if shard.is_draining.get() {
            while !shard.sessions.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            return;
        }
    }
}

impl Shard {
    fn new(number: usize, handle: Arc<ShardHandle>, router: RouterHandle) -> Self {
        Self {
            number,
            handle,
            router,
            index: RefCell::default(),
            pacer: RefCell::default(),
            rhythm: Rhythm::default(),
            clock: Clock::start(),
            sessions: RefCell::default(),
            followers: Followers::default(),
            next_session: Cell::new(0),
            is_draining: Cell::new(false),
        }
    }

    /// Hands what a feed or an account has to say to the sessions that it concerns.
    fn hear(&self, bulletin: Bulletin, context: &SessionContext) {
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
                context.counters.orders_dropped.add(dropped as u64);
            }
            Bulletin::Failed { instrument, mode, message } => {
                self.notify(
                    |session| session.holds(instrument),
                    || Notice::Failed(instrument, mode, Arc::clone(&message)),
                );
            }
            Bulletin::Lost { instrument, message } => {
                self.notify(
                    |session| session.holds(instrument),
                    || Notice::Lost(instrument, Arc::clone(&message)),
                );
            }
            Bulletin::Waiting { instruments, message } => {
                self.notify(SessionRef::wants_news, || {
                    Notice::Waiting(Arc::clone(&instruments), Arc::clone(&message))
                });
            }
            Bulletin::FeedStatus { feed, number, frame } => {
                self.followers.tell(feed, number, &frame);
            }
        }
    }

    /// Gives a frame to everybody who gets it; returns how many that were.
    fn offer(&self, update: Update, server: &ServerCounters) -> usize {
        let index = self.index.borrow();
        let Some((subscribers, counters)) = index.subscribers(update.key) else {
            server.unclaimed.add(u64::from(update.only.is_none()));
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
                        let paced = self.pacer.borrow_mut().offer(group, frame.clone(), self.clock.nanos());
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
    fn pace(&self) {
        if self.pacer.borrow().is_empty() {
            return;
        }
        let index = self.index.borrow();
        let wake = |waker| self.rhythm.wake(waker);
        self.pacer.borrow_mut().advance(self.clock.nanos(), |group, key, frame| {
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

    fn notify(&self, wanted: impl Fn(&SessionRef) -> bool, notice: impl Fn() -> Notice) {
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
    pub(crate) fn enter(&self, session: &SessionRef) {
        self.sessions.borrow_mut().insert(session.id(), session.clone());
        self.handle.sessions.fetch_add(1, Ordering::Relaxed);
    }

    /// A session has ended and holds nothing any more.
    pub(crate) fn leave(&self, session: &SessionRef) {
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

    /// A session is told of the state of this feed, now and whenever it changes; or of none any more.
    pub(crate) fn follow(&self, session: &SessionRef, feed: Option<&Feed>) {
        self.followers.follow(session, feed);
    }

    /// A session holds a key from now on, and gets a snapshot if a value is known. One that held it already at another
    /// rate gets it at this one.
    pub(crate) fn attach(
        &self,
        key: Key,
        rate: Option<MaxRate>,
        session: &SessionRef,
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
    pub(crate) fn detach(&self, key: Key, session: &SessionRef) {
        let Some(subscriber) = self.subscriber_of(key, session) else { return };
        if self.leave_subscriber(key, &subscriber, session) == Removed::LastOfKey {
            self.handle.keys.fetch_sub(1, Ordering::Relaxed);
            self.router.send(router::Command::Detach { shard: self.number, key });
        }
    }

    /// The rate at which a session holds a key, if it asked for one.
    pub(crate) fn rate_of(&self, key: Key, session: &SessionRef) -> Option<MaxRate> {
        self.subscriber_of(key, session)?.rate()
    }

    /// What a session is in the index.
    fn subscriber_of(&self, key: Key, session: &SessionRef) -> Option<Subscriber> {
        if let Some(group) = self.pacer.borrow().group_of(key, session) {
            return Some(Subscriber::Group(Rc::clone(group)));
        }
        let alone = Subscriber::Session(session.clone());
        self.index.borrow().contains(key, &alone).then_some(alone)
    }

    fn leave_subscriber(&self, key: Key, subscriber: &Subscriber, session: &SessionRef) -> Removed {
        if let Subscriber::Group(group) = subscriber
            && !self.pacer.borrow_mut().leave(group, session)
        {
            return Removed::OthersRemain;
        }
        self.index.borrow_mut().remove(key, subscriber)
    }
}

#[cfg(test)]
mod tests;
