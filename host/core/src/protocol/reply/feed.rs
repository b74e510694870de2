//! What a client is told of the feed behind its streams.

use bytes::Bytes;
use serde::Serialize;

use super::{Status, to_bytes};

/// What is true of a feed at the moment of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedFacts<'a> {
    /// Whose data it is.
    pub broker: &'a str,
    /// One of `starting`, `connecting`, `live`, `stale`, `auth_failed`, `down`, `closed`.
    pub state: &'a str,
    /// Milliseconds in this state: of `stale`, since the last sign of life. None when it is not known.
    pub state_age_ms: Option<u64>,
    /// Milliseconds since the last tick of any instrument, none before the first.
    pub last_tick_age_ms: Option<u64>,
    /// Milliseconds until the next attempt after a failure, none when nothing is planned.
    pub retry_in_ms: Option<u64>,
    /// Attempts to connect since the last that succeeded, none when the last one did.
    pub attempts: Option<u32>,
    /// What the subscribed exchanges do: `open`, `pre_open`, `closed`. None when their hours do not matter,
    /// or nothing is subscribed.
    pub market: Option<&'static str>,
    /// Milliseconds until the next session of one of them, none while one trades.
    pub opens_in_ms: Option<u64>,
}

/// Instruments of a feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All that its clients hold.
    pub subscribed: u64,
    /// Of them, those that have ticked since they were subscribed.
    pub active: u64,
    /// Of them, those that the broker has not taken yet.
    pub pending: u64,
}

/// The answer to `get_broker_info`. `adapter_status` has the two words that clients know; the rest is for
/// those who want to know better.
pub fn broker_info(
    user_id: &str,
    is_connected: bool,
    last_error: Option<&str>,
    feed: &FeedFacts<'_>,
    counts: Counts,
) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        status: Status,
        broker: &'a str,
        adapter_status: &'static str,
        user_id: &'a str,
        feed_state: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        state_age_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_tick_age_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_in_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        attempts: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        market: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        opens_in_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_error: Option<&'a str>,
        #[serde(flatten)]
        counts: Counts,
    }
    let FeedFacts {
        broker,
        state,
        state_age_ms,
        last_tick_age_ms,
        retry_in_ms,
        attempts,
        market,
        opens_in_ms,
    } = *feed;
    to_bytes(&Frame {
        r#type: "broker_info",
        status: Status::Success,
        broker,
        adapter_status: if is_connected { "connected" } else { "disconnected" },
        user_id,
        feed_state: state,
        state_age_ms,
        last_tick_age_ms,
        retry_in_ms,
        attempts,
        market,
        opens_in_ms,
        last_error,
        counts,
    })
}

/// News about the way to the broker, for clients that asked for it when they authenticated: some show every
/// frame that they do not know as an error.
///
/// The key is `state` because clients act on any `status` they know, whatever the type of the frame.
pub fn feed_status(feed: &FeedFacts<'_>, message: &str) -> Bytes {
    #[derive(Serialize)]
    struct Frame<'a> {
        r#type: &'static str,
        broker: &'a str,
        state: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        state_age_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_tick_age_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_in_ms: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        attempts: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        market: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        opens_in_ms: Option<u64>,
    }
    let FeedFacts {
        broker,
        state,
        state_age_ms,
        last_tick_age_ms,
        retry_in_ms,
        attempts,
        market,
        opens_in_ms,
    } = *feed;
    to_bytes(&Frame {
        r#type: "feed_status",
        broker,
        state,
        message,
        state_age_ms,
        last_tick_age_ms,
        retry_in_ms,
        attempts,
        market,
        opens_in_ms,
    })
}
