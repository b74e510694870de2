//! Messages of orders: JSON objects whose members may be missing, null, a number, a text, or anything else.

use std::{borrow::Cow, cell::RefCell, collections::BTreeSet, fmt};

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tracing::warn;

use super::{Sign, number};
use crate::Price;

/// Longest text that is taken, in bytes. What is longer is none of what orders have, and would make the
/// update too long for the host.
const MAX_TEXT_BYTES: usize = 1 << 10;

/// Members whose odd values were logged. It is kept for as long as messages come, so that each name is logged
/// once.
#[derive(Debug, Default)]
pub struct Odd(RefCell<BTreeSet<&'static str>>);

impl Odd {
    /// Nothing was odd so far.
    pub const fn new() -> Self {
        Self(RefCell::new(BTreeSet::new()))
    }

    /// Names of the members that were odd.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.borrow().iter().copied().collect()
    }

    fn note(&self, member: &'static str) {
        if self.0.borrow_mut().insert(member) {
            // Not its value, which nobody knows.
            warn!(
                member,
                "A member of an order message makes no sense and is left out; more of it are not logged"
            );
        }
    }
}

/// The members of an object, each read when it is asked for: one that makes no sense is absent, and spoils no
/// other.
pub struct Members<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
    odd: &'a Odd,
}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Members").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

impl<'a> Members<'a> {
    /// None when it is no JSON object.
    pub fn read(json: &'a str, odd: &'a Odd) -> Option<Self> {
        let All(members) = serde_json::from_str(json).ok()?;
        Some(Self { members, odd })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A text, or a whole number as one. None when it is missing, null, empty, anything else, or longer than
    /// a kilobyte.
    pub fn text(&self, name: &'static str) -> Option<String> {
        let value = self.value(name)?;
        let text = match value.as_bytes().first() {
            Some(b'"') => serde_json::from_str::<String>(value).ok(),
            _ => whole(value).map(|number| number.to_string()),
        };
        let text = text.filter(|text| text.len() <= MAX_TEXT_BYTES);
        self.noted(name, text).filter(|text| !text.is_empty())
    }

    /// A finite number, or a text that is one. None when it is missing, null, empty, or anything else.
    pub fn number(&self, name: &'static str) -> Option<f64> {
        self.noted(name, self.written(name)?.parse().ok().filter(|number: &f64| number.is_finite()))
    }

    /// A whole number that is not below zero, as quantities are; `10.0` and `"10"` are. None when it is
    /// missing, null, empty, or anything else: it is never rounded, and never zero because it could not be
    /// read.
    pub fn whole(&self, name: &'static str) -> Option<i64> {
        self.noted(name, whole(&self.written(name)?).filter(|number| *number >= 0))
    }

    /// A price, exactly as it is written, in a number or in a text. None when it is missing, null, empty, or
    /// no price can be so ([`plausible`](super::plausible)).
    pub fn price(&self, name: &'static str, sign: Sign) -> Option<Price> {
        self.noted(name, number::price(&self.written(name)?, sign))
    }

    /// A time as a whole number of any unit ([`of_any_unit`](super::of_any_unit)), in nanoseconds since the
    /// Unix epoch.
    pub fn time(&self, name: &'static str) -> Option<u64> {
        self.noted(name, number::time(&self.written(name)?))
    }

    /// An object within this one.
    pub fn object(&self, name: &'static str) -> Option<Self> {
        let value = self.value(name)?;
        self.noted(name, Self::read(value, self.odd))
    }

    /// Whether it is there, and not null.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The last of this name, unless it is null.
    fn value(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.members.iter().rfind(|(known, _)| known == name)?;
        Some(value.get()).filter(|value| *value != "null")
    }

    /// What a number is read from. None when there is nothing.
    fn written(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = self.value(name)?;
        let written = match serde_json::from_str::<String>(value) {
            Ok(text) => Cow::Owned(text.trim().to_owned()),
            Err(_) => Cow::Borrowed(value),
        };
        Some(written).filter(|written| !written.is_empty())
    }

    fn noted<T>(&self, name: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.odd.note(name);
        }
        value
    }
}

/// A whole number, whether it is written with a fraction of zeros or not.
fn whole(written: &str) -> Option<i64> {
    /// Up to 2^53 a floating-point number is exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(number) = written.parse() {
        return Some(number);
    }
    let number: f64 = written.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and in the range")]
    let whole = (number.abs() <= EXACT && number.fract() == 0.0).then_some(number as i64);
    whole
}

/// Gives the members of an object to `read`; of one with bare words such as `NaN`, which are no JSON but no
/// reason to lose an order either, those that [`mended`] leaves. None when it is no object even so.
pub fn members<T>(json: &str, odd: &Odd, read: impl Fn(&Members<'_>) -> T) -> Option<T> {
    if let Some(members) = Members::read(json, odd) {
        return Some(read(&members));
    }
    Members::read(&mended(json)?, odd).map(|members| read(&members))
}

/// JSON whose bare words `NaN`, `Infinity` and `-Infinity`, which some programs write for numbers, are
/// `null`. None when there are none.
pub fn mended(json: &str) -> Option<String> {
    const WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let (mut mended, mut rest) = (String::new(), json);
    let mut is_mended = false;
    while let Some(next) = rest.chars().next() {
        let length = if next == '"' { text_length(rest) } else { next.len_utf8() };
        if let Some(behind) = WORDS.iter().find_map(|word| rest.strip_prefix(word)) {
            mended.push_str("null");
            (rest, is_mended) = (behind, true);
            continue;
        }
        let (kept, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        mended.push_str(kept);
        rest = behind;
    }
    is_mended.then_some(mended)
}

/// Bytes of the text that begins here, with its quotes.
fn text_length(json: &str) -> usize {
    let mut is_escaped = false;
    for (place, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !is_escaped => return place + 1,
            b'\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    json.len()
}

struct All<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for All<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = All<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(All(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_words_spoil_no_members() {
        let price = |json: &str| members(json, &Odd::new(), |members| members.number("price"));
        assert_eq!(price(r#"{"price":1.5}"#), Some(Some(1.5)));
        assert_eq!(price(r#"{"price":1.5,"more":NaN}"#), Some(Some(1.5)));
        assert_eq!(price(r#"{"price":Infinity}"#), Some(None));
        for text in ["", "[NaN]", "{", r#"{"price":NaN"#] {
            assert_eq!(price(text), None, "{text}");
        }
    }

    fn with<T>(value: &str, read: impl FnOnce(&Members<'_>) -> T) -> (T, bool) {
        let (json, odd) = (format!(r#"{{"other":1,"a":{value},"z":"ok"}}"#), Odd::new());
        let members = Members::read(&json, &odd).unwrap();
        let taken = read(&members);
        assert_eq!(members.text("z").unwrap(), "ok");
        let names = odd.names();
        assert!(names.is_empty() || names == ["a"]);
        (taken, !names.is_empty())
    }

    #[test]
    fn quantities_are_whole_or_absent() {
        for (value, wanted) in
            [("10", 10), ("\"10\"", 10), ("10.0", 10), ("\" 10.00 \"", 10), ("0", 0), ("1e3", 1_000)]
        {
            assert_eq!(with(value, |members| members.whole("a")), (Some(wanted), false), "{value}");
        }
        for value in ["null", "\"\"", "\" \""] {
            assert_eq!(with(value, |members| members.whole("a")), (None, false), "{value}");
        }
        let odd = [
            "1.5",
            "-1",
            "\"ten\"",
            "\"1,000\"",
            "true",
            "[1]",
            "{}",
            "1e400",
            "1e30",
            "\"NaN\"",
            "\"inf\"",
            "\"\\ud800\"",
        ];
        for value in odd {
            assert_eq!(with(value, |members| members.whole("a")), (None, true), "{value}");
        }
    }

    #[test]
    fn numbers_are_finite_or_absent() {
        for (value, wanted) in [("0.05", 0.05), ("\"550\"", 550.0), ("-3", -3.0)] {
            assert_eq!(with(value, |members| members.number("a")), (Some(wanted), false), "{value}");
        }
        for value in ["1e400", "\"NaN\"", "\"Infinity\"", "false", "[]", "\"free\""] {
            assert_eq!(with(value, |members| members.number("a")), (None, true), "{value}");
        }
    }

    #[test]
    fn texts_may_be_numbers_and_nothing_else() {
        for (value, wanted) in
            [("\"x\"", "x"), ("240101000001234", "240101000001234"), ("7.0", "7"), ("\"\\u20b9\"", "₹")]
        {
            assert_eq!(with(value, |members| members.text("a")), (Some(wanted.to_owned()), false), "{value}");
        }
        let long = format!("\"{}\"", "x".repeat(1_025));
        for value in ["true", "[\"x\"]", "{\"x\":1}", "1.5", "\"\\ud800\"", &long] {
            assert_eq!(with(value, |members| members.text("a")), (None, true), "{value}");
        }
        assert_eq!(with("\"\"", |members| members.text("a")), (None, false));
    }

    #[test]
    fn the_last_of_a_name_counts_and_what_is_missing_is_not_odd() {
        let odd = Odd::new();
        let members = Members::read(r#"{"a":1,"a":2,"b":null}"#, &odd).unwrap();
        assert_eq!((members.whole("a"), members.whole("b"), members.whole("c")), (Some(2), None, None));
        assert!(!members.has("b") && !members.is_empty() && odd.names().is_empty());
        for json in ["", "[]", "7", "null", "\"{}\"", "{\"a\":NaN}"] {
            assert!(Members::read(json, &odd).is_none(), "{json}");
        }
    }

    #[test]
    fn bare_words_become_null_outside_of_texts() {
        let mended_text = mended(r#"{"a":NaN,"b":[Infinity,-Infinity],"c":"NaN \" NaN","d":"\\","e":NaN}"#);
        assert_eq!(mended_text.unwrap(), r#"{"a":null,"b":[null,null],"c":"NaN \" NaN","d":"\\","e":null}"#);
        for json in ["", r#"{"a":"NaN"}"#, r#"{"a":1}"#, "\"never ends NaN", "é\""] {
            assert_eq!(mended(json), None, "{json}");
        }
    }
}
