//! A venue that is running, and what a test may ask of it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use adapter_conformance::{CredentialSet, Edition, VenueReport};
use adapter_venue::{
    Admission, Faults, Handshake, Line, Next, Pulse, Refusal, Reply, Request, Server, Service, reply,
};
use parking_lot::Mutex;
use tokio::{task::JoinHandle, time::MissedTickBehavior};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    broker::{Broker, Cause},
    garbage,
    market::Random,
    model::{Mode, Values},
    options::Options,
    state::{Core, said},
    universe::Instrument,
};

/// What all connections share.
#[derive(Debug)]
struct Shared<B> {
    core: Mutex<Core>,
    broker: B,
    /// Instead of the broker's.
    patience: Option<Duration>,
    /// Instead of the broker's.
    heartbeat: Option<Duration>,
}

impl<B: Broker> Service for Shared<B> {
    fn answer(&self, request: &Request) -> Reply {
        self.broker.rest(&mut self.core.lock(), request)
    }

    fn refused(&self, status: u16, is_rest: bool) -> Reply {
        if is_rest {
            return B::refused(status);
        }
        reply(status, "text/html", "<html><body><h1>Refused</h1></body></html>")
    }

    fn admit(&self, head: &Handshake, line: Line) -> Admission {
        let mut core = self.core.lock();
        if let Some(words) = self.broker.last_words(&core, head) {
            core.report.log_ins.push(false);
            return Admission::LastWords(words.into_iter().map(said).collect());
        }
        match self.broker.admit(&core, head) {
            Ok(account) => Admission::Taken(core.enter::<B>(account, line)),
            Err(refusal) => {
                if matches!(refusal.status().as_u16(), 401 | 403) {
                    core.report.log_ins.push(false);
                }
                Admission::Refused(refusal)
            }
        }
    }

    fn hear(&self, connection: u64, message: &adapter_venue::Message) -> Next {
        let mut core = self.core.lock();
        match message {
            adapter_venue::Message::Text(text) => B::hear(&mut core, connection, text),
            adapter_venue::Message::Binary(bytes) => B::hear_binary(&mut core, connection, bytes),
            _ => Next::Go,
        }
    }

    fn left(&self, connection: u64) {
        self.core.lock().leave(connection);
    }

    fn pulse(&self, connection: u64) -> Pulse {
        let account = self.core.lock().peer(connection).map(|peer| peer.account.clone());
        let heartbeat = account.and_then(|account| B::heartbeat_of(&account));
        Pulse {
            heartbeat: heartbeat.map(|(pause, message)| (self.heartbeat.unwrap_or(pause), said(message))),
            patience: B::patience().map(|brokers| self.patience.unwrap_or(brokers)),
        }
    }

    fn is_sign_of_life(&self, message: &adapter_venue::Message) -> bool {
        B::is_sign_of_life(&match message {
            adapter_venue::Message::Text(text) => Message::text(text.as_str()),
            adapter_venue::Message::Binary(bytes) => Message::Binary(bytes.clone()),
            adapter_venue::Message::Ping(bytes) => Message::Ping(bytes.clone()),
            adapter_venue::Message::Pong(bytes) => Message::Pong(bytes.clone()),
            _ => Message::Close(None),
        })
    }
}

/// A venue that listens on 127.0.0.1, in the runtime of whoever started it. It ends when it is dropped.
#[derive(Debug)]
pub struct Venue<B: Broker> {
    server: Server,
    shared: Arc<Shared<B>>,
    trading: JoinHandle<()>,
    faults: Faults,
}

impl<B: Broker> Venue<B> {
    /// Starts one.
    ///
    /// # Errors
    /// When it cannot listen on the port.
    pub async fn start(options: Options) -> io::Result<Self> {
        let core = Mutex::new(Core::new::<B>(&options));
        let Options { patience, heartbeat, .. } = options;
        let shared = Arc::new(Shared { core, broker: B::new(&options), patience, heartbeat });
        let faults = Faults::default();
        let server = Server::start(options.port, Arc::clone(&shared), faults.clone()).await?;
        let trading = tokio::spawn(trade(Arc::clone(&shared), options.rate_hz));
        Ok(Self { server, shared, trading, faults })
    }

    /// Where everything is to be found, WebSocket and HTTP.
    pub const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// An instrument; none when it does not exist here.
    pub fn instrument(&self, exchange: &str, symbol: &str) -> Option<Instrument> {
        let core = self.shared.core.lock();
        core.universe.place(exchange, symbol).and_then(|place| core.instrument(place).cloned())
    }

    /// The first instruments of an exchange.
    pub fn some(&self, exchange: &str, count: usize) -> Vec<Instrument> {
        let core = self.shared.core.lock();
        core.universe.all().iter().filter(|one| one.exchange == exchange).take(count).cloned().collect()
    }

    /// The number by which packets name an instrument.
    pub fn key(&self, exchange: &str, symbol: &str) -> Option<u64> {
        self.instrument(exchange, symbol).and_then(|instrument| B::key(&instrument))
    }

    /// The values that were sent last in a mode, to whichever client; none when none were.
    pub fn sent(&self, exchange: &str, symbol: &str, mode: Mode) -> Option<Values> {
        let core = self.shared.core.lock();
        core.universe.place(exchange, symbol).and_then(|place| core.sent(place, B::sent_as(mode)))
    }

    /// What was seen so far.
    pub fn report(&self) -> VenueReport {
        self.shared.core.lock().report.clone()
    }

    /// Accepts log-ins with these credentials, and no others, from now on. Tokens that were issued are void.
    pub fn accept(&self, sets: Vec<CredentialSet>) {
        let mut core = self.shared.core.lock();
        core.end_tokens();
        core.accepted = sets;
        core.tickets.clear();
    }

    /// All tokens expire. Connections stay, as they do at the brokers; a new one needs a log-in.
    pub fn expire(&self) {
        let mut core = self.shared.core.lock();
        core.end_tokens();
    }

    /// A trade in every instrument that is subscribed, at once.
    pub fn trade(&self) {
        self.shared.core.lock().trade::<B>();
    }

    /// Sends packets on the connections that know their instruments, in one message where the broker can.
    ///
    /// # Errors
    /// When an instrument does not exist, or the broker cannot write these values.
    pub fn send(&self, packets: &[(&str, &str, Mode, Values)]) -> Result<(), String> {
        self.send_to(packets, Cause::Whole)
    }

    /// Sends packets on all connections, also where nobody subscribed their instruments.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn stray(&self, packets: &[(&str, &str, Mode, Values)]) -> Result<(), String> {
        self.send_to(packets, Cause::Stray)
    }

    /// Sends packets of what changed, and nothing else: the values that are not [`crate::ABSENT`], and the
    /// sides of a book that have levels.
    ///
    /// # Errors
    /// As [`Self::send`], and when the broker has no such packets.
    pub fn send_partial(&self, packets: &[(&str, &str, Mode, Values)]) -> Result<(), String> {
        if B::HAS_FIXED_LAYOUT {
            return Err("every packet of this broker says all of its kind".to_owned());
        }
        self.send_to(packets, Cause::Partial)
    }

    fn send_to(&self, packets: &[(&str, &str, Mode, Values)], cause: Cause) -> Result<(), String> {
        let mut core = self.shared.core.lock();
        let mut placed = Vec::with_capacity(packets.len());
        for (exchange, symbol, mode, values) in packets {
            let place = core
                .universe
                .place(exchange, symbol)
                .ok_or_else(|| format!("there is no {exchange}:{symbol}"))?;
            placed.push((place, *mode, values.clone()));
        }
        core.send::<B>(&placed, cause)
    }

    /// Lets a broker's own helpers at what it knows.
    pub(crate) fn with_core(&self, act: impl FnOnce(&mut Core)) {
        act(&mut self.shared.core.lock());
    }

    /// Sends a text on all connections.
    pub fn text(&self, text: &str) {
        self.shared.core.lock().broadcast(&Message::text(text.to_owned()));
    }

    /// Tells clients of an order, with what the broker's update says of it.
    pub fn order(&self, data: &serde_json::Value) {
        self.shared.core.lock().order::<B>(data);
    }

    /// Cuts all connections, without a close frame.
    pub fn disconnect(&self) {
        self.shared.core.lock().disconnect();
    }

    /// The connections that are open now stay open, and nothing more is said on them.
    pub fn mute(&self) {
        self.shared.core.lock().mute();
    }

    /// Nothing more is read from the connections that are open now.
    pub fn deafen(&self) {
        self.shared.core.lock().deafen();
    }

    /// Whether new connections are taken and then left without an answer.
    pub fn set_half_open(&self, is_half_open: bool) {
        self.faults.set_half_open(is_half_open);
    }

    /// Refuses requests that are still to come.
    pub fn refuse(&self, refusal: Refusal) {
        self.faults.refuse(refusal);
    }

    /// Cuts each new connection after a while; none ends this.
    pub fn set_storm(&self, after: Option<Duration>) {
        self.faults.set_storm(after);
    }

    /// Writes new connections in pieces of so many bytes; 0 ends this.
    pub fn set_split(&self, bytes: usize) {
        self.faults.set_split(bytes);
    }

    /// Whether each message is sent in two frames.
    pub fn set_fragmented(&self, is_fragmented: bool) {
        self.faults.set_fragmented(is_fragmented);
    }

    /// Whether packets share messages wherever they can.
    pub fn set_stacked(&self, is_stacked: bool) {
        self.shared.core.lock().is_stacked = is_stacked;
    }

    /// Sends a binary message on all connections.
    pub fn binary(&self, bytes: &[u8]) {
        self.shared.core.lock().broadcast(&Message::binary(bytes.to_vec()));
    }

    /// Does something that only this broker does; the README says what there is.
    ///
    /// # Errors
    /// When it does nothing of the kind.
    pub fn own(&self, command: &serde_json::Value) -> Result<(), String> {
        self.shared.broker.own(&mut self.shared.core.lock(), command)
    }

    /// Two instruments get each other's number in a new list of instruments, and all connections end.
    ///
    /// # Errors
    /// When one of them does not exist, or they are not of one exchange.
    pub fn reuse(&self, exchange: &str, one: &str, other: &str) -> Result<(), String> {
        let mut core = self.shared.core.lock();
        let find = |symbol: &str| {
            core.universe.place(exchange, symbol).ok_or_else(|| format!("there is no {exchange}:{symbol}"))
        };
        let (one, other) = (find(one)?, find(other)?);
        core.swap_numbers::<B>(one, other);
        Ok(())
    }

    /// Serves another list of instruments from now on, and names the instruments of packets by it.
    /// Connections stay.
    ///
    /// # Errors
    /// When an instrument does not exist, or the two that are to be swapped are not two.
    pub fn list(&self, edition: &Edition) -> Result<(), String> {
        self.shared.core.lock().list::<B>(edition)
    }

    /// What a person would answer to a question of a log-in.
    pub fn answer(&self, field: &str, page: Option<&str>) -> Option<String> {
        B::answer(&mut self.shared.core.lock(), field, page)
    }

    /// Ends all connections as the broker does when the account has logged in elsewhere; false where it says
    /// nothing of the kind.
    pub fn replace(&self) -> bool {
        B::replace(&mut self.shared.core.lock())
    }

    /// Sends frames that make no sense.
    pub fn garbage(&self, seed: u64, frames: u32) {
        let core = self.shared.core.lock();
        let mut random = Random::new(seed);
        for _ in 0..frames {
            let one = random.next();
            core.tell_each(|account| garbage::frame::<B>(&core, &mut Random::new(one), account));
        }
    }
}

impl<B: Broker> Drop for Venue<B> {
    fn drop(&mut self) {
        self.trading.abort();
        self.disconnect();
    }
}

/// Most rounds a second.
const FASTEST_HZ: f64 = 1_000.0;

async fn trade<B: Broker>(shared: Arc<Shared<B>>, rate_hz: f64) {
    if rate_hz.is_nan() || rate_hz <= 0.0 {
        return;
    }
    let mut rounds = tokio::time::interval(Duration::from_secs_f64(1.0 / rate_hz.min(FASTEST_HZ)));
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        shared.core.lock().trade::<B>();
    }
}
