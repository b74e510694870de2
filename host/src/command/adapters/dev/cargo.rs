//! Builds and tests the folder, with cargo.

use std::{
    env::consts::DLL_SUFFIX,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};

use adapter_conformance::as_by_hand;
use anyhow::{Context as _, ensure};
use serde_json::Value;
use tokio::process::Command;

/// A folder with a crate.
#[derive(Debug)]
pub(super) struct Project {
    folder: PathBuf,
    cargo: OsString,
}

impl Project {
    /// The folder, in full.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            cargo: std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Builds it, and gives the library; none when it has mistakes, which cargo has printed.
    ///
    /// # Errors
    /// When cargo cannot be run, or the crate makes no library.
    ///
    /// # Cancel Safety
    /// Cargo ends when the future is dropped.
    pub(super) async fn build(&self) -> anyhow::Result<Option<PathBuf>> {
        let mut command = self.command(&["build", "--message-format=json-render-diagnostics"]);
        // Mistakes are for the person: `Command::output` would keep them too.
        let command = command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        let cargo = command.spawn().with_context(|| self.cannot())?;
        let output = cargo.wait_with_output().await.with_context(|| self.cannot())?;
        if !output.status.success() {
            return Ok(None);
        }
        let library = self.library(&output.stdout).with_context(|| {
            format!(
                "{} makes no library: its Cargo.toml needs [lib] with crate-type = [\"cdylib\", \"rlib\"]",
                self.folder.display()
            )
        })?;
        ensure!(library.is_file(), "cargo says that it built {}, which is not there", library.display());
        Ok(Some(library))
    }

    /// Runs its tests, whose output is printed; false when one fails.
    ///
    /// # Errors
    /// When cargo cannot be run.
    ///
    /// # Cancel Safety
    /// Cargo ends when the future is dropped.
    pub(super) async fn test(&self) -> anyhow::Result<bool> {
        let status = self.command(&["test", "--quiet"]).status().await.with_context(|| self.cannot())?;
        Ok(status.success())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        // The host may be run by cargo itself.
        as_by_hand(command.as_std_mut());
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn cannot(&self) -> String {
        format!("cannot run {}: install Rust from https://rustup.rs", self.cargo.display())
    }

    /// The library among cargo's messages: that of the crate of this folder.
    fn library(&self, messages: &[u8]) -> Option<PathBuf> {
        let manifest = self.folder.join("Cargo.toml");
        let mut files = messages.split(|byte| *byte == b'\n').filter_map(|line| {
            let message: Value = serde_json::from_slice(line).ok()?;
            let of = Path::new(message.get("manifest_path")?.as_str()?);
            let is_ours = message.get("reason")? == "compiler-artifact" && of == manifest;
            let names = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
            let mut libraries = names.filter(|name| is_ours && name.ends_with(DLL_SUFFIX));
            libraries.next().map(PathBuf::from)
        });
        files.next_back()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_library_is_that_of_the_folder_and_no_dependency_s() {
        let project = Project::new(Path::new("/home/asha/adapter-acme"));
        let artifact = |manifest: &str, files: &[&str]| {
            json!({ "reason": "compiler-artifact", "manifest_path": manifest, "filenames": files })
                .to_string()
        };
        let library = format!("/target/debug/libadapter_acme{DLL_SUFFIX}");
        let messages = [
            artifact("/registry/macros/Cargo.toml", &[&format!("/target/debug/libmacros{DLL_SUFFIX}")]),
            "no JSON".to_owned(),
            artifact("/home/asha/adapter-acme/Cargo.toml", &["/target/debug/libadapter_acme.rlib", &library]),
            json!({ "reason": "build-finished", "success": true }).to_string(),
        ];
        let found = project.library(messages.join("\n").as_bytes());
        assert_eq!(found, Some(PathBuf::from(library)));
        assert_eq!(project.library(b""), None);
    }
}
