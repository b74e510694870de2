//! `tickhost user`, `key`, `account`: who may connect.

use std::{
    collections::BTreeMap,
    io::{BufRead, Read as _, Write},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use super::table::list;
use crate::accounts::{Accounts, Credentials, store::AccountRow};

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
    /// Credentials are read from standard input, or from a file: a JSON object of strings, or lines of name=value. They
    /// are stored encrypted. A running host connects again with them at once.
    Set {
        /// Whose it is
        user: String,
        /// Broker, as plugins.toml names it
        broker: String,
        /// Read the credentials from this file
        #[arg(long, value_name = "FILE")]
        from_file: Option<PathBuf>,
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

/// Runs `tickhost key`.
///
/// # Errors
/// What could not be done, and what to do.
pub fn run_key(accounts: &Accounts, command: KeyCommand, out: &mut dyn Write) -> anyhow::Result<()> {
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
            store.revoke_key(&id)?;
            writeln!(out, "Revoked {id}. Its connections close within a second.")?;
        }
        KeyCommand::Rotate { id } => {
            let key = store.rotate_key(&id)?;
            writeln!(out, "{}", key.expose_secret())?;
        }
    }
    Ok(())
}

/// Runs `tickhost account`. `brokers` are those that plugins.toml serves, to notice a misspelt one.
///
/// # Errors
/// What could not be done, and what to do.
pub fn run_account(
    accounts: &Accounts,
    command: AccountCommand,
    brokers: &[String],
    out: &mut dyn Write,
    input: &mut dyn BufRead,
) -> anyhow::Result<()> {
    let store = accounts.store()?;
    match command {
        AccountCommand::Set { user, broker, from_file } => {
            let text = match from_file {
                Some(file) => {
                    let file = std::fs::File::open(&file)
                        .with_context(|| format!("cannot open {}", file.display()))?;
                    read_text(&mut std::io::BufReader::new(file))?
                }
                None => read_text(input)?,
            };
            let credentials = parse_credentials(&text)?;
            store.set_account(&user, &broker, &credentials)?;
            let names: Vec<&str> = credentials.names().collect();
            let with = if names.is_empty() {
                "without credentials".to_owned()
            } else {
                format!("with {}", names.join(", "))
            };
            writeln!(out, "{user} is served by {broker}, {with}.")?;
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
    Ok(())
}

fn read_text(input: &mut dyn BufRead) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    input
        .take(MAX_INPUT_BYTES + 1)
        .read_to_string(&mut text)
        .context("the credentials are not UTF-8 text")?;
    if text.len() as u64 > MAX_INPUT_BYTES {
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
                "the JSON has a mistake in line {}: it must be an object of strings",
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
    fn a_mistake_is_located_without_showing_the_value() {
        for text in ["{\"a\": 4711canary}", "canary-without-an-equals-sign", "{\"a\": [\"canary\"]}"] {
            let said = format!("{:#}", parse_credentials(text).unwrap_err());
            assert!(said.contains("line 1") && !said.contains("canary"), "{said}");
        }
    }
}
