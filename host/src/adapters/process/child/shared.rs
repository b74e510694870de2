//! What the threads of the process share, and what the library says to the host.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use adapter_abi::{
    Depth, DepthLevel, Greeks, LogLevel, Ltp, PublishOutcome, Quote, StatusEvent, SubscriptionOutcome,
};
use parking_lot::Mutex;
use secrecy::SecretString;
use tickhost_core::{intake::Intake, metrics::FeedCounters};

use super::super::{
    limits,
    stdio::Output,
    wire::{Alive, FromChild, MAX_ORDER_BYTES, OUTCOMES_PER_LINE, tidy},
};
use crate::adapters::{AdapterEvents, AdapterInstance, MAX_LIST_STATE_BYTES};

/// What the threads of the process share.
pub(super) struct Shared {
    pub(super) output: Output,
    pub(super) intake: Arc<Intake>,
    pub(super) counters: Arc<FeedCounters>,
    pub(super) credentials: Mutex<SecretString>,
    pub(super) log_level: LogLevel,
    /// When the present call into the library began, in milliseconds since `started` and one; 0 when there is
    /// none.
    pub(super) busy_since: AtomicU64,
    pub(super) started: Instant,
}

impl Shared {
    /// Runs a call into the library, so that its age can be seen.
    pub(super) fn busy<T>(&self, call: impl FnOnce() -> T) -> T {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX) + 1;
        self.busy_since.store(since, Ordering::Release);
        let done = call();
        self.busy_since.store(0, Ordering::Release);
        done
    }

    /// Gives a sign of life; tells whether the instance is connected to its broker.
    pub(super) fn alive(&self, instance: Option<&Arc<dyn AdapterInstance>>) -> bool {
        let since = self.busy_since.load(Ordering::Acquire);
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX) + 1;
        let (resident_bytes, descriptors) = limits::usage();
        let health = instance.map(|instance| instance.health()).unwrap_or_default();
        let is_connected = health.connected != 0;
        self.output.send(&FromChild::Alive(Alive {
            health: health.into(),
            busy_ms: if since == 0 { 0 } else { now.saturating_sub(since) },
            resident_bytes,
            descriptors,
            invalid: self.counters.dropped_invalid.get(),
            lost: self.output.lost(),
        }));
        is_connected
    }

    fn publish(&self, count: usize, offer: impl FnOnce(&Arc<Intake>) -> u32) -> PublishOutcome {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if self.intake.is_closed() {
            return PublishOutcome { accepted: 0, dropped: count, retired: 1, reserved: [0; 3] };
        }
        let dropped = offer(&self.intake);
        PublishOutcome { accepted: count.saturating_sub(dropped), dropped, retired: 0, reserved: [0; 3] }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl AdapterEvents for Shared {
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_ltp(batch))
    }

    fn quote(&self, batch: &[Quote]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_quote(batch))
    }

    fn depth(&self, batch: &[Depth], levels: &[DepthLevel]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_depth(batch, levels))
    }

    fn greeks(&self, batch: &[Greeks]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_greeks(batch))
    }

    fn order_update(&self, json: &str) -> PublishOutcome {
        let is_taken = json.len() <= MAX_ORDER_BYTES;
        if is_taken {
            self.output.send(&FromChild::Order { json: json.to_owned() });
        }
        PublishOutcome {
            accepted: u32::from(is_taken),
            dropped: u32::from(!is_taken),
            ..PublishOutcome::default()
        }
    }

    fn status(&self, event: StatusEvent) {
        self.output.send(&FromChild::Status((&event).into()));
    }

    fn outcomes(&self, request: u64, outcomes: &[SubscriptionOutcome]) {
        for part in outcomes.chunks(OUTCOMES_PER_LINE) {
            let outcomes = part.iter().map(Into::into).collect();
            self.output.send(&FromChild::Outcomes { request, outcomes });
        }
    }

    fn list(&self, state_json: &str) {
        // One that is too long is cut, and so counted by the host as what it cannot read.
        let end = state_json.floor_char_boundary(MAX_LIST_STATE_BYTES + 1);
        let json = state_json.get(..end).unwrap_or_default().to_owned();
        self.output.send(&FromChild::List { json });
    }

    fn credentials(&self) -> SecretString {
        self.credentials.lock().clone()
    }

    fn log_level(&self) -> LogLevel {
        self.log_level
    }

    fn log(&self, level: LogLevel, target: &str, message: &str, fields_json: &str) {
        self.output.send(&FromChild::Log {
            level: level.0,
            target: tidy(target),
            message: tidy(message),
            fields: tidy(fields_json),
        });
    }

    fn replaced(&self, _count: u32) {}

    fn invalid(&self, _count: u64) {}

    fn lost(&self, _count: u64) {}
}
