use std::collections::BTreeSet;

use adapter_abi::{
    ErrorCode as AdapterErrorCode, HealthSnapshot, StatusEvent, StatusKind, Subscription, SubscriptionOutcome,
};
use parking_lot::Mutex;
use tickhost_core::{
    calendar::Calendars,
    intake::Intake,
    model::{DepthClass, FeedId, Key, Mode, Variant},
    pool::PoolLimits,
    protocol::{Frame, codes::ErrorCode},
    router::RouterHandle,
};

use super::*;
use crate::{
    accounts::{Accounts, UserName},
    adapters::{AdapterEvents, AdapterFailure, AdapterInstance, Assignment, connector::Connector},
    feeds::{
        bulletin::{Bulletin, Recipient},
        feed::{
            Feed, FeedSettings, FeedSpec, Grant, Membership, OrderSink, Refusal, Serving, Want,
            task::{self, FeedContext},
        },
    },
};

/// Longest wait for something to happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A broker with a list, and an adapter that answers at once.
#[derive(Default)]
struct Broker {
    listed: Mutex<BTreeSet<&'static str>>,
    /// Listed, and refused by the broker as soon as they are subscribed.
    cursed: Mutex<BTreeSet<&'static str>>,
    /// Nothing is answered.
    is_mute: Mutex<bool>,
    events: Mutex<Option<Arc<dyn AdapterEvents>>>,
    /// Requests with what they name, in order.
    asked: Mutex<Vec<(u64, Vec<(u32, String)>)>>,
    unsubscribed: Mutex<Vec<u32>>,
    renewals: Mutex<usize>,
}

#[derive(Clone)]
struct Fake(Arc<Broker>);

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Connector for Fake {
    fn create(
        &self,
        _assignment: &Assignment,
        _label: &str,
        events: Arc<dyn AdapterEvents>,
        _intake: &Arc<Intake>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        *self.0.events.lock() = Some(events);
        Ok(Box::new(self.clone()))
    }
}

impl Fake {
    fn events(&self) -> Arc<dyn AdapterEvents> {
        self.0.events.lock().clone().unwrap()
    }

    fn outcomes(&self, request: u64, outcomes: &[SubscriptionOutcome]) {
        self.events().outcomes(request, outcomes);
    }

    fn status(&self, kind: StatusKind) {
        self.events().status(StatusEvent {
            kind,
            code: AdapterErrorCode::NONE,
            request: 0,
            retry_in_ms: 0,
            message: "".into(),
        });
    }

    /// What the list has now, as the adapter says it.
    fn list(&self, is_whole: bool, listed: impl IntoIterator<Item = &'static str>) {
        let listed: BTreeSet<&'static str> = listed.into_iter().collect();
        let rows = listed.len();
        *self.0.listed.lock() = listed;
        let trouble =
            if is_whole { "" } else { r#"{"segment":"NFO","rows":1,"expected":9,"reason":"torn"}"# };
        self.events().list(&format!(
            r#"{{"is_whole":{is_whole},"instruments":{rows},"skipped":2,"fetched_at":1764500000,"troubles":[{trouble}]}}"#
        ));
    }
}

fn outcome(instrument: u32, code: OutcomeCode) -> SubscriptionOutcome {
    let message = if code.is_taken() { "" } else { "not in the list" };
    SubscriptionOutcome { instrument, code, depth: 0, reserved: 0, message: message.into() }
}

impl AdapterInstance for Fake {
    fn connect(&self, _request: u64) -> Result<(), AdapterFailure> {
        self.status(StatusKind::CONNECTED);
        Ok(())
    }

    fn subscribe(&self, request: u64, subscriptions: &[Subscription]) -> Result<(), AdapterFailure> {
        let named = subscriptions.iter().map(|wanted| (wanted.instrument, wanted.symbol.to_string()));
        self.0.asked.lock().push((request, named.collect()));
        if *self.0.is_mute.lock() {
            return Ok(());
        }
        let listed = self.0.listed.lock().clone();
        let code = |symbol: &str| {
            if listed.contains(symbol) { OutcomeCode::ACCEPTED } else { OutcomeCode::UNKNOWN_INSTRUMENT }
        };
        let outcomes: Vec<SubscriptionOutcome> =
            subscriptions.iter().map(|wanted| outcome(wanted.instrument, code(&wanted.symbol))).collect();
        self.outcomes(request, &outcomes);
        for wanted in subscriptions.iter().filter(|wanted| self.0.cursed.lock().contains(&*wanted.symbol)) {
            self.outcomes(0, &[outcome(wanted.instrument, OutcomeCode::UNKNOWN_INSTRUMENT)]);
        }
        Ok(())
    }

    fn unsubscribe(&self, _request: u64, instruments: &[u32]) -> Result<(), AdapterFailure> {
        self.0.unsubscribed.lock().extend(instruments);
        Ok(())
    }

    fn credentials_changed(&self) {}

    fn renew_list(&self) {
        *self.0.renewals.lock() += 1;
    }

    fn health(&self) -> HealthSnapshot {
        HealthSnapshot::default()
    }

    fn shutdown(&self, _deadline: Duration) {}
}

#[derive(Debug)]
struct NoOrders;

impl OrderSink for NoOrders {
    fn order(&self, _user: &UserName, _broker: &str, _update_json: &str) -> bool {
        false
    }
}

/// Keeps what is said to the sessions.
#[derive(Debug, Default)]
struct Said(Mutex<Vec<Bulletin>>);

impl Recipient for Said {
    fn tell(&self, bulletin: Bulletin) {
        self.0.lock().push(bulletin);
    }

    fn offer_order(&self, _user: &UserName, _frame: &Frame) -> bool {
        false
    }
}

/// A feed of this broker, on one connection with so many places.
struct Bench {
    broker: Fake,
    feed: Feed,
    said: Arc<Said>,
    _member: Membership,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn start(places: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let broker = Fake(Arc::default());
        let said = Arc::<Said>::default();
        let context = FeedContext {
            router: RouterHandle::new(),
            recipients: vec![Arc::clone(&said) as Arc<dyn Recipient>],
            instruments: Arc::default(),
            accounts: Accounts::open_embedded(folder.path()).unwrap(),
            orders: Arc::new(NoOrders),
            settings: FeedSettings {
                subscribe_timeout: Duration::from_millis(100),
                rebalance_after: PATIENCE,
                linger: PATIENCE,
                shutdown: PATIENCE,
                stale_after: PATIENCE,
            },
            calendars: Calendars::default(),
        };
        let spec =
            FeedSpec { broker: "acme".into(), adapter: "acme".into(), account: None, repeats_modes: false };
        let serving = Serving {
            connector: Arc::new(broker.clone()),
            limits: PoolLimits { symbols_per_connection: places, connections: 1 },
            throttle: Duration::ZERO,
            sessions: 1,
            hours: tickhost_core::calendar::Hours::Always,
            logs_in: false,
        };
        let (feed, task) = task::start(FeedId(1), spec, serving, context, |_| false);
        tokio::spawn(task);
        let member = Membership::new(&feed, &"alice".into());
        Self { broker, feed, said, _member: member, _folder: folder }
    }

    async fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found() {
                return found;
            }
            assert!(Instant::now() < end, "{what}: {:?}", self.feed.status());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the broker's adapter runs.
    async fn runs(&self) {
        self.until("it runs", || self.broker.0.events.lock().as_ref().map(|_| ())).await;
    }

    async fn subscribe(&self, symbol: &str) -> Result<Grant, Refusal> {
        let variant = Variant::new(Mode::Ltp, DepthClass::Five, false);
        let want = Want { exchange: "NFO".into(), symbol: symbol.into(), variant };
        self.feed.subscribe(vec![want]).await.remove(0)
    }

    async fn subscribed(&self, symbol: &str) -> InstrumentId {
        self.subscribe(symbol).await.unwrap().instrument
    }

    fn release(&self, instrument: InstrumentId) {
        self.feed
            .release(vec![Key { instrument, variant: Variant::new(Mode::Ltp, DepthClass::Five, false) }]);
    }

    /// What the holders were told since the last call.
    fn told(&self) -> Vec<String> {
        let said = std::mem::take(&mut *self.said.0.lock());
        let said = said.into_iter().filter_map(|bulletin| match bulletin {
            Bulletin::Lost { instrument, message } => Some(format!("lost {}: {message}", instrument.0)),
            Bulletin::Failed { instrument, message, .. } => {
                Some(format!("failed {}: {message}", instrument.0))
            }
            _ => None,
        });
        said.collect()
    }

    async fn lost(&self, count: usize) {
        self.until("so many are lost", || (self.feed.status().lost == count).then_some(())).await;
    }

    /// How often the adapter was asked for a symbol, and the numbers under which.
    fn asked(&self, symbol: &str) -> (usize, BTreeSet<u32>) {
        let asked = self.broker.0.asked.lock();
        let of_it = asked.iter().flat_map(|(_, named)| named).filter(|(_, name)| name == symbol);
        let numbers: Vec<u32> = of_it.map(|(number, _)| *number).collect();
        (numbers.len(), numbers.into_iter().collect())
    }

    fn drops(&self, instrument: InstrumentId) {
        self.broker.outcomes(0, &[outcome(instrument.0, OutcomeCode::UNKNOWN_INSTRUMENT)]);
    }
}

#[tokio::test]
async fn what_a_list_has_lost_keeps_its_number_and_comes_back_with_the_list() {
    let bench = Bench::start(10);
    bench.runs().await;
    bench.broker.list(true, ["OPT", "FUT"]);
    let (option, future) = (bench.subscribed("OPT").await, bench.subscribed("FUT").await);
    bench.broker.list(false, ["FUT"]);
    bench.drops(option);
    bench.lost(1).await;
    assert_eq!(bench.told(), [format!("lost {}: not in the list", option.0)]);
    let status = bench.feed.status();
    assert_eq!((status.instruments, status.pending), (2, 1), "it is held on");
    bench
        .until("the adapter lets go of it", || {
            (*bench.broker.0.unsubscribed.lock() == [option.0]).then_some(())
        })
        .await;
    bench.until("the list is said", || bench.feed.status().list.filter(|list| !list.is_whole)).await;

    // A list that lacks it still is asked, which is no news to anybody.
    let before = bench.asked("OPT").0;
    bench.broker.list(false, ["FUT", "NEW"]);
    bench.until("it is asked for", || (bench.asked("OPT").0 > before).then_some(())).await;
    bench.lost(1).await;
    bench.broker.list(true, ["FUT", "OPT"]);
    bench.lost(0).await;
    assert_eq!(bench.feed.status().pending, 0);
    assert_eq!(bench.asked("OPT").1, BTreeSet::from([option.0]), "under the number that its holders have");
    assert_eq!(bench.asked("FUT"), (1, BTreeSet::from([future.0])), "what was not lost is left alone");
    assert_eq!(bench.told(), Vec::<String>::new());
    let counters = bench.feed.counters();
    assert_eq!((counters.instruments_lost.get(), counters.instruments_returned.get()), (1, 1));
    assert_eq!(bench.subscribed("OPT").await, option);
}

#[tokio::test]
async fn a_connection_that_is_made_anew_may_know_another_list_though_its_adapter_says_nothing_of_lists() {
    let bench = Bench::start(10);
    bench.runs().await;
    bench.broker.0.listed.lock().insert("OPT");
    let option = bench.subscribed("OPT").await;
    bench.drops(option);
    bench.lost(1).await;
    assert!(bench.feed.status().list.is_none());
    bench.broker.status(StatusKind::CONNECTED);
    bench.lost(0).await;
    assert_eq!(bench.asked("OPT").1, BTreeSet::from([option.0]));
}

#[tokio::test]
async fn who_is_refused_at_once_holds_nothing_and_who_held_it_goes_on() {
    let bench = Bench::start(1);
    bench.runs().await;
    bench.broker.list(true, ["OPT"]);
    let refused = bench.subscribe("GONE").await.unwrap_err();
    assert_eq!((refused.code, &*refused.message), (ErrorCode::SymbolNotFound, "not in the list"));
    let option = bench.subscribed("OPT").await;
    bench.broker.list(true, ["FUT"]);
    bench.drops(option);
    bench.lost(1).await;
    // Another client asks for it: the adapter is asked, and says the same as to the first.
    let refused = bench.subscribe("OPT").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::SymbolNotFound);
    assert_eq!(bench.told().len(), 1);
    // The only place is free for others meanwhile, and then for what waits for it.
    let future = bench.subscribed("FUT").await;
    bench.broker.list(true, ["FUT", "OPT"]);
    bench.until("it is looked at", || (bench.feed.status().list?.instruments == 2).then_some(())).await;
    assert_eq!(bench.feed.status().lost, 1, "no place for it");
    bench.release(future);
    bench.lost(0).await;
    bench.release(option);
    bench.until("nothing is held", || (bench.feed.status().instruments == 0).then_some(())).await;
    assert_eq!(bench.feed.status().pending, 0);
    // Nobody wants it any more: a later list brings nothing back.
    bench.broker.list(true, ["FUT"]);
    let other = bench.subscribed("FUT").await;
    assert_ne!(other, option);
}

#[tokio::test]
async fn one_that_nobody_wants_any_more_is_forgotten_while_it_is_lost() {
    let bench = Bench::start(10);
    bench.runs().await;
    bench.broker.list(true, ["OPT"]);
    let option = bench.subscribed("OPT").await;
    bench.drops(option);
    bench.lost(1).await;
    bench.release(option);
    bench.lost(0).await;
    let status = bench.feed.status();
    assert_eq!((status.instruments, status.pending), (0, 0));
    bench.broker.list(true, ["OPT"]);
    // Whoever asks now is another matter, under another number.
    assert_ne!(bench.subscribed("OPT").await, option);
    assert_eq!(bench.asked("OPT").0, 2);
}

#[tokio::test]
async fn what_was_acknowledged_before_the_adapter_spoke_is_over_unless_the_list_is_incomplete() {
    for is_whole in [true, false] {
        let bench = Bench::start(10);
        bench.runs().await;
        *bench.broker.0.is_mute.lock() = true;
        let granted = bench.subscribe("OPT").await.unwrap();
        assert!(granted.is_pending);
        let (request, _) = bench.broker.0.asked.lock().last().cloned().unwrap();
        *bench.broker.0.is_mute.lock() = false;
        bench.broker.list(is_whole, []);
        bench.until("the list is known", || bench.feed.status().list).await;
        bench.broker.outcomes(request, &[outcome(granted.instrument.0, OutcomeCode::UNKNOWN_INSTRUMENT)]);
        let told = bench.until("it is told", || Some(bench.told()).filter(|told| !told.is_empty())).await;
        let word = if is_whole { "failed" } else { "lost" };
        assert_eq!(told, [format!("{word} {}: not in the list", granted.instrument.0)]);
        assert_eq!(bench.feed.status().instruments, usize::from(!is_whole));
        if !is_whole {
            bench.broker.list(true, ["OPT"]);
            bench.lost(0).await;
        }
    }
}

#[tokio::test]
async fn a_broker_that_lists_an_instrument_and_refuses_it_is_asked_once_for_each_list() {
    let bench = Bench::start(10);
    bench.runs().await;
    bench.broker.list(true, ["OPT"]);
    bench.until("the list is known", || bench.feed.status().list).await;
    let option = bench.subscribed("OPT").await;
    bench.broker.0.cursed.lock().insert("OPT");
    bench.drops(option);
    bench.lost(1).await;
    for round in 2..=3 {
        bench.broker.list(true, ["OPT"]);
        bench.until("it is asked for", || (bench.asked("OPT").0 == round).then_some(())).await;
        bench
            .until("it is refused again", || {
                (bench.feed.counters().instruments_lost.get() == round as u64).then_some(())
            })
            .await;
    }
    // Beyond the pause between two looks.
    tokio::time::sleep(LOOK_PAUSE + Duration::from_millis(200)).await;
    assert_eq!(bench.asked("OPT").0, 3);
}

#[tokio::test]
async fn what_makes_no_sense_is_counted_and_a_flood_is_looked_at_once_a_second() {
    let bench = Bench::start(10);
    bench.runs().await;
    bench.broker.list(true, ["OPT"]);
    bench.until("the list is known", || bench.feed.status().list).await;
    let events = bench.broker.events();
    events.list("{");
    bench.until("it is counted", || (bench.feed.counters().lists_malformed.get() == 1).then_some(())).await;
    events.list(&format!(r#"{{"is_whole":true,"x":"{}"}}"#, "x".repeat(64 * 1_024)));
    assert_eq!(bench.feed.counters().lists_malformed.get(), 2);
    assert_eq!(bench.feed.status().list.unwrap().instruments, 1, "what was known stays");
    let began = Instant::now();
    (0..5_000).for_each(|_| events.list("[]"));
    bench
        .until("the newest is read", || (bench.feed.counters().lists_malformed.get() == 3).then_some(()))
        .await;
    assert!(began.elapsed() < PATIENCE);
    tokio::time::sleep(LOOK_PAUSE / 2).await;
    assert_eq!(bench.feed.counters().lists_malformed.get(), 3);
}

#[tokio::test]
async fn instances_are_asked_for_a_new_list_and_one_that_is_to_begin_when_it_does() {
    let bench = Bench::start(10);
    bench.runs().await;
    bench.feed.renew_lists();
    bench.until("it is asked", || (*bench.broker.0.renewals.lock() == 1).then_some(())).await;
    // At a broker with one session the next instance begins when this one has gone.
    let next = Fake(Arc::default());
    let serving = Serving {
        connector: Arc::new(next.clone()),
        limits: PoolLimits { symbols_per_connection: 10, connections: 1 },
        throttle: Duration::ZERO,
        sessions: 1,
        hours: tickhost_core::calendar::Hours::Always,
        logs_in: false,
    };
    bench.feed.serve(Ok(serving));
    bench.feed.renew_lists();
    bench.until("the next is asked", || (*next.0.renewals.lock() == 1).then_some(())).await;
}
