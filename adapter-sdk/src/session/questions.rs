//! Keys that the broker has to be asked for, many in one request.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use tokio::time::Instant;
use tracing::warn;

use super::{Live, Protocol};
use crate::{AdapterError, Subscription};

type Work<A> = Pin<Box<dyn Future<Output = Result<A, AdapterError>>>>;

/// Asks the broker for what instruments wait for ([`Protocol::must_ask`]): many in one request, one request
/// after the other, and not for a while after one that failed. `Q` is what is asked of one instrument, `A`
/// the answer to a request.
///
/// Keep it in the [`Protocol`]: `must_ask` looks at [`Self::is_open`], `wait` calls [`Self::wait`], and
/// `advance` takes [`Self::answer`] and then calls [`Self::ask`].
pub struct Questions<Q, A> {
    most: usize,
    pause: Duration,
    request: Box<dyn Fn(&[Q]) -> Work<A>>,
    asking: Option<(Vec<Q>, Work<A>)>,
    answer: Option<Result<A, AdapterError>>,
    not_before: Instant,
}

impl<Q: PartialEq + 'static, A: 'static> Questions<Q, A> {
    /// At most so many in a request, at least one; after a request that failed the broker is left alone for
    /// `pause`. `request` makes it, and bounds its time: it is dropped when nobody needs it any more.
    pub fn new<F>(most: usize, pause: Duration, request: impl Fn(&[Q]) -> F + 'static) -> Self
    where
        F: Future<Output = Result<A, AdapterError>> + 'static,
    {
        let request = Box::new(move |asked: &[Q]| -> Work<A> { Box::pin(request(asked)) });
        Self { most: most.max(1), pause, request, asking: None, answer: None, not_before: Instant::now() }
    }

    /// Whether the broker may be asked at this moment: not after a request that has just failed.
    pub fn is_open(&self) -> bool {
        self.not_before <= Instant::now()
    }

    /// Another list is in force: what is being asked means nothing any more.
    pub fn forget(&mut self) {
        (self.asking, self.answer) = (None, None);
    }

    /// Waits for an answer; for ever when nothing is asked.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    pub async fn wait(&mut self) {
        match &mut self.asking {
            Some((_, work)) if self.answer.is_none() => self.answer = Some(work.as_mut().await),
            _ => std::future::pending().await,
        }
    }

    /// What was asked and what the broker answered, once it has. A request that failed is logged, and none.
    pub fn answer(&mut self, now: Instant) -> Option<(Vec<Q>, A)> {
        let answer = self.answer.take()?;
        let (asked, _) = self.asking.take()?;
        match answer {
            Ok(answer) => Some((asked, answer)),
            Err(error) => {
                warn!(%error, count = asked.len(), "The broker does not say the keys of instruments");
                self.not_before = now + self.pause;
                None
            }
        }
    }

    /// Asks for what waits, unless a request is under way. `question` gives what is to be asked of an
    /// instrument; where it has nothing to ask, the wait is over, and so are all waits while the broker is
    /// left alone.
    pub fn ask<P: Protocol>(
        &mut self,
        now: Instant,
        live: &mut Live<P>,
        question: impl Fn(&Subscription) -> Option<Q>,
    ) {
        if self.asking.is_some() {
            return;
        }
        let (mut over, mut asked) = (Vec::new(), Vec::new());
        for wanted in live.waiting() {
            match question(wanted).filter(|_| self.not_before <= now) {
                Some(question) if asked.len() < self.most && !asked.contains(&question) => {
                    asked.push(question);
                }
                Some(_) => {}
                None => over.push(wanted.instrument),
            }
        }
        over.into_iter().for_each(|instrument| live.answered(instrument));
        if !asked.is_empty() {
            let work = (self.request)(&asked);
            self.asking = Some((asked, work));
        }
    }
}

impl<Q, A> fmt::Debug for Questions<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Questions").field("is_asking", &self.asking.is_some()).finish_non_exhaustive()
    }
}
