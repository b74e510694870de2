//! `tickhost account login`: drives an adapter's log-in, and asks for what it wants.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};

use super::person::Person;
use crate::{
    accounts::store::OpenStore,
    adapters::{
        Assignment, BrandInfo, LoginStep,
        integrity::PrivateCopy,
        process::{self, LoginOf},
    },
    base::secret,
    command::{adapters::Scratch, run::own_program},
    config::{AdapterEntry, PluginsFile},
    feeds::catalog,
};

/// Longest time for one step.
const STEP_DEADLINE: Duration = Duration::from_mins(1);

/// Most questions of one log-in; an adapter that asks more goes round in circles.
const MAX_QUESTIONS: usize = 10;

/// An adapter that was looked at for a broker.
#[derive(Debug)]
pub(super) struct Adapter {
    entry: AdapterEntry,
    copy: PrivateCopy,
    /// What the library says of the broker.
    pub(super) brand: BrandInfo,
    /// Where the copy is.
    _scratch: Scratch,
}

impl Adapter {
    /// The adapter that serves a broker; none when nothing in `plugins.toml` does.
    ///
    /// # Errors
    /// When its library does not load.
    pub(super) fn of(broker: &str, plugins: &PluginsFile) -> anyhow::Result<Option<Self>> {
        let mut entries = plugins.enabled();
        let Some(entry) = entries.find(|entry| entry.brokers.iter().any(|served| served == broker)) else {
            return Ok(None);
        };
        let scratch = Scratch::new()?;
        let (copy, info) = catalog::inspect(entry, &own_program(), &scratch.0)
            .map_err(|why| anyhow::anyhow!("{}: {why}", entry.name))?;
        let brand = info.brand(broker).with_context(|| entry.name.clone())?;
        Ok(Some(Self { entry: entry.clone(), copy, brand, _scratch: scratch }))
    }
}

/// Logs a user in at a broker, and stores what that gives.
///
/// # Errors
/// Why it did not work, and what to do.
pub(super) fn run(
    store: &OpenStore<'_>,
    plugins: &PluginsFile,
    user: &str,
    broker: &str,
    person: &mut Person<'_>,
) -> anyhow::Result<()> {
    let stored = store.credentials_at(user, broker)?;
    let adapter = Adapter::of(broker, plugins)?
        .with_context(|| format!("nothing in plugins.toml serves {broker}: list its adapter there first"))?;
    if !adapter.brand.logs_in() {
        bail!(
            "the adapter {} does not log in: store a token with `tickhost account set {user} {broker}`",
            adapter.entry.name
        );
    }
    let mut fields: BTreeMap<String, SecretString> = stored
        .names()
        .filter_map(|name| Some((name.to_owned(), SecretString::from(stored.get(name)?))))
        .collect();
    for _ in 0..MAX_QUESTIONS {
        let json = secret::to_json(fields.iter().map(|(name, value)| (name.as_str(), value)));
        let of = LoginOf {
            copy: &adapter.copy,
            cage: &adapter.entry.cage,
            assignment: &Assignment::at(broker),
            config_json: adapter.entry.config_of(broker),
        };
        let step = process::log_in(&own_program(), of, json.expose_secret(), STEP_DEADLINE)
            .map_err(|failure| anyhow::anyhow!("{broker}: {}", without(&failure.message, &fields)))?;
        match step {
            LoginStep::Done(fresh) => {
                let names: Vec<&str> = fresh.keys().map(String::as_str).collect();
                let names = names.join(", ");
                store.merge_credentials(user, broker, fresh)?;
                return person.tell(&format!(
                    "{user} is logged in at {broker} and has a new {names}. A running host connects with that at once."
                ));
            }
            LoginStep::Ask(question) => {
                if let Some(url) = &question.url {
                    person.tell(&format!("Open {url}"))?;
                }
                let answer = person.ask(&question.message, question.is_secret)?;
                fields.insert(question.field, answer);
            }
        }
    }
    bail!("{broker}: the adapter asked {MAX_QUESTIONS} questions and wants more; report that to its author")
}

/// What an adapter says, without what it was given.
fn without(message: &str, fields: &BTreeMap<String, SecretString>) -> String {
    let secrets = fields.values().map(SecretString::expose_secret).filter(|value| value.len() >= 4);
    secrets.fold(message.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_shown_without_what_was_given() {
        let fields = BTreeMap::from([("otp".to_owned(), SecretString::from("123456"))]);
        assert_eq!(without("123456 is wrong", &fields), "[redacted] is wrong");
    }
}
