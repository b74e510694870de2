//! The ZeroMQ fan-in: publishers connect to one port and publish topic and JSON.
//!
//! ```text
//! publisher ── TCP or Unix socket ──▶ guard (validates every byte) ── private ipc ──▶ zeromq SUB ──▶ topic, payload ──▶ BusSink
//! ```
//!
//! All of it runs on one thread, the router's. The public port is the guard's, because the SUB socket behind
//! it trusts its peers: a frame that claims gigabytes would end the process.

#[cfg(fuzzing)]
pub mod fuzzing;
mod guard;
mod listener;
mod payload;
mod places;
mod private;
mod receive;
mod topic;
mod zmtp;

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use secrecy::SecretString;
use tickhost_core::{
    model::{Mode, TickView},
    protocol::order::OrderUpdate,
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::receive::has_room;
pub use self::{listener::probe_unix, receive::BusReader};

/// Longest topic, in bytes.
pub const MAX_TOPIC_BYTES: usize = 256;

/// Longest body, in bytes.
pub const MAX_BODY_BYTES: usize = 64 * 1_024;

/// Publishers that may be connected at one time.
pub(crate) const MAX_PUBLISHERS: usize = 256;

/// What became of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusVerdict {
    /// Somebody wants it.
    Accepted,
    /// Nobody does.
    NotSubscribed,
}

/// What became of an order update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderVerdict {
    /// It is on its way to the sessions of the user.
    Forwarded,
    /// Nobody of this name is logged in.
    UnknownUser,
    /// There are more of this user than anybody could read, or a shard is too far behind.
    Dropped,
}

/// What a publisher declared outdated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheScope {
    /// Broker tokens.
    Auth,
    /// Feed tokens.
    Feed,
    /// Everything, verified keys too.
    All,
}

/// What became of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidated {
    /// The database will be looked at for the user.
    Noted,
    /// That was to happen already.
    Pending,
    /// No session of such a user is logged in, so nothing is remembered that could be outdated.
    Unknown,
}

/// Where messages go. Called on the bus's thread; nothing may block.
pub trait BusSink: Send + 'static {
    /// Takes a tick. Its number is 0 and its arrival is stamped. Levels of a mode below DEPTH are to be
    /// ignored.
    fn tick(&mut self, exchange: &str, symbol: &str, mode: Mode, tick: TickView<'_>) -> BusVerdict;

    /// Takes an order update of the user with this name.
    fn order_update(&mut self, user_id: &str, update: &OrderUpdate<'_>) -> OrderVerdict;

    /// Takes the news that something remembered of a user is outdated.
    fn cache_invalidate(&mut self, scope: CacheScope, user_id: &str) -> Invalidated;

    /// No message is left for now.
    fn flush(&mut self);
}

/// How the bus is set up.
#[derive(Clone, Debug)]
pub struct BusSettings {
    /// Public port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// A Unix socket beside the port, for programs of this user.
    pub socket: Option<PathBuf>,
    /// What publishers have to know, at the port and at the socket.
    pub secret: Option<SecretString>,
    /// Directory that only this user can enter, for the private socket.
    pub run_dir: PathBuf,
    /// Exchanges whose code contains an underscore.
    pub two_word_exchanges: Vec<String>,
    /// Brokers whose legacy publishers put their name before the exchange; such messages repeat others.
    pub known_brokers: Vec<String>,
    /// Publishers at one time.
    pub max_connections: usize,
    /// Messages of one publisher in a second; one that sends more is read more slowly.
    pub max_messages_per_second: u32,
    /// From the connect to a complete handshake.
    pub handshake_timeout: Duration,
}

impl BusSettings {
    /// The usual settings.
    pub fn new(listen: SocketAddr, run_dir: PathBuf) -> Self {
        let two_words = ["NSE_INDEX", "BSE_INDEX", "MCX_INDEX", "GLOBAL_INDEX"];
        Self {
            listen,
            socket: None,
            secret: None,
            run_dir,
            two_word_exchanges: two_words.map(str::to_owned).into(),
            known_brokers: Vec::new(),
            max_connections: MAX_PUBLISHERS,
            max_messages_per_second: 400_000,
            handshake_timeout: Duration::from_secs(2),
        }
    }
}

/// Why the bus did not start.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The public port.
    #[error(
        "cannot listen on {address} for publishers (ZMQ_HOST, ZMQ_PORT): {reason}; is another program using it?"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        reason: io::Error,
    },
    /// The Unix socket beside it.
    #[error("cannot listen on {} for publishers (TICKHOST_BUS_SOCKET): {reason}", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// The private socket behind it.
    #[error("cannot open the private socket of the bus in {}: {reason}", directory.display())]
    Private {
        /// The run directory.
        directory: PathBuf,
        /// Why.
        reason: String,
    },
    /// The thread.
    #[error("cannot start the thread of the bus: {0}")]
    Thread(io::Error),
}

macro_rules! counters {
    ($($(#[$meta:meta])+ $field:ident: $area:literal, $reason:literal;)+) => {
        /// What happened on the bus, by outcome.
        #[derive(Debug, Default)]
        pub struct BusCounters {
            $($(#[$meta])+ pub $field: AtomicU64,)+
        }

        impl BusCounters {
            /// Area, reason and value of each.
            pub fn snapshot(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$(($area, $reason, self.$field.load(Ordering::Relaxed)),)+]
            }
        }
    };
}

counters! {
    /// Messages that came through the guard.
    received: "message", "received";
    /// Ticks that somebody wanted.
    ticks: "tick", "accepted";
    /// Ticks that nobody wanted.
    not_subscribed: "tick", "not_subscribed";
    /// Order updates that were forwarded.
    orders: "message", "order";
    /// Order updates of names that nobody is logged in with.
    orders_unknown: "message", "order_unknown_user";
    /// Order updates dropped because there were too many of their user.
    orders_dropped: "message", "order_dropped";
    /// Cache invalidations after which the database is looked at.
    invalidations: "message", "invalidation";
    /// Cache invalidations of a user for whom that is to happen already.
    invalidations_pending: "message", "invalidation_pending";
    /// Cache invalidations of names that nobody is logged in with.
    invalidations_unknown: "message", "invalidation_unknown";
    /// Positions, margins and other topics that are none of ours.
    ignored: "message", "ignored";
    /// Legacy topics that repeat others.
    legacy_topic: "message", "legacy_topic";
    /// Topics that cannot be read.
    bad_topic: "malformed", "topic";
    /// Bodies that are no JSON of the right form.
    bad_json: "malformed", "json";
    /// Values that are not what their member should be, or out of range.
    bad_number: "malformed", "number";
    /// NaN, Infinity and other words for what is no number.
    not_finite: "malformed", "not_finite";
    /// Counts that are not whole: records have whole ones, and to round them would falsify them.
    fraction: "malformed", "fraction";
    /// Books with a level that cannot be shown.
    left_out_book: "malformed", "book";
    /// Ticks that say nothing, and elements of batches without a name or with a mode that is none.
    bad_element: "malformed", "element";
    /// Order updates that are none.
    bad_order: "malformed", "order";
    /// Invalidations that name nobody.
    bad_invalidation: "malformed", "invalidation";
    /// Errors of the SUB socket.
    socket_errors: "socket", "error";
    /// Connections accepted.
    connections: "guard", "accepted";
    /// Connections at the moment.
    open: "guard", "open";
    /// Publishers refused because all places are taken by those that speak.
    refused_full: "guard", "too_many";
    /// Publishers that gave up their place to another, because they were silent or their address had more
    /// than its share.
    displaced: "guard", "displaced";
    /// Connections that did not finish their handshake in time.
    refused_late: "guard", "handshake_timeout";
    /// Connections closed before their handshake was complete, because too many others were about to connect.
    refused_crowded: "guard", "handshake_displaced";
    /// Connections that do not speak ZMTP 3 with the security that the bus has, or are no publishers.
    refused_handshake: "guard", "handshake";
    /// Publishers that offered no secret, or a wrong one.
    refused_secret: "guard", "secret";
    /// Programs of other users that came to the Unix socket.
    refused_user: "guard", "other_user";
    /// Connections closed at once because the descriptors that are left are kept for others.
    refused_without_descriptors: "guard", "no_descriptors";
    /// Connections closed for a frame that is too long, or has reserved bits.
    closed_frame: "guard", "frame";
    /// Connections closed for a message with too many parts.
    closed_parts: "guard", "parts";
    /// Messages dropped for having one part only, or too long a topic.
    dropped_message: "guard", "dropped_message";
    /// Order updates dropped because their publisher sent too many.
    dropped_orders: "guard", "dropped_order";
    /// Commands answered.
    pings: "guard", "ping";
    /// Commands dropped.
    dropped_command: "guard", "dropped_command";
    /// Times that a publisher was read more slowly.
    slowed: "guard", "slowed";
    /// Times that connections had to wait because too many came at once.
    accepts_slowed: "guard", "accept_slowed";
    /// Errors of the system's accept call.
    accept_errors: "guard", "accept_error";
}

impl BusCounters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// The running bus. Dropping it stops it in the background.
#[derive(Debug)]
pub struct Bus {
    address: SocketAddr,
    counters: Arc<BusCounters>,
    stop: CancellationToken,
    running: Running,
}

/// What runs it.
#[derive(Debug)]
enum Running {
    Thread(JoinHandle<()>),
    Task(tokio::task::JoinHandle<()>),
}

impl Bus {
    /// Opens the port and starts a thread.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn start(settings: BusSettings, sink: Box<dyn BusSink>) -> Result<Self, BusError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BusError::Thread)?;
        Self::start_with(settings, sink, |running| {
            let thread = std::thread::Builder::new().name("bus".to_owned());
            thread
                .spawn(move || {
                    crate::base::blocking::serve_here();
                    runtime.block_on(running);
                })
                .map(Running::Thread)
        })
    }

    /// Opens the port and runs on a runtime that another thread drives. It must not be called on that thread.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn start_on(
        runtime: &tokio::runtime::Handle,
        settings: BusSettings,
        sink: Box<dyn BusSink>,
    ) -> Result<Self, BusError> {
        Self::start_with(settings, sink, |running| Ok(Running::Task(runtime.spawn(running))))
    }

    fn start_with(
        settings: BusSettings,
        sink: Box<dyn BusSink>,
        spawn: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>) -> io::Result<Running>,
    ) -> Result<Self, BusError> {
        let listener = listener::bind(settings.listen)?;
        let address = listener.local_addr();
        let address = address.map_err(|reason| BusError::Listen { address: settings.listen, reason })?;
        let counters = Arc::<BusCounters>::default();
        let stop = CancellationToken::new();
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let (counted, stopped) = (Arc::clone(&counters), stop.clone());
        let running = receive::run(listener, settings, sink, counted, stopped, ready);
        let running = spawn(Box::pin(running)).map_err(BusError::Thread)?;
        match started.recv() {
            Ok(Ok(())) => Ok(Self { address, counters, stop, running }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(BusError::Thread(io::Error::other("it ended at once"))),
        }
    }

    /// Where publishers connect.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// What happened so far.
    pub fn counters(&self) -> Arc<BusCounters> {
        Arc::clone(&self.counters)
    }

    /// Stops the bus, waiting up to the deadline.
    pub fn stop(self, deadline: Duration) {
        self.stop.cancel();
        let is_finished = || match &self.running {
            Running::Thread(thread) => thread.is_finished(),
            Running::Task(task) => task.is_finished(),
        };
        let until = Instant::now() + deadline;
        while !is_finished() && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        if !is_finished() {
            tracing::warn!("The bus did not stop in time");
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests;
