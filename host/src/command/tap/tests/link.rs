//! Against a host in this process.

use adapter_time::Backoff;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Message, protocol::CloseFrame};

use super::*;
use crate::command::tap::link::Link;

/// What a host does on one connection after the log-in: it answers the subscription, sends ticks and more,
/// and closes.
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
    let target = Target::parse(&format!("ws://{}", listener.local_addr().unwrap()), None).unwrap();
    tokio::spawn(async move {
        for visit in visits {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            let auth: Value =
                serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
            assert_eq!(auth["feed_status"], true);
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
    let pauses = Backoff::new(Duration::from_millis(1), Duration::from_millis(2));
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
async fn a_symbol_that_comes_back_by_itself_is_waited_for() {
    let missing = json!({"type": "subscription_status", "status": "error", "symbol": "SBIN", "exchange": "NSE",
                         "code": "SYMBOL_NOT_FOUND", "message": "not in the list", "kept": true});
    let visit = Visit { then: Some(missing), ..Visit::with_ticks(1) };
    let mut link = connect(vec![visit], &["SBIN"], false).await.unwrap();
    assert!(matches!(link.next().await.unwrap(), Event::Tick(_)));
    let Event::Refused(refusals) = link.next().await.unwrap() else { panic!("a refusal") };
    assert_eq!(refusals, [Refusal { name: "NSE:SBIN".to_owned(), reason: "not in the list".to_owned() }]);
}

#[tokio::test]
async fn the_state_of_the_feed_comes_between_the_ticks() {
    let down = json!({"type": "feed_status", "broker": "sim", "state": "down", "message": "crash\u{1b}ed"});
    let visit = Visit { then: Some(down), ..Visit::with_ticks(1) };
    let mut link = connect(vec![visit], &["SBIN"], false).await.unwrap();
    assert!(matches!(link.next().await.unwrap(), Event::Tick(_)));
    let Event::Feed(feed) = link.next().await.unwrap() else { panic!("news") };
    assert_eq!(feed.to_string(), "feed down: crashed");
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
                Event::Feed(_) => 's',
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
    let target = Target::parse(&format!("ws://{}", listener.local_addr().unwrap()), None).unwrap();
    drop(listener);
    let error = Link::open(target, subscription("x", &["SBIN"]), PAUSES, true).await.unwrap_err();
    assert!(format!("{error:#}").contains("tickhost run"), "{error:#}");
}
