//! Subscribe requests that wait for an adapter's word.

use std::time::Instant;

use rustc_hash::FxHashMap;
use tickhost_core::{model::Key, protocol::codes::ErrorCode};
use tokio::sync::oneshot;

use super::{Grant, Refusal};

/// Place of one answer: the request, and the number of the instrument in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) request: u64,
    pub(super) place: usize,
}

/// Answers that are still to come.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: FxHashMap<u64, Request>,
    last: u64,
    /// Failures that were told so far.
    failures: u64,
}

#[derive(Debug)]
struct Request {
    reply: oneshot::Sender<Vec<Result<Grant, Refusal>>>,
    answers: Vec<Option<Result<Grant, Refusal>>>,
    keys: Vec<Option<Key>>,
    missing: usize,
    deadline: Instant,
}

impl Requests {
    /// Notes a request for `count` instruments.
    pub(super) fn open(
        &mut self,
        count: usize,
        reply: oneshot::Sender<Vec<Result<Grant, Refusal>>>,
        deadline: Instant,
    ) -> u64 {
        self.last += 1;
        let request =
            Request { reply, answers: vec![None; count], keys: vec![None; count], missing: count, deadline };
        self.waiting.insert(self.last, request);
        self.last
    }

    /// Notes what is held if the answer turns out to be a grant.
    pub(super) fn note_key(&mut self, ticket: Ticket, key: Key) {
        if let Some(place) =
            self.waiting.get_mut(&ticket.request).and_then(|request| request.keys.get_mut(ticket.place))
        {
            *place = Some(key);
        }
    }

    /// Gives one answer. The first one counts. False when the request is over: what was asked for was granted
    /// as pending.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: Result<Grant, Refusal>) -> bool {
        let Some(request) = self.waiting.get_mut(&ticket.request) else { return false };
        if let Some(place) = request.answers.get_mut(ticket.place)
            && place.is_none()
        {
            *place = Some(answer.map(|grant| Grant { failures: self.failures, ..grant }));
            request.missing -= 1;
        }
        true
    }

    /// Holders are to be told of a failure; gives its number.
    pub(super) const fn next_failure(&mut self) -> u64 {
        self.failures += 1;
        self.failures
    }

    /// When the earliest request gives up waiting.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.values().map(|request| request.deadline).min()
    }

    /// Sends the replies that are complete, or whose time is over: what nobody answered is granted as
    /// pending. Returns what was granted to clients that are gone.
    pub(super) fn complete(&mut self, now: Instant) -> Vec<Key> {
        let mut orphaned = Vec::new();
        let mut done: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, request)| {
                request.missing == 0 || request.deadline <= now || request.reply.is_closed()
            })
            .map(|(number, _)| *number)
            .collect();
        done.sort_unstable();
        for number in done {
            let Some(request) = self.waiting.remove(&number) else { continue };
            let keys: Vec<Option<Key>> = request.keys;
            let answers: Vec<Result<Grant, Refusal>> = request
                .answers
                .into_iter()
                .zip(&keys)
                .map(|(answer, key)| answer.unwrap_or_else(|| pending(*key, self.failures)))
                .collect();
            let granted: Vec<Key> = keys
                .iter()
                .zip(&answers)
                .filter(|(_, answer)| answer.is_ok())
                .filter_map(|(key, _)| *key)
                .collect();
            if request.reply.send(answers).is_err() {
                orphaned.extend(granted);
            }
        }
        orphaned
    }
}

fn pending(key: Option<Key>, failures: u64) -> Result<Grant, Refusal> {
    match key {
        Some(Key { instrument, .. }) => Ok(Grant { instrument, levels: None, is_pending: true, failures }),
        None => Err(Refusal::new(ErrorCode::SubscriptionError, "The adapter did not answer; try again")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tickhost_core::model::{DepthClass, InstrumentId, Mode, Variant};

    fn key(instrument: u32) -> Key {
        Key {
            instrument: InstrumentId(instrument),
            variant: Variant::new(Mode::Ltp, DepthClass::Five, false),
        }
    }

    fn grant(instrument: u32) -> Grant {
        Grant { instrument: InstrumentId(instrument), levels: None, is_pending: false, failures: 0 }
    }

    #[test]
    fn a_reply_goes_out_when_the_last_answer_came() {
        let mut requests = Requests::default();
        let (reply, mut answer) = oneshot::channel();
        let now = Instant::now();
        let request = requests.open(2, reply, now + Duration::from_secs(1));
        assert!(requests.answer(Ticket { request, place: 1 }, Ok(grant(2))));
        assert!(requests.complete(now).is_empty());
        assert!(answer.try_recv().is_err());
        let refusal = Refusal::new(ErrorCode::SymbolNotFound, "no");
        assert!(requests.answer(Ticket { request, place: 0 }, Err(refusal.clone())));
        assert!(requests.complete(now).is_empty());
        assert_eq!(answer.try_recv().unwrap(), [Err(refusal.clone()), Ok(grant(2))]);
        assert!(!requests.answer(Ticket { request, place: 0 }, Err(refusal)), "it is over");
    }

    #[test]
    fn what_nobody_answered_in_time_is_pending() {
        let mut requests = Requests::default();
        let (reply, mut answer) = oneshot::channel();
        let now = Instant::now();
        let request = requests.open(1, reply, now);
        requests.note_key(Ticket { request, place: 0 }, key(5));
        assert!(requests.complete(now).is_empty());
        let answers = answer.try_recv().unwrap();
        assert!(matches!(
            answers.as_slice(),
            [Ok(Grant { is_pending: true, instrument: InstrumentId(5), .. })]
        ));
    }

    #[test]
    fn a_grant_says_which_failures_were_told_before() {
        let mut requests = Requests::default();
        let (reply, mut answer) = oneshot::channel();
        let now = Instant::now();
        let request = requests.open(2, reply, now);
        requests.note_key(Ticket { request, place: 1 }, key(5));
        assert_eq!(requests.next_failure(), 1);
        assert!(requests.answer(Ticket { request, place: 0 }, Ok(grant(2))));
        assert_eq!(requests.next_failure(), 2);
        requests.complete(now);
        let answers = answer.try_recv().unwrap();
        let failures: Vec<u64> = answers.iter().map(|answer| answer.as_ref().unwrap().failures).collect();
        assert_eq!(failures, [1, 2], "the second one is granted as its time is over");
    }

    #[test]
    fn what_was_granted_to_a_client_that_left_comes_back() {
        let mut requests = Requests::default();
        let (reply, answer) = oneshot::channel();
        drop(answer);
        let now = Instant::now();
        let request = requests.open(1, reply, now + Duration::from_secs(1));
        requests.note_key(Ticket { request, place: 0 }, key(5));
        assert_eq!(requests.complete(now), [key(5)]);
    }
}
