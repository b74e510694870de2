//! The adapter behind the real boundary objects, with a host that only writes down what it hears.

#![allow(missing_docs, reason = "the names of the tests say what they are")]
#![allow(clippy::expect_used, reason = "a helper of tests reports by panicking")]

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use adapter_abi::{
    AdapterBox, AdapterError, Depth, DepthLevel, Host, Host_TO, LogLevel, Ltp, PublishOutcome, Quote,
    StatusEvent, StatusKind, Subscription, SubscriptionOutcome,
    abi_stable::{
        sabi_trait::TD_Opaque,
        std_types::{RArc, RResult, RSlice, RStr, RString},
    },
};
use parking_lot::Mutex;
use serde_json::json;

const SOON: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Heard {
    ltp: Vec<Ltp>,
    quotes: usize,
    /// Books, and how many levels came with them.
    books: Vec<(Depth, usize)>,
    outcomes: Vec<(u64, u32)>,
    statuses: Vec<StatusKind>,
    logs: usize,
}

#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Heard>>);

impl Notebook {
    fn wait_for(&self, what: &str, is_there: impl Fn(&Heard) -> bool) {
        let deadline = Instant::now() + SOON;
        while !is_there(&self.0.lock()) {
            assert!(Instant::now() < deadline, "waited {SOON:?} for {what}");
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Host for Notebook {
    fn publish_ltp(&self, batch: RSlice<'_, Ltp>) -> PublishOutcome {
        self.0.lock().ltp.extend_from_slice(batch.as_slice());
        PublishOutcome::default()
    }

    fn publish_quote(&self, batch: RSlice<'_, Quote>) -> PublishOutcome {
        self.0.lock().quotes += batch.len();
        PublishOutcome::default()
    }

    fn publish_depth(&self, batch: RSlice<'_, Depth>, levels: RSlice<'_, DepthLevel>) -> PublishOutcome {
        self.0.lock().books.extend(batch.iter().map(|book| (*book, levels.len())));
        PublishOutcome::default()
    }

    fn publish_order_update(&self, _: RStr<'_>) -> PublishOutcome {
        PublishOutcome::default()
    }

    fn status(&self, event: StatusEvent) {
        self.0.lock().statuses.push(event.kind);
    }

    fn subscription_outcomes(&self, request: u64, outcomes: RSlice<'_, SubscriptionOutcome>) {
        self.0.lock().outcomes.extend(outcomes.iter().map(|outcome| (request, outcome.code.0)));
    }

    fn credentials(&self) -> RString {
        "{}".into()
    }

    fn max_log_level(&self) -> LogLevel {
        LogLevel::INFO
    }

    fn log(&self, _: LogLevel, _: RStr<'_>, _: RStr<'_>, _: RStr<'_>) {
        self.0.lock().logs += 1;
    }
}

fn validate(config_json: &str) -> RResult<(), AdapterError> {
    adapter_raw::module().validate_config()(config_json.into())
}

fn create(config: &serde_json::Value) -> (AdapterBox, Notebook) {
    let notebook = Notebook::default();
    let host = Host_TO::from_ptr(RArc::new(notebook.clone()), TD_Opaque);
    let json = config.to_string();
    let adapter = adapter_raw::module().create()(json.as_str().into(), host);
    (adapter.into_result().expect("the settings are usable"), notebook)
}

fn subscribed(config: &serde_json::Value) -> (AdapterBox, Notebook) {
    let (adapter, notebook) = create(config);
    assert!(adapter.connect(1).is_ok());
    assert!(adapter.subscribe(2, RSlice::from_slice(&[wanted(7, "SBIN"), wanted(8, "BAD")])).is_ok());
    (adapter, notebook)
}

fn wanted(instrument: u32, symbol: &str) -> Subscription {
    Subscription { instrument, mode: 1, reserved: 0, depth: 0, exchange: "NSE".into(), symbol: symbol.into() }
}

/// Whether `call` returns within a moment. It is left behind when it does not.
fn returns(call: impl FnOnce() + Send + 'static) -> bool {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        call();
        // Nobody may wait any more.
        let _late = done.send(());
    });
    is_done.recv_timeout(Duration::from_millis(500)).is_ok()
}

#[test]
fn it_is_a_good_adapter_without_a_fault() {
    let (adapter, notebook) = subscribed(&json!({}));
    notebook.wait_for("ticks", |heard| heard.ltp.len() >= 5);
    {
        let heard = notebook.0.lock();
        assert!((1_i64..).zip(&heard.ltp).all(|(seq, tick)| (tick.instrument, tick.volume) == (7, seq)));
        assert_eq!(heard.outcomes, [(2, 0), (2, 2)]);
    }
    assert_eq!(adapter.health().connected, 1);
    adapter.shutdown(1_000);
    let heard = notebook.0.lock();
    assert_eq!(heard.statuses, [StatusKind::CONNECTED, StatusKind::STOPPED]);
}

#[test]
fn each_call_hangs_when_it_is_asked_to() {
    let fault = |name: &str| json!({ "fault": name });
    assert!(!returns(move || drop(validate(&fault("hang_in_validate").to_string()))));
    assert!(returns(move || drop(create(&fault("hang_in_validate")))));
    assert!(!returns(move || drop(create(&fault("hang_in_create")))));
    let calls: [(&str, fn(&AdapterBox)); 5] = [
        ("hang_in_connect", |adapter| drop(adapter.connect(1))),
        ("hang_in_subscribe", |adapter| drop(adapter.subscribe(1, RSlice::EMPTY))),
        ("hang_in_unsubscribe", |adapter| drop(adapter.unsubscribe(1, RSlice::EMPTY))),
        ("hang_in_health", |adapter| _ = adapter.health()),
        ("hang_in_shutdown", |adapter| adapter.shutdown(10)),
    ];
    for (name, call) in calls {
        assert!(!returns(move || call(&create(&fault(name)).0)), "{name}");
        assert!(returns(move || call(&create(&json!({})).0)), "without {name}");
    }
}

#[test]
fn a_hang_waits_for_its_trigger_and_takes_it_away() {
    let dir = tempfile::tempdir().unwrap();
    let trigger = dir.path().join("now");
    let config = json!({"fault": "hang_in_connect", "trigger": trigger});
    let connect = move || drop(create(&config).0.connect(1));
    assert!(returns(connect.clone()));
    std::fs::write(&trigger, "").unwrap();
    assert!(!returns(connect.clone()));
    assert!(!trigger.exists() && returns(connect));
}

#[test]
fn garbage_points_outside_of_the_levels() {
    let (_adapter, notebook) = subscribed(&json!({"fault": "garbage_records"}));
    notebook.wait_for("garbage", |heard| {
        let ends_outside = |(book, levels): &&(Depth, usize)| {
            let end = u64::from(book.first_level) + u64::from(book.buy_levels) + u64::from(book.sell_levels);
            end > *levels as u64
        };
        let outside = heard.books.iter().filter(ends_outside).count();
        let known = heard.ltp.iter().filter(|tick| tick.instrument == 7).count();
        outside >= 20 && known >= 5 && heard.ltp.len() > known && heard.quotes >= 5
    });
}

#[test]
fn false_reports_do_not_stop_the_ticks() {
    let (_adapter, notebook) = subscribed(&json!({"fault": "false_reports"}));
    notebook.wait_for("reports and ticks", |heard| {
        let has_status = heard.statuses.contains(&StatusKind(u32::MAX));
        let has_outcome = heard.outcomes.contains(&(u64::MAX, 77));
        has_status && has_outcome && heard.logs > 0 && heard.ltp.len() >= 3
    });
}

#[test]
fn ticks_come_after_the_end() {
    let (adapter, notebook) = subscribed(&json!({"fault": "publish_after_shutdown"}));
    adapter.shutdown(100);
    let before = notebook.0.lock().ltp.len();
    notebook.wait_for("more ticks", |heard| heard.ltp.len() > before + 3);
}

#[test]
fn wrong_settings_are_refused() {
    for json in ["{\"fault\": \"crash\"}", "{\"rate_hz\": 1}", "nonsense"] {
        assert!(validate(json).is_err(), "{json}");
    }
}

/// Runs in the child only.
#[test]
#[ignore = "ends the process that it runs in"]
fn child() {
    subscribed(&json!({"fault": "panic_in_call"}));
}

#[test]
fn a_panic_across_the_boundary_ends_the_process() {
    let this = std::env::current_exe().expect("this test");
    let ended = std::process::Command::new(this).args(["--ignored", "--exact", "child"]).output();
    let ended = ended.expect("the child starts");
    // A test that fails ends with 101.
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
}
