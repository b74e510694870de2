//! Another build takes over: what happens meanwhile, and what when it does not.

use std::time::Duration;

use adapter_abi::{OutcomeCode, StatusKind};

use super::{
    fake::{Build, Habits},
    rig::{Bench, Limits, slow},
};
use crate::feeds::feed::actor::builds::TRIAL;

const SECOND: Duration = Duration::from_secs(1);

/// A broker that allows one session.
const SINGLE: Limits = Limits { sessions: 1, ..Limits::ROOMY };

/// A build that says nothing by itself.
fn silent() -> Build {
    Build::with(Habits { is_slow: true, is_mute: true, ..Habits::default() })
}

fn swaps(bench: &Bench) -> (u64, u64) {
    let counters = bench.feed.counters();
    (counters.swaps.get(), counters.swaps_failed.get())
}

#[test]
fn what_is_subscribed_while_another_build_gets_ready_is_asked_of_both_and_awaited() {
    let (old, new) = (Build::default(), silent());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    let first = bench.subscribed("FIRST");
    bench.serve(&new);
    old.last().tick(first.0, 10, 1);
    let second = bench.subscribed("SECOND");
    assert_eq!(old.last().holds(), ["FIRST", "SECOND"], "whoever serves answers the client");
    assert_eq!(new.last().holds(), ["FIRST", "SECOND"]);

    new.last().status(StatusKind::CONNECTED);
    new.last().reports(first.0, OutcomeCode::ACCEPTED);
    new.last().tick(first.0, 10, 1);
    new.last().tick(first.0, 11, 2);
    bench.pass(SECOND * 10);
    assert_eq!(swaps(&bench), (0, 0), "it has not answered for the second");
    new.last().reports(second.0, OutcomeCode::ACCEPTED);
    bench.pass(SECOND * 3);
    assert_eq!(swaps(&bench), (1, 0));
    assert_eq!(bench.ticks(), [(first.0, 10), (first.0, 11)], "nothing is missing and nothing comes twice");
    assert_eq!(old.last().events().ltp(&[]).retired, 1);
    assert_eq!((bench.ending(), bench.feed.status().pending), (1, 0));
    assert_eq!(bench.subscribed("SECOND"), second, "under the number that its holders have");
    assert_eq!(bench.told(), Vec::<String>::new());
}

#[test]
fn what_is_released_while_another_build_gets_ready_is_not_awaited() {
    let (old, new) = (Build::default(), silent());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    let (first, second) = (bench.subscribed("FIRST"), bench.subscribed("SECOND"));
    bench.serve(&new);
    new.last().status(StatusKind::CONNECTED);
    new.last().reports(first.0, OutcomeCode::ACCEPTED);
    bench.release(second);
    assert_eq!(
        (old.last().holds(), new.last().holds()),
        (vec!["FIRST".to_owned()], vec!["FIRST".to_owned()])
    );
    bench.pass(SECOND);
    assert_eq!(swaps(&bench), (1, 0));
}

#[test]
fn what_the_new_build_refuses_is_over_when_it_takes_over_and_not_before() {
    let (old, new) = (Build::default(), silent());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    let (kept, gone) = (bench.subscribed("KEPT"), bench.subscribed("GONE"));
    bench.serve(&new);
    new.last().reports(gone.0, OutcomeCode::CAPACITY);
    bench.pass(SECOND);
    assert_eq!((bench.told(), bench.feed.status().instruments), (Vec::new(), 2), "the old one serves it");
    new.last().status(StatusKind::CONNECTED);
    new.last().reports(kept.0, OutcomeCode::ACCEPTED);
    bench.pass(SECOND);
    assert_eq!(swaps(&bench), (1, 0));
    assert_eq!(bench.told(), [format!("failed {}: not in the list", gone.0)]);
    assert_eq!(bench.feed.status().instruments, 1);
}

#[test]
fn an_instance_that_dies_is_followed_by_the_one_that_stands_by_ready_or_not() {
    let (old, new) = (Build::default(), silent());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    let first = bench.subscribed("FIRST");
    bench.serve(&new);
    old.last().status(StatusKind::FAILED);
    bench.step();
    assert_eq!((swaps(&bench), old.made(), new.made()), ((1, 0), 1, 1));
    new.last().status(StatusKind::CONNECTED);
    new.last().reports(first.0, OutcomeCode::ACCEPTED);
    bench.step();
    assert_eq!(bench.feed.status().pending, 0);
}

#[test]
fn a_build_that_does_not_get_ready_leaves_the_old_one_in_place() {
    let (old, new) = (Build::default(), slow());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    bench.subscribed("FIRST");
    bench.serve(&new);
    bench.pass(SECOND * 16);
    assert_eq!((swaps(&bench), bench.ending()), ((0, 1), 1));
    let error = bench.feed.status().last_error.unwrap();
    assert!(error.contains("did not connect within 15 s; the old one serves"), "{error}");
    // What fails from now on is made again of the build that works.
    bench.let_go();
    old.last().status(StatusKind::FAILED);
    bench.pass(SECOND);
    bench.let_go();
    bench.pass(SECOND);
    assert_eq!((old.made(), new.made()), (2, 1));
    assert_eq!(old.last().holds(), ["FIRST"]);
}

#[test]
fn a_trial_that_fails_brings_back_what_served_before() {
    let (old, new) = (Build::default(), Build::default());
    let mut bench = Bench::start(&old, SINGLE);
    let first = bench.subscribed("FIRST");
    bench.serve(&new);
    assert_eq!((bench.ending(), new.made()), (1, 0), "no room for both");
    // Whoever comes meanwhile waits for the new one.
    let mut asked = bench.ask(&["SECOND"]);
    assert!(asked.answer().is_none());
    bench.let_go();
    assert_eq!(new.last().holds(), ["FIRST", "SECOND"]);
    let second = asked.answer().unwrap().remove(0).unwrap().instrument;
    bench.pass(SECOND);
    new.last().status(StatusKind::FAILED);
    bench.step();
    bench.let_go();
    bench.pass(SECOND);
    assert_eq!((old.made(), new.made(), swaps(&bench)), (2, 1, (0, 1)));
    assert_eq!(old.last().holds(), ["FIRST", "SECOND"]);
    assert_eq!((bench.subscribed("FIRST"), bench.subscribed("SECOND")), (first, second));
    let status = bench.feed.status();
    assert_eq!(status.pending, 0);
    assert!(status.last_error.unwrap().contains("the old one serves"));
    assert_eq!(bench.told(), Vec::<String>::new());
}

#[test]
fn a_build_that_has_passed_its_trial_is_not_undone() {
    let (old, new) = (Build::default(), Build::default());
    let mut bench = Bench::start(&old, SINGLE);
    bench.serve(&new);
    bench.let_go();
    bench.pass(TRIAL);
    new.last().status(StatusKind::FAILED);
    bench.step();
    bench.let_go();
    bench.pass(SECOND);
    assert_eq!((old.made(), new.made(), swaps(&bench)), (1, 2, (0, 0)));
}

#[test]
fn of_builds_that_follow_each_other_fast_the_last_that_worked_comes_back() {
    let (old, next, last) = (Build::default(), Build::default(), Build::default());
    let mut bench = Bench::start(&old, SINGLE);
    bench.serve(&next);
    bench.serve(&last);
    bench.let_go();
    assert_eq!((next.made(), last.made()), (0, 1));
    last.last().status(StatusKind::FAILED);
    bench.step();
    bench.let_go();
    bench.pass(SECOND);
    assert_eq!((old.made(), next.made(), last.made()), (2, 0, 1));
}
