//! The adapter against servers of the real Socket.IO, of both versions of Engine.IO: the namespace, pings,
//! events, and events with bytes. They need Node.js and the packages of `tests/clients/node`, which `npm
//! ci` there gets. Without them these tests say so and pass, unless `TICKHOST_REQUIRE_CLIENTS` is set.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use adapter_sdk::{
    Mode,
    abi::{PRICE_SCALE, StatusKind},
    testing::{Bench, Published},
};
use adapter_xts::Xts;
use serde_json::json;
use tempfile::TempDir;

struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input, too.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Starts a server; none where Node.js or the packages are missing.
fn server(version: u8) -> Option<Server> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/node");
    let has_all = folder.join(format!("node_modules/socket.io-{version}")).is_dir();
    let is_required = std::env::var_os("TICKHOST_REQUIRE_CLIENTS").is_some();
    assert!(has_all || !is_required, "TICKHOST_REQUIRE_CLIENTS is set, but there are no packages: npm ci");
    if !has_all {
        #[expect(clippy::print_stderr, reason = "a skipped test must not look like one that ran")]
        {
            eprintln!("SKIPPED: it needs Node.js and `npm ci` in tests/clients/node, see .ci/run");
        }
        return None;
    }
    let mut node = Command::new("node");
    node.arg(folder.join("socket_io.js")).arg(version.to_string());
    let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
    Some(Server { child, port: port.trim().parse().unwrap() })
}

/// Speaks with a server, beginning with a version, until pings have gone several times on one connection.
fn speaks(server_version: u8, first: u8) {
    let Some(server) = server(server_version) else { return };
    let cache = TempDir::new().unwrap();
    let address = format!("127.0.0.1:{}/apimarketdata", server.port);
    let config = json!({
        "api_url": format!("http://{address}"), "ws_url": format!("ws://{address}/socket.io/"), "cache_dir": cache.path(),
        "engine_io": first, "heartbeat_seconds": 0.2, "request_interval_ms": 1,
    });
    let fields = json!({ "user_id": "XTS001", "access_token": "token" });
    let bench = Bench::start_at::<Xts>("iifl", &config.to_string(), &fields.to_string()).unwrap();
    bench.wait_for_status(StatusKind::CONNECTED);
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Quote).code.is_taken());
    // Three seconds of ticks: without pings the server ends the connection in less, and counts from 1 again.
    let of = |volume: i64| {
        move |tick: &Published| match tick {
            Published::Quote(quote) if quote.volume == volume => Some(quote.ltp),
            _ => None,
        }
    };
    let prices = bench.wait_for("both kinds of events", |heard| {
        let find = |volume| heard.ticks.iter().find_map(of(volume));
        Some([find(59)?, find(60)?])
    });
    // Of JSON, and of bytes.
    let price = |paise: i64| paise * (PRICE_SCALE / 100);
    assert_eq!(prices, [price(83_050), price(83_005)]);
}

#[test]
fn socket_io_2_is_spoken_with_in_its_version_of_engine_io() {
    speaks(2, 3);
}

#[test]
fn socket_io_2_is_known_when_it_is_taken_for_4() {
    speaks(2, 4);
}

#[test]
fn socket_io_4_is_spoken_with_in_its_version_of_engine_io() {
    speaks(4, 4);
}

#[test]
fn socket_io_4_refuses_the_version_of_2() {
    speaks(4, 3);
}
