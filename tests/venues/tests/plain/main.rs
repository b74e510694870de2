//! The venues as a plain WebSocket client sees them: what they send, what they refuse, and what goes wrong on
//! request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test reports by panicking"
)]

mod dhan;
mod fyers;
mod kite;
mod smartapi;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::Response},
};
use venues::{Mode, Options, Refusal, Values, angel, price, zerodha};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Longest wait for what should happen at once.
const SOON: Duration = Duration::from_secs(10);

const KITE: [(&str, &str); 3] = [("api_key", "key"), ("api_secret", "secret"), ("access_token", "token")];

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

const ANGEL: [(&str, &str); 6] = [
    ("client_code", "A1"),
    ("api_key", "key"),
    ("auth_token", "jwt"),
    ("feed_token", "feed"),
    ("pin", "1234"),
    ("totp_secret", SECRET),
];

fn still() -> Options {
    Options { rate_hz: 0.0, instruments: 0, ..Options::default() }
}

async fn kite() -> zerodha::Venue {
    zerodha::Venue::start(still().accepting(&KITE)).await.unwrap()
}

async fn smart() -> angel::Venue {
    angel::Venue::start(still().accepting(&ANGEL)).await.unwrap()
}

fn refusal(result: Result<Socket, Error>) -> Response<Option<Vec<u8>>> {
    match result {
        Err(Error::Http(response)) => *response,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was let in"),
    }
}

async fn to_kite(venue: &zerodha::Venue, token: &str) -> Result<Socket, Error> {
    let url = format!("ws://{}/?api_key=key&access_token={token}", venue.address());
    connect_async(url).await.map(|(socket, _)| socket)
}

async fn to_smart(venue: &angel::Venue, feed: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{}/smart-stream", venue.address()).into_client_request()?;
    for (name, value) in [
        ("authorization", "Bearer jwt"),
        ("x-api-key", "key"),
        ("x-client-code", "A1"),
        ("x-feed-token", feed),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

async fn next(socket: &mut Socket) -> Message {
    timeout(SOON, socket.next()).await.expect("a message in time").expect("an open connection").unwrap()
}

/// The next binary message that is no heartbeat.
async fn packets(socket: &mut Socket) -> Vec<u8> {
    loop {
        if let Message::Binary(bytes) = next(socket).await
            && bytes.len() > 1
        {
            return bytes.to_vec();
        }
    }
}

async fn text(socket: &mut Socket) -> serde_json::Value {
    loop {
        if let Message::Text(text) = next(socket).await {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn say(socket: &mut Socket, text: impl Into<String>) {
    socket.send(Message::text(text.into())).await.unwrap();
}

/// Waits until the connection has ended.
async fn ended(socket: &mut Socket) {
    timeout(SOON, async { while let Some(Ok(_)) = socket.next().await {} }).await.expect("an end in time");
}

/// Waits for something that is about to become so.
async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, wait).await.expect("it in time");
}

/// One request over HTTP, on a connection of its own: status line and headers, and the body.
async fn http(address: std::net::SocketAddr, request: String) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap().to_lowercase(), answer[end + 4..].to_vec())
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: venue\r\nConnection: close\r\n{headers}\r\n")
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: venue\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    )
}

#[tokio::test]
async fn a_nested_list_and_a_disconnect_end_without_a_word() {
    let venue = kite().await;
    let mut socket = to_kite(&venue, "token").await.unwrap();
    say(&mut socket, r#"{"a":"subscribe","v":[[408065]]}"#).await;
    ended(&mut socket).await;
    let mut socket = to_kite(&venue, "token").await.unwrap();
    venue.disconnect();
    ended(&mut socket).await;
}

#[tokio::test]
async fn what_goes_wrong_on_request() {
    let venue = kite().await;
    venue.set_half_open(true);
    assert!(timeout(Duration::from_millis(300), to_kite(&venue, "token")).await.is_err());
    venue.set_half_open(false);
    venue.refuse(Refusal { status: 429, times: 1, is_rest: false });
    assert_eq!(refusal(to_kite(&venue, "token").await).status(), 429);
    venue.set_split(3);
    venue.set_fragmented(true);
    let mut socket = to_kite(&venue, "token").await.unwrap();
    say(&mut socket, r#"{"a":"subscribe","v":[408065]}"#).await;
    assert_eq!(packets(&mut socket).await.len(), 48);
    let stray = Values { ltp: price("830.05").unwrap(), ..Values::default() };
    venue.stray(&[("NSE", "SBIN", Mode::Ltp, stray.clone())]).unwrap();
    assert_eq!(packets(&mut socket).await[4..8], 779_521_u32.to_be_bytes());
    assert_eq!(venue.sent("NSE", "SBIN", Mode::Ltp), Some(stray));
    venue.mute();
    let quiet = timeout(Duration::from_millis(2_500), socket.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    venue.set_storm(Some(Duration::from_millis(100)));
    let began = Instant::now();
    ended(&mut to_kite(&venue, "token").await.unwrap()).await;
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_number_that_is_used_again_names_another_instrument() {
    let venue = kite().await;
    let [one, other] = ["INFY", "SBIN"].map(|symbol| venue.key("NSE", symbol).unwrap());
    venue.reuse("NSE", "INFY", "SBIN").unwrap();
    assert_eq!(venue.key("NSE", "INFY"), Some(other));
    assert_eq!(venue.key("NSE", "SBIN"), Some(one));
}

#[tokio::test]
async fn orders_go_to_those_who_listen_for_them() {
    let order = serde_json::json!({ "order_id": "1", "status": "COMPLETE" });
    let kite = kite().await;
    let mut socket = to_kite(&kite, "token").await.unwrap();
    kite.order(&order);
    kite.text("no JSON");
    loop {
        let message = text(&mut socket).await;
        if message["type"] == "order" {
            assert_eq!(message["data"], order);
            break;
        }
    }
    let smart = smart().await;
    let mut request = format!("ws://{}/smart-order-update", smart.address()).into_client_request().unwrap();
    request.headers_mut().insert("authorization", "Bearer jwt".parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    assert_eq!(text(&mut socket).await["order-status"], "AB00");
    smart.order(&order);
    assert_eq!(text(&mut socket).await["orderData"], order);
}

#[tokio::test]
async fn a_venue_that_is_deaf_answers_nothing_and_still_speaks() {
    let venue = smart().await;
    let mut socket = to_smart(&venue, "feed").await.unwrap();
    say(&mut socket, "ping").await;
    assert_eq!(next(&mut socket).await, Message::text("pong"));
    venue.deafen();
    // The order and this text pass through the connection's queue, one after the other.
    venue.text("now");
    assert_eq!(next(&mut socket).await, Message::text("now"));
    say(&mut socket, "ping").await;
    assert!(timeout(Duration::from_millis(300), socket.next()).await.is_err());
}

#[tokio::test]
async fn the_report_is_about_the_newest_connection() {
    let kite = kite().await;
    let (mut old, mut new) = (to_kite(&kite, "token").await.unwrap(), to_kite(&kite, "token").await.unwrap());
    say(&mut old, r#"{"a":"subscribe","v":[408065]}"#).await;
    packets(&mut old).await;
    let report = kite.report();
    assert_eq!((report.subscribes, report.subscribed.len()), (vec![], 0));
    say(&mut new, r#"{"a":"subscribe","v":[408065,256265]}"#).await;
    packets(&mut new).await;
    let report = kite.report();
    assert_eq!((report.subscribes, report.subscribed.len()), (vec![2], 2));

    let smart = smart().await;
    let (mut old, mut new) =
        (to_smart(&smart, "feed").await.unwrap(), to_smart(&smart, "feed").await.unwrap());
    let request = r#"{"action":1,"params":{"mode":1,"tokenList":[{"exchangeType":1,"tokens":["1594"]}]}}"#;
    say(&mut old, request).await;
    packets(&mut old).await;
    assert_eq!(smart.report().subscribes, Vec::<u64>::new());
    say(&mut new, request).await;
    packets(&mut new).await;
    assert_eq!(smart.report().subscribes, [1]);
}
