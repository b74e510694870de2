//! The adapter against brokers on this machine: what the conformance suite does not ask.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use adapter_sdk::{
    Login, Mode,
    abi::{ErrorCode, OutcomeCode, PRICE_SCALE, Quote, StatusKind, field},
    testing::{Bench, Published, SOON, log_in_at},
};
use adapter_xts::Xts;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use venues::{
    Broker as _, Options, Refusal, Venue,
    xts::{self, Brand, CompositEdge, FivePaisa, Iifl, Indiabulls, Jainam, RMoney, Wisdom},
};

const KEYS: [(&str, &str); 2] = [("app_key", "testkey"), ("secret_key", "canary-secret")];

const TOKEN: [(&str, &str); 2] = [("user_id", "XTS001"), ("access_token", "canary-token")];

const ORDERS: [(&str, &str); 2] =
    [("interactive_app_key", "testorders"), ("interactive_secret_key", "canary-secret-of-orders")];

struct Broker<B: Brand> {
    venue: Venue<xts::Xts<B>>,
    cache: TempDir,
    /// After the venue, which runs in it.
    _runtime: Runtime,
}

impl<B: Brand> Broker<B> {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let account = [KEYS, TOKEN, ORDERS].concat();
        let options = Options { rate_hz: 0.0, instruments: 500, ..Options::default() };
        let venue = runtime.block_on(Venue::start(options.accepting(&account))).unwrap();
        Self { venue, cache: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn config(&self) -> String {
        let mut config =
            json!({ "cache_dir": self.cache.path(), "request_interval_ms": 1, "welcome_seconds": 2 });
        for (name, address) in xts::Xts::<B>::addresses(self.venue.address()) {
            config[name] = address.into();
        }
        config.to_string()
    }

    fn connect(&self, credentials: &[(&str, &str)]) -> Bench {
        Bench::start_at::<Xts>(B::RULES.name, &self.config(), &fields(credentials)).unwrap()
    }

    fn connected(&self) -> Bench {
        let bench = self.connect(&TOKEN);
        bench.wait_for_status(StatusKind::CONNECTED);
        bench
    }

    fn step(&self, pairs: &[(&str, &str)]) -> Result<Login, adapter_sdk::AdapterError> {
        log_in_at::<Xts>(B::RULES.name, &self.config(), &fields(pairs))
    }
}

fn fields(pairs: &[(&str, &str)]) -> String {
    serde_json::to_string(&pairs.iter().copied().collect::<BTreeMap<_, _>>()).unwrap()
}

const fn quote(tick: &Published) -> Option<&Quote> {
    match tick {
        Published::Quote(quote) | Published::Depth(quote, ..) => Some(quote),
        Published::Ltp(_) => None,
    }
}

/// Nobody is asked anything, and what that gave connects; the token of before has ended.
fn keys_log_in<B: Brand>() {
    let broker = Broker::<B>::start();
    let Login::Ask(question) = broker.step(&KEYS[..1]).unwrap() else { panic!("logged in without a secret") };
    assert!(question.field == "secret_key" && question.is_secret);
    let refused = broker.step(&[KEYS[0], ("secret_key", "wrong")]).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AUTH);
    assert!(!refused.to_string().contains("canary"), "{refused}");
    let tokens = [(); 2].map(|()| {
        let Login::Done(done) = broker.step(&KEYS).unwrap() else { panic!("asked something") };
        done.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
    });
    let pairs = |fields: &'_ [(String, String)]| -> Vec<(String, String)> { fields.to_vec() };
    let connect = |fields: &[(String, String)]| {
        let fields = pairs(fields);
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        broker.connect(&fields)
    };
    connect(&tokens[1]).wait_for_status(StatusKind::CONNECTED);
    connect(&tokens[0]).wait_for_status(StatusKind::AUTH_FAILED);
}

#[test]
fn keys_log_in_without_a_person_and_end_the_token_of_before() {
    keys_log_in::<Iifl>();
    keys_log_in::<Jainam>();
}

fn a_dead_token_is_tried_twice<B: Brand>() {
    let broker = Broker::<B>::start();
    let bench = broker.connect(&[TOKEN[0], ("access_token", "canary-of-yesterday")]);
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("account login"), "{}", status.message);
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
    assert_eq!(broker.venue.report().log_ins, [false, false], "{}", B::RULES.name);
    // With the list on disk as well.
    broker.connected().shut_down(SOON);
    let before = broker.venue.report().log_ins.len();
    let bench = broker.connect(&[TOKEN[0], ("access_token", "canary-of-yesterday")]);
    bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert_eq!(broker.venue.report().log_ins.len(), before + 2, "{}", B::RULES.name);
}

#[test]
fn a_token_that_is_refused_is_tried_twice_and_shows_nowhere() {
    a_dead_token_is_tried_twice::<Indiabulls>();
    a_dead_token_is_tried_twice::<Jainam>();
}

#[test]
fn a_token_that_ends_while_the_connection_is_up_asks_for_a_log_in() {
    let broker = Broker::<Iifl>::start();
    let bench = broker.connected();
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
    bench.wait_for_ticks(1, 1);
    broker.venue.expire();
    assert!(bench.subscribe(2, "NSE", "INFY", Mode::Quote).code.is_taken());
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("account login"), "{}", status.message);
    // A log-in, and everything is subscribed again.
    let Login::Done(done) = broker.step(&KEYS).unwrap() else { panic!("asked something") };
    let fields: Vec<(&str, &str)> = done.iter().collect();
    bench.forget();
    bench.change_credentials(&self::fields(&fields));
    bench.wait_for_ticks(1, 1);
    bench.wait_for_ticks(2, 1);
}

fn the_other_version_of_engine_io_is_spoken<B: Brand>(own: Option<serde_json::Value>, opened: u64) {
    let broker = Broker::<B>::start();
    if let Some(own) = own {
        broker.venue.own(&own).unwrap();
    }
    let bench = broker.connected();
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Depth).code.is_taken());
    bench.wait_for_ticks(1, 1);
    assert_eq!(broker.venue.report().opened, opened, "{}", B::RULES.name);
    // It is remembered: nothing is tried in vain again.
    bench.forget();
    broker.venue.disconnect();
    bench.wait_for_ticks(1, 1);
    assert_eq!(broker.venue.report().opened, opened + 1, "{}", B::RULES.name);
}

#[test]
fn both_versions_of_engine_io_are_spoken_and_the_right_one_is_found() {
    the_other_version_of_engine_io_is_spoken::<Iifl>(None, 1);
    // Refused by its status.
    the_other_version_of_engine_io_is_spoken::<CompositEdge>(None, 1);
    // Known by how the server begins.
    let own = json!({ "takes_four_for_three": true });
    the_other_version_of_engine_io_is_spoken::<Jainam>(Some(own), 2);
}

#[test]
fn what_is_known_is_said_to_whoever_joins_and_modes_change_without_a_gap() {
    let broker = Broker::<FivePaisa>::start();
    let bench = broker.connected();
    assert!(bench.subscribe(1, "NFO", "NIFTY24DEC30FUT", Mode::Quote).code.is_taken());
    bench.wait_for_ticks(1, 1);
    assert!(bench.subscribe(2, "NFO", "NIFTY24DEC30FUT", Mode::Ltp).code.is_taken());
    bench.wait_for_ticks(2, 1);
    assert_eq!(broker.venue.report().subscribes, [1]);
    let book = bench.subscribe(1, "NFO", "NIFTY24DEC30FUT", Mode::Depth);
    assert_eq!((book.code, book.depth), (OutcomeCode::ACCEPTED, 5));
    let is_book = |tick: &Published| matches!(tick, Published::Depth(quote, buy, sell) if quote.instrument == 1 && buy.len() == 5 && sell.len() == 5);
    bench.wait_for("a book", |heard| heard.ticks.iter().any(is_book).then_some(()));
    bench.wait_for("one mode", |_| {
        let report = broker.venue.report();
        (report.subscribed.len() == 1 && report.subscribed[0].mode == "depth").then_some(())
    });
    // Open interest has a message of its own, and stays beside what follows.
    bench.forget();
    broker.venue.trade();
    let has_all = |tick: &Published| {
        quote(tick).is_some_and(|quote| {
            quote.instrument == 1 && quote.fields & field::OI != 0 && quote.fields & field::LTP != 0
        })
    };
    broker.venue.trade();
    bench.wait_for("all values", |heard| heard.ticks.iter().any(has_all).then_some(()));
    bench.unsubscribe(&[1]);
    bench.wait_for("one code", |_| {
        let report = broker.venue.report();
        (report.subscribed.len() == 1 && report.subscribed[0].mode == "ltp").then_some(())
    });
    let index = bench.subscribe(3, "NSE_INDEX", "NIFTY", Mode::Depth);
    assert_eq!((index.code, index.depth), (OutcomeCode::ACCEPTED, 0));
    let tick = bench.wait_for_ticks(3, 1).remove(0);
    let sent = broker.venue.sent("NSE_INDEX", "NIFTY", venues::Mode::Quote).unwrap();
    let scale = PRICE_SCALE / venues::PRICE_SCALE;
    let has = quote(&tick).unwrap();
    assert_eq!((has.ltp, has.close), (sent.ltp * scale, sent.close * scale));
}

/// Both requests come to nothing else, and the instrument is served with what is known.
#[test]
fn what_was_subscribed_already_is_subscribed() {
    for times in [1, 2] {
        let broker = Broker::<Wisdom>::start();
        let bench = broker.connected();
        broker.venue.own(&json!({ "already": times })).unwrap();
        assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
        let tick = bench.wait_for_ticks(1, 1).remove(0);
        let sent = broker.venue.sent("NSE", "SBIN", venues::Mode::Quote).unwrap();
        assert_eq!(quote(&tick).unwrap().ltp, sent.ltp * (PRICE_SCALE / venues::PRICE_SCALE));
    }
}

#[test]
fn one_that_is_refused_costs_no_other_and_trouble_is_tried_again() {
    let broker = Broker::<RMoney>::start();
    let bench = broker.connected();
    for (number, symbol) in [(1, "SBIN"), (2, "INFY")] {
        assert!(bench.subscribe(number, "NSE", symbol, Mode::Quote).code.is_taken());
        bench.wait_for_ticks(number, 1);
    }
    bench.forget();
    // The batch in which they are subscribed again, and the half of it that is at fault.
    broker.venue.own(&json!({ "rejects": 2 })).unwrap();
    broker.venue.disconnect();
    bench.wait_for("a refusal", |heard| {
        heard.outcomes.iter().any(|(_, outcome)| !outcome.code.is_taken()).then_some(())
    });
    bench.wait_for("the other", |heard| {
        heard.ticks.iter().any(|tick| quote(tick).is_some_and(|quote| quote.instrument == 2)).then_some(())
    });
    broker.venue.refuse(Refusal { status: 503, times: 1, is_rest: true });
    assert!(bench.subscribe(3, "NSE", "TCS", Mode::Quote).code.is_taken());
    bench.wait_for_ticks(3, 1);
}

#[test]
fn orders_come_on_a_socket_of_their_own_where_the_account_has_keys_for_it() {
    let broker = Broker::<CompositEdge>::start();
    let first = broker.connect(&[TOKEN, ORDERS].concat());
    first.wait_for_status(StatusKind::CONNECTED);
    first.wait_for("an order", |heard| {
        let has = heard.orders.iter().any(|order| order.contains("1110040096"));
        if !has {
            // What is said before the socket is open is lost.
            broker.venue.order(&json!({
                "AppOrderID": 1_110_040_096, "ExchangeSegment": "NSECM", "ExchangeInstrumentID": 1594, "OrderSide": "BUY",
                "OrderType": "StopLimit", "OrderStatus": "Filled", "OrderQuantity": 75, "ProductType": "MIS",
            }));
        }
        has.then_some(())
    });
    let order = first.heard().orders.first().cloned().unwrap();
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();
    assert_eq!(
        [&order["exchange"], &order["symbol"], &order["pricetype"], &order["order_status"]],
        ["NSE", "INFY", "SL", "complete"]
    );
    // Prices go on.
    assert!(first.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
    first.wait_for_ticks(1, 1);
    assert_eq!(broker.venue.report().opened, 1);
}
