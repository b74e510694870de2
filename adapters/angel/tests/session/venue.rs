//! As much of the broker as these tests need, on a free port of this machine.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use adapter_sdk::serde_json::{self, Value, json};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::{Condvar, Mutex};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
    },
};

/// Longest wait for anything.
const SOON: Duration = Duration::from_secs(10);

/// What came in, and what is to be answered.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Requests in JSON, with action, mode and tokens as `exchangeType:token`.
    pub(crate) requests: Vec<(u64, u64, Vec<String>)>,
    /// Their correlation ids.
    pub(crate) correlations: Vec<String>,
    /// Headers of the market feed's handshakes.
    pub(crate) handshakes: Vec<Vec<(String, String)>>,
    /// Connections of the order socket that were opened, and that are open.
    pub(crate) orders_opened: usize,
    pub(crate) orders_open: usize,
    /// Requests of the REST interface: path, headers and body.
    pub(crate) posts: Vec<(String, String, Value)>,
    /// Answers of the REST interface, in turn.
    pub(crate) answers: VecDeque<(u16, Value)>,
    /// The list of instruments.
    pub(crate) list: String,
    /// How a handshake is refused: status and `x-error-message`.
    pub(crate) refusal: Option<(u16, &'static str)>,
    /// Whether heartbeats stay without an answer.
    pub(crate) is_mute: bool,
    /// Heartbeats that came.
    pub(crate) beats: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The broker.
pub(crate) struct Venue {
    shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
    feed: broadcast::Sender<Message>,
    orders: broadcast::Sender<Message>,
}

impl Venue {
    pub(crate) fn start(list: &Value) -> Self {
        let shared = Arc::new(Shared::default());
        shared.state.lock().list = list.to_string();
        let (feed, orders) = (broadcast::channel(64).0, broadcast::channel(64).0);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (inside, feeds, order_feeds) = (Arc::clone(&shared), feed.clone(), orders.clone());
        // Ends with the test's process.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&inside), feeds.clone(), order_feeds.clone()));
                }
            });
        });
        Self { shared, address, feed, orders }
    }

    /// Settings that lead here.
    pub(crate) fn config(&self, cache_dir: &std::path::Path) -> Value {
        let address = self.address;
        json!({
            "ws_url": format!("ws://{address}/smart-stream"),
            "order_ws_url": format!("ws://{address}/orders"),
            "api_url": format!("http://{address}"),
            "instruments_url": format!("http://{address}/list"),
            "cache_dir": cache_dir,
            "orders": false,
            "batch_interval_ms": 0,
        })
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock());
    }

    pub(crate) fn send(&self, message: impl Into<Message>) {
        self.feed.send(message.into()).unwrap();
    }

    pub(crate) fn send_order(&self, text: &str) {
        self.orders.send(Message::text(text)).unwrap();
    }

    /// Waits until `find` finds something.
    pub(crate) fn wait<T>(&self, what: &str, find: impl Fn(&State) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        let mut state = self.shared.state.lock();
        loop {
            if let Some(found) = find(&state) {
                return found;
            }
            let is_late = self.shared.changed.wait_until(&mut state, deadline).timed_out();
            assert!(!is_late, "waited {SOON:?} for {what}: {state:?}");
        }
    }

    /// Waits until so many requests came; gives all of them.
    pub(crate) fn requests(&self, count: usize) -> Vec<(u64, u64, Vec<String>)> {
        self.wait("requests", |state| (state.requests.len() >= count).then(|| state.requests.clone()))
    }
}

impl Shared {
    fn note<T>(&self, note: impl FnOnce(&mut State) -> T) -> T {
        let noted = note(&mut self.state.lock());
        self.changed.notify_all();
        noted
    }
}

async fn serve(
    stream: TcpStream,
    shared: Arc<Shared>,
    feed: broadcast::Sender<Message>,
    orders: broadcast::Sender<Message>,
) {
    let mut head = [0; 4_096];
    let length = stream.peek(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
    if !head.contains("upgrade: websocket") {
        answer(stream, &shared).await;
        return;
    }
    let is_orders = head.starts_with("get /orders");
    let ticks = if is_orders { orders.subscribe() } else { feed.subscribe() };
    let inside = Arc::clone(&shared);
    #[expect(clippy::result_large_err, reason = "the type of the handshake's callback")]
    let callback = move |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let headers: Vec<(String, String)> = headers.collect();
        let refusal = inside.note(|state| {
            if !is_orders {
                state.handshakes.push(headers);
            }
            state.refusal
        });
        let Some((status, message)) = refusal.filter(|_| !is_orders) else { return Ok(response) };
        let refused = tokio_tungstenite::tungstenite::http::Response::builder()
            .status(status)
            .header("x-error-message", message)
            .body(Some("<html>refused</html>".to_owned()));
        Err(refused.unwrap())
    };
    let Ok(socket) = accept_hdr_async(stream, callback).await else { return };
    if is_orders {
        shared.note(|state| {
            state.orders_opened += 1;
            state.orders_open += 1;
        });
    }
    talk(socket, &shared, ticks).await;
    if is_orders {
        shared.note(|state| state.orders_open -= 1);
    }
}

async fn talk(
    mut socket: tokio_tungstenite::WebSocketStream<TcpStream>,
    shared: &Shared,
    mut ticks: broadcast::Receiver<Message>,
) {
    loop {
        tokio::select! {
            tick = ticks.recv() => {
                let Ok(tick) = tick else { return };
                if socket.send(tick).await.is_err() {
                    return;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) if text == "ping" => {
                    shared.note(|state| state.beats += 1);
                    let is_mute = shared.state.lock().is_mute;
                    if !is_mute && socket.send(Message::text("pong")).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Text(text))) => shared.note(|state| take(state, &text)),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

fn take(state: &mut State, text: &str) {
    let json: Value = serde_json::from_str(text).unwrap();
    let mut tokens = Vec::new();
    for list in json["params"]["tokenList"].as_array().unwrap() {
        for token in list["tokens"].as_array().unwrap() {
            tokens.push(format!("{}:{}", list["exchangeType"], token.as_str().unwrap()));
        }
    }
    state.correlations.push(json["correlationID"].as_str().unwrap().to_owned());
    state.requests.push((json["action"].as_u64().unwrap(), json["params"]["mode"].as_u64().unwrap(), tokens));
}

async fn answer(mut stream: TcpStream, shared: &Shared) {
    let mut request = Vec::new();
    let (head, mut body) = loop {
        let mut chunk = [0; 4_096];
        let length = stream.read(&mut chunk).await.unwrap();
        request.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            break (head.to_lowercase(), body.to_owned());
        }
        assert!(length > 0, "the request broke off");
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    while body.len() < length.unwrap_or_default() {
        let mut chunk = [0; 4_096];
        let length = stream.read(&mut chunk).await.unwrap();
        body.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (status, answer) = shared.note(|state| {
        if path == "/list" {
            return (200, state.list.clone());
        }
        let body = serde_json::from_str(&body).unwrap();
        state.posts.push((path, head, body));
        let (status, answer) = state.answers.pop_front().unwrap();
        (status, answer.to_string())
    });
    let response = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
    // A client that is gone has what it wanted.
    _ = stream.write_all(response.as_bytes()).await;
}
