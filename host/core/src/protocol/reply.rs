//! Every frame that a session sends beside ticks and order updates, as JSON bytes.
//!
//! Three rules hold for all of them. An error frame has no `type` and no `request_id`: the spreadsheet add-in
//! completes its pending requests with the first error that has no type, and would take a typed one for
//! unsolicited data. A frame that nobody asked for, on the other hand, always has a type of its own, so that
//! it completes nothing. And no frame but the answer to a key says `success` or `authenticated` unasked,
//! words for which some clients search the text.

mod feed;
mod subscription;

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Number, value::RawValue};

pub use self::{
    feed::{Counts, FeedFacts, broker_info, feed_status},
    subscription::{Outcome, OutcomeState, subscription_failed, subscription_status},
};
use super::codes::ErrorCode;
use super::request::{RefusedEntry, RequestId, Wishes};
use crate::model::{Delivery, DepthClass, MaxRate, Mode};

/// A refused request: `{"status":"error","code":…,"message":…}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// What kind of error, for programs.
    pub code: ErrorCode,
    /// What is wrong and what to do, for people. Never contains a secret.
    pub message: Cow<'static, str>,
    /// When the host expects to have room again, if that is what was missing.
    pub retry_after: Option<Duration>,
}

impl ErrorReply {
    /// An error with this code and sentence.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// The frame.
    pub fn to_bytes(&self) -> Bytes {
        #[derive(Serialize)]
        struct Frame<'a> {
            status: Status,
            code: ErrorCode,
            message: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            retry_after_ms: Option<u128>,
        }
        to_bytes(&Frame {
            status: Status::Error,
            code: self.code,
            message: &self.message,
            retry_after_ms: self.retry_after.map(|time| time.as_millis()),
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Success,
    Partial,
    Error,
    Authenticated,
}

/// The answer to a valid key. It must not wait for the broker: common clients give up after five seconds.
/// The wishes say that they were understood; a client that has none sees nothing of them.
pub fn auth_success(broker: &str, user_id: &str, wishes: Wishes) -> Bytes {
    #[derive(Serialize)]
    struct Features {
        ltp: bool,
        quote: bool,
        depth: bool,
    }
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: Status,
        message: &'static str,
        broker: &'a str,
        user_id: &'a str,
        supported_features: Features,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        feed_status: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        subscription_status: bool,
    }
    to_bytes(&Frame {
        r#type: "auth",
        status: Status::Success,
        message: "Authentication successful",
        broker,
        user_id,
        supported_features: Features { ltp: true, quote: true, depth: true },
        feed_status: wishes.feed_status,
        subscription_status: wishes.subscription_status,
    })
}

/// The nudge for clients that wait for the word `authenticated`. Send it only to a connection that stayed
/// silent for a while after [`auth_success`]: others read exactly one frame per request and would take this
/// one for their next.
pub fn auth_status(broker: &str, user_id: &str) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: Status,
        message: &'static str,
        broker: &'a str,
        user_id: &'a str,
    }
    to_bytes(&Frame {
        r#type: "auth_status",
        status: Status::Authenticated,
        message: "authenticated",
        broker,
        user_id,
    })
}

/// What became of one entry of a subscribe request.
#[derive(Clone, Debug)]
pub struct Subscribed<'a> {
    /// Symbol as the client wrote it, with its depth suffix.
    pub symbol: Cow<'a, str>,
    /// Exchange as the client wrote it.
    pub exchange: &'a str,
    /// What the client will get, or why nothing.
    pub outcome: Result<Granted, Failure<'a>>,
}

/// What a subscription will bring.
#[derive(Clone, Copy, Debug)]
pub struct Granted {
    /// Mode of the frames.
    pub mode: Mode,
    /// Depth of the book.
    pub depth: DepthClass,
    /// Which updates; said only to clients that asked for something.
    pub delivery: Delivery,
}

/// What became of one entry of an unsubscribe request.
#[derive(Clone, Debug)]
pub struct Unsubscribed<'a> {
    /// Symbol as the client wrote it, with its depth suffix.
    pub symbol: Cow<'a, str>,
    /// Exchange as the client wrote it.
    pub exchange: &'a str,
    /// Whether the stream is gone, which it also is when there was none.
    pub outcome: Result<(), Failure<'a>>,
}

/// Why one entry failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure<'a> {
    /// What kind of error, for programs.
    pub code: ErrorCode,
    /// What is wrong and what to do, for people.
    pub message: Cow<'a, str>,
}

impl<'a> From<&'a RefusedEntry> for Failure<'a> {
    fn from(entry: &'a RefusedEntry) -> Self {
        Self { code: ErrorCode::InvalidParameters, message: Cow::Borrowed(&entry.message) }
    }
}

impl<'a> From<&'a RefusedEntry> for Subscribed<'a> {
    fn from(entry: &'a RefusedEntry) -> Self {
        Self { symbol: Cow::Borrowed(&entry.symbol), exchange: &entry.exchange, outcome: Err(entry.into()) }
    }
}

impl<'a> From<&'a RefusedEntry> for Unsubscribed<'a> {
    fn from(entry: &'a RefusedEntry) -> Self {
        Self { symbol: Cow::Borrowed(&entry.symbol), exchange: &entry.exchange, outcome: Err(entry.into()) }
    }
}

#[derive(Serialize)]
struct EntryFrame<'a> {
    symbol: &'a str,
    exchange: &'a str,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_rate: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lossless: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<ErrorCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    broker: &'a str,
}

impl<'a> EntryFrame<'a> {
    fn new(symbol: &'a str, exchange: &'a str, broker: &'a str, failure: Option<&'a Failure<'_>>) -> Self {
        Self {
            symbol,
            exchange,
            status: if failure.is_some() { Status::Error } else { Status::Success },
            mode: None,
            depth: None,
            max_rate: None,
            lossless: None,
            code: failure.map(|failure| failure.code),
            message: failure.map(|failure| &*failure.message),
            broker,
        }
    }
}

/// The answer to a subscribe request: entries in request order, `partial` as soon as one of them failed.
pub fn subscribe_ack(entries: &[Subscribed<'_>], broker: &str, request_id: &RequestId) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: Status,
        subscriptions: Vec<EntryFrame<'a>>,
        message: &'static str,
        broker: &'a str,
        #[serde(skip_serializing_if = "RequestId::is_absent")]
        request_id: &'a RequestId,
    }
    let subscriptions = entries.iter().map(|entry| {
        let frame = EntryFrame::new(&entry.symbol, entry.exchange, broker, entry.outcome.as_ref().err());
        let granted = entry.outcome.as_ref().ok();
        EntryFrame {
            mode: granted.map(|granted| granted.mode.label()),
            depth: granted.map(|granted| granted.depth.levels()),
            max_rate: granted.and_then(|granted| granted.delivery.rate()).map(number),
            lossless: granted.filter(|granted| granted.delivery == Delivery::EveryTick).map(|_| true),
            ..frame
        }
    });
    to_bytes(&Frame {
        r#type: "subscribe",
        status: if entries.iter().all(|entry| entry.outcome.is_ok()) {
            Status::Success
        } else {
            Status::Partial
        },
        subscriptions: subscriptions.collect(),
        message: "Subscription processing complete",
        broker,
        request_id,
    })
}

/// The answer to an unsubscribe request, of all streams too: `error` when nothing but failures came out of
/// it, `partial` when some did.
pub fn unsubscribe_ack(entries: &[Unsubscribed<'_>], broker: &str, request_id: &RequestId) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: Status,
        message: &'static str,
        successful: Vec<EntryFrame<'a>>,
        failed: Vec<EntryFrame<'a>>,
        broker: &'a str,
        #[serde(skip_serializing_if = "RequestId::is_absent")]
        request_id: &'a RequestId,
    }
    let (successful, failed): (Vec<_>, Vec<_>) = entries
        .iter()
        .map(|entry| EntryFrame::new(&entry.symbol, entry.exchange, broker, entry.outcome.as_ref().err()))
        .partition(|frame| frame.status == Status::Success);
    to_bytes(&Frame {
        r#type: "unsubscribe",
        status: match (successful.is_empty(), failed.is_empty()) {
            (_, true) => Status::Success,
            (false, false) => Status::Partial,
            (true, false) => Status::Error,
        },
        message: "Unsubscription processing complete",
        successful,
        failed,
        broker,
        request_id,
    })
}

/// The answer to `subscribe_orders`.
pub fn subscribe_orders_ack(request_id: &RequestId) -> Bytes {
    orders_ack("subscribe_orders", "Subscribed to order updates", request_id)
}

/// The answer to `unsubscribe_orders`, also when there was nothing to end.
pub fn unsubscribe_orders_ack(request_id: &RequestId) -> Bytes {
    orders_ack("unsubscribe_orders", "Unsubscribed from order updates", request_id)
}

fn orders_ack(kind: &'static str, message: &'static str, request_id: &RequestId) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: Status,
        message: &'static str,
        #[serde(skip_serializing_if = "RequestId::is_absent")]
        request_id: &'a RequestId,
    }
    to_bytes(&Frame { r#type: kind, status: Status::Success, message, request_id })
}

/// The answer to `get_supported_brokers`.
pub fn supported_brokers<S: AsRef<str>>(brokers: &[S]) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: Status,
        brokers: Vec<&'a str>,
        count: usize,
    }
    to_bytes(&Frame {
        r#type: "supported_brokers",
        status: Status::Success,
        brokers: brokers.iter().map(AsRef::as_ref).collect(),
        count: brokers.len(),
    })
}

/// The answer to a ping: the host's clock in milliseconds since the Unix epoch, and what the client sent.
pub fn pong(server_timestamp_ms: u64, timestamp: Option<&RawValue>, ping_id: Option<&RawValue>) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: Status,
        server_timestamp: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_timestamp: Option<&'a RawValue>,
        #[serde(rename = "_pingId", skip_serializing_if = "Option::is_none")]
        ping_id: Option<&'a RawValue>,
    }
    to_bytes(&Frame {
        r#type: "pong",
        status: Status::Success,
        server_timestamp: server_timestamp_ms,
        client_timestamp: timestamp,
        ping_id,
    })
}

/// News that a lossless stream is missing `missed` ticks, just before the next one that it has.
pub fn gap(symbol: &str, exchange: &str, mode: Mode, missed: u32) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        symbol: &'a str,
        exchange: &'a str,
        mode: &'static str,
        missed: u32,
    }
    to_bytes(&Frame { r#type: "gap", symbol, exchange, mode: mode.label(), missed })
}

/// Order updates that a client will not get, because it was behind with them.
pub fn orders_missed(missed: u32) -> Bytes {
    #[derive(Serialize)]
    struct Frame {
        r#type: &'static str,
        missed: u32,
    }
    to_bytes(&Frame { r#type: "orders_missed", missed })
}

/// A rate as a client would write it.
fn number(rate: MaxRate) -> Number {
    let millihertz = rate.millihertz();
    let whole = || Number::from(millihertz / 1_000);
    if millihertz.is_multiple_of(1_000) {
        return whole();
    }
    Number::from_f64(f64::from(millihertz) / 1_000.0).unwrap_or_else(whole)
}

fn to_bytes(frame: &impl Serialize) -> Bytes {
    // Plain structs of strings and numbers always serialise; a client would rather see an error than nothing.
    serde_json::to_vec(frame).map_or_else(
        |_| {
            Bytes::from_static(
                br#"{"status":"error","code":"SERVER_ERROR","message":"the reply could not be written"}"#,
            )
        },
        Bytes::from,
    )
}
