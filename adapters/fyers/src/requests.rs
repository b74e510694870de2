//! Requests to the data socket that are not settled: the broker answers for a whole request, with yes or no,
//! and what it says nothing of has to show itself. Pure: no connection, and time is passed in.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    request::Channel,
    topic::{Feed, Topic},
};

/// Most requests without an answer. No more are sent before there is room.
const MAX_UNANSWERED: usize = 64;

/// How long the broker has for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How long it has once it has found fault with a request in words: it need not refuse it as well.
const COMPLAINT_LIMIT: Duration = Duration::from_secs(2);

/// A topic on a channel.
pub(crate) type Pair = (Feed, Topic);

/// Topics that were asked for in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) channel: Channel,
    pub(crate) topics: Vec<Pair>,
}

/// A request without an answer.
#[derive(Debug)]
struct Sent {
    at: Instant,
    /// By when there must be an answer.
    by: Instant,
    batch: Batch,
}

/// Requests in the order in which they were sent, which is the order of the answers. An answer does not say
/// what it is for, so nothing is settled by it alone: what has shown itself is there, whatever an answer
/// says.
#[derive(Debug)]
pub(crate) struct Requests {
    snapshot_limit: Duration,
    unanswered: VecDeque<Sent>,
    /// When the last answer came.
    answered_at: Option<Instant>,
    /// What was taken, and by when its first records must be there.
    taken: VecDeque<(Instant, Vec<Pair>)>,
    /// Halves of requests that were refused as a whole.
    again: VecDeque<Batch>,
}

impl Requests {
    pub(crate) const fn new(snapshot_limit: Duration) -> Self {
        Self {
            snapshot_limit,
            unanswered: VecDeque::new(),
            answered_at: None,
            taken: VecDeque::new(),
            again: VecDeque::new(),
        }
    }

    /// Whether one more request may be sent.
    pub(crate) fn has_room(&self) -> bool {
        self.unanswered.len() < MAX_UNANSWERED
    }

    /// Notes a request to subscribe.
    pub(crate) fn sent(&mut self, batch: Batch, now: Instant) {
        self.unanswered.push_back(Sent { at: now, by: now + ANSWER_LIMIT, batch });
    }

    /// The broker answered a request to subscribe. Of one that was refused nobody knows which topic is meant:
    /// both halves are asked for once more, until it stands alone. When there is no room for any of them,
    /// that would be a flood. Gives the topics that cannot be had.
    pub(crate) fn answered(&mut self, is_accepted: bool, is_full: bool, now: Instant) -> Vec<Pair> {
        self.answered_at = Some(now);
        let Some(Sent { mut batch, .. }) = self.unanswered.pop_front() else { return Vec::new() };
        if is_accepted {
            self.taken.push_back((now + self.snapshot_limit, batch.topics));
            return Vec::new();
        }
        if batch.topics.len() == 1 || is_full {
            return batch.topics;
        }
        let rest = batch.topics.split_off(batch.topics.len() / 2);
        self.again.push_back(Batch { channel: batch.channel, topics: batch.topics });
        self.again.push_back(Batch { channel: batch.channel, topics: rest });
        Vec::new()
    }

    /// A part of a request that was refused, to be sent once more.
    pub(crate) fn again(&mut self) -> Option<Batch> {
        self.again.pop_front()
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.again.is_empty()
    }

    /// Topics whose first records should be there by now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Pair> {
        let mut due = Vec::new();
        while self.taken.front().is_some_and(|(at, _)| *at <= now)
            && let Some((_, topics)) = self.taken.pop_front()
        {
            due.extend(topics);
        }
        due
    }

    /// Whether there is a request for a topic that is not settled, or one of which its first record may still
    /// come.
    pub(crate) fn has(&self, pair: &Pair) -> bool {
        let unanswered = self.unanswered.iter().map(|sent| &sent.batch.topics);
        let taken = self.taken.iter().map(|(_, topics)| topics);
        let again = self.again.iter().map(|batch| &batch.topics);
        unanswered.chain(taken).chain(again).any(|topics| topics.contains(pair))
    }

    /// The broker has found fault with a request in words.
    pub(crate) fn complained(&mut self, now: Instant) {
        if let Some(sent) = self.unanswered.front_mut() {
            sent.by = sent.by.min(now + COMPLAINT_LIMIT);
        }
    }

    /// A request that has no answer after all that time, and whether the broker has answered nothing at all
    /// since it was sent: then it does not listen any more.
    pub(crate) fn ignored(&mut self, now: Instant) -> Option<(Batch, bool)> {
        self.unanswered.front().filter(|sent| sent.by <= now)?;
        let sent = self.unanswered.pop_front()?;
        let is_deaf = sent.by == sent.at + ANSWER_LIMIT && self.answered_at.is_none_or(|at| at < sent.at);
        Some((sent.batch, is_deaf))
    }

    /// When to look again.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        let answer = self.unanswered.front().map(|sent| sent.by);
        let snapshot = self.taken.front().map(|(at, _)| *at);
        [answer, snapshot].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn pair(number: u32) -> Pair {
        Topic::parse(format!("sf|nse_cm|{number}").as_bytes()).unwrap()
    }

    fn batch(numbers: impl IntoIterator<Item = u32>) -> Batch {
        Batch { channel: Channel::Full, topics: numbers.into_iter().map(pair).collect() }
    }

    #[test]
    fn one_bad_topic_is_found_and_the_others_are_had() {
        let now = Instant::now();
        let mut requests = Requests::new(LIMIT);
        requests.sent(batch(0..100), now);
        let (mut refused, mut messages) = (Vec::new(), 1);
        loop {
            let Some(batch) = requests.unanswered.front().map(|sent| sent.batch.clone()) else {
                let Some(batch) = requests.again() else { break };
                messages += 1;
                requests.sent(batch, now);
                continue;
            };
            let is_accepted = !batch.topics.contains(&pair(37));
            refused.extend(requests.answered(is_accepted, false, now));
        }
        assert_eq!(refused, [pair(37)]);
        assert!(messages < 16, "{messages}");
        assert_eq!(requests.due(now + LIMIT).len(), 99);
        assert_eq!(requests.wake_at(), None);
    }

    #[test]
    fn when_there_is_no_room_nobody_asks_again() {
        let now = Instant::now();
        let mut requests = Requests::new(LIMIT);
        requests.sent(batch(0..3), now);
        let refused = requests.answered(false, true, now);
        assert_eq!(refused, [pair(0), pair(1), pair(2)]);
        assert!(!requests.has_more());
    }

    #[test]
    fn what_is_taken_has_until_the_limit_to_show_itself() {
        let now = Instant::now();
        let mut requests = Requests::new(LIMIT);
        requests.sent(batch(0..2), now);
        assert!(requests.due(now + LIMIT * 9).is_empty(), "it is not answered yet");
        assert!(requests.has(&pair(1)) && !requests.has(&pair(2)));
        requests.answered(true, false, now);
        requests.answered(true, false, now);
        assert!(requests.has(&pair(1)));
        assert!(requests.due(now + LIMIT / 2).is_empty());
        assert_eq!(requests.wake_at(), Some(now + LIMIT));
        assert_eq!(requests.due(now + LIMIT), [pair(0), pair(1)]);
        assert!(requests.due(now + LIMIT).is_empty());
    }

    #[test]
    fn a_broker_that_does_not_answer_is_noticed_and_not_asked_for_ever() {
        let now = Instant::now();
        let mut requests = Requests::new(LIMIT);
        while requests.has_room() {
            requests.sent(batch([1]), now);
        }
        assert_eq!(requests.unanswered.len(), MAX_UNANSWERED);
        assert_eq!(requests.ignored(now), None);
        assert_eq!(requests.wake_at(), Some(now + ANSWER_LIMIT));
        assert_eq!(requests.ignored(now + ANSWER_LIMIT), Some((batch([1]), true)));
        requests.answered(true, false, now + ANSWER_LIMIT);
        let (_, is_deaf) = requests.ignored(now + ANSWER_LIMIT).unwrap();
        assert!(!is_deaf, "it has answered something");
    }

    #[test]
    fn words_instead_of_an_answer_are_taken_for_one() {
        let now = Instant::now();
        let mut requests = Requests::new(LIMIT);
        requests.sent(batch([1]), now);
        requests.complained(now);
        assert_eq!(requests.ignored(now), None);
        assert_eq!(requests.ignored(now + COMPLAINT_LIMIT), Some((batch([1]), false)));
    }
}
