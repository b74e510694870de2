//! Every counter of the host, in one file. Handles are made at start and bumped once per batch.
//!
//! The counters of a feed form four accounts that balance exactly once nothing is under way:
//!
//! ```text
//! intake    received = routed + out_of_order + conflated_link + conflated_intake + dropped_{unsubscribed,invalid,retired}
//! throttle  updates  = emitted + conflated_throttle + repeated + empty + abandoned + waiting
//! shards    handed   = fanned                        (+ unclaimed + conflated_mailbox, counted for the whole host)
//! delivery  offered  = written + conflated_outbox + discarded + queued
//! ```
//!
//! Ticks are counted in the first, ticks times the streams they concern in the second, encoded updates times
//! shards in the third, and frames times subscribers in the fourth. `queued` is what the difference leaves.
//!
//! [`HostSample`] and [`FeedSample`] are what a scrape reads; [`walk`] goes through them, and [`Page`] writes
//! them in the format of Prometheus. A new field of the structs below appears there by itself, as
//! `tickhost_<area>_<field>_total`.

mod exposition;
mod families;
mod histogram;

use std::sync::atomic::{AtomicU64, Ordering};

pub use self::{
    exposition::Page,
    families::{Families, FeedSample, HostSample, ListSample, walk},
    histogram::{BOUNDS_US, Counted, Histogram},
};
use crate::{
    label::Label,
    protocol::{
        codes::{CloseReason, ErrorCode},
        refusal::UpgradeRefusal,
        request::Request,
    },
};

/// A number that only grows, or that is set. Relaxed: counters order nothing.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        if count > 0 {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Sets it: for gauges and times.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $shown:literal) => { $shown };
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[doc = $help:literal])+ $field:ident $(as $shown:literal)?: $kind:ident,)+ }
        $(labelled { $($(#[$labelled_meta:meta])+ $labelled:ident: $by:ty,)+ })?
        $(durations { $($(#[doc = $duration_help:literal])+ $duration:ident,)+ })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: Counter,)+
            $($($(#[$labelled_meta])+ pub $labelled: Labelled<$by>,)+)?
            $($($(#[doc = $duration_help])+ pub $duration: Histogram,)+)?
        }

        impl $name {
            /// Name, kind and help of each counter with its value, in the order of the fields.
            pub fn each(&self, mut visit: impl FnMut(&'static str, Kind, &'static str, u64)) {
                $(visit(counters!(@name $field $($shown)?), Kind::$kind, concat!($($help),+).trim_ascii(), self.$field.get());)+
            }
            $(
                /// Name and help of each histogram, and the histogram, in the order of the fields.
                pub fn each_duration(&self, mut visit: impl FnMut(&'static str, &'static str, &Histogram)) {
                    $(visit(stringify!($duration), concat!($($duration_help),+).trim_ascii(), &self.$duration);)+
                }
            )?
        }
    };
}

/// What a number means to a monitoring system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Nanoseconds since the Unix epoch, 0 for never.
    Time,
}

counters! {
    /// Counters of one feed.
    FeedCounters {
        /// Ticks that the feed's sources published.
        received: Counter,
        /// Ticks whose instrument is subscribed on the feed.
        routed: Counter,
        /// Ticks that were not applied because what is known of their instrument is newer.
        out_of_order: Counter,
        /// Ticks merged into a newer one in the adapter's process because the host was behind.
        conflated_link: Counter,
        /// Ticks merged into a newer one because the router was behind.
        conflated_intake: Counter,
        /// Instruments that have ticked since they were subscribed.
        active: Gauge,
        /// Ticks of instruments that are not subscribed on the feed.
        dropped_unsubscribed: Counter,
        /// Malformed ticks.
        dropped_invalid: Counter,
        /// Ticks of an adapter instance that was replaced.
        dropped_retired: Counter,
        /// Ticks times the streams that they concern.
        updates: Counter,
        /// Updates that were encoded.
        emitted: Counter,
        /// Updates replaced by a newer one within an interval of the throttle.
        conflated_throttle: Counter,
        /// Updates replaced by a newer one within the interval of clients that asked for fewer.
        conflated_max_rate: Counter,
        /// Ticks missing in lossless streams, of which their clients were told.
        lossless_missed: Counter,
        /// Updates that repeated what another mode had just said.
        repeated: Counter,
        /// Updates without anything to show in their mode.
        empty: Counter,
        /// Updates that waited for their interval when the last subscriber left.
        abandoned: Counter,
        /// Updates that wait for the end of their interval.
        waiting: Gauge,
        /// Encoded updates times the shards that they were handed to.
        handed: Counter,
        /// Encoded updates that a shard gave to its sessions.
        fanned: Counter,
        /// Frames offered to sessions.
        offered: Counter,
        /// Frames written to clients.
        written: Counter,
        /// Frames replaced by a newer one because their client was behind.
        conflated_outbox: Counter,
        /// Frames that waited for a client when it unsubscribed or left.
        discarded: Counter,
        /// Connections made again because they were silent while their exchanges traded.
        silences_answered: Counter,
        /// Instruments that moved from a connection that stayed down to another.
        moved: Counter,
        /// Instances that took over from another one while it served.
        swaps: Counter,
        /// Builds that did not take over, so that the old one stayed.
        swaps_failed: Counter,
        /// Ticks of a new instance that the old one had published already.
        swaps_repeated: Counter,
        /// Instruments that somebody held when the broker's list did not have them any more.
        instruments_lost: Counter,
        /// Of them, those that the list had again.
        instruments_returned: Counter,
        /// What adapters said of their lists of instruments and nobody can read.
        lists_malformed: Counter,
        /// Symbols refused to a user who had taken as many of a shared feed as were left for all others.
        refused_share: Counter,
        /// Events that an adapter sent faster than the feed takes them.
        events_lost: Counter,
        /// When the last tick came.
        last_tick_ns: Time,
    }
    durations {
        /// From the receipt of a tick by its adapter to its hand-over to the socket of a client, without the
        /// wait for the end of an interval of the throttle.
        host_latency,
        /// From the time that the exchange put on a tick to its hand-over to the socket of a client, by the
        /// clocks of both.
        exchange_latency,
    }
}

counters! {
    /// Counters of the host.
    ServerCounters {
        /// Connections accepted by the system.
        connections: Counter,
        /// Errors of the system's accept call.
        accept_errors: Counter,
        /// Connections that never became a WebSocket.
        handshakes_failed: Counter,
        /// TLS handshakes that failed, took too long, or were none.
        tls_handshakes_failed: Counter,
        /// Connections closed during their TLS handshake to make room for others.
        tls_handshakes_refused: Counter,
        /// Connections to the operator's port ended, before or after their request was there, because others
        /// needed the place.
        operator_ended: Counter,
        /// Connections to the operator's port refused because all who were there were being answered.
        operator_refused: Counter,
        /// Upgrades refused because the page that asked is none of those allowed.
        refused_origin: Counter,
        /// Connections refused because the host holds as many as it may.
        refused_total as "refused_at_limit": Counter,
        /// Connections refused because their address holds as many as it may.
        refused_per_address as "refused_at_address_limit": Counter,
        /// Connections without a valid key that were closed to make room for others, or because there were
        /// too many of them.
        displaced as "connections_displaced": Counter,
        /// Bytes that wait for all clients together, as far as they are many for one: replies, ticks, and
        /// requests that are not whole.
        waiting_bytes: Gauge,
        /// Sessions closed because all of them together held more than they may, and they held most.
        memory_displaced as "sessions_displaced_for_memory": Counter,
        /// Connections closed at once because the descriptors that are left are kept for adapters, files and
        /// the operator.
        refused_without_descriptors: Counter,
        /// Sessions begun.
        sessions as "sessions_begun": Counter,
        /// Log-ins that succeeded.
        auth_ok: Counter,
        /// Log-ins that failed.
        auth_failed: Counter,
        /// Snapshots sent after an acknowledgement.
        snapshots: Counter,
        /// Frames of all kinds handed to sockets.
        frames_written: Counter,
        /// Encoded updates replaced by a newer one because a shard was behind.
        conflated_mailbox: Counter,
        /// Encoded updates that found no subscriber left on their shard.
        unclaimed: Counter,
        /// Streams that somebody holds: of each instrument, every mode and number of levels.
        streams: Gauge,
        /// Order updates forwarded.
        orders: Counter,
        /// Order updates that a shard was too far behind to take.
        orders_lost: Counter,
        /// Order updates dropped for clients that were behind with them, and were told so.
        orders_dropped: Counter,
        /// Order updates of adapters that could not be passed on.
        orders_malformed: Counter,
        /// Requests to an OpenTelemetry collector that did not arrive.
        exports_failed: Counter,
        /// Spans for an OpenTelemetry collector that found no room to wait.
        spans_dropped: Counter,
        /// Adapter instances within the host that did not end, and keep a thread and memory.
        instances_left_behind: Gauge,
        /// Adapter libraries mapped into the host's own process, where each stays until it ends.
        libraries_mapped: Gauge,
    }
    labelled {
        /// Sessions ended, by reason.
        closes: CloseReason,
        /// Error frames sent, by code.
        errors: ErrorCode,
        /// Requests, by action.
        requests: Action,
        /// Connections refused before they were a WebSocket, by reason.
        refusals: UpgradeRefusal,
    }
}

counters! {
    /// Counters of API keys.
    KeyCounters {
        /// Keys that were answered for from memory.
        remembered: Counter,
        /// Log-ins that waited for the check of their key that others had asked for.
        joined: Counter,
        /// Keys that were looked for among the stored hashes.
        checked: Counter,
        /// Hashes that they were compared with, tens of milliseconds each.
        hashes: Counter,
        /// Keys that wait for such a check.
        waiting: Gauge,
        /// Log-ins that were told to come back because too many keys are being checked.
        sent_away: Counter,
        /// Keys that were wrong.
        wrong: Counter,
        /// Connections closed after too many wrong keys.
        closed: Counter,
    }
}

/// Counters by a [`Label`].
#[derive(Debug)]
pub struct Labelled<L> {
    counters: Vec<Counter>,
    label: std::marker::PhantomData<fn() -> L>,
}

impl<L: Label> Default for Labelled<L> {
    fn default() -> Self {
        Self {
            counters: L::ALL.iter().map(|_| Counter::default()).collect(),
            label: std::marker::PhantomData,
        }
    }
}

impl<L: Label> Labelled<L> {
    /// Counts one.
    pub fn count(&self, label: L) {
        let place = L::ALL.iter().position(|known| *known == label);
        if let Some(counter) = place.and_then(|place| self.counters.get(place)) {
            counter.add(1);
        }
    }

    /// Label and value of each, in the order of [`Label::ALL`].
    pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        L::ALL.iter().zip(&self.counters).map(|(label, counter)| (label.as_str(), counter.get()))
    }
}

/// What a client asked, without its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the action of the same name in the protocol document")]
pub enum Action {
    Authenticate,
    Subscribe,
    Unsubscribe,
    UnsubscribeAll,
    SubscribeOrders,
    UnsubscribeOrders,
    GetBrokerInfo,
    GetSupportedBrokers,
    Ping,
    Pong,
}

impl From<&Request> for Action {
    fn from(request: &Request) -> Self {
        match request {
            Request::Authenticate { .. } => Self::Authenticate,
            Request::Subscribe { .. } => Self::Subscribe,
            Request::Unsubscribe { .. } => Self::Unsubscribe,
            Request::UnsubscribeAll { .. } => Self::UnsubscribeAll,
            Request::SubscribeOrders { .. } => Self::SubscribeOrders,
            Request::UnsubscribeOrders { .. } => Self::UnsubscribeOrders,
            Request::BrokerInfo => Self::GetBrokerInfo,
            Request::SupportedBrokers => Self::GetSupportedBrokers,
            Request::Ping { .. } => Self::Ping,
            Request::Pong => Self::Pong,
        }
    }
}

impl Label for Action {
    const ALL: &'static [Self] = &[
        Self::Authenticate,
        Self::Subscribe,
        Self::Unsubscribe,
        Self::UnsubscribeAll,
        Self::SubscribeOrders,
        Self::UnsubscribeOrders,
        Self::GetBrokerInfo,
        Self::GetSupportedBrokers,
        Self::Ping,
        Self::Pong,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::UnsubscribeAll => "unsubscribe_all",
            Self::SubscribeOrders => "subscribe_orders",
            Self::UnsubscribeOrders => "unsubscribe_orders",
            Self::GetBrokerInfo => "get_broker_info",
            Self::GetSupportedBrokers => "get_supported_brokers",
            Self::Ping => "ping",
            Self::Pong => "pong",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labelled_counters_are_told_apart() {
        let counters = ServerCounters::default();
        counters.closes.count(CloseReason::SlowClient);
        counters.closes.count(CloseReason::SlowClient);
        let counted: Vec<_> = counters.closes.each().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("slow_client", 2)]);
    }

    #[test]
    fn every_counter_is_visited_with_its_help() {
        let counters = FeedCounters::default();
        counters.received.add(3);
        let mut first = None;
        counters.each(|name, kind, help, value| {
            assert!(help.ends_with('.'), "{name}: {help}");
            first.get_or_insert((name, kind, value));
        });
        assert_eq!(first, Some(("received", Kind::Counter, 3)));
    }
}
