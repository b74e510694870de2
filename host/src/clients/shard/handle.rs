//! How other threads reach a shard.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize},
    time::Instant,
};

use tickhost_core::{
    inbox::Inbox,
    mailbox::Mailbox,
    protocol::{Frame, codes::CloseReason},
};

use super::survey::Survey;
use crate::{
    accounts::UserName,
    clients::{admissions::Admission, tls::Incoming},
    feeds::bulletin::{Bulletin, Recipient},
};

/// Order updates that a shard may have waiting; more are counted and lost.
const ORDER_LIMIT: usize = 8_192;

/// What other threads ask of a shard.
#[derive(Debug)]
pub enum ShardCommand {
    /// A new connection.
    Accept(Arrival),
    /// News of the feeds and accounts for the sessions.
    News(Bulletin),
    /// What the operator wants to know of the sessions.
    Survey(Survey),
    /// Close every session, then end.
    Drain,
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct Arrival {
    /// The connection, encrypted or not.
    pub stream: Incoming,
    /// The other end.
    pub peer: SocketAddr,
    /// When it was accepted.
    pub since: Instant,
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
}

impl Recipient for ShardHandle {
    fn tell(&self, bulletin: Bulletin) {
        self.commands.push(ShardCommand::News(bulletin));
    }

    fn offer_order(&self, user: &UserName, frame: &Frame) -> bool {
        let order = Bulletin::Order { user: user.clone(), frame: frame.clone() };
        self.commands.try_push(ShardCommand::News(order), ORDER_LIMIT).is_ok()
    }
}
