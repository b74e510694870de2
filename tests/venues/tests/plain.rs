//! The venues as a plain WebSocket client sees them: what they send, what they refuse, and what goes wrong on request.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test reports by panicking"
)]

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
async fn kite_sends_the_state_after_subscribe_and_mode() {
    let venue = kite().await;
    let mut socket = to_kite(&venue, "token").await.unwrap();
    assert_eq!(text(&mut socket).await["type"], "instruments_meta");
    assert_eq!(text(&mut socket).await["type"], "app_code");
    say(&mut socket, r#"{"a":"subscribe","v":[408065,"738561"]}"#).await;
    // A token that is written as a text is passed over.
    let quote = packets(&mut socket).await;
    assert_eq!((quote.len(), &quote[..8]), (48, &[0, 1, 0, 44, 0, 6, 0x3a, 1][..]));
    say(&mut socket, r#"{"a":"mode","v":["full",[408065,256265]]}"#).await;
    let full = packets(&mut socket).await;
    assert_eq!(full.len(), 2 + 2 + 184 + 2 + 32);
    let sent = venue.sent("NSE", "INFY", Mode::Full).unwrap();
    assert_eq!(full[8..12], u32::try_from(sent.ltp / 10_000_000).unwrap().to_be_bytes());
    let report = venue.report();
    assert_eq!((report.subscribes, report.subscribed.len()), (vec![1], 2));
}

#[tokio::test]
async fn kite_beats_without_subscriptions() {
    let venue = kite().await;
    let mut socket = to_kite(&venue, "token").await.unwrap();
    loop {
        if let Message::Binary(bytes) = next(&mut socket).await {
            assert_eq!(bytes.len(), 1);
            break;
        }
    }
}

#[tokio::test]
async fn kite_refuses_as_the_broker_does() {
    let venue = kite().await;
    let refused = refusal(to_kite(&venue, "other").await);
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.body().as_deref(), Some(&b"Authentication failed"[..]));
    let _open = [to_kite(&venue, "token").await.unwrap(), to_kite(&venue, "token").await.unwrap()];
    let _third = to_kite(&venue, "token").await.unwrap();
    assert_eq!(refusal(to_kite(&venue, "token").await).status(), 429);
    let url = format!("ws://{}/?api_key=key", venue.address());
    assert_eq!(refusal(connect_async(url).await.map(|(socket, _)| socket)).status(), 400);
    assert_eq!(venue.report().log_ins, [false, true, true, true]);
}

#[tokio::test]
async fn kite_takes_three_thousand_instruments_and_no_more() {
    let venue =
        zerodha::Venue::start(Options { instruments: 6_000, ..still() }.accepting(&KITE)).await.unwrap();
    let mut socket = to_kite(&venue, "token").await.unwrap();
    let keys: Vec<u64> =
        venue.some("NFO", 3_001).iter().map(|one| venue.key("NFO", &one.symbol).unwrap()).collect();
    assert!(keys.len() > 600);
    let more = venue.some("NSE", 4_000);
    let keys: Vec<u64> =
        keys.into_iter().chain(more.iter().map(|one| venue.key("NSE", &one.symbol).unwrap())).collect();
    let bse = venue.some("BSE", 4_000);
    let all: Vec<u64> =
        keys.into_iter().chain(bse.iter().map(|one| venue.key("BSE", &one.symbol).unwrap())).collect();
    assert!(all.len() > 3_000);
    say(&mut socket, format!(r#"{{"a":"subscribe","v":{:?}}}"#, &all[..3_000])).await;
    say(&mut socket, format!(r#"{{"a":"subscribe","v":{:?}}}"#, &all[3_000..3_001])).await;
    loop {
        let message = text(&mut socket).await;
        if message["type"] == "error" {
            assert_eq!(message["data"], "Can't subscribe to more than 3000 instruments.");
            break;
        }
    }
    assert_eq!(venue.report().subscribed.len(), 3_000);
}

#[tokio::test]
async fn kite_lists_instruments_to_those_who_are_logged_in() {
    let venue = kite().await;
    let (head, body) = http(venue.address(), get("/instruments", "")).await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("TokenException"));
    let allowed = "Authorization: token key:token\r\n";
    let (_, plain) = http(venue.address(), get("/instruments/NFO", allowed)).await;
    let plain = String::from_utf8(plain).unwrap();
    assert!(plain.contains(",NIFTY30D2424500CE,\"NIFTY\",0,2030-12-24,24500,0.05,75,CE,NFO-OPT,NFO"));
    let packed = get("/instruments", &format!("{allowed}Accept-Encoding: gzip\r\n"));
    let (head, packed) = http(venue.address(), packed).await;
    assert!(head.contains("content-encoding: gzip"));
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    venue.refuse(Refusal { status: 429, times: 1, is_rest: true });
    let (head, _) = http(venue.address(), get("/instruments", allowed)).await;
    assert!(head.starts_with("http/1.1 429"), "{head}");
}

#[tokio::test]
async fn kite_gives_a_token_for_a_request_token_once() {
    use sha2::{Digest as _, Sha256};
    let venue = kite().await;
    let (head, _) = http(venue.address(), get("/connect/login?v=3&api_key=key", "")).await;
    let ticket = head.split("request_token=").nth(1).unwrap().lines().next().unwrap().to_owned();
    let log_in = |checksum: String| {
        let body = format!("api_key=key&request_token={ticket}&checksum={checksum}");
        http(venue.address(), post("/session/token", "", &body))
    };
    let (head, _) = log_in("0".repeat(64)).await;
    assert!(head.starts_with("http/1.1 403"));
    let checksum = hex::encode(Sha256::digest(format!("key{ticket}secret")));
    let (_, body) = log_in(checksum.clone()).await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let token = body["data"]["access_token"].as_str().unwrap();
    let mut socket = to_kite(&venue, token).await.unwrap();
    assert!(log_in(checksum).await.0.starts_with("http/1.1 403"));
    // It expires for new connections; the old one goes on.
    venue.expire();
    assert_eq!(refusal(to_kite(&venue, token).await).status(), 403);
    say(&mut socket, r#"{"a":"subscribe","v":[408065]}"#).await;
    packets(&mut socket).await;
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
async fn angel_sends_the_state_and_answers_pings() {
    let venue = smart().await;
    let mut socket = to_smart(&venue, "feed").await.unwrap();
    say(&mut socket, "ping").await;
    assert_eq!(next(&mut socket).await, Message::text("pong"));
    let list = r#"[{"exchangeType":1,"tokens":["1594","99926000"]},{"exchangeType":0,"tokens":["1594"]}]"#;
    say(
        &mut socket,
        format!(r#"{{"correlationID":"a","action":1,"params":{{"mode":3,"tokenList":{list}}}}}"#),
    )
    .await;
    // In the order of the venue's list, where indices are first. The exchange type 0 gives silence.
    for expected in ["99926000", "1594"] {
        let packet = packets(&mut socket).await;
        assert_eq!((packet.len(), packet[0], packet[1]), (379, 3, 1));
        assert_eq!(packet[2..].split(|byte| *byte == 0).next(), Some(expected.as_bytes()));
    }
    say(&mut socket, r#"{"correlationID":"b","action":1,"params":{}}"#).await;
    let error = text(&mut socket).await;
    assert_eq!((&error["errorCode"], &error["correlationID"]), (&"E1001".into(), &"b".into()));
}

#[tokio::test]
async fn angel_hangs_up_on_those_who_say_nothing() {
    let patience = Some(Duration::from_millis(400));
    let venue = angel::Venue::start(Options { patience, ..still() }.accepting(&ANGEL)).await.unwrap();
    let mut quiet = to_smart(&venue, "feed").await.unwrap();
    let mut polite = to_smart(&venue, "feed").await.unwrap();
    let began = Instant::now();
    let mut ended = false;
    // One pings until the other has been hung up on.
    while !ended {
        say(&mut polite, "ping").await;
        assert_eq!(next(&mut polite).await, Message::text("pong"));
        let heard = timeout(Duration::from_millis(50), quiet.next()).await;
        ended = matches!(heard, Ok(None | Some(Err(_))));
        assert!(began.elapsed() < SOON);
    }
    assert!(began.elapsed() >= Duration::from_millis(350));
    assert_eq!(venue.report().opened, 2);
}

#[tokio::test]
async fn angel_refuses_as_the_broker_does() {
    let venue = smart().await;
    let refused = refusal(to_smart(&venue, "old").await);
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["x-error-message"], "Invalid Header - Invalid Feed Token");
    let _open = [to_smart(&venue, "feed").await.unwrap(), to_smart(&venue, "feed").await.unwrap()];
    let _third = to_smart(&venue, "feed").await.unwrap();
    let refused = refusal(to_smart(&venue, "feed").await);
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["x-error-message"], "Invalid Request. Connection Limit Exceeded.");
}

#[tokio::test]
async fn angel_takes_a_thousand_pairs_and_no_more() {
    let venue =
        angel::Venue::start(Options { instruments: 6_000, ..still() }.accepting(&ANGEL)).await.unwrap();
    let mut socket = to_smart(&venue, "feed").await.unwrap();
    let tokens: Vec<String> = venue.some("NSE", 1_001).iter().map(|one| one.number.to_string()).collect();
    assert_eq!(tokens.len(), 1_001);
    let ask = |id: &str, tokens: &[String]| {
        let list = format!(r#"[{{"exchangeType":1,"tokens":{tokens:?}}}]"#);
        format!(r#"{{"correlationID":"{id}","action":1,"params":{{"mode":1,"tokenList":{list}}}}}"#)
    };
    say(&mut socket, ask("fits", &tokens[..1_000])).await;
    // What is subscribed is free.
    say(&mut socket, ask("same", &tokens[..10])).await;
    say(&mut socket, ask("over", &tokens[1_000..])).await;
    let error = text(&mut socket).await;
    assert_eq!((&error["errorCode"], &error["correlationID"]), (&"E1002".into(), &"over".into()));
    assert_eq!(venue.report().subscribed.len(), 1_000);
}

#[tokio::test]
async fn angel_logs_in_with_pin_and_one_time_password() {
    let venue = smart().await;
    let headers = "X-UserType: USER\r\nX-SourceID: WEB\r\nX-ClientLocalIP: 127.0.0.1\r\nX-ClientPublicIP: 127.0.0.1\r\n\
                   X-MACAddress: 00:00:00:00:00:00\r\nX-PrivateKey: key\r\n";
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let code = angel::totp(SECRET, now).unwrap();
    let log_in = |pin: &str, code: &str| {
        let body = format!(r#"{{"clientcode":"A1","password":"{pin}","totp":"{code}"}}"#);
        let request = post("/rest/auth/angelbroking/user/v1/loginByPassword", headers, &body);
        let address = venue.address();
        async move { serde_json::from_slice::<serde_json::Value>(&http(address, request).await.1).unwrap() }
    };
    assert_eq!(log_in("9999", &code).await["errorcode"], "AB1007");
    assert_eq!(log_in("1234", "abcdef").await["errorcode"], "AB1050");
    let good = log_in("1234", &code).await;
    let renewal = format!(r#"{{"refreshToken":{}}}"#, good["data"]["refreshToken"]);
    let request = post("/rest/auth/angelbroking/jwt/v1/generateTokens", headers, &renewal);
    let (_, body) = http(venue.address(), request).await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    to_smart(&venue, body["data"]["feedToken"].as_str().unwrap()).await.unwrap();
    let (_, list) = http(venue.address(), get("/OpenAPI_File/files/OpenAPIScripMaster.json", "")).await;
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap();
    assert!(list.iter().any(|one| one["symbol"] == "M&M-EQ" && one["tick_size"] == "5.000000"));
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

/// An account may have its JWT under any of the names that log-ins look for; none of them outlives the day.
#[tokio::test]
async fn an_expired_jwt_opens_no_order_socket_either() {
    for name in ["access_token", "jwt_token", "auth_token", "jwt"] {
        let account = [("client_code", "A1"), (name, "the-jwt")];
        let venue = angel::Venue::start(still().accepting(&account)).await.unwrap();
        let connect = async || {
            let url = format!("ws://{}/smart-order-update", venue.address());
            let mut request = url.into_client_request().unwrap();
            request.headers_mut().insert("authorization", "Bearer the-jwt".parse().unwrap());
            connect_async(request).await.map(|(socket, _)| socket)
        };
        drop(connect().await.unwrap());
        venue.expire();
        assert_eq!(refusal(connect().await).status(), 401, "{name}");
    }
}
