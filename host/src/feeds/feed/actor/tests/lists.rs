//! What a list of instruments loses and brings back.

use std::{collections::BTreeSet, time::Duration};

use adapter_abi::{OutcomeCode, StatusKind};
use tickhost_core::{model::InstrumentId, protocol::codes::ErrorCode};

use super::{
    fake::{Build, Habits},
    rig::{Bench, Limits, SUBSCRIBE_TIMEOUT},
};
use crate::feeds::feed::{Command, actor::lists::LOOK_PAUSE};

/// A broker with a list, and its adapter.
struct Listed {
    bench: Bench,
    build: Build,
}

impl Listed {
    /// One connection with so many places.
    fn start(places: usize) -> Self {
        let build = Build::with(Habits { listed: Some(BTreeSet::new()), ..Habits::default() });
        let bench = Bench::start(&build, Limits { places, connections: 1, sessions: 1 });
        Self { bench, build }
    }

    /// What the list has now, as the adapter says it; looked at at once.
    fn list(&mut self, is_whole: bool, listed: impl IntoIterator<Item = &'static str>) {
        let listed: BTreeSet<&'static str> = listed.into_iter().collect();
        let rows = listed.len();
        self.build.set(|habits| habits.listed = Some(listed));
        let trouble =
            if is_whole { "" } else { r#"{"segment":"NFO","rows":1,"expected":9,"reason":"torn"}"# };
        self.say(&format!(
            r#"{{"is_whole":{is_whole},"instruments":{rows},"skipped":2,"fetched_at":1764500000,"troubles":[{trouble}]}}"#
        ));
        self.bench.pass(LOOK_PAUSE);
    }

    fn say(&mut self, json: &str) {
        self.build.last().events().list(json);
        self.bench.step();
    }

    fn drops(&mut self, instrument: InstrumentId) {
        self.build.last().reports(instrument.0, OutcomeCode::UNKNOWN_INSTRUMENT);
        self.bench.step();
    }

    /// How often the adapter was asked for a symbol, and the numbers under which.
    fn asked(&self, symbol: &str) -> (usize, BTreeSet<u32>) {
        let asked = self.build.last().told().asked;
        let of_it = asked.iter().flat_map(|(_, named)| named).filter(|(_, name)| name == symbol);
        let numbers: Vec<u32> = of_it.map(|(number, _)| *number).collect();
        (numbers.len(), numbers.into_iter().collect())
    }

    fn lost(&self) -> usize {
        self.bench.feed.status().lost
    }
}

#[test]
fn what_a_list_has_lost_keeps_its_number_and_comes_back_with_the_list() {
    let mut listed = Listed::start(10);
    listed.list(true, ["OPT", "FUT"]);
    let (option, future) = (listed.bench.subscribed("OPT"), listed.bench.subscribed("FUT"));
    listed.list(false, ["FUT"]);
    listed.drops(option);
    assert_eq!(listed.lost(), 1);
    assert_eq!(listed.bench.told(), [format!("lost {}: not in the list", option.0)]);
    let status = listed.bench.feed.status();
    assert_eq!((status.instruments, status.pending), (2, 1), "it is held on");
    assert_eq!(listed.build.last().told().unsubscribed, [option.0], "the adapter lets go of it");
    assert!(!status.list.unwrap().is_whole);

    // A list that lacks it still is asked, which is no news to anybody.
    let before = listed.asked("OPT").0;
    listed.list(false, ["FUT", "NEW"]);
    assert!(listed.asked("OPT").0 > before);
    assert_eq!(listed.lost(), 1);
    listed.list(true, ["FUT", "OPT"]);
    assert_eq!((listed.lost(), listed.bench.feed.status().pending), (0, 0));
    assert_eq!(listed.asked("OPT").1, BTreeSet::from([option.0]), "under the number that its holders have");
    assert_eq!(listed.asked("FUT"), (1, BTreeSet::from([future.0])), "what was not lost is left alone");
    assert_eq!(listed.bench.told(), Vec::<String>::new());
    let counters = listed.bench.feed.counters();
    assert_eq!((counters.instruments_lost.get(), counters.instruments_returned.get()), (1, 1));
    assert_eq!(listed.bench.subscribed("OPT"), option);
}

#[test]
fn a_connection_that_is_made_again_may_know_another_list_though_its_adapter_says_nothing_of_lists() {
    let mut listed = Listed::start(10);
    listed.build.set(|habits| habits.listed = Some(BTreeSet::from(["OPT"])));
    let option = listed.bench.subscribed("OPT");
    listed.drops(option);
    assert_eq!(listed.lost(), 1);
    assert!(listed.bench.feed.status().list.is_none());
    listed.build.last().status(StatusKind::CONNECTED);
    listed.bench.pass(LOOK_PAUSE);
    assert_eq!(listed.lost(), 0);
    assert_eq!(listed.asked("OPT").1, BTreeSet::from([option.0]));
}

#[test]
fn who_is_refused_at_once_holds_nothing_and_who_held_it_goes_on() {
    let mut listed = Listed::start(1);
    listed.list(true, ["OPT"]);
    let refused = listed.bench.subscribe("GONE").unwrap_err();
    assert_eq!((refused.code, &*refused.message), (ErrorCode::SymbolNotFound, "not in the list"));
    let option = listed.bench.subscribed("OPT");
    listed.list(true, ["FUT"]);
    listed.drops(option);
    assert_eq!(listed.lost(), 1);
    // Another client asks for it: the adapter is asked, and says the same as to the first.
    let refused = listed.bench.subscribe("OPT").unwrap_err();
    assert_eq!(refused.code, ErrorCode::SymbolNotFound);
    assert_eq!(listed.bench.told().len(), 1);
    // The only place is free for others meanwhile, and then for what waits for it.
    let future = listed.bench.subscribed("FUT");
    listed.list(true, ["FUT", "OPT"]);
    assert_eq!(listed.bench.feed.status().list.unwrap().instruments, 2);
    assert_eq!(listed.lost(), 1, "no place for it");
    listed.bench.release(future);
    assert_eq!(listed.lost(), 0);
    listed.bench.release(option);
    let status = listed.bench.feed.status();
    assert_eq!((status.instruments, status.pending), (0, 0));
    // Nobody wants it any more: a later list brings nothing back.
    listed.list(true, ["FUT"]);
    assert_ne!(listed.bench.subscribed("FUT"), option);
}

#[test]
fn what_waits_for_a_place_waits_once_however_often_the_list_changes() {
    let mut listed = Listed::start(1);
    listed.list(true, ["OPT"]);
    let option = listed.bench.subscribed("OPT");
    listed.drops(option);
    listed.list(true, ["FUT"]);
    listed.bench.subscribed("FUT");
    for _ in 0..3 {
        listed.list(true, ["FUT", "OPT"]);
    }
    assert_eq!(listed.bench.actor.placement.parked().iter().collect::<Vec<_>>(), [&option]);
}

#[test]
fn one_that_nobody_wants_any_more_is_forgotten_while_it_is_lost() {
    let mut listed = Listed::start(10);
    listed.list(true, ["OPT"]);
    let option = listed.bench.subscribed("OPT");
    listed.drops(option);
    assert_eq!(listed.lost(), 1);
    listed.bench.release(option);
    let status = listed.bench.feed.status();
    assert_eq!((status.lost, status.instruments, status.pending), (0, 0, 0));
    listed.list(true, ["OPT"]);
    // Whoever asks now is another matter, under another number.
    assert_ne!(listed.bench.subscribed("OPT"), option);
    assert_eq!(listed.asked("OPT").0, 2);
}

#[test]
fn what_was_acknowledged_before_the_adapter_spoke_is_over_unless_the_list_is_incomplete() {
    for is_whole in [true, false] {
        let mut listed = Listed::start(10);
        listed.build.set(|habits| habits.is_mute = true);
        let mut asked = listed.bench.ask(&["OPT"]);
        assert!(asked.answer().is_none());
        listed.bench.pass(SUBSCRIBE_TIMEOUT);
        let granted = asked.answer().unwrap().remove(0).unwrap();
        assert!(granted.is_pending);
        listed.build.set(|habits| habits.is_mute = false);
        listed.list(is_whole, []);
        listed.build.last().answers(OutcomeCode::UNKNOWN_INSTRUMENT);
        listed.bench.step();
        let word = if is_whole { "failed" } else { "lost" };
        assert_eq!(listed.bench.told(), [format!("{word} {}: not in the list", granted.instrument.0)]);
        assert_eq!(listed.bench.feed.status().instruments, usize::from(!is_whole));
        if !is_whole {
            listed.list(true, ["OPT"]);
            assert_eq!(listed.lost(), 0);
        }
    }
}

#[test]
fn a_broker_that_lists_an_instrument_and_refuses_it_is_asked_once_for_each_list() {
    let mut listed = Listed::start(10);
    listed.list(true, ["OPT"]);
    let option = listed.bench.subscribed("OPT");
    listed.build.set(|habits| _ = habits.cursed.insert("OPT"));
    listed.drops(option);
    assert_eq!(listed.lost(), 1);
    for round in 2..=3 {
        listed.list(true, ["OPT"]);
        assert_eq!(listed.asked("OPT").0, round);
        assert_eq!(listed.bench.feed.counters().instruments_lost.get(), round as u64);
    }
    listed.bench.pass(Duration::from_hours(1));
    assert_eq!(listed.asked("OPT").0, 3);
}

#[test]
fn what_makes_no_sense_is_counted_and_a_flood_is_looked_at_once_a_second() {
    let mut listed = Listed::start(10);
    listed.list(true, ["OPT"]);
    let malformed = |listed: &Listed| listed.bench.feed.counters().lists_malformed.get();
    listed.say("{");
    listed.bench.pass(LOOK_PAUSE);
    assert_eq!(malformed(&listed), 1);
    listed.say(&format!(r#"{{"is_whole":true,"x":"{}"}}"#, "x".repeat(64 * 1_024)));
    assert_eq!(malformed(&listed), 2);
    assert_eq!(listed.bench.feed.status().list.unwrap().instruments, 1, "what was known stays");
    listed.bench.pass(LOOK_PAUSE);
    for _ in 0..500 {
        listed.say("[]");
        listed.bench.pass(LOOK_PAUSE / 250);
    }
    // Two seconds: one look at once, and one after each pause.
    assert_eq!(malformed(&listed), 2 + 3, "the newest is read, and no more than that");
}

#[test]
fn instances_are_asked_for_a_new_list_and_one_that_is_to_begin_when_it_does() {
    let mut listed = Listed::start(10);
    listed.bench.command(Command::RenewLists);
    assert_eq!(listed.build.last().told().lists_asked, 1);
    // At a broker with one session the next instance begins when this one has gone.
    let next = Build::default();
    listed.bench.serve(&next);
    listed.bench.command(Command::RenewLists);
    assert_eq!(next.made(), 0);
    listed.bench.let_go();
    assert_eq!(next.last().told().lists_asked, 1);
}
