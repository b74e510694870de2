//! Finds the library of an adapter.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::{Component, Path, PathBuf},
};

use super::super::{Settings, problem::listed};

/// Where libraries are looked for, in this order.
#[derive(Clone, Debug, Default)]
pub struct LibraryPlaces {
    /// Folder that the settings name.
    pub plugin_dir: Option<PathBuf>,
    /// Folder of `plugins.toml`.
    pub file_dir: PathBuf,
    /// Folder of the running program.
    pub executable_dir: Option<PathBuf>,
}

/// A library is in none of the places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not found; looked at {}; {}", listed(.looked_at), self.advice())]
pub struct MissingLibrary {
    /// Whether it is written as a path.
    pub is_path: bool,
    /// Files that do not exist.
    pub looked_at: Vec<PathBuf>,
}

impl MissingLibrary {
    const fn advice(&self) -> &'static str {
        if self.is_path {
            "a path counts from the folder of plugins.toml; a stem such as adapter_sim is looked for in TICKHOST_PLUGIN_DIR and \
             beside the program too"
        } else {
            "build the adapter, or set TICKHOST_PLUGIN_DIR to its folder"
        }
    }
}

impl LibraryPlaces {
    /// The places for a `plugins.toml` at `path`.
    pub fn new(settings: &Settings, path: &Path) -> Self {
        Self {
            plugin_dir: settings.plugin_dir.clone(),
            file_dir: path.parent().unwrap_or(Path::new("")).to_path_buf(),
            executable_dir: settings.executable_dir.clone(),
        }
    }

    /// The file of a library. With a separator or the platform's ending it is a path from the folder of
    /// `plugins.toml`, otherwise a stem: `adapter_sim` is `libadapter_sim.so` on Linux.
    ///
    /// # Errors
    /// [`MissingLibrary`], with every file that was looked at.
    pub fn find(&self, library: &str) -> Result<PathBuf, MissingLibrary> {
        let is_path = is_path(library);
        let mut looked_at = Vec::new();
        if is_path {
            looked_at.push(self.file_dir.join(library));
        } else {
            let name = format!("{DLL_PREFIX}{library}{DLL_SUFFIX}");
            let folders = [self.plugin_dir.as_ref(), Some(&self.file_dir), self.executable_dir.as_ref()];
            for path in folders.into_iter().flatten().map(|folder| folder.join(&name)) {
                if !looked_at.contains(&path) {
                    looked_at.push(path);
                }
            }
        }
        match looked_at.iter().find(|path| path.is_file()) {
            Some(path) => Ok(path.clone()),
            None => Err(MissingLibrary { is_path, looked_at }),
        }
    }

    /// The plugin directory of a library that is written as a path below one of the places: that place. For
    /// every other one it is the folder that holds the library.
    pub fn root_of(&self, library: &str) -> Option<PathBuf> {
        if !is_path(library) {
            return None;
        }
        let path = self.file_dir.join(library);
        let is_below = |folder: &&PathBuf| {
            let rest = path.strip_prefix(folder);
            !folder.as_os_str().is_empty()
                && rest.is_ok_and(|rest| !rest.components().any(|part| part == Component::ParentDir))
        };
        self.plugin_dir.iter().chain([&self.file_dir]).find(is_below).cloned()
    }
}

fn is_path(library: &str) -> bool {
    library.contains(['/', '\\']) || library.ends_with(DLL_SUFFIX)
}
