//! What was subscribed of late.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::plan::Change;

/// Most batches that are kept. Of more, the oldest are forgotten.
const MOST_BATCHES: usize = 1_024;

/// Keys by when they were subscribed, for brokers that acknowledge nothing, but send the last state of
/// whatever they have subscribed: what stays silent ([`Live::is_silent`](super::Live::is_silent)) is what
/// they did not take.
#[derive(Clone, Debug)]
pub struct Recent<K>(VecDeque<(Instant, Vec<K>)>);

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: Clone> Recent<K> {
    /// Notes those of a batch that were not subscribed before. Of more than a thousand batches the oldest are
    /// forgotten.
    pub fn note<A>(&mut self, changes: &[Change<K, A>], now: Instant) {
        let new = changes.iter().filter(|change| change.before.is_none());
        let keys: Vec<K> = new.map(|change| change.key.clone()).collect();
        if !keys.is_empty() {
            self.0.push_back((now, keys));
        }
        if self.0.len() > MOST_BATCHES {
            self.0.pop_front();
        }
    }

    /// Takes those that were subscribed so long ago, or longer.
    pub fn take_older(&mut self, age: Duration, now: Instant) -> Vec<K> {
        let mut taken = Vec::new();
        while self.0.front().is_some_and(|(at, _)| *at + age <= now)
            && let Some((_, keys)) = self.0.pop_front()
        {
            taken.extend(keys);
        }
        taken
    }

    /// When those that have waited longest will have waited so long.
    pub fn due(&self, age: Duration) -> Option<Instant> {
        self.0.front().map(|(at, _)| *at + age)
    }

    /// All of them, in the order in which they were subscribed.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().flat_map(|(_, keys)| keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mode;

    fn change(key: u32, before: Option<Mode>) -> Change<u32> {
        Change { key, before, now: Some(Mode::Ltp) }
    }

    #[test]
    fn what_is_subscribed_is_known_until_it_is_old() {
        let (mut recent, start, age) = (Recent::default(), Instant::now(), Duration::from_secs(20));
        assert!(recent.due(age).is_none() && recent.take_older(age, start).is_empty());
        recent.note(&[change(1, None), change(2, Some(Mode::Quote))], start);
        recent.note(&[change(3, Some(Mode::Ltp))], start);
        recent.note(&[change(4, None)], start + Duration::from_secs(1));
        assert_eq!(recent.keys().copied().collect::<Vec<u32>>(), [1, 4]);
        assert_eq!(recent.due(age), Some(start + age));
        assert!(recent.take_older(age, start + Duration::from_secs(19)).is_empty());
        assert_eq!(recent.take_older(age, start + age), [1]);
        assert_eq!(recent.due(age), Some(start + age + Duration::from_secs(1)));
    }

    #[test]
    fn the_oldest_of_very_many_are_forgotten() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        (0..1_500).for_each(|key| recent.note(&[change(key, None)], now));
        assert_eq!(recent.keys().copied().collect::<Vec<u32>>(), (476..1_500).collect::<Vec<u32>>());
    }
}
