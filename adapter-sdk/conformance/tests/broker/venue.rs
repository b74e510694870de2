//! A venue in this process: connections are channels, and what the adapter sends are calls.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use adapter_conformance::{
    Answer, Command, Control, CredentialSet, Edition, Hello, Name, Packet, Subscribed, VenueReport,
};
use adapter_sdk::Mode;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::adapter::given;

/// Frames that may wait for a connection.
const WAITING: usize = 20_000;

/// Pause between heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(20);

/// What the log-in page shows.
const CODE: &str = "135790";

/// What an adapter gets.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Packets with the handles of their instruments, and whether they hold only what changed.
    Ticks(Vec<(u32, Packet)>, bool),
    Order(String),
    /// The account has logged in elsewhere.
    Replaced,
    Heartbeat,
    Garbage,
}

/// What is particular about the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Plain,
    /// One channel for last prices and quotes.
    OneChannel,
    /// Values and books in messages of their own.
    Apart,
    /// Nobody logs in.
    Open,
}

#[derive(Default)]
pub struct State {
    accepted: Vec<CredentialSet>,
    report: VenueReport,
    peers: Vec<Peer>,
    log_ins: u64,
    manner: Manner,
    /// The list of instruments. An instrument has the name of another for a number when the two are swapped.
    edition: Edition,
    /// Tokens that log-ins gave.
    issued: Vec<String>,
}

struct Peer {
    number: u64,
    frames: mpsc::Sender<Frame>,
    /// By the names that are numbers.
    handles: HashMap<(String, String), u32>,
    is_mute: bool,
}

pub type Shared = Arc<Mutex<State>>;

/// Venues that are running, by the address that stands in the settings.
static RUNNING: LazyLock<Mutex<BTreeMap<String, Shared>>> = LazyLock::new(Mutex::default);

/// The venue at an address. One that does not exist takes connections and says nothing.
pub fn at(address: &str) -> Option<Shared> {
    RUNNING.lock().get(address).cloned()
}

impl State {
    pub fn is_open(&self) -> bool {
        self.manner == Manner::Open
    }

    /// The list as it is served now.
    pub fn edition(&self) -> Edition {
        self.edition.clone()
    }

    /// What has this number, or the number of this: both ways are the same.
    fn swapped(&self, name: &Name) -> Name {
        match self.edition.swap.as_slice() {
            [one, other] if one == name => other.clone(),
            [one, other] if other == name => one.clone(),
            _ => name.clone(),
        }
    }

    /// A token for a secret that is accepted, with the code of the page.
    pub fn exchange(&mut self, secret: &str, code: &str) -> Option<String> {
        let is_known = self.accepted.iter().any(|set| given(set, "secret") == Some(secret));
        let token = format!("issued {}", self.issued.len());
        (is_known && code == CODE).then(|| {
            self.issued.push(token.clone());
            token
        })
    }

    pub fn log_in(&mut self, token: &str) -> Option<(u64, mpsc::Receiver<Frame>)> {
        let is_good = self.issued.iter().any(|good| good == token)
            || self.accepted.iter().any(|set| given(set, "token") == Some(token));
        self.report.log_ins.push(is_good);
        if !is_good {
            self.report.opened += 1;
            return None;
        }
        Some(self.enter())
    }

    /// A connection, from whomever.
    pub fn enter(&mut self) -> (u64, mpsc::Receiver<Frame>) {
        self.report.opened += 1;
        self.log_ins += 1;
        let (frames, receiver) = mpsc::channel(WAITING);
        self.peers.push(Peer { number: self.log_ins, frames, handles: HashMap::new(), is_mute: false });
        self.report.subscribes.clear();
        self.report.subscribed.clear();
        (self.log_ins, receiver)
    }

    /// Subscribes in one message and gives the handles; those of the second connection are the other way
    /// round.
    pub fn subscribe(&mut self, number: u64, wanted: &[(Name, Mode)]) -> Vec<u32> {
        let names: Vec<Name> = wanted.iter().map(|(key, _)| self.swapped(key)).collect();
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.number == number) else { return Vec::new() };
        self.report.subscribes.push(wanted.len() as u64);
        let base = peer.handles.len() + wanted.len();
        let mut handles = Vec::new();
        for (place, ((key, mode), name)) in wanted.iter().zip(names).enumerate() {
            let fresh = if number.is_multiple_of(2) {
                10_000 - base + place
            } else {
                10_000 - base + wanted.len() - 1 - place
            };
            let key = (key.exchange.clone(), key.symbol.clone());
            handles.push(*peer.handles.entry(key).or_insert(fresh as u32));
            let mode = match mode {
                Mode::Ltp if self.manner != Manner::OneChannel => "ltp",
                Mode::Ltp | Mode::Quote => "quote",
                Mode::Depth => "depth",
            };
            let Name { exchange, symbol } = name;
            self.report.subscribed.retain(|one| one.exchange != exchange || one.symbol != symbol);
            self.report.subscribed.push(Subscribed { exchange, symbol, mode: mode.to_owned() });
        }
        handles
    }

    pub fn unsubscribe(&mut self, key: &Name) {
        let Name { exchange, symbol } = self.swapped(key);
        self.report.subscribed.retain(|one| one.exchange != exchange || one.symbol != symbol);
    }

    fn send(&mut self, packets: &[Packet], is_partial: bool) {
        for peer in self.peers.iter().filter(|peer| !peer.is_mute) {
            let known = packets.iter().filter_map(|packet| {
                let name = Name { exchange: packet.exchange.clone(), symbol: packet.symbol.clone() };
                let Name { exchange, symbol } = self.swapped(&name);
                Some((*peer.handles.get(&(exchange, symbol))?, packet.clone()))
            });
            let known: Vec<(u32, Packet)> = known.collect();
            if self.manner != Manner::Apart {
                _ = peer.frames.try_send(Frame::Ticks(known, is_partial));
                continue;
            }
            for (handle, packet) in known {
                let is_depth = packet.kind == "depth";
                let book = Packet { kind: "book".to_owned(), ..packet.clone() };
                let kind = if is_depth { "values" } else { packet.kind.as_str() }.to_owned();
                let values = Packet { kind, ..packet };
                // The book comes second, and after a partial packet only if there is one.
                _ = peer.frames.try_send(Frame::Ticks(vec![(handle, values)], is_partial));
                if is_depth {
                    _ = peer.frames.try_send(Frame::Ticks(vec![(handle, book)], is_partial));
                }
            }
        }
    }

    fn tell(&self, frame: &Frame) {
        for peer in self.peers.iter().filter(|peer| !peer.is_mute) {
            _ = peer.frames.try_send(frame.clone());
        }
    }

    fn tidy(&mut self) {
        self.peers.retain(|peer| !peer.frames.is_closed());
        self.report.open = self.peers.len() as u64;
    }
}

/// The suite's end of a venue.
pub struct Memory {
    address: String,
    state: Shared,
    /// Ends the heartbeats when it is dropped.
    _alive: Arc<()>,
}

impl Memory {
    pub fn start(manner: Manner) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let address = format!("memory-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let state: Shared = Arc::new(Mutex::new(State { manner, ..State::default() }));
        RUNNING.lock().insert(address.clone(), Arc::clone(&state));
        let alive = Arc::new(());
        let (beating, watched) = (Arc::downgrade(&alive), Arc::clone(&state));
        std::thread::spawn(move || {
            while beating.upgrade().is_some() {
                for peer in watched.lock().peers.iter().filter(|peer| !peer.is_mute) {
                    _ = peer.frames.try_send(Frame::Heartbeat);
                }
                std::thread::park_timeout(HEARTBEAT);
            }
        });
        Self { address, state, _alive: alive }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        RUNNING.lock().remove(&self.address);
    }
}

impl Control for Memory {
    fn hello(&self) -> Hello {
        let manner = self.state.lock().manner;
        let mut commands = vec![
            "tick",
            "partial",
            "frame",
            "disconnect",
            "mute",
            "garbage",
            "order",
            "list",
            "replace",
            "report",
        ];
        if manner != Manner::Open {
            commands.extend(["accept", "answer"]);
        }
        let values = ["ltp", "volume", "open", "high", "exchange_ts_ns"];
        let hello = Hello::new(&self.address, &commands, &values).images(true);
        hello.order(&["orderid", "quantity", "filled_quantity", "price", "order_status"])
    }

    fn execute(&mut self, command: Command) -> Answer {
        let mut state = self.state.lock();
        match command {
            Command::Accept { sets } => {
                state.accepted = sets;
                state.issued.clear();
            }
            Command::Tick { packet } => state.send(&[packet], false),
            Command::Partial { packet } => state.send(&[packet], true),
            // What is apart is not in one frame.
            Command::Frame { .. } if state.manner == Manner::Apart => {
                return Answer::Unsupported("each message has one instrument".to_owned());
            }
            Command::Frame { packets } => state.send(&packets, false),
            Command::Disconnect => state.peers.clear(),
            Command::Mute => state.peers.iter_mut().for_each(|peer| peer.is_mute = true),
            Command::Garbage { frames, .. } => (0..frames).for_each(|_| state.tell(&Frame::Garbage)),
            Command::Order { order } => state.tell(&Frame::Order(serde_json::to_string(&order).unwrap())),
            Command::List(edition) => state.edition = edition,
            Command::Answer { .. } => return Answer::Said(CODE.to_owned()),
            Command::Replace => {
                state.tell(&Frame::Replaced);
                state.peers.clear();
            }
            Command::Report => {
                state.tidy();
                return Answer::Report(state.report.clone());
            }
            other => return Answer::Unsupported(format!("no {}", other.name())),
        }
        Answer::Done
    }
}
