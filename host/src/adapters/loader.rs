//! Opens the private copies of adapter libraries: the header, both layout checks, one readable message for
//! what does not fit.
#![expect(
    unsafe_code,
    reason = "opening a foreign library cannot be safe; what makes it acceptable stands at each block"
)]

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use adapter_abi::{
    ABI_VERSION, AdapterModuleRef, ErrorCode, HEADER_SYMBOL,
    abi_stable::{
        StableAbi,
        abi_stability::abi_checking::{AbiInstabilityErrors, check_layout_compatibility},
        library::{AbiHeaderRef, IsLayoutChecked, LibHeader, RootModule},
        std_types::RStr,
    },
    capability,
};

use super::{
    AdapterEvents, AdapterFailure, AdapterInstance, Assignment, LoginStep,
    callbacks::host_handle,
    deep_books::DeepBooks,
    info::{LibraryInfo, info_of},
    instance::{InProcess, plain},
    integrity::{IntegrityError, PrivateCopy},
};
use crate::config::IntegrityRules;

/// Differences of two layouts that are shown; one often brings others with it.
const DIFFERENCES: usize = 4;

/// Libraries that were mapped since the start.
static MAPPED: AtomicU64 = AtomicU64::new(0);

/// Libraries that are mapped into this process. Each stays until the process ends.
pub fn mapped() -> u64 {
    MAPPED.load(Ordering::Relaxed)
}

/// Why a library was not loaded. One message says everything that is wrong with it, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The library did not prove what it has to.
    #[error(transparent)]
    Integrity(#[from] IntegrityError),
    /// The system does not take the file for a library.
    #[error("{} is no library for this machine: {reason}", file.display())]
    NoLibrary {
        /// The library.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A library, but no adapter.
    #[error(
        "{} is a library, but no Tickhost adapter (it exports no {HEADER_SYMBOL}): build it as a cdylib with \
         export_adapter!", file.display()
    )]
    NoAdapter {
        /// The library.
        file: PathBuf,
    },
    /// An adapter for another host.
    #[error("{} does not fit this host (ABI {ABI_VERSION}): {}", file.display(), problems.join("; "))]
    Incompatible {
        /// The library.
        file: PathBuf,
        /// Everything that does not fit.
        problems: Vec<String>,
    },
    /// An adapter that says something senseless of itself.
    #[error("{} makes no sense: {problem}", file.display())]
    Nonsense {
        /// The library.
        file: PathBuf,
        /// What is wrong, in a sentence.
        problem: String,
    },
}

/// A loaded library. It is never unloaded: destructors of its threads' locals would run in unmapped code.
#[derive(Clone)]
pub struct Library {
    module: AdapterModuleRef,
    info: Arc<LibraryInfo>,
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Library").field(&self.info).finish()
    }
}

impl Library {
    /// Loads a library that has to prove only what every one has to; see [`PrivateCopy::make`] and
    /// [`Self::open`].
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(file: &Path, run_dir: &Path) -> Result<Self, LoadError> {
        Self::open(&PrivateCopy::make(file, &IntegrityRules::default(), run_dir)?)
    }

    /// Loads the private copy of a library, which may be dropped then: the operator's file may be overwritten
    /// while it is mapped, and the system gives back the old library for a path that it knows.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn open(copy: &PrivateCopy) -> Result<Self, LoadError> {
        Self::map(copy.path(), copy.shown_as())
    }

    /// Loads the private copy of a library that another process has made. `file` is the operator's file, for
    /// messages.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn map(copy: &Path, file: &Path) -> Result<Self, LoadError> {
        let no_library = |error: &dyn fmt::Display| LoadError::NoLibrary {
            file: file.to_owned(),
            reason: error.to_string().replace(&copy.display().to_string(), &file.display().to_string()),
        };
        // SAFETY: loading runs the library's initialisers. It is one that the operator listed in
        // `plugins.toml`, and it runs with the host's rights anyway; the file was checked to be a whole one
        // for this system.
        let library = unsafe { libloading::Library::new(copy) }.map_err(|error| no_library(&error))?;
        MAPPED.fetch_add(1, Ordering::Relaxed);
        // The library stays mapped for good: everything that follows has addresses in it.
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        // SAFETY: what has this name is the header that abi_stable exports, of whatever version; a library
        // that gives the name to something else could as well do its harm while it was loaded. `AbiHeaderRef`
        // is an address, here that of the symbol.
        let header = unsafe { library.get::<AbiHeaderRef>(HEADER_SYMBOL.as_bytes()) };
        let Ok(header) = header else { return Err(LoadError::NoAdapter { file: file.to_owned() }) };
        let header: &'static LibHeader = header.upgrade().map_err(|error| LoadError::Incompatible {
            file: file.to_owned(),
            problems: vec![format!("it was built with another abi_stable: {error}")],
        })?;
        let module = checked_module(header)
            .map_err(|problems| LoadError::Incompatible { file: file.to_owned(), problems })?;
        let metadata = module.metadata()();
        let mut info = info_of(metadata);
        if major(&info.abi_version) != major(ABI_VERSION) {
            let problem = format!("it says that it was built for ABI {}", info.abi_version);
            return Err(LoadError::Incompatible { file: file.to_owned(), problems: vec![problem] });
        }
        if let Some(brands) = module.brands() {
            let read = info.read_brands(&brands());
            read.map_err(|problem| LoadError::Nonsense { file: file.to_owned(), problem })?;
        }
        Ok(Self { module, info: Arc::new(info) })
    }

    /// What the library says of itself.
    pub fn info(&self) -> &LibraryInfo {
        &self.info
    }

    /// The entry points, for tools that are a host of their own.
    pub const fn module(&self) -> AdapterModuleRef {
        self.module
    }

    /// Lets the adapter check its settings for a broker, a JSON object.
    ///
    /// # Errors
    /// What it says against them.
    pub fn validate_config(&self, assignment: &Assignment, config_json: &str) -> Result<(), AdapterFailure> {
        let config = RStr::from(config_json);
        plain(match self.module.validate_config_for() {
            Some(validate) => validate(RStr::from(assignment.json().as_str()), config),
            None => self.module.validate_config()(config),
        })
    }

    /// What the adapter says of its limits at a broker with these settings, which are good. It may say
    /// nothing.
    pub fn deep_books(&self, assignment: &Assignment, config_json: &str) -> Option<DeepBooks> {
        let said = self.module.limits_for()?(assignment.json().as_str().into(), config_json.into());
        DeepBooks::read(&said)
    }

    /// Lets the adapter take one step of logging in, with its settings and with what is known of the account,
    /// both JSON objects. Blocks for as long as the broker takes, up to the deadline.
    ///
    /// # Errors
    /// What the adapter or the broker says against it.
    pub fn log_in(
        &self,
        assignment: &Assignment,
        config_json: &str,
        fields_json: &str,
        deadline: Duration,
    ) -> Result<LoginStep, AdapterFailure> {
        let no_login = |code, message: &str| AdapterFailure { code, message: message.to_owned() };
        let says_so = self
            .info
            .brand(&assignment.broker)
            .is_ok_and(|brand| brand.capabilities & capability::LOGIN != 0);
        let (config, fields) = (RStr::from(config_json), RStr::from(fields_json));
        let deadline = u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX);
        let step = match (self.module.login_for(), self.module.login()) {
            (Some(log_in), _) if says_so => {
                log_in(RStr::from(assignment.json().as_str()), config, fields, deadline)
            }
            (None, Some(log_in)) if says_so => log_in(config, fields, deadline),
            _ => {
                return Err(no_login(
                    ErrorCode::CONFIG,
                    "this adapter does not log in: store a token with `tickhost account set`",
                ));
            }
        };
        LoginStep::read(&plain(step)?)
            .ok_or_else(|| no_login(ErrorCode::PROTOCOL, "the adapter's answer makes no sense"))
    }

    /// Makes an instance, which does nothing before it is told to connect. `label` names it in logs.
    ///
    /// # Errors
    /// What the adapter says against its settings.
    pub fn create(
        &self,
        assignment: &Assignment,
        config_json: &str,
        label: &str,
        events: Arc<dyn AdapterEvents>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        let (config, host) = (RStr::from(config_json), host_handle(label, events));
        let adapter = plain(match self.module.create_for() {
            Some(create) => create(RStr::from(assignment.json().as_str()), config, host),
            None => self.module.create()(config, host),
        })?;
        Ok(Box::new(InProcess::new(label, adapter)))
    }
}

/// The root module, when one of the two layouts extends the other.
///
/// `abi_stable`'s own check is one-way and would refuse every older library as soon as the host's side grew.
/// Entries are only ever appended and have defaults, so a library that lacks some, or has more, is as good.
fn checked_module(header: &'static LibHeader) -> Result<AdapterModuleRef, Vec<String>> {
    let mut problems = Vec::new();
    let theirs = header.version_strings().version.as_str();
    let ours = AdapterModuleRef::VERSION_STRINGS.version.as_str();
    if major(theirs) != major(ours) {
        problems.push(format!("it was built for adapter-abi {theirs}, this host needs {}.x: rebuild it with the SDK of this host, or get \
                such a build from its author", major(ours)));
        return Err(problems);
    }
    if let IsLayoutChecked::Yes(their_layout) = header.root_mod_consts().layout() {
        let our_layout = <AdapterModuleRef as StableAbi>::LAYOUT;
        let forward = check_layout_compatibility(our_layout, their_layout);
        let backward = check_layout_compatibility(their_layout, our_layout);
        if let (Err(forward), Err(_)) = (forward, backward) {
            problems.push(format!("its types are laid out differently: {}", differences(&forward)));
        }
    } else {
        problems.push("it does not describe the layout of its types".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // SAFETY: one of the layouts extends the other, as was just checked, and the major version is the same.
    unsafe { header.init_root_module_with_unchecked_layout::<AdapterModuleRef>() }
        .map_err(|error| vec![format!("it could not be initialised: {error}")])
}

/// What differs, by type: `Ltp has unexpected field (expected ltp, found volume)`.
///
/// The whole report is a thousand lines, most of which lead from the module to the type. Its parts have texts
/// and no accessors, so the texts are read: the layout of the type first, then `Error:`, `Expected:` and
/// `Found:`.
fn differences(errors: &AbiInstabilityErrors) -> String {
    let differing = errors.errors.iter().filter(|error| !error.errs.is_empty());
    let mut all: Vec<String> = Vec::new();
    for text in differing.map(ToString::to_string) {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let of_type =
            lines.by_ref().skip_while(|line| !line.starts_with("Layout of found")).find_map(type_name);
        let of_type = of_type.unwrap_or("the module");
        while let Some(what) = lines.find_map(|line| line.strip_prefix("Error:")) {
            let mut value =
                |heading: &str| lines.by_ref().skip_while(|line| *line != heading).nth(1).map(plain_value);
            let (expected, found) = (value("Expected:").unwrap_or("?"), value("Found:").unwrap_or("?"));
            all.push(format!("{of_type} has {what} (expected {expected}, found {found})"));
        }
    }
    let more = all.len().saturating_sub(DIFFERENCES);
    all.truncate(DIFFERENCES);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join(", ")
}

fn type_name(line: &str) -> Option<&str> {
    line.strip_prefix("type:")
}

fn plain_value(line: &str) -> &str {
    line.strip_prefix("field_name:").unwrap_or(line)
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("adapter.so");
        fs::write(&file, bytes).unwrap();
        Library::load(&file, dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_library_is_refused_in_a_sentence() {
        assert!(refused(b"").contains("it is empty"));
        assert!(refused(b"#!/bin/sh\n").contains("is no library for this machine"));
        let missing = Library::load(Path::new("/nowhere/adapter.so"), Path::new("/nowhere")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read /nowhere/adapter.so"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_is_no_adapter_and_the_message_names_the_operators_file() {
        // The test binary itself is a valid ELF file, though no adapter.
        let said = refused(&fs::read(std::env::current_exe().unwrap()).unwrap());
        assert!(
            said.contains("no library for this machine") || said.contains("no Tickhost adapter"),
            "{said}"
        );
        assert!(said.contains("/adapter.so is"), "{said}");
    }
}
