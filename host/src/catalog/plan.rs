//! What to do with each entry: a pure function of what the file says and what is loaded.

use super::Snapshot;
use crate::config::AdapterEntry;

/// What is to be done with an entry of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing, or only what costs nothing: brokers, limits, spacing.
    Keep,
    /// Load it, and replace what runs under its name.
    Load,
    /// End it.
    Unload,
}

/// What is known of an entry from the last time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub(super) name: &'a str,
    pub(super) entry: &'a AdapterEntry,
    pub(super) seen: Snapshot,
    pub(super) is_loaded: bool,
    pub(super) has_failed: bool,
}

/// One action for each entry, in their order. A library that did not work is not tried again before it, or what the file
/// says of it, is another; `again` names one that is tried in any case.
pub(super) fn actions(
    wanted: &[(AdapterEntry, Snapshot)],
    known: &[Known<'_>],
    again: Option<&str>,
) -> Vec<Action> {
    wanted.iter().map(|(entry, seen)| action(entry, *seen, known, again)).collect()
}

fn action(entry: &AdapterEntry, seen: Snapshot, known: &[Known<'_>], again: Option<&str>) -> Action {
    if !entry.is_enabled {
        return Action::Unload;
    }
    let Some(before) = known.iter().find(|known| known.name == entry.name) else { return Action::Load };
    let is_same = before.seen == seen && entry.runs_like(before.entry);
    let was_tried = before.is_loaded || before.has_failed;
    if is_same && was_tried && again != Some(entry.name.as_str()) { Action::Keep } else { Action::Load }
}
