//! The loop of the bus: the SUB socket behind the guard, and what becomes of its messages.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, atomic::Ordering, mpsc::SyncSender},
};

use futures_util::FutureExt as _;
use serde::Deserialize;
use tickhost_core::{
    model::{Greeks, Mode, TickView, field},
    protocol::order::OrderUpdate,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use zeromq::{Socket as _, SocketRecv as _, SubSocket, ZmqMessage};

use super::{
    BusCounters, BusError, BusSettings, BusSink, BusVerdict, CacheScope, MAX_BODY_BYTES, MAX_TOPIC_BYTES,
    OrderVerdict,
    guard::{self, Gate},
    listener::{self, Listener},
    payload::{self, Body, Book, Faults, Names, Record},
    private::{self, Private},
    topic::{self, Topic},
};
use crate::{base::clock, bus::Invalidated};

/// Messages taken in one go before the sink is told to pass them on.
const DRAIN: usize = 1_024;

/// Runs until `stop`.
pub(super) async fn run(
    listener: std::net::TcpListener,
    settings: BusSettings,
    mut sink: Box<dyn BusSink>,
    counters: Arc<BusCounters>,
    stop: CancellationToken,
    ready: SyncSender<Result<(), BusError>>,
) {
    let opened = async {
        let listener = TcpListener::from_std(listener)
            .map_err(|reason| BusError::Listen { address: settings.listen, reason })?;
        let mut listeners = vec![Listener::Tcp(listener)];
        if let Some(path) = &settings.socket {
            listeners.push(listener::bind_unix(path)?);
        }
        let (socket, private) = open(&settings).await?;
        Ok((listeners, socket, private))
    };
    let (listeners, mut socket, private) = match opened.await {
        Ok(opened) => opened,
        Err(error) => {
            // Nobody waits for the answer when the host gave up.
            _ = ready.send(Err(error));
            return;
        }
    };
    _ = ready.send(Ok(()));
    let gate = Gate::new(private.clone(), settings.clone(), Arc::clone(&counters), stop.clone());
    let mut guards = JoinSet::new();
    for listener in listeners {
        guards.spawn(guard::accept(listener, Arc::clone(&gate)));
    }
    let mut reader = BusReader::new(settings, counters);
    loop {
        let received = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            received = socket.recv() => received,
        };
        reader.take(received, sink.as_mut());
        for _ in 1..DRAIN {
            let Some(received) = socket.recv().now_or_never() else { break };
            reader.take(received, sink.as_mut());
        }
        sink.flush();
        // The guard's tasks share this thread.
        tokio::task::yield_now().await;
    }
    guards.shutdown().await;
    drop(socket);
    private.remove();
}

/// Binds the SUB socket where only this user can connect.
async fn open(settings: &BusSettings) -> Result<(SubSocket, Private), BusError> {
    let failed = |reason: String| BusError::Private { directory: settings.run_dir.clone(), reason };
    let mut socket = SubSocket::new();
    // Before the bind: whoever connects is told at once what is wanted.
    socket.subscribe("").await.map_err(|error| failed(error.to_string()))?;
    let endpoint = Private::choose(&settings.run_dir).map_err(|error| failed(error.to_string()))?;
    let bound = socket.bind(&endpoint).await.map_err(|error| failed(error.to_string()))?;
    let private = Private::bound(&bound).ok_or_else(|| failed(format!("unexpected endpoint {bound}")))?;
    Ok((socket, private))
}

/// Takes messages apart.
#[derive(Debug)]
pub struct BusReader {
    settings: BusSettings,
    counters: Arc<BusCounters>,
    record: Record,
    /// Where a body is mended that cannot be read as it is. Not longer than a body and a third.
    scratch: Vec<u8>,
}

#[derive(Deserialize)]
struct Invalidation<'a> {
    #[serde(borrow, default)]
    user_id: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    cache_type: Option<std::borrow::Cow<'a, str>>,
}

impl BusReader {
    /// A reader of the messages of this bus.
    pub fn new(settings: BusSettings, counters: Arc<BusCounters>) -> Self {
        Self { settings, counters, record: Record::default(), scratch: Vec::new() }
    }

    fn take(&mut self, received: Result<ZmqMessage, zeromq::ZmqError>, sink: &mut dyn BusSink) {
        match received {
            Ok(message) => self.message(&message, sink),
            Err(error) => {
                // One peer ended badly; the others go on.
                BusCounters::count(&self.counters.socket_errors);
                tracing::debug!(%error, "A publisher's connection ended");
            }
        }
    }

    fn message(&mut self, message: &ZmqMessage, sink: &mut dyn BusSink) {
        if let (Some(topic), Some(body), 2) = (message.get(0), message.get(1), message.len()) {
            return self.read(topic, body, sink);
        }
        BusCounters::count(&self.counters.received);
        BusCounters::count(&self.counters.dropped_message);
    }

    /// Takes one message apart and gives the sink what it says. Whatever is wrong with it is counted.
    pub fn read(&mut self, topic: &[u8], body: &[u8], sink: &mut dyn BusSink) {
        BusCounters::count(&self.counters.received);
        if topic.len() > MAX_TOPIC_BYTES || body.len() > MAX_BODY_BYTES {
            return BusCounters::count(&self.counters.dropped_message);
        }
        let topic = std::str::from_utf8(topic).ok().and_then(|topic| {
            topic::parse(topic, &self.settings.two_word_exchanges, &self.settings.known_brokers)
        });
        match topic {
            None => BusCounters::count(&self.counters.bad_topic),
            Some(Topic::Ignored) => BusCounters::count(&self.counters.ignored),
            Some(Topic::Legacy) => BusCounters::count(&self.counters.legacy_topic),
            Some(Topic::Invalidation) => self.invalidation(body, sink),
            Some(Topic::Orders) => self.order(body, sink),
            Some(Topic::Tick { exchange, symbol, mode }) => self.ticks(exchange, symbol, mode, body, sink),
        }
    }

    fn ticks(&mut self, exchange: &str, symbol: &str, mode: Mode, body: &[u8], sink: &mut dyn BusSink) {
        let counters = &self.counters;
        let now_ns = clock::unix_nanos();
        let mut each = |kind: Body, names: &Names<'_>, record: &Record| {
            let (exchange, symbol, mode) = match kind {
                Body::Single => (exchange, symbol, mode),
                Body::Batch => {
                    match (&names.exchange, &names.symbol, names.mode.map_or(Some(mode), |named| named.0)) {
                        (Some(exchange), Some(symbol), Some(mode)) => (&**exchange, &**symbol, mode),
                        _ => return BusCounters::count(&counters.bad_element),
                    }
                }
            };
            counters.left_out(record.faults);
            if record.is_empty() {
                return BusCounters::count(&counters.bad_element);
            }
            let mut quote = record.quote;
            quote.received_ts_ns = now_ns;
            // A tick without a book says nothing about it. One whose book is left out does: it is not known
            // any more, and has no levels.
            if record.book != Book::Absent {
                quote.fields |= field::BOOK;
            }
            let greeks = Greeks {
                fields: record.greeks.fields | quote.fields & field::EXCHANGE_TS,
                received_ts_ns: now_ns,
                exchange_ts_ns: quote.exchange_ts_ns,
                ..record.greeks
            };
            let tick = TickView {
                quote: &quote,
                buy: &record.buy,
                sell: &record.sell,
                greeks: record.has_greeks.then_some(&greeks),
            };
            match sink.tick(exchange, symbol, mode, tick) {
                BusVerdict::Accepted => BusCounters::count(&counters.ticks),
                BusVerdict::NotSubscribed => BusCounters::count(&counters.not_subscribed),
            }
        };
        match payload::read(body, &mut self.record, &mut self.scratch, &mut each) {
            Ok(faults) => counters.left_out(faults),
            Err(_) => BusCounters::count(&counters.bad_json),
        }
    }

    fn order(&self, body: &[u8], sink: &mut dyn BusSink) {
        let update = OrderUpdate::read(body);
        let named = update.as_ref().ok().and_then(|update| Some((update.user().ok()?, update)));
        let Some((user, update)) = named else { return BusCounters::count(&self.counters.bad_order) };
        BusCounters::count(match sink.order_update(&user, update) {
            OrderVerdict::Forwarded => &self.counters.orders,
            OrderVerdict::UnknownUser => &self.counters.orders_unknown,
            OrderVerdict::Dropped => &self.counters.orders_dropped,
        });
    }

    fn invalidation(&self, body: &[u8], sink: &mut dyn BusSink) {
        let invalidation: Option<Invalidation<'_>> = serde_json::from_slice(body).ok();
        let Some(Invalidation { user_id: Some(user), cache_type }) = invalidation else {
            return BusCounters::count(&self.counters.bad_invalidation);
        };
        let scope = match cache_type.as_deref() {
            Some("AUTH") => CacheScope::Auth,
            Some("FEED") => CacheScope::Feed,
            None | Some("ALL") => CacheScope::All,
            Some(_) => return BusCounters::count(&self.counters.bad_invalidation),
        };
        BusCounters::count(match sink.cache_invalidate(scope, &user) {
            Invalidated::Noted => &self.counters.invalidations,
            Invalidated::Pending => &self.counters.invalidations_pending,
            Invalidated::Unknown => &self.counters.invalidations_unknown,
        });
    }
}

impl BusCounters {
    /// Counts what was left out of a tick, which is nothing most of the time.
    fn left_out(&self, faults: Faults) {
        if faults == Faults::default() {
            return;
        }
        for (counter, count) in [
            (&self.bad_number, faults.unreadable),
            (&self.not_finite, faults.not_finite),
            (&self.fraction, faults.fractions),
            (&self.left_out_book, faults.books),
        ] {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    }
}

/// Longest path of a socket, in bytes: the system's limit is 104 or more, with its terminator.
const MAX_SOCKET_BYTES: usize = 100;

/// Whether the private socket of this process finds room in a run directory with this name.
pub(crate) fn has_room(run_dir: &std::path::Path) -> bool {
    cfg!(not(unix)) || Private::socket(run_dir).as_os_str().len() <= MAX_SOCKET_BYTES
}

impl Private {
    /// The endpoint to bind, with what a killed host left there removed.
    fn choose(run_dir: &std::path::Path) -> io::Result<String> {
        if cfg!(not(unix)) {
            return Ok("tcp://127.0.0.1:0".to_owned());
        }
        private::remove_stale(run_dir)?;
        let path = Self::socket(run_dir);
        let path = path.to_str().ok_or_else(|| io::Error::other("the path is not UTF-8"))?;
        if path.len() > MAX_SOCKET_BYTES {
            let problem = format!(
                "{path} is longer than {MAX_SOCKET_BYTES} bytes; set TICKHOST_DATA_DIR to a shorter path"
            );
            return Err(io::Error::other(problem));
        }
        Ok(format!("ipc://{path}"))
    }

    fn socket(run_dir: &std::path::Path) -> PathBuf {
        run_dir.join(format!("{}{}.sock", private::SOCKET_PREFIX, std::process::id()))
    }
}

#[cfg(test)]
mod tests;
