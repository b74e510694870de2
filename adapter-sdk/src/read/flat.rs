//! Messages that are one JSON object of texts and numbers, read where they lie.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

/// The members of a message that is one flat JSON object, as they stand in it: for brokers that write numbers
/// as texts, or as numbers, as they like. Nothing is allocated for the first `N` members, which should be
/// those of the broker's longest message.
///
/// A member is there if its value is a text without anything escaped, or a number, and its name has nothing
/// escaped. Those that are null, true, false, an array or an object are not, and neither are the words for
/// nothing: an empty text, and `-`.
///
/// ```
/// let message = adapter_sdk::read::Flat::<8>::read(r#"{"t":"tf","lp":"101.50","v":7,"o":"","x":[1]}"#).unwrap();
/// assert_eq!(message.members().collect::<Vec<_>>(), [("t", "tf"), ("lp", "101.50"), ("v", "7")]);
/// assert_eq!(message.get("v"), Some("7"));
/// ```
#[derive(Clone)]
pub struct Flat<'a, const N: usize>(SmallVec<[(&'a str, &'a str); N]>);

impl<const N: usize> fmt::Debug for Flat<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // They may hold a token.
        f.debug_struct("Flat").field("members", &self.0.len()).finish_non_exhaustive()
    }
}

impl<'a, const N: usize> Flat<'a, N> {
    /// None when it is no JSON object.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Names and values, in order.
    pub fn members(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }

    /// The last value of a name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rfind(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Flat<'de, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<const N: usize>;

        impl<'de, const N: usize> Visitor<'de> for Object<N> {
            type Value = Flat<'de, N>;

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
                Ok(Flat(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// What a value says; none for what is no member.
fn written(value: &RawValue) -> Option<&str> {
    let value = value.get();
    let text = value.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    text.or(is_number.then_some(value)).filter(|text| !matches!(*text, "" | "-") && !text.contains('\\'))
}

/// A name that can be taken as it stands.
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn members_are_texts_or_numbers_and_nothing_else() {
        let text = r#"{"t":"tf", "lp":1400.05,"v":"7","v":"8","a":null,"b":true,"c":[1],"d":{"x":"1"},"f":"","g":"-",
            "h":"1\u0030","i\u0030":"5","j":"é","k":-1}"#;
        let message = Flat::<2>::read(text).unwrap();
        let known: Vec<_> = message.members().collect();
        assert_eq!(known, [("t", "tf"), ("lp", "1400.05"), ("v", "7"), ("v", "8"), ("j", "é"), ("k", "-1")]);
        assert_eq!((message.get("v"), message.get("a"), message.get("h")), (Some("8"), None, None));
        for text in ["", "7", "null", "\"\"", "[]", "{", r#"{"t":}"#, r#"{"lp":NaN}"#, &"[".repeat(100_000)] {
            assert!(Flat::<2>::read(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}") {
            let _any = Flat::<2>::read(&text);
            let object = format!(r#"{{"{text}":"{text}","a":{text}}}"#);
            let _any = Flat::<2>::read(&object);
        }
    }
}
