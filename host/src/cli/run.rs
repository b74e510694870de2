//! `tickhost run`: from settings to a running host, and back down.

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use rustc_hash::FxHashMap;
use secrecy::ExposeSecret as _;

use crate::{
    accounts::{
        Accounts, Credentials,
        openalgo::OpenAlgoSettings,
        secrets::{private_dir, write_private},
    },
    admin::{AdapterState, AdapterStatus, capability_names},
    bus::BusSettings,
    config::{AdapterEntry, PluginsFile, Settings},
    feed::{Connector, FeedSettings},
    host::{Host, Plan},
    hub::{HubSettings, Source},
    listener::ConnectionLimits,
    outbox::OutboxLimits,
    plugins::{Library, connector::LibraryConnector, integrity::PrivateCopy},
    pool::PoolLimits,
    protocol::encode::EncodeOptions,
    session::{LosslessPolicy, SessionSettings},
};

/// User of the first run.
const DEMO_USER: &str = "demo";

/// Broker of the first run: the synthetic exchange.
const DEMO_BROKER: &str = "sim";

/// File with the key of the first run, in the data directory; it opens the synthetic exchange and nothing else.
pub(crate) const DEMO_KEY_FILE: &str = "demo.key";

/// Bytes of ticks that wait in order for one client, beside the limit in frames.
const OUTBOX_BYTES: usize = 256 * 1_024;

/// Bytes of a lossless tick, on average: that of a quote.
const LOSSLESS_FRAME_BYTES: usize = 512;

/// Opens the accounts that the settings name.
///
/// # Errors
/// When the database cannot be opened.
pub fn open_accounts(settings: &Settings) -> anyhow::Result<Accounts> {
    let Some(url) = &settings.database_url else {
        return Ok(Accounts::open_embedded(&settings.data_dir)?);
    };
    let pepper = settings.api_key_pepper.clone().context("API_KEY_PEPPER is needed with DATABASE_URL")?;
    let keys = [
        ("api_key", &settings.broker_api_key),
        ("api_secret", &settings.broker_api_secret),
        ("api_key_market", &settings.broker_api_key_market),
        ("api_secret_market", &settings.broker_api_secret_market),
    ];
    Ok(Accounts::open_openalgo(OpenAlgoSettings {
        path: url.path().to_owned(),
        pepper,
        fernet_salt: settings.fernet_salt.clone(),
        broker_keys: keys.into_iter().filter_map(|(name, key)| Some((name, key.clone()?))).collect(),
    })?)
}

/// Runs the host until it is told to stop.
///
/// # Errors
/// Why it did not start.
pub async fn run(settings: Settings, plugins: PluginsFile, out: &mut dyn Write) -> anyhow::Result<()> {
    let accounts = open_accounts(&settings)?;
    let newcomer = first_run(&settings, &accounts)?;
    let run_dir = private_dir(&settings.data_dir.join("run"))?;
    let (sources, adapters) = load_adapters(&settings, &plugins, &run_dir);
    let plan = plan(&settings, &plugins, accounts, sources, adapters, run_dir);
    let host = Host::start(plan)?;
    tracing::info!(
        websocket = %host.websocket_addr(),
        admin = %host.admin_addr(),
        bus = host.bus_addr().map(|address| address.to_string()),
        version = env!("CARGO_PKG_VERSION"),
        "Serving"
    );
    // Whoever started the host may have closed its output; that is no reason to stop.
    if let Err(error) = welcome(&host, newcomer.as_deref(), out) {
        tracing::debug!(%error, "Could not print the welcome");
    }
    stop_signal().await?;
    tracing::info!("Stopping");
    host.shut_down().await;
    Ok(())
}

/// What `plugins.toml` lists, with each library loaded as far as it goes. Used by `run` and `adapters`.
pub fn load_adapters(
    settings: &Settings,
    plugins: &PluginsFile,
    run_dir: &Path,
) -> (FxHashMap<Arc<str>, Source>, Vec<AdapterStatus>) {
    let mut sources = FxHashMap::default();
    let mut statuses = Vec::new();
    for entry in &plugins.adapters {
        if !entry.is_enabled {
            statuses.push(adapter_status(settings, entry, None));
            continue;
        }
        let loaded = load(entry, run_dir);
        if let Err(reason) = &loaded {
            tracing::error!(adapter = entry.name, error = reason, "Could not load an adapter");
        }
        statuses.push(adapter_status(settings, entry, Some(&loaded)));
        for broker in &entry.brokers {
            let connector = loaded.clone().map_err(Arc::from).map(|library| {
                let config_json = entry.config_json.clone();
                Arc::new(LibraryConnector { library, config_json }) as Arc<dyn Connector>
            });
            let limits = settings.limits_for(broker, Some(entry));
            sources.insert(
                Arc::from(broker.as_str()),
                Source {
                    name: entry.name.as_str().into(),
                    connector,
                    limits: PoolLimits {
                        symbols_per_connection: limits.symbols_per_connection,
                        connections: limits.connections,
                    },
                    throttle: settings.throttle_for(entry),
                    is_bus: false,
                },
            );
        }
    }
    for broker in &plugins.bus.brokers {
        sources.insert(
            Arc::from(broker.as_str()),
            Source {
                name: "bus".into(),
                connector: Err("the host is not running".into()),
                // Publishers decide what there is; only the host's own memory is bounded.
                limits: PoolLimits { symbols_per_connection: 100_000, connections: 1 },
                throttle: settings.throttle_ms,
                is_bus: true,
            },
        );
    }
    (sources, statuses)
}

/// Loads one library and lets it check its settings.
///
/// # Errors
/// One sentence.
pub fn load(entry: &AdapterEntry, run_dir: &Path) -> Result<Library, String> {
    let path = entry.library_path.as_ref().map_err(ToString::to_string)?;
    let copy = PrivateCopy::make(path, &entry.integrity, run_dir).map_err(|error| error.to_string())?;
    let library = Library::open(&copy).map_err(|error| error.to_string())?;
    library
        .validate_config(&entry.config_json)
        .map_err(|failure| format!("its settings in plugins.toml (line {}): {failure}", entry.line))?;
    Ok(library)
}

fn adapter_status(
    settings: &Settings,
    entry: &AdapterEntry,
    loaded: Option<&Result<Library, String>>,
) -> AdapterStatus {
    let limits = entry.brokers.first().map(|broker| settings.limits_for(broker, Some(entry)));
    let status = AdapterStatus {
        name: entry.name.clone(),
        library: match &entry.library_path {
            Ok(path) => path.display().to_string(),
            Err(_) => entry.library.clone(),
        },
        brokers: entry.brokers.clone(),
        symbols_per_connection: limits.as_ref().map_or(0, |limits| limits.symbols_per_connection),
        connections: limits.as_ref().map_or(0, |limits| limits.connections),
        ..AdapterStatus::default()
    };
    match loaded {
        None => status,
        Some(Err(error)) => {
            AdapterStatus { state: AdapterState::Failed, error: Some(error.clone()), ..status }
        }
        Some(Ok(library)) => {
            let info = library.info();
            AdapterStatus {
                state: AdapterState::Loaded,
                version: Some(info.version.clone()),
                abi_version: Some(info.abi_version.clone()),
                sdk_version: Some(info.sdk_version.clone()),
                capabilities: capability_names(info.capabilities),
                ..status
            }
        }
    }
}

fn plan(
    settings: &Settings,
    plugins: &PluginsFile,
    accounts: Accounts,
    sources: FxHashMap<Arc<str>, Source>,
    adapters: Vec<AdapterStatus>,
    run_dir: PathBuf,
) -> Plan {
    let bus = settings.bus_address().map(|listen| BusSettings {
        two_word_exchanges: settings.two_word_exchanges.clone(),
        known_brokers: plugins.adapters.iter().flat_map(|entry| entry.brokers.iter().cloned()).collect(),
        ..BusSettings::new(listen, run_dir)
    });
    Plan {
        websocket: settings.websocket_address(),
        admin: settings.admin_address(),
        bus,
        shards: settings.shard_count(),
        accounts,
        sources,
        adapters,
        connections: ConnectionLimits {
            total: settings.max_connections,
            per_address: settings.max_connections_per_address,
        },
        session: SessionSettings {
            auth_grace: settings.ws_auth_grace_seconds,
            ping_interval: settings.ws_ping_interval,
            ping_timeout: settings.ws_ping_timeout,
            write_timeout: settings.write_timeout_seconds,
            nudge_after: settings.authenticated_nudge_ms,
            max_frame_bytes: settings.max_frame_bytes,
            max_frame_bytes_before_auth: settings.max_frame_bytes_before_auth,
            messages_per_second: settings.max_messages_per_second,
            message_burst: settings.message_burst,
            max_subscriptions: settings.max_subscriptions_per_client,
            subscribe_timeout: settings.subscribe_timeout_ms,
            outbox: OutboxLimits {
                frames: settings.outbox_frames,
                bytes: OUTBOX_BYTES,
                control_bytes: settings.control_bytes,
                lossless_frames: settings.lossless_frames,
                lossless_bytes: settings.lossless_frames.saturating_mul(LOSSLESS_FRAME_BYTES),
            },
        },
        lossless: match settings.lossless_for.as_slice() {
            [] => LosslessPolicy::Nobody,
            names if names.iter().any(|name| name == "all") => LosslessPolicy::Everybody,
            names => LosslessPolicy::These(names.to_vec()),
        },
        hub: HubSettings {
            connections_per_key: settings.max_connections_per_key,
            feed: FeedSettings {
                subscribe_timeout: settings.subscribe_timeout_ms,
                linger: settings.feed_linger_seconds,
                shutdown: settings.shutdown_seconds / 2,
                stale_after: settings.ws_stale_tick_warn_seconds,
            },
            announced_brokers: settings.valid_brokers.clone(),
        },
        encode: EncodeOptions { flat_fields: settings.flat_fields, bids_asks: settings.bids_asks },
        shutdown: settings.shutdown_seconds,
    }
}

/// Makes a user at the synthetic exchange with a key, when the database is new; gives the file with the key.
fn first_run(settings: &Settings, accounts: &Accounts) -> anyhow::Result<Option<PathBuf>> {
    let Ok(store) = accounts.store() else { return Ok(None) };
    if !store.users()?.is_empty() {
        return Ok(None);
    }
    store.create_user(DEMO_USER)?;
    store.set_account(DEMO_USER, DEMO_BROKER, &Credentials::default())?;
    let key = store.create_key(DEMO_USER, "first run")?;
    let file = settings.data_dir.join(DEMO_KEY_FILE);
    write_private(&file, format!("{}\n", key.expose_secret()).as_bytes())?;
    Ok(Some(file))
}

fn welcome(host: &Host, newcomer: Option<&Path>, out: &mut dyn Write) -> std::io::Result<()> {
    let websocket = host.websocket_addr();
    writeln!(
        out,
        "Tickhost serves ws://{websocket}; status at http://{}/status. Stop with Ctrl-C.",
        host.admin_addr()
    )?;
    if let Some(file) = newcomer {
        let program = std::env::args().next().unwrap_or_else(|| "tickhost".to_owned());
        let url = if websocket.port() == 8_765 { String::new() } else { format!(" --url ws://{websocket}") };
        writeln!(
            out,
            "First run: made user {DEMO_USER} at the synthetic exchange, with a key. To see ticks:"
        )?;
        writeln!(out, "  {program} tap NSE:SBIN CRYPTO:BTC_INR NSE_INDEX:NIFTY{url}")?;
        writeln!(out, "  an OpenAlgo client: ws://{websocket}, api_key from {}", file.display())?;
        writeln!(out, "  {program} key create {DEMO_USER}    (another key; the host keeps only hashes)")?;
    }
    out.flush()
}

/// Waits for SIGINT or SIGTERM.
async fn stop_signal() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}
