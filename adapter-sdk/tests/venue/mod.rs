//! A broker that speaks JSON over a WebSocket, on a free port, doing what a test tells it.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use tokio::{net::TcpListener, sync::broadcast};
use tokio_tungstenite::tungstenite::Message;

const SOON: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Seen {
    log_ins: usize,
    holds_log_ins: bool,
    /// Numbers of each subscribe message, by connection.
    subscribed: Vec<Vec<Vec<u64>>>,
}

pub(crate) struct Venue {
    address: SocketAddr,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    orders: broadcast::Sender<Option<String>>,
    _runtime: tokio::runtime::Runtime,
}

impl Venue {
    pub(crate) fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<(Mutex<Seen>, Condvar)>::default();
        let (orders, _) = broadcast::channel(100);
        let (shared, sender) = (Arc::clone(&seen), orders.clone());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared), sender.subscribe()));
            }
        });
        Self { address, seen, orders, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(crate) fn send(&self, message: &Value) {
        self.orders.send(Some(message.to_string())).unwrap();
    }

    pub(crate) fn drop_connection(&self) {
        self.orders.send(None).unwrap();
    }

    pub(crate) fn hold_log_ins(&self) {
        self.seen.0.lock().holds_log_ins = true;
    }

    pub(crate) fn let_log_in(&self) {
        self.seen.0.lock().holds_log_ins = false;
    }

    pub(crate) fn log_ins(&self) -> usize {
        self.seen.0.lock().log_ins
    }

    pub(crate) fn wait_until_subscribed(&self, instrument: u64) {
        self.wait(|seen| {
            seen.subscribed.last()?.iter().flatten().any(|number| *number == instrument).then_some(())
        });
    }

    /// Numbers in the first subscribe message of the connection with this count, from 1.
    pub(crate) fn wait_for_first_subscribe(&self, connection: usize) -> Vec<u64> {
        self.wait(|seen| seen.subscribed.get(connection - 1)?.first().cloned())
    }

    fn wait<T>(&self, find: impl Fn(&Seen) -> Option<T>) -> T {
        let deadline = Instant::now() + SOON;
        let mut seen = self.seen.0.lock();
        loop {
            if let Some(found) = find(&seen) {
                return found;
            }
            assert!(
                !self.seen.1.wait_until(&mut seen, deadline).timed_out(),
                "the adapter did not do it in time"
            );
        }
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    mut orders: broadcast::Receiver<Option<String>>,
) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let Some(Ok(Message::Text(login))) = socket.next().await else { return };
    seen.0.lock().log_ins += 1;
    while seen.0.lock().holds_log_ins {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    if !login.contains("good") {
        let _gone = socket.send(Message::text("{\"no\":1}")).await;
        return;
    }
    let place = {
        let mut seen = seen.0.lock();
        seen.subscribed.push(Vec::new());
        seen.subscribed.len() - 1
    };
    let _gone = socket.send(Message::text("{\"welcome\":1}")).await;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Ok(Some(text)) => if socket.send(Message::text(text)).await.is_err() { return },
                _ => return,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if let Some(wanted) = message["subscribe"].as_array() {
                        let numbers = wanted.iter().filter_map(|one| one["id"].as_u64()).collect();
                        seen.0.lock().subscribed[place].push(numbers);
                        seen.1.notify_all();
                    }
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}
