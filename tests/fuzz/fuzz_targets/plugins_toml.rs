//! The operator's `plugins.toml`: whatever stands in it, there is a report that shows no more than lines of
//! text, or adapters with names of their own and settings that are JSON.

#![no_main]

use std::path::Path;

use fuzz::{begin_with, bounded};
use libfuzzer_sys::fuzz_target;
use tickhost::config::{PluginsFile, plugins_file::LibraryPlaces};

const SEEDS: [&str; 4] = [
    include_str!("../../../plugins.toml"),
    "[bus]\nbrokers = ['a']\nhours = 'always'\n[trust]\nrequire_signature = true\nminisign_keys = []\n",
    "[[adapter]]\nname = 'a-1'\nlibrary = 'x'\nbrokers = ['one', 'two']\nenabled = false\nthrottle_ms = 0\n\
     symbols_per_connection = 100_000\nconnections = 1\n[adapter.config]\nkey = 'v'\nwhen = 2024-01-02\n\
     list = [1, 0x10, -2.5, true]\ninner = { deep = {} }\n",
    "[[adapter]]\nname = 'noren'\nlibrary = 'x'\nbrokers = ['one', 'two']\n[adapter.config]\na = { b = 1 }\n\
     [adapter.brand.one]\nconnections = 1\nthrottle_ms = 0\n[adapter.brand.two.config]\na.c = [2]\n",
];

fuzz_target!(
    init: begin_with("plugins_toml", SEEDS.map(|seed| seed.as_bytes().to_vec())),
    |input: &[u8]| bounded(input, || {
        let Ok(text) = std::str::from_utf8(input) else { return };
        match PluginsFile::parse(Path::new("plugins.toml"), text, &LibraryPlaces::default()) {
            Ok(plugins) => {
                for (number, adapter) in plugins.adapters.iter().enumerate() {
                    assert!((1..=32).contains(&adapter.name.len()) && !adapter.brokers.is_empty());
                    assert!(plugins.adapters.iter().skip(number + 1).all(|other| other.name != adapter.name));
                    assert!(adapter.brands.keys().all(|brand| adapter.brokers.contains(brand)));
                    for broker in &adapter.brokers {
                        let settings: serde_json::Value =
                            serde_json::from_str(adapter.config_of(broker)).expect("settings are JSON");
                        assert!(settings.is_object());
                    }
                }
            }
            Err(problems) => assert!(!problems.to_string().is_empty()),
        }
    })
);
