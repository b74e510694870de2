//! What the broker is still to be asked, one request after the other.

use std::{collections::VecDeque, fmt, future::Future, pin::Pin, time::Duration};

use adapter_sdk::{AdapterError, Backoff, ErrorCode, Pauses, plan::Change, symbol::Exchange, tracing::warn};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{
    rest::{Answer, Ask, Rest},
    wire::{Code, Key},
};

/// Pauses after requests that came to nothing.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

/// What the broker is asked for of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// The last price.
    Ltp,
    /// Prices, with the best bid and ask.
    Quote,
    /// The same with a book.
    Depth,
    /// An index by the code that is its own.
    Index,
}

/// How channels are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes {
    pub ltp_by_touchline: bool,
    pub price_bands: bool,
}

impl Codes {
    /// The code of a channel.
    pub(crate) const fn of(self, channel: Channel) -> Code {
        match channel {
            Channel::Ltp if !self.ltp_by_touchline => Code::Ltp,
            Channel::Ltp | Channel::Quote => Code::Touchline,
            Channel::Depth => Code::Depth,
            Channel::Index => Code::Index,
        }
    }

    /// Those of a key beside that: open interest comes by none of the others.
    fn beside(self, key: Key, channel: Option<Channel>) -> impl Iterator<Item = Code> {
        let is_more = matches!(channel, Some(Channel::Quote | Channel::Depth));
        let is_derivative = !matches!(key.exchange, Exchange::Nse | Exchange::Bse);
        let interest = (is_more && is_derivative).then_some(Code::OpenInterest);
        interest.into_iter().chain((is_more && self.price_bands).then_some(Code::Bands))
    }

    /// All codes of a key in a channel.
    fn all(self, key: Key, channel: Option<Channel>) -> impl Iterator<Item = Code> {
        channel.map(|channel| self.of(channel)).into_iter().chain(self.beside(key, channel))
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub ask: Ask,
    pub code: Code,
    pub keys: Vec<Key>,
    /// Whether the broker said that it has been done already.
    pub is_again: bool,
}

type Work = Pin<Box<dyn Future<Output = Result<Answer, AdapterError>>>>;

/// The requests of a connection.
pub(crate) struct Requests {
    rest: Rest,
    token: Zeroizing<String>,
    codes: Codes,
    waiting: VecDeque<Call>,
    under_way: Option<(Call, Work)>,
    answer: Option<Result<Answer, AdapterError>>,
    pauses: Pauses,
    not_before: Option<Instant>,
}

impl Requests {
    pub(crate) fn new(rest: Rest, token: &str, codes: Codes) -> Self {
        Self {
            rest,
            token: token.to_owned().into(),
            codes,
            waiting: VecDeque::new(),
            under_way: None,
            answer: None,
            pauses: Pauses::new(PAUSES),
            not_before: None,
        }
    }

    /// Whether nothing waits.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_none()
    }

    /// Notes what has changed. What is new comes first, so that a change of mode has no gap.
    pub(crate) fn follow(&mut self, changes: &[Change<Key, Channel>]) {
        let codes = self.codes;
        let mut calls: Vec<Call> = Vec::new();
        let mut add =
            |ask, code, key| match calls.iter_mut().find(|call| call.ask == ask && call.code == code) {
                Some(call) => call.keys.push(key),
                None => calls.push(Call { ask, code, keys: vec![key], is_again: false }),
            };
        for Change { key, before, now } in changes.iter().copied() {
            if before == now {
                codes.all(key, now).for_each(|code| add(Ask::Quotes, code, key));
                continue;
            }
            let (old, new): (Vec<Code>, Vec<Code>) =
                (codes.all(key, before).collect(), codes.all(key, now).collect());
            for code in &new {
                let ask = if old.contains(code) { Ask::Quotes } else { Ask::Subscribe };
                add(ask, *code, key);
            }
            old.iter().filter(|code| !new.contains(code)).for_each(|code| add(Ask::Unsubscribe, *code, key));
        }
        calls.sort_by_key(|call| call.ask == Ask::Unsubscribe);
        self.waiting.extend(calls);
    }

    /// Puts requests before all others.
    pub(crate) fn first(&mut self, calls: impl IntoIterator<Item = Call, IntoIter: DoubleEndedIterator>) {
        calls.into_iter().rev().for_each(|call| self.waiting.push_front(call));
    }

    /// Waits for an answer; for ever when nothing is asked.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn wait(&mut self) {
        match &mut self.under_way {
            Some((_, work)) if self.answer.is_none() => self.answer = Some(work.as_mut().await),
            _ => std::future::pending().await,
        }
    }

    /// When the next request may be made.
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.under_way.is_none() && !self.waiting.is_empty())
    }

    /// What was asked and what was answered. Requests that came to nothing are made again after a pause.
    ///
    /// # Errors
    /// When the token has ended.
    pub(crate) fn answer(&mut self, now: Instant) -> Result<Option<(Call, Answer)>, AdapterError> {
        let Some(answer) = self.answer.take() else { return Ok(None) };
        let Some((call, _)) = self.under_way.take() else { return Ok(None) };
        match answer {
            Ok(answer) => {
                self.pauses = Pauses::new(PAUSES);
                Ok(Some((call, answer)))
            }
            Err(error) if error.code() == ErrorCode::AUTH => Err(error),
            Err(error) => {
                let is_limited = error.code() == ErrorCode::RATE_LIMITED;
                let pause = self.pauses.after_failure(Duration::ZERO, is_limited);
                let count = call.keys.len();
                warn!(%error, count, "The broker did not answer a request for instruments; it is made again");
                self.not_before = Some(now + pause);
                self.waiting.push_front(call);
                Ok(None)
            }
        }
    }

    /// Makes the next request if there is one and it may be made.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.under_way.is_some() || self.not_before.is_some_and(|at| at > now) {
            return;
        }
        self.not_before = None;
        if let Some(call) = self.waiting.pop_front() {
            let work = self.rest.clone().ask(self.token.clone(), call.ask, call.code, call.keys.clone());
            self.under_way = Some((call, Box::pin(work)));
        }
    }
}

impl fmt::Debug for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requests").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::net::{Network, NetworkConfig, RateLimit};

    use super::*;

    fn requests(price_bands: bool) -> Requests {
        let http = Network::new(NetworkConfig::default()).unwrap().http(RateLimit::per_second(1.0));
        let rest = Rest { http, url: "http://127.0.0.1:9".to_owned() };
        Requests::new(rest, "token", Codes { ltp_by_touchline: false, price_bands })
    }

    /// The requests of some changes: what is asked, code, and numbers.
    fn asked(
        requests: &mut Requests,
        changes: &[(&str, u32, Option<Channel>, Option<Channel>)],
    ) -> Vec<(Ask, u16, Vec<u32>)> {
        let changes: Vec<_> = changes
            .iter()
            .map(|(exchange, token, before, now)| {
                let exchange = Exchange::of(exchange).unwrap();
                Change { key: Key { exchange, token: *token }, before: *before, now: *now }
            })
            .collect();
        requests.follow(&changes);
        let calls = std::mem::take(&mut requests.waiting).into_iter();
        calls
            .map(|call| (call.ask, call.code.number(), call.keys.into_iter().map(|key| key.token).collect()))
            .collect()
    }

    #[test]
    fn what_is_new_is_asked_for_before_the_old_ends_and_codes_share_requests() {
        use Channel::{Depth, Index, Ltp, Quote};
        let mut requests = requests(false);
        let changes = [
            ("NSE", 1, None, Some(Ltp)),
            ("NSE", 2, None, Some(Ltp)),
            ("NSE", 26_000, None, Some(Index)),
            ("NFO", 3, Some(Quote), Some(Depth)),
            ("NFO", 4, None, Some(Quote)),
            ("NFO", 5, Some(Depth), Some(Ltp)),
            ("NFO", 6, Some(Depth), None),
            ("NSE", 7, Some(Quote), Some(Quote)),
        ];
        assert_eq!(
            asked(&mut requests, &changes),
            [
                (Ask::Subscribe, 1_512, vec![1, 2, 5]),
                (Ask::Subscribe, 1_504, vec![26_000]),
                (Ask::Subscribe, 1_502, vec![3]),
                // What goes on is only asked for.
                (Ask::Quotes, 1_510, vec![3]),
                (Ask::Subscribe, 1_501, vec![4]),
                (Ask::Subscribe, 1_510, vec![4]),
                (Ask::Quotes, 1_501, vec![7]),
                (Ask::Unsubscribe, 1_501, vec![3]),
                (Ask::Unsubscribe, 1_502, vec![5, 6]),
                (Ask::Unsubscribe, 1_510, vec![5, 6]),
            ]
        );
    }

    #[test]
    fn limits_of_prices_are_asked_for_by_those_who_want_them() {
        let mut requests = requests(true);
        let changes = [("NSE", 1, None, Some(Channel::Quote)), ("NSE", 2, None, Some(Channel::Ltp))];
        let codes: Vec<u16> = asked(&mut requests, &changes).into_iter().map(|(_, code, _)| code).collect();
        assert_eq!(codes, [1_501, 1_105, 1_512]);
    }

    #[test]
    fn last_prices_come_with_touchlines_where_they_do_not_come_by_themselves() {
        let codes = Codes { ltp_by_touchline: true, price_bands: false };
        assert_eq!((codes.of(Channel::Ltp), codes.of(Channel::Quote)), (Code::Touchline, Code::Touchline));
    }
}
