//! The listener, HTTP, and the task of each WebSocket connection: everything on one address, as the settings
//! of an adapter name it.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Response, StatusCode,
    body::{Bytes, Incoming},
    header::HeaderValue,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, interval, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self,
        handshake::derive_accept_key,
        protocol::{
            Role,
            frame::{
                Frame,
                coding::{Data, OpCode},
            },
        },
    },
};

use crate::{
    Faults, Handshake, Line, Message, Reply, Request,
    http::reply,
    line::{Controlled, Mute, Out},
    message::{heard, said},
};

/// Largest body of a request.
const BODY_BYTES: usize = 256 * 1024;

/// Connections that a half-open server holds.
const HELD: usize = 64;

/// A time that does not come.
const FAR: Duration = Duration::from_hours(24);

/// How long a write may take before the connection is given up: a client that does not read is cut off.
const WRITE: Duration = Duration::from_secs(30);

/// How long what a client says is read after the connection has ended for the venue.
const PART: Duration = Duration::from_secs(1);

/// Pause after a connection that could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What becomes of a connection after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    Go,
    /// The broker hangs up without a word.
    HangUp,
    /// The same, for a reason that is no part of the protocol: the suite quotes it beside what it failed at.
    HangUpOver(&'static str),
}

/// What becomes of a handshake.
#[derive(Debug)]
pub enum Admission {
    /// The client is let in; the number is that of the connection.
    Taken(u64),
    /// It is refused with this answer.
    Refused(Reply),
    /// It is answered as if all were well, only to hang up after these messages.
    LastWords(Vec<Message>),
}

/// How a connection is kept.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    /// What is said on a connection that has been quiet for a while; a ping, however much was said.
    pub heartbeat: Option<(Duration, Message)>,
    /// Silence of the client after which the venue hangs up.
    pub patience: Option<Duration>,
}

/// What a server asks of who knows the broker. Calls come from many tasks, and none may wait.
pub trait Service: Send + Sync + 'static {
    /// Answers a request that is no handshake.
    fn answer(&self, request: &Request) -> Reply;

    /// What is answered to a request that is refused by [`Faults::refuse`].
    fn refused(&self, status: u16, _is_rest: bool) -> Reply {
        reply(status, "text/html", "<html><body><h1>Refused</h1></body></html>")
    }

    /// Judges a handshake. Who is taken is spoken to on the line, which is kept for as long as the connection
    /// is to last.
    fn admit(&self, request: &Handshake, line: Line) -> Admission;

    /// A message of a client.
    fn hear(&self, connection: u64, message: &Message) -> Next;

    /// A connection has ended, whoever ended it.
    fn left(&self, connection: u64);

    /// How a connection is kept; asked when it begins.
    fn pulse(&self, _connection: u64) -> Pulse {
        Pulse::default()
    }

    /// Whether a connection is sent heartbeats at the moment.
    fn beats(&self, _connection: u64) -> bool {
        true
    }

    /// A client has been silent for too long, and the connection ends.
    fn lost_patience(&self, _connection: u64, _silence: Duration) {}

    /// Whether a message shows that the client is there.
    fn is_sign_of_life(&self, _message: &Message) -> bool {
        true
    }
}

/// A server on 127.0.0.1, in the runtime of whoever started it. It takes no more connections when it is
/// dropped; those that are open end with their [`Line`]s.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Server {
    /// Starts one, on a free port if it is 0.
    ///
    /// # Errors
    /// When it cannot listen on the port.
    pub async fn start<S: Service>(port: u16, service: Arc<S>, faults: Faults) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, listening: tokio::spawn(listen(listener, service, faults)) })
    }

    /// Where everything is to be found, WebSocket and HTTP.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen<S: Service>(listener: TcpListener, service: Arc<S>, faults: Faults) {
    let mut held = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, say: that passes.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if faults.is_half_open() {
            held.push(stream);
            if held.len() > HELD {
                held.remove(0);
            }
            continue;
        }
        held.clear();
        tokio::spawn(serve(stream, Arc::clone(&service), faults.clone()));
    }
}

async fn serve<S: Service>(stream: TcpStream, shared: Arc<S>, faults: Faults) {
    // Frames that are split on purpose would be put together again.
    _ = stream.set_nodelay(true);
    let mute = Mute::default();
    let stream = TokioIo::new(Controlled::new(stream, mute.clone(), faults.split_bytes()));
    let service = service_fn(move |request| {
        let (shared, faults, mute) = (Arc::clone(&shared), faults.clone(), mute.clone());
        async move { Ok::<_, Infallible>(answer(request, shared, &faults, mute).await.map(Full::new)) }
    });
    // A client that breaks HTTP loses its connection, and nobody else does.
    _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, service).with_upgrades().await;
}

async fn answer<S: Service>(
    request: hyper::Request<Incoming>,
    service: Arc<S>,
    faults: &Faults,
    mute: Mute,
) -> Reply {
    let key = request.headers().get("sec-websocket-key").cloned();
    if let Some(key) = key {
        return shake_hands(request, &key, &service, faults, mute);
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES).collect().await else {
        return reply(413, "text/plain", "The body is too large");
    };
    if let Some(status) = faults.refusal(true) {
        return service.refused(status, true);
    }
    service.answer(&hyper::Request::from_parts(parts, body.to_bytes()))
}

fn shake_hands<S: Service>(
    mut request: hyper::Request<Incoming>,
    key: &HeaderValue,
    service: &Arc<S>,
    faults: &Faults,
    mute: Mute,
) -> Reply {
    let upgrade = hyper::upgrade::on(&mut request);
    let head = hyper::Request::from_parts(request.into_parts().0, ());
    if let Some(status) = faults.refusal(false) {
        return service.refused(status, false);
    }
    let (line, out) = Line::new(mute);
    match service.admit(&head, line) {
        Admission::Refused(refusal) => return refusal,
        Admission::LastWords(words) => {
            tokio::spawn(async move {
                if let Some(socket) = upgraded(upgrade).await {
                    part(socket, words).await;
                }
            });
        }
        Admission::Taken(connection) => {
            let (service, faults) = (Arc::clone(service), faults.clone());
            tokio::spawn(async move {
                if let Some(socket) = upgraded(upgrade).await {
                    converse(socket, &*service, connection, out, &faults).await;
                }
                service.left(connection);
            });
        }
    }
    switching(key)
}

async fn upgraded(upgrade: OnUpgrade) -> Option<Socket> {
    let stream = upgrade.await.ok()?;
    Some(WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None).await)
}

fn switching(key: &HeaderValue) -> Reply {
    let mut reply = Response::new(Bytes::new());
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

async fn converse<S: Service>(
    mut socket: Socket,
    service: &S,
    connection: u64,
    mut out: mpsc::Receiver<Out>,
    faults: &Faults,
) {
    let Pulse { heartbeat, patience } = service.pulse(connection);
    let mut beats = interval(heartbeat.as_ref().map_or(FAR, |(pause, _)| *pause));
    let end = Instant::now() + faults.storm().unwrap_or(FAR);
    let patience = patience.unwrap_or(FAR);
    let (mut heard_at, mut is_deaf, mut is_quiet) = (Instant::now(), false, true);
    loop {
        tokio::select! {
            order = out.recv() => match order {
                Some(Out::Send(message)) => {
                    is_quiet = false;
                    if !send(&mut socket, message, faults).await { break }
                }
                Some(Out::Deaf) => is_deaf = true,
                Some(Out::End(message)) => return part(socket, vec![message]).await,
                None => break,
            },
            message = socket.next(), if !is_deaf => {
                let Some(Ok(message)) = message else { break };
                let message = heard(message);
                if service.is_sign_of_life(&message) { heard_at = Instant::now() }
                let next = if message == Message::Close {
                    // The answer is ready, and waits to be sent.
                    _ = timeout(WRITE, socket.flush()).await;
                    Next::HangUp
                } else {
                    service.hear(connection, &message)
                };
                if next != Next::Go { break }
            }
            _ = beats.tick() => if let Some((_, message)) = heartbeat.as_ref().filter(|_| service.beats(connection)) {
                let is_ping = matches!(message, Message::Ping(_));
                if (is_quiet || is_ping) && !send(&mut socket, message.clone(), faults).await { break }
                is_quiet = true;
            },
            () = sleep_until(heard_at + patience) => {
                service.lost_patience(connection, patience);
                break;
            }
            () = sleep_until(end) => break,
        }
    }
}

/// Says last words, and hangs up without a close frame. What the client still says is read for a moment: a
/// connection that ends with something unread may take back what was sent.
async fn part(mut socket: Socket, words: Vec<Message>) {
    for message in words {
        if !send_one(&mut socket, said(message)).await {
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
async fn send(socket: &mut Socket, message: Message, faults: &Faults) -> bool {
    let first = match &message {
        Message::Text(_) => Data::Text,
        Message::Binary(_) => Data::Binary,
        _ => return send_one(socket, said(message)).await,
    };
    if !faults.is_fragmented() {
        return send_one(socket, said(message)).await;
    }
    let payload = message.payload();
    let (one, two) = payload.split_at(payload.len() / 2);
    for (part, data, is_final) in [(one, first, false), (two, Data::Continue, true)] {
        let frame = Frame::message(part.to_vec(), OpCode::Data(data), is_final);
        if !send_one(socket, tungstenite::Message::Frame(frame)).await {
            return false;
        }
    }
    true
}

async fn send_one(socket: &mut Socket, message: tungstenite::Message) -> bool {
    matches!(timeout(WRITE, socket.send(message)).await, Ok(Ok(())))
}
