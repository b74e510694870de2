//! What an adapter instance says to its feed. Called on the adapter's thread: everything returns at once.

use std::{borrow::Cow, fmt, sync::Arc};

use adapter_abi::{
    LogLevel, PublishOutcome, StatusEvent, SubscriptionOutcome, abi_stable::std_types::RString,
};
use parking_lot::Mutex;
use secrecy::SecretString;
use tickhost_core::{
    handover::{Handover, Passed, Published},
    inbox::Inbox,
    intake::Intake,
    metrics::Counter,
    model::{Depth, DepthLevel, Greeks, Ltp, Quote},
};

use super::{
    adapter_log::{self, AdapterLog},
    shared_credentials::CurrentCredentials,
};
use crate::{
    accounts::UserName,
    adapters::{AdapterEvents, MAX_LIST_STATE_BYTES},
    base::clock,
};

/// Status events and outcome batches that may wait for the feed; an adapter that sends more loses them,
/// counted.
const EVENT_LIMIT: usize = 65_536;

/// Events that may wait for news of a list to be one more: what comes too fast for the feed costs no outcome
/// its place.
const LIST_LIMIT: usize = 1_024;

/// Where order updates of adapters go.
pub trait OrderSink: fmt::Debug + Send + Sync + 'static {
    /// Takes an order update of a user: a JSON object, to be completed and forwarded. Says whether it was
    /// taken.
    fn order(&self, user: &UserName, broker: &str, update_json: &str) -> bool;
}

/// Something that an instance reported, and which one it was.
#[derive(Debug)]
pub(super) struct InstanceEvent {
    pub(super) connection: usize,
    /// Counts the instances that this connection has had; events of earlier ones are ignored.
    pub(super) epoch: u64,
    pub(super) what: InstanceReport,
}

#[derive(Debug)]
pub(super) enum InstanceReport {
    Status(StatusEvent),
    Outcomes(u64, Vec<SubscriptionOutcome>),
    /// There is news of its list of instruments: see [`Events::take_list`].
    List,
    /// It has ended, as it was told.
    Ended,
    /// One whose place was taken, or is not there any more, has gone.
    Left,
}

/// The callbacks of one instance.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) connection: usize,
    pub(super) epoch: u64,
    pub(super) intake: Arc<Intake>,
    pub(super) inbox: Arc<Inbox<InstanceEvent>>,
    pub(super) credentials: Arc<CurrentCredentials>,
    pub(super) orders: Arc<dyn OrderSink>,
    pub(super) user: Option<UserName>,
    pub(super) broker: Arc<str>,
    pub(super) log: AdapterLog,
    /// When the instance published last, in nanoseconds since the Unix epoch; 0 before.
    pub(super) last_tick_ns: Arc<Counter>,
    /// What it said last of its list of instruments, until the feed reads it. Locked alone, for a swap.
    list: Mutex<Option<Box<str>>>,
    /// Locked while a batch is published: once it was changed, no batch is under way that was meant for what
    /// it was.
    ///
    /// Lock order: before that of a [`Handover`], and before `Intake::state`.
    pass: Mutex<Pass>,
}

/// What becomes of an instance's ticks.
#[derive(Debug)]
enum Pass {
    /// They pass.
    All,
    /// They pass, and are noted: a new instance is getting ready.
    Noted(Arc<Handover>),
    /// They wait, or those pass that its predecessor did not have.
    Following(Arc<Handover>),
    /// They are dropped.
    Retired,
}

impl Events {
    #[expect(clippy::too_many_arguments, reason = "a plain record; each part has another owner")]
    pub(super) fn new(
        connection: usize,
        epoch: u64,
        intake: Arc<Intake>,
        inbox: Arc<Inbox<InstanceEvent>>,
        credentials: Arc<CurrentCredentials>,
        orders: Arc<dyn OrderSink>,
        user: Option<UserName>,
        broker: Arc<str>,
        label: &str,
    ) -> Arc<Self> {
        Arc::new(Self {
            connection,
            epoch,
            intake,
            inbox,
            credentials,
            orders,
            user,
            broker,
            log: AdapterLog::new(label),
            last_tick_ns: Arc::default(),
            list: Mutex::default(),
            pass: Mutex::new(Pass::All),
        })
    }

    /// Nothing of this instance is taken any more.
    pub(super) fn retire(&self) {
        *self.pass.lock() = Pass::Retired;
    }

    /// The instance goes on, and `handover` gets ready to replace it.
    pub(super) fn note_for(&self, handover: &Arc<Handover>) {
        *self.pass.lock() = Pass::Noted(Arc::clone(handover));
    }

    /// The instance waits for the flip of `handover`.
    pub(super) fn follow(&self, handover: &Arc<Handover>) {
        *self.pass.lock() = Pass::Following(Arc::clone(handover));
    }

    /// Ends the part of the instance in a handover, unless it plays one in another by now: everything that it
    /// says passes.
    pub(super) fn leave(&self, handover: &Arc<Handover>) {
        let mut pass = self.pass.lock();
        if let Pass::Noted(present) | Pass::Following(present) = &*pass
            && Arc::ptr_eq(present, handover)
        {
            *pass = Pass::All;
        }
    }

    /// What the instance said last of its list of instruments, at most [`MAX_LIST_STATE_BYTES`] of anything;
    /// none when that was taken before.
    pub(super) fn take_list(&self) -> Option<Box<str>> {
        self.list.lock().take()
    }

    fn publish(&self, batch: Published<'_>) -> PublishOutcome {
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let mut pass = self.pass.lock();
        if self.intake.is_closed() {
            return self.refuse(count);
        }
        let dropped = match &*pass {
            Pass::All => Some(batch.offer(&self.intake)),
            Pass::Noted(handover) => handover.old(batch, &self.intake),
            Pass::Following(handover) => {
                if handover.new_one(batch, &self.intake) == Passed::Finished {
                    *pass = Pass::All;
                }
                Some(0)
            }
            Pass::Retired => None,
        };
        let Some(dropped) = dropped else { return self.refuse(count) };
        let now_ns = clock::unix_nanos();
        self.intake.counters().last_tick_ns.set(now_ns);
        self.last_tick_ns.set(now_ns);
        PublishOutcome { accepted: count.saturating_sub(dropped), dropped, retired: 0, reserved: [0; 3] }
    }

    fn refuse(&self, count: u32) -> PublishOutcome {
        let counters = self.intake.counters();
        counters.received.add(u64::from(count));
        counters.dropped_retired.add(u64::from(count));
        PublishOutcome { accepted: 0, dropped: count, retired: 1, reserved: [0; 3] }
    }

    /// Takes the account's secrets out of what people will read.
    fn redact(&self, text: &mut RString) {
        if let Cow::Owned(redacted) = self.credentials.redacted(text) {
            *text = redacted.into();
        }
    }

    fn report(&self, what: InstanceReport) {
        let limit = if matches!(what, InstanceReport::List) { LIST_LIMIT } else { EVENT_LIMIT };
        let event = InstanceEvent { connection: self.connection, epoch: self.epoch, what };
        if self.inbox.try_push(event, limit).is_err() {
            self.intake.counters().events_lost.add(1);
        }
    }
}

impl AdapterEvents for Events {
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome {
        self.publish(Published::Ltp(batch))
    }

    fn quote(&self, batch: &[Quote]) -> PublishOutcome {
        self.publish(Published::Quote(batch))
    }

    fn depth(&self, batch: &[Depth], levels: &[DepthLevel]) -> PublishOutcome {
        self.publish(Published::Depth(batch, levels))
    }

    fn greeks(&self, batch: &[Greeks]) -> PublishOutcome {
        self.publish(Published::Greeks(batch))
    }

    fn order_update(&self, json: &str) -> PublishOutcome {
        let taken = self.user.as_ref().is_some_and(|user| self.orders.order(user, &self.broker, json));
        PublishOutcome {
            accepted: u32::from(taken),
            dropped: u32::from(!taken),
            retired: u8::from(matches!(*self.pass.lock(), Pass::Retired)),
            reserved: [0; 3],
        }
    }

    fn status(&self, mut event: StatusEvent) {
        self.redact(&mut event.message);
        self.report(InstanceReport::Status(event));
    }

    fn outcomes(&self, request: u64, outcomes: &[SubscriptionOutcome]) {
        let mut outcomes = outcomes.to_vec();
        outcomes.iter_mut().for_each(|outcome| self.redact(&mut outcome.message));
        self.report(InstanceReport::Outcomes(request, outcomes));
    }

    /// Only kept: the feed reads the newest when it has the time, so a flood costs it nothing.
    fn list(&self, state_json: &str) {
        if state_json.len() > MAX_LIST_STATE_BYTES {
            self.intake.counters().lists_malformed.add(1);
            return;
        }
        *self.list.lock() = Some(state_json.into());
        self.report(InstanceReport::List);
    }

    fn credentials(&self) -> SecretString {
        self.credentials.json()
    }

    fn log_level(&self) -> LogLevel {
        adapter_log::most_verbose_level()
    }

    fn log(&self, level: LogLevel, target: &str, message: &str, fields_json: &str) {
        let second = clock::unix_nanos() / 1_000_000_000;
        self.log.write(second, level, (target, message, fields_json), &self.credentials);
    }

    fn replaced(&self, count: u32) {
        let counters = self.intake.counters();
        counters.received.add(count.into());
        counters.conflated_link.add(count.into());
    }

    fn invalid(&self, count: u64) {
        let counters = self.intake.counters();
        counters.received.add(count);
        counters.dropped_invalid.add(count);
    }

    fn lost(&self, count: u64) {
        self.intake.counters().events_lost.add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhost_core::{
        intake::{Batch, Doorbell},
        model::{FeedId, field},
    };

    const FEED: FeedId = FeedId(1);

    #[derive(Debug)]
    struct NoOrders;

    impl OrderSink for NoOrders {
        fn order(&self, _user: &UserName, _broker: &str, _update_json: &str) -> bool {
            false
        }
    }

    fn events(intake: &Arc<Intake>) -> Arc<Events> {
        let credentials = Arc::new(CurrentCredentials::new(Vec::new()));
        let (inbox, orders) = (Arc::default(), Arc::new(NoOrders));
        Events::new(0, 1, Arc::clone(intake), inbox, credentials, orders, None, "acme".into(), "acme/1.0")
    }

    fn publish(events: &Events, number: i64) -> PublishOutcome {
        let seconds = u64::try_from(number).unwrap() * 1_000_000_000;
        let fields = field::LTP | field::EXCHANGE_TS;
        events.ltp(&[Ltp { instrument: 7, fields, exchange_ts_ns: seconds, ltp: number, ..Ltp::default() }])
    }

    #[test]
    fn the_late_end_of_one_handover_does_not_end_the_part_in_the_next() {
        let intake = Intake::new(FEED, Arc::default(), Doorbell::new());
        let (old, new) = (events(&intake), events(&intake));
        let (before, next) = (Handover::new(FEED), Handover::new(FEED));
        old.follow(&before);
        before.flip(&intake);
        old.note_for(&next);
        new.follow(&next);
        // As when the time is over that the search of the handover before may take.
        old.leave(&before);
        (1..=9).for_each(|number| _ = publish(&old, number));
        (5..=12).for_each(|number| _ = publish(&new, number));
        next.flip(&intake);
        old.retire();
        assert_eq!(publish(&old, 10).retired, 1);
        let mut batches = Vec::new();
        intake.take(&mut batches);
        let passed: Vec<i64> = batches
            .iter()
            .flat_map(|batch| match batch {
                Batch::Ltp(ticks) => ticks.to_vec(),
                other => panic!("not ltp: {other:?}"),
            })
            .map(|tick| tick.ltp)
            .collect();
        assert_eq!(passed, (1..=12).collect::<Vec<i64>>());
        new.leave(&next);
        assert_eq!(publish(&new, 13).accepted, 1);
    }
}
