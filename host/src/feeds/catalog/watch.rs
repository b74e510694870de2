//! Notices that `plugins.toml` or a library has changed, and lets the catalogue follow.
//!
//! Directories are watched, not files: an editor that saves by renaming leaves a watch on a file with the old
//! one. What an event says is not believed, only that there was one; a look every 30 s finds what no event
//! told of. A directory that is not there is looked for every second. A file counts when it looks the same
//! twice in a row.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use notify_debouncer_full::{
    DebounceEventResult, Debouncer, RecommendedCache, new_debouncer,
    notify::{
        EventKind, RecommendedWatcher, RecursiveMode,
        event::{AccessKind, AccessMode},
    },
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Catalog, Fingerprint};
use crate::{
    adapters::journal::HEALTHY_AFTER,
    base::blocking::{Blocking, begin_off_thread, off_thread},
    feeds::hub::Hub,
};

/// Quiet after which a change is looked at: a copy or a save makes many events.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// Between two looks of which both must see the same.
const SETTLE: Duration = Duration::from_millis(250);

/// Most looks at something that goes on changing before the next event or poll is waited for.
const MAX_LOOKS: usize = 240;

/// Between two looks that nothing asked for.
const POLL: Duration = Duration::from_secs(30);

/// Between two looks for a directory that is not there: nothing else tells of its return.
const SEEK: Duration = Duration::from_secs(1);

/// Watches until told to stop.
pub async fn run(catalog: Arc<Catalog>, hub: Arc<Hub>, stop: CancellationToken) {
    let changed = Arc::<Notify>::default();
    let mut directories = Directories::new(Arc::clone(&changed));
    let mut followed = look(&catalog).await;
    // After the start, and after whatever is loaded later, the same time has to pass.
    let (mut trusted_at, mut is_trusted) = (tokio::time::Instant::now() + HEALTHY_AFTER, false);
    loop {
        let wanted = catalog.watched();
        let follow = move |_: &Blocking| {
            let has_new = directories.follow(wanted);
            (directories, has_new)
        };
        let Ok((followed_now, has_new)) = off_thread(follow).await else { return };
        directories = followed_now;
        if has_new {
            // Whatever changed before the watch began.
            changed.notify_one();
        }
        tokio::select! {
            () = changed.notified() => {}
            () = directories.sought() => {}
            () = tokio::time::sleep(POLL) => {}
            () = tokio::time::sleep_until(trusted_at), if !is_trusted => {
                is_trusted = true;
                let catalog = Arc::clone(&catalog);
                begin_off_thread(move |_| catalog.trust_in_process());
                continue;
            }
            () = stop.cancelled() => return,
        }
        let settled = tokio::select! {
            settled = settle(&catalog) => settled,
            () = stop.cancelled() => return,
        };
        if settled.is_none() || settled == followed {
            continue;
        }
        let (catalog, hub) = (Arc::clone(&catalog), Arc::clone(&hub));
        // Copying and probing block.
        if off_thread(move |_| catalog.reconcile(None, &hub)).await.is_err() {
            tracing::error!(
                "Following a change of plugins.toml failed in the host; it is tried again at the next change"
            );
        }
        followed = settled;
        (trusted_at, is_trusted) = (tokio::time::Instant::now() + HEALTHY_AFTER, false);
    }
}

/// Looks until two looks in a row see the same; none when it went on changing.
async fn settle(catalog: &Arc<Catalog>) -> Option<Fingerprint> {
    let mut steady = Steady::default();
    loop {
        match steady.take(look(catalog).await?) {
            Seen::Steady(fingerprint) => return Some(fingerprint),
            Seen::Changing => tokio::time::sleep(SETTLE).await,
            Seen::TooOften => {
                tracing::warn!("plugins.toml or a library goes on changing; it is looked at again later");
                return None;
            }
        }
    }
}

/// Looks at something that may be changing.
struct Steady<T> {
    before: Option<T>,
    looks: usize,
}

/// What a look came to.
#[derive(Debug, PartialEq, Eq)]
enum Seen<T> {
    /// It is to be looked at again.
    Changing,
    /// It was the same twice in a row.
    Steady(T),
    /// It goes on changing.
    TooOften,
}

impl<T> Default for Steady<T> {
    fn default() -> Self {
        Self { before: None, looks: 0 }
    }
}

impl<T: PartialEq> Steady<T> {
    fn take(&mut self, seen: T) -> Seen<T> {
        if self.before.as_ref() == Some(&seen) {
            return Seen::Steady(seen);
        }
        self.looks += 1;
        self.before = Some(seen);
        if self.looks > MAX_LOOKS { Seen::TooOften } else { Seen::Changing }
    }
}

async fn look(catalog: &Arc<Catalog>) -> Option<Fingerprint> {
    let catalog = Arc::clone(catalog);
    off_thread(move |_| catalog.fingerprint()).await.ok()
}

/// Directories that are watched.
struct Directories {
    /// None when the system has no watcher for us; the polls remain.
    watcher: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
    watched: BTreeMap<PathBuf, Identity>,
    /// Those that are not there.
    missing: BTreeSet<PathBuf>,
}

/// Tells a directory from one that was made in its place: device, number, and when it was made, since file
/// systems give a number that has become free to the next one.
type Identity = Option<(u64, u64, Option<SystemTime>)>;

impl Directories {
    fn new(changed: Arc<Notify>) -> Self {
        let heard = move |result: DebounceEventResult| {
            let matters = match result {
                Ok(events) => events.iter().any(|event| matters(event.kind)),
                // Whatever went wrong, something may have been missed.
                Err(_) => true,
            };
            if matters {
                changed.notify_one();
            }
        };
        let watcher = new_debouncer(DEBOUNCE, None, heard);
        if let Err(error) = &watcher {
            tracing::warn!(%error, "No file watcher; changes of adapters are found by looking every 30 s");
        }
        Self { watcher: watcher.ok(), watched: BTreeMap::new(), missing: BTreeSet::new() }
    }

    /// Watches these directories, and no others; says whether one is new.
    fn follow(&mut self, wanted: Vec<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let wanted: BTreeMap<PathBuf, Identity> =
            wanted.into_iter().map(|path| (path.clone(), identity(&path))).collect();
        for (path, identity) in &self.watched {
            if wanted.get(path) != Some(identity) {
                // It may be gone, and its watch with it.
                _ = watcher.unwatch(path);
            }
        }
        self.watched.retain(|path, identity| wanted.get(path) == Some(identity));
        self.missing.clear();
        let mut has_new = false;
        for (path, identity) in wanted {
            if self.watched.contains_key(&path) {
                continue;
            }
            match watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    has_new = true;
                    self.watched.insert(path, identity);
                }
                // One that is there and cannot be watched is not worth more than the polls.
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "A directory cannot be watched");
                    if identity.is_none() {
                        self.missing.insert(path);
                    }
                }
            }
        }
        has_new
    }

    /// Waits until a directory is there that was not; for ever when there is none of that kind.
    async fn sought(&self) {
        if self.missing.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let missing = self.missing.clone();
            if off_thread(move |_| missing.iter().any(|path| path.is_dir())).await.unwrap_or(true) {
                return;
            }
            tokio::time::sleep(SEEK).await;
        }
    }
}

/// Whether an event may be of a change. Reading makes events too, and this host reads.
fn matters(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        _ => true,
    }
}

fn identity(path: &Path) -> Identity {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
    }
    #[cfg(not(unix))]
    {
        Some((0, u64::from(metadata.is_dir()), metadata.created().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_twice_in_a_row_is_steady_and_what_never_does_is_given_up() {
        let mut steady = Steady::default();
        let seen = [1, 2, 1, 1].map(|look| steady.take(look));
        assert_eq!(seen, [Seen::Changing, Seen::Changing, Seen::Changing, Seen::Steady(1)]);
        let mut restless = Steady::default();
        let given_up = (0..=2 * MAX_LOOKS).position(|look| restless.take(look) == Seen::TooOften);
        assert_eq!(given_up, Some(MAX_LOOKS));
    }
}
