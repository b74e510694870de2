//! A whole adapter for a broker that speaks JSON over a WebSocket, and the ways in which such a broker fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports by panicking; indexing a JSON value gives null where there is nothing"
)]
#![allow(missing_docs, clippy::tests_outside_test_module, reason = "an integration test")]

mod venue;

use std::time::Duration;

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Connection, Context, Credentials, Grant, Level, Manifest,
    Mode, Price, Refusal, Subscription, Tick, TickSink,
    abi::{ErrorCode, OutcomeCode, StatusKind},
    testing::{Bench, Published},
};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use self::venue::Venue;

// ---- the adapter ----

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    ws_url: String,
}

struct JsonBroker {
    ws_url: String,
}

struct Session {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Adapter for JsonBroker {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        Manifest::new("json-broker", "1.0.0")
            .capabilities(&[Capability::Ltp, Capability::Quote, Capability::Depth])
            .limits(100, 2)
            .backoff(Backoff {
                first: Duration::from_millis(10),
                longest: Duration::from_millis(50),
                ..Backoff::default()
            })
    }

    fn try_new(config: Config, _context: Context) -> Result<Self, AdapterError> {
        if !config.ws_url.starts_with("ws://") && !config.ws_url.starts_with("wss://") {
            return Err(AdapterError::config("ws_url must begin with ws:// or wss://"));
        }
        Ok(Self { ws_url: config.ws_url })
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        match wanted.exchange.as_str() {
            "NSE" | "BSE" => Ok(Grant::with_depth_up_to(wanted, 20)),
            other => Err(Refusal::UnknownInstrument(format!("this broker has no exchange {other}"))),
        }
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        let token = credentials.require("token")?;
        let (mut socket, _) = connect_async(&self.ws_url).await.map_err(AdapterError::network)?;
        socket
            .send(Message::text(json!({"login": token}).to_string()))
            .await
            .map_err(AdapterError::network)?;
        match socket.next().await {
            Some(Ok(Message::Text(answer))) if answer.contains("welcome") => Ok(Session { socket }),
            Some(Ok(Message::Text(_))) => Err(AdapterError::auth("the broker refused the token")),
            _ => Err(AdapterError::network("the broker closed during the log-in")),
        }
    }
}

impl Session {
    async fn send(&mut self, message: Value) -> Result<(), AdapterError> {
        self.socket.send(Message::text(message.to_string())).await.map_err(AdapterError::network)
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], _sink: &mut TickSink) -> Result<(), AdapterError> {
        let wanted: Vec<Value> = wanted
            .iter()
            .map(|one| json!({"id": one.instrument, "name": one.symbol, "mode": format!("{:?}", one.mode)}))
            .collect();
        self.send(json!({ "subscribe": wanted })).await
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        self.send(json!({ "unsubscribe": instruments })).await
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => {
                if decode(&text, sink).is_none() {
                    sink.undecodable();
                }
                Ok(())
            }
            Some(Ok(Message::Close(_))) | None => Err(AdapterError::network("the broker closed")),
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(AdapterError::network(error)),
        }
    }
}

fn decode(text: &str, sink: &mut TickSink) -> Option<()> {
    let message: Value = serde_json::from_str(text).ok()?;
    let instrument = u32::try_from(message["id"].as_u64()?).ok()?;
    let price = |value: &Value| value.as_f64().and_then(Price::from_f64);
    if let Some(refused) = message["refused"].as_str() {
        sink.outcome(instrument, Err(Refusal::Refused(refused.to_owned())));
        return Some(());
    }
    assert!(message.get("panic").is_none(), "asked to panic");
    let mut tick = Tick::new(instrument).ltp(price(&message["ltp"])?);
    if let Some(volume) = message["volume"].as_i64() {
        tick = tick.volume(volume);
    }
    let side = |name: &str| -> Option<Vec<Level>> {
        message[name]
            .as_array()?
            .iter()
            .map(|row| Some(Level { price: price(&row[0])?, quantity: row[1].as_i64()?, orders: None }))
            .collect()
    };
    match (side("buy"), side("sell")) {
        (Some(buy), Some(sell)) => sink.depth(&tick, &buy, &sell),
        _ => sink.ltp(&tick),
    }
    Some(())
}

// ---- what it has to stand ----

fn bench(venue: &Venue) -> Bench {
    let config = json!({"ws_url": venue.url()}).to_string();
    Bench::start_with::<JsonBroker>(&config, r#"{"token":"good"}"#).unwrap()
}

#[test]
fn ticks_arrive_under_their_numbers_with_what_the_broker_sent() {
    let venue = Venue::start();
    let bench = bench(&venue);
    bench.wait_for_status(StatusKind::CONNECTED);
    assert_eq!(bench.subscribe(7, "NSE", "SBIN", Mode::Ltp).code, OutcomeCode::ACCEPTED);
    venue.wait_until_subscribed(7);
    venue.send(&json!({"id": 7, "ltp": 625.05}));
    venue.send(&json!({"id": 7, "ltp": 625.1, "buy": [[625.0, 10]], "sell": [[625.2, 5], [625.25, 1]]}));
    let ticks = bench.wait_for_ticks(7, 2);
    let Published::Ltp(first) = &ticks[0] else { panic!("{ticks:?}") };
    assert_eq!((first.ltp, first.fields, first.seq), (625_050_000_000, adapter_sdk::abi::field::LTP, 1));
    assert!(first.received_ts_ns > 0);
    let Published::Depth(_, buy, sell) = &ticks[1] else { panic!("{ticks:?}") };
    assert_eq!((buy.len(), sell.len(), buy[0].orders), (1, 2, adapter_sdk::abi::ORDERS_ABSENT));
}

#[test]
fn an_unknown_instrument_is_refused_without_asking_the_broker() {
    let venue = Venue::start();
    let bench = bench(&venue);
    let outcome = bench.subscribe(1, "NYSE", "X", Mode::Ltp);
    assert_eq!(outcome.code, OutcomeCode::UNKNOWN_INSTRUMENT);
    assert_eq!(outcome.message.as_str(), "this broker has no exchange NYSE");
    assert_eq!(bench.subscribe_depth(2, "NSE", "X", Mode::Depth, 50).depth, 20);
}

#[test]
fn after_a_loss_everything_is_subscribed_again_in_one_message() {
    let venue = Venue::start();
    let bench = bench(&venue);
    for instrument in 1..=3 {
        bench.subscribe(instrument, "NSE", "S", Mode::Ltp);
    }
    bench.unsubscribe(&[2]);
    venue.wait_until_subscribed(3);
    venue.drop_connection();
    bench.wait_for("a second connection", |heard| {
        let connected = heard.statuses.iter().filter(|event| event.kind == StatusKind::CONNECTED).count();
        (connected >= 2).then_some(())
    });
    assert_eq!(venue.wait_for_first_subscribe(2), [1, 3]);
    venue.send(&json!({"id": 3, "ltp": 1.0}));
    bench.wait_for_ticks(3, 1);
    assert_eq!(bench.health().connects, 2);
}

#[test]
fn refused_credentials_are_tried_twice_and_new_ones_at_once() {
    let venue = Venue::start();
    let config = json!({"ws_url": venue.url()}).to_string();
    let bench = Bench::start_with::<JsonBroker>(&config, r#"{"token":"stale"}"#).unwrap();
    let failed = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert_eq!((failed.code, failed.retry_in_ms), (ErrorCode::AUTH, 0));
    assert_eq!(venue.log_ins(), 2);
    assert_eq!(bench.subscribe(7, "NSE", "SBIN", Mode::Ltp).code, OutcomeCode::ACCEPTED);
    bench.change_credentials(r#"{"token":"good"}"#);
    bench.wait_for_status(StatusKind::CONNECTED);
    assert_eq!(venue.log_ins(), 3);
    venue.wait_until_subscribed(7);
}

#[test]
fn a_subscribe_is_answered_while_the_broker_is_slow() {
    let venue = Venue::start();
    venue.hold_log_ins();
    let bench = bench(&venue);
    assert_eq!(bench.subscribe(7, "NSE", "SBIN", Mode::Ltp).code, OutcomeCode::ACCEPTED);
    assert!(bench.heard().statuses.iter().all(|event| event.kind != StatusKind::CONNECTED));
    venue.let_log_in();
    venue.wait_until_subscribed(7);
}

#[test]
fn what_cannot_be_decoded_is_counted_and_skipped() {
    let venue = Venue::start();
    let bench = bench(&venue);
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    venue.wait_until_subscribed(7);
    venue.send(&json!("nonsense"));
    venue.send(&json!({"id": 7, "ltp": 2.0}));
    bench.wait_for_ticks(7, 1);
    assert_eq!(bench.health().undecodable, 1);
}

#[test]
fn a_refusal_that_comes_late_reaches_the_host() {
    let venue = Venue::start();
    let bench = bench(&venue);
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    venue.wait_until_subscribed(7);
    venue.send(&json!({"id": 7, "refused": "no entitlement"}));
    let outcome = bench.wait_for("a refusal", |heard| {
        heard.outcomes.iter().find(|(request, _)| *request == 0).map(|(_, outcome)| outcome.clone())
    });
    assert_eq!((outcome.code, outcome.message.as_str()), (OutcomeCode::REFUSED, "no entitlement"));
}

#[test]
fn a_panic_ends_the_instance_and_nothing_else() {
    let venue = Venue::start();
    let bench = bench(&venue);
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    venue.wait_until_subscribed(7);
    venue.send(&json!({"id": 7, "panic": true}));
    let failed = bench.wait_for_status(StatusKind::FAILED);
    assert_eq!(failed.code, ErrorCode::PANICKED);
    assert!(failed.message.contains("asked to panic"), "{failed:?}");
    assert!(bench.heard().logs.iter().any(|(_, line)| line.starts_with("panic:")));
}

#[test]
fn a_bad_setting_is_refused_with_the_adapters_sentence() {
    let refused = Bench::start::<JsonBroker>(r#"{"ws_url":"http://x"}"#).unwrap_err();
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        (ErrorCode::CONFIG, "ws_url must begin with ws:// or wss://")
    );
    let unknown = Bench::start::<JsonBroker>(r#"{"ws_url":"ws://x","color":1}"#).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `color`"), "{unknown}");
}

#[test]
fn an_instance_ends_at_once_when_it_is_told_to() {
    let venue = Venue::start();
    venue.hold_log_ins();
    let bench = bench(&venue);
    assert!(bench.shut_down(Duration::from_secs(5)));
    bench.wait_for_status(StatusKind::STOPPED);
}
