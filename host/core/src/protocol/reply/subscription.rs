//! What a client is told of a subscription after its acknowledgement.

use bytes::Bytes;
use serde::Serialize;

use super::{EntryFrame, Failure, to_bytes};
use crate::{
    model::Mode,
    protocol::{codes::ErrorCode, request::RequestId},
};

/// News that a subscription which was acknowledged failed later, at the broker.
///
/// It has a `type`, unlike the answers to requests: nobody asked for it, and without one the spreadsheet
/// add-in would complete every request it is waiting for. It never carries the `request_id` of the subscribe
/// request: clients that reuse one id for all requests, or match replies on the id alone, would take it for
/// the acknowledgement of another. Send it after that acknowledgement and never before: the command-line
/// client ends at an `error` until then.
///
/// One that `is_kept` is not over: it ticks again when the broker's list has its symbol again.
pub fn subscription_failed(
    symbol: &str,
    exchange: &str,
    mode: Mode,
    broker: &str,
    failure: &Failure<'_>,
    is_kept: bool,
) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        #[serde(flatten)]
        entry: EntryFrame<'a>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        kept: bool,
    }
    let entry = EntryFrame::new(symbol, exchange, broker, Some(failure));
    to_bytes(&Frame {
        r#type: "subscription_status",
        entry: EntryFrame { mode: Some(mode.label()), ..entry },
        kept: is_kept,
    })
}

/// What became of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeState {
    /// Its first tick has come.
    Active,
    /// None came in time, although its exchange trades. It may still come.
    Silent,
    /// It waits for a connection to the broker.
    Pending,
    /// It is over, unless it is kept.
    Failed,
}

/// What became of one symbol.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// Symbol as the client wrote it, with its depth suffix.
    pub symbol: String,
    /// Exchange as the client wrote it.
    pub exchange: &'a str,
    /// Mode of the subscription.
    pub mode: Mode,
    /// What became of it.
    pub state: OutcomeState,
    /// Why it failed, for programs.
    pub code: Option<ErrorCode>,
    /// Why it failed or waits, for people.
    pub message: Option<&'a str>,
    /// It has failed and is not over: it waits for the broker's list to have its symbol again.
    pub is_kept: bool,
}

/// What became of the symbols of one request, for clients that asked for it when they authenticated.
///
/// It carries the `request_id` of the subscribe request, which those clients expect. The words are in
/// `state`, since others act on a `status` whatever the type of the frame.
pub fn subscription_status(outcomes: &[Outcome<'_>], broker: &str, request_id: &RequestId) -> Bytes {
    #[derive(Serialize)]
    struct Entry<'a> {
        symbol: &'a str,
        exchange: &'a str,
        mode: &'static str,
        state: OutcomeState,
        #[serde(skip_serializing_if = "Option::is_none")]
        code: Option<ErrorCode>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        kept: bool,
    }
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        subscriptions: Vec<Entry<'a>>,
        broker: &'a str,
        #[serde(skip_serializing_if = "RequestId::is_absent")]
        request_id: &'a RequestId,
    }
    let subscriptions = outcomes.iter().map(|outcome| Entry {
        symbol: &outcome.symbol,
        exchange: outcome.exchange,
        mode: outcome.mode.label(),
        state: outcome.state,
        code: outcome.code,
        message: outcome.message,
        kept: outcome.is_kept,
    });
    to_bytes(&Frame {
        r#type: "subscription_status",
        subscriptions: subscriptions.collect(),
        broker,
        request_id,
    })
}
