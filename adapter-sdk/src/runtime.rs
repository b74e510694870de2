//! The life of one instance, on its own thread: connect, subscribe, pump packets, lose the connection, start
//! over.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use adapter_abi::{ErrorCode, StatusEvent, StatusKind, abi_stable::std_types::RSlice};
use futures_util::FutureExt as _;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use crate::{
    Adapter, AdapterError, Connection, Credentials, ListChanges, ListReporter, Manifest, Subscription,
    TickSink,
    backoff::Pauses,
    instance::Health,
    sink::{Handle, outcome_of, unix_nanos},
};

/// Attempts with credentials that the broker refused; a second one, since brokers err during their nightly
/// change.
const AUTH_ATTEMPTS: u32 = 2;

/// Packets taken in one turn when they are there already, before the host gets the batch and the commands
/// their turn.
const PACKETS_PER_TURN: usize = 64;

/// Longest silence of the loop itself, so that a watchdog can tell a quiet market from a stuck adapter.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Longest time for a goodbye to the broker; less when the instance is to end sooner.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// From a change of the list until the host is told once more: an adapter may tell of a list before it
/// answers by it, and what the host asked for in between was answered by the old one.
const LIST_SETTLES: Duration = Duration::from_secs(1);

/// Says that the instance is to end, and how long a goodbye to the broker may take.
pub(crate) type Stop = watch::Receiver<Option<Duration>>;

/// Waits until the instance is to end, and gives the time for a goodbye.
///
/// # Cancel Safety
/// Nothing is lost: who waits again learns it at once.
async fn told_to_stop(stop: &mut Stop) -> Duration {
    let told = stop.wait_for(Option::is_some).await.ok().and_then(|told| *told);
    // Who could say so is gone.
    told.unwrap_or_default().min(CLOSE_TIMEOUT)
}

/// What the host asks.
#[derive(Debug)]
pub(crate) enum Command {
    Connect(u64),
    Subscribe(u64, Vec<Subscription>),
    Unsubscribe(Vec<u32>),
    CredentialsChanged,
}

/// Runs an instance until it is stopped, or fails for good.
pub(crate) fn run<A: Adapter>(
    adapter: A,
    manifest: &Manifest,
    host: Handle,
    lists: ListReporter,
    commands: mpsc::Receiver<Command>,
    stop: Stop,
    health: &Arc<Health>,
) -> Result<(), AdapterError> {
    // From here on a watchdog waits for the loop: an adapter may block the thread in its first connect
    // already.
    health.last_turn_ts_ns.store(unix_nanos(), Ordering::Relaxed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| AdapterError::unavailable(format!("cannot start a runtime: {error}")))?;
    let sink = TickSink::new(host.clone(), Arc::clone(health));
    let turning = Arc::clone(health);
    let life = Life {
        adapter,
        pauses: Pauses::new(manifest.backoff),
        host,
        commands,
        health: Arc::clone(health),
        sink,
        lists: Lists::new(lists),
        desired: Desired::default(),
        refused: None,
        request: 0,
        stop: stop.clone(),
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = life.end_in_time(stop) => ended,
            never = turn(&turning) => match never {},
        }
    });
    // What an adapter computes on a thread of its own, such as a list that is being read, must not delay the
    // end.
    runtime.shutdown_background();
    ended
}

/// Says that the loop turns, whatever the adapter waits for: only what blocks the thread is a hang.
async fn turn(health: &Health) -> Infallible {
    loop {
        health.last_turn_ts_ns.store(unix_nanos(), Ordering::Relaxed);
        tokio::time::sleep(HEARTBEAT).await;
    }
}

struct Life<A: Adapter> {
    adapter: A,
    pauses: Pauses,
    host: Handle,
    commands: mpsc::Receiver<Command>,
    health: Arc<Health>,
    sink: TickSink,
    lists: Lists,
    desired: Desired,
    /// Credentials that the broker refused, and how often.
    refused: Option<(Credentials, u32)>,
    /// The request that the next status answers.
    request: u64,
    stop: Stop,
}

/// Everything that the host wants.
#[derive(Debug, Default)]
struct Desired {
    /// What the adapter knows to exist, by number.
    known: BTreeMap<u32, Subscription>,
    /// Requests that came before the adapter was prepared to say what exists.
    waiting: Vec<(u64, Vec<Subscription>)>,
    is_prepared: bool,
}

/// Another list of instruments that comes into force.
#[derive(Debug)]
struct Lists {
    reporter: ListReporter,
    changes: ListChanges,
    settles_at: Option<Instant>,
}

impl Lists {
    fn new(reporter: ListReporter) -> Self {
        Self { changes: reporter.changes(), reporter, settles_at: None }
    }

    /// Waits until another list has been in force for [`LIST_SETTLES`].
    ///
    /// # Cancel Safety
    /// A change that is not returned stays.
    async fn settled(&mut self) {
        let at = if let Some(at) = self.settles_at {
            at
        } else {
            self.changes.next().await;
            *self.settles_at.insert(Instant::now() + LIST_SETTLES)
        };
        tokio::time::sleep_until(at).await;
        self.settles_at = None;
    }
}

/// Why the present connection, or the attempt to make one, ended.
enum Ended {
    Failed(AdapterError),
    /// New credentials: connect again with them.
    Refreshed,
    /// The host is gone, or has no use for the instance any more: time for a goodbye.
    Abandoned(Duration),
}

impl<A: Adapter> Life<A> {
    /// Lives until it fails for good or is told to stop. A connection that is up ends with a goodbye to the
    /// broker; whatever else the adapter waits for then is dropped, and a goodbye that takes too long too.
    async fn end_in_time(self, mut stop: Stop) -> Result<(), AdapterError> {
        let is_up = Arc::clone(&self.health);
        let life = self.live();
        tokio::pin!(life);
        let limit = tokio::select! {
            // A connection that is up hears of the end itself.
            biased;
            limit = told_to_stop(&mut stop) => limit,
            ended = &mut life => return ended,
        };
        if !is_up.connected.load(Ordering::Relaxed) {
            return Ok(());
        }
        tokio::time::timeout(limit, life).await.unwrap_or(Ok(()))
    }

    async fn live(mut self) -> Result<(), AdapterError> {
        loop {
            match self.commands.recv().await {
                Some(Command::Connect(request)) => {
                    self.request = request;
                    break;
                }
                Some(command) => {
                    self.handle_offline(command);
                }
                None => return Ok(()),
            }
        }
        loop {
            let started = Instant::now();
            let mut lasted = Duration::ZERO;
            let ended = match self.connect().await {
                Ok(connection) => {
                    let ended = self.serve(connection).await;
                    self.settle();
                    lasted = started.elapsed();
                    ended
                }
                Err(ended) => ended,
            };
            self.health.connected.store(false, Ordering::Relaxed);
            match ended {
                Ended::Failed(error) if error.code() == ErrorCode::CONFIG => return Err(error),
                Ended::Failed(error) => {
                    if !self.pause(&error, lasted).await {
                        return Ok(());
                    }
                }
                Ended::Refreshed => {}
                Ended::Abandoned(_) => return Ok(()),
            }
        }
    }

    async fn connect(&mut self) -> Result<A::Connection, Ended> {
        self.report(StatusKind::CONNECTING, None, Duration::ZERO);
        let credentials = Credentials::from_json(self.host.0.credentials().as_str());
        let Self { adapter, commands, desired, host, .. } = &mut *self;
        let mut note = |command| desired.note(adapter, host, command);
        let outcome = match meanwhile(adapter.prepare(&credentials), commands, &mut note).await? {
            Ok(()) => {
                desired.be_prepared(adapter, host);
                let mut note = |command| desired.note(adapter, host, command);
                meanwhile(adapter.connect(&credentials), commands, &mut note).await?
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(connection) => {
                self.refused = None;
                self.health.connects.fetch_add(1, Ordering::Relaxed);
                Ok(connection)
            }
            Err(error) => {
                if error.code() == ErrorCode::AUTH {
                    let before = self.refused.take().filter(|(refused, _)| refused.is_same(&credentials));
                    self.refused = Some((credentials, before.map_or(1, |(_, attempts)| attempts + 1)));
                }
                Err(Ended::Failed(error))
            }
        }
    }

    async fn serve(&mut self, mut connection: A::Connection) -> Ended {
        self.health.connected.store(true, Ordering::Relaxed);
        self.report(StatusKind::CONNECTED, None, Duration::ZERO);
        let everything: Vec<Subscription> = self.desired.known.values().cloned().collect();
        if !everything.is_empty()
            && let Err(error) = connection.subscribe(&everything, &mut self.sink).await
        {
            return Ended::Failed(error);
        }
        self.settle();
        loop {
            let turn = tokio::select! {
                biased;
                limit = told_to_stop(&mut self.stop) => Err(Ended::Abandoned(limit)),
                command = self.commands.recv() => match command {
                    Some(Command::CredentialsChanged) => Err(Ended::Refreshed),
                    Some(command) => self.handle_online(command, &mut connection).await.map_err(Ended::Failed),
                    None => Err(Ended::Abandoned(CLOSE_TIMEOUT)),
                },
                () = self.lists.settled() => {
                    self.lists.reporter.repeat();
                    Ok(())
                }
                packet = connection.next(&mut self.sink) => match packet {
                    Ok(()) => {
                        self.health.last_packet_ts_ns.store(unix_nanos(), Ordering::Relaxed);
                        more(&mut connection, &mut self.sink).map_err(Ended::Failed)
                    }
                    Err(error) => Err(Ended::Failed(error)),
                },
            };
            self.settle();
            if let Err(ended) = turn {
                let limit = match &ended {
                    Ended::Failed(_) => return ended,
                    Ended::Refreshed => CLOSE_TIMEOUT,
                    Ended::Abandoned(limit) => *limit,
                };
                // A broker that does not take the goodbye must not delay the new connection, or the end.
                let _late = tokio::time::timeout(limit, connection.close()).await;
                return ended;
            }
        }
    }

    /// Ends a turn: the host gets what was gathered, and what the broker refused is not asked for after a
    /// reconnect.
    fn settle(&mut self) {
        self.sink.flush();
        self.forget_refused();
    }

    fn forget_refused(&mut self) {
        for instrument in self.sink.take_refused() {
            self.desired.known.remove(&instrument);
        }
    }

    /// Reports a failure and waits for the next attempt. False when the host is gone.
    async fn pause(&mut self, error: &AdapterError, lasted: Duration) -> bool {
        let is_refused = error.code() == ErrorCode::AUTH
            && self.refused.as_ref().is_none_or(|(_, attempts)| *attempts >= AUTH_ATTEMPTS);
        let pause = self.pauses.after_failure(lasted, error.code() == ErrorCode::RATE_LIMITED);
        let kind = if is_refused { StatusKind::AUTH_FAILED } else { StatusKind::DISCONNECTED };
        let retry_in = if is_refused { Duration::ZERO } else { pause };
        tracing::warn!(%error, retry_in_ms = retry_in.as_millis(), "Not connected");
        self.report(kind, Some(error), retry_in);
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::CredentialsChanged) => return true,
                    Some(command) => self.handle_offline(command),
                    None => return false,
                },
                () = tokio::time::sleep_until(until), if !is_refused => return true,
            }
        }
    }

    fn handle_offline(&mut self, command: Command) {
        self.desired.note(&self.adapter, &self.host, command);
    }

    async fn handle_online(
        &mut self,
        command: Command,
        connection: &mut A::Connection,
    ) -> Result<(), AdapterError> {
        // What was refused before this command may be what it asks for again.
        self.forget_refused();
        match command {
            Command::Subscribe(request, wanted) => {
                let accepted = self.desired.resolve(&self.adapter, &self.host, request, wanted);
                if accepted.is_empty() {
                    Ok(())
                } else {
                    connection.subscribe(&accepted, &mut self.sink).await
                }
            }
            Command::Unsubscribe(instruments) => {
                instruments.iter().for_each(|instrument| {
                    self.desired.known.remove(instrument);
                });
                connection.unsubscribe(&instruments).await
            }
            Command::Connect(_) | Command::CredentialsChanged => Ok(()),
        }
    }

    fn report(&mut self, kind: StatusKind, error: Option<&AdapterError>, retry_in: Duration) {
        let request = if kind == StatusKind::CONNECTING { 0 } else { std::mem::take(&mut self.request) };
        self.host.0.status(StatusEvent {
            kind,
            code: error.map_or(ErrorCode::NONE, AdapterError::code),
            request,
            retry_in_ms: u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX),
            message: error.map(ToString::to_string).unwrap_or_default().into(),
        });
    }
}

/// Takes packets that are there already, so that they share a batch; never waits for one.
fn more<C: Connection>(connection: &mut C, sink: &mut TickSink) -> Result<(), AdapterError> {
    for _ in 1..PACKETS_PER_TURN {
        match connection.next(sink).now_or_never() {
            Some(packet) => packet?,
            None => break,
        }
    }
    Ok(())
}

/// Waits for something of the adapter, and takes the commands that come meanwhile.
async fn meanwhile<T>(
    work: impl Future<Output = T>,
    commands: &mut mpsc::Receiver<Command>,
    note: &mut impl FnMut(Command),
) -> Result<T, Ended> {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done),
            command = commands.recv() => match command {
                Some(Command::CredentialsChanged) => return Err(Ended::Refreshed),
                Some(command) => note(command),
                None => return Err(Ended::Abandoned(Duration::ZERO)),
            },
        }
    }
}

impl Desired {
    /// Takes a command while there is no connection.
    fn note<A: Adapter>(&mut self, adapter: &A, host: &Handle, command: Command) {
        match command {
            Command::Subscribe(request, wanted) if self.is_prepared => {
                self.resolve(adapter, host, request, wanted);
            }
            Command::Subscribe(request, wanted) => self.waiting.push((request, wanted)),
            Command::Unsubscribe(instruments) => {
                instruments.iter().for_each(|instrument| {
                    self.known.remove(instrument);
                });
                for (_, waiting) in &mut self.waiting {
                    waiting.retain(|subscription| !instruments.contains(&subscription.instrument));
                }
                self.waiting.retain(|(_, waiting)| !waiting.is_empty());
            }
            Command::Connect(_) | Command::CredentialsChanged => {}
        }
    }

    /// The adapter can say what exists from now on: it is asked what was waiting.
    fn be_prepared<A: Adapter>(&mut self, adapter: &A, host: &Handle) {
        self.is_prepared = true;
        for (request, wanted) in std::mem::take(&mut self.waiting) {
            self.resolve(adapter, host, request, wanted);
        }
    }

    /// Tells the host what becomes of each subscription, and gives those that were accepted.
    fn resolve<A: Adapter>(
        &mut self,
        adapter: &A,
        host: &Handle,
        request: u64,
        wanted: Vec<Subscription>,
    ) -> Vec<Subscription> {
        let mut accepted = Vec::with_capacity(wanted.len());
        let mut outcomes = Vec::with_capacity(wanted.len());
        for mut subscription in wanted {
            let answer = adapter.resolve(&subscription);
            if let Ok(grant) = &answer {
                subscription.depth = grant.depth;
            }
            let is_accepted = answer.is_ok();
            outcomes.push(outcome_of(subscription.instrument, answer));
            if is_accepted {
                self.known.insert(subscription.instrument, subscription.clone());
                accepted.push(subscription);
            } else {
                self.known.remove(&subscription.instrument);
            }
        }
        host.0.subscription_outcomes(request, RSlice::from_slice(&outcomes));
        accepted
    }
}

#[cfg(test)]
mod tests;
