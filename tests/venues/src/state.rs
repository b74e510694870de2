//! What a venue knows: its instruments, whom it lets in, its connections, and what goes wrong on purpose.

mod listing;
mod peer;
mod report;

use std::collections::{BTreeMap, HashMap, HashSet};

use adapter_conformance::{CredentialSet, VenueReport};
use adapter_venue::Line;
use tokio_tungstenite::tungstenite::Message;

pub(crate) use self::peer::{Peer, said};
use crate::{
    broker::{Broker, Cause, News, Role},
    market::{self, Random},
    model::{Level, Mode, Values, now_ns},
    options::Options,
    universe::{Instrument, Kind, Universe},
};

/// Most packets in one message of a broker that stacks them.
const STACKED: usize = 100;

/// Names under which accounts have tokens that end with the day.
const TOKENS: [&str; 6] = ["access_token", "feed_token", "jwt_token", "auth_token", "jwt", "susertoken"];

/// The state of a venue.
#[derive(Debug)]
pub struct Core {
    /// What trades.
    pub universe: Universe,
    /// Credentials that are good.
    pub accepted: Vec<CredentialSet>,
    /// Tokens that were issued by a log-in and are good, with the account of each.
    pub issued: HashMap<String, String>,
    /// Tokens that were good once.
    pub expired: HashSet<String>,
    /// Request tokens and refresh tokens that are good, with the account of each.
    pub tickets: HashMap<String, String>,
    /// What was seen so far.
    pub report: VenueReport,
    /// Whether packets share messages wherever they can.
    pub is_stacked: bool,
    /// Whether the state of an instrument follows its subscription.
    pub snapshots: bool,
    /// Version of the list of instruments.
    pub edition: u64,
    /// What somebody asked for that only this broker does.
    pub own: serde_json::Map<String, serde_json::Value>,
    /// What is not in the list as it was at first.
    listing: listing::Listing,
    keys: HashMap<u64, usize>,
    values: Vec<Values>,
    sent: HashMap<(usize, Mode), Values>,
    peers: Vec<Peer>,
    /// Connections so far.
    entered: u64,
    /// Those of them for orders alone that have not ended.
    orders: HashSet<u64>,
    random: Random,
    made: u64,
}

impl Core {
    pub(crate) fn new<B: Broker>(options: &Options) -> Self {
        let universe = Universe::new(options.instruments, options.today);
        let mut random = Random::new(options.seed);
        let now = now_ns();
        let values = universe.all().iter().map(|one| market::open(one, &mut random, now)).collect();
        let mut core = Self {
            universe,
            accepted: options.accept.clone(),
            issued: HashMap::new(),
            expired: HashSet::new(),
            tickets: HashMap::new(),
            report: VenueReport::default(),
            is_stacked: false,
            snapshots: options.snapshots,
            edition: 1,
            own: serde_json::Map::new(),
            listing: listing::Listing::default(),
            keys: HashMap::new(),
            values,
            sent: HashMap::new(),
            peers: Vec::new(),
            entered: 0,
            orders: HashSet::new(),
            random,
            made: 0,
        };
        core.index::<B>();
        core
    }

    fn index<B: Broker>(&mut self) {
        let all = self.universe.all().iter().enumerate();
        self.keys = all.filter_map(|(place, one)| Some((B::key(one)?, place))).collect();
    }

    /// Two instruments get each other's number, as in a new list after an expiry. All connections end with
    /// the day.
    pub(crate) fn swap_numbers<B: Broker>(&mut self, one: usize, other: usize) {
        self.universe.swap_numbers(one, other);
        self.edition += 1;
        self.index::<B>();
        self.disconnect();
    }

    /// No token is good any more, neither those that log-ins gave nor those of accounts.
    pub(crate) fn end_tokens(&mut self) {
        self.expired.extend(self.issued.drain().map(|(token, _)| token));
        for set in &mut self.accepted {
            let tokens = TOKENS.into_iter().filter_map(|name| set.remove(name));
            self.expired.extend(tokens);
        }
    }

    /// A token that nobody can guess from the outside; the same run makes the same ones.
    pub fn token(&mut self) -> String {
        self.made += 1;
        format!("{:016x}{:08x}{:08x}", self.random.next(), self.made, self.entered)
    }

    /// The instrument that packets name so.
    pub fn by_key(&self, key: u64) -> Option<usize> {
        self.keys.get(&key).copied()
    }

    /// An instrument by its place.
    pub fn instrument(&self, place: usize) -> Option<&Instrument> {
        self.universe.all().get(place)
    }

    /// Values that were sent last in a mode; of an index that has one channel for all of them, those of that.
    pub fn sent(&self, place: usize, mode: Mode) -> Option<Values> {
        let of_channel = || {
            let is_index = self.universe.all().get(place).is_some_and(|one| one.kind == Kind::Index);
            let mut modes = [Mode::Ltp, Mode::Quote].into_iter().filter(|_| is_index);
            modes.find_map(|mode| self.sent.get(&(place, mode)))
        };
        self.sent.get(&(place, mode)).or_else(of_channel).cloned()
    }

    /// How many connections an account has open.
    pub fn open(&self, account: &str) -> usize {
        self.peers.iter().filter(|peer| peer.account == account).count()
    }

    pub(crate) fn enter<B: Broker>(&mut self, account: String, line: Line) -> u64 {
        let role = B::role(&account);
        self.entered += 1;
        let connection = self.entered;
        // The report is about connections for market data.
        if role == Role::Orders {
            self.orders.insert(connection);
        } else {
            self.report.opened += 1;
            self.report.open += 1;
            if !B::logs_in_later(&account) {
                self.report.log_ins.push(true);
            }
        }
        if role == Role::Market {
            // The report is about the newest connection.
            self.report.subscribes.clear();
            self.report.subscribed.clear();
        }
        let session = B::session(connection, &account);
        let peer = Peer::new(connection, account, line, role, session);
        for message in B::greetings(self, &peer.account) {
            peer.send(message);
        }
        self.peers.push(peer);
        self.renew_report();
        B::entered(self, connection);
        connection
    }

    pub(crate) fn leave(&mut self, connection: u64) {
        self.remove(connection);
        if !self.orders.remove(&connection) {
            self.report.open = self.report.open.saturating_sub(1);
        }
    }

    /// Sends a message on a connection and ends it.
    pub fn expel(&mut self, connection: u64, message: Message) {
        if let Some(peer) = self.peer(connection) {
            peer.line.end(said(message));
        }
        self.remove(connection);
    }

    fn remove(&mut self, connection: u64) {
        let is_books = self.peer(connection).is_some_and(|peer| peer.role == Role::Books);
        self.peers.retain(|peer| peer.number != connection);
        // What the last connection for market data had stays in the report until there is another one.
        if is_books {
            self.renew_report();
        }
    }

    /// Connections of the accounts that a question is answered with yes for, oldest first.
    pub fn connections(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<u64> {
        let wanted = self.peers.iter().filter(|peer| is_wanted(&peer.account));
        wanted.map(|peer| peer.number).collect()
    }

    /// A connection.
    pub(crate) fn peer(&mut self, connection: u64) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.number == connection)
    }

    /// Sends a message on one connection.
    pub fn answer(&self, connection: u64, message: Message) {
        if let Some(peer) = self.peers.iter().find(|peer| peer.number == connection) {
            peer.send(message);
        }
    }

    /// Sends a message on all connections.
    pub(crate) fn broadcast(&self, message: &Message) {
        self.peers.iter().for_each(|peer| peer.send(message.clone()));
    }

    /// Subscribes instruments, and sends their state.
    pub fn subscribe<B: Broker>(&mut self, connection: u64, pairs: &[(usize, Mode)]) {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.number == connection) else { return };
        for (place, mode) in pairs {
            let highest = peer.known.entry(*place).or_insert(*mode);
            *highest = (*mode).max(*highest);
        }
        peer.subscribed.extend(pairs.iter().copied());
        for &(place, mode) in pairs {
            if let (Some(instrument), Some(values)) =
                (self.universe.all().get(place), self.values.get_mut(place))
            {
                market::deepen(values, instrument, &mut self.random, mode.levels());
            }
        }
        self.renew_report();
        if self.snapshots {
            self.send_state::<B>(connection, pairs, Cause::State);
        }
    }

    /// What an instrument is at in a mode, for who tells it in another way than by a packet.
    pub(crate) fn told(&mut self, place: usize, mode: Mode) -> Option<(Instrument, Values)> {
        let found = (self.universe.all().get(place)?.clone(), self.values.get(place)?.clone());
        self.sent.insert((place, mode), found.1.clone());
        Some(found)
    }

    /// Ends subscriptions.
    pub fn unsubscribe(&mut self, connection: u64, pairs: &[(usize, Mode)]) {
        let Some(peer) = self.peer(connection) else { return };
        for pair in pairs {
            peer.subscribed.remove(pair);
        }
        self.renew_report();
    }

    /// Ends subscriptions in name only: their instruments go on.
    pub fn unsubscribe_in_name(&mut self, connection: u64, pairs: &[(usize, Mode)]) {
        let Some(peer) = self.peer(connection) else { return };
        let ended = pairs.iter().filter(|pair| peer.subscribed.remove(pair));
        peer.lingering.extend(ended);
        self.renew_report();
    }

    /// Sends what instruments are at on a connection, because of a subscription or a trade.
    pub(crate) fn send_state<B: Broker>(&mut self, connection: u64, pairs: &[(usize, Mode)], cause: Cause) {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.number == connection) else { return };
        for some in pairs.chunks(STACKED) {
            let mut packets = Vec::with_capacity(some.len());
            for &(place, mode) in some {
                let (Some(instrument), Some(values)) =
                    (self.universe.all().get(place), self.values.get(place))
                else {
                    continue;
                };
                let news = News { place, instrument, mode, values, cause };
                if let Ok(ready) = B::write(peer, &news)
                    && !ready.is_empty()
                {
                    packets.extend(ready);
                    self.sent.insert((place, mode), as_sent::<B>(values, mode));
                }
            }
            for message in B::wrap(peer, packets, self.is_stacked) {
                peer.send(message);
            }
        }
    }

    /// A trade in every instrument that is subscribed, and its packets.
    pub(crate) fn trade<B: Broker>(&mut self) {
        let now = now_ns();
        let pairs: Vec<(u64, Vec<(usize, Mode)>)> =
            self.peers.iter().map(|peer| (peer.number, peer.streamed())).collect();
        let mut traded: BTreeMap<usize, usize> = BTreeMap::new();
        for (place, mode) in pairs.iter().flat_map(|(_, pairs)| pairs) {
            let levels = traded.entry(*place).or_default();
            *levels = mode.levels().max(*levels);
        }
        for (place, levels) in traded {
            if let (Some(instrument), Some(values)) =
                (self.universe.all().get(place), self.values.get_mut(place))
            {
                market::trade(values, instrument, &mut self.random, now, levels);
            }
        }
        for (connection, pairs) in pairs {
            self.send_state::<B>(connection, &pairs, Cause::Trade);
        }
    }

    /// Sends packets with given values, together where the broker can: on each connection those of the
    /// instruments that it knows, or all when they are strays.
    ///
    /// # Errors
    /// When the broker cannot write one of them.
    pub(crate) fn send<B: Broker>(
        &mut self,
        packets: &[(usize, Mode, Values)],
        cause: Cause,
    ) -> Result<(), String> {
        let is_stray = cause == Cause::Stray;
        let sent = |sent: &mut HashMap<(usize, Mode), Values>, place, mode, values: &Values| {
            let old = sent.get(&(place, mode)).filter(|_| cause == Cause::Partial);
            let new = old.map_or_else(|| as_sent::<B>(values, mode), |old| values.over(old));
            sent.insert((place, mode), new);
        };
        let instrument = |place: usize| self.universe.all().get(place).ok_or("no such instrument");
        for (place, mode, values) in packets {
            B::packets(instrument(*place)?, *mode, values, true)?;
            sent(&mut self.sent, *place, *mode, values);
        }
        let is_stacked = packets.len() > 1 || self.is_stacked;
        for peer in &mut self.peers {
            let mut ready = Vec::new();
            for (place, asked, values) in packets {
                let known = peer.mode_of(*place);
                let mode = B::carried(&peer.account, *asked, known).filter(|_| is_stray || known.is_some());
                if let Some(mode) = mode {
                    let news = News { place: *place, instrument: instrument(*place)?, mode, values, cause };
                    ready.extend(B::write(peer, &news)?);
                    if mode != *asked {
                        sent(&mut self.sent, *place, mode, values);
                    }
                }
            }
            for message in B::wrap(peer, ready, is_stacked) {
                peer.send(message);
            }
        }
        Ok(())
    }

    /// Tells of an order on the connections that are for orders: all where the broker has no others.
    pub(crate) fn order<B: Broker>(&self, data: &serde_json::Value) {
        let message = Message::text(B::order_text(data));
        let has_own = self.peers.iter().any(|peer| peer.role == Role::Orders);
        let told = self.peers.iter().filter(|peer| peer.role == Role::Orders || !has_own);
        told.filter(|peer| B::is_told_of_orders(peer)).for_each(|peer| peer.send(message.clone()));
    }

    /// Sends a message on each connection, which depends on its account.
    pub(crate) fn tell_each(&self, message: impl Fn(&str) -> Message) {
        self.peers.iter().for_each(|peer| peer.send(message(&peer.account)));
    }

    /// A packet of an account's connections with the present state of an instrument, for frames that make no
    /// sense.
    pub(crate) fn sample<B: Broker>(&self, random: &mut Random, account: &str) -> Vec<u8> {
        let place = usize::try_from(random.below(60)).unwrap_or(0);
        let mode = [Mode::Ltp, Mode::Quote, Mode::Full].get(place % 3).copied().unwrap_or(Mode::Ltp);
        // Where it has no such mode, it has one for books.
        let mode = [mode, Mode::Full].into_iter().find_map(|asked| B::carried(account, asked, None));
        let mode = mode.unwrap_or(Mode::Full);
        let found = self.universe.all().get(place).zip(self.values.get(place));
        found.and_then(|(instrument, values)| B::encode(instrument, mode, values).ok()).unwrap_or_default()
    }

    /// Ends every connection: with its sender the task of a connection ends.
    pub(crate) fn disconnect(&mut self) {
        self.peers.clear();
    }

    pub(crate) fn mute(&self) {
        self.peers.iter().for_each(|peer| peer.line.mute());
    }

    pub(crate) fn deafen(&self) {
        self.peers.iter().for_each(|peer| peer.line.deafen());
    }
}

/// What a client can know of values that were sent in a mode.
fn as_sent<B: Broker>(values: &Values, mode: Mode) -> Values {
    let mut sent = values.clone();
    if !B::COUNTS_ORDERS {
        for side in [&mut sent.bids, &mut sent.asks] {
            *side = side.iter().take(mode.levels()).map(|level| Level { orders: 0, ..*level }).collect();
        }
    }
    sent
}
