//! What a connection that is up carries, as the protocol sees it.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{Batches, Listed, Protocol};
use crate::{
    Refusal, Subscription, TickSink,
    net::{Message, WebSocket},
    plan::{Feed, Plan},
};

/// Longest that subscriptions wait for a list that the broker made while this side was away, whose keys may
/// mean something else by now.
const HOLD_LIMIT: Duration = Duration::from_secs(30);

/// Longest that subscriptions go on by a list that the broker has replaced meanwhile.
const REPLACED_LIMIT: Duration = Duration::from_mins(15);

/// Most messages that wait in the socket before no more batches are made, and how long until the next look:
/// what a broker that does not read is to be told stays one change for each key.
const MAX_QUEUED: usize = 64;
const QUEUE_PAUSE: Duration = Duration::from_millis(50);

/// A connection that is up: what is wanted on it, what the broker was told, and the way to say more.
pub struct Live<P: Protocol> {
    pub(super) socket: WebSocket,
    pub(super) listed: Listed<P::List>,
    /// Everything that is wanted, by number: what a name means may change with the list.
    pub(super) wanted: BTreeMap<u32, Subscription>,
    pub(super) plan: Plan<P::Key, P::Asked>,
    /// Until when instruments wait for what the broker says of their keys.
    pub(super) waiting: BTreeMap<u32, Instant>,
    /// No wait ends before, unless it is answered.
    first_end: Option<Instant>,
    /// Instruments whose wait is over, and which are to be placed.
    pub(super) answered: Vec<u32>,
    /// Whether subscriptions wait for the broker's new list.
    pub(super) is_held: bool,
    batches: Batches,
    /// When the next batch may go.
    batch_at: Instant,
    /// Kinds of nonsense that were logged, and are only counted from then on.
    complained: Vec<&'static str>,
}

/// What a key is wanted for, with the list that is in force.
pub struct Heard<'a, P: Protocol> {
    feed: &'a Feed<P::Asked>,
    list: &'a P::List,
    wanted: &'a BTreeMap<u32, Subscription>,
}

impl<'a, P: Protocol> Heard<'a, P> {
    /// Numbers to publish under, each with what the broker was asked for on its behalf.
    pub fn instruments(&self) -> &'a [(u32, P::Asked)] {
        self.feed.instruments()
    }

    /// What a client wants of one of these numbers, where [`Protocol::ask`] asked for something else.
    pub fn wanted(&self, instrument: u32) -> Option<&'a Subscription> {
        self.wanted.get(&instrument)
    }

    /// The list that is in force.
    pub const fn list(&self) -> &'a P::List {
        self.list
    }
}

impl<P: Protocol> fmt::Debug for Heard<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heard").field("instruments", &self.instruments()).finish_non_exhaustive()
    }
}

impl<P: Protocol> Live<P> {
    pub(super) fn new(socket: WebSocket, listed: Listed<P::List>, batches: Batches) -> Self {
        Self {
            socket,
            listed,
            wanted: BTreeMap::new(),
            plan: Plan::new(),
            waiting: BTreeMap::new(),
            first_end: None,
            answered: Vec::new(),
            is_held: false,
            batches,
            batch_at: Instant::now(),
            complained: Vec::new(),
        }
    }

    /// What a packet of a key is for, and notes that there was one. None when nobody wants it: the broker's
    /// last packets come late.
    pub fn heard(&mut self, key: &P::Key) -> Option<Heard<'_, P>> {
        let feed = self.plan.heard(key)?;
        Some(Heard { feed, list: &self.listed.list, wanted: &self.wanted })
    }

    /// What is known of a key, without the note that there was a packet of it.
    pub fn feed(&self, key: &P::Key) -> Option<&Feed<P::Asked>> {
        self.plan.feed(key)
    }

    /// Whether a key was subscribed and the broker has sent nothing of it since then.
    pub fn is_silent(&self, key: &P::Key) -> bool {
        self.plan.is_silent(key)
    }

    /// The list that is in force.
    pub fn list(&self) -> &P::List {
        &self.listed.list
    }

    /// What is wanted under a number.
    pub fn wanted(&self, instrument: u32) -> Option<&Subscription> {
        self.wanted.get(&instrument)
    }

    /// What waits for the broker's word on its key ([`Protocol::must_ask`]), in the order of the numbers.
    pub fn waiting(&self) -> impl Iterator<Item = &Subscription> {
        self.waiting.keys().filter_map(|instrument| self.wanted.get(instrument))
    }

    /// The broker has said what it has to say of an instrument's key, or says nothing: [`Protocol::find`] is
    /// next. Nothing happens when the instrument does not wait.
    pub fn answered(&mut self, instrument: u32) {
        if self.waiting.remove(&instrument).is_some() {
            self.answered.push(instrument);
        }
    }

    /// Lets an instrument wait, unless it does already.
    pub(super) fn begin_wait(&mut self, instrument: u32, now: Instant) {
        let until = now + self.batches.answer_within;
        self.waiting.entry(instrument).or_insert(until);
        self.first_end.get_or_insert(until);
    }

    /// Ends the waits that have lasted long enough, and says when to look again.
    pub(super) fn end_waits(&mut self, now: Instant) -> Option<Instant> {
        if self.first_end.is_some_and(|at| at <= now) {
            let over: Vec<u32> =
                self.waiting.iter().filter(|(_, until)| **until <= now).map(|(number, _)| *number).collect();
            if !over.is_empty() {
                warn!(
                    count = over.len(),
                    "The broker does not say the keys of some instruments; they go on without"
                );
            }
            over.into_iter().for_each(|instrument| self.answered(instrument));
            self.first_end = self.waiting.values().min().copied();
        }
        self.first_end
    }

    /// Asks for something else of an instrument that is wanted already, when a second channel brings the rest
    /// of it or does so no more. Nothing happens when it is not wanted, or has another key.
    pub fn ask(&mut self, instrument: u32, key: &P::Key, asked: P::Asked) {
        if self.plan.key(instrument).as_ref() == Some(key) {
            self.plan.want(instrument, key.clone(), asked);
        }
    }

    /// Asks the broker once more for what it was asked for of a key, with the next batch: it may not have
    /// understood.
    pub fn repeat(&mut self, key: &P::Key) {
        self.plan.repeat(key);
    }

    /// The same for everything that was asked for: on a new day the broker is to send its images again.
    pub fn repeat_all(&mut self) {
        for key in self.wanted.keys().filter_map(|instrument| self.plan.key(*instrument)).collect::<Vec<_>>()
        {
            self.plan.repeat(&key);
        }
    }

    /// Queues a message: an acknowledgement, or something that the broker wants from time to time.
    pub fn send(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into());
    }

    /// The broker does not serve a key: clients of all its instruments are told, and it is ended. Gives how
    /// many instruments those are. [`Protocol::release`] is not called for them.
    pub fn refuse(&mut self, key: &P::Key, refusal: &Refusal, sink: &mut TickSink) -> usize {
        let instruments = self.plan.give_up(key);
        for instrument in &instruments {
            self.wanted.remove(instrument);
            sink.outcome(*instrument, Err(refusal.clone()));
        }
        instruments.len()
    }

    /// The broker has another list, and keys may mean something else by now: nothing is subscribed before it
    /// has come, and the connection ends when it does not come within 30 seconds. For what is learnt before
    /// the first tick.
    pub fn hold_for_list(&mut self) {
        info!("The broker has a new list of instruments; subscriptions wait for it");
        self.hurry(HOLD_LIMIT);
        self.is_held = true;
        self.waiting.clear();
        for instrument in self.wanted.keys() {
            self.plan.drop(*instrument);
        }
    }

    /// The broker has another list. What is subscribed goes on meanwhile, for a quarter of an hour at most:
    /// that a list changes while instruments are subscribed is no reason to miss their ticks.
    pub fn renew_list(&mut self) {
        info!("The broker has a new list of instruments");
        self.hurry(REPLACED_LIMIT);
    }

    fn hurry(&mut self, limit: Duration) {
        if let Some(renewal) = &mut self.listed.renewal {
            renewal.hurry(limit);
        }
    }

    /// Counts something that makes no sense, and logs the first of its kind. The error must not repeat what
    /// the broker sent.
    pub fn undecodable(
        &mut self,
        kind: &'static str,
        error: &dyn Display,
        bytes: usize,
        sink: &mut TickSink,
    ) {
        sink.undecodable();
        if !self.complained.contains(&kind) {
            self.complained.push(kind);
            warn!(kind, %error, bytes, "The broker sent something that makes no sense; more of it is only counted");
        }
    }

    /// Sends the next batch if it is due, and says when to look again.
    pub(super) fn send_batch(&mut self, protocol: &mut P, now: Instant) -> Option<Instant> {
        if !self.plan.has_changes() || !protocol.has_room() {
            return None;
        }
        if self.socket.queued() >= MAX_QUEUED {
            // The broker does not read. What is wanted meanwhile is told when it does.
            self.batch_at = self.batch_at.max(now + QUEUE_PAUSE);
        }
        if self.batch_at <= now {
            let changes = self.plan.changes(self.batches.most);
            let messages = if changes.is_empty() { Vec::new() } else { protocol.requests(&changes) };
            if !messages.is_empty() {
                messages.into_iter().for_each(|message| self.socket.send(message));
                self.batch_at = now + self.batches.interval;
            }
        }
        self.plan.has_changes().then_some(self.batch_at)
    }

    /// Ends everything that is subscribed, without a pause, since it is subscribed again.
    pub(super) fn end_all(&mut self, protocol: &mut P) {
        for instrument in self.wanted.keys() {
            self.plan.drop(*instrument);
        }
        while self.plan.has_changes() {
            let changes = self.plan.changes(self.batches.most);
            if !changes.is_empty() {
                protocol.requests(&changes).into_iter().for_each(|message| self.socket.send(message));
            }
        }
    }

    /// Takes an instrument off its key, and gives that if nobody else wants it.
    pub(super) fn leave(&mut self, instrument: u32) -> Option<P::Key> {
        let key = self.plan.key(instrument)?;
        self.plan.drop(instrument);
        self.plan.feed(&key).is_none_or(|feed| feed.instruments().is_empty()).then_some(key)
    }
}

impl<P: Protocol> fmt::Debug for Live<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("wanted", &self.wanted.len())
            .field("is_held", &self.is_held)
            .finish_non_exhaustive()
    }
}
