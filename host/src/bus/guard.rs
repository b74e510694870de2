//! What stands at the public port of the bus: it shakes hands with each publisher, validates its bytes and
//! passes them to the SUB socket.
//!
//! One task for each publisher, two directions:
//!
//! ```text
//! publisher ──▶ Inspector ──▶ private socket      whole messages only, at a bounded rate
//! publisher ◀── Splitter  ◀── private socket      whole frames, with the guard's own answers between them
//! ```
//!
//! The private socket is only reached for when the handshake is complete, so a stranger costs one descriptor
//! and a place among those who have not finished, of whom the oldest goes when there are too many. Nothing is
//! queued: a SUB socket that is behind is written to more slowly, so the publisher is read more slowly, and
//! its own high-water mark decides what it drops.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tickhost_core::allowance::Allowance;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    BusCounters, BusSettings,
    listener::{Accepted, Arrival, Listener},
    places::{Place, Places},
    private::Private,
    zmtp::{Inspected, Inspector, Splitter, Violation},
};
use crate::base::log_rate::outside_line;

/// Pause after an error of the system's accept call, which is usually a lack of descriptors and does not pass
/// at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that are taken in a second, and at once; more wait with the system. Ticks share the thread.
const ACCEPTS_PER_SECOND: u32 = 2_000;

/// Connections that may be about to finish their handshake.
const HANDSHAKES_AT_ONCE: usize = 256;

/// From the publisher's end until the SUB socket has read what it sent before.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Bytes asked for at a time.
const READ_BYTES: usize = 16 * 1_024;

/// Answers that may wait for a publisher which does not read. More are left out.
const ANSWERS: usize = 16;

/// Order updates of one publisher in a second, and at once; more are dropped.
const ORDERS_PER_SECOND: u32 = 1_000;
const ORDER_BURST: u32 = 10_000;

/// Bytes that cost as much as one message: reading long messages keeps the thread busy too.
const BYTES_FOR_ONE: usize = 256;

/// Messages that one dropped order update costs: whoever goes on beyond the bound is read slowly.
const DROPPED_ORDER_COST: u32 = 50;

/// What all publishers have in common.
#[derive(Debug)]
pub(super) struct Gate {
    private: Private,
    settings: BusSettings,
    counters: Arc<BusCounters>,
    unfinished: Arc<Places>,
    publishers: Arc<Places>,
    stop: CancellationToken,
}

impl Gate {
    /// Nobody has come yet.
    pub(super) fn new(
        private: Private,
        settings: BusSettings,
        counters: Arc<BusCounters>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let publishers = Places::new(settings.max_connections);
        Arc::new(Self {
            private,
            settings,
            counters,
            unfinished: Places::new(HANDSHAKES_AT_ONCE),
            publishers,
            stop,
        })
    }
}

/// Takes connections until the bus stops.
pub(super) async fn accept(listener: Listener, gate: Arc<Gate>) {
    let counters = Arc::clone(&gate.counters);
    let mut pace = Allowance::new(ACCEPTS_PER_SECOND, ACCEPTS_PER_SECOND);
    loop {
        let accepted = tokio::select! {
            () = gate.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(Accepted::Arrival(arrival)) => begin(arrival, &gate),
            Ok(Accepted::NoRoom) => BusCounters::count(&counters.refused_without_descriptors),
            Ok(Accepted::OtherUser) => {
                BusCounters::count(&counters.refused_user);
                outside_line!(
                    warn,
                    "A program of another user of this machine came to the Unix socket of the bus"
                );
            }
            Err(error) => {
                BusCounters::count(&counters.accept_errors);
                outside_line!(warn, %error, "Cannot accept a publisher");
                sleep(ACCEPT_PAUSE).await;
            }
        }
        if let Some(pause) = pace.spend(1, Instant::now()) {
            BusCounters::count(&counters.accepts_slowed);
            sleep(pause).await;
        }
    }
}

fn begin(arrival: Arrival, gate: &Arc<Gate>) {
    // There is always one to be had: nobody in there has said anything yet.
    let Some(place) = gate.unfinished.take(arrival.origin, Instant::now()) else { return };
    BusCounters::count(&gate.counters.connections);
    let open = Open::new(&gate.counters);
    let gate = Arc::clone(gate);
    tokio::spawn(async move {
        tokio::select! {
            () = gate.stop.cancelled() => {}
            () = serve(arrival, &gate, place) => {}
        }
        drop(open);
    });
}

/// Counts a connection while it is open.
struct Open(Arc<BusCounters>);

impl Open {
    fn new(counters: &Arc<BusCounters>) -> Self {
        BusCounters::count(&counters.open);
        Self(Arc::clone(counters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a publisher was let go of.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("{0}")]
    Violation(Violation),
    #[error("it did not finish its handshake in time")]
    Late,
    #[error("too many others were about to connect")]
    Crowded,
    #[error("all places are taken by publishers that speak (TICKHOST_BUS_PUBLISHERS)")]
    Full,
    #[error("it was silent, or its address had more than its share, and another publisher needed the place")]
    Displaced,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl End {
    fn counter<'a>(&self, counters: &'a BusCounters) -> Option<&'a AtomicU64> {
        Some(match self {
            Self::Violation(Violation::Greeting | Violation::Handshake) => &counters.refused_handshake,
            Self::Violation(Violation::NoSecret | Violation::WrongSecret) => &counters.refused_secret,
            Self::Violation(Violation::Frame) => &counters.closed_frame,
            Self::Violation(Violation::Parts) => &counters.closed_parts,
            Self::Late => &counters.refused_late,
            Self::Crowded => &counters.refused_crowded,
            Self::Full => &counters.refused_full,
            Self::Displaced => &counters.displaced,
            Self::Io(_) => return None,
        })
    }
}

/// Serves one publisher until either side ends; then both end.
async fn serve(arrival: Arrival, gate: &Gate, unfinished: Place) {
    let Arrival { halves: (mut from, mut to), origin, peer } = arrival;
    let mut talk = Talk::new(&gate.settings);
    let ended = async {
        let shaken = tokio::select! {
            shaken = timeout(gate.settings.handshake_timeout, talk.shake_hands(&mut from, &mut to)) => shaken,
            () = unfinished.lost() => return Err(End::Crowded),
        };
        shaken.map_err(|_| End::Late)??;
        let place = gate.publishers.take(origin, Instant::now()).ok_or(End::Full)?;
        drop(unfinished);
        tokio::select! {
            ended = pass_on(talk, gate, (from, to), &place) => ended,
            () = place.lost() => Err(End::Displaced),
        }
    }
    .await;
    let Err(end) = ended else { return };
    if let Some(counter) = end.counter(&gate.counters) {
        BusCounters::count(counter);
        let reason = end.to_string();
        // One limit for each reason, so that a flood of one does not hide another.
        match end {
            End::Violation(Violation::NoSecret | Violation::WrongSecret) => {
                outside_line!(warn, peer, reason, "Refused a publisher");
            }
            End::Violation(_) => outside_line!(warn, peer, reason, "Closed the connection of a publisher"),
            End::Late | End::Crowded => {
                outside_line!(info, peer, reason, "Closed an unfinished connection of a publisher");
            }
            _ => outside_line!(warn, peer, reason, "A publisher has lost its place"),
        }
    } else {
        tracing::debug!(peer, reason = %end, "A publisher left");
    }
}

/// Passes on what a publisher says that has shaken hands.
async fn pass_on(
    talk: Talk,
    gate: &Gate,
    (from, to): super::private::Halves,
    place: &Place,
) -> Result<(), End> {
    let (from_socket, to_socket) = gate.private.connect().await?;
    let (answers, waiting) = mpsc::channel(ANSWERS);
    let inward = Inward { talk, gate, place, answers };
    let mut outward = std::pin::pin!(outward(from_socket, to, waiting));
    let ended = tokio::select! {
        ended = inward.run(from, to_socket) => ended,
        ended = &mut outward => return ended,
    };
    // What was passed on is read before the SUB socket sees the end, and closes in its turn.
    _ = timeout(CLOSE_TIMEOUT, outward).await;
    ended
}

/// What a publisher has said so far.
struct Talk {
    inspector: Inspector,
    inspected: Inspected,
    bytes: BytesMut,
    /// Bytes that came since they were accounted for.
    heard: usize,
    /// What is wrong behind that which was inspected.
    violation: Option<Violation>,
}

impl Talk {
    fn new(settings: &BusSettings) -> Self {
        Self {
            inspector: Inspector::new(settings.secret.clone()),
            inspected: Inspected::default(),
            bytes: BytesMut::new(),
            heard: 0,
            violation: None,
        }
    }

    /// Reads more; false at the end.
    async fn hear(&mut self, from: &mut (impl AsyncRead + Unpin), orders: u32) -> io::Result<bool> {
        self.bytes.reserve(READ_BYTES);
        let read = from.read_buf(&mut self.bytes).await?;
        if read == 0 {
            return Ok(false);
        }
        self.heard += read;
        self.inspector.allow_orders(orders);
        match self.inspector.inspect(&self.bytes, &mut self.inspected) {
            Ok(taken) => _ = self.bytes.split_to(taken),
            Err(violation) => self.violation = Some(violation),
        }
        Ok(true)
    }

    async fn shake_hands(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), End> {
        to.write_all(&self.inspector.greeting()).await?;
        while !self.inspector.is_ready() {
            if !self.hear(from, ORDER_BURST).await? {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            // Whoever is refused is told why before the end.
            let answer = std::mem::take(&mut self.inspected.answer);
            to.write_all(&answer).await?;
            if !self.inspector.is_ready()
                && let Some(violation) = self.violation
            {
                return Err(End::Violation(violation));
            }
        }
        Ok(())
    }
}

/// From the publisher to the SUB socket.
struct Inward<'a> {
    talk: Talk,
    gate: &'a Gate,
    place: &'a Place,
    answers: mpsc::Sender<Vec<u8>>,
}

impl Inward<'_> {
    async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<(), End> {
        let per_second = self.gate.settings.max_messages_per_second;
        let mut rate = Allowance::new(per_second, per_second);
        let mut orders = Allowance::new(ORDERS_PER_SECOND, ORDER_BURST);
        loop {
            // What came before a violation was good, and is passed on.
            to.write_all(&self.talk.inspected.forward).await?;
            if let Some(violation) = self.talk.violation {
                to.shutdown().await?;
                return Err(End::Violation(violation));
            }
            let now = Instant::now();
            orders.spend(self.talk.inspected.orders, now);
            let cost = self.account(now);
            if let Some(pause) = rate.spend(cost, now) {
                BusCounters::count(&self.gate.counters.slowed);
                sleep(pause).await;
            }
            let allowed = orders.left(Instant::now());
            if !self.talk.hear(&mut from, allowed).await? {
                to.shutdown().await?;
                return Ok(());
            }
        }
    }

    /// Counts what was seen, sends the answers off, and makes ready for the next bytes. Returns what it cost.
    fn account(&mut self, now: Instant) -> u32 {
        let counters = &*self.gate.counters;
        let inspected = &mut self.talk.inspected;
        let add = |counter: &AtomicU64, count: u32| {
            counter.fetch_add(count.into(), Ordering::Relaxed);
        };
        add(&counters.dropped_message, inspected.dropped_messages);
        add(&counters.dropped_orders, inspected.dropped_orders);
        add(&counters.dropped_command, inspected.dropped_commands);
        add(&counters.pings, inspected.pings);
        if inspected.messages > 0 {
            self.place.note_heard(now);
        }
        if !inspected.answer.is_empty()
            && self.answers.try_send(std::mem::take(&mut inspected.answer)).is_err()
        {
            add(&counters.dropped_command, 1);
        }
        // What is left out costs its sender as much as what is passed on, and more where there is a bound.
        let left_out = inspected.dropped_messages + inspected.dropped_commands;
        let dropped_orders = inspected.dropped_orders.saturating_mul(DROPPED_ORDER_COST);
        let messages = inspected.messages + left_out + inspected.pings;
        let bytes = u32::try_from(std::mem::take(&mut self.talk.heard) / BYTES_FOR_ONE).unwrap_or(u32::MAX);
        let mut forward = std::mem::take(&mut inspected.forward);
        forward.clear();
        *inspected = Inspected { forward, ..Inspected::default() };
        messages.max(bytes).saturating_add(dropped_orders)
    }
}

/// From the SUB socket to the publisher: its subscription, and the guard's answers to PINGs between its
/// frames.
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
                let (handshake, whole) = splitter.whole(&bytes).map_err(End::Violation)?;
                _ = bytes.split_to(handshake);
                to.write_all(&bytes.split_to(whole)).await?;
            }
            Some(answer) = answers.recv() => to.write_all(&answer).await?,
        }
    }
}
