//! Values that no JSON has, taken out of a body so that the rest of it can be read.
//!
//! Python writes `NaN`, `Infinity` and `-Infinity` where it has no number, C prints `nan` and `-inf`, and
//! some programs write numbers that no double holds, or halves of characters. The JSON parser ends at the
//! first of them. Bodies without any, which is all of them on most days, never come here.

use std::borrow::Cow;

/// Values that were taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Removed {
    /// Words for what is no finite number.
    pub(super) not_finite: u64,
    /// Numbers beyond a double, and texts that are no Unicode.
    pub(super) unreadable: u64,
}

/// Copies `body` to `out` with `null` for each number, and `""` for each text, that no JSON parser takes
/// although its extent is clear. None when there is no such value: then something else is wrong. Everything
/// else stays as it is.
pub(super) fn repair(body: &[u8], out: &mut Vec<u8>) -> Option<Removed> {
    out.clear();
    let mut removed = Removed::default();
    let mut rest = body;
    while let Some(first) = rest.first() {
        let length = if *first == b'"' { text_length(rest) } else { word_length(rest) };
        // What parts values is a byte of its own.
        let (token, behind) = rest.split_at_checked(length.max(1))?;
        out.extend_from_slice(match token {
            [b'"', ..] if is_no_unicode(token) => {
                removed.unreadable += 1;
                b"\"\""
            }
            [b'"', ..] => token,
            word => match infinite(word) {
                Some(Infinite::Word) => {
                    removed.not_finite += 1;
                    b"null"
                }
                Some(Infinite::Number) => {
                    removed.unreadable += 1;
                    b"null"
                }
                None => word,
            },
        });
        rest = behind;
    }
    (removed != Removed::default()).then_some(removed)
}

/// Length of the text that begins here, with its quotes; that of everything when it does not end.
fn text_length(bytes: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = bytes.iter().skip(1).position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.map_or(bytes.len(), |end| end + 2)
}

/// Length of what stands here up to the next byte that parts values.
fn word_length(bytes: &[u8]) -> usize {
    let parts = |byte: &u8| b"{}[],:\" \t\r\n".contains(byte);
    bytes.iter().position(parts).unwrap_or(bytes.len())
}

enum Infinite {
    Word,
    Number,
}

/// What this word is, if it stands for a number that no double holds.
fn infinite(word: &[u8]) -> Option<Infinite> {
    // `inf`, `infinity` and `nan` in any case, and numbers too large are what is parsed to no finite one.
    let number: f64 = std::str::from_utf8(word).ok()?.parse().ok()?;
    if number.is_finite() {
        return None;
    }
    Some(if word.iter().any(u8::is_ascii_digit) { Infinite::Number } else { Infinite::Word })
}

/// Whether this text has halves of characters (`\ud800`), which is legal JSON, but no text.
fn is_no_unicode(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair == b"\\u") && serde_json::from_slice::<Cow<'_, str>>(text).is_err()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repaired(body: &str) -> Option<(String, u64, u64)> {
        let mut out = b"of the one before".to_vec();
        let removed = repair(body.as_bytes(), &mut out)?;
        Some((String::from_utf8(out).unwrap(), removed.not_finite, removed.unreadable))
    }

    #[test]
    fn only_values_that_no_json_has_are_taken_out() {
        for (body, expected) in [
            ("[NaN,-Infinity , 1]", ("[null,null , 1]", 2, 0)),
            (
                "{\"a\":inf,\"NaN\":\"NaN\\\\\",\"b\\\"NaN\":nan}",
                ("{\"a\":null,\"NaN\":\"NaN\\\\\",\"b\\\"NaN\":null}", 2, 0),
            ),
            ("[1e999,-1e400,1e-400]", ("[null,null,1e-400]", 0, 2)),
            ("[\"\\ud800\",\"\\u0041\",NaN]", ("[\"\",\"\\u0041\",null]", 1, 1)),
            ("NaN", ("null", 1, 0)),
            ("[NaN", ("[null", 1, 0)),
        ] {
            let (text, not_finite, unreadable) = expected;
            assert_eq!(repaired(body), Some((text.to_owned(), not_finite, unreadable)), "{body}");
        }
    }

    #[test]
    fn what_is_wrong_otherwise_is_left_to_the_parser() {
        for body in [
            "",
            "{",
            "[1 2]",
            "[Na]",
            "[NaNs]",
            "[undefined]",
            "[007,+5,.5]",
            "[\"NaN",
            "{\"a\":\"\\",
            "[\u{7f}]",
        ] {
            assert_eq!(repaired(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn good_json_stays_as_it_is_and_bad_grows_little(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut out = Vec::new();
            if repair(&body, &mut out).is_none() {
                prop_assert_eq!(&out, &body);
            }
            prop_assert!(out.len() <= body.len() + body.len() / 3);
        }
    }
}
