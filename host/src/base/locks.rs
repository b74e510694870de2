//! Locks between programs that share a data folder. The kernel releases them when their program ends, however
//! it ends.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(10);

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Option<File>,
}

/// Takes the lock of this file, which is made when it is not there; none when another program has held it all
/// the time until `patience` was over. Blocks while it waits.
///
/// Where the file system knows no locks, everybody gets it.
///
/// # Errors
/// When the file cannot be made or opened.
pub(crate) fn take(path: &Path, patience: Duration) -> io::Result<Option<Lock>> {
    crate::base::blocking::may_wait();
    let deadline = Instant::now() + patience;
    let file = open(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(Lock { _file: Some(file) })),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Ok(None),
            Err(TryLockError::WouldBlock) => thread::park_timeout(AGAIN),
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, path = %path.display(), "Could not lock a file; going on without");
                return Ok(Some(Lock { _file: None }));
            }
        }
    }
}

/// Whether another program holds the lock of this file. Makes nothing.
pub(crate) fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    // Shared, so that two that look at the same time do not take each other for the holder.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_at_a_time_and_looking_takes_it_from_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        assert!(!is_held(&path) && !path.exists());
        let held = take(&path, Duration::ZERO).unwrap().unwrap();
        assert!(is_held(&path) && take(&path, AGAIN * 2).unwrap().is_none());
        let waiting = {
            let path = path.clone();
            thread::spawn(move || take(&path, Duration::from_secs(20)).unwrap().is_some())
        };
        drop(held);
        assert!(waiting.join().unwrap() && !is_held(&path));
    }
}
