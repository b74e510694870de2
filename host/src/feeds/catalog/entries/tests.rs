use std::path::Path;

use super::*;
use crate::{
    adapters::connector::Connector,
    config::{PluginsFile, Sources, plugins_file::LibraryPlaces},
    feeds::feed::stub::NoConnector,
};

/// A catalogue without files: what a library would be is a byte, and whether it loads is up to the test.
struct Shelf {
    entries: Entries,
    settings: Settings,
}

impl Shelf {
    fn new() -> Self {
        // Of a folder without any file, so that all settings are what they are by default.
        let folder = tempfile::tempdir().unwrap();
        let path = || folder.path().to_owned();
        let sources = Sources { working_dir: path(), platform_data_dir: Some(path()), ..Sources::default() };
        Self { entries: Entries::default(), settings: Settings::load(&sources).unwrap() }
    }

    /// Follows a file with these lines, where all libraries are this one; gives what came of it.
    fn follow(&mut self, text: &str, library: u8) -> Outcome {
        self.follow_with(text, library, None, |_| Ok(()))
    }

    fn follow_with(
        &mut self,
        text: &str,
        library: u8,
        again: Option<&str>,
        loads: impl Fn(&str) -> Result<(), String>,
    ) -> Outcome {
        let plugins = PluginsFile::parse(Path::new("plugins.toml"), text, &LibraryPlaces::default()).unwrap();
        let wanted: Vec<(AdapterEntry, Snapshot)> =
            plugins.adapters.iter().map(|entry| (entry.clone(), Snapshot::of_byte(library))).collect();
        let actions = self.entries.actions(&wanted, again);
        let followed = wanted.into_iter().zip(actions).map(|((entry, seen), action)| {
            let by_hand = again == Some(entry.name.as_str());
            let done = match action {
                Action::Keep => Done::Kept,
                Action::Unload => Done::Unloaded,
                Action::Load => match loads(&entry.name) {
                    Ok(()) => Done::Loaded(Box::new(loaded(&entry))),
                    Err(reason) => Done::Failed(reason),
                },
            };
            Followed { entry, seen, done, by_hand }
        });
        self.entries.follow(followed.collect(), &plugins.bus)
    }

    fn source(&self, broker: &str) -> Option<Source> {
        self.entries.sources(&self.settings).remove(broker)
    }

    fn connector(&self, broker: &str) -> Arc<dyn Connector> {
        self.source(broker).unwrap().connector.unwrap()
    }

    fn status(&self, place: usize) -> AdapterStatus {
        self.entries.statuses(&self.settings).remove(place)
    }
}

fn loaded(entry: &AdapterEntry) -> Loaded {
    let connector = |broker: &String| (broker.clone(), Arc::new(NoConnector(0)) as Arc<dyn Connector>);
    Loaded::of(entry.brokers.iter().map(connector).collect(), entry.isolation)
}

fn adapter(name: &str, lines: &str) -> String {
    format!("[[adapter]]\nname = \"{name}\"\nlibrary = \"adapter_{name}\"\n{lines}\n")
}

#[test]
fn what_runs_stays_until_something_better_does() {
    let mut shelf = Shelf::new();
    let acme = adapter("acme", "");
    assert_eq!(shelf.follow(&acme, 1).loaded, ["acme"]);
    let runs = shelf.connector("acme");
    assert_eq!(shelf.follow(&acme, 1), Outcome::default(), "nothing has changed");
    let outcome = shelf.follow_with(&acme, 2, None, |_| Err("it is torn".to_owned()));
    assert_eq!(outcome.failed, [Failed { name: "acme".to_owned(), reason: "it is torn".to_owned() }]);
    assert!(Arc::ptr_eq(&shelf.connector("acme"), &runs));
    let status = shelf.status(0);
    assert_eq!(status.generation, 1);
    assert_eq!(
        status.error.as_deref(),
        Some("the one that runs stays, because the new one does not work: it is torn")
    );
    assert_eq!(shelf.follow(&acme, 2), Outcome::default(), "what did not work is not tried again and again");
    assert_eq!(shelf.follow(&acme, 3).loaded, ["acme"]);
    assert!(!Arc::ptr_eq(&shelf.connector("acme"), &runs));
    assert_eq!((shelf.status(0).generation, shelf.status(0).error), (2, None));
}

#[test]
fn one_that_never_worked_has_a_source_that_says_why() {
    let mut shelf = Shelf::new();
    let both = adapter("acme", "") + &adapter("other", "");
    let outcome = shelf.follow_with(&both, 1, None, |name| match name {
        "acme" => Err("no such file".to_owned()),
        _ => Ok(()),
    });
    assert_eq!((outcome.loaded.as_slice(), outcome.failed.len()), (["other".to_owned()].as_slice(), 1));
    assert_eq!(&*shelf.source("acme").unwrap().connector.unwrap_err(), "no such file");
    assert_eq!(shelf.status(0).state, AdapterState::Failed);
    assert!(shelf.source("other").unwrap().connector.is_ok());
}

#[test]
fn instances_of_brokers_of_which_nothing_has_changed_stay_unless_somebody_asks() {
    let file = |config: &str| {
        adapter(
            "acme",
            &format!("brokers = [\"one\", \"two\"]\n[adapter.brand.two]\nconfig = {{ {config} }}"),
        )
    };
    let mut shelf = Shelf::new();
    shelf.follow(&file("seed = 1"), 1);
    let (one, two) = (shelf.connector("one"), shelf.connector("two"));
    assert_eq!(shelf.follow(&file("seed = 2"), 1).loaded, ["acme"]);
    assert!(Arc::ptr_eq(&shelf.connector("one"), &one), "its settings are what they were");
    assert!(!Arc::ptr_eq(&shelf.connector("two"), &two));
    shelf.follow_with(&file("seed = 2"), 1, Some("acme"), |_| Ok(()));
    assert!(!Arc::ptr_eq(&shelf.connector("one"), &one), "asked for by hand");
    let one = shelf.connector("one");
    shelf.follow(&file("seed = 3"), 2);
    assert!(!Arc::ptr_eq(&shelf.connector("one"), &one), "the library is another");
}

#[test]
fn what_is_switched_off_or_not_listed_any_more_serves_nobody() {
    let mut shelf = Shelf::new();
    shelf.follow(&(adapter("acme", "") + &adapter("other", "isolation = \"in-process\"")), 1);
    assert_eq!(shelf.entries.in_process(), ["other"]);
    let outcome = shelf.follow(&adapter("acme", "enabled = false"), 1);
    assert_eq!(outcome.removed, ["acme", "other"]);
    assert!(shelf.source("acme").is_none() && shelf.source("other").is_none());
    assert_eq!(shelf.follow(&adapter("acme", ""), 1).loaded, ["acme"]);
    assert_eq!(shelf.status(0).generation, 2);
}

#[test]
fn limits_of_the_file_are_followed_without_another_build() {
    let mut shelf = Shelf::new();
    shelf.follow(&adapter("acme", "connections = 2\nsymbols_per_connection = 50"), 1);
    let runs = shelf.connector("acme");
    let outcome = shelf.follow(&adapter("acme", "connections = 3\nsymbols_per_connection = 7"), 1);
    assert_eq!(outcome, Outcome::default());
    let source = shelf.source("acme").unwrap();
    assert_eq!(source.limits, PoolLimits::new(7, 3));
    assert!(Arc::ptr_eq(&source.connector.unwrap(), &runs));
}

#[test]
fn mistakes_of_the_file_change_nothing_but_what_is_said_and_are_news_once() {
    let mut shelf = Shelf::new();
    shelf.follow(&adapter("acme", ""), 1);
    let (one, other): (Arc<str>, Arc<str>) = ("line 1".into(), "line 2".into());
    assert!(shelf.entries.refuse(&one) && !shelf.entries.refuse(&one) && shelf.entries.refuse(&other));
    assert_eq!(shelf.entries.file_error().map(|error| &**error), Some("line 2"));
    assert!(shelf.source("acme").unwrap().connector.is_ok());
    shelf.follow(&adapter("acme", ""), 1);
    assert_eq!(shelf.entries.file_error(), None);
}

#[test]
fn brokers_of_the_bus_have_sources_of_their_own() {
    let mut shelf = Shelf::new();
    shelf.follow("[bus]\nbrokers = [\"zebu\"]\n", 1);
    assert!(shelf.source("zebu").unwrap().is_bus);
    shelf.follow("[bus]\nbrokers = [\"dhan\"]\n", 1);
    assert!(shelf.source("zebu").is_none() && shelf.source("dhan").is_some());
}
