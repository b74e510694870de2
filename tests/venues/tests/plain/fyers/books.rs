//! Fyers: the TBT socket.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use venues::{Level, Mode, Values, fyers, price};

use super::{
    super::{get, http, next, refusal},
    APP, Socket, dial, frame, token, venue,
};

fn authorization() -> String {
    format!("{APP}:{}", token("key"))
}

async fn connected(venue: &fyers::Venue) -> Socket {
    dial(venue, "/versova", Some(&authorization())).await.unwrap()
}

async fn say(socket: &mut Socket, value: &Value) {
    super::super::say(socket, value.to_string()).await;
}

fn subscription(subs: i8, symbols: &[&str], channel: &str) -> Value {
    json!({ "type": 1, "data": { "subs": subs, "symbols": symbols, "mode": "depth", "channel": channel } })
}

fn switch(resumed: &[&str], paused: &[&str]) -> Value {
    json!({ "type": 2, "data": { "resumeChannels": resumed, "pauseChannels": paused } })
}

/// A field of a message: a number, or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        number |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            return number;
        }
    }
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let number = varint(&mut bytes);
        let field = if key & 7 == 2 {
            let (value, rest) = bytes.split_at(usize::try_from(number).unwrap());
            bytes = rest;
            Field::Bytes(value.to_vec())
        } else {
            Field::Number(number)
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn inner(fields: &[(u64, Field)], id: u64) -> Option<Vec<u8>> {
    fields.iter().find_map(|(found, field)| match field {
        Field::Bytes(bytes) if *found == id => Some(bytes.clone()),
        _ => None,
    })
}

fn number(fields: &[(u64, Field)], id: u64) -> u64 {
    let found = fields.iter().find(|field| field.0 == id);
    found
        .map_or(0, |(_, field)| if let Field::Number(number) = field { *number } else { panic!("{field:?}") })
}

/// A number in a message of its own.
fn wrapped(message: &[(u64, Field)], id: u64) -> Option<u64> {
    inner(message, id).map(|bytes| number(&fields(&bytes), 1))
}

/// Price, quantity and orders of a row, as far as they changed.
type Row = (Option<u64>, Option<u64>, Option<u64>);

/// What a message says of one book.
#[derive(Debug)]
struct Book {
    ticker: String,
    is_snapshot: bool,
    sequence: u64,
    total: (Option<u64>, Option<u64>),
    asks: BTreeMap<u64, Row>,
    bids: BTreeMap<u64, Row>,
}

fn books(bytes: &[u8]) -> Vec<Book> {
    let message = fields(bytes);
    assert_eq!((number(&message, 1), number(&message, 5)), (6, 0));
    let entries = message.iter().filter(|field| field.0 == 2);
    let book = |(_, field): &(u64, Field)| {
        let Field::Bytes(entry) = field else { panic!("{field:?}") };
        let feed = fields(&inner(&fields(entry), 2).unwrap());
        let depth = fields(&inner(&feed, 5).unwrap());
        let side = |id: u64| -> BTreeMap<u64, Row> {
            let levels = depth.iter().filter(|field| field.0 == id).map(|(_, field)| {
                let Field::Bytes(level) = field else { panic!("{field:?}") };
                let level = fields(level);
                let row = (wrapped(&level, 1), wrapped(&level, 2), wrapped(&level, 3));
                (wrapped(&level, 4).unwrap(), row)
            });
            levels.collect()
        };
        assert_eq!(number(&feed, 10), number(&message, 3));
        Book {
            ticker: String::from_utf8(inner(&feed, 11).unwrap()).unwrap(),
            is_snapshot: number(&message, 3) == 1,
            sequence: number(&feed, 9),
            total: (wrapped(&depth, 1), wrapped(&depth, 2)),
            asks: side(3),
            bids: side(4),
        }
    };
    entries.map(book).collect()
}

async fn book(socket: &mut Socket) -> Book {
    let mut all = books(&frame(socket).await);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Text of an answer, and whether it is an error.
async fn answer(socket: &mut Socket) -> (String, bool) {
    let message = fields(&frame(socket).await);
    assert_eq!(number(&message, 1), 8);
    (String::from_utf8(inner(&message, 4).unwrap()).unwrap(), number(&message, 5) == 1)
}

/// Nothing comes before the answer to a ping.
async fn is_quiet(socket: &mut Socket) -> bool {
    super::super::say(socket, "ping").await;
    next(socket).await == Message::text("pong")
}

fn row(level: &Level) -> Row {
    let number = |number: i64| u64::try_from(number).ok();
    (number(level.price / 10_000_000), number(level.quantity), Some(level.orders.into()))
}

#[tokio::test]
async fn the_handshake_needs_what_the_other_socket_must_not_have() {
    let venue = venue().await;
    for wrong in [None, Some(token("key")), Some(format!("{APP}:{}", token("other")))] {
        assert_eq!(refusal(dial(&venue, "/versova", wrong.as_deref()).await).status(), 401);
    }
    let headers = format!("Authorization: {}\r\n", authorization());
    let (_, found) = http(venue.address(), get("/indus/home/tbtws", &headers)).await;
    let found: Value = serde_json::from_slice(&found).unwrap();
    assert_eq!(found["data"]["socket_url"], "ws://venue/versova");
    let (head, _) = http(venue.address(), get("/indus/home/tbtws", "")).await;
    assert!(head.starts_with("http/1.1 401"), "{head}");
    let mut open = [connected(&venue).await, connected(&venue).await, connected(&venue).await];
    assert_eq!(refusal(dial(&venue, "/versova", Some(&authorization())).await).status(), 429);
    assert!(is_quiet(&mut open[0]).await);
    // They are beside the connections of the other socket.
    super::connected(&venue).await;
}

#[tokio::test]
async fn a_channel_has_to_be_resumed_and_begins_with_the_whole_book() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    say(&mut socket, &subscription(1, &["NSE:SBIN-EQ"], "1")).await;
    assert_eq!(answer(&mut socket).await, ("subscribed".to_owned(), false));
    venue.trade();
    assert!(is_quiet(&mut socket).await);
    say(&mut socket, &switch(&["1"], &[])).await;
    let whole = book(&mut socket).await;
    let sent = venue.sent("NSE", "SBIN", Mode::Deep(50)).unwrap();
    assert_eq!((whole.ticker.as_str(), whole.is_snapshot, whole.sequence), ("NSE:SBIN-EQ", true, 1));
    assert_eq!((whole.asks.len(), whole.bids.len()), (50, 50));
    for (rows, side) in [(&whole.asks, &sent.asks), (&whole.bids, &sent.bids)] {
        let expected: Vec<Row> = side.iter().map(row).collect();
        assert_eq!(rows.values().copied().collect::<Vec<_>>(), expected);
    }
    venue.trade();
    let now = venue.sent("NSE", "SBIN", Mode::Deep(50)).unwrap();
    let change = book(&mut socket).await;
    assert_eq!((change.is_snapshot, change.sequence), (false, 2));
    assert_eq!(change.total.0, u64::try_from(now.total_buy_quantity).ok());
    for (place, found) in &change.bids {
        let place = usize::try_from(*place).unwrap();
        let (old, new) = (row(&sent.bids[place]), row(&now.bids[place]));
        let changed = |old: Option<u64>, new: Option<u64>| new.filter(|_| old != new);
        assert_eq!(*found, (changed(old.0, new.0), changed(old.1, new.1), changed(old.2, new.2)));
    }
    say(&mut socket, &switch(&[], &["1"])).await;
    assert!(is_quiet(&mut socket).await);
    venue.trade();
    assert!(is_quiet(&mut socket).await);
    // A change that is lost leaves a gap in the sequence.
    say(&mut socket, &switch(&["1"], &[])).await;
    assert!(is_quiet(&mut socket).await);
    venue.own(&json!({ "lose": 1 })).unwrap();
    venue.trade();
    venue.trade();
    assert_eq!(book(&mut socket).await.sequence, 4);
    say(&mut socket, &subscription(-1, &["NSE:SBIN-EQ"], "1")).await;
    assert_eq!(answer(&mut socket).await, ("unsubscribed".to_owned(), false));
    venue.trade();
    assert!(is_quiet(&mut socket).await);
}

#[tokio::test]
async fn a_connection_has_five_symbols_of_two_exchanges() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    say(&mut socket, &switch(&["2"], &[])).await;
    let five = ["SBIN", "INFY", "TCS", "ITC", "LT"].map(|symbol| format!("NSE:{symbol}-EQ"));
    let five: Vec<&str> = five.iter().map(String::as_str).collect();
    say(&mut socket, &subscription(1, &five[..4], "2")).await;
    assert_eq!(answer(&mut socket).await, ("subscribed".to_owned(), false));
    for _ in 0..4 {
        assert!(book(&mut socket).await.is_snapshot);
    }
    say(&mut socket, &subscription(1, &["NSE:MRF-EQ", "NSE:TITAN-EQ"], "2")).await;
    assert_eq!(answer(&mut socket).await, ("symbol limit reached".to_owned(), true));
    for (wrong, text) in [
        (subscription(1, &["BSE:SBIN-A"], "2"), "invalid symbol"),
        (subscription(1, &["NSE:NOSUCH-EQ"], "2"), "invalid symbol"),
        (subscription(1, &["NSE:LT-EQ"], "51"), "invalid channel"),
        (switch(&["0"], &[]), "invalid channel"),
        (json!({ "type": 3, "data": {} }), "invalid request"),
        (json!({ "type": 1, "data": { "subs": 1 } }), "invalid request"),
    ] {
        say(&mut socket, &wrong).await;
        let mut heard = answer(&mut socket).await;
        if !heard.1 {
            heard = answer(&mut socket).await;
        }
        assert_eq!(heard, (text.to_owned(), true));
    }
    // Messages that may be stacked hold several books.
    venue.set_stacked(true);
    venue.trade();
    let tickers: Vec<String> = books(&frame(&mut socket).await).into_iter().map(|book| book.ticker).collect();
    assert_eq!(tickers.len(), 4);
    assert_eq!(venue.report().subscribed.len(), 0, "there is no connection for market data");
}

#[tokio::test]
async fn what_is_asked_for_goes_to_both_sockets_as_each_can_carry_it() {
    let venue = fyers::Venue::start(venues::Options { snapshots: false, ..super::options() }).await.unwrap();
    let (mut prices, mut deep) = (super::connected(&venue).await, connected(&venue).await);
    assert!(super::subscribe(&mut prices, &["sf|nse_cm|3045"], 11).await);
    super::records(&mut prices).await;
    say(&mut deep, &switch(&["1"], &[])).await;
    say(&mut deep, &subscription(1, &["NSE:SBIN-EQ"], "1")).await;
    answer(&mut deep).await;
    assert_eq!(venue.report().subscribed[0].mode, "depth");
    let level =
        |units: i64| Level { price: price("830").unwrap() - units * 50_000_000, quantity: 9, orders: 1 };
    let values = Values { bids: (0..7).map(level).collect(), ltp: price("830").unwrap(), ..Values::absent() };
    venue.send(&[("NSE", "SBIN", Mode::Full, values.clone())]).unwrap();
    // Nobody subscribed the book there.
    assert_eq!(super::records(&mut prices).await.len(), 1);
    let whole = book(&mut deep).await;
    assert_eq!((whole.is_snapshot, whole.total, whole.bids.len()), (true, (None, None), 50));
    assert_eq!(
        (whole.bids[&6], whole.bids[&7]),
        ((Some(82_970), Some(9), Some(1)), (Some(0), Some(0), Some(0)))
    );
    let fewer = Values { bids: (0..6).map(level).collect(), ..values };
    venue.send_partial(&[("NSE", "SBIN", Mode::Full, fewer)]).unwrap();
    let change = book(&mut deep).await;
    let expected = BTreeMap::from([(6, (Some(0), Some(0), Some(0)))]);
    assert_eq!((change.is_snapshot, change.bids, change.asks.len()), (false, expected, 0));
    // A stray comes where it can.
    for (exchange, symbol) in [("BSE", "SBIN"), ("NSE", "INFY")] {
        venue.stray(&[(exchange, symbol, Mode::Full, Values::absent())]).unwrap();
        assert_eq!(super::records(&mut prices).await.len(), 2);
    }
    assert_eq!(book(&mut deep).await.ticker, "NSE:INFY-EQ");
    assert!(venue.send(&[("BSE", "SBIN", Mode::Deep(50), Values::absent())]).is_err());
}
