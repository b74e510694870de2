//! The adapters of `plugins.toml`, as they are at this moment: what is loaded, in which build, and what is
//! wrong.
//!
//! [`Catalog::reconcile`] looks at the file and the libraries again and makes the running host follow. What
//! is loaded stays until something better is ready: a file with a mistake or a library that does not load
//! changes nothing but the message. It is called at start, by the [`watch`]er, and by
//! `tickhost adapters reload`.

mod describe;
mod entries;
mod loading;
mod plan;
pub mod report;
mod snapshot;
pub mod watch;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use serde::Serialize;

pub use self::{
    describe::{described, listed},
    loading::{Loaded, Loader, inspect},
    snapshot::Snapshot,
};
use self::{
    entries::{Done, Entries, Followed},
    plan::Action,
    report::AdapterStatus,
};
use crate::{
    adapters::integrity::sha256_of,
    base::{
        sha256::Sha256,
        span::{self, operation},
    },
    config::{AdapterEntry, PluginsFile, Settings},
    feeds::hub::Hub,
};

/// Adapters as they are listed and loaded.
#[derive(Debug)]
pub struct Catalog {
    settings: Settings,
    loader: Loader,
    /// Reconciling takes turns: a look at the files may take seconds.
    turn: Mutex<()>,
    /// Locked for a copy or a swap: whoever asks while a library is loaded sees what runs.
    state: Mutex<Entries>,
}

/// What `plugins.toml` and the libraries are at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    file: Option<Sha256>,
    libraries: Vec<Snapshot>,
}

/// What a look at the files came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Adapters that were loaded again.
    pub loaded: Vec<String>,
    /// Adapters that are not listed, or not switched on, any more.
    pub removed: Vec<String>,
    /// What could not be followed, with its reason.
    pub failed: Vec<Failed>,
    /// Feeds whose adapters were asked for a new list of instruments.
    pub lists_asked: usize,
}

/// Something that could not be followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failed {
    /// The adapter, or `plugins.toml`.
    pub name: String,
    /// Why, in a sentence.
    pub reason: String,
}

impl Catalog {
    /// A catalogue that knows nothing yet.
    pub fn new(settings: Settings, loader: Loader) -> Arc<Self> {
        Arc::new(Self { settings, loader, turn: Mutex::default(), state: Mutex::default() })
    }

    /// Takes a file that was read already: at start, where a file with mistakes has ended the program before.
    pub fn begin(&self, plugins: &PluginsFile, hub: &Hub) -> Outcome {
        let _turn = self.turn.lock();
        self.follow(plugins, None, hub)
    }

    /// Looks at `plugins.toml` and the libraries again, and makes the host follow. `again` names an adapter
    /// that is to be loaded even if nothing about it changed. Blocks while libraries are copied and looked
    /// at, so it is called off the threads that serve.
    pub fn reconcile(&self, again: Option<&str>, hub: &Hub) -> Outcome {
        let _turn = self.turn.lock();
        match PluginsFile::load(&self.settings) {
            Ok(plugins) => self.follow(&plugins, again, hub),
            Err(problems) => {
                let reason: Arc<str> = problems.to_string().into();
                let is_news = self.state.lock().refuse(&reason);
                if is_news {
                    tracing::error!(
                        error = %reason,
                        "plugins.toml has mistakes; everything stays as it is until they are mended"
                    );
                }
                Outcome {
                    failed: vec![Failed { name: "plugins.toml".to_owned(), reason: reason.to_string() }],
                    ..Outcome::default()
                }
            }
        }
    }

    fn follow(&self, plugins: &PluginsFile, again: Option<&str>, hub: &Hub) -> Outcome {
        // Looked at before anything is locked: hashing takes a moment.
        let wanted: Vec<(AdapterEntry, Snapshot)> =
            plugins.adapters.iter().map(|entry| (entry.clone(), Snapshot::of(entry))).collect();
        let mut entries = self.state.lock().clone();
        let actions = entries.actions(&wanted, again);
        let act = |((entry, seen), action): ((AdapterEntry, Snapshot), Action)| {
            let by_hand = again == Some(entry.name.as_str());
            let done = match action {
                Action::Keep => Done::Kept,
                Action::Unload => Done::Unloaded,
                Action::Load => match self.load(&entry, by_hand) {
                    Ok(loaded) => Done::Loaded(Box::new(loaded)),
                    Err(reason) => Done::Failed(reason),
                },
            };
            Followed { entry, seen, done, by_hand }
        };
        let followed = wanted.into_iter().zip(actions).map(act).collect();
        let outcome = entries.follow(followed, &plugins.bus);
        let sources = entries.sources(&self.settings);
        *self.state.lock() = entries;
        hub.follow_sources(sources);
        outcome
    }

    fn load(&self, entry: &AdapterEntry, by_hand: bool) -> Result<Loaded, String> {
        let span = operation!(
            "adapter.load",
            "internal",
            tickhost.adapter = entry.name,
            tickhost.isolation = entry.isolation.label()
        );
        let loaded = span.in_scope(|| self.loader.load(entry, by_hand));
        span::end(&span, loaded.as_ref().map(drop).map_err(|_| "load_failed"));
        loaded
    }

    /// What became of each entry, in the order of the file.
    pub fn statuses(&self) -> Vec<AdapterStatus> {
        self.state.lock().statuses(&self.settings)
    }

    /// Forgets that adapters run in the host's process: they have done so long enough, or the host stops in
    /// good order.
    pub fn trust_in_process(&self) {
        let in_process = self.state.lock().in_process();
        for name in in_process {
            self.loader.journal.end(&name);
        }
    }

    /// Whether the file, as it is now, lists an adapter of this name, or has mistakes, so that nobody knows.
    pub fn may_list(&self, name: &str) -> bool {
        PluginsFile::load(&self.settings)
            .map_or(true, |plugins| plugins.adapters.iter().any(|entry| entry.name == name))
    }

    /// Why the present `plugins.toml` is not followed, if it has mistakes.
    pub fn file_error(&self) -> Option<Arc<str>> {
        self.state.lock().file_error().cloned()
    }

    /// What the files are at this moment, to be compared with what they are at another. Reads all of them.
    pub fn fingerprint(&self) -> Fingerprint {
        let file = self.settings.plugins_path().ok().and_then(|path| sha256_of(path).ok());
        // With a file that has mistakes nothing is loaded, so its text is all that counts.
        let libraries = PluginsFile::load(&self.settings)
            .map_or_else(|_| Vec::new(), |plugins| plugins.adapters.iter().map(Snapshot::of).collect());
        Fingerprint { file, libraries }
    }

    /// Directories in which a change matters: those of `plugins.toml` and of the file that it leads to if it
    /// is a link, the plugin directory, and that of each library, or where it would be if there was one.
    pub fn watched(&self) -> Vec<PathBuf> {
        let file = self.settings.plugins_path().ok();
        let target = file.and_then(|path| path.canonicalize().ok());
        let mut files: Vec<PathBuf> = file.map(Path::to_owned).into_iter().chain(target).collect();
        files.extend(self.state.lock().libraries());
        let directories = files.iter().filter_map(|path| path.parent()).map(|path| match path {
            path if path.as_os_str().is_empty() => PathBuf::from("."),
            path => path.to_owned(),
        });
        let mut directories: Vec<PathBuf> = directories.chain(self.settings.plugin_dir.clone()).collect();
        directories.sort_unstable();
        directories.dedup();
        directories
    }
}
