//! What the operator is told of the sessions of a shard: those that are most behind.

use std::cmp::Reverse;

use serde::Serialize;
use tokio::sync::oneshot;

use super::Shard;
use crate::clients::seat::SessionRow;

/// A question to a shard. One is asked at a time, at most once a second.
#[derive(Debug)]
pub struct Survey {
    /// Most sessions to be described.
    pub most: usize,
    /// Takes the answer.
    pub reply: oneshot::Sender<Surveyed>,
}

/// Sessions, those first that are most behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Surveyed {
    /// All sessions, described or not.
    pub total: usize,
    /// Sessions whose ticks conflate at this moment.
    pub behind: usize,
    /// Some of them.
    pub rows: Vec<SessionRow>,
}

impl Surveyed {
    /// Adds those of another shard, and keeps the first `most`.
    pub fn merge(&mut self, other: Self, most: usize) {
        self.total += other.total;
        self.behind += other.behind;
        self.rows.extend(other.rows);
        self.keep(most);
    }

    fn keep(&mut self, most: usize) {
        self.rows.sort_by_key(|row| (Reverse((row.behind, row.lag_us, row.conflated)), row.id));
        self.rows.truncate(most);
    }
}

impl Shard {
    /// Answers a survey at `now_ns` (nanoseconds since the Unix epoch). Describes every session, which takes
    /// well under a microsecond for each.
    pub(super) fn answer(&self, survey: Survey, now_ns: u64) {
        let sessions = self.sessions.borrow();
        let mut surveyed = Surveyed { total: sessions.len(), ..Surveyed::default() };
        surveyed.rows = sessions.values().map(|session| session.describe(now_ns)).collect();
        surveyed.behind = surveyed.rows.iter().filter(|row| row.behind).count();
        surveyed.keep(survey.most);
        // Whoever asked may have given up.
        _ = survey.reply.send(surveyed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surveyed(rows: &[(u64, u64, bool)]) -> Surveyed {
        let rows: Vec<SessionRow> = rows
            .iter()
            .map(|&(id, lag_us, behind)| SessionRow { id, lag_us, behind, ..SessionRow::default() })
            .collect();
        let behind = rows.iter().filter(|row| row.behind).count();
        Surveyed { total: rows.len(), behind, rows }
    }

    #[test]
    fn those_that_are_most_behind_come_first_and_the_others_are_counted() {
        let mut all = Surveyed::default();
        all.merge(surveyed(&[(1, 10, false), (2, 900, false)]), 3);
        all.merge(surveyed(&[(3, 5, true), (4, 20, false)]), 3);
        assert_eq!(all.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [3, 2, 4]);
        assert_eq!((all.total, all.behind), (4, 1));
    }
}
