//! What the suite and a venue tell each other. New commands and members are appended; a venue names those
//! that it knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::profile::CredentialSet;

/// Version of the control protocol.
pub const PROTOCOL: u32 = 1;

/// What the suite asks of a venue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Command {
    /// Accept log-ins with these credentials, and no others, from now on. Connections that are open stay.
    Accept {
        /// Each set is good by itself.
        sets: Vec<CredentialSet>,
    },
    /// Send a packet on every connection that knows the instrument, even when it is no longer subscribed
    /// there.
    Tick {
        /// The packet, which stands for a whole state of its kind.
        packet: Packet,
    },
    /// Send a packet with nothing but what changed.
    Partial {
        /// The packet. The values that it does not have are as before.
        packet: Packet,
    },
    /// Send several packets in one frame.
    Frame {
        /// The packets, in order.
        packets: Vec<Packet>,
    },
    /// End every connection.
    Disconnect,
    /// Say nothing more on the connections that are open now, not even heartbeats, but leave them open.
    Mute,
    /// Send frames that make no sense: random bytes, and packets that are cut or changed.
    Garbage {
        /// What they follow from, so that a failure can be repeated.
        seed: u64,
        /// How many.
        frames: u32,
    },
    /// Send an order update.
    Order {
        /// What it has, by the names of [`Hello::order`], each to be written as it is in the place of the
        /// broker's own member: most are texts and numbers, some are null, or make no sense.
        order: BTreeMap<String, Json>,
    },
    /// Serve another list of instruments from now on. Connections that are open stay.
    List(Edition),
    /// Answer a question of a log-in as a person would who follows it to the broker's page, or reads a code.
    Answer {
        /// The field that is asked for.
        field: String,
        /// The page, if there is one.
        url: Option<String>,
    },
    /// End every connection as the broker does when the account has logged in elsewhere.
    Replace,
    /// Say what was seen so far.
    Report,
}

impl Command {
    /// Its name, as [`Hello::commands`] lists it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accept { .. } => "accept",
            Self::Tick { .. } => "tick",
            Self::Partial { .. } => "partial",
            Self::Frame { .. } => "frame",
            Self::Disconnect => "disconnect",
            Self::Mute => "mute",
            Self::Garbage { .. } => "garbage",
            Self::Order { .. } => "order",
            Self::List(_) => "list",
            Self::Answer { .. } => "answer",
            Self::Replace => "replace",
            Self::Report => "report",
        }
    }
}

/// A list of instruments, by how it differs from the one that the venue began with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edition {
    /// Two instruments that have each other's number; none if empty.
    pub swap: Vec<Name>,
    /// Instruments that it does not have any more.
    pub without: Vec<Name>,
    /// An exchange of which it has nothing, as when the broker has written half of it.
    pub lacks: Option<String>,
}

/// An instrument, as a client writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Name {
    /// Exchange code.
    pub exchange: String,
    /// Symbol.
    pub symbol: String,
}

/// What a venue answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Answer {
    /// It is done.
    Done,
    /// What was seen so far.
    Report(Report),
    /// What a person would answer.
    Said(String),
    /// The broker's protocol has no way to do that, for a reason. The case is skipped.
    Unsupported(String),
    /// The venue could not do it, for a reason. The case fails.
    Error(String),
}

/// The first line that a venue prints.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Hello {
    /// Version of the control protocol, [`PROTOCOL`].
    pub venue: u32,
    /// Where the adapter is to connect, as `127.0.0.1:PORT`: for the socket, and for what the broker has over
    /// HTTP.
    pub listening: String,
    /// Commands that it understands.
    pub commands: Vec<String>,
    /// Names of the values that its quotes can carry. Its last prices carry at least `ltp`.
    pub values: Vec<String>,
    /// Whether the broker's quotes and books have a place for each of their values and none can be left out:
    /// one that was not sent is a zero there, which is the broker's word.
    #[serde(default)]
    pub fixed_layout: bool,
    /// Whether the packets of `tick` say of what they do not have that it is gone, where the layout does not
    /// say so anyway.
    #[serde(default)]
    pub images: bool,
    /// Names of what its order updates have, of those of an order update of the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
}

impl Hello {
    /// The hello of a venue at an address, which understands some commands and has some values.
    pub fn new(listening: impl Into<String>, commands: &[&str], values: &[&str]) -> Self {
        Self {
            venue: PROTOCOL,
            listening: listening.into(),
            commands: owned(commands),
            values: owned(values),
            ..Self::default()
        }
    }

    /// With quotes and books that have a place for each value.
    #[must_use]
    pub const fn fixed_layout(mut self, has_one: bool) -> Self {
        self.fixed_layout = has_one;
        self
    }

    /// With whole packets that are images, or without.
    #[must_use]
    pub const fn images(mut self, are_images: bool) -> Self {
        self.images = are_images;
        self
    }

    /// With order updates that have these members.
    #[must_use]
    pub fn order(mut self, members: &[&str]) -> Self {
        self.order = owned(members);
        self
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// A packet that the venue is to send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Packet {
    /// Exchange code of the instrument.
    pub exchange: String,
    /// Symbol, as a client writes it.
    pub symbol: String,
    /// `ltp`, `quote` or `depth`: what kind of packet it is. A broker that sends values and book in messages
    /// of their own sends both of a `depth`, in any order.
    pub kind: String,
    /// Values by name, as exact decimals; what is not here must not be sent.
    pub values: BTreeMap<String, String>,
    /// Bids, best first, of a packet of kind `depth`.
    #[serde(default)]
    pub bids: Vec<Row>,
    /// Asks, best first.
    #[serde(default)]
    pub asks: Vec<Row>,
}

/// A level of a book: price as an exact decimal, quantity, number of orders.
pub type Row = (String, i64, u32);

/// What the venue saw so far. Requests over HTTP are no connections.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Report {
    /// Connections opened since it started.
    pub opened: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Log-ins, in order: whether each was accepted.
    pub log_ins: Vec<bool>,
    /// Subscribe messages on the newest connection, in order: how many instruments each had.
    pub subscribes: Vec<u64>,
    /// What is subscribed on the newest connection.
    pub subscribed: Vec<Subscribed>,
    /// What the adapter did wrong on connections that it hung up, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub complaints: Vec<String>,
}

/// An instrument that is subscribed at the venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// Exchange code of the instrument.
    pub exchange: String,
    /// Symbol, as a client writes it.
    pub symbol: String,
    /// `ltp`, `quote` or `depth`.
    pub mode: String,
}
