//! Ticks that a venue sends.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
};

use adapter_sdk::{
    Mode,
    abi::{ErrorCode, StatusKind},
    testing::{Bench, SOON},
};
use serde_json::{Value, json};

use crate::{connected, last_prices};

/// A server that speaks when the test says so.
struct Server {
    listener: TcpListener,
}

struct Peer {
    requests: BufReader<TcpStream>,
    stream: TcpStream,
}

impl Server {
    fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").expect("a free port") }
    }

    fn config(&self) -> String {
        json!({"venue": self.listener.local_addr().expect("an address").to_string()}).to_string()
    }

    fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().expect("the adapter connects");
        stream.set_read_timeout(Some(SOON)).expect("a limit");
        Peer { requests: BufReader::new(stream.try_clone().expect("a second handle")), stream }
    }
}

impl Peer {
    fn request(&mut self) -> Value {
        let mut line = String::new();
        self.requests.read_line(&mut line).expect("the adapter asks in time");
        serde_json::from_str(&line).expect("a request is JSON")
    }

    fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the adapter reads");
    }
}

fn venue() -> (Server, Bench, Peer) {
    let server = Server::start();
    let bench = connected(&server.config());
    let peer = server.accept();
    (server, bench, peer)
}

#[test]
fn each_line_is_a_tick_whatever_pieces_it_comes_in() {
    let (_server, bench, mut peer) = venue();
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(peer.request(), json!({"subscribe": ["SBIN"]}));
    peer.say("{\"symbol\":\"SBIN\",\"seq\":17,\"ts_ns\":5}\n{\"symbol\":\"SB");
    let first = last_prices(&bench.wait_for_ticks(1, 1))[0];
    assert_eq!((first.ltp, first.volume, first.exchange_ts_ns), (18_000_000_000, 17, 5));
    peer.say("IN\",\"seq\":18,\"ts_ns\":6}\n");
    assert_eq!(last_prices(&bench.wait_for_ticks(1, 2))[1].volume, 18);
}

#[test]
fn what_cannot_be_read_is_counted_and_what_is_not_wanted_is_left_out() {
    let (_server, bench, mut peer) = venue();
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    let seq_too_large = format!("{{\"symbol\":\"SBIN\",\"seq\":{},\"ts_ns\":5}}\n", u64::MAX);
    peer.say("nonsense\n{\"symbol\":\"TCS\",\"seq\":1,\"ts_ns\":5}\n");
    peer.say(&seq_too_large);
    peer.say("{\"symbol\":\"SBIN\",\"seq\":1,\"ts_ns\":5}\n");
    assert_eq!(bench.wait_for_ticks(1, 1).len(), 1);
    assert_eq!(bench.heard().ticks.len(), 1);
    assert_eq!(bench.health().undecodable, 2);
}

#[test]
fn a_lost_socket_is_a_network_error_and_the_next_one_is_asked_for_everything() {
    let (server, bench, mut peer) = venue();
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.subscribe(2, "NSE", "TCS", Mode::Ltp);
    bench.subscribe(3, "NSE", "INFY", Mode::Ltp);
    bench.unsubscribe(&[2]);
    let requests: Vec<Value> = (0..4).map(|_| peer.request()).collect();
    assert_eq!(requests[3], json!({"unsubscribe": ["TCS"]}));
    drop(peer);
    assert_eq!(bench.wait_for_status(StatusKind::DISCONNECTED).code, ErrorCode::NETWORK);
    let mut peer = server.accept();
    assert_eq!(peer.request(), json!({"subscribe": ["SBIN", "INFY"]}));
    peer.say("{\"symbol\":\"INFY\",\"seq\":1,\"ts_ns\":5}\n");
    bench.wait_for_ticks(3, 1);
}

#[test]
fn an_endless_line_ends_the_connection() {
    let (_server, bench, mut peer) = venue();
    peer.say(&"x".repeat(5_000));
    assert_eq!(bench.wait_for_status(StatusKind::DISCONNECTED).code, ErrorCode::PROTOCOL);
}
