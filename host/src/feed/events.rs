//! What an adapter instance says to its feed. Called on the adapter's thread: everything returns at once.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use adapter_abi::{PublishOutcome, StatusEvent, SubscriptionOutcome};
use parking_lot::Mutex;
use zeroize::Zeroizing;

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
}

/// Credentials of the account at this moment, shared with its instances.
#[derive(Default)]
pub(super) struct CurrentCredentials(Mutex<Zeroizing<String>>);

impl CurrentCredentials {
    /// Replaces them; says whether they differ from those before.
    pub(super) fn replace(&self, json: Zeroizing<String>) -> bool {
        let mut current = self.0.lock();
        let differs = *current != json;
        *current = json;
        differs
    }
}

impl fmt::Debug for CurrentCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentCredentials(..)")
    }
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
    is_retired: AtomicBool,
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
    ) -> Arc<Self> {
        let is_retired = AtomicBool::new(false);
        Arc::new(Self { connection, epoch, intake, inbox, credentials, orders, user, broker, is_retired })
    }

    /// Nothing of this instance is taken any more.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Release);
    }

    fn publish(&self, count: usize, offer: impl FnOnce(&Arc<Intake>) -> u32) -> PublishOutcome {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if self.is_retired.load(Ordering::Acquire) || self.intake.is_closed() {
            let counters = self.intake.counters();
            counters.received.add(u64::from(count));
            counters.dropped_retired.add(u64::from(count));
            return PublishOutcome { accepted: 0, dropped: count, retired: 1, reserved: [0; 3] };
        }
        self.intake.counters().last_tick_ns.set(clock::unix_nanos());
        let dropped = offer(&self.intake);
        PublishOutcome { accepted: count.saturating_sub(dropped), dropped, retired: 0, reserved: [0; 3] }
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
        self.publish(batch.len(), |intake| intake.offer_ltp(batch))
    }

    fn quote(&self, batch: &[Quote]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_quote(batch))
    }

    fn depth(&self, batch: &[Depth], levels: &[DepthLevel]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_depth(batch, levels))
    }

    fn order_update(&self, json: &str) -> PublishOutcome {
        let taken = self.user.as_ref().is_some_and(|user| self.orders.order(user, &self.broker, json));
        PublishOutcome {
            accepted: u32::from(taken),
            dropped: u32::from(!taken),
            retired: u8::from(self.is_retired.load(Ordering::Acquire)),
            reserved: [0; 3],
        }
    }

    fn status(&self, event: StatusEvent) {
        self.report(InstanceReport::Status(event));
    }

    fn outcomes(&self, request: u64, outcomes: &[SubscriptionOutcome]) {
        self.report(InstanceReport::Outcomes(request, outcomes.to_vec()));
    }

    fn credentials(&self) -> Zeroizing<String> {
        self.credentials.0.lock().clone()
    }
}
