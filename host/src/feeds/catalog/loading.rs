//! From an entry of `plugins.toml` to something that makes instances.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use secrecy::SecretString;

use crate::{
    adapters::{
        BrandInfo, Library, LibraryInfo,
        connector::{Connector, LibraryConnector},
        integrity::{PrivateCopy, SharedCopies},
        journal::{HEALTHY_AFTER, Journal},
        process::{self, Probe, ProcessConnector, ProcessSettings, SettingsOf},
    },
    base::sha256::Sha256,
    config::{AdapterEntry, Isolation},
};

/// Loads libraries.
#[derive(Debug)]
pub struct Loader {
    /// Where and how processes are started.
    processes: Arc<ProcessSettings>,
    /// What ended a host before.
    pub journal: Journal,
    /// Copies of libraries that run in processes.
    copies: SharedCopies,
}

/// A library that was found good.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Makes instances of it, by broker.
    connectors: BTreeMap<String, Arc<dyn Connector>>,
    /// What it says of itself.
    pub info: LibraryInfo,
    /// What it is.
    pub sha256: Sha256,
    /// Where it runs, which need not be where the file wants it.
    pub isolation: Isolation,
    /// Something about it that the operator should know.
    pub note: Option<String>,
}

/// A connector without its settings.
#[derive(Clone, Debug)]
enum Maker {
    Process(ProcessConnector),
    InProcess(Library),
}

impl Maker {
    fn connector(&self, config_json: &str) -> Arc<dyn Connector> {
        let config_json = SecretString::from(config_json);
        match self {
            Self::Process(connector) => Arc::new(ProcessConnector { config_json, ..connector.clone() }),
            Self::InProcess(library) => Arc::new(LibraryConnector { library: library.clone(), config_json }),
        }
    }
}

impl Loaded {
    /// What makes instances for a broker; none when it was not asked for when the library was loaded.
    pub fn connector(&self, broker: &str) -> Option<&Arc<dyn Connector>> {
        self.connectors.get(broker)
    }

    /// As of a library that says nothing of itself, with connectors of the test's own.
    #[cfg(test)]
    pub(super) fn of(connectors: BTreeMap<String, Arc<dyn Connector>>, isolation: Isolation) -> Self {
        let info = LibraryInfo {
            name: "acme".to_owned(),
            version: "1.0".to_owned(),
            abi_version: "1.2".to_owned(),
            sdk_version: "0.1".to_owned(),
            rustc: String::new(),
            capabilities: 0,
            symbols_per_connection: None,
            connections: None,
            deep_books: BTreeMap::new(),
            config_schema: String::new(),
            credentials_schema: String::new(),
            brands: Vec::new(),
        };
        Self { connectors, info, sha256: "00".repeat(32).parse().unwrap(), isolation, note: None }
    }

    /// What the library says of a broker.
    pub fn brand(&self, broker: &str) -> Option<BrandInfo> {
        self.info.brand(broker).ok()
    }

    /// Goes on with the connectors of an earlier load for the brokers of which nothing has changed, so that
    /// their instances stay. `is_same` says for which.
    pub fn keep(&mut self, earlier: &Self, is_same: impl Fn(&str) -> bool) {
        for (broker, connector) in self.connectors.iter_mut().filter(|(broker, _)| is_same(broker)) {
            if let Some(known) = earlier.connectors.get(broker) {
                connector.clone_from(known);
            }
        }
    }
}

impl Loader {
    /// A loader that has loaded nothing yet.
    pub fn new(processes: Arc<ProcessSettings>, journal: Journal) -> Self {
        Self { processes, journal, copies: SharedCopies::default() }
    }

    /// Copies a library, lets it describe itself and check its settings in a process of its own, and makes a
    /// connector.
    ///
    /// An adapter that may have ended the host when it ran within it runs in a process of its own, unless
    /// somebody asks for it `by_hand`.
    ///
    /// # Errors
    /// One sentence.
    pub fn load(&self, entry: &AdapterEntry, by_hand: bool) -> Result<Loaded, String> {
        let settings = &self.processes;
        let (copy, info) = inspect(entry, &settings.program, &settings.run_dir)?;
        let sha256 = copy.sha256();
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
        let maker = match isolation {
            Isolation::Process => Maker::Process(ProcessConnector {
                name: entry.name.as_str().into(),
                copy: Arc::new(self.copies.share(copy)),
                config_json: SecretString::default(),
                limits: entry.resources,
                cage: Arc::new(entry.cage.clone()),
                socket: entry.socket.clone(),
                settings: Arc::clone(settings),
            }),
            // A file of its own: a system maps a file once, and who loads it again wants it to start over.
            Isolation::InProcess => {
                self.journal
                    .begin(&entry.name)
                    .map_err(|error| format!("cannot note that it is loaded into the host: {error}"))?;
                Maker::InProcess(Library::open(&copy).map_err(|error| error.to_string())?)
            }
        };
        let connector = |broker: &String| (broker.clone(), maker.connector(entry.config_of(broker)));
        let connectors = entry.brokers.iter().map(connector).collect();
        Ok(Loaded { connectors, info, sha256, isolation, note })
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
    let settings: Vec<SettingsOf> = entry
        .brokers
        .iter()
        .map(|broker| SettingsOf {
            broker: broker.clone(),
            config_json: SecretString::from(entry.config_of(broker)),
        })
        .collect();
    let what = Probe { copy: &copy, cage: &entry.cage, settings: &settings };
    // Of a library of one broker nobody has to be told which.
    let context = |broker: &str| {
        let whose = if entry.brokers.len() > 1 { format!(" for {broker}") } else { String::new() };
        format!("its settings{whose}, {}: ", entry.config_place(broker))
    };
    let info = process::probe(program, what, context).map_err(|error| error.to_string())?;
    match alike(entry).filter(|_| info.brands.is_empty()) {
        Some((one, other)) => Err(format!(
            "the library tells no brokers apart, so accounts at {one} and at {other} would all be connected to the same one: \
             list one of them, or give each settings of its own in [adapter.brand.NAME.config]"
        )),
        None => Ok((copy, info)),
    }
}

/// Two brokers of an entry between which nothing makes a difference.
fn alike(entry: &AdapterEntry) -> Option<(&str, &str)> {
    let brokers: Vec<&str> = entry.brokers.iter().map(String::as_str).collect();
    let twin = |(place, one): (usize, &&'_ str)| {
        let others = brokers.get(place + 1..)?;
        others.iter().find(|other| entry.config_of(other) == entry.config_of(one)).copied()
    };
    brokers.iter().enumerate().find_map(|(place, one)| Some((*one, twin((place, one))?)))
}
