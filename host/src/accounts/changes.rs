//! Notices changes of a database by other processes: `SQLite` counts them.

use std::{
    sync::{Arc, Weak},
    thread::{self, Thread},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    blocking::{Blocking, on_own_thread},
    database::Database,
};

/// Between looks. Reading the counter takes microseconds; a revoked key must be noticed well within a second.
const INTERVAL: Duration = Duration::from_millis(250);

/// Between looks when somebody wants one at once, however often.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(25);

/// News of a database. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    pub(super) news: watch::Receiver<u64>,
    watcher: Option<Thread>,
}

impl Changes {
    /// Wakes the watcher. It looks at most once in [`SHORTEST_INTERVAL`], however often it is woken.
    pub(super) fn look_now(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.unpark();
        }
    }
}

/// Something that has a database and remembers what it read there.
pub(super) trait Watched: Send + Sync + 'static {
    /// Which.
    fn database(&self) -> &Database;

    /// The database has changed: what was read from it may be outdated. Called before anybody else is told.
    fn outdated(&self);
}

/// Follows a database on a thread of its own until it is gone, or nobody listens any more.
pub(super) fn watch<T: Watched>(name: &str, watched: &Arc<T>, blocking: &Blocking) -> Changes {
    let mut known = watched.database().version(blocking);
    let (sender, news) = watch::channel(known.unwrap_or_default());
    let watched: Weak<T> = Arc::downgrade(watched);
    let started = on_own_thread(&format!("{name}-changes"), move |blocking| {
        while let Some(watched) = watched.upgrade() {
            if let Some(version) = watched.database().version(blocking)
                && known.replace(version) != Some(version)
            {
                watched.outdated();
                sender.send_replace(version);
            }
            drop(watched);
            if sender.is_closed() {
                return;
            }
            thread::sleep(SHORTEST_INTERVAL);
            thread::park_timeout(INTERVAL.saturating_sub(SHORTEST_INTERVAL));
        }
    });
    let no_thread = |error: &std::io::Error| {
        tracing::error!(%error, "Changes of the accounts will not be noticed before a restart");
    };
    Changes { news, watcher: started.inspect_err(no_thread).ok() }
}

#[cfg(test)]
mod tests;
