//! Opens adapter libraries: a private copy, the header, both layout checks, one readable message for what does not fit.
#![expect(
    unsafe_code,
    reason = "opening a foreign library cannot be safe; what makes it acceptable stands at each block"
)]

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use adapter_abi::{
    ABI_VERSION, AdapterMetadata, AdapterModuleRef, HEADER_SYMBOL,
    abi_stable::{
        StableAbi,
        abi_stability::abi_checking::check_layout_compatibility,
        library::{IsLayoutChecked, LibHeader, RawLibrary, RootModule, lib_header_from_raw_library},
        std_types::RStr,
    },
};

use super::{
    AdapterEvents, AdapterFailure, AdapterInstance,
    callbacks::host_handle,
    instance::{InProcess, plain},
};

/// Lines of a layout mismatch that are shown: the first ones name the type, the rest is its neighbourhood.
const LAYOUT_LINES: usize = 12;

/// Why a library was not loaded. One message says everything that is wrong with it, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read, or not be copied to the run directory.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The library.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
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
}

/// What a library says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryInfo {
    /// Short name.
    pub name: String,
    /// Version of the adapter.
    pub version: String,
    /// ABI that it was built with.
    pub abi_version: String,
    /// SDK that it was built with.
    pub sdk_version: String,
    /// Compiler that it was built with.
    pub rustc: String,
    /// Bits of `adapter_abi::capability`.
    pub capabilities: u64,
    /// Instruments on one connection, if it knows a limit.
    pub symbols_per_connection: Option<u32>,
    /// Connections of one account, if it knows a limit.
    pub connections: Option<u32>,
    /// JSON Schema of its settings.
    pub config_schema: String,
    /// JSON Schema of its credentials; empty when it needs none.
    pub credentials_schema: String,
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
    /// Loads a library from a private copy in `run_dir`, which only this user can write: the operator's file may be
    /// overwritten while it is mapped, and the system gives back the old library for a path that it knows.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(file: &Path, run_dir: &Path) -> Result<Self, LoadError> {
        let copy = private_copy(file, run_dir)?;
        let loaded = Self::load_copy(file, &copy);
        // Once mapped the copy needs no name, and one that was not mapped is of no use.
        #[cfg(unix)]
        if let Err(error) = fs::remove_file(&copy) {
            tracing::debug!(%error, "Could not remove the copy of a library");
        }
        loaded
    }

    fn load_copy(file: &Path, copy: &Path) -> Result<Self, LoadError> {
        let no_library = |error: &dyn fmt::Display| LoadError::NoLibrary {
            file: file.to_owned(),
            reason: error.to_string().replace(&copy.display().to_string(), &file.display().to_string()),
        };
        // SAFETY: loading runs the library's initialisers. It is one that the operator listed in `plugins.toml`, and it
        // runs with the host's rights anyway; the file was checked to be a whole one for this system.
        let probed = unsafe { libloading::Library::new(copy) }.map_err(|error| no_library(&error))?;
        // SAFETY: the symbol is only looked for, not used.
        let has_header = unsafe { probed.get::<*const ()>(HEADER_SYMBOL.as_bytes()) }.is_ok();
        // SAFETY: see above; the same file again, which the system answers with the library that is open.
        let raw = RawLibrary::load_at(copy).map_err(|error| no_library(&error))?;
        // The library stays mapped for good: everything that follows has addresses in it.
        let _mapped: &'static libloading::Library = Box::leak(Box::new(probed));
        let raw: &'static RawLibrary = Box::leak(Box::new(raw));
        if !has_header {
            return Err(LoadError::NoAdapter { file: file.to_owned() });
        }
        // SAFETY: the header lives as long as the library, which is never unloaded.
        let header =
            unsafe { lib_header_from_raw_library(raw) }.map_err(|error| LoadError::Incompatible {
                file: file.to_owned(),
                problems: vec![format!("it was built with another abi_stable: {error}")],
            })?;
        let module = checked_module(header)
            .map_err(|problems| LoadError::Incompatible { file: file.to_owned(), problems })?;
        let metadata = module.metadata()();
        let info = info_of(metadata);
        if major(&info.abi_version) != major(ABI_VERSION) {
            let problem = format!("it says that it was built for ABI {}", info.abi_version);
            return Err(LoadError::Incompatible { file: file.to_owned(), problems: vec![problem] });
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

    /// Lets the adapter check its settings, a JSON object.
    ///
    /// # Errors
    /// What it says against them.
    pub fn validate_config(&self, config_json: &str) -> Result<(), AdapterFailure> {
        plain(self.module.validate_config()(RStr::from(config_json)))
    }

    /// Makes an instance, which does nothing before it is told to connect. `label` names it in logs.
    ///
    /// # Errors
    /// What the adapter says against its settings.
    pub fn create(
        &self,
        config_json: &str,
        label: &str,
        events: Arc<dyn AdapterEvents>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        let adapter = plain(self.module.create()(RStr::from(config_json), host_handle(label, events)))?;
        Ok(Box::new(InProcess::new(label, adapter)))
    }
}

/// The root module, when one of the two layouts extends the other.
///
/// `abi_stable`'s own check is one-way and would refuse every older library as soon as the host's side grew. Entries are
/// only ever appended and have defaults, so a library that lacks some, or has more, is as good.
fn checked_module(header: &'static LibHeader) -> Result<AdapterModuleRef, Vec<String>> {
    let mut problems = Vec::new();
    let theirs = header.version_strings().version.as_str();
    let ours = AdapterModuleRef::VERSION_STRINGS.version.as_str();
    if major(theirs) != major(ours) {
        problems.push(format!("it was built for adapter-abi {theirs}, this host needs {}.x", major(ours)));
        return Err(problems);
    }
    if let IsLayoutChecked::Yes(their_layout) = header.root_mod_consts().layout() {
        let our_layout = <AdapterModuleRef as StableAbi>::LAYOUT;
        let forward = check_layout_compatibility(our_layout, their_layout);
        let backward = check_layout_compatibility(their_layout, our_layout);
        if let (Err(forward), Err(_)) = (forward, backward) {
            let text = forward.to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            problems.push(format!("its types are laid out differently: {}", shortened(&lines)));
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

fn shortened(lines: &[&str]) -> String {
    let shown = lines.iter().take(LAYOUT_LINES).copied().collect::<Vec<_>>().join(" | ");
    if lines.len() > LAYOUT_LINES { format!("{shown} | …") } else { shown }
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or_default()
}

/// Copies the library to a name that was never used, in a directory that is the host's own.
fn private_copy(file: &Path, run_dir: &Path) -> Result<PathBuf, LoadError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let unreadable = |source| LoadError::Unreadable { file: file.to_owned(), source };
    let bytes = fs::read(file).map_err(unreadable)?;
    check_whole(file, &bytes)?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-{}-{count}{}", std::process::id(), std::env::consts::DLL_SUFFIX);
    let copy = run_dir.join(name);
    fs::write(&copy, bytes).map_err(unreadable)?;
    Ok(copy)
}

/// A truncated ELF file kills the process that opens it, so its own headers are asked first how long it must be.
fn check_whole(file: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let no_library = |reason: &str| LoadError::NoLibrary { file: file.to_owned(), reason: reason.to_owned() };
    if bytes.is_empty() {
        return Err(no_library("it is empty"));
    }
    if !cfg!(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")) {
        return Ok(());
    }
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return Err(no_library("it is no 64-bit ELF file"));
    }
    let word = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let half = |at: usize| bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes);
    let needed = || -> Option<u64> {
        // The section headers stand at the end of what linkers write: e_shoff + e_shentsize * e_shnum.
        word(0x28)?.checked_add(u64::from(half(0x3a)?) * u64::from(half(0x3c)?))
    };
    let segments_end = || -> Option<u64> {
        let (table, size, count) = (word(0x20)?, u64::from(half(0x36)?), u64::from(half(0x38)?));
        (0..count).try_fold(0, |end, number| {
            let at = usize::try_from(table.checked_add(size * number)?).ok()?;
            Some(end.max(word(at + 8)?.checked_add(word(at + 32)?)?))
        })
    };
    let length = bytes.len() as u64;
    match (needed(), segments_end()) {
        (Some(sections), Some(segments)) if sections <= length && segments <= length => Ok(()),
        _ => Err(no_library("it is truncated: copy it again, then rename it into place")),
    }
}

fn info_of(metadata: AdapterMetadata) -> LibraryInfo {
    let limit = |value: u32| (value > 0).then_some(value);
    LibraryInfo {
        name: metadata.name.into(),
        version: metadata.version.into(),
        abi_version: metadata.abi_version.into(),
        sdk_version: metadata.sdk_version.into(),
        rustc: metadata.rustc.into(),
        capabilities: metadata.capabilities,
        symbols_per_connection: limit(metadata.symbols_per_connection),
        connections: limit(metadata.connections),
        config_schema: metadata.config_schema_json.into(),
        credentials_schema: metadata.credentials_schema_json.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("adapter.so");
        fs::write(&file, bytes).unwrap();
        Library::load(&file, dir.path()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_library_is_refused_in_a_sentence() {
        assert!(refused(b"").ends_with("it is empty"));
        assert!(refused(b"#!/bin/sh\n").contains("is no library for this machine"));
        let missing = Library::load(Path::new("/nowhere/adapter.so"), Path::new("/nowhere")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read /nowhere/adapter.so"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_truncated_library_is_refused_at_every_length_and_a_foreign_one_by_name() {
        // The test binary itself is a valid ELF file, though no adapter.
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        for length in [10, 64, 4_096, whole.len() / 2, whole.len() - 1] {
            let said = refused(&whole[..length]);
            assert!(said.contains("truncated"), "{length} bytes: {said}");
        }
        assert!(
            refused(&whole).contains("no library for this machine")
                || refused(&whole).contains("no Tickhost adapter")
        );
    }
}
