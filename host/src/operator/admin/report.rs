//! What the operator's port tells, as types. Members are only ever added.

use std::net::SocketAddr;

use serde::{Serialize, Serializer};

use crate::feeds::{catalog::report::AdapterStatus, feed::ListReport};

/// Everything about a running host: the answer of `/status`.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// Version of the host.
    pub version: &'static str,
    /// Version of the plugin ABI that it speaks.
    pub abi_version: &'static str,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Where it listens.
    pub listeners: Listeners,
    /// Feeds by number, a feed being one account at one broker.
    pub feeds: Vec<FeedReport>,
    /// What `plugins.toml` lists, in its order.
    pub adapters: Vec<AdapterStatus>,
    /// Why the present `plugins.toml` is not followed, none when it is.
    pub plugins_error: Option<String>,
    /// Client sessions.
    pub sessions: SessionCounts,
    /// How often the host has noticed that users, keys or accounts have changed.
    pub accounts_changes: u64,
    /// Limits in force.
    pub limits: Limits,
    /// Counters of the host by name, as in `/metrics`.
    pub counters: Counts,
    /// Connections refused before they were a WebSocket, by reason, as in `/metrics`.
    pub refusals: Counts,
    /// What the bus did, by area and outcome, as in `/metrics`; empty when it is off.
    pub bus: Areas,
}

/// Where the host listens.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Listeners {
    /// Clients.
    pub websocket: SocketAddr,
    /// Publishers, none when the bus is switched off.
    pub bus: Option<SocketAddr>,
    /// The operator.
    pub admin: SocketAddr,
}

/// One account at one broker.
#[derive(Clone, Debug, Serialize)]
pub struct FeedReport {
    /// Number of the feed, as in the labels of `/metrics`.
    pub id: u32,
    /// Broker, as clients see it.
    pub broker: String,
    /// Name of the adapter in `plugins.toml`, or `bus`.
    pub adapter: String,
    /// The user whose account it is, none for the feed of the bus, which is shared.
    pub user: Option<String>,
    /// `starting`, `connecting`, `live`, `stale`, `auth_failed`, `down` or `closed`.
    pub state: &'static str,
    /// Milliseconds in this state, silence not considered.
    pub state_age_ms: Option<u64>,
    /// Milliseconds since the last tick, none before the first.
    pub last_tick_age_ms: Option<u64>,
    /// The last thing that went wrong, in the broker's or the adapter's words.
    pub last_error: Option<String>,
    /// Sessions that it serves.
    pub sessions: usize,
    /// Instruments subscribed upstream.
    pub instruments: usize,
    /// Of them, those that have ticked since they were subscribed.
    pub active: u64,
    /// Of them, those that the broker has not taken yet.
    pub pending: u64,
    /// Of them, those that the broker's list does not have any more: they tick again when it does.
    pub lost: usize,
    /// What its adapter says of the list of instruments; none when it says nothing.
    pub list: Option<ListReport>,
    /// What is wrong with that list, in a sentence.
    pub list_trouble: Option<String>,
    /// Instruments that its limits allow.
    pub capacity: usize,
    /// What its exchanges do: `open`, `pre_open`, `closed`; none when their hours do not matter, or nothing
    /// is subscribed.
    pub market: Option<&'static str>,
    /// Milliseconds until the next session of one of them, while none trades.
    pub opens_in_ms: Option<u64>,
    /// Attempts to connect since the last that succeeded.
    pub attempts: u32,
    /// Milliseconds until the next attempt after a failure.
    pub retry_in_ms: Option<u64>,
    /// Instruments on each connection to the broker.
    pub connections: Vec<usize>,
    /// What each connection to the broker says of itself.
    pub links: Vec<LinkReport>,
    /// Connections lost.
    pub disconnects: u64,
    /// Adapter instances started again after a failure.
    pub restarts: u64,
    /// Running adapter instances.
    pub instances: Vec<InstanceReport>,
    /// Counters of the feed by name, as in `/metrics`.
    pub counters: Counts,
}

/// One connection of a feed to its broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkReport {
    /// Its number.
    pub connection: usize,
    /// Its state, silence not considered.
    pub state: &'static str,
    /// Milliseconds in this state.
    pub state_age_ms: Option<u64>,
    /// Milliseconds since its last tick.
    pub last_tick_age_ms: Option<u64>,
    /// Instruments that it carries.
    pub instruments: usize,
    /// Attempts to connect since the last that succeeded.
    pub attempts: u32,
    /// Milliseconds until the next attempt after a failure.
    pub retry_in_ms: Option<u64>,
    /// The last thing that went wrong.
    pub last_error: Option<String>,
}

/// One running adapter instance: one connection of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceReport {
    /// Number of the connection.
    pub connection: usize,
    /// Number of its process, none when it has none of its own, or is only just starting.
    pub pid: Option<u32>,
    /// Resident memory of its process.
    pub resident_bytes: Option<u64>,
    /// Open descriptors of its process.
    pub descriptors: Option<u64>,
    /// Records that it published.
    pub published: u64,
    /// Packets from the broker that it could not decode.
    pub undecodable: u64,
    /// Connections to the broker that it established.
    pub connects: u64,
}

/// Client sessions at the moment.
#[derive(Clone, Debug, Serialize)]
pub struct SessionCounts {
    /// Connections, those that have not finished their handshake included.
    pub connections: usize,
    /// Of them, those that have shown no valid key yet.
    pub without_key: usize,
    /// Sessions.
    pub total: usize,
    /// Sessions on each shard.
    pub by_shard: Vec<usize>,
}

/// Limits in force.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_address: usize,
    /// Connections with one key.
    pub connections_per_key: usize,
}

/// Numbers by name, in the order in which they are declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(pub Vec<(&'static str, u64)>);

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

/// Numbers by area and outcome, those of an area one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Areas(pub Vec<(&'static str, &'static str, u64)>);

impl Serialize for Areas {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut areas: Vec<(&str, Counts)> = Vec::new();
        for (area, outcome, count) in &self.0 {
            match areas.iter_mut().find(|(known, _)| known == area) {
                Some((_, counts)) => counts.0.push((outcome, *count)),
                None => areas.push((area, Counts(vec![(outcome, *count)]))),
            }
        }
        serializer.collect_map(areas)
    }
}

/// Whether clients can be served as they should: the answer of `/readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Nothing stands in the way.
    pub ready: bool,
    /// What stands in the way.
    pub reasons: Vec<NotReady>,
}

impl Readiness {
    /// Ready when there is no reason against it.
    pub fn new(reasons: Vec<NotReady>) -> Self {
        Self { ready: reasons.is_empty(), reasons }
    }
}

/// A feed that should be live and is not or has half a list of instruments, or an adapter without which there
/// can be none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// Number of the feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<u32>,
    /// Name of the adapter, where it is the adapter or its list of instruments that is at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// Broker, as clients see it; of an adapter all that it serves.
    pub broker: String,
    /// Its state, or `list_incomplete`.
    pub state: &'static str,
    /// What went wrong, for people.
    pub message: String,
}
