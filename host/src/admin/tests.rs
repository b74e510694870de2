use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use rstest::rstest;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::catalog::Failed;

const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Fake {
    token: Token,
    is_degraded: AtomicBool,
}

impl StatusSource for Fake {
    fn token(&self) -> &Token {
        &self.token
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
            sessions: SessionCounts { connections: 3, total: 2, by_shard: vec![1, 1] },
            limits: Limits { connections: 10, connections_per_address: 5, connections_per_key: 4 },
            counters: Counts(vec![("auth_ok", 7), ("auth_failed", 8)]),
        }
    }

    fn ready(&self) -> Readiness {
        let reason =
            NotReady { feed: 1, broker: "sim".to_owned(), state: "stale", message: "no ticks arrive".into() };
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
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

impl Port {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let source = Arc::new(Fake { token: Token::generate(), is_degraded: AtomicBool::new(false) });
        let serving = tokio::spawn(serve(listener, Arc::clone(&source) as _, shutdown.clone()));
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
async fn one_connection_too_many_is_refused_and_the_place_of_one_that_ends_is_free_again() {
    let port = Port::open().await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_AT_ONCE {
        held.push(port.send("").await);
    }
    let answer = read(TcpStream::connect(port.address).await.unwrap()).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    held.clear();
    let served = async {
        let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        while !read(port.send(request).await).await.starts_with("HTTP/1.1 200 ") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, served).await.expect("a place is free");
}

#[tokio::test]
async fn serving_ends_when_told() {
    let port = Port::open().await;
    port.get("/livez").await;
    port.shutdown.cancel();
    tokio::time::timeout(SOON, port.serving).await.expect("it ends").unwrap().unwrap();
    assert!(TcpStream::connect(port.address).await.is_err());
}
