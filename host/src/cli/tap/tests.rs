use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::*;

fn heard(message: &Value) -> Vec<Heard> {
    let mut heard = VecDeque::new();
    connection::interpret(&message.to_string(), &mut heard);
    heard.into()
}

fn quote(symbol: &str, ltp: f64, more: &Value) -> Value {
    let mut data =
        json!({"symbol": symbol, "exchange": "NSE", "ltp": ltp, "timestamp": 1_705_294_800_123_u64});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"type": "market_data", "symbol": symbol, "exchange": "NSE", "mode": 2, "data": data})
}

fn drawn(board: &mut Board, width: usize, height: usize, now: Instant) -> String {
    let lines = board.render(width, height, now);
    assert!(lines.len() <= height);
    let text = |line: &board::Line| line.iter().map(|(_, text)| text.as_str()).collect::<String>();
    assert!(lines.iter().all(|line| text(line).chars().count() <= width));
    lines.iter().map(|line| text(line).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn full() -> Value {
    json!({"change": 3.5, "change_percent": 0.56, "bid_price": 625.45, "ask_price": 625.55, "volume": 1_500_000, "oi": 12,
           "depth": {"buy": [{"price": 625.45, "quantity": 120, "orders": 3}, {"price": 625.4, "quantity": 500}],
                     "sell": [{"price": 625.55, "quantity": 80, "orders": 2}]}})
}

fn board(now: Instant) -> Board {
    let symbols = ["SBIN", "M&M", "BAD", "QUIET"].map(|symbol| ("NSE".to_owned(), symbol.to_owned()));
    let mut board = Board::new(&symbols, "ws://127.0.0.1:8765", now);
    let refused = json!({"type": "subscribe", "status": "partial", "subscriptions": [
        {"symbol": "BAD", "exchange": "NSE", "status": "error", "message": "Symbol BAD not found"},
        {"symbol": "SBIN", "exchange": "NSE", "status": "success"}]});
    let messages = [
        refused,
        quote("SBIN", 625.0, &full()),
        quote("SBIN", 625.5, &full()),
        quote("M&M", 0.0525, &json!({})),
    ];
    for message in messages {
        heard(&message).into_iter().for_each(|heard| board.hear(heard, now));
    }
    board
}

#[test]
fn a_wide_terminal_shows_everything() {
    let now = Instant::now();
    let mut board = board(now);
    insta::assert_snapshot!(drawn(&mut board, 120, 40, now + Duration::from_secs(2)));
}

#[test]
fn a_narrow_terminal_shows_the_price_first() {
    let now = Instant::now();
    let mut board = board(now);
    insta::assert_snapshot!(drawn(&mut board, 32, 6, now + Duration::from_secs(200)));
    for (width, height) in [(0, 0), (1, 1), (10, 2), (500, 3)] {
        drawn(&mut board, width, height.max(1), now);
    }
}

#[test]
fn colours_say_up_down_and_old() {
    let now = Instant::now();
    let mut board = board(now);
    let style = |board: &mut Board, now| board.render(120, 40, now)[1][0].0;
    assert_eq!(style(&mut board, now), board::Style::Up);
    for heard in heard(&quote("SBIN", 620.0, &json!({}))) {
        board.hear(heard, now);
    }
    assert_eq!(style(&mut board, now), board::Style::Down);
    assert_eq!(style(&mut board, now + Duration::from_secs(6)), board::Style::Dim);
}

#[test]
fn a_tick_on_a_line() {
    let line = |message: &Value| match heard(message).remove(0) {
        Heard::Tick(tick) => format::line(&tick),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        line(&quote("SBIN", 625.5, &full())),
        "NSE:SBIN                 ltp 625.50  chg +3.50 (+0.56%)  bid 625.45  ask 625.55  vol 1500000  oi 12  \
         depth 2 x 1  10:30:00.123"
    );
    let bare = json!({"type": "market_data", "symbol": "X", "exchange": "NSE", "data": {}});
    assert_eq!(line(&bare), "NSE:X                    ltp -");
}

#[test]
fn what_comes_from_the_network_cannot_command_the_terminal() {
    let message = quote("\u{1b}[2J\u{202e}SBIN\r\n", 1.0, &json!({}));
    let Heard::Tick(tick) = heard(&message).remove(0) else { panic!("a tick") };
    assert_eq!(tick.name, "NSE:[2JSBIN");
    assert!(!tick.raw.contains('\u{1b}'));
}

#[test]
fn messages_without_meaning_are_passed_over() {
    for message in [
        "",
        "7",
        "[]",
        "{\"type\":7}",
        "{\"type\":\"pong\"}",
        "{\"type\":\"market_data\"",
        "{\"type\":\"auth_status\"}",
    ] {
        let mut heard = VecDeque::new();
        connection::interpret(message, &mut heard);
        assert!(heard.is_empty(), "{message}");
    }
    // A tick without values is shown as one.
    assert_eq!(heard(&json!({"type": "market_data"})).len(), 1);
    assert!(matches!(
        heard(&json!({"status": "error", "message": "no"})).as_slice(),
        [Heard::Refused { .. }, Heard::AllRefused]
    ));
}

#[test]
fn symbols_and_addresses_are_taken_apart() {
    assert_eq!(symbol("NFO:NIFTY 24:CE"), Ok(("NFO".to_owned(), "NIFTY 24:CE".to_owned())));
    for wrong in ["SBIN", ":SBIN", "NSE:", ""] {
        assert!(symbol(wrong).unwrap_err().contains("EXCHANGE:SYMBOL"));
    }
    assert!(Target::parse("ws://[::1]:8765/path").is_ok());
    for (wrong, said) in [
        ("wss://x:1", "not supported"),
        ("http://x", "ws://127"),
        ("ws://", "names no address"),
        ("localhost:8765", "ws://127"),
    ] {
        assert!(Target::parse(wrong).unwrap_err().to_string().contains(said), "{wrong}");
    }
}

/// A host that takes the key `right`, sends `ticks` ticks and closes; once for each connection.
async fn host(ticks: Vec<u32>) -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        for ticks in ticks {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            let auth: Value =
                serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
            let answer = if auth["api_key"] == "right" {
                json!({"type": "auth", "status": "success"})
            } else {
                json!({"status": "error", "code": "AUTHENTICATION_ERROR", "message": "Invalid API key"})
            };
            socket.send(Message::text(answer.to_string())).await.unwrap();
            let Some(Ok(request)) = socket.next().await else { continue };
            let request: Value = serde_json::from_str(request.to_text().unwrap()).unwrap();
            assert_eq!((&request["mode"], &request["symbols"][0]["symbol"]), (&json!(2), &json!("SBIN")));
            let ack = json!({"type": "subscribe", "status": "success", "subscriptions": [{"symbol": "SBIN", "exchange": "NSE", "status": "success"}]});
            socket.send(Message::text(ack.to_string())).await.unwrap();
            for number in 0..ticks {
                let tick = quote("SBIN", 600.0 + f64::from(number), &json!({}));
                socket.send(Message::text(tick.to_string())).await.unwrap();
            }
            socket.close(None).await.unwrap();
        }
    });
    target
}

fn args(count: Option<u64>) -> TapArgs {
    let symbols = vec![("NSE".to_owned(), "SBIN".to_owned())];
    TapArgs {
        symbols,
        mode: TapMode::Quote,
        depth: 5,
        url: None,
        key_file: None,
        count,
        plain: true,
        json: false,
    }
}

fn subscription(key: &str) -> Subscription {
    Subscription { key: SecretString::from(key.to_owned()), symbols: args(None).symbols, mode: 2, depth: 5 }
}

/// Ends the program under test once it has printed enough, as a closed pipe does.
struct Pipe(usize);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(String::from_utf8_lossy(bytes).matches('\n').count())
            .ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let target = host(vec![2, 3]).await;
    let mut out = Pipe(4);
    let ended = lines(&args(None), &target, &subscription("right"), &mut out).await.unwrap_err();
    assert!(ended.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe));
}

#[tokio::test]
async fn it_ends_after_the_ticks_that_were_asked_for() {
    let target = host(vec![5]).await;
    let mut out = Vec::new();
    lines(&args(Some(3)), &target, &subscription("right"), &mut out).await.unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 3);
}

#[tokio::test]
async fn a_wrong_key_is_named_without_showing_it() {
    let target = host(vec![1]).await;
    let error = lines(&args(None), &target, &subscription("canary"), &mut Vec::new()).await.unwrap_err();
    let said = format!("{error:#}");
    assert!(said.contains("TICKHOST_API_KEY") && !said.contains("canary"), "{said}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let said =
        format!("{:#}", lines(&args(None), &target, &subscription("x"), &mut Vec::new()).await.unwrap_err());
    assert!(said.contains("tickhost run"), "{said}");
}
