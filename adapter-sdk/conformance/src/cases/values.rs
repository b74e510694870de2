//! Whether a tick says what the broker sent, in the right units, one after the other.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    host::{Kind, Record},
    picture::{Picture, same},
    running::{Running, Wanted},
    stage::{SOON, Stage, ltp_of, packet, price, value},
    value::{Unit, VALUES, decimal, nanos},
    venue::Packet,
    verdict::{Check, ensure, skip},
};

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
    venue.frame(&packets)?;
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
    let mark = running.mark();
    let shown = running.send(venue, one, &sent)?;
    for (name, is_carried) in names {
        let got = shown.value(name);
        let sent = values.get(name).and_then(|text| text.parse::<i64>().ok());
        ensure(!is_carried || got == sent, || {
            let off = got.zip(sent).map_or("is missing".to_owned(), |(got, sent)| {
                format!("is off by {:?}", Duration::from_nanos(got.abs_diff(sent)))
            });
            format!("{name} {off}")
        })?;
    }
    running.records_after(mark).iter().try_for_each(|record| received_now(record, now))?;
    let plain = stage.price(0, 2);
    let bare = running.send(venue, one, &packet(one, [("ltp", plain.as_str())]))?;
    let made_up = names.iter().find(|(name, _)| bare.value(name).is_some());
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
            let what = format!("what was sent at {text}");
            let arrived =
                running.wait_picture(mark, one.number, &what, |shown| differs(&sent, shown).is_ok());
            // What is shown in its place says more than that it did not come.
            let shown = running.picture_after(mark, one.number);
            if !shown.values().is_empty() {
                differs(&sent, &shown)?;
            }
            arrived?;
        }
    }
    running.settle()
}

/// Whether what is shown is what was sent, of the values and the bids that were.
fn differs(sent: &Packet, shown: &Picture) -> Check {
    for (name, text) in &sent.values {
        let value = value(name)?;
        let got = shown.value(value.name);
        ensure(got == value.parse(text), || {
            let got = got.map_or("nothing".to_owned(), decimal);
            format!("{name} of a {} packet was sent as {text} and published as {got}", sent.kind)
        })?;
    }
    same("bids", &sent.bids, shown.book().map_or(&[], |(bids, _)| bids))
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
