//! Processes of adapters, as the system lists them. Linux only; elsewhere there seem to be none.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Number of its parent.
    pub parent: u32,
    /// Its arguments, separated by spaces.
    pub arguments: String,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ").trim().to_owned();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; after it come the state and the parent.
        let parent = stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()?;
        Some(Self { pid, parent, arguments })
    }

    /// Whether it runs an adapter.
    pub fn is_adapter(&self) -> bool {
        self.arguments.contains("run-adapter")
    }

    /// Whether it still runs. A number that was given to another process in the meantime does not count.
    pub fn is_alive(&self) -> bool {
        Self::read(self.pid).is_some_and(|present| present.arguments == self.arguments)
    }

    /// What `top` calls it; the kernel keeps 15 bytes.
    pub fn name(&self) -> String {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid)).unwrap_or_default();
        name.trim_end().to_owned()
    }

    /// Environment, file names and limits: whatever the system tells of it beside its memory.
    pub fn told_by_system(&self) -> String {
        let file = |name: &str| fs::read(format!("/proc/{}/{name}", self.pid)).unwrap_or_default();
        ["cmdline", "environ", "comm", "maps"]
            .iter()
            .map(|name| String::from_utf8_lossy(&file(name)).replace('\0', "\n"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// What the system tells of each of its threads.
    pub fn statuses_of_threads(&self) -> Vec<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).into_iter().flatten().flatten();
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok()).collect()
    }

    /// What its descriptors are of; none where they cannot be told.
    pub fn descriptors(&self) -> Vec<String> {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.map(|target| target.display().to_string()).collect()
    }

    /// Threads that it has.
    pub fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, Iterator::count)
    }
}

/// Processes that run adapters for this host.
pub fn adapters_of(host: u32) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == host && process.is_adapter()).collect()
}

/// Processes whose environment says that this is their cache folder, and that run no adapter.
pub fn started_in(cache: &Path) -> Vec<u32> {
    let wanted = format!("TICKHOST_CACHE_DIR={}", cache.display());
    let has_it = |process: &Process| {
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let others = all().into_iter().filter(|process| !process.is_adapter() && has_it(process));
    others.map(|process| process.pid).collect()
}

fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir(PathBuf::from("/proc")) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
        .filter_map(Process::read)
        .collect()
}
