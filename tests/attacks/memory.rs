//! Resident memory before, during and after.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::target::Target;

/// By how much memory may be above what it was and count as at rest.
const AT_REST_MIB: f64 = 32.0;

/// Looks at a host's memory ten times a second.
pub(crate) struct Watch {
    before: u64,
    pid: u32,
    peak: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    watching: JoinHandle<()>,
}

impl Watch {
    /// Begins, with what there is now as what was before.
    pub(crate) fn start(target: &Target) -> Self {
        let pid = target.host.pid();
        let (peak, is_over) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let watching = tokio::spawn({
            let (peak, is_over) = (Arc::clone(&peak), Arc::clone(&is_over));
            async move {
                while !is_over.load(Ordering::Relaxed) {
                    peak.fetch_max(resident(pid), Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
        Self { before: resident(pid), pid, peak, is_over, watching }
    }

    /// Waits until memory is near what it was, or for this long. Gives before, peak and now in MiB.
    pub(crate) async fn settle(self, patience: Duration) -> (f64, f64, f64) {
        let deadline = Instant::now() + patience;
        while mib(resident(self.pid)) > mib(self.before) + AT_REST_MIB && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.is_over.store(true, Ordering::Relaxed);
        self.watching.await.expect("the watch ends");
        (mib(self.before), mib(self.peak.load(Ordering::Relaxed)), mib(resident(self.pid)))
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Bytes that a process has in memory.
pub(crate) fn resident(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
