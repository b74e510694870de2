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
        journal::{HEALTHY_AFTER, Journal},
        process::{self, ProcessConnector, ProcessSettings},
    },
};

/// Loads libraries.
#[derive(Debug)]
pub struct Loader {
    /// Where and how processes are started.
    pub processes: Arc<ProcessSettings>,
    /// What ended a host before.
    pub journal: Journal,
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
    /// Where it runs, which need not be where the file wants it.
    pub isolation: Isolation,
    /// Something about it that the operator should know.
    pub note: Option<String>,
}

impl Loaded {
    /// Whether it logs in at its broker.
    pub fn logs_in(&self) -> bool {
        self.info.capabilities & capability::LOGIN != 0
    }

    /// Sessions that its broker allows an account at once. An operator who allows so many connections, and more than the
    /// adapter knows of, knows better.
    pub fn sessions(&self, connections: usize) -> usize {
        if self.info.capabilities & capability::SINGLE_SESSION != 0 {
            return 1;
        }
        let known = self.info.connections.and_then(|count| usize::try_from(count).ok());
        known.map_or(usize::MAX, |known| known.max(connections))
    }
}

impl Loader {
    /// Copies a library, lets it describe itself and check its settings in a process of its own, and makes a connector.
    ///
    /// An adapter that may have ended the host when it ran within it runs in a process of its own, unless somebody asks
    /// for it `by_hand`.
    ///
    /// # Errors
    /// One sentence.
    pub fn load(&self, entry: &AdapterEntry, by_hand: bool) -> Result<Loaded, String> {
        let settings = &self.processes;
        let (copy, info) = inspect(entry, &settings.program, &settings.run_dir)?;
        let sha256 = copy.sha256();
        let config_json = Zeroizing::new(entry.config_json.clone());
        if by_hand {
            self.journal.clear(&entry.name);
        }
        let is_suspect = entry.isolation == Isolation::InProcess && self.journal.is_suspect(&entry.name);
        let isolation = if is_suspect { Isolation::Process } else { entry.isolation };
        let note = is_suspect.then(|| {
            format!(
                "the last host died within {} s after it had loaded it, so it runs in a process of its own; \
                 `tickhost adapters reload {}` tries it in the host's process again",
                HEALTHY_AFTER.as_secs(),
                entry.name
            )
        });
        let connector: Arc<dyn Connector> = match isolation {
            Isolation::Process => Arc::new(ProcessConnector {
                name: entry.name.as_str().into(),
                copy: Arc::new(copy),
                config_json,
                limits: entry.resources,
                cage: Arc::new(entry.cage.clone()),
                socket: entry.socket.clone(),
                settings: Arc::clone(settings),
            }),
            Isolation::InProcess => {
                self.journal
                    .begin(&entry.name)
                    .map_err(|error| format!("cannot note that it is loaded into the host: {error}"))?;
                let library = Library::open(&copy).map_err(|error| error.to_string())?;
                Arc::new(LibraryConnector { library, config_json })
            }
        };
        Ok(Loaded { connector, info, sha256, isolation, note })
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
    let context = format!("its settings, [adapter.config] in line {} of plugins.toml: ", entry.config_line);
    let info = process::probe(program, &copy, &entry.cage, Some(&entry.config_json), &context)
        .map_err(|error| error.to_string())?;
    Ok((copy, info))
}
