//! A private copy of a library.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

impl std::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Hash of a file.
///
/// # Errors
/// Unreadable.
pub fn sha256_of(file: &Path) -> io::Result<Sha256> {
    use sha2::Digest as _;
    Ok(Sha256(sha2::Sha256::digest(fs::read(file)?).into()))
}

/// What a library has to prove before it is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntegrityRules {}

/// A copy of a library that only this user can write, under a name that was never used. Dropping it removes the file.
#[derive(Debug)]
pub struct PrivateCopy {
    path: PathBuf,
    shown_as: PathBuf,
}

/// Why.
#[derive(Debug, thiserror::Error)]
pub enum IntegrityError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The library.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl PrivateCopy {
    /// Makes one.
    ///
    /// # Errors
    /// [`IntegrityError`].
    pub fn make(file: &Path, _rules: &IntegrityRules, run_dir: &Path) -> Result<Self, IntegrityError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let unreadable = |source| IntegrityError::Unreadable { file: file.to_owned(), source };
        let bytes = fs::read(file).map_err(unreadable)?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}-{}-{count}{}", std::process::id(), std::env::consts::DLL_SUFFIX);
        let path = run_dir.join(name);
        fs::write(&path, bytes).map_err(unreadable)?;
        Ok(Self { path, shown_as: file.to_owned() })
    }

    /// The copy.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its hash.
    pub fn sha256(&self) -> Sha256 {
        sha256_of(&self.path).unwrap_or(Sha256([0; 32]))
    }

    /// The operator's file.
    pub fn shown_as(&self) -> &Path {
        &self.shown_as
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.path);
    }
}
