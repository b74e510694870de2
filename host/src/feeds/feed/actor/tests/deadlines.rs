//! The actor sleeps until the first of its owners has something to do, and no longer.

use std::time::Duration;

use adapter_abi::{ErrorCode, StatusKind};

use super::{
    fake::Build,
    rig::{Bench, LINGER, Limits, REBALANCE_AFTER, SUBSCRIBE_TIMEOUT, slow},
};
use crate::{
    adapters::AdapterFailure,
    feeds::feed::{Command, login_policy::LoginOutcome},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_feed_to_which_nothing_can_happen_sleeps_until_it_is_woken() {
    let mut bench = Bench::start(&Build::default(), Limits::ROOMY);
    assert_eq!(bench.sleeps(), None);
    bench.desert();
    assert_eq!(bench.sleeps(), Some(LINGER));
}

#[test]
fn connections_are_listened_to_each_second_while_they_may_not_be_silent() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    let first = bench.subscribed("FIRST");
    assert_eq!(bench.sleeps(), Some(SECOND));
    bench.release(first);
    assert_eq!(bench.sleeps(), None);
}

#[test]
fn a_handover_is_looked_at_every_20_ms_and_nothing_after_it() {
    let (old, new) = (Build::default(), slow());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    bench.serve(&new);
    assert_eq!(bench.sleeps(), Some(Duration::from_millis(20)));
    new.last().status(StatusKind::CONNECTED);
    bench.pass(SECOND * 5);
    assert_eq!((bench.feed.counters().swaps.get(), bench.sleeps()), (1, None));
}

#[test]
fn a_connection_that_is_down_is_left_when_it_is_time() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits { places: 1, connections: 2, sessions: 4 });
    let first = bench.subscribed("FIRST");
    bench.subscribed("SECOND");
    bench.release(first);
    // Until both count as steady.
    bench.pass(SECOND * 12);
    build.of(1).status(StatusKind::DISCONNECTED);
    bench.step();
    assert_eq!(bench.sleeps(), Some(REBALANCE_AFTER));
    bench.pass(REBALANCE_AFTER);
    assert_eq!(build.of(0).holds(), ["SECOND"]);
}

#[test]
fn the_next_log_in_and_the_next_read_are_made_when_their_pauses_are_over() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    build.last().status(StatusKind::AUTH_FAILED);
    bench.step();
    assert_eq!(bench.sleeps(), None, "it is being made");
    let failure = AdapterFailure { code: ErrorCode::NETWORK, message: "reset".to_owned() };
    bench.log_in(LoginOutcome::Failed(failure));
    assert_eq!(bench.sleeps(), Some(SECOND * 5));
    bench.pass(SECOND * 5);
    assert_eq!((bench.logins.len(), bench.sleeps()), (1, None));
    bench.command(Command::Refresh);
    bench.read(None);
    assert_eq!(bench.sleeps(), Some(SECOND * 5));
}

#[test]
fn a_request_is_answered_in_time() {
    let build = slow();
    build.set(|habits| habits.is_mute = true);
    let mut bench = Bench::start(&build, Limits::ROOMY);
    let asked = bench.ask(&["FIRST"]);
    assert_eq!(bench.sleeps(), Some(SUBSCRIBE_TIMEOUT));
    drop(asked);
}
