//! What the catalogue knows of the entries of `plugins.toml`, and what becomes of that: no file is read, no
//! library loaded.

use std::{path::PathBuf, sync::Arc};

use rustc_hash::FxHashMap;
use tickhost_core::pool::PoolLimits;

use super::{
    Failed, Loaded, Outcome, Snapshot, described, listed,
    plan::{self, Action, Known},
    report::{AdapterState, AdapterStatus},
};
use crate::{
    adapters::BrandInfo,
    config::{AdapterEntry, BrokerLimits, BusSection, Isolation, Settings},
    feeds::hub::Source,
};

/// The entries of the file, as they were followed last.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    list: Vec<Entry>,
    bus: BusSection,
    /// Why the present file is not followed.
    file_error: Option<Arc<str>>,
}

/// One entry of the file.
#[derive(Clone, Debug)]
struct Entry {
    /// As the file has it.
    listed: AdapterEntry,
    /// What it was made of when it was last looked at, whether it could be loaded or not.
    seen: Snapshot,
    loaded: Option<Loaded>,
    error: Option<Arc<str>>,
    /// Builds that were loaded under this name since the start.
    generation: u32,
}

/// What was done about an entry.
#[derive(Debug)]
pub(super) enum Done {
    /// Nothing.
    Kept,
    /// It is switched off.
    Unloaded,
    /// It was loaded.
    Loaded(Box<Loaded>),
    /// It could not be loaded, for this reason.
    Failed(String),
}

/// An entry as the file has it now, and what was done about it.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) entry: AdapterEntry,
    pub(super) seen: Snapshot,
    pub(super) done: Done,
    /// Somebody has asked for it.
    pub(super) by_hand: bool,
}

impl Entries {
    /// What is to be done about each of these, in their order. `again` names one that is to be loaded in any
    /// case.
    pub(super) fn actions(&self, wanted: &[(AdapterEntry, Snapshot)], again: Option<&str>) -> Vec<Action> {
        let known: Vec<Known<'_>> = self.list.iter().map(Entry::known).collect();
        plan::actions(wanted, &known, again)
    }

    /// The file lists these, and this was done about them. What is loaded stays until something better is.
    pub(super) fn follow(&mut self, followed: Vec<Followed>, bus: &BusSection) -> Outcome {
        let mut outcome = Outcome::default();
        let mut before = std::mem::take(&mut self.list);
        for one in followed {
            let place = before.iter().position(|known| known.listed.name == one.entry.name);
            let known = place.map(|place| before.swap_remove(place));
            self.list.push(Entry::follow(one, known, &mut outcome));
        }
        for gone in before.into_iter().filter(|entry| entry.loaded.is_some()) {
            tracing::info!(adapter = gone.listed.name, "An adapter is not listed any more");
            outcome.removed.push(gone.listed.name);
        }
        self.bus.clone_from(bus);
        self.file_error = None;
        outcome
    }

    /// The file has these mistakes: nothing is followed. Says whether that is news.
    pub(super) fn refuse(&mut self, mistakes: &Arc<str>) -> bool {
        self.file_error.replace(Arc::clone(mistakes)).is_none_or(|before| before != *mistakes)
    }

    /// Why the present file is not followed, if it has mistakes.
    pub(super) fn file_error(&self) -> Option<&Arc<str>> {
        self.file_error.as_ref()
    }

    /// Sources by broker.
    pub(super) fn sources(&self, settings: &Settings) -> FxHashMap<Arc<str>, Source> {
        let mut sources = FxHashMap::default();
        for Entry { listed: entry, loaded, error, .. } in
            self.list.iter().filter(|entry| entry.listed.is_enabled)
        {
            for broker in &entry.brokers {
                let brand = loaded.as_ref().and_then(|loaded| loaded.brand(broker));
                let known = brand.as_ref().map(BrandInfo::limits).unwrap_or_default();
                let limits = settings.limits_for(entry, broker, known);
                let connector = loaded.as_ref().and_then(|loaded| loaded.connector(broker));
                let source = Source {
                    name: entry.name.as_str().into(),
                    connector: match (connector, error) {
                        (Some(connector), _) => Ok(Arc::clone(connector)),
                        (None, Some(error)) => Err(Arc::clone(error)),
                        (None, None) => Err("it is not loaded".into()),
                    },
                    // An operator who allows more connections knows better than the adapter.
                    sessions: brand.as_ref().map_or(usize::MAX, |brand| brand.sessions(limits.connections)),
                    logs_in: brand.as_ref().is_some_and(BrandInfo::logs_in),
                    limits: pool_limits(limits),
                    throttle: settings.throttle_for(entry, broker),
                    is_bus: false,
                    hours: entry.hours_of(broker),
                };
                sources.insert(Arc::from(broker.as_str()), source);
            }
        }
        for broker in &self.bus.brokers {
            let source = Source::bus(settings.throttle_ms, self.bus.hours, settings.bus_symbols);
            sources.insert(Arc::from(broker.as_str()), source);
        }
        sources
    }

    /// What became of each entry, in the order of the file.
    pub(super) fn statuses(&self, settings: &Settings) -> Vec<AdapterStatus> {
        self.list.iter().map(|entry| entry.status(settings)).collect()
    }

    /// Names of those that run in the host's process.
    pub(super) fn in_process(&self) -> Vec<String> {
        let is_in_process = |entry: &&Entry| {
            entry.loaded.as_ref().is_some_and(|loaded| loaded.isolation == Isolation::InProcess)
        };
        self.list.iter().filter(is_in_process).map(|entry| entry.listed.name.clone()).collect()
    }

    /// The libraries, or where they would be.
    pub(super) fn libraries(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for entry in &self.list {
            match &entry.listed.library_path {
                Ok(path) => files.push(path.clone()),
                Err(missing) => files.extend_from_slice(&missing.looked_at),
            }
        }
        files
    }
}

impl Entry {
    /// Makes of what was known what it is now.
    fn follow(followed: Followed, known: Option<Self>, outcome: &mut Outcome) -> Self {
        let Followed { entry, seen, done, by_hand } = followed;
        let before = known.as_ref().map(|known| (known.listed.clone(), known.seen));
        let (loaded, error, generation) =
            known.map_or((None, None, 0), |known| (known.loaded, known.error, known.generation));
        match done {
            Done::Kept => Self { listed: entry, seen, loaded, error, generation },
            Done::Unloaded => {
                if loaded.is_some() {
                    tracing::info!(adapter = entry.name, "An adapter is switched off");
                    outcome.removed.push(entry.name.clone());
                }
                Self { listed: entry, seen, loaded: None, error: None, generation }
            }
            Done::Loaded(mut fresh) => {
                if let (Some(earlier), Some((listed, seen_before))) = (&loaded, &before)
                    && !by_hand
                    && *seen_before == seen
                    && entry.runs_like_but_for_settings(listed)
                {
                    fresh.keep(earlier, |broker| entry.config_of(broker) == listed.config_of(broker));
                }
                let generation = generation + 1;
                tracing::info!(
                    adapter = entry.name,
                    version = fresh.info.version,
                    isolation = fresh.isolation.label(),
                    sha256 = %fresh.sha256,
                    generation,
                    "Loaded an adapter"
                );
                if let Some(note) = &fresh.note {
                    tracing::warn!(
                        adapter = entry.name,
                        note,
                        "An adapter does not run where plugins.toml wants it"
                    );
                }
                outcome.loaded.push(entry.name.clone());
                Self { listed: entry, seen, loaded: Some(*fresh), error: None, generation }
            }
            Done::Failed(reason) => {
                let error: Arc<str> = if loaded.is_some() {
                    format!("the one that runs stays, because the new one does not work: {reason}").into()
                } else {
                    reason.as_str().into()
                };
                tracing::error!(adapter = entry.name, %error, "Could not load an adapter");
                outcome.failed.push(Failed { name: entry.name.clone(), reason });
                Self { listed: entry, seen, loaded, error: Some(error), generation }
            }
        }
    }

    fn known(&self) -> Known<'_> {
        Known {
            name: &self.listed.name,
            entry: &self.listed,
            seen: self.seen,
            is_loaded: self.loaded.is_some(),
            has_failed: self.error.is_some(),
        }
    }

    fn status(&self, settings: &Settings) -> AdapterStatus {
        let status = listed(settings, &self.listed);
        let status = AdapterStatus {
            generation: self.generation,
            error: self.error.as_ref().map(ToString::to_string),
            ..status
        };
        match &self.loaded {
            Some(loaded) => AdapterStatus {
                sha256: Some(loaded.sha256.to_string()),
                isolation: loaded.isolation.label(),
                note: loaded.note.clone(),
                ..described(status, settings, &self.listed, &loaded.info)
            },
            None if self.error.is_some() => AdapterStatus { state: AdapterState::Failed, ..status },
            None => status,
        }
    }
}

/// What one account of a broker can carry.
const fn pool_limits(limits: BrokerLimits) -> PoolLimits {
    let BrokerLimits { symbols_per_connection, connections, books } = limits;
    PoolLimits { symbols_per_connection, connections, books }
}

#[cfg(test)]
mod tests;
