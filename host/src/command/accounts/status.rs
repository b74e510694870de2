//! `tickhost account status`: what is stored, what is missing, and how the feed is.

use std::io::Write;

use serde_json::{Value, json};

use super::{login::Adapter, schema};
use crate::{accounts::store::AccountRow, command::table::list, config::PluginsFile};

/// Prints the accounts with the state of their feeds, as far as a running host knows it; true when nothing is
/// wrong.
///
/// # Errors
/// When it cannot be printed.
pub(super) fn run(
    accounts: &[AccountRow],
    plugins: &PluginsFile,
    host: Option<&Value>,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<bool> {
    let rows: Vec<Value> = accounts.iter().map(|account| row(account, plugins, host)).collect();
    let header = ["USER", "BROKER", "ACTIVE", "CREDENTIALS", "MISSING", "CHANGED (UTC)", "FEED", "ERROR"];
    list(out, json, &rows, &header, |row| {
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let texts = |key: &str| {
            let texts: Vec<&str> =
                row[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
        };
        let is_active = if row["active"] == true { "yes" } else { "no" }.to_owned();
        vec![
            text("user"),
            text("broker"),
            is_active,
            texts("credentials"),
            texts("missing"),
            text("updated"),
            text("feed"),
            text("error"),
        ]
    })?;
    if !json && host.is_none() {
        writeln!(out, "\nNo host runs with this data folder, so nothing is known of feeds.")?;
    }
    Ok(rows.iter().all(|row| row["error"].is_null() && row["missing"].as_array().is_none_or(Vec::is_empty)))
}

fn row(account: &AccountRow, plugins: &PluginsFile, host: Option<&Value>) -> Value {
    let (wanted, mut error) = match Adapter::of(&account.broker, plugins) {
        Ok(Some(adapter)) => (schema::fields(&adapter.brand.credentials_schema), None),
        Ok(None) => (Vec::new(), Some(format!("nothing in plugins.toml serves {}", account.broker))),
        Err(why) => (Vec::new(), Some(format!("{why:#}"))),
    };
    let is_by_bus = plugins.bus.brokers.contains(&account.broker);
    if is_by_bus {
        error = None;
    }
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|field| field.is_required && !account.credentials.contains(&field.name))
        .map(|field| field.name.as_str())
        .collect();
    let feed = host.and_then(|host| {
        let mut feeds = host["feeds"].as_array()?.iter();
        feeds.find(|feed| feed["user"] == account.user.as_str() && feed["broker"] == account.broker.as_str())
    });
    let of_feed = |feed: &Value| {
        let said = [&feed["last_error"], &feed["list_trouble"]];
        said.into_iter().find(|said| !said.is_null()).cloned().unwrap_or_default()
    };
    let error = error.map_or_else(|| feed.map_or(Value::Null, of_feed), Value::String);
    json!({
        "user": account.user,
        "broker": account.broker,
        "active": account.active,
        "credentials": account.credentials,
        "missing": missing,
        "updated": account.updated,
        "feed": feed.map(|feed| &feed["state"]),
        "error": error,
    })
}
