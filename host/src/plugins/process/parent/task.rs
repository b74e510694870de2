//! The life of a process: started, heard, watched, and described when it is over.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    process::{ExitStatus, Stdio},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, HealthSnapshot, LogLevel, StatusEvent, StatusKind, SubscriptionOutcome};
use futures_util::StreamExt as _;
use tokio::{
    process::{Child, ChildStdout, Command},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use zeroize::Zeroizing;

#[cfg(target_os = "linux")]
use super::super::orphans;
#[cfg(unix)]
use super::super::signal_name;
use super::{
    super::{
        ResourceLimits, quota,
        receiver::{self, Listener},
        starter,
        wire::{self, Begin, FromChild, MAX_LINE_BYTES, ToChild},
    },
    Plan, SHUTDOWN_MARGIN, Shared, pipes,
};
use crate::plugins::{
    AdapterEvents,
    watchdog::{LOOK_EVERY, Watchdog},
};

/// Time for the last words of a process that was killed or has died.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Descriptors that are left when an adapter counts as having used all of them: enough to be still able to say so.
const LAST_DESCRIPTORS: u64 = 8;

/// Where an adapter keeps what can be had again, as the SDK knows it.
const CACHE_DIR: &str = "TICKHOST_CACHE_DIR";

/// Variables that a process gets from the host's environment, which may hold secrets.
pub(in crate::plugins::process) const INHERITED: [&str; 17] = [
    "PATH",
    "HOME",
    "TZ",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "SYSTEMROOT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "RUST_BACKTRACE",
    "LLVM_PROFILE_FILE",
];

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

/// Why a process is over.
enum End {
    /// The library has ended, and said how.
    Reported(StatusKind, ErrorCode, String),
    /// The host ends it, for this reason.
    Killed(ErrorCode, String),
    /// Its cache folder holds too much, which is said here.
    Overfull(String),
    /// It ended without a word.
    Gone,
    /// As it was told.
    Stopped,
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
        match Self::start(&plan, &cache).await {
            Ok((child, listener, token)) => {
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
                let event = task.serve(&plan, child, listener, token, commands).await;
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

    async fn start(plan: &Plan, cache: &Path) -> std::io::Result<(Child, Listener, Zeroizing<String>)> {
        let settings = &plan.settings;
        let listener = {
            // The socket belongs to the runtime that reads it.
            let _entered = settings.ticks.enter();
            Listener::bind(&settings.run_dir)?
        };
        let token = Zeroizing::new(format!("{:032x}", rand::random::<u128>()));
        let mut command = Command::new(&settings.program);
        command.arg("run-adapter").arg(&*plan.name).env_clear();
        for name in INHERITED {
            for name in [name.to_owned(), name.to_lowercase()] {
                if let Some(value) = std::env::var_os(&name) {
                    command.env(name, value);
                }
            }
        }
        // Its own folder, also for what is temporary. An adapter without one downloads its list each time, and says so.
        if let Err(error) = quota::make(cache) {
            tracing::warn!(adapter = &*plan.name, folder = %cache.display(), %error, "An adapter has no cache folder");
        }
        command.env(CACHE_DIR, cache).env("TMPDIR", cache);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A group of its own: Ctrl-C in the host's terminal is the host's affair, and what the library starts is killed
        // with it.
        #[cfg(unix)]
        command.process_group(0);
        Ok((starter::start(command).await?, listener, token))
    }

    async fn serve(
        mut self,
        plan: &Plan,
        mut child: Child,
        listener: Listener,
        token: Zeroizing<String>,
        commands: mpsc::Receiver<ToChild>,
    ) -> StatusEvent {
        self.shared.pid.store(child.id().unwrap_or(0), Ordering::Relaxed);
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return ending(StatusKind::FAILED, ErrorCode::OTHER, "its process has no streams".to_owned());
        };
        let begin = ToChild::Begin(Box::new(Begin {
            label: plan.label.clone(),
            library: plan.copy.path().to_owned(),
            shown_as: plan.copy.shown_as().to_owned(),
            config_json: plan.config_json.clone(),
            credentials_json: self.events.credentials(),
            endpoint: listener.address().to_owned(),
            token: token.clone(),
            limits: plan.limits,
            cage: (*plan.cage).clone(),
            cache: self.cache.clone(),
            log_level: self.events.log_level().0,
        }));
        let mut ticks = Some({
            let (events, shared) = (Arc::clone(&self.events), Arc::clone(&self.shared));
            let tell = move |bytes| {
                shared.taken.store(bytes, Ordering::Release);
                shared.taken_more.notify_one();
            };
            plan.settings.ticks.spawn(async move { receiver::run(listener, &token, events, tell).await })
        });
        let writer = tokio::spawn(pipes::write(
            input,
            begin,
            commands,
            Arc::clone(&self.shared),
            Arc::clone(&self.events),
        ));
        let log = tokio::spawn(pipes::log_errors(errors, Arc::clone(&self.events)));
        let mut lines = FramedRead::new(output, LinesCodec::new_with_max_length(MAX_LINE_BYTES));
        let end = self.watch(&mut child, &mut lines, &mut ticks).await;
        if matches!(end, End::Reported(..)) {
            // The library has ended in good order, and the process is asked to: what it has still to send is sent.
            self.shared
                .shutdown
                .send_if_modified(|asked| asked.replace(asked.unwrap_or(LAST_WORDS)).is_none());
            _ = tokio::time::timeout(LAST_WORDS, child.wait()).await;
        }
        writer.abort();
        let status = self.finish(&mut child, &end).await;
        if let Some(mut ticks) = ticks
            && tokio::time::timeout(LAST_WORDS, &mut ticks).await.is_err()
        {
            ticks.abort();
        }
        // What a dying process printed is the best description of its death.
        _ = tokio::time::timeout(LAST_WORDS, log).await;
        describe(end, status, &self.limits, self.cache_mb)
    }

    /// Until the process has ended, or must.
    async fn watch(
        &mut self,
        child: &mut Child,
        lines: &mut FramedRead<ChildStdout, LinesCodec>,
        ticks: &mut Option<JoinHandle<Result<(), receiver::ReceiveError>>>,
    ) -> End {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stop_at: Option<Instant> = None;
        let mut shutdown = self.shared.shutdown.subscribe();
        let mut overfull = pin!(quota::exceeded(self.cache.clone(), self.cache_mb));
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
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => break End::Killed(ErrorCode::OTHER, error.to_string()),
                        Err(_) => break End::Killed(ErrorCode::OTHER, "taking its ticks failed in the host".into()),
                    }
                }
                _ = child.wait() => {
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
    async fn finish(&self, child: &mut Child, end: &End) -> Option<ExitStatus> {
        let ended = if matches!(end, End::Gone) {
            // Its streams are closed; the system may still be busy with the rest.
            tokio::time::timeout(LAST_WORDS, child.wait()).await.ok().and_then(Result::ok)
        } else {
            None
        };
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.shared.pid.load(Ordering::Relaxed))
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            // Also when the process itself has ended, since it may have left others. When there are none the call fails.
            _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        if ended.is_none() {
            _ = child.start_kill();
            _ = child.wait().await;
        }
        starter::has_ended(self.shared.pid.load(Ordering::Relaxed));
        // What it left behind in other groups has come to the host by now.
        #[cfg(target_os = "linux")]
        {
            let left = tokio::task::spawn_blocking(orphans::end_all).await.unwrap_or(0);
            if left > 0 {
                tracing::warn!(left, "An adapter left processes behind, which were ended");
            }
        }
        if matches!(end, End::Overfull(_)) {
            let cache = self.cache.clone();
            // A failure in the host leaves the folder as it is, and the next look sees it.
            _ = tokio::task::spawn_blocking(move || quota::empty(&cache)).await;
        }
        ended
    }
}

/// One sentence about an end.
fn describe(end: End, status: Option<ExitStatus>, limits: &ResourceLimits, cache_mb: u32) -> StatusEvent {
    match end {
        End::Stopped => ending(StatusKind::STOPPED, ErrorCode::NONE, String::new()),
        End::Reported(kind, code, message) => ending(kind, code, message),
        End::Killed(code, message) => ending(StatusKind::FAILED, code, message),
        End::Overfull(message) => ending(StatusKind::FAILED, ErrorCode::OTHER, message),
        End::Gone => {
            let message = status.map_or_else(
                || "its process closed its streams".to_owned(),
                |status| how_it_ended(status, limits, cache_mb),
            );
            ending(StatusKind::FAILED, ErrorCode::OTHER, message)
        }
    }
}

/// How a process ended, for people.
fn how_it_ended(status: ExitStatus, limits: &ResourceLimits, cache_mb: u32) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;

        if let Some(signal) = status.signal() {
            let name = signal_name(signal);
            let hint = match name.as_str() {
                "SIGABRT" => format!(" (an abort, or an allocation beyond its {} MiB)", limits.memory_mb),
                "SIGXFSZ" => format!(" (a file beyond its {cache_mb} MiB)"),
                _ => String::new(),
            };
            return format!("its process crashed with {name}{hint}");
        }
    }
    #[cfg(not(unix))]
    let _no_signals_here = (limits, cache_mb);
    match status.code() {
        Some(code) => format!("its process ended by itself with exit code {code}"),
        None => "its process ended by itself".to_owned(),
    }
}

fn ending(kind: StatusKind, code: ErrorCode, message: String) -> StatusEvent {
    StatusEvent { kind, code, request: 0, retry_in_ms: 0, message: message.into() }
}

/// How the receiver of ticks ended; waits for ever when that was heard already.
async fn end_of<T>(ticks: &mut Option<JoinHandle<T>>) -> Result<T, tokio::task::JoinError> {
    match ticks {
        Some(ticks) => ticks.await,
        None => std::future::pending().await,
    }
}
