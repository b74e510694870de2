use std::{collections::BTreeMap, panic};

use serde_json::json;

use super::*;
use crate::{
    config::Config,
    universe::{Date, Universe},
};

const START_NS: u64 = 1_764_570_600_000_000_000;

#[derive(Debug, Default)]
struct Collected {
    ticks: Vec<(u32, Detail, View, usize, usize)>,
    exchange_ts_ns: Vec<u64>,
}

impl Outlet for Collected {
    fn tick(&mut self, tick: Outgoing<'_>) {
        self.ticks.push((tick.instrument, tick.detail, *tick.view, tick.buy.len(), tick.sell.len()));
        self.exchange_ts_ns.push(tick.exchange_ts_ns);
    }
}

/// A feed whose time passes as the test says.
struct Bench {
    feed: Feed,
    universe: Universe,
    out: Collected,
    age: Duration,
}

impl Bench {
    fn new(settings: serde_json::Value) -> Self {
        let settings: Config = serde_json::from_value(settings).expect("well-formed");
        let settings = Rc::new(settings.check().expect("usable"));
        let universe = Universe::new(Date::new(2025, 12, 1));
        let market = Rc::new(RefCell::new(Market::new(settings.seed, universe.clone())));
        Self { feed: Feed::new(settings, market), universe, out: Collected::default(), age: Duration::ZERO }
    }

    fn now(&self) -> Now {
        Now { age: self.age, ts_ns: START_NS + u64::try_from(self.age.as_nanos()).expect("short") }
    }

    fn subscribe(&mut self, instrument: u32, exchange: &str, symbol: &str, detail: Detail) {
        let (position, _) = self.universe.find(exchange, symbol).expect("listed");
        let now = self.now();
        self.feed.subscribe(instrument, position, detail, now, &mut self.out);
    }

    /// Sleeps and wakes until nothing is left to do before an age. Returns how often it woke.
    fn run_until(&mut self, end: Duration) -> (usize, Progress) {
        let mut wakes = 0;
        while let Some(wake) = self.feed.next_wake(self.age).filter(|wake| *wake <= end) {
            self.age = self.age.max(wake);
            wakes += 1;
            assert!(wakes < 100_000, "wakes without end");
            let now = self.now();
            if self.feed.advance(now, &mut self.out) == Progress::Lost {
                return (wakes, Progress::Lost);
            }
        }
        self.age = end;
        (wakes, Progress::Connected)
    }

    fn counts(&self) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        for (instrument, ..) in &self.out.ticks {
            *counts.entry(*instrument).or_default() += 1;
        }
        counts
    }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn the_first_tick_comes_with_the_subscription_and_others_follow_at_the_rate() {
    let mut bench = Bench::new(json!({ "rates": { "NSE": 10, "BSE:SBIN": 0.5 } }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    bench.subscribe(2, "BSE", "SBIN", Detail::Quote);
    bench.subscribe(3, "CRYPTO", "BTC_INR", Detail::Quote);
    assert_eq!(bench.counts(), BTreeMap::from([(1, 1), (2, 1), (3, 1)]));
    assert_eq!(bench.run_until(seconds(20)).1, Progress::Connected);
    let counts = bench.counts();
    assert!((190..=212).contains(&counts[&1]), "{counts:?}");
    assert!((9..=13).contains(&counts[&2]), "{counts:?}");
    assert!((37..=44).contains(&counts[&3]), "{counts:?}");
}

#[test]
fn a_fast_rate_is_reached_in_few_wake_ups() {
    let mut bench = Bench::new(json!({ "rate_hz": 1000 }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    bench.subscribe(2, "NSE", "TCS", Detail::Price);
    let (wakes, _) = bench.run_until(seconds(2));
    let counts = bench.counts();
    assert!((1_900..=2_100).contains(&counts[&1]), "{counts:?}");
    assert!(wakes <= 2_001, "{wakes}");
    assert_eq!(bench.feed.skipped(), 0);
}

#[test]
fn a_pause_of_the_machine_leaves_no_backlog() {
    let mut bench = Bench::new(json!({ "rate_hz": 1000 }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    bench.age = seconds(60);
    let now = bench.now();
    assert_eq!(bench.feed.advance(now, &mut bench.out), Progress::Connected);
    assert!(bench.out.ticks.len() <= 10, "{}", bench.out.ticks.len());
    assert!(bench.feed.skipped() > 0);
    assert!(bench.feed.next_wake(bench.age).expect("goes on") > bench.age);
}

#[test]
fn work_is_followed_by_a_rest_of_the_same_length() {
    let mut bench = Bench::new(json!({ "rate_hz": 1000 }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    let mut rest_after_ms = |work_ms: u64| {
        bench.age += Duration::from_millis(100);
        let now = bench.now();
        assert_eq!(bench.feed.advance(now, &mut bench.out), Progress::Connected);
        bench.age += Duration::from_millis(work_ms);
        let rest = bench.feed.next_wake(bench.age).expect("goes on").saturating_sub(bench.age);
        // Whoever asks again, because something came between, rests no longer.
        bench.age += rest / 2;
        assert_eq!(bench.feed.next_wake(bench.age), Some(bench.age + rest / 2));
        rest.as_millis()
    };
    assert_eq!([rest_after_ms(0), rest_after_ms(20), rest_after_ms(900)], [1, 20, 50]);
}

#[test]
fn nothing_subscribed_needs_no_wake_up() {
    let mut bench = Bench::new(json!({}));
    assert_eq!(bench.feed.next_wake(Duration::ZERO), None);
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    bench.feed.unsubscribe(1);
    bench.feed.unsubscribe(9);
    assert_eq!(bench.feed.next_wake(Duration::ZERO), None);
    assert_eq!(bench.feed.subscriptions(), 0);
}

#[test]
fn a_change_of_detail_shows_at_once_and_keeps_the_rate() {
    let mut bench = Bench::new(json!({ "rate_hz": 10 }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    bench.subscribe(1, "NSE", "SBIN", Detail::Book(20));
    bench.subscribe(2, "NSE_INDEX", "NIFTY", Detail::Book(5));
    let shown: Vec<_> = bench.out.ticks.iter().map(|tick| (tick.0, tick.1, tick.3, tick.4)).collect();
    assert_eq!(shown, [(1, Detail::Price, 0, 0), (1, Detail::Book(20), 20, 20), (2, Detail::Book(5), 0, 0)]);
    assert_eq!(bench.run_until(seconds(10)).1, Progress::Connected);
    assert!((95..=110).contains(&bench.counts()[&1]), "{:?}", bench.counts());
}

#[test]
fn the_values_do_not_depend_on_rate_or_company() {
    let values = |rate_hz: u32, with_other: bool| {
        let mut bench = Bench::new(json!({ "rate_hz": rate_hz, "seed": 9 }));
        if with_other {
            bench.subscribe(2, "NSE", "TCS", Detail::Book(50));
        }
        bench.subscribe(1, "NSE", "SBIN", Detail::Price);
        assert_eq!(bench.run_until(seconds(20)).1, Progress::Connected);
        let of_one = bench.out.ticks.iter().filter(|tick| tick.0 == 1);
        of_one.map(|tick| (tick.2.ltp, tick.2.high, tick.2.change)).take(30).collect::<Vec<_>>()
    };
    assert_eq!(values(2, false).len(), 30);
    assert_eq!(values(2, false), values(50, true));
}

#[test]
fn a_latency_makes_ticks_old() {
    let mut bench = Bench::new(json!({ "latency_ms": 250 }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    assert_eq!(bench.out.exchange_ts_ns, [START_NS - 250_000_000]);
    let traded = bench.out.ticks[0].2.trading.expect("share").last_trade_ts_ns;
    assert_eq!(traded, START_NS - 250_000_000);
}

#[test]
fn stamps_say_when_a_tick_was_due_and_which_it_is() {
    let mut bench = Bench::new(json!({ "stamps": true, "rate_hz": 100 }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    let due = bench.feed.next_wake(bench.age).expect("a tick is scheduled");
    // Woken a little late, and rested before: the stamp is that of the schedule all the same.
    let due = due.min(bench.feed.schedule.next_due().expect("scheduled"));
    bench.age = due + Duration::from_millis(3);
    let now = bench.now();
    assert_eq!(bench.feed.advance(now, &mut bench.out), Progress::Connected);
    let stamps: Vec<_> = bench.out.ticks.iter().filter_map(|tick| tick.2.trading).collect();
    let micros =
        |age: Duration| i64::try_from((u128::from(START_NS) + age.as_nanos()) / 1_000).expect("short");
    assert_eq!((stamps[0].volume, stamps[0].last_quantity), (micros(Duration::ZERO), 1));
    assert_eq!((stamps[1].volume, stamps[1].last_quantity), (micros(due), 2));
}

#[test]
fn a_connection_is_lost_after_its_time_even_when_idle() {
    let mut bench = Bench::new(json!({ "faults": { "disconnect_every_ms": 1500 } }));
    assert_eq!(bench.feed.next_wake(Duration::ZERO), Some(Duration::from_millis(1500)));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    assert_eq!(bench.run_until(seconds(5)).1, Progress::Lost);
    assert_eq!(bench.age, Duration::from_millis(1500));
}

#[test]
fn a_mute_connection_stays_up_without_ticks_or_wake_ups() {
    let mut bench = Bench::new(json!({ "rate_hz": 100, "faults": { "mute_after_ms": 1000 } }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Price);
    assert_eq!(bench.run_until(seconds(3)).1, Progress::Connected);
    let before = bench.out.ticks.len();
    assert!((90..=110).contains(&before), "{before}");
    assert_eq!(bench.feed.next_wake(bench.age), None);
    bench.subscribe(2, "NSE", "TCS", Detail::Price);
    assert_eq!(bench.out.ticks.len(), before);
}

#[test]
fn stray_ticks_carry_a_number_that_nobody_subscribed() {
    let mut bench = Bench::new(json!({ "faults": { "stray_ticks": true } }));
    bench.subscribe(1, "NSE", "SBIN", Detail::Quote);
    let (wakes, _) = bench.run_until(seconds(5));
    assert!(wakes > 5);
    assert_eq!(bench.counts()[&STRAY_INSTRUMENT], wakes);
}

#[test]
fn panics_come_where_they_are_asked_for() {
    let mut bench = Bench::new(json!({ "faults": { "panic_in": "next", "panic_on_symbol": "SBIN" } }));
    bench.subscribe(1, "NSE", "TCS", Detail::Price);
    assert_eq!(bench.run_until(seconds(3)).1, Progress::Connected);
    bench.subscribe(2, "NSE", "SBIN", Detail::Price);
    assert!(panic::catch_unwind(panic::AssertUnwindSafe(|| bench.run_until(seconds(6)))).is_err());

    let mut bench = Bench::new(json!({ "faults": { "panic_in": "subscribe", "panic_on_symbol": "SBIN" } }));
    bench.subscribe(1, "NSE", "TCS", Detail::Price);
    let subscribe = || bench.subscribe(2, "NSE", "SBIN", Detail::Price);
    assert!(panic::catch_unwind(panic::AssertUnwindSafe(subscribe)).is_err());
}
