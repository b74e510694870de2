//! Holds the code to the samples in `testdata/protocol`, one file per message, and the samples to the code:
//! every file is claimed by exactly one check.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::codes::ErrorCode;
use super::encode::{EncodeOptions, Label, market_data};
use super::reply::{
    self, Counts, ErrorReply, Failure, FeedFacts, Granted, Outcome, OutcomeState, Subscribed, Unsubscribed,
};
use super::request::{RefusedEntry, Request, RequestId, Wishes, parse};
use crate::model::{
    Delivery, DepthClass, DepthLevel, Greeks, MaxRate, Mode, ORDERS_ABSENT, Quote, TickView, Variant, field,
    greek,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    direction: String,
    shows: String,
    state: Option<String>,
    expect: Option<Value>,
    message: Box<RawValue>,
}

fn samples(prefix: &str) -> BTreeMap<String, Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/protocol");
    let mut samples = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let sample: Sample = serde_json::from_slice(&std::fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(
            path.file_stem().unwrap().to_str(),
            Some(&*sample.name),
            "a sample is named like its file"
        );
        assert!(sample.shows.ends_with('.'), "{} says what it shows", sample.name);
        let kind = ["request_", "reply_", "frame_"].into_iter().find(|kind| sample.name.starts_with(kind));
        let from = if kind == Some("request_") { "client_to_host" } else { "host_to_client" };
        assert!(kind.is_some() && sample.direction == from, "{} has a known kind and direction", sample.name);
        if sample.name.starts_with(prefix) {
            samples.insert(sample.name.clone(), sample);
        }
    }
    assert!(!samples.is_empty());
    samples
}

#[test]
fn requests_are_understood_as_their_samples_say() {
    for (name, sample) in samples("request_") {
        let is_authenticated = match sample.state.as_deref() {
            Some("authenticated") => true,
            Some("new") => false,
            other => panic!("{name}: state {other:?}"),
        };
        let understood = match parse(sample.message.get().as_bytes(), is_authenticated) {
            Ok(request) => describe(&request),
            Err(error) => json!({"error": error.code.as_str(), "message": error.message}),
        };
        assert_eq!(Some(understood), sample.expect, "{name}");
    }
}

fn describe(request: &Request) -> Value {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.to_owned(), value));
    let id = |put: &mut dyn FnMut(&str, Value), name: &str, request_id: &RequestId| {
        put("request", name.into());
        if let Some(raw) = request_id.as_json() {
            put("request_id", serde_json::from_str(raw).unwrap());
        }
    };
    let named = |exchange: &str, symbol: &str, suffix: Option<DepthClass>| {
        let mut named = Map::new();
        named.insert("exchange".to_owned(), exchange.into());
        named.insert("symbol".to_owned(), symbol.into());
        if let Some(suffix) = suffix {
            named.insert("suffix".to_owned(), suffix.levels().into());
        }
        named
    };
    let refused = |entry: &RefusedEntry| {
        let mut named = named(&entry.exchange, &entry.symbol, None);
        named.insert("refused".to_owned(), (*entry.message).into());
        named
    };
    match request {
        Request::Authenticate { api_key, wishes } => {
            put("request", "authenticate".into());
            put("api_key", api_key.expose_secret().into());
            let wishes =
                [("feed_status", wishes.feed_status), ("subscription_status", wishes.subscription_status)];
            for (name, _) in wishes.into_iter().filter(|(_, is_wanted)| *is_wanted) {
                put(name, true.into());
            }
        }
        Request::Subscribe { entries, mode, depth, delivery, request_id } => {
            id(&mut put, "subscribe", request_id);
            put("mode", mode.number().into());
            put("depth", depth.levels().into());
            match delivery {
                Delivery::Newest => {}
                Delivery::AtMost(rate) => put("max_rate", (f64::from(rate.millihertz()) / 1_000.0).into()),
                Delivery::EveryTick => put("lossless", true.into()),
            }
            let of = |entry: &Result<super::request::Entry, _>| {
                entry
                    .as_ref()
                    .map_or_else(refused, |entry| named(&entry.exchange, &entry.symbol, entry.suffix))
            };
            put("entries", entries.iter().map(of).collect());
        }
        Request::Unsubscribe { entries, request_id } => {
            id(&mut put, "unsubscribe", request_id);
            let of = |entry: &Result<super::request::UnsubscribeEntry, _>| {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(entry) => return refused(entry),
                };
                let mut named = named(&entry.exchange, &entry.symbol, entry.suffix);
                let mode = entry.mode.map_or(Value::from("all"), |mode| mode.number().into());
                named.insert("mode".to_owned(), mode);
                named
            };
            put("entries", entries.iter().map(of).collect());
        }
        Request::UnsubscribeAll { request_id } => id(&mut put, "unsubscribe_all", request_id),
        Request::SubscribeOrders { request_id } => id(&mut put, "subscribe_orders", request_id),
        Request::UnsubscribeOrders { request_id } => id(&mut put, "unsubscribe_orders", request_id),
        Request::BrokerInfo => put("request", "broker_info".into()),
        Request::SupportedBrokers => put("request", "supported_brokers".into()),
        Request::Ping { timestamp, ping_id } => {
            put("request", "ping".into());
            for (key, raw) in [("timestamp", timestamp), ("_pingId", ping_id)] {
                if let Some(raw) = raw {
                    put(key, serde_json::from_str(raw.get()).unwrap());
                }
            }
        }
        Request::Pong => put("request", "pong".into()),
    }
    Value::Object(out)
}

fn assert_produced(prefix: &str, produced: &[(&str, Vec<u8>)]) {
    let mut samples = samples(prefix);
    for (name, bytes) in produced {
        let name = format!("{prefix}{name}");
        let sample = samples.remove(&name).unwrap_or_else(|| panic!("no sample {name}, or two checks of it"));
        assert_eq!(std::str::from_utf8(bytes).unwrap(), sample.message.get(), "{name}");
    }
    assert!(samples.is_empty(), "nothing produces {:?}", samples.keys());
}

fn request_id(json: &str) -> RequestId {
    let request = format!(r#"{{"action":"subscribe_orders","request_id":{json}}}"#);
    match parse(request.as_bytes(), true) {
        Ok(Request::SubscribeOrders { request_id }) => request_id,
        other => panic!("{other:?}"),
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

fn feed_replies() -> Vec<(&'static str, bytes::Bytes)> {
    let feed = |state, ages: [Option<u64>; 3]| {
        let [state_age_ms, last_tick_age_ms, retry_in_ms] = ages;
        FeedFacts {
            broker: "zerodha",
            state,
            state_age_ms,
            last_tick_age_ms,
            retry_in_ms,
            attempts: None,
            market: None,
            opens_in_ms: None,
        }
    };
    let live = feed("live", [Some(62_000), Some(40), None]);
    let refused_login = feed("auth_failed", [Some(9_000), None, None]);
    let stale = feed("stale", [Some(130_000), Some(130_000), None]);
    let stale = FeedFacts { market: Some("open"), ..stale };
    let night = FeedFacts {
        market: Some("closed"),
        opens_in_ms: Some(3_600_000),
        ..feed("live", [Some(62_000), Some(9_000_000), None])
    };
    let down = FeedFacts { attempts: Some(3), ..feed("down", [Some(0), Some(1_500), Some(87)]) };
    let new = feed("connecting", [Some(0), None, None]);
    let counts = Counts { subscribed: 3, active: 2, pending: 1 };
    vec![
        ("broker_info", reply::broker_info("alice", true, None, &live, counts)),
        (
            "broker_info_disconnected",
            reply::broker_info("alice", false, Some("token expired"), &refused_login, Counts::default()),
        ),
        ("feed_status", reply::feed_status(&stale, "connected, but silent for 130 s")),
        (
            "feed_status_down",
            reply::feed_status(&down, "the adapter failed and will be started again: crashed"),
        ),
        (
            "feed_status_night",
            reply::feed_status(
                &night,
                "connected to the broker; its exchanges are closed, next session 2026-11-30 09:15 in India",
            ),
        ),
        ("feed_status_new", reply::feed_status(&new, "connecting to the broker")),
    ]
}

/// Replies and notices that need little to be made.
fn plain_replies() -> [(&'static str, bytes::Bytes); 8] {
    let error = ErrorReply::new(ErrorCode::NotAuthenticated, "You must authenticate first");
    let busy = ErrorReply {
        retry_after: Some(std::time::Duration::from_secs(7)),
        ..ErrorReply::new(ErrorCode::ProcessingError, "Too many API keys are being checked; try again in 7 s")
    };
    [
        ("error", error.to_bytes()),
        ("error_retry", busy.to_bytes()),
        ("gap", reply::gap("SBIN", "NSE", Mode::Ltp, 12)),
        ("orders_missed", reply::orders_missed(12)),
        ("unsubscribe_orders", reply::unsubscribe_orders_ack(&RequestId::default())),
        ("supported_brokers", reply::supported_brokers(&["angel", "zerodha"])),
        ("pong_bare", reply::pong(1_705_294_800_456, None, None)),
        ("auth_status", reply::auth_status("zerodha", "alice")),
    ]
}

#[test]
fn replies_are_those_of_the_samples() {
    let none = RequestId::default();
    let failure = |code, message: &'static str| Failure { code, message: message.into() };
    let subscribed =
        |symbol: &'static str, outcome| Subscribed { symbol: symbol.into(), exchange: "NSE", outcome };
    let granted = |mode, delivery| Granted { mode, depth: DepthClass::Five, delivery };
    let at_most = |rate| granted(Mode::Ltp, Delivery::AtMost(MaxRate::per_second(rate).unwrap()));
    let rated = [subscribed("SBIN", Ok(at_most(5.0))), subscribed("INFY", Ok(at_most(0.5)))];
    let lossless = [subscribed("SBIN", Ok(granted(Mode::Ltp, Delivery::EveryTick)))];
    let gone = Unsubscribed { symbol: "SBIN".into(), exchange: "NSE", outcome: Ok(()) };
    let refused = RefusedEntry {
        symbol: "A".to_owned(),
        exchange: "NSE".to_owned(),
        message: "Invalid mode 9; expected 1 (LTP), 2 (Quote), or 3 (Depth)".into(),
    };
    let kept = failure(ErrorCode::UnsubscriptionError, "broker refused");
    let kept = Unsubscribed { symbol: "A".into(), exchange: "NSE", outcome: Err(kept) };
    let ack = [subscribed("SBIN", Ok(granted(Mode::Quote, Delivery::Newest)))];
    let partial = [
        subscribed(
            "RELIANCE:50",
            Ok(Granted { depth: DepthClass::Twenty, ..granted(Mode::Depth, Delivery::Newest) }),
        ),
        subscribed("BAD1", Err(failure(ErrorCode::SymbolNotFound, "Symbol BAD1 not found"))),
    ];
    let late = failure(ErrorCode::SubscriptionError, "broker refused");
    let late = reply::subscription_failed("SBIN", "NSE", Mode::Quote, "zerodha", &late, false);
    let gone_from_list = failure(ErrorCode::SymbolNotFound, "Symbol NIFTY29DEC26FUT not found on NFO");
    let lost =
        reply::subscription_failed("NIFTY29DEC26FUT", "NFO", Mode::Ltp, "zerodha", &gone_from_list, true);
    let outcome = |symbol: &str, state, code, message| Outcome {
        symbol: symbol.to_owned(),
        exchange: "NSE",
        mode: Mode::Quote,
        state,
        code,
        message,
        is_kept: false,
    };
    let news = [
        outcome("SBIN", OutcomeState::Active, None, None),
        outcome("IDLE", OutcomeState::Silent, None, None),
        outcome(
            "WAIT",
            OutcomeState::Pending,
            None,
            Some("the account's connections to the broker are full"),
        ),
        outcome("GONE", OutcomeState::Failed, Some(ErrorCode::SubscriptionError), Some("broker refused")),
        Outcome {
            is_kept: true,
            ..outcome(
                "LOST",
                OutcomeState::Failed,
                Some(ErrorCode::SymbolNotFound),
                Some("Symbol LOST not found on NSE"),
            )
        },
    ];
    let (time, id) = (raw("1705294800123"), raw("\"p1\""));
    let produced = [
        ("auth_success", reply::auth_success("zerodha", "alice", Wishes::default())),
        (
            "auth_success_feed_status",
            reply::auth_success("zerodha", "alice", Wishes { feed_status: true, ..Wishes::default() }),
        ),
        (
            "auth_success_subscription_status",
            reply::auth_success(
                "zerodha",
                "alice",
                Wishes { subscription_status: true, ..Wishes::default() },
            ),
        ),
        ("subscribe_success", reply::subscribe_ack(&ack, "zerodha", &none)),
        ("subscribe_partial", reply::subscribe_ack(&partial, "zerodha", &request_id("\"r1\""))),
        ("subscribe_max_rate", reply::subscribe_ack(&rated, "zerodha", &none)),
        ("subscribe_lossless", reply::subscribe_ack(&lossless, "zerodha", &none)),
        ("subscribe_empty", reply::subscribe_ack(&[], "zerodha", &request_id("7"))),
        (
            "unsubscribe_success",
            reply::unsubscribe_ack(std::slice::from_ref(&gone), "zerodha", &request_id("7")),
        ),
        ("unsubscribe_partial", reply::unsubscribe_ack(&[(&refused).into(), gone], "zerodha", &none)),
        ("unsubscribe_error", reply::unsubscribe_ack(&[kept], "zerodha", &none)),
        ("subscribe_orders", reply::subscribe_orders_ack(&request_id("\"o\""))),
        ("pong", reply::pong(1_705_294_800_456, Some(&time), Some(&id))),
        ("subscription_status", late),
        ("subscription_status_kept", lost),
        ("subscription_status_asked", reply::subscription_status(&news, "zerodha", &request_id("\"r1\""))),
    ];
    let produced = produced
        .into_iter()
        .chain(plain_replies())
        .chain(feed_replies())
        .map(|(name, bytes)| (name, bytes.to_vec()));
    assert_produced("reply_", &produced.collect::<Vec<_>>());
}

const MARKET: Quote = Quote {
    instrument: 1,
    fields: field::IN_QUOTE,
    seq: 1,
    received_ts_ns: 1_705_294_800_200_000_000,
    exchange_ts_ns: 1_705_294_800_123_456_789,
    last_trade_ts_ns: 1_705_294_800_000_000_000,
    ltp: 625_500_000_000,
    volume: 1_500_000,
    last_quantity: 10,
    open: 620_000_000_000,
    high: 628_000_000_000,
    low: 618_500_000_000,
    close: 622_000_000_000,
    average_price: 621_400_000_000,
    total_buy_quantity: 4_000,
    total_sell_quantity: 5_000,
    change: 3_500_000_000,
    change_percent: 560_000_000,
    oi: 0,
    bid_price: 625_450_000_000,
    ask_price: 625_550_000_000,
    bid_size: 120,
    ask_size: 80,
    upper_circuit: 684_200_000_000,
    lower_circuit: 559_800_000_000,
    prev_close: 622_000_000_000,
    oi_high: 0,
    oi_low: 0,
};

const BUY: [DepthLevel; 2] = [
    DepthLevel { price: 625_450_000_000, quantity: 120, orders: 3, reserved: 0 },
    DepthLevel { price: 625_400_000_000, quantity: 500, orders: ORDERS_ABSENT, reserved: 0 },
];
const SELL: [DepthLevel; 1] = [DepthLevel { price: 625_550_000_000, quantity: 80, orders: 2, reserved: 0 }];

const GREEKS: Greeks = Greeks {
    instrument: 1,
    fields: greek::IN_GREEKS,
    seq: 2,
    received_ts_ns: 1_705_294_800_200_000_000,
    exchange_ts_ns: 0,
    delta: 523_400_000,
    gamma: 1_200_000,
    theta: -11_840_000_000,
    vega: 13_225_000_000,
    rho: 3_010_000_000,
    implied_volatility: 14_500_000_000,
};

#[test]
fn frames_are_those_of_the_samples() {
    let all = EncodeOptions::default();
    let lean = EncodeOptions { flat_fields: false, bids_asks: false };
    let plain = |mode| Variant::new(mode, DepthClass::Five, false);
    let frame = |variant: Variant, fields: u32, options, snapshot: bool| {
        let label = Label::new("SBIN", "NSE", "zerodha", variant.is_suffixed().then(|| variant.depth()));
        let quote = Quote { fields, ..MARKET };
        let mut out = Vec::new();
        // The snapshot is the one with every value.
        let greeks = snapshot.then_some(&GREEKS);
        let tick = TickView { quote: &quote, buy: &BUY, sell: &SELL, greeks };
        assert!(market_data(&mut out, &label, variant, tick, options, snapshot));
        out
    };
    let option = |mode, greeks: &Greeks| {
        let label = Label::new("NIFTY28NOV2624500CE", "NFO", "upstox", None);
        let quote =
            Quote { fields: field::LTP | field::OI | field::EXCHANGE_TS, ltp: 142_350_000_000, ..MARKET };
        let mut out = Vec::new();
        let tick = TickView { quote: &quote, buy: &BUY[..1], sell: &SELL, greeks: Some(greeks) };
        assert!(market_data(&mut out, &label, plain(mode), tick, all, false));
        out
    };
    let two_values = Greeks { fields: greek::IMPLIED_VOLATILITY | greek::DELTA, ..GREEKS };
    let sample = field::IN_LTP | (field::OI * 2 - 1);
    let bare = field::LTP | field::EXCHANGE_TS;
    let order = r#"{"orderid":"250101000000001","symbol":"NHPC","exchange":"NSE","action":"BUY","quantity":1,"price":50.0,"trigger_price":0.0,"pricetype":"LIMIT","product":"CNC","order_status":"rejected","filled_quantity":0,"pending_quantity":0,"average_price":0.0,"rejection_reason":"funds"}"#;
    let suffixed = Variant::new(Mode::Depth, DepthClass::Fifty, true);
    assert_produced(
        "frame_",
        &[
            ("ltp", frame(plain(Mode::Ltp), field::IN_QUOTE, all, false)),
            ("ltp_bare", frame(plain(Mode::Ltp), bare, all, false)),
            ("quote", frame(plain(Mode::Quote), sample, all, false)),
            ("quote_full", frame(plain(Mode::Quote), field::IN_QUOTE, all, true)),
            ("quote_lean", frame(plain(Mode::Quote), sample, lean, false)),
            ("quote_greeks", option(Mode::Quote, &GREEKS)),
            ("depth_greeks", option(Mode::Depth, &two_values)),
            ("depth", frame(plain(Mode::Depth), sample, all, false)),
            ("depth_suffix", frame(suffixed, field::EXCHANGE_TS, all, false)),
            ("order_update", super::order::order_update("alice", "zerodha", order).unwrap().to_vec()),
        ],
    );
}

#[test]
fn examples_in_the_document_are_messages() {
    let document = include_str!("../../../PROTOCOL.md");
    let examples: Vec<&str> = document
        .split("```json\n")
        .skip(1)
        .flat_map(|rest| rest.split("```").next().unwrap_or_default().lines())
        .collect();
    assert!(examples.len() > 20);
    for example in examples {
        let value: Value = serde_json::from_str(example).unwrap_or_else(|error| panic!("{example}: {error}"));
        if value.get("action").is_some_and(|action| !["BUY", "SELL"].contains(&action.as_str().unwrap())) {
            assert!(parse(example.as_bytes(), true).is_ok(), "{example}");
        }
    }
}
