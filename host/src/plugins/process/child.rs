//! The adapter's own process: `tickhost run-adapter NAME`.
//!
//! ```text
//! standard input ── reader thread ── main thread ── library ── its own thread ── intake ── sender thread ── ZeroMQ
//! standard output ◀─ writer thread ◀────────────────────┴── once a second: alive
//! ```
//!
//! The process ends when the host does, however the host ends: the end of its input is the sign. Then the library has
//! [`LAST_MOMENTS`], and the kernel the last word.

use std::{
    io,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use adapter_abi::{
    Depth, DepthLevel, ErrorCode, LogLevel, Ltp, PublishOutcome, Quote, StatusEvent, SubscriptionOutcome,
};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::{
    limits,
    sender::{self, Endpoint, Taken},
    stdio::{self, Lines, Output},
    wire::{Alive, Begin, FromChild, MAX_ORDER_BYTES, OUTCOMES_PER_LINE, ToChild, tidy},
};
use crate::{
    feed::MAX_LIST_STATE_BYTES,
    intake::{Doorbell, Intake},
    metrics::FeedCounters,
    model::FeedId,
    plugins::{AdapterEvents, AdapterInstance, Library},
};

/// Time that the library has when the host is gone.
const LAST_MOMENTS: Duration = Duration::from_secs(2);

/// Between two signs of life.
const ALIVE_EVERY: Duration = Duration::from_millis(500);

/// Commands that may wait for the main thread, which is quick unless the library holds it.
const COMMANDS: usize = 1_024;

/// Runs an adapter until the host says stop or is gone. The process must be a fresh one with a single thread.
pub fn run(name: &str) -> ExitCode {
    name_process(name);
    let streams = match stdio::take() {
        Ok(streams) => streams,
        Err(error) => return end_with_word(&format_args!("cannot take the standard streams: {error}")),
    };
    let mut input = streams.input;
    let Some(ToChild::Begin(begin)) = input.next() else {
        return end_with_word(&"this command is for the host itself; use `tickhost run`");
    };
    let output = match Output::start(streams.output) {
        Ok(output) => output,
        Err(error) => return end_with_word(&format_args!("cannot start a thread: {error}")),
    };
    let refuse = |code: ErrorCode, message: &dyn std::fmt::Display| {
        output.send(&FromChild::Refused { code: code.0, message: tidy(&message.to_string()) });
        output.flush();
        ExitCode::FAILURE
    };
    if let Err(error) = begin.limits.apply() {
        return refuse(ErrorCode::OTHER, &format_args!("cannot limit what the adapter may use: {error}"));
    }
    match Child::start(*begin, input, output.clone()) {
        Ok(child) => child.obey(),
        Err((code, message)) => refuse(code, &message),
    }
}

/// Gives the process a name of its own in `top` and in the service manager's log: that of its file is `exe`, because the
/// host starts the program that runs, and not one that has replaced it since. The kernel keeps 15 bytes.
fn name_process(name: &str) {
    #[cfg(target_os = "linux")]
    if let Ok(name) = std::ffi::CString::new(format!("adapter-{name}")) {
        // Only for the eyes of people.
        _ = rustix::thread::set_name(&name);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}

fn end_with_word(word: &dyn std::fmt::Display) -> ExitCode {
    use io::Write as _;
    // Nobody may be there to read it.
    _ = writeln!(io::stderr(), "tickhost run-adapter: {word}");
    ExitCode::FAILURE
}

/// What the threads of the process share.
struct Shared {
    output: Output,
    intake: Arc<Intake>,
    counters: Arc<FeedCounters>,
    credentials: Mutex<Zeroizing<String>>,
    log_level: LogLevel,
    /// When the present call into the library began, in milliseconds since `started` and one; 0 when there is none.
    busy_since: AtomicU64,
    started: Instant,
}

struct Child {
    shared: Arc<Shared>,
    instance: Arc<dyn AdapterInstance>,
    commands: Receiver<ToChild>,
    sender: std::thread::JoinHandle<()>,
    doorbell: Arc<Doorbell>,
}

impl Child {
    fn start(
        begin: Begin,
        input: Lines<Box<dyn io::Read + Send>>,
        output: Output,
    ) -> Result<Self, (ErrorCode, String)> {
        let failed = |error: io::Error| (ErrorCode::OTHER, format!("cannot start a thread: {error}"));
        let counters = Arc::<FeedCounters>::default();
        let doorbell = Doorbell::new();
        let shared = Arc::new(Shared {
            output,
            intake: Intake::new(FeedId(0), Arc::clone(&counters), Arc::clone(&doorbell)),
            counters,
            credentials: Mutex::new(begin.credentials_json),
            log_level: LogLevel(begin.log_level),
            busy_since: AtomicU64::new(0),
            started: Instant::now(),
        });
        let taken = Arc::<Taken>::default();
        let (queue, commands) = sync_channel(COMMANDS);
        // Before the library has a chance to hang: from here on the process ends with the host.
        {
            let (shared, taken) = (Arc::clone(&shared), Arc::clone(&taken));
            on_thread("host-input", move || listen(input, &queue, &shared, &taken)).map_err(failed)?;
        }
        let sender = {
            let endpoint = Endpoint { address: begin.endpoint, token: begin.token };
            let (intake, doorbell) = (Arc::clone(&shared.intake), Arc::clone(&doorbell));
            on_thread("ticks", move || send_ticks(endpoint, intake, doorbell, taken)).map_err(failed)?
        };
        let health = Arc::<Mutex<Option<Arc<dyn AdapterInstance>>>>::default();
        {
            let (shared, health) = (Arc::clone(&shared), Arc::clone(&health));
            on_thread("alive", move || {
                loop {
                    shared.alive(health.lock().as_ref());
                    std::thread::park_timeout(ALIVE_EVERY);
                }
            })
            .map_err(failed)?;
        }
        let instance = shared.busy(|| {
            let library = Library::map(&begin.library, &begin.shown_as)
                .map_err(|error| (ErrorCode::CONFIG, error.to_string()))?;
            let events = Arc::clone(&shared) as Arc<dyn AdapterEvents>;
            library
                .create(&begin.config_json, &begin.label, events)
                .map_err(|failure| (failure.code, failure.message))
        })?;
        let instance: Arc<dyn AdapterInstance> = instance.into();
        *health.lock() = Some(Arc::clone(&instance));
        Ok(Self { shared, instance, commands, sender, doorbell })
    }

    /// Does what the host says. The main thread is the one that calls the library, so a library that does not return
    /// from a call is seen by the age of the call.
    fn obey(self) -> ExitCode {
        let mut deadline = LAST_MOMENTS;
        while let Ok(command) = self.commands.recv() {
            if let ToChild::Shutdown { deadline_ms } = command {
                deadline = Duration::from_millis(deadline_ms);
                break;
            }
            let instance = &self.instance;
            let done = self.shared.busy(|| match command {
                ToChild::Connect { request } => instance.connect(request),
                ToChild::Subscribe { request, subscriptions } => {
                    let wanted: Vec<adapter_abi::Subscription> =
                        subscriptions.into_iter().map(Into::into).collect();
                    instance.subscribe(request, &wanted)
                }
                ToChild::Unsubscribe { request, instruments } => instance.unsubscribe(request, &instruments),
                ToChild::CredentialsChanged => {
                    instance.credentials_changed();
                    Ok(())
                }
                ToChild::RenewList => {
                    instance.renew_list();
                    Ok(())
                }
                _ => Ok(()),
            });
            if let Err(failure) = done {
                let message = tidy(&failure.message);
                self.shared.output.send(&FromChild::NotTaken { code: failure.code.0, message });
            }
        }
        self.instance.shutdown(deadline);
        self.shared.intake.close();
        self.doorbell.ring();
        // The last ticks; a host that takes none of them kills this process at its deadline.
        let _sent = self.sender.join();
        self.shared.output.flush();
        ExitCode::SUCCESS
    }
}

/// Reads what the host says, until it is gone.
fn listen(
    mut input: Lines<Box<dyn io::Read + Send>>,
    queue: &SyncSender<ToChild>,
    shared: &Shared,
    taken: &Taken,
) {
    while let Some(command) = input.next() {
        match command {
            // Not behind a call that may not return: the sender waits for it.
            ToChild::Taken { bytes } => taken.set(bytes),
            ToChild::Credentials(json) => *shared.credentials.lock() = json,
            // When the library holds the main thread, the host notices by the age of its call, and sends nothing more.
            command => {
                if queue.try_send(command).is_err() {
                    break;
                }
            }
        }
    }
    let last = Instant::now() + LAST_MOMENTS;
    // Without its sender the queue ends after what it holds.
    let stop =
        ToChild::Shutdown { deadline_ms: u64::try_from(LAST_MOMENTS.as_millis() / 2).unwrap_or(1_000) };
    let _full = queue.try_send(stop);
    while Instant::now() < last {
        std::thread::park_timeout(last.saturating_duration_since(Instant::now()));
    }
    kill_this_process();
}

/// Ends the process without asking the library, whose exit handlers may hang.
fn kill_this_process() -> ! {
    #[cfg(unix)]
    let _sent = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

fn send_ticks(endpoint: Endpoint, intake: Arc<Intake>, doorbell: Arc<Doorbell>, taken: Arc<Taken>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let sent = runtime
        .map_err(zeromq::ZmqError::from)
        .and_then(|runtime| runtime.block_on(sender::run(endpoint, intake, doorbell, taken)));
    if let Err(error) = sent {
        _ = end_with_word(&format_args!("ticks cannot reach the host: {error}"));
        kill_this_process();
    }
}

fn on_thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

impl Shared {
    /// Runs a call into the library, so that its age can be seen.
    fn busy<T>(&self, call: impl FnOnce() -> T) -> T {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX) + 1;
        self.busy_since.store(since, Ordering::Release);
        let done = call();
        self.busy_since.store(0, Ordering::Release);
        done
    }

    fn alive(&self, instance: Option<&Arc<dyn AdapterInstance>>) {
        let since = self.busy_since.load(Ordering::Acquire);
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX) + 1;
        let (resident_bytes, descriptors) = limits::usage();
        self.output.send(&FromChild::Alive(Alive {
            health: instance.map(|instance| instance.health().into()).unwrap_or_default(),
            busy_ms: if since == 0 { 0 } else { now.saturating_sub(since) },
            resident_bytes,
            descriptors,
            invalid: self.counters.dropped_invalid.get(),
            lost: self.output.lost(),
        }));
    }

    fn publish(&self, count: usize, offer: impl FnOnce(&Arc<Intake>) -> u32) -> PublishOutcome {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if self.intake.is_closed() {
            return PublishOutcome { accepted: 0, dropped: count, retired: 1, reserved: [0; 3] };
        }
        let dropped = offer(&self.intake);
        PublishOutcome { accepted: count.saturating_sub(dropped), dropped, retired: 0, reserved: [0; 3] }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl AdapterEvents for Shared {
    fn ltp(&self, batch: &[Ltp]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_ltp(batch))
    }

    fn quote(&self, batch: &[Quote]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_quote(batch))
    }

    fn depth(&self, batch: &[Depth], levels: &[DepthLevel]) -> PublishOutcome {
        self.publish(batch.len(), |intake| intake.offer_depth(batch, levels))
    }

    fn order_update(&self, json: &str) -> PublishOutcome {
        let is_taken = json.len() <= MAX_ORDER_BYTES;
        if is_taken {
            self.output.send(&FromChild::Order { json: json.to_owned() });
        }
        PublishOutcome {
            accepted: u32::from(is_taken),
            dropped: u32::from(!is_taken),
            ..PublishOutcome::default()
        }
    }

    fn status(&self, event: StatusEvent) {
        self.output.send(&FromChild::Status((&event).into()));
    }

    fn outcomes(&self, request: u64, outcomes: &[SubscriptionOutcome]) {
        for part in outcomes.chunks(OUTCOMES_PER_LINE) {
            let outcomes = part.iter().map(Into::into).collect();
            self.output.send(&FromChild::Outcomes { request, outcomes });
        }
    }

    fn list(&self, state_json: &str) {
        // One that is too long is cut, and so counted by the host as what it cannot read.
        let end = state_json.floor_char_boundary(MAX_LIST_STATE_BYTES + 1);
        let json = state_json.get(..end).unwrap_or_default().to_owned();
        self.output.send(&FromChild::List { json });
    }

    fn credentials(&self) -> Zeroizing<String> {
        self.credentials.lock().clone()
    }

    fn log_level(&self) -> LogLevel {
        self.log_level
    }

    fn log(&self, level: LogLevel, target: &str, message: &str, fields_json: &str) {
        self.output.send(&FromChild::Log {
            level: level.0,
            target: tidy(target),
            message: tidy(message),
            fields: tidy(fields_json),
        });
    }

    fn replaced(&self, _count: u32) {}

    fn invalid(&self, _count: u64) {}

    fn lost(&self, _count: u64) {}
}
