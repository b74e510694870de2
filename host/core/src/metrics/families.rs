//! All metrics, family by family, for whoever shows them: the page of `/metrics`, and what is sent to an
//! OpenTelemetry collector. Both see the same names, labels and values, because there is one walk.

use std::time::Duration;

use super::{Counted, FeedCounters, KeyCounters, Kind, ServerCounters};

/// What a scrape shows of the host itself.
#[derive(Debug)]
pub struct HostSample<'a> {
    /// Version of the host.
    pub version: &'a str,
    /// Version of the plugin ABI.
    pub abi_version: &'a str,
    /// Time since the start.
    pub uptime: Duration,
    /// Sessions at the moment.
    pub sessions: u64,
    /// Connections at the moment, those that have not finished their handshake included.
    pub connections: u64,
    /// Of them, those that have shown no valid key yet.
    pub connections_without_key: u64,
    /// Counters of the host.
    pub counters: &'a ServerCounters,
    /// Counters of API keys.
    pub keys: &'a KeyCounters,
    /// Counters of the bus as (area, outcome, value), none of which may go down; empty when the bus is off.
    pub bus: Vec<(&'static str, &'static str, u64)>,
}

/// What a scrape shows of one feed.
#[derive(Debug)]
pub struct FeedSample<'a> {
    /// Number of the feed, which no other feed of this host ever has.
    pub id: u32,
    /// Name of the adapter in `plugins.toml`, or `bus`.
    pub adapter: &'a str,
    /// Broker, as clients see it.
    pub broker: &'a str,
    /// Spelling of its state.
    pub state: &'static str,
    /// Whether the exchanges of its instruments are closed.
    pub is_market_closed: bool,
    /// Instruments subscribed upstream.
    pub instruments: u64,
    /// Of them, those that the broker's list does not have any more.
    pub instruments_missing: u64,
    /// What its adapter says of the list of instruments; none when it says nothing.
    pub list: Option<ListSample>,
    /// Connections to the broker.
    pub connections: u64,
    /// Sessions that it serves.
    pub sessions: u64,
    /// Connections lost.
    pub disconnects: u64,
    /// Adapter instances started again.
    pub restarts: u64,
    /// Its ledgers.
    pub counters: &'a FeedCounters,
}

/// What a scrape shows of a list of instruments.
#[derive(Clone, Copy, Debug)]
pub struct ListSample {
    /// Whether everything is there.
    pub is_whole: bool,
    /// Instruments that can be subscribed.
    pub instruments: u64,
    /// Rows that could not be read.
    pub skipped: u64,
    /// Segments that are not as they should be.
    pub troubles: u64,
    /// When it was made or fetched, in seconds since the Unix epoch.
    pub fetched_at: u64,
    /// The same of its oldest rows.
    pub oldest_at: u64,
}

/// Is told of all metrics. What comes after a family belongs to it, until the next one.
pub trait Families {
    /// A family of numbers begins. The name is that of Prometheus, with its unit and ending.
    fn family(&mut self, name: &str, kind: Kind, help: &str);

    /// A family of histograms begins, in seconds.
    fn histograms(&mut self, name: &str, help: &str);

    /// A number of the present family; see [`Kind`] for its unit.
    fn number(&mut self, labels: &[(&str, &str)], value: u64);

    /// A histogram of the present family.
    fn histogram(&mut self, labels: &[(&str, &str)], counted: &Counted);
}

/// Tells `to` of all metrics. `states` are the spellings of all states that a feed can be in.
pub fn walk(host: &HostSample<'_>, feeds: &[FeedSample<'_>], states: &[&'static str], to: &mut dyn Families) {
    walk_host(host, to);
    walk_feeds(feeds, states, to);
}

fn walk_host(host: &HostSample<'_>, to: &mut dyn Families) {
    to.family("tickhost_build_info", Kind::Gauge, "Version of the host and of its plugin ABI, always 1.");
    to.number(&[("version", host.version), ("abi", host.abi_version)], 1);
    let gauges = [
        ("tickhost_uptime_seconds", "Time since the host started.", host.uptime.as_secs()),
        ("tickhost_sessions", "Sessions at the moment.", host.sessions),
        (
            "tickhost_connections",
            "Connections at the moment, unfinished handshakes included.",
            host.connections,
        ),
        (
            "tickhost_connections_without_key",
            "Connections at the moment that have shown no valid key yet.",
            host.connections_without_key,
        ),
    ];
    for (name, help, value) in gauges {
        to.family(name, Kind::Gauge, help);
        to.number(&[], value);
    }
    host.counters.each(|field, kind, help, value| {
        let name = name_of("server", field, kind);
        to.family(&name, kind, help);
        to.number(&[], value);
    });
    host.keys.each(|field, kind, help, value| {
        let name = name_of("keys", field, kind);
        to.family(&name, kind, help);
        to.number(&[], value);
    });
    let counters = host.counters;
    labelled(
        to,
        "tickhost_session_closes_total",
        "Sessions ended, by reason.",
        "reason",
        counters.closes.each(),
    );
    labelled(
        to,
        "tickhost_session_errors_total",
        "Error frames sent, by code.",
        "code",
        counters.errors.each(),
    );
    labelled(
        to,
        "tickhost_session_requests_total",
        "Requests, by action.",
        "action",
        counters.requests.each(),
    );
    labelled(
        to,
        "tickhost_server_refusals_total",
        "Connections refused before they were a WebSocket, by reason.",
        "reason",
        counters.refusals.each(),
    );
    if !host.bus.is_empty() {
        to.family("tickhost_bus_events_total", Kind::Counter, "What the bus did, by area and outcome.");
        for (area, outcome, value) in &host.bus {
            to.number(&[("area", area), ("outcome", outcome)], *value);
        }
    }
}

/// A metric of feeds: name, kind, help, value.
type Column = (&'static str, Kind, &'static str, fn(&FeedSample<'_>) -> u64);

/// A metric of lists of instruments: name, kind, help, value.
type ListColumn = (&'static str, Kind, &'static str, fn(&ListSample) -> u64);

fn walk_feeds(feeds: &[FeedSample<'_>], states: &[&'static str], to: &mut dyn Families) {
    let ids: Vec<String> = feeds.iter().map(|feed| feed.id.to_string()).collect();
    let labels: Vec<[(&str, &str); 3]> = feeds
        .iter()
        .zip(&ids)
        .map(|(feed, id)| [("adapter", feed.adapter), ("broker", feed.broker), ("feed", id.as_str())])
        .collect();

    to.family("tickhost_feed_state", Kind::Gauge, "1 for the state that the feed is in, 0 for the others.");
    for (feed, labels) in feeds.iter().zip(&labels) {
        for state in states {
            let [adapter, broker, id] = *labels;
            let is_in = u64::from(feed.state == *state);
            to.number(&[adapter, broker, id, ("state", state)], is_in);
        }
    }
    let columns: [Column; 7] = [
        (
            "market_closed",
            Kind::Gauge,
            "1 while the subscribed exchanges are closed, 0 when one trades or is about to, and where hours do not matter.",
            |feed| u64::from(feed.is_market_closed),
        ),
        ("instruments", Kind::Gauge, "Instruments subscribed upstream.", |feed| feed.instruments),
        (
            "instruments_missing",
            Kind::Gauge,
            "Subscribed instruments that the broker's list does not have any more.",
            |feed| feed.instruments_missing,
        ),
        ("connections", Kind::Gauge, "Connections to the broker.", |feed| feed.connections),
        ("sessions", Kind::Gauge, "Sessions that the feed serves.", |feed| feed.sessions),
        ("disconnects", Kind::Counter, "Connections to the broker that were lost.", |feed| feed.disconnects),
        ("restarts", Kind::Counter, "Adapter instances started again after a failure.", |feed| feed.restarts),
    ];
    for (field, kind, help, value) in columns {
        let name = name_of("feed", field, kind);
        to.family(&name, kind, help);
        for (feed, labels) in feeds.iter().zip(&labels) {
            to.number(labels, value(feed));
        }
    }

    let columns: [ListColumn; 6] = [
        (
            "list_whole",
            Kind::Gauge,
            "1 when the adapter's list of instruments is whole, 0 when it is not.",
            |list| u64::from(list.is_whole),
        ),
        ("list_instruments", Kind::Gauge, "Instruments of the adapter's list.", |list| list.instruments),
        ("list_rows_skipped", Kind::Gauge, "Rows of the adapter's list that it could not read.", |list| {
            list.skipped
        }),
        ("list_troubles", Kind::Gauge, "Segments of the adapter's list that are not whole.", |list| {
            list.troubles
        }),
        ("list_fetched_ns", Kind::Time, "When the adapter's list was made or fetched.", |list| {
            list.fetched_at.saturating_mul(1_000_000_000)
        }),
        (
            "list_oldest_ns",
            Kind::Time,
            "When the oldest rows of the adapter's list were made or fetched.",
            |list| list.oldest_at.saturating_mul(1_000_000_000),
        ),
    ];
    for (field, kind, help, value) in columns {
        to.family(&name_of("feed", field, kind), kind, help);
        // An adapter that says nothing of its list has none of these.
        for (list, labels) in
            feeds.iter().zip(&labels).filter_map(|(feed, labels)| Some((feed.list?, labels)))
        {
            to.number(labels, value(&list));
        }
    }

    let values: Vec<Vec<u64>> = feeds.iter().map(|feed| values_of(feed.counters)).collect();
    let mut place = 0;
    FeedCounters::default().each(|field, kind, help, _| {
        let name = name_of("feed", field, kind);
        to.family(&name, kind, help);
        for (values, labels) in values.iter().zip(&labels) {
            to.number(labels, values.get(place).copied().unwrap_or(0));
        }
        place += 1;
    });

    let durations: Vec<Vec<Counted>> = feeds.iter().map(|feed| durations_of(feed.counters)).collect();
    let mut place = 0;
    FeedCounters::default().each_duration(|field, help, _| {
        let name = format!("tickhost_feed_{field}_seconds");
        to.histograms(&name, help);
        for (durations, labels) in durations.iter().zip(&labels) {
            to.histogram(labels, &durations.get(place).copied().unwrap_or_default());
        }
        place += 1;
    });
}

fn labelled(
    to: &mut dyn Families,
    name: &str,
    help: &str,
    label: &str,
    values: impl Iterator<Item = (&'static str, u64)>,
) {
    to.family(name, Kind::Counter, help);
    for (value, count) in values {
        to.number(&[(label, value)], count);
    }
}

fn durations_of(counters: &FeedCounters) -> Vec<Counted> {
    let mut durations = Vec::new();
    counters.each_duration(|_, _, histogram| durations.push(histogram.read()));
    durations
}

fn values_of(counters: &FeedCounters) -> Vec<u64> {
    let mut values = Vec::new();
    counters.each(|_, _, _, value| values.push(value));
    values
}

fn name_of(area: &str, field: &str, kind: Kind) -> String {
    match kind {
        Kind::Counter => format!("tickhost_{area}_{field}_total"),
        Kind::Gauge => format!("tickhost_{area}_{field}"),
        Kind::Time => format!("tickhost_{area}_{}_timestamp_seconds", field.trim_end_matches("_ns")),
    }
}
