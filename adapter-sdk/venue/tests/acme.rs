//! A venue of a small broker: what it keeps, what it reports, and what goes wrong there on purpose, seen by a
//! client.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::tests_outside_test_module,
    reason = "tests fail by panicking"
)]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use adapter_conformance::{Answer, Command, Control as _, Edition, Name, Packet};
use adapter_venue::{
    Broker, Desk, Guest, Handshake, Message, Next, Pulse, Refusal, Reply, Request, Serve, Venue, json,
    query_of, reply,
};
use serde_json::json as value;
use tokio_tungstenite::tungstenite::{self, HandshakeError, WebSocket};

/// Longest wait for anything.
const SOON: Duration = Duration::from_secs(10);

/// Takes `sub EXCHANGE SYMBOL…`, sends `SYMBOL=PRICE` of each, and beats.
#[derive(Default)]
struct Acme {
    /// Connections that want no heartbeats.
    quiet: Vec<u64>,
}

impl Broker for Acme {
    const TOKENS: &'static [&'static str] = &["token"];

    fn values(&self) -> Vec<&'static str> {
        vec!["ltp"]
    }

    fn answer(&mut self, desk: &mut Desk, request: &Request) -> Reply {
        match request.uri().path() {
            "/list" => desk.listing.file("text/csv", "NSE,A\nNSE,B\n".to_owned()),
            "/login" if desk.accounts.with(&[("pin", "1234")]).is_some() => {
                json(200, &value!({ "token": desk.accounts.issue("acme") }))
            }
            "/login" => {
                desk.logged_in(false);
                reply(401, "text/plain", "no")
            }
            _ => reply(404, "text/plain", "no"),
        }
    }

    fn admit(&mut self, desk: &mut Desk, handshake: &Handshake) -> Result<Guest, Reply> {
        let given = query_of(handshake);
        match given.get("token") {
            None => Ok(Guest::Stranger),
            Some(token) if desk.accounts.is_token("token", token) => Ok(Guest::Known("acme".to_owned())),
            Some(_) => Err(reply(403, "text/plain", "no")),
        }
    }

    fn hear(&mut self, desk: &mut Desk, connection: u64, message: &Message) -> Next {
        let Message::Text(text) = message else { return Next::HangUp };
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["hello", token] => {
                let is_good = desk.accounts.is_token("token", token);
                desk.logged_in_on(connection, is_good.then_some("acme"));
                desk.say(connection, if is_good { "welcome" } else { "no" });
            }
            ["sub", exchange, ref symbols @ ..] => {
                let name =
                    |symbol: &&str| Name { exchange: exchange.to_owned(), symbol: (*symbol).to_owned() };
                let wanted: Vec<_> = symbols.iter().map(|symbol| (name(symbol), "ltp")).collect();
                desk.subscribe(connection, &wanted);
            }
            ["unsub", exchange, symbol] => {
                desk.unsubscribe(
                    connection,
                    &Name { exchange: exchange.to_owned(), symbol: symbol.to_owned() },
                );
            }
            ["quiet"] => self.quiet.push(connection),
            _ => return Next::HangUpOver("it speaks in riddles"),
        }
        Next::Go
    }

    fn write(
        &mut self,
        desk: &Desk,
        connection: u64,
        packets: &[Packet],
        _: bool,
    ) -> Result<Vec<Message>, String> {
        let known = packets.iter().filter(|packet| {
            let name = Name { exchange: packet.exchange.clone(), symbol: packet.symbol.clone() };
            desk.mode_on(connection, &name).is_some()
        });
        let text: Vec<String> =
            known.map(|packet| format!("{}={}", packet.symbol, packet.values["ltp"])).collect();
        Ok(if text.is_empty() { Vec::new() } else { vec![Message::text(text.join(" "))] })
    }

    fn replaced(&mut self) -> Option<Message> {
        Some("replaced".into())
    }

    fn beats(&self, connection: u64) -> bool {
        !self.quiet.contains(&connection)
    }

    fn pulse(&self) -> Pulse {
        Pulse { heartbeat: Some((Duration::from_millis(20), "beat".into())), patience: None }
    }
}

type Client = WebSocket<TcpStream>;

fn venue() -> Venue<Acme> {
    let mut venue = Venue::start(Acme::default()).unwrap();
    let set = [("token", "good"), ("pin", "1234")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    venue.execute(Command::Accept { sets: vec![set.into()] });
    venue
}

fn dial(venue: &Venue<Acme>, query: &str) -> Result<Client, tungstenite::Error> {
    let stream = TcpStream::connect(venue.address())?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    match tungstenite::client(format!("ws://{}/{query}", venue.address()), stream) {
        Ok((client, _)) => Ok(client),
        Err(HandshakeError::Failure(error)) => Err(error),
        Err(HandshakeError::Interrupted(_)) => panic!("the handshake was not answered"),
    }
}

/// The next text that is no heartbeat.
fn said(client: &mut Client) -> String {
    loop {
        match client.read().unwrap() {
            tungstenite::Message::Text(text) if text.as_str() != "beat" => return text.as_str().to_owned(),
            _ => {}
        }
    }
}

fn ends(client: &mut Client) {
    let started = Instant::now();
    while client.read().is_ok() {
        assert!(started.elapsed() < SOON, "the connection goes on");
    }
}

fn get(venue: &Venue<Acme>, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(venue.address()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < SOON, "waited for {what}, in vain");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

fn tick(venue: &Venue<Acme>, symbol: &str, ltp: &str) {
    let json = value!({ "exchange": "NSE", "symbol": symbol, "kind": "ltp", "values": { "ltp": ltp } });
    venue.send(&[serde_json::from_value(json).unwrap()], false).unwrap();
}

fn subscribed(venue: &Venue<Acme>, client: &mut Client, text: &str, count: usize) {
    client.send(tungstenite::Message::text(text)).unwrap();
    until("a subscription", || venue.report().subscribed.len() == count);
}

#[test]
fn rest_and_socket_are_on_one_address_and_a_session_is_reported() {
    let venue = venue();
    assert_eq!(get(&venue, "/list"), (200, "NSE,A\nNSE,B\n".to_owned()));
    assert_eq!(get(&venue, "/nowhere").0, 404);
    let mut client = dial(&venue, "?token=good").unwrap();
    subscribed(&venue, &mut client, "sub NSE A B", 2);
    let report = venue.report();
    assert_eq!((report.opened, report.open, &report.log_ins[..]), (1, 1, &[true][..]));
    assert_eq!((&report.subscribes[..], report.subscribed[0].mode.as_str()), (&[2][..], "ltp"));
    tick(&venue, "A", "1.5");
    assert_eq!(said(&mut client), "A=1.5");
    subscribed(&venue, &mut client, "unsub NSE A", 1);
    // Late ticks happen; what was never subscribed is not sent.
    tick(&venue, "C", "9");
    tick(&venue, "A", "2");
    assert_eq!(said(&mut client), "A=2");
    drop(client);
    until("the end of the connection", || venue.report().open == 0);
    assert_eq!(venue.report().subscribed.len(), 1, "of the last connection until there is another");
}

#[test]
fn tokens_are_given_by_log_ins_and_end() {
    let venue = venue();
    let given = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["token"].as_str().unwrap().to_owned()
    };
    let token = given(&get(&venue, "/login").1);
    assert!(dial(&venue, &format!("?token={token}")).is_ok());
    venue.state().desk.accounts.expire();
    for token in ["good", &token] {
        let refused = dial(&venue, &format!("?token={token}")).unwrap_err();
        assert!(matches!(refused, tungstenite::Error::Http(answer) if answer.status() == 403), "{token}");
    }
    assert_eq!(venue.report().log_ins, [true, false, false]);
    let mut stranger = dial(&venue, "").unwrap();
    stranger.send(tungstenite::Message::text("hello good")).unwrap();
    assert_eq!(said(&mut stranger), "no");
    let token = given(&get(&venue, "/login").1);
    stranger.send(tungstenite::Message::text(format!("hello {token}"))).unwrap();
    assert_eq!(said(&mut stranger), "welcome");
    assert_eq!(venue.report().log_ins, [true, false, false, false, true]);
}

#[test]
fn what_is_split_or_in_two_frames_arrives_whole() {
    let venue = venue();
    // This client gives up a handshake of more than 64 small pieces.
    venue.faults().set_split(3);
    venue.faults().set_fragmented(true);
    let mut client = dial(&venue, "?token=good").unwrap();
    subscribed(&venue, &mut client, "sub NSE A", 1);
    tick(&venue, "A", "1234.5");
    assert_eq!(said(&mut client), "A=1234.5");
}

#[test]
fn a_mute_connection_says_nothing_and_stays() {
    let venue = venue();
    let mut client = dial(&venue, "?token=good").unwrap();
    subscribed(&venue, &mut client, "sub NSE A", 1);
    venue.state().desk.mute();
    client.get_ref().set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    // What was on the way may still come; then a pause that ten heartbeats would fill.
    let silence = loop {
        match client.read() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    let waited = |kind| matches!(kind, std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
    assert!(matches!(silence, tungstenite::Error::Io(error) if waited(error.kind())));
    assert_eq!(venue.report().open, 1);
    assert!(dial(&venue, "?token=good").is_ok(), "new ones are not");
}

#[test]
fn heartbeats_come_while_they_are_wanted() {
    let venue = venue();
    let [mut other, mut quiet] = [(); 2].map(|()| dial(&venue, "?token=good").unwrap());
    assert_eq!(quiet.read().unwrap(), tungstenite::Message::text("beat"));
    quiet.send(tungstenite::Message::text("quiet")).unwrap();
    until("the wish for quiet", || !venue.state().broker.quiet.is_empty());
    subscribed(&venue, &mut quiet, "sub NSE A", 1);
    for _ in 0..10 {
        other.read().unwrap();
    }
    tick(&venue, "A", "1");
    // What was on the way when it asked, and nothing of the ten beats that the other had since.
    let beats = (0..100).take_while(|_| quiet.read().unwrap() == tungstenite::Message::text("beat")).count();
    assert!(beats <= 2, "{beats}");
}

#[test]
fn what_it_hangs_up_over_is_reported() {
    let venue = venue();
    let mut client = dial(&venue, "?token=good").unwrap();
    client.send(tungstenite::Message::text("nonsense")).unwrap();
    ends(&mut client);
    assert_eq!(venue.report().complaints, ["it speaks in riddles"]);
}

#[test]
fn a_deaf_connection_reads_nothing_more() {
    let venue = venue();
    let mut client = dial(&venue, "?token=good").unwrap();
    subscribed(&venue, &mut client, "sub NSE A", 1);
    venue.state().desk.deafen();
    tick(&venue, "A", "1");
    assert_eq!(said(&mut client), "A=1");
    client.send(tungstenite::Message::text("sub NSE B")).unwrap();
    tick(&venue, "A", "2");
    assert_eq!(said(&mut client), "A=2");
    assert_eq!(venue.report().subscribed.len(), 1);
}

#[test]
fn requests_are_refused_as_often_as_is_said() {
    let venue = venue();
    venue.faults().refuse(Refusal { status: 429, times: 1, is_rest: true });
    venue.faults().refuse(Refusal { status: 503, times: 1, is_rest: false });
    let refused = dial(&venue, "?token=good").unwrap_err();
    assert!(matches!(refused, tungstenite::Error::Http(answer) if answer.status() == 503));
    assert_eq!([get(&venue, "/list").0, get(&venue, "/list").0], [429, 200]);
    assert!(dial(&venue, "?token=good").is_ok());
}

#[test]
fn a_half_open_venue_takes_connections_and_answers_nothing() {
    let venue = venue();
    venue.faults().set_half_open(true);
    let mut stream = TcpStream::connect(venue.address()).unwrap();
    write!(stream, "GET /list HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(stream.read(&mut [0]).is_err());
    venue.faults().set_half_open(false);
    assert_eq!(get(&venue, "/list").0, 200);
}

#[test]
fn a_storm_cuts_new_connections_and_an_end_has_last_words() {
    let mut venue = venue();
    let mut client = dial(&venue, "?token=good").unwrap();
    assert!(matches!(venue.execute(Command::Replace), Answer::Done));
    assert_eq!(said(&mut client), "replaced");
    ends(&mut client);
    venue.faults().set_storm(Some(Duration::from_millis(30)));
    ends(&mut dial(&venue, "?token=good").unwrap());
    venue.faults().set_storm(None);
    let mut client = dial(&venue, "?token=good").unwrap();
    subscribed(&venue, &mut client, "sub NSE A", 1);
    assert!(matches!(venue.execute(Command::Disconnect), Answer::Done));
    ends(&mut client);
    until("the end of all", || venue.report().open == 0);
}

#[test]
fn lists_are_served_whole_torn_empty_or_not_at_all() {
    let mut venue = venue();
    for (serve, wanted) in
        [(Serve::Torn, (200, "NSE,A\n")), (Serve::Empty, (200, "")), (Serve::Refused(500), (500, "Not now"))]
    {
        venue.state().desk.listing.serve(serve);
        assert_eq!(get(&venue, "/list"), (wanted.0, wanted.1.to_owned()));
    }
    let name = Name { exchange: "NSE".to_owned(), symbol: "A".to_owned() };
    venue.execute(Command::List(Edition { without: vec![name.clone()], ..Edition::default() }));
    assert!(!venue.state().desk.listing.has(&name));
    assert_eq!(venue.state().desk.listing.asked(), 3);
}

#[test]
fn garbage_is_the_same_for_the_same_seed() {
    let samples = [Message::text("A=1"), Message::binary(vec![1, 2, 3])];
    let frames = |seed| {
        let mut garbage = adapter_venue::Garbage::new(seed);
        (0..50).map(|_| garbage.frame(&samples)).collect::<Vec<_>>()
    };
    assert_eq!(frames(1), frames(1));
    assert_ne!(frames(1), frames(2));
    let mut venue = venue();
    let mut client = dial(&venue, "?token=good").unwrap();
    assert!(matches!(venue.execute(Command::Garbage { seed: 1, frames: 20 }), Answer::Done));
    subscribed(&venue, &mut client, "sub NSE A", 1);
    tick(&venue, "A", "1");
    while said(&mut client) != "A=1" {}
}
