//! The brokers' own Python clients decode what the venues send: every value of every mode has to be what was sent. They
//! need the interpreter that `TICKHOST_PYTHON` names; `.ci/run` makes one. Without it these tests say so and pass, unless
//! `TICKHOST_REQUIRE_CLIENTS` is set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test reports by panicking"
)]

use std::{collections::BTreeMap, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, process::Command};
use venues::{
    Broker, Instrument, Kind, LEVELS, Level, Mode, Options, PRICE_SCALE, Side, Values, Venue, angel, zerodha,
};

/// Longest run of a client.
const LIMIT: Duration = Duration::from_secs(90);

/// A client program of `tests/clients`; none without an interpreter.
fn program(name: &str) -> Option<Command> {
    let python = std::env::var_os("TICKHOST_PYTHON");
    let is_required = std::env::var_os("TICKHOST_REQUIRE_CLIENTS").is_some();
    assert!(python.is_some() || !is_required, "TICKHOST_REQUIRE_CLIENTS is set, but TICKHOST_PYTHON is not");
    let Some(python) = python else {
        #[expect(clippy::print_stderr, reason = "a skipped test must not look like one that ran")]
        {
            eprintln!("SKIPPED: {name} needs TICKHOST_PYTHON, see .ci/run");
        }
        return None;
    };
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients").join(name));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Some(command)
}

/// Instruments of all exchanges that the broker has, at least 200.
fn chosen<B: Broker>(venue: &Venue<B>) -> Vec<Instrument> {
    let all = venues::EXCHANGES.iter().flat_map(|exchange| venue.some(exchange, 40));
    let chosen: Vec<Instrument> = all.filter(|one| B::key(one).is_some()).collect();
    assert!(chosen.len() >= 200, "{}", chosen.len());
    chosen
}

/// Runs the client until it has a tick of every instrument, and gives the last one of each by its number.
async fn ticks<B: Broker>(venue: &Venue<B>, mut command: Command, input: &Value) -> BTreeMap<String, Value> {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(format!("{input}\n").as_bytes()).await.unwrap();
    drop(stdin);
    let output =
        tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("an end in time").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{:?}", venue.report().log_ins);
    let lines = String::from_utf8(output.stdout).unwrap();
    let ticks = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    ticks.map(|tick| (tick["key"].as_str().unwrap().to_owned(), tick["tick"].clone())).collect()
}

fn options() -> Options {
    Options { rate_hz: 0.0, instruments: 2_000, seed: 7, ..Options::default() }
}

/// The floating point number that the client makes of a price.
fn float(price: i64, divisor: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "the client does the same")]
    let float = (price / (PRICE_SCALE / divisor)) as f64 / divisor as f64;
    json!(float)
}

fn kite_expected(one: &Instrument, mode: Mode, sent: &Values) -> Vec<(&'static str, Value)> {
    let divisor = match one.exchange {
        "CDS" => 10_000_000,
        "BCD" | "NCO" => 10_000,
        _ => 100,
    };
    let price = |price| float(price, divisor);
    let is_index = one.kind == Kind::Index;
    let mut expected = vec![("last_price", price(sent.ltp)), ("tradable", json!(!is_index))];
    if mode == Mode::Ltp {
        return expected;
    }
    let day = [("open", sent.open), ("high", sent.high), ("low", sent.low), ("close", sent.close)];
    expected.push(("ohlc", day.into_iter().map(|(name, value)| (name.to_owned(), price(value))).collect()));
    if mode == Mode::Full {
        expected.push(("exchange_timestamp", json!(sent.exchange_ts_ns / 1_000_000_000)));
    }
    if is_index {
        return expected;
    }
    expected.extend([
        ("last_traded_quantity", json!(sent.last_quantity)),
        ("average_traded_price", price(sent.average_price)),
        ("volume_traded", json!(sent.volume)),
        ("total_buy_quantity", json!(sent.total_buy_quantity)),
        ("total_sell_quantity", json!(sent.total_sell_quantity)),
    ]);
    if mode == Mode::Full {
        let side = |levels: &Side| -> Value {
            let row = |level: &Level| json!({ "quantity": level.quantity, "price": price(level.price), "orders": level.orders });
            levels.padded::<LEVELS>().iter().map(row).collect()
        };
        expected.extend([
            ("last_trade_time", json!(sent.last_trade_ts_ns / 1_000_000_000)),
            ("oi", json!(sent.oi)),
            ("oi_day_high", json!(sent.oi_high)),
            ("oi_day_low", json!(sent.oi_low)),
            ("depth", json!({ "buy": side(&sent.bids), "sell": side(&sent.asks) })),
        ]);
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn kiteconnect_decodes_what_kite_sends() {
    for (mode, name) in [(Mode::Ltp, "ltp"), (Mode::Quote, "quote"), (Mode::Full, "full")] {
        let Some(command) = program("kite_ticker.py") else { return };
        let account = [("api_key", "key"), ("access_token", "token")];
        let venue = zerodha::Venue::start(options().accepting(&account)).await.unwrap();
        let instruments = chosen(&venue);
        let keys: Vec<u64> = instruments.iter().filter_map(zerodha::Kite::key).collect();
        let input = json!({ "url": format!("ws://{}", venue.address()), "mode": name, "tokens": keys });
        let ticks = ticks(&venue, command, &input).await;
        let mut fields = 0;
        for one in &instruments {
            let key = zerodha::Kite::key(one).unwrap();
            let tick = ticks.get(&key.to_string()).unwrap_or_else(|| panic!("no tick of {}", one.symbol));
            let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
            assert_eq!(tick["mode"], name);
            for (field, expected) in kite_expected(one, mode, &sent) {
                assert_eq!(tick[field], expected, "{field} of {}:{} in {name}", one.exchange, one.symbol);
                fields += 1;
            }
        }
        println!("kiteconnect, {name}: {} instruments, {fields} fields", instruments.len());
    }
}

fn angel_expected(one: &Instrument, mode: Mode, sent: &Values) -> Vec<(&'static str, Value)> {
    let divisor = if one.exchange == "CDS" { 10_000_000 } else { 100 };
    let price = |price: i64| json!(price / (PRICE_SCALE / divisor));
    let milliseconds = sent.exchange_ts_ns / 1_000_000;
    // The venue counts by its clock; indices have no sequence.
    let sequence = if one.kind == Kind::Index { 0 } else { milliseconds };
    let mut expected = vec![
        ("last_traded_price", price(sent.ltp)),
        ("exchange_timestamp", json!(milliseconds)),
        ("sequence_number", json!(sequence)),
    ];
    if mode == Mode::Ltp {
        return expected;
    }
    #[expect(clippy::cast_precision_loss, reason = "the broker writes these as floating point")]
    expected.extend([
        ("last_traded_quantity", json!(sent.last_quantity)),
        ("average_traded_price", price(sent.average_price)),
        ("volume_trade_for_the_day", json!(sent.volume)),
        ("total_buy_quantity", json!(sent.total_buy_quantity as f64)),
        ("total_sell_quantity", json!(sent.total_sell_quantity as f64)),
        ("open_price_of_the_day", price(sent.open)),
        ("high_price_of_the_day", price(sent.high)),
        ("low_price_of_the_day", price(sent.low)),
        ("closed_price", price(sent.close)),
    ]);
    if mode == Mode::Full {
        let side = |flag: u8, levels: &[Level]| -> Value {
            let row = |level: &Level| json!({ "flag": flag, "quantity": level.quantity, "price": price(level.price), "no of orders": level.orders });
            levels.iter().map(row).collect()
        };
        expected.extend([
            ("last_traded_timestamp", json!(sent.last_trade_ts_ns / 1_000_000_000)),
            ("open_interest", json!(sent.oi)),
            ("upper_circuit_limit", price(sent.upper_circuit)),
            ("lower_circuit_limit", price(sent.lower_circuit)),
            ("52_week_high_price", price(sent.high)),
            ("52_week_low_price", price(sent.low)),
        ]);
        // Those of an index all say that they are asks, which is what the broker sends.
        let (buy, sell) = if one.kind == Kind::Index {
            (json!([]), side(0, &[Level::default(); LEVELS * 2]))
        } else {
            (side(1, &sent.bids.padded::<LEVELS>()), side(0, &sent.asks.padded::<LEVELS>()))
        };
        expected.extend([("best_5_buy_data", buy), ("best_5_sell_data", sell)]);
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn smartapi_decodes_what_angel_sends() {
    for (mode, number) in [(Mode::Ltp, 1), (Mode::Quote, 2), (Mode::Full, 3)] {
        let Some(command) = program("smart_web_socket.py") else { return };
        let account =
            [("client_code", "A1"), ("api_key", "key"), ("auth_token", "jwt"), ("feed_token", "feed")];
        let venue = angel::Venue::start(options().accepting(&account)).await.unwrap();
        let instruments = chosen(&venue);
        // Exchange type in the upper half, number in the lower.
        let name = |one: &Instrument| {
            let key = angel::Smart::key(one).unwrap();
            (key >> 32, (key & 0xffff_ffff).to_string())
        };
        let mut lists: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for one in &instruments {
            let (segment, token) = name(one);
            lists.entry(segment).or_default().push(token);
        }
        let lists: Vec<Value> = lists
            .into_iter()
            .map(|(segment, tokens)| json!({ "exchangeType": segment, "tokens": tokens }))
            .collect();
        let input = json!({
            "url": format!("ws://{}/smart-stream", venue.address()), "mode": number, "lists": lists,
            "count": instruments.len(),
        });
        let ticks = ticks(&venue, command, &input).await;
        let mut fields = 0;
        for one in &instruments {
            let (segment, token) = name(one);
            let key = format!("{segment}:{token}");
            let tick = ticks.get(&key).unwrap_or_else(|| panic!("no tick of {}", one.symbol));
            let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
            for (field, expected) in angel_expected(one, mode, &sent) {
                assert_eq!(
                    tick[field], expected,
                    "{field} of {}:{} in mode {number}",
                    one.exchange, one.symbol
                );
                fields += 1;
            }
        }
        println!("smartapi-python, mode {number}: {} instruments, {fields} fields", instruments.len());
    }
}
