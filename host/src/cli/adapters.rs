//! `tickhost adapters`: what `plugins.toml` lists, and whether each library loads.

pub mod pin;

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Subcommand;

use self::pin::PinArgs;
use super::{run::own_program, table::list};
use crate::{
    accounts::secrets::private_dir,
    admin::{AdapterState, AdapterStatus},
    catalog,
    config::{AdapterEntry, PluginsFile, Settings},
};

/// What is asked for beside the list.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum AdaptersCommand {
    /// Write the hashes of the libraries into plugins.toml
    ///
    /// From then on the host refuses a library that has other bytes. Run it after you replaced one on purpose. Comments,
    /// order and spelling of plugins.toml stay. A library that others can write, that is cut off, or that lacks a
    /// signature which plugins.toml requires, is not pinned; then nothing is written.
    Pin(PinArgs),
}

/// Loads each library and prints what it says of itself; true when all that are switched on loaded.
///
/// # Errors
/// When the list cannot be printed, or there is no place for the libraries' copies.
pub fn run(
    settings: &Settings,
    plugins: &PluginsFile,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let scratch = Scratch::new()?;
    let program = own_program();
    let adapters: Vec<AdapterStatus> =
        plugins.adapters.iter().map(|entry| look_at(settings, entry, &program, &scratch.0)).collect();
    let header = [
        "NAME",
        "STATE",
        "VERSION",
        "ABI",
        "SDK",
        "ISOLATION",
        "BROKERS",
        "CAN",
        "SYMBOLS x CONNECTIONS",
        "LIBRARY",
    ];
    list(out, json, &adapters, &header, cells)?;
    if !json {
        for adapter in &adapters {
            if let Some(error) = &adapter.error {
                writeln!(out, "\n{}: {error}", adapter.name)?;
            }
        }
        if !plugins.bus.brokers.is_empty() {
            writeln!(out, "\nServed by publishers on the bus: {}", plugins.bus.brokers.join(", "))?;
        }
    }
    Ok(adapters.iter().all(|adapter| adapter.error.is_none()))
}

/// An entry with what its library says of itself, or why it does not work.
fn look_at(settings: &Settings, entry: &AdapterEntry, program: &Path, scratch: &Path) -> AdapterStatus {
    let listed = catalog::listed(settings, entry);
    if !entry.is_enabled {
        return listed;
    }
    match catalog::inspect(entry, program, scratch) {
        Ok((copy, info)) => {
            AdapterStatus { sha256: Some(copy.sha256().to_string()), ..catalog::described(listed, &info) }
        }
        Err(error) => AdapterStatus { state: AdapterState::Failed, error: Some(error), ..listed },
    }
}

fn cells(adapter: &AdapterStatus) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        adapter.name.clone(),
        adapter.state.label().to_owned(),
        or_dash(&adapter.version),
        or_dash(&adapter.abi_version),
        or_dash(&adapter.sdk_version),
        adapter.isolation.to_owned(),
        adapter.brokers.join(","),
        if adapter.capabilities.is_empty() { "-".to_owned() } else { adapter.capabilities.join(",") },
        format!("{} x {}", adapter.symbols_per_connection, adapter.connections),
        adapter.library.clone(),
    ]
}

/// A directory for copies of libraries, of this user alone, gone when dropped.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Makes one in the system's temporary directory.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn new() -> anyhow::Result<Self> {
        let name = format!("tickhost-{}-{:016x}", std::process::id(), rand::random::<u64>());
        Ok(Self(private_dir(&std::env::temp_dir().join(name))?))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind it only takes space; the system clears its temporary directory.
        _ = std::fs::remove_dir_all(&self.0);
    }
}
