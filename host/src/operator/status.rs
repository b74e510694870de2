//! What the running host says of itself at the operator's port.

use std::{
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use adapter_abi::ABI_VERSION;
use tickhost_core::{
    calendar::MarketPhase,
    feed_state::FeedState,
    metrics::{self, Families, FeedCounters, FeedSample, HostSample, ListSample, ServerCounters},
};
use tokio::sync::{Semaphore, oneshot};
use tracing::Span;

use crate::{
    accounts::{Accounts, Caller, VerifyError},
    adapters::{AdapterInstance, driver, loader},
    base::{
        blocking::{Blocking, off_thread},
        clock::{self, Clock, age_ms},
        run_dir::RunDir,
    },
    bus::BusCounters,
    clients::{
        admissions::Admissions,
        shard::{ShardCommand, ShardHandle, Survey, Surveyed},
    },
    config::Settings,
    feeds::{
        catalog::{
            Catalog,
            report::{AdapterState, AdapterStatus},
        },
        feed::{ConnectionStatus, Feed, ListReport},
        hub::Hub,
    },
    operator::admin::{
        Areas, Counts, FeedReport, Found, InstanceReport, KeptKey, Limits, LinkReport, Listeners, NotReady,
        Readiness, Reloaded, SessionCounts, StatusReport, StatusSource, Token, find_symbols, read_kept_key,
    },
};

/// A connection that is being made for longer than this is something to report.
const CONNECT_GRACE: Duration = Duration::from_secs(10);

/// Longest wait for a shard to say how its sessions are. One that is busier is left out.
const SURVEY_PATIENCE: Duration = Duration::from_millis(300);

/// Commands that may wait for a shard before it is not asked any more.
const SURVEYS_WAITING: usize = 1_024;

/// All states of a feed, in the order of the metric.
const STATES: [FeedState; 7] = [
    FeedState::Starting,
    FeedState::Connecting,
    FeedState::Live,
    FeedState::Stale,
    FeedState::AuthFailed,
    FeedState::Down,
    FeedState::Closed,
];

/// What the console needs beside the parts of a running host.
#[derive(Debug)]
pub struct Console {
    token: Token,
    accounts: Accounts,
    /// Where a key may be kept for it.
    data_dir: PathBuf,
    /// Where adapters leave the names of their instruments.
    cache_dir: PathBuf,
    /// One search at a time, as each reads files.
    searches: Arc<Semaphore>,
    /// Whether clients connect with TLS.
    is_secure: bool,
    /// Where to write what OpenAlgo's health page reads, if anywhere.
    pub(crate) stats_file: Option<PathBuf>,
}

impl Console {
    /// A console that this token opens.
    pub fn new(token: Token, accounts: &Accounts, settings: &Settings, run_dir: &RunDir) -> Self {
        Self {
            token,
            accounts: accounts.clone(),
            data_dir: settings.data_dir.clone(),
            cache_dir: run_dir.cache().to_owned(),
            searches: Arc::new(Semaphore::new(1)),
            is_secure: settings.tls_cert.is_some(),
            stats_file: settings.ws_proxy_stats_file.clone(),
        }
    }
}

/// Reads the parts of a running host.
#[derive(Debug)]
pub struct HostStatus {
    /// The host's clock.
    pub clock: Clock,
    /// Where clients connect.
    pub websocket: SocketAddr,
    /// Where the operator looks.
    pub admin: SocketAddr,
    /// Where publishers connect, and what became of what they sent; none when the bus is off.
    pub bus: Option<(SocketAddr, Arc<BusCounters>)>,
    /// Feeds and log-ins.
    pub hub: Arc<Hub>,
    /// Shards, in order of their numbers.
    pub shards: Vec<Arc<ShardHandle>>,
    /// Connections.
    pub admissions: Arc<Admissions>,
    /// What `plugins.toml` lists.
    pub catalog: Arc<Catalog>,
    /// What opens the operator's port to commands.
    pub token: Token,
    /// What the console needs.
    pub console: Console,
    /// Counters of the host.
    pub counters: Arc<ServerCounters>,
}

impl HostStatus {
    /// Notes what adapters within the host leave behind.
    fn note_what_stays(&self) {
        self.counters.instances_left_behind.set(driver::left_behind());
        self.counters.libraries_mapped.set(loader::mapped());
    }

    /// What the bus did, by area and outcome.
    fn bus_events(&self) -> Vec<(&'static str, &'static str, u64)> {
        self.bus.as_ref().map_or_else(Vec::new, |(_, counters)| {
            // What is open goes up and down; it is no counter.
            counters.snapshot().into_iter().filter(|(_, outcome, _)| *outcome != "open").collect()
        })
    }

    /// Tells `to` of all metrics as they are now.
    pub fn each_metric(&self, to: &mut dyn Families) {
        self.note_what_stays();
        let now_ns = clock::unix_nanos();
        let feeds = self.hub.feeds();
        let samples: Vec<FeedSample<'_>> = feeds
            .iter()
            .map(|feed| {
                let (status, view) = (feed.status(), feed.view(now_ns));
                FeedSample {
                    id: feed.id().0,
                    adapter: &feed.spec().adapter,
                    broker: &feed.spec().broker,
                    state: view.state.label(),
                    is_market_closed: matches!(view.market, Some(MarketPhase::Closed { .. })),
                    instruments: status.instruments as u64,
                    instruments_missing: status.lost as u64,
                    list: status.list.as_deref().map(|list| ListSample {
                        is_whole: list.is_whole,
                        instruments: list.instruments,
                        skipped: list.skipped,
                        troubles: (list.troubles.len() as u64).saturating_add(list.more_troubles),
                        fetched_at: list.fetched_at,
                        oldest_at: list.oldest_at,
                    }),
                    connections: status.connections.len() as u64,
                    sessions: feed.members() as u64,
                    disconnects: status.disconnects,
                    restarts: status.restarts,
                    counters: feed.counters(),
                }
            })
            .collect();
        let host = HostSample {
            version: env!("CARGO_PKG_VERSION"),
            abi_version: ABI_VERSION,
            uptime: self.clock.uptime(),
            sessions: self.sessions().into_iter().sum::<usize>() as u64,
            connections: self.admissions.open() as u64,
            connections_without_key: self.admissions.without_key() as u64,
            counters: &self.counters,
            bus: self.bus_events(),
            keys: self.console.accounts.counters(),
        };
        metrics::walk(&host, &samples, &STATES.map(FeedState::label), to);
    }

    fn sessions(&self) -> Vec<usize> {
        self.shards.iter().map(|shard| shard.sessions.load(Ordering::Relaxed)).collect()
    }
}

impl StatusSource for HostStatus {
    fn token(&self) -> &Token {
        &self.token
    }

    fn console_token(&self) -> &Token {
        &self.console.token
    }

    fn counters(&self) -> Arc<ServerCounters> {
        Arc::clone(&self.counters)
    }

    fn websocket(&self) -> SocketAddr {
        self.websocket
    }

    fn is_secure(&self) -> bool {
        self.console.is_secure
    }

    fn feed_counters(&self) -> Vec<(u32, Arc<FeedCounters>)> {
        self.hub.feeds().iter().map(|feed| (feed.id().0, Arc::clone(feed.counters()))).collect()
    }

    fn clients(&self, most: usize) -> Pin<Box<dyn Future<Output = Surveyed> + Send>> {
        let asked: Vec<oneshot::Receiver<Surveyed>> = self
            .shards
            .iter()
            .map(|shard| {
                let (reply, answer) = oneshot::channel();
                // One that is too far behind is left out.
                _ = shard.commands.try_push(ShardCommand::Survey(Survey { most, reply }), SURVEYS_WAITING);
                answer
            })
            .collect();
        Box::pin(async move {
            let (mut all, deadline) = (Surveyed::default(), tokio::time::Instant::now() + SURVEY_PATIENCE);
            for answer in asked {
                if let Ok(Ok(surveyed)) = tokio::time::timeout_at(deadline, answer).await {
                    all.merge(surveyed, most);
                }
            }
            all
        })
    }

    fn streams(&self) -> u64 {
        self.counters.streams.get()
    }

    fn symbols(&self, text: String) -> Pin<Box<dyn Future<Output = Found> + Send>> {
        let (cache_dir, searches) = (self.console.cache_dir.clone(), Arc::clone(&self.console.searches));
        Box::pin(async move {
            let _turn = searches.acquire_owned().await;
            let found = off_thread(move |_| find_symbols(&cache_dir, &text)).await;
            found.unwrap_or_default()
        })
    }

    fn kept_key(&self) -> Pin<Box<dyn Future<Output = KeptKey> + Send>> {
        let (accounts, data_dir) = (self.console.accounts.clone(), self.console.data_dir.clone());
        Box::pin(async move {
            let read = off_thread(move |_| read_kept_key(&data_dir)).await;
            let (file, key) = match read {
                Ok(Ok(Some(found))) => found,
                Ok(Ok(None)) => return KeptKey::None,
                Ok(Err(error)) => return KeptKey::Unusable(error.to_string()),
                Err(_) => return KeptKey::Unusable("the host is stopping".to_owned()),
            };
            match accounts.verify_key(&key, Caller::HOST).await {
                Ok(_) => KeptKey::Found(key),
                Err(VerifyError::Unknown | VerifyError::Revoked) => KeptKey::Unusable(format!(
                    "the key in {file} is not valid any more: write another one there, or remove the file"
                )),
                Err(error) => KeptKey::Unusable(format!("the key in {file} could not be checked: {error}")),
            }
        })
    }

    fn reload(&self, adapter: String) -> Pin<Box<dyn Future<Output = Reloaded> + Send>> {
        let (catalog, hub) = (Arc::clone(&self.catalog), Arc::clone(&self.hub));
        Box::pin(async move {
            // What takes so long belongs to the request.
            let span = Span::current();
            let look = move |_: &Blocking| {
                if !catalog.statuses().iter().any(|status| status.name == adapter)
                    && !catalog.may_list(&adapter)
                {
                    return Reloaded::Unknown;
                }
                span.in_scope(|| {
                    let mut outcome = catalog.reconcile(Some(&adapter), &hub);
                    // After it, so that a feed asks the instances of the new build too; and whatever came of
                    // it, since a build that stays may have half a list.
                    let feeds = hub.feeds().into_iter().filter(|feed| *feed.spec().adapter == *adapter);
                    outcome.lists_asked = feeds.inspect(Feed::renew_lists).count();
                    Reloaded::Done(outcome)
                })
            };
            off_thread(look).await.unwrap_or(Reloaded::Failed)
        })
    }

    fn status(&self) -> StatusReport {
        let now_ns = clock::unix_nanos();
        let by_shard = self.sessions();
        let connections = self.admissions.limits();
        self.note_what_stays();
        let mut counters = Vec::new();
        self.counters.each(|name, _, _, value| counters.push((name, value)));
        StatusReport {
            version: env!("CARGO_PKG_VERSION"),
            abi_version: ABI_VERSION,
            uptime_seconds: self.clock.uptime().as_secs(),
            listeners: Listeners {
                websocket: self.websocket,
                bus: self.bus.as_ref().map(|(address, _)| *address),
                admin: self.admin,
            },
            feeds: self.hub.feeds().iter().map(|feed| report(feed, now_ns)).collect(),
            adapters: self.catalog.statuses(),
            plugins_error: self.catalog.file_error().map(|error| error.to_string()),
            sessions: SessionCounts {
                connections: self.admissions.open(),
                without_key: self.admissions.without_key(),
                total: by_shard.iter().sum(),
                by_shard,
            },
            accounts_changes: self.console.accounts.noticed(),
            limits: Limits {
                connections: connections.total,
                connections_per_address: connections.per_address,
                connections_per_key: self.hub.connections_per_key(),
            },
            counters: Counts(counters),
            refusals: Counts(self.counters.refusals.each().collect()),
            bus: Areas(self.bus_events()),
        }
    }

    fn ready(&self) -> Readiness {
        let now_ns = clock::unix_nanos();
        let feeds = self.hub.feeds();
        // Nobody needs to log in to find out that a broker cannot be served.
        let adapters = self.catalog.statuses().into_iter().filter_map(without_library);
        let of_feeds =
            feeds.iter().flat_map(|feed| complaint(feed, now_ns).into_iter().chain(incomplete_list(feed)));
        Readiness::new(adapters.chain(of_feeds).collect())
    }

    fn render_metrics(&self, out: &mut String) {
        self.each_metric(&mut metrics::Page::new(out));
    }
}

fn report(feed: &Feed, now_ns: u64) -> FeedReport {
    let (spec, status, counters) = (feed.spec(), feed.status(), feed.counters());
    let (view, now) = (feed.view(now_ns), Instant::now());
    let facts = view.facts(&spec.broker, now_ns, now);
    let instruments = feed.counts();
    let mut counts = Vec::new();
    counters.each(|name, _, _, value| counts.push((name, value)));
    FeedReport {
        id: feed.id().0,
        broker: spec.broker.to_string(),
        adapter: spec.adapter.to_string(),
        user: spec.account.as_ref().map(|account| account.user.as_str().to_owned()),
        state: view.state.label(),
        state_age_ms: facts.state_age_ms,
        last_tick_age_ms: facts.last_tick_age_ms,
        last_error: status.last_error.map(|error| error.to_string()),
        sessions: feed.members(),
        instruments: status.instruments,
        active: instruments.active,
        pending: instruments.pending,
        lost: status.lost,
        list_trouble: status.list.as_deref().and_then(ListReport::trouble),
        list: status.list.as_deref().cloned(),
        capacity: status.capacity,
        market: facts.market,
        opens_in_ms: facts.opens_in_ms,
        attempts: status.attempts,
        retry_in_ms: facts.retry_in_ms,
        connections: status.connections.iter().map(|connection| connection.instruments).collect(),
        links: status.connections.iter().map(|connection| link_report(connection, now_ns, now)).collect(),
        disconnects: status.disconnects,
        restarts: status.restarts,
        instances: status.instances.iter().filter_map(instance_report).collect(),
        counters: Counts(counts),
    }
}

fn link_report(connection: &ConnectionStatus, now_ns: u64, now: Instant) -> LinkReport {
    let retry_in = connection.retry_at.map(|at| at.saturating_duration_since(now).as_millis());
    let last_tick_ns = connection.last_tick_ns.as_ref().map_or(0, |last| last.get());
    LinkReport {
        connection: connection.number,
        state: connection.state.label(),
        state_age_ms: age_ms(connection.since_ns, now_ns),
        last_tick_age_ms: age_ms(last_tick_ns, now_ns),
        instruments: connection.instruments,
        attempts: connection.attempts,
        retry_in_ms: retry_in.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
        last_error: connection.last_error.as_ref().map(ToString::to_string),
    }
}

fn instance_report((connection, instance): &(usize, Weak<dyn AdapterInstance>)) -> Option<InstanceReport> {
    let instance = instance.upgrade()?;
    let (health, usage) = (instance.health(), instance.usage());
    Some(InstanceReport {
        connection: *connection,
        pid: usage.map(|usage| usage.pid).filter(|pid| *pid != 0),
        resident_bytes: usage.map(|usage| usage.resident_bytes),
        descriptors: usage.map(|usage| usage.descriptors),
        published: health.published,
        undecodable: health.undecodable,
        connects: health.connects,
    })
}

/// What is wrong with a feed that should be live. To connect takes a moment; closed is an end that was asked
/// for.
fn complaint(feed: &Feed, now_ns: u64) -> Option<NotReady> {
    let (status, view) = (feed.status(), feed.view(now_ns));
    let state = view.state;
    let message = match state {
        FeedState::Live | FeedState::Closed => return None,
        FeedState::Starting | FeedState::Connecting => {
            let since = Duration::from_millis(age_ms(status.since_ns, now_ns).unwrap_or(0));
            if since < CONNECT_GRACE {
                return None;
            }
            format!("connecting for {} s", since.as_secs())
        }
        FeedState::Stale => view.message(now_ns),
        FeedState::AuthFailed => "the broker refused the credentials: set new ones".to_owned(),
        FeedState::Down => "the adapter failed and will be started again".to_owned(),
    };
    let message = match status.last_error {
        Some(error) => format!("{message} ({error})"),
        None => message,
    };
    Some(NotReady {
        feed: Some(feed.id().0),
        adapter: None,
        broker: feed.spec().broker.to_string(),
        state: state.label(),
        message,
    })
}

/// What is wrong with the list of instruments of a feed: whoever asks for what it lacks is refused.
fn incomplete_list(feed: &Feed) -> Option<NotReady> {
    let status = feed.status();
    let message = status.list.as_deref().and_then(ListReport::trouble)?;
    Some(NotReady {
        feed: Some(feed.id().0),
        adapter: Some(feed.spec().adapter.to_string()),
        broker: feed.spec().broker.to_string(),
        state: "list_incomplete",
        message,
    })
}

/// What is wrong with an adapter that is switched on and not loaded.
fn without_library(adapter: AdapterStatus) -> Option<NotReady> {
    (adapter.state == AdapterState::Failed).then(|| NotReady {
        feed: None,
        adapter: Some(adapter.name),
        broker: adapter.brokers.join(", "),
        state: adapter.state.label(),
        message: adapter.error.unwrap_or_default(),
    })
}
