//! Messages as the brokers write them: one JSON object in a text frame, whose values are texts, numbers included.
//!
//! ```text
//! {"t":"tk","e":"NSE","tk":"22","ts":"ACC-EQ","lp":"1400.05", …}    all of it, after it was subscribed
//! {"t":"tf","e":"NSE","tk":"22","lp":"1400.10"}                     what has changed
//! ```
//!
//! The key `tk` is the number of an instrument, and the text `tk` one of the types.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::exchange::Key;

/// Members of the longest message, and some more.
const MEMBERS: usize = 64;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Prices, with the best bid and the best ask.
    Touchline {
        /// Whether it is all that the broker knows in this channel.
        is_image: bool,
    },
    /// Prices with a book of five levels.
    Depth {
        /// The same.
        is_image: bool,
    },
    /// The answer to the log-in, and whether it was accepted.
    LogIn(bool),
    /// News of an order.
    Order,
    /// Acknowledgements, notices, and what nobody knows.
    Other,
}

/// The members of a message, as they stand in it.
pub struct Message<'a>(SmallVec<[(&'a str, &'a str); MEMBERS]>);

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

impl<'a> Message<'a> {
    /// Reads a message; None when it is no JSON object. It allocates nothing, unless there are more members than any message
    /// of the brokers has.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Members and their values, in order. Those that are empty, which some brokers write as `-`, are not there.
    pub fn members(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }

    /// The last value of a name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rfind(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// What it is about.
    pub fn kind(&self) -> Kind {
        // Some say it in one member, some in the other.
        let is_accepted =
            || self.get("s").or_else(|| self.get("k")).is_some_and(|word| word.eq_ignore_ascii_case("ok"));
        match self.get("t") {
            Some("tk") => Kind::Touchline { is_image: true },
            Some("tf") => Kind::Touchline { is_image: false },
            Some("dk") => Kind::Depth { is_image: true },
            Some("df") => Kind::Depth { is_image: false },
            // Each may be the answer to either form of the log-in.
            Some("ck" | "ak" | "cf") => Kind::LogIn(is_accepted()),
            Some("om") => Kind::Order,
            _ => Kind::Other,
        }
    }

    /// The instrument that it is about, which is what the message says and nothing else: brokers answer with another one than was
    /// asked for at times.
    pub fn key(&self) -> Option<Key> {
        Key::of(self.get("e")?, self.get("tk")?)
    }
}

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Message<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = SmallVec::new();
                while let Some(Plain(name)) = map.next_key()? {
                    let Some(name) = name else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    if let Some(value) = written(map.next_value()?) {
                        members.push((name, value));
                    }
                }
                Ok(Message(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// What a value says: a text without anything that is escaped, or a number. None for all else, and for the words for nothing.
fn written(value: &RawValue) -> Option<&str> {
    let value = value.get();
    let text = value.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    text.or(is_number.then_some(value)).filter(|text| !matches!(*text, "" | "-") && !text.contains('\\'))
}

/// A name that can be taken as it stands; those with something escaped are none of the brokers'.
struct Plain<'a>(Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Plain<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl<'de> Visitor<'de> for Name {
            type Value = Plain<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Plain(Some(name)))
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Plain(None))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;

    #[test]
    fn members_are_texts_or_numbers_and_nothing_else() {
        let text = r#"{"t":"tf", "e":"NSE","tk":"22","lp":1400.05,"v":"7","v":"8","a":null,"b":true,"c":[1],"d":{"x":"1"},
            "f":"","g":"-","h":"1\u0030","i\u0030":"5","j":"é"}"#;
        let message = Message::read(text).unwrap();
        let known: Vec<_> = message.members().collect();
        assert_eq!(known[3..], [("lp", "1400.05"), ("v", "7"), ("v", "8"), ("j", "é")]);
        assert_eq!((message.get("v"), message.get("a"), message.get("h")), (Some("8"), None, None));
        assert_eq!(message.kind(), Kind::Touchline { is_image: false });
        assert_eq!(message.key(), Some(Key { exchange: Exchange::Nse, token: 22 }));
        for text in ["", "7", "null", "\"\"", "[]", "{", r#"{"t":}"#, r#"{"lp":NaN}"#, &"[".repeat(100_000)] {
            assert!(Message::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_instrument_has_both_its_names_or_none() {
        for text in [
            r#"{"tk":"22"}"#,
            r#"{"e":"NSE"}"#,
            r#"{"e":"NYSE","tk":"22"}"#,
            r#"{"e":["NSE"],"tk":"22"}"#,
            r#"{"e":"NSE","tk":{"a":1}}"#,
            r#"{"e":"NSE","tk":"22x"}"#,
            r#"{"e":"NSE","tk":"-22"}"#,
            r#"{"e":"NSE","tk":"4294967296"}"#,
        ] {
            assert_eq!(Message::read(text).unwrap().key(), None, "{text}");
        }
    }

    #[test]
    fn a_log_in_is_accepted_by_the_one_word_alone() {
        for (text, is_accepted) in [
            (r#"{"t":"ak","s":"OK"}"#, true),
            (r#"{"t":"ck","s":"Ok"}"#, true),
            (r#"{"t":"cf","k":"OK"}"#, true),
            (r#"{"t":"ck","s":"Not_Ok","emsg":"Session Expired"}"#, false),
            (r#"{"t":"cf","k":"failed"}"#, false),
            (r#"{"t":"ak"}"#, false),
        ] {
            assert_eq!(Message::read(text).unwrap().kind(), Kind::LogIn(is_accepted), "{text}");
        }
        for text in [r#"{"s":"OK"}"#, r#"{"t":"hk"}"#, r#"{"t":7}"#, "{}"] {
            assert_eq!(Message::read(text).unwrap().kind(), Kind::Other, "{text}");
        }
    }

    #[test]
    fn the_longest_message_is_read_without_an_allocation() {
        let mut text =
            r#"{"t":"dk","e":"NSE","tk":"22","ts":"ACC-EQ","pp":"2","ti":"0.05","ls":"1""#.to_owned();
        let prices =
            "lp pc v o h l c ap oi toi poi ltt ltq tbq tsq uc lc 52h 52l ft".split(' ').map(str::to_owned);
        let cells = ["bp", "bq", "bo", "sp", "sq", "so"];
        let cells = cells.iter().flat_map(|cell| (1..=5).map(move |level| format!("{cell}{level}")));
        text.extend(prices.chain(cells).map(|name| format!(r#","{name}":"12345.05""#)));
        text.push('}');
        let used = allocation_counter::measure(|| {
            assert!(Message::read(&text).unwrap().members().count() > 50);
        });
        assert_eq!(used.count_total, 0);
    }
}
