//! The list of instruments while a connection is up.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::{Access, List, Master, Outdated, report::Taken};
use crate::AdapterError;

/// How long a connection that is up goes on by the last list when that of today does not come. The exchanges
/// open half an hour and more after the brokers' lists are made.
const GRACE: Duration = Duration::from_mins(15);

type Work<L> = Pin<Box<dyn Future<Output = Result<Taken<L>, AdapterError>>>>;

/// Renews the list while a connection is up: when the broker makes the one of the day, when the present one
/// is incomplete, and when the operator asks for it.
pub struct Renewal<L> {
    master: Arc<Master<L>>,
    access: Access,
    /// When to ask next.
    due: Instant,
    /// Until when this connection may go on by the present list.
    limit: Instant,
    /// Attempts in a row that failed, or brought an incomplete list.
    failures: u32,
    is_repair: bool,
    work: Option<Work<L>>,
}

impl<L: List> Renewal<L> {
    pub(super) fn new(master: Arc<Master<L>>, access: Access) -> Self {
        let now = Instant::now();
        let mut renewal =
            Self { master, access, due: now, limit: now, failures: 0, is_repair: false, work: None };
        renewal.schedule();
        renewal
    }

    /// The broker has another list, without which this connection can go on for so long.
    pub fn hurry(&mut self, limit: Duration) {
        self.master.invalidate();
        let now = Instant::now();
        (self.due, self.limit) = (now, now + limit);
    }

    /// Whether the list that [`Self::next`] gave last was got in the place of one of the same day: because it
    /// was incomplete, or the operator asked. The broker's numbers have not been given again since.
    pub const fn is_repair(&self) -> bool {
        self.is_repair
    }

    /// Adds to the refusal of an instrument that the list does not have that the list is incomplete, if it
    /// is.
    pub fn explain(&self, exchange: &str, symbol: &str, refusal: crate::Refusal) -> crate::Refusal {
        self.master.explain(exchange, symbol, refusal)
    }

    /// Waits for the next list, which may take a day. A download that fails is tried again, one that is
    /// incomplete too; a repeated one that is the same is not given.
    ///
    /// # Cancel Safety
    /// Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When the list cannot be had and the last one is too old to go on with: the connection has to end.
    pub async fn next(&mut self) -> Result<Arc<L>, AdapterError> {
        let mut error = AdapterError::network("the broker's list of instruments takes too long");
        loop {
            let work = match &mut self.work {
                Some(work) => work,
                none => {
                    let pause = self.master.pauses.whole(self.failures);
                    let asked_at = tokio::select! {
                        biased;
                        () = self.master.lists.asked() => Some(SystemTime::now()),
                        () = sleep_until(self.due) => None,
                    };
                    if asked_at.is_some() {
                        self.failures = 0;
                    }
                    self.is_repair = self.master.is_current();
                    let newer_than = match asked_at {
                        _ if !self.is_repair => self.master.required(),
                        Some(at) => at,
                        // What another connection has got in this round will do.
                        None => SystemTime::now() - pause / 2,
                    };
                    let (master, access) = (Arc::clone(&self.master), self.access.clone());
                    none.insert(Box::pin(async move { master.renew(&access, newer_than).await }))
                }
            };
            let is_bound = self.master.source.outdated == Outdated::Refuse;
            let outcome = tokio::select! {
                biased;
                outcome = work.as_mut() => Some(outcome),
                () = sleep_until(self.limit), if is_bound => None,
            };
            // What is given up too: it may hold the turn, which others wait for.
            self.work = None;
            let Some(outcome) = outcome else { return Err(error) };
            match outcome {
                Ok(Taken { list, is_changed }) => {
                    self.schedule();
                    if is_changed || !self.is_repair {
                        return Ok(list);
                    }
                }
                Err(failed) => {
                    warn!(error = %failed, "The list of instruments could not be renewed; trying again");
                    error = failed;
                    self.due = self.after_pause();
                    if is_bound {
                        self.due = self.due.min(self.limit);
                        if Instant::now() >= self.limit {
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    /// When to ask next after a list that came: soon if it is incomplete, or else when the broker makes the
    /// next one.
    fn schedule(&mut self) {
        // The broker may have made another one while it came.
        let next = if self.master.is_current() { self.master.tomorrow() } else { Instant::now() };
        self.limit = next + GRACE;
        if self.master.is_whole() {
            self.failures = 0;
            self.due = next;
        } else {
            self.due = self.after_pause().min(next);
        }
    }

    fn after_pause(&mut self) -> Instant {
        let pause = self.master.pauses.pause(self.failures, rand::random());
        self.failures = self.failures.saturating_add(1);
        Instant::now() + pause
    }
}

impl<L> fmt::Debug for Renewal<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").field("due", &self.due).finish_non_exhaustive()
    }
}
