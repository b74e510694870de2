//! Messages exactly as the broker writes them. Prices are in paise, times in milliseconds since the Unix
//! epoch, UTC.

use adapter_sdk::net;
use serde::{Deserialize, Serialize};

use crate::list::Token;

/// A message of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Message {
    /// The answer to a log-in.
    Login {
        /// Whether it was accepted.
        ok: bool,
    },
    /// The answer to a subscription: the handle of each token, which holds for this connection only.
    Subscribed {
        /// Tokens, each with its handle.
        handles: Vec<(Token, u32)>,
    },
    /// The broker does not serve an instrument.
    Refused {
        /// Its token.
        token: Token,
        /// Why, for people.
        reason: String,
    },
    /// Nothing happened, and the connection is fine.
    Heartbeat,
    /// Ticks, in order.
    Ticks {
        /// The packets of the frame.
        ticks: Vec<Packet>,
    },
    /// A message that a later version of the protocol has.
    #[serde(other)]
    Unknown,
}

/// One tick. What is absent did not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Packet {
    /// Handle of the instrument on this connection.
    pub h: u32,
    /// Last price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p: Option<i64>,
    /// Quantity traded today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v: Option<i64>,
    /// Quantity of the last trade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lq: Option<i64>,
    /// Time of the last trade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lt: Option<u64>,
    /// Time of the tick at the exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub t: Option<u64>,
    /// First price of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub o: Option<i64>,
    /// Highest price of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hi: Option<i64>,
    /// Lowest price of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lo: Option<i64>,
    /// Close of the previous day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub c: Option<i64>,
    /// Average price of the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ap: Option<i64>,
    /// Open interest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oi: Option<i64>,
    /// Resting buy quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tb: Option<i64>,
    /// Resting sell quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
    /// Bids, best first; comes together with the asks, and replaces the whole side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<Vec<Row>>,
    /// Asks, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s: Option<Vec<Row>>,
}

/// A level of a book: price, quantity, number of orders. The broker fills sides up with rows of zeros.
pub type Row = (i64, i64, u32);

/// A message to the broker.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum Request<'a> {
    Login {
        token: &'a str,
    },
    Subscribe {
        mode: &'static str,
        /// Levels on each side; 0 in other modes than `book`.
        levels: u16,
        /// At most [`TOKENS_PER_MESSAGE`].
        tokens: &'a [Token],
    },
    Unsubscribe {
        tokens: &'a [Token],
    },
}

/// What this side says each second.
pub(crate) const HEARTBEAT: &str = r#"{"op":"heartbeat"}"#;

/// Most tokens that the broker takes in one message.
pub(crate) const TOKENS_PER_MESSAGE: usize = 100;

impl Request<'_> {
    pub(crate) fn to_message(&self) -> net::Message {
        // These types have nothing that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default().into()
    }
}
