//! Whether the connection is looked after: losses, silence, heartbeats, nonsense, and what a reconnect costs.

use std::{
    fs,
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, StatusKind, capability};

use crate::{
    running::Running,
    stage::{A_WHILE, SOON, Stage, packet, price},
    venue::Venue,
    verdict::{Check, ensure, fail, skip},
};

/// Frames of nonsense in one go.
const FRAMES: u32 = 100;

/// Goes, each with a seed of its own.
const ROUNDS: usize = 4;

/// Time to come back after nonsense: an adapter may hang up, and then waits a little longer each time.
const RECOVERY: Duration = Duration::from_secs(30);

/// Reconnects before descriptors are counted: the first ones open what stays open.
const WARM_UP: u32 = 20;

/// Descriptors more than before that are no leak: sockets of the last connection may still be closing.
const DESCRIPTORS_SLACK: usize = 8;

pub(super) fn stall_noticed(stage: &Stage<'_>) -> Check {
    let Some(stall) = stage.profile.limits.stall() else {
        return skip("the profile has no stall_ms: the adapter cannot tell silence from a quiet market");
    };
    let limit = stall + SOON;
    let one = stage.wanted(0, stage.lowest());
    let Some(venue) = stage.venue() else {
        let running = stage.start_in("silence")?;
        running.wait_connected(1)?;
        stage.subscribe(&running, &[one])?;
        running.wait_status(StatusKind::DISCONNECTED, "a word that the connection fell silent", 1, limit)?;
        running.wait_connected(2)?;
        return running.settle();
    };
    venue.needs(&["mute", "tick"])?;
    let running = stage.connected()?;
    stage.subscribe(&running, &[one])?;
    running.tick(venue, one, &stage.price(0, 1))?;
    venue.mute()?;
    running.wait_status(StatusKind::DISCONNECTED, "a word that the connection fell silent", 1, limit)?;
    running.wait_connected(2)?;
    stage.wait_at_venue(&[one])?;
    running.tick(venue, one, &stage.price(0, 2))?;
    running.settle()
}

pub(super) fn heartbeats(stage: &Stage<'_>) -> Check {
    let Some(stall) = stage.profile.limits.stall() else {
        return skip("the profile has no stall_ms, so it is not known how long a market must be quiet");
    };
    let venue = stage.venue_with(&["tick", "report"])?;
    let running = stage.connected()?;
    let one = stage.wanted(0, stage.lowest());
    stage.subscribe(&running, &[one])?;
    running.recorder.watch(stall * 2, |heard| {
        (heard.count(StatusKind::DISCONNECTED) > 0)
            .then(|| "it lost a connection on which only heartbeats came".to_owned())
    })?;
    ensure(venue.report()?.opened == 1, || {
        "it connected again although only the market was quiet".to_owned()
    })?;
    running.tick(venue, one, &stage.price(0, 1))?;
    running.settle()
}

pub(super) fn subscribed_again(stage: &Stage<'_>) -> Check {
    let lowest = stage.lowest();
    let [gone, kept, added] = [0, 1, 2].map(|place| stage.wanted(place, lowest));
    let Some(venue) = stage.venue() else {
        let running = stage.start_in("disconnects")?;
        running.wait_connected(1)?;
        stage.subscribe(&running, &[gone, kept])?;
        running.wait_status(StatusKind::DISCONNECTED, "a loss of the connection", 1, SOON)?;
        running.unsubscribe(&[gone.number])?;
        running.subscribe(&[added])?;
        running.wait_connected(2)?;
        let mark = running.mark();
        for one in [kept, added] {
            let what = format!("a tick of {} on the new connection", one.instrument.name());
            running.record_after(mark, one.number, &what, |_| true)?;
        }
        return running.settle();
    };
    venue.needs(&["disconnect", "tick"])?;
    let running = stage.connected()?;
    stage.subscribe(&running, &[gone, kept])?;
    venue.disconnect()?;
    running.wait_status(StatusKind::DISCONNECTED, "the loss of the connection", 1, SOON)?;
    running.unsubscribe(&[gone.number])?;
    running.subscribe(&[added])?;
    running.wait_connected(2)?;
    stage.wait_at_venue(&[kept, added])?;
    venue.until("the end of a subscription", SOON, |report| report.mode_of(gone.instrument).is_none())?;
    running.tick(venue, kept, &stage.price(1, 1))?;
    running.tick(venue, added, &stage.price(2, 1))?;
    running.settle()
}

pub(super) fn many_reconnects(stage: &Stage<'_>) -> Check {
    if descriptors().is_none() {
        return skip("this system does not show the open descriptors of a process");
    }
    let running = stage.connected()?;
    stage.subscribe(&running, &[stage.wanted(0, stage.lowest())])?;
    let wanted = stage.profile.limits.reconnects.max(WARM_UP + 1);
    let again = |count: u32| {
        // New credentials make it connect at once, without the pauses of a bad network.
        running.renew(&stage.profile.credentials.valid, true);
        running.wait_connected(usize::try_from(count).unwrap_or(usize::MAX) + 1)
    };
    (1..=WARM_UP).try_for_each(again)?;
    let before = descriptors().unwrap_or(0);
    (WARM_UP + 1..=wanted).try_for_each(again)?;
    if let Some(venue) = stage.venue() {
        venue.until("the end of the old connections", SOON, |report| report.open <= 1)?;
    }
    let grown = || descriptors().unwrap_or(0).saturating_sub(before);
    // The last sockets may need a moment to close.
    let settled = crate::stage::until("descriptors to be closed", SOON / 2, || grown() <= DESCRIPTORS_SLACK);
    ensure(settled.is_ok(), || {
        format!("{} more descriptors are open after {} reconnects", grown(), wanted - WARM_UP)
    })?;
    running.settle()
}

/// Open descriptors of this process, where the system shows them.
fn descriptors() -> Option<usize> {
    fs::read_dir("/dev/fd").ok().map(Iterator::count)
}

pub(super) fn random_bytes(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["garbage", "tick"])?;
    let running = stage.connected()?;
    let one = stage.wanted(0, stage.lowest());
    stage.subscribe(&running, &[one])?;
    for round in 0..ROUNDS {
        venue.garbage(u64::try_from(round).unwrap_or(0) + 1, FRAMES)?;
        ticks_again(stage, &running, venue, &stage.price(0, 600 + round))?;
    }
    let health = running.health();
    ensure(health.undecodable > 0 || health.connects > 1, || {
        "it neither counted nonsense nor hung up: an operator would not know of it; count it with TickSink::undecodable"
            .to_owned()
    })?;
    running.settle()
}

/// Sends a tick again and again until it arrives; the connection may be coming back meanwhile.
fn ticks_again(stage: &Stage<'_>, running: &Running, venue: &Venue, ltp: &str) -> Check {
    let one = stage.wanted(0, stage.lowest());
    let expected = price(ltp)?;
    let deadline = Instant::now() + RECOVERY;
    loop {
        venue.tick(&packet(one, [("ltp", ltp)]))?;
        let seen = running.wait("a tick after nonsense", Duration::from_millis(250), |heard| {
            let mut latest = heard.records.iter().rev();
            let is_it = |record: &&crate::host::Record| {
                record.quote.instrument == one.number && crate::stage::ltp_of(record) == Some(expected)
            };
            latest.find(is_it).map(|_| ())
        });
        running.settle()?;
        if seen.is_ok() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return fail(format!("after {FRAMES} frames of nonsense no tick came for {RECOVERY:?}"));
        }
    }
}

/// Renewals of the credentials in the case about single sessions.
const RENEWALS: usize = 3;

/// The least pause before an adapter that was thrown out by another session tries again, in milliseconds.
const GIVES_WAY_MS: u64 = 5_000;

pub(super) fn one_session(stage: &Stage<'_>) -> Check {
    let venue = stage.venue_with(&["report"])?;
    let is_single = stage.subject.can(capability::SINGLE_SESSION);
    let can_replace = venue.needs(&["replace"]).is_ok();
    if !is_single && !can_replace {
        return skip(
            "the broker allows several sessions, and says nothing when one takes the place of another",
        );
    }
    let running = stage.connected()?;
    stage.subscribe(&running, &[stage.wanted(0, stage.lowest())])?;
    if is_single {
        for count in 1..=RENEWALS {
            running.renew(&stage.profile.credentials.valid, true);
            running.wait_connected(count + 1)?;
            let ended = venue.until("the end of the old session", A_WHILE, |report| report.open <= 1);
            ensure(ended.is_ok(), || {
                "the broker allows one session, and the old one was left open beside the new one".to_owned()
            })?;
        }
    }
    if !can_replace {
        return running.settle();
    }
    let before = running.recorder.look(|heard| heard.count(StatusKind::DISCONNECTED));
    venue.replace()?;
    let event = running.wait("a word that another session took its place", SOON, |heard| {
        let mut lost = heard.statuses.iter().filter(|event| event.kind == StatusKind::DISCONNECTED);
        lost.nth(before).cloned()
    })?;
    ensure(event.code == ErrorCode::RATE_LIMITED || event.retry_in_ms >= GIVES_WAY_MS, || {
        format!(
            "another session took its place, and it is back in {} ms: the two throw each other out for ever; return \
             AdapterError::rate_limited",
            event.retry_in_ms
        )
    })?;
    running.settle()
}
