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
    Answer, Command, Control, CredentialSet, Hello, PROTOCOL, Packet, Subscribed, VenueReport,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Frames that may wait for a connection.
const WAITING: usize = 20_000;

/// Pause between heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(20);

/// What an adapter gets.
#[derive(Clone, Debug)]
pub enum Frame {
    /// Packets with the handles of their instruments, and whether they hold only what changed.
    Ticks(Vec<(u32, Packet)>, bool),
    Heartbeat,
    Garbage,
}

#[derive(Default)]
pub struct State {
    accepted: Vec<CredentialSet>,
    report: VenueReport,
    peers: Vec<Peer>,
    log_ins: u64,
}

struct Peer {
    number: u64,
    frames: mpsc::Sender<Frame>,
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
    pub fn log_in(&mut self, token: &str) -> Option<(u64, mpsc::Receiver<Frame>)> {
        let is_good = self.accepted.iter().any(|set| set.get("token").is_some_and(|good| good == token));
        self.report.log_ins.push(is_good);
        self.report.opened += 1;
        if !is_good {
            return None;
        }
        self.log_ins += 1;
        let (frames, receiver) = mpsc::channel(WAITING);
        self.peers.push(Peer { number: self.log_ins, frames, handles: HashMap::new(), is_mute: false });
        self.report.subscribes.clear();
        self.report.subscribed.clear();
        Some((self.log_ins, receiver))
    }

    /// Subscribes in one message and gives the handles; those of the second connection are the other way round.
    pub fn subscribe(&mut self, number: u64, wanted: &[(String, String, &'static str)]) -> Vec<u32> {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.number == number) else { return Vec::new() };
        self.report.subscribes.push(wanted.len() as u64);
        let base = peer.handles.len() + wanted.len();
        let mut handles = Vec::new();
        for (place, (exchange, symbol, mode)) in wanted.iter().enumerate() {
            let fresh = if number.is_multiple_of(2) {
                10_000 - base + place
            } else {
                10_000 - base + wanted.len() - 1 - place
            };
            let handle = *peer.handles.entry((exchange.clone(), symbol.clone())).or_insert(fresh as u32);
            handles.push(handle);
            self.report.subscribed.retain(|one| (&one.exchange, &one.symbol) != (exchange, symbol));
            self.report.subscribed.push(Subscribed {
                exchange: exchange.clone(),
                symbol: symbol.clone(),
                mode: (*mode).to_owned(),
            });
        }
        handles
    }

    pub fn unsubscribe(&mut self, exchange: &str, symbol: &str) {
        self.report.subscribed.retain(|one| one.exchange != exchange || one.symbol != symbol);
    }

    fn send(&mut self, packets: &[Packet], is_partial: bool) {
        for peer in self.peers.iter().filter(|peer| !peer.is_mute) {
            let known = packets.iter().filter_map(|packet| {
                let name = (packet.exchange.clone(), packet.symbol.clone());
                Some((*peer.handles.get(&name)?, packet.clone()))
            });
            _ = peer.frames.try_send(Frame::Ticks(known.collect(), is_partial));
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
    pub fn start() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let address = format!("memory-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let state = Shared::default();
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
        let commands = ["accept", "tick", "partial", "frame", "disconnect", "mute", "garbage", "report"];
        let values = ["ltp", "volume", "open", "high", "exchange_ts_ns"];
        Hello {
            venue: PROTOCOL,
            listening: self.address.clone(),
            commands: commands.map(str::to_owned).into(),
            values: values.map(str::to_owned).into(),
            fixed_layout: false,
        }
    }

    fn obey(&mut self, command: Command) -> Answer {
        let mut state = self.state.lock();
        match command {
            Command::Accept { sets } => state.accepted = sets,
            Command::Tick { packet } => state.send(&[packet], false),
            Command::Partial { packet } => state.send(&[packet], true),
            Command::Frame { packets } => state.send(&packets, false),
            Command::Disconnect => state.peers.clear(),
            Command::Mute => state.peers.iter_mut().for_each(|peer| peer.is_mute = true),
            Command::Garbage { frames, .. } => {
                for peer in &state.peers {
                    (0..frames).for_each(|_| _ = peer.frames.try_send(Frame::Garbage));
                }
            }
            Command::Report => {
                state.tidy();
                return Answer::Report(state.report.clone());
            }
        }
        Answer::Done
    }
}
