//! A shard: one thread with a current-thread runtime, its sessions, and its part of the subscription index.
//!
//! Everything in here belongs to that one thread: no locks, no atomics on the way of a tick to a session's outbox. Other
//! threads reach a shard through its [`Mailbox`] (ticks) and its inbox of [`ShardCommand`]s.

use std::{
    cell::{Cell, RefCell},
    net::{SocketAddr, TcpStream as StdTcpStream},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustc_hash::FxHashMap;
use tokio::task::LocalSet;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::{
    accounts::{KeyId, UserName},
    inbox::Inbox,
    index::{Index, Inserted, Removed},
    listener::Admission,
    mailbox::{Mailbox, SessionId, Update},
    metrics::FeedCounters,
    model::{InstrumentId, Mode},
    outbox::{Key, Offered},
    protocol::codes::CloseReason,
    router::{self, RouterHandle},
    session::{self, Notice, SessionContext, SessionRef},
};

/// Offers to sessions between two pauses in which the sessions write: bounds the time that a flood holds the thread.
const OFFERS_PER_TURN: usize = 8_192;

/// Order updates that a shard may have waiting; more are counted and lost.
const ORDER_LIMIT: usize = 8_192;

/// What other threads ask of a shard.
#[derive(Debug)]
pub enum ShardCommand {
    /// A new connection.
    Accept(Arrival),
    /// These keys are revoked: their sessions must close.
    Revoke(Arc<[KeyId]>),
    /// An order update for every session of the user that asked for them.
    Order {
        /// The user.
        user: UserName,
        /// The encoded message.
        frame: Utf8Bytes,
    },
    /// The broker refused an instrument after it had been acknowledged.
    Failed {
        /// The instrument.
        instrument: InstrumentId,
        /// The only mode that is concerned, or all of them.
        mode: Option<Mode>,
        /// Why, in the broker's words.
        message: Arc<str>,
    },
    /// The account of this user has moved to another feed.
    Moved {
        /// The user.
        user: UserName,
    },
    /// Close every session, then end.
    Drain,
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Arrival {
    /// The socket, non-blocking.
    pub stream: StdTcpStream,
    /// The other end.
    pub peer: SocketAddr,
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

    /// Sends an order update; false when the shard is too far behind to take it.
    pub fn offer_order(&self, user: &UserName, frame: &Utf8Bytes) -> bool {
        let command = ShardCommand::Order { user: user.clone(), frame: frame.clone() };
        self.commands.try_push(command, ORDER_LIMIT).is_ok()
    }
}

/// What the sessions of a shard share.
#[derive(Debug)]
pub struct Shard {
    number: usize,
    handle: Arc<ShardHandle>,
    router: RouterHandle,
    index: RefCell<Index<SessionRef, Arc<FeedCounters>>>,
    sessions: RefCell<FxHashMap<SessionId, SessionRef>>,
    next_session: Cell<u64>,
    is_draining: Cell<bool>,
}

/// Runs a shard until it was told to drain and its sessions have ended.
pub async fn run(
    number: usize,
    handle: Arc<ShardHandle>,
    router: RouterHandle,
    context: Arc<SessionContext>,
) {
    let shard = Rc::new(Shard {
        number,
        handle,
        router,
        index: RefCell::default(),
        sessions: RefCell::default(),
        next_session: Cell::new(0),
        is_draining: Cell::new(false),
    });
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
        shard.handle.mailbox.filled().await;
        context.counters.conflated_mailbox.add(shard.handle.mailbox.take(&mut updates));
        let mut offers = 0;
        for update in updates.drain(..) {
            offers += shard.offer(update);
            if offers >= OFFERS_PER_TURN {
                offers = 0;
                tokio::task::yield_now().await;
            }
        }
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
                ShardCommand::Revoke(keys) => {
                    shard
                        .notify(|session| session.uses_key(&keys), || Notice::Close(CloseReason::KeyRevoked));
                }
                ShardCommand::Moved { user } => {
                    shard.notify(|session| session.is_user(&user), || Notice::Moved);
                }
                ShardCommand::Order { user, frame } => {
                    let sessions = shard.sessions.borrow();
                    sessions
                        .values()
                        .filter(|session| session.is_user(&user) && session.wants_orders())
                        .for_each(|session| session.push_control(frame.clone()));
                }
                ShardCommand::Failed { instrument, mode, message } => {
                    shard.notify(
                        |session| session.holds(instrument),
                        || Notice::Failed(instrument, mode, Arc::clone(&message)),
                    );
                }
                ShardCommand::Drain => {
                    shard.is_draining.set(true);
                    shard.notify(|_| true, || Notice::Close(CloseReason::ShuttingDown));
                }
            }
        }
        if shard.is_draining.get() {
            while !shard.sessions.borrow().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            return;
        }
    }
}

impl Shard {
    /// Gives a frame to everybody who gets it; returns how many that were.
    fn offer(&self, update: Update) -> usize {
        let index = self.index.borrow();
        let Some((subscribers, counters)) = index.subscribers(update.key) else { return 1 };
        let Update { key, frame, only } = update;
        let mut conflated = 0;
        let mut offered = 0;
        if let Some(id) = only {
            if let Some(session) = subscribers.iter().find(|session| session.id() == id) {
                offered = 1;
                conflated = usize::from(session.offer(key, frame) == Offered::Conflated);
            }
        } else {
            offered = subscribers.len();
            for session in subscribers {
                conflated += usize::from(session.offer(key, frame.clone()) == Offered::Conflated);
            }
            counters.fanned.add(1);
        }
        counters.offered.add(offered as u64);
        if conflated > 0 {
            counters.conflated_outbox.add(conflated as u64);
        }
        offered.max(1)
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
        if self.sessions.borrow_mut().remove(&session.id()).is_some() {
            self.handle.sessions.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// A session holds a key from now on, and gets a snapshot if a value is known.
    pub(crate) fn attach(&self, key: Key, session: &SessionRef, counters: &Arc<FeedCounters>) {
        let inserted = self.index.borrow_mut().insert(key, session.clone(), || Arc::clone(counters));
        match inserted {
            Inserted::Already => return,
            Inserted::FirstOfKey => {
                self.handle.keys.fetch_add(1, Ordering::Relaxed);
            }
            Inserted::Another => {}
        }
        self.router.send(router::Command::Attach { shard: self.number, key, session: session.id() });
    }

    /// A session does not hold a key any more.
    pub(crate) fn detach(&self, key: Key, session: &SessionRef) {
        if self.index.borrow_mut().remove(key, session) == Removed::LastOfKey {
            self.handle.keys.fetch_sub(1, Ordering::Relaxed);
            self.router.send(router::Command::Detach { shard: self.number, key });
        }
    }
}
