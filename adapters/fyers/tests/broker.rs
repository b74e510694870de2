//! The adapter against a broker on this machine that speaks like Fyers: what the conformance suite does not
//! ask.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "broker/harness.rs"]
mod harness;

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use adapter_conformance::{Edition, Name};
use adapter_fyers::Fyers;
use adapter_sdk::{
    Login, Mode,
    abi::{ErrorCode, OutcomeCode, PRICE_SCALE, Quote, StatusKind},
    testing::{Bench, Published, SOON, assert_two_names, log_in},
};
use serde_json::json;
use venues::fyers;

use self::harness::{APP, Broker, credentials, later, token, wait_for_book};

fn quote(tick: &Published) -> Option<&Quote> {
    match tick {
        Published::Quote(quote) | Published::Depth(quote, ..) => Some(quote),
        Published::Ltp(_) => None,
    }
}

fn fields(pairs: &[(&str, &str)]) -> String {
    serde_json::to_string(&pairs.iter().copied().collect::<BTreeMap<_, _>>()).unwrap()
}

#[test]
fn logging_in_asks_for_what_is_missing_and_gives_a_token_that_connects() {
    let broker = Broker::start();
    let keys =
        [("api_key", APP), ("api_secret", "canary-secret"), ("redirect_uri", "https://127.0.0.1/done?a=b")];
    let step = |pairs: &[(&str, &str)]| log_in::<Fyers>(&broker.config(&json!({})), &fields(pairs));
    let asked = |pairs: &[(&str, &str)]| match step(pairs).unwrap() {
        Login::Ask(question) => question,
        Login::Done(_) => panic!("logged in with {} fields", pairs.len()),
    };
    assert_eq!(asked(&[]).field, "api_key");
    let secret = asked(&keys[..1]);
    assert!(secret.field == "api_secret" && secret.is_secret);
    assert_eq!(asked(&keys[..2]).field, "redirect_uri");
    let question = asked(&keys);
    assert!(question.field == "auth_code" && question.is_secret);

    let with = |answer: &str| step(&[keys[0], keys[1], keys[2], ("auth_code", answer)]);
    let refused = with("eyJ.nonsense").unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AUTH);
    assert!(
        !refused.to_string().contains("canary") && !refused.to_string().contains("nonsense"),
        "{refused}"
    );

    let answer = redirected(&question.url.unwrap());
    assert!(answer.starts_with("https://127.0.0.1/done?a=b&"), "{answer}");
    let Login::Done(done) = with(&answer).unwrap() else { panic!("asked again") };
    let stored: BTreeMap<&str, &str> = done.iter().collect();
    assert_eq!((stored["api_key"], stored["api_secret"]), (APP, "canary-secret"));
    let json = serde_json::to_string(&stored).unwrap();
    let bench = Bench::start_with::<Fyers>(&broker.config(&json!({})), &json).unwrap();
    bench.wait_for_status(StatusKind::CONNECTED);
}

/// Where the log-in page leads to.
fn redirected(page: &str) -> String {
    let (host, path) = page.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    location.trim().to_owned()
}

#[test]
fn two_names_of_one_instrument_tick_each_under_its_own_number() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    assert_two_names(&bench, "NSE", ["SBIN", "SBIN-EQ"], || broker.venue.trade());
}

#[test]
fn a_token_that_cannot_work_is_refused_before_anything_is_dialled() {
    let broker = Broker::start();
    broker.connected(&json!({})).shut_down(SOON);
    let opened = broker.venue.report().opened;
    for (token, said) in [
        (fyers::token(APP, "canary-key", 1_000), "has ended"),
        ("canary.of.yesterday".to_owned(), "none of Fyers"),
    ] {
        let bench = broker.connect(&json!({}), &token);
        let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
        assert!(status.message.contains(said), "{}", status.message);
        assert!(!format!("{:?}", bench.heard()).contains("canary"));
    }
    assert_eq!(broker.venue.report().opened, opened);
}

#[test]
fn a_token_that_the_broker_refuses_ends_the_attempts_until_there_is_a_new_one() {
    let broker = Broker::start();
    let bench = broker.connect(&json!({}), &token("canary-of-yesterday"));
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("account login"), "{}", status.message);
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
    bench.change_credentials(&credentials(&token("canary-key")));
    bench.wait_for_status(StatusKind::CONNECTED);
}

#[test]
fn a_connection_ends_with_its_token_and_says_so() {
    let broker = Broker::start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let short = fyers::token(APP, "canary-key", i64::try_from(now).unwrap() + 3);
    let accepted = [("api_key", APP), ("access_token", &short)];
    broker.venue.accept(vec![accepted.map(|(name, value)| (name.to_owned(), value.to_owned())).into()]);
    let bench = broker.connect(&json!({}), &short);
    bench.wait_for_status(StatusKind::CONNECTED);
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("has ended"), "{}", status.message);
}

#[test]
fn a_fault_with_the_log_in_ends_the_connection_and_is_tried_again() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    broker.own(&json!({ "custom": { "code": -99, "text": "canary", "request": 1 } }));
    let status = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert!(status.message.contains("code -99"), "{}", status.message);
    bench.wait_for("another connection", |heard| {
        let connected = heard.statuses.iter().filter(|event| event.kind == StatusKind::CONNECTED);
        (connected.count() == 2).then_some(())
    });
}

#[test]
fn prices_books_and_indices_come_as_they_were_sent() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    let book = bench.subscribe(1, "NSE", "SBIN", Mode::Depth);
    assert_eq!((book.code, book.depth), (OutcomeCode::ACCEPTED, 5));
    let index = bench.subscribe(2, "NSE_INDEX", "NIFTY", Mode::Depth);
    assert_eq!((index.code, index.depth), (OutcomeCode::ACCEPTED, 0));
    assert!(bench.subscribe(3, "BSE_INDEX", "SENSEX", Mode::Ltp).code.is_taken());
    let unknown = bench.subscribe(4, "NSE", "NOSUCH", Mode::Ltp);
    assert_eq!(unknown.code, OutcomeCode::UNKNOWN_INSTRUMENT);
    for (instrument, levels) in [(1, 5), (2, 0)] {
        let (_, buy, sell) = wait_for_book(&bench, instrument, |(quote, ..)| quote.ltp > 0);
        assert_eq!((buy.len(), sell.len()), (levels, levels), "no level is invented");
    }
    bench.wait_for_ticks(3, 1);
    broker.book("SBIN", 777, 5);
    let (quote, buy, sell) = wait_for_book(&bench, 1, |(quote, ..)| quote.ltp == 777 * PRICE_SCALE);
    // New price and new book are one tick.
    assert_eq!((buy[0].price, sell[4].price), (776_950_000_000, 777_250_000_000));
    assert_eq!((buy[0].quantity, buy[0].orders, quote.exchange_ts_ns), (11, 2, 0));
}

#[test]
fn a_request_that_is_refused_as_a_whole_is_asked_for_in_parts() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({ "symbol_tokens": "list", "batch_interval_ms": 500 }));
    bench.subscribe(1, "NSE", "SBIN", Mode::Quote);
    bench.wait_for_ticks(1, 1);
    broker.own(&json!({ "refuse": "subscribe" }));
    // These wait for each other, and go in one message.
    for (number, symbol) in (2..).zip(["INFY", "MRF", "ITC", "TCS"]) {
        assert!(bench.subscribe(number, "NSE", symbol, Mode::Quote).code.is_taken());
    }
    for number in 2..=5 {
        bench.wait_for_ticks(number, 1);
    }
    assert_eq!(broker.venue.report().subscribes[1..], [2, 2], "halves of what was refused");
}

#[test]
fn the_plans_limit_is_told_to_those_who_are_beyond_it() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
    bench.wait_for_ticks(1, 1);
    broker.own(&json!({ "limit": 1 }));
    assert!(bench.subscribe(2, "NSE", "INFY", Mode::Quote).code.is_taken());
    assert_eq!(later(&bench, 2).code, OutcomeCode::CAPACITY);
    bench.forget();
    broker.venue.trade();
    bench.wait_for_ticks(1, 1);
}

#[test]
fn words_of_the_broker_are_not_repeated() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    broker.own(&json!({ "custom": { "code": 7, "text": "canary", "request": 0 } }));
    bench.wait_for("a line", |heard| {
        heard.logs.iter().any(|(_, line)| line.contains("finds fault")).then_some(())
    });
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
}

/// A server that gives one answer to everybody.
fn server(answer: &str) -> String {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    raw_server(format!("{head}{answer}"))
}

fn raw_server(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4_096];
            // What was asked does not matter.
            _ = stream.read(&mut request);
            _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}

#[test]
fn a_topic_that_stays_silent_is_refused() {
    let broker = Broker::start();
    let names = server(r#"{"BSE:SENSEX-INDEX":"Sensex as nobody calls it"}"#);
    let bench = broker.connected(&json!({ "index_map_url": names, "snapshot_seconds": 0.5 }));
    assert!(bench.subscribe(1, "NSE_INDEX", "NIFTY", Mode::Quote).code.is_taken());
    assert!(bench.subscribe(2, "BSE_INDEX", "SENSEX", Mode::Quote).code.is_taken());
    assert_eq!(later(&bench, 2).code, OutcomeCode::REFUSED);
    bench.wait_for_ticks(1, 1);
}

#[test]
fn the_list_serves_when_the_broker_does_not_say_numbers() {
    for answer in ["<html>", r#"{"s":"error","message":"canary"}"#, r#"{"s":"ok","validSymbol":{}}"#] {
        let broker = Broker::start();
        let bench = broker.connected(&json!({ "symbol_token_url": server(answer) }));
        assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
        bench.wait_for_ticks(1, 1);
        assert!(!format!("{:?}", bench.heard()).contains("canary"));
    }
}

#[test]
fn a_broker_that_wants_a_pause_keeps_nobody_waiting() {
    let broker = Broker::start();
    let busy = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 300\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let bench = broker.connected(&json!({ "symbol_token_url": raw_server(busy.to_owned()) }));
    for (number, symbol) in [(1, "SBIN"), (2, "MRF")] {
        assert!(bench.subscribe(number, "NSE", symbol, Mode::Quote).code.is_taken());
        bench.wait_for_ticks(number, 1);
    }
}

#[test]
fn what_broker_and_list_disagree_on_is_shown_to_nobody() {
    let broker = Broker::start();
    // A number of another segment, and a symbol that the broker does not know any more.
    let answer = json!({
        "s": "ok", "validSymbol": { "NSE:SBIN-EQ": "101126092968407" }, "invalidSymbol": ["NSE:MRF-EQ"],
    });
    let bench = broker.connected(&json!({ "symbol_token_url": server(&answer.to_string()) }));
    for (number, symbol, code) in
        [(1, "SBIN", OutcomeCode::REFUSED), (2, "MRF", OutcomeCode::UNKNOWN_INSTRUMENT)]
    {
        bench.subscribe(number, "NSE", symbol, Mode::Quote);
        assert_eq!(later(&bench, number).code, code, "{symbol}");
    }
}

/// What is known of a number is that of its instrument by the old list.
#[test]
fn numbers_that_mean_something_else_in_a_new_list_never_show_what_was_known_of_them() {
    let [ltp, quote, depth] = [Mode::Ltp, Mode::Quote, Mode::Depth];
    for (modes, word) in [
        ([quote, quote], "list"),
        ([ltp, depth], "list"),
        ([depth, depth], "list"),
        ([quote, depth], "broker"),
    ] {
        let broker = Broker::start();
        // Where the broker is asked for numbers there is a pause, and nothing is wanted meanwhile.
        let bench = broker.connected(&json!({ "symbol_tokens": word }));
        let both = [(1, "SBIN", 500..2_000), (2, "MRF", 50_000..300_000)];
        for ((number, symbol, _), mode) in both.iter().zip(modes) {
            assert!(bench.subscribe(*number, "NSE", symbol, mode).code.is_taken());
            bench.wait_for_ticks(*number, 1);
        }
        let swap =
            both.iter().map(|(_, symbol, _)| Name { exchange: "NSE".into(), symbol: (*symbol).into() });
        bench.forget();
        broker.venue.list(&Edition { swap: swap.collect(), ..Edition::default() }).unwrap();
        bench.renew_list();
        for (number, symbol, range) in both {
            for tick in bench.wait_for_ticks(number, 1) {
                let Some(ltp) = tick.ltp() else { continue };
                let rupees = ltp / PRICE_SCALE;
                assert!(range.contains(&rupees), "{symbol} shows {rupees} in {modes:?}");
            }
        }
    }
}

#[test]
fn numbers_that_mean_something_else_after_a_loss_never_show_a_strange_price() {
    let broker = Broker::start();
    let bench = broker.connected(&json!({}));
    for (number, symbol) in [(1, "SBIN"), (2, "MRF")] {
        assert!(bench.subscribe(number, "NSE", symbol, Mode::Quote).code.is_taken());
        bench.wait_for_ticks(number, 1);
    }
    broker.venue.reuse("NSE", "SBIN", "MRF").unwrap();
    bench.forget();
    // MRF costs a hundred times as much as SBIN.
    for (number, range) in [(1, 500..2_000), (2, 50_000..300_000)] {
        for tick in bench.wait_for_ticks(number, 1) {
            let Some(quote) = quote(&tick) else { continue };
            let rupees = quote.ltp / PRICE_SCALE;
            assert!(range.contains(&rupees), "instrument {number} shows {rupees}");
        }
    }
}
