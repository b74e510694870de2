//! `plugins.toml`: which adapters are loaded, and which brokers they and the bus serve.

mod library;
mod read;
mod section;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use self::library::{LibraryPlaces, MissingLibrary};
pub(crate) use self::read::is_name;
use super::{LimitOverrides, Origin, Problem, Problems, Settings, file};

/// What `plugins.toml` says, validated. An adapter's own settings are validated by the adapter.
#[derive(Clone, Debug, Default)]
pub struct PluginsFile {
    /// What the bus serves.
    pub bus: BusSection,
    /// The adapters, in the order of the file, with those that are switched off.
    pub adapters: Vec<AdapterEntry>,
}

/// What other publishers feed through the bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusSection {
    /// Brokers without an adapter.
    pub brokers: Vec<String>,
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
    /// Brokers that it serves, at least one; no other adapter that is switched on serves them.
    pub brokers: Vec<String>,
    /// Whether it is to be loaded.
    pub is_enabled: bool,
    /// Spacing of its updates, 0 to 60 s, instead of the usual one.
    pub throttle: Option<Duration>,
    /// Limits of an account instead of the usual ones.
    pub limits: LimitOverrides,
    /// Its own settings, one JSON object. It may hold secrets and is left out of debug output.
    pub config_json: String,
    /// Line of its section, from 1.
    pub line: usize,
}

impl std::fmt::Debug for AdapterEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdapterEntry")
            .field("name", &self.name)
            .field("library_path", &self.library_path)
            .field("brokers", &self.brokers)
            .field("is_enabled", &self.is_enabled)
            .field("throttle", &self.throttle)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
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
        let path = settings.plugins_path()?;
        let text = file::read(path)?;
        Self::parse(path, &text, &LibraryPlaces::new(settings, path))
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

    /// Libraries of [enabled](Self::enabled) adapters that were not found, with the places looked at. `path` is that of
    /// the file.
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
