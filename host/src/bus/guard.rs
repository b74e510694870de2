//! What stands at the public port of the bus: it validates each publisher's bytes and passes them to the SUB socket.
//!
//! One task for each publisher, two directions:
//!
//! ```text
//! publisher ──▶ Inspector ──▶ private socket      whole handshakes and messages only, at a bounded rate
//! publisher ◀── Splitter  ◀── private socket      whole frames, with the guard's own answers between them
//! ```
//!
//! Nothing is queued: a SUB socket that is behind is written to more slowly, so the publisher is read more slowly, and
//! its own high-water mark decides what it drops.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    BusCounters, BusSettings,
    zmtp::{Inspected, Inspector, Splitter, Violation},
};
use crate::descriptors;

/// What names of private sockets begin with.
pub(super) const SOCKET_PREFIX: &str = "bus-";

/// Pause after an error of the system's accept call, which is usually a lack of descriptors and does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// From the publisher's end until the SUB socket has read what it sent before.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes asked for at a time.
const READ_BYTES: usize = 16 * 1_024;

/// Answers that may wait for a publisher which does not read. More are left out.
const ANSWERS: usize = 16;

/// Where the SUB socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Private {
    #[cfg(unix)]
    Path(PathBuf),
    #[cfg_attr(unix, expect(dead_code, reason = "for systems without local sockets"))]
    Loopback(u16),
}

impl Private {
    /// From the endpoint that was bound.
    pub(super) fn bound(endpoint: &zeromq::Endpoint) -> Option<Self> {
        match endpoint {
            #[cfg(unix)]
            zeromq::Endpoint::Ipc(Some(path)) => Some(Self::Path(path.clone())),
            #[cfg(not(unix))]
            zeromq::Endpoint::Tcp(_, port) => Some(Self::Loopback(*port)),
            _ => None,
        }
    }

    /// Removes what a bound socket leaves in the file system.
    pub(super) fn remove(&self) {
        #[cfg(unix)]
        if let Self::Path(path) = self {
            // It may be gone already, with its directory.
            _ = std::fs::remove_file(path);
        }
    }

    async fn connect(
        &self,
    ) -> io::Result<(Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>)> {
        match self {
            #[cfg(unix)]
            Self::Path(path) => {
                let (read, write) = tokio::net::UnixStream::connect(path).await?.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
            Self::Loopback(port) => {
                let (read, write) = TcpStream::connect(("127.0.0.1", *port)).await?.into_split();
                Ok((Box::new(read), Box::new(write)))
            }
        }
    }
}

/// Removes sockets that nobody listens on any more: what killed hosts left behind.
pub(super) fn remove_stale(run_dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    for entry in std::fs::read_dir(run_dir)? {
        let path = entry?.path();
        let is_ours = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(SOCKET_PREFIX));
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if is_ours && std::os::unix::net::UnixStream::connect(&path).is_err_and(|error| refused(&error)) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Takes connections until `stop`.
pub(super) async fn accept(
    listener: TcpListener,
    private: Private,
    settings: BusSettings,
    counters: Arc<BusCounters>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                BusCounters::count(&counters.accept_errors);
                tracing::warn!(%error, "Cannot accept a publisher");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let place = descriptors::has_room_for(&stream)
            .then(|| Place::take(&counters, settings.max_connections))
            .flatten();
        let Some(place) = place else {
            BusCounters::count(&counters.refused_full);
            continue;
        };
        BusCounters::count(&counters.connections);
        let (private, settings, stop) = (private.clone(), settings.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = serve(stream, &private, &settings, &place.0) => {}
            }
            drop(place);
        });
    }
}

/// One of the places for publishers; given back when dropped.
struct Place(Arc<BusCounters>);

impl Place {
    fn take(counters: &Arc<BusCounters>, limit: usize) -> Option<Self> {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let more = |open: u64| (open < limit).then_some(open + 1);
        counters.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(counters)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a publisher was let go of.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("{0:?}")]
    Violation(Violation),
    #[error("it did not finish its handshake in time")]
    Late,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl End {
    fn counter<'a>(&self, counters: &'a BusCounters) -> Option<&'a AtomicU64> {
        match self {
            Self::Violation(Violation::Greeting | Violation::Handshake) => Some(&counters.refused_handshake),
            Self::Violation(Violation::Frame) => Some(&counters.closed_frame),
            Self::Violation(Violation::Parts) => Some(&counters.closed_parts),
            Self::Late => Some(&counters.refused_late),
            Self::Io(_) => None,
        }
    }
}

/// Serves one publisher until either side ends; then both end.
async fn serve(stream: TcpStream, private: &Private, settings: &BusSettings, counters: &BusCounters) {
    // It only delays the answer to a PING.
    _ = stream.set_nodelay(true);
    let peer = stream.peer_addr().ok();
    let (from_publisher, to_publisher) = stream.into_split();
    let ended = async {
        let (from_socket, to_socket) = private.connect().await?;
        let (answers, waiting) = mpsc::channel(ANSWERS);
        let inward = Inward { settings, counters, answers };
        let outward = outward(from_socket, to_publisher, waiting);
        let mut outward = std::pin::pin!(outward);
        let ended = tokio::select! {
            ended = inward.run(from_publisher, to_socket) => ended,
            ended = &mut outward => return ended,
        };
        // What was passed on is read before the SUB socket sees the end, and closes in its turn.
        _ = timeout(CLOSE_TIMEOUT, outward).await;
        ended
    }
    .await;
    let Err(end) = ended else { return };
    if let Some(counter) = end.counter(counters) {
        BusCounters::count(counter);
        tracing::warn!(peer = peer.map(tracing::field::display), reason = %end, "Closed the connection of a publisher");
    } else {
        tracing::debug!(peer = peer.map(tracing::field::display), reason = %end, "A publisher left");
    }
}

/// From the publisher to the SUB socket.
struct Inward<'a> {
    settings: &'a BusSettings,
    counters: &'a BusCounters,
    answers: mpsc::Sender<Vec<u8>>,
}

impl Inward<'_> {
    async fn run(self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Result<(), End> {
        let deadline = Instant::now() + self.settings.handshake_timeout;
        let mut inspector = Inspector::new();
        let mut inspected = Inspected::default();
        let mut bytes = BytesMut::new();
        let mut rate = Rate::new(self.settings.max_messages_per_second);
        loop {
            bytes.reserve(READ_BYTES);
            let read = if inspector.is_ready() {
                from.read_buf(&mut bytes).await?
            } else {
                timeout_at(deadline, from.read_buf(&mut bytes)).await.map_err(|_| End::Late)??
            };
            if read == 0 {
                to.shutdown().await?;
                return Ok(());
            }
            let verdict = inspector.inspect(&bytes, &mut inspected);
            // What came before a violation was good, and is passed on.
            to.write_all(&inspected.forward).await?;
            let taken = match verdict {
                Ok(taken) => taken,
                Err(violation) => {
                    to.shutdown().await?;
                    return Err(End::Violation(violation));
                }
            };
            _ = bytes.split_to(taken);
            let messages = self.account(&mut inspected);
            if let Some(pause) = rate.spend(messages, Instant::now()) {
                BusCounters::count(&self.counters.slowed);
                sleep(pause).await;
            }
        }
    }

    /// Counts what was seen, sends the answers off, and makes ready for the next bytes. Returns the messages.
    fn account(&self, inspected: &mut Inspected) -> u32 {
        let add = |counter: &AtomicU64, count: u32| {
            counter.fetch_add(count.into(), Ordering::Relaxed);
        };
        add(&self.counters.dropped_message, inspected.dropped_messages);
        add(&self.counters.dropped_command, inspected.dropped_commands);
        add(&self.counters.pings, inspected.pings);
        if !inspected.answer.is_empty()
            && self.answers.try_send(std::mem::take(&mut inspected.answer)).is_err()
        {
            add(&self.counters.dropped_command, 1);
        }
        // What is left out costs its sender as much as what is passed on.
        let messages =
            inspected.messages + inspected.dropped_messages + inspected.dropped_commands + inspected.pings;
        let mut forward = std::mem::take(&mut inspected.forward);
        forward.clear();
        *inspected = Inspected { forward, ..Inspected::default() };
        messages
    }
}

/// From the SUB socket to the publisher: its subscription, and the guard's answers to PINGs between its frames.
async fn outward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut answers: mpsc::Receiver<Vec<u8>>,
) -> Result<(), End> {
    let mut splitter = Splitter::default();
    let mut bytes = BytesMut::new();
    loop {
        bytes.reserve(READ_BYTES);
        tokio::select! {
            read = from.read_buf(&mut bytes) => {
                if read? == 0 {
                    return Ok(());
                }
                let whole = splitter.whole(&bytes).map_err(End::Violation)?;
                to.write_all(&bytes.split_to(whole)).await?;
            }
            Some(answer) = answers.recv() => to.write_all(&answer).await?,
        }
    }
}

/// Messages that one publisher may send in a second, with a burst of as many.
struct Rate {
    per_second: f64,
    left: f64,
    since: Instant,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self { per_second, left: per_second, since: Instant::now() }
    }

    /// How long to wait before more is read.
    fn spend(&mut self, messages: u32, now: Instant) -> Option<Duration> {
        let earned = now.duration_since(self.since).as_secs_f64() * self.per_second;
        self.since = now;
        self.left = (self.left + earned).min(self.per_second) - f64::from(messages);
        (self.left < 0.0).then(|| Duration::from_secs_f64(-self.left / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_that_sends_too_much_waits_until_it_is_within_its_rate() {
        let mut rate = Rate::new(1_000);
        let start = rate.since;
        assert_eq!(rate.spend(1_000, start), None);
        let pause = rate.spend(500, start).unwrap();
        assert_eq!(pause, Duration::from_millis(500));
        assert_eq!(rate.spend(400, start + Duration::from_secs(1)), None);
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let counters = Arc::new(BusCounters::default());
        let first = Place::take(&counters, 1).unwrap();
        assert!(Place::take(&counters, 1).is_none());
        drop(first);
        assert!(Place::take(&counters, 1).is_some());
        assert_eq!(counters.open.load(Ordering::Relaxed), 0);
    }

    #[cfg(unix)]
    #[test]
    fn sockets_of_killed_hosts_are_removed_and_those_in_use_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let [dead, live, other] = ["bus-1.sock", "bus-2.sock", "notes"].map(|name| dir.path().join(name));
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        let _listening = std::os::unix::net::UnixListener::bind(&live).unwrap();
        std::fs::write(&other, "").unwrap();
        remove_stale(dir.path()).unwrap();
        assert_eq!([dead, live, other].map(|path| path.exists()), [false, true, true]);
    }
}
