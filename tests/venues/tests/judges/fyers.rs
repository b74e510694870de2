//! `fyers-apiv3` decodes what Fyers sends: snapshots, and the updates that say what changed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use venues::{Instrument, Kind, LEVELS, Level, Mode, Side, Values, fyers};

use super::{chosen, client::Client, float, options};

const APP: &str = "MADEUP0001-100";

/// Where the app wants browsers to go.
const PAGE: &str = "http://127.0.0.1/back?x=1";

/// Trades after the snapshot.
const TRADES: usize = 3;

fn token() -> String {
    // Until 2100.
    fyers::token(APP, "key", 4_102_444_800)
}

async fn venue() -> fyers::Venue {
    fyers::Venue::start(options().accepting(&[("api_key", APP), ("access_token", &token())])).await.unwrap()
}

fn asked(venue: &fyers::Venue, feed: &str, data: &str, is_lite: bool, instruments: &[Instrument]) -> Value {
    let symbols: Vec<String> = instruments.iter().filter_map(fyers::ticker).collect();
    assert_eq!(symbols.len(), instruments.len());
    json!({
        "url": format!("http://{}", venue.address()), "feed": feed, "token": format!("{APP}:{}", token()),
        "symbols": symbols, "data": data, "is_lite": is_lite,
    })
}

/// Reads a tick of each of so many instruments: what the client says, by ticker.
async fn read(client: &mut Client, count: usize) -> BTreeMap<String, Value> {
    let mut ticks = BTreeMap::new();
    while ticks.len() < count {
        let line = client.next().await;
        let symbol = line["tick"]["symbol"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned();
        assert!(ticks.insert(symbol, line).is_none(), "nothing comes twice");
    }
    ticks
}

/// Hears that a request was granted.
async fn control(client: &mut Client, kind: &str) {
    let line = client.next().await;
    assert_eq!((&line["control"]["type"], &line["control"]["code"]), (&json!(kind), &json!(200)), "{line}");
}

/// Units of a price of 1.
fn divisor(one: &Instrument) -> i64 {
    if one.exchange == "CDS" { 10_000 } else { 100 }
}

/// A price as the package shows it, and as it keeps it.
fn both(name: &'static str, price: i64, one: &Instrument) -> (&'static str, Value, Value) {
    let divisor = divisor(one);
    (name, float(price, divisor), json!(price / (venues::PRICE_SCALE / divisor)))
}

fn same(name: &'static str, number: i64) -> (&'static str, Value, Value) {
    (name, json!(number), json!(number))
}

/// What the package is to know of an instrument: name, what it shows, and what it keeps. What it does not
/// show is null.
fn expected(one: &Instrument, mode: Mode, sent: &Values) -> Vec<(&'static str, Value, Value)> {
    let price = |name, price| both(name, price, one);
    if mode == Mode::Full {
        return book(one, sent);
    }
    let mut all = vec![price("ltp", sent.ltp)];
    if mode == Mode::Ltp {
        return all;
    }
    let seconds = |nanos: i64| nanos / 1_000_000_000;
    all.extend([
        price("prev_close_price", sent.close),
        price("high_price", sent.high),
        price("low_price", sent.low),
        price("open_price", sent.open),
        same("exch_feed_time", seconds(sent.exchange_ts_ns)),
    ]);
    if one.kind == Kind::Index {
        return all;
    }
    let best = |side: &Side| side.first().copied().unwrap_or_default();
    let (bid, ask) = (best(&sent.bids), best(&sent.asks));
    all.extend([
        same("vol_traded_today", sent.volume),
        same("last_traded_time", seconds(sent.last_trade_ts_ns)),
        same("bid_size", bid.quantity),
        same("ask_size", ask.quantity),
        price("bid_price", bid.price),
        price("ask_price", ask.price),
        same("last_traded_qty", sent.last_quantity),
        same("tot_buy_qty", sent.total_buy_quantity),
        same("tot_sell_qty", sent.total_sell_quantity),
        price("avg_trade_price", sent.average_price),
    ]);
    let hidden = [
        ("Yhigh", sent.high),
        ("Ylow", sent.low),
        ("lower_ckt", sent.lower_circuit),
        ("upper_ckt", sent.upper_circuit),
    ];
    for (name, value) in hidden {
        // The circuits are shown as zero, whatever they are.
        let shown = if name.ends_with("ckt") { json!(0) } else { Value::Null };
        all.push((name, shown, price(name, value).2));
    }
    let oi = if one.expiry.is_some() { json!(sent.oi) } else { Value::Null };
    all.push(("OI", Value::Null, oi));
    all
}

fn book(one: &Instrument, sent: &Values) -> Vec<(&'static str, Value, Value)> {
    const NAMES: [[&str; LEVELS]; 6] = [
        ["bid_price1", "bid_price2", "bid_price3", "bid_price4", "bid_price5"],
        ["ask_price1", "ask_price2", "ask_price3", "ask_price4", "ask_price5"],
        ["bid_size1", "bid_size2", "bid_size3", "bid_size4", "bid_size5"],
        ["ask_size1", "ask_size2", "ask_size3", "ask_size4", "ask_size5"],
        ["bid_order1", "bid_order2", "bid_order3", "bid_order4", "bid_order5"],
        ["ask_order1", "ask_order2", "ask_order3", "ask_order4", "ask_order5"],
    ];
    let sides = [sent.bids.padded::<LEVELS>(), sent.asks.padded::<LEVELS>()];
    let mut all = Vec::new();
    for (kind, names) in NAMES.into_iter().enumerate() {
        for (name, level) in names.into_iter().zip(&sides[kind % 2]) {
            all.push(match kind / 2 {
                0 => both(name, level.price, one),
                1 => same(name, level.quantity),
                _ => same(name, level.orders.into()),
            });
        }
    }
    all
}

/// Compares what the client knows of all instruments with what was sent; how many values these are.
fn compare(
    venue: &fyers::Venue,
    instruments: &[Instrument],
    mode: Mode,
    ticks: &BTreeMap<String, Value>,
) -> usize {
    let mut fields = 0;
    for one in instruments {
        let ticker = fyers::ticker(one).unwrap();
        let line = &ticks[&ticker];
        let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
        let kind = match (mode, one.kind) {
            (Mode::Full, _) => "dp",
            (_, Kind::Index) => "if",
            _ => "sf",
        };
        assert_eq!(
            (&line["tick"]["type"], line["topic"].as_str().unwrap().get(..2)),
            (&json!(kind), Some(kind))
        );
        for (name, shown, kept) in expected(one, mode, &sent) {
            assert_eq!(line["tick"].get(name).unwrap_or(&Value::Null), &shown, "{name} of {ticker}");
            assert_eq!(line["state"].get(name).unwrap_or(&Value::Null), &kept, "state: {name} of {ticker}");
            fields += 2;
        }
    }
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn fyers_apiv3_decodes_what_the_hsm_socket_sends() {
    for (mode, data, greeting) in [
        (Mode::Ltp, "SymbolUpdate", "lit"),
        (Mode::Quote, "SymbolUpdate", "ful"),
        (Mode::Full, "DepthUpdate", "ful"),
    ] {
        let venue = venue().await;
        let mut instruments = chosen(&venue);
        instruments.retain(|one| mode != Mode::Full || one.kind != Kind::Index);
        let asked = asked(&venue, "hsm", data, mode == Mode::Ltp, &instruments);
        let Some(mut client) = Client::start("fyers_socket.py", &asked).await else { return };
        for answer in ["cn", greeting, "sub"] {
            control(&mut client, answer).await;
        }
        let mut fields = 0;
        for round in 0..=TRADES {
            if round > 0 {
                venue.trade();
            }
            let ticks = read(&mut client, instruments.len()).await;
            fields += compare(&venue, &instruments, mode, &ticks);
        }
        // It goes to another channel and comes back: what it misses meanwhile it learns afterwards.
        let sent = |one: &Instrument| venue.sent(one.exchange, &one.symbol, mode).unwrap();
        let before: Vec<Values> = instruments.iter().map(sent).collect();
        client.tell("channel 12").await;
        control(&mut client, "cp").await;
        venue.trade();
        client.tell("channel 11").await;
        control(&mut client, "cp").await;
        control(&mut client, "cr").await;
        venue.trade();
        let mut changed = instruments.clone();
        let mut before = before.into_iter();
        // After two trades a price may be where it was.
        changed.retain(|one| expected(one, mode, &before.next().unwrap()) != expected(one, mode, &sent(one)));
        let ticks = read(&mut client, changed.len()).await;
        fields += compare(&venue, &changed, mode, &ticks);
        // What it says of messages of the broker, and of a request that is refused.
        venue.own(&json!({ "custom": { "code": 51_001, "text": "Symbol limit", "request": 4 } })).unwrap();
        let error = client.next().await;
        assert_eq!(
            (&error["error"]["code"], &error["error"]["type"]),
            (&json!(51_001), &json!("sub")),
            "{error}"
        );
        venue.own(&json!({ "refuse": "unsubscribe" })).unwrap();
        for (member, code) in [("error", 11_012), ("control", 200)] {
            client.tell("unsubscribe").await;
            let answer = client.next().await;
            assert_eq!(answer[member]["code"], code, "{answer}");
        }
        assert!(venue.report().subscribed.is_empty());
        client.end().await;
        println!("fyers-apiv3, {}: {} instruments, {fields} values", mode.name(), instruments.len());
    }
}

/// Without its acknowledgements trades would stop, see the tests of a plain client.
#[tokio::test(flavor = "multi_thread")]
async fn fyers_apiv3_acknowledges_what_it_gets() {
    let venue = venue().await;
    let one = [venue.instrument("NSE", "SBIN").unwrap()];
    let asked = asked(&venue, "hsm", "SymbolUpdate", false, &one);
    let Some(mut client) = Client::start("fyers_socket.py", &asked).await else { return };
    for _ in 0..3 {
        client.next().await;
    }
    read(&mut client, 1).await;
    for _ in 0..300 {
        venue.trade();
        let ticks = read(&mut client, 1).await;
        compare(&venue, &one, Mode::Quote, &ticks);
    }
    client.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fyers_apiv3_decodes_what_the_tbt_socket_sends() {
    let venue = venue().await;
    let instruments: Vec<Instrument> = venue.some("NFO", 3).into_iter().chain(venue.some("NSE", 2)).collect();
    let asked = asked(&venue, "tbt", "", false, &instruments);
    let Some(mut client) = Client::start("fyers_socket.py", &asked).await else { return };
    let mut rows = 0;
    for round in 0..=TRADES {
        if round > 0 {
            venue.trade();
        }
        let ticks = read(&mut client, instruments.len()).await;
        for one in &instruments {
            let tick = &ticks[&fyers::ticker(one).unwrap()]["tick"];
            let sent = venue.sent(one.exchange, &one.symbol, Mode::Deep(fyers::LEVELS)).unwrap();
            assert_eq!((&tick["snapshot"], &tick["seqNo"]), (&json!(round == 0), &json!(round + 1)));
            assert_eq!(tick["tbq"], sent.total_buy_quantity);
            assert_eq!(tick["tsq"], sent.total_sell_quantity);
            assert_eq!(tick["timestamp"], sent.exchange_ts_ns / 1_000_000_000);
            for (name, side) in [("bid", &sent.bids), ("ask", &sent.asks)] {
                let side = side.padded::<{ fyers::LEVELS as usize }>();
                let column = |value: fn(&Level) -> Value| side.iter().map(value).collect::<Value>();
                for (what, expected) in [
                    ("price", column(|level| float(level.price, 100))),
                    ("qty", column(|level| json!(level.quantity))),
                    ("ordn", column(|level| json!(level.orders))),
                ] {
                    assert_eq!(tick[format!("{name}{what}")], expected, "{name}{what} of {}", one.symbol);
                }
                rows += side.len();
            }
        }
    }
    client.tell("unsubscribe").await;
    client.end().await;
    println!("fyers-apiv3, {} levels: {} instruments, {rows} rows", fyers::LEVELS, instruments.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn fyers_apiv3_logs_in_and_connects_with_what_it_got() {
    let account = [("api_key", APP), ("api_secret", "secret"), ("redirect_uri", PAGE)];
    let venue = fyers::Venue::start(options().accepting(&account)).await.unwrap();
    let asked = json!({
        "url": format!("http://{}", venue.address()), "app_id": APP, "secret": "secret", "redirect_uri": PAGE,
    });
    let Some(mut client) = Client::start("fyers_login.py", &asked).await else { return };
    let got = client.next().await;
    client.end().await;
    assert_eq!(got["state"], json!(["a state"]));
    assert_eq!((&got["wrong"]["s"], &got["again"]["s"]), (&json!("error"), &json!("error")), "{got}");
    assert_eq!(got["good"]["s"], "ok", "{got}");
    let token = got["good"]["access_token"].as_str().unwrap();
    let one = [venue.instrument("NSE_INDEX", "NIFTY").unwrap()];
    let mut asked = self::asked(&venue, "hsm", "SymbolUpdate", false, &one);
    asked["token"] = format!("{APP}:{token}").into();
    let mut client = Client::start("fyers_socket.py", &asked).await.unwrap();
    for answer in ["cn", "ful", "sub"] {
        control(&mut client, answer).await;
    }
    let ticks = read(&mut client, 1).await;
    compare(&venue, &one, Mode::Quote, &ticks);
    client.end().await;
    assert_eq!(venue.report().log_ins, [false, false, true]);
}
