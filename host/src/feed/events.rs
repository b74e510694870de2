//! What an adapter instance says to its feed. Called on the adapter's thread: everything returns at once.

use std::{
    borrow::Cow,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use adapter_abi::{
    LogLevel, PublishOutcome, StatusEvent, SubscriptionOutcome, abi_stable::std_types::RString,
};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::{
    adapter_log::{self, AdapterLog},
    credentials::CurrentCredentials,
    handover::{Handover, Passed, Published},
};
use crate::{
    accounts::UserName,
    clock,
    inbox::Inbox,
    intake::Intake,
    model::{Depth, DepthLevel, Ltp, Quote},
    plugins::AdapterEvents,
};

/// Status events and outcome batches that may wait for the feed; an adapter that sends more loses them, counted.
const EVENT_LIMIT: usize = 65_536;

/// Where order updates of adapters go.
pub trait OrderSink: fmt::Debug + Send + Sync + 'static {
    /// Takes an order update of a user: a JSON object, to be completed and forwarded. Says whether it was taken.
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
    /// It has ended, as it was told.
    Ended,
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
    pass: AtomicU8,
    handover: Mutex<Option<Arc<Handover>>>,
}

/// What becomes of an instance's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Pass {
    /// They pass.
    All = 0,
    /// They pass, and are noted: a new instance is getting ready.
    Noted = 1,
    /// They wait, or those pass that its predecessor did not have.
    Following = 2,
    /// They are dropped.
    Retired = 3,
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
            pass: AtomicU8::new(Pass::All as u8),
            handover: Mutex::default(),
        })
    }

    /// Nothing of this instance is taken any more.
    pub(super) fn retire(&self) {
        self.play(Pass::Retired, None);
    }

    /// The instance goes on, and `handover` gets ready to replace it.
    pub(super) fn note_for(&self, handover: &Arc<Handover>) {
        self.play(Pass::Noted, Some(handover));
    }

    /// The instance waits for the flip of `handover`.
    pub(super) fn follow(&self, handover: &Arc<Handover>) {
        self.play(Pass::Following, Some(handover));
    }

    /// Ends the part of the instance in a handover: everything that it says passes.
    pub(super) fn pass_all(&self) {
        self.play(Pass::All, None);
    }

    /// Gives the instance its part. Both change under the lock, so that no batch is taken for that of another part.
    fn play(&self, pass: Pass, handover: Option<&Arc<Handover>>) {
        let mut present = self.handover.lock();
        *present = handover.cloned();
        self.pass.store(pass as u8, Ordering::Release);
    }

    fn publish(&self, batch: Published<'_>) -> PublishOutcome {
        let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let pass = self.pass.load(Ordering::Acquire);
        if pass == Pass::Retired as u8 || self.intake.is_closed() {
            return self.refuse(count);
        }
        self.intake.counters().last_tick_ns.set(clock::unix_nanos());
        let dropped = if pass == Pass::All as u8 {
            batch.offer(&self.intake)
        } else {
            match self.publish_in_handover(batch) {
                Some(dropped) => dropped,
                None => return self.refuse(count),
            }
        };
        PublishOutcome { accepted: count.saturating_sub(dropped), dropped, retired: 0, reserved: [0; 3] }
    }

    /// Publishes while one instance takes over from another; none when this one has been cut off.
    fn publish_in_handover(&self, batch: Published<'_>) -> Option<u32> {
        let (handover, pass) = {
            let present = self.handover.lock();
            (present.clone(), self.pass.load(Ordering::Acquire))
        };
        let Some(handover) = handover else {
            return (pass != Pass::Retired as u8).then(|| batch.offer(&self.intake));
        };
        if pass == Pass::Noted as u8 {
            return handover.old(batch, &self.intake);
        }
        if handover.new_one(batch, &self.intake) == Passed::Finished {
            let mut present = self.handover.lock();
            // The next handover may have begun meanwhile.
            if present.as_ref().is_some_and(|present| Arc::ptr_eq(present, &handover)) {
                *present = None;
                self.pass.store(Pass::All as u8, Ordering::Release);
            }
        }
        Some(0)
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
        let event = InstanceEvent { connection: self.connection, epoch: self.epoch, what };
        if self.inbox.try_push(event, EVENT_LIMIT).is_err() {
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

    fn order_update(&self, json: &str) -> PublishOutcome {
        let taken = self.user.as_ref().is_some_and(|user| self.orders.order(user, &self.broker, json));
        PublishOutcome {
            accepted: u32::from(taken),
            dropped: u32::from(!taken),
            retired: u8::from(self.pass.load(Ordering::Acquire) == Pass::Retired as u8),
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

    fn credentials(&self) -> Zeroizing<String> {
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
