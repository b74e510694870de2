//! What sets one broker apart from another.

use std::{any::Any, collections::BTreeMap, net::SocketAddr, time::Duration};

pub use adapter_venue::Next;
pub(crate) use adapter_venue::{Reply, Request, json, query, reply};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    model::{Mode, Values},
    options::Options,
    state::{Core, Peer},
    universe::Instrument,
};

/// Why a connection is told of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was subscribed: its state.
    State,
    /// It was traded.
    Trade,
    /// Somebody asked for a packet: all that there is to say of its kind.
    Whole,
    /// Somebody asked for a packet of what changed, and nothing else.
    Partial,
    /// Somebody asked for a packet where nobody has to have subscribed it.
    Stray,
}

/// What a connection is told of an instrument.
#[derive(Clone, Copy, Debug)]
pub struct News<'a> {
    /// Its place in the universe.
    pub place: usize,
    /// The instrument.
    pub instrument: &'a Instrument,
    /// How much of it.
    pub mode: Mode,
    /// Its values.
    pub values: &'a Values,
    /// Why.
    pub cause: Cause,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Market data. What is reported is about the newest of these.
    Market,
    /// Deep books beside the market data. Its subscriptions are reported with those of the market data.
    Books,
    /// Orders alone.
    Orders,
}

/// A broker's protocol.
pub trait Broker: Send + Sync + Sized + 'static {
    /// Name on the command line and in `plugins.toml`.
    const NAME: &'static str;

    /// Name of its adapter, which may serve several brokers.
    const ADAPTER: &'static str = Self::NAME;

    /// Names of the values that its quotes carry, as the control protocol has them.
    const QUOTE: &'static [&'static str];

    /// Whether its packets have a place for each value of their kind, so that one that was not given is zero.
    /// Otherwise it is [`crate::ABSENT`], and is not sent.
    const HAS_FIXED_LAYOUT: bool = true;

    /// Whether its books say how many orders rest at a price.
    const COUNTS_ORDERS: bool = true;

    /// Names of what its order updates have, as the control protocol has them; none where it cannot write one
    /// by these.
    const ORDER: &'static [&'static str] = &[];

    /// Settings of its adapter that say where it is, with their addresses.
    fn addresses(address: SocketAddr) -> Vec<(&'static str, String)>;

    /// A broker for these options.
    fn new(options: &Options) -> Self;

    /// The number by which its packets name an instrument; none when it does not trade there.
    fn key(instrument: &Instrument) -> Option<u64>;

    /// Answers a request that is no WebSocket handshake. Errors are answers too.
    fn rest(&self, core: &mut Core, request: &Request) -> Reply;

    /// What a request is told that is refused on purpose.
    fn refused(status: u16) -> Reply {
        let error = r#"{"status":"error","message":"Too many requests","error_type":"NetworkException"}"#;
        reply(status, "application/json", error)
    }

    /// Judges a handshake: the account that connects, or why not.
    ///
    /// # Errors
    /// The answer that refuses.
    #[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
    fn admit(&self, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply>;

    /// What a handshake is told that is answered as if all were well, only to hang up after these messages.
    /// Asked before [`Self::admit`]; none to go on.
    fn last_words(&self, _core: &Core, _request: &hyper::Request<()>) -> Option<Vec<Message>> {
        None
    }

    /// Whether the connections of an account log in by what they send. For the others the handshake is the
    /// log-in.
    fn logs_in_later(_account: &str) -> bool {
        false
    }

    /// What only this broker knows of a connection.
    fn session(_connection: u64, _account: &str) -> Box<dyn Any + Send> {
        Box::new(())
    }

    /// What a connection is told first.
    fn greetings(core: &Core, account: &str) -> Vec<Message>;

    /// What the connections of an account are for.
    fn role(_account: &str) -> Role {
        Role::Market
    }

    /// Two instruments have got each other's number while a connection is up: what it has subscribed by
    /// number is of the other one from now on. To be written where sessions depend on it.
    fn renumbered(_peer: &mut Peer, _one: usize, _other: usize) {}

    /// Does what a new connection means for others.
    fn entered(_core: &mut Core, _connection: u64) {}

    /// What tells a client of an order.
    fn order_text(data: &serde_json::Value) -> String;

    /// Whether a connection is told of orders, of those whose role it is: it may have to log in first.
    fn is_told_of_orders(_peer: &Peer) -> bool {
        true
    }

    /// What an order update says, from members by the names of [`Self::ORDER`], which are to be written as
    /// they are.
    fn order_data(_members: &BTreeMap<String, serde_json::Value>) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// What a person would answer to a question of a log-in, with the page that they are shown.
    fn answer(_core: &mut Core, _field: &str, _page: Option<&str>) -> Option<String> {
        None
    }

    /// Ends all connections as the broker does when the account has logged in elsewhere. False where it says
    /// nothing of the kind.
    fn replace(_core: &mut Core) -> bool {
        false
    }

    /// A text message from a client.
    fn hear(core: &mut Core, connection: u64, text: &str) -> Next;

    /// A binary message from a client.
    fn hear_binary(_core: &mut Core, _connection: u64, _bytes: &[u8]) -> Next {
        Next::Go
    }

    /// The mode in which a connection of an account sends what somebody asks to be sent in a mode, where
    /// connections differ; none when it carries nothing of the kind. `known` is the highest mode in which the
    /// instrument is subscribed there, or ever was when it is no more.
    fn carried(_account: &str, asked: Mode, _known: Option<Mode>) -> Option<Mode> {
        Some(asked)
    }

    /// The mode in which it sends what somebody wants in a mode, where one of its channels serves several.
    fn sent_as(asked: Mode) -> Mode {
        asked
    }

    /// A packet.
    ///
    /// # Errors
    /// When the broker cannot write these values.
    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String>;

    /// All packets that tell of these values, where it takes several, with what only the state after a
    /// subscription has.
    ///
    /// # Errors
    /// When the broker cannot write these values.
    fn packets(
        instrument: &Instrument,
        mode: Mode,
        values: &Values,
        _is_state: bool,
    ) -> Result<Vec<Vec<u8>>, String> {
        Self::encode(instrument, mode, values).map(|packet| vec![packet])
    }

    /// Packets as the messages that carry them on a connection of an account; as few as can be if they are to
    /// be stacked.
    fn messages(account: &str, packets: Vec<Vec<u8>>, is_stacked: bool) -> Vec<Message>;

    /// The packets that tell a connection of an instrument, where they follow from what it was told before;
    /// none when there is nothing to say.
    ///
    /// # Errors
    /// When the broker cannot write these values.
    fn write(_peer: &mut Peer, news: &News<'_>) -> Result<Vec<Vec<u8>>, String> {
        Self::packets(news.instrument, news.mode, news.values, news.cause != Cause::Trade)
    }

    /// Packets that were written for a connection, as messages.
    fn wrap(peer: &mut Peer, packets: Vec<Vec<u8>>, is_stacked: bool) -> Vec<Message> {
        Self::messages(&peer.account, packets, is_stacked)
    }

    /// What it sends on a connection that has been quiet for a while; a ping, however much was said.
    fn heartbeat() -> Option<(Duration, Message)>;

    /// The same for the connections of an account, where they differ.
    fn heartbeat_of(_account: &str) -> Option<(Duration, Message)> {
        Self::heartbeat()
    }

    /// Whether a message shows that the client is there.
    fn is_sign_of_life(_message: &Message) -> bool {
        true
    }

    /// Silence of the client after which it hangs up.
    fn patience() -> Option<Duration>;

    /// Does something that only this broker does, as an object of the control protocol asks for it.
    ///
    /// # Errors
    /// When it knows nothing of the kind.
    fn own(&self, _core: &mut Core, _command: &serde_json::Value) -> Result<(), String> {
        Err("this broker has no commands of its own".to_owned())
    }
}
