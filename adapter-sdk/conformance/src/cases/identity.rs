//! Whether a price is that of the instrument under whose number it comes.

use adapter_abi::OutcomeCode;

use crate::{
    host::{Heard, Kind, Record},
    profile::Instrument,
    running::{Running, Wanted},
    stage::{A_WHILE, SOON, Stage, ltp_of, packet, price},
    value::{decimal, nanos},
    venue::Venue,
    verdict::{Check, ensure, fail, skip},
};

/// Rounds of interleaved ticks in each phase.
const ROUNDS: usize = 20;

/// Records that are looked at without a venue.
const RECORDS: usize = 60;

pub(super) fn never_relabels(stage: &Stage<'_>) -> Check {
    match stage.venue() {
        Some(venue) => at_venue(stage, venue),
        None => in_bands(stage),
    }
}

fn at_venue(stage: &Stage<'_>, venue: &Venue) -> Check {
    venue.needs(&["tick", "disconnect"])?;
    let running = stage.connected()?;
    let three = [0, 1, 2].map(|place| stage.wanted(place, stage.lowest()));
    stage.subscribe(&running, &three)?;
    interleave(stage, &running, venue, &three)?;
    // Subscribed in another order on the new connection, brokers hand out other handles.
    venue.disconnect()?;
    running.wait_connected(2)?;
    stage.wait_at_venue(&three)?;
    interleave(stage, &running, venue, &three)?;
    // Two numbers change their instruments. Nothing is on the way any more, so what comes under a number from
    // here on is meant for its new instrument.
    let [first, second, third] = three;
    running.unsubscribe(&[first.number, second.number])?;
    venue.until("the end of two subscriptions", SOON, |report| {
        [first, second].iter().all(|one| report.mode_of(one.instrument).is_none())
    })?;
    let swapped = [
        Wanted { instrument: second.instrument, ..first },
        Wanted { instrument: first.instrument, ..second },
    ];
    stage.subscribe(&running, &swapped)?;
    let [one, other] = swapped;
    // The places go with the instruments, whose prices they decide.
    interleave_at(stage, &running, venue, &[(1, one), (0, other), (2, third)])?;
    // An instrument that nobody holds any more still ticks for a while.
    running.unsubscribe(&[third.number])?;
    venue.until("the end of a subscription", SOON, |report| report.mode_of(third.instrument).is_none())?;
    let mark = running.mark();
    venue.tick(&packet(third, [("ltp", stage.price(2, 77).as_str())]))?;
    interleave_at(stage, &running, venue, &[(1, one), (0, other)])?;
    let late = running
        .records_after(mark)
        .into_iter()
        .find(|record| ltp_of(record) == price(&stage.price(2, 77)).ok());
    ensure(late.as_ref().is_none_or(|record| record.quote.instrument == third.number), || {
        format!("a late tick of {} came under another number", third.instrument.name())
    })?;
    running.settle()
}

fn interleave(stage: &Stage<'_>, running: &Running, venue: &Venue, wanted: &[Wanted<'_>]) -> Check {
    let placed: Vec<_> = wanted.iter().copied().enumerate().collect();
    interleave_at(stage, running, venue, &placed)
}

/// Ticks of all instruments by turns; each must come under its number, and nothing else under it.
fn interleave_at(
    stage: &Stage<'_>,
    running: &Running,
    venue: &Venue,
    placed: &[(usize, Wanted<'_>)],
) -> Check {
    let mark = running.mark();
    for round in 0..ROUNDS {
        for (place, one) in placed {
            venue.tick(&packet(*one, [("ltp", stage.price(*place, round).as_str())]))?;
        }
    }
    let mut arrived = Ok(());
    for (place, one) in placed {
        let last = price(&stage.price(*place, ROUNDS - 1))?;
        arrived = arrived.and(running.wait(
            &format!("the last tick of {}", one.instrument.name()),
            SOON,
            |heard| {
                let is_last =
                    |record: &Record| record.quote.instrument == one.number && ltp_of(record) == Some(last);
                heard.records.iter().skip(mark).any(is_last).then_some(())
            },
        ));
    }
    // A tick that did not arrive may have come under another number, which says more.
    for record in running.records_after(mark) {
        let Some((place, one)) = placed.iter().find(|(_, one)| one.number == record.quote.instrument) else {
            continue;
        };
        let low = price(&stage.price(*place, 0))?;
        let high = price(&stage.price(*place, ROUNDS))?;
        if let Some(ltp) = ltp_of(&record)
            && !(low..=high).contains(&ltp)
        {
            return fail(format!(
                "{} was shown at {}, the price of another instrument",
                one.instrument.name(),
                decimal(ltp)
            ));
        }
    }
    arrived
}

/// Without a venue: every price is within the band of its instrument.
fn in_bands(stage: &Stage<'_>) -> Check {
    let banded = |instrument: &&Instrument| instrument.band.is_some();
    if stage.profile.instruments.iter().filter(banded).count() < 3 {
        return skip("it needs a fake venue, or three instruments with a band of prices");
    }
    let running = if stage.profile.conditions.contains_key("stray_ticks") {
        stage.start_in("stray_ticks")?
    } else {
        stage.start()?
    };
    running.wait_connected(1)?;
    let kinds = stage.kinds();
    let wanted: Vec<Wanted<'_>> = stage
        .profile
        .instruments
        .iter()
        .filter(banded)
        .enumerate()
        .map(|(place, one)| {
            let kind = kinds.get(place % kinds.len().max(1)).copied().unwrap_or(Kind::Ltp);
            Wanted::at(place, one, kind)
        })
        .collect();
    stage.subscribe(&running, &wanted)?;
    running.wait("ticks of all instruments", SOON * 2, |heard| {
        let ticks = |one: &Wanted<'_>| count(heard, one.number) >= RECORDS / wanted.len();
        wanted.iter().all(ticks).then_some(())
    })?;
    for record in running.records_after(0) {
        let Some(one) = wanted.iter().find(|one| one.number == record.quote.instrument) else { continue };
        let (Some((low, high)), Some(ltp)) = (&one.instrument.band, ltp_of(&record)) else { continue };
        let is_within =
            nanos(low).is_some_and(|low| ltp >= low) && nanos(high).is_some_and(|high| ltp <= high);
        ensure(is_within, || {
            format!("{} was shown at {}, outside {low} to {high}", one.instrument.name(), decimal(ltp))
        })?;
    }
    running.settle()
}

fn count(heard: &Heard, number: u32) -> usize {
    heard.records.iter().filter(|record| record.quote.instrument == number).count()
}

pub(super) fn odd_symbols(stage: &Stage<'_>) -> Check {
    let odd = &stage.profile.odd;
    if odd.is_empty() {
        return skip("the profile lists no odd instruments");
    }
    let running = stage.connected()?;
    let wanted: Vec<Wanted<'_>> =
        odd.iter().enumerate().map(|(place, one)| Wanted::at(place, one, stage.lowest())).collect();
    stage.subscribe(&running, &wanted)?;
    for (place, one) in wanted.iter().enumerate() {
        if let Some(venue) = stage.venue() {
            venue.needs(&["tick"])?;
            running.tick(venue, *one, &stage.price(place, 1))?;
        } else {
            running.record_after(0, one.number, &format!("a tick of {}", one.instrument.name()), |_| true)?;
        }
    }
    running.settle()
}

pub(super) fn unknown_refused(stage: &Stage<'_>) -> Check {
    let Some(unknown) = &stage.profile.unknown else {
        return skip("the profile names no unknown instrument");
    };
    let running = stage.connected()?;
    let wanted = [
        stage.wanted(0, stage.lowest()),
        Wanted::at(1, unknown, stage.lowest()),
        stage.wanted(2, stage.lowest()),
    ];
    let [first, nobody, last] = wanted;
    running.subscribe(&wanted)?;
    // A broker may have to be asked: its refusal then follows as an outcome that answers no request.
    let refusal = running.wait(&format!("a refusal of {}", unknown.name()), SOON, |heard| {
        let mut outcomes = heard.outcomes.iter().map(|(_, outcome)| outcome);
        outcomes.find(|outcome| outcome.instrument == nobody.number && !outcome.code.is_taken()).cloned()
    })?;
    ensure(!refusal.message.is_empty(), || "the refusal has no message that a client could read".to_owned())?;
    let known = [OutcomeCode::UNKNOWN_INSTRUMENT, OutcomeCode::REFUSED];
    ensure(known.contains(&refusal.code), || format!("the refusal has the code {}", refusal.code.0))?;
    stage.wait_at_venue(&[first, last])?;
    for (place, one) in [(0, first), (2, last)] {
        let name = one.instrument.name();
        match stage.venue() {
            Some(venue) => {
                venue.needs(&["tick"])?;
                running.tick(venue, one, &stage.price(place, 1))?;
            }
            None => {
                running.record_after(0, one.number, &format!("a tick of {name}"), |_| true)?;
            }
        }
    }
    running.recorder.watch(A_WHILE / 4, |heard| {
        let refused = |number| {
            let mut of = heard.outcomes.iter().filter(|(_, outcome)| outcome.instrument == number);
            of.any(|(_, outcome)| !outcome.code.is_taken())
        };
        (refused(first.number) || refused(last.number))
            .then(|| "instruments of the same request that exist were refused too".to_owned())
    })?;
    running.settle()
}
