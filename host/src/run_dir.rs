//! A folder for what a running host needs and nobody else may touch: private copies of libraries, private sockets.
//!
//! Each host has one of its own, named by its process, so that two that share a data folder do not meet. What a killed
//! host left is removed by the next one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::accounts::{AccountsError, secrets::private_dir};

/// Where adapters keep what can be had again, if not in the data folder.
pub(crate) const CACHE_VARIABLE: &str = "TICKHOST_CACHE_DIR";

/// The folder of this host. Dropping it removes it.
#[derive(Debug)]
pub struct RunDir {
    base: PathBuf,
    own: PathBuf,
    cache: PathBuf,
}

impl RunDir {
    /// Makes it below the data folder.
    ///
    /// # Errors
    /// When it cannot be made, or others can enter it.
    pub fn make(data_dir: &Path) -> Result<Self, AccountsError> {
        let base = private_dir(&data_dir.join("run"))?;
        remove_left_behind(&base);
        let own = private_dir(&Self::own_of(data_dir))?;
        let chosen = std::env::var_os(CACHE_VARIABLE).filter(|value| !value.is_empty());
        let cache = chosen.map_or_else(|| data_dir.join("cache"), PathBuf::from);
        // Processes may be started elsewhere.
        let cache = std::path::absolute(&cache).unwrap_or(cache);
        Ok(Self { base, own, cache })
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

/// Removes the folders of processes that are gone.
fn remove_left_behind(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        // The number may be another program's by now; then the folder waits for a later host.
        if pid.is_some_and(|pid| pid != std::process::id() && !is_running(pid)) {
            _ = fs::remove_dir_all(entry.path());
        }
    }
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
}
