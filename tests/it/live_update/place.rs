//! A host whose `plugins.toml` and libraries are the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use integration_tests::{Client, Host, HostBuilder, SOON, wait_until};
use serde_json::{Value, json};

/// Both places where an adapter may run.
pub(super) const ISOLATIONS: [&str; 2] = ["process", "in-process"];

/// An adapter as `plugins.toml` lists it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) library: &'static str,
    pub(super) keys: String,
    pub(super) config: String,
}

impl Entry {
    pub(super) fn new(name: &'static str, library: &'static str, config: &str) -> Self {
        Self { name, library, keys: String::new(), config: config.to_owned() }
    }

    /// The synthetic exchange with an instrument more; one of another symbol is another configuration.
    pub(super) fn sim_with(symbol: &str) -> Self {
        let config = format!(
            "rate_hz = 50.0\ninstruments_extra = [{{ exchange = \"NSE\", symbol = \"{symbol}\" }}]\n"
        );
        Self::new("sim", "adapter_sim", &config)
    }

    pub(super) fn keys(mut self, keys: &str) -> Self {
        keys.clone_into(&mut self.keys);
        self
    }

    fn text(&self) -> String {
        let Self { name, library, keys, config } = self;
        format!(
            "[[adapter]]\nname = \"{name}\"\nlibrary = \"brokers/lib{library}.so\"\n{keys}\n[adapter.config]\n{config}\n"
        )
    }
}

/// The text of a file with these adapters.
pub(super) fn text(entries: &[Entry]) -> String {
    entries.iter().map(Entry::text).collect()
}

/// The host, and its files.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host: Host,
    pub(super) file: PathBuf,
    pub(super) brokers: PathBuf,
}

impl Place {
    /// Starts a host with these adapters, each in a copy of its library that the test may change.
    pub(super) fn start(entries: &[Entry]) -> Self {
        Self::start_with(HostBuilder::new(), entries)
    }

    pub(super) fn start_with(builder: HostBuilder, entries: &[Entry]) -> Self {
        let brokers = builder.dir().join("brokers");
        fs::create_dir(&brokers).unwrap();
        for entry in entries {
            put_library(&brokers, entry.library);
        }
        let file = builder.plugins_path();
        let host = builder.env("TICKHOST_THROTTLE_MS", 0).plugins(&text(entries)).start();
        Self { host, file, brokers }
    }

    /// Where a library is.
    pub(super) fn library(&self, name: &str) -> PathBuf {
        self.brokers.join(format!("lib{name}.so"))
    }

    /// Saves `plugins.toml` in place.
    pub(super) fn save(&self, entries: &[Entry]) {
        fs::write(&self.file, text(entries)).unwrap();
    }

    /// What the host says of an adapter.
    pub(super) async fn adapter(&self, name: &str) -> Value {
        let status = self.host.status().await;
        let adapters = status["adapters"].as_array().unwrap();
        adapters.iter().find(|adapter| adapter["name"] == name).cloned().unwrap_or_default()
    }

    /// What the host says of its first feed.
    pub(super) async fn feed(&self) -> Value {
        self.host.status().await["feeds"][0].clone()
    }

    /// Handovers of the first feed from one instance to the next.
    pub(super) async fn swaps(&self) -> u64 {
        self.feed().await["counters"]["swaps"].as_u64().unwrap()
    }

    /// Waits for the so-many-th build under this name.
    pub(super) async fn wait_for_generation(&self, name: &str, generation: u64) {
        wait_until(&format!("generation {generation} of {name}"), || async {
            self.adapter(name).await["generation"] == generation
        })
        .await;
    }

    /// Waits until the host says this of an adapter that it could not load.
    pub(super) async fn wait_for_error(&self, name: &str, words: &str) {
        wait_until(&format!("{name} is refused: {words}"), || async {
            self.adapter(name).await["error"].as_str().is_some_and(|error| error.contains(words))
        })
        .await;
    }

    /// `tickhost adapters` beside the running host: exit code and everything it printed.
    pub(super) fn adapters(&self, more: &[&str]) -> (Option<i32>, String) {
        let output = self.host.run(&[&["adapters"], more].concat(), "");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }
}

/// Puts the library of an adapter as it was built into a directory.
pub(super) fn put_library(directory: &Path, name: &str) {
    let from = integration_tests::library(name);
    fs::write(directory.join(format!("lib{name}.so")), fs::read(from).unwrap()).unwrap();
}

/// Another build of a library: other bytes that do the same, since nothing reads what follows the last
/// section.
pub(super) fn rebuilt(name: &str, number: u64) -> Vec<u8> {
    let mut bytes = fs::read(integration_tests::library(name)).unwrap();
    bytes.extend(format!("build {number}").into_bytes());
    bytes
}

/// Writes a file beside its place and renames it there, as an installer should.
pub(super) fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    fs::write(&beside, bytes).unwrap();
    fs::rename(beside, path).unwrap();
}

/// Waits for a tick that was made after this call: what waited in the socket does not count.
pub(super) async fn ticks_go_on(client: &mut Client) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let now = u64::try_from(now).unwrap();
    client
        .find(|message| {
            message["type"] == "market_data"
                && message.get("snapshot").is_none()
                && message["data"]["timestamp"].as_u64().is_some_and(|made| made > now)
        })
        .await;
}

/// Asks for a symbol until the broker knows it, on a connection that stays the same.
pub(super) async fn wait_for_symbol(client: &mut Client, symbol: &str) {
    let asked = tokio::time::timeout(SOON, async {
        while try_subscribe(client, symbol).await["status"] != "success" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(asked.await.is_ok(), "{symbol} did not appear");
}

/// Subscribes to one symbol of NSE; gives what the answer says of it.
pub(super) async fn try_subscribe(client: &mut Client, symbol: &str) -> Value {
    client.send(&json!({"action": "subscribe", "symbols": [format!("NSE:{symbol}")], "mode": 1})).await;
    client.find(|message| message["type"] == "subscribe").await["subscriptions"][0].clone()
}

/// The next tick of a symbol that is no repetition.
pub(super) async fn tick_of(client: &mut Client, symbol: &str) -> Value {
    client
        .find(|message| {
            message["type"] == "market_data"
                && message["symbol"] == symbol
                && message.get("snapshot").is_none()
        })
        .await
}
