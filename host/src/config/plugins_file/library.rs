//! Finds the library of an adapter.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    path::{Path, PathBuf},
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
#[error("not found; looked at {}; build the adapter, or set TICKHOST_PLUGIN_DIR to its folder", listed(.looked_at))]
pub struct MissingLibrary {
    /// Files that do not exist.
    pub looked_at: Vec<PathBuf>,
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

    /// The file of a library. With a separator or the platform's ending it is a path from the folder of `plugins.toml`,
    /// otherwise a stem: `adapter_sim` is `libadapter_sim.so` on Linux.
    ///
    /// # Errors
    /// [`MissingLibrary`], with every file that was looked at.
    pub fn find(&self, library: &str) -> Result<PathBuf, MissingLibrary> {
        let is_path = library.contains(['/', '\\']) || library.ends_with(DLL_SUFFIX);
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
            None => Err(MissingLibrary { looked_at }),
        }
    }
}
