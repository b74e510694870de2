//! A venue that numbers what it says of each symbol, and tells every connection the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
};

/// Steps in which one round over all symbols is told, so that ticks come spread and not at once.
const STEPS: u32 = 5;

/// Lines that may wait for a connection. No instance that lives falls so far behind.
const QUEUE: usize = 65_536;

/// The venue. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Venue {
    pub(super) address: SocketAddr,
    market: Arc<Mutex<Market>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Market {
    /// Last number of each symbol.
    numbers: BTreeMap<String, u64>,
    connections: BTreeMap<u64, Listener>,
    accepted: u64,
    most: usize,
}

#[derive(Debug)]
struct Listener {
    symbols: BTreeSet<String>,
    lines: mpsc::Sender<String>,
    stream: OwnedFd,
}

impl Venue {
    /// Tells each of these symbols so often per second.
    pub(super) async fn start(symbols: &[String], rate_hz: u32) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let numbers = symbols.iter().map(|symbol| (symbol.clone(), 0)).collect();
        let market = Arc::new(Mutex::new(Market { numbers, ..Market::default() }));
        let accepting = tokio::spawn(accept(socket, Arc::clone(&market)));
        let telling = tokio::spawn(tell(Arc::clone(&market), symbols.to_vec(), rate_hz));
        Self { address, market, tasks: vec![accepting, telling] }
    }

    /// The last number of each symbol.
    pub(super) fn numbers(&self) -> BTreeMap<String, u64> {
        self.market.lock().unwrap().numbers.clone()
    }

    /// Connections that there were so far, those at this moment, and most at the same time.
    pub(super) fn connections(&self) -> (u64, usize, usize) {
        let market = self.market.lock().unwrap();
        (market.accepted, market.connections.len(), market.most)
    }
}

impl Drop for Venue {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn accept(socket: TcpListener, market: Arc<Mutex<Market>>) {
    loop {
        let (stream, _) = socket.accept().await.unwrap();
        let (lines, outgoing) = mpsc::channel(QUEUE);
        let number = {
            let mut market = market.lock().unwrap();
            let open = market.connections.values().filter(|listener| !is_closed(&listener.stream)).count();
            market.most = market.most.max(open + 1);
            market.accepted += 1;
            let number = market.accepted;
            let stream = stream.as_fd().try_clone_to_owned().unwrap();
            market.connections.insert(number, Listener { symbols: BTreeSet::new(), lines, stream });
            number
        };
        tokio::spawn(serve(stream, number, outgoing, Arc::clone(&market)));
    }
}

/// Serves one connection until the other side has closed it.
async fn serve(
    stream: TcpStream,
    number: u64,
    mut outgoing: mpsc::Receiver<String>,
    market: Arc<Mutex<Market>>,
) {
    stream.set_nodelay(true).unwrap();
    let (reader, mut writer) = stream.into_split();
    let writing = tokio::spawn(async move {
        while let Some(lines) = outgoing.recv().await {
            if writer.write_all(lines.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    let mut requests = BufReader::new(reader).lines();
    while let Ok(Some(line)) = requests.next_line().await {
        let request: Value = serde_json::from_str(&line).unwrap();
        let symbols = |key: &str| -> BTreeSet<String> {
            let symbols = request[key].as_array().into_iter().flatten();
            symbols.map(|symbol| symbol.as_str().unwrap().to_owned()).collect()
        };
        let mut market = market.lock().unwrap();
        let listener = market.connections.get_mut(&number).unwrap();
        listener.symbols.extend(symbols("subscribe"));
        let gone = symbols("unsubscribe");
        listener.symbols.retain(|symbol| !gone.contains(symbol));
    }
    market.lock().unwrap().connections.remove(&number);
    writing.abort();
}

async fn tell(market: Arc<Mutex<Market>>, symbols: Vec<String>, rate_hz: u32) {
    let mut beat = tokio::time::interval(Duration::from_secs(1) / rate_hz / STEPS);
    let share = symbols.len().div_ceil(usize::try_from(STEPS).unwrap());
    loop {
        for some in symbols.chunks(share) {
            beat.tick().await;
            market.lock().unwrap().tell(some);
        }
    }
}

/// Whether the other side has closed the connection, by the word of the kernel: what was closed before the
/// next connection came may not have been noticed here yet.
fn is_closed(stream: &OwnedFd) -> bool {
    const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut polled = [PollFd::new(stream, PollFlags::RDHUP)];
    poll(&mut polled, Some(&NOW)).unwrap();
    polled[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}

impl Market {
    fn tell(&mut self, symbols: &[String]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        for symbol in symbols {
            let number = self.numbers.get_mut(symbol).unwrap();
            *number += 1;
            let line = format!("{{\"symbol\":\"{symbol}\",\"seq\":{number},\"ts_ns\":{now}}}\n");
            for listener in self.connections.values().filter(|listener| listener.symbols.contains(symbol)) {
                // One that is gone is taken out by its own task.
                let sent = listener.lines.try_send(line.clone());
                assert!(!matches!(sent, Err(TrySendError::Full(_))), "a connection does not read");
            }
        }
    }
}
