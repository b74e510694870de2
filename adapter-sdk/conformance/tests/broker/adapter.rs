//! An adapter that does everything right, but for the one vice that its settings name.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    fs::File,
    rc::Rc,
    time::Duration,
};

use adapter_conformance::Packet;
use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Connection, Context, Credentials, Grant, Level, Manifest,
    Mode, Price, Refusal, Subscription, Tick, TickSink, tracing,
};
use serde::Deserialize;
use tokio::{sync::mpsc, time::Instant};

use super::venue::{self, Frame, Shared};

/// Silence after which the connection is taken for dead.
const SILENCE: Duration = Duration::from_millis(300);

/// Levels that the broker has.
const LEVELS: u16 = 20;

/// What is wrong with an adapter. Each is caught by a case of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Vice {
    KeepsHandles,
    InventsZeros,
    WipesOnPartial,
    ReadsFirstPacketOnly,
    KeepsToken,
    RetriesBlindly,
    NoticesNoStall,
    SubscribesOneByOne,
    NeverLowersModes,
    HangsUpAtZero,
    StopsSlowly,
    LeaksDescriptors,
    SendsLocalTime,
    CutsSymbols,
    TakesQuietForDead,
    PromisesDepth,
    CountsInFloats,
    LogsTokens,
    PanicsAtNonsense,
    HidesNonsense,
    TakesAnySetting,
    ForgetsAdditions,
    KnowsEverySymbol,
    BlocksCalls,
}

#[derive(Deserialize)]
pub struct Config {
    venue: String,
    vice: Option<Vice>,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

/// What outlives a connection, for the vices that need it.
#[derive(Default)]
struct Memory {
    token: RefCell<Option<String>>,
    handles: RefCell<HashMap<u32, u32>>,
    known: RefCell<Vec<u32>>,
    connects: Cell<u32>,
}

pub struct Broker {
    venue: String,
    vice: Option<Vice>,
    memory: Rc<Memory>,
}

pub struct Session {
    venue: Shared,
    number: u64,
    frames: mpsc::Receiver<Frame>,
    vice: Option<Vice>,
    memory: Rc<Memory>,
    is_again: bool,
    wanted: HashMap<u32, Subscription>,
    handles: HashMap<u32, u32>,
    heard: Instant,
}

impl Adapter for Broker {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        Manifest::new("broker", "1.0.0")
            .capabilities(&[Capability::Ltp, Capability::Quote, Capability::Depth])
            .limits(100, 1)
            .backoff(Backoff {
                first: Duration::from_millis(20),
                longest: Duration::from_millis(100),
                ..Backoff::default()
            })
    }

    fn try_new(config: Config, _context: Context) -> Result<Self, AdapterError> {
        match config.others.keys().next() {
            Some(key) if config.vice != Some(Vice::TakesAnySetting) => {
                Err(AdapterError::config(format!("unknown field `{key}`")))
            }
            _ => Ok(Self { venue: config.venue, vice: config.vice, memory: Rc::default() }),
        }
    }

    fn resolve(&self, wanted: &Subscription) -> Result<Grant, Refusal> {
        if wanted.symbol == "NOSUCH" && self.vice != Some(Vice::KnowsEverySymbol) {
            return Err(Refusal::UnknownInstrument(format!("Symbol {} not found", wanted.symbol)));
        }
        let levels = if self.vice == Some(Vice::PromisesDepth) { u16::MAX } else { LEVELS };
        Ok(Grant::with_depth_up_to(wanted, levels))
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        let Some(venue) = venue::at(&self.venue) else {
            // A port of the suite: closed, or one on which nobody answers.
            let _open = std::net::TcpStream::connect(&self.venue)
                .map_err(|error| AdapterError::io("the venue", error))?;
            return std::future::pending().await;
        };
        let mut token = credentials.require("token")?.to_owned();
        if self.vice == Some(Vice::KeepsToken) {
            token.clone_from(self.memory.token.borrow_mut().get_or_insert(token.clone()));
        }
        if self.vice == Some(Vice::LogsTokens) {
            tracing::trace!(token, "Logging in");
        }
        if self.vice == Some(Vice::LeaksDescriptors) {
            Box::leak(Box::new(File::open("/dev/null").unwrap()));
        }
        let log_in = venue.lock().log_in(&token);
        let Some((number, frames)) = log_in else {
            let refusal = "the broker refused the token";
            return Err(match self.vice {
                Some(Vice::RetriesBlindly) => AdapterError::network(refusal),
                _ => AdapterError::auth(refusal),
            });
        };
        self.memory.connects.set(self.memory.connects.get() + 1);
        Ok(Session {
            venue,
            number,
            frames,
            vice: self.vice,
            memory: Rc::clone(&self.memory),
            is_again: self.memory.connects.get() > 1,
            wanted: HashMap::new(),
            handles: HashMap::new(),
            heard: Instant::now(),
        })
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], _sink: &mut TickSink) -> Result<(), AdapterError> {
        let mut asked = Vec::new();
        for one in wanted {
            let is_known = self.memory.known.borrow().contains(&one.instrument);
            if self.vice == Some(Vice::ForgetsAdditions) && self.is_again && !is_known {
                continue;
            }
            self.memory.known.borrow_mut().push(one.instrument);
            let before = self.wanted.insert(one.instrument, one.clone()).map(|before| before.mode);
            let mode = match self.vice {
                Some(Vice::NeverLowersModes) => before.map_or(one.mode, |before| before.max(one.mode)),
                _ => one.mode,
            };
            let symbol = match self.vice {
                Some(Vice::CutsSymbols) => one.symbol.split(['_', '-']).next().unwrap_or_default(),
                _ => &one.symbol,
            };
            asked.push((
                one.exchange.clone(),
                symbol.to_owned(),
                match mode {
                    Mode::Ltp => "ltp",
                    Mode::Quote => "quote",
                    Mode::Depth => "depth",
                },
            ));
        }
        let size = if self.vice == Some(Vice::SubscribesOneByOne) { 1 } else { 50 };
        let mut numbers = wanted.iter().map(|one| one.instrument);
        for message in asked.chunks(size) {
            for handle in self.venue.lock().subscribe(self.number, message) {
                let number = numbers.next().unwrap_or_default();
                if self.vice == Some(Vice::KeepsHandles) {
                    self.memory.handles.borrow_mut().entry(handle).or_insert(number);
                }
                self.handles.insert(handle, number);
            }
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        for one in instruments.iter().filter_map(|number| self.wanted.remove(number)) {
            self.venue.lock().unsubscribe(&one.exchange, &one.symbol);
            self.handles.retain(|_, number| *number != one.instrument);
        }
        if self.wanted.is_empty() && self.vice == Some(Vice::HangsUpAtZero) {
            return Err(AdapterError::network("nothing to do"));
        }
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        let is_patient = self.vice == Some(Vice::NoticesNoStall);
        let frame = tokio::select! {
            frame = self.frames.recv() => frame.ok_or_else(|| AdapterError::network("the broker closed"))?,
            () = tokio::time::sleep_until(self.heard + SILENCE), if !is_patient => {
                return Err(AdapterError::network("the broker fell silent"));
            }
        };
        if self.vice != Some(Vice::TakesQuietForDead) || !matches!(frame, Frame::Heartbeat) {
            self.heard = Instant::now();
        }
        match frame {
            Frame::Ticks(packets, is_partial) => self.publish(packets, is_partial, sink),
            Frame::Garbage => {
                assert!(self.vice != Some(Vice::PanicsAtNonsense), "nonsense");
                if self.vice != Some(Vice::HidesNonsense) {
                    sink.undecodable();
                }
            }
            Frame::Heartbeat => {}
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.vice == Some(Vice::StopsSlowly) && self.handles.len() == 3 {
            super::hold(Duration::from_secs(3));
        }
    }
}

impl Session {
    fn publish(&self, packets: Vec<(u32, Packet)>, is_partial: bool, sink: &mut TickSink) {
        let count = if self.vice == Some(Vice::ReadsFirstPacketOnly) { 1 } else { usize::MAX };
        for (handle, packet) in packets.into_iter().take(count) {
            let kept = self.memory.handles.borrow().get(&handle).copied();
            if let Some(number) = kept.or(self.handles.get(&handle).copied()) {
                self.publish_one(number, &packet, is_partial, sink);
            }
        }
    }

    fn publish_one(&self, number: u32, packet: &Packet, is_partial: bool, sink: &mut TickSink) {
        let mut tick = Tick::new(number);
        if self.vice == Some(Vice::InventsZeros) {
            tick = tick.volume(0);
        }
        if self.vice == Some(Vice::WipesOnPartial) && is_partial {
            tick = tick.high(Price::default());
        }
        for (name, text) in &packet.values {
            tick = match name.as_str() {
                "ltp" => tick.ltp(self.price(text)),
                "open" => tick.open(self.price(text)),
                "high" => tick.high(self.price(text)),
                "volume" => tick.volume(text.parse().unwrap()),
                "exchange_ts_ns" => {
                    let ahead = if self.vice == Some(Vice::SendsLocalTime) { 19_800_000_000_000 } else { 0 };
                    tick.exchange_ts_ns(text.parse::<u64>().unwrap() + ahead)
                }
                other => panic!("the venue has no {other}"),
            };
        }
        let side = |rows: &[(String, i64, u32)]| -> Vec<Level> {
            let rows = rows.iter().take(LEVELS.into());
            rows.map(|(at, quantity, orders)| Level {
                price: self.price(at),
                quantity: *quantity,
                orders: Some(*orders),
            })
            .collect()
        };
        match packet.kind.as_str() {
            "ltp" => sink.ltp(&tick),
            "quote" => sink.quote(&tick),
            _ => sink.depth(&tick, &side(&packet.bids), &side(&packet.asks)),
        }
    }

    fn price(&self, text: &str) -> Price {
        if self.vice == Some(Vice::CountsInFloats) {
            return Price::from_f64(f64::from(text.parse::<f32>().unwrap())).unwrap();
        }
        Price::from_f64(text.parse().unwrap()).unwrap()
    }
}
