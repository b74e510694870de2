//! Notices changes of a database by other processes: `SQLite` counts them.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::sync::watch;

use super::{
    blocking::{Blocking, on_own_thread},
    database::Database,
};

/// Between looks. Reading the counter takes microseconds; a revoked key must be noticed well within a second.
const INTERVAL: Duration = Duration::from_millis(250);

/// News of a database. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    news: watch::Receiver<u64>,
    is_unread: Arc<AtomicBool>,
}

impl Changes {
    /// Changes when the database has.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.clone()
    }

    /// What has changed could not be read: tells it again when it can. Nobody would look for it otherwise
    /// before the next change, and a revoked key would go on.
    pub(super) fn tell_again(&self) {
        self.is_unread.store(true, Ordering::Release);
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
    let is_unread = Arc::<AtomicBool>::default();
    let again = Arc::clone(&is_unread);
    let watched: Weak<T> = Arc::downgrade(watched);
    let started = on_own_thread(&format!("{name}-changes"), move |blocking| {
        while let Some(watched) = watched.upgrade() {
            if let Some(version) = watched.database().version(blocking) {
                let is_another = known.replace(version) != Some(version);
                if is_another {
                    watched.outdated();
                }
                if again.swap(false, Ordering::AcqRel) || is_another {
                    sender.send_replace(version);
                }
            }
            drop(watched);
            if sender.is_closed() {
                return;
            }
            thread::park_timeout(INTERVAL);
        }
    });
    if let Err(error) = started {
        tracing::error!(%error, "Changes of the accounts will not be noticed before a restart");
    }
    Changes { news, is_unread }
}
