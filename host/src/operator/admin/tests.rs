use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use rstest::rstest;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::feeds::catalog::Failed;

const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Fake {
    token: Token,
    console_token: Token,
    is_degraded: AtomicBool,
    kept_key: KeptKey,
    surveys: AtomicUsize,
    counters: Arc<ServerCounters>,
}

impl StatusSource for Fake {
    fn token(&self) -> &Token {
        &self.token
    }

    fn console_token(&self) -> &Token {
        &self.console_token
    }

    fn counters(&self) -> Arc<ServerCounters> {
        Arc::clone(&self.counters)
    }

    fn websocket(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 8_765))
    }

    fn is_secure(&self) -> bool {
        false
    }

    fn feed_counters(&self) -> Vec<(u32, Arc<FeedCounters>)> {
        Vec::new()
    }

    fn clients(&self, _most: usize) -> Pin<Box<dyn Future<Output = Surveyed> + Send>> {
        self.surveys.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Surveyed { total: 9, ..Surveyed::default() }))
    }

    fn streams(&self) -> u64 {
        0
    }

    fn symbols(&self, text: String) -> Pin<Box<dyn Future<Output = Found> + Send>> {
        let symbol = Symbol { exchange: "NSE".to_owned(), symbol: text, adapter: "sim".to_owned() };
        Box::pin(std::future::ready(Found { listed: true, symbols: vec![symbol] }))
    }

    fn kept_key(&self) -> Pin<Box<dyn Future<Output = KeptKey> + Send>> {
        Box::pin(std::future::ready(self.kept_key.clone()))
    }

    fn reload(&self, adapter: String) -> Pin<Box<dyn Future<Output = Reloaded> + Send>> {
        let outcome = match adapter.as_str() {
            "sim" => Reloaded::Done(Outcome { loaded: vec![adapter], ..Outcome::default() }),
            "broken" => {
                let failed = Failed { name: adapter, reason: "it is truncated".to_owned() };
                Reloaded::Done(Outcome { failed: vec![failed], ..Outcome::default() })
            }
            _ => Reloaded::Unknown,
        };
        Box::pin(std::future::ready(outcome))
    }

    fn status(&self) -> StatusReport {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        StatusReport {
            version: "1.2.3",
            abi_version: "1.0",
            uptime_seconds: 5,
            listeners: Listeners { websocket: address, bus: None, admin: address },
            feeds: Vec::new(),
            plugins_error: None,
            adapters: vec![AdapterStatus { name: "sim".into(), ..AdapterStatus::default() }],
            sessions: SessionCounts { connections: 3, without_key: 1, total: 2, by_shard: vec![1, 1] },
            accounts_changes: 6,
            limits: Limits { connections: 10, connections_per_address: 5, connections_per_key: 4 },
            counters: Counts(vec![("auth_ok", 7), ("auth_failed", 8)]),
            refusals: Counts(vec![("no_upgrade", 1)]),
            bus: Areas(vec![
                ("malformed", "json", 1),
                ("tick", "accepted", 2),
                ("malformed", "not_finite", 3),
            ]),
        }
    }

    fn ready(&self) -> Readiness {
        let reason = NotReady {
            feed: Some(1),
            adapter: None,
            broker: "sim".to_owned(),
            state: "stale",
            message: "no ticks arrive".into(),
        };
        Readiness::new(if self.is_degraded.load(Ordering::Relaxed) { vec![reason] } else { Vec::new() })
    }

    fn render_metrics(&self, out: &mut String) {
        out.push_str("tickhost_sessions 2\n");
    }
}

#[derive(Debug)]
struct Port {
    address: SocketAddr,
    source: Arc<Fake>,
    shutdown: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

impl Port {
    async fn open() -> Self {
        Self::open_with(KeptKey::None).await
    }

    async fn open_with(kept_key: KeptKey) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let source = Arc::new(Fake {
            token: Token::generate(),
            console_token: Token::generate(),
            is_degraded: AtomicBool::new(false),
            kept_key,
            surveys: AtomicUsize::new(0),
            counters: Arc::default(),
        });
        let serving = tokio::spawn(serve(listener, None, Arc::clone(&source) as _, shutdown.clone()));
        Self { address, source, shutdown, serving }
    }

    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Head and body of the answer.
    async fn ask(&self, request: &str) -> (String, String) {
        let answer = read(self.send(request).await).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_ascii_lowercase(), body.to_owned())
    }

    async fn get(&self, path: &str) -> (String, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)).await
    }
}

impl Port {
    /// As [`Self::get`], with the token of the console.
    async fn get_as_console(&self, path: &str) -> (String, String) {
        let link = self.source.console_token.console_link(self.address);
        let token = link.rsplit('=').next().unwrap();
        self.ask(&format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
            self.address
        ))
        .await
    }
}

async fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end too: whoever is refused has bytes under way that nobody reads.
    let _end =
        tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn each_path_answers_in_its_format() {
    let port = Port::open().await;
    let (head, body) = port.get("/livez").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("cache-control: no-store"), "{head}");
    assert_eq!(body, "ok");

    let (head, body) = port.get("/metrics").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert_eq!(body, "tickhost_sessions 2\n");

    let (head, body) = port.get("/status").await;
    assert!(head.contains("content-type: application/json"), "{head}");
    let status: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&status["sessions"]["total"], &status["adapters"][0]["state"]),
        (&2.into(), &"disabled".into())
    );
    assert_eq!(status["counters"]["auth_failed"], 8);
    assert_eq!(status["bus"]["malformed"], serde_json::json!({"json": 1, "not_finite": 3}));
    assert_eq!(status["bus"]["tick"]["accepted"], 2);
}

#[tokio::test]
async fn a_degraded_host_says_which_feed_and_why() {
    let port = Port::open().await;
    let (head, body) = port.get("/readyz").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, r#"{"ready":true,"reasons":[]}"#);

    port.source.is_degraded.store(true, Ordering::Relaxed);
    let (head, body) = port.get("/readyz").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    let readiness: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&readiness["ready"], &readiness["reasons"][0]["state"]), (&false.into(), &"stale".into()));
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let port = Port::open().await;
    let (head, body) = port.ask("HEAD /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-length: 2"), "{head}");
    assert_eq!(body, "");
}

#[rstest]
#[case("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404)]
#[case("GET /status/../x HTTP/1.1\r\nHost: localhost\r\n\r\n", 404)]
#[case("POST /status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405)]
#[case("DELETE /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 405)]
#[case("GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403)]
#[case("GET /status HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", 403)]
#[case("GET /status HTTP/1.0\r\n\r\n", 403)]
#[tokio::test]
async fn what_is_not_served_is_refused_with_a_sentence(#[case] request: &str, #[case] status: u16) {
    let port = Port::open().await;
    let (head, body) = port.ask(request).await;
    assert!(head.contains(&format!(" {status} ")), "{head}");
    assert_eq!(head.contains("allow: get, head"), status == 405);
    let refusal: Value = serde_json::from_str(&body).unwrap();
    assert!(refusal["error"].as_str().is_some_and(|sentence| sentence.len() > 20), "{body}");
}

#[tokio::test]
async fn an_endless_head_is_cut_off() {
    let port = Port::open().await;
    let filler = "x".repeat(2 * BUFFER_BYTES);
    let answer =
        read(port.send(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {filler}\r\n\r\n")).await).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_ended() {
    let port = Port::open().await;
    for head in ["", "GET /livez HTTP/1.1\r\nHost: loc"] {
        let started = tokio::time::Instant::now();
        read(port.send(head).await).await;
        assert!(started.elapsed() <= CONNECTION_DEADLINE);
    }
}

#[tokio::test]
async fn those_who_do_not_finish_asking_make_room_for_those_who_do() {
    let port = Port::open().await;
    let mut held = Vec::new();
    for number in 0..CONNECTIONS_AT_ONCE + 16 {
        let head = ["", "GET /livez HTTP/1.1\r\nHost: loc"][number % 2];
        held.push(port.send(head).await);
    }
    for _ in 0..3 {
        let (head, _) = port.get("/livez").await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
    }
    // In the order in which they came.
    assert_eq!(read(held.remove(0)).await, "");
    assert!(port.source.counters.operator_ended.get() >= 16);
    assert_eq!(port.source.counters.operator_refused.get(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn commands_have_a_socket_of_their_own() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    // What a killed host left.
    std::fs::write(&socket, "").unwrap();
    let private = PrivateSocket::listen(folder.path());
    assert!(private.is_some());
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shutdown = CancellationToken::new();
    let source = Port::open().await.source;
    let serving = tokio::spawn(serve(listener, private, source, shutdown.clone()));
    let mut stream = tokio::net::UnixStream::connect(&socket).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:8766\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    shutdown.cancel();
    tokio::time::timeout(SOON, serving).await.expect("it ends").unwrap();
    assert!(!socket.exists());
}

#[tokio::test]
async fn serving_ends_when_told() {
    let port = Port::open().await;
    port.get("/livez").await;
    port.shutdown.cancel();
    tokio::time::timeout(SOON, port.serving).await.expect("it ends").unwrap();
    assert!(TcpStream::connect(port.address).await.is_err());
}

#[tokio::test]
async fn the_console_is_a_page_that_may_load_nothing_from_elsewhere() {
    let port = Port::open().await;
    for path in ["/console", "/console/"] {
        let (head, body) = port.get(path).await;
        assert!(head.starts_with("http/1.1 200 ") && head.contains("content-type: text/html"), "{head}");
        assert!(head.contains("content-security-policy: default-src 'none'; script-src 'self';"), "{head}");
        assert!(head.contains("connect-src 'self' ws://127.0.0.1:8765"), "{head}");
        assert!(head.contains("x-frame-options: deny") && head.contains("nosniff"), "{head}");
        assert!(body.starts_with("<!doctype html>"));
    }
    let (head, _) = port.get("/console/app.js").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("content-type: text/javascript"), "{head}");
    for path in ["/console/..%2fCargo.toml", "/console/app.js/x", "/console/none.js"] {
        let (head, _) = port.get(path).await;
        assert!(head.starts_with("http/1.1 404 "), "{path}: {head}");
    }
}

#[tokio::test]
async fn what_the_console_shows_needs_its_token_and_is_made_once_for_all_who_look() {
    let port = Port::open().await;
    let (head, body) = port.get("/console/api/live").await;
    assert!(head.starts_with("http/1.1 401 ") && body.contains("tickhost console"), "{head}{body}");
    let guess = "GET /console/api/live HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123\r\n\r\n";
    let (head, _) = port.ask(guess).await;
    assert!(head.starts_with("http/1.1 401 "), "{head}");
    assert_eq!(port.source.surveys.load(Ordering::Relaxed), 0);

    let answers = [
        port.get_as_console("/console/api/live").await,
        port.get_as_console("/console/api/live?after=0").await,
    ];
    for (head, body) in answers {
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let state: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&state["version"], &state["clients"]["total"]), (&"1.2.3".into(), &9.into()));
        assert!(state["samples"].is_array() && state["readiness"]["ready"] == true, "{state}");
    }
    assert_eq!(port.source.surveys.load(Ordering::Relaxed), 1);
    let (head, _) = port.get_as_console("/console/api/live?after=x").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

#[tokio::test]
async fn samples_are_taken_each_second_whether_somebody_looks_or_not() {
    let port = Port::open().await;
    let taken = async {
        loop {
            let (_, body) = port.get_as_console("/console/api/live").await;
            let state: Value = serde_json::from_str(&body).unwrap();
            if state["samples"].as_array().is_some_and(|samples| samples.len() >= 2) {
                return state;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let state = tokio::time::timeout(SOON, taken).await.expect("two samples");
    let numbers: Vec<_> =
        state["samples"].as_array().unwrap().iter().map(|sample| &sample["number"]).collect();
    assert_eq!(numbers[..2], [1, 2]);
    let (_, body) = port.get_as_console("/console/api/live?after=1").await;
    let state: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(state["samples"][0]["number"], 2);
}

#[tokio::test]
async fn a_page_learns_where_to_connect_and_the_operator_with_which_key() {
    let port = Port::open_with(KeptKey::Found("th_1_2".to_owned().into())).await;
    let (head, body) = port.get("/api/websocket/config").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let config: Value = serde_json::from_str(&body).unwrap();
    let url = "ws://127.0.0.1:8765";
    let expected = serde_json::json!({
        "status": "success", "websocket_url": url, "is_secure": false, "original_url": url, "url": url
    });
    assert_eq!(config, expected);

    let (head, body) = port.get("/api/websocket/apikey").await;
    assert!(head.starts_with("http/1.1 401 "), "{head}");
    assert_eq!(body, r#"{"status":"error","message":"Session not found - please refresh page"}"#);
    let (head, body) = port.get_as_console("/api/websocket/apikey").await;
    assert!(head.starts_with("http/1.1 200 ") && head.contains("cache-control: no-store"), "{head}");
    assert_eq!(body, r#"{"status":"success","api_key":"th_1_2","apiKey":"th_1_2","apikey":"th_1_2"}"#);
}

#[tokio::test]
async fn a_host_that_keeps_no_key_says_what_to_do() {
    let port = Port::open().await;
    let (head, body) = port.get_as_console("/api/websocket/apikey").await;
    assert!(head.starts_with("http/1.1 404 "), "{head}");
    assert_eq!(body, r#"{"status":"error","message":"No API key found. Please generate an API key first."}"#);
    let port = Port::open_with(KeptKey::Unusable("it was revoked".to_owned())).await;
    let (head, body) = port.get_as_console("/api/websocket/apikey").await;
    assert!(head.starts_with("http/1.1 404 ") && body.contains("it was revoked"), "{head}{body}");
}

#[tokio::test]
async fn symbols_are_searched_for_those_who_have_the_token() {
    let port = Port::open().await;
    let (head, _) = port.get("/console/api/symbols?find=M%26M").await;
    assert!(head.starts_with("http/1.1 401 "), "{head}");
    let (head, body) = port.get_as_console("/console/api/symbols?find=M%26M").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    let found: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&found["listed"], &found["symbols"][0]["symbol"]), (&true.into(), &"M&M".into()));
    let (head, _) = port.get_as_console("/console/api/symbols").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}
