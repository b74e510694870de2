//! The SDK beside a new adapter: its sources, which this program carries, in a workspace of their own.

use anyhow::{Context as _, ensure};
use toml_edit::{Array, DocumentMut, Item, Table};

/// Where they are put, in the folder of the adapter.
pub(super) const FOLDER: &str = "vendor/tickhost";

/// Folders of the crates that the adapter depends on, in [`FOLDER`].
pub(super) const SDK: &str = "adapter-sdk";
pub(super) const CONFORMANCE: &str = "adapter-sdk/conformance";
pub(super) const VENUE: &str = "adapter-sdk/venue";

/// Files of the SDK's crates, by their place in the repository.
const SOURCES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/sdk_sources.rs"));

const WORKSPACE: &str = include_str!("../../../../../Cargo.toml");

const README: &str = include_str!("vendor.md");

/// All files, by their place in [`FOLDER`].
///
/// # Errors
/// When this program was built from a workspace that is not as it should be.
pub(super) fn files() -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut files: Vec<_> = SOURCES.iter().map(|&(file, text)| (file, text.to_owned())).collect();
    files.push(("Cargo.toml", workspace()?));
    files.push(("README.md", README.replace("{version}", env!("CARGO_PKG_VERSION"))));
    files.extend(super::LICENCES.iter().map(|&(file, text)| (file, text.to_owned())));
    Ok(files)
}

/// The manifest of the repository with nothing but the SDK's crates, and what these take from it.
fn workspace() -> anyhow::Result<String> {
    let mut document: DocumentMut = WORKSPACE.parse()?;
    let folders = SOURCES.iter().filter_map(|(file, _)| file.strip_suffix("/Cargo.toml"));
    let members: Array = folders.clone().collect();
    ensure!(!members.is_empty(), "this program carries no SDK");
    let workspace = document.get_mut("workspace").and_then(Item::as_table_mut).context("no workspace")?;
    for key in ["exclude", "default-members"] {
        workspace.remove(key);
    }
    workspace.insert("members", toml_edit::value(members));
    let dependencies =
        workspace.get_mut("dependencies").and_then(Item::as_table_mut).context("no dependencies")?;
    let is_carried = |path: &str| folders.clone().any(|folder| folder == path);
    dependencies.retain(|_, wanted| {
        let path = wanted.as_table_like().and_then(|wanted| wanted.get("path")?.as_str());
        path.is_none_or(is_carried)
    });
    // Those of clippy are for who works on the SDK; the attributes in its code refer to those of the
    // compiler.
    let lints = workspace.get_mut("lints").and_then(Item::as_table_mut).context("no lints")?;
    lints.insert("clippy", Item::Table(Table::new()));
    document.remove("profile");
    Ok(document.to_string())
}
