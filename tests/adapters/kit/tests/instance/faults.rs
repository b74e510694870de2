//! Faults that leave the process alive.

use std::{path::Path, time::Duration};

use adapter_sdk::{
    Adapter as _, Context, Mode, Subscription,
    abi::{ErrorCode, StatusKind},
    testing::{Bench, Published},
};
use fault_kit::Faulty;

use crate::{connected, last_prices};

fn quick(fault: &str) -> String {
    format!(r#"{{"rate_hz": 100, "fault": "{fault}"}}"#)
}

fn triggered(fault: &str, trigger: &Path) -> String {
    let config = serde_json::json!({"rate_hz": 100, "fault": fault, "trigger": trigger});
    config.to_string()
}

#[test]
fn a_fault_waits_for_its_trigger_and_takes_it_away() {
    let dir = tempfile::tempdir().unwrap();
    let trigger = dir.path().join("now");
    let bench = connected(&triggered("panic_task", &trigger));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 20);
    assert!(bench.heard().statuses.iter().all(|event| event.kind != StatusKind::FAILED));
    std::fs::write(&trigger, "").unwrap();
    assert_eq!(bench.wait_for_status(StatusKind::FAILED).code, ErrorCode::PANICKED);
    assert!(!trigger.exists());
    // The next instance is well.
    let bench = connected(&triggered("panic_task", &trigger));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 20);
}

#[test]
fn a_fault_without_a_trigger_happens_so_long_after_each_connect() {
    let bench = connected(r#"{"rate_hz": 100, "fault": "panic_task", "after_ms": 200}"#);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(bench.wait_for_status(StatusKind::FAILED).code, ErrorCode::PANICKED);
    assert!(!bench.heard().ticks.is_empty());
}

#[test]
fn a_panic_in_a_callback_takes_its_symbol_and_its_trigger_if_there_is_one() {
    let panics = |config: &str, symbol: &str| {
        let config = serde_json::from_str(config).unwrap();
        let adapter = Faulty::try_new(config, Context::default()).unwrap();
        let wanted = Subscription::new(1, "NSE", symbol, Mode::Ltp, 0);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| adapter.resolve(&wanted))).is_err()
    };
    assert!(panics(&quick("panic_callback"), "PANIC"));
    assert!(!panics(&quick("panic_callback"), "SBIN"));
    assert!(!panics(&quick("panic_task"), "PANIC"));
    let dir = tempfile::tempdir().unwrap();
    let trigger = dir.path().join("now");
    let config = triggered("panic_callback", &trigger);
    assert!(!panics(&config, "PANIC"));
    std::fs::write(&trigger, "").unwrap();
    assert!(panics(&config, "PANIC"));
    assert!(!panics(&config, "PANIC"));
}

#[test]
fn a_thread_that_is_stuck_in_connect_does_not_end_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let trigger = dir.path().join("now");
    std::fs::write(&trigger, "").unwrap();
    let bench = Bench::start::<Faulty>(&triggered("sleep_in_connect", &trigger)).unwrap();
    bench.wait_for_status(StatusKind::CONNECTING);
    assert!(!bench.shut_down(Duration::from_millis(300)));
    assert!(!trigger.exists());
    assert!(bench.heard().statuses.iter().all(|event| event.kind == StatusKind::CONNECTING));
}

#[test]
fn a_thread_that_is_stuck_in_next_ticks_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let trigger = dir.path().join("now");
    let bench = connected(&triggered("sleep_in_next", &trigger));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 5);
    std::fs::write(&trigger, "").unwrap();
    let calm = connected(r#"{"rate_hz": 100}"#);
    calm.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    calm.wait_for_ticks(1, 10);
    assert!(!trigger.exists());
    let before = bench.heard().ticks.len();
    calm.forget();
    calm.wait_for_ticks(1, 20);
    assert_eq!(bench.heard().ticks.len(), before);
    assert!(!bench.shut_down(Duration::from_millis(100)));
}

#[test]
fn a_flood_lasts_as_long_as_its_trigger_and_loses_no_number() {
    let dir = tempfile::tempdir().unwrap();
    let trigger = dir.path().join("now");
    let bench = connected(&triggered("tick_flood", &trigger));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 1);
    std::fs::write(&trigger, "").unwrap();
    bench.wait_for("a flood", |heard| (heard.ticks.len() > 50_000).then_some(()));
    assert!(trigger.exists(), "the flood ends with it");
    std::fs::remove_file(&trigger).unwrap();
    // Commands are still taken, and the usual ticks go on.
    bench.subscribe(2, "NSE", "TCS", Mode::Ltp);
    bench.wait_for_ticks(2, 20);
    let numbers = last_prices(&bench.wait_for_ticks(1, 1));
    assert!((1_i64..).zip(&numbers).all(|(seq, tick)| tick.volume == seq));
}

#[test]
fn stray_numbers_come_beside_the_subscribed_ones() {
    let bench = connected(&quick("stray_ids"));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(7, 5);
    for stray in [u32::MAX, 6, 8, 7 ^ (1 << 20)] {
        bench.wait_for_ticks(stray, 5);
    }
    assert!(last_prices(&bench.wait_for_ticks(7, 1)).iter().all(|tick| tick.volume != 666));
}

#[test]
fn garbage_comes_under_known_and_unknown_numbers_in_every_kind() {
    let bench = connected(&quick("garbage_records"));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for("garbage of every kind", |heard| {
        let is_garbage = |tick: &&Published| match tick {
            Published::Ltp(ltp) => ltp.exchange_ts_ns == u64::MAX,
            Published::Quote(quote) | Published::Depth(quote, ..) => quote.exchange_ts_ns == u64::MAX,
        };
        let garbage: Vec<&Published> = heard.ticks.iter().filter(is_garbage).collect();
        let has = |find: fn(&Published) -> bool| garbage.iter().any(|tick| find(tick));
        let is_complete = has(|tick| tick.instrument() == 7)
            && has(|tick| tick.instrument() != 7)
            && has(|tick| matches!(tick, Published::Ltp(_)))
            && has(|tick| matches!(tick, Published::Quote(_)))
            && has(|tick| matches!(tick, Published::Depth(_, buy, _) if buy.len() == 200));
        is_complete.then_some(())
    });
}

#[test]
fn a_leak_of_threads_or_descriptors_does_not_stop_the_ticks() {
    for fault in ["descriptor_leak", "thread_leak"] {
        let dir = tempfile::tempdir().unwrap();
        let trigger = dir.path().join("now");
        let bench = connected(&triggered(fault, &trigger));
        bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
        std::fs::write(&trigger, "").unwrap();
        bench.wait_for_ticks(1, 20);
        assert!(!trigger.exists());
    }
}

#[test]
fn secrets_show_in_log_outcome_and_status() {
    let dir = tempfile::tempdir().unwrap();
    let trigger = dir.path().join("now");
    let secrets = r#"{"api_key": "key-1", "access_token": "token-2"}"#;
    let bench = Bench::start_with::<Faulty>(&triggered("log_secret", &trigger), secrets).unwrap();
    bench.wait_for_status(StatusKind::CONNECTED);
    bench.subscribe(1, "NSE", "SECRET1", Mode::Ltp);
    bench.subscribe(2, "NSE", "SBIN", Mode::Ltp);
    std::fs::write(&trigger, "").unwrap();
    let lost = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert!(lost.message.contains("token-2"), "{lost:?}");
    let heard = bench.heard();
    for secret in ["key-1", "token-2"] {
        assert!(heard.logs.iter().any(|(_, line)| line.contains(secret)), "no {secret} in {:?}", heard.logs);
    }
    let refused =
        heard.outcomes.iter().find(|(request, _)| *request == 0).map(|(_, outcome)| outcome.clone());
    let refused = refused.expect("an outcome that nobody asked for");
    assert!(refused.instrument == 1 && refused.message.contains("token-2"), "{refused:?}");
}
