//! The operator's port: is it alive, is it ready, what does it do, and how much of it.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 `ok` as long as the process serves |
//! | `/readyz` | 200 when every feed that should be live is, else 503; reasons as JSON |
//! | `/status` | [`StatusReport`] as JSON; to whoever shows a [`Token`] only if it is this host's |
//! | `/metrics` | all counters in the text format of Prometheus |
//! | `/console` | a page that shows all of it, and lets the operator try what a client gets |
//! | `/console/api/live`, `/console/api/symbols` | what the page shows, as JSON; needs the [`Token`] of the console |
//! | `/api/websocket/config`, `/api/websocket/apikey` | what a page needs to connect; the key needs that token too |
//! | `POST /adapters/NAME/reload` | for `tickhost adapters reload`, which knows the [`Token`]: loads the adapter again |
//!
//! Most of it has no log-in, so it answers only to this machine (or to the address that the operator opened
//! it on): a web page that the operator visits must not be able to read it through the browser, whatever name
//! it makes the browser resolve.
//!
//! One request per connection, [`CONNECTIONS_AT_ONCE`] connections, and [`CONNECTION_DEADLINE`] for each of
//! them. Who is slow makes room for who comes (`door.rs`): nobody can hold the port. The host's own commands
//! do not even stand in that queue: they have a local socket of their own (`private.rs`).

mod assets;
mod console;
mod control;
mod door;
mod guard;
mod kept_key;
mod live;
mod pages;
mod private;
mod report;
mod routes;
mod stats_file;
mod symbols;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tickhost_core::metrics::{FeedCounters, ServerCounters};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::control::{ControlFile, RunningHost, Token, from_this_machine};
pub use self::kept_key::{KEY_FILES, KeptKey, read_kept_key};
pub use self::live::SESSIONS_SHOWN;
pub use self::private::PrivateSocket;
pub use self::report::{
    Areas, Counts, FeedReport, InstanceReport, Limits, LinkReport, Listeners, NotReady, Readiness,
    SessionCounts, StatusReport,
};
pub use crate::feeds::catalog::report::{AdapterState, AdapterStatus, BrokerStatus, capability_names};

pub use self::stats_file::keep_stats_file;
pub use self::symbols::{Found, Symbol, find_symbols};

use self::{
    door::{Door, Visit},
    live::Live,
};
use crate::{
    base::{
        descriptors::{COMMANDS_AT_ONCE, OPERATOR_CONNECTIONS_AT_ONCE as CONNECTIONS_AT_ONCE},
        log_rate::outside_line,
    },
    clients::shard::Surveyed,
    feeds::catalog::Outcome,
};

/// Longest life of a connection, from accept to the last byte of the answer.
pub const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);

/// As [`CONNECTION_DEADLINE`], of the host's own commands, which load adapters.
const COMMAND_DEADLINE: Duration = Duration::from_mins(1);

/// Longest wait for the head of the request, which fits into a packet or two.
const HEAD_DEADLINE: Duration = Duration::from_secs(2);

/// Longest head of a request, and largest buffer of a connection. The least that the HTTP library takes.
const BUFFER_BYTES: usize = 8 * 1_024;

/// Pause after the system refuses a connection, most often for want of descriptors: without it the loop would
/// spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// Where the answers come from. Called on a thread that serves: the methods only read what is in memory.
pub trait StatusSource: std::fmt::Debug + Send + Sync + 'static {
    /// Everything, for `/status`.
    fn status(&self) -> StatusReport;

    /// Whether clients can be served as they should.
    fn ready(&self) -> Readiness;

    /// What opens the port to commands.
    fn token(&self) -> &Token;

    /// Loads an adapter again.
    fn reload(&self, adapter: String) -> Pin<Box<dyn Future<Output = Reloaded> + Send>>;

    /// What opens the console.
    fn console_token(&self) -> &Token;

    /// Where clients connect.
    fn websocket(&self) -> SocketAddr;

    /// Whether they connect with TLS.
    fn is_secure(&self) -> bool;

    /// Feeds by number, with their counters.
    fn feed_counters(&self) -> Vec<(u32, Arc<FeedCounters>)>;

    /// Sessions, those first that are most behind, at most `most` of them.
    fn clients(&self, most: usize) -> Pin<Box<dyn Future<Output = Surveyed> + Send>>;

    /// Where it is counted how the port is used.
    fn counters(&self) -> Arc<ServerCounters>;

    /// Streams that somebody holds: of each instrument, every mode and number of levels.
    fn streams(&self) -> u64;

    /// Symbols whose names hold this text.
    fn symbols(&self, text: String) -> Pin<Box<dyn Future<Output = Found> + Send>>;

    /// A key that the console may use.
    fn kept_key(&self) -> Pin<Box<dyn Future<Output = KeptKey> + Send>>;

    /// Appends all metrics in the text format of Prometheus.
    fn render_metrics(&self, out: &mut String);
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// There is no adapter of that name.
    Unknown,
    /// It was looked at, with this outcome.
    Done(Outcome),
    /// The host failed.
    Failed,
}

/// Serves the port, and the host's own commands at their socket, until `shutdown`; then lets the requests
/// under way end, each within its deadline.
pub async fn serve(
    port: TcpListener,
    private: Option<PrivateSocket>,
    source: Arc<dyn StatusSource>,
    shutdown: CancellationToken,
) {
    let live = Live::new(Arc::clone(&source));
    let recording = tokio::spawn(Arc::clone(&live).record(shutdown.clone()));
    let counters = source.counters();
    let routes = routes::routes(source, live);
    let public = Listener {
        door: Door::new(CONNECTIONS_AT_ONCE, Arc::clone(&counters)),
        deadline: CONNECTION_DEADLINE,
        routes,
        connections: TaskTracker::new(),
    };
    let commands = Listener {
        door: Door::new(COMMANDS_AT_ONCE, counters),
        deadline: COMMAND_DEADLINE,
        routes: public.routes.clone(),
        connections: TaskTracker::new(),
    };
    tokio::join!(public.serve_port(port, &shutdown), commands.serve_commands(private, &shutdown));
    if recording.await.is_err() {
        tracing::error!("What recorded the last minutes for the console had failed");
    }
}

/// What serves one port or socket.
struct Listener {
    door: Arc<Door>,
    deadline: Duration,
    routes: axum::Router,
    connections: TaskTracker,
}

impl Listener {
    async fn serve_port(self, port: TcpListener, shutdown: &CancellationToken) {
        while let Some(accepted) = until(shutdown, port.accept()).await {
            match accepted {
                Ok((stream, _)) => match (self.door.enter(), stream.local_addr()) {
                    (Some(visit), Ok(local)) => self.answer(stream, local, visit),
                    (None, _) => refuse(&stream),
                    (_, Err(_)) => {}
                },
                Err(error) => pause(&error, shutdown).await,
            }
        }
        self.end().await;
    }

    #[cfg(unix)]
    async fn serve_commands(self, socket: Option<PrivateSocket>, shutdown: &CancellationToken) {
        let Some(socket) = socket else { return };
        // What is asked there is asked from this machine.
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        while let Some(accepted) = until(shutdown, socket.listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    if let Some(visit) = self.door.enter() {
                        self.answer(stream, local, visit);
                    }
                }
                Err(error) => pause(&error, shutdown).await,
            }
        }
        drop(socket);
        self.end().await;
    }

    #[cfg(not(unix))]
    async fn serve_commands(self, _socket: Option<PrivateSocket>, _shutdown: &CancellationToken) {}

    fn answer<S>(&self, stream: S, local: SocketAddr, visit: Visit)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.connections.spawn(answer(stream, local, self.routes.clone(), self.deadline, visit));
    }

    async fn end(self) {
        self.connections.close();
        self.connections.wait().await;
    }
}

/// Waits for something, or for the end: then it gives none.
async fn until<T>(shutdown: &CancellationToken, awaited: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        got = awaited => Some(got),
        () = shutdown.cancelled() => None,
    }
}

async fn pause(error: &io::Error, shutdown: &CancellationToken) {
    outside_line!(warn, %error, "Could not accept a connection on the operator's port");
    let _waited = until(shutdown, tokio::time::sleep(ACCEPT_PAUSE)).await;
}

async fn answer<S>(stream: S, local: SocketAddr, routes: axum::Router, deadline: Duration, visit: Visit)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let visit = Arc::new(visit);
    let routes = routes
        .layer(axum::Extension(Local(local)))
        .layer(axum::middleware::from_fn_with_state(local, guard::check))
        .layer(axum::middleware::from_fn(guard::trace))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&visit), guard::note));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(BUFFER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    // A connection that ends badly ends; there is nobody to tell.
    tokio::select! {
        _end = tokio::time::timeout(deadline, connection) => {}
        () = visit.must_leave() => {}
    }
}

/// The address at which a request arrived.
#[derive(Clone, Copy, Debug)]
struct Local(SocketAddr);

fn refuse(stream: &TcpStream) {
    // One attempt that cannot block; a caller that misses it sees a closed connection.
    let _sent = stream.try_write(BUSY);
    tracing::debug!(limit = CONNECTIONS_AT_ONCE, "Refused a connection on the operator's port");
}

#[cfg(test)]
mod tests;
