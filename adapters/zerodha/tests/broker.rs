//! The adapter against a broker on this machine that speaks Kite: what the conformance suite does not ask.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use adapter_sdk::{
    Login, Mode,
    abi::{ErrorCode, OutcomeCode, Quote, StatusKind},
    testing::{Bench, Published, assert_two_names, log_in},
};
use adapter_zerodha::Zerodha;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use venues::{Options, zerodha::Venue};

const KEYS: [(&str, &str); 3] =
    [("api_key", "testkey"), ("api_secret", "canary-secret"), ("access_token", "canary-token")];

struct Broker {
    venue: Venue,
    cache: TempDir,
    /// After the venue, which runs in it.
    _runtime: Runtime,
}

impl Broker {
    fn start() -> Self {
        Self::with(1_000)
    }

    fn with(instruments: usize) -> Self {
        let runtime = Runtime::new().unwrap();
        let options = Options { rate_hz: 0.0, instruments, ..Options::default() };
        let venue = runtime.block_on(Venue::start(options.accepting(&KEYS))).unwrap();
        Self { venue, cache: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn config(&self) -> String {
        let address = self.venue.address();
        serde_json::json!({
            "ws_url": format!("ws://{address}"),
            "api_url": format!("http://{address}"),
            "login_url": format!("http://{address}/connect/login"),
            "cache_dir": self.cache.path(),
            "batch_interval_ms": 10,
        })
        .to_string()
    }

    fn connect(&self, credentials: &str) -> Bench {
        Bench::start_with::<Zerodha>(&self.config(), credentials).unwrap()
    }

    fn connected(&self) -> Bench {
        let bench = self.connect(r#"{"access_token":"testkey:canary-token"}"#);
        bench.wait_for_status(StatusKind::CONNECTED);
        bench
    }

    /// The last price that was sent of an instrument, as the host has it.
    fn sent_ltp(&self, exchange: &str, symbol: &str) -> Option<i64> {
        let values = self.venue.sent(exchange, symbol, venues::Mode::Full)?;
        Some(values.ltp * (adapter_sdk::abi::PRICE_SCALE / venues::PRICE_SCALE))
    }
}

const fn quote(tick: &Published) -> Option<&Quote> {
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
    let step = |pairs: &[(&str, &str)]| log_in::<Zerodha>(&broker.config(), &fields(pairs));
    let asked = |pairs: &[(&str, &str)]| match step(pairs).unwrap() {
        Login::Ask(question) => question,
        Login::Done(_) => panic!("logged in with {} fields", pairs.len()),
    };
    assert_eq!(asked(&[]).field, "api_key");
    let secret = asked(&KEYS[..1]);
    assert!(secret.field == "api_secret" && secret.is_secret);
    let question = asked(&KEYS[..2]);
    assert_eq!(question.field, "request_token");
    let page = question.url.unwrap();
    assert!(page.ends_with("/connect/login?v=3&api_key=testkey"), "{page}");

    let refused = step(&[KEYS[0], KEYS[1], ("request_token", "nonsense")]).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AUTH);
    assert!(!refused.to_string().contains("canary"), "{refused}");

    let answer = redirected(&page);
    let Login::Done(done) = step(&[KEYS[0], KEYS[1], ("request_token", &answer)]).unwrap() else {
        panic!("asked again")
    };
    let stored: BTreeMap<&str, &str> = done.iter().collect();
    assert_eq!((stored["api_key"], stored["api_secret"]), ("testkey", "canary-secret"));
    let bench = broker.connect(&serde_json::to_string(&stored).unwrap());
    bench.wait_for_status(StatusKind::CONNECTED);
}

/// Where the log-in page leads to.
fn redirected(page: &str) -> String {
    use std::io::{Read as _, Write as _};
    let (host, path) = page.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    format!("http://{host}{}", location.trim())
}

#[test]
fn a_token_that_is_refused_ends_the_attempts_and_shows_nowhere() {
    let broker = Broker::start();
    broker.connected().shut_down(adapter_sdk::testing::SOON);
    let bench = broker.connect(r#"{"api_key":"testkey","access_token":"canary-of-yesterday"}"#);
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("account login"), "{}", status.message);
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
}

#[test]
fn books_quotes_and_indices_come_as_they_were_sent() {
    let broker = Broker::start();
    let bench = broker.connected();
    let book = bench.subscribe(1, "NSE", "SBIN", Mode::Depth);
    assert_eq!((book.code, book.depth), (OutcomeCode::ACCEPTED, 5));
    let index = bench.subscribe(2, "NSE_INDEX", "NIFTY", Mode::Depth);
    assert_eq!((index.code, index.depth), (OutcomeCode::ACCEPTED, 0));
    let unknown = bench.subscribe(3, "NSE", "NOSUCH", Mode::Ltp);
    assert_eq!(unknown.code, OutcomeCode::UNKNOWN_INSTRUMENT);
    // The broker begins each in mode quote, whose snapshot may come before the book.
    bench.wait_for("a book", |heard| {
        heard.ticks.iter().find_map(|tick| match tick {
            Published::Depth(quote, buy, sell) if quote.instrument == 1 => {
                assert_eq!((buy.len(), sell.len()), (5, 5));
                assert_eq!(Some(quote.ltp), broker.sent_ltp("NSE", "SBIN"));
                Some(())
            }
            _ => None,
        })
    });
    bench.wait_for("an index", |heard| {
        heard.ticks.iter().find_map(|tick| match tick {
            Published::Depth(quote, buy, sell) if quote.instrument == 2 => {
                assert!(buy.is_empty() && sell.is_empty());
                Some(())
            }
            _ => None,
        })
    });
}

#[test]
fn two_names_of_one_instrument_tick_each_under_its_own_number() {
    let broker = Broker::start();
    let bench = broker.connected();
    assert_two_names(&bench, "NSE", ["SBIN", "SBIN-EQ"], || broker.venue.trade());
}

#[test]
fn orders_come_under_the_names_of_clients() {
    let broker = Broker::start();
    let bench = broker.connected();
    let token = broker.venue.key("NSE_INDEX", "NIFTY").unwrap();
    broker.venue.order(&serde_json::json!({
        "order_id": "1", "status": "COMPLETE", "exchange": "NSE", "tradingsymbol": "NIFTY 50",
        "instrument_token": token, "order_type": "MARKET", "transaction_type": "BUY", "product": "CNC", "quantity": 1,
        "filled_quantity": 1,
    }));
    let order = bench.wait_for("an order", |heard| heard.orders.first().cloned());
    let order: serde_json::Value = serde_json::from_str(&order).unwrap();
    assert_eq!((&order["symbol"], &order["exchange"]), (&"NIFTY".into(), &"NSE_INDEX".into()));
    assert_eq!((&order["order_status"], &order["filled_quantity"]), (&"complete".into(), &1.into()));
}

#[test]
fn tokens_that_mean_something_else_after_a_loss_never_show_a_strange_price() {
    let broker = Broker::start();
    let bench = broker.connected();
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
            let rupees = quote.ltp / adapter_sdk::abi::PRICE_SCALE;
            assert!(range.contains(&rupees), "instrument {number} shows {rupees}");
        }
    }
}

#[test]
fn what_is_one_too_many_for_the_broker_is_refused_and_the_rest_goes_on() {
    let broker = Broker::with(10_000);
    let bench = broker.connected();
    for number in 1..=3_000 {
        let (exchange, stock) = if number <= 2_000 { ("NSE", number) } else { ("BSE", number - 2_000) };
        let outcome = bench.subscribe(number, exchange, &format!("STOCK{stock}"), Mode::Ltp);
        assert_eq!(outcome.code, OutcomeCode::ACCEPTED, "{number}");
    }
    bench.wait_for_ticks(3_000, 1);
    assert!(bench.subscribe(3_001, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    let refused = bench.wait_for("a refusal", |heard| {
        heard.outcomes.iter().find(|(request, _)| *request == 0).map(|(_, outcome)| outcome.clone())
    });
    assert_eq!((refused.instrument, refused.code), (3_001, OutcomeCode::CAPACITY));
    bench.forget();
    broker.venue.trade();
    bench.wait_for_ticks(1, 1);
    bench.wait_for_ticks(3_000, 1);
    let refused = bench.heard().outcomes.iter().filter(|(_, outcome)| !outcome.code.is_taken()).count();
    assert_eq!(refused, 0);
}

#[test]
fn a_list_of_yesterday_serves_nobody_before_that_of_today_is_there() {
    let broker = Broker::start();
    broker.connected().shut_down(adapter_sdk::testing::SOON);
    // Yesterday SBIN and MRF had each other's tokens, and ITC was not listed.
    let folder = broker.cache.path().join("zerodha");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let path = files.into_iter().find(|path| path.extension().is_none()).unwrap();
    let token = |symbol| broker.venue.key("NSE", symbol).unwrap().to_string();
    let rows = std::fs::read_to_string(&path).unwrap();
    let rows = rows.lines().filter(|row| !row.starts_with(&format!("{},", token("ITC"))));
    let rows = rows.map(|row| match row.split_once(',').unwrap() {
        (known, rest) if known == token("SBIN") => format!("{},{rest}\n", token("MRF")),
        (known, rest) if known == token("MRF") => format!("{},{rest}\n", token("SBIN")),
        _ => format!("{row}\n"),
    });
    std::fs::write(&path, rows.collect::<String>()).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    let days = std::time::Duration::from_hours(72);
    file.set_modified(std::time::SystemTime::now() - days).unwrap();

    let bench = broker.connect(r#"{"access_token":"testkey:canary-token"}"#);
    // Accepted before it is known, and refused when it is.
    let first = bench.subscribe(4, "NSE", "NOSUCH", Mode::Quote);
    if first.code.is_taken() {
        let refused = bench.wait_for("a refusal", |heard| {
            let mut late = heard.outcomes.iter().filter(|(request, _)| *request == 0);
            late.find(|(_, outcome)| outcome.instrument == 4).map(|(_, outcome)| outcome.code)
        });
        assert_eq!(refused, OutcomeCode::UNKNOWN_INSTRUMENT);
    }
    for (number, symbol, range) in
        [(1, "SBIN", 500..2_000), (2, "MRF", 50_000..300_000), (3, "ITC", 300..900)]
    {
        assert!(bench.subscribe(number, "NSE", symbol, Mode::Quote).code.is_taken());
        for tick in bench.wait_for_ticks(number, 1) {
            let Some(quote) = quote(&tick) else { continue };
            let rupees = quote.ltp / adapter_sdk::abi::PRICE_SCALE;
            assert!(range.contains(&rupees), "{symbol} shows {rupees}");
        }
    }
}

#[test]
fn without_the_list_of_today_nobody_is_served_by_that_of_yesterday_unless_the_operator_says_so() {
    let broker = Broker::start();
    let rows = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
                instrument_type,segment,exchange\n";
    let token = broker.venue.key("NSE", "MRF").unwrap();
    let list = format!("{rows}{token},1,SBIN,STATE BANK OF INDIA,0,,0,0.05,1,EQ,NSE,NSE\n");
    let mut config: serde_json::Value = serde_json::from_str(&broker.config()).unwrap();
    let url = format!("{}/nowhere", config["api_url"].as_str().unwrap());
    config["instruments_url"] = url.as_str().into();
    let file = adapter_sdk::instruments::InstrumentFile::new(Some(broker.cache.path()), "zerodha", &url);
    std::fs::create_dir_all(file.path().parent().unwrap()).unwrap();
    std::fs::write(file.path(), list).unwrap();
    let copy = std::fs::File::options().write(true).open(file.path()).unwrap();
    copy.set_modified(std::time::SystemTime::now() - std::time::Duration::from_hours(25)).unwrap();

    let keys = r#"{"access_token":"testkey:canary-token"}"#;
    let bench = Bench::start_with::<Zerodha>(&config.to_string(), keys).unwrap();
    let event = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert!(event.message.contains("list of instruments with HTTP 404"), "{event:?}");
    assert_eq!(broker.venue.report().opened, 0);
    bench.shut_down(adapter_sdk::testing::SOON);

    config["outdated_list"] = "use".into();
    let bench = Bench::start_with::<Zerodha>(&config.to_string(), keys).unwrap();
    bench.wait_for_status(StatusKind::CONNECTED);
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    bench.wait_for_ticks(1, 1);
}
