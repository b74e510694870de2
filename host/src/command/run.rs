//! `tickhost run`: from settings to a running host, and back down.

use std::{
    io::{IsTerminal as _, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tickhost_core::{calendar::Calendars, protocol::encode::EncodeOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::{Prepared, confinement, openalgo, trouble};
use crate::{
    accounts::{Accounts, AccountsError},
    assembly::{
        host::{Host, Plan},
        plan::{connection_limits, descriptors, session_policy},
        reload::Reload,
    },
    base::{
        blocking, clock,
        descriptors::Budget,
        private::write_private,
        run_dir::RunDir,
        span::{self, operation},
    },
    bus::BusSettings,
    clients::tls::Tls,
    config::{PluginsFile, Problems, Settings, Sources, calendar_file},
    feeds::{feed::FeedSettings, hub::HubSettings},
    operator::{
        admin::{Token, from_this_machine},
        service::{News, Service},
    },
};

/// User of the first run.
const DEMO_USER: &str = "demo";

/// Broker of the first run: the synthetic exchange.
const DEMO_BROKER: &str = "sim";

/// File with the key of the first run, in the data directory; it opens the synthetic exchange and nothing
/// else.
pub(crate) const DEMO_KEY_FILE: &str = "demo.key";

/// Opens the accounts that the settings name. A relative path counts from `working_dir`.
///
/// # Errors
/// When the database cannot be opened.
pub fn open_accounts(settings: &Settings, working_dir: &Path) -> Result<Accounts, Problems> {
    let opened = if settings.database_url.is_none() {
        Accounts::open_embedded(&settings.data_dir)
    } else {
        let missing = || settings.problem("api_key_pepper", "is needed with DATABASE_URL");
        Accounts::open_openalgo(openalgo::settings_of(settings, working_dir).ok_or_else(missing)?)
    };
    opened.map_err(|error| trouble::data(settings, &error).into())
}

/// Opens the calendar of the exchanges that the settings name.
///
/// # Errors
/// When the file cannot be used.
pub fn open_calendar(settings: &Settings) -> Result<Calendars, Problems> {
    calendar_file::open(settings.calendar.as_deref())
        .map_err(|error| trouble::calendar(settings, &error).into())
}

/// Runs the host until it is told to stop.
///
/// # Errors
/// Why it did not start.
pub async fn run(prepared: Prepared, sources: Sources, out: &mut dyn Write) -> anyhow::Result<()> {
    run_until(prepared, sources, out, CancellationToken::new()).await
}

/// The same, until `stop` says so if no signal does.
///
/// # Errors
/// Why it did not start.
pub(super) async fn run_until(
    prepared: Prepared,
    sources: Sources,
    out: &mut dyn Write,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Prepared { settings, plugins, log, export } = prepared;
    let service = Service::of_environment();
    give_memory_back();
    if let Some(shift) = clock::Shift::of_environment() {
        tokio::spawn(shift.follow());
    }
    let calendars = open_calendar(&settings)?;
    let tls = open_tls(&settings)?;
    if let Some(problem) = trouble::long_path(&settings) {
        return Err(Problems::from(problem).into());
    }
    let doubts = trouble::doubts(&settings, &sources.working_dir);
    let unusable = |error: AccountsError| Problems::from(trouble::data_folder(&settings, &error));
    let doubts = doubts.map_err(|error| Problems::from(trouble::data(&settings, &error)))?;
    let (Budget { limit, reserve, .. }, fitting) = (descriptors(&settings), connection_limits(&settings));
    tracing::info!(
        limit,
        reserve,
        clients = fitting.total,
        without_key = fitting.strangers,
        max_connections = settings.max_connections,
        "The descriptors of the host are shared out"
    );
    for doubt in doubts.into_iter().chain(trouble::few_descriptors(&settings)) {
        tracing::warn!(detail = doubt, "Setting needs attention");
    }
    if let Some(detail) = trouble::nothing_served(&plugins) {
        tracing::warn!(detail, "plugins.toml needs attention");
    }
    for problem in trouble::folders(&settings) {
        tracing::error!(%problem, "A folder cannot be used; the host starts without it");
    }
    let run_dir = RunDir::make(&settings.data_dir).map_err(|error| unusable(error.into()))?;
    confinement::announce(&plugins);
    let accounts = open_accounts(&settings, &sources.working_dir)?;
    let newcomer = first_run(&settings, &plugins, &accounts)?;
    let console_token = Token::of_console(&settings.data_dir).map_err(unusable)?;
    let calendar_file = settings.calendar.clone();
    let accounts = (accounts, calendars.clone(), tls);
    let plan = plan(settings.clone(), plugins, accounts, run_dir, console_token.clone());
    // Before anybody can know that the host runs: whoever stops it from then on is heard.
    let mut signals = Signals::listen()?;
    let starting = operation!("host.start", "internal");
    let host = starting.in_scope(|| Host::start(plan));
    span::end(&starting, host.as_ref().map(drop).map_err(|_| "start_failed"));
    drop(starting);
    let host = host.map_err(|error| trouble::start(&settings, error))?;
    export.follow(Arc::clone(host.status()));
    let stop_following = CancellationToken::new();
    let calendar = Arc::<Notify>::default();
    if let Some(path) = calendar_file {
        tokio::spawn(calendar_file::follow(calendars, path, Arc::clone(&calendar), stop_following.clone()));
    }
    let reload = Reload {
        sources,
        started: settings.clone(),
        present: settings,
        log,
        live: host.live().clone(),
        calendar,
    };
    tracing::info!(
        websocket = %host.websocket_addr(),
        admin = %host.admin_addr(),
        bus = host.bus_addr().map(|address| address.to_string()),
        tls = host.live().tls.is_some(),
        version = env!("CARGO_PKG_VERSION"),
        "Serving"
    );
    // Whoever started the host may have closed its output; that is no reason to stop.
    if let Err(error) = welcome(&host, newcomer.as_ref(), &console_token, out) {
        tracing::debug!(%error, "Could not print the welcome");
    }
    let status = format!("Serving {} at {}", scheme(&host), host.websocket_addr());
    service.tell(News::Ready(&status));
    tokio::select! {
        () = follow_signals(&mut signals, reload, &service, &status) => {}
        () = stop.cancelled() => {}
    }
    tracing::info!("Stopping");
    service.tell(News::Stopping);
    stop_following.cancel();
    export.conclude();
    host.shut_down().instrument(operation!("host.stop", "internal")).await;
    export.stop().await;
    Ok(())
}

/// Reloads as often as it is told to, and ends when it is told to stop. A stop does not wait for a reload,
/// and what is wanted while one is under way is one more after it.
async fn follow_signals(signals: &mut Signals, reload: Reload, service: &Service, status: &str) {
    let reload = Arc::new(Mutex::new(reload));
    let mut looking: Option<tokio::task::JoinHandle<_>> = None;
    let mut is_wanted = false;
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop => return,
                Signal::Reload => is_wanted = true,
            },
            looked = async {
                match &mut looking {
                    Some(looking) => looking.await,
                    None => std::future::pending().await,
                }
            } => {
                looking = None;
                if looked.is_err() {
                    tracing::error!("A reload failed in the host; it is tried again at the next one");
                }
                service.tell(News::Ready(status));
            }
        }
        if is_wanted && looking.is_none() {
            is_wanted = false;
            service.tell(News::Reloading);
            let reload = Arc::clone(&reload);
            looking = Some(blocking::begin(move |_| reload.lock().run()));
        }
    }
}

/// Lets the allocator give what is free for 10 seconds back to the system, on threads of its own.
fn give_memory_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = tikv_jemalloc_ctl::background_thread::write(true) {
        tracing::warn!(%error, "Memory that is free goes back to the system only while the host is busy");
    }
}

/// Reads the certificate that the settings name; none when the client port is not encrypted.
///
/// # Errors
/// When it cannot be used.
pub fn open_tls(settings: &Settings) -> Result<Option<Tls>, Problems> {
    let Some(files) = settings.tls_files() else { return Ok(None) };
    let opened = Tls::open(files.clone()).map_err(|error| trouble::tls(settings, &files, &error))?;
    if let Some(doubt) = files.doubt(clock::unix_nanos()) {
        tracing::warn!(detail = doubt, "Setting needs attention");
    }
    Ok(Some(opened))
}

fn plan(
    settings: Settings,
    plugins: PluginsFile,
    (accounts, calendars, tls): (Accounts, Calendars, Option<Tls>),
    run_dir: RunDir,
    console_token: Token,
) -> Plan {
    let bus = settings.bus_address().map(|listen| BusSettings {
        two_word_exchanges: settings.two_word_exchanges.clone(),
        socket: settings.bus_socket.clone(),
        secret: settings.bus_secret.clone(),
        max_connections: settings.bus_publishers,
        known_brokers: plugins.adapters.iter().flat_map(|entry| entry.brokers.iter().cloned()).collect(),
        ..BusSettings::new(listen, run_dir.own().to_owned())
    });
    Plan {
        websocket: settings.websocket_address(),
        admin: settings.admin_address(),
        bus,
        shards: settings.shard_count(),
        console_token,
        accounts,
        connections: connection_limits(&settings),
        tls,
        session: session_policy(&settings),
        waiting_bytes: settings.waiting_bytes(),
        hub: HubSettings {
            connections_per_key: settings.max_connections_per_key,
            feed: FeedSettings {
                subscribe_timeout: settings.subscribe_timeout_ms,
                rebalance_after: settings.rebalance_seconds,
                linger: settings.feed_linger_seconds,
                shutdown: settings.shutdown_seconds / 2,
                stale_after: settings.ws_stale_tick_warn_seconds,
            },
            calendars,
            announced_brokers: settings.valid_brokers.clone(),
        },
        encode: EncodeOptions { flat_fields: settings.flat_fields, bids_asks: settings.bids_asks },
        shutdown: settings.shutdown_seconds,
        program: own_program(),
        run_dir,
        plugins,
        settings,
    }
}

/// The file of this program, which is started again for adapters: the one that runs, even if it was replaced
/// since.
pub(crate) fn own_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("tickhost"))
}

/// What somebody with a new database has to know.
#[derive(Debug)]
enum Newcomer {
    /// There is a user at the synthetic exchange, whose key is in this file.
    Demo(PathBuf),
    /// Nobody can log in yet.
    Nobody,
}

/// Makes a user at the synthetic exchange with a key, when the database is new and something serves that
/// exchange.
fn first_run(
    settings: &Settings,
    plugins: &PluginsFile,
    accounts: &Accounts,
) -> anyhow::Result<Option<Newcomer>> {
    let Ok(store) = accounts.store() else { return Ok(None) };
    if !store.users()?.is_empty() {
        return Ok(None);
    }
    let enabled = plugins.adapters.iter().filter(|entry| entry.is_enabled);
    let mut brokers = enabled.flat_map(|entry| &entry.brokers).chain(&plugins.bus.brokers);
    if !brokers.any(|broker| broker == DEMO_BROKER) {
        return Ok(Some(Newcomer::Nobody));
    }
    let file = settings.data_dir.join(DEMO_KEY_FILE);
    let keep =
        |key: &SecretString| Ok(write_private(&file, format!("{}\n", key.expose_secret()).as_bytes())?);
    store.create_first_user(DEMO_USER, DEMO_BROKER, "first run", keep)?;
    Ok(Some(Newcomer::Demo(file)))
}

/// How clients reach the client port.
fn scheme(host: &Host) -> &'static str {
    if host.live().tls.is_some() { "wss" } else { "ws" }
}

fn welcome(
    host: &Host,
    newcomer: Option<&Newcomer>,
    console_token: &Token,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let (websocket, scheme) = (from_this_machine(host.websocket_addr()), scheme(host));
    writeln!(
        out,
        "Tickhost serves {scheme}://{}; status at http://{}/status. Stop with Ctrl-C.",
        host.websocket_addr(),
        from_this_machine(host.admin_addr())
    )?;
    let program = std::env::args().next().unwrap_or_else(|| "tickhost".to_owned());
    // What is no terminal may be a file that others read, or a journal: there, a secret has no place.
    if std::io::stdout().is_terminal() {
        writeln!(out, "Console: {}", console_token.console_link(host.admin_addr()))?;
    } else {
        writeln!(out, "Console: `{program} console` prints the link")?;
    }
    if let Some(Newcomer::Nobody) = newcomer {
        writeln!(out, "First run: nobody can log in yet. For a user with an account at a broker:")?;
        writeln!(out, "  {program} user add NAME")?;
        writeln!(out, "  {program} account set NAME BROKER    (asks for what the broker wants)")?;
        writeln!(out, "  {program} key create NAME    (shown once; the host keeps only hashes)")?;
    }
    if let Some(Newcomer::Demo(file)) = newcomer {
        let url =
            if websocket.port() == 8_765 { String::new() } else { format!(" --url {scheme}://{websocket}") };
        writeln!(
            out,
            "First run: made user {DEMO_USER} at the synthetic exchange, with a key. To see ticks:"
        )?;
        writeln!(out, "  {program} tap NSE:SBIN CRYPTO:BTC_INR NSE_INDEX:NIFTY{url}")?;
        writeln!(out, "  an OpenAlgo client: {scheme}://{websocket}, api_key from {}", file.display())?;
        writeln!(out, "  {program} key create {DEMO_USER}    (another key; the host keeps only hashes)")?;
    }
    out.flush()
}

/// What the host was told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Stop,
    Reload,
}

/// SIGINT, SIGTERM and SIGHUP.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    had_terminal: bool,
}

#[cfg(unix)]
impl Signals {
    /// Listens from now on.
    fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            had_terminal: std::io::stderr().is_terminal(),
        })
    }

    /// The next one. A terminal that is closed sends the signal for a reload too; whoever closes it wants an
    /// end.
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.hangup.recv() => {
                let is_closed = self.had_terminal && !std::io::stderr().is_terminal();
                if is_closed { Signal::Stop } else { Signal::Reload }
            }
        }
    }
}

/// The interrupt of the user.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Listens from now on.
    fn listen() -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// The next one; nothing asks for a reload on this platform.
    async fn next(&mut self) -> Signal {
        // Without a way to be told, it runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Stop
    }
}
