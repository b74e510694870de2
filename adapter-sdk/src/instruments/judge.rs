//! Whether a list is whole, by what the last good one had. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::{List, ages::spoken, list::is_over};
use crate::ListTrouble;

/// A segment shrank beyond reason when it has less than this share of the last good one, in percent. What has
/// expired meanwhile does not count, so the days after the expiries of a month are no exception. What the
/// exchanges delist beside that is a few rows.
const WHOLE_PERCENT: usize = 80;

/// Rows that may always be missing: of a short segment a few are a large share.
const ODD_ROWS: usize = 24;

/// What the whole list is called among the segments.
pub(super) const ALL: &str = "all";

/// Downloads that must agree before a list that is smaller than the last good one becomes the good one.
const AGREEING_DOWNLOADS: u32 = 12;

/// The time over which they must be spread, in seconds. It is most of a trading day: what is live at its
/// beginning goes on, and a broker that has given up a segment for good is believed on the same day.
const AGREEING_SECONDS: u64 = 6 * 3_600;

/// The share by which the sizes of two downloads may differ and still agree, in percent.
const AGREEING_PERCENT: usize = 5;

/// A segment that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Short {
    pub(super) segment: String,
    pub(super) rows: usize,
    /// Rows of the last good list; none when there is no such list, but every list has the segment.
    pub(super) expected: usize,
    /// Whether it is the whole list, and ends within a row.
    pub(super) is_cut_off: bool,
}

/// The segments that a list lacks or has too little of.
pub(super) fn judge<L: List>(
    fresh: &L,
    last: Option<&L>,
    required: &BTreeSet<&str>,
    now: SystemTime,
) -> Vec<Short> {
    let rows = count(fresh, |_, _| true);
    let mut expected = last.map(|last| count(last, |exchange, symbol| !is_over(exchange, symbol, now)));
    let expected = expected.get_or_insert_default();
    for segment in required {
        expected.entry(segment).or_default();
    }
    let mut shorts = Vec::new();
    for (segment, expected) in &*expected {
        let rows = rows.get(segment).copied().unwrap_or(0);
        let is_required = required.contains(segment);
        if (rows == 0 && (*expected > 0 || is_required)) || has_shrunk(rows, *expected) {
            let segment = (*segment).to_owned();
            shorts.push(Short { segment, rows, expected: *expected, is_cut_off: false });
        }
    }
    let (rows, expected) = (rows.values().sum(), expected.values().sum());
    if shorts.is_empty() && has_shrunk(rows, expected) {
        // A little of each segment is much of the whole.
        shorts.push(Short { segment: ALL.to_owned(), rows, expected, is_cut_off: false });
    }
    shorts
}

/// What a list lacks that ends within a row: nobody knows how much. Such a list is never believed to be
/// whole.
pub(super) fn cut_off<L: List>(fresh: &L, last: Option<&L>, now: SystemTime) -> Short {
    let rows = count(fresh, |_, _| true).values().sum();
    let last = last.map(|last| count(last, |exchange, symbol| !is_over(exchange, symbol, now)));
    let expected = last.unwrap_or_default().values().sum();
    Short { segment: ALL.to_owned(), rows, expected, is_cut_off: true }
}

const fn has_shrunk(rows: usize, expected: usize) -> bool {
    expected > rows.saturating_add(ODD_ROWS)
        && rows.saturating_mul(100) < expected.saturating_mul(WHOLE_PERCENT)
}

pub(super) fn count<L: List>(list: &L, counts: impl Fn(&str, &str) -> bool) -> BTreeMap<&str, usize> {
    let mut rows = BTreeMap::new();
    for (exchange, symbol) in list.names() {
        if counts(exchange, symbol) {
            *rows.entry(exchange).or_default() += 1;
        }
    }
    rows
}

impl Short {
    /// What is said of it. For what is missing, rows may be used that were fetched at a time.
    pub(super) fn trouble(self, held: Option<SystemTime>) -> ListTrouble {
        let Self { segment, rows, expected, is_cut_off } = self;
        let what = match (segment.as_str(), rows, expected) {
            _ if is_cut_off => format!("the broker's list ends within a row, after {rows} rows"),
            (ALL, ..) => format!("the broker's list has {rows} rows, where the last good one has {expected}"),
            (_, 0, 0) => "the broker's list has no rows of this segment".to_owned(),
            (_, 0, _) => {
                format!(
                    "the broker's list has no rows of this segment, where the last good one has {expected}"
                )
            }
            _ => {
                format!(
                    "the broker's list has {rows} rows of this segment, where the last good one has {expected}"
                )
            }
        };
        let instead = match held {
            Some(at) => format!("; those of the last good list are used (of {}), and it", spoken(at)),
            None => "; the list".to_owned(),
        };
        ListTrouble { segment, rows, expected, reason: format!("{what}{instead} is asked for again") }
    }
}

/// What is remembered of incomplete lists, on disk: a restart forgets none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Ledger {
    /// When the present shortage was first seen, in seconds since the Unix epoch.
    pub(super) since: u64,
    /// Downloads that had it.
    pub(super) downloads: u32,
    /// Rows of the segments that are short.
    pub(super) rows: BTreeMap<String, usize>,
    /// Segments that every list has, and that of this broker has none after all.
    pub(super) accepted: BTreeSet<String>,
}

impl Ledger {
    /// Notes what a download was short of, at a time in seconds since the Unix epoch; whether it is to be
    /// believed now.
    pub(super) fn note(&mut self, shorts: &[Short], now: u64) -> bool {
        let rows: BTreeMap<String, usize> =
            shorts.iter().map(|short| (short.segment.clone(), short.rows)).collect();
        let is_same = self.rows.len() == rows.len()
            && self.rows.iter().zip(&rows).all(|(known, new)| known.0 == new.0 && agree(*known.1, *new.1));
        if !is_same || now < self.since {
            (self.rows, self.since, self.downloads) = (rows, now, 0);
        }
        self.downloads = self.downloads.saturating_add(1);
        self.downloads >= AGREEING_DOWNLOADS && now - self.since >= AGREEING_SECONDS
    }

    /// The list is whole, or believed to be.
    pub(super) fn settle(&mut self, shorts: &[Short]) {
        let absent = shorts.iter().filter(|short| short.rows == 0).map(|short| short.segment.clone());
        self.accepted.extend(absent);
        (self.since, self.downloads) = (0, 0);
        self.rows.clear();
    }
}

const fn agree(one: usize, other: usize) -> bool {
    one.abs_diff(other).saturating_mul(100) <= one.saturating_mul(AGREEING_PERCENT)
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::*;
    use crate::{AdapterError, instruments::Summary, ist::Day};

    #[derive(Debug, PartialEq)]
    struct Names(Vec<(String, String)>);

    impl List for Names {
        fn read(_: &[PathBuf]) -> Result<Self, AdapterError> {
            Err(AdapterError::protocol("not needed"))
        }

        fn summary(&self) -> Summary {
            Summary::default()
        }

        fn names(&self) -> Box<dyn Iterator<Item = (&str, &str)> + '_> {
            Box::new(self.0.iter().map(|(exchange, symbol)| (exchange.as_str(), symbol.as_str())))
        }

        fn hold(&mut self, _: &Self, _: &dyn Fn(&str, &str) -> bool) -> usize {
            0
        }
    }

    fn list(segments: &[(&str, usize)]) -> Names {
        let rows = segments.iter().flat_map(|(exchange, rows)| {
            (0..*rows).map(|row| ((*exchange).to_owned(), format!("X{row}28JUL26FUT")))
        });
        Names(rows.collect())
    }

    fn at(year: i32, month: u8, day: u8) -> SystemTime {
        let seconds = Day::new(year, month, day).unwrap().seconds_at(9, 0, 0);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap())
    }

    fn shorts(fresh: &Names, last: &Names, now: SystemTime) -> Vec<(String, usize, usize)> {
        judge(fresh, Some(last), &BTreeSet::new(), now)
            .into_iter()
            .map(|short| (short.segment, short.rows, short.expected))
            .collect()
    }

    #[test]
    fn a_segment_is_short_when_it_is_gone_or_shrank_by_a_fifth_and_more_than_a_few_rows() {
        let (last, now) = (list(&[("NSE", 1_000), ("NFO", 200), ("BSE", 3)]), at(2026, 7, 28));
        for (segments, expected) in [
            (vec![("NSE", 1_000), ("NFO", 200), ("BSE", 3)], vec![]),
            (vec![("NSE", 800), ("NFO", 160), ("BSE", 1)], vec![("ALL", 0)]),
            (vec![("NSE", 990), ("NFO", 159), ("BSE", 1), ("MCX", 4)], vec![("NFO", 159)]),
            (vec![("NSE", 990), ("NFO", 200)], vec![("BSE", 0)]),
            (vec![("NSE", 0), ("NFO", 0), ("BSE", 3)], vec![("NFO", 0), ("NSE", 0)]),
        ] {
            let found = shorts(&list(&segments), &last, now);
            let found: Vec<_> = found.iter().map(|(name, rows, _)| (name.as_str(), *rows)).collect();
            if expected == [("ALL", 0)] {
                assert_eq!(found, [("all", 961)], "a fifth of everything");
            } else {
                assert_eq!(found, expected);
            }
        }
        // A few rows of a small segment may go: 24 of 25, but not all.
        assert_eq!(shorts(&list(&[("BSE", 1)]), &list(&[("BSE", 25)]), now), []);
        assert_eq!(shorts(&list(&[("BSE", 1)]), &list(&[("BSE", 26)]), now), [("BSE".to_owned(), 1, 26)]);
    }

    #[test]
    fn what_has_expired_is_not_missed() {
        let (last, fresh) = (list(&[("NSE", 5), ("NFO", 200)]), list(&[("NSE", 5)]));
        assert_eq!(shorts(&fresh, &last, at(2026, 7, 28)), [("NFO".to_owned(), 0, 200)], "its last day");
        assert_eq!(shorts(&fresh, &last, at(2026, 7, 29)), []);
    }

    #[test]
    fn a_segment_that_every_list_has_is_missed_without_a_last_one() {
        let required = BTreeSet::from(["NFO", "NSE"]);
        let found = judge(&list(&[("NSE", 5)]), None, &required, at(2026, 7, 28));
        assert_eq!(found, [Short { segment: "NFO".to_owned(), rows: 0, expected: 0, is_cut_off: false }]);
        assert_eq!(
            found[0].clone().trouble(None).reason,
            "the broker's list has no rows of this segment; the list is asked for again"
        );
        let last = list(&[("NSE", 5)]);
        assert_eq!(judge(&last, Some(&last), &required, at(2026, 7, 28)), found, "nor in the last one");
    }

    #[test]
    fn a_smaller_list_is_believed_when_enough_downloads_over_hours_agree() {
        let short =
            |rows| vec![Short { segment: "NFO".to_owned(), rows, expected: 1_000, is_cut_off: false }];
        let mut ledger = Ledger::default();
        for download in 0..50 {
            assert!(!ledger.note(&short(500), 1_000 + download), "{download}");
        }
        assert!(ledger.note(&short(495), 1_000 + AGREEING_SECONDS));
        // Another size starts over, and hours alone are not enough.
        assert!(!ledger.note(&short(600), 90_000));
        for download in 1..11 {
            assert!(!ledger.note(&short(600), 90_000 + AGREEING_SECONDS + download), "{download}");
        }
        assert!(ledger.note(&short(600), 90_000 + AGREEING_SECONDS + 11));
        assert!(!ledger.note(&short(600), 5), "the clock was set back");
        ledger.settle(&short(0));
        assert_eq!(ledger, Ledger { accepted: BTreeSet::from(["NFO".to_owned()]), ..Ledger::default() });
    }
}
