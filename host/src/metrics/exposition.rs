//! The text format of Prometheus (0.0.4): every sample of a name stands together, under one `HELP` and one `TYPE`.

use std::{fmt::Write as _, time::Duration};

use super::{BOUNDS_US, Counted, FeedCounters, Kind, ServerCounters};

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
    /// Counters of the host.
    pub counters: &'a ServerCounters,
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

/// Appends all metrics to `out`. `states` are the spellings of all states that a feed can be in.
pub fn render(host: &HostSample<'_>, feeds: &[FeedSample<'_>], states: &[&'static str], out: &mut String) {
    let mut page = Page { out };
    render_host(host, &mut page);
    render_feeds(feeds, states, &mut page);
}

fn render_host(host: &HostSample<'_>, page: &mut Page<'_>) {
    page.family("tickhost_build_info", Kind::Gauge, "Version of the host and of its plugin ABI, always 1.");
    page.sample("tickhost_build_info", &[("version", host.version), ("abi", host.abi_version)], 1);
    let gauges = [
        ("tickhost_uptime_seconds", "Time since the host started.", host.uptime.as_secs()),
        ("tickhost_sessions", "Sessions at the moment.", host.sessions),
        (
            "tickhost_connections",
            "Connections at the moment, unfinished handshakes included.",
            host.connections,
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, Kind::Gauge, help);
        page.sample(name, &[], value);
    }
    host.counters.each(|field, kind, help, value| {
        let name = name_of("server", field, kind);
        page.family(&name, kind, help);
        page.number(&name, &[], kind, value);
    });
    let counters = host.counters;
    page.labelled(
        "tickhost_session_closes_total",
        "Sessions ended, by reason.",
        "reason",
        counters.closes.each(),
    );
    page.labelled(
        "tickhost_session_errors_total",
        "Error frames sent, by code.",
        "code",
        counters.errors.each(),
    );
    page.labelled(
        "tickhost_session_requests_total",
        "Requests, by action.",
        "action",
        counters.requests.each(),
    );
    if !host.bus.is_empty() {
        page.family("tickhost_bus_events_total", Kind::Counter, "What the bus did, by area and outcome.");
        for (area, outcome, value) in &host.bus {
            page.sample("tickhost_bus_events_total", &[("area", area), ("outcome", outcome)], *value);
        }
    }
}

/// A metric of feeds: name, kind, help, value.
type Column = (&'static str, Kind, &'static str, fn(&FeedSample<'_>) -> u64);

fn render_feeds(feeds: &[FeedSample<'_>], states: &[&'static str], page: &mut Page<'_>) {
    let ids: Vec<String> = feeds.iter().map(|feed| feed.id.to_string()).collect();
    let labels: Vec<[(&str, &str); 3]> = feeds
        .iter()
        .zip(&ids)
        .map(|(feed, id)| [("adapter", feed.adapter), ("broker", feed.broker), ("feed", id.as_str())])
        .collect();

    page.family("tickhost_feed_state", Kind::Gauge, "1 for the state that the feed is in, 0 for the others.");
    for (feed, labels) in feeds.iter().zip(&labels) {
        for state in states {
            let [adapter, broker, id] = *labels;
            let is_in = u64::from(feed.state == *state);
            page.sample("tickhost_feed_state", &[adapter, broker, id, ("state", state)], is_in);
        }
    }
    let columns: [Column; 6] = [
        (
            "market_closed",
            Kind::Gauge,
            "1 while the subscribed exchanges are closed, 0 when one trades or is about to, and where hours do not matter.",
            |feed| u64::from(feed.is_market_closed),
        ),
        ("instruments", Kind::Gauge, "Instruments subscribed upstream.", |feed| feed.instruments),
        ("connections", Kind::Gauge, "Connections to the broker.", |feed| feed.connections),
        ("sessions", Kind::Gauge, "Sessions that the feed serves.", |feed| feed.sessions),
        ("disconnects", Kind::Counter, "Connections to the broker that were lost.", |feed| feed.disconnects),
        ("restarts", Kind::Counter, "Adapter instances started again after a failure.", |feed| feed.restarts),
    ];
    for (field, kind, help, value) in columns {
        let name = name_of("feed", field, kind);
        page.family(&name, kind, help);
        for (feed, labels) in feeds.iter().zip(&labels) {
            page.number(&name, labels, kind, value(feed));
        }
    }

    let values: Vec<Vec<u64>> = feeds.iter().map(|feed| values_of(feed.counters)).collect();
    let mut place = 0;
    FeedCounters::default().each(|field, kind, help, _| {
        let name = name_of("feed", field, kind);
        page.family(&name, kind, help);
        for (values, labels) in values.iter().zip(&labels) {
            page.number(&name, labels, kind, values.get(place).copied().unwrap_or(0));
        }
        place += 1;
    });

    let durations: Vec<Vec<Counted>> = feeds.iter().map(|feed| durations_of(feed.counters)).collect();
    let mut place = 0;
    FeedCounters::default().each_duration(|field, help, _| {
        let name = format!("tickhost_feed_{field}_seconds");
        page.head_of(&name, "histogram", help);
        for (durations, labels) in durations.iter().zip(&labels) {
            page.histogram(&name, labels, &durations.get(place).copied().unwrap_or_default());
        }
        place += 1;
    });
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

#[derive(Debug)]
struct Page<'a> {
    out: &'a mut String,
}

impl Page<'_> {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge | Kind::Time => "gauge",
        };
        self.head_of(name, kind, help);
    }

    fn head_of(&mut self, name: &str, kind: &str, help: &str) {
        self.out.push_str("# HELP ");
        self.out.push_str(name);
        self.out.push(' ');
        escape(help, false, self.out);
        self.line(format_args!("\n# TYPE {name} {kind}"));
    }

    fn labelled(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl Iterator<Item = (&'static str, u64)>,
    ) {
        self.family(name, Kind::Counter, help);
        for (value, count) in values {
            self.sample(name, &[(label, value)], count);
        }
    }

    /// One bucket in two of those that are kept, which is what dashboards need; counts are cumulative, so none is lost.
    fn histogram(&mut self, name: &str, labels: &[(&str, &str); 3], counted: &Counted) {
        let (bucket, mut below) = (format!("{name}_bucket"), 0);
        for (place, (count, bound)) in counted.buckets.iter().zip(BOUNDS_US).enumerate() {
            below += count;
            if place % 2 == 0 {
                let bound = seconds(bound);
                let [adapter, broker, feed] = *labels;
                self.sample(&bucket, &[adapter, broker, feed, ("le", &bound)], below);
            }
        }
        let [adapter, broker, feed] = *labels;
        self.sample(&bucket, &[adapter, broker, feed, ("le", "+Inf")], counted.count());
        self.head(&format!("{name}_sum"), labels);
        let sum = seconds(counted.sum_us);
        self.line(format_args!(" {sum}"));
        self.sample(&format!("{name}_count"), labels, counted.count());
    }

    fn number(&mut self, name: &str, labels: &[(&str, &str)], kind: Kind, value: u64) {
        if kind != Kind::Time {
            return self.sample(name, labels, value);
        }
        self.head(name, labels);
        let (seconds, millis) = (value / 1_000_000_000, value / 1_000_000 % 1_000);
        self.line(format_args!(" {seconds}.{millis:03}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.head(name, labels);
        self.line(format_args!(" {value}"));
    }

    fn head(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.out.push_str(name);
        for (place, (label, value)) in labels.iter().enumerate() {
            self.out.push(if place == 0 { '{' } else { ',' });
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(value, true, self.out);
            self.out.push('"');
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
    }

    fn line(&mut self, rest: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _infallible = self.out.write_fmt(rest);
        self.out.push('\n');
    }
}

/// Microseconds in seconds, without needless zeros.
fn seconds(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escape(text: &str, is_label: bool, out: &mut String) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_label => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
