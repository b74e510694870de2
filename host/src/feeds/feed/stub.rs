//! A feed without a task, for tests of those who use one: what is asked of it can be looked at and answered.

use std::{sync::Arc, time::Duration};

use adapter_abi::ErrorCode as AdapterErrorCode;
use tickhost_core::{
    calendar::{Calendars, Hours},
    intake::{Doorbell, Intake},
    metrics::FeedCounters,
    model::{FeedId, InstrumentId, Key},
    pool::PoolLimits,
};

use super::{Command, Feed, FeedSpec, Grant, Membership, Refusal, Serving};
use crate::{
    accounts::UserName,
    adapters::{AdapterEvents, AdapterFailure, AdapterInstance, Assignment, connector::Connector},
};

/// The feed.
#[derive(Debug)]
pub(crate) struct FeedStub(Feed);

/// What makes no instance. With a size: of types without one all instances are at one place.
#[derive(Debug)]
pub(crate) struct NoConnector(#[expect(dead_code, reason = "its place is what counts")] pub(crate) u8);

impl Connector for NoConnector {
    fn create(
        &self,
        _assignment: &Assignment,
        _label: &str,
        _events: Arc<dyn AdapterEvents>,
        _intake: &Arc<Intake>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        Err(AdapterFailure { code: AdapterErrorCode::CONFIG, message: "a stub".to_owned() })
    }
}

impl FeedStub {
    /// A feed with this number, of which nothing was asked.
    pub(crate) fn new(number: u32) -> Self {
        let (id, counters) = (FeedId(number), Arc::<FeedCounters>::default());
        let spec =
            FeedSpec { broker: "sim".into(), adapter: "sim".into(), account: None, repeats_modes: false };
        let serving = Serving {
            connector: Arc::new(NoConnector(0)),
            limits: PoolLimits::new(1_000, 1),
            throttle: Duration::ZERO,
            sessions: 1,
            hours: Hours::Always,
            logs_in: false,
        };
        let intake = Intake::new(id, Arc::clone(&counters), Doorbell::new());
        let stale_after = Duration::from_mins(1);
        Self(Feed::new(id, spec, &serving, counters, intake, stale_after, Calendars::default()))
    }

    pub(crate) const fn feed(&self) -> &Feed {
        &self.0
    }

    /// A session of this user joins.
    pub(crate) fn join(&self, user: &str) -> Membership {
        Membership::new(&self.0, &UserName::from(user))
    }

    /// Answers the subscribe that waits, with a number for each instrument that is granted.
    pub(crate) fn answer(&self, answers: Vec<Result<u32, Refusal>>) {
        let grant =
            |number| Grant { instrument: InstrumentId(number), levels: None, is_pending: false, failures: 0 };
        let answers = answers.into_iter().map(|answer| answer.map(grant)).collect();
        let reply = self.commands().into_iter().find_map(|command| match command {
            Command::Subscribe { reply, .. } => Some(reply),
            _ => None,
        });
        reply.unwrap().send(answers).unwrap();
    }

    /// What was given back since the last call.
    pub(crate) fn released(&self) -> Vec<Key> {
        let released = self.commands().into_iter().filter_map(|command| match command {
            Command::Release(keys) => Some(keys),
            _ => None,
        });
        released.flatten().collect()
    }

    fn commands(&self) -> Vec<Command> {
        let mut commands = Vec::new();
        self.0.0.commands.take(&mut commands);
        commands
    }
}
