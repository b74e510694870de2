#![expect(clippy::float_cmp, reason = "the values were written as they are read")]

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::*;
use crate::{
    metrics::{FeedCounters, FeedSample, HostSample, KeyCounters, ListSample, ServerCounters, walk},
    protocol::codes::CloseReason,
};

const STATES: [&str; 2] = ["live", "down"];

/// One sample: labels in order of their names, and the value.
type Sample = (BTreeMap<String, String>, f64);

#[derive(Debug, Default)]
struct Family {
    kind: String,
    samples: Vec<Sample>,
}

/// Reads the format as its description has it, and panics about everything else.
fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'), "the last line ends");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a help text");
            assert!(!help.is_empty() && help.ends_with('.'), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect("TYPE follows HELP");
            let (typed, kind) = kind.split_once(' ').expect("a type");
            assert_eq!(typed, name);
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            let family = Family { kind: kind.to_owned(), samples: Vec::new() };
            assert!(families.insert(name.to_owned(), family).is_none(), "{name} stands twice");
            name.clone_into(&mut current);
            continue;
        }
        let end = line.find(['{', ' ']).expect("a value");
        let (name, rest) = line.split_at(end);
        // Those of a histogram have an ending each.
        let part = name.strip_prefix(current.as_str()).expect("samples stand under their own name");
        match families[&current].kind.as_str() {
            "histogram" => assert!(matches!(part, "_bucket" | "_sum" | "_count"), "{line}"),
            _ => assert_eq!(part, "", "{line}"),
        }
        assert!(name.chars().all(|character| character.is_ascii_lowercase() || character == '_'), "{name}");
        let (mut labels, value) = labels(rest);
        let value = value.strip_prefix(' ').expect("a space before the value").parse().expect("a number");
        if !part.is_empty() {
            labels.insert("part".to_owned(), part.to_owned());
        }
        let samples = &mut families.get_mut(&current).unwrap().samples;
        assert!(samples.iter().all(|(known, _)| *known != labels), "{line} stands twice");
        samples.push((labels, value));
    }
    families
}

/// Labels, and what follows them.
fn labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        let (name, after) = rest.split_once("=\"").expect("a label");
        let mut value = String::new();
        let mut characters = after.char_indices();
        let end = loop {
            match characters.next().expect("the value ends") {
                (place, '"') => break place,
                (_, '\\') => value.push(match characters.next().expect("an escape").1 {
                    'n' => '\n',
                    other @ ('\\' | '"') => other,
                    other => panic!("unknown escape {other}"),
                }),
                (_, other) => value.push(other),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} stands twice");
        rest = after.split_at(end + 1).1;
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return (labels, rest.strip_prefix('}').expect("the labels end")),
        }
    }
}

fn feed<'a>(id: u32, adapter: &'a str, counters: &'a FeedCounters) -> FeedSample<'a> {
    FeedSample {
        id,
        adapter,
        broker: "sim",
        state: "live",
        is_market_closed: true,
        instruments: 7,
        instruments_missing: 6,
        list: Some(ListSample {
            is_whole: false,
            instruments: 13,
            skipped: 14,
            troubles: 15,
            fetched_at: 1_764_500_000,
            oldest_at: 1_764_400_000,
        }),
        connections: 2,
        sessions: 3,
        disconnects: 4,
        restarts: 5,
        counters,
    }
}

fn page(feeds: &[FeedSample<'_>], counters: &ServerCounters) -> String {
    let host = HostSample {
        version: "0.1.0",
        abi_version: "1.0",
        uptime: Duration::from_secs(90),
        sessions: 11,
        connections: 12,
        connections_without_key: 3,
        counters,
        keys: &KeyCounters::default(),
        bus: vec![("ticks", "accepted", 8), ("ticks", "not_subscribed", 9)],
    };
    let mut out = String::new();
    walk(&host, feeds, &STATES, &mut Page::new(&mut out));
    out
}

fn value(families: &BTreeMap<String, Family>, name: &str, label: (&str, &str)) -> f64 {
    let found = families[name]
        .samples
        .iter()
        .find(|(labels, _)| label.0.is_empty() || labels.get(label.0).is_some_and(|value| value == label.1));
    found.unwrap_or_else(|| panic!("{name} with {label:?}")).1
}

#[test]
fn every_value_comes_back_from_the_text() {
    let (first, second, server) =
        (FeedCounters::default(), FeedCounters::default(), ServerCounters::default());
    first.received.add(3);
    second.received.add(u64::from(u32::MAX));
    second.last_tick_ns.set(1_705_294_800_123_456_789);
    server.closes.count(CloseReason::SlowClient);
    server.snapshots.add(21);
    let hostile = "a\"b\\c\nd}";
    let text = page(&[feed(1, hostile, &first), feed(2, "sim", &second)], &server);
    let families = parse(&text);

    assert_eq!(value(&families, "tickhost_feed_received_total", ("adapter", hostile)), 3.0);
    assert_eq!(value(&families, "tickhost_feed_received_total", ("feed", "2")), f64::from(u32::MAX));
    assert_eq!(
        value(&families, "tickhost_feed_last_tick_timestamp_seconds", ("feed", "2")),
        1_705_294_800.123
    );
    assert_eq!(value(&families, "tickhost_feed_state", ("state", "live")), 1.0);
    assert_eq!(value(&families, "tickhost_feed_state", ("state", "down")), 0.0);
    assert_eq!(value(&families, "tickhost_session_closes_total", ("reason", "slow_client")), 1.0);
    assert_eq!(value(&families, "tickhost_server_snapshots_total", ("", "")), 21.0);
    assert_eq!(value(&families, "tickhost_bus_events_total", ("outcome", "not_subscribed")), 9.0);
    assert_eq!(value(&families, "tickhost_sessions", ("", "")), 11.0);
    assert_eq!(families["tickhost_feed_waiting"].kind, "gauge");
}

#[test]
fn a_list_of_which_nobody_says_anything_has_no_numbers() {
    let (counters, server) = (FeedCounters::default(), ServerCounters::default());
    let silent = FeedSample { list: None, ..feed(1, "old", &counters) };
    let families = parse(&page(&[silent, feed(2, "sim", &counters)], &server));
    for (name, wanted) in [
        ("tickhost_feed_list_whole", 0.0),
        ("tickhost_feed_list_instruments", 13.0),
        ("tickhost_feed_list_rows_skipped", 14.0),
        ("tickhost_feed_list_troubles", 15.0),
        ("tickhost_feed_list_fetched_timestamp_seconds", 1_764_500_000.0),
        ("tickhost_feed_list_oldest_timestamp_seconds", 1_764_400_000.0),
    ] {
        assert_eq!(families[name].samples.len(), 1, "{name}");
        assert_eq!(value(&families, name, ("feed", "2")), wanted, "{name}");
    }
    assert_eq!(value(&families, "tickhost_feed_instruments_missing", ("feed", "1")), 6.0);
}

#[test]
fn a_histogram_counts_what_is_not_longer_than_each_bound() {
    let (counters, server) = (FeedCounters::default(), ServerCounters::default());
    for us in [8, 90, 100, 101, 4_000_000, 500_000_000] {
        counters.host_latency.record(us * 1_000);
    }
    let families = parse(&page(&[feed(1, "sim", &counters)], &server));
    let name = "tickhost_feed_host_latency_seconds";
    let below: Vec<f64> = ["0.00001", "0.0001", "0.0002", "5", "50", "+Inf"]
        .map(|le| value(&families, name, ("le", le)))
        .into();
    assert_eq!(below, [1.0, 3.0, 4.0, 5.0, 5.0, 6.0]);
    assert_eq!(value(&families, name, ("part", "_count")), 6.0);
    assert_eq!(value(&families, name, ("part", "_sum")), 504.000_299);
    assert_eq!(families[name].samples.len(), 24);
}

#[test]
fn labels_have_few_values_whatever_happens() {
    let (counters, server) = (FeedCounters::default(), ServerCounters::default());
    let families = parse(&page(&[feed(1, "sim", &counters)], &server));
    let labels: BTreeSet<&str> = families
        .values()
        .flat_map(|family| &family.samples)
        .flat_map(|(labels, _)| labels.keys().map(String::as_str))
        .collect();
    let known = [
        "abi", "action", "adapter", "area", "broker", "code", "feed", "le", "outcome", "part", "reason",
        "state", "version",
    ];
    assert_eq!(labels, BTreeSet::from(known), "no symbol, session, user or peer");
}

#[test]
fn a_host_without_feeds_and_bus_names_its_metrics_all_the_same() {
    let server = ServerCounters::default();
    let families = parse(&page(&[], &server));
    assert!(families["tickhost_feed_received_total"].samples.is_empty());
}

/// Dashboards and alerts are written against these names: take none away.
#[test]
fn names_are_those_that_operators_were_promised() {
    let (counters, server) = (FeedCounters::default(), ServerCounters::default());
    let families = parse(&page(&[feed(1, "sim", &counters)], &server));
    let names: Vec<&str> = families.keys().map(String::as_str).collect();
    insta::assert_snapshot!(names.join("\n"));
}
