//! Accounts of what was offered to sessions.

use tickhost_core::{metrics::FeedCounters, outbox::Offered};

/// Frames offered to sessions, counted at the end.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) offered: usize,
    conflated: usize,
}

impl Offers {
    pub(super) fn count(&mut self, offered: Offered) {
        self.offered += 1;
        self.conflated += usize::from(offered == Offered::Conflated);
    }

    pub(super) fn settle(&self, counters: &FeedCounters) {
        counters.offered.add(self.offered as u64);
        counters.conflated_outbox.add(self.conflated as u64);
    }
}
