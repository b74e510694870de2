//! The adapter against brokers on this machine: what the conformance suite does not ask.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use adapter_noren::Noren;
use adapter_sdk::{
    Login, Mode, Question,
    abi::{ErrorCode, OutcomeCode, PRICE_SCALE, Quote, StatusKind, field},
    testing::{Bench, Published, SOON, log_in_at},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use venues::{
    Broker as _, Options, Venue,
    noren::{self, AliceBlue, Brand, Definedge, Flattrade, Shoonya, TradeSmart, Zebu},
};

const KEYS: [(&str, &str); 4] = [
    ("user_id", "FA0001"),
    ("api_key", "testkey"),
    ("api_secret", "canary-secret"),
    ("totp_secret", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
];

struct Broker<B: Brand> {
    venue: Venue<noren::Noren<B>>,
    cache: TempDir,
    /// After the venue, which runs in it.
    _runtime: Runtime,
}

impl<B: Brand> Broker<B> {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let mut account = KEYS.to_vec();
        account.push((Self::token_name(), "canary-token"));
        let options = Options { rate_hz: 0.0, instruments: 500, ..Options::default() };
        let venue = runtime.block_on(Venue::start(options.accepting(&account))).unwrap();
        Self { venue, cache: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn token_name() -> &'static str {
        if B::RULES.name == "definedge" { "susertoken" } else { "access_token" }
    }

    fn config(&self) -> String {
        let mut config =
            json!({ "cache_dir": self.cache.path(), "batch_interval_ms": 10, "welcome_seconds": 0.5 });
        for (name, address) in noren::Noren::<B>::addresses(self.venue.address()) {
            config[name] = address.into();
        }
        config.to_string()
    }

    fn connect(&self, credentials: &str) -> Bench {
        Bench::start_at::<Noren>(B::RULES.name, &self.config(), credentials).unwrap()
    }

    fn connected(&self) -> Bench {
        let bench = self.connect(&fields(&[("user_id", "FA0001"), (Self::token_name(), "canary-token")]));
        bench.wait_for_status(StatusKind::CONNECTED);
        bench
    }

    fn step(&self, pairs: &[(&str, &str)]) -> Result<Login, adapter_sdk::AdapterError> {
        log_in_at::<Noren>(B::RULES.name, &self.config(), &fields(pairs))
    }

    fn asked(&self, pairs: &[(&str, &str)]) -> Question {
        match self.step(pairs).unwrap() {
            Login::Ask(question) => question,
            Login::Done(_) => panic!("logged in with {} fields", pairs.len()),
        }
    }
}

fn fields(pairs: &[(&str, &str)]) -> String {
    serde_json::to_string(&pairs.iter().copied().collect::<BTreeMap<_, _>>()).unwrap()
}

/// Where the log-in page leads to.
fn redirected(page: &str) -> String {
    let (host, path) = page.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    format!("http://{host}{}", location.trim())
}

/// Logs in with a person, and connects with what that gave.
fn a_person_logs_in<B: Brand>() {
    let broker = Broker::<B>::start();
    assert_eq!(broker.asked(&[]).field, "user_id");
    assert_eq!(broker.asked(&KEYS[..1]).field, "api_key");
    let secret = broker.asked(&KEYS[..2]);
    assert!(secret.field == "api_secret" && secret.is_secret);
    let question = broker.asked(&KEYS[..3]);
    let page = question.url.unwrap();
    assert!(question.field == "code" && page.contains("=testkey"), "{page}");
    let with = |answer: &str| {
        let mut pairs = KEYS[..3].to_vec();
        pairs.push(("code", answer));
        broker.step(&pairs)
    };
    for wrong in ["nonsense", "https://127.0.0.1/?status=error"] {
        let refused = with(wrong).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::AUTH);
        assert!(!refused.to_string().contains("canary"), "{refused}");
    }
    let Login::Done(done) = with(&redirected(&page)).unwrap() else { panic!("asked again") };
    let stored: BTreeMap<&str, &str> = done.iter().collect();
    assert_eq!(stored["user_id"], "FA0001");
    broker.connect(&serde_json::to_string(&stored).unwrap()).wait_for_status(StatusKind::CONNECTED);
}

#[test]
fn a_person_logs_in_at_every_broker_that_has_a_page() {
    a_person_logs_in::<Shoonya>();
    a_person_logs_in::<Flattrade>();
    a_person_logs_in::<Zebu>();
    a_person_logs_in::<TradeSmart>();
    a_person_logs_in::<AliceBlue>();
}

#[test]
fn definedge_needs_nobody_when_the_secret_of_its_passwords_is_stored() {
    let broker = Broker::<Definedge>::start();
    let question = broker.asked(&KEYS[..3]);
    assert!(question.field == "totp" && question.is_secret && question.url.is_none());
    let mut typed = KEYS[..3].to_vec();
    typed.push(("totp", "000000"));
    let refused = broker.step(&typed).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AUTH);
    assert!(!refused.to_string().contains("canary"), "{refused}");
    let Login::Done(done) = broker.step(&KEYS).unwrap() else { panic!("asked something") };
    let stored: BTreeMap<&str, &str> = done.iter().collect();
    assert_eq!(stored["user_id"], "FA0001");
    broker.connect(&serde_json::to_string(&stored).unwrap()).wait_for_status(StatusKind::CONNECTED);
}

#[test]
fn definedge_sends_a_password_to_whoever_asks_for_it_and_takes_it_with_its_ticket() {
    let broker = Broker::<Definedge>::start();
    let question = broker.asked(&KEYS[..3]);
    assert!(question.field == "totp" && question.message.contains("sms"), "{}", question.message);
    let mut pairs = KEYS[..3].to_vec();
    pairs.push(("totp", "SMS"));
    let question = broker.asked(&pairs);
    assert!(question.is_secret && question.url.is_none());
    let sent = broker.venue.answer(&question.field, None).unwrap();
    let with = |password: &str| {
        let mut pairs = pairs.clone();
        pairs.push((&question.field, password));
        broker.step(&pairs)
    };
    // A wrong one ends the ticket too.
    let refused = with("000000").unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AUTH);
    assert!(!refused.to_string().contains("canary"), "{refused}");
    assert_eq!(with(&sent).unwrap_err().code(), ErrorCode::AUTH);
    let question = broker.asked(&pairs);
    let sent = broker.venue.answer(&question.field, None).unwrap();
    pairs.push((&question.field, &sent));
    let Login::Done(done) = broker.step(&pairs).unwrap() else { panic!("asked again") };
    let stored: BTreeMap<&str, &str> = done.iter().collect();
    assert_eq!(stored.keys().copied().collect::<Vec<_>>(), ["susertoken", "user_id"]);
    broker.connect(&serde_json::to_string(&stored).unwrap()).wait_for_status(StatusKind::CONNECTED);
}

#[test]
fn orders_of_alice_blue_come_on_a_socket_of_their_own_once_for_an_account() {
    let broker = Broker::<AliceBlue>::start();
    let first = broker.connected();
    let told = |bench: &Bench, id: &str| {
        // What is said before the socket is open is lost.
        bench.wait_for("an order", |heard| {
            let has = heard.orders.iter().any(|order| order.contains(id));
            if !has {
                let order = json!({
                    "norenordno": id, "exch": "NSE", "tsym": "INFY-EQ", "qty": "75", "status": "COMPLETE", "pcode": "I",
                });
                broker.venue.order(&order);
            }
            has.then_some(())
        });
    };
    told(&first, "order-1");
    let order = first.heard().orders.into_iter().find(|order| order.contains("order-1")).unwrap();
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();
    assert_eq!((&order["symbol"], &order["product"]), (&"INFY".into(), &"MIS".into()));
    // Prices go on, and what the order socket says otherwise is nothing to them.
    assert!(first.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
    first.wait_for_ticks(1, 1);
    assert_eq!(broker.venue.report().opened, 1);
    first.shut_down(SOON);
    told(&broker.connected(), "order-2");
}

fn a_dead_token_is_tried_twice<B: Brand>() {
    let broker = Broker::<B>::start();
    let bench =
        broker.connect(&fields(&[("user_id", "FA0001"), (Broker::<B>::token_name(), "canary-of-yesterday")]));
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("account login"), "{}", status.message);
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
    assert_eq!(broker.venue.report().log_ins, [false, false], "{}", B::RULES.name);
}

#[test]
fn a_token_that_is_refused_is_tried_twice_and_shows_nowhere() {
    a_dead_token_is_tried_twice::<Shoonya>();
    a_dead_token_is_tried_twice::<Definedge>();
    a_dead_token_is_tried_twice::<AliceBlue>();
}

#[test]
fn a_broker_that_says_nothing_to_the_log_in_is_not_asked_for_ever() {
    let broker = Broker::<Shoonya>::start();
    broker.venue.own(&json!({ "silence": true })).unwrap();
    let bench = broker.connect(&fields(&[("user_id", "FA0001"), ("access_token", "canary-token")]));
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("said nothing to the log-in"), "{}", status.message);
    assert_eq!(broker.venue.report().opened, 2);
}

const fn quote(tick: &Published) -> Option<&Quote> {
    match tick {
        Published::Quote(quote) | Published::Depth(quote, ..) => Some(quote),
        Published::Ltp(_) => None,
    }
}

#[test]
fn what_is_known_is_said_to_whoever_joins_and_books_come_and_go() {
    let broker = Broker::<Shoonya>::start();
    let bench = broker.connected();
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    bench.wait_for_ticks(1, 1);
    // By another name, and without another word of the broker.
    assert!(bench.subscribe(2, "NSE", "SBIN-EQ", Mode::Quote).code.is_taken());
    let tick = bench.wait_for_ticks(2, 1).remove(0);
    let sent = broker.venue.sent("NSE", "SBIN", venues::Mode::Quote).unwrap();
    let scale = PRICE_SCALE / venues::PRICE_SCALE;
    let has = quote(&tick).unwrap();
    assert_eq!((has.ltp, has.bid_price), (sent.ltp * scale, sent.bids[0].price * scale));
    assert_ne!(has.fields & field::IMAGE, 0);
    assert_eq!(broker.venue.report().subscribes, [1]);

    let book = bench.subscribe(1, "NSE", "SBIN", Mode::Depth);
    assert_eq!((book.code, book.depth), (OutcomeCode::ACCEPTED, 5));
    let is_book = |tick: &Published| matches!(tick, Published::Depth(quote, buy, sell) if quote.instrument == 1 && buy.len() == 5 && sell.len() == 5);
    bench.wait_for("a book", |heard| heard.ticks.iter().any(is_book).then_some(()));
    // The one who wants less has what comes with the book.
    bench.forget();
    broker.venue.trade();
    bench.wait_for("a quote", |heard| {
        heard
            .ticks
            .iter()
            .any(|tick| matches!(tick, Published::Quote(quote) if quote.instrument == 2))
            .then_some(())
    });
    bench.unsubscribe(&[1]);
    bench.wait_for("one channel", |_| {
        let report = broker.venue.report();
        (report.subscribed.len() == 1 && report.subscribed[0].mode == "quote").then_some(())
    });
    let index = bench.subscribe(3, "NSE_INDEX", "NIFTY", Mode::Depth);
    assert_eq!((index.code, index.depth), (OutcomeCode::ACCEPTED, 0));
    bench.wait_for_ticks(3, 1);
}

#[test]
fn an_answer_for_another_instrument_is_shown_to_nobody_and_the_right_one_comes() {
    let broker = Broker::<Shoonya>::start();
    let bench = broker.connected();
    broker.venue.own(&json!({ "mistake": 1 })).unwrap();
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
    // Nothing is traded; the broker is asked once more.
    let tick = bench.wait_for_ticks(1, 1).remove(0);
    let sent = broker.venue.sent("NSE", "SBIN", venues::Mode::Quote).unwrap();
    assert_eq!(quote(&tick).unwrap().ltp, sent.ltp * (PRICE_SCALE / venues::PRICE_SCALE));
    assert_eq!(broker.venue.report().subscribes, [1, 1]);
}

#[test]
fn orders_come_under_the_names_of_clients_and_are_asked_for_where_they_must_be() {
    let broker = Broker::<Shoonya>::start();
    let bench = broker.connected();
    broker.venue.order(&json!({
        "norenordno": "1", "exch": "NFO", "tsym": "NIFTY24DEC30C24500", "qty": "75", "trantype": "B", "prctyp": "MKT", "prd": "M",
        "status": "COMPLETE", "fillshares": "75",
    }));
    let order = bench.wait_for("an order", |heard| heard.orders.first().cloned());
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();
    assert_eq!(
        (&order["symbol"], &order["order_status"]),
        (&"NIFTY24DEC3024500CE".into(), &"complete".into())
    );
    assert_eq!((&order["product"], &order["filled_quantity"]), (&"NRML".into(), &75.into()));
}

#[test]
fn tokens_that_mean_something_else_the_next_day_never_show_a_strange_price() {
    let broker = Broker::<Zebu>::start();
    broker.connected().shut_down(SOON);
    // Yesterday SBIN and MRF had each other's tokens.
    broker.venue.reuse("NSE", "SBIN", "MRF").unwrap();
    let folder = broker.cache.path().join("zebu");
    let two_days_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(48);
    for file in std::fs::read_dir(folder).unwrap() {
        let file = std::fs::File::options().write(true).open(file.unwrap().path()).unwrap();
        file.set_modified(two_days_ago).unwrap();
    }
    let bench = broker.connected();
    // MRF costs a hundred times as much as SBIN.
    for (number, symbol, range) in [(1, "SBIN", 500..2_000), (2, "MRF", 50_000..300_000)] {
        assert!(bench.subscribe(number, "NSE", symbol, Mode::Quote).code.is_taken());
        for tick in bench.wait_for_ticks(number, 1) {
            let Some(quote) = quote(&tick) else { continue };
            let rupees = quote.ltp / PRICE_SCALE;
            assert!(range.contains(&rupees), "{symbol} shows {rupees}");
        }
    }
}
