//! `plugins.toml`: which adapters are loaded, and which brokers they and the bus serve.

mod brand;
mod library;
mod read;
mod section;
mod trust;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tickhost_core::calendar::Hours;

pub(crate) use self::read::{MAX_CONNECTIONS, MAX_SYMBOLS, is_name};
pub use self::{
    brand::BrandEntry,
    library::{LibraryPlaces, MissingLibrary},
};
use super::{LimitOverrides, Origin, Problem, Problems, Settings, file};
use crate::config::{Cage, IntegrityRules, ResourceLimits, Signer};

/// What `plugins.toml` says, validated. An adapter's own settings are validated by the adapter.
#[derive(Clone, Debug, Default)]
pub struct PluginsFile {
    /// Whose signatures the adapters must have.
    pub trust: Trust,
    /// What the bus serves.
    pub bus: BusSection,
    /// The adapters, in the order of the file, with those that are switched off.
    pub adapters: Vec<AdapterEntry>,
}

/// Authors whose adapters may be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Public keys of minisign; with none, signatures are not looked at.
    pub minisign_keys: Vec<Signer>,
    /// Whether each adapter that is switched on must be signed with one of them. Otherwise a signature that
    /// is there must be good, and a missing one is fine.
    pub require_signature: bool,
}

/// What other publishers feed through the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusSection {
    /// Brokers without an adapter.
    pub brokers: Vec<String>,
    /// When they may not be silent.
    pub hours: Hours,
}

/// Where an adapter runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// In a process of its own.
    #[default]
    Process,
    /// In the host's process: a few microseconds less, and whatever it does happens to all.
    InProcess,
}

impl Isolation {
    /// The spelling in the file, tables and JSON.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::InProcess => "in-process",
        }
    }
}

/// One adapter.
#[derive(Clone)]
pub struct AdapterEntry {
    /// Unique name: 1 to 32 of a-z, 0-9, `_` and `-`.
    pub name: String,
    /// The library as written: a stem or a path.
    pub library: String,
    /// Where the library was found.
    pub library_path: Result<PathBuf, MissingLibrary>,
    /// What the library has to prove before it is loaded: its own keys, and what [`Trust`] says.
    pub integrity: IntegrityRules,
    /// Brokers that it serves, at least one; no other adapter that is switched on serves them.
    pub brokers: Vec<String>,
    /// What differs at some of them, by broker.
    pub brands: BTreeMap<String, BrandEntry>,
    /// Whether it is to be loaded.
    pub is_enabled: bool,
    /// Spacing of its updates, 0 to 60 s, instead of the usual one.
    pub throttle: Option<Duration>,
    /// Limits of an account instead of the usual ones.
    pub limits: LimitOverrides,
    /// When it may not be silent.
    pub hours: Hours,
    /// Where it runs.
    pub isolation: Isolation,
    /// What its process may use.
    pub resources: ResourceLimits,
    /// What its process may touch.
    pub cage: Cage,
    /// Where the service manager gives processes of another user, instead of the host's own.
    pub socket: Option<PathBuf>,
    /// Its own settings, one JSON object. It may hold secrets and is left out of debug output.
    pub config_json: String,
    /// Line of those settings, from 1; that of the section when it has none.
    pub config_line: usize,
    /// Line of its section, from 1.
    pub line: usize,
}

impl std::fmt::Debug for AdapterEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdapterEntry")
            .field("name", &self.name)
            .field("library_path", &self.library_path)
            .field("integrity", &self.integrity)
            .field("brokers", &self.brokers)
            .field("brands", &self.brands)
            .field("is_enabled", &self.is_enabled)
            .field("throttle", &self.throttle)
            .field("limits", &self.limits)
            .field("hours", &self.hours)
            .field("isolation", &self.isolation)
            .field("resources", &self.resources)
            .field("cage", &self.cage)
            .finish_non_exhaustive()
    }
}

impl AdapterEntry {
    /// Whether an instance of this entry does the same as one of the other: everything but what the host
    /// alone decides.
    pub fn runs_like(&self, other: &Self) -> bool {
        let has_same_settings = |broker: &String| self.config_of(broker) == other.config_of(broker);
        self.runs_like_but_for_settings(other)
            && self.config_json == other.config_json
            && self.brokers.iter().all(has_same_settings)
    }

    /// [`Self::runs_like`], with whatever settings.
    pub fn runs_like_but_for_settings(&self, other: &Self) -> bool {
        self.library_path == other.library_path
            && self.isolation == other.isolation
            && self.resources == other.resources
            && self.cage == other.cage
            && self.socket == other.socket
            && self.integrity == other.integrity
    }
}

impl PluginsFile {
    /// Reads the file that the settings name, or the one that was found.
    ///
    /// A library that is missing is no error here, because the other adapters can run without it; see
    /// [`PluginsFile::missing_libraries`].
    ///
    /// # Errors
    /// Every mistake in the file at once; with them the libraries that are missing.
    pub fn load(settings: &Settings) -> Result<Self, Problems> {
        Self::load_with_text(settings).map(|(plugins, _)| plugins)
    }

    /// As [`PluginsFile::load`], with the text that was read, for who wants to rewrite it. It may hold
    /// secrets.
    ///
    /// # Errors
    /// As [`PluginsFile::load`].
    pub fn load_with_text(settings: &Settings) -> Result<(Self, SecretString), Problems> {
        let path = settings.plugins_path()?;
        let text = file::read(path).map_err(|problem| settings.about_plugins(problem))?;
        Ok((Self::parse(path, text.expose_secret(), &LibraryPlaces::new(settings, path))?, text))
    }

    /// Parses the text of the file at `path`.
    ///
    /// # Errors
    /// As [`PluginsFile::load`].
    pub fn parse(path: &Path, text: &str, places: &LibraryPlaces) -> Result<Self, Problems> {
        let source: Arc<Path> = Arc::from(path);
        let (plugins, mut problems) = read::document(&source, text, places);
        if !problems.is_empty() {
            problems.extend(plugins.missing_libraries(path));
        }
        problems.into_result(plugins)
    }

    /// Adapters that are switched on.
    pub fn enabled(&self) -> impl Iterator<Item = &AdapterEntry> {
        self.adapters.iter().filter(|adapter| adapter.is_enabled)
    }

    /// Libraries of [enabled](Self::enabled) adapters that were not found, with the places looked at. `path`
    /// is that of the file.
    pub fn missing_libraries(&self, path: &Path) -> Problems {
        let source: Arc<Path> = Arc::from(path);
        let mut problems = Problems::default();
        for adapter in self.enabled() {
            if let Err(missing) = &adapter.library_path {
                let origin = Origin::File(Arc::clone(&source), adapter.line);
                problems.push(
                    Problem::new(origin, format!("adapter {}: library", adapter.name), missing.to_string())
                        .with_value(&adapter.library),
                );
            }
        }
        problems
    }
}
