//! What a library has to prove before its first instruction runs, and the private copy that is loaded in its
//! place.
//!
//! The operator's file is opened once. What is looked at is what that descriptor says, and what is checked is
//! the copy that was written from it, so that nothing depends on what the path names a moment later:
//!
//! 1. The open file is a regular one of bounded size, and its owner is root or this user (`place`).
//! 2. Nobody else can write it, nor a directory between it and the plugin directory, and no link leads out
//!    (`place`).
//! 3. It is copied, and hashed on the way, under a name that was never used, in a directory that is the
//!    host's own.
//! 4. It did not change meanwhile, and is a whole library for this system (`format`).
//! 5. It has the pinned hash and a signature by a trusted key, as far as `plugins.toml` asks for them
//!    (`signature`).

mod error;
mod format;
mod place;
mod signature;

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

pub use self::error::IntegrityError;
use crate::{
    base::{
        blocking,
        sha256::{Hasher, Sha256},
    },
    config::IntegrityRules,
};

/// Largest library, in bytes. A release build with debug information stays below a tenth of it.
pub const MAX_BYTES: u64 = 512 * 1_024 * 1_024;

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 128 * 1_024;

/// Letters of the library's name that its copy keeps, so that a crash report names the adapter.
const MAX_STEM_CHARS: usize = 48;

/// A copy of a library that only this user can write, under a name that was never used. Dropping it, and
/// those that share its file, removes the file, which a library that is loaded does not need any more.
#[derive(Clone, Debug)]
pub struct PrivateCopy {
    file: Arc<CopiedFile>,
    sha256: Sha256,
    shown_as: PathBuf,
}

/// The file of a copy, which goes with the last copy that has it.
#[derive(Debug)]
struct CopiedFile(PathBuf);

impl PrivateCopy {
    /// Copies `file` to `run_dir`, a directory that only this user can enter, and checks the copy.
    ///
    /// # Errors
    /// [`IntegrityError`]; nothing is left in `run_dir` then.
    pub fn make(file: &Path, rules: &IntegrityRules, run_dir: &Path) -> Result<Self, IntegrityError> {
        blocking::may_wait();
        let unreadable = |source| IntegrityError::Unreadable { file: file.to_owned(), source };
        let mut source = open(file).map_err(unreadable)?;
        let before = source.metadata().map_err(unreadable)?;
        check_file(file, &before)?;
        place::check(file, rules.plugin_root.as_deref(), &before)?;
        let signature = signature::find(file, rules)?;
        let mut verifiers = match &signature {
            Some(found) => found.verifiers(file, &rules.signers)?,
            None => Vec::new(),
        };

        let not_copied =
            |source| IntegrityError::NotCopied { file: file.to_owned(), run_dir: run_dir.to_owned(), source };
        let (path, mut target) = create(file, run_dir).map_err(not_copied)?;
        // From here on every way out removes the file.
        let mut copy =
            Self { file: Arc::new(CopiedFile(path)), sha256: Sha256::default(), shown_as: file.to_owned() };
        let (mut hasher, mut length) = (Hasher::default(), 0);
        // One byte more than it may be, so that a file that grows is seen to.
        let mut source_bytes = (&mut source).take(before.len().saturating_add(1));
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = match source_bytes.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => chunk.get(..read).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(error)),
            };
            target.write_all(read).map_err(not_copied)?;
            hasher.update(read);
            verifiers.iter_mut().for_each(|verifier| verifier.update(read));
            length += read.len() as u64;
        }
        copy.sha256 = hasher.finish();
        let after = source.metadata().map_err(unreadable)?;
        if length != before.len() || changed(&before, &after) {
            return Err(IntegrityError::Changed { file: file.to_owned() });
        }
        format::check(file, &mut target, length)?;
        if let Some(pinned) = rules.sha256.filter(|pinned| *pinned != copy.sha256) {
            return Err(IntegrityError::NotPinned { file: file.to_owned(), pinned, found: copy.sha256 });
        }
        if let Some(found) = &signature {
            found.verdict(file, verifiers)?;
        }
        Ok(copy)
    }

    /// The copy.
    pub fn path(&self) -> &Path {
        &self.file.0
    }

    /// Hash of the copy.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// The operator's file, which messages name.
    pub fn shown_as(&self) -> &Path {
        &self.shown_as
    }
}

/// Files of copies that are in use, by what is in them: libraries that are the same need one file, of which
/// the system keeps the pages once for all processes that map it.
#[derive(Debug, Default)]
pub struct SharedCopies(Mutex<FxHashMap<Sha256, Weak<CopiedFile>>>);

impl SharedCopies {
    /// The copy, with the file of an earlier one that has the same bytes, if that is in use.
    pub fn share(&self, mut copy: PrivateCopy) -> PrivateCopy {
        let mut files = self.0.lock();
        files.retain(|_, file| file.strong_count() > 0);
        match files.get(&copy.sha256).and_then(Weak::upgrade) {
            Some(file) => copy.file = file,
            None => _ = files.insert(copy.sha256, Arc::downgrade(&copy.file)),
        }
        copy
    }
}

impl Drop for CopiedFile {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        // Windows keeps a library that is mapped; the run directory is the host's own, so it only takes
        // space.
        blocking::soon(move || {
            if let Err(error) = fs::remove_file(path) {
                tracing::debug!(%error, "Could not remove the copy of a library");
            }
        });
    }
}

/// Hash of a library, read to its end in small pieces.
///
/// # Errors
/// When it cannot be read, or is no regular file of at most [`MAX_BYTES`].
pub fn sha256_of(file: &Path) -> io::Result<Sha256> {
    blocking::may_wait();
    let opened = open(file)?;
    if !opened.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let (mut hasher, mut length) = (Hasher::default(), 0);
    let mut bytes = opened.take(MAX_BYTES + 1);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = match bytes.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => chunk.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(read);
        length += read.len() as u64;
    }
    if length > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than any library"));
    }
    Ok(hasher.finish())
}

/// Whether nobody but root and this user owns or can write a file, by the rules for libraries. Always on
/// systems without Unix permissions.
///
/// # Errors
/// Who can, or that it cannot be looked at.
pub fn check_access(file: &Path) -> Result<(), IntegrityError> {
    blocking::may_wait();
    let metadata =
        fs::metadata(file).map_err(|source| IntegrityError::Unreadable { file: file.to_owned(), source })?;
    place::check_access(file, &metadata)
}

/// Opens a file for reading. A pipe in its place must not make the host wait for somebody who writes.
fn open(file: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.cast_signed());
    }
    options.open(file)
}

/// What the descriptor says of the file.
fn check_file(file: &Path, opened: &Metadata) -> Result<(), IntegrityError> {
    if !opened.is_file() {
        return Err(IntegrityError::NoFile { file: file.to_owned() });
    }
    match opened.len() {
        0 => Err(IntegrityError::Empty { file: file.to_owned() }),
        bytes if bytes > MAX_BYTES => Err(IntegrityError::TooLarge { file: file.to_owned(), bytes }),
        _ => Ok(()),
    }
}

fn changed(before: &Metadata, after: &Metadata) -> bool {
    before.len() != after.len() || before.modified().ok() != after.modified().ok()
}

/// A new file that only this user can read and load. Its name is random: loaders give back the old library
/// for a path that they know, and one that a killed process left behind must not stand in the way.
fn create(file: &Path, run_dir: &Path) -> io::Result<(PathBuf, File)> {
    let is_kept = |letter: &char| letter.is_ascii_alphanumeric() || "_-".contains(*letter);
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let stem: String = stem.chars().filter(is_kept).take(MAX_STEM_CHARS).collect();
    let name = format!("{stem}-{:032x}{}", rand::random::<u128>(), std::env::consts::DLL_SUFFIX);
    let path = run_dir.join(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o500);
    let created = options.open(&path)?;
    Ok((path, created))
}
