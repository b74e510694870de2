//! From ticks to frames: gate, book, throttle, encode, and one update for each shard that has subscribers.
//!
//! [`Router`] is the synchronous core: it owns the table of instruments, takes time as an argument and does no I/O.
//! [`RouterHandle`] and [`run`] put it on a thread. One router serves all feeds; a tick costs it a table look-up, a
//! merge and, when the throttle lets it pass, one encoding for each variant that somebody holds.

mod ledger;
mod outgoing;
mod topic;

use std::{sync::Arc, time::Duration};

use rustc_hash::FxHashMap;
use tokio_util::sync::CancellationToken;

use self::{
    ledger::Ledger,
    outgoing::Outgoing,
    topic::{Stream, Topic},
};
use crate::{
    book::{Changed, Entry},
    clock::{self, Clock},
    inbox::Inbox,
    intake::{Batch, Doorbell, Intake, Merged, depth_levels},
    mailbox::{Mailbox, SessionId, Times, Update},
    metrics::{FeedCounters, ServerCounters},
    model::{FeedId, InstrumentId, Mode},
    outbox::Key,
    protocol::encode::{self, EncodeOptions},
    throttle::{Nanos, Throttle, Verdict},
};

/// Shards that a host can have: each is a bit of a word.
pub const MAX_SHARDS: usize = 64;

/// Bytes of ticks that a feed may bring in one turn: 4,096 LTP ticks, a few milliseconds of work. What it has beyond
/// them waits until the others had their turn, so that a flood of one adapter is no delay for all.
const TURN_BYTES: usize = 256 * 1024;

/// Updates gathered for a shard before they are handed over.
const POST_EVERY: usize = 512;

/// What feeds and shards tell the router. In one queue, so that an instrument is known before it is attached to.
#[derive(Debug)]
pub enum Command {
    /// A feed begins.
    OpenFeed {
        /// Its number.
        feed: FeedId,
        /// Spacing of its updates; zero sends every tick.
        interval: Duration,
        /// Its counters.
        counters: Arc<FeedCounters>,
        /// Whether its publishers repeat one tick under several modes, as on the bus.
        repeats_modes: bool,
    },
    /// The updates of a feed have another spacing from now on.
    Respace {
        /// Its number.
        feed: FeedId,
        /// Spacing; zero sends every tick.
        interval: Duration,
    },
    /// A feed has ended; its instruments are deactivated.
    CloseFeed {
        /// Its number.
        feed: FeedId,
    },
    /// Ticks of this instrument are wanted from now on.
    Activate {
        /// Feed that may publish it.
        feed: FeedId,
        /// Number given out.
        instrument: InstrumentId,
        /// Names for its frames.
        names: Names,
    },
    /// Ticks of this instrument are no longer wanted.
    Deactivate {
        /// Number given back.
        instrument: InstrumentId,
    },
    /// A session of this shard holds a key; it gets a snapshot when a value is known.
    Attach {
        /// The shard.
        shard: usize,
        /// The key.
        key: Key,
        /// The session.
        session: SessionId,
    },
    /// No session of this shard holds the key any more.
    Detach {
        /// The shard.
        shard: usize,
        /// The key.
        key: Key,
    },
}

/// Names that appear in the frames of an instrument.
#[derive(Clone, Debug)]
pub struct Names {
    /// Exchange code.
    pub exchange: Arc<str>,
    /// Symbol without a depth suffix.
    pub symbol: Arc<str>,
    /// Broker of the feed.
    pub broker: Arc<str>,
}

/// How feeds, shards and sources reach the router.
#[derive(Clone, Debug)]
pub struct RouterHandle {
    /// Rings when an intake has something.
    pub doorbell: Arc<Doorbell>,
    commands: Arc<Inbox<Command>>,
}

impl RouterHandle {
    /// A handle to a router yet to be started.
    pub fn new() -> Self {
        Self { doorbell: Doorbell::new(), commands: Arc::default() }
    }

    /// Sends a command. The queue is bounded by what can be said: one activation for each instrument, one attachment
    /// for each key that a session holds.
    pub fn send(&self, command: Command) {
        self.commands.push(command);
        self.doorbell.ring();
    }

    /// Sends commands, in order.
    pub fn send_all(&self, commands: impl IntoIterator<Item = Command>) {
        self.commands.extend(commands);
        self.doorbell.ring();
    }
}

impl Default for RouterHandle {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a router until `shutdown`.
pub async fn run(mut router: Router, handle: RouterHandle, clock: Clock, shutdown: CancellationToken) {
    loop {
        let due = router.next_due().map(|due| clock.instant_of(due));
        tokio::select! {
            () = handle.doorbell.rung() => {}
            () = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            } => {}
            () = shutdown.cancelled() => return,
        }
        router.set_time_of_day(clock::unix_nanos());
        router.turn(&handle, clock.nanos());
    }
}

/// The table of instruments and everything that happens to a tick before it reaches a shard.
#[derive(Debug)]
pub struct Router {
    topics: Vec<Option<Box<Topic>>>,
    feeds: FxHashMap<FeedId, Feed>,
    out: Outgoing,
    /// Streams of all topics.
    streams: usize,
    // Kept between turns for their capacity.
    ready: Vec<Arc<Intake>>,
    taken: Vec<(Arc<Intake>, Vec<Batch>)>,
    commands: Vec<Command>,
}

#[derive(Debug)]
struct Feed {
    id: FeedId,
    throttle: Throttle<Key>,
    counters: Arc<FeedCounters>,
    repeats_modes: bool,
    ledger: Ledger,
    /// Instruments that have ticked since they were subscribed.
    active: u64,
}

impl Router {
    /// An empty router for these shards, at most [`MAX_SHARDS`] of them.
    pub fn new(shards: &[Arc<Mailbox>], options: EncodeOptions, server: Arc<ServerCounters>) -> Self {
        let shards =
            shards.iter().take(MAX_SHARDS).map(|mailbox| (Arc::clone(mailbox), Vec::new())).collect();
        Self {
            topics: Vec::new(),
            feeds: FxHashMap::default(),
            out: Outgoing { shards, scratch: Vec::with_capacity(4_096), options, server, time_of_day_ns: 0 },
            streams: 0,
            ready: Vec::new(),
            taken: Vec::new(),
            commands: Vec::new(),
        }
    }

    /// Sets the time of day, in nanoseconds since the Unix epoch, from which the next turn measures what waited for it.
    pub fn set_time_of_day(&mut self, now_ns: u64) {
        self.out.time_of_day_ns = now_ns;
    }

    /// Takes what sources and commands brought, and sends what is due at `now`.
    pub fn turn(&mut self, handle: &RouterHandle, now: Nanos) {
        let mut ready = std::mem::take(&mut self.ready);
        let mut taken = std::mem::take(&mut self.taken);
        let mut commands = std::mem::take(&mut self.commands);
        handle.doorbell.take_ready(&mut ready);
        for intake in ready.drain(..) {
            let mut batches = Vec::new();
            intake.take_turn(&mut batches, TURN_BYTES);
            taken.push((intake, batches));
        }
        // Commands are read after the ticks were taken: whoever published a tick had been told its number before, so
        // its activation is among them.
        handle.commands.take(&mut commands);
        if !commands.is_empty() {
            for command in commands.drain(..) {
                self.obey(command);
            }
            self.out.server.streams.set(self.streams as u64);
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
    pub fn obey(&mut self, command: Command) {
        match command {
            Command::OpenFeed { feed, interval, counters, repeats_modes } => {
                let throttle = Throttle::new(interval);
                let feed_state = Feed {
                    id: feed,
                    throttle,
                    counters,
                    repeats_modes,
                    ledger: Ledger::default(),
                    active: 0,
                };
                self.feeds.insert(feed, feed_state);
            }
            Command::Respace { feed, interval } => {
                if let Some(feed) = self.feeds.get_mut(&feed) {
                    feed.throttle.set_interval(interval);
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
                let slot = instrument.slot();
                if self.topics.len() <= slot {
                    self.topics.resize_with(slot + 1, || None);
                }
                if let Some(place) = self.topics.get_mut(slot) {
                    let before = place.replace(Box::new(Topic::new(feed, instrument, names)));
                    self.streams = self.streams.saturating_sub(before.map_or(0, |topic| topic.streams.len()));
                }
            }
            Command::Deactivate { instrument } => {
                let Some(place) = self.topics.get_mut(instrument.slot()) else { return };
                let Some(topic) = place.take_if(|topic| topic.instrument == instrument) else { return };
                self.streams = self.streams.saturating_sub(topic.streams.len());
                if let Some(feed) = self.feeds.get_mut(&topic.feed) {
                    topic.streams.iter().for_each(|stream| feed.abandon(stream));
                    feed.active = feed.active.saturating_sub(u64::from(!topic.entry.is_empty()));
                    feed.settle();
                }
            }
            Command::Attach { shard, key, session } => self.attach(shard, key, session),
            Command::Detach { shard, key } => self.detach(shard, key),
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
        let stream = topic.stream(key.variant);
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
        let Self { topics, feeds, out, .. } = self;
        let Some(feed) = feeds.get_mut(&feed) else { return };
        match batch {
            Batch::Ltp(ticks) => {
                for tick in ticks {
                    feed.apply(topics, out, InstrumentId(tick.instrument), Mode::Ltp, 0, now, |entry| {
                        entry.merge_ltp(tick)
                    });
                }
            }
            Batch::Quote(quotes) => {
                for quote in quotes {
                    feed.apply(topics, out, InstrumentId(quote.instrument), Mode::Quote, 0, now, |entry| {
                        entry.merge_quote(quote)
                    });
                }
            }
            Batch::Depth(books, levels) => {
                for book in books {
                    let (buy, sell) = depth_levels(book, levels).unwrap_or_default();
                    let instrument = InstrumentId(book.quote.instrument);
                    feed.apply(topics, out, instrument, Mode::Depth, 0, now, |entry| {
                        entry.merge_depth(&book.quote, buy, sell)
                    });
                }
            }
            Batch::Merged(entries) => {
                for Merged { instrument, mode, entry: merged, missed } in entries {
                    feed.apply(topics, out, *instrument, *mode, *missed, now, |entry| {
                        entry.merge_entry(merged, *mode)
                    });
                }
            }
        }
        feed.settle();
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

impl Feed {
    /// Takes one tick, if the instrument is one that this feed was asked for. `missed` others are merged into it.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of the router that a tick concerns, borrowed apart"
    )]
    fn apply(
        &mut self,
        topics: &mut [Option<Box<Topic>>],
        out: &mut Outgoing,
        instrument: InstrumentId,
        published: Mode,
        missed: u32,
        now: Nanos,
        merge: impl FnOnce(&mut Entry) -> Changed,
    ) {
        let Some(topic) = topic_of(topics, instrument).filter(|topic| topic.feed == self.id) else {
            self.ledger.dropped_unsubscribed += 1;
            return;
        };
        self.ledger.routed += 1;
        let was_empty = topic.entry.is_empty();
        let changed = merge(&mut topic.entry);
        if was_empty && !topic.entry.is_empty() {
            self.active += 1;
        }
        let repeats_another_mode = self.repeats_modes && topic.note_published(published, now);
        for place in 0..topic.streams.len() {
            let Some(stream) = topic.streams.get_mut(place) else { break };
            let variant = stream.variant;
            if variant.mode() > published {
                continue;
            }
            self.ledger.updates += 1;
            if repeats_another_mode && !changed.is_visible_in(variant.mode()) {
                self.ledger.repeated += 1;
                continue;
            }
            let key = Key { instrument, variant };
            let verdict = if variant.is_lossless() {
                Verdict::Emit
            } else {
                self.throttle.offer(key, &mut stream.spacing, now)
            };
            match verdict {
                Verdict::Emit => {
                    let received_ns = topic.entry.quote().received_ts_ns;
                    out.emit(topic, key, missed, received_ns, &mut self.ledger);
                }
                Verdict::Wait => {}
                Verdict::Replaced => self.ledger.conflated_throttle += 1,
            }
        }
    }

    /// A stream ends: what waited for its interval is accounted for.
    fn abandon(&mut self, stream: &Stream) {
        if stream.spacing.is_dirty() {
            self.throttle.forget(stream.spacing);
            self.ledger.abandoned += 1;
        }
    }

    fn settle(&mut self) {
        self.ledger.settle(&self.counters, self.throttle.waiting());
        self.counters.active.set(self.active);
    }
}

#[cfg(test)]
mod tests;
