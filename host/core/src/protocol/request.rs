//! What clients ask: one frame becomes one [`Request`] that cannot be wrong, or the [`ErrorReply`] to send
//! back.

mod entry;
mod fields;

use secrecy::SecretString;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

pub(super) use self::entry::with_suffix;
pub use self::entry::{Entry, KNOWN_EXCHANGES, RefusedEntry, UnsubscribeEntry};
use self::entry::{Listed, Named};
use self::fields::{Fields, Text, delivery, depth, is_falsy, mode, snippet, switch};
use super::codes::ErrorCode;
use super::reply::ErrorReply;
use crate::model::{Delivery, DepthClass, Mode};

/// Most elements read from one `symbols` list. Far above what one client may hold, so that the limit on
/// subscriptions answers first; it is here because a list of three-byte elements could otherwise make an
/// acknowledgement fifty times as long as the request.
pub const MAX_ENTRIES: usize = 20_000;

/// Longest value, in bytes, that is echoed: `request_id`, and the two values of a ping.
pub const MAX_ECHO_BYTES: usize = 4_096;

/// Longest API key, in bytes. Real ones have 64.
pub const MAX_API_KEY_BYTES: usize = 1_024;

/// One request, parsed and checked as far as that needs no knowledge of the session or of a broker.
#[derive(Debug)]
pub enum Request {
    /// Verify this key. Allowed at any time, again too.
    Authenticate {
        /// The key as sent, not empty, at most [`MAX_API_KEY_BYTES`] long.
        api_key: SecretString,
        /// What it wants to hear unasked.
        wishes: Wishes,
    },
    /// Start streams.
    Subscribe {
        /// What was asked for, in request order, at most [`MAX_ENTRIES`]; may be empty, which succeeds.
        entries: Vec<Result<Entry, RefusedEntry>>,
        /// Mode of all of them.
        mode: Mode,
        /// Depth of those whose symbol has no suffix, rounded up to a class.
        depth: DepthClass,
        /// Which updates of each.
        delivery: Delivery,
        /// To be echoed in the acknowledgement.
        request_id: RequestId,
    },
    /// Stop streams.
    Unsubscribe {
        /// What was asked for, in request order, at most [`MAX_ENTRIES`]; may be empty, which succeeds.
        entries: Vec<Result<UnsubscribeEntry, RefusedEntry>>,
        /// To be echoed in the acknowledgement.
        request_id: RequestId,
    },
    /// Stop every stream of this client, order updates excepted.
    UnsubscribeAll {
        /// To be echoed in the acknowledgement.
        request_id: RequestId,
    },
    /// Start order updates of the account.
    SubscribeOrders {
        /// To be echoed in the acknowledgement.
        request_id: RequestId,
    },
    /// Stop order updates of the account.
    UnsubscribeOrders {
        /// To be echoed in the acknowledgement.
        request_id: RequestId,
    },
    /// Which broker serves this client.
    BrokerInfo,
    /// Which brokers the host serves.
    SupportedBrokers,
    /// Answer with a pong that carries these values back.
    Ping {
        /// The client's clock, as sent.
        timestamp: Option<Box<RawValue>>,
        /// The client's name for this ping, as sent.
        ping_id: Option<Box<RawValue>>,
    },
    /// The answer to a ping that was never sent; some clients volunteer it. Needs no reply.
    Pong,
}

/// What a client wants to hear unasked. Whoever does not wish for it never gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The state of its feed, now and whenever it changes.
    pub feed_status: bool,
    /// What becomes of each subscription after its acknowledgement.
    pub subscription_status: bool,
}

/// A client's own name for a request: any JSON value but `null`, given back exactly as it was written.
#[derive(Clone, Debug, Default)]
pub struct RequestId(Option<Box<RawValue>>);

impl RequestId {
    /// Whether the client gave none, so that the reply must not have one either.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// The JSON text of the value.
    pub fn as_json(&self) -> Option<&str> {
        self.0.as_deref().map(RawValue::get)
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Reads one message of a client, from a text or a binary frame. Of a key that occurs twice the last one
/// counts, and unknown keys are ignored.
///
/// `authenticated` says whether the session's key was verified; what needs that is refused without.
///
/// # Errors
///
/// The frame to send back. A bad message never ends the session.
pub fn parse(frame: &[u8], authenticated: bool) -> Result<Request, ErrorReply> {
    let text = std::str::from_utf8(frame).map_err(|_| invalid_json())?.trim_ascii();
    if matches!(text, "pong" | "\"pong\"") {
        return Ok(Request::Pong);
    }
    if !text.starts_with('{') {
        return Err(match serde_json::from_str::<serde::de::IgnoredAny>(text) {
            Ok(_) => ErrorReply::new(ErrorCode::ServerError, "a message must be a JSON object"),
            Err(_) => invalid_json(),
        });
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(|_| invalid_json())?;
    dispatch(&fields, authenticated)
}

fn dispatch(fields: &Fields<'_>, authenticated: bool) -> Result<Request, ErrorReply> {
    let action = [fields.action, fields.kind].into_iter().flatten().find(|raw| !is_falsy(raw));
    let action = match action.map(|raw| (Text::of(Some(raw)), raw)) {
        Some((Text::Is(action), _)) => action,
        Some((_, raw)) => return Err(invalid_action(raw.get())),
        None => return Err(invalid_action("None")),
    };
    let needs_key = || if authenticated { Ok(()) } else { Err(not_authenticated()) };
    match &*action {
        "authenticate" | "auth" => authenticate(fields),
        "subscribe" => needs_key().and_then(|()| subscribe(fields)),
        "unsubscribe" | "unsubscribe_all" => needs_key().and_then(|()| unsubscribe(fields, &action)),
        "subscribe_orders" => {
            needs_key()?;
            Ok(Request::SubscribeOrders { request_id: request_id(fields)? })
        }
        "unsubscribe_orders" => {
            needs_key()?;
            Ok(Request::UnsubscribeOrders { request_id: request_id(fields)? })
        }
        "get_broker_info" => needs_key().map(|()| Request::BrokerInfo),
        "get_supported_brokers" => Ok(Request::SupportedBrokers),
        "ping" => Ok(Request::Ping {
            timestamp: echo("timestamp", fields.timestamp)?,
            ping_id: echo("_pingId", fields.ping_id)?,
        }),
        "pong" => Ok(Request::Pong),
        other => Err(invalid_action(other)),
    }
}

fn authenticate(fields: &Fields<'_>) -> Result<Request, ErrorReply> {
    let key = [fields.api_key, fields.apikey].into_iter().flatten().find(|raw| !is_falsy(raw));
    match Text::of(key) {
        Text::Is(key) if key.len() <= MAX_API_KEY_BYTES => Ok(Request::Authenticate {
            api_key: SecretString::from(&*key),
            wishes: Wishes {
                feed_status: switch("feed_status", fields.feed_status)?,
                subscription_status: switch("subscription_status", fields.subscription_status)?,
            },
        }),
        Text::Is(_) | Text::Other => Err(ErrorReply::new(ErrorCode::AuthenticationError, "Invalid API key")),
        Text::Absent => Err(ErrorReply::new(ErrorCode::AuthenticationError, "API key is required")),
    }
}

fn subscribe(fields: &Fields<'_>) -> Result<Request, ErrorReply> {
    let mode = mode(fields.mode).map_err(invalid_mode)?.unwrap_or(Mode::Quote);
    let entries = if let Some(list) = fields.list() {
        Listed::read(list, |named, _| Ok(named.into()))?
    } else {
        let named = Named::of_fields(fields)
            .ok_or_else(|| invalid_parameters("At least one symbol must be specified"))?;
        vec![named.map(Entry::from)]
    };
    let depth = depth(fields)?;
    let delivery = delivery(fields)?;
    Ok(Request::Subscribe { entries, mode, depth, delivery, request_id: request_id(fields)? })
}

fn unsubscribe(fields: &Fields<'_>, action: &str) -> Result<Request, ErrorReply> {
    let all = || matches!(Text::of(fields.kind), Text::Is(kind) if kind == "unsubscribe_all");
    if action == "unsubscribe_all" || all() {
        return Ok(Request::UnsubscribeAll { request_id: request_id(fields)? });
    }
    let top = mode(fields.mode);
    let entries = if let Some(list) = fields.list() {
        // A wrong mode beside the list fails only the entries that rely on it: what says its own mode is not
        // in doubt.
        Listed::read(list, |named, own| {
            match mode(own).and_then(|own| own.map_or(top.clone(), |_| Ok(own))) {
                Ok(mode) => Ok(named.with_mode(mode)),
                Err(message) => Err(named.refuse(message)),
            }
        })?
    } else {
        let named = Named::of_fields(fields)
            .ok_or_else(|| invalid_parameters("Either symbols or unsubscribe_all is required"))?;
        let mode = top.map_err(invalid_mode)?;
        vec![named.map(|named| named.with_mode(mode))]
    };
    Ok(Request::Unsubscribe { entries, request_id: request_id(fields)? })
}

fn request_id(fields: &Fields<'_>) -> Result<RequestId, ErrorReply> {
    echo("request_id", fields.request_id).map(RequestId)
}

fn echo(name: &str, raw: Option<&RawValue>) -> Result<Option<Box<RawValue>>, ErrorReply> {
    match raw {
        Some(raw) if raw.get().len() > MAX_ECHO_BYTES => {
            Err(invalid_parameters(format!("{name} must be at most {MAX_ECHO_BYTES} bytes long")))
        }
        Some(raw) if raw.get() != "null" => Ok(Some(raw.to_owned())),
        _ => Ok(None),
    }
}

fn invalid_json() -> ErrorReply {
    ErrorReply::new(ErrorCode::InvalidJson, "Invalid JSON message")
}

fn invalid_action(action: &str) -> ErrorReply {
    ErrorReply::new(ErrorCode::InvalidAction, format!("Invalid action: {}", snippet(action)))
}

fn invalid_mode(message: String) -> ErrorReply {
    ErrorReply::new(ErrorCode::InvalidMode, message)
}

fn invalid_parameters(message: impl Into<std::borrow::Cow<'static, str>>) -> ErrorReply {
    ErrorReply::new(ErrorCode::InvalidParameters, message)
}

fn not_authenticated() -> ErrorReply {
    ErrorReply::new(ErrorCode::NotAuthenticated, "You must authenticate first")
}

#[cfg(test)]
mod tests;
