//! Builds every stage, wires them, and owns the order of start and stop.
//!
//! Start: shards, router, feeds' hub, bus, operator's port, client port last. Stop: client port, sessions (a
//! close frame each), feeds (adapters shut down within the deadline), bus, router, operator's port.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, thread::JoinHandle, time::Duration};

use arc_swap::ArcSwap;
use tickhost_core::{
    mailbox::Mailbox,
    metrics::ServerCounters,
    protocol::encode::EncodeOptions,
    router::{MAX_SHARDS, Router, RouterHandle},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::Accounts,
    adapters::{connector::Connector, journal::Journal, process::ProcessSettings},
    base::{
        blocking::{self, off_thread},
        clock::Clock,
        run_dir::RunDir,
    },
    bus::{Bus, BusError, BusSettings},
    clients::{
        admissions::{Admissions, ConnectionLimits},
        listener,
        memory::WaitingMemory,
        session::{self, SessionContext, SessionPolicy},
        shard::{self, ShardCommand, ShardHandle},
        tls::{self, Handshakes, Tls},
        upgrade::Refusals,
    },
    config::{PluginsFile, Settings},
    feeds::{
        bulletin::Recipient,
        bus_feed::{BusConnector, BusDirectory, BusRouter},
        catalog::{self, Catalog, Loader},
        hub::{Hub, HubSettings},
        routing,
    },
    operator::{
        admin,
        status::{self, HostStatus},
    },
};

/// Everything that a host needs to know before it starts.
#[derive(Debug)]
pub struct Plan {
    /// Client port; port 0 takes any free one.
    pub websocket: SocketAddr,
    /// Operator's port.
    pub admin: SocketAddr,
    /// The bus, none when it is switched off.
    pub bus: Option<BusSettings>,
    /// Threads for sessions, at least 1.
    pub shards: usize,
    /// Users, keys, credentials.
    pub accounts: Accounts,
    /// What opens the console.
    pub console_token: admin::Token,
    /// What `plugins.toml` lists.
    pub plugins: PluginsFile,
    /// Everything that the adapters' catalogue needs to look at the file again.
    pub settings: Settings,
    /// The host's own program, which is started for adapters.
    pub program: PathBuf,
    /// Directory that only this user can enter.
    pub run_dir: RunDir,
    /// Limits on connections.
    pub connections: ConnectionLimits,
    /// The certificate of the client port; none when it is not encrypted.
    pub tls: Option<Tls>,
    /// Bytes that may wait for all clients together.
    pub waiting_bytes: usize,
    /// Limits and times of sessions, and who may what.
    pub session: SessionPolicy,
    /// Limits and times of feeds.
    pub hub: HubSettings,
    /// Shape of market-data frames.
    pub encode: EncodeOptions,
    /// Longest time that a stop may take.
    pub shutdown: Duration,
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port could not be opened.
    #[error(
        "cannot listen on {address} ({setting}): {reason}; is another program, or another tickhost, using it?"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The setting that says so.
        setting: &'static str,
        /// Why.
        reason: io::Error,
    },
    /// The bus could not be opened.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The file for commands could not be written.
    #[error("cannot write how commands reach the host to {}: {source}", directory.display())]
    Control {
        /// The run directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

/// What of a running host follows the settings. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Live {
    /// What new sessions begin with.
    pub sessions: Arc<SessionContext>,
    /// Limits on connections.
    pub admissions: Arc<Admissions>,
    /// The certificate of the client port.
    pub tls: Option<Tls>,
    /// Adapters.
    pub catalog: Arc<Catalog>,
    /// Feeds.
    pub hub: Arc<Hub>,
}

/// A running host.
#[derive(Debug)]
pub struct Host {
    websocket: SocketAddr,
    admin: SocketAddr,
    bus: Option<Bus>,
    hub: Arc<Hub>,
    catalog: Arc<Catalog>,
    shards: Vec<Arc<ShardHandle>>,
    threads: Vec<JoinHandle<()>>,
    tasks: JoinSet<()>,
    stop_accepting: CancellationToken,
    stop_serving: CancellationToken,
    deadline: Duration,
    live: Live,
    status: Arc<HostStatus>,
    _control: admin::ControlFile,
    _run_dir: RunDir,
}

impl Host {
    /// Starts a host, whose tasks run on the runtime that this is called in. Returns when clients can
    /// connect.
    ///
    /// # Errors
    /// [`StartError`]; nothing keeps running then.
    pub fn start(plan: Plan) -> Result<Self, StartError> {
        let clock = Clock::start();
        let client_port = listen(plan.websocket, "WEBSOCKET_HOST, WEBSOCKET_PORT")?;
        let admin_port = listen(plan.admin, "TICKHOST_ADMIN_HOST, TICKHOST_ADMIN_PORT")?;
        let (websocket, admin) =
            (address_of(&client_port, plan.websocket), address_of(&admin_port, plan.admin));
        let run_dir = plan.run_dir;
        let token = admin::Token::generate();
        let (control, commands) = open_to_commands(&run_dir, admin, &token)?;

        let counters = Arc::<ServerCounters>::default();
        let calendars = plan.hub.calendars.clone();
        let router = RouterHandle::new();
        let shards: Vec<Arc<ShardHandle>> =
            (0..plan.shards.clamp(1, MAX_SHARDS)).map(|_| ShardHandle::new()).collect();
        let directory = Arc::<BusDirectory>::default();
        let bus_source = bus_source(plan.bus.is_some(), &directory);
        let hub = Hub::new(
            plan.accounts.clone(),
            router.clone(),
            shards.iter().map(|shard| Arc::clone(shard) as Arc<dyn Recipient>).collect(),
            bus_source,
            plan.hub,
            Arc::clone(&counters),
        );
        hub.run_on(tokio::runtime::Handle::current());

        let (stop_serving, stop_accepting) = (CancellationToken::new(), CancellationToken::new());
        let context = Arc::new(SessionContext {
            hub: Arc::clone(&hub),
            policy: ArcSwap::from_pointee(plan.session),
            counters: Arc::clone(&counters),
            memory: WaitingMemory::new(plan.waiting_bytes, Arc::clone(&counters)),
            refusals: Refusals::new(Arc::clone(&counters)),
        });
        let mailboxes: Vec<Arc<Mailbox>> = shards.iter().map(|shard| Arc::clone(&shard.mailbox)).collect();
        let core = Router::new(&mailboxes, plan.encode, Arc::clone(&counters), calendars);
        let routing = routing::run(core, router.clone(), clock, stop_serving.clone());
        let sink = BusRouter::new(directory, Arc::clone(&hub));
        let mut threads = start_shards(&shards, &router, &context)?;
        // Bus and router share a thread: a tick then wakes one other on its way, that of its clients.
        let (thread, runtime) = on_own_thread("router", move || routing)?;
        threads.push(thread);
        let bus = plan.bus.map(|settings| Bus::start_on(&runtime, settings, Box::new(sink))).transpose()?;

        let console = status::Console::new(plan.console_token, &plan.accounts, &plan.settings, &run_dir);
        let processes = ProcessSettings::new(plan.program, &run_dir, runtime);
        let catalog =
            Catalog::new(plan.settings, Loader::new(Arc::new(processes), Journal::new(run_dir.base())));
        catalog.begin(&plan.plugins, &hub);

        let mut tasks = JoinSet::new();
        tasks.spawn(catalog::watch::run(Arc::clone(&catalog), Arc::clone(&hub), stop_serving.clone()));
        tasks.spawn(follow_accounts(plan.accounts, Arc::clone(&hub), stop_serving.clone()));
        tasks.spawn(Arc::clone(&hub).follow_invalidations(stop_serving.clone()));
        let admissions = Admissions::new(plan.connections, Arc::clone(&counters));
        let status = Arc::new(HostStatus {
            token,
            console,
            clock,
            websocket,
            admin,
            bus: bus.as_ref().map(|bus| (bus.local_addr(), bus.counters())),
            hub: Arc::clone(&hub),
            shards: shards.clone(),
            admissions: Arc::clone(&admissions),
            catalog: Arc::clone(&catalog),
            counters: Arc::clone(&counters),
        });
        tasks.spawn(serve_operator(admin_port, commands, Arc::clone(&status), stop_serving.clone()));
        let live = Live {
            sessions: Arc::clone(&context),
            admissions: Arc::clone(&admissions),
            tls: plan.tls,
            catalog: Arc::clone(&catalog),
            hub: Arc::clone(&hub),
        };
        let mut handshakes = None;
        if let Some(tls) = &live.tls {
            let (thread, made) = encrypt(tls, &context.refusals, &stop_accepting, stop_serving.clone())?;
            threads.push(thread);
            handshakes = Some(made);
            tasks.spawn(tls::follow(tls.clone(), stop_serving.clone()));
        }
        let (until, refusals) = (stop_accepting.clone(), Arc::clone(&context.refusals));
        tasks.spawn(listener::accept(client_port, shards.clone(), admissions, handshakes, refusals, until));
        Ok(Self {
            websocket,
            admin,
            bus,
            hub,
            catalog,
            shards,
            threads,
            tasks,
            stop_accepting,
            stop_serving,
            deadline: plan.shutdown,
            live,
            status,
            _control: control,
            _run_dir: run_dir,
        })
    }

    /// Where clients connect.
    pub const fn websocket_addr(&self) -> SocketAddr {
        self.websocket
    }

    /// What follows the settings while the host runs.
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// What the host says of itself.
    pub const fn status(&self) -> &Arc<HostStatus> {
        &self.status
    }

    /// Where the operator looks.
    pub const fn admin_addr(&self) -> SocketAddr {
        self.admin
    }

    /// Where publishers connect.
    pub fn bus_addr(&self) -> Option<SocketAddr> {
        self.bus.as_ref().map(Bus::local_addr)
    }

    /// Stops in order, within the deadline of the plan; what did not end in time is left behind and logged.
    pub async fn shut_down(self) {
        let Self {
            bus,
            hub,
            catalog,
            shards,
            threads,
            mut tasks,
            stop_accepting,
            stop_serving,
            deadline,
            ..
        } = self;
        let stopping = async {
            stop_accepting.cancel();
            shards.iter().for_each(|shard| shard.commands.push(ShardCommand::Drain));
            while shards.iter().any(|shard| shard.sessions.load(std::sync::atomic::Ordering::Relaxed) > 0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            hub.stop_feeds().await;
            if off_thread(move |_| catalog.trust_in_process()).await.is_err() {
                tracing::error!("The marks of adapters in this process could not be taken away");
            }
            if let Some(bus) = bus {
                let stopped = off_thread(move |_| bus.stop(deadline)).await;
                if stopped.is_err() {
                    tracing::error!("The bus did not stop cleanly");
                }
            }
            stop_serving.cancel();
            let joined =
                off_thread(move |_| threads.into_iter().map(JoinHandle::join).all(|end| end.is_ok()));
            if !joined.await.unwrap_or(false) {
                tracing::error!("A thread had panicked");
            }
            while tasks.join_next().await.is_some() {}
        };
        if tokio::time::timeout(deadline, stopping).await.is_err() {
            tracing::warn!(
                deadline_ms = deadline.as_millis(),
                "Not everything stopped in time; leaving it behind"
            );
        }
    }
}

fn listen(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    listener::bind(address).map_err(|reason| StartError::Listen { address, setting, reason })
}

/// Lets commands of this user reach the host.
fn open_to_commands(
    run_dir: &RunDir,
    admin: SocketAddr,
    token: &admin::Token,
) -> Result<(admin::ControlFile, Option<admin::PrivateSocket>), StartError> {
    // First: who finds the file tries the socket.
    let socket = admin::PrivateSocket::listen(run_dir.base());
    let file = admin::ControlFile::write(run_dir.base(), admin, token)
        .map_err(|source| StartError::Control { directory: run_dir.base().to_owned(), source })?;
    Ok((file, socket))
}

fn address_of(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

fn start_shards(
    shards: &[Arc<ShardHandle>],
    router: &RouterHandle,
    context: &Arc<SessionContext>,
) -> Result<Vec<JoinHandle<()>>, StartError> {
    let start = |(number, handle): (usize, &Arc<ShardHandle>)| {
        let (handle, router, context) = (Arc::clone(handle), router.clone(), Arc::clone(context));
        let counters = Arc::clone(&context.counters);
        let serve = move |shard, arrival| session::run(shard, Arc::clone(&context), arrival);
        let shard = move || shard::run(number, handle, router, counters, serve);
        Ok(on_own_thread(&format!("shard-{number}"), shard)?.0)
    };
    shards.iter().enumerate().map(start).collect()
}

fn bus_source(is_on: bool, directory: &Arc<BusDirectory>) -> Result<Arc<dyn Connector>, Arc<str>> {
    if is_on {
        Ok(Arc::new(BusConnector(Arc::clone(directory))))
    } else {
        Err("the bus is switched off (TICKHOST_BUS)".into())
    }
}

/// Makes handshakes on a thread of their own until `stop`; the thread ends with `end`.
fn encrypt(
    tls: &Tls,
    refusals: &Arc<Refusals>,
    stop: &CancellationToken,
    end: CancellationToken,
) -> Result<(JoinHandle<()>, Handshakes), StartError> {
    let (thread, runtime) = on_own_thread("tls", move || async move { end.cancelled().await })?;
    Ok((thread, Handshakes::new(tls.clone(), runtime, Arc::clone(refusals), stop.clone())))
}

/// Runs a future that needs no other thread on a thread of its own, and gives the runtime there.
fn on_own_thread<F>(
    name: &str,
    future: impl FnOnce() -> F + Send + 'static,
) -> Result<(JoinHandle<()>, tokio::runtime::Handle), StartError>
where
    F: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(shard::on_park)
        .on_thread_unpark(shard::on_unpark)
        .build();
    let runtime = runtime.map_err(StartError::Thread)?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name(name.to_owned());
    let thread = thread
        .spawn(move || {
            blocking::serve_here();
            runtime.block_on(future());
        })
        .map_err(StartError::Thread)?;
    Ok((thread, handle))
}

async fn serve_operator(
    port: TcpListener,
    commands: Option<admin::PrivateSocket>,
    status: Arc<HostStatus>,
    stop: CancellationToken,
) {
    let stats_file = status.console.stats_file.clone();
    let source: Arc<dyn admin::StatusSource> = status;
    let keeping = async {
        if let Some(path) = stats_file {
            admin::keep_stats_file(path, Arc::clone(&source), stop.clone()).await;
        }
    };
    tokio::join!(admin::serve(port, commands, Arc::clone(&source), stop.clone()), keeping);
}

async fn follow_accounts(accounts: Accounts, hub: Arc<Hub>, stop: CancellationToken) {
    let mut changes = accounts.changes();
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
        hub.follow_accounts().await;
    }
}
