//! Whether a tick says what the broker sent: nothing more, nothing less, in the right units.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adapter_abi::field;

use super::books::same;
use crate::{
    host::{Kind, Record},
    running::{Running, Wanted},
    stage::{SOON, Stage, ltp_of, packet, price, value},
    value::{Unit, VALUES, Value, decimal, nanos, present},
    venue::{Packet, Venue},
    verdict::{Check, Stop, ensure, fail, skip},
};

/// Values that an adapter may take from the book that it publishes.
const FROM_BOOK: [&str; 4] = ["bid_price", "ask_price", "bid_size", "ask_size"];

/// Values that are none, and not zero, before the first trade of a day, and that no broker says apart from its quotes.
const OF_THE_DAY: [&str; 7] =
    ["open", "high", "low", "average_price", "last_quantity", "last_trade_ts_ns", "exchange_ts_ns"];

/// Records that are looked at without a venue.
const RECORDS: usize = 20;

/// Prices that binary fractions and hurried integers get wrong.
const PRICES: [&str; 12] = [
    "625.05",
    "0.05",
    "0.29",
    "1.15",
    "4.35",
    "1001.10",
    "99999.95",
    "8500000.25",
    "83.0025",
    "0.0001",
    "25000",
    "1",
];

/// How far clocks and scheduling may put a time of receipt off.
const SLACK: Duration = Duration::from_secs(1);

pub(super) fn no_invented_zeros(stage: &Stage<'_>) -> Check {
    match stage.venue() {
        Some(venue) => sparse_packets(stage, venue),
        None => lacking(stage),
    }
}

fn sparse_packets(stage: &Stage<'_>, venue: &Venue) -> Check {
    venue.needs(&["tick"])?;
    let running = stage.connected()?;
    for (place, kind) in stage.kinds().into_iter().enumerate() {
        let one = stage.wanted(place, kind);
        stage.subscribe(&running, &[one])?;
        let ltp = stage.price(place, 1);
        let mut sent = packet(one, [("ltp", ltp.as_str())]);
        if kind == Kind::Depth {
            sent.bids = vec![(stage.price(place, 1), 10, 1), (stage.price(place, 0), 20, 2)];
            sent.asks = vec![(stage.price(place, 2), 30, 3)];
        }
        let record = sent_and_got(&running, venue, one, &sent)?;
        let is_in_layout = |name: &str| match kind {
            Kind::Ltp => false,
            Kind::Quote => venue.has_fixed_layout() && venue.carries(name),
            // What its books have beyond its quotes is not known here.
            Kind::Depth => venue.has_fixed_layout() || FROM_BOOK.contains(&name),
        };
        let allowed = |name: &&str| *name == "ltp" || is_in_layout(name);
        if let Some(invented) = present(record.quote.fields).into_iter().find(|name| !allowed(name)) {
            let shown = value(invented)?.of(&record.quote).unwrap_or_default();
            return fail(format!(
                "nothing but a price was sent, and the {kind:?} record says that {invented} is {shown}"
            ));
        }
        if kind == Kind::Depth {
            same("bids", &sent.bids, &record.bids)?;
            same("asks", &sent.asks, &record.asks)?;
        }
        if kind > Kind::Ltp && venue.has_fixed_layout() {
            gone(stage, &running, venue, one)?;
        }
        if kind == Kind::Quote && venue.carries("volume") {
            let next = stage.price(place, 2);
            let zero = packet(one, [("ltp", next.as_str()), ("volume", "0")]);
            let record = sent_and_got(&running, venue, one, &zero)?;
            ensure(value("volume")?.of(&record.quote) == Some(0), || {
                "a volume of 0 was sent, and did not arrive as 0".to_owned()
            })?;
        }
    }
    running.settle()
}

/// A packet that has a place for everything says of what is not there that it is gone: of yesterday's values before the
/// opening, and of a book that has become empty.
fn gone(stage: &Stage<'_>, running: &Running, venue: &Venue, one: Wanted<'_>) -> Check {
    let full = Packet { values: stage.sample(venue, 0), ..packet(one, []) };
    sent_and_got(running, venue, one, &full)?;
    let ltp = stage.price(0, 700);
    let record = sent_and_got(running, venue, one, &packet(one, [("ltp", ltp.as_str())]))?;
    let fields = record.quote.fields;
    ensure(fields & field::IMAGE != 0, || {
        format!("a {:?} packet with a place for every value is published as an update", one.kind)
    })?;
    if let Some(kept) = present(fields).into_iter().find(|name| OF_THE_DAY.contains(name)) {
        return fail(format!("{kept} was gone, and is still published"));
    }
    let is_empty = record.bids.is_empty() && record.asks.is_empty();
    ensure(one.kind != Kind::Depth || (is_empty && fields & field::BOOK != 0), || {
        "a book that became empty was not published as an empty one".to_owned()
    })
}

/// Sends a packet and gives the record with its last price.
fn sent_and_got(running: &Running, venue: &Venue, one: Wanted<'_>, sent: &Packet) -> Check<Record> {
    let expected = sent.values.get("ltp").and_then(|ltp| nanos(ltp));
    let mark = running.mark();
    venue.tick(sent)?;
    let what = format!("a {} packet of {}", sent.kind, one.instrument.name());
    running.record_after(mark, one.number, &what, |record| ltp_of(record) == expected)
}

/// Without a venue: what an instrument lacks is absent, and no price is zero.
fn lacking(stage: &Stage<'_>) -> Check {
    if stage.profile.instruments.iter().all(|instrument| instrument.lacks.is_empty()) {
        return skip("it needs a fake venue, or an instrument that lacks some values");
    }
    let highest = stage.highest();
    let running = stage.connected()?;
    let instruments = &stage.profile.instruments;
    let wanted: Vec<Wanted<'_>> =
        instruments.iter().enumerate().map(|(place, one)| Wanted::at(place, one, highest)).collect();
    stage.subscribe(&running, &wanted)?;
    for one in &wanted {
        let record =
            running.record_after(0, one.number, &format!("a tick of {}", one.instrument.name()), |_| true)?;
        for value in VALUES {
            let Some(number) = value.of(&record.quote) else { continue };
            ensure(!one.instrument.lacks.iter().any(|name| name == value.name), || {
                format!("{} has no {}, but it was published as {number}", one.instrument.name(), value.name)
            })?;
            // A change may be zero; a price is not.
            let is_price = value.unit == Unit::Price && !value.name.starts_with("change");
            ensure(!is_price || number != 0, || {
                format!("{} of {} was published as 0", value.name, one.instrument.name())
            })?;
        }
    }
    running.settle()
}

pub(super) fn partial_packets(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["tick", "partial"])?;
    stage.needs_kind(Kind::Quote)?;
    let running = stage.connected()?;
    let one = stage.wanted(0, Kind::Quote);
    stage.subscribe(&running, &[one])?;
    let full = stage.sample(venue, 0);
    if full.len() < 3 {
        return skip("the fake venue's quotes carry fewer than three values");
    }
    let mut state = full.clone();
    let mut sent: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut note = |values: &BTreeMap<String, String>| {
        for (name, text) in values {
            if let Some(value) = Value::named(name) {
                sent.entry(value.name).or_default().insert(text.clone());
            }
        }
    };
    let mark = running.mark();
    note(&full);
    venue.tick(&Packet { values: full.clone(), ..packet(one, []) })?;
    // First only the price, then only another value, then both.
    let other = full.keys().find(|name| *name != "ltp").cloned().unwrap_or_default();
    let is_count = value(&other)?.unit == Unit::Count;
    for (step, names) in
        [vec!["ltp"], vec![other.as_str()], vec!["ltp", other.as_str()]].into_iter().enumerate()
    {
        let changed: BTreeMap<String, String> = names
            .into_iter()
            .map(|name| {
                let is_count = is_count && name != "ltp";
                let text = if is_count { (90_000 + step).to_string() } else { stage.price(0, 500 + step) };
                (name.to_owned(), text)
            })
            .collect();
        note(&changed);
        state.extend(changed.clone());
        venue.partial(&Packet { values: changed, ..packet(one, []) })?;
    }
    let wanted: BTreeMap<&str, i64> = numbers(&state)?;
    let merged = |records: &[Record]| {
        let mut merged: BTreeMap<&'static str, i64> = BTreeMap::new();
        for record in records.iter().filter(|record| record.quote.instrument == one.number) {
            // What an image does not have is gone, as far as its kind of record can have it.
            if record.quote.fields & field::IMAGE != 0 {
                merged.retain(|name: &&str, _: &mut i64| record.kind == Kind::Ltp && !is_in_ltp(name));
            }
            merged.extend(VALUES.iter().filter_map(|value| Some((value.name, value.of(&record.quote)?))));
        }
        merged
    };
    let outcome = running.wait("the state after partial packets", SOON, |heard| {
        let records = heard.records.get(mark..).unwrap_or_default();
        (wanted.iter().all(|(name, number)| merged(records).get(name) == Some(number))).then_some(())
    });
    // Whether or not it came together in the end, a value that was never sent says more.
    for record in running.records_after(mark).iter().filter(|record| record.quote.instrument == one.number) {
        for value in VALUES {
            let Some(number) = value.of(&record.quote) else { continue };
            let is_known = sent
                .get(value.name)
                .is_some_and(|texts| texts.iter().any(|text| value.parse(text) == Some(number)));
            ensure(is_known, || {
                format!("{} was published as {}, which was never sent", value.name, value.show(number))
            })?;
        }
    }
    outcome?;
    running.settle()
}

fn is_in_ltp(name: &str) -> bool {
    present(field::IN_LTP).contains(&name)
}

fn numbers(values: &BTreeMap<String, String>) -> Check<BTreeMap<&'static str, i64>> {
    values
        .iter()
        .map(|(name, text)| {
            let value = value(name)?;
            let number = value.parse(text).ok_or_else(|| Stop::Failed(format!("`{text}` is no {name}")))?;
            Ok((value.name, number))
        })
        .collect()
}

pub(super) fn several_in_a_frame(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["frame"])?;
    let running = stage.connected()?;
    let lowest = stage.lowest();
    let three = [0, 1, 2].map(|place| stage.wanted(place, lowest));
    stage.subscribe(&running, &three)?;
    let order = [0, 1, 0, 2, 1, 0, 0, 2];
    let mut packets = Vec::new();
    let mut expected: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for (step, place) in order.into_iter().enumerate() {
        let Some(one) = three.get(place) else { continue };
        let ltp = stage.price(place, step);
        expected.entry(one.number).or_default().push(price(&ltp)?);
        packets.push(packet(*one, [("ltp", ltp.as_str())]));
    }
    let mark = running.mark();
    venue.frame(packets)?;
    let seen = |records: &[Record], number: u32| -> Vec<i64> {
        records.iter().filter(|record| record.quote.instrument == number).filter_map(ltp_of).collect()
    };
    let arrived = running.wait("all packets of a frame", SOON / 2, |heard| {
        (heard.records.len() >= mark + order.len()).then_some(())
    });
    let records = running.records_after(mark);
    for one in three {
        let (got, sent) = (seen(&records, one.number), expected.get(&one.number));
        ensure(Some(&got) == sent, || {
            let shown =
                |prices: &[i64]| prices.iter().map(|price| decimal(*price)).collect::<Vec<_>>().join(", ");
            let sent = sent.map(|prices| shown(prices)).unwrap_or_default();
            format!(
                "of one frame, {} was sent at {sent} and published at {}",
                one.instrument.name(),
                shown(&got)
            )
        })?;
    }
    arrived?;
    running.settle()
}

pub(super) fn timestamps(stage: &Stage<'_>) -> Check {
    let running = stage.connected()?;
    let highest = stage.highest();
    let kind = highest.min(Kind::Quote);
    let one = stage.wanted(0, kind);
    let Some(venue) = stage.venue() else { return own_times(stage, &running, one) };
    venue.needs(&["tick"])?;
    stage.subscribe(&running, &[one])?;
    let resolution = stage.profile.limits.time_resolution_ns;
    let names = ["exchange_ts_ns", "last_trade_ts_ns"].map(|name| (name, venue.carries(name)));
    let now = unix_nanos();
    let mut values = BTreeMap::from([("ltp", stage.price(0, 1))]);
    for (step, (name, _)) in names.iter().filter(|(_, is_carried)| *is_carried).enumerate() {
        let seconds = i64::try_from(step).unwrap_or(0) + 1;
        // A few seconds ago, as the broker can write it: whole milliseconds, seconds or whatever it sends.
        let at = (now - seconds * 1_000_000_000 - 1) / resolution * resolution;
        values.insert(*name, at.to_string());
    }
    let sent = packet(one, values.iter().map(|(name, text)| (*name, text.as_str())));
    let record = sent_and_got(&running, venue, one, &sent)?;
    for (name, is_carried) in names {
        let got = value(name)?.of(&record.quote);
        let sent = values.get(name).and_then(|text| text.parse::<i64>().ok());
        ensure(!is_carried || got == sent, || {
            let off = got.zip(sent).map_or("is missing".to_owned(), |(got, sent)| {
                format!("is off by {:?}", Duration::from_nanos(got.abs_diff(sent)))
            });
            format!("{name} {off}")
        })?;
    }
    received_now(&record, now)?;
    let plain = stage.price(0, 2);
    let bare = sent_and_got(&running, venue, one, &packet(one, [("ltp", plain.as_str())]))?;
    let made_up = names.iter().find(|(name, _)| present(bare.quote.fields).contains(name));
    ensure(made_up.is_none(), || "a packet without a time was published with one".to_owned())?;
    running.settle()
}

fn own_times(stage: &Stage<'_>, running: &Running, one: Wanted<'_>) -> Check {
    let before = unix_nanos();
    stage.subscribe(running, &[one])?;
    running.wait("ticks", SOON, |heard| (heard.records.len() >= RECORDS).then_some(()))?;
    for record in running.records_after(0) {
        received_now(&record, before)?;
        if let Some(at) = value("exchange_ts_ns")?.of(&record.quote) {
            let off = Duration::from_nanos(at.abs_diff(before));
            ensure(off < Duration::from_hours(1), || format!("exchange_ts_ns is {off:?} off the clock"))?;
        }
    }
    running.settle()
}

fn received_now(record: &Record, before: i64) -> Check {
    let received = i64::try_from(record.quote.received_ts_ns).unwrap_or(i64::MAX);
    let slack = i64::try_from(SLACK.as_nanos()).unwrap_or(i64::MAX);
    ensure((before - slack..=unix_nanos() + slack).contains(&received), || {
        format!("received_ts_ns is off by {:?}", Duration::from_nanos(received.abs_diff(before)))
    })
}

fn unix_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

pub(super) fn price_scaling(stage: &Stage<'_>) -> Check {
    let Some(venue) = stage.venue() else { return whole_steps(stage) };
    venue.needs(&["tick"])?;
    let running = stage.connected()?;
    let decimals = usize::try_from(stage.profile.limits.price_decimals).unwrap_or(0);
    let digits = usize::try_from(stage.profile.limits.price_digits).unwrap_or(usize::MAX);
    let places = |text: &str| text.split_once('.').map_or(0, |(_, part)| part.len());
    let can_be = |text: &&str| {
        places(text) <= decimals && text.replace('.', "").trim_start_matches('0').len() <= digits
    };
    for (place, kind) in stage.kinds().into_iter().enumerate() {
        let one = stage.wanted(place, kind);
        stage.subscribe(&running, &[one])?;
        for text in PRICES.into_iter().filter(can_be) {
            let named = VALUES.iter().filter(|value| value.unit == Unit::Price && venue.carries(value.name));
            let mut sent = packet(one, [("ltp", text)]);
            if kind > Kind::Ltp {
                sent.values.extend(named.map(|value| (value.name.to_owned(), text.to_owned())));
            }
            if kind == Kind::Depth {
                sent.bids = vec![(text.to_owned(), 1, 1)];
            }
            let mark = running.mark();
            venue.tick(&sent)?;
            // Any record: a price that is wrong would not be found by looking for the right one.
            let record = running.record_after(mark, one.number, &format!("a tick at {text}"), |_| true)?;
            for (name, text) in &sent.values {
                let value = value(name)?;
                let got = value.of(&record.quote);
                ensure(got == value.parse(text), || {
                    let shown = got.map_or("nothing".to_owned(), decimal);
                    format!("{name} of a {kind:?} packet was sent as {text} and published as {shown}")
                })?;
            }
            same("bids", &sent.bids, &record.bids)?;
        }
    }
    running.settle()
}

/// Without a venue: every last price is a whole number of steps.
fn whole_steps(stage: &Stage<'_>) -> Check {
    let stepped = |(place, one)| Wanted::at(place, one, stage.lowest());
    let instruments = stage.profile.instruments.iter().enumerate().filter(|(_, one)| one.step.is_some());
    let wanted: Vec<Wanted<'_>> = instruments.map(stepped).collect();
    if wanted.is_empty() {
        return skip("it needs a fake venue, or instruments with a price step");
    }
    let running = stage.connected()?;
    stage.subscribe(&running, &wanted)?;
    for one in wanted {
        let Some(step) = one.instrument.step.as_deref().and_then(nanos).filter(|step| *step > 0) else {
            continue;
        };
        let name = one.instrument.name();
        let record = running.record_after(0, one.number, &format!("a tick of {name}"), |_| true)?;
        let ltp = ltp_of(&record).unwrap_or_default();
        ensure(ltp != 0 && ltp % step == 0, || {
            format!("{name} was published at {}, which is no multiple of {}", decimal(ltp), decimal(step))
        })?;
    }
    running.settle()
}
