//! The life of a process: started, heard, watched, and described when it is over.

use std::{
    path::PathBuf,
    pin::pin,
    process::ExitStatus,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, HealthSnapshot, LogLevel, StatusEvent, StatusKind, SubscriptionOutcome};
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;
use tokio::{io::AsyncRead, sync::mpsc, task::JoinHandle};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use super::{
    super::{
        limits::threads_of_host,
        quota,
        receiver::{self, ReceiveError},
        starter,
        wire::{self, Begin, FromChild, MAX_LINE_BYTES, ToChild},
    },
    Plan, SHUTDOWN_MARGIN, Shared,
    ends::{End, describe, ending},
    launch::{Launched, Process},
    pipes,
};
use crate::{
    adapters::{
        AdapterEvents,
        watchdog::{LOOK_EVERY, Watchdog},
    },
    config::ResourceLimits,
};

/// Time for the last words of a process that was killed or has died.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Descriptors that are left when an adapter counts as having used all of them: enough to be still able to
/// say so.
const LAST_DESCRIPTORS: u64 = 8;

/// Owns the process.
pub(super) struct Task {
    events: Arc<dyn AdapterEvents>,
    shared: Arc<Shared>,
    watchdog: Watchdog,
    limits: ResourceLimits,
    cache: PathBuf,
    cache_mb: u32,
    invalid: u64,
    lost: u64,
}

impl Task {
    /// Runs the process to its end, and says how it ended.
    pub(super) async fn run(
        plan: Plan,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<ToChild>,
    ) -> StatusEvent {
        let label = plan.label.clone();
        let cache = plan.settings.cache_dir.join(&*plan.name);
        match Launched::start(&plan, &cache).await {
            Ok(launched) => {
                let task = Self {
                    events: Arc::clone(&plan.events),
                    shared,
                    watchdog: Watchdog::new(Instant::now()),
                    limits: plan.limits,
                    cache,
                    cache_mb: plan.cage.cache_mb,
                    invalid: 0,
                    lost: 0,
                };
                let event = task.serve(&plan, launched, commands).await;
                tracing::debug!(instance = label, message = %event.message, "The process of an adapter has ended");
                event
            }
            Err(error) => ending(
                StatusKind::FAILED,
                ErrorCode::OTHER,
                format!("its process cannot be started: {error}"),
            ),
        }
    }

    async fn serve(
        mut self,
        plan: &Plan,
        launched: Launched,
        commands: mpsc::Receiver<ToChild>,
    ) -> StatusEvent {
        let Launched { mut process, input, output, errors, listener, token } = launched;
        self.shared.pid.store(process.id(), Ordering::Relaxed);
        let is_foreign = matches!(process, Process::Foreign);
        // Another user cannot reach the copy, and proves that the file is the same.
        let library = if is_foreign { plan.copy.shown_as() } else { plan.copy.path() };
        let begin = ToChild::Begin(Box::new(Begin {
            version: wire::VERSION,
            label: plan.label.clone(),
            assignment: plan.assignment.clone(),
            library: std::path::absolute(library).unwrap_or_else(|_| library.to_owned()),
            sha256: is_foreign.then(|| plan.copy.sha256().to_string()),
            shown_as: plan.copy.shown_as().to_owned(),
            config_json: plan.config_json.clone(),
            credentials_json: self.events.credentials(),
            endpoint: listener.address().clone(),
            token: token.clone(),
            limits: plan.limits,
            others: threads_of_host(starter::running()),
            cage: (*plan.cage).clone(),
            cache: (!is_foreign).then(|| self.cache.clone()),
            log_level: self.events.log_level().0,
        }));
        let mut ticks = Some({
            let events = Arc::clone(&self.events);
            plan.settings
                .ticks
                .spawn(async move { receiver::run(listener, token.expose_secret(), events).await })
        });
        let writer = tokio::spawn(pipes::write(
            input,
            begin,
            commands,
            Arc::clone(&self.shared),
            Arc::clone(&self.events),
        ));
        let log = errors.map(|errors| tokio::spawn(pipes::log_errors(errors, Arc::clone(&self.events))));
        let mut lines = FramedRead::new(output, LinesCodec::new_with_max_length(MAX_LINE_BYTES));
        let end = self.watch(&mut process, &mut lines, &mut ticks).await;
        if matches!(end, End::Reported(..)) {
            // The library has ended in good order, and the process is asked to: what it has still to send is
            // sent.
            self.shared
                .shutdown
                .send_if_modified(|asked| asked.replace(asked.unwrap_or(LAST_WORDS)).is_none());
            _ = tokio::time::timeout(LAST_WORDS, process.wait()).await;
        }
        writer.abort();
        let status = self.finish(&mut process, &end).await;
        if let Some(mut ticks) = ticks
            && tokio::time::timeout(LAST_WORDS, &mut ticks).await.is_err()
        {
            ticks.abort();
        }
        // What a dying process printed is the best description of its death.
        if let Some(log) = log {
            _ = tokio::time::timeout(LAST_WORDS, log).await;
        }
        describe(end, status, &self.limits, self.cache_mb)
    }

    /// Until the process has ended, or must.
    async fn watch(
        &mut self,
        process: &mut Process,
        lines: &mut FramedRead<Box<dyn AsyncRead + Send + Unpin>, LinesCodec>,
        ticks: &mut Option<JoinHandle<Result<(), ReceiveError>>>,
    ) -> End {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stop_at: Option<Instant> = None;
        let mut mute_since: Option<Instant> = None;
        let mut shutdown = self.shared.shutdown.subscribe();
        // The folder of another user is that user's affair.
        let counted = matches!(process, Process::Own(_)).then(|| self.cache.clone());
        let mut overfull = pin!(quota::exceeded(counted, self.cache_mb));
        let end = loop {
            tokio::select! {
                line = lines.next() => match line {
                    Some(Ok(line)) => if let Some(end) = self.hear(&line) {
                        break end;
                    },
                    Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                        break End::Killed(ErrorCode::OTHER, "it sent the host a line without an end".into());
                    }
                    Some(Err(LinesCodecError::Io(_))) | None => break End::Gone,
                },
                received = end_of(ticks), if ticks.is_some() => {
                    *ticks = None;
                    match received {
                        // It has been told to stop, or dies: how, it says in other ways, and those are
                        // better.
                        Ok(Ok(()) | Err(ReceiveError::Cut | ReceiveError::Io(_))) => {
                            mute_since = Some(Instant::now());
                        }
                        Ok(Err(error)) => break End::Killed(ErrorCode::OTHER, error.to_string()),
                        Err(_) => break End::Killed(ErrorCode::OTHER, "taking its ticks failed in the host".into()),
                    }
                }
                _ = process.wait() => {
                    // What it still said stands in the pipe.
                    while let Ok(Some(Ok(line))) = tokio::time::timeout(LAST_WORDS, lines.next()).await {
                        if let Some(end) = self.hear(&line) {
                            return end;
                        }
                    }
                    break if stop_at.is_some() { End::Stopped } else { End::Gone };
                }
                time = pipes::asked_to_stop(&mut shutdown), if stop_at.is_none() => {
                    stop_at = Some(Instant::now() + time + SHUTDOWN_MARGIN);
                }
                said = &mut overfull => break End::Overfull(said),
                _ = look.tick() => {
                    let now = Instant::now();
                    if stop_at.is_some_and(|at| at <= now) {
                        break End::Stopped;
                    }
                    if stop_at.is_none() && let Err(hang) = self.watchdog.look(now) {
                        break End::Killed(ErrorCode::UNAVAILABLE, hang.to_string());
                    }
                    if stop_at.is_none() && mute_since.is_some_and(|since| now >= since + LAST_WORDS) {
                        break End::Killed(ErrorCode::OTHER, "it closed its connection for ticks".to_owned());
                    }
                }
            }
        };
        match end {
            End::Gone if stop_at.is_some() => End::Stopped,
            end => end,
        }
    }

    /// Acts on what the process says; gives the end when it must not go on.
    fn hear(&mut self, line: &str) -> Option<End> {
        let Ok(message) = serde_json::from_str::<FromChild>(line) else {
            return Some(End::Killed(ErrorCode::OTHER, "what it told the host makes no sense".to_owned()));
        };
        match message {
            FromChild::Refused { code, message } | FromChild::NotTaken { code, message } => {
                return Some(End::Reported(StatusKind::FAILED, ErrorCode(code), message));
            }
            FromChild::Status(status) => {
                let event = StatusEvent::from(status);
                // The process ends by itself after these, or is ended; what the feed hears is the end.
                match event.kind {
                    StatusKind::FAILED | StatusKind::STOPPED => {
                        return Some(End::Reported(event.kind, event.code, event.message.into()));
                    }
                    _ => self.events.status(event),
                }
            }
            FromChild::Outcomes { request, outcomes } => {
                let outcomes: Vec<SubscriptionOutcome> = outcomes.into_iter().map(Into::into).collect();
                self.events.outcomes(request, &outcomes);
            }
            FromChild::List { json } => self.events.list(&json),
            FromChild::Order { json } => _ = self.events.order_update(&json),
            FromChild::Log { level, target, message, fields } => {
                self.events.log(LogLevel(level), &target, &message, &fields);
            }
            FromChild::Alive(alive) => return self.note_alive(&alive),
        }
        None
    }

    fn note_alive(&mut self, alive: &wire::Alive) -> Option<End> {
        let health = HealthSnapshot::from(alive.health);
        *self.shared.health.lock() = health;
        self.shared.resident_bytes.store(alive.resident_bytes, Ordering::Relaxed);
        self.shared.descriptors.store(alive.descriptors, Ordering::Relaxed);
        self.events.invalid(alive.invalid.saturating_sub(self.invalid));
        self.events.lost(alive.lost.saturating_sub(self.lost));
        (self.invalid, self.lost) = (alive.invalid, alive.lost);
        let busy = Duration::from_millis(alive.busy_ms);
        if let Err(hang) = self.watchdog.alive(health.last_turn_ts_ns, busy, Instant::now()) {
            return Some(End::Killed(ErrorCode::UNAVAILABLE, hang.to_string()));
        }
        let limit = u64::from(self.limits.descriptors);
        (alive.descriptors.saturating_add(LAST_DESCRIPTORS) >= limit).then(|| {
            let message = format!(
                "it has used up its {limit} descriptors: it leaks them, or needs a higher `descriptors`"
            );
            End::Killed(ErrorCode::OTHER, message)
        })
    }

    /// Kills the process and all that it started, and learns how it ended if that was its own doing.
    async fn finish(&self, process: &mut Process, end: &End) -> Option<ExitStatus> {
        let ended = if matches!(end, End::Gone) {
            // Its streams are closed; the system may still be busy with the rest.
            tokio::time::timeout(LAST_WORDS, process.wait()).await.ok().and_then(Result::ok)
        } else {
            None
        };
        process.kill(self.shared.pid.load(Ordering::Relaxed), ended.is_some()).await;
        if matches!(end, End::Overfull(_)) {
            let cache = self.cache.clone();
            // A failure in the host leaves the folder as it is, and the next look sees it.
            _ = crate::base::blocking::off_thread(move |_| quota::empty(&cache)).await;
        }
        ended
    }
}

/// How the receiver of ticks ended; waits for ever when that was heard already.
async fn end_of<T>(ticks: &mut Option<JoinHandle<T>>) -> Result<T, tokio::task::JoinError> {
    match ticks {
        Some(ticks) => ticks.await,
        None => std::future::pending().await,
    }
}
