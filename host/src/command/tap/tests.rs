mod link;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    connection::{Feed, Heard, Refusal, Tick},
    *,
};

fn heard(message: &Value) -> Option<Heard> {
    connection::interpret(message.to_string())
}

fn tick(message: &Value) -> Tick {
    match heard(message) {
        Some(Heard::Tick(tick)) => tick,
        other => panic!("no tick: {other:?}"),
    }
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
    board.refuse(&Refusal { name: "NSE:BAD".to_owned(), reason: "Symbol BAD not found".to_owned() });
    for message in
        [quote("SBIN", 625.0, &full()), quote("SBIN", 625.5, &full()), quote("M&M", 0.0525, &json!({}))]
    {
        board.tick(&tick(&message), now);
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
    board.tick(&tick(&quote("SBIN", 620.0, &json!({}))), now);
    assert_eq!(style(&mut board, now), board::Style::Down);
    assert_eq!(style(&mut board, now + Duration::from_secs(6)), board::Style::Dim);
}

fn feed(state: &str) -> Feed {
    match heard(&json!({"type": "feed_status", "broker": "sim", "state": state, "message": "as it is"})) {
        Some(Heard::Feed(feed)) => feed,
        other => panic!("no news: {other:?}"),
    }
}

#[test]
fn a_feed_that_is_not_live_shows_below_the_prices() {
    let now = Instant::now();
    let mut board = board(now);
    let last = |board: &mut Board| drawn(board, 120, 40, now).lines().last().unwrap().to_owned();
    board.feed(&feed("down"));
    assert_eq!(last(&mut board), "q to quit  feed down: as it is  ws://127.0.0.1:8765");
    board.lost("the host is gone");
    assert!(last(&mut board).contains("the host is gone"));
    board.found();
    assert!(last(&mut board).contains("connected"), "what the feed was before counts no more");
    board.feed(&feed("stale"));
    board.feed(&feed("live"));
    assert!(last(&mut board).contains("connected"));
}

#[test]
fn that_a_feed_is_live_is_news_only_after_it_was_not() {
    let mut news = News::default();
    let told: Vec<bool> = ["live", "live", "down", "connecting", "live", "live"]
        .map(|state| news.is_worth_telling(&feed(state)))
        .into();
    assert_eq!(told, [false, false, true, true, true, false]);
}

#[test]
fn a_tick_on_a_line() {
    let line = |message: &Value| format::line(&tick(message));
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
    assert_eq!(tick(&message).name, "NSE:[2JSBIN");
    assert_eq!(format::printable(&"x".repeat(10_000)).len(), 200);
    let raw = "{\"a\":\n\"\u{9b}\u{1b}[2J\u{61c}\"}";
    assert_eq!(format::printable_json(raw), "{\"a\":\"[2J\"}");
    let huge = json!({"volume": u64::MAX, "change_percent": 1e300, "bid_price": -1e300});
    let line = format::line(&tick(&quote("SBIN", 1e300, &huge)));
    assert!(line.len() < 200 && line.contains("18446744073709551615"), "{line}");
}

#[test]
fn numbers_are_neither_invented_nor_cut() {
    let data = json!({"a": 0.05, "b": 0.0525, "c": -0.001, "d": 1.5, "e": "7", "f": null, "g": 0.38491});
    assert_eq!(format::price_of(&data, "a").unwrap(), "0.05");
    assert_eq!(format::price_of(&data, "b").unwrap(), "0.0525");
    assert_eq!(format::percent_of(&data, "c").unwrap(), "0.00");
    assert_eq!(format::percent_of(&data, "g").unwrap(), "+0.38");
    assert_eq!(format::quantity_of(&data, "d").unwrap(), "1.5");
    for absent in ["e", "f", "h"] {
        assert_eq!(format::price_of(&data, absent), None);
        assert_eq!(format::quantity_of(&data, absent), None);
    }
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
        assert!(connection::interpret(message.to_owned()).is_none(), "{message}");
    }
    // A tick without values is shown as one.
    tick(&json!({"type": "market_data"}));
}

#[test]
fn symbols_and_addresses_are_taken_apart() {
    assert_eq!(symbol("NFO:NIFTY 24:CE"), Ok(("NFO".to_owned(), "NIFTY 24:CE".to_owned())));
    for wrong in ["SBIN", ":SBIN", "NSE:", ""] {
        assert!(symbol(wrong).unwrap_err().contains("EXCHANGE:SYMBOL"));
    }
    assert!(Target::parse("ws://[::1]:8765/path", None).is_ok());
    for (wrong, said) in [
        ("wss://x:1", "TICKHOST_TLS_CERT"),
        ("http://x", "ws://127"),
        ("ws://", "names no address"),
        ("localhost:8765", "ws://127"),
        ("ws://me:hunter2@x:1", "no password"),
        ("wss://me:hunter2@x:1", "TICKHOST_TLS_CERT"),
    ] {
        let error = Target::parse(wrong, None).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("hunter2"), "{wrong}: {error}");
    }
    assert_eq!(Target::parse("ws://x:1/p?token=hunter2", None).unwrap().shown(), "ws://x:1/p");
}

#[test]
fn the_key_comes_from_the_flag_else_the_environment_else_the_first_run() {
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().join("named");
    let read = |file, variable: Option<&str>| {
        let key = key(file, variable.map(str::to_owned), dir.path())?;
        anyhow::Ok(key.expose_secret().to_owned())
    };
    assert!(read(None, None).unwrap_err().to_string().contains("TICKHOST_API_KEY"));
    std::fs::write(dir.path().join(DEMO_KEY_FILE), "demo\n").unwrap();
    std::fs::write(&named, " named \n").unwrap();
    assert_eq!(read(Some(&named), Some("variable")).unwrap(), "named");
    assert_eq!(read(None, Some(" variable ")).unwrap(), "variable");
    assert_eq!(read(None, Some("")).unwrap(), "demo");
    for wrong in ["\n".to_owned(), "canary".repeat(1_000)] {
        std::fs::write(&named, wrong).unwrap();
        let said = format!("{:#}", read(Some(&named), None).unwrap_err());
        assert!(said.contains("named") && !said.contains("canary"), "{said}");
    }
}
