//! What the shard knows of a session: its outbox, and the notices that others leave for it.

mod drain;
mod first_ticks;
mod holdings;
mod meter;

use std::{
    cell::{Cell, RefCell, RefMut},
    collections::VecDeque,
    hash::{Hash, Hasher},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::Waker,
};

use rustc_hash::FxHashSet;
use tickhost_core::{
    mailbox::{SessionId, Times},
    model::{FeedId, InstrumentId, Key, Mode},
    outbox::{Offered, Outbox, OutboxLimits},
    protocol::codes::CloseReason,
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

pub(crate) use self::holdings::{Holding, Holdings, SymbolName};
pub use self::meter::SessionRow;
use self::{first_ticks::FirstTicks, meter::Meter};
use crate::{
    accounts::{KeyId, UserName},
    clients::memory::Share,
    feeds::feed::Feed,
};

/// Notices that may wait for a session beside two for each subscription that it holds: a session takes them
/// all whenever it has its turn, so only a flood between two turns is more.
pub(crate) const MAX_NOTICES: usize = 16_384;

/// Something that a session has to act on, beside what its client sends.
#[derive(Debug)]
pub enum Notice {
    /// End with this reason.
    Close(CloseReason),
    /// The broker refused an instrument that the session holds. The number is that of the failure.
    Failed(InstrumentId, Option<Mode>, u64, Arc<str>),
    /// The broker's list does not have an instrument any more that the session holds, and goes on to hold.
    Lost(InstrumentId, Arc<str>),
    /// Some of these instruments, if the session holds any, wait for a connection to the broker.
    Waiting(Arc<FxHashSet<InstrumentId>>, Arc<str>),
    /// The user's account has moved to another feed.
    Moved,
}

/// A session as its shard sees it. Cheap to clone; belongs to one thread.
#[derive(Clone, Debug)]
pub struct Seat(Rc<SeatState>);

#[derive(Debug)]
struct SeatState {
    id: SessionId,
    outbox: RefCell<Outbox>,
    notices: RefCell<VecDeque<Notice>>,
    waker: RefCell<Option<Waker>>,
    identity: RefCell<Option<(UserName, KeyId)>>,
    wants_orders: Cell<bool>,
    follows: Cell<Option<Followed>>,
    missed: Cell<u64>,
    /// Order updates that were dropped since the client was told of them.
    missed_orders: Cell<u32>,
    holdings: RefCell<Holdings>,
    /// Subscriptions are granted that do not stand in `holdings` yet.
    is_beginning: Cell<bool>,
    /// Whether [`Self::first_ticks`] has keys: all that a tick costs those who wait for none.
    watches: Cell<bool>,
    first_ticks: RefCell<FirstTicks>,
    wants_news: Cell<bool>,
    meter: Meter,
    share: Share,
    /// Bytes of a request that is not whole.
    partial: Cell<usize>,
}

/// The feed of whose state the client wants to hear.
#[derive(Clone, Copy, Debug)]
struct Followed {
    feed: FeedId,
    /// Number of the last announcement that the client was sent.
    told: Option<u64>,
}

impl PartialEq for Seat {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Seat {}

impl Hash for Seat {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl Seat {
    /// A session that began at `since_ns` (nanoseconds since the Unix epoch).
    pub(crate) fn new(
        id: SessionId,
        peer: SocketAddr,
        limits: OutboxLimits,
        share: Share,
        since_ns: u64,
    ) -> Self {
        Self(Rc::new(SeatState {
            id,
            outbox: RefCell::new(Outbox::new(limits)),
            notices: RefCell::default(),
            waker: RefCell::default(),
            identity: RefCell::default(),
            wants_orders: Cell::new(false),
            follows: Cell::new(None),
            missed: Cell::new(0),
            missed_orders: Cell::new(0),
            holdings: RefCell::default(),
            is_beginning: Cell::new(false),
            watches: Cell::new(false),
            first_ticks: RefCell::default(),
            wants_news: Cell::new(false),
            meter: Meter::new(peer, since_ns),
            share,
            partial: Cell::new(0),
        }))
    }

    /// A session that nobody serves.
    #[cfg(test)]
    pub(crate) fn of_test(id: SessionId) -> Self {
        let memory = crate::clients::memory::WaitingMemory::new(usize::MAX, Arc::default());
        Self::new(id, ([127, 0, 0, 1], 1).into(), OutboxLimits::default(), memory.share(Arc::default()), 0)
    }

    /// Identity of the session.
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// Gives the session a tick, before which `missed` others of its key are missing. `times` are those of
    /// the tick, by which the session is measured; `wake` decides when it is written.
    pub fn offer(
        &self,
        key: Key,
        frame: Utf8Bytes,
        missed: u32,
        times: Times,
        wake: impl FnOnce(Waker),
    ) -> Offered {
        let mut outbox = self.0.outbox.borrow_mut();
        let offered = outbox.offer(key, frame, missed);
        self.0.meter.offered(times, || outbox.waiting_ticks());
        self.0.share.note(outbox.held_bytes() + self.0.partial.get());
        drop(outbox);
        if offered == Offered::Conflated {
            self.0.meter.conflated();
        }
        // The first of many offers takes the waker; the others find none and cost nothing.
        if let Some(waker) = self.0.waker.take() {
            wake(waker);
        }
        offered
    }

    /// Notes that a tick of this key has come, a live one: what is repeated to a new subscriber says nothing
    /// of the broker.
    pub(crate) fn note_live(&self, key: Key) {
        if self.0.watches.get() {
            let mut first_ticks = self.0.first_ticks.borrow_mut();
            first_ticks.note(key);
            self.0.watches.set(!first_ticks.is_idle());
        }
    }

    /// Gives the session a message that must not be lost; one that finds no room closes the session.
    pub fn push_control(&self, message: Utf8Bytes) {
        let pushed = self.0.outbox.borrow_mut().push_control(message);
        self.note_bytes();
        if pushed.is_err() {
            self.notify(Notice::Close(CloseReason::SlowClient));
            return;
        }
        self.wake();
    }

    /// Gives the session an order update; false when it is dropped, because the client is behind with what
    /// waits. The client is told how many are missing as soon as it has read everything else.
    pub fn push_order(&self, message: Utf8Bytes) -> bool {
        let pushed = self.0.outbox.borrow_mut().push_order(message);
        self.note_bytes();
        if pushed.is_err() {
            self.0.missed_orders.set(self.0.missed_orders.get().saturating_add(1));
            return false;
        }
        self.wake();
        true
    }

    /// Leaves a notice. Nothing follows a close; one more than may wait ends the session, whose client would
    /// have to be told each of them.
    pub fn notify(&self, notice: Notice) {
        let mut notices = self.0.notices.borrow_mut();
        if matches!(notices.back(), Some(Notice::Close(_))) {
            return;
        }
        let is_close = matches!(notice, Notice::Close(_));
        if !is_close && notices.len() >= MAX_NOTICES + 2 * self.0.holdings.borrow().len() {
            notices.push_back(Notice::Close(CloseReason::SlowClient));
        } else {
            notices.push_back(notice);
        }
        drop(notices);
        self.wake();
    }

    /// Whether the session logged in with one of these keys.
    pub fn uses_key(&self, keys: &[KeyId]) -> bool {
        self.0.identity.borrow().as_ref().is_some_and(|(_, key)| keys.contains(key))
    }

    /// Whether the session logged in as this user.
    pub fn is_user(&self, user: &UserName) -> bool {
        self.0.identity.borrow().as_ref().is_some_and(|(name, _)| name == user)
    }

    /// Whether the client asked for order updates.
    pub fn wants_orders(&self) -> bool {
        self.0.wants_orders.get()
    }

    /// Whether the client asked for the state of its feed.
    pub fn is_follower(&self) -> bool {
        self.0.follows.get().is_some()
    }

    /// Follows this feed, or none; returns the one before. Called by the shard, which keeps the list.
    pub(crate) fn follow(&self, feed: Option<FeedId>) -> Option<FeedId> {
        let before = self.0.follows.replace(feed.map(|feed| Followed { feed, told: None }));
        before.map(|followed| followed.feed)
    }

    /// Sends an announcement of the feed that is followed, unless it is older than what was sent.
    pub(crate) fn tell_feed_status(&self, number: u64, frame: &Utf8Bytes) {
        let Some(followed) = self.0.follows.get() else { return };
        if followed.told.is_none_or(|told| told < number) {
            self.0.follows.set(Some(Followed { told: Some(number), ..followed }));
            self.push_control(frame.clone());
        }
    }

    /// Whether the client holds this instrument in any mode, or may do so in a moment.
    pub fn may_hold(&self, instrument: InstrumentId) -> bool {
        self.0.is_beginning.get() || self.0.holdings.borrow().has(instrument)
    }

    /// What the client holds. Nobody keeps it borrowed while others are called.
    pub(crate) fn holdings(&self) -> RefMut<'_, Holdings> {
        self.0.holdings.borrow_mut()
    }

    /// Whether subscriptions are granted that are not among the holdings yet.
    pub(crate) fn is_beginning(&self) -> bool {
        self.0.is_beginning.get()
    }

    pub(crate) fn set_beginning(&self, is_beginning: bool) {
        self.0.is_beginning.set(is_beginning);
    }

    pub(crate) fn set_identity(&self, identity: Option<(UserName, KeyId)>) {
        *self.0.identity.borrow_mut() = identity;
    }

    pub(crate) fn set_wants_orders(&self, wants: bool) {
        self.0.wants_orders.set(wants);
    }

    pub(crate) fn register(&self, waker: &Waker) {
        let before = self.0.waker.take();
        let waker = before.filter(|known| known.will_wake(waker)).unwrap_or_else(|| waker.clone());
        *self.0.waker.borrow_mut() = Some(waker);
    }

    pub(crate) fn has_notice(&self) -> bool {
        !self.0.notices.borrow().is_empty() || self.0.first_ticks.borrow().has_seen()
    }

    /// Notices that wait.
    #[cfg(test)]
    pub(crate) fn notices(&self) -> usize {
        self.0.notices.borrow().len()
    }

    pub(crate) fn take_notice(&self) -> Option<Notice> {
        self.0.notices.borrow_mut().pop_front()
    }

    /// Wants to hear of the first tick of this key.
    pub(crate) fn watch(&self, key: Key) {
        self.0.first_ticks.borrow_mut().watch(key);
        self.0.watches.set(true);
    }

    /// Does not want to any more.
    pub(crate) fn unwatch(&self, key: Key) {
        let mut first_ticks = self.0.first_ticks.borrow_mut();
        first_ticks.unwatch(key);
        self.0.watches.set(!first_ticks.is_idle());
    }

    /// Whether the client asked what becomes of its subscriptions.
    pub(crate) fn wants_news(&self) -> bool {
        self.0.wants_news.get()
    }

    pub(crate) fn set_wants_news(&self, wants: bool) {
        self.0.wants_news.set(wants);
    }

    /// Does not want to for any key.
    pub(crate) fn unwatch_all(&self) {
        self.0.first_ticks.borrow_mut().clear();
        self.0.watches.set(false);
    }

    /// Keys whose first tick has come since the last call.
    pub(crate) fn take_first_ticks(&self) -> Vec<Key> {
        self.0.first_ticks.borrow_mut().take_seen()
    }

    /// What the operator is told of the session, at `now_ns` (nanoseconds since the Unix epoch).
    pub(crate) fn describe(&self, now_ns: u64) -> SessionRow {
        let outbox = self.0.outbox.borrow();
        let mut row = SessionRow {
            id: self.0.id.0,
            subscriptions: self.0.holdings.borrow().len() as u64,
            waiting: outbox.waiting_ticks(),
            behind: outbox.is_behind(),
            ..SessionRow::default()
        };
        if let Some((user, key)) = &*self.0.identity.borrow() {
            row.user = Some(user.as_str().to_owned());
            row.key = Some(key.as_str().to_owned());
        }
        self.0.meter.describe(&mut row, now_ns);
        row
    }

    /// The session belongs to this feed from now on.
    pub(crate) fn belong_to(&self, feed: &Feed) {
        self.0.meter.set_feed(Some((feed.id(), Arc::clone(feed.counters()))));
    }

    fn wake(&self) {
        if let Some(waker) = self.0.waker.take() {
            waker.wake();
        }
    }
}
