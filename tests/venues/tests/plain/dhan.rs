//! What Dhan sends and refuses.

mod login;

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message},
};
use venues::{Level, Mode, Options, Values, dhan, price};

use super::{SECRET, SOON, Socket, ended, next, packets, refusal, say, still};

const CLIENT: &str = "1000000001";

const DHAN: [(&str, &str); 6] = [
    ("client_id", CLIENT),
    ("access_token", "token"),
    ("pin", "123456"),
    ("totp_secret", SECRET),
    ("api_key", "app"),
    ("api_secret", "secret"),
];

/// Paths of the feeds, as the adapter's settings have them.
const TWENTY: &str = "/twentydepth";
const TWO_HUNDRED: &str = "/twohundreddepth";

async fn started(options: Options) -> dhan::Venue {
    dhan::Venue::start(options.accepting(&DHAN)).await.unwrap()
}

async fn connect(venue: &dhan::Venue, path: &str, token: &str) -> Result<Socket, Error> {
    let version = if path == "/" { "version=2&" } else { "" };
    let query = format!("{version}token={token}&clientId={CLIENT}&authType=2");
    connect_async(format!("ws://{}{path}?{query}", venue.address())).await.map(|(socket, _)| socket)
}

async fn live(venue: &dhan::Venue) -> Socket {
    connect(venue, "/", "token").await.unwrap()
}

/// A subscription, or its end.
fn ask(code: u8, instruments: &[(&str, &str)]) -> String {
    let one = |(segment, id): &(&str, &str)| json!({ "ExchangeSegment": segment, "SecurityId": id });
    let list: Vec<Value> = instruments.iter().map(one).collect();
    json!({ "RequestCode": code, "InstrumentCount": list.len(), "InstrumentList": list }).to_string()
}

/// What comes next on a connection, and its end after it.
async fn last(mut socket: Socket) -> Vec<u8> {
    let packet = packets(&mut socket).await;
    let end = timeout(SOON, socket.next()).await.expect("an end in time");
    // Without a close frame.
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    packet
}

/// Reads a connection that ends with a reason.
async fn reason(socket: Socket) -> u16 {
    let packet = last(socket).await;
    assert_eq!((packet.len(), packet[0], packet[1]), (10, 50, 10));
    u16::from_le_bytes([packet[8], packet[9]])
}

/// Asserts that nothing but pings comes before an answer to what is asked now, which is a ticker of INFY.
async fn is_silent(socket: &mut Socket) {
    say(socket, ask(15, &[("NSE_EQ", "1594")])).await;
    let first = packets(socket).await;
    assert_eq!(first[4..8], 1594_u32.to_le_bytes(), "{first:?}");
    assert_eq!(packets(socket).await[0], 2);
}

#[tokio::test]
async fn dhan_sends_the_state_in_packets_of_their_own() {
    let venue = started(still()).await;
    let mut socket = live(&venue).await;
    let future = venue.instrument("NFO", "NIFTY24DEC30FUT").unwrap();
    let id = future.number.to_string();
    say(&mut socket, ask(17, &[("NSE_FNO", &id), ("NSE_EQ", "2885"), ("IDX_I", "13")])).await;
    // The previous close of each, its quote, and the open interest of what has one.
    let mut seen = Vec::new();
    for _ in 0..7 {
        let packet = packets(&mut socket).await;
        assert_eq!(usize::from(u16::from_le_bytes([packet[1], packet[2]])), packet.len());
        seen.push((packet[0], packet[3], u32::from_le_bytes(packet[4..8].try_into().unwrap())));
        if packet[0] == 4 && packet[3] == 2 {
            let sent = venue.sent("NFO", "NIFTY24DEC30FUT", Mode::Quote).unwrap();
            let time = u32::try_from(sent.last_trade_ts_ns / 1_000_000_000 + 19_800).unwrap();
            assert_eq!(packet[14..18], time.to_le_bytes());
        }
    }
    let number = future.number;
    let expected =
        [(6, 2, number), (4, 2, number), (5, 2, number), (6, 1, 2885), (4, 1, 2885), (6, 0, 13), (4, 0, 13)];
    assert_eq!(seen, expected);
    // The previous close came once.
    venue.trade();
    let mut codes = Vec::new();
    for _ in 0..4 {
        codes.push(packets(&mut socket).await[0]);
    }
    codes.sort_unstable();
    assert_eq!(codes, [4, 4, 4, 5]);
    let report = venue.report();
    assert_eq!((report.subscribes, report.subscribed.len()), (vec![3], 3));
    // An end of another mode is none of this one.
    say(&mut socket, ask(16, &[("NSE_EQ", "2885")])).await;
    say(&mut socket, ask(18, &[("NSE_FNO", &id), ("IDX_I", "13")])).await;
    say(&mut socket, ask(21, &[("NSE_EQ", "2885")])).await;
    assert_eq!([packets(&mut socket).await[0], packets(&mut socket).await[0]], [6, 8]);
    venue.trade();
    assert_eq!([packets(&mut socket).await.len(), packets(&mut socket).await.len()], [50, 162]);
}

#[tokio::test]
async fn dhan_says_nothing_of_what_it_does_not_take() {
    let venue = started(still()).await;
    let mut socket = live(&venue).await;
    say(&mut socket, r#"{"RequestCode":15,"InstrumentCount":1,"InstrumentList":[{"ExchangeSegment":"NSE_EQ","SecurityId":2885}]}"#).await;
    say(
        &mut socket,
        ask(15, &[("NSE_EQ", "1"), ("NSE_FNO", "2885"), ("NSE", "2885"), ("NSE_EQ", "RELIANCE")]),
    )
    .await;
    say(&mut socket, ask(16, &[("NSE_EQ", "2885")])).await;
    is_silent(&mut socket).await;
    assert_eq!(venue.report().subscribed.len(), 1);
}

#[tokio::test]
async fn dhan_ends_connections_with_bad_requests() {
    let venue = started(Options { instruments: 14_000, ..still() }).await;
    for (text, expected) in [
        ("no JSON".to_owned(), 814),
        (ask(23, &[("NSE_EQ", "2885")]), 814),
        (ask(19, &[("NSE_EQ", "2885")]), 814),
        (r#"{"RequestCode":15,"InstrumentCount":2,"InstrumentList":[]}"#.to_owned(), 814),
        (ask(15, &[("NSE_EQ", "2885"); 101]), 804),
    ] {
        let mut socket = live(&venue).await;
        say(&mut socket, text.clone()).await;
        assert_eq!(reason(socket).await, expected, "{text}");
    }
    let mut socket = live(&venue).await;
    let some = [venue.some("NSE", 2_500), venue.some("BSE", 2_501)].concat();
    let ids: Vec<(&str, String)> = some
        .iter()
        .map(|one| (if one.exchange == "NSE" { "NSE_EQ" } else { "BSE_EQ" }, one.number.to_string()))
        .collect();
    let ids: Vec<(&str, &str)> = ids.iter().map(|(segment, id)| (*segment, id.as_str())).collect();
    assert_eq!(ids.len(), 5_001);
    for hundred in ids[..5_000].chunks(100) {
        say(&mut socket, ask(15, hundred)).await;
        for _ in 0..200 {
            packets(&mut socket).await;
        }
    }
    // What is subscribed takes no other place.
    say(&mut socket, ask(15, &ids[..100])).await;
    for _ in 0..200 {
        packets(&mut socket).await;
    }
    let report = venue.report();
    assert_eq!((report.subscribed.len(), report.subscribes), (5_000, vec![100; 51]));
    say(&mut socket, ask(15, &ids[5_000..])).await;
    assert_eq!(reason(socket).await, 804);
}

#[tokio::test]
async fn dhan_drops_the_oldest_of_six_connections() {
    let venue = started(still()).await;
    let oldest = connect(&venue, TWENTY, "token").await.unwrap();
    let mut others = Vec::new();
    for path in ["/", "/", TWO_HUNDRED, "/"] {
        others.push(connect(&venue, path, "token").await.unwrap());
    }
    others.push(live(&venue).await);
    let packet = last(oldest).await;
    assert_eq!(
        packet,
        [&[14, 0, 50, 0, 0, 0, 0, 0][..], &805_u32.to_le_bytes(), &805_u16.to_le_bytes()].concat()
    );
    is_silent(&mut others[0]).await;
    is_silent(&mut others[4]).await;
    assert_eq!(venue.report().opened, 6);
}

#[tokio::test]
async fn dhan_refuses_after_the_handshake() {
    let venue = started(still()).await;
    assert_eq!(reason(connect(&venue, "/", "other").await.unwrap()).await, 809);
    let url = |query: &str| format!("ws://{}/?version=2&authType=2&{query}", venue.address());
    for query in ["token=token&clientId=1000000002", "token=token&clientId=me", "token=token"] {
        assert_eq!(reason(connect_async(url(query)).await.unwrap().0).await, 810, "{query}");
    }
    let no_version = format!("ws://{}/?authType=2&token=token&clientId={CLIENT}", venue.address());
    assert_eq!(refusal(connect_async(no_version).await.map(|one| one.0)).status(), 400);
    assert_eq!(refusal(connect(&venue, "/depth", "token").await).status(), 404);
    venue.own(&json!({ "silent": true })).unwrap();
    let mut silent = connect(&venue, "/", "other").await.unwrap();
    let end = timeout(SOON, silent.next()).await.unwrap();
    assert!(matches!(end, None | Some(Err(_))), "{end:?}");
    venue.own(&json!({ "silent": false })).unwrap();

    let mut open = live(&venue).await;
    venue.expire();
    is_silent(&mut open).await;
    assert_eq!(reason(connect(&venue, "/", "token").await.unwrap()).await, 807);
    let packet = last(connect(&venue, TWENTY, "token").await.unwrap()).await;
    assert_eq!((packet.len(), packet[2], &packet[12..]), (14, 50, &807_u16.to_le_bytes()[..]));
    venue.accept(vec![[("access_token".to_owned(), "new".to_owned())].into()]);
    connect(&venue, "/", "new").await.unwrap();
    assert_eq!(reason(connect(&venue, "/", "token").await.unwrap()).await, 807);
    venue.own(&json!({ "data_plan": false })).unwrap();
    assert_eq!(reason(open).await, 806);
    assert_eq!(reason(connect(&venue, "/", "new").await.unwrap()).await, 806);
    let accepted = venue.report().log_ins.iter().filter(|is_good| **is_good).count();
    assert_eq!((accepted, venue.report().log_ins.len()), (2, 11));
}

#[tokio::test]
async fn dhan_sends_twenty_levels_and_does_not_stop() {
    let venue = started(still()).await;
    let mut market = live(&venue).await;
    say(&mut market, ask(17, &[("NSE_EQ", "2885")])).await;
    packets(&mut market).await;
    let mut socket = connect(&venue, TWENTY, "token").await.unwrap();
    let asked = [("NSE_EQ", "2885"), ("BSE_EQ", "502885"), ("NSE_EQ", "1594")];
    say(&mut socket, ask(23, &asked)).await;
    let message = packets(&mut socket).await;
    // Bids and asks of two; the other segment has no such books.
    let heads: Vec<&[u8]> = message.chunks(332).map(|packet| &packet[..8]).collect();
    let head = |code: u8, id: u32| [&[0x4c, 1, code, 1][..], &id.to_le_bytes()].concat();
    assert_eq!(heads, [head(41, 2885), head(51, 2885), head(41, 1594), head(51, 1594)]);
    let sent = venue.sent("NSE", "RELIANCE", Mode::Deep(20)).unwrap();
    assert_eq!((sent.bids.len(), sent.asks.len()), (20, 20));
    let level = sent.bids[19];
    let place = 12 + 19 * 16;
    #[expect(clippy::cast_precision_loss, reason = "prices of a share")]
    let price = (level.price / 10_000_000) as f64 / 100.0;
    assert_eq!(message[place..place + 8], price.to_le_bytes());
    assert_eq!(message[place + 8..place + 12], u32::try_from(level.quantity).unwrap().to_le_bytes());
    assert_eq!(message[place + 12..place + 16], level.orders.to_le_bytes());
    let mode_of = |symbol: &str| {
        let report = venue.report();
        report.subscribed.into_iter().find(|one| one.symbol == symbol).map(|one| one.mode)
    };
    assert_eq!((mode_of("RELIANCE").as_deref(), mode_of("INFY").as_deref()), (Some("depth"), Some("depth")));
    // Both codes end a subscription in name only.
    say(&mut socket, ask(24, &asked[..1])).await;
    say(&mut socket, ask(25, &asked[2..])).await;
    say(&mut socket, ask(23, &[("NSE_EQ", "3045")])).await;
    assert_eq!(packets(&mut socket).await.len(), 664);
    assert_eq!((mode_of("RELIANCE").as_deref(), mode_of("INFY")), (Some("quote"), None));
    venue.trade();
    assert_eq!(packets(&mut socket).await.len(), 3 * 664);
    // And they keep their places.
    let some: Vec<String> = venue.some("NFO", 48).iter().map(|one| one.number.to_string()).collect();
    let some: Vec<(&str, &str)> = some.iter().map(|id| ("NSE_FNO", id.as_str())).collect();
    say(&mut socket, ask(23, &some[..47])).await;
    assert_eq!(packets(&mut socket).await.len(), 47 * 664);
    say(&mut socket, ask(23, &some[47..])).await;
    let packet = last(socket).await;
    assert_eq!((packet.len(), &packet[12..]), (14, &804_u16.to_le_bytes()[..]));
}

#[tokio::test]
async fn dhan_sends_two_hundred_levels_of_one() {
    let venue = started(still()).await;
    let one =
        |id: &str| json!({ "RequestCode": 23, "ExchangeSegment": "NSE_EQ", "SecurityId": id }).to_string();
    let mut socket = connect(&venue, TWO_HUNDRED, "token").await.unwrap();
    // A list is not for this feed.
    say(&mut socket, ask(23, &[("NSE_EQ", "1594")])).await;
    say(&mut socket, one("2885")).await;
    let message = packets(&mut socket).await;
    assert_eq!(message.len(), 2 * 3_212);
    assert_eq!(message[..12], [0x8c, 0x0c, 41, 1, 0x45, 0x0b, 0, 0, 200, 0, 0, 0]);
    assert_eq!(message[3_214], 51);
    // A book that is not full: its rows are counted, and may be padded or not.
    let level = |text: &str| Level { price: price(text).unwrap(), quantity: 7, orders: 2 };
    let book = Values {
        bids: [level("1290.05"), level("1290")].into_iter().collect(),
        asks: [level("1290.1")].into_iter().collect(),
        ..Values::default()
    };
    venue.send(&[("NSE", "RELIANCE", Mode::Full, book)]).unwrap();
    let message = packets(&mut socket).await;
    assert_eq!((message.len(), message[8], message[44 + 8]), (44 + 3_212, 2, 1));
    say(&mut socket, one("1594")).await;
    assert_eq!(last(socket).await[12..], 804_u16.to_le_bytes());
}

#[tokio::test]
async fn dhan_sends_what_is_asked_for_on_the_feeds_that_have_it() {
    let venue = started(Options { snapshots: false, ..still() }).await;
    let mut market = live(&venue).await;
    let mut books = connect(&venue, TWENTY, "token").await.unwrap();
    say(&mut market, ask(17, &[("NSE_EQ", "2885")])).await;
    say(&mut market, ask(21, &[("NSE_EQ", "1594")])).await;
    say(&mut books, ask(23, &[("NSE_EQ", "2885")])).await;
    super::until(|| venue.report().subscribed.iter().filter(|one| one.mode == "depth").count() == 2).await;
    let values = Values { ltp: price("1290.05").unwrap(), ..Values::default() };
    let book = Level { price: values.ltp, quantity: 1, orders: 1 };
    let book = Values { bids: [book].into_iter().collect(), ..values.clone() };
    venue.send(&[("NSE", "RELIANCE", Mode::Full, book.clone())]).unwrap();
    assert_eq!(packets(&mut market).await.len(), 50);
    assert_eq!(packets(&mut books).await.len(), 664);
    venue.send(&[("NSE", "RELIANCE", Mode::Ltp, values.clone())]).unwrap();
    assert_eq!(packets(&mut market).await.len(), 16);
    // Several at once are stacked.
    let close = Values { close: price("1280").unwrap(), ..values.clone() };
    venue.send(&[("NSE", "INFY", Mode::Full, book), ("NSE", "RELIANCE", Mode::Quote, close)]).unwrap();
    assert_eq!(packets(&mut market).await.len(), 162 + 16 + 50);
    let stray = values.clone();
    venue.stray(&[("BSE", "INFY", Mode::Ltp, values)]).unwrap();
    assert_eq!(packets(&mut market).await[3..8], [4, 0x5a, 0xa7, 7, 0]);
    // What was subscribed before is late, and what is subscribed now counts.
    say(&mut market, ask(22, &[("NSE_EQ", "1594")])).await;
    super::until(|| venue.report().subscribed.len() == 1).await;
    venue.send(&[("NSE", "INFY", Mode::Full, stray.clone())]).unwrap();
    assert_eq!(packets(&mut market).await.len(), 162);
    say(&mut market, ask(17, &[("NSE_EQ", "1594")])).await;
    super::until(|| venue.report().subscribed.len() == 2).await;
    venue.send(&[("NSE", "INFY", Mode::Full, stray)]).unwrap();
    assert_eq!(packets(&mut market).await.len(), 50);
    venue.set_stacked(true);
    venue.trade();
    assert_eq!(packets(&mut market).await.len(), 2 * 50);
    for (command, expected) in [
        (json!({ "notice": 805 }), [50, 10, 0, 0, 0, 0, 0, 0, 0x25, 3].to_vec()),
        (json!({ "market_status": "MCX_COMM" }), vec![7, 8, 0, 5, 0, 0, 0, 0]),
        (json!({ "unknown": { "code": 1, "bytes": 10 } }), vec![1, 10, 0, 0, 13, 0, 0, 0, b'#', b'#']),
        (json!({ "unknown": { "code": 0, "bytes": 8 } }), vec![0, 8, 0, 0, 0, 0, 0, 0]),
    ] {
        venue.own(&command).unwrap();
        assert_eq!(packets(&mut market).await, expected, "{command}");
    }
    assert!(venue.own(&json!({ "market_status": "NSE" })).is_err());
    venue.end(800);
    assert_eq!(reason(market).await, 800);
}

#[tokio::test]
async fn dhan_takes_a_goodbye_with_a_binary_tail() {
    let venue = started(still()).await;
    let mut socket = live(&venue).await;
    say(&mut socket, ask(15, &[("NSE_EQ", "2885")])).await;
    packets(&mut socket).await;
    say(&mut socket, r#"{"RequestCode":12}"#).await;
    socket.send(Message::binary(vec![12; 83])).await.unwrap();
    super::until(|| venue.report().subscribed.is_empty()).await;
    socket.close(None).await.unwrap();
    ended(&mut socket).await;
    super::until(|| venue.report().open == 0).await;
}

#[tokio::test]
async fn dhan_pings_and_hangs_up_on_those_who_do_not_answer() {
    let patience = Some(Duration::from_secs(1));
    let venue = started(Options { patience, heartbeat: Some(Duration::from_millis(100)), ..still() }).await;
    let (mut polite, mut busy) = (live(&venue).await, live(&venue).await);
    let began = Instant::now();
    assert!(matches!(next(&mut polite).await, Message::Ping(_)));
    assert!(matches!(next(&mut polite).await, Message::Ping(_)));
    // What is said otherwise is no answer to a ping. One of the two reads nothing, and so does not answer
    // any.
    while venue.report().open == 2 {
        _ = busy.send(Message::text(ask(16, &[]))).await;
        _ = timeout(Duration::from_millis(50), polite.next()).await;
        assert!(began.elapsed() < SOON);
    }
    assert!(began.elapsed() >= Duration::from_millis(900));
    is_silent(&mut polite).await;
}
