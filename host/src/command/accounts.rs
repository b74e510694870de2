//! `tickhost user`, `key`, `account`: who may connect, and with what.

mod login;
mod noticed;
mod person;
mod schema;
mod status;

use std::{
    collections::BTreeMap,
    io::{BufRead, IsTerminal as _, Write},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use secrecy::{ExposeSecret as _, SecretString};

use self::{person::Person, schema::Field};
use super::table::list;
use crate::{
    accounts::{Accounts, Credentials, UserName, store::AccountRow},
    base::{cause, secret},
    config::{PluginsFile, plugins_file::is_name},
};

/// Longest input with credentials, in bytes.
const MAX_INPUT_BYTES: u64 = 256 * 1_024;

/// `tickhost user`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user, who then needs an account and a key
    Add {
        /// Name, of letters, digits and . _ - @
        name: String,
    },
    /// List users
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Remove a user with all keys and accounts
    Remove {
        /// Name
        name: String,
    },
}

/// `tickhost key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key and print it, this once
    Create {
        /// Whose it is
        user: String,
        /// What it is for, as lists show it
        #[arg(long, default_value = "")]
        label: String,
    },
    /// List keys; what a key says is not stored
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; its connections close within a second
    Revoke {
        /// Identity, as lists show it
        id: String,
    },
    /// Revoke a key and print a new one for the same user
    Rotate {
        /// Identity, as lists show it
        id: String,
    },
}

/// `tickhost account`.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Set a user's account at a broker, and let it serve the user
    ///
    /// At a terminal it asks for what the broker's adapter wants; Enter keeps what is stored. Otherwise
    /// credentials are read from standard input, or from a file: a JSON object of strings, or lines of
    /// name=value, which replace those that are stored. They are stored encrypted. A running host connects
    /// again with them at once.
    Set {
        /// Whose it is
        user: String,
        /// Broker, as plugins.toml names it
        broker: String,
        /// Read the credentials from this file
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
    },
    /// Log in at the broker, for the token that it gives for a day or so
    ///
    /// Asks for what the broker wants beside the stored credentials, such as the address that its login page
    /// leads to, and stores what it gives. A running host connects with that at once. Where everything that a
    /// log-in takes is stored, the host does this by itself when the broker refuses the old token.
    Login {
        /// Whose it is
        user: String,
        /// Broker, as plugins.toml names it; the one that serves the user if left out
        broker: Option<String>,
    },
    /// Show what is stored of each account, what is missing, and how its feed is
    ///
    /// Exit code 0 when nothing is wrong with any of them, else 1.
    Status {
        /// Only this user's
        user: Option<String>,
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// List accounts with the names of their credentials
    List {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Let another account of a user serve it
    Activate {
        /// Whose it is
        user: String,
        /// Broker
        broker: String,
    },
    /// Remove an account with its credentials
    Remove {
        /// Whose it is
        user: String,
        /// Broker
        broker: String,
    },
}

/// Runs `tickhost user`.
///
/// # Errors
/// What could not be done, and what to do.
pub fn run_user(accounts: &Accounts, command: UserCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    let store = accounts.store()?;
    match command {
        UserCommand::Add { name } => {
            store.create_user(&name)?;
            writeln!(
                out,
                "Added {name}. Next: tickhost account set {name} BROKER, then tickhost key create {name}"
            )?;
        }
        UserCommand::List { json } => {
            let users = store.users()?;
            let row = |user: &crate::accounts::store::UserRow| {
                vec![user.name.clone(), user.keys.to_string(), user.broker.clone().unwrap_or_default()]
            };
            list(out, json, &users, &["USER", "KEYS", "BROKER"], row)?;
        }
        UserCommand::Remove { name } => {
            store.delete_user(&name)?;
            writeln!(out, "Removed {name} with all keys and accounts.")?;
        }
    }
    Ok(())
}

/// Runs `tickhost key`. `noticed` is how many changes a running host has noticed so far, none when no host
/// runs.
///
/// # Errors
/// What could not be done, and what to do.
pub fn run_key(
    accounts: &Accounts,
    command: KeyCommand,
    noticed: impl Fn() -> anyhow::Result<Option<u64>>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let store = accounts.store()?;
    match command {
        KeyCommand::Create { user, label } => {
            let key = store.create_key(&user, &label)?;
            writeln!(out, "{}", key.expose_secret())?;
        }
        KeyCommand::List { json } => {
            let keys = store.keys()?;
            let row = |key: &crate::accounts::store::KeyRow| {
                let state =
                    key.revoked.as_ref().map_or_else(|| "good".to_owned(), |at| format!("revoked {at}"));
                vec![key.id.clone(), key.user.clone(), key.label.clone(), key.created.clone(), state]
            };
            list(out, json, &keys, &["ID", "USER", "LABEL", "CREATED (UTC)", "STATE"], row)?;
        }
        KeyCommand::Revoke { id } => {
            // A host that does not answer now may do so then.
            let before = noticed().unwrap_or_default();
            store.revoke_key(&id)?;
            let seen =
                noticed::see_to_it(before, noticed).with_context(|| format!("{id} is revoked, but"))?;
            writeln!(out, "Revoked {id}. {seen}")?;
        }
        KeyCommand::Rotate { id } => {
            let before = noticed().unwrap_or_default();
            let key = store.rotate_key(&id)?;
            // The new key first: it is not shown again.
            writeln!(out, "{}", key.expose_secret())?;
            noticed::see_to_it(before, noticed).with_context(|| format!("{id} is revoked, but"))?;
        }
    }
    Ok(())
}

/// Runs `tickhost account`; false when it has found something wrong. `host` is what a running host says of
/// itself.
///
/// # Errors
/// What could not be done, and what to do.
pub fn run_account(
    accounts: &Accounts,
    command: AccountCommand,
    plugins: &PluginsFile,
    host: impl FnOnce() -> anyhow::Result<Option<serde_json::Value>>,
    out: &mut dyn Write,
    input: &mut dyn BufRead,
) -> anyhow::Result<bool> {
    let store = accounts.store()?;
    match command {
        AccountCommand::Login { user, broker } => {
            let serving = || store.account_of(&UserName::from(user.as_str()));
            let broker = match broker {
                Some(broker) => broker,
                None => serving()?.map(|account| account.broker.to_string()).with_context(|| {
                    format!("{user} has no account; set one with: tickhost account set {user} BROKER")
                })?,
            };
            let mut person = Person::at_standard_input(input, out);
            login::run(&store, plugins, &user, &broker, &mut person)?;
        }
        AccountCommand::Status { user, json } => {
            let mut rows = store.accounts()?;
            rows.retain(|account| user.as_ref().is_none_or(|user| account.user == *user));
            return status::run(&rows, plugins, host()?.as_ref(), json, out);
        }
        AccountCommand::Set { user, broker, from_file } => {
            if !is_name(&broker) {
                bail!(
                    "{broker:?} is no name of a broker: use up to 32 of a-z, 0-9, _ and -, as plugins.toml does"
                );
            }
            // A library that does not load is no reason not to store what it will need.
            let adapter = login::Adapter::of(&broker, plugins).ok().flatten();
            let wanted =
                adapter.map(|adapter| schema::fields(&adapter.brand.credentials_schema)).unwrap_or_default();
            let credentials = if let Some(file) = from_file {
                let opened = std::fs::File::open(&file).map_err(|error| {
                    anyhow::anyhow!("{} cannot be read: {}", file.display(), cause::of_reading(&error))
                })?;
                let text = read_text(&mut std::io::BufReader::new(opened));
                text.and_then(|text| parse_credentials(text.expose_secret()))
                    .with_context(|| file.display().to_string())?
            } else if !wanted.is_empty() && std::io::stdin().is_terminal() {
                let stored = store.credentials_at(&user, &broker).unwrap_or_default();
                ask_for(&wanted, &stored, &mut Person::at_standard_input(input, out))?
            } else {
                parse_credentials(read_text(input)?.expose_secret())?
            };
            store.set_account(&user, &broker, &credentials)?;
            let names: Vec<&str> = credentials.names().collect();
            let with = if names.is_empty() {
                "without credentials".to_owned()
            } else {
                format!("with {}", names.join(", "))
            };
            writeln!(out, "{user} is served by {broker}, {with}.")?;
            for sentence in remarks(&wanted, &credentials) {
                writeln!(out, "Note: {sentence}")?;
            }
            let brokers = served(plugins);
            if !brokers.is_empty() && !brokers.contains(&broker) {
                writeln!(
                    out,
                    "Note: nothing in plugins.toml serves {broker} yet (it serves {}).",
                    brokers.join(", ")
                )?;
            }
        }
        AccountCommand::List { json } => {
            let row = |account: &AccountRow| {
                vec![
                    account.user.clone(),
                    account.broker.clone(),
                    if account.active { "yes" } else { "no" }.to_owned(),
                    account.credentials.join(", "),
                    account.updated.clone(),
                ]
            };
            let header = ["USER", "BROKER", "ACTIVE", "CREDENTIALS", "CHANGED (UTC)"];
            list(out, json, &store.accounts()?, &header, row)?;
        }
        AccountCommand::Activate { user, broker } => {
            store.activate_account(&user, &broker)?;
            writeln!(out, "{user} is served by {broker}.")?;
        }
        AccountCommand::Remove { user, broker } => {
            store.remove_account(&user, &broker)?;
            writeln!(out, "Removed the account of {user} at {broker} with its credentials.")?;
        }
    }
    Ok(true)
}

/// Brokers that plugins.toml serves, to notice a misspelt one.
fn served(plugins: &PluginsFile) -> Vec<String> {
    let by_adapters = plugins.enabled().flat_map(|adapter| adapter.brokers.iter().cloned());
    by_adapters.chain(plugins.bus.brokers.iter().cloned()).collect()
}

/// Asks for each credential; an empty answer keeps what is stored.
fn ask_for(wanted: &[Field], stored: &Credentials, person: &mut Person<'_>) -> anyhow::Result<Credentials> {
    let mut credentials = Credentials::default();
    for field in wanted {
        let kept = stored.get(&field.name);
        let hint = match (kept, field.is_required) {
            (Some(_), _) => " [Enter keeps it]",
            (None, true) => "",
            (None, false) => " [Enter leaves it out]",
        };
        if !field.description.is_empty() {
            person.tell(&field.description)?;
        }
        let answer = person.ask(&format!("{}{hint}", field.title), field.is_secret)?;
        if !answer.expose_secret().is_empty() {
            credentials.set(&field.name, answer.expose_secret());
        } else if let Some(kept) = kept {
            credentials.set(&field.name, kept);
        }
    }
    // What a log-in has stored is none of the questions, and stays.
    for name in stored.names().filter(|name| wanted.iter().all(|field| field.name != **name)) {
        credentials.set(name, stored.get(name).unwrap_or_default());
    }
    Ok(credentials)
}

/// What is odd about credentials, in the adapter's view.
fn remarks(wanted: &[Field], credentials: &Credentials) -> Vec<String> {
    if wanted.is_empty() {
        return Vec::new();
    }
    let missing = wanted.iter().filter(|field| field.is_required && credentials.get(&field.name).is_none());
    let missing = missing.map(|field| format!("{} is missing; there is no log-in without it", field.name));
    let unknown = credentials.names().filter(|name| wanted.iter().all(|field| field.name != **name));
    let unknown = unknown.map(|name| {
        let known: Vec<&str> = wanted.iter().map(|field| field.name.as_str()).collect();
        format!("the adapter knows no {name}; it knows {}", known.join(", "))
    });
    missing.chain(unknown).collect()
}

fn read_text(input: &mut dyn BufRead) -> anyhow::Result<SecretString> {
    let text = secret::read_text(input, MAX_INPUT_BYTES).context("the credentials are not UTF-8 text")?;
    if text.expose_secret().len() as u64 > MAX_INPUT_BYTES {
        bail!("the credentials are longer than {MAX_INPUT_BYTES} bytes");
    }
    Ok(text)
}

/// Reads a JSON object of strings, or lines of `name=value`. An error names a line, never its value.
fn parse_credentials(text: &str) -> anyhow::Result<Credentials> {
    let mut credentials = Credentials::default();
    let text = text.trim();
    if text.starts_with('{') {
        let object: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| {
            anyhow::anyhow!(
                "the JSON has a mistake in line {}: it must be an object of strings, such as \
                 {{\"pin\": \"1234\"}}",
                error.line()
            )
        })?;
        object.into_iter().for_each(|(name, value)| credentials.set(&name, value));
        return Ok(credentials);
    }
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once('=') else {
            bail!("line {} of the credentials is not name=value", number + 1);
        };
        credentials.set(name.trim(), value.trim().trim_matches('\''));
    }
    Ok(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_json_or_as_lines() {
        let json = parse_credentials(r#"{"auth_token": "a=b", "user_id": "X"}"#).unwrap();
        let lines = parse_credentials("auth_token = 'a=b'\n\nuser_id=X\n").unwrap();
        for credentials in [json, lines] {
            assert_eq!((credentials.get("auth_token"), credentials.get("user_id")), (Some("a=b"), Some("X")));
        }
        assert_eq!(parse_credentials("").unwrap().names().count(), 0);
    }

    #[test]
    fn what_an_adapter_would_stumble_over_is_said_by_name() {
        let wanted = schema::fields(r#"{"properties":{"pin":{},"totp_secret":{}},"required":["pin"]}"#);
        let mut credentials = Credentials::default();
        credentials.set("totp", "canary");
        let said = remarks(&wanted, &credentials).join("\n");
        assert!(
            said.contains("pin is missing") && said.contains("knows no totp; it knows pin, totp_secret"),
            "{said}"
        );
        assert!(!said.contains("canary"));
        assert!(remarks(&[], &credentials).is_empty());
    }

    #[test]
    fn a_mistake_is_located_without_showing_the_value() {
        for text in ["{\"a\": 4711canary}", "canary-without-an-equals-sign", "{\"a\": [\"canary\"]}"] {
            let said = format!("{:#}", parse_credentials(text).unwrap_err());
            assert!(said.contains("line 1") && !said.contains("canary"), "{said}");
        }
    }
}
