//! `DhanHQ` version 2, as Dhan documents it: the live feed, the feeds of 20 and of 200 levels, and log-in.

mod depth;
mod instruments;
mod login;
mod own;
mod packet;
mod request;
mod rest;

use std::{net::SocketAddr, time::Duration};

use parking_lot::Mutex;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    broker::{Broker, Next, Reply, Request, Role},
    model::{Mode, Values},
    options::Options,
    state::Core,
    universe::Instrument,
};

/// A venue that speaks `DhanHQ`.
pub type Venue = crate::Venue<Dhan>;

/// WebSocket connections of one client, of all feeds together.
pub const CONNECTIONS: usize = 5;

/// Instruments on a connection of the live feed.
pub const INSTRUMENTS: usize = 5_000;

/// Instruments in a message of the live feed.
pub const IN_A_MESSAGE: usize = 100;

/// Instruments on a connection of the feed of 20 levels, which may all be in one message.
pub const INSTRUMENTS_20: usize = 50;

/// Instruments on a connection of the feed of 200 levels.
pub const INSTRUMENTS_200: usize = 1;

/// A feed, each of which the broker has a host for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    Live,
    Twenty,
    TwoHundred,
}

impl Feed {
    const ALL: [Self; 3] = [Self::Live, Self::Twenty, Self::TwoHundred];

    /// Its path here, and the beginning of the accounts of its connections.
    const fn path(self) -> &'static str {
        match self {
            Self::Live => "/",
            Self::Twenty => "/twentydepth",
            Self::TwoHundred => "/twohundreddepth",
        }
    }

    /// The account of a connection of a client.
    fn account(self, client: &str) -> String {
        format!("{} {client}", self.path())
    }

    /// The feed and the client of an account.
    fn of(account: &str) -> (Self, &str) {
        let found = account.split_once(' ').and_then(|(path, client)| {
            let feed = Self::ALL.into_iter().find(|feed| feed.path() == path)?;
            Some((feed, client))
        });
        found.unwrap_or((Self::Live, account))
    }

    /// The mode of a feed that has one only.
    const fn only_mode(self) -> Option<Mode> {
        match self {
            Self::Live => None,
            Self::Twenty => Some(Mode::Deep(20)),
            Self::TwoHundred => Some(Mode::Deep(200)),
        }
    }

    /// What tells a client why the connection ends.
    fn disconnect(self, reason: u16) -> Message {
        Message::binary(if self == Self::Live {
            packet::disconnect(reason)
        } else {
            depth::disconnect(reason)
        })
    }
}

/// Tells a client why its connection ends, and ends it.
fn end(core: &mut Core, connection: u64, reason: u16) {
    let Some(feed) = core.peer(connection).map(|peer| Feed::of(&peer.account).0) else { return };
    core.expel(connection, feed.disconnect(reason));
}

/// Dhan's rules.
#[derive(Debug, Default)]
pub struct Dhan {
    state: Mutex<login::State>,
}

impl Broker for Dhan {
    const NAME: &'static str = "dhan";
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
    ];

    fn addresses(address: SocketAddr) -> Vec<(&'static str, String)> {
        vec![
            ("ws_url", format!("ws://{address}/")),
            ("depth20_url", format!("ws://{address}{}", Feed::Twenty.path())),
            ("depth200_url", format!("ws://{address}{}", Feed::TwoHundred.path())),
            ("api_url", format!("http://{address}/v2")),
            ("auth_url", format!("http://{address}")),
            ("instruments_url", format!("http://{address}{}", rest::COMPACT)),
        ]
    }

    fn new(_options: &Options) -> Self {
        Self::default()
    }

    fn key(instrument: &Instrument) -> Option<u64> {
        let (segment, _) = packet::segment(instrument)?;
        Some(packet::key(segment, packet::security_id(instrument)?))
    }

    fn rest(&self, core: &mut Core, request: &Request) -> Reply {
        rest::answer(&mut self.state.lock(), core, request)
    }

    fn refused(status: u16) -> Reply {
        rest::refused(status)
    }

    fn last_words(&self, core: &Core, request: &hyper::Request<()>) -> Option<Vec<Message>> {
        login::last_words(&self.state.lock(), core, request)
    }

    fn admit(&self, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
        login::admit(&self.state.lock(), core, request)
    }

    fn greetings(_core: &Core, _account: &str) -> Vec<Message> {
        Vec::new()
    }

    fn role(account: &str) -> Role {
        if Feed::of(account).0 == Feed::Live { Role::Market } else { Role::Books }
    }

    /// One connection too many ends the oldest. Whether those for books count is disputed: here they do.
    fn entered(core: &mut Core, connection: u64) {
        let Some(client) = core.peer(connection).map(|peer| Feed::of(&peer.account).1.to_owned()) else {
            return;
        };
        let open = core.connections(|account| Feed::of(account).1 == client);
        let too_many = open.len().saturating_sub(CONNECTIONS);
        open.into_iter().take(too_many).for_each(|oldest| end(core, oldest, 805));
    }

    fn replace(core: &mut Core) -> bool {
        own::end_all(core, 805);
        true
    }

    fn hear(core: &mut Core, connection: u64, text: &str) -> Next {
        request::hear(core, connection, text);
        Next::Go
    }

    fn carried(account: &str, asked: Mode, known: Option<Mode>) -> Option<Mode> {
        match (Feed::of(account).0.only_mode(), asked) {
            (Some(mode), Mode::Full | Mode::Deep(_)) => Some(mode),
            (Some(_), _) => None,
            // Somebody who looks at a deep book has a lesser mode on the live feed.
            (None, Mode::Deep(_)) => known.map(|known| known.min(Mode::Full)),
            (None, _) => Some(asked.min(known.unwrap_or(asked))),
        }
    }

    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
        match mode {
            Mode::Deep(_) => depth::encode(instrument, mode, values),
            _ => packet::encode(instrument, mode, values),
        }
    }

    fn packets(
        instrument: &Instrument,
        mode: Mode,
        values: &Values,
        is_state: bool,
    ) -> Result<Vec<Vec<u8>>, String> {
        match mode {
            Mode::Deep(levels) => depth::packets(instrument, levels, values),
            _ => packet::packets(instrument, mode, values, is_state),
        }
    }

    /// The feeds of books always share messages; the live feed may, and usually does not.
    fn messages(account: &str, packets: Vec<Vec<u8>>, is_stacked: bool) -> Vec<Message> {
        if packets.is_empty() {
            return Vec::new();
        }
        if is_stacked || Feed::of(account).0 != Feed::Live {
            return vec![Message::binary(packets.concat())];
        }
        packets.into_iter().map(Message::binary).collect()
    }

    fn heartbeat() -> Option<(Duration, Message)> {
        Some((Duration::from_secs(10), Message::Ping(Vec::new().into())))
    }

    fn is_sign_of_life(message: &Message) -> bool {
        message.is_pong()
    }

    fn patience() -> Option<Duration> {
        Some(Duration::from_secs(40))
    }

    fn order_text(data: &serde_json::Value) -> String {
        serde_json::json!({ "Type": "order_alert", "Data": data }).to_string()
    }

    fn own(&self, core: &mut Core, command: &serde_json::Value) -> Result<(), String> {
        own::execute(&mut self.state.lock(), core, command)
    }
}

impl Venue {
    /// Tells every client why its connection ends, and ends it.
    pub fn end(&self, reason: u16) {
        self.with_core(|core| own::end_all(core, reason));
    }
}
