//! Whether what is subscribed at the broker is what clients hold, and how it is asked for.

use adapter_abi::StatusKind;

use crate::{
    host::{Kind, Record},
    picture::same,
    running::{Running, Wanted},
    stage::{A_WHILE, SOON, Stage, ltp_of, packet},
    venue::Venue,
    verdict::{Check, ensure, fail, skip},
};

/// Messages more than the fewest possible that are no flood.
const MESSAGES_SLACK: u64 = 1;

/// Most instruments of one connection when the adapter knows no limit.
const USUAL_LIMIT: usize = 3_000;

/// Records that are looked at without a venue.
const RECORDS: usize = 5;

pub(super) fn bulk(stage: &Stage<'_>) -> Check {
    let Some(bulk) = &stage.profile.bulk else { return skip("the profile has no [bulk] instruments") };
    let declared = usize::try_from(stage.subject.symbols_per_connection()).unwrap_or(USUAL_LIMIT);
    let instruments = bulk.instruments(if declared == 0 { USUAL_LIMIT } else { declared });
    let lowest = stage.lowest();
    let wanted: Vec<Wanted<'_>> =
        instruments.iter().enumerate().map(|(place, one)| Wanted::at(place, one, lowest)).collect();
    let running = stage.connected()?;
    for (one, outcome) in wanted.iter().zip(running.subscribe(&wanted)?) {
        ensure(outcome.code.is_taken(), || {
            format!("{} of {} was refused: {}", one.instrument.name(), wanted.len(), outcome.message)
        })?;
    }
    let Some(venue) = stage.venue() else {
        running.wait(&format!("a tick of each of {} instruments", wanted.len()), SOON * 2, |heard| {
            let ticked: std::collections::BTreeSet<u32> =
                heard.records.iter().map(|record| record.quote.instrument).collect();
            wanted.iter().all(|one| ticked.contains(&one.number)).then_some(())
        })?;
        return running.settle();
    };
    venue.needs(&["report", "disconnect"])?;
    in_few_messages(venue, wanted.len(), bulk.largest_message)?;
    venue.disconnect()?;
    running.wait_connected(2)?;
    in_few_messages(venue, wanted.len(), bulk.largest_message)?;
    running.settle()
}

fn in_few_messages(venue: &Venue, count: usize, largest: Option<u64>) -> Check {
    let report = venue
        .until(&format!("{count} subscriptions"), SOON * 2, |report| report.subscribed.len() >= count)?;
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let largest = largest.unwrap_or(count).max(1);
    let too_large = report.subscribes.iter().find(|size| **size > largest);
    ensure(too_large.is_none(), || {
        format!("one message subscribes {} instruments, the broker allows {largest}", too_large.unwrap_or(&0))
    })?;
    let (sent, fewest) =
        (u64::try_from(report.subscribes.len()).unwrap_or(u64::MAX), count.div_ceil(largest));
    ensure(sent <= fewest + MESSAGES_SLACK, || {
        format!("{count} instruments were subscribed with {sent} messages, where {fewest} would do")
    })
}

pub(super) fn modes(stage: &Stage<'_>) -> Check {
    let kinds = stage.kinds();
    let (Some(&lowest), Some(&highest)) = (kinds.first(), kinds.last()) else {
        return skip("the adapter's manifest names no capability");
    };
    if lowest == highest {
        return skip(format!("the adapter has one mode only, {highest:?}"));
    }
    if let Some(venue) = stage.venue() {
        venue.needs(&["tick", "report"])?;
    }
    let running = stage.connected()?;
    let instrument = stage.profile.instrument(0);
    for (step, kind) in kinds.iter().copied().chain([lowest]).enumerate() {
        let one = Wanted::at(0, instrument, kind);
        let mark = running.mark();
        stage.subscribe(&running, &[one])?;
        let what = format!("a {kind:?} record of {}", instrument.name());
        if let Some(venue) = stage.venue() {
            reaches(stage, &running, venue, one, step)?;
            continue;
        }
        running.record_after(mark, one.number, &what, |record| record.kind == kind)?;
        // The first record in the new mode is the turning point: nothing of the old one may follow.
        let in_mode = |record: &&Record| record.quote.instrument == one.number;
        let later = running.wait("more records in the new mode", SOON, |heard| {
            let later =
                heard.records.iter().skip(mark).filter(in_mode).skip_while(|record| record.kind != kind);
            (later.clone().count() >= RECORDS).then(|| later.map(|record| record.kind).collect::<Vec<_>>())
        })?;
        ensure(later.iter().all(|one| *one == kind), || {
            format!("after the change to {kind:?} it still publishes other records")
        })?;
    }
    running.settle()
}

/// A packet must reach those who hold the mode, who see what is published for them and nothing else: its
/// price in a record of this kind, its book in any. Nothing is published above the mode, also where the
/// broker has no channel of its own for it and sends more than is wanted.
fn reaches(stage: &Stage<'_>, running: &Running, venue: &Venue, one: Wanted<'_>, step: usize) -> Check {
    let ltp = stage.price(0, step);
    let mut sent = packet(one, [("ltp", ltp.as_str())]);
    if one.kind == Kind::Depth {
        sent.bids = vec![(stage.price(0, step), 1, 1)];
    }
    let mark = running.mark();
    let shown = running.send(venue, one, &sent)?;
    let later = running.records_after(mark);
    let mut mine = later.iter().filter(|record| record.quote.instrument == one.number);
    if let Some(above) = mine.find(|record| record.kind > one.kind) {
        let (kind, wanted) = (above.kind, one.kind);
        return fail(format!("a {kind:?} record is published although nothing above {wanted:?} is wanted"));
    }
    ensure(one.kind > Kind::Ltp || !running.has_greeks_after(mark, one.number), || {
        "greeks are published although nothing above Ltp is wanted".to_owned()
    })?;
    let what = format!("a price of {} for those who hold {:?}", one.instrument.name(), one.kind);
    running.record_after(mark, one.number, &what, |record| {
        record.kind == one.kind && ltp_of(record) == shown.value("ltp")
    })?;
    let (bids, _) = shown.book().unwrap_or_default();
    same("bids", &sent.bids, bids)
}

pub(super) fn unsubscribe_to_zero(stage: &Stage<'_>) -> Check {
    let lowest = stage.lowest();
    let (first, second) = (stage.wanted(0, lowest), stage.wanted(1, lowest));
    let running = stage.connected()?;
    stage.subscribe(&running, &[first])?;
    running.unsubscribe(&[first.number])?;
    if let Some(venue) = stage.venue() {
        venue
            .until("the end of a subscription", SOON, |report| report.mode_of(first.instrument).is_none())?;
    }
    running.recorder.watch(A_WHILE, |heard| {
        let has_left = heard.count(StatusKind::DISCONNECTED) + heard.count(StatusKind::STOPPED) > 0;
        has_left.then(|| "it hung up when nothing was subscribed any more".to_owned())
    })?;
    let mark = running.mark();
    stage.subscribe(&running, &[second])?;
    if let Some(venue) = stage.venue() {
        venue.needs(&["tick", "report"])?;
        running.tick(venue, second, &stage.price(1, 1))?;
        let opened = venue.report()?.opened;
        ensure(opened == 1, || format!("{opened} connections were opened for what one could have carried"))?;
    } else {
        let what = format!("a tick of {}", second.instrument.name());
        running.record_after(mark, second.number, &what, |_| true)?;
    }
    running.settle()
}
