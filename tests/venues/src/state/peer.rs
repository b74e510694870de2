//! One connection, as the rest of the venue sees it.

use std::{
    any::Any,
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data, OpCode},
    },
};

use super::Faults;
use crate::{broker::Role, model::Mode};

/// What the task of a connection is told.
#[derive(Debug)]
pub(crate) enum Out {
    /// Send this.
    Send(Message),
    /// Read nothing more.
    Deaf,
    /// Send this, and hang up.
    End(Message),
}

/// What the byte stream of a connection shares with the venue.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    is_mute: AtomicBool,
}

impl Wire {
    pub(crate) fn mute(&self) {
        self.is_mute.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_mute(&self) -> bool {
        self.is_mute.load(Ordering::Relaxed)
    }
}

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
    pub(crate) wire: Arc<Wire>,
    out: mpsc::Sender<Out>,
}

impl Peer {
    pub(super) fn new(
        number: u64,
        account: String,
        out: mpsc::Sender<Out>,
        wire: Arc<Wire>,
        role: Role,
        session: Box<dyn Any + Send>,
    ) -> Self {
        let (subscribed, lingering, known) = (BTreeSet::new(), BTreeSet::new(), HashMap::new());
        Self { number, account, subscribed, lingering, known, role, session, wire, out }
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

    pub(super) fn order(&self, out: Out) {
        // A connection that has just ended, or is far behind, misses it.
        _ = self.out.try_send(out);
    }

    pub(super) fn send(&self, message: Message, faults: &Faults) {
        if !faults.is_fragmented {
            return self.order(Out::Send(message));
        }
        let (payload, first) = match message {
            Message::Text(text) => (text.as_bytes().to_vec(), Data::Text),
            Message::Binary(bytes) => (bytes.to_vec(), Data::Binary),
            other => return self.order(Out::Send(other)),
        };
        let (one, two) = payload.split_at(payload.len() / 2);
        for (part, data, is_final) in [(one, first, false), (two, Data::Continue, true)] {
            let frame = Frame::message(part.to_vec(), OpCode::Data(data), is_final);
            self.order(Out::Send(Message::Frame(frame)));
        }
    }
}
