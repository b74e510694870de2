//! What a connection carries, by exchange.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// What a connection carries.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) instruments: usize,
    by_exchange: FxHashMap<Arc<str>, usize>,
    /// The exchanges, to be shared.
    pub(super) exchanges: Arc<[Arc<str>]>,
    /// When the first instrument came, in nanoseconds since the Unix epoch.
    pub(super) since_ns: u64,
}

impl Load {
    /// One more instrument of this exchange, from `now_ns` on, in nanoseconds since the Unix epoch.
    pub(super) fn add(&mut self, exchange: &Arc<str>, now_ns: u64) {
        if self.instruments == 0 {
            self.since_ns = now_ns;
        }
        self.instruments += 1;
        if let Some(count) = self.by_exchange.get_mut(exchange) {
            *count += 1;
        } else {
            self.by_exchange.insert(Arc::clone(exchange), 1);
            self.share();
        }
    }

    pub(super) fn remove(&mut self, exchange: &str) {
        let Some(count) = self.by_exchange.get_mut(exchange) else { return };
        self.instruments = self.instruments.saturating_sub(1);
        *count -= 1;
        if *count == 0 {
            self.by_exchange.remove(exchange);
            self.share();
        }
    }

    fn share(&mut self) {
        let mut exchanges: Vec<Arc<str>> = self.by_exchange.keys().cloned().collect();
        exchanges.sort_unstable();
        self.exchanges = exchanges.into();
    }
}
