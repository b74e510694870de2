//! Notices changes of a database by other processes: `SQLite` counts them.

use std::{thread, time::Duration};

use tokio::sync::watch;

/// Between looks. Reading the counter takes microseconds; a revoked key must be noticed well within a second.
const INTERVAL: Duration = Duration::from_millis(250);

/// Follows a counter on a thread of its own until `read` gives none, or nobody listens any more.
pub(super) fn watch(name: &str, read: impl Fn() -> Option<u64> + Send + 'static) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(read().unwrap_or_default());
    let started = thread::Builder::new().name(format!("{name}-changes")).spawn(move || {
        while let Some(version) = read() {
            sender.send_if_modified(|known| std::mem::replace(known, version) != version);
            if sender.is_closed() {
                return;
            }
            thread::park_timeout(INTERVAL);
        }
    });
    if let Err(error) = started {
        tracing::error!(%error, "Changes of the accounts will not be noticed before a restart");
    }
    receiver
}
