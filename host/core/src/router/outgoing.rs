//! What goes to the shards: each frame is encoded once, and handed over in batches.

use std::sync::Arc;

use super::{POST_EVERY, ledger::Ledger, topic::Topic};
use crate::{
    mailbox::{Mailbox, Times, Update},
    metrics::ServerCounters,
    model::{Key, field},
    protocol::{
        Frame,
        encode::{self, EncodeOptions},
    },
};

/// Frames on their way to the shards.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) shards: Vec<(Arc<Mailbox>, Vec<Update>)>,
    pub(super) scratch: Vec<u8>,
    pub(super) options: EncodeOptions,
    pub(super) server: Arc<ServerCounters>,
    /// Nanoseconds since the Unix epoch, 0 for unknown. Latencies are measured from it; nothing else depends
    /// on it.
    pub(super) time_of_day_ns: u64,
}

impl Outgoing {
    /// Encodes the newest value of a key once, and hands it to each shard that has subscribers.
    pub(super) fn emit(
        &mut self,
        topic: &mut Topic,
        key: Key,
        missed: u32,
        received_ns: u64,
        ledger: &mut Ledger,
    ) {
        let shards = topic.existing_stream(key.variant).map_or(0, |stream| stream.shards);
        self.scratch.clear();
        let label = topic.label(key.variant);
        let view = topic.entry.view();
        if !encode::market_data(&mut self.scratch, label, key.variant, view, self.options, false) {
            ledger.empty += 1;
            return;
        }
        let Some(frame) = self.frame() else {
            ledger.empty += 1;
            return;
        };
        ledger.emitted += 1;
        let quote = topic.entry.quote();
        let exchange_ns = if quote.fields & field::EXCHANGE_TS == 0 { 0 } else { quote.exchange_ts_ns };
        let times = Times { received_ns, exchange_ns };
        let mut left = shards;
        while left != 0 {
            let shard = left.trailing_zeros() as usize;
            left &= left - 1;
            ledger.handed += 1;
            self.post(shard, Update { key, frame: frame.clone(), only: None, missed, times });
        }
    }

    /// The scratch buffer as a shared frame: one allocation for all subscribers.
    pub(super) fn frame(&self) -> Option<Frame> {
        std::str::from_utf8(&self.scratch).ok().map(Frame::from)
    }

    pub(super) fn post(&mut self, shard: usize, update: Update) {
        if let Some((mailbox, updates)) = self.shards.get_mut(shard) {
            updates.push(update);
            if updates.len() >= POST_EVERY {
                mailbox.post(updates);
            }
        }
    }

    pub(super) fn post_all(&mut self) {
        for (mailbox, updates) in &mut self.shards {
            mailbox.post(updates);
        }
    }
}
