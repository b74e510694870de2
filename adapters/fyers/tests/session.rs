//! What the adapter says on the data socket, byte by byte, and what it makes of a broker that does not say
//! everything.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

#[path = "session/server.rs"]
mod server;

use adapter_fyers::Fyers;
use adapter_sdk::{
    Mode,
    abi::{PRICE_SCALE, StatusKind, field},
    testing::{Bench, Published},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::server::{ACKNOWLEDGE_EVERY, Server, lite, words};

/// `{"exp":4102444800,"hsm_key":"test-hsm-key"}`
const TOKEN: &str = "eyJ9.eyJleHAiOjQxMDI0NDQ4MDAsImhzbV9rZXkiOiJ0ZXN0LWhzbS1rZXkifQ.c2ln";

const SBIN: &str = "sf|nse_cm|3045";

fn connect(server: &Server, changes: &Value) -> (Bench, TempDir) {
    let (address, cache) = (server.address(), tempfile::tempdir().unwrap());
    let mut config = json!({
        "ws_url": format!("ws://{address}/hsm"),
        "api_url": format!("http://{address}"),
        "instruments_url": format!("http://{address}"),
        "lists": ["NSE_CM"],
        "symbol_tokens": "list",
        "cache_dir": cache.path(),
        "batch_interval_ms": 0,
    });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let credentials = json!({ "access_token": TOKEN }).to_string();
    let bench = Bench::start_with::<Fyers>(&config.to_string(), &credentials).unwrap();
    bench.wait_for_status(StatusKind::CONNECTED);
    (bench, cache)
}

#[test]
fn the_log_in_is_in_the_stream_and_the_handshake_has_none() {
    let server = Server::start(&[]);
    let (_bench, _cache) = connect(&server, &json!({ "heartbeat_seconds": 0.1 }));
    let (handshake, heard) = server.wait("modes", |state| {
        (state.heard.len() >= 3).then(|| (state.handshakes[0].clone(), state.heard.clone()))
    });
    assert!(!handshake.iter().any(|name| name.eq_ignore_ascii_case("authorization")), "{handshake:?}");
    let client = format!("tickhost-{}", env!("CARGO_PKG_VERSION"));
    let mut log_in = vec![0, 0, 1, 4, 1, 0, 12];
    log_in.extend(b"test-hsm-key");
    log_in.extend([2, 0, 1, b'P', 3, 0, 1, 1, 4, 0, u8::try_from(client.len()).unwrap()]);
    log_in.extend(client.as_bytes());
    log_in[1] = u8::try_from(log_in.len() - 2).unwrap();
    assert_eq!(heard[0], log_in);
    let modes: Vec<String> = heard[1..3].iter().map(hex::encode).collect();
    assert_eq!(modes, ["00110c02010008000000000000080002000146", "00110c0201000800000000000010000200014c"]);
    server.wait("pings", |state| (state.pings >= 3).then_some(()));
}

#[test]
fn a_topic_is_on_one_channel_whatever_its_mode_becomes() {
    let server = Server::start(&[]);
    let (bench, _cache) = connect(&server, &json!({}));
    let book = "dp|nse_cm|3045";
    let mut wanted = Vec::new();
    for (mode, messages) in [
        (Mode::Ltp, vec![format!("+12 {SBIN}")]),
        (Mode::Quote, vec![format!("-12 {SBIN}"), format!("+11 {SBIN}")]),
        (Mode::Depth, vec![format!("+11 {book}")]),
        (Mode::Ltp, vec![format!("-11 {SBIN} {book}"), format!("+12 {SBIN}")]),
        (Mode::Depth, vec![format!("-12 {SBIN}"), format!("+11 {SBIN} {book}")]),
        (Mode::Quote, vec![format!("-11 {book}")]),
    ] {
        assert!(bench.subscribe(1, "NSE", "SBIN", mode).code.is_taken());
        wanted.extend(messages);
        assert_eq!(server.requests(wanted.len()), wanted, "{mode:?}");
    }
    bench.unsubscribe(&[1]);
    wanted.push(format!("-11 {SBIN}"));
    assert_eq!(server.requests(wanted.len()), wanted);
    // One topic serves every mode of an index.
    bench.subscribe(2, "NSE_INDEX", "NIFTY", Mode::Quote);
    bench.subscribe(2, "NSE_INDEX", "NIFTY", Mode::Depth);
    bench.subscribe(3, "NSE", "INFY", Mode::Ltp);
    // They may wait for each other, and a batch has its own order.
    let mut last = server.requests(wanted.len() + 2).split_off(wanted.len());
    last.sort();
    assert_eq!(last, ["+11 if|nse_cm|Nifty 50", "+12 sf|nse_cm|1594"]);
}

#[test]
fn every_so_many_frames_one_is_acknowledged() {
    let server = Server::start(&[]);
    let (bench, _cache) = connect(&server, &json!({}));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 1);
    // The snapshot was the first frame.
    for step in 1..ACKNOWLEDGE_EVERY * 2 {
        server.say(lite(500 + step, SBIN, 70_000 + i32::try_from(step).unwrap()));
    }
    bench.wait_for_ticks(1, 6);
    let acknowledged = server.wait("acknowledgements", |state| {
        let frames = state.heard.iter().filter(|bytes| bytes[2] == 3);
        let numbers: Vec<String> = frames.map(hex::encode).collect();
        (numbers.len() >= 2).then_some(numbers)
    });
    assert_eq!(
        acknowledged,
        ["000903010100040000 01f6", "000903010100040000 01f9"].map(|hex| hex.replace(' ', ""))
    );
}

#[test]
fn in_lite_mode_nothing_but_the_price_is_published() {
    let server = Server::start(&[]);
    let (bench, _cache) = connect(&server, &json!({}));
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    bench.wait_for_ticks(1, 1);
    server.say(lite(1, SBIN, 70_005));
    for (tick, price) in
        bench.wait_for_ticks(1, 2).iter().zip([625 * PRICE_SCALE, 700 * PRICE_SCALE + PRICE_SCALE / 20])
    {
        let Published::Ltp(tick) = tick else { panic!("{tick:?}") };
        assert_eq!((tick.ltp, tick.fields), (price, field::LTP | field::IMAGE));
    }
}

#[test]
fn an_instrument_whose_book_does_not_come_has_its_prices_all_the_same() {
    let server = Server::start(&["dp|nse_cm|3045"]);
    let (bench, _cache) = connect(&server, &json!({ "snapshot_seconds": 0.5 }));
    assert_eq!(bench.subscribe(1, "NSE", "SBIN", Mode::Depth).depth, 5);
    bench.wait_for("another depth", |heard| {
        let mut late = heard.outcomes.iter().filter(|(request, _)| *request == 0);
        late.any(|(_, outcome)| (outcome.instrument, outcome.depth) == (1, 0)).then_some(())
    });
    // In mode DEPTH, or else nobody would see it.
    let price = |heard: &adapter_sdk::testing::Heard, wanted: i64| {
        heard.ticks.iter().find_map(|tick| match tick {
            Published::Depth(quote, buy, sell) if quote.ltp == wanted => Some((buy.len(), sell.len())),
            _ => None,
        })
    };
    assert_eq!(bench.wait_for("a price", |heard| price(heard, 625 * PRICE_SCALE)), (0, 0));
    server.say(lite(1, SBIN, 70_000));
    assert_eq!(bench.wait_for("a price", |heard| price(heard, 700 * PRICE_SCALE)), (0, 0));
}

#[test]
fn an_instrument_that_does_not_come_is_refused_and_ended() {
    let server = Server::start(&[SBIN]);
    let (bench, _cache) = connect(&server, &json!({ "snapshot_seconds": 0.5 }));
    bench.subscribe(1, "NSE", "SBIN", Mode::Quote);
    bench.subscribe(2, "NSE", "INFY", Mode::Quote);
    bench.wait_for("a refusal", |heard| {
        let mut late = heard.outcomes.iter().filter(|(request, _)| *request == 0);
        late.any(|(_, outcome)| outcome.instrument == 1 && !outcome.code.is_taken()).then_some(())
    });
    bench.wait_for_ticks(2, 1);
    // Both may have gone in one message.
    server.wait("its end", |state| {
        state
            .heard
            .iter()
            .filter_map(|bytes| words(bytes))
            .any(|said| said == format!("-11 {SBIN}"))
            .then_some(())
    });
}
