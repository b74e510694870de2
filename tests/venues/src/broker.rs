//! What sets one broker apart from another.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use http_body_util::Full;
use hyper::{Response, body::Bytes, header::HeaderValue};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    model::{Mode, Values},
    options::Options,
    state::Core,
    universe::Instrument,
};

/// An answer over HTTP.
pub(crate) type Reply = Response<Full<Bytes>>;

/// A request over HTTP whose body has arrived.
pub(crate) type Request = hyper::Request<Bytes>;

/// What becomes of a connection after a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    Go,
    /// The broker hangs up without a word.
    HangUp,
}

/// A broker's protocol.
pub trait Broker: Send + Sync + Sized + 'static {
    /// Name on the command line and in `plugins.toml`.
    const NAME: &'static str;

    /// Names of the values that its quotes carry, as the control protocol has them.
    const QUOTE: &'static [&'static str];

    /// Settings of its adapter that say where it is, with their addresses.
    fn addresses(address: SocketAddr) -> Vec<(&'static str, String)>;

    /// A broker for these options.
    fn new(options: &Options) -> Self;

    /// The number by which its packets name an instrument; none when it does not trade there.
    fn key(instrument: &Instrument) -> Option<u64>;

    /// Answers a request that is no WebSocket handshake. Errors are answers too.
    fn rest(&self, core: &mut Core, request: &Request) -> Reply;

    /// Judges a handshake: the account that connects, or why not.
    ///
    /// # Errors
    /// The answer that refuses.
    #[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
    fn admit(&self, core: &Core, request: &hyper::Request<()>) -> Result<String, Reply>;

    /// What a connection is told first.
    fn greetings(core: &Core, account: &str) -> Vec<Message>;

    /// Whether the connections of an account are for market data, and not for orders alone.
    fn is_market(_account: &str) -> bool {
        true
    }

    /// What tells a client of an order.
    fn order_text(data: &serde_json::Value) -> String;

    /// A text message from a client.
    fn hear(core: &mut Core, connection: u64, text: &str) -> Next;

    /// A packet.
    ///
    /// # Errors
    /// When the broker cannot write these values.
    fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String>;

    /// Packets as the messages that carry them.
    fn messages(packets: Vec<Vec<u8>>) -> Vec<Message>;

    /// What it sends on a connection that has been quiet for a while.
    fn heartbeat() -> Option<(Duration, Message)>;

    /// Silence of the client after which it hangs up.
    fn patience() -> Option<Duration>;
}

/// An answer with a body.
pub(crate) fn reply(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    reply
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &serde_json::Value) -> Reply {
    reply(status, "application/json", body.to_string())
}

/// Members of a query or a form.
pub(crate) fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                bytes.extend(hex::decode(digits).unwrap_or_default());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
