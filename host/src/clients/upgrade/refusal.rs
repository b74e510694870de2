//! Refusals before a connection is a WebSocket: the counter and the line in the log.

use std::{net::SocketAddr, sync::Arc};

use tickhost_core::{metrics::ServerCounters, protocol::refusal::UpgradeRefusal};

use crate::base::log_rate::OutsideLines;

/// Where refusals are noted.
#[derive(Debug)]
pub struct Refusals {
    counters: Arc<ServerCounters>,
    lines: [OutsideLines; UpgradeRefusal::ALL.len()],
}

impl Refusals {
    /// Counts in these counters.
    pub fn new(counters: Arc<ServerCounters>) -> Arc<Self> {
        let lines = std::array::from_fn(|_| OutsideLines::new());
        Arc::new(Self { counters, lines })
    }

    /// The counters of the host.
    pub const fn counters(&self) -> &Arc<ServerCounters> {
        &self.counters
    }

    /// Counts one, and says it in the log, which names nothing that the client sent.
    pub fn note(&self, refusal: UpgradeRefusal, peer: SocketAddr) {
        self.counters.refusals.count(refusal);
        let reason = refusal.label();
        let Some((status, _)) = refusal.status() else {
            tracing::debug!(%peer, reason, "A connection has ended before it was a WebSocket");
            return;
        };
        let place = UpgradeRefusal::ALL.iter().position(|known| *known == refusal);
        let suppressed = place.and_then(|place| self.lines.get(place)?.may_write());
        if let Some(suppressed) = suppressed {
            tracing::info!(%peer, reason, status, suppressed, "A connection was refused: {}", refusal.text());
        }
    }
}
