//! What an adapter says of its list of instruments: read with bounds, and put into words for people.

use std::{borrow::Cow, fmt::Write as _};

use serde::{Deserialize, Serialize};

/// Troubles that are kept of one list; the rest is only counted.
const MAX_TROUBLES: usize = 32;

/// Longest name of a segment, in bytes.
const MAX_SEGMENT_BYTES: usize = 64;

/// Longest reason of a trouble, in bytes.
const MAX_REASON_BYTES: usize = 512;

/// Troubles that are spelt out in a sentence.
const TROUBLES_IN_WORDS: usize = 4;

/// What an adapter says of its list of instruments. Its texts hold no secret of the account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListReport {
    /// Everything is there that the last good list lets expect.
    pub is_whole: bool,
    /// Instruments that can be subscribed.
    pub instruments: u64,
    /// Rows that could not be read and were left out.
    pub skipped: u64,
    /// When it was made or fetched, in seconds since the Unix epoch; 0 when nobody knows. Of several files
    /// the newest.
    pub fetched_at: u64,
    /// The same of its oldest rows.
    pub oldest_at: u64,
    /// The segment that those are of, at most 64 bytes; empty where all are of one list.
    pub oldest_segment: String,
    /// What is wrong with it, at most 32 of them; empty when it is whole.
    pub troubles: Vec<ListTrouble>,
    /// Troubles beyond those.
    pub more_troubles: u64,
}

/// A part of a list that is not as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ListTrouble {
    /// The segment, at most 64 bytes.
    pub segment: String,
    /// Rows that the broker sent.
    pub rows: u64,
    /// Rows of the last good list.
    pub expected: u64,
    /// What is wrong, at most 512 bytes.
    pub reason: String,
}

/// As adapters say it. Members that nobody knows are no mistake.
#[derive(Deserialize)]
struct Said {
    is_whole: bool,
    #[serde(default)]
    instruments: u64,
    #[serde(default)]
    skipped: u64,
    #[serde(default)]
    fetched_at: u64,
    #[serde(default)]
    oldest_at: u64,
    #[serde(default)]
    oldest_segment: String,
    #[serde(default)]
    troubles: Vec<SaidTrouble>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct SaidTrouble {
    segment: String,
    rows: u64,
    expected: u64,
    reason: String,
}

impl ListReport {
    /// Reads what an adapter said; `redact` takes secrets out of a text. None when it makes no sense.
    pub(super) fn read(json: &str, redact: impl Fn(&str) -> Cow<'_, str>) -> Option<Self> {
        let Said { is_whole, instruments, skipped, fetched_at, oldest_at, oldest_segment, troubles } =
            serde_json::from_str(json).ok()?;
        let all = troubles.len();
        let troubles: Vec<ListTrouble> = troubles
            .into_iter()
            .take(MAX_TROUBLES)
            .map(|SaidTrouble { segment, rows, expected, reason }| ListTrouble {
                segment: tidy(&redact(&segment), MAX_SEGMENT_BYTES),
                rows,
                expected,
                reason: tidy(&redact(&reason), MAX_REASON_BYTES),
            })
            .collect();
        let more_troubles = all.saturating_sub(troubles.len()) as u64;
        // Whatever it says of itself: with a trouble it is not whole.
        Some(Self {
            is_whole: is_whole && all == 0,
            instruments,
            skipped,
            fetched_at,
            // An adapter that says nothing of it has one list, of one age.
            oldest_at: if oldest_at == 0 { fetched_at } else { oldest_at },
            oldest_segment: tidy(&redact(&oldest_segment), MAX_SEGMENT_BYTES),
            troubles,
            more_troubles,
        })
    }

    /// What is wrong with it, in a sentence; none when it is whole.
    pub fn trouble(&self) -> Option<String> {
        if self.is_whole {
            return None;
        }
        let mut text = String::from("its list of instruments is incomplete");
        for (place, trouble) in self.troubles.iter().take(TROUBLES_IN_WORDS).enumerate() {
            let ListTrouble { segment, rows, expected, reason } = trouble;
            let start = if place == 0 { ": " } else { "; " };
            // Writing to a string cannot fail.
            _ = write!(text, "{start}{segment} has {rows} of {expected} rows");
            if !reason.is_empty() {
                _ = write!(text, " ({reason})");
            }
        }
        let rest =
            (self.troubles.len().saturating_sub(TROUBLES_IN_WORDS) as u64).saturating_add(self.more_troubles);
        if rest > 0 {
            _ = write!(text, "; and {rest} more");
        }
        Some(text)
    }

    /// The list that speaks for several: one that is not whole, and of equals the newest.
    pub(super) fn worst<'a, T: AsRef<Self>>(lists: impl Iterator<Item = &'a T>) -> Option<&'a T> {
        lists.max_by_key(|list| (!list.as_ref().is_whole, list.as_ref().fetched_at))
    }
}

/// The text without control characters, cut to so many bytes. Secrets are taken out before, since a part of
/// one is one.
fn tidy(text: &str, most: usize) -> String {
    let cut = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    cut.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<ListReport> {
        ListReport::read(json, |text| Cow::Owned(text.replace("hunter2", "[redacted]")))
    }

    #[test]
    fn what_the_sdk_says_is_read_whole() {
        let list = read(
            r#"{"is_whole":false,"instruments":2005,"skipped":3,"fetched_at":1764500000,"troubles":[
                {"segment":"NFO","rows":1004,"expected":2005,"reason":"the last good rows are used"}]}"#,
        )
        .unwrap();
        assert_eq!((list.is_whole, list.instruments, list.skipped), (false, 2_005, 3));
        assert_eq!(list.fetched_at, 1_764_500_000);
        assert_eq!(
            list.trouble().unwrap(),
            "its list of instruments is incomplete: NFO has 1004 of 2005 rows (the last good rows are used)"
        );
        let whole = r#"{"is_whole":true,"instruments":9,"skipped":0,"fetched_at":1764500000,"troubles":[]}"#;
        assert_eq!(read(whole).unwrap().trouble(), None);
        assert_eq!(read(whole).unwrap().oldest_at, 1_764_500_000, "all is of one age");
        assert_eq!(read(whole).unwrap().oldest_segment, "");
        let mixed =
            r#"{"is_whole":false,"fetched_at":1764500000,"oldest_at":1764400000,"oldest_segment":"CDS\n"}"#;
        let mixed = read(mixed).unwrap();
        assert_eq!((mixed.oldest_at, mixed.oldest_segment.as_str()), (1_764_400_000, "CDS "));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_what_is_missing_is_nothing() {
        for json in [
            "",
            "[]",
            "null",
            "{}",
            r#"{"is_whole":1}"#,
            r#"{"is_whole":true,"instruments":-1}"#,
            r#"{"is_whole":true,"skipped":1.5}"#,
            r#"{"is_whole":false,"troubles":{}}"#,
            r#"{"is_whole":false,"troubles":[1]}"#,
            r#"{"is_whole":true,"fetched_at":99999999999999999999}"#,
            r#"{"is_whole":true"#,
        ] {
            assert_eq!(read(json), None, "{json}");
        }
        let bare = read(r#"{"is_whole":false,"later":[{}]}"#).unwrap();
        assert_eq!(bare.trouble().unwrap(), "its list of instruments is incomplete");
        let torn = read(r#"{"is_whole":true,"troubles":[{"segment":"MCX"}]}"#).unwrap();
        assert!(!torn.is_whole, "a list with a trouble is not whole");
    }

    #[test]
    fn texts_are_bounded_in_number_and_length_and_hold_no_secret() {
        let trouble = format!(
            r#"{{"segment":"{}","rows":1,"expected":2,"reason":"{}hunter2\n{}"}}"#,
            "é".repeat(100),
            "x".repeat(MAX_REASON_BYTES - 4),
            "y".repeat(600)
        );
        let troubles = vec![trouble; 40].join(",");
        let list = read(&format!(r#"{{"is_whole":false,"troubles":[{troubles}]}}"#)).unwrap();
        assert_eq!((list.troubles.len(), list.more_troubles), (MAX_TROUBLES, 8));
        assert_eq!(list.troubles[0].segment, "é".repeat(MAX_SEGMENT_BYTES / 2));
        // The beginning of a secret at the cut would be a part of it.
        assert_eq!(list.troubles[0].reason, format!("{}[red", "x".repeat(MAX_REASON_BYTES - 4)));
        let said = list.trouble().unwrap();
        assert!(said.ends_with("; and 36 more") && said.len() < 4_000, "{said}");
        let spread =
            read(r#"{"is_whole":false,"troubles":[{"segment":"a\u0000b\nc","reason":"d\te"}]}"#).unwrap();
        assert_eq!((&*spread.troubles[0].segment, &*spread.troubles[0].reason), ("a b c", "d e"));
    }

    #[test]
    fn of_several_lists_the_incomplete_one_speaks_and_else_the_newest() {
        let list =
            |is_whole, fetched_at| Box::new(ListReport { is_whole, fetched_at, ..ListReport::default() });
        let lists = [list(true, 9), list(false, 3), list(false, 5), list(true, 7)];
        assert_eq!(ListReport::worst(lists.iter()).unwrap().fetched_at, 5);
        assert_eq!(ListReport::worst([list(true, 9), list(true, 7)].iter()).unwrap().fetched_at, 9);
        assert!(ListReport::worst(std::iter::empty::<&Box<ListReport>>()).is_none());
    }
}
