//! Clients that come and go.

use std::time::Duration;

use adapter_abi::OutcomeCode;
use tickhost_core::protocol::codes::ErrorCode;

use super::{
    fake::{Build, Habits},
    rig::{Bench, LINGER, Limits, SUBSCRIBE_TIMEOUT},
};
use crate::feeds::feed::{Command, actor::Life};

const SECOND: Duration = Duration::from_secs(1);

fn mute() -> Build {
    Build::with(Habits { is_mute: true, ..Habits::default() })
}

#[test]
fn a_client_that_leaves_while_its_subscribe_is_on_the_way_holds_nothing() {
    let build = mute();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    let asked = bench.ask(&["FIRST", "SECOND"]);
    assert_eq!(build.last().holds(), ["FIRST", "SECOND"]);
    drop(asked);
    // The adapter's word, a timer, whatever comes next.
    build.last().answers(OutcomeCode::ACCEPTED);
    bench.step();
    let status = bench.feed.status();
    assert_eq!((status.instruments, status.pending), (0, 0));
    assert_eq!(build.last().holds(), Vec::<String>::new(), "the adapter lets go of both");
    assert_eq!(bench.told(), Vec::<String>::new());
    // An answer that comes too late finds nobody.
    build.last().answers(OutcomeCode::ACCEPTED);
    bench.step();
    assert_eq!(bench.feed.status().instruments, 0);
}

#[test]
fn a_client_that_leaves_when_its_answer_is_there_and_was_not_taken_holds_nothing() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    let asked = bench.ask(&["FIRST", "SECOND"]);
    assert_eq!(bench.feed.status().pending, 0, "the answer is on its way");
    drop(asked);
    bench.step();
    assert_eq!((bench.feed.status().instruments, build.last().holds()), (0, Vec::new()));
}

#[test]
fn what_somebody_else_holds_or_waits_for_outlives_the_client_that_leaves() {
    let build = mute();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    let leaves = bench.ask(&["FIRST"]);
    let mut stays = bench.ask(&["FIRST"]);
    drop(leaves);
    build.last().answers(OutcomeCode::ACCEPTED);
    bench.step();
    assert!(stays.answer().unwrap().remove(0).is_ok());
    assert_eq!((bench.feed.status().instruments, build.last().holds()), (1, vec!["FIRST".to_owned()]));
}

#[test]
fn a_request_is_answered_when_its_last_instrument_is_or_when_its_time_is_over() {
    let build = mute();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    let mut asked = bench.ask(&["FIRST", "SECOND"]);
    let (_, named) = build.last().told().asked.remove(0);
    build.last().reports(named[0].0, OutcomeCode::ACCEPTED);
    bench.step();
    assert!(asked.answer().is_none());
    bench.pass(SUBSCRIBE_TIMEOUT);
    let answers = asked.answer().unwrap();
    let pending: Vec<bool> = answers.iter().map(|answer| answer.as_ref().unwrap().is_pending).collect();
    assert_eq!(pending, [false, true]);
    // What was granted as pending and does not exist is over, for whoever holds it.
    build.last().reports(named[1].0, OutcomeCode::UNKNOWN_INSTRUMENT);
    bench.step();
    assert_eq!(bench.told(), [format!("failed {}: not in the list", named[1].0)]);
    assert_eq!(bench.feed.status().instruments, 1);
}

#[test]
fn where_nothing_serves_nobody_is_granted_anything_and_what_is_held_comes_back() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    let first = bench.subscribed("FIRST");
    bench.command(Command::Serve(Err("no adapter serves it".into())));
    let refused = bench.subscribe("SECOND").unwrap_err();
    assert_eq!((refused.code, &*refused.message), (ErrorCode::BrokerError, "no adapter serves it"));
    bench.let_go();
    bench.serve(&build);
    assert_eq!((build.made(), build.last().holds()), (2, vec!["FIRST".to_owned()]));
    assert_eq!(bench.subscribed("FIRST"), first);
}

#[test]
fn a_feed_ends_when_nobody_has_been_there_for_the_linger_time() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    bench.pass(LINGER * 2);
    bench.desert();
    bench.pass(LINGER.saturating_sub(SECOND));
    assert_eq!(bench.life, Life::Serving);
    bench.join();
    bench.pass(LINGER);
    assert_eq!(bench.life, Life::Serving, "somebody is back");
    bench.desert();
    bench.pass(LINGER);
    assert_eq!(bench.life, Life::Deserted);
    bench.command(Command::Stop);
    assert_eq!(bench.life, Life::Stopped);
}
