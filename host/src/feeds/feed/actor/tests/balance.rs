//! Limits that change, and connections that stay down.

use std::time::Duration;

use adapter_abi::{OutcomeCode, StatusKind};
use tickhost_core::{model::InstrumentId, protocol::codes::ErrorCode};

use super::{
    fake::{Build, Habits},
    rig::{Bench, Limits, REBALANCE_AFTER, slow},
};

const SECOND: Duration = Duration::from_secs(1);

const TWO_BY_TWO: Limits = Limits { places: 2, connections: 2, sessions: 4 };

fn subscribed<const N: usize>(bench: &mut Bench, symbols: [&str; N]) -> [InstrumentId; N] {
    symbols.map(|symbol| bench.subscribed(symbol))
}

#[test]
fn limits_that_shrink_park_what_is_too_much_and_it_is_first_in_line_for_the_next_place() {
    let build = Build::default();
    let mut bench = Bench::start(&build, TWO_BY_TWO);
    let [a, _, c, d] = subscribed(&mut bench, ["A", "B", "C", "D"]);
    assert_eq!((build.of(0).holds().join(""), build.of(1).holds().join("")), ("AB".into(), "CD".into()));
    bench.limits = Limits { connections: 1, ..TWO_BY_TWO };
    bench.serve(&build);
    assert_eq!((bench.ending(), build.made()), (1, 2), "the second connection ends");
    let waiting = format!("waiting [{}, {}]: the account's connections to the broker are full", c.0, d.0);
    assert_eq!(bench.told(), [waiting]);
    let status = bench.feed.status();
    assert_eq!((status.instruments, status.pending, status.capacity), (4, 2, 2));
    assert_eq!(status.connections.len(), 1);
    assert_eq!(bench.subscribe("E").unwrap_err().code, ErrorCode::MaxCapacityReached);

    bench.release(a);
    assert_eq!(build.of(0).holds(), ["B", "C"], "the one that has waited longest");
    assert_eq!(bench.feed.status().pending, 1);
    bench.limits = TWO_BY_TWO;
    bench.serve(&build);
    assert_eq!((build.of(1).holds(), build.made()), (vec!["D".to_owned()], 3));
    assert_eq!(bench.feed.status().pending, 0);
    assert_eq!([bench.subscribed("C"), bench.subscribed("D")], [c, d], "under the numbers that they had");
}

#[test]
fn what_is_parked_and_released_takes_no_place() {
    let build = Build::default();
    let mut bench = Bench::start(&build, TWO_BY_TWO);
    let [a, _, c, _] = subscribed(&mut bench, ["A", "B", "C", "D"]);
    bench.limits = Limits { connections: 1, ..TWO_BY_TWO };
    bench.serve(&build);
    bench.release(c);
    bench.release(a);
    assert_eq!(build.of(0).holds(), ["B", "D"]);
    let status = bench.feed.status();
    assert_eq!((status.instruments, status.pending), (2, 0));
}

#[test]
fn limits_that_shrink_during_a_handover_end_both_instances_of_what_goes() {
    let (old, new) = (Build::default(), slow());
    let mut bench = Bench::start(&old, TWO_BY_TWO);
    subscribed(&mut bench, ["A", "B", "C"]);
    bench.serve(&new);
    assert_eq!(new.made(), 2, "both connections have one that stands by");
    bench.limits = Limits { connections: 1, ..TWO_BY_TWO };
    bench.serve(&new);
    assert_eq!(bench.ending(), 2);
    new.of(0).status(StatusKind::CONNECTED);
    bench.pass(SECOND * 3);
    assert_eq!(bench.feed.counters().swaps.get(), 1);
    // What the instances that are gone still say is about nothing.
    new.of(1).status(StatusKind::FAILED);
    old.of(1).status(StatusKind::FAILED);
    bench.pass(SECOND * 3);
    assert_eq!((old.made(), new.made()), (2, 2));
    assert_eq!((new.of(0).holds().join(""), bench.feed.status().pending), ("AB".to_owned(), 1));
}

#[test]
fn what_ends_on_a_connection_that_goes_is_a_session_until_it_is_gone() {
    let (old, new) = (Build::default(), Build::default());
    for sessions in [2, 3] {
        let limits = Limits { sessions, ..TWO_BY_TWO };
        let mut bench = Bench::start(&old, limits);
        subscribed(&mut bench, ["A", "B", "C"]);
        bench.limits = Limits { connections: 1, ..limits };
        bench.serve(&old);
        let made = new.made();
        bench.limits = Limits { sessions: 2, ..bench.limits };
        bench.serve(&new);
        assert_eq!((bench.ending(), new.made()), (1, made), "the broker has no room for a third session");
        bench.let_go();
        assert_eq!(new.made(), made + 1, "now it has");
    }
}

#[test]
fn a_connection_that_comes_back_waits_for_what_ends_on_it() {
    let build = Build::default();
    let limits = Limits { sessions: 2, ..TWO_BY_TWO };
    let mut bench = Bench::start(&build, limits);
    let [_, _, c] = subscribed(&mut bench, ["A", "B", "C"]);
    bench.limits = Limits { connections: 1, ..limits };
    bench.serve(&build);
    bench.limits = limits;
    bench.serve(&build);
    assert_eq!((bench.ending(), build.made()), (1, 2), "its session is not free yet");
    bench.let_go();
    assert_eq!((build.made(), build.of(1).holds()), (3, vec!["C".to_owned()]));
    assert_eq!((bench.subscribed("C"), bench.feed.status().pending), (c, 0));
}

/// Two connections of four places: `A` and `B` on the first, `C` and `D` on the second, which is down.
fn half_down(build: &Build) -> (Bench, [InstrumentId; 4]) {
    let mut bench = Bench::start(build, Limits { places: 4, connections: 2, sessions: 4 });
    let fill = subscribed(&mut bench, ["W", "X"]);
    let [a, b] = subscribed(&mut bench, ["A", "B"]);
    let [c, d] = subscribed(&mut bench, ["C", "D"]);
    fill.into_iter().for_each(|instrument| bench.release(instrument));
    assert_eq!((build.of(0).holds().join(""), build.of(1).holds().join("")), ("AB".into(), "CD".into()));
    build.of(1).status(StatusKind::DISCONNECTED);
    bench.step();
    (bench, [a, b, c, d])
}

#[test]
fn a_connection_that_fails_while_another_takes_over_its_instruments_has_no_say_in_them() {
    let build = Build::default();
    let (mut bench, [_, _, c, d]) = half_down(&build);
    build.set(|habits| habits.is_mute = true);
    bench.pass(REBALANCE_AFTER);
    assert_eq!(build.of(0).holds().join(""), "ABCD");
    assert_eq!(build.of(1).told().unsubscribed, [c.0, d.0]);
    assert_eq!(bench.feed.status().pending, 2, "the first has not answered for them");
    // What the second says late, of its own accord or upon a request of that time, is about what it does not
    // carry.
    let left = build.of(1);
    left.reports(c.0, OutcomeCode::UNKNOWN_INSTRUMENT);
    left.reports(d.0, OutcomeCode::ACCEPTED);
    bench.step();
    let status = bench.feed.status();
    assert_eq!((status.instruments, status.pending, status.lost), (4, 2, 0));
    left.status(StatusKind::FAILED);
    bench.pass(SECOND);
    assert_eq!((build.made(), build.of(1).holds()), (3, Vec::new()), "the next one carries nothing");
    build.of(0).answers(OutcomeCode::ACCEPTED);
    bench.step();
    assert_eq!(bench.feed.status().pending, 0);
    assert_eq!(bench.told(), Vec::<String>::new());
    assert_eq!(bench.feed.counters().moved.get(), 2);
}

#[test]
fn a_connection_that_fails_after_it_took_over_brings_everything_back_at_once() {
    let build = Build::default();
    let (mut bench, _) = half_down(&build);
    bench.pass(REBALANCE_AFTER);
    build.of(0).status(StatusKind::FAILED);
    bench.pass(SECOND);
    let asked = build.of(0).told().asked;
    assert_eq!((asked.len(), build.of(0).holds().join("")), (1, "ABCD".to_owned()), "in one call");
    assert_eq!(bench.feed.status().pending, 0);
}

#[test]
fn a_connection_comes_into_use_again_when_it_has_been_up_for_a_while() {
    let build = Build::default();
    let (mut bench, _) = half_down(&build);
    bench.pass(REBALANCE_AFTER.saturating_sub(SECOND));
    assert_eq!(build.of(0).holds().join(""), "AB", "it may come back");
    bench.pass(SECOND);
    assert_eq!(build.of(0).holds().join(""), "ABCD");
    build.of(1).status(StatusKind::CONNECTED);
    bench.step();
    assert_eq!(bench.subscribe("E").map(|_| ()).ok(), Some(()), "it is taken when nothing else has room");
    build.of(1).status(StatusKind::DISCONNECTED);
    bench.pass(SECOND);
    build.of(1).status(StatusKind::CONNECTED);
    bench.pass(SECOND * 10);
    subscribed(&mut bench, ["F"]);
    assert_eq!(build.of(1).holds().join(""), "EF");
}

#[test]
fn what_finds_no_room_stays_and_is_said_to_wait() {
    let build = Build::with(Habits::default());
    let mut bench = Bench::start(&build, TWO_BY_TWO);
    let [_, _, c, d] = subscribed(&mut bench, ["A", "B", "C", "D"]);
    build.of(1).status(StatusKind::DISCONNECTED);
    bench.pass(REBALANCE_AFTER);
    let waiting =
        format!("waiting [{}, {}]: its connection to the broker is down, and the others are full", c.0, d.0);
    assert_eq!(bench.told(), [waiting]);
    let before = build.of(1).holds().join("");
    assert_eq!(before, "CD", "it keeps what it has");
    bench.pass(REBALANCE_AFTER * 2);
    assert_eq!(bench.told(), Vec::<String>::new(), "once");
}
