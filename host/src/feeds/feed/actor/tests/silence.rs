//! Connections that are silent when they should be heard.

use std::time::Duration;

use super::{
    fake::Build,
    rig::{Bench, Limits, STALE_AFTER, slow},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_silent_connection_is_told_to_connect_again_and_then_replaced_though_nothing_happens() {
    let build = Build::default();
    let mut bench = Bench::start(&build, Limits::ROOMY);
    bench.pass(STALE_AFTER * 4);
    assert_eq!(build.last().told().renewed, 0, "one that carries nothing may be silent");
    bench.subscribed("FIRST");
    bench.pass(STALE_AFTER);
    assert!(bench.announced().contains(r#""state":"live""#), "{}", bench.announced());
    assert_eq!(build.last().told().renewed, 0);
    bench.pass(SECOND * 2);
    assert_eq!((build.last().told().renewed, build.made()), (1, 1));
    assert!(bench.announced().contains(r#""state":"stale""#), "{}", bench.announced());
    bench.pass(STALE_AFTER * 2);
    assert_eq!((build.made(), build.last().holds()), (2, vec!["FIRST".to_owned()]));
    assert_eq!(bench.feed.counters().silences_answered.get(), 2);
}

#[test]
fn one_that_is_being_replaced_is_left_in_peace() {
    let (old, new) = (Build::default(), slow());
    let mut bench = Bench::start(&old, Limits::ROOMY);
    bench.subscribed("FIRST");
    bench.pass(SECOND * 10);
    bench.serve(&new);
    bench.pass(SECOND * 10);
    assert_eq!((old.last().told().renewed, old.made(), new.made()), (0, 1, 1));
    bench.pass(SECOND * 10);
    assert_eq!(old.last().told().renewed, 1, "the new one did not get ready");
}
