//! The objects of a long array of JSON, one by one, of which none can spoil another.
//!
//! Tens of megabytes are never whole for long: a bare `NaN` of a Python program, a quote too many, a connection that ended. A
//! parser of the whole refuses all of it. Here what cannot be read costs itself, and reading goes on at the next brace.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Read},
};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, Visitor},
};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// Longest object, in bytes. Those of brokers have some 250.
const MAX_OBJECT_BYTES: usize = 8 << 10;

/// The objects of an array.
#[derive(Debug)]
pub(super) struct Objects<R> {
    input: R,
    buffer: Vec<u8>,
    /// What was dealt with.
    start: usize,
    is_at_end: bool,
    /// What stood between objects, or was none to its end.
    damaged: usize,
    /// Whether the last that was dealt with ends an array.
    has_end: bool,
}

impl<R: Read> Objects<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), start: 0, is_at_end: false, damaged: 0, has_end: false }
    }

    /// Where the text comes from.
    pub(super) const fn input(&self) -> &R {
        &self.input
    }

    /// Elements of the array that are no objects, or damaged.
    pub(super) const fn damaged(&self) -> usize {
        self.damaged
    }

    /// Whether the text ends before its array does, as far as it was read. What is behind is missing.
    pub(super) const fn is_cut_off(&self) -> bool {
        !self.has_end
    }

    /// Gives the next object to `read`, as it stands there, and once more with `null` for every bare word that is no value
    /// of JSON if it could not be read; none at the end.
    pub(super) fn next<T>(&mut self, mut read: impl FnMut(&[u8]) -> Option<T>) -> io::Result<Option<T>> {
        let (mut is_stray, mut is_damaged) = (false, false);
        loop {
            self.fill()?;
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let Some(first) = rest.first() else {
                self.damaged += usize::from(is_stray);
                return Ok(None);
            };
            if *first != b'{' {
                // Elements that are no objects, each up to its comma.
                let ends = *first == b',' && std::mem::take(&mut is_stray);
                self.damaged += usize::from(ends);
                let is_part = !matches!(first, b',' | b'[' | b']') && !first.is_ascii_whitespace();
                // What follows a damaged object belongs to it.
                is_stray |= is_part && !is_damaged;
                self.has_end = *first == b']' || (self.has_end && first.is_ascii_whitespace());
                self.start += 1;
                continue;
            }
            self.damaged += usize::from(std::mem::take(&mut is_stray));
            self.has_end = false;
            let object = end_of(rest).and_then(|end| rest.get(..end));
            let made = object.and_then(|object| {
                let made = read(object).or_else(|| read(&without_bare_words(object)));
                made.map(|made| (made, object.len()))
            });
            if let Some((made, length)) = made {
                self.start += length;
                return Ok(Some(made));
            }
            self.damaged += 1;
            is_damaged = true;
            // Whatever is wrong with it, the next one begins with a brace.
            self.start += 1;
        }
    }

    /// Sees to it that the buffer holds the longest object, or all that is left.
    fn fill(&mut self) -> io::Result<()> {
        while !self.is_at_end && self.buffer.len() - self.start < MAX_OBJECT_BYTES {
            self.buffer.drain(..self.start);
            self.start = 0;
            let limit = u64::try_from(BUFFER_BYTES).unwrap_or(u64::MAX);
            let count = self.input.by_ref().take(limit).read_to_end(&mut self.buffer)?;
            self.is_at_end = count == 0;
        }
        Ok(())
    }
}

/// Where an object ends that begins the text. None when it does not, or not soon enough.
fn end_of(text: &[u8]) -> Option<usize> {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for (place, byte) in text.iter().take(MAX_OBJECT_BYTES).enumerate() {
        match byte {
            _ if std::mem::take(&mut is_escaped) => {}
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'{' if !is_text => depth += 1,
            b'}' if !is_text => {
                depth -= 1;
                if depth == 0 {
                    return Some(place + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The object with `null` for what stands outside of texts and is no value, such as `NaN` and `-Infinity`.
fn without_bare_words(object: &[u8]) -> Vec<u8> {
    let mut repaired = Vec::with_capacity(object.len());
    let mut rest = object;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => text_length(rest),
            byte if is_of_word(*byte) => {
                rest.iter().position(|byte| !is_of_word(*byte)).unwrap_or(rest.len())
            }
            _ => 1,
        };
        let Some((part, after)) = rest.split_at_checked(length) else { break };
        let is_value = !is_of_word(*first) || serde_json::from_slice::<serde_json::Value>(part).is_ok();
        repaired.extend_from_slice(if is_value { part } else { b"null" });
        rest = after;
    }
    repaired
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'#')
}

/// The length of a text that begins here, with its quotes.
fn text_length(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

/// Whether a column or member is called one of the names that stand there with bars between them. Capitals do not count.
pub(super) fn is_named(names: &str, name: &str) -> bool {
    // Nearly all have one: a list has a million members to look at.
    names.eq_ignore_ascii_case(name)
        || names.as_bytes().contains(&b'|') && names.split('|').any(|known| known.eq_ignore_ascii_case(name))
}

/// The members of an object that have these names, in this order: texts, and numbers as texts. What is missing, null or
/// anything else is none. A name with a dot is that of a member within another. None for what is no object.
pub(super) fn cells<'a, const N: usize>(
    object: &'a [u8],
    names: &[&str; N],
) -> Option<[Option<Cow<'a, str>>; N]> {
    let mut reader = serde_json::Deserializer::from_slice(object);
    let mut cells = [const { None }; N];
    let is_nested = names.iter().any(|name| name.contains('.'));
    Within { names, is_nested, outer: "", cells: &mut cells }.deserialize(&mut reader).ok()?;
    reader.end().is_ok().then_some(cells)
}

/// Takes the members of an object into their cells.
struct Within<'n, 'c, 'a, const N: usize> {
    names: &'n [&'n str; N],
    /// Whether any of them is within a member.
    is_nested: bool,
    /// The names of the members around this object, each with a dot behind it; none for the row itself.
    outer: &'n str,
    cells: &'c mut [Option<Cow<'a, str>>; N],
}

impl<'de: 'a, 'a, const N: usize> DeserializeSeed<'de> for Within<'_, '_, 'a, N> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        // What stands where an object should be has no members, but a row is one.
        if self.outer.is_empty() {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de: 'a, 'a, const N: usize> Visitor<'de> for Within<'_, '_, 'a, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instrument")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { names, is_nested, outer, cells } = self;
        while let Some(Cell(name)) = members.next_key()? {
            let name =
                name.map(|name| if outer.is_empty() { name } else { Cow::Owned(format!("{outer}{name}")) });
            let name = name.as_deref().unwrap_or_default();
            let place = names.iter().position(|known| is_named(known, name));
            if let Some(cell) = place.and_then(|place| cells.get_mut(place)) {
                *cell = members.next_value::<Cell<'de>>()?.0;
            } else if is_nested && names.iter().any(|known| is_around(name, known)) {
                let outer = &format!("{name}.");
                members.next_value_seed(Within { names, is_nested, outer, cells: &mut *cells })?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Whether any of the names that stand there with bars between them is of a member within this one.
fn is_around(name: &str, known: &str) -> bool {
    known.split('|').any(|known| {
        let inner = known.split_at_checked(name.len());
        inner.is_some_and(|(outer, inner)| outer.eq_ignore_ascii_case(name) && inner.starts_with('.'))
    })
}

struct Cell<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Cell<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CellVisitor).map(Self)
    }
}

struct CellVisitor;

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn read(text: &[u8]) -> (Vec<Value>, usize) {
        let mut objects = Objects::new(text);
        let mut found = Vec::new();
        while let Some(one) = objects.next(|object| serde_json::from_slice(object).ok()).unwrap() {
            found.push(one);
        }
        (found, objects.damaged())
    }

    #[test]
    fn what_is_damaged_costs_itself() {
        let is_read = |text: &str, keys: &[i64], damaged: usize| {
            let (found, count) = read(text.as_bytes());
            let found: Vec<i64> = found.iter().map(|one| one["k"].as_i64().unwrap_or(-1)).collect();
            assert_eq!((found.as_slice(), count), (keys, damaged), "{text}");
        };
        is_read("", &[], 0);
        is_read("[]", &[], 0);
        is_read("<html>", &[], 1);
        is_read(r#"[{"k":1}, {"k":2,"t":"}{\"]"},{"k":3,"o":{"k":[{}]}}]"#, &[1, 2, 3], 0);
        is_read(r#"[{"k":1},7,null,"x",["y"],{"k":2}]"#, &[1, 2], 4);
        is_read(r#"[{"k":1,"n":NaN,"i":-Infinity,"o":None,"t":"NaN"},{"k":NaN}]"#, &[1, -1], 0);
        is_read(r#"[{"k":1},{"k":2,"t":"x""},{"k":3},{"k":4}]"#, &[1, 3, 4], 1);
        is_read(r#"[{"k":1},{"k":2,"t":"x},{"k":3},{"k":4}]"#, &[1, 3, 4], 1);
        is_read(r#"[{"k":1},{"k":2 {"k":3},{"k":4}]"#, &[1, 3, 4], 1);
        is_read(r#"[{"k":1},"k":2},{"k":3}]"#, &[1, 3], 1);
        is_read(r#"[{"k":1},{"k":2},{"k"#, &[1, 2], 1);
        is_read(&format!(r#"[{{"k":1}},{{"t":"{}"}},{{"k":3}}]"#, "x".repeat(300_000)), &[1, 3], 1);
    }

    #[test]
    fn a_bare_word_becomes_null_and_its_value_is_lost_alone() {
        let (found, _) =
            read(br#"{"a":NaN,"b":"NaN, \"NaN","c":1.5e-3,"d":-Infinity,"e":[nan,true],"f":007}"#);
        let wanted = serde_json::json!(
            [{"a":null, "b":"NaN, \"NaN", "c":0.0015, "d":null, "e":[null, true], "f":null}]
        );
        assert_eq!(Value::from(found), wanted);
    }

    #[test]
    fn cells_are_texts_and_numbers_and_nothing_else() {
        let read = |object: &str| {
            let cells = cells(object.as_bytes(), &["a", "x|B"])?;
            Some(cells.map(|cell| cell.map(Cow::into_owned)))
        };
        let both = |a: Option<&str>, b: Option<&str>| Some([a, b].map(|cell| cell.map(str::to_owned)));
        assert_eq!(read(r#"{"b":"x","z":[{"a":1}],"a":"\u0041\n"}"#), both(Some("A\n"), Some("x")));
        assert_eq!(read(r#"{"a":7,"b":-1.5}"#), both(Some("7"), Some("-1.5")));
        assert_eq!(
            read(r#"{"a":"1","a":"2","b":""}"#),
            both(Some("2"), Some("")),
            "the last of a name counts"
        );
        for odd in ["null", "true", "{\"a\":1}", "[1,[2]]"] {
            assert_eq!(read(&format!(r#"{{"a":{odd},"b":1}}"#)), both(None, Some("1")), "{odd}");
        }
        assert_eq!(read("{}"), both(None, None));
        let nested = |object: &str| {
            let cells = cells(object.as_bytes(), &["u.symbol", "x|U.v.n"]).unwrap();
            cells.map(|cell| cell.map(Cow::into_owned))
        };
        let both = |a: Option<&str>, b: Option<&str>| [a, b].map(|cell| cell.map(str::to_owned));
        assert_eq!(
            nested(r#"{"symbol":"no","u":{"symbol":"BTC","n":7,"v":{"n":8,"symbol":"no"}},"v":{"n":9}}"#),
            both(Some("BTC"), Some("8"))
        );
        assert_eq!(nested(r#"{"u":{"symbol":{"u":1}},"x":"7"}"#), both(None, Some("7")));
        for odd in ["null", "7", "-7", "0.5", "true", r#""BTC""#, r#"[{"symbol":"BTC"}]"#, "{}"] {
            assert_eq!(nested(&format!(r#"{{"u":{odd},"x":1}}"#)), both(None, Some("1")), "{odd}");
        }
        for text in ["[]", "7", "{} x", r#"{"a":NaN}"#, r#"{"a":1"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_stands_before_and_behind_damage_is_read(
            damage in proptest::collection::vec(any::<u8>(), 0..80),
            place in 0_usize..30,
            is_cut in any::<bool>(),
        ) {
            let mut text = b"[".to_vec();
            for row in 0..30 {
                if row == place {
                    text.extend_from_slice(&damage);
                    if is_cut {
                        break;
                    }
                    text.push(b',');
                }
                text.extend_from_slice(format!(r#"{{"k":{row},"name":"{{A}}\\","o":{{}}}},"#).as_bytes());
            }
            let (found, _) = read(&text);
            let has = |row: usize| found.iter().any(|one| one["k"] == row);
            prop_assert!((0..place).all(has));
            prop_assert!(is_cut || (place..30).all(has));
        }
    }
}
