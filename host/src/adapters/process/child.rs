//! The adapter's own process: `tickhost run-adapter NAME`.
//!
//! ```text
//! standard input ── reader thread ── main thread ── library ── its own thread ── intake ── sender thread ── socket
//! standard output ◀─ writer thread ◀────────────────────┴──────────────────────── twice a second: alive ─┘
//! ```
//!
//! Before the library is loaded, and before there is a second thread, the process locks itself in: see
//! [`cage`].
//!
//! The process ends when the host does, however the host ends: the kernel kills it. Where it does not, the
//! end of its input is the sign; then the library has [`LAST_MOMENTS`].

mod shared;

use std::{
    convert::Infallible,
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::AtomicU64,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, LogLevel};
use parking_lot::Mutex;
use secrecy::ExposeSecret as _;
use tickhost_core::{
    intake::{Doorbell, Intake},
    metrics::FeedCounters,
    model::FeedId,
};

use self::shared::Shared;
use super::{
    cage::{self, Inside, SystemFiles},
    sender::{self, Endpoint},
    stdio::{self, Lines, Output},
    wire::{self, Begin, FromChild, NoBegin, ToChild, tidy},
};
use crate::{
    adapters::{AdapterEvents, AdapterInstance, Library},
    base::{run_dir::CACHE_VARIABLE, sha256::Sha256},
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
    let first = input.next_line().unwrap_or_default();
    let begin = match wire::read_begin(&first) {
        Ok(begin) => begin,
        Err(error) => {
            if matches!(error, NoBegin::OtherVersion(_)) {
                refuse_version(streams.output, error);
            }
            return end_with_word(&error);
        }
    };
    let entered = enter(&begin);
    let output = match Output::start(streams.output) {
        Ok(output) => output,
        Err(error) => return end_with_word(&format_args!("cannot start a thread: {error}")),
    };
    let refuse = |code: ErrorCode, message: &dyn std::fmt::Display| {
        output.send(&FromChild::Refused { code: code.0, message: tidy(&message.to_string()) });
        output.flush();
        ExitCode::FAILURE
    };
    let (ticks, files) = match entered {
        Ok(Entered { ticks, files, lacks }) => {
            lacks.iter().for_each(|lack| say_lacking(&output, lack));
            (ticks, files)
        }
        Err(error) => return refuse(ErrorCode::OTHER, &error),
    };
    match Child::start(*begin, input, output.clone(), ticks, files) {
        Ok(child) => child.handle(),
        Err((code, message)) => refuse(code, &message),
    }
}

/// Says that this process cannot serve the host, in words that a host of any version reads.
fn refuse_version(mut output: Box<dyn io::Write + Send>, error: NoBegin) {
    let refused = FromChild::Refused { code: ErrorCode::CONFIG.0, message: error.to_string() };
    // A host that does not read it sees the end of the process.
    _ = output.write_all(&wire::to_line(&refused)).and_then(|()| output.flush());
}

/// What there is when the process is locked in.
struct Entered {
    ticks: Ticks,
    files: SystemFiles,
    /// What of the cage could not be had.
    lacks: Vec<String>,
}

/// The connection for ticks, and the runtime that it belongs to.
struct Ticks {
    runtime: tokio::runtime::Runtime,
    connection: sender::Connection,
}

/// Limits what the process may use, connects it to the host, and locks it in. There may be no other thread
/// yet.
fn enter(begin: &Begin) -> Result<Entered, String> {
    let limited = super::limits::apply(begin.limits, begin.others);
    limited.map_err(|error| format!("cannot limit what the adapter may use: {error}"))?;
    let unreachable = |error: io::Error| format!("ticks cannot reach the host: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(unreachable)?;
    let endpoint = Endpoint { address: begin.endpoint.clone(), token: begin.token.clone() };
    let connection = runtime.block_on(sender::connect(&endpoint)).map_err(unreachable)?;
    if let Some(sha256) = &begin.sha256 {
        is_the_same(&begin.library, sha256)?;
    }
    // The service manager sets the variable in the other case.
    let given = std::env::var_os(CACHE_VARIABLE).map(PathBuf::from);
    let cache = begin.cache.clone().or(given);
    let files = SystemFiles::note();
    let inside = Inside {
        library: &begin.library,
        cache: cache.as_deref(),
        config_json: begin.config_json.expose_secret(),
    };
    let lacks = cage::enter(&begin.cage, &inside);
    let lacks = lacks.map_err(|error| format!("it cannot be confined as plugins.toml requires: {error}"))?;
    Ok(Entered { ticks: Ticks { runtime, connection }, files, lacks })
}

/// Whether the host has proven this very library. Who can replace it in the meantime can do what its owner
/// can.
fn is_the_same(library: &Path, sha256: &str) -> Result<(), String> {
    let found =
        Sha256::of_file(library).map_err(|error| format!("cannot read {}: {error}", library.display()))?;
    if found.to_string() == sha256 {
        Ok(())
    } else {
        Err(format!("{} is not the library that the host has proven", library.display()))
    }
}

fn replaced(file: &str) -> String {
    format!(
        "{file} was replaced, which its cage does not show to a process that runs already; it starts again"
    )
}

fn say_lacking(output: &Output, lack: &str) {
    output.send(&FromChild::Log {
        level: LogLevel::DEBUG.0,
        target: "cage".to_owned(),
        message: tidy(&format!("Not confined as far as could be: {lack}")),
        fields: "{}".to_owned(),
    });
}

/// Gives the process a name of its own in `top` and in the service manager's log: that of its file is `exe`,
/// because the host starts the program that runs, and not one that has replaced it since. The kernel keeps 15
/// bytes.
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

/// The instance, when there is one that can say how it is.
type Health = Mutex<Option<Arc<dyn AdapterInstance>>>;

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
        ticks: Ticks,
        files: SystemFiles,
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
        let (queue, commands) = sync_channel(COMMANDS);
        // Before the library has a chance to hang: from here on the process ends with the host.
        {
            let shared = Arc::clone(&shared);
            on_thread("host-input", move || listen(input, &queue, &shared)).map_err(failed)?;
        }
        let health = Arc::<Health>::default();
        let sender = {
            let (shared, doorbell) = (Arc::clone(&shared), Arc::clone(&doorbell));
            let health = Arc::clone(&health);
            on_thread("ticks", move || send_ticks(ticks, &shared, doorbell, &health, &files))
                .map_err(failed)?
        };
        let instance = shared.busy(|| {
            let library = Library::map(&begin.library, &begin.shown_as)
                .map_err(|error| (ErrorCode::CONFIG, error.to_string()))?;
            let events = Arc::clone(&shared) as Arc<dyn AdapterEvents>;
            library
                .create(&begin.assignment, begin.config_json.expose_secret(), &begin.label, events)
                .map_err(|failure| (failure.code, failure.message))
        })?;
        let instance: Arc<dyn AdapterInstance> = instance.into();
        *health.lock() = Some(Arc::clone(&instance));
        Ok(Self { shared, instance, commands, sender, doorbell })
    }

    /// Does what the host says. The main thread is the one that calls the library, so a library that does not
    /// return from a call is seen by the age of the call.
    fn handle(self) -> ExitCode {
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
fn listen(mut input: Lines<Box<dyn io::Read + Send>>, queue: &SyncSender<ToChild>, shared: &Shared) {
    while let Some(command) = input.next() {
        match command {
            // Not behind a call that may not return.
            ToChild::Credentials(json) => *shared.credentials.lock() = json,
            // When the library holds the main thread, the host notices by the age of its call, and sends
            // nothing more.
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

/// Sends ticks until there will be no more, and signs of life meanwhile: a library that does not say how it
/// is is as good as one that hangs, and neither has ticks that anybody should wait for.
fn send_ticks(ticks: Ticks, shared: &Shared, doorbell: Arc<Doorbell>, health: &Health, files: &SystemFiles) {
    let Ticks { runtime, connection } = ticks;
    let sent = runtime.block_on(async {
        tokio::select! {
            sent = connection.run(Arc::clone(&shared.intake), doorbell) => sent,
            never = show_life(shared, health, files) => match never {},
        }
    });
    if let Err(error) = sent {
        // Nobody gets ticks of it any more. When the host is gone, nobody hears this either.
        let message = format!("its connection for ticks failed: {error}");
        shared.output.send(&FromChild::NotTaken { code: ErrorCode::OTHER.0, message });
        shared.output.flush();
        kill_this_process();
    }
}

async fn show_life(shared: &Shared, health: &Health, files: &SystemFiles) -> Infallible {
    loop {
        let is_connected = shared.alive(health.lock().as_ref());
        // A connection needs no names any more; one that is to be made does.
        if let Some(file) = files.unreadable().filter(|_| !is_connected) {
            shared.output.send(&FromChild::NotTaken { code: ErrorCode::OTHER.0, message: replaced(file) });
        }
        tokio::time::sleep(ALIVE_EVERY).await;
    }
}

fn on_thread(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}
