//! The adapter against a broker on this machine: what the conformance suite does not ask.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use adapter_sdk::{
    Login, Mode, Question,
    abi::{ErrorCode, OutcomeCode, PRICE_SCALE, Quote, StatusKind, field, greek},
    testing::{Bench, Heard, Outcome, Published, log_in},
};
use adapter_upstox::Upstox;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use venues::{
    Broker as _, Options,
    upstox::{self, Venue, message::GREEKS, name},
};

const KEYS: [(&str, &str); 4] = [
    ("user_id", "AB1234"),
    ("api_key", "testkey"),
    ("api_secret", "canary-secret"),
    ("redirect_uri", "http://127.0.0.1/logged-in"),
];

const OPTION: &str = "NIFTY24DEC3024500CE";

struct Broker {
    venue: Venue,
    cache: TempDir,
    /// After the venue, which runs in it.
    _runtime: Runtime,
}

impl Broker {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let mut account = KEYS.to_vec();
        account.push(("access_token", "canary-token"));
        let options = Options { rate_hz: 0.0, instruments: 500, ..Options::default() };
        let venue = runtime.block_on(Venue::start(options.accepting(&account))).unwrap();
        Self { venue, cache: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn config(&self, more: &serde_json::Value) -> String {
        let mut config = json!({
            "cache_dir": self.cache.path(), "batch_interval_ms": 10, "answer_seconds": 0.3,
        });
        for (name, address) in upstox::Upstox::addresses(self.venue.address()) {
            config[name] = address.into();
        }
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        config.to_string()
    }

    fn connect(&self, more: &serde_json::Value, credentials: &str) -> Bench {
        Bench::start_with::<Upstox>(&self.config(more), credentials).unwrap()
    }

    fn connected_with(&self, more: &serde_json::Value) -> Bench {
        let bench = self.connect(more, &fields(&[("user_id", "AB1234"), ("access_token", "canary-token")]));
        bench.wait_for_status(StatusKind::CONNECTED);
        bench
    }

    fn connected(&self) -> Bench {
        self.connected_with(&json!({}))
    }

    fn step(&self, pairs: &[(&str, &str)]) -> Result<Login, adapter_sdk::AdapterError> {
        log_in::<Upstox>(&self.config(&json!({})), &fields(pairs))
    }

    fn asked(&self, pairs: &[(&str, &str)]) -> Question {
        match self.step(pairs).unwrap() {
            Login::Ask(question) => question,
            Login::Done(_) => panic!("logged in with {} fields", pairs.len()),
        }
    }

    fn key(&self, exchange: &str, symbol: &str) -> String {
        name(&self.venue.instrument(exchange, symbol).unwrap()).unwrap()
    }
}

fn fields(pairs: &[(&str, &str)]) -> String {
    serde_json::to_string(&pairs.iter().copied().collect::<BTreeMap<_, _>>()).unwrap()
}

fn refusal(heard: &Heard, instrument: u32) -> Option<Outcome> {
    let of_it = |outcome: &&Outcome| outcome.instrument == instrument && !outcome.code.is_taken();
    heard.outcomes.iter().map(|(_, outcome)| outcome).find(of_it).cloned()
}

const fn quote(tick: &Published) -> Option<&Quote> {
    match tick {
        Published::Quote(quote) | Published::Depth(quote, ..) => Some(quote),
        Published::Ltp(_) => None,
    }
}

#[test]
fn a_person_logs_in_and_what_that_gives_connects() {
    let broker = Broker::start();
    assert_eq!(broker.asked(&[]).field, "api_key");
    assert_eq!(broker.asked(&KEYS[..1]).field, "api_key");
    let secret = broker.asked(&KEYS[..2]);
    assert!(secret.field == "api_secret" && secret.is_secret);
    assert_eq!(broker.asked(&KEYS[..3]).field, "redirect_uri");
    let question = broker.asked(&KEYS);
    let page = question.url.unwrap();
    assert!(question.field == "code" && page.contains("client_id=testkey"), "{page}");
    let with = |answer: &str| {
        let mut pairs = KEYS.to_vec();
        pairs.push(("code", answer));
        broker.step(&pairs)
    };
    for wrong in ["nonsense", "https://127.0.0.1/?error=access_denied"] {
        let refused = with(wrong).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::AUTH);
        assert!(!refused.to_string().contains("canary"), "{refused}");
    }
    let answer = broker.venue.answer("code", Some(&page)).unwrap();
    let Login::Done(done) = with(&answer).unwrap() else { panic!("asked again") };
    let stored: BTreeMap<&str, &str> = done.iter().collect();
    assert_eq!(stored["user_id"], "AB1234");
    // The code works once.
    assert_eq!(with(&answer).unwrap_err().code(), ErrorCode::AUTH);
    let bench = broker.connect(&json!({}), &serde_json::to_string(&stored).unwrap());
    bench.wait_for_status(StatusKind::CONNECTED);
}

#[test]
fn a_token_that_is_refused_is_tried_twice_and_shows_nowhere() {
    let broker = Broker::start();
    let bench = broker.connect(&json!({}), &fields(&[("access_token", "canary-of-yesterday")]));
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("account login"), "{}", status.message);
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
    assert_eq!(broker.venue.report().log_ins, [false, false]);
    assert_eq!(broker.venue.report().opened, 0, "no socket is opened for it");
}

#[test]
fn the_broker_is_asked_for_no_more_than_is_wanted_and_follows_up_and_down() {
    let broker = Broker::start();
    let bench = broker.connected();
    let subscribed = |mode: &str| {
        bench.wait_for(mode, |_| {
            let report = broker.venue.report();
            (report.subscribed.len() == 1 && report.subscribed[0].mode == mode).then_some(())
        });
    };
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    bench.wait_for_ticks(1, 1);
    subscribed("ltp");
    let book = bench.subscribe(1, "NSE", "SBIN", Mode::Depth);
    assert_eq!((book.code, book.depth), (OutcomeCode::ACCEPTED, 5));
    subscribed("depth");
    let is_book = |tick: &Published| matches!(tick, Published::Depth(_, buy, sell) if buy.len() == 5 && sell.len() == 5);
    bench.wait_for("a book", |heard| heard.ticks.iter().any(is_book).then_some(()));
    // By another name, and of what the broker says already.
    assert!(bench.subscribe(2, "NSE", "SBIN-EQ", Mode::Quote).code.is_taken());
    let tick = bench.wait_for_ticks(2, 1).remove(0);
    let sent = broker.venue.sent("NSE", "SBIN", venues::Mode::Full).unwrap();
    let scale = PRICE_SCALE / venues::PRICE_SCALE;
    let has = quote(&tick).unwrap();
    assert_eq!((has.ltp, has.bid_price), (sent.ltp * scale, sent.bids[0].price * scale));
    assert_eq!((has.volume, has.close), (sent.volume, sent.close * scale));
    assert_ne!(has.fields & field::IMAGE, 0);
    assert_eq!(has.fields & field::OI, 0, "a share has none");
    bench.unsubscribe(&[2]);
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    subscribed("ltp");
    let index = bench.subscribe(3, "NSE_INDEX", "NIFTY", Mode::Depth);
    assert_eq!((index.code, index.depth), (OutcomeCode::ACCEPTED, 0));
    let tick = bench.wait_for_ticks(3, 1).remove(0);
    let sent = broker.venue.sent("NSE_INDEX", "NIFTY", venues::Mode::Full).unwrap();
    let has = quote(&tick).unwrap();
    assert_eq!((has.open, has.fields & field::VOLUME), (sent.open * scale, 0));
}

#[test]
fn who_has_the_plan_gets_books_of_thirty_levels_and_no_more_of_them_than_it_has() {
    let broker = Broker::start();
    let bench = broker.connected_with(&json!({ "depth_30": true }));
    let book = bench.subscribe_depth(1, "NSE", "SBIN", Mode::Depth, 50);
    assert_eq!((book.code, book.depth), (OutcomeCode::ACCEPTED, 30));
    let is_deep = |tick: &Published| matches!(tick, Published::Depth(_, buy, sell) if buy.len() == 30 && sell.len() == 30);
    bench.wait_for("a book of thirty levels", |heard| heard.ticks.iter().any(is_deep).then_some(()));
    let usual = bench.subscribe_depth(2, "NSE", "INFY", Mode::Depth, 5);
    assert_eq!(usual.depth, 5);
    for (number, one) in (3..).zip(broker.venue.some("NFO", 49)) {
        assert_eq!(bench.subscribe_depth(number, one.exchange, &one.symbol, Mode::Depth, 20).depth, 20);
    }
    assert_eq!(bench.subscribe_depth(100, "NSE", "TCS", Mode::Depth, 20).depth, 5, "there is no fifty-first");
    bench.unsubscribe(&[1]);
    assert_eq!(bench.subscribe_depth(100, "NSE", "TCS", Mode::Depth, 20).depth, 20, "its place is free");
}

#[test]
fn greeks_come_with_the_quotes_of_options_and_of_nothing_else() {
    let broker = Broker::start();
    for (config, mode) in [(json!({}), venues::Mode::Full), (json!({ "option_greeks": true }), GREEKS)] {
        let bench = broker.connected_with(&config);
        assert!(bench.subscribe(1, "NFO", OPTION, Mode::Quote).code.is_taken());
        assert!(bench.subscribe(2, "NSE", "SBIN", Mode::Quote).code.is_taken());
        assert!(bench.subscribe(3, "NFO", "NIFTY24DEC30FUT", Mode::Quote).code.is_taken());
        (1..=3).for_each(|number| _ = bench.wait_for_ticks(number, 1));
        let told = bench.wait_for("greeks", |heard| heard.greeks.first().map(|(_, greeks)| *greeks));
        let option = broker.venue.instrument("NFO", OPTION).unwrap();
        let sent = broker.venue.sent("NFO", OPTION, mode).unwrap();
        let (greeks, iv) = upstox::message::greeks(&option, sent.ltp).unwrap();
        let nanos = |value: f64| adapter_sdk::Price::from_f64(value).unwrap().as_nanos();
        assert_eq!(told.fields & greek::IN_GREEKS, greek::IN_GREEKS);
        assert_eq!(
            [told.delta, told.theta, told.gamma, told.vega, told.rho, told.implied_volatility],
            [greeks.delta, greeks.theta, greeks.gamma, greeks.vega, greeks.rho, iv * 100.0].map(nanos)
        );
        let heard = bench.heard();
        assert!(heard.greeks.iter().all(|(_, greeks)| greeks.instrument == 1));
        let quotes: Vec<&Quote> = heard.ticks.iter().filter_map(quote).collect();
        let of_option = quotes.iter().find(|quote| quote.instrument == 1).unwrap();
        assert_eq!(of_option.oi, sent.oi);
        assert_eq!(of_option.fields & field::OPEN == 0, mode == GREEKS, "that mode has no day");
        let of_future = quotes.iter().find(|quote| quote.instrument == 3).unwrap();
        assert_ne!(of_future.fields & field::OPEN, 0);
        bench.shut_down(adapter_sdk::testing::SOON);
    }
}

#[test]
fn one_instrument_that_the_broker_does_not_serve_costs_no_other() {
    let broker = Broker::start();
    let bench = broker.connected();
    broker.venue.own(&json!({ "unserved": broker.key("NSE", "INFY") })).unwrap();
    for (number, symbol) in (1..).zip(["SBIN", "INFY", "TCS", "RELIANCE"]) {
        bench.subscribe(number, "NSE", symbol, Mode::Ltp);
    }
    [1, 3, 4].iter().for_each(|number| _ = bench.wait_for_ticks(*number, 1));
    let refused = bench.wait_for("a refusal", |heard| refusal(heard, 2));
    assert_eq!(refused.code, OutcomeCode::REFUSED);
}

#[test]
fn what_is_beyond_the_brokers_limits_is_refused_for_that() {
    let broker = Broker::start();
    let bench = broker.connected();
    broker.venue.own(&json!({ "limit": 2 })).unwrap();
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    assert!(bench.subscribe(2, "NSE", "TCS", Mode::Ltp).code.is_taken());
    [1, 2].iter().for_each(|number| _ = bench.wait_for_ticks(*number, 1));
    bench.subscribe(3, "NSE", "INFY", Mode::Ltp);
    let refused = bench.wait_for("a refusal", |heard| refusal(heard, 3));
    assert_eq!(refused.code, OutcomeCode::CAPACITY);
    bench.forget();
    broker.venue.trade();
    [1, 2].iter().for_each(|number| _ = bench.wait_for_ticks(*number, 1));
}

#[test]
fn orders_come_on_their_own_socket_under_the_names_of_clients() {
    let broker = Broker::start();
    let bench = broker.connected();
    let order = bench.wait_for("an order", |heard| {
        // What is said before the socket is open is lost.
        broker.venue.order(&json!({
            "order_id": "1", "exchange": "NFO", "instrument_token": broker.key("NFO", OPTION), "trading_symbol": "X",
            "quantity": 75, "transaction_type": "BUY", "order_type": "MARKET", "product": "D", "status": "complete",
            "filled_quantity": 75, "average_price": 101.5,
        }));
        heard.orders.first().cloned()
    });
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();
    assert_eq!((&order["symbol"], &order["order_status"]), (&OPTION.into(), &"complete".into()));
    assert_eq!((&order["product"], &order["filled_quantity"]), (&"NRML".into(), &75.into()));
    assert_eq!(broker.venue.report().opened, 1);
}

#[test]
fn a_segment_whose_day_begins_shows_nothing_of_the_day_before() {
    use prost::Message as _;
    use venues::upstox::proto::{Feed, FeedResponse, FeedUnion, FullFeed, FullFeedUnion, MarketFullFeed};
    let broker = Broker::start();
    let bench = broker.connected();
    assert!(bench.subscribe(1, "NFO", "NIFTY24DEC30FUT", Mode::Quote).code.is_taken());
    let first = bench.wait_for_ticks(1, 1).remove(0);
    assert_ne!(quote(&first).unwrap().fields & field::OPEN, 0);
    // A message that has none of the parts that are kept.
    let market = MarketFullFeed { vtt: 7, ..MarketFullFeed::default() };
    let union = FeedUnion::FullFeed(FullFeed { full_feed_union: Some(FullFeedUnion::Market(market)) });
    let feed = Feed { feed_union: Some(union), request_mode: 1 };
    let feeds = [(broker.key("NFO", "NIFTY24DEC30FUT"), feed)].into();
    let bare = FeedResponse { kind: 1, feeds, ..FeedResponse::default() }.encode_to_vec();
    let next = || {
        bench.forget();
        broker.venue.binary(&bare);
        *quote(&bench.wait_for_ticks(1, 1)[0]).unwrap()
    };
    let kept = next();
    assert_ne!((kept.fields & field::OPEN, kept.fields & field::LTP), (0, 0));
    broker.venue.own(&json!({ "status": { "NSE_EQ": 0, "NSE_FO": 5, "NEW_SEGMENT": 99 } })).unwrap();
    assert_ne!(next().fields & field::OPEN, 0, "another segment's day has begun");
    broker.venue.own(&json!({ "status": { "NSE_FO": 0 } })).unwrap();
    let begun = next();
    assert_eq!((begun.fields & field::OPEN, begun.fields & field::LTP, begun.volume), (0, 0, 7));
}
