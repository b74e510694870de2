//! The listener, HTTP, and the task of each WebSocket connection.

mod stream;

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Incoming},
    header::HeaderValue,
    service::service_fn,
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, interval, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

use self::stream::Controlled;
use crate::{
    broker::{Broker, Next, Reply, reply},
    state::{Core, Out, Wire},
};

/// Largest body of a request.
const BODY_BYTES: usize = 256 * 1024;

/// Connections that a half-open venue holds.
const HELD: usize = 64;

/// A time that does not come.
const FAR: Duration = Duration::from_hours(24);

/// How long a write may take before the connection is given up: a client that does not read is cut off.
const WRITE: Duration = Duration::from_secs(30);

/// How long what a client says is read after the connection has ended for the venue.
const PART: Duration = Duration::from_secs(1);

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared<B> {
    pub(crate) core: Mutex<Core>,
    pub(crate) broker: B,
    /// Instead of the broker's.
    pub(crate) patience: Option<Duration>,
    /// Instead of the broker's.
    pub(crate) heartbeat: Option<Duration>,
}

/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn listen<B: Broker>(listener: TcpListener, shared: Arc<Shared<B>>) {
    let mut held = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, say: that passes.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if shared.core.lock().faults.is_half_open {
            held.push(stream);
            if held.len() > HELD {
                held.remove(0);
            }
            continue;
        }
        held.clear();
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve<B: Broker>(stream: TcpStream, shared: Arc<Shared<B>>) {
    // Frames that are split on purpose would be put together again.
    _ = stream.set_nodelay(true);
    let wire = Arc::<Wire>::default();
    let split_bytes = shared.core.lock().faults.split_bytes;
    let stream = TokioIo::new(Controlled::new(stream, Arc::clone(&wire), split_bytes));
    let service = service_fn(move |request| {
        let (shared, wire) = (Arc::clone(&shared), Arc::clone(&wire));
        async move { Ok::<_, Infallible>(answer(request, shared, wire).await) }
    });
    // A client that breaks HTTP loses its connection, and nobody else does.
    _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).with_upgrades().await;
}

async fn answer<B: Broker>(
    request: hyper::Request<Incoming>,
    shared: Arc<Shared<B>>,
    wire: Arc<Wire>,
) -> Reply {
    let key = request.headers().get("sec-websocket-key").cloned();
    if let Some(key) = key {
        return shake_hands(request, &key, &shared, wire);
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return reply(413, "text/plain", "The body is too large");
    };
    let request = hyper::Request::from_parts(parts, body.to_bytes());
    let mut core = shared.core.lock();
    if let Some(status) = core.refusal(true) {
        return B::refused(status);
    }
    shared.broker.rest(&mut core, &request)
}

fn shake_hands<B: Broker>(
    mut request: hyper::Request<Incoming>,
    key: &HeaderValue,
    shared: &Arc<Shared<B>>,
    wire: Arc<Wire>,
) -> Reply {
    let upgrade = hyper::upgrade::on(&mut request);
    let head = hyper::Request::from_parts(request.into_parts().0, ());
    let mut core = shared.core.lock();
    if let Some(status) = core.refusal(false) {
        return reply(status, "text/html", "<html><body><h1>Refused</h1></body></html>");
    }
    if let Some(words) = shared.broker.last_words(&core, &head) {
        core.report.log_ins.push(false);
        tokio::spawn(async move {
            if let Ok(stream) = upgrade.await {
                part(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await, words)
                    .await;
            }
        });
        return switching(key);
    }
    let account = match shared.broker.admit(&core, &head) {
        Ok(account) => account,
        Err(refusal) => {
            if matches!(refusal.status().as_u16(), 401 | 403) {
                core.report.log_ins.push(false);
            }
            return refusal;
        }
    };
    let storm = core.faults.storm;
    let (connection, out) = core.enter::<B>(account, wire);
    drop(core);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        if let Ok(stream) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await;
            converse(socket, &shared, connection, out, storm).await;
        }
        shared.core.lock().leave(connection);
    });
    switching(key)
}

fn switching(key: &HeaderValue) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&derive_accept_key(key.as_bytes())) {
        headers.insert("sec-websocket-accept", accept);
    }
    reply
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

async fn converse<B: Broker>(
    mut socket: Socket,
    shared: &Shared<B>,
    connection: u64,
    mut out: mpsc::Receiver<Out>,
    storm: Option<Duration>,
) {
    let heartbeat = B::heartbeat().map(|(pause, message)| (shared.heartbeat.unwrap_or(pause), message));
    let mut beats = interval(heartbeat.as_ref().map_or(FAR, |(pause, _)| *pause));
    let end = Instant::now() + storm.unwrap_or(FAR);
    let own = shared.patience;
    let patience = B::patience().map_or(FAR, |brokers| own.unwrap_or(brokers));
    let (mut heard, mut is_deaf, mut is_quiet) = (Instant::now(), false, true);
    loop {
        tokio::select! {
            order = out.recv() => match order {
                Some(Out::Send(message)) => {
                    is_quiet = false;
                    if !send(&mut socket, message).await { break }
                }
                Some(Out::Deaf) => is_deaf = true,
                Some(Out::End(message)) => return part(socket, vec![message]).await,
                None => break,
            },
            message = socket.next(), if !is_deaf => {
                let Some(Ok(message)) = message else { break };
                if B::is_sign_of_life(&message) { heard = Instant::now() }
                let next = match message {
                    Message::Text(text) => B::hear(&mut shared.core.lock(), connection, &text),
                    Message::Binary(bytes) => B::hear_binary(&mut shared.core.lock(), connection, &bytes),
                    Message::Close(_) => {
                        // The answer is ready, and waits to be sent.
                        _ = timeout(WRITE, socket.flush()).await;
                        Next::HangUp
                    }
                    _ => Next::Go,
                };
                if next == Next::HangUp { break }
            }
            _ = beats.tick() => if let Some((_, message)) = &heartbeat {
                if (is_quiet || message.is_ping()) && !send(&mut socket, message.clone()).await { break }
                is_quiet = true;
            },
            () = sleep_until(heard + patience) => break,
            () = sleep_until(end) => break,
        }
    }
}

/// Says last words, and hangs up without a close frame. What the client still says is read for a moment: a connection that
/// ends with something unread may take back what was sent.
async fn part(mut socket: Socket, words: Vec<Message>) {
    for message in words {
        if !send(&mut socket, message).await {
            return;
        }
    }
    let mut stream = socket.get_mut();
    let end = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    };
    _ = timeout(PART, end).await;
}

/// Whether it was sent.
async fn send(socket: &mut Socket, message: Message) -> bool {
    matches!(timeout(WRITE, socket.send(message)).await, Ok(Ok(())))
}
