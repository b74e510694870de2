use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use super::{
    connection::{Heard, Refusal, Tick},
    link::Pauses,
    *,
};
use secrecy::ExposeSecret as _;

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
    assert!(Target::parse("ws://[::1]:8765/path").is_ok());
    for (wrong, said) in [
        ("wss://x:1", "not supported"),
        ("http://x", "ws://127"),
        ("ws://", "names no address"),
        ("localhost:8765", "ws://127"),
        ("ws://me:hunter2@x:1", "no password"),
        ("wss://me:hunter2@x:1", "not supported"),
    ] {
        let error = Target::parse(wrong).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("hunter2"), "{wrong}: {error}");
    }
    assert_eq!(Target::parse("ws://x:1/p?token=hunter2").unwrap().shown(), "ws://x:1/p");
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

/// What a host does on one connection after the log-in: it answers the subscription, sends ticks and more, and closes.
#[derive(Clone, Default)]
struct Visit {
    answer: Option<Value>,
    ticks: u32,
    then: Option<Value>,
    close: Option<(u16, &'static str)>,
    is_silent: bool,
}

impl Visit {
    fn with_ticks(ticks: u32) -> Self {
        Self { ticks, ..Self::default() }
    }
}

fn answer(entries: &Value) -> Value {
    json!({"type": "subscribe", "status": "success", "subscriptions": entries})
}

/// A host that takes the key `right` and has a visit after another.
async fn host(visits: Vec<Visit>) -> Target {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        for visit in visits {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            let auth: Value =
                serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
            let verdict = if auth["api_key"] == "right" {
                json!({"type": "auth", "status": "success"})
            } else {
                json!({"status": "error", "code": "AUTHENTICATION_ERROR", "message": "Invalid API key"})
            };
            let unknown = json!({"type": "news", "status": "error"});
            socket.send(Message::text(unknown.to_string())).await.unwrap();
            socket.send(Message::text(verdict.to_string())).await.unwrap();
            let Some(Ok(request)) = socket.next().await else { continue };
            let request: Value = serde_json::from_str(request.to_text().unwrap()).unwrap();
            assert_eq!((&request["mode"], &request["symbols"][0]["symbol"]), (&json!(2), &json!("SBIN")));
            let granted = answer(&json!([{"symbol": "SBIN", "exchange": "NSE", "status": "success"}]));
            let ticks = (0..visit.ticks).map(|number| quote("SBIN", 600.0 + f64::from(number), &json!({})));
            for message in std::iter::once(visit.answer.unwrap_or(granted)).chain(ticks).chain(visit.then) {
                socket.send(Message::text(message.to_string())).await.unwrap();
            }
            if visit.is_silent {
                // Neither answers nor closes, as a machine that lost its network.
                std::future::pending::<()>().await;
            }
            let frame =
                visit.close.map(|(code, reason)| CloseFrame { code: code.into(), reason: reason.into() });
            socket.close(frame).await.unwrap();
        }
    });
    target
}

fn subscription(key: &str, symbols: &[&str]) -> Subscription {
    let symbols = symbols.iter().map(|symbol| ("NSE".to_owned(), (*symbol).to_owned())).collect();
    Subscription { key: SecretString::from(key.to_owned()), symbols, mode: 2, depth: 5 }
}

async fn connect(visits: Vec<Visit>, symbols: &[&str], may_retry: bool) -> anyhow::Result<Link> {
    let pauses = Pauses { shortest: Duration::from_millis(1), longest: Duration::from_millis(2) };
    Link::open(host(visits).await, subscription("right", symbols), pauses, may_retry).await
}

fn args(count: Option<u64>, json: bool) -> TapArgs {
    TapArgs {
        symbols: vec![("NSE".to_owned(), "SBIN".to_owned())],
        mode: TapMode::Quote,
        depth: 5,
        url: None,
        key_file: None,
        count,
        plain: !json,
        json,
    }
}

/// A pipe whose reader leaves after some lines.
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

async fn printed(visits: Vec<Visit>, count: Option<u64>) -> String {
    let mut link = connect(visits, &["SBIN"], count.is_none()).await.unwrap();
    let mut out = Vec::new();
    let ended = lines(&args(count, false), &mut link, &mut out).await;
    let ended = ended.map_or_else(|error| format!("{error:#}"), |()| "done".to_owned());
    format!("{}{ended}", String::from_utf8(out).unwrap())
}

#[tokio::test]
async fn a_lost_connection_is_made_again_even_before_the_first_tick() {
    let visits = vec![Visit::default(), Visit::with_ticks(2), Visit::with_ticks(3)];
    let mut link = connect(visits, &["SBIN"], true).await.unwrap();
    let ended = lines(&args(None, false), &mut link, &mut Pipe(4)).await.unwrap_err();
    assert!(is_broken_pipe(&ended), "{ended:#}");
}

#[tokio::test]
async fn it_ends_after_the_ticks_that_were_asked_for() {
    assert_eq!(printed(vec![Visit::with_ticks(5)], Some(3)).await.lines().count(), 4);
    let said = printed(vec![Visit::with_ticks(2)], Some(3)).await;
    assert!(said.ends_with("the connection is lost"), "{said}");
}

#[tokio::test]
async fn json_is_what_the_host_said() {
    let mut link = connect(vec![Visit::with_ticks(1)], &["SBIN"], false).await.unwrap();
    let mut out = Vec::new();
    lines(&args(Some(1), true), &mut link, &mut out).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), quote("SBIN", 600.0, &json!({})));
}

#[tokio::test]
async fn it_ends_when_nothing_is_left_to_show() {
    let refused = json!([{"symbol": "SBIN", "exchange": "NSE", "status": "error", "message": "no SBIN"}]);
    let late = json!({"type": "subscription_status", "status": "error", "symbol": "SBIN", "exchange": "NSE",
                      "message": "broker refused"});
    let rejected = json!({"status": "error", "code": "BROKER_ERROR", "message": "no account"});
    let cases = [
        (Visit { answer: Some(answer(&refused)), ..Visit::default() }, "NSE:SBIN: no SBIN"),
        (Visit { answer: Some(answer(&json!([]))), ..Visit::default() }, "none of the symbols"),
        (Visit { then: Some(late), ..Visit::with_ticks(1) }, "NSE:SBIN: broker refused"),
        (Visit { answer: Some(rejected), ..Visit::default() }, "no account (BROKER_ERROR)"),
        (Visit { close: Some((4403, "api key revoked")), ..Visit::with_ticks(1) }, "api key revoked (4403)"),
    ];
    for (visit, reason) in cases {
        let said = printed(vec![visit], None).await;
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn a_refused_symbol_leaves_the_others() {
    let entries = json!([{"symbol": "SBIN", "exchange": "NSE", "status": "success"},
                         {"symbol": "BAD", "exchange": "NSE", "status": "error", "message": "no \u{1b}BAD"}]);
    let visit = Visit { answer: Some(answer(&entries)), ..Visit::with_ticks(1) };
    let mut link = connect(vec![visit], &["SBIN", "BAD"], false).await.unwrap();
    let Event::Refused(refusals) = link.next().await.unwrap() else { panic!("a refusal") };
    assert_eq!(refusals, [Refusal { name: "NSE:BAD".to_owned(), reason: "no BAD".to_owned() }]);
    assert!(matches!(link.next().await.unwrap(), Event::Tick(_)));
}

#[tokio::test]
async fn waiting_may_stop_at_any_time_without_losing_anything() {
    let visits =
        vec![Visit::with_ticks(3), Visit { close: Some((1001, "shutting down")), ..Visit::with_ticks(2) }];
    let mut link = connect(visits, &["SBIN"], true).await.unwrap();
    let mut story = String::new();
    while story.len() < 8 {
        tokio::select! {
            biased;
            event = link.next() => story.push(match event.unwrap() {
                Event::Tick(_) => 't',
                Event::Lost { .. } => 'l',
                Event::Found => 'f',
                Event::Refused(_) => 'r',
            }),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(story, "tttlfttl");
}

#[tokio::test]
async fn a_host_that_fell_silent_is_given_up() {
    let visit = Visit { is_silent: true, ..Visit::with_ticks(1) };
    let mut link = connect(vec![visit], &["SBIN"], true).await.unwrap();
    assert!(matches!(link.next().await.unwrap(), Event::Tick(_)));
    tokio::time::pause();
    let Event::Lost { reason, .. } = link.next().await.unwrap() else { panic!("a loss") };
    assert!(reason.contains("silent for 40 s"), "{reason}");
}

#[tokio::test]
async fn a_wrong_key_is_named_without_showing_it() {
    let target = host(vec![Visit::with_ticks(1)]).await;
    let error = Link::open(target, subscription("canary", &["SBIN"]), PAUSES, true).await.unwrap_err();
    let said = format!("{error:#}");
    assert!(said.contains("TICKHOST_API_KEY") && !said.contains("canary"), "{said}");
    assert!(connection::is_final(&error));
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = Link::open(target, subscription("x", &["SBIN"]), PAUSES, true).await.unwrap_err();
    assert!(format!("{error:#}").contains("tickhost run"), "{error:#}");
}
