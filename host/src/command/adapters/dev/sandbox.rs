//! A host for one adapter that is being written: on free ports, with data of its own, against the adapter's
//! fake venue, and with a client that prints what comes.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs, io,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use adapter_conformance::{CredentialSet, Profile, Rehearsal};
use anyhow::{Context as _, bail, ensure};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

use super::{
    super::{Scratch, live},
    watch::Seen,
};
use crate::{
    accounts::Credentials,
    base::{blocking::off_thread, private::write_private},
    command::{prepare, run, runtime, tap},
    config::{Flags, Settings, Sources},
    operator::admin::from_this_machine,
};

/// Who watches.
const USER: &str = "dev";

/// Begins the names of adapters' libraries.
const STEM: &str = "adapter_";

/// Longest time for the host to serve.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Pause between two looks whether it does.
const LOOK: Duration = Duration::from_millis(50);

/// Between two ticks of each instrument.
const BEAT: Duration = Duration::from_secs(1);

/// Most instruments that are watched.
const MAX_WATCHED: usize = 8;

/// What is logged: the adapter's own lines, and what is wrong with the host.
const LOG: &str = "warn,adapter=info";

/// A host that runs. [`Self::end`] ends all that belongs to it.
pub(super) struct Sandbox {
    /// Name of the adapter in its `plugins.toml`.
    name: String,
    settings: Settings,
    address: SocketAddr,
    library: PathBuf,
    /// What it was started from.
    seen: Seen,
    stop: CancellationToken,
    host: Option<JoinHandle<anyhow::Result<()>>>,
    /// Dropped, it ends the thread that moves prices, and the venue with it.
    venue: Option<(SyncSender<()>, JoinHandle<()>)>,
    tap: tokio::task::JoinHandle<()>,
    /// Last, since everything lies in it.
    _folder: Scratch,
}

impl Sandbox {
    /// Starts venue, host and client with a library.
    ///
    /// # Errors
    /// What does not start, and why.
    pub(super) async fn start(
        profile: Profile,
        brand: Option<&str>,
        library: &Path,
        seen: Seen,
    ) -> anyhow::Result<Self> {
        let folder = Scratch::new()?;
        let stem = stem_of(library)?;
        let name = brand.map_or_else(|| stem.strip_prefix(STEM).unwrap_or(&stem).to_owned(), str::to_owned);
        let place = folder.0.join(format!("{DLL_PREFIX}{stem}{DLL_SUFFIX}"));
        put(library, &place)?;
        let symbols = profile.instruments.iter().take(MAX_WATCHED);
        let symbols: Vec<_> = symbols.map(|one| (one.exchange.clone(), one.symbol.clone())).collect();
        let credentials = profile.credentials.valid.clone();
        // Its first start builds it.
        let rehearsal = off_thread(move |_| Rehearsal::start(profile)).await?.map_err(anyhow::Error::msg)?;
        let plugins = folder.0.join("plugins.toml");
        fs::write(&plugins, plugins_toml(&name, &stem, &rehearsal.settings())?)
            .with_context(|| format!("cannot write {}", plugins.display()))?;
        let sources = sources(&folder.0)?;
        let prepared = prepare(&sources)?;
        let settings = prepared.settings.clone();
        let key_file = first_user(&settings, &sources, &name, &credentials)?;
        let stop = CancellationToken::new();
        let host = {
            let stop = stop.clone();
            std::thread::Builder::new().name("host".to_owned()).spawn(move || {
                runtime()?.block_on(run::run_until(prepared, sources, &mut io::sink(), stop))
            })?
        };
        let venue = Some(play(rehearsal)?);
        let mut sandbox = Self {
            name,
            settings,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            library: place,
            seen,
            stop,
            host: Some(host),
            venue,
            tap: tokio::spawn(async {}),
            _folder: folder,
        };
        if let Err(error) = sandbox.wait().await {
            sandbox.end().await;
            return Err(error);
        }
        sandbox.watch(symbols, key_file);
        Ok(sandbox)
    }

    /// Where clients connect.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it is as one would be that is started from these files, but for the library.
    pub(super) fn fits(&self, seen: &Seen) -> bool {
        self.seen.has_same_stage(seen)
    }

    /// Lets the host take another build over; false when it does not, and has said why.
    ///
    /// # Errors
    /// When the host does not answer.
    pub(super) async fn load(&self, library: &Path, out: &mut dyn Write) -> anyhow::Result<bool> {
        put(library, &self.library)?;
        live::reload(&self.settings, &self.name, out).await
    }

    /// Ends everything, in the order in which it hurts nobody.
    pub(super) async fn end(mut self) {
        self.tap.abort();
        self.stop.cancel();
        if let Some(host) = self.host.take()
            && let Ok(Ok(Err(error))) = off_thread(move |_| host.join()).await
        {
            tracing::warn!(%error, "The host did not end as it should");
        }
        if let Some((stop, venue)) = self.venue.take() {
            drop(stop);
            _ = off_thread(move |_| venue.join()).await;
        }
    }

    /// Waits until the host serves.
    async fn wait(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if self.host.as_ref().is_none_or(JoinHandle::is_finished) {
                let ended = self.host.take().map(JoinHandle::join);
                match ended {
                    Some(Ok(Err(error))) => return Err(error.context("the host does not start")),
                    _ => bail!("the host does not start"),
                }
            }
            let status = live::status(&self.settings).await.ok().flatten();
            let listening = status.and_then(|(_, status)| {
                status.pointer("/listeners/websocket")?.as_str()?.parse::<SocketAddr>().ok()
            });
            if let Some(address) = listening {
                self.address = from_this_machine(address);
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the host does not serve within {START_LIMIT:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Prints ticks from now on.
    fn watch(&mut self, symbols: Vec<(String, String)>, key_file: PathBuf) {
        let args = tap::TapArgs {
            symbols,
            mode: tap::TapMode::Quote,
            depth: 5,
            url: Some(format!("ws://{}", self.address)),
            key_file: Some(key_file),
            count: None,
            plain: true,
            json: false,
        };
        let settings = self.settings.clone();
        self.tap = tokio::spawn(async move {
            if let Err(error) = tap::run(args, &settings, &mut io::stdout()).await {
                tracing::warn!(%error, "No ticks can be shown");
            }
        });
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.tap.abort();
        self.stop.cancel();
    }
}

/// Puts a library where the host looks for it, whole or not at all.
fn put(library: &Path, place: &Path) -> anyhow::Result<()> {
    let fresh = place.with_extension("new");
    fs::copy(library, &fresh)
        .and_then(|_| fs::rename(&fresh, place))
        .with_context(|| format!("cannot copy {} to {}", library.display(), place.display()))
}

fn stem_of(library: &Path) -> anyhow::Result<String> {
    let name = library.file_name().and_then(|name| name.to_str());
    let stem = name.and_then(|name| name.strip_prefix(DLL_PREFIX)?.strip_suffix(DLL_SUFFIX));
    Ok(stem.with_context(|| format!("{} is no library", library.display()))?.to_owned())
}

/// Settings that are nobody's but this host's: neither the environment nor a file of the person has a say.
fn sources(folder: &Path) -> anyhow::Result<Sources> {
    let data_dir = folder.join("data");
    let data_dir = data_dir.to_str().context("the folder for temporary files has no name in UTF-8")?;
    let pairs = [
        ("data_dir", data_dir),
        ("websocket_port", "0"),
        ("admin_port", "0"),
        ("bus", "off"),
        ("log", LOG),
        ("shutdown_seconds", "3"),
    ];
    Ok(Sources {
        flags: Flags::from_pairs(pairs),
        working_dir: folder.to_owned(),
        executable: std::env::current_exe().ok(),
        ..Sources::default()
    })
}

/// The adapter, at all hours.
fn plugins_toml(name: &str, library: &str, settings_json: &str) -> anyhow::Result<String> {
    let settings: Value = serde_json::from_str(settings_json)?;
    let mut adapter = Table::new();
    for (key, value) in [("name", name), ("library", library), ("calendar", "always")] {
        adapter.insert(key, toml_edit::value(value));
    }
    let mut config = Table::new();
    for (key, value) in settings.as_object().into_iter().flatten() {
        let value = toml_of(value).with_context(|| format!("config.{key} cannot be written as TOML"))?;
        config.insert(key, Item::Value(value));
    }
    adapter.insert("config", Item::Table(config));
    let mut document = DocumentMut::new();
    document.insert("adapter", Item::ArrayOfTables(ArrayOfTables::from_iter([adapter])));
    Ok(document.to_string())
}

fn toml_of(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(is) => (*is).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(toml_of).collect::<Option<toml_edit::Array>>()?.into(),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| Some((key.as_str(), toml_of(value)?)));
            members.collect::<Option<toml_edit::InlineTable>>()?.into()
        }
    })
}

/// Makes the user with an account at the adapter's broker, and gives the file with the key.
fn first_user(
    settings: &Settings,
    sources: &Sources,
    broker: &str,
    credentials: &CredentialSet,
) -> anyhow::Result<PathBuf> {
    let accounts = run::open_accounts(settings, &sources.working_dir)?;
    let store = accounts.store()?;
    store.create_user(USER)?;
    let mut account = Credentials::default();
    credentials.iter().for_each(|(name, value)| account.set(name, value.as_str()));
    store.set_account(USER, broker, &account)?;
    let key = store.create_key(USER, "adapters dev")?;
    let file = sources.working_dir.join("key");
    write_private(&file, key.expose_secret().as_bytes())?;
    Ok(file)
}

/// Lets prices move, on a thread of their own, until the sender is dropped.
fn play(mut rehearsal: Rehearsal) -> anyhow::Result<(SyncSender<()>, JoinHandle<()>)> {
    let (stop, stopped) = sync_channel(1);
    let playing = std::thread::Builder::new().name("venue".to_owned()).spawn(move || {
        let mut was_told = false;
        while matches!(stopped.recv_timeout(BEAT), Err(RecvTimeoutError::Timeout)) {
            if let Err(error) = rehearsal.tick()
                && !std::mem::replace(&mut was_told, true)
            {
                tracing::warn!(error, "No prices come from the fake venue");
            }
        }
    })?;
    Ok((stop, playing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_a_profile_are_written_as_an_operator_would() {
        let json = r#"{"ws_url":"ws://127.0.0.1:1/feed","rate":0.5,"list":["a"],"network":{"timeout":3}}"#;
        let text = plugins_toml("acme", "adapter_acme", json).unwrap();
        let read: toml::Table = text.parse().unwrap();
        let adapter = &read["adapter"][0];
        assert_eq!(adapter["name"].as_str(), Some("acme"));
        assert_eq!(adapter["config"]["network"]["timeout"].as_integer(), Some(3));
        assert_eq!(adapter["config"]["rate"].as_float(), Some(0.5));
        assert!(plugins_toml("acme", "x", r#"{"a":null}"#).unwrap_err().to_string().contains("config.a"));
    }

    #[test]
    fn nothing_of_the_person_s_own_settings_has_a_say() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::load(&sources(dir.path()).unwrap()).unwrap();
        assert!(settings.data_dir.starts_with(dir.path()));
        assert_eq!((settings.websocket_port, settings.admin_port, settings.bus), (0, 0, false));
    }
}
