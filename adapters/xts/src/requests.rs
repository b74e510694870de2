//! What the broker is still to be asked, one request after the other.

use std::{collections::VecDeque, fmt, future::Future, pin::Pin, time::Duration};

use adapter_sdk::{AdapterError, Backoff, ErrorCode, Pauses, plan::Change, symbol::Exchange};
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
                adapter_sdk::tracing::warn!(%error, count, "The broker did not answer a request for instruments; it is made again");
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
