//! The router's account of a batch, added to the shared counters once per batch.

use crate::metrics::FeedCounters;

/// What happened since the last settlement.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// All ticks. Those that are routed are the ones that are not refused, so that nothing is counted for
    /// each of them.
    pub(super) received: u64,
    /// Ticks older than what is known of their instrument.
    pub(super) out_of_order: u64,
    /// Ticks whose instrument is not.
    pub(super) dropped_unsubscribed: u64,
    /// Ticks times the streams that they concern.
    pub(super) updates: u64,
    /// Updates encoded.
    pub(super) emitted: u64,
    /// Updates that replaced one waiting for its interval.
    pub(super) conflated_throttle: u64,
    /// Updates that said again what another mode had just said.
    pub(super) repeated: u64,
    /// Updates without anything to show in their mode.
    pub(super) empty: u64,
    /// Updates that waited when the last subscriber left.
    pub(super) abandoned: u64,
    /// Encoded updates times the shards they went to.
    pub(super) handed: u64,
}

impl Ledger {
    pub(super) fn settle(&mut self, counters: &FeedCounters, waiting: usize) {
        let Self {
            received,
            out_of_order,
            dropped_unsubscribed,
            updates,
            emitted,
            conflated_throttle,
            repeated,
            empty,
            abandoned,
            handed,
        } = std::mem::take(self);
        counters.routed.add(received - out_of_order - dropped_unsubscribed);
        counters.out_of_order.add(out_of_order);
        counters.dropped_unsubscribed.add(dropped_unsubscribed);
        counters.updates.add(updates);
        counters.emitted.add(emitted);
        counters.conflated_throttle.add(conflated_throttle);
        counters.repeated.add(repeated);
        counters.empty.add(empty);
        counters.abandoned.add(abandoned);
        counters.handed.add(handed);
        counters.waiting.set(waiting as u64);
    }
}
