//! Order updates: those of adapters are completed, those of the bus are passed on as they are.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Longest order update, in bytes. Real ones have a few hundred.
pub const MAX_ORDER_UPDATE_BYTES: usize = 64 * 1024;

/// Most members of an order update.
const MAX_MEMBERS: usize = 512;

/// Why an order update was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderUpdateError {
    /// Longer than [`MAX_ORDER_UPDATE_BYTES`].
    #[error("order update is longer than {MAX_ORDER_UPDATE_BYTES} bytes; send one order per message")]
    TooLong,
    /// Not a JSON object, or one with too many members.
    #[error("order update is not a JSON object of at most {MAX_MEMBERS} members")]
    NotAnObject,
    /// There is no `user_id`, so nobody it could be sent to.
    #[error("order update has no user_id; add the name of the user whose order it is")]
    NoUser,
}

/// The frame for an order update that an adapter reports for its own account. `type` and `user_id` are always the
/// host's, whatever the body says, since an adapter speaks for nobody else; `broker` and `mode` (`live`) are added when
/// missing or null. All other members follow as the adapter wrote them.
///
/// # Errors
///
/// When the body is too long or no JSON object.
pub fn order_update(user: &str, broker: &str, body_json: &str) -> Result<Bytes, OrderUpdateError> {
    let members = read(body_json.as_bytes())?;
    let missing = |name| !members.iter().any(|(key, value)| key == name && value.get() != "null");
    let mut frame = Vec::with_capacity(body_json.len() + user.len() + broker.len() + 80);
    frame.extend_from_slice(br#"{"type":"order_update","user_id":"#);
    push_string(&mut frame, user);
    if missing("mode") {
        frame.extend_from_slice(br#","mode":"live""#);
    }
    if missing("broker") {
        frame.extend_from_slice(br#","broker":"#);
        push_string(&mut frame, broker);
    }
    for (key, value) in &members {
        let is_ours = matches!(&**key, "type" | "user_id")
            || (matches!(&**key, "mode" | "broker") && value.get() == "null");
        if !is_ours {
            frame.push(b',');
            push_string(&mut frame, key);
            frame.push(b':');
            frame.extend_from_slice(value.get().as_bytes());
        }
    }
    frame.push(b'}');
    Ok(frame.into())
}

/// The user whom an order update from the bus is for. The body itself is the frame and goes out as it is, nulls
/// included: its publisher knows more about it than the host. The topic names the user too, but not reliably, as user
/// names may contain the character that separates its parts.
///
/// # Errors
///
/// When the body is too long, no JSON object, or names no user; it must not be forwarded then.
pub fn order_update_user(body: &[u8]) -> Result<String, OrderUpdateError> {
    let members = read(body)?;
    let user = members.iter().rfind(|(key, _)| key == "user_id");
    let user = user.and_then(|(_, value)| serde_json::from_str::<String>(value.get()).ok());
    user.filter(|user| !user.is_empty()).ok_or(OrderUpdateError::NoUser)
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    super::encode::push_json_string(out, text);
}

fn read(body: &[u8]) -> Result<Vec<(Cow<'_, str>, &RawValue)>, OrderUpdateError> {
    if body.len() > MAX_ORDER_UPDATE_BYTES {
        return Err(OrderUpdateError::TooLong);
    }
    let Members(members) = serde_json::from_slice(body).map_err(|_| OrderUpdateError::NotAnObject)?;
    Ok(members)
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
    fn an_adapter_cannot_speak_for_another_user() {
        let frame = completed(r#"{"user_id":"bob","type":"auth","\u0075ser_id":"eve","orderid":"1"}"#);
        assert!(!frame.contains("bob") && !frame.contains("eve") && !frame.contains("auth\""), "{frame}");
    }

    #[test]
    fn a_user_name_is_escaped() {
        let frame = order_update("a\"b\n", "s\\", "{}").unwrap();
        let frame: serde_json::Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(frame["user_id"], "a\"b\n");
        assert_eq!(frame["broker"], "s\\");
    }

    #[test]
    fn bus_updates_go_to_the_user_in_the_body() {
        assert_eq!(order_update_user(br#"{"user_id":"al_ice","x":null}"#), Ok("al_ice".to_owned()));
        for body in [&b"{}"[..], br#"{"user_id":""}"#, br#"{"user_id":null}"#, br#"{"user_id":7}"#] {
            assert_eq!(order_update_user(body), Err(OrderUpdateError::NoUser));
        }
    }

    #[test]
    fn what_is_no_object_or_too_long_is_refused() {
        for body in ["", "[]", "7", "{", "{}x", "{\"a\":NaN}"] {
            assert_eq!(order_update("u", "b", body), Err(OrderUpdateError::NotAnObject), "{body}");
        }
        assert_eq!(order_update_user(b"{\"a\":\"\xff\"}"), Err(OrderUpdateError::NotAnObject));
        let many: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!("\"{n}\":0")).collect();
        let many = format!("{{{}}}", many.join(","));
        assert_eq!(order_update("u", "b", &many), Err(OrderUpdateError::NotAnObject));
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_ORDER_UPDATE_BYTES));
        assert_eq!(order_update("u", "b", &long), Err(OrderUpdateError::TooLong));
    }
}
