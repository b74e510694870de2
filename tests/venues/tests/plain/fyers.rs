//! Fyers: a client of the HSM socket, and its log-in.

mod books;
mod rest;
mod topics;

use futures_util::SinkExt as _;
use serde_json::json;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};
use venues::{Options, fyers};

use super::{Socket, ended, next, still, until};

const APP: &str = "APP-100";

/// An access token that ends in 2100.
fn token(key: &str) -> String {
    fyers::token(APP, key, 4_102_444_800)
}

fn options() -> Options {
    let token = token("key");
    let redirect = ("redirect_uri", "http://127.0.0.1/back?x=1");
    still().accepting(&[("api_key", APP), ("api_secret", "secret"), redirect, ("access_token", &token)])
}

async fn venue() -> fyers::Venue {
    fyers::Venue::start(options()).await.unwrap()
}

async fn dial(venue: &fyers::Venue, path: &str, authorization: Option<&str>) -> Result<Socket, Error> {
    let mut request = format!("ws://{}{path}", venue.address()).into_client_request()?;
    if let Some(text) = authorization {
        request.headers_mut().insert("authorization", text.parse().unwrap());
    }
    connect_async(request).await.map(|(socket, _)| socket)
}

/// A request of fields, with a length that says nothing.
fn request(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0, 0, kind, u8::try_from(fields.len()).unwrap()];
    for (id, field) in (1..).zip(fields) {
        bytes.push(id);
        bytes.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
        bytes.extend(*field);
    }
    bytes
}

fn topics(names: &[&str]) -> Vec<u8> {
    let mut bytes = u16::try_from(names.len()).unwrap().to_be_bytes().to_vec();
    for name in names {
        bytes.push(u8::try_from(name.len()).unwrap());
        bytes.extend(name.as_bytes());
    }
    bytes
}

async fn say(socket: &mut Socket, bytes: Vec<u8>) {
    socket.send(Message::binary(bytes)).await.unwrap();
}

async fn frame(socket: &mut Socket) -> Vec<u8> {
    match next(socket).await {
        Message::Binary(bytes) => bytes.to_vec(),
        other => panic!("{other}"),
    }
}

fn log_in(key: &str) -> Vec<u8> {
    request(1, &[key.as_bytes(), b"P", &[1], b"test"])
}

/// A connection that is logged in.
async fn connected(venue: &fyers::Venue) -> Socket {
    let mut socket = dial(venue, "/hsm/v1-5/prod", None).await.unwrap();
    say(&mut socket, log_in("key")).await;
    assert_eq!(frame(&mut socket).await[2..8], [1, 3, 1, 0, 1, b'K']);
    assert_eq!(frame(&mut socket).await[2], 13);
    socket
}

/// Asks for something and hears whether it is granted.
async fn ask(socket: &mut Socket, kind: u8, fields: &[&[u8]]) -> bool {
    say(socket, request(kind, fields)).await;
    let answer = frame(socket).await;
    assert_eq!((answer.len(), &answer[..7]), (8, &[0, 6, kind, 1, 1, 0, 1][..]));
    answer[7] == b'K'
}

async fn subscribe(socket: &mut Socket, names: &[&str], channel: u8) -> bool {
    ask(socket, 4, &[&topics(names), &[channel]]).await
}

/// A record of a data frame.
#[derive(Debug, PartialEq, Eq)]
enum Record {
    Snapshot { id: u16, topic: String, slots: Vec<i32>, multiplier: u16, precision: u8, symbol: String },
    Update { id: u16, slots: Vec<i32> },
    Lite { id: u16, ltp: i32 },
}

/// Reads what a frame says, piece by piece.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1)[0]
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.bytes(2).try_into().unwrap())
    }

    fn word(&mut self) -> i32 {
        i32::from_be_bytes(self.bytes(4).try_into().unwrap())
    }

    fn text(&mut self) -> String {
        let length = self.byte();
        String::from_utf8(self.bytes(length.into()).to_vec()).unwrap()
    }

    fn slots(&mut self) -> Vec<i32> {
        let count = self.byte();
        (0..count).map(|_| self.word()).collect()
    }
}

/// Number and records of a data frame.
fn parse(frame: &[u8]) -> (u32, Vec<Record>) {
    assert_eq!((usize::from(u16::from_be_bytes([frame[0], frame[1]])), frame[2]), (frame.len() - 2, 6));
    let mut reader = Reader(&frame[3..]);
    let number = reader.word().cast_unsigned();
    let count = reader.short();
    let records = (0..count).map(|_| match reader.byte() {
        b'S' => {
            let (id, topic, slots) = (reader.short(), reader.text(), reader.slots());
            reader.bytes(2);
            let (multiplier, precision) = (reader.short(), reader.byte());
            let [_, _, symbol] = [reader.text(), reader.text(), reader.text()];
            Record::Snapshot { id, topic, slots, multiplier, precision, symbol }
        }
        b'U' => Record::Update { id: reader.short(), slots: reader.slots() },
        b'L' => Record::Lite { id: reader.short(), ltp: reader.word() },
        other => panic!("a record of type {other}"),
    });
    let records = records.collect();
    assert!(reader.0.is_empty());
    (number, records)
}

async fn records(socket: &mut Socket) -> Vec<Record> {
    parse(&frame(socket).await).1
}

/// The only record of the next frame, which is a snapshot: number, topic and values.
async fn snapshot(socket: &mut Socket) -> (u16, String, Vec<i32>) {
    match records(socket).await.pop() {
        Some(Record::Snapshot { id, topic, slots, .. }) => (id, topic, slots),
        other => panic!("{other:?}"),
    }
}

/// Nothing comes before the answer to a request.
async fn is_quiet(socket: &mut Socket) -> bool {
    ask(socket, 7, &[&(1_u64 << 60).to_be_bytes()]).await
}

fn hundredths(price: i64) -> i32 {
    i32::try_from(price / 10_000_000).unwrap()
}

#[tokio::test]
async fn a_log_in_is_answered_with_all_that_a_client_asks_for() {
    let venue = venue().await;
    let mut socket = dial(&venue, "/hsm/v1-5/prod", None).await.unwrap();
    // A ping may come before anything else, and nobody answers it, nor what comes before the log-in.
    say(&mut socket, vec![0, 1, 11]).await;
    say(&mut socket, request(12, &[&2048_u64.to_be_bytes(), b"F"])).await;
    assert!(venue.report().log_ins.is_empty());
    say(&mut socket, log_in("key")).await;
    let verdict = frame(&mut socket).await;
    assert_eq!(verdict[2..15], [1, 3, 1, 0, 1, b'K', 2, 0, 4, 0, 0, 0, 10]);
    let description: serde_json::Value = serde_json::from_slice(&verdict[18..]).unwrap();
    assert_eq!((&description["scrip"][0], &description["index"][5]), (&"s105".into(), &"i107".into()));
    let master = frame(&mut socket).await;
    assert_eq!((master[2], master.len() > 65_537), (13, true));
    assert_eq!(venue.report().log_ins, [true]);
    assert!(is_quiet(&mut socket).await);
}

#[tokio::test]
async fn an_authorization_in_the_handshake_makes_the_broker_deaf() {
    let venue = venue().await;
    let authorization = format!("{APP}:{}", token("key"));
    let mut socket = dial(&venue, "/hsm/v1-5/prod", Some(&authorization)).await.unwrap();
    say(&mut socket, log_in("key")).await;
    // Once the ping is answered, so would be what came before it.
    socket.send(Message::Ping(vec![7].into())).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong(vec![7].into()));
    venue.text("end");
    assert_eq!(next(&mut socket).await, Message::text("end"));
    assert!(venue.report().log_ins.is_empty());
}

#[tokio::test]
async fn a_wrong_key_is_refused_or_met_with_silence_or_the_end() {
    let venue = venue().await;
    let wrong = async |key: &str| {
        let mut socket = dial(&venue, "/hsm/v1-5/prod", None).await.unwrap();
        say(&mut socket, log_in(key)).await;
        socket
    };
    let refused = [0, 13, 1, 2, 1, 0, 1, b'N', 2, 0, 4, 0, 0, 0, 0];
    assert_eq!(frame(&mut wrong("other").await).await, refused);
    venue.own(&json!({ "rebuff": "close" })).unwrap();
    ended(&mut wrong("other").await).await;
    venue.own(&json!({ "rebuff": "silence" })).unwrap();
    let mut quiet = wrong("other").await;
    until(|| venue.report().log_ins.len() == 3).await;
    venue.text("end");
    assert_eq!(next(&mut quiet).await, Message::text("end"));
    venue.own(&json!({ "rebuff": "verdict" })).unwrap();
    // A token that has ended has no key any more; whoever is logged in stays.
    let mut old = connected(&venue).await;
    venue.expire();
    assert_eq!(frame(&mut wrong("key").await).await, refused);
    assert!(subscribe(&mut old, &["sf|nse_cm|3045"], 11).await);
    snapshot(&mut old).await;
    assert_eq!(venue.report().log_ins, [false, false, false, true, false]);
    assert!(venue.own(&json!({ "rebuff": "politely" })).is_err());
}

#[tokio::test]
async fn an_app_has_three_connections() {
    let venue = venue().await;
    let _open = [connected(&venue).await, connected(&venue).await, connected(&venue).await];
    let mut fourth = dial(&venue, "/hsm/v1-5/prod", None).await.unwrap();
    say(&mut fourth, log_in("key")).await;
    assert_eq!(frame(&mut fourth).await[7], b'N');
}
