//! What an adapter's process may touch. It locks itself in before it loads the library, with what the kernel
//! gives to everybody: no privilege is needed, and no way leads out again.
//!
//! | layer | keeps the library from |
//! |---|---|
//! | not dumpable | memory and descriptors of the host and of other adapters, which are not dumpable either |
//! | no capabilities | what root may, where the host runs as root |
//! | Landlock ([`files`]) | files that are none of its business; signals to others |
//! | seccomp ([`calls`]) | processes of its own, tracing, signals, namespaces, shared memory, local and listening sockets |
//!
//! The order matters: Landlock opens the files that its rules are about, and seccomp takes away what is
//! needed for nothing any more. Both bind the thread that asks for them and those that it starts, so there
//! may be no other thread yet.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod support;
#[cfg(not(target_os = "linux"))]
#[path = "cage/elsewhere.rs"]
mod support;
mod system_files;

use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
pub(super) use self::support::is_reaper;
pub use self::support::{Support, guard_host};
pub(super) use self::support::{begin, enter};
pub(super) use self::system_files::SystemFiles;

/// What a process has to reach whatever its cage is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inside<'a> {
    /// The private copy of its library.
    pub(super) library: &'a Path,
    /// Its own cache folder, where it has one.
    pub(super) cache: Option<&'a Path>,
    /// Its settings: what they name by an absolute path is handed to it.
    pub(super) config_json: &'a str,
}

/// The folder that settings name for lists of instruments, as the SDK's adapters call it.
const CACHE_KEY: &str = "cache_dir";

/// The files and folders that settings name by absolute paths, as far as they exist. A folder for lists of
/// instruments is made, since only its adapter would make it, and is not shown what is around it.
fn named_paths(config_json: &str) -> Vec<PathBuf> {
    /// More are no list of paths.
    const MOST: usize = 256;

    fn collect(value: &serde_json::Value, found: &mut Vec<PathBuf>) {
        match value {
            serde_json::Value::String(text) if found.len() < MOST => {
                let path = Path::new(text);
                // The root of everything is a mistake, and no gift.
                if path.is_absolute() && path.parent().is_some() && path.exists() {
                    found.push(path.to_owned());
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            serde_json::Value::Object(members) => members.values().for_each(|member| collect(member, found)),
            _ => {}
        }
    }

    fn cache(config: &serde_json::Value) -> Option<PathBuf> {
        let folder = std::path::absolute(config.get(CACHE_KEY)?.as_str()?).ok()?;
        super::quota::make(&folder).ok()?;
        folder.parent().is_some().then_some(folder)
    }
    let mut found = Vec::new();
    if let Ok(config) = serde_json::from_str(config_json) {
        // Before the others, to which it belongs when it is there.
        found.extend(cache(&config));
        collect(&config, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_settings_name_by_an_absolute_path_is_handed_over_and_the_root_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("list.csv"), dir.path().join("lists"));
        std::fs::write(&file, "x").unwrap();
        std::fs::create_dir(&folder).unwrap();
        let config = serde_json::json!({
            "list": &file,
            "more": [{"folder": &folder}],
            "root": "/",
            "relative": "Cargo.toml",
            "missing": dir.path().join("missing"),
            "rate": 5,
        });
        assert_eq!(named_paths(&config.to_string()), [file, folder]);
        let cache = dir.path().join("made/for/lists");
        let named = named_paths(&serde_json::json!({ "cache_dir": &cache }).to_string());
        assert!(cache.is_dir() && named.contains(&cache), "{named:?}");
        assert!(named_paths("no JSON").is_empty());
    }
}
