//! What every venue keeps: whom it lets in, its connections with what is subscribed there, its list of
//! instruments, and what it saw.

mod accounts;
mod listing;

use std::collections::BTreeMap;

use adapter_conformance::{Name, Subscribed, VenueReport};

pub use self::{
    accounts::Accounts,
    listing::{Listing, Serve},
};
use crate::{Line, Message};

/// Complaints that are kept. The first say most.
const MAX_COMPLAINTS: usize = 16;

/// What a venue keeps beside its broker's protocol.
#[derive(Debug, Default)]
pub struct Desk {
    /// Who may log in.
    pub accounts: Accounts,
    /// The list of instruments.
    pub listing: Listing,
    report: VenueReport,
    connections: BTreeMap<u64, Connection>,
}

/// A connection.
#[derive(Debug)]
struct Connection {
    line: Line,
    owner: String,
    /// Whether it is one for market data, and not one that is not logged in yet, or for orders.
    is_market: bool,
    /// What is subscribed, with the mode.
    subscribed: BTreeMap<(String, String), &'static str>,
    /// What was ever subscribed here: late ticks happen.
    known: BTreeMap<(String, String), &'static str>,
}

fn key(name: &Name) -> (String, String) {
    (name.exchange.clone(), name.symbol.clone())
}

impl Desk {
    pub(crate) fn new(tokens: &'static [&'static str]) -> Self {
        Self { accounts: Accounts::new(tokens), ..Self::default() }
    }

    /// What was seen so far.
    pub fn report(&self) -> VenueReport {
        let mut report = self.report.clone();
        let newest = self.connections.values().rfind(|connection| connection.is_market);
        if let Some(newest) = newest {
            let named = newest.subscribed.iter().map(|((exchange, symbol), mode)| Subscribed {
                exchange: exchange.clone(),
                symbol: symbol.clone(),
                mode: (*mode).to_owned(),
            });
            report.subscribed = named.collect();
        }
        report
    }

    /// Notes what the adapter did wrong, for a person to read beside the case that fails by it.
    pub fn complain(&mut self, reason: impl Into<String>) {
        if self.report.complaints.len() < MAX_COMPLAINTS {
            self.report.complaints.push(reason.into());
        }
    }

    /// Notes what became of a log-in over HTTP. For one on a socket there is [`Self::logged_in_on`].
    pub fn logged_in(&mut self, is_accepted: bool) {
        self.report.log_ins.push(is_accepted);
    }

    /// Notes what became of the log-in on a connection: whose it is, or that it was refused. What is reported
    /// of subscriptions is about this one from now on.
    pub fn logged_in_on(&mut self, connection: u64, owner: Option<&str>) {
        self.report.log_ins.push(owner.is_some());
        if let Some(owner) = owner {
            self.let_in(connection, owner);
        }
    }

    /// From now on the connection is one for market data.
    pub(crate) fn let_in(&mut self, connection: u64, owner: &str) {
        if let Some(one) = self.connections.get_mut(&connection) {
            owner.clone_into(&mut one.owner);
            one.is_market = true;
            self.report.subscribes.clear();
            self.report.subscribed.clear();
        }
    }

    pub(crate) fn enter(&mut self, line: Line, owner: Option<String>) -> u64 {
        self.report.opened += 1;
        self.report.open += 1;
        let connection = self.report.opened;
        let one = Connection {
            line,
            owner: String::new(),
            is_market: false,
            subscribed: BTreeMap::new(),
            known: BTreeMap::new(),
        };
        self.connections.insert(connection, one);
        if let Some(owner) = owner {
            self.logged_in_on(connection, Some(&owner));
        }
        connection
    }

    pub(crate) fn leave(&mut self, connection: u64) {
        // What the last one had stays in the report until there is another.
        self.report.subscribed = self.report().subscribed;
        self.connections.remove(&connection);
        self.report.open = self.report.open.saturating_sub(1);
    }

    /// Connections of somebody, oldest first.
    pub fn connections_of(&self, owner: &str) -> Vec<u64> {
        let of = self.connections.iter().filter(|(_, one)| one.is_market && one.owner == owner);
        of.map(|(connection, _)| *connection).collect()
    }

    /// All connections that are logged in, oldest first.
    pub fn connections(&self) -> Vec<u64> {
        let all = self.connections.iter().filter(|(_, one)| one.is_market);
        all.map(|(connection, _)| *connection).collect()
    }

    /// Notes a subscribe message, with the mode of each instrument: `ltp`, `quote` or `depth`. One that is
    /// subscribed already changes its mode.
    pub fn subscribe(&mut self, connection: u64, wanted: &[(Name, &'static str)]) {
        let newest = self.connections().last().copied();
        let Some(one) = self.connections.get_mut(&connection) else { return };
        if newest == Some(connection) {
            self.report.subscribes.push(u64::try_from(wanted.len()).unwrap_or(u64::MAX));
        }
        for (name, mode) in wanted {
            one.subscribed.insert(key(name), mode);
            one.known.insert(key(name), mode);
        }
    }

    /// Notes the end of a subscription. Packets of it may still come.
    pub fn unsubscribe(&mut self, connection: u64, name: &Name) {
        if let Some(one) = self.connections.get_mut(&connection) {
            one.subscribed.remove(&key(name));
        }
    }

    /// The mode in which an instrument is subscribed on a connection, or was when it is no more; none when it
    /// never was.
    pub fn mode_on(&self, connection: u64, name: &Name) -> Option<&'static str> {
        self.connections.get(&connection)?.known.get(&key(name)).copied()
    }

    /// Says something on a connection.
    pub fn say(&self, connection: u64, message: impl Into<Message>) {
        if let Some(one) = self.connections.get(&connection) {
            one.line.send(message.into());
        }
    }

    /// Says something on all connections that are logged in.
    pub fn broadcast(&self, message: impl Into<Message>) {
        let message = message.into();
        for one in self.connections.values().filter(|one| one.is_market) {
            one.line.send(message.clone());
        }
    }

    /// Says something on a connection, and hangs up.
    pub fn expel(&mut self, connection: u64, message: impl Into<Message>) {
        if let Some(one) = self.connections.get(&connection) {
            one.line.end(message.into());
        }
    }

    /// Cuts all connections, without a close frame.
    pub fn disconnect(&mut self) {
        // The report goes on to tell of the last one.
        self.report.subscribed = self.report().subscribed;
        self.connections.clear();
    }

    /// Nothing more is said on the connections that are open now.
    pub fn mute(&self) {
        self.connections.values().for_each(|one| one.line.mute());
    }

    /// Nothing more is read from the connections that are open now.
    pub fn deafen(&self) {
        self.connections.values().for_each(|one| one.line.deafen());
    }
}
