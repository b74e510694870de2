//! Whether the list of instruments is followed, and not believed when it is torn.

use adapter_abi::OutcomeCode;
use serde::Deserialize;

use crate::{
    host::Heard,
    picture::Picture,
    profile::Instrument,
    running::{Running, Wanted},
    stage::{A_WHILE, SOON, Stage, packet},
    value::nanos,
    venue::{Edition, Name, Venue},
    verdict::{Check, ensure, fail, skip},
};

/// What an adapter says of its list, as far as the suite looks.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    is_whole: bool,
    troubles: Vec<serde_json::Value>,
}

fn last(heard: &Heard) -> Option<Said> {
    heard.lists.last().and_then(|json| serde_json::from_str(json).ok())
}

fn name(instrument: &Instrument) -> Name {
    Name { exchange: instrument.exchange.clone(), symbol: instrument.symbol.clone() }
}

/// Connected, with these instruments by the list that the venue began with. Skips the case when the adapter
/// keeps no list.
fn listed<'a>(stage: &Stage<'a>, three: [&'a Instrument; 3]) -> Check<(Running, [Wanted<'a>; 3])> {
    let running = stage.connected()?;
    let mut places = 0..;
    let three = three.map(|one| Wanted::at(places.next().unwrap_or(0), one, stage.lowest()));
    stage.subscribe(&running, &three)?;
    if running.recorder.look(|heard| heard.lists.is_empty()) {
        return skip("the adapter says nothing of a list of instruments (Context::lists)");
    }
    Ok((running, three))
}

/// Two instruments of one exchange, which can get each other's number, and another one.
fn two_of_one_exchange<'a>(stage: &Stage<'a>) -> Check<[&'a Instrument; 3]> {
    let profile = stage.profile;
    let all: Vec<&Instrument> = profile.instruments.iter().chain(&profile.odd).collect();
    let pairs = all.iter().enumerate().flat_map(|(place, one)| {
        let others = all.iter().skip(place + 1).filter(|other| other.exchange == one.exchange);
        others.map(|other| (*one, *other))
    });
    let others = |one: &Instrument, other: &Instrument| {
        let names = [one.name(), other.name()];
        all.iter().copied().find(move |third| !names.contains(&third.name()))
    };
    let mut found = pairs.filter_map(|(one, other)| Some([one, other, others(one, other)?]));
    found.next().map_or_else(
        || skip("the profile has no two instruments of one exchange, so that none can get another's number"),
        Ok,
    )
}

/// Goes that an operator has at it: one may be lost with the connection, which a long list can cost where a
/// machine is slow.
const GOES: usize = 4;

/// Asks for the list until something comes of it.
fn renew<T>(running: &Running, what: &str, find: impl Fn(&Heard) -> Option<T>) -> Check<T> {
    let mut found = fail("the list was never asked for");
    for _ in 0..GOES {
        running.renew_list();
        found = running.wait(what, SOON / 2, &find);
        if found.is_ok() {
            break;
        }
    }
    found
}

/// The number of the outcome that refuses an instrument after it was taken.
fn lost(heard: &Heard, one: Wanted<'_>) -> Option<OutcomeCode> {
    let mut all = heard.outcomes.iter().map(|(_, outcome)| outcome);
    all.find(|outcome| outcome.instrument == one.number && !outcome.code.is_taken())
        .map(|outcome| outcome.code)
}

pub(super) fn renewed(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["list", "tick", "report"])?;
    let (running, [first, second, third]) = listed(stage, two_of_one_exchange(stage)?)?;
    venue.list(Edition {
        swap: vec![name(first.instrument), name(second.instrument)],
        without: vec![name(third.instrument)],
        ..Edition::default()
    })?;
    let what = format!("a word that the new list does not have {}", third.instrument.name());
    let code = renew(&running, &what, |heard| lost(heard, third))?;
    ensure(code == OutcomeCode::UNKNOWN_INSTRUMENT, || {
        format!("{} is not in the new list, and was refused with code {}", third.instrument.name(), code.0)
    })?;
    stage.wait_at_venue(&[first, second])?;
    for (place, one) in [first, second].into_iter().enumerate() {
        let mark = running.mark();
        let ltp = stage.price(place, 11);
        let arrived = arrives_in_the_end(&running, venue, one, &ltp);
        // The other one has its old number, and must not have its price; where it has, that says more than
        // that it did not come.
        let other = if place == 0 { second } else { first };
        let shown = running.picture_after(mark, other.number);
        // Its own may have come late, if it had to be sent more than once.
        ensure(shown.value("ltp") != nanos(&ltp), || {
            format!(
                "by a new list {} has the number of {}, and its price was shown under that",
                one.instrument.name(),
                other.instrument.name()
            )
        })?;
        arrived?;
    }
    let wrong =
        running.recorder.look(|heard| [first, second].into_iter().find(|one| lost(heard, *one).is_some()));
    if let Some(one) = wrong {
        return fail(format!("{} is in the new list, and was refused", one.instrument.name()));
    }
    running.settle()
}

fn arrives(running: &Running, venue: &Venue, one: Wanted<'_>, ltp: &str) -> Check {
    running.send(venue, one, &packet(one, [("ltp", ltp)])).map(drop)
}

/// The same while subscriptions move to new numbers, which may take an answer of the broker: what comes
/// meanwhile is lost.
fn arrives_in_the_end(running: &Running, venue: &Venue, one: Wanted<'_>, ltp: &str) -> Check {
    let mark = running.mark();
    let what = format!("a packet of {}", one.instrument.name());
    for _ in 1..GOES {
        venue.tick(&packet(one, [("ltp", ltp)]))?;
        let arrived = running.wait(&what, A_WHILE, |heard| {
            let picture = Picture::of(heard.records.iter().skip(mark), one.number);
            (picture.value("ltp") == nanos(ltp)).then_some(())
        });
        if arrived.is_ok() {
            return Ok(());
        }
    }
    arrives(running, venue, one, ltp)
}

pub(super) fn incomplete(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["list", "tick", "report"])?;
    let three = [0, 1, 2].map(|place| stage.profile.instrument(place));
    let (running, three) = listed(stage, three)?;
    let whole = running.recorder.look(last).unwrap_or_default();
    ensure(whole.is_whole, || format!("it says that a whole list is not: {:?}", whole.troubles))?;
    let [.., third] = three;
    let torn = Edition { lacks: Some(third.instrument.exchange.clone()), ..Edition::default() };
    venue.list(torn)?;
    let exchange = &third.instrument.exchange;
    renew(&running, &format!("a word that the list has nothing of {exchange}"), |heard| {
        last(heard).filter(|said| !said.is_whole && !said.troubles.is_empty())
    })?;
    // What it lacks serves on by the last good list: for those who have it, and for those who come.
    running.recorder.watch(A_WHILE / 4, |heard| {
        let one = three.into_iter().find(|one| lost(heard, *one).is_some())?;
        Some(format!(
            "a list that has nothing of {exchange} was believed, and {} refused",
            one.instrument.name()
        ))
    })?;
    for (place, one) in three.into_iter().enumerate() {
        arrives(&running, venue, one, &stage.price(place, 21))?;
    }
    running.unsubscribe(&[third.number])?;
    venue.until("the end of a subscription", SOON, |report| report.mode_of(third.instrument).is_none())?;
    stage.subscribe(&running, &[third])?;
    arrives(&running, venue, third, &stage.price(2, 22))?;
    venue.list(Edition::default())?;
    renew(&running, "a word that the list is whole again", |heard| last(heard).filter(|said| said.is_whole))?;
    arrives(&running, venue, third, &stage.price(2, 23))?;
    running.settle()
}
