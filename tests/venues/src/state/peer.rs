//! One connection, as the rest of the venue sees it.

use std::{
    any::Any,
    collections::{BTreeSet, HashMap},
};

use adapter_venue::Line;
use tokio_tungstenite::tungstenite::Message;

use crate::{broker::Role, model::Mode};

/// A connection.
#[derive(Debug)]
pub struct Peer {
    /// Counted from 1.
    pub number: u64,
    /// Whose it is.
    pub account: String,
    /// Instruments with the mode, or modes, of each.
    pub subscribed: BTreeSet<(usize, Mode)>,
    /// Instruments that were unsubscribed, and go on all the same: some brokers' feeds do not stop.
    pub lingering: BTreeSet<(usize, Mode)>,
    /// Instruments that were ever subscribed here, with the highest mode of each.
    pub known: HashMap<usize, Mode>,
    /// What it is for.
    pub role: Role,
    /// What only its broker knows of it.
    pub session: Box<dyn Any + Send>,
    pub(crate) line: Line,
}

impl Peer {
    pub(super) fn new(
        number: u64,
        account: String,
        line: Line,
        role: Role,
        session: Box<dyn Any + Send>,
    ) -> Self {
        let (subscribed, lingering, known) = (BTreeSet::new(), BTreeSet::new(), HashMap::new());
        Self { number, account, subscribed, lingering, known, role, session, line }
    }

    /// The highest mode in which an instrument is subscribed, or ever was when it is no more.
    pub(super) fn mode_of(&self, place: usize) -> Option<Mode> {
        let of_it = (place, Mode::Ltp)..=(place, Mode::Deep(u8::MAX));
        let now = self.subscribed.range(of_it).next_back().map(|pair| pair.1);
        now.or_else(|| self.known.get(&place).copied())
    }

    /// All pairs that it is sent trades of.
    pub(super) fn streamed(&self) -> Vec<(usize, Mode)> {
        self.subscribed.union(&self.lingering).copied().collect()
    }

    pub(super) fn send(&self, message: Message) {
        self.line.send(said(message));
    }
}

/// A message of this crate's as one of the server's.
pub(crate) fn said(message: Message) -> adapter_venue::Message {
    match message {
        Message::Text(text) => adapter_venue::Message::text(text.as_str()),
        Message::Binary(bytes) => adapter_venue::Message::Binary(bytes),
        Message::Ping(bytes) => adapter_venue::Message::Ping(bytes),
        Message::Pong(bytes) => adapter_venue::Message::Pong(bytes),
        Message::Close(_) | Message::Frame(_) => adapter_venue::Message::Close,
    }
}
