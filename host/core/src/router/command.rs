//! What feeds and shards tell the router, and how they reach it.

use std::{sync::Arc, time::Duration};

use crate::{
    inbox::Inbox,
    intake::Doorbell,
    mailbox::SessionId,
    metrics::FeedCounters,
    model::{FeedId, InstrumentId, Key, Mode},
};

/// What feeds and shards tell the router. In one queue, so that an instrument is known before it is attached
/// to.
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
        /// Whether its instruments have the hours of their exchanges, and so trading days.
        has_hours: bool,
    },
    /// What is set for a feed has changed.
    Retune {
        /// Its number.
        feed: FeedId,
        /// Spacing; zero sends every tick.
        interval: Duration,
        /// As in [`Self::OpenFeed`].
        has_hours: bool,
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
    /// The broker will be asked for more of this instrument than up to this mode. What is known beyond it is
    /// from the last time that somebody held more, and not up to date.
    Raise {
        /// The instrument.
        instrument: InstrumentId,
        /// Highest mode that it was asked for until now.
        from: Mode,
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
    pub(super) commands: Arc<Inbox<Command>>,
}

impl RouterHandle {
    /// A handle to a router yet to be started.
    pub fn new() -> Self {
        Self { doorbell: Doorbell::new(), commands: Arc::default() }
    }

    /// Sends a command. The queue is bounded by what can be said: one activation for each instrument, one
    /// attachment for each key that a session holds.
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
