//! Notices that a file of the folder was saved.
//!
//! What an event says is not believed, only that there was one: then the files are compared with what they
//! were. So neither an editor that saves by renaming, nor a test that writes the same file each time, nor a
//! build is a change of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify_debouncer_full::{
    DebounceEventResult, Debouncer, RecommendedCache, new_debouncer,
    notify::{EventKind, RecommendedWatcher, RecursiveMode},
};
use tokio::sync::Notify;

/// Quiet after which files are compared: a save makes many events, and an editor may save several files.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// Between two looks that nothing asked for: not every file system tells of changes.
const POLL: Duration = Duration::from_secs(5);

/// Larger files are compared by their size and time alone.
const MAX_HASHED_BYTES: u64 = 4 * 1_024 * 1_024;

/// Most files that are looked at. A folder with more is no folder of sources.
const MAX_FILES: usize = 20_000;

/// Folders that hold nothing that a person writes.
const OUTPUT: [&str; 2] = ["target", "node_modules"];

/// Written by cargo itself.
const LOCK: &str = "Cargo.lock";

/// What the files were at a moment, by their place in the folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen(BTreeMap<PathBuf, u64>);

impl Seen {
    /// Whether everything but what the library is made of is the same.
    pub(super) fn has_same_stage(&self, other: &Self) -> bool {
        let stage = |seen: &Self| -> BTreeMap<PathBuf, u64> {
            let files = seen.0.iter().filter(|(file, _)| {
                file.as_path() == Path::new(super::PROFILE) || file.starts_with("examples")
            });
            files.map(|(file, hash)| (file.clone(), *hash)).collect()
        };
        stage(self) == stage(other)
    }
}

/// A folder that is watched.
pub(super) struct Watch {
    folder: PathBuf,
    happened: Arc<Notify>,
    /// None when the system has no watcher for us; the polls remain.
    watcher: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    /// Watches from now on.
    pub(super) fn on(folder: &Path) -> Self {
        let happened = Arc::<Notify>::default();
        let heard = {
            let happened = Arc::clone(&happened);
            move |result: DebounceEventResult| {
                let is_change = |kind: EventKind| !matches!(kind, EventKind::Access(_));
                // Whatever went wrong, something may have been missed.
                if result.map_or(true, |events| events.iter().any(|event| is_change(event.kind))) {
                    happened.notify_one();
                }
            }
        };
        let watcher = new_debouncer(DEBOUNCE, None, heard).ok();
        let mut watch = Self { folder: folder.to_owned(), happened, watcher, watched: BTreeSet::new() };
        watch.follow();
        watch
    }

    /// What the files are now.
    pub(super) fn look(&mut self) -> Seen {
        self.follow();
        let mut seen = Seen::default();
        gather(&self.folder, &self.folder, &mut seen.0);
        seen
    }

    /// Waits until the files are others than they were.
    ///
    /// # Cancel Safety
    /// A change is one until it is looked at.
    pub(super) async fn changed(&mut self, seen: &Seen) {
        loop {
            tokio::select! {
                () = self.happened.notified() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            if self.look() != *seen {
                return;
            }
        }
    }

    /// Watches the folder itself, and all of those in it that people write to. Not the whole tree: that of a
    /// build has thousands of folders.
    fn follow(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        if self.watched.insert(self.folder.clone()) {
            // Where it cannot be watched, the polls remain.
            _ = watcher.watch(&self.folder, RecursiveMode::NonRecursive);
        }
        let present: BTreeSet<PathBuf> = folders(&self.folder).collect();
        // A folder that is made again needs another watch.
        for gone in self.watched.iter().filter(|path| **path != self.folder && !present.contains(*path)) {
            _ = watcher.unwatch(gone);
        }
        self.watched.retain(|path| *path == self.folder || present.contains(path));
        for folder in present {
            if !self.watched.contains(&folder) && watcher.watch(&folder, RecursiveMode::Recursive).is_ok() {
                self.watched.insert(folder);
            }
        }
    }
}

fn is_written_by_people(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !name.starts_with('.') && !OUTPUT.contains(&&*name)
}

fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    // Not through links, which may lead in circles.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).filter(|path| is_written_by_people(path))
}

fn gather(root: &Path, folder: &Path, seen: &mut BTreeMap<PathBuf, u64>) {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for path in entries.map(|entry| entry.path()).filter(|path| is_written_by_people(path)) {
        if seen.len() >= MAX_FILES {
            return;
        }
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            gather(root, &path, seen);
        } else if metadata.is_file() && path.file_name().is_none_or(|name| name != LOCK) {
            let mut hasher = DefaultHasher::new();
            if metadata.len() > MAX_HASHED_BYTES {
                (metadata.len(), metadata.modified().ok()).hash(&mut hasher);
            } else {
                // One that is gone by now is as good as empty; its end is an event of its own.
                fs::read(&path).unwrap_or_default().hash(&mut hasher);
            }
            seen.insert(path.strip_prefix(root).unwrap_or(&path).to_owned(), hasher.finish());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [("src/lib.rs", "one"), ("examples/venue.rs", "a"), ("conformance.toml", "x")] {
            fs::create_dir_all(dir.path().join(file).parent().unwrap()).unwrap();
            fs::write(dir.path().join(file), text).unwrap();
        }
        dir
    }

    #[tokio::test]
    async fn a_save_is_noticed_and_what_cargo_writes_is_not() {
        let dir = folder();
        let mut watch = Watch::on(dir.path());
        let seen = watch.look();
        fs::create_dir_all(dir.path().join("target/debug")).unwrap();
        for (file, text) in
            [("target/debug/x", "y"), ("Cargo.lock", "z"), (".hidden", "h"), ("src/lib.rs", "one")]
        {
            fs::write(dir.path().join(file), text).unwrap();
        }
        assert_eq!(watch.look(), seen);
        let waiting = tokio::time::timeout(Duration::from_secs(20), watch.changed(&seen));
        let saved = async {
            // As an editor does that saves by renaming.
            fs::write(dir.path().join("src/lib.rs~"), "two").unwrap();
            fs::rename(dir.path().join("src/lib.rs~"), dir.path().join("src/lib.rs")).unwrap();
        };
        let (changed, ()) = tokio::join!(waiting, saved);
        changed.unwrap();
        assert!(watch.look().has_same_stage(&seen));
        // In a folder that was not there before.
        let seen = watch.look();
        fs::create_dir_all(dir.path().join("tests")).unwrap();
        fs::write(dir.path().join("tests/new.rs"), "new").unwrap();
        tokio::time::timeout(Duration::from_secs(20), watch.changed(&seen)).await.unwrap();
    }

    #[test]
    fn a_venue_or_a_profile_that_has_changed_needs_another_stage() {
        let dir = folder();
        let mut watch = Watch::on(dir.path());
        for (file, is_same) in
            [("src/lib.rs", true), ("examples/venue.rs", false), ("conformance.toml", false)]
        {
            let seen = watch.look();
            fs::write(dir.path().join(file), format!("{file} again")).unwrap();
            assert_eq!(watch.look().has_same_stage(&seen), is_same, "{file}");
        }
    }
}
