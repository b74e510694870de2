//! When the instances of a feed are told of new credentials. Pure: time is handed in.
//!
//! Whoever connects to a broker again and again with one account gets it locked. So the first change is told
//! at once, those that follow it soon wait, longer and longer unless the broker took the ones before, and of
//! all that come meanwhile the last one counts. Credentials that are the ones told last are none to tell.

use std::time::{Duration, Instant};

use adapter_time::Backoff;
use secrecy::SecretString;

use crate::base::secret::is_same;

/// Pauses after changes that follow each other before [`QUIET_AFTER`] while the broker takes none of them.
const PAUSES: Backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Without a change for so long, the next one counts as the first.
const QUIET_AFTER: Duration = Duration::from_mins(2);

/// Pause before credentials that could not be read are read again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What instances know of the credentials, and when they may be told more.
#[derive(Default)]
pub(super) struct Renewal {
    /// What they were told last, a JSON object.
    told: SecretString,
    last: Option<Instant>,
    /// Changes in a row that the broker did not take.
    untaken: u32,
    is_wanted: bool,
    /// Even if the credentials are those that were told last.
    is_urgent: bool,
    read_again: Option<Instant>,
}

impl Renewal {
    /// Instances begin with these credentials.
    pub(super) fn begin(&mut self, json: SecretString) {
        self.told = json;
    }

    /// Credentials were read. `even_if_same` wants them told in any case.
    pub(super) fn note_read(&mut self, even_if_same: bool) {
        self.is_wanted = true;
        self.is_urgent |= even_if_same;
        self.read_again = None;
    }

    /// The broker took what they were told: that it refuses them later is no failed attempt, and the next
    /// ones need not wait for more than the shortest pause.
    pub(super) const fn note_taken(&mut self) {
        self.untaken = 0;
    }

    /// They could not be read: what there was goes on to count, until it is known whether they have changed.
    pub(super) fn note_unread(&mut self, now: Instant) {
        self.read_again = Some(now + READ_AGAIN_AFTER);
    }

    /// Whether it is time to read again what could not be read.
    pub(super) fn is_to_be_read(&mut self, now: Instant) -> bool {
        self.read_again.take_if(|at| *at <= now).is_some()
    }

    /// Whether instances are to be told of these credentials now.
    pub(super) fn is_due(&mut self, json: &SecretString, now: Instant) -> bool {
        if !self.is_wanted || self.not_before().is_some_and(|at| now < at) {
            return false;
        }
        self.is_wanted = false;
        if !std::mem::take(&mut self.is_urgent) && is_same(json, &self.told) {
            return false;
        }
        let is_first = self.last.is_none_or(|last| now.duration_since(last) >= QUIET_AFTER);
        self.untaken = if is_first { 1 } else { self.untaken.saturating_add(1) };
        self.last = Some(now);
        self.told.clone_from(json);
        true
    }

    /// When there may be something to tell or to read.
    pub(super) fn next(&self) -> Option<Instant> {
        let due = self.not_before().filter(|_| self.is_wanted);
        [due, self.read_again].into_iter().flatten().min()
    }

    fn not_before(&self) -> Option<Instant> {
        self.last.map(|last| last + PAUSES.whole(self.untaken.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn begun() -> (Renewal, Instant) {
        let mut renewal = Renewal::default();
        renewal.begin(json("old"));
        (renewal, Instant::now())
    }

    #[test]
    fn what_is_known_is_not_told_and_the_first_change_is_told_at_once() {
        let (mut renewal, now) = begun();
        for _ in 0..100 {
            renewal.note_read(false);
            assert!(!renewal.is_due(&json("old"), now));
        }
        renewal.note_read(false);
        assert!(renewal.is_due(&json("new"), now));
        assert!(!renewal.is_due(&json("new"), now), "once");
        renewal.note_read(true);
        assert!(renewal.is_due(&json("new"), now + FIRST_PAUSE), "a log-in that gave the same");
    }

    #[test]
    fn a_flood_of_changes_is_told_ever_less_and_the_last_is_never_lost() {
        let (mut renewal, start) = begun();
        let (mut told, mut now, mut number) = (Vec::new(), start, 0_u32);
        while now < start + Duration::from_mins(10) {
            number += 1;
            renewal.note_read(false);
            if renewal.is_due(&json(&number.to_string()), now) {
                told.push(now);
            }
            now += Duration::from_millis(100);
        }
        assert!(told.len() <= 25, "{}", told.len());
        assert_eq!(told[1] - told[0], FIRST_PAUSE);
        let due = renewal.next().expect("the last one waits");
        assert!(due <= now + LONGEST_PAUSE);
        assert!(renewal.is_due(&json(&number.to_string()), due));
        assert_eq!(renewal.next(), None);
        // When it has been quiet, nobody waits.
        renewal.note_read(false);
        assert!(renewal.is_due(&json("fresh"), due + QUIET_AFTER));
        renewal.note_read(false);
        assert!(renewal.is_due(&json("fresher"), due + QUIET_AFTER + FIRST_PAUSE));
    }

    #[test]
    fn after_credentials_that_were_taken_the_next_ones_do_not_wait_long() {
        let (mut renewal, mut now) = begun();
        for night in 0..30 {
            renewal.note_read(false);
            assert!(renewal.is_due(&json(&night.to_string()), now), "night {night}");
            renewal.note_taken();
            renewal.note_read(false);
            assert!(!renewal.is_due(&json("at once"), now), "never more than one in that time");
            now += FIRST_PAUSE;
        }
    }

    #[test]
    fn credentials_that_come_back_before_anybody_was_told_are_none_to_tell() {
        let (mut renewal, now) = begun();
        renewal.note_read(false);
        assert!(renewal.is_due(&json("b"), now));
        renewal.note_read(false);
        assert!(!renewal.is_due(&json("c"), now));
        renewal.note_read(false);
        assert!(!renewal.is_due(&json("b"), now + FIRST_PAUSE));
        assert_eq!(renewal.next(), None);
    }

    #[test]
    fn what_could_not_be_read_is_read_again() {
        let (mut renewal, now) = begun();
        renewal.note_unread(now);
        assert!(!renewal.is_to_be_read(now));
        let at = renewal.next().unwrap();
        assert!(renewal.is_to_be_read(at) && !renewal.is_to_be_read(at));
    }
}
