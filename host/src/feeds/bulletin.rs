//! What feeds and accounts have to say to the sessions of clients, and who takes it to them.

use std::{fmt, sync::Arc};

use rustc_hash::FxHashSet;
use tickhost_core::{
    model::{FeedId, InstrumentId, Mode},
    protocol::Frame,
};

use crate::accounts::{KeyId, UserName};

/// One piece of news. Cheap to clone; every recipient gets its own.
#[derive(Clone, Debug)]
pub enum Bulletin {
    /// These keys are revoked: their sessions must close.
    Revoke(Arc<[KeyId]>),
    /// An order update for every session of the user that asked for them.
    Order {
        /// The user.
        user: UserName,
        /// The encoded message.
        frame: Frame,
    },
    /// The broker refused an instrument after it had been acknowledged.
    Failed {
        /// The instrument.
        instrument: InstrumentId,
        /// The only mode that is concerned, or all of them.
        mode: Option<Mode>,
        /// Counts the failures that the feed tells of, from 1: only what was granted before is concerned.
        number: u64,
        /// Why, in the broker's words.
        message: Arc<str>,
    },
    /// The broker's list does not have an instrument any more. It stays subscribed, and ticks when the list
    /// has it again.
    Lost {
        /// The instrument.
        instrument: InstrumentId,
        /// Why, in the broker's words.
        message: Arc<str>,
    },
    /// Instruments wait for a connection to the broker.
    Waiting {
        /// The instruments.
        instruments: Arc<FxHashSet<InstrumentId>>,
        /// Why, for people.
        message: Arc<str>,
    },
    /// The account of this user has moved to another feed.
    Moved {
        /// The user.
        user: UserName,
    },
    /// News of a feed for the sessions that follow it. At most five a second of each feed.
    FeedStatus {
        /// The feed.
        feed: FeedId,
        /// Counts what is said of the feed.
        number: u64,
        /// The encoded message.
        frame: Frame,
    },
}

/// Takes bulletins to some of the sessions. Called on the threads of feeds and of the bus; nothing may block.
pub trait Recipient: fmt::Debug + Send + Sync + 'static {
    /// Takes one that must not be lost. What feeds can say is bounded by what they serve.
    fn tell(&self, bulletin: Bulletin);

    /// Takes an order update for every session of the user that asked for them; false when there is no room
    /// for it.
    fn offer_order(&self, user: &UserName, frame: &Frame) -> bool;
}
