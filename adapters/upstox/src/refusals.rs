//! What becomes of the instruments of a request that the broker refuses. It names neither the request nor
//! the instrument that it does not like, and serves none of them; of what it has taken it sends the state at
//! once. So what stays silent after a refusal is asked for one by one, and what is silent then is what it
//! meant.

use std::{collections::VecDeque, time::Duration};

use adapter_sdk::{plan::Change, session::Recent};
use tokio::time::Instant;

use crate::{
    key::Key,
    request::{Asked, Refused},
};

/// What was asked for of late, and whether the broker has refused anything since.
#[derive(Debug)]
pub(crate) struct Refusals {
    within: Duration,
    pause: Duration,
    asked: Recent<Key>,
    /// Those that are asked for one by one, and have not been yet.
    suspects: VecDeque<Key>,
    /// Those that were.
    alone: Recent<Key>,
    alone_at: Instant,
    /// When the broker refused something last, and whether it was for its limits.
    refused: Option<(Instant, bool)>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// To be asked for alone.
    pub(crate) again: Option<Key>,
    /// Not served, and whether for the broker's limits.
    pub(crate) refused: Vec<(Key, bool)>,
}

impl Refusals {
    /// The broker has so much time to send the state of what it has taken; between two that are asked for
    /// alone there is a pause.
    pub(crate) fn new(within: Duration, pause: Duration) -> Self {
        Self {
            within,
            pause,
            asked: Recent::default(),
            suspects: VecDeque::new(),
            alone: Recent::default(),
            alone_at: Instant::now(),
            refused: None,
        }
    }

    /// The broker is about to be told of these changes.
    pub(crate) fn note(&mut self, changes: &[Change<Key, Asked>], now: Instant) {
        self.asked.note(changes, now);
    }

    /// The broker has refused something.
    pub(crate) fn refused(&mut self, refused: &Refused, now: Instant) {
        self.refused = Some((now, refused.is_of_limits()));
    }

    /// When to look again.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let next = (!self.suspects.is_empty()).then_some(self.alone_at);
        [self.asked.due(self.within), self.alone.due(self.within), next].into_iter().flatten().min()
    }

    /// What is due. `is_silent` says whether an instrument is subscribed, and nothing has come of it.
    pub(crate) fn due(&mut self, now: Instant, is_silent: impl Fn(&Key) -> bool) -> Due {
        let mut due = Due::default();
        // A refusal counts for what was asked for in the time before it.
        let of_limits =
            self.refused.filter(|(at, _)| *at + self.within + self.within > now).map(|(_, of)| of);
        let silent = |keys: Vec<Key>| keys.into_iter().filter(|key| of_limits.is_some() && is_silent(key));
        due.refused = silent(self.alone.take_older(self.within, now))
            .map(|key| (key, of_limits.unwrap_or(false)))
            .collect();
        self.suspects.extend(silent(self.asked.take_older(self.within, now)));
        while self.alone_at <= now
            && due.again.is_none()
            && let Some(key) = self.suspects.pop_front()
        {
            if is_silent(&key) {
                self.alone.note(&[Change { key, before: None, now: None::<Asked> }], now);
                self.alone_at = now + self.pause.max(Duration::from_millis(1));
                due.again = Some(key);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(100);

    fn key(number: u32) -> Key {
        Key::parse(&format!("NSE_FO|{number}")).unwrap()
    }

    fn asked(refusals: &mut Refusals, numbers: std::ops::Range<u32>, now: Instant) {
        let change = |number| Change { key: key(number), before: None, now: Some(Asked::Full) };
        refusals.note(&numbers.map(change).collect::<Vec<_>>(), now);
    }

    fn refusal(error: &str) -> Refused {
        Refused { error: error.to_owned() }
    }

    #[test]
    fn one_that_the_broker_does_not_like_costs_itself() {
        let (begun, mut refusals) = (Instant::now(), Refusals::new(WITHIN, PAUSE));
        asked(&mut refusals, 0..3, begun);
        refusals.refused(&refusal("Invalid instrument key"), begun + PAUSE);
        assert_eq!(refusals.due(begun + PAUSE, |_| true), Due::default());
        assert_eq!(refusals.wake_at(), Some(begun + WITHIN));
        let mut now = begun + WITHIN;
        let mut again = Vec::new();
        // The first one has ticked meanwhile.
        while let Some(one) = refusals.due(now, |one| *one != key(0)).again {
            again.push(one);
            now += PAUSE;
        }
        assert_eq!(again, [key(1), key(2)]);
        refusals.refused(&refusal("Invalid instrument key"), now);
        let due = refusals.due(now + WITHIN, |one| *one == key(2));
        assert_eq!(due, Due { again: None, refused: vec![(key(2), false)] });
        assert_eq!(refusals.wake_at(), None);
    }

    #[test]
    fn what_is_beyond_the_limits_is_refused_for_that() {
        let (begun, mut refusals) = (Instant::now(), Refusals::new(WITHIN, PAUSE));
        asked(&mut refusals, 0..1, begun);
        refusals.refused(&refusal("limit exceeded"), begun);
        assert_eq!(refusals.due(begun + WITHIN, |_| true).again, Some(key(0)));
        refusals.refused(&refusal("limit exceeded"), begun + WITHIN);
        assert_eq!(refusals.due(begun + WITHIN + WITHIN, |_| true).refused, [(key(0), true)]);
    }

    #[test]
    fn silence_without_a_refusal_means_nothing() {
        let (begun, mut refusals) = (Instant::now(), Refusals::new(WITHIN, PAUSE));
        asked(&mut refusals, 0..9, begun);
        assert_eq!(refusals.due(begun + WITHIN, |_| true), Due::default());
        assert_eq!(refusals.wake_at(), None);
        // One of long ago is of something else.
        refusals.refused(&refusal("x"), begun);
        asked(&mut refusals, 9..10, begun + WITHIN * 9);
        assert_eq!(refusals.due(begun + WITHIN * 10, |_| true), Due::default());
    }
}
