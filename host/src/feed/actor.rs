//! The task of one feed: keeps what is desired, and makes the adapter instances follow.

mod subscriptions;

use std::{sync::Arc, time::Instant};

use rustc_hash::FxHashMap;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::{
    Command, Feed, FeedSettings, FeedSpec, FeedState, OrderSink,
    announce::Announcer,
    connection::{Connection, Consequence},
    demand::{Demand, Upstream},
    events::{CurrentCredentials, Events, InstanceEvent, InstanceReport},
    request::{Requests, Ticket},
};
use crate::{
    accounts::Accounts,
    clock,
    inbox::Inbox,
    instruments::Instruments,
    intake::Intake,
    metrics::FeedCounters,
    model::{FeedId, InstrumentId, Variant},
    plugins::AdapterInstance,
    pool::Pool,
    router::{self, RouterHandle},
    shard::ShardHandle,
};

/// What a feed's task needs of the host.
#[derive(Clone, Debug)]
pub struct FeedContext {
    /// Where ticks are gated.
    pub router: RouterHandle,
    /// Where the clients are.
    pub shards: Vec<Arc<ShardHandle>>,
    /// Where numbers come from.
    pub instruments: Arc<Instruments>,
    /// Where credentials come from.
    pub accounts: Accounts,
    /// Where order updates go.
    pub orders: Arc<dyn OrderSink>,
    /// Times.
    pub settings: FeedSettings,
}

/// Makes a feed, and the task that runs it until it ends by itself. `may_end` is asked when the last client has been
/// gone for the linger time; it takes the feed out of the registry if nobody came back.
pub fn start(
    id: FeedId,
    spec: FeedSpec,
    context: FeedContext,
    may_end: impl Fn(&Feed) -> bool + Send + 'static,
) -> (Feed, impl Future<Output = ()> + Send) {
    let counters = Arc::<FeedCounters>::default();
    let intake = Intake::new(id, Arc::clone(&counters), Arc::clone(&context.router.doorbell));
    context.router.send(router::Command::OpenFeed {
        feed: id,
        interval: spec.throttle,
        counters: Arc::clone(&counters),
        repeats_modes: spec.repeats_modes,
    });
    let pool = Pool::new(spec.limits);
    let feed = Feed::new(id, spec, counters, intake, context.settings.stale_after);
    let actor = Actor {
        feed: feed.clone(),
        context,
        pool,
        by_name: FxHashMap::default(),
        subscribed: FxHashMap::default(),
        connections: Vec::new(),
        requests: Requests::default(),
        upstream_requests: 0,
        events: Arc::default(),
        credentials: Arc::default(),
        empty_since: None,
        restarts: 0,
        announcer: Announcer::default(),
    };
    (feed, actor.run(may_end))
}

struct Actor {
    feed: Feed,
    context: FeedContext,
    pool: Pool,
    by_name: FxHashMap<(Arc<str>, Arc<str>), InstrumentId>,
    subscribed: FxHashMap<InstrumentId, Subscribed>,
    connections: Vec<Connection>,
    requests: Requests,
    /// Number of the last request to an adapter; an outcome of an earlier one than an instrument's last is outdated.
    upstream_requests: u64,
    events: Arc<Inbox<InstanceEvent>>,
    credentials: Arc<CurrentCredentials>,
    empty_since: Option<Instant>,
    restarts: u64,
    announcer: Announcer,
}

/// An instrument that somebody holds.
struct Subscribed {
    exchange: Arc<str>,
    symbol: Arc<str>,
    connection: usize,
    demand: Demand,
    upstream: Upstream,
    /// The adapter's last word: levels granted, none before it spoke.
    granted: Option<u16>,
    /// The request whose outcome is awaited.
    asked: u64,
    waiters: Vec<(Ticket, Variant)>,
}

impl Actor {
    async fn run(mut self, may_end: impl Fn(&Feed) -> bool) {
        self.fetch_credentials().await;
        self.connect(0);
        let mut commands = Vec::new();
        let mut events = Vec::new();
        loop {
            self.publish_status();
            self.announcer.announce(&self.feed, &self.context.shards);
            let deadline = self.next_deadline();
            tokio::select! {
                () = self.feed.0.commands.filled() => {}
                () = self.events.filled() => {}
                () = async {
                    match deadline {
                        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                        None => std::future::pending().await,
                    }
                } => {}
            }
            self.feed.0.commands.take(&mut commands);
            let mut is_stopped = false;
            for command in commands.drain(..) {
                match command {
                    Command::Subscribe { wants, reply } => self.subscribe(wants, reply),
                    Command::Release(keys) => self.release(&keys),
                    Command::Refresh { even_if_same } => self.refresh(even_if_same).await,
                    Command::Members => {}
                    Command::Stop => is_stopped = true,
                }
            }
            self.events.take(&mut events);
            for event in events.drain(..) {
                self.observe(event);
            }
            let now = Instant::now();
            self.restart_due(now);
            let orphaned = self.requests.complete(now);
            self.release(&orphaned);
            if is_stopped || self.is_deserted(now) && may_end(&self.feed) {
                break;
            }
        }
        self.end().await;
    }

    fn spec(&self) -> &FeedSpec {
        &self.feed.0.spec
    }

    // ---- adapter instances ----

    fn instance(&self, connection: usize) -> Option<Arc<dyn AdapterInstance>> {
        self.connections.get(connection)?.instance.clone()
    }

    /// Starts an instance for a connection, and gives it everything that belongs there.
    fn connect(&mut self, number: usize) {
        while self.connections.len() <= number {
            self.connections.push(Connection::default());
        }
        let Some(epoch) = self.connections.get(number).map(|connection| connection.epoch) else { return };
        let spec = self.spec();
        let events = Events::new(
            number,
            epoch,
            Arc::clone(&self.feed.0.intake),
            Arc::clone(&self.events),
            Arc::clone(&self.credentials),
            Arc::clone(&self.context.orders),
            spec.account.as_ref().map(|account| account.user.clone()),
            Arc::clone(&spec.broker),
        );
        let label = format!("{}/{}.{number}", spec.adapter, self.feed.id().0);
        let now = Instant::now();
        let handed: Arc<Events> = Arc::clone(&events);
        let created = spec.connector.create(&label, handed, &self.feed.0.intake).and_then(|instance| {
            self.upstream_requests += 1;
            instance.connect(self.upstream_requests)?;
            Ok(instance)
        });
        let Some(connection) = self.connections.get_mut(number) else { return };
        match created {
            Ok(instance) => connection.begin(instance.into(), events, now),
            Err(failure) => {
                tracing::error!(instance = label, error = %failure, "Could not start the adapter");
                connection.fail(&failure.to_string(), now);
                return;
            }
        }
        let mut carried: Vec<InstrumentId> = self
            .subscribed
            .iter()
            .filter(|(_, subscribed)| subscribed.connection == number && subscribed.asked != 0)
            .map(|(instrument, _)| *instrument)
            .collect();
        carried.sort_unstable();
        self.ask(&carried);
    }

    fn replace(&mut self, number: usize, reason: &str) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.fail(reason, Instant::now());
        let ended = connection.end();
        // It ends in its own time; the next instance does not wait for it.
        let _ending = self.shut_down(ended);
    }

    fn restart_due(&mut self, now: Instant) {
        for number in 0..self.connections.len() {
            let Some(connection) = self.connections.get_mut(number) else { continue };
            if connection.restart_at.is_some_and(|at| at <= now) {
                connection.restart_at = None;
                self.restarts += 1;
                self.connect(number);
            }
        }
    }

    /// Shuts an instance down in the background, off the threads that serve.
    fn shut_down(&self, instance: Option<Arc<dyn AdapterInstance>>) -> Option<JoinHandle<()>> {
        let instance = instance?;
        let deadline = self.context.settings.shutdown;
        Some(tokio::task::spawn_blocking(move || instance.shutdown(deadline)))
    }

    // ---- what the adapter says ----

    fn observe(&mut self, event: InstanceEvent) {
        let Some(connection) = self.connections.get_mut(event.connection) else { return };
        if connection.epoch != event.epoch {
            return;
        }
        match event.what {
            InstanceReport::Status(status) => {
                if connection.observe(&status, Instant::now()) == Consequence::Replace {
                    let instance = connection.end();
                    tracing::warn!(
                        adapter = %self.feed.0.spec.adapter,
                        error = %status.message,
                        "An adapter instance has ended; it will be started again"
                    );
                    let _ending = self.shut_down(instance);
                }
            }
            InstanceReport::Outcomes(request, outcomes) => {
                for outcome in outcomes {
                    self.conclude(request, &outcome);
                }
            }
        }
    }

    // ---- credentials ----

    async fn fetch_credentials(&mut self) -> bool {
        let Some(account) = self.spec().account.clone() else { return false };
        match self.context.accounts.credentials(&account).await {
            Ok(credentials) => self.credentials.replace(credentials.to_json()),
            Err(error) => {
                tracing::error!(adapter = %self.spec().adapter, %error, "Could not read the account's credentials");
                self.credentials.replace(Zeroizing::new("{}".to_owned()))
            }
        }
    }

    async fn refresh(&mut self, even_if_same: bool) {
        let differs = self.fetch_credentials().await;
        if !differs && !even_if_same {
            return;
        }
        for connection in &self.connections {
            if let Some(instance) = &connection.instance {
                instance.credentials_changed();
            }
        }
    }

    // ---- life ----

    fn is_deserted(&mut self, now: Instant) -> bool {
        if self.feed.members() > 0 {
            self.empty_since = None;
            return false;
        }
        let since = *self.empty_since.get_or_insert(now);
        now.duration_since(since) >= self.context.settings.linger
    }

    fn next_deadline(&self) -> Option<Instant> {
        let linger = self.empty_since.map(|since| since + self.context.settings.linger);
        let restart = self.connections.iter().filter_map(|connection| connection.restart_at).min();
        [linger, restart, self.requests.deadline(), self.announcer.deadline()].into_iter().flatten().min()
    }

    fn publish_status(&self) {
        let worst = self.connections.iter().max_by_key(|connection| connection.link.severity());
        let state = worst.map_or(FeedState::Starting, |connection| connection.link.feed_state());
        let mut status = self.feed.0.status.lock();
        if status.state != state {
            status.since_ns = clock::unix_nanos();
            status.state = state;
        }
        status.connections.clear();
        status.connections.extend_from_slice(self.pool.used());
        if status.instruments == 0 && !self.subscribed.is_empty() {
            status.listening_since_ns = clock::unix_nanos();
        }
        status.instruments = self.subscribed.len();
        status.last_error = worst.and_then(|connection| connection.last_error.clone());
        status.retry_at = worst.and_then(|connection| connection.restart_at.or(connection.retry_at));
        status.restarts = self.restarts;
        status.disconnects = self.connections.iter().map(|connection| connection.disconnects).sum();
    }

    async fn end(&mut self) {
        self.feed.0.intake.close();
        let ended: Vec<_> = self.connections.iter_mut().map(Connection::end).collect();
        let endings: Vec<_> = ended.into_iter().filter_map(|instance| self.shut_down(instance)).collect();
        for ending in endings {
            if ending.await.is_err() {
                tracing::error!(adapter = %self.spec().adapter, "An adapter panicked while it shut down");
            }
        }
        self.context.router.send(router::Command::CloseFeed { feed: self.feed.id() });
        #[expect(clippy::iter_over_hash_type, reason = "numbers are given back in any order")]
        for instrument in self.subscribed.keys() {
            self.context.instruments.free(*instrument);
        }
        self.feed.0.status.lock().state = FeedState::Closed;
        // Whoever asked in the last moment is answered by the drop of the reply's sender.
        self.feed.0.commands.take(&mut Vec::new());
    }
}
