//! What the process of an adapter may touch and use: the types of `plugins.toml` that say so.
//! `adapters::process` holds the processes to them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How much of a cage an adapter's process gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confine {
    /// As much as the kernel has; what it does not have is said.
    #[default]
    Auto,
    /// All of it, or the adapter is not run.
    Required,
    /// None. The process is still not dumpable, and ends with the host.
    Off,
}

impl Confine {
    /// As `plugins.toml` writes it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Required => "required",
            Self::Off => "off",
        }
    }
}

/// What an adapter may do that others may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowed {
    /// Start processes.
    pub processes: bool,
    /// Connect to sockets that are files, such as those of a gateway on the same machine.
    pub unix_sockets: bool,
    /// Take connections.
    pub listen: bool,
}

impl Allowed {
    /// The words of `plugins.toml`.
    pub const WORDS: [&str; 3] = ["processes", "unix-sockets", "listen"];

    /// What these words allow.
    pub fn parse(words: &[String]) -> Self {
        let has = |word: &str| words.iter().any(|other| other == word);
        Self { processes: has("processes"), unix_sockets: has("unix-sockets"), listen: has("listen") }
    }
}

/// The cage of an adapter, as `plugins.toml` describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cage {
    /// How much of it.
    pub confine: Confine,
    /// What it may do that others may not.
    pub allowed: Allowed,
    /// Files and folders that it may read, beside those of the system and what its settings name.
    pub readable: Vec<PathBuf>,
    /// Files and folders that it may write, beside its cache folder.
    pub writable: Vec<PathBuf>,
    /// TCP ports that it may connect to; all of them when there is none.
    pub ports: Vec<u16>,
    /// What its cache folder may hold, in MiB: 1 to 65,536. No file that it writes gets longer.
    pub cache_mb: u32,
}

impl Default for Cage {
    fn default() -> Self {
        Self {
            confine: Confine::Auto,
            allowed: Allowed::default(),
            readable: Vec::new(),
            writable: Vec::new(),
            ports: Vec::new(),
            cache_mb: 512,
        }
    }
}

impl Cage {
    /// The longest file that the process may write, in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        u64::from(self.cache_mb) * 1_024 * 1_024
    }
}

/// What an adapter's process may use at most. Kept by the kernel where it can (Linux, in part other Unix
/// systems), and by the host where it cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Memory for data, in MiB: 64 to 65,536. An allocation beyond it fails, which ends the process.
    pub memory_mb: u32,
    /// Open files and sockets: 32 to 65,536.
    pub descriptors: u32,
    /// Threads and processes that it may start: 4 to 4,096. The kernel does not keep it for the superuser.
    pub threads: u32,
}

impl Default for ResourceLimits {
    fn default() -> Self {
        Self { memory_mb: 1_024, descriptors: 1_024, threads: 64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_file_allow_what_they_say() {
        let words: Vec<String> = Allowed::WORDS.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(Allowed::parse(&words), Allowed { processes: true, unix_sockets: true, listen: true });
        assert_eq!(Allowed::parse(&[]), Allowed::default());
    }
}
