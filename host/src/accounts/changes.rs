//! Notices changes of a database by other processes: `SQLite` counts them.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
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
    /// None when the system gave no thread.
    watcher: Option<Thread>,
    is_wanted: Arc<AtomicBool>,
}

impl Changes {
    /// Wakes the watcher. It looks at most once in [`SHORTEST_INTERVAL`], however often it is woken.
    pub(super) fn look_now(&self) {
        if let (Some(watcher), false) = (&self.watcher, self.is_wanted.swap(true, Ordering::AcqRel)) {
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
    let is_wanted = Arc::<AtomicBool>::default();
    let wanted = Arc::clone(&is_wanted);
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
            rest(&wanted);
        }
    });
    let no_thread = |error: &std::io::Error| {
        tracing::error!(%error, "Changes of the accounts will not be noticed before a restart");
    };
    Changes { news, watcher: started.inspect_err(no_thread).ok(), is_wanted }
}

/// Waits for the time of the next look.
fn rest(is_wanted: &AtomicBool) {
    let since = Instant::now();
    loop {
        let interval = if is_wanted.load(Ordering::Acquire) { SHORTEST_INTERVAL } else { INTERVAL };
        match interval.checked_sub(since.elapsed()) {
            Some(left) if !left.is_zero() => thread::park_timeout(left),
            _ => break,
        }
    }
    // Who asks from now on means what this look may not see any more.
    is_wanted.store(false, Ordering::Release);
}

#[cfg(test)]
mod tests;
