//! The objects of a long array of JSON, one by one, of which none can spoil another.
//!
//! Tens of megabytes are never whole for long: a bare `NaN` of a Python program, a quote too many, a
//! connection that ended. A parser of the whole refuses all of it. Here what cannot be read costs itself, and
//! reading goes on at the next brace.

use std::io::{self, Read};

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

    /// Gives the next object to `read`, as it stands there, and once more with `null` for every bare word
    /// that is no value of JSON if it could not be read; none at the end.
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
