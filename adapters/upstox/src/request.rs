//! What the broker is asked for, and how it refuses. Pure.
//!
//! Requests are JSON in binary messages; the broker passes over one in a text message.

use adapter_sdk::{
    plan::Change,
    serde_json::{self, Value, json},
};

use crate::key::Key;

/// A mode of the broker's, from the one that has least to the one that has most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// The last trade.
    Ltpc,
    /// The last trade, the best level of the book, and greeks.
    OptionGreeks,
    /// Everything, with five levels.
    Full,
    /// Everything, with thirty levels.
    FullD30,
}

impl Asked {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ltpc, Self::OptionGreeks, Self::Full, Self::FullD30];

    /// What the broker calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ltpc => "ltpc",
            Self::OptionGreeks => "option_greeks",
            Self::Full => "full",
            Self::FullD30 => "full_d30",
        }
    }
}

/// The messages that changes need. What ends comes first: its room may be needed.
pub fn messages(changes: &[Change<Key, Asked>], number: &mut u64) -> Vec<Vec<u8>> {
    let ends = changes.iter().filter(|change| change.now.is_none());
    let mut messages = vec![("unsub", None, keys(ends))];
    for mode in Asked::ALL {
        let of_mode = || changes.iter().filter(move |change| change.now == Some(mode));
        let is_moved = |change: &&Change<Key, Asked>| change.before.is_some() && change.before != change.now;
        messages.push(("change_mode", Some(mode), keys(of_mode().filter(is_moved))));
        // What is subscribed already is asked for again like that, which makes the broker send its state.
        messages.push(("sub", Some(mode), keys(of_mode().filter(|change| !is_moved(change)))));
    }
    let wanted = messages.into_iter().filter(|(_, _, keys)| !keys.is_empty());
    wanted.map(|(method, mode, keys)| message(method, mode, &keys, number)).collect()
}

fn keys<'a>(changes: impl Iterator<Item = &'a Change<Key, Asked>>) -> Vec<String> {
    changes.map(|change| change.key.to_string()).collect()
}

fn message(method: &str, mode: Option<Asked>, keys: &[String], number: &mut u64) -> Vec<u8> {
    *number += 1;
    let mut data = json!({ "instrumentKeys": keys });
    if let (Some(mode), Some(data)) = (mode, data.as_object_mut()) {
        data.insert("mode".to_owned(), mode.name().into());
    }
    json!({ "guid": format!("tickhost-{number}"), "method": method, "data": data }).to_string().into_bytes()
}

/// The broker's refusal of a request. It does not say which one it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The broker's words, for comparisons: nobody knows whether they are fit to be shown.
    pub error: String,
}

impl Refused {
    /// Reads a text message. None when it is no refusal.
    pub fn read(text: &str) -> Option<Self> {
        let answer: Value = serde_json::from_str(text).ok()?;
        let is_refusal = matches!(answer.get("status")?.as_str()?, "failed" | "error");
        let error = answer.get("error").or_else(|| answer.get("message")).and_then(Value::as_str);
        is_refusal.then(|| Self { error: error.unwrap_or_default().to_owned() })
    }

    /// Whether it is about too many instruments.
    pub fn is_of_limits(&self) -> bool {
        let error = self.error.to_ascii_lowercase();
        ["limit", "exceed", "maximum"].iter().any(|word| error.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_a_kind_share_a_message_and_what_ends_goes_first() {
        let key = |name: &str| Key::parse(&format!("NSE_FO|{name}")).unwrap();
        let changes = [
            ("1", None, Some(Asked::Full)),
            ("2", None, Some(Asked::Ltpc)),
            ("3", Some(Asked::Ltpc), Some(Asked::Full)),
            ("4", Some(Asked::Full), Some(Asked::Ltpc)),
            ("5", Some(Asked::Full), None),
            ("6", Some(Asked::Full), Some(Asked::Full)),
            ("7", None, Some(Asked::FullD30)),
            ("8", Some(Asked::OptionGreeks), Some(Asked::OptionGreeks)),
        ];
        let changes = changes.map(|(name, before, now)| Change { key: key(name), before, now });
        let mut number = 0;
        let said: Vec<Value> = messages(&changes, &mut number)
            .iter()
            .map(|message| serde_json::from_slice(message).unwrap())
            .collect();
        let wanted = [
            ("unsub", None, json!(["NSE_FO|5"])),
            ("change_mode", Some("ltpc"), json!(["NSE_FO|4"])),
            ("sub", Some("ltpc"), json!(["NSE_FO|2"])),
            ("sub", Some("option_greeks"), json!(["NSE_FO|8"])),
            ("change_mode", Some("full"), json!(["NSE_FO|3"])),
            ("sub", Some("full"), json!(["NSE_FO|1", "NSE_FO|6"])),
            ("sub", Some("full_d30"), json!(["NSE_FO|7"])),
        ];
        assert_eq!(said.len(), wanted.len());
        for (place, ((method, mode, keys), said)) in wanted.iter().zip(&said).enumerate() {
            assert_eq!(said["guid"], format!("tickhost-{}", place + 1));
            assert_eq!((&said["method"], &said["data"]["instrumentKeys"]), (&json!(method), keys));
            assert_eq!(said["data"].get("mode").and_then(Value::as_str), *mode);
        }
    }

    #[test]
    fn a_refusal_is_one_in_all_its_forms_and_nothing_else_is() {
        let refused = |text: &str| Refused::read(text).map(|refused| (refused.is_of_limits(), refused.error));
        for (text, is_of_limits) in [
            (r#"{"status":"failed","method":"sub","error":"Invalid instrument key"}"#, false),
            (r#"{"status":"failed","method":"sub","error":"Subscription limit exceeded"}"#, true),
            (r#"{"status":"error","message":"You have reached the LIMIT"}"#, true),
            (r#"{"status":"failed","error":{"code":1}}"#, false),
        ] {
            assert_eq!(refused(text).unwrap().0, is_of_limits, "{text}");
        }
        for text in ["", "[]", "{}", r#"{"status":"success"}"#, r#"{"status":1}"#, "pong"] {
            assert_eq!(refused(text), None, "{text}");
        }
    }
}
