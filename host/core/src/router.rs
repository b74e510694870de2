//! From ticks to frames: gate, book, throttle, encode, and one update for each shard that has subscribers.
//!
//! [`Router`] is the synchronous core: it owns the table of instruments, takes time as an argument and does
//! no I/O. [`RouterHandle`] is what other threads hold of it; who runs it calls [`Router::turn`] when its
//! doorbell rings. One router serves all feeds; a tick costs it a table look-up, a merge and, when the
//! throttle lets it pass, one encoding for each variant that somebody holds.

mod command;
mod feed;
mod ledger;
mod outgoing;
mod topic;

use std::sync::Arc;

use rustc_hash::FxHashMap;

pub use self::command::{Command, Names, RouterHandle};
use self::{
    feed::{Arrival, Feed, Tables},
    outgoing::Outgoing,
    topic::Topic,
};
use crate::{
    calendar::{Calendar, Calendars, Moments},
    intake::{Batch, Intake, Merged, depth_levels},
    mailbox::{Mailbox, SessionId, Times, Update},
    metrics::ServerCounters,
    model::{FeedId, InstrumentId, Key, Mode},
    protocol::encode::{self, EncodeOptions},
    throttle::Nanos,
};

/// Shards that a host can have: each is a bit of a word.
pub const MAX_SHARDS: usize = 64;

/// Bytes of ticks that a feed may bring in one turn: 4,096 LTP ticks, a few milliseconds of work. What it has
/// beyond them waits until the others had their turn, so that a flood of one adapter is no delay for all.
const TURN_BYTES: usize = 256 * 1024;

/// Pause between two looks at the calendar for the trading day while it knows of none, in nanoseconds.
const SETTLE_EVERY_NS: u64 = 1_000_000_000;

/// Updates gathered for a shard before they are handed over.
const POST_EVERY: usize = 512;

/// The table of instruments and everything that happens to a tick before it reaches a shard.
#[derive(Debug)]
pub struct Router {
    topics: Vec<Option<Box<Topic>>>,
    feeds: FxHashMap<FeedId, Feed>,
    out: Outgoing,
    /// Streams of all topics.
    streams: usize,
    calendars: Calendars,
    /// The one by which the topics know their trading days.
    calendar: Arc<Calendar>,
    /// Between which moments no trading day begins by it, as the intakes were told, and when that was looked
    /// up.
    settled: Moments,
    settled_at_ns: u64,
    // Kept between turns for their capacity.
    ready: Vec<Arc<Intake>>,
    taken: Vec<(Arc<Intake>, Vec<Batch>)>,
    commands: Vec<Command>,
}

impl Router {
    /// An empty router for these shards, at most [`MAX_SHARDS`] of them.
    pub fn new(
        shards: &[Arc<Mailbox>],
        options: EncodeOptions,
        server: Arc<ServerCounters>,
        calendars: Calendars,
    ) -> Self {
        let shards =
            shards.iter().take(MAX_SHARDS).map(|mailbox| (Arc::clone(mailbox), Vec::new())).collect();
        Self {
            topics: Vec::new(),
            feeds: FxHashMap::default(),
            out: Outgoing { shards, scratch: Vec::with_capacity(4_096), options, server, time_of_day_ns: 0 },
            streams: 0,
            calendar: calendars.present(),
            settled: Moments::NONE,
            settled_at_ns: 0,
            calendars,
            ready: Vec::new(),
            taken: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Sets the time of day, in nanoseconds since the Unix epoch, from which the next turn measures what
    /// waited for it.
    pub fn set_time_of_day(&mut self, now_ns: u64) {
        self.out.time_of_day_ns = now_ns;
    }

    /// Takes what sources and commands brought, and sends what is due at `now`.
    pub fn turn(&mut self, handle: &RouterHandle, now: Nanos) {
        let mut ready = std::mem::take(&mut self.ready);
        let mut taken = std::mem::take(&mut self.taken);
        let mut commands = std::mem::take(&mut self.commands);
        let now_ns = self.out.time_of_day_ns;
        if !self.settled.contains(now_ns) && now_ns.abs_diff(self.settled_at_ns) >= SETTLE_EVERY_NS {
            self.settle(handle);
        }
        handle.doorbell.take_ready(&mut ready);
        for intake in ready.drain(..) {
            let mut batches = Vec::new();
            intake.take_turn(&mut batches, TURN_BYTES);
            taken.push((intake, batches));
        }
        // Commands are read after the ticks were taken: whoever published a tick had been told its number
        // before, so its activation is among them.
        handle.commands.take(&mut commands);
        if !commands.is_empty() {
            for command in commands.drain(..) {
                self.handle(command);
            }
            self.out.server.streams.set(self.streams as u64);
        }
        if self.calendars.has_another(&self.calendar) {
            self.recheck_days();
            self.settle(handle);
        }
        for (intake, batches) in taken.drain(..) {
            for batch in &batches {
                self.route(intake.feed(), batch, now);
            }
        }
        self.advance(now);
        self.out.post_all();
        (self.ready, self.taken, self.commands) = (ready, taken, commands);
    }

    /// When [`Self::turn`] has to be called next although nothing arrives.
    pub fn next_due(&self) -> Option<Nanos> {
        self.feeds.values().filter_map(|feed| feed.throttle.next_due()).min()
    }

    /// Obeys one command.
    pub fn handle(&mut self, command: Command) {
        match command {
            Command::OpenFeed { feed, interval, counters, repeats_modes, has_hours } => {
                self.feeds.insert(feed, Feed::new(feed, interval, counters, repeats_modes, has_hours));
            }
            Command::Retune { feed: id, interval, has_hours } => {
                let Some(feed) = self.feeds.get_mut(&id) else { return };
                feed.throttle.set_interval(interval);
                if std::mem::replace(&mut feed.has_hours, has_hours) != has_hours {
                    let topics = self.topics.iter_mut().flatten().filter(|topic| topic.feed == id);
                    topics.for_each(|topic| topic.recheck_days(has_hours));
                }
            }
            Command::CloseFeed { feed } => {
                let gone =
                    self.topics.iter_mut().filter(|topic| topic.as_ref().is_some_and(|t| t.feed == feed));
                let ended = gone.filter_map(Option::take).map(|topic| topic.streams.len()).sum();
                self.streams = self.streams.saturating_sub(ended);
                self.feeds.remove(&feed);
            }
            Command::Activate { feed, instrument, names } => {
                let has_days = self.feeds.get(&feed).is_some_and(|feed| feed.has_hours);
                let slot = instrument.slot();
                if self.topics.len() <= slot {
                    self.topics.resize_with(slot + 1, || None);
                }
                let topic = Box::new(Topic::new(feed, instrument, names, has_days));
                if let Some(before) = self.topics.get_mut(slot).and_then(|place| place.replace(topic)) {
                    self.release(&before);
                }
            }
            Command::Raise { instrument, from } => {
                let Some(topic) = topic_of(&mut self.topics, instrument) else { return };
                // What is published on the bus comes whether it is asked for or not.
                if self.feeds.get(&topic.feed).is_some_and(|feed| !feed.repeats_modes) {
                    topic.entry.keep_up_to(from);
                }
            }
            Command::Deactivate { instrument } => {
                let Some(place) = self.topics.get_mut(instrument.slot()) else { return };
                let Some(topic) = place.take_if(|topic| topic.instrument == instrument) else { return };
                self.release(&topic);
            }
            Command::Attach { shard, key, session } => self.attach(shard, key, session),
            Command::Detach { shard, key } => self.detach(shard, key),
        }
    }

    /// Settles what an instrument that is not in the table any more had under way.
    fn release(&mut self, topic: &Topic) {
        self.streams = self.streams.saturating_sub(topic.streams.len());
        if let Some(feed) = self.feeds.get_mut(&topic.feed) {
            topic.streams.iter().for_each(|stream| feed.abandon(stream));
            feed.active = feed.active.saturating_sub(u64::from(topic.has_ticked));
            feed.settle();
        }
    }

    fn attach(&mut self, shard: usize, key: Key, session: SessionId) {
        let Some(topic) = topic_of(&mut self.topics, key.instrument) else { return };
        let before = topic.streams.len();
        topic.stream(key.variant).shards |= 1 << shard;
        self.streams += topic.streams.len() - before;
        if topic.entry.is_empty() {
            return;
        }
        let label = topic.label(key.variant);
        let view = topic.entry.view();
        self.out.scratch.clear();
        if encode::market_data(&mut self.out.scratch, label, key.variant, view, self.out.options, true)
            && let Some(frame) = self.out.frame()
        {
            self.out.server.snapshots.add(1);
            self.out
                .post(shard, Update { key, frame, only: Some(session), missed: 0, times: Times::default() });
        }
    }

    fn detach(&mut self, shard: usize, key: Key) {
        let Some(topic) = topic_of(&mut self.topics, key.instrument) else { return };
        let Some(stream) = topic.existing_stream(key.variant) else { return };
        stream.shards &= !(1 << shard);
        if stream.shards == 0 {
            let feed = topic.feed;
            let Some(stream) = topic.remove_stream(key.variant) else { return };
            self.streams = self.streams.saturating_sub(1);
            if let Some(feed) = self.feeds.get_mut(&feed) {
                feed.abandon(&stream);
                feed.settle();
            }
        }
    }

    fn route(&mut self, feed: FeedId, batch: &Batch, now: Nanos) {
        let Self { topics, feeds, out, calendar, .. } = self;
        let Some(feed) = feeds.get_mut(&feed) else { return };
        feed.ledger.received += batch.len() as u64;
        let mut tables = Tables { topics, out, calendar };
        match batch {
            Batch::Ltp(ticks) => {
                for tick in ticks {
                    feed.apply(&mut tables, Arrival::of_ltp(tick), now, |entry| entry.merge_ltp(tick));
                }
            }
            Batch::Quote(quotes) => {
                for quote in quotes {
                    let arrival = Arrival::of(quote, Mode::Quote);
                    feed.apply(&mut tables, arrival, now, |entry| entry.merge_quote(quote));
                }
            }
            Batch::Depth(books, levels) => {
                for book in books {
                    let (buy, sell) = depth_levels(book, levels).unwrap_or_default();
                    let arrival = Arrival::of(&book.quote, Mode::Depth);
                    feed.apply(&mut tables, arrival, now, |entry| entry.merge_depth(&book.quote, buy, sell));
                }
            }
            Batch::Greeks(records) => {
                for greeks in records {
                    let arrival = Arrival::of_greeks(greeks);
                    feed.apply(&mut tables, arrival, now, |entry| Some(entry.merge_greeks(greeks)));
                }
            }
            Batch::Merged(entries) => {
                for Merged { instrument, mode, entry: merged, missed } in entries {
                    let (instrument, published, at_ns) = (*instrument, *mode, merged.moment());
                    let arrival = Arrival { instrument, published, missed: *missed, at_ns };
                    feed.apply(&mut tables, arrival, now, |entry| entry.merge_entry(merged, *mode));
                }
            }
        }
        feed.settle();
    }

    /// Lets all instruments ask the calendar that is in force now for their trading days.
    #[cold]
    fn recheck_days(&mut self) {
        self.calendar = self.calendars.present();
        for topic in self.topics.iter_mut().flatten() {
            topic.recheck_days(self.feeds.get(&topic.feed).is_some_and(|feed| feed.has_hours));
        }
    }

    /// Tells the intakes which ticks are of one trading day at present.
    #[cold]
    fn settle(&mut self, handle: &RouterHandle) {
        self.settled_at_ns = self.out.time_of_day_ns;
        self.settled = self.calendar.settled_around(self.settled_at_ns);
        handle.doorbell.settle(self.settled);
    }

    fn advance(&mut self, now: Nanos) {
        let Self { topics, feeds, out, .. } = self;
        #[expect(clippy::iter_over_hash_type, reason = "feeds are independent; their order shows nowhere")]
        for feed in feeds.values_mut() {
            let Feed { throttle, ledger, .. } = feed;
            throttle.advance(now, |key, expire| {
                let Some(topic) = topic_of(topics, key.instrument) else { return };
                let is_due =
                    topic.existing_stream(key.variant).is_some_and(|stream| expire(&mut stream.spacing));
                if is_due {
                    // It waited because it should: what is measured begins now.
                    let received_ns = out.time_of_day_ns;
                    out.emit(topic, key, 0, received_ns, ledger);
                }
            });
            feed.settle();
        }
    }
}

fn topic_of(topics: &mut [Option<Box<Topic>>], instrument: InstrumentId) -> Option<&mut Topic> {
    topics.get_mut(instrument.slot())?.as_deref_mut().filter(|topic| topic.instrument == instrument)
}

#[cfg(test)]
mod tests;
