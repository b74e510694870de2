//! Credentials that change, and log-ins.

use std::time::Duration;

use adapter_abi::{OutcomeCode, StatusKind};
use secrecy::ExposeSecret as _;

use super::{
    fake::Build,
    rig::{Bench, Limits, fields, slow},
};
use crate::feeds::feed::{Command, login_policy::LoginOutcome};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn credentials_that_change_during_a_handover_are_told_to_both_instances_once() {
    let (old, new) = (Build::default(), slow());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    bench.subscribed("FIRST");
    bench.serve(&new);
    bench.command(Command::Refresh);
    assert_eq!(bench.reads, 1);
    assert_eq!((old.last().told().renewed, new.last().told().renewed), (0, 0), "they are not known yet");
    bench.read(Some("new"));
    assert_eq!((old.last().told().renewed, new.last().told().renewed), (1, 1));
    for instance in [old.last(), new.last()] {
        assert_eq!(instance.events().credentials().expose_secret(), fields("new").0.expose_secret());
    }
    // The handover goes on.
    new.last().status(StatusKind::CONNECTED);
    bench.pass(SECOND);
    assert_eq!(bench.feed.counters().swaps.get(), 1);
    bench.pass(SECOND * 10);
    assert_eq!(new.last().told().renewed, 1);
}

#[test]
fn what_changes_while_credentials_are_read_is_read_too() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    bench.command(Command::Refresh);
    bench.command(Command::Refresh);
    bench.command(Command::Refresh);
    assert_eq!(bench.reads, 1, "one at a time");
    bench.read(Some("first"));
    assert_eq!((bench.reads, build.last().told().renewed), (1, 1));
    bench.read(Some("second"));
    assert_eq!(bench.reads, 0);
    bench.pass(SECOND * 2);
    assert_eq!(build.last().told().renewed, 2);
    assert_eq!(build.last().events().credentials().expose_secret(), fields("second").0.expose_secret());
}

#[test]
fn what_could_not_be_read_is_read_again_and_what_was_known_counts_until_then() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    bench.command(Command::Refresh);
    bench.read(None);
    assert_eq!((bench.reads, build.last().told().renewed), (0, 0));
    bench.pass(SECOND * 5);
    assert_eq!(bench.reads, 1);
    bench.read(Some("new"));
    assert_eq!(build.last().told().renewed, 1);
}

#[test]
fn a_log_in_begins_when_the_broker_refuses_and_what_it_stored_is_told_even_if_it_is_the_same() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    build.last().status(StatusKind::AUTH_FAILED);
    bench.step();
    assert_eq!(bench.logins.len(), 1);
    bench.log_in(LoginOutcome::Stored);
    assert_eq!((bench.reads, bench.logins.len()), (1, 0));
    bench.read(Some("old"));
    assert_eq!((build.last().told().renewed, bench.reads), (1, 0));
}

#[test]
fn what_a_log_in_stored_and_could_not_be_read_at_first_is_neither_lost_nor_replaced_by_another_log_in() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    build.last().status(StatusKind::AUTH_FAILED);
    bench.step();
    // It took longer than the pause before the next one.
    bench.pass(SECOND * 20);
    bench.log_in(LoginOutcome::Stored);
    for _ in 0..3 {
        bench.read(None);
        bench.pass(SECOND * 6);
        let renewed = build.last().told().renewed;
        assert_eq!((renewed, bench.logins.len(), bench.reads), (0, 0, 1), "with what the broker refuses");
    }
    bench.read(Some("fresh"));
    assert_eq!((build.last().told().renewed, bench.logins.len()), (1, 0));
}

#[test]
fn what_a_log_in_stored_while_credentials_were_read_is_found_by_the_next_read() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    build.last().status(StatusKind::AUTH_FAILED);
    bench.step();
    bench.command(Command::Refresh);
    bench.log_in(LoginOutcome::Stored);
    assert_eq!(bench.reads, 1);
    bench.read(Some("old"));
    assert_eq!((bench.reads, build.last().told().renewed), (1, 0), "it may be from before");
    bench.read(Some("old"));
    assert_eq!((bench.reads, build.last().told().renewed), (0, 1));
}

#[test]
fn what_a_log_in_gave_and_was_found_before_it_ended_is_told_once() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    build.last().status(StatusKind::AUTH_FAILED);
    bench.step();
    // Whoever watches the database is quicker than the log-in, which has stored them.
    bench.command(Command::Refresh);
    bench.log_in(LoginOutcome::Stored);
    bench.read(Some("fresh"));
    assert_eq!((bench.reads, build.last().told().renewed), (1, 1));
    bench.read(Some("fresh"));
    bench.pass(SECOND * 5);
    assert_eq!((build.last().told().renewed, bench.logins.len()), (1, 0));
}

#[test]
fn no_log_in_begins_with_credentials_that_are_being_replaced() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    bench.command(Command::Refresh);
    build.last().status(StatusKind::AUTH_FAILED);
    bench.pass(SECOND * 10);
    assert_eq!(bench.logins.len(), 0);
    bench.read(Some("new"));
    assert_eq!((bench.logins.len(), build.last().told().renewed), (0, 1));
    build.last().status(StatusKind::AUTH_FAILED);
    bench.step();
    assert_eq!(bench.logins.len(), 1, "the broker refuses the new ones too");
    assert_eq!(bench.logins[0].fields.0.expose_secret(), fields("new").0.expose_secret());
}

#[test]
fn a_handover_is_not_held_up_by_credentials_that_cannot_be_read() {
    let (old, new) = (Build::default(), Build::default());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    let first = bench.subscribed("FIRST");
    bench.command(Command::Refresh);
    bench.serve(&new);
    bench.pass(SECOND);
    assert_eq!((bench.feed.counters().swaps.get(), bench.reads), (1, 1));
    new.last().reports(first.0, OutcomeCode::ACCEPTED);
    assert_eq!(bench.subscribed("FIRST"), first);
}
