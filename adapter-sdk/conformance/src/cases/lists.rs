//! Whether the list of instruments is followed, and not believed when it is torn.

use adapter_abi::OutcomeCode;
use serde::Deserialize;

use crate::{
    host::Heard,
    profile::Instrument,
    running::{Running, Wanted},
    stage::{A_WHILE, SOON, Stage, packet},
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

/// Connected, with three instruments by the list that the venue began with; and whether the adapter keeps a list at all.
fn listed<'a>(stage: &Stage<'a>) -> Check<(Running, [Wanted<'a>; 3])> {
    let running = stage.connected()?;
    let three = [0, 1, 2].map(|place| stage.wanted(place, stage.lowest()));
    stage.subscribe(&running, &three)?;
    if running.recorder.look(|heard| heard.lists.is_empty()) {
        return skip("the adapter says nothing of a list of instruments (Context::lists)");
    }
    Ok((running, three))
}

/// The number of the outcome that refuses an instrument after it was taken.
fn lost(heard: &Heard, one: Wanted<'_>) -> Option<OutcomeCode> {
    let mut all = heard.outcomes.iter().map(|(_, outcome)| outcome);
    all.find(|outcome| outcome.instrument == one.number && !outcome.code.is_taken())
        .map(|outcome| outcome.code)
}

pub(super) fn renewed(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["list", "tick", "report"])?;
    let (running, [first, second, third]) = listed(stage)?;
    if first.instrument.exchange != second.instrument.exchange {
        return skip(
            "the first two instruments of the profile are not of one exchange, so that neither can get the other's number",
        );
    }
    venue.list(Edition {
        swap: vec![name(first.instrument), name(second.instrument)],
        without: vec![name(third.instrument)],
        ..Edition::default()
    })?;
    running.renew_list();
    let code = running.wait(
        &format!("a word that the new list does not have {}", third.instrument.name()),
        SOON,
        |heard| lost(heard, third),
    )?;
    ensure(code == OutcomeCode::UNKNOWN_INSTRUMENT, || {
        format!("{} is not in the new list, and was refused with code {}", third.instrument.name(), code.0)
    })?;
    stage.wait_at_venue(&[first, second])?;
    for (place, one) in [first, second].into_iter().enumerate() {
        let mark = running.mark();
        let ltp = stage.price(place, 11);
        let arrived = arrives(&running, venue, one, &ltp);
        // The other one has its old number, and must not have its price; where it has, that says more than that it did not come.
        let other = if place == 0 { second } else { first };
        let shown = running.picture_after(mark, other.number);
        ensure(shown.value("ltp").is_none(), || {
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

pub(super) fn incomplete(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["list", "tick", "report"])?;
    let (running, three) = listed(stage)?;
    let whole = running.recorder.look(last).unwrap_or_default();
    ensure(whole.is_whole, || format!("it says that a whole list is not: {:?}", whole.troubles))?;
    let [.., third] = three;
    let torn = Edition { lacks: Some(third.instrument.exchange.clone()), ..Edition::default() };
    venue.list(torn)?;
    running.renew_list();
    let exchange = &third.instrument.exchange;
    running.wait(&format!("a word that the list has nothing of {exchange}"), SOON, |heard| {
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
    running.renew_list();
    running.wait("a word that the list is whole again", SOON, |heard| {
        last(heard).filter(|said| said.is_whole).map(drop)
    })?;
    arrives(&running, venue, third, &stage.price(2, 23))?;
    running.settle()
}
