//! The adapters of `plugins.toml`, as they are at this moment: what is loaded, in which build, and what is wrong.
//!
//! [`Catalog::reconcile`] looks at the file and the libraries again and makes the running host follow. What is loaded
//! stays until something better is ready: a file with a mistake or a library that does not load changes nothing but the
//! message. It is called at start, by the [`watch`]er, and by `tickhost adapters reload`.

mod describe;
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
use rustc_hash::FxHashMap;
use serde::Serialize;
use tickhost_core::pool::PoolLimits;

use self::plan::{Action, Known};
pub use self::{
    describe::{described, listed},
    loading::{Loaded, Loader, inspect},
    snapshot::Snapshot,
};
use crate::{
    adapters::{BrandInfo, integrity::sha256_of},
    base::{
        sha256::Sha256,
        span::{self, operation},
    },
    config::{AdapterEntry, BrokerLimits, BusSection, Isolation, PluginsFile, Settings},
    feeds::{
        catalog::report::{AdapterState, AdapterStatus},
        hub::{Hub, Source},
    },
};

/// Adapters as they are listed and loaded.
#[derive(Debug)]
pub struct Catalog {
    settings: Settings,
    loader: Loader,
    /// Reconciling takes turns: a look at the files may take seconds.
    turn: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    bus: BusSection,
    /// Why the present file is not followed.
    file_error: Option<Arc<str>>,
}

/// One entry of the file.
#[derive(Clone, Debug)]
struct Entry {
    /// As the file has it.
    listed: AdapterEntry,
    /// What it was made of when it was last looked at, whether it could be loaded or not.
    seen: Snapshot,
    loaded: Option<Loaded>,
    error: Option<Arc<str>>,
    /// Builds that were loaded under this name since the start.
    generation: u32,
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
    /// Adapters that were loaded anew.
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

    /// Looks at `plugins.toml` and the libraries again, and makes the host follow. `again` names an adapter that is to be
    /// loaded even if nothing about it changed. Blocks while libraries are copied and looked at, so it is called off the
    /// threads that serve.
    pub fn reconcile(&self, again: Option<&str>, hub: &Hub) -> Outcome {
        let _turn = self.turn.lock();
        match PluginsFile::load(&self.settings) {
            Ok(plugins) => self.follow(&plugins, again, hub),
            Err(problems) => {
                let reason: Arc<str> = problems.to_string().into();
                let is_news = {
                    let mut state = self.state.lock();
                    let before = state.file_error.replace(Arc::clone(&reason));
                    before.is_none_or(|before| before != reason)
                };
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
        let mut outcome = Outcome::default();
        // Looked at before anything is locked: hashing takes a moment.
        let wanted: Vec<(AdapterEntry, Snapshot)> =
            plugins.adapters.iter().map(|entry| (entry.clone(), Snapshot::of(entry))).collect();
        // A copy: whoever asks meanwhile is to see what runs.
        let mut before = self.state.lock().entries.clone();
        let known: Vec<Known<'_>> = before.iter().map(Entry::known).collect();
        let actions = plan::actions(&wanted, &known, again);
        let mut entries = Vec::with_capacity(wanted.len());
        for ((entry, seen), action) in wanted.into_iter().zip(actions) {
            let place = before.iter().position(|known| known.listed.name == entry.name);
            let known = place.map(|place| before.swap_remove(place));
            let by_hand = again == Some(entry.name.as_str());
            entries.push(self.act(entry, seen, known, (action, by_hand), &mut outcome));
        }
        for gone in before.into_iter().filter(|entry| entry.loaded.is_some()) {
            tracing::info!(adapter = gone.listed.name, "An adapter is not listed any more");
            outcome.removed.push(gone.listed.name);
        }
        {
            let mut state = self.state.lock();
            state.entries = entries;
            state.bus.clone_from(&plugins.bus);
            state.file_error = None;
        }
        hub.follow_sources(self.sources());
        outcome
    }

    /// Makes one entry what the file says.
    fn act(
        &self,
        entry: AdapterEntry,
        seen: Snapshot,
        known: Option<Entry>,
        (action, by_hand): (Action, bool),
        outcome: &mut Outcome,
    ) -> Entry {
        let before = known.as_ref().map(|known| (known.listed.clone(), known.seen));
        let (loaded, error, generation) =
            known.map_or((None, None, 0), |known| (known.loaded, known.error, known.generation));
        match action {
            Action::Keep => Entry { listed: entry, seen, loaded, error, generation },
            Action::Unload => {
                if loaded.is_some() {
                    tracing::info!(adapter = entry.name, "An adapter is switched off");
                    outcome.removed.push(entry.name.clone());
                }
                Entry { listed: entry, seen, loaded: None, error: None, generation }
            }
            Action::Load => match self.load(&entry, by_hand) {
                Ok(mut fresh) => {
                    if let (Some(earlier), Some((listed, seen_before))) = (&loaded, &before)
                        && !by_hand
                        && *seen_before == seen
                        && entry.runs_like_but_for_settings(listed)
                    {
                        fresh.keep(earlier, |broker| entry.config_of(broker) == listed.config_of(broker));
                    }
                    tracing::info!(
                        adapter = entry.name,
                        version = fresh.info.version,
                        isolation = fresh.isolation.label(),
                        sha256 = %fresh.sha256,
                        generation = generation + 1,
                        "Loaded an adapter"
                    );
                    if let Some(note) = &fresh.note {
                        tracing::warn!(
                            adapter = entry.name,
                            note,
                            "An adapter does not run where plugins.toml wants it"
                        );
                    }
                    outcome.loaded.push(entry.name.clone());
                    Entry {
                        listed: entry,
                        seen,
                        loaded: Some(fresh),
                        error: None,
                        generation: generation + 1,
                    }
                }
                Err(reason) => {
                    let error: Arc<str> = if loaded.is_some() {
                        format!("the one that runs stays, because the new one does not work: {reason}").into()
                    } else {
                        reason.as_str().into()
                    };
                    tracing::error!(adapter = entry.name, %error, "Could not load an adapter");
                    outcome.failed.push(Failed { name: entry.name.clone(), reason });
                    Entry { listed: entry, seen, loaded, error: Some(error), generation }
                }
            },
        }
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

    /// Sources by broker.
    fn sources(&self) -> FxHashMap<Arc<str>, Source> {
        let state = self.state.lock();
        let mut sources = FxHashMap::default();
        for Entry { listed: entry, loaded, error, .. } in
            state.entries.iter().filter(|entry| entry.listed.is_enabled)
        {
            for broker in &entry.brokers {
                let brand = loaded.as_ref().and_then(|loaded| loaded.brand(broker));
                let known = brand.as_ref().map(BrandInfo::limits).unwrap_or_default();
                let limits = self.settings.limits_for(entry, broker, known);
                let connector = loaded.as_ref().and_then(|loaded| loaded.connector(broker));
                let source = Source {
                    name: entry.name.as_str().into(),
                    connector: match (connector, error) {
                        (Some(connector), _) => Ok(Arc::clone(connector)),
                        (None, Some(error)) => Err(Arc::clone(error)),
                        (None, None) => Err("it is not loaded".into()),
                    },
                    // An operator who allows more connections knows better than the adapter.
                    sessions: brand.as_ref().map_or(usize::MAX, |brand| brand.sessions(limits.connections)),
                    logs_in: brand.as_ref().is_some_and(BrandInfo::logs_in),
                    limits: pool_limits(limits),
                    throttle: self.settings.throttle_for(entry, broker),
                    is_bus: false,
                    hours: entry.hours_of(broker),
                };
                sources.insert(Arc::from(broker.as_str()), source);
            }
        }
        for broker in &state.bus.brokers {
            let source = Source::bus(self.settings.throttle_ms, state.bus.hours, self.settings.bus_symbols);
            sources.insert(Arc::from(broker.as_str()), source);
        }
        sources
    }

    /// What became of each entry, in the order of the file.
    pub fn statuses(&self) -> Vec<AdapterStatus> {
        let state = self.state.lock();
        state.entries.iter().map(|entry| entry.status(&self.settings)).collect()
    }

    /// Forgets that adapters run in the host's process: they have done so long enough, or the host stops in good order.
    pub fn trust_in_process(&self) {
        let in_process: Vec<String> = {
            let state = self.state.lock();
            let is_trusted = |entry: &&Entry| {
                entry.loaded.as_ref().is_some_and(|loaded| loaded.isolation == Isolation::InProcess)
            };
            state.entries.iter().filter(is_trusted).map(|entry| entry.listed.name.clone()).collect()
        };
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
        self.state.lock().file_error.clone()
    }

    /// What the files are at this moment, to be compared with what they are at another. Reads all of them.
    pub fn fingerprint(&self) -> Fingerprint {
        let file = self.settings.plugins_path().ok().and_then(|path| sha256_of(path).ok());
        // With a file that has mistakes nothing is loaded, so its text is all that counts.
        let libraries = PluginsFile::load(&self.settings)
            .map_or_else(|_| Vec::new(), |plugins| plugins.adapters.iter().map(Snapshot::of).collect());
        Fingerprint { file, libraries }
    }

    /// Directories in which a change matters: those of `plugins.toml` and of the file that it leads to if it is a link, the
    /// plugin directory, and that of each library, or where it would be if there was one.
    pub fn watched(&self) -> Vec<PathBuf> {
        let file = self.settings.plugins_path().ok();
        let target = file.and_then(|path| path.canonicalize().ok());
        let mut files: Vec<PathBuf> = file.map(Path::to_owned).into_iter().chain(target).collect();
        for entry in &self.state.lock().entries {
            match &entry.listed.library_path {
                Ok(path) => files.push(path.clone()),
                Err(missing) => files.extend_from_slice(&missing.looked_at),
            }
        }
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

impl Entry {
    fn known(&self) -> Known<'_> {
        Known {
            name: &self.listed.name,
            entry: &self.listed,
            seen: self.seen,
            is_loaded: self.loaded.is_some(),
            has_failed: self.error.is_some(),
        }
    }

    fn status(&self, settings: &Settings) -> AdapterStatus {
        let status = listed(settings, &self.listed);
        let status = AdapterStatus {
            generation: self.generation,
            error: self.error.as_ref().map(ToString::to_string),
            ..status
        };
        match &self.loaded {
            Some(loaded) => AdapterStatus {
                sha256: Some(loaded.sha256.to_string()),
                isolation: loaded.isolation.label(),
                note: loaded.note.clone(),
                ..described(status, settings, &self.listed, &loaded.info)
            },
            None if self.error.is_some() => AdapterStatus { state: AdapterState::Failed, ..status },
            None => status,
        }
    }
}

/// What one account of a broker can carry.
const fn pool_limits(limits: BrokerLimits) -> PoolLimits {
    let BrokerLimits { symbols_per_connection, connections, books } = limits;
    PoolLimits { symbols_per_connection, connections, books }
}
