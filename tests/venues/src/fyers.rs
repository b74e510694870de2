//! Fyers API version 3, as Fyers documents it, and as its own programs speak it.

mod books;
mod frame;
mod jwt;
mod master;
mod names;
mod own;
mod proto;
mod rates;
mod record;
mod request;
mod rest;
mod session;

use std::{any::Any, net::SocketAddr, time::Duration};

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use self::{books::Books, names::Feed, rates::Rates, session::Hsm};
pub use self::{
    books::{LEVELS, SYMBOLS as DEEP_SYMBOLS},
    jwt::token,
    names::ticker,
    session::ACKNOWLEDGE,
};
use crate::{
    broker::{Broker, News, Next, Reply, Request, Role},
    model::{Mode, Values, now_ns},
    options::Options,
    state::{Core, Peer},
    universe::Instrument,
};

/// A venue that speaks Fyers.
pub type Venue = crate::Venue<Fyers>;

/// Connections of one app to each of the sockets.
pub const CONNECTIONS: usize = 3;

/// Symbols of one app on all its connections to the HSM socket.
pub const SYMBOLS: usize = 5_000;

/// Topics in one message.
pub const TOPICS: usize = 1_500;

/// Begins the account of a connection to the TBT socket.
const BOOKS: &str = "books of ";

/// The account of a connection to the HSM socket whose handshake had what it must not have.
const IGNORED: &str = "ignored";

/// Fyers' rules, and how often it was asked.
#[derive(Debug, Default)]
pub struct Fyers {
    rates: Rates,
}

impl Broker for Fyers {
    const NAME: &'static str = "fyers";
    const QUOTE: &'static [&'static str] = &[
        "ltp",
        "last_quantity",
        "average_price",
        "volume",
        "total_buy_quantity",
        "total_sell_quantity",
        "open",
        "high",
        "low",
        "close",
        "last_trade_ts_ns",
        "exchange_ts_ns",
        "oi",
        "upper_circuit",
        "lower_circuit",
    ];
    const HAS_FIXED_LAYOUT: bool = false;

    fn addresses(address: SocketAddr) -> Vec<(&'static str, String)> {
        vec![
            ("ws_url", format!("ws://{address}{}", rest::HSM)),
            ("tbt_url", format!("ws://{address}{}", rest::TBT)),
            ("api_url", format!("http://{address}")),
            ("symbol_token_url", format!("http://{address}{}", rest::CONVERT)),
            ("instruments_url", format!("http://{address}{}", rest::LISTS)),
            ("index_map_url", format!("http://{address}{}", rest::INDICES)),
        ]
    }

    fn new(_options: &Options) -> Self {
        Self::default()
    }

    fn key(instrument: &Instrument) -> Option<u64> {
        Some(names::key(names::segment_of(instrument)?.digits, names::number(instrument)))
    }

    fn rest(&self, core: &mut Core, request: &Request) -> Reply {
        let is_limited = own::has_rates(core) && rest::is_limited(request);
        if is_limited && self.rates.is_over(now_ns()) {
            return rest::refused(429);
        }
        rest::answer(core, request)
    }

    fn refused(status: u16) -> Reply {
        rest::refused(status)
    }

    fn admit(&self, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
        rest::admit(core, request)
    }

    fn logs_in_later(account: &str) -> bool {
        !account.starts_with(BOOKS)
    }

    fn session(connection: u64, account: &str) -> Box<dyn Any + Send> {
        if account.starts_with(BOOKS) {
            Box::new(Books::default())
        } else {
            Box::new(Hsm::new(connection, account == IGNORED))
        }
    }

    fn role(account: &str) -> Role {
        if account.starts_with(BOOKS) { Role::Books } else { Role::Market }
    }

    /// A topic keeps its number on the connection, and tells of whatever instrument its name means.
    fn renumbered(peer: &mut Peer, one: usize, other: usize) {
        let Some(session) = session::of(peer) else { return };
        session.renumber(one, other);
        peer.subscribed = session.subscribed().collect();
        let [first, second] = [one, other].map(|place| peer.known.remove(&place));
        peer.known.extend(
            [(other, first), (one, second)].into_iter().filter_map(|(place, mode)| Some((place, mode?))),
        );
    }

    fn greetings(_core: &Core, _account: &str) -> Vec<Message> {
        Vec::new()
    }

    fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
        books::hear(core, connection, text)
    }

    fn hear_binary(core: &mut Core, connection: u64, bytes: &[u8]) -> Next {
        request::hear(core, connection, bytes)
    }

    fn carried(account: &str, asked: Mode, known: Option<Mode>) -> Option<Mode> {
        match (account.starts_with(BOOKS), asked, known) {
            (true, Mode::Full | Mode::Deep(_), _) => Some(Mode::Deep(LEVELS)),
            (true, ..) | (false, Mode::Deep(_), _) => None,
            // Where the book is not subscribed there is half of it.
            (false, Mode::Full, Some(Mode::Ltp | Mode::Quote)) => Some(Mode::Quote),
            (false, ..) => Some(asked),
        }
    }

    /// A snapshot under a number of its own.
    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
        if let Mode::Deep(_) = mode {
            return books::encode(instrument, mode, values);
        }
        let prices = Feed::of_prices(instrument);
        let feed = if mode == Mode::Full && prices == Feed::Scrip { Feed::Depth } else { prices };
        let slots = record::slots(feed, instrument, values)?;
        record::snapshot(session::STRAY_IDS, feed, instrument, &slots)
    }

    fn packets(
        instrument: &Instrument,
        mode: Mode,
        values: &Values,
        _is_state: bool,
    ) -> Result<Vec<Vec<u8>>, String> {
        let halves: &[Mode] = if mode == Mode::Full { &[Mode::Quote, Mode::Full] } else { &[mode] };
        halves.iter().map(|mode| Self::encode(instrument, *mode, values)).collect()
    }

    /// What nonsense is made of: a connection wraps its packets itself.
    fn messages(account: &str, packets: Vec<Vec<u8>>, _is_stacked: bool) -> Vec<Message> {
        let message = if account.starts_with(BOOKS) { packets.concat() } else { frame::data(0, &packets) };
        vec![Message::binary(message)]
    }

    fn write(peer: &mut Peer, news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
        match books::of(peer) {
            Some(session) => session.write(news),
            None => session::of(peer).map_or_else(|| Ok(Vec::new()), |session| session.write(news)),
        }
    }

    fn wrap(peer: &mut Peer, packets: Vec<Vec<u8>>, is_stacked: bool) -> Vec<Message> {
        if let Some(session) = books::of(peer) {
            return session.wrap(packets, is_stacked);
        }
        let session = session::of(peer).filter(|_| !packets.is_empty());
        session.map(|session| session.frame(&packets)).into_iter().collect()
    }

    fn heartbeat() -> Option<(Duration, Message)> {
        None
    }

    fn patience() -> Option<Duration> {
        None
    }

    fn order_text(data: &serde_json::Value) -> String {
        json!({ "s": "ok", "orders": data }).to_string()
    }

    fn own(&self, core: &mut Core, command: &serde_json::Value) -> Result<(), String> {
        own::execute(core, command)
    }
}
