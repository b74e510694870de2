//! From an entry of `plugins.toml` to something that makes instances.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use adapter_abi::capability;
use zeroize::Zeroizing;

use crate::{
    config::{AdapterEntry, Isolation},
    feed::Connector,
    plugins::{
        Library, LibraryInfo,
        connector::LibraryConnector,
        integrity::{PrivateCopy, Sha256},
        process::{self, ProcessConnector, ProcessSettings},
    },
};

/// Loads libraries.
#[derive(Debug)]
pub struct Loader {
    /// Where and how processes are started.
    pub processes: Arc<ProcessSettings>,
}

/// A library that was found good.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Makes instances of it.
    pub connector: Arc<dyn Connector>,
    /// What it says of itself.
    pub info: LibraryInfo,
    /// What it is.
    pub sha256: Sha256,
}

impl Loaded {
    /// Whether its broker allows one session for an account, so that an old instance must end before a new one begins.
    pub fn is_single_session(&self) -> bool {
        self.info.capabilities & capability::SINGLE_SESSION != 0
    }
}

impl Loader {
    /// Copies a library, lets it describe itself and check its settings in a process of its own, and makes a connector.
    ///
    /// # Errors
    /// One sentence.
    pub fn load(&self, entry: &AdapterEntry) -> Result<Loaded, String> {
        let settings = &self.processes;
        let (copy, info) = inspect(entry, &settings.program, &settings.run_dir)?;
        let sha256 = copy.sha256();
        let config_json = Zeroizing::new(entry.config_json.clone());
        let connector: Arc<dyn Connector> = match entry.isolation {
            Isolation::Process => Arc::new(ProcessConnector {
                name: entry.name.as_str().into(),
                copy: Arc::new(copy),
                config_json,
                limits: entry.resources,
                settings: Arc::clone(settings),
            }),
            Isolation::InProcess => {
                let library = Library::open(&copy).map_err(|error| error.to_string())?;
                Arc::new(LibraryConnector { library, config_json })
            }
        };
        Ok(Loaded { connector, info, sha256 })
    }
}

/// Copies a library to `run_dir`, and lets it describe itself and check its settings in a process of its own.
///
/// # Errors
/// One sentence.
pub fn inspect(
    entry: &AdapterEntry,
    program: &Path,
    run_dir: &Path,
) -> Result<(PrivateCopy, LibraryInfo), String> {
    let path: &PathBuf = entry.library_path.as_ref().map_err(ToString::to_string)?;
    let copy = PrivateCopy::make(path, &entry.integrity, run_dir).map_err(|error| error.to_string())?;
    let context = format!("its settings in plugins.toml (line {}): ", entry.line);
    let info = process::probe(program, &copy, Some(&entry.config_json), &context)
        .map_err(|error| error.to_string())?;
    Ok((copy, info))
}
