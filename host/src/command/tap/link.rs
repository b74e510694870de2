//! A connection that is made again whenever it breaks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use adapter_time::Backoff;
use anyhow::bail;
use tokio::time::{Instant, sleep_until};

use super::{
    connection::{self, Connection, Feed, Heard, Refusal, Subscription, Target, Tick},
    format::printable,
};

/// Pauses for a host that is restarted: soon back, and not asked all the time when it is not.
pub(super) const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));

/// What there is to show.
#[derive(Debug)]
pub(super) enum Event {
    /// A tick.
    Tick(Tick),
    /// Symbols that the host does not give, or no longer. Others are left.
    Refused(Vec<Refusal>),
    /// The way from the host to the broker is in this state from now on.
    Feed(Feed),
    /// The connection broke.
    Lost {
        /// Why, printable.
        reason: String,
        /// Until the next try.
        pause: Duration,
    },
    /// The connection is there again.
    Found,
}

/// A subscription that outlasts its connections.
pub(super) struct Link {
    target: Target,
    subscription: Arc<Subscription>,
    asked: BTreeSet<String>,
    refused: BTreeMap<String, String>,
    state: State,
    pauses: Backoff,
    /// Failures since the last tick.
    failures: u32,
    may_retry: bool,
}

type Opening = Pin<Box<dyn Future<Output = anyhow::Result<Connection>> + Send>>;

enum State {
    Open(Box<Connection>),
    Resting(Instant),
    // Kept here rather than awaited in place, so that whoever waits for an event may stop waiting at any
    // time.
    Opening(Opening),
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Link {
    /// Connects for the first time. When that fails, or `may_retry` is false, there is no second try.
    pub(super) async fn open(
        target: Target,
        subscription: Subscription,
        pauses: Backoff,
        may_retry: bool,
    ) -> anyhow::Result<Self> {
        let connection = Connection::open(&target, &subscription).await?;
        let names = subscription.symbols.iter();
        Ok(Self {
            target,
            asked: names.map(|(exchange, symbol)| printable(&format!("{exchange}:{symbol}"))).collect(),
            refused: BTreeMap::new(),
            subscription: Arc::new(subscription),
            state: State::Open(Box::new(connection)),
            pauses,
            failures: 0,
            may_retry,
        })
    }

    /// The next event.
    ///
    /// # Errors
    /// What trying again would not change: the key or all symbols are refused, or there is no second try.
    ///
    /// # Cancel Safety
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> anyhow::Result<Event> {
        loop {
            match &mut self.state {
                State::Open(connection) => match connection.hear().await {
                    Ok(heard) => {
                        if let Some(event) = self.judge(heard)? {
                            return Ok(event);
                        }
                    }
                    Err(error) => return self.lost(error),
                },
                State::Resting(until) => {
                    sleep_until(*until).await;
                    let (target, subscription) = (self.target.clone(), Arc::clone(&self.subscription));
                    let opening = async move { Connection::open(&target, &subscription).await };
                    self.state = State::Opening(Box::pin(opening));
                }
                State::Opening(opening) => match opening.await {
                    Ok(connection) => {
                        self.state = State::Open(Box::new(connection));
                        self.refused.clear();
                        return Ok(Event::Found);
                    }
                    Err(error) => return self.lost(error),
                },
            }
        }
    }

    fn judge(&mut self, heard: Heard) -> anyhow::Result<Option<Event>> {
        let (refusals, is_any_granted) = match heard {
            Heard::Tick(tick) => {
                self.failures = 0;
                self.refused.remove(&tick.name);
                return Ok(Some(Event::Tick(tick)));
            }
            Heard::Answer { refusals, is_any_granted } => (refusals, is_any_granted),
            Heard::Ended(refusal) => (vec![refusal], true),
            // Whoever waits for it is not done, even if there is nothing else.
            Heard::Missing(refusal) => return Ok(Some(Event::Refused(vec![refusal]))),
            Heard::Feed(feed) => return Ok(Some(Event::Feed(feed))),
            Heard::Rejected(reason) => bail!("the host refused the subscription: {reason}"),
        };
        // Only names that were asked for are kept: a host may say what it likes, for as long as it likes.
        let asked = refusals.iter().filter(|refusal| self.asked.contains(&refusal.name));
        self.refused.extend(asked.map(|refusal| (refusal.name.clone(), refusal.reason.clone())));
        if !is_any_granted || self.refused.len() == self.asked.len() {
            let mut lines = vec!["none of the symbols can be shown".to_owned()];
            lines.extend(self.refused.iter().map(|(name, reason)| format!("  {name}: {reason}")));
            bail!(lines.join("\n"));
        }
        Ok((!refusals.is_empty()).then_some(Event::Refused(refusals)))
    }

    fn lost(&mut self, error: anyhow::Error) -> anyhow::Result<Event> {
        if !self.may_retry || connection::is_final(&error) {
            return Err(error);
        }
        // Partly random, so that all clients of a host that was restarted do not return in step.
        let pause = if connection::asks_for_patience(&error) {
            self.pauses.longest(rand::random())
        } else {
            self.pauses.pause(self.failures, rand::random())
        };
        self.failures = self.failures.saturating_add(1);
        self.state = State::Resting(Instant::now() + pause);
        Ok(Event::Lost { reason: printable(&format!("{error:#}")), pause })
    }
}
