//! A folder for what a running host needs and nobody else may touch: private copies of libraries, private
//! sockets.
//!
//! One host at a time has a data folder, which it keeps locked. Its own folder is named by its process; what
//! a killed host left is removed by the next one.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    files,
    locks::{self, Lock},
    private::{FileError, private_dir, unwritable},
};

/// The lock of a host, in the folder of all; stays when the host has ended.
const LOCK_FILE: &str = "host.lock";

/// Longest wait for a host that is about to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where adapters keep what can be had again, if not in the data folder.
pub(crate) const CACHE_VARIABLE: &str = "TICKHOST_CACHE_DIR";

/// The folder of this host. Dropping it removes it.
#[derive(Debug)]
pub struct RunDir {
    base: PathBuf,
    own: PathBuf,
    cache: PathBuf,
    // Dropped last.
    _lock: Lock,
}

impl RunDir {
    /// Makes it below the data folder, and keeps other hosts off that. Waits up to a second for one that is
    /// about to end.
    ///
    /// # Errors
    /// When it cannot be made, others can enter it, or another host has the data folder.
    pub fn make(data_dir: &Path) -> Result<Self, FileError> {
        if !data_dir.is_dir() {
            private_dir(data_dir)?;
        }
        let base = private_dir(&data_dir.join("run"))?;
        let file = base.join(LOCK_FILE);
        let lock = locks::take(&file, PATIENCE).map_err(|error| unwritable(&file, &error))?;
        let lock = lock.ok_or_else(|| taken(data_dir))?;
        remove_left_behind(&base);
        let own = private_dir(&Self::own_of(data_dir))?;
        let chosen = std::env::var_os(CACHE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        // Adapters write there under names that everybody knows.
        let closed = chosen.filter(|folder| files::require_closed(folder).is_ok());
        let cache = closed.unwrap_or_else(|| data_dir.join("cache"));
        // Processes may be started elsewhere.
        let cache = std::path::absolute(&cache).unwrap_or(cache);
        Ok(Self { base, own, cache, _lock: lock })
    }

    /// Where that of a host of this process is.
    pub(crate) fn own_of(data_dir: &Path) -> PathBuf {
        data_dir.join("run").join(std::process::id().to_string())
    }

    /// Where commands find the host that runs with this data folder.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Where adapters keep what can be had again: `TICKHOST_CACHE_DIR`, or `cache` in the data folder.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// What is this host's alone.
    pub fn own(&self) -> &Path {
        &self.own
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        // Left behind it only takes space, until the next host removes it.
        _ = fs::remove_dir_all(&self.own);
    }
}

/// Another host has the data folder, if one does.
pub(crate) fn other_host(data_dir: &Path) -> Option<FileError> {
    locks::is_held(&data_dir.join("run").join(LOCK_FILE)).then(|| taken(data_dir))
}

fn taken(data_dir: &Path) -> FileError {
    // A host that is starting has no folder yet.
    let process = processes(&data_dir.join("run")).find(|pid| is_running(*pid));
    let process = process.map_or_else(String::new, |pid| format!(" (process {pid})"));
    FileError {
        path: data_dir.to_owned(),
        reason: format!(
            "another host{process} has this data folder; stop that one, or give each one of its own"
        ),
    }
}

/// Removes the folders of processes that are gone.
fn remove_left_behind(base: &Path) {
    for pid in processes(base) {
        // The number may be another program's by now; then the folder waits for a later host.
        if pid != std::process::id() && !is_running(pid) {
            _ = fs::remove_dir_all(base.join(pid.to_string()));
        }
    }
}

/// Processes that have a folder here, or had one.
fn processes(base: &Path) -> impl Iterator<Item = u32> {
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether a process has this number.
#[cfg(unix)]
pub(crate) fn is_running(pid: u32) -> bool {
    use rustix::{
        io::Errno,
        process::{Pid, test_kill_process},
    };

    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    !matches!(test_kill_process(pid), Err(Errno::SRCH))
}

/// Whether a process has this number.
#[cfg(not(unix))]
pub(crate) fn is_running(_pid: u32) -> bool {
    // A folder whose files are in use cannot be removed there.
    false
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_host_left_is_removed_and_what_a_running_one_has_is_not() {
        let data_dir = tempfile::tempdir().unwrap();
        let run = data_dir.path().join("run");
        // Ended and waited for: its number belongs to nobody.
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let (dead, alive) = (run.join(child.id().to_string()), run.join("1"));
        for folder in [&dead, &alive] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("copy.so"), "x").unwrap();
        }
        fs::set_permissions(&run, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let own = {
            let made = RunDir::make(data_dir.path()).unwrap();
            assert!(made.own().is_dir() && !dead.exists() && alive.exists());
            made.own().to_owned()
        };
        assert!(!own.exists());
    }

    #[test]
    fn one_host_at_a_time_has_a_data_folder() {
        let data_dir = tempfile::tempdir().unwrap();
        assert!(other_host(data_dir.path()).is_none());
        let first = RunDir::make(data_dir.path()).unwrap();
        let refused = RunDir::make(data_dir.path()).unwrap_err().to_string();
        let seen = other_host(data_dir.path()).unwrap().to_string();
        assert!(refused.contains("another host") && seen == refused, "{refused}");
        assert!(first.own().is_dir(), "the refused one leaves the folder of the first");
        drop(first);
        assert!(other_host(data_dir.path()).is_none());
        drop(RunDir::make(data_dir.path()).unwrap());
    }
}
