//! Whether what is shown is what there is: nothing that was never sent, nothing that is gone, and all that
//! still holds.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    host::Kind,
    picture::{Picture, same},
    running::{Running, Wanted},
    stage::{Stage, packet, value},
    value::{Unit, VALUES, Value, nanos},
    venue::{Packet, Venue},
    verdict::{Check, Stop, ensure, fail, skip},
};

/// Values that an adapter may take from the book that it publishes.
const FROM_BOOK: [&str; 4] = ["bid_price", "ask_price", "bid_size", "ask_size"];

/// Values that are none, and not zero, before the first trade of a day, and that no broker says apart from
/// its quotes.
const OF_THE_DAY: [&str; 7] =
    ["open", "high", "low", "average_price", "last_quantity", "last_trade_ts_ns", "exchange_ts_ns"];

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
        let shown = running.send(venue, one, &sent)?;
        let is_in_layout = |name: &str| match kind {
            // Where a quote is what a last price comes with, it has the places of a quote.
            Kind::Ltp => venue.serves(kind) != kind.name() && venue.has_fixed_layout() && venue.carries(name),
            Kind::Quote => venue.has_fixed_layout() && venue.carries(name),
            // What its books have beyond its quotes is not known here.
            Kind::Depth => venue.has_fixed_layout() || FROM_BOOK.contains(&name),
        };
        let allowed = |name: &&str| *name == "ltp" || is_in_layout(name);
        if let Some((invented, number)) = shown.values().iter().find(|(name, _)| !allowed(name)) {
            return fail(format!(
                "nothing but a price was sent, and the {kind:?} record says that {invented} is {number}"
            ));
        }
        if kind == Kind::Depth {
            let (bids, asks) = shown.book().unwrap_or_default();
            same("bids", &sent.bids, bids)?;
            same("asks", &sent.asks, asks)?;
        }
        if kind > Kind::Ltp && venue.sends_images() {
            gone(stage, &running, venue, one)?;
        }
        if kind == Kind::Quote && venue.carries("volume") {
            let next = stage.price(place, 2);
            let zero = packet(one, [("ltp", next.as_str()), ("volume", "0")]);
            let shown = running.send(venue, one, &zero)?;
            ensure(shown.value("volume") == Some(0), || {
                "a volume of 0 was sent, and did not arrive as 0".to_owned()
            })?;
        }
    }
    running.settle()
}

/// A packet that is all that there is says of what it does not have that it is gone: of yesterday's values
/// before the opening, and of a book that has become empty.
fn gone(stage: &Stage<'_>, running: &Running, venue: &Venue, one: Wanted<'_>) -> Check {
    let full = Packet { values: stage.sample(venue, 0), ..packet(one, []) };
    running.send(venue, one, &full)?;
    let ltp = stage.price(0, 700);
    let mark = running.mark();
    let shown = running.send(venue, one, &packet(one, [("ltp", ltp.as_str())]))?;
    ensure(shown.has_image(), || {
        format!("a {:?} packet that is all that there is was published as an update", one.kind)
    })?;
    if let Some(kept) = shown.values().keys().find(|name| OF_THE_DAY.contains(name)) {
        return fail(format!("{kept} was gone, and is still published"));
    }
    if one.kind < Kind::Depth {
        return Ok(());
    }
    // It may come in a message of its own, after the values.
    let is_empty =
        |shown: &Picture| shown.book().is_some_and(|(bids, asks)| bids.is_empty() && asks.is_empty());
    let emptied = running.wait_picture(mark, one.number, "an empty book", is_empty);
    ensure(emptied.is_ok(), || "a book that became empty was not published as an empty one".to_owned())
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
    let all = |shown: &Picture| wanted.iter().all(|(name, number)| shown.value(name) == Some(*number));
    let outcome = running.wait_picture(mark, one.number, "the state after partial packets", all);
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

/// What a whole packet does not have is gone; what an update does not have stays, and what is gone does not
/// come back with it. Of a broker that sends nothing but whole packets, the first.
pub(super) fn image_or_update(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["tick"])?;
    stage.needs_kind(Kind::Quote)?;
    if !venue.sends_images() {
        return skip("whole packets of the broker do not say of what they lack that it is gone");
    }
    let has_updates = venue.needs(&["partial"]).is_ok();
    let running = stage.connected()?;
    let one = stage.wanted(0, Kind::Quote);
    stage.subscribe(&running, &[one])?;
    let full = stage.sample(venue, 0);
    let Some(other) = full.keys().find(|name| OF_THE_DAY.contains(&name.as_str())) else {
        return skip("the fake venue's quotes carry nothing that is gone in a new day");
    };
    let mark = running.mark();
    running.send(venue, one, &Packet { values: full.clone(), ..packet(one, []) })?;
    let (second, third, fourth) = (stage.price(0, 41), stage.price(0, 42), stage.price(0, 43));
    let step = |ltp: &str| {
        let expected = nanos(ltp);
        let what = format!("{} at {ltp}", one.instrument.name());
        running.wait_picture(mark, one.number, &what, |shown| shown.value("ltp") == expected)
    };
    if has_updates {
        venue.partial(&packet(one, [("ltp", second.as_str())]))?;
        ensure(step(&second)?.value(other).is_some(), || {
            format!("an update without {other} took it away: it was published as an image")
        })?;
    }
    venue.tick(&packet(one, [("ltp", third.as_str())]))?;
    ensure(step(&third)?.value(other).is_none(), || {
        format!(
            "an image without {other} left it standing: it was published as an update, or over what was known before"
        )
    })?;
    if has_updates {
        venue.partial(&packet(one, [("ltp", fourth.as_str())]))?;
        ensure(step(&fourth)?.value(other).is_none(), || {
            format!("{other} was gone, and came back with an update")
        })?;
    }
    running.settle()
}

/// The connection ends with the day. What was known is not of the next one.
pub(super) fn another_day(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["tick", "disconnect"])?;
    stage.needs_kind(Kind::Quote)?;
    let running = stage.connected()?;
    let one = stage.wanted(0, Kind::Quote);
    stage.subscribe(&running, &[one])?;
    let yesterday = stage.sample(venue, 0);
    running.send(venue, one, &Packet { values: yesterday.clone(), ..packet(one, []) })?;
    let renewed = &stage.profile.credentials.renewed;
    if venue.needs(&["accept"]).is_ok() && !renewed.is_empty() {
        venue.accept(&[renewed])?;
        running.renew(renewed, false);
    }
    venue.disconnect()?;
    running.wait_connected(2)?;
    stage.wait_at_venue(&[one])?;
    let ltp = stage.price(0, 800);
    let first = packet(one, [("ltp", ltp.as_str())]);
    let mark = running.mark();
    if venue.needs(&["partial"]).is_ok() {
        venue.partial(&first)?;
    } else {
        venue.tick(&first)?;
    }
    let expected = nanos(&ltp);
    running.wait_picture(mark, one.number, "the first price of the day", |shown| {
        shown.value("ltp") == expected
    })?;
    for record in running.records_after(mark).iter().filter(|record| record.quote.instrument == one.number) {
        for (name, text) in &yesterday {
            let value = value(name)?;
            let is_old = value.of(&record.quote).is_some_and(|number| value.parse(text) == Some(number));
            ensure(!is_old, || {
                format!("{name} of the day before is published beside the first price of the day")
            })?;
        }
    }
    running.settle()
}
