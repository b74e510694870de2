//! `tickhost adapters pin`: writes the hashes of the libraries into `plugins.toml`, or compares them.

use std::{io::Write, path::Path};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::Scratch;
use secrecy::ExposeSecret as _;

use crate::{
    adapters::integrity::PrivateCopy,
    base::sha256::Sha256,
    config::{AdapterEntry, IntegrityRules, PluginsFile, Problems, Settings, plugins_file::LibraryPlaces},
};

mod replace;

#[cfg(test)]
mod tests;

/// What `tickhost adapters pin` is asked for.
#[derive(Clone, Debug, Default, Args)]
pub struct PinArgs {
    /// Adapters to pin; all that are switched on when none is named
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only compare; exit code 1 when a pin is missing or differs
    #[arg(long)]
    check: bool,
}

/// One adapter, and the library that it has now.
#[derive(Debug)]
struct Pin<'a> {
    name: &'a str,
    old: Option<Sha256>,
    new: Sha256,
}

/// Pins the libraries as they are now; true when that could be done or, with `--check`, nothing would change.
///
/// A library must have proved everything else before: one that others can write, or that is not signed by who
/// must have signed it, is not pinned. Either all that were asked for are pinned or none.
///
/// # Errors
/// When `plugins.toml` has mistakes, does not have one of the names, or cannot be replaced.
pub(super) fn run(settings: &Settings, args: &PinArgs, out: &mut dyn Write) -> anyhow::Result<bool> {
    let path = settings.plugins_path().map_err(Problems::from)?;
    let (plugins, text) = PluginsFile::load_with_text(settings)?;
    let entries = chosen(&plugins, &args.names)?;
    let scratch = Scratch::new()?;
    let (mut pins, mut has_failed) = (Vec::new(), false);
    for entry in entries {
        match hash_of(entry, &scratch.0) {
            Ok(new) => pins.push(Pin { name: &entry.name, old: entry.integrity.sha256, new }),
            Err(error) => {
                has_failed = true;
                writeln!(out, "{}: {error}", entry.name)?;
            }
        }
    }
    for pin in &pins {
        writeln!(out, "{}", line(pin, args.check || has_failed))?;
    }
    let differ: Vec<&Pin<'_>> = pins.iter().filter(|pin| pin.old != Some(pin.new)).collect();
    if args.check {
        return Ok(!has_failed && differ.is_empty());
    }
    if has_failed {
        writeln!(out, "Nothing was written to {}.", path.display())?;
        return Ok(false);
    }
    if differ.is_empty() {
        writeln!(out, "{} has these pins already.", path.display())?;
        return Ok(true);
    }
    let pinned = with_pins(text.expose_secret(), &differ)?;
    verify(path, &pinned, settings, &differ)?;
    replace::replace(path, text.expose_secret(), &pinned)
        .with_context(|| format!("{} was left as it is", path.display()))?;
    writeln!(out, "Wrote {}; a host that runs reads it at its next start.", path.display())?;
    Ok(true)
}

/// The adapters that are asked for, in the order of the file.
fn chosen<'a>(plugins: &'a PluginsFile, names: &[String]) -> anyhow::Result<Vec<&'a AdapterEntry>> {
    for name in names {
        if !plugins.adapters.iter().any(|entry| entry.name == *name) {
            let known: Vec<&str> = plugins.adapters.iter().map(|entry| entry.name.as_str()).collect();
            bail!("plugins.toml has no adapter {}; it has: {}", name.escape_debug(), known.join(", "));
        }
    }
    let is_chosen = |entry: &&AdapterEntry| {
        if names.is_empty() { entry.is_enabled } else { names.contains(&entry.name) }
    };
    Ok(plugins.adapters.iter().filter(is_chosen).collect())
}

/// Hash of a library that proved everything but this.
fn hash_of(entry: &AdapterEntry, run_dir: &Path) -> anyhow::Result<Sha256> {
    let file = entry.library_path.as_ref().map_err(Clone::clone)?;
    let rules = IntegrityRules { sha256: None, ..entry.integrity.clone() };
    Ok(PrivateCopy::make(file, &rules, run_dir)?.sha256())
}

fn line(pin: &Pin<'_>, only_compare: bool) -> String {
    let Pin { name, old, new } = pin;
    match old {
        Some(old) if old == new => format!("{name}: {new} (unchanged)"),
        Some(old) if only_compare => format!("{name}: pinned {old}, but the library has {new}"),
        None if only_compare => format!("{name}: not pinned, the library has {new}"),
        Some(old) => format!("{name}: {old} -> {new}"),
        None => format!("{name}: not pinned -> {new}"),
    }
}

/// The text with these pins, and otherwise as it was.
fn with_pins(text: &str, pins: &[&Pin<'_>]) -> anyhow::Result<String> {
    // The parser's own message would show a line of the file, which may hold a secret.
    let mut document: DocumentMut = text
        .parse()
        .map_err(|_| anyhow::anyhow!("plugins.toml cannot be rewritten; write the pins by hand"))?;
    let adapters = document.get_mut("adapter").context("plugins.toml has no adapter")?;
    match adapters {
        Item::ArrayOfTables(tables) => tables.iter_mut().for_each(|table| pin_one(table, pins)),
        Item::Value(Value::Array(tables)) => {
            tables.iter_mut().filter_map(Value::as_inline_table_mut).for_each(|table| pin_one(table, pins));
        }
        _ => bail!("plugins.toml has no sections [[adapter]]"),
    }
    let pinned = document.to_string();
    // The writer ends every line in the same way.
    Ok(if text.contains("\r\n") && !pinned.contains("\r\n") { pinned.replace('\n', "\r\n") } else { pinned })
}

fn pin_one(table: &mut dyn TableLike, pins: &[&Pin<'_>]) {
    let name = table.get("name").and_then(Item::as_str);
    let Some(pin) = pins.iter().find(|pin| name == Some(pin.name)) else { return };
    let mut new = Value::from(pin.new.to_string());
    match table.get_mut("sha256").and_then(Item::as_value_mut) {
        Some(old) => {
            // A comment behind the old value stays.
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => _ = table.insert("sha256", Item::Value(new)),
    }
}

/// Reads the new text as a host would, before it takes the place of the old one.
fn verify(path: &Path, text: &str, settings: &Settings, pins: &[&Pin<'_>]) -> anyhow::Result<()> {
    let plugins = PluginsFile::parse(path, text, &LibraryPlaces::new(settings, path))?;
    for pin in pins {
        let entry = plugins.adapters.iter().find(|entry| entry.name == pin.name);
        ensure!(
            entry.is_some_and(|entry| entry.integrity.sha256 == Some(pin.new)),
            "the pin of {} could not be written; write it by hand",
            pin.name
        );
    }
    Ok(())
}
