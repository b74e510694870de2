//! An adapter instance that runs in a process of its own, as the host sees it.
//!
//! Every method only adds to a bounded queue; one task owns the process, its streams and its watchdog, and reports what
//! happens through [`AdapterEvents`]. Whatever ends the process, the feed hears of it as one status event.

use std::{
    fmt,
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, HealthSnapshot, LogLevel, StatusEvent, StatusKind, SubscriptionOutcome};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::{Notify, mpsc, watch},
};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use zeroize::Zeroizing;

use super::{
    ProcessSettings, Usage,
    receiver::{self, Listener},
    wire::{self, Begin, FromChild, MAX_LINE_BYTES, ToChild},
};
use crate::plugins::{
    AdapterEvents, AdapterFailure, AdapterInstance,
    integrity::PrivateCopy,
    watchdog::{LOOK_EVERY, Watchdog},
};

/// Commands that may wait for a process. One that does not read makes the host's calls fail, not wait.
const COMMANDS: usize = 1_024;

/// Longest line of a process's standard error; what is longer is logged in parts.
const MAX_STDERR_LINE_BYTES: u64 = 4_096;

/// Time for the last words of a process that was killed or has died.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Beyond the deadline of a shutdown, before the process is killed.
const SHUTDOWN_MARGIN: Duration = Duration::from_millis(300);

/// Descriptors that are left when an adapter counts as having used all of them: enough to be still able to say so.
const LAST_DESCRIPTORS: u64 = 8;

/// Variables that a process gets from the host's environment, which may hold secrets.
const INHERITED: [&str; 17] = [
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

/// What is to be started.
pub(super) struct Plan {
    /// Name of the adapter, the only thing that the list of processes shows.
    pub(super) name: Arc<str>,
    /// Names the instance in logs.
    pub(super) label: String,
    /// The library. It stays in its place while the instance lives.
    pub(super) copy: Arc<PrivateCopy>,
    /// Settings.
    pub(super) config_json: Zeroizing<String>,
    /// Who hears of it.
    pub(super) events: Arc<dyn AdapterEvents>,
    /// Where and how.
    pub(super) settings: Arc<ProcessSettings>,
    /// What it may use.
    pub(super) limits: super::ResourceLimits,
}

/// A running instance.
pub(super) struct ProcessInstance {
    commands: mpsc::Sender<ToChild>,
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
}

/// What the task and the handle share.
#[derive(Debug, Default)]
struct Shared {
    health: Mutex<HealthSnapshot>,
    pid: AtomicU32,
    resident_bytes: AtomicU64,
    descriptors: AtomicU64,
    /// Bytes of ticks taken, for the sender's window.
    taken: AtomicU64,
    taken_more: Notify,
    /// The time that a shutdown may take, once it is asked for.
    shutdown: watch::Sender<Option<Duration>>,
}

impl ProcessInstance {
    /// Starts it. Must be called in a runtime, which runs its task.
    pub(super) fn start(plan: Plan) -> Self {
        let (commands, waiting) = mpsc::channel(COMMANDS);
        let shared = Arc::<Shared>::default();
        let (end, ended) = watch::channel(false);
        let task = {
            let shared = Arc::clone(&shared);
            async move {
                let events = Arc::clone(&plan.events);
                let end_of_it = Task::run(plan, shared, waiting).await;
                events.status(end_of_it);
                // Nobody may be waiting for it.
                _ = end.send(true);
            }
        };
        tokio::spawn(task);
        Self { commands, shared, ended }
    }

    fn send(&self, command: ToChild) -> Result<(), AdapterFailure> {
        self.commands.try_send(command).map_err(|error| AdapterFailure {
            code: ErrorCode::UNAVAILABLE,
            message: match error {
                mpsc::error::TrySendError::Full(_) => {
                    "its process does not take commands; it may be stuck".into()
                }
                mpsc::error::TrySendError::Closed(_) => "its process has ended".into(),
            },
        })
    }
}

impl fmt::Debug for ProcessInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessInstance").field("pid", &self.shared.pid).finish_non_exhaustive()
    }
}

impl AdapterInstance for ProcessInstance {
    fn connect(&self, request: u64) -> Result<(), AdapterFailure> {
        self.send(ToChild::Connect { request })
    }

    fn subscribe(
        &self,
        request: u64,
        subscriptions: &[adapter_abi::Subscription],
    ) -> Result<(), AdapterFailure> {
        // Far below the longest line, whatever the names.
        for part in subscriptions.chunks(SUBSCRIPTIONS_PER_LINE) {
            let subscriptions = part.iter().map(Into::into).collect();
            self.send(ToChild::Subscribe { request, subscriptions })?;
        }
        Ok(())
    }

    fn unsubscribe(&self, request: u64, instruments: &[u32]) -> Result<(), AdapterFailure> {
        self.send(ToChild::Unsubscribe { request, instruments: instruments.to_vec() })
    }

    fn credentials_changed(&self) {
        // A full queue belongs to a process that is stuck; the next one begins with the new credentials.
        _ = self.send(ToChild::CredentialsChanged);
    }

    fn health(&self) -> HealthSnapshot {
        *self.shared.health.lock()
    }

    fn usage(&self) -> Option<Usage> {
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Some(Usage {
            pid: self.shared.pid.load(Ordering::Relaxed),
            resident_bytes: load(&self.shared.resident_bytes),
            descriptors: load(&self.shared.descriptors),
        })
    }

    fn shutdown(&self, deadline: Duration) {
        self.shared.shutdown.send_replace(Some(deadline));
        let until = Instant::now() + deadline + SHUTDOWN_MARGIN * 2;
        while !*self.ended.borrow() && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for ProcessInstance {
    fn drop(&mut self) {
        self.shared.shutdown.send_if_modified(|asked| asked.replace(asked.unwrap_or(GOODBYE)).is_none());
    }
}

/// Time for an instance that was let go of without a word.
const GOODBYE: Duration = Duration::from_millis(500);

/// A subscription is a few hundred bytes at most as a line.
const SUBSCRIPTIONS_PER_LINE: usize = 4_096;

/// Owns the process.
struct Task {
    events: Arc<dyn AdapterEvents>,
    shared: Arc<Shared>,
    watchdog: Watchdog,
    limits: super::ResourceLimits,
    invalid: u64,
    lost: u64,
}

/// Why a process is over.
enum End {
    /// It said why before it ended, or was ended for what it said.
    Failed(ErrorCode, String),
    /// It ended without a word.
    Gone,
    /// As it was told.
    Stopped,
}

impl Task {
    async fn run(plan: Plan, shared: Arc<Shared>, commands: mpsc::Receiver<ToChild>) -> StatusEvent {
        let label = plan.label.clone();
        match Self::start(&plan) {
            Ok((child, listener, token)) => {
                let task = Self {
                    events: Arc::clone(&plan.events),
                    shared,
                    watchdog: Watchdog::new(Instant::now()),
                    limits: plan.limits,
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

    fn start(plan: &Plan) -> std::io::Result<(Child, Listener, Zeroizing<String>)> {
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
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // A group of its own: Ctrl-C in the host's terminal is the host's affair, and what the library starts is killed
        // with it.
        #[cfg(unix)]
        command.process_group(0);
        Ok((command.spawn()?, listener, token))
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
            log_level: self.events.log_level().0,
        }));
        let ticks = {
            let (events, shared) = (Arc::clone(&self.events), Arc::clone(&self.shared));
            let tell = move |bytes| {
                shared.taken.store(bytes, Ordering::Release);
                shared.taken_more.notify_one();
            };
            plan.settings.ticks.spawn(async move { receiver::run(listener, &token, events, tell).await })
        };
        let writer =
            tokio::spawn(write(input, begin, commands, Arc::clone(&self.shared), Arc::clone(&self.events)));
        let log = tokio::spawn(log_errors(errors, Arc::clone(&self.events)));
        let mut lines = FramedRead::new(output, LinesCodec::new_with_max_length(MAX_LINE_BYTES));
        let end = self.watch(&mut child, &mut lines, ticks).await;
        writer.abort();
        let status = self.finish(&mut child, &end).await;
        // What a dying process printed is the best description of its death.
        _ = tokio::time::timeout(LAST_WORDS, log).await;
        describe(end, status, &self.limits)
    }

    /// Until the process has ended, or must.
    async fn watch(
        &mut self,
        child: &mut Child,
        lines: &mut FramedRead<ChildStdout, LinesCodec>,
        mut ticks: tokio::task::JoinHandle<Result<(), receiver::ReceiveError>>,
    ) -> End {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stop_at: Option<Instant> = None;
        let mut is_receiving = true;
        let mut shutdown = self.shared.shutdown.subscribe();
        let end = loop {
            tokio::select! {
                line = lines.next() => match line {
                    Some(Ok(line)) => if let Some(end) = self.hear(&line) {
                        break end;
                    },
                    Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                        break End::Failed(ErrorCode::OTHER, "it sent the host a line without an end".into());
                    }
                    Some(Err(LinesCodecError::Io(_))) | None => break End::Gone,
                },
                received = &mut ticks, if is_receiving => {
                    is_receiving = false;
                    match received {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => break End::Failed(ErrorCode::OTHER, error.to_string()),
                        Err(_) => break End::Failed(ErrorCode::OTHER, "taking its ticks failed in the host".into()),
                    }
                }
                _ = child.wait() => {
                    // What it still said stands in the pipe.
                    while let Ok(Some(Ok(line))) = tokio::time::timeout(LAST_WORDS, lines.next()).await {
                        if let Some(end) = self.hear(&line) {
                            ticks.abort();
                            return end;
                        }
                    }
                    break if stop_at.is_some() { End::Stopped } else { End::Gone };
                }
                time = asked_to_stop(&mut shutdown), if stop_at.is_none() => {
                    stop_at = Some(Instant::now() + time + SHUTDOWN_MARGIN);
                }
                _ = look.tick() => {
                    let now = Instant::now();
                    if stop_at.is_some_and(|at| at <= now) {
                        break End::Stopped;
                    }
                    if stop_at.is_none() && let Err(hang) = self.watchdog.look(now) {
                        break End::Failed(ErrorCode::UNAVAILABLE, hang.to_string());
                    }
                }
            }
        };
        ticks.abort();
        match end {
            End::Gone if stop_at.is_some() => End::Stopped,
            end => end,
        }
    }

    /// Acts on what the process says; gives the end when it must not go on.
    fn hear(&mut self, line: &str) -> Option<End> {
        let Ok(message) = serde_json::from_str::<FromChild>(line) else {
            return Some(End::Failed(ErrorCode::OTHER, "what it told the host makes no sense".to_owned()));
        };
        match message {
            FromChild::Refused { code, message } | FromChild::NotTaken { code, message } => {
                return Some(End::Failed(ErrorCode(code), message));
            }
            FromChild::Status(status) => {
                let event = StatusEvent::from(status);
                // The process ends by itself after these, or is ended; what the feed hears is the end.
                match event.kind {
                    StatusKind::FAILED => return Some(End::Failed(event.code, event.message.into())),
                    StatusKind::STOPPED => return Some(End::Stopped),
                    _ => self.events.status(event),
                }
            }
            FromChild::Outcomes { request, outcomes } => {
                let outcomes: Vec<SubscriptionOutcome> = outcomes.into_iter().map(Into::into).collect();
                self.events.outcomes(request, &outcomes);
            }
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
            return Some(End::Failed(ErrorCode::UNAVAILABLE, hang.to_string()));
        }
        let limit = u64::from(self.limits.descriptors);
        (alive.descriptors.saturating_add(LAST_DESCRIPTORS) >= limit).then(|| {
            let message = format!(
                "it has used up its {limit} descriptors: it leaks them, or needs a higher `descriptors`"
            );
            End::Failed(ErrorCode::OTHER, message)
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
        ended
    }
}

/// One sentence about an end.
fn describe(end: End, status: Option<ExitStatus>, limits: &super::ResourceLimits) -> StatusEvent {
    match end {
        End::Stopped => ending(StatusKind::STOPPED, ErrorCode::NONE, String::new()),
        End::Failed(code, message) => ending(StatusKind::FAILED, code, message),
        End::Gone => {
            let message = status.map_or_else(
                || "its process closed its streams".to_owned(),
                |status| how_it_ended(status, limits),
            );
            ending(StatusKind::FAILED, ErrorCode::OTHER, message)
        }
    }
}

/// How a process ended, for people.
fn how_it_ended(status: ExitStatus, limits: &super::ResourceLimits) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;

        if let Some(signal) = status.signal() {
            let name = super::signal_name(signal);
            let hint = if name == "SIGABRT" {
                format!(" (an abort, or an allocation beyond its {} MiB)", limits.memory_mb)
            } else {
                String::new()
            };
            return format!("its process crashed with {name}{hint}");
        }
    }
    #[cfg(not(unix))]
    let _no_signals_here = limits;
    match status.code() {
        Some(code) => format!("its process ended by itself with exit code {code}"),
        None => "its process ended by itself".to_owned(),
    }
}

fn ending(kind: StatusKind, code: ErrorCode, message: String) -> StatusEvent {
    StatusEvent { kind, code, request: 0, retry_in_ms: 0, message: message.into() }
}

/// Writes commands to the process, which may be slow to read them. Ends when the process is gone.
async fn write(
    mut input: ChildStdin,
    begin: ToChild,
    mut commands: mpsc::Receiver<ToChild>,
    shared: Arc<Shared>,
    events: Arc<dyn AdapterEvents>,
) {
    let mut shutdown = shared.shutdown.subscribe();
    let (mut told, mut is_stopping, mut is_let_go) = (0, false, false);
    let mut message = begin;
    loop {
        if input.write_all(&wire::to_line(&message)).await.is_err() {
            return;
        }
        message = tokio::select! {
            biased;
            time = asked_to_stop(&mut shutdown), if !is_stopping => {
                is_stopping = true;
                ToChild::Shutdown { deadline_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX) }
            }
            bytes = taken_beyond(&shared, told) => {
                told = bytes;
                ToChild::Taken { bytes }
            }
            command = commands.recv(), if !is_let_go => match command {
                Some(ToChild::CredentialsChanged) => {
                    let credentials = ToChild::Credentials(events.credentials());
                    if input.write_all(&wire::to_line(&credentials)).await.is_err() {
                        return;
                    }
                    ToChild::CredentialsChanged
                }
                Some(command) => command,
                None => {
                    is_let_go = true;
                    // Says nothing new.
                    ToChild::Taken { bytes: told }
                }
            },
        };
    }
}

async fn taken_beyond(shared: &Shared, told: u64) -> u64 {
    loop {
        let taken = shared.taken.load(Ordering::Acquire);
        if taken != told {
            return taken;
        }
        shared.taken_more.notified().await;
    }
}

/// Waits until a shutdown is asked for; gives its time.
async fn asked_to_stop(shutdown: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match shutdown.wait_for(Option::is_some).await.map(|asked| *asked) {
        Ok(Some(time)) => time,
        // The sender lives as long as the task.
        _ => std::future::pending().await,
    }
}

/// Logs what the process prints, bounded by the line and by the rate of log lines. It is read on in any case, or a
/// process that prints much would wait.
async fn log_errors(errors: ChildStderr, events: Arc<dyn AdapterEvents>) {
    let mut errors = BufReader::new(errors);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut errors).take(MAX_STDERR_LINE_BYTES).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = wire::tidy(&String::from_utf8_lossy(&line));
                if !text.trim().is_empty() {
                    events.log(LogLevel::WARN, "stderr", text.trim(), "{}");
                }
            }
        }
    }
}
