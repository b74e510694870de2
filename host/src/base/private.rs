//! Files and folders that only this user can read: those with secrets, and what a running host has for
//! itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

use crate::base::{blocking::may_wait, cause, files, secret::read_text};

/// Longest file with a secret that is read.
const MAX_SECRET_BYTES: u64 = 4_096;

/// A file or a folder that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why, and what to do.
    pub reason: String,
}

/// Makes a directory that only this user can enter.
pub(crate) fn private_dir(path: &Path) -> Result<PathBuf, FileError> {
    may_wait();
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| unwritable(path, &error))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = fs::metadata(path).map_err(|error| file_error(path, &error))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .map_err(|error| file_error(path, &error))?;
        }
    }
    Ok(path.to_owned())
}

/// Writes a file that only this user can read, whatever was there before: whole or not at all, and on the
/// disk. One program at a time may write one file.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let wanted = files::Wanted { mode: 0o600, is_durable: true, ending: ".new" };
    files::replace(path, bytes, wanted).map_err(|error| unwritable(path, &error))
}

/// Reads a file with a secret, as far as one can be long; none when there is no such file. An empty one is
/// none: a full disk, or a program that was killed, may have left it.
///
/// # Errors
/// When it cannot be read, is no text, or others can read it.
pub(crate) fn read_private(path: &Path) -> Result<Option<SecretString>, FileError> {
    may_wait();
    let mut options = fs::OpenOptions::new();
    options.read(true);
    // Nobody waits for the other end of a pipe that stands in the place of the file.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
    );
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error(path, &error)),
    };
    // What was opened is looked at, and not what the path names a moment later.
    let metadata = file.metadata().map_err(|error| file_error(path, &error))?;
    if metadata.is_file() && metadata.len() == 0 {
        return Ok(None);
    }
    require_private_mode(path, &metadata)?;
    let text = read_text(file, MAX_SECRET_BYTES - 1).map_err(|error| file_error(path, &error))?;
    Ok(if text.expose_secret().trim().is_empty() { None } else { Some(text) })
}

/// Refuses a secret that others can read.
pub(crate) fn require_private(path: &Path) -> Result<(), FileError> {
    let metadata = fs::metadata(path).map_err(|error| file_error(path, &error))?;
    require_private_mode(path, &metadata)
}

#[cfg(unix)]
fn require_private_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        let (shown, mode) = (path.display(), mode & 0o777);
        let reason = format!("other users can read it (mode {mode:o}); run: chmod 600 {shown}");
        return Err(FileError { path: path.to_owned(), reason });
    }
    Ok(())
}

/// Access control lists of Windows are the operator's.
#[cfg(not(unix))]
fn require_private_mode(_path: &Path, _metadata: &fs::Metadata) -> Result<(), FileError> {
    Ok(())
}

pub(crate) fn file_error(path: &Path, error: &io::Error) -> FileError {
    let reason = format!("cannot be read: {}", cause::of_reading(error));
    FileError { path: path.to_owned(), reason }
}

/// A file or folder that cannot be made or written.
pub(crate) fn unwritable(path: &Path, error: &io::Error) -> FileError {
    let reason = format!("cannot be written: {}", cause::of_writing(error));
    FileError { path: path.to_owned(), reason }
}
