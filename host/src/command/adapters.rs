//! `tickhost adapters`: what `plugins.toml` lists, and whether each library loads; and the tools of adapter
//! authors.
#![expect(clippy::indexing_slicing, reason = "a member that a JSON value does not have is null")]

#[cfg(feature = "conformance")]
mod dev;
mod live;
mod new;
mod pin;
#[cfg(feature = "conformance")]
mod test;
#[cfg(not(feature = "conformance"))]
mod without_suite;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Subcommand;
use serde_json::Value;

pub(super) use self::live::{listeners, status};
#[cfg(not(feature = "conformance"))]
use self::without_suite::{DevArgs, TestArgs};
#[cfg(feature = "conformance")]
use self::{dev::DevArgs, test::TestArgs};
use self::{new::NewArgs, pin::PinArgs};
use super::{confinement::Confinement, run::own_program, runtime, table::list};
use crate::{
    base::private::private_dir,
    config::{AdapterEntry, PluginsFile, Settings, Sources},
    feeds::catalog::{
        self,
        report::{AdapterState, AdapterStatus},
    },
};

/// What is asked for beside the list.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum AdaptersCommand {
    /// Write the hashes of the libraries into plugins.toml
    ///
    /// From then on the host refuses a library that has other bytes. Run it after you replaced one on
    /// purpose. Comments, order and spelling of plugins.toml stay. A library that others can write, that is
    /// cut off, or that lacks a signature which plugins.toml requires, is not pinned; then nothing is
    /// written.
    Pin(PinArgs),
    /// Load an adapter of the running host again
    ///
    /// The host does so by itself when plugins.toml or a library changes; this is for when nothing changed,
    /// or for the impatient. Clients stay connected: the new build takes over when it is connected and
    /// subscribed, and if it does not work the old one stays. Exit code 1 when it was not taken, with the
    /// reason.
    Reload {
        /// Name in plugins.toml
        name: String,
    },
    /// Write the beginning of a new adapter
    New(NewArgs),
    /// Build, test and run an adapter, again at each save
    Dev(DevArgs),
    /// Run the conformance suite against an adapter
    Test(TestArgs),
}

/// Does it, and gives the exit code.
///
/// # Errors
/// Why it could not be done.
pub fn handle(command: AdaptersCommand, sources: &Sources, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let code = |has_succeeded: bool| if has_succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    match command {
        AdaptersCommand::Pin(args) => pin::run(&Settings::load(sources)?, &args, out).map(code),
        AdaptersCommand::Reload { name } => {
            runtime()?.block_on(live::reload(&Settings::load(sources)?, &name, out)).map(code)
        }
        AdaptersCommand::New(args) => new::run(&args, out).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "conformance")]
        AdaptersCommand::Dev(args) => runtime()?.block_on(dev::run(&args, out)).map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "conformance")]
        AdaptersCommand::Test(args) => test::run(&args, out),
        #[cfg(not(feature = "conformance"))]
        AdaptersCommand::Dev(_) | AdaptersCommand::Test(_) => anyhow::bail!(without_suite::NONE),
    }
}

/// Prints the adapters as the running host has them, or, when none runs with the data folder of the settings,
/// looks at each library; true when nothing is wrong with any of them.
///
/// # Errors
/// When the list cannot be printed, `plugins.toml` has mistakes, or there is no place for the libraries'
/// copies.
pub async fn run(settings: &Settings, json: bool, out: &mut dyn Write) -> anyhow::Result<bool> {
    if let Some((address, status)) = status(settings).await? {
        let mut adapters: Vec<Value> = status["adapters"].as_array().cloned().unwrap_or_default();
        if !json {
            writeln!(out, "As the host at {address} runs them:\n")?;
        }
        for adapter in adapters.iter_mut().filter(|_| json) {
            let feeds = status["feeds"].as_array().into_iter().flatten();
            adapter["feeds"] = feeds.filter(|feed| feed["adapter"] == adapter["name"]).cloned().collect();
        }
        print_list(&adapters, json, out)?;
        let file_error = status["plugins_error"].as_str();
        if !json {
            if let Some(error) = file_error {
                writeln!(out, "\nplugins.toml is not followed before its mistakes are mended:\n{error}")?;
            }
            live::list_feeds(&status, out)?;
        }
        return Ok(file_error.is_none() && adapters.iter().all(|adapter| adapter["error"].is_null()));
    }
    let plugins = PluginsFile::load(settings)?;
    let scratch = Scratch::new()?;
    let program = own_program();
    let looked_at = plugins.adapters.iter().map(|entry| look_at(settings, entry, &program, &scratch.0));
    let adapters: Vec<Value> = looked_at.map(serde_json::to_value).collect::<Result<_, _>>()?;
    print_list(&adapters, json, out)?;
    if !json {
        if !plugins.bus.brokers.is_empty() {
            writeln!(out, "\nServed by publishers on the bus: {}", plugins.bus.brokers.join(", "))?;
        }
        writeln!(out, "\nNo host runs with this data folder; the libraries were looked at just now.")?;
        let Confinement { holds, lacks } = Confinement::of(&plugins);
        writeln!(out, "Confined, in processes of their own: {holds}")?;
        for lack in lacks {
            writeln!(out, "warning  {lack}")?;
        }
    }
    Ok(adapters.iter().all(|adapter| adapter["error"].is_null()))
}

fn print_list(adapters: &[Value], json: bool, out: &mut dyn Write) -> anyhow::Result<()> {
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
    list(out, json, adapters, &header, cells)?;
    for adapter in adapters.iter().filter(|_| !json) {
        for said in [&adapter["error"], &adapter["note"]].into_iter().filter_map(Value::as_str) {
            writeln!(out, "\n{}: {said}", adapter["name"].as_str().unwrap_or_default())?;
        }
    }
    Ok(())
}

/// An entry with what its library says of itself, or why it does not work.
fn look_at(settings: &Settings, entry: &AdapterEntry, program: &Path, scratch: &Path) -> AdapterStatus {
    let listed = catalog::listed(settings, entry);
    if !entry.is_enabled {
        return listed;
    }
    match catalog::inspect(entry, program, scratch) {
        Ok((copy, info)) => {
            let described = catalog::described(listed, settings, entry, &info);
            AdapterStatus { sha256: Some(copy.sha256().to_string()), ..described }
        }
        Err(error) => AdapterStatus { state: AdapterState::Failed, error: Some(error), ..listed },
    }
}

fn cells(adapter: &Value) -> Vec<String> {
    let text = |key: &str| adapter[key].as_str().unwrap_or("-").to_owned();
    let texts = |key: &str| {
        let texts: Vec<&str> =
            adapter[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if texts.is_empty() { "-".to_owned() } else { texts.join(",") }
    };
    vec![
        text("name"),
        text("state"),
        text("version"),
        text("abi_version"),
        text("sdk_version"),
        text("isolation"),
        texts("brokers"),
        texts("capabilities"),
        limits(adapter),
        text("library"),
    ]
}

/// Symbols and connections, and deep books where they are counted apart: once, if they are the same at all
/// brokers of an adapter, else by broker.
fn limits(adapter: &Value) -> String {
    let of = |broker: &Value| {
        let symbols = format!("{} x {}", broker["symbols_per_connection"], broker["connections"]);
        let books = &broker["deep_books"];
        let (count, levels) = (&books["per_connection"], &books["above_levels"]);
        if books.is_null() { symbols } else { format!("{symbols} ({count} above {levels} levels)") }
    };
    let brokers = adapter["by_broker"].as_array().map(Vec::as_slice).unwrap_or_default();
    if brokers.iter().all(|broker| of(broker) == of(adapter)) {
        return of(adapter);
    }
    let named = |broker: &Value| format!("{} {}", broker["name"].as_str().unwrap_or_default(), of(broker));
    brokers.iter().map(named).collect::<Vec<_>>().join(", ")
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
