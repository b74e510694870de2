//! `tickhost adapters`: what `plugins.toml` lists, and whether each library loads; and the tools of adapter authors.

mod new;
mod test;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Subcommand;

use self::{new::NewArgs, test::TestArgs};
use super::{run::load_adapters, table::list};
use crate::{
    accounts::secrets::private_dir,
    admin::AdapterStatus,
    config::{PluginsFile, Settings},
};

/// What can be done beside listing.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum AdaptersCommand {
    /// Write the beginning of a new adapter
    New(NewArgs),
    /// Run the conformance suite against an adapter
    Test(TestArgs),
}

/// Does it, and gives the exit code.
///
/// # Errors
/// Why it could not be done.
pub fn obey(command: AdaptersCommand, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        AdaptersCommand::New(args) => new::run(&args, out).map(|()| ExitCode::SUCCESS),
        AdaptersCommand::Test(args) => test::run(&args, out),
    }
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
    let (_, adapters) = load_adapters(settings, plugins, &scratch.0);
    let header =
        ["NAME", "STATE", "VERSION", "ABI", "SDK", "BROKERS", "CAN", "SYMBOLS x CONNECTIONS", "LIBRARY"];
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

fn cells(adapter: &AdapterStatus) -> Vec<String> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        adapter.name.clone(),
        adapter.state.label().to_owned(),
        or_dash(&adapter.version),
        or_dash(&adapter.abi_version),
        or_dash(&adapter.sdk_version),
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
