//! What to do with each entry: a pure function of what the file says and what is loaded.

use super::Snapshot;
use crate::config::AdapterEntry;

/// What is to be done with an entry of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing, or only what costs nothing: limits, spacing, a broker less.
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

/// One action for each entry, in their order. A library that did not work is not tried again before it, or
/// what the file says of it, is another; `again` names one that is tried in any case.
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
    // The library is asked about a broker that is new.
    let is_same = is_same && entry.brokers.iter().all(|broker| before.entry.brokers.contains(broker));
    if is_same && was_tried && again != Some(entry.name.as_str()) { Action::Keep } else { Action::Load }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{PluginsFile, plugins_file::LibraryPlaces};

    fn one() -> Snapshot {
        Snapshot::of_byte(1)
    }

    fn other() -> Snapshot {
        Snapshot::of_byte(2)
    }

    fn entry(lines: &str) -> AdapterEntry {
        let text = format!("[[adapter]]\nname = \"acme\"\nlibrary = \"adapter_acme\"\n{lines}\n");
        let plugins =
            PluginsFile::parse(Path::new("plugins.toml"), &text, &LibraryPlaces::default()).unwrap();
        plugins.adapters.into_iter().next().unwrap()
    }

    fn decide(
        before: Option<(&AdapterEntry, Snapshot, bool, bool)>,
        now: &AdapterEntry,
        seen: Snapshot,
    ) -> Action {
        decide_again(before, now, seen, None)
    }

    fn decide_again(
        before: Option<(&AdapterEntry, Snapshot, bool, bool)>,
        now: &AdapterEntry,
        seen: Snapshot,
        again: Option<&str>,
    ) -> Action {
        let known: Vec<Known<'_>> = before
            .into_iter()
            .map(|(entry, seen, is_loaded, has_failed)| Known {
                name: &entry.name,
                entry,
                seen,
                is_loaded,
                has_failed,
            })
            .collect();
        actions(&[(now.clone(), seen)], &known, again)[0]
    }

    #[test]
    fn what_is_new_or_changed_is_loaded_and_the_rest_is_kept() {
        let usual = entry("");
        assert_eq!(decide(None, &usual, one()), Action::Load);
        assert_eq!(decide(Some((&usual, one(), true, false)), &usual, one()), Action::Keep);
        assert_eq!(decide(Some((&usual, one(), true, false)), &usual, other()), Action::Load);
        for changed in [
            "[adapter.config]\nseed = 2",
            "isolation = \"in-process\"",
            "memory_mb = 128",
            "sha256 = \"d74b0f0a5c8bb0a4b0f6c8f1f3a0d8a6d74b0f0a5c8bb0a4b0f6c8f1f3a0d8a6\"",
        ] {
            assert_eq!(
                decide(Some((&usual, one(), true, false)), &entry(changed), one()),
                Action::Load,
                "{changed}"
            );
        }
        for free in ["throttle_ms = 5", "connections = 2", "symbols_per_connection = 9"] {
            assert_eq!(
                decide(Some((&usual, one(), true, false)), &entry(free), one()),
                Action::Keep,
                "{free}"
            );
        }
    }

    #[test]
    fn a_library_is_asked_about_a_broker_that_is_new_and_not_when_one_goes() {
        let (one, two) = (entry("brokers = [\"a\"]"), entry("brokers = [\"a\", \"b\"]"));
        assert_eq!(decide(Some((&one, self::one(), true, false)), &two, self::one()), Action::Load);
        assert_eq!(decide(Some((&two, self::one(), true, false)), &one, self::one()), Action::Keep);
    }

    #[test]
    fn settings_of_one_brand_are_a_change() {
        let of = |config: &str| entry(&format!("[adapter.brand.acme]\n{config}"));
        let before = of("connections = 1");
        let decide = |now: &AdapterEntry| decide(Some((&before, one(), true, false)), now, one());
        assert_eq!(decide(&of("connections = 2\nthrottle_ms = 9\ncalendar = \"always\"")), Action::Keep);
        assert_eq!(decide(&of("config = { seed = 2 }")), Action::Load);
    }

    #[test]
    fn what_did_not_work_is_tried_again_when_it_is_another_or_somebody_asks() {
        let usual = entry("");
        for is_loaded in [false, true] {
            let before = Some((&usual, one(), is_loaded, true));
            assert_eq!(decide(before, &usual, one()), Action::Keep);
            assert_eq!(decide(before, &usual, other()), Action::Load);
            assert_eq!(decide_again(before, &usual, one(), Some("acme")), Action::Load);
            assert_eq!(decide_again(before, &usual, one(), Some("other")), Action::Keep);
        }
    }

    #[test]
    fn what_is_switched_off_is_ended_and_what_is_switched_on_is_loaded() {
        let (on, off) = (entry(""), entry("enabled = false"));
        assert_eq!(decide(Some((&on, one(), true, false)), &off, one()), Action::Unload);
        assert_eq!(decide_again(Some((&on, one(), true, false)), &off, one(), Some("acme")), Action::Unload);
        assert_eq!(decide(Some((&off, Snapshot::default(), false, false)), &on, one()), Action::Load);
    }
}
