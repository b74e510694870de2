//! How old the rows of a list are, by segment: of several files one may be older than the others, and for
//! what an incomplete list lacks rows of an older one serve.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Cached, List, list::read_list};
use crate::ist;

/// When the rows of each segment were fetched; of several times the oldest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ages(BTreeMap<String, SystemTime>);

impl Ages {
    /// Those of a list that was read from these copies. Brokers make one list a day, at this hour and minute
    /// in India; copies of one such list are of one age.
    pub(super) fn of<L: List>(list: &L, parts: &[Cached], (hour, minute): (u8, u8)) -> Self {
        let newest = parts.iter().map(|part| part.fetched_at).max().unwrap_or(UNIX_EPOCH);
        let made = ist::last(hour, minute, newest);
        let mut ages: BTreeMap<String, SystemTime> =
            segments(list).into_iter().map(|segment| (segment.to_owned(), newest)).collect();
        for part in parts.iter().filter(|part| part.fetched_at < made) {
            // What it has cannot be told otherwise. One that cannot be read any more has nothing.
            let Ok(alone) = read_list::<L>(std::slice::from_ref(&part.path)) else { continue };
            for segment in segments(&alone) {
                if let Some(age) = ages.get_mut(segment) {
                    *age = part.fetched_at.min(*age);
                }
            }
        }
        Self(ages)
    }

    /// When the rows of a segment were fetched. Of one that is not there, so long ago that it serves nobody.
    pub(super) fn at(&self, segment: &str) -> SystemTime {
        self.0.get(segment).copied().unwrap_or(UNIX_EPOCH)
    }

    /// Notes that a segment has rows of another list now, too.
    pub(super) fn take(&mut self, segment: &str, last: &Self) {
        let at = last.at(segment);
        let age = self.0.entry(segment.to_owned()).or_insert(at);
        *age = at.min(*age);
    }

    /// The segment with the oldest rows.
    pub(super) fn oldest(&self) -> Option<(&str, SystemTime)> {
        self.0.iter().map(|(segment, at)| (segment.as_str(), *at)).min_by_key(|(_, at)| *at)
    }
}

fn segments<L: List>(list: &L) -> BTreeSet<&str> {
    list.names().map(|(exchange, _)| exchange).collect()
}

/// A time for people, in India.
pub(super) fn spoken(at: SystemTime) -> String {
    let day = ist::Day::at(at);
    let seconds =
        i64::try_from(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(i64::MAX);
    let minutes = seconds.saturating_sub(day.seconds_at(0, 0, 0)) / 60;
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} in India",
        day.year,
        day.month,
        day.day,
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_said_as_in_india() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(spoken(at(1_764_471_600)), "2025-11-30 08:30 in India");
        assert_eq!(spoken(at(1_764_441_000)), "2025-11-30 00:00 in India");
        assert_eq!(spoken(UNIX_EPOCH), "1970-01-01 05:30 in India");
    }

    #[test]
    fn rows_of_another_list_make_a_segment_as_old_as_they_are() {
        let at = |hours| UNIX_EPOCH + Duration::from_hours(hours);
        let ages = |all: &[(&str, u64)]| {
            Ages(all.iter().map(|(segment, hours)| ((*segment).to_owned(), at(*hours))).collect())
        };
        let mut list = ages(&[("NSE", 50), ("NFO", 50)]);
        let last = ages(&[("NSE", 60), ("NFO", 20), ("CDS", 10)]);
        ["NSE", "NFO", "CDS"].into_iter().for_each(|segment| list.take(segment, &last));
        assert_eq!(list, ages(&[("NSE", 50), ("NFO", 20), ("CDS", 10)]));
        assert_eq!((list.oldest(), list.at("MCX")), (Some(("CDS", at(10))), UNIX_EPOCH));
    }
}
