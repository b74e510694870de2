//! An exchange that numbers its ticks, for `adapter_faulty` and `adapter_single`: whoever is connected gets
//! the same numbers, so that a tick that is lost or comes twice behind an adapter shows at the client.
//! `tests/adapters/README.md` describes its lines.

use std::{
    collections::HashMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

/// Between two turns; ticks that fall due in one are written together.
const TURN: Duration = Duration::from_millis(1);

/// Writes that may wait for a connection. One that reads so slowly is closed, and counted.
const WRITES: usize = 4_096;

/// An exchange that runs until it is dropped.
#[derive(Debug)]
pub struct Venue {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    symbols: Vec<String>,
    /// The last number of each symbol.
    numbers: Vec<AtomicU64>,
    connections: Mutex<Vec<Connection>>,
    accepted: AtomicU64,
    too_slow: AtomicU64,
    /// Connections that it allows at one time.
    most: AtomicUsize,
    is_silent: AtomicBool,
    has_coarse_times: bool,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    wants: Vec<bool>,
    writes: mpsc::Sender<String>,
    pending: String,
}

impl Venue {
    /// An exchange of symbols `V0`, `V1` and so on, each of which ticks so often in a second. With coarse
    /// times many ticks of a symbol are of one second, as with brokers that send seconds.
    pub async fn start(symbols: usize, rate_hz: u64, has_coarse_times: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            symbols: (0..symbols).map(|number| format!("V{number}")).collect(),
            numbers: (0..symbols).map(|_| AtomicU64::new(0)).collect(),
            connections: Mutex::default(),
            accepted: AtomicU64::new(0),
            too_slow: AtomicU64::new(0),
            most: AtomicUsize::new(usize::MAX),
            is_silent: AtomicBool::new(false),
            has_coarse_times,
        });
        let tasks = [
            tokio::spawn(accept(listener, Arc::clone(&shared))),
            tokio::spawn(tick(Arc::clone(&shared), rate_hz * symbols as u64)),
        ];
        Self { address, shared, tasks }
    }

    /// Its symbols.
    pub fn symbols(&self) -> &[String] {
        &self.shared.symbols
    }

    /// Connections that were made so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Connections that were closed because they did not read.
    pub fn too_slow(&self) -> u64 {
        self.shared.too_slow.load(Ordering::Relaxed)
    }

    /// Allows so many connections at one time: ends the youngest beyond them, and refuses more.
    pub fn allow(&self, connections: usize) {
        let mut present = self.shared.connections.lock().unwrap();
        self.shared.most.store(connections, Ordering::Relaxed);
        present.truncate(connections);
    }

    /// Symbols on each connection, the oldest first.
    pub fn carried(&self) -> Vec<usize> {
        let connections = self.shared.connections.lock().unwrap();
        connections.iter().map(|one| one.wants.iter().filter(|wanted| **wanted).count()).collect()
    }

    /// Ends all ticks; gives the last number of each symbol, in their order.
    pub fn fall_silent(&self) -> Vec<u64> {
        self.shared.is_silent.store(true, Ordering::Relaxed);
        // Whatever turn is under way has ended once the connections can be locked.
        let _turn = self.shared.connections.lock().unwrap();
        self.shared.numbers.iter().map(|number| number.load(Ordering::Relaxed)).collect()
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn tick(shared: Arc<Shared>, ticks_per_second: u64) {
    let places = shared.symbols.len() as u64;
    let mut turns = tokio::time::interval(TURN);
    let (began, mut sent) = (Instant::now(), 0_u64);
    loop {
        turns.tick().await;
        let elapsed_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let due = elapsed_us.saturating_mul(ticks_per_second) / 1_000_000;
        shared.turn((sent..due).map(|number| number % places));
        sent = due;
    }
}

impl Shared {
    /// Ticks of the symbols at these places.
    fn turn(&self, places: impl Iterator<Item = u64>) {
        let mut connections = self.connections.lock().unwrap();
        if self.is_silent.load(Ordering::Relaxed) {
            return;
        }
        for place in places {
            let place = usize::try_from(place).expect("a place");
            let number = self.numbers[place].fetch_add(1, Ordering::Relaxed) + 1;
            let ts_ns = self.now();
            for connection in connections.iter_mut().filter(|connection| connection.wants[place]) {
                let symbol = &self.symbols[place];
                writeln!(connection.pending, r#"{{"symbol":"{symbol}","seq":{number},"ts_ns":{ts_ns}}}"#)
                    .expect("a text takes it");
            }
        }
        connections.retain_mut(|connection| {
            let pending = std::mem::take(&mut connection.pending);
            if pending.is_empty() {
                return !connection.writes.is_closed();
            }
            match connection.writes.try_send(pending) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Closed(_)) => false,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    self.too_slow.fetch_add(1, Ordering::Relaxed);
                    false
                }
            }
        });
    }

    fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set");
        if self.has_coarse_times {
            return since.as_secs() * 1_000_000_000;
        }
        u64::try_from(since.as_nanos()).expect("a time within centuries")
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(stream, number, Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, number: u64, shared: Arc<Shared>) {
    stream.set_nodelay(true).expect("an option of every socket");
    let (reader, mut writer) = stream.into_split();
    let (writes, mut waiting) = mpsc::channel::<String>(WRITES);
    let wants = vec![false; shared.symbols.len()];
    {
        let mut connections = shared.connections.lock().unwrap();
        connections.retain(|one| !one.writes.is_closed());
        if connections.len() >= shared.most.load(Ordering::Relaxed) {
            return;
        }
        connections.push(Connection { number, wants, writes, pending: String::new() });
    }
    let places: HashMap<&str, usize> =
        shared.symbols.iter().enumerate().map(|(place, symbol)| (symbol.as_str(), place)).collect();
    let mut lines = BufReader::new(reader).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { break };
                let request: Value = serde_json::from_str(&line).expect("the adapter sends JSON");
                for (action, is_wanted) in [("subscribe", true), ("unsubscribe", false)] {
                    let symbols = request[action].as_array().into_iter().flatten().filter_map(Value::as_str);
                    let mut connections = shared.connections.lock().unwrap();
                    let Some(connection) = connections.iter_mut().find(|one| one.number == number) else { return };
                    for place in symbols.filter_map(|symbol| places.get(symbol)) {
                        connection.wants[*place] = is_wanted;
                    }
                }
            }
            text = waiting.recv() => {
                // Closed by the exchange, or gone.
                let Some(text) = text else { return };
                if writer.write_all(text.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    }
    shared.connections.lock().unwrap().retain(|connection| connection.number != number);
}
