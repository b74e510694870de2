//! Order updates of adapters and of the bus. Whoever reports one says what it says of an order, and nothing
//! else: whose it is, at which broker, and that it is an order update are the host's words, and no client's
//! parser is asked for more than it can bear.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Longest order update, in bytes. Real ones have a few hundred.
pub const MAX_ORDER_UPDATE_BYTES: usize = 16 * 1024;

/// Objects and lists that an order update may have within each other, itself counted. Real ones have one or
/// two.
pub const MAX_ORDER_UPDATE_DEPTH: usize = 32;

/// Most members of an order update.
const MAX_MEMBERS: usize = 512;

/// Members that the host writes again. They are left out in any case of letters, for parsers that do not tell
/// them apart.
const OURS: [&str; 3] = ["type", "user_id", "broker"];

/// Why an order update was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderUpdateError {
    /// Longer than [`MAX_ORDER_UPDATE_BYTES`].
    #[error("order update is longer than {MAX_ORDER_UPDATE_BYTES} bytes; send one order per message")]
    TooLong,
    /// Deeper than [`MAX_ORDER_UPDATE_DEPTH`].
    #[error("order update is nested deeper than {MAX_ORDER_UPDATE_DEPTH} levels")]
    TooDeep,
    /// Not a JSON object, or one with too many members.
    #[error("order update is not a JSON object of at most {MAX_MEMBERS} members")]
    NotAnObject,
    /// A value that JSON allows and not every parser takes: half of a character, or a number beyond a double.
    #[error("order update has a text that is no Unicode, or a number that no double holds")]
    BadValue,
    /// There is no `user_id`, so nobody it could be sent to.
    #[error("order update has no user_id; add the name of the user whose order it is")]
    NoUser,
}

/// What somebody says of an order. Every value in it is one that any JSON parser takes.
#[derive(Debug)]
pub struct OrderUpdate<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    length: usize,
}

impl<'a> OrderUpdate<'a> {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// When it cannot be passed on, whoever it is for.
    pub fn read(body: &'a [u8]) -> Result<Self, OrderUpdateError> {
        if body.len() > MAX_ORDER_UPDATE_BYTES {
            return Err(OrderUpdateError::TooLong);
        }
        if depth(body) > MAX_ORDER_UPDATE_DEPTH {
            return Err(OrderUpdateError::TooDeep);
        }
        let Members(members) = serde_json::from_slice(body).map_err(|_| OrderUpdateError::NotAnObject)?;
        // The first look takes values as they are, this one reads them.
        if serde_json::from_slice::<Sound>(body).is_err() {
            return Err(OrderUpdateError::BadValue);
        }
        Ok(Self { members, length: body.len() })
    }

    /// The user whom it names, for one from the bus. The topic names the user too, but not reliably, as user
    /// names may contain the character that separates its parts.
    ///
    /// # Errors
    ///
    /// When it names nobody; it must not be forwarded then.
    pub fn user(&self) -> Result<Cow<'a, str>, OrderUpdateError> {
        let user = self.members.iter().rfind(|(key, _)| key == "user_id");
        let user = user.and_then(|(_, value)| serde_json::from_str::<Text<'_>>(value.get()).ok());
        user.map(|Text(user)| user).filter(|user| !user.is_empty()).ok_or(OrderUpdateError::NoUser)
    }

    /// Its length, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an object is never empty")]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// The frame for clients. `type`, `user_id` and `broker` are always the host's, whatever the update says;
    /// `mode` (`live`) is added when it is missing or no text. All other members follow as they were written.
    pub fn frame(&self, user: &str, broker: &str) -> Bytes {
        let is_mode = |key: &str, value: &RawValue| key == "mode" && value.get().starts_with('"');
        let has_mode = self.members.iter().any(|(key, value)| is_mode(key, value));
        let mut frame = Vec::with_capacity(self.length + user.len() + broker.len() + 80);
        frame.extend_from_slice(br#"{"type":"order_update","user_id":"#);
        push_string(&mut frame, user);
        if !has_mode {
            frame.extend_from_slice(br#","mode":"live""#);
        }
        frame.extend_from_slice(br#","broker":"#);
        push_string(&mut frame, broker);
        for (key, value) in &self.members {
            let is_ours = OURS.iter().any(|ours| key.eq_ignore_ascii_case(ours))
                || key == "mode" && !is_mode(key, value);
            if !is_ours {
                frame.push(b',');
                push_string(&mut frame, key);
                frame.push(b':');
                frame.extend_from_slice(value.get().as_bytes());
            }
        }
        frame.push(b'}');
        frame.into()
    }
}

/// The frame for an order update that an adapter reports for its own account.
///
/// # Errors
///
/// When it cannot be passed on.
pub fn order_update(user: &str, broker: &str, body_json: &str) -> Result<Bytes, OrderUpdateError> {
    Ok(OrderUpdate::read(body_json.as_bytes())?.frame(user, broker))
}

/// Objects and lists within each other, of JSON or of what looks like it. Needs no memory, whatever the
/// depth.
fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in body {
        match byte {
            _ if std::mem::take(&mut is_escaped) => {}
            b'"' => is_text = !is_text,
            b'\\' => is_escaped = is_text,
            b'{' | b'[' if !is_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A text, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads every text and every number of a value, and keeps nothing.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SoundVisitor)
    }
}

struct SoundVisitor;

impl<'de> Visitor<'de> for SoundVisitor {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Sound, A::Error> {
        while seq.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sound, A::Error> {
        while map.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Sound)
    }
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    super::encode::push_json_string(out, text);
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor).map(Members)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of at most {MAX_MEMBERS} members")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(32);
        while let Some(member) = map.next_entry()? {
            if members.len() == MAX_MEMBERS {
                return Err(serde::de::Error::invalid_length(members.len() + 1, &self));
            }
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(body: &str) -> String {
        String::from_utf8(order_update("alice", "sim", body).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn what_is_missing_is_added_and_the_rest_kept_as_written() {
        assert_eq!(
            completed(r#"{"orderid":"1","price":50.0,"rejection_reason":null}"#),
            r#"{"type":"order_update","user_id":"alice","mode":"live","broker":"sim","orderid":"1","price":50.0,"rejection_reason":null}"#
        );
        assert_eq!(
            completed("{}"),
            r#"{"type":"order_update","user_id":"alice","mode":"live","broker":"sim"}"#
        );
        assert_eq!(
            completed(r#"{"mode":"analyze","broker":null}"#),
            r#"{"type":"order_update","user_id":"alice","broker":"sim","mode":"analyze"}"#
        );
    }

    #[test]
    fn nobody_speaks_for_another_user_or_broker_or_sends_another_kind_of_frame() {
        let frame = completed(
            r#"{"user_id":"bob","type":"auth","\u0075ser_id":"eve","Type":"market_data","BROKER":"other","broker":"other",
                "tYPE":"auth","orderid":"1"}"#,
        );
        let forged = ["bob", "auth", "eve", "market_data", "other"];
        assert!(forged.iter().all(|forged| !frame.contains(forged)), "{frame}");
        let tick = r#"{"type":"market_data","symbol":"SBIN","exchange":"NSE","mode":1,"broker":"zerodha","data":{"ltp":1}}"#;
        assert!(completed(tick).starts_with(
            r#"{"type":"order_update","user_id":"alice","mode":"live","broker":"sim","symbol":"#
        ));
    }

    #[test]
    fn a_user_name_is_escaped() {
        let frame = order_update("a\"b\n", "s\\", "{}").unwrap();
        let frame: serde_json::Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(frame["user_id"], "a\"b\n");
        assert_eq!(frame["broker"], "s\\");
    }

    #[test]
    fn updates_of_the_bus_name_their_user() {
        let user = |body: &str| {
            OrderUpdate::read(body.as_bytes()).and_then(|update| Ok(update.user()?.into_owned()))
        };
        assert_eq!(user(r#"{"user_id":"al_ice","x":null}"#), Ok("al_ice".to_owned()));
        assert_eq!(user(r#"{"user_id":"al_ice","\u0075ser_id":"b\u006fb"}"#), Ok("bob".to_owned()));
        for body in
            ["{}", r#"{"user_id":""}"#, r#"{"user_id":null}"#, r#"{"user_id":7}"#, r#"{"User_id":"bob"}"#]
        {
            assert_eq!(user(body), Err(OrderUpdateError::NoUser), "{body}");
        }
    }

    #[test]
    fn what_is_no_object_or_too_long_is_refused() {
        for body in ["", "[]", "7", "{", "{}x", "{\"a\":NaN}"] {
            assert_eq!(order_update("u", "b", body), Err(OrderUpdateError::NotAnObject), "{body}");
        }
        assert_eq!(OrderUpdate::read(b"{\"a\":\"\xff\"}").err(), Some(OrderUpdateError::NotAnObject));
        let many: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!("\"{n}\":0")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(order_update("u", "b", &many), Err(OrderUpdateError::NotAnObject));
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_ORDER_UPDATE_BYTES));
        assert_eq!(order_update("u", "b", &long), Err(OrderUpdateError::TooLong));
    }

    #[test]
    fn what_breaks_a_clients_parser_is_refused() {
        let nested =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(order_update("u", "b", &nested(MAX_ORDER_UPDATE_DEPTH)).is_ok());
        for levels in [MAX_ORDER_UPDATE_DEPTH + 1, 5_000] {
            assert_eq!(order_update("u", "b", &nested(levels)), Err(OrderUpdateError::TooDeep));
        }
        // Braces within a text are none.
        assert!(order_update("u", "b", &format!(r#"{{"a":"\\\"{}"}}"#, "{[".repeat(100))).is_ok());
        assert_eq!(
            order_update("u", "b", &format!(r#"{{"a\\":{}"#, "[".repeat(100))),
            Err(OrderUpdateError::TooDeep)
        );
        let digits = "9".repeat(5_000);
        for value in [r#""\ud800""#, r#"{"\udc00":1}"#, "1e999", "[-1e400]", &digits] {
            let body = format!(r#"{{"orderid":"1","x":{value}}}"#);
            assert_eq!(order_update("u", "b", &body), Err(OrderUpdateError::BadValue), "{value}");
        }
        assert!(order_update("u", "b", r#"{"a":[1,-2,0.5,true,null,"\ud83d\ude00",{"b":[]}]}"#).is_ok());
    }
}
