//! The members of a message as raw JSON text, and the readers for single values. Nothing is decoded before
//! somebody asks for it, so a bad value spoils only what needs it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::invalid_parameters;
use crate::model::{Delivery, DepthClass, MaxRate, Mode};
use crate::protocol::reply::ErrorReply;

/// Characters of a client's own text that an error message repeats.
const SNIPPET_CHARS: usize = 64;

/// The members that any message, or an entry of its list, may have.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) action: Option<&'a RawValue>,
    pub(super) kind: Option<&'a RawValue>,
    pub(super) api_key: Option<&'a RawValue>,
    pub(super) apikey: Option<&'a RawValue>,
    pub(super) feed_status: Option<&'a RawValue>,
    pub(super) subscription_status: Option<&'a RawValue>,
    pub(super) symbols: Option<&'a RawValue>,
    pub(super) instruments: Option<&'a RawValue>,
    pub(super) symbol: Option<&'a RawValue>,
    pub(super) exchange: Option<&'a RawValue>,
    pub(super) mode: Option<&'a RawValue>,
    pub(super) depth: Option<&'a RawValue>,
    pub(super) depth_level: Option<&'a RawValue>,
    pub(super) max_rate: Option<&'a RawValue>,
    pub(super) lossless: Option<&'a RawValue>,
    pub(super) request_id: Option<&'a RawValue>,
    pub(super) timestamp: Option<&'a RawValue>,
    pub(super) ping_id: Option<&'a RawValue>,
}

impl<'a> Fields<'a> {
    /// The list of entries, under either of its names; an empty one counts as absent.
    pub(super) fn list(&self) -> Option<&'a RawValue> {
        [self.symbols, self.instruments].into_iter().flatten().find(|raw| !is_falsy(raw))
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Action,
    Type,
    ApiKey,
    Apikey,
    FeedStatus,
    SubscriptionStatus,
    Symbols,
    Instruments,
    Symbol,
    Exchange,
    Mode,
    Depth,
    DepthLevel,
    MaxRate,
    Lossless,
    RequestId,
    Timestamp,
    #[serde(rename = "_pingId")]
    PingId,
    #[serde(other)]
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    // Written out because the derived reader refuses a key that occurs twice, which clients' own JSON
    // libraries accept.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key()? {
            let place = match key {
                Member::Action => &mut fields.action,
                Member::Type => &mut fields.kind,
                Member::ApiKey => &mut fields.api_key,
                Member::Apikey => &mut fields.apikey,
                Member::FeedStatus => &mut fields.feed_status,
                Member::SubscriptionStatus => &mut fields.subscription_status,
                Member::Symbols => &mut fields.symbols,
                Member::Instruments => &mut fields.instruments,
                Member::Symbol => &mut fields.symbol,
                Member::Exchange => &mut fields.exchange,
                Member::Mode => &mut fields.mode,
                Member::Depth => &mut fields.depth,
                Member::DepthLevel => &mut fields.depth_level,
                Member::MaxRate => &mut fields.max_rate,
                Member::Lossless => &mut fields.lossless,
                Member::RequestId => &mut fields.request_id,
                Member::Timestamp => &mut fields.timestamp,
                Member::PingId => &mut fields.ping_id,
                Member::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *place = Some(map.next_value()?);
        }
        Ok(fields)
    }
}

/// A value where a string is expected.
pub(super) enum Text<'a> {
    /// Missing, or a value that counts as nothing: `null`, `""`, `0`, `false`, an empty list or object.
    Absent,
    /// A string that is not empty.
    Is(Cow<'a, str>),
    /// Anything else, and strings that are not Unicode.
    Other,
}

impl<'a> Text<'a> {
    pub(super) fn of(raw: Option<&'a RawValue>) -> Self {
        let Some(raw) = raw.filter(|raw| !is_falsy(raw)) else {
            return Self::Absent;
        };
        match raw.get().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(text) if !text.contains('\\') => Self::Is(Cow::Borrowed(text)),
            Some(_) => {
                serde_json::from_str(raw.get()).map_or(Self::Other, |text: String| Self::Is(Cow::Owned(text)))
            }
            None => Self::Other,
        }
    }
}

/// Whether a value counts as "not given", by the rules of the clients' world, which is Python's.
pub(super) fn is_falsy(raw: &RawValue) -> bool {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => text == "\"\"",
        Some(b'[' | b'{') => text
            .bytes()
            .skip(1)
            .find(|byte| !byte.is_ascii_whitespace())
            .is_none_or(|b| b == b']' || b == b'}'),
        Some(b't') => false,
        Some(b'n' | b'f') | None => true,
        Some(_) => text.parse() == Ok(0.0),
    }
}

/// The mode that a value stands for; nothing given is `None`, which an explicit `null` is not.
///
/// # Errors
///
/// The sentence that tells the client what is accepted.
pub(super) fn mode(raw: Option<&RawValue>) -> Result<Option<Mode>, String> {
    let Some(raw) = raw else {
        return Ok(None);
    };
    let text = raw.get();
    let kind = match text.as_bytes().first() {
        Some(b'"') => {
            return match serde_json::from_str::<String>(text) {
                Ok(name) => named_mode(&name).map(Some),
                Err(_) => Err("Mode is not a valid string".to_owned()),
            };
        }
        Some(b't') => "bool (True)",
        Some(b'f') => "bool (False)",
        Some(b'n') | None => "NoneType",
        Some(b'[') => "list",
        Some(b'{') => "dict",
        Some(_) if text.contains(['.', 'e', 'E']) => "float",
        Some(_) => {
            let mode = text.parse().ok().and_then(Mode::from_number);
            let wrong =
                || format!("Invalid mode {}; expected 1 (LTP), 2 (Quote), or 3 (Depth)", snippet(text));
            return mode.map(Some).ok_or_else(wrong);
        }
    };
    Err(format!("Mode must be int or str, got {kind}"))
}

fn named_mode(name: &str) -> Result<Mode, String> {
    let trimmed = name.trim();
    let is = |mode: &Mode| trimmed.eq_ignore_ascii_case(mode.label()) || trimmed.parse() == Ok(mode.number());
    Mode::ALL.into_iter().find(is).ok_or_else(|| {
        format!("Invalid mode '{}'; expected 'LTP', 'Quote', or 'Depth' (case-insensitive)", snippet(name))
    })
}

/// The depth class asked for, under either name of the field; nothing given is five levels.
pub(super) fn depth(fields: &Fields<'_>) -> Result<DepthClass, ErrorReply> {
    let given = [fields.depth, fields.depth_level].into_iter().flatten().find(|raw| !is_falsy(raw));
    let Some(raw) = given else {
        return Ok(DepthClass::default());
    };
    let levels = match Text::of(Some(raw)) {
        Text::Is(text) => text.trim().parse(),
        _ => raw.get().parse(),
    };
    levels.map(DepthClass::at_least).map_err(|_| {
        let given = snippet(raw.get());
        invalid_parameters(format!(
            "depth must be a number of levels such as 5, 20, 30, 50 or 200, not {given}"
        ))
    })
}

fn given(raw: Option<&RawValue>) -> Option<&str> {
    raw.map(RawValue::get).filter(|text| *text != "null")
}

/// A switch, off when it is not given.
pub(super) fn switch(name: &str, raw: Option<&RawValue>) -> Result<bool, ErrorReply> {
    match given(raw) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => {
            Err(invalid_parameters(format!("{name} must be true or false, not {}", snippet(other))))
        }
    }
}

/// Which updates are asked for; nothing given is what every client gets.
pub(super) fn delivery(fields: &Fields<'_>) -> Result<Delivery, ErrorReply> {
    let is_lossless = switch("lossless", fields.lossless)?;
    let Some(text) = given(fields.max_rate) else {
        return Ok(if is_lossless { Delivery::EveryTick } else { Delivery::Newest });
    };
    let rate = text.parse().ok().and_then(MaxRate::per_second).ok_or_else(|| {
        invalid_parameters(format!(
            "max_rate must be a number of updates per second from {} to {}, not {}",
            MaxRate::MIN,
            MaxRate::MAX,
            snippet(text)
        ))
    })?;
    if is_lossless {
        return Err(invalid_parameters("max_rate and lossless exclude each other; give one of them"));
    }
    Ok(Delivery::AtMost(rate))
}

/// The beginning of a text that a client sent, short enough to be repeated to it.
pub(super) fn snippet(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SNIPPET_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}...", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}
