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
//! | `POST /adapters/NAME/reload` | for `tickhost adapters reload`, which knows the [`Token`]: loads the adapter anew |
//!
//! Most of it has no log-in, so it answers only to this machine (or to the address that the operator opened it on): a web page
//! that the operator visits must not be able to read it through the browser, whatever name it makes the browser resolve.
//!
//! One request per connection, [`CONNECTIONS_AT_ONCE`] connections, and [`CONNECTION_DEADLINE`] for each of them: nobody
//! can hold the port by being slow.

mod assets;
mod console;
mod control;
mod guard;
mod kept_key;
mod live;
mod pages;
mod report;
mod routes;
mod stats_file;
mod symbols;

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::control::{ControlFile, RunningHost, Token, from_this_machine};
pub use self::kept_key::{KEY_FILES, KeptKey, read_kept_key};
pub use self::live::SESSIONS_SHOWN;
pub use self::report::{
    AdapterState, AdapterStatus, Areas, Counts, FeedReport, InstanceReport, Limits, LinkReport, Listeners,
    NotReady, Readiness, SessionCounts, StatusReport, capability_names,
};

pub use self::stats_file::keep_stats_file;
pub use self::symbols::{Found, Symbol, find_symbols};

use self::live::Live;
use crate::{catalog::Outcome, log_rate::outside_line, metrics::FeedCounters, shard::Surveyed};

/// Connections that are served at one time; one more is told to come back.
pub const CONNECTIONS_AT_ONCE: usize = 64;

/// Longest life of a connection, from accept to the last byte of the answer.
pub const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);

/// Longest wait for the head of the request.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// Longest head of a request, and largest buffer of a connection. The least that the HTTP library takes.
const BUFFER_BYTES: usize = 8 * 1_024;

/// Pause after the system refuses a connection, most often for want of descriptors: without it the loop would spin.
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

    /// Loads an adapter anew.
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

/// Serves until `shutdown`, then lets the requests under way end, each within its deadline.
///
/// # Errors
/// None today: what the system refuses for a moment is logged and tried again.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn StatusSource>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let live = Live::new(Arc::clone(&source));
    let recording = tokio::spawn(Arc::clone(&live).record(shutdown.clone()));
    let routes = routes::routes(source, live);
    let places = Arc::new(Semaphore::new(CONNECTIONS_AT_ONCE));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => drop(connections.spawn(answer(stream, routes.clone(), place))),
                Err(_) => refuse(&stream),
            },
            Err(error) => {
                outside_line!(warn, %error, "Could not accept a connection on the operator's port");
                tokio::select! {
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                    () = shutdown.cancelled() => break,
                }
            }
        }
    }
    connections.close();
    connections.wait().await;
    if recording.await.is_err() {
        tracing::error!("What recorded the last minutes for the console had failed");
    }
    Ok(())
}

/// The address at which a request arrived.
#[derive(Clone, Copy, Debug)]
struct Local(SocketAddr);

async fn answer(stream: TcpStream, routes: axum::Router, _place: OwnedSemaphorePermit) {
    let Ok(local) = stream.local_addr() else { return };
    let routes = routes
        .layer(axum::Extension(Local(local)))
        .layer(axum::middleware::from_fn_with_state(local, guard::check))
        .layer(axum::middleware::from_fn(guard::trace));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(BUFFER_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    // A connection that ends badly ends; there is nobody to tell.
    let _end = tokio::time::timeout(CONNECTION_DEADLINE, connection).await;
}

fn refuse(stream: &TcpStream) {
    // One attempt that cannot block; a caller that misses it sees a closed connection.
    let _sent = stream.try_write(BUSY);
    tracing::debug!(limit = CONNECTIONS_AT_ONCE, "Refused a connection on the operator's port");
}

#[cfg(test)]
mod tests;
