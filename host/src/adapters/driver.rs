//! Keeps a library that runs in the host's own process at arm's length: all calls into it come from one
//! thread of its own, so that one which does not return holds nobody else, and a watchdog sees it.
//!
//! What hangs here cannot be killed. It is left behind, counted, and replaced by a new instance.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, HealthSnapshot, StatusEvent, StatusKind, Subscription};
use parking_lot::Mutex;

use super::{
    AdapterEvents, AdapterFailure, AdapterInstance,
    watchdog::{LOOK_EVERY, Watchdog},
};

/// Commands that may wait for the thread. A library that does not take them makes the host's calls fail, not
/// wait.
const COMMANDS: usize = 1_024;

/// Instances that were left behind since the start, because they did not end.
static LEFT_BEHIND: AtomicU64 = AtomicU64::new(0);

/// Instances that were left behind since the start of the host: each keeps a thread and its memory.
pub fn left_behind() -> u64 {
    LEFT_BEHIND.load(Ordering::Relaxed)
}

enum Command {
    Connect(u64),
    Subscribe(u64, Vec<Subscription>),
    Unsubscribe(u64, Vec<u32>),
    CredentialsChanged,
    RenewList,
    Shutdown(Duration),
}

/// An instance whose calls run on a thread of their own.
pub(super) struct Driven {
    commands: SyncSender<Command>,
    shared: Arc<Shared>,
}

struct Shared {
    label: String,
    health: Mutex<HealthSnapshot>,
    started: Instant,
    /// When the present call began, in milliseconds since `started` and one; 0 when there is none.
    busy_since: AtomicU64,
    has_ended: AtomicBool,
    is_let_go: AtomicBool,
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Driven").field(&self.shared.label).finish()
    }
}

impl Driven {
    /// Makes an instance on a new thread. Returns at once; what `create` says against it is reported as a
    /// status. Must be called in a runtime, which runs the watchdog.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(
        label: &str,
        events: Arc<dyn AdapterEvents>,
        create: impl FnOnce() -> Result<Box<dyn AdapterInstance>, AdapterFailure> + Send + 'static,
    ) -> Result<Self, AdapterFailure> {
        let (commands, waiting) = sync_channel(COMMANDS);
        let shared = Arc::new(Shared {
            label: label.to_owned(),
            health: Mutex::default(),
            started: Instant::now(),
            busy_since: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
            is_let_go: AtomicBool::new(false),
        });
        let (at_work, heard) = (Arc::clone(&shared), Arc::clone(&events));
        std::thread::Builder::new()
            .name(format!("drive-{label}"))
            .spawn(move || {
                drive(&at_work, &heard, &waiting, create);
                at_work.has_ended.store(true, Ordering::Release);
            })
            .map_err(|error| AdapterFailure {
                code: ErrorCode::OTHER,
                message: format!("cannot start a thread: {error}"),
            })?;
        tokio::spawn(watch(Arc::clone(&shared), events));
        Ok(Self { commands, shared })
    }

    fn send(&self, command: Command) -> Result<(), AdapterFailure> {
        self.commands.try_send(command).map_err(|error| AdapterFailure {
            code: ErrorCode::UNAVAILABLE,
            message: match error {
                TrySendError::Full(_) => "it does not take commands; it may be stuck".to_owned(),
                TrySendError::Disconnected(_) => "it has ended".to_owned(),
            },
        })
    }
}

impl AdapterInstance for Driven {
    fn connect(&self, request: u64) -> Result<(), AdapterFailure> {
        self.send(Command::Connect(request))
    }

    fn subscribe(&self, request: u64, subscriptions: &[Subscription]) -> Result<(), AdapterFailure> {
        self.send(Command::Subscribe(request, subscriptions.to_vec()))
    }

    fn unsubscribe(&self, request: u64, instruments: &[u32]) -> Result<(), AdapterFailure> {
        self.send(Command::Unsubscribe(request, instruments.to_vec()))
    }

    fn credentials_changed(&self) {
        // A full queue belongs to a library that is stuck; the next instance asks for the new ones.
        _ = self.send(Command::CredentialsChanged);
    }

    fn renew_list(&self) {
        // A library that is stuck is replaced soon, and the next instance makes its own list.
        _ = self.send(Command::RenewList);
    }

    fn health(&self) -> HealthSnapshot {
        *self.shared.health.lock()
    }

    fn shutdown(&self, deadline: Duration) {
        self.shared.is_let_go.store(true, Ordering::Release);
        _ = self.send(Command::Shutdown(deadline));
        let until = Instant::now() + deadline;
        while !self.shared.has_ended.load(Ordering::Acquire) {
            if Instant::now() >= until {
                LEFT_BEHIND.fetch_add(1, Ordering::Relaxed);
                tracing::error!(
                    instance = self.shared.label,
                    count = left_behind(),
                    "An adapter in the host's own process did not end; its thread and memory are left behind. Give it \
                     isolation = \"process\""
                );
                return;
            }
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.shared.is_let_go.store(true, Ordering::Release);
    }
}

/// The thread: makes the instance, does what it is told, and looks at its counters in between.
fn drive(
    shared: &Shared,
    events: &Arc<dyn AdapterEvents>,
    waiting: &Receiver<Command>,
    create: impl FnOnce() -> Result<Box<dyn AdapterInstance>, AdapterFailure>,
) {
    let instance = match shared.busy(create) {
        Ok(instance) => instance,
        Err(failure) => return report(events, &failure),
    };
    loop {
        let command = waiting.recv_timeout(LOOK_EVERY);
        let done = shared.busy(|| match command {
            Ok(Command::Connect(request)) => Some(instance.connect(request)),
            Ok(Command::Subscribe(request, wanted)) => Some(instance.subscribe(request, &wanted)),
            Ok(Command::Unsubscribe(request, instruments)) => {
                Some(instance.unsubscribe(request, &instruments))
            }
            Ok(Command::CredentialsChanged) => {
                instance.credentials_changed();
                Some(Ok(()))
            }
            Ok(Command::RenewList) => {
                instance.renew_list();
                Some(Ok(()))
            }
            Ok(Command::Shutdown(deadline)) => {
                instance.shutdown(deadline);
                None
            }
            Err(RecvTimeoutError::Timeout) => Some(Ok(())),
            Err(RecvTimeoutError::Disconnected) => None,
        });
        match done {
            Some(Ok(())) => {}
            Some(Err(failure)) => report(events, &failure),
            None => return,
        }
        *shared.health.lock() = shared.busy(|| instance.health());
    }
}

fn report(events: &Arc<dyn AdapterEvents>, failure: &AdapterFailure) {
    events.status(StatusEvent {
        kind: StatusKind::FAILED,
        code: failure.code,
        request: 0,
        retry_in_ms: 0,
        message: failure.message.as_str().into(),
    });
}

/// Looks at the instance until it is let go of, or hangs.
async fn watch(shared: Arc<Shared>, events: Arc<dyn AdapterEvents>) {
    let mut watchdog = Watchdog::new(Instant::now());
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if shared.is_let_go.load(Ordering::Acquire) || shared.has_ended.load(Ordering::Acquire) {
            return;
        }
        let now = Instant::now();
        let last_turn = shared.health.lock().last_turn_ts_ns;
        let busy = shared.busy_for();
        let seen = watchdog.alive(last_turn, busy, now).and_then(|()| {
            // While a call is under way nobody looks at the counters, so that they stand still says nothing.
            if busy.is_zero() { watchdog.look(now) } else { Ok(()) }
        });
        if let Err(hang) = seen {
            let failure = AdapterFailure { code: ErrorCode::UNAVAILABLE, message: hang.to_string() };
            return report(&events, &failure);
        }
    }
}

impl Shared {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX) + 1
    }

    fn busy<T>(&self, call: impl FnOnce() -> T) -> T {
        self.busy_since.store(self.now_ms(), Ordering::Release);
        let done = call();
        self.busy_since.store(0, Ordering::Release);
        done
    }

    fn busy_for(&self) -> Duration {
        match self.busy_since.load(Ordering::Acquire) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now_ms().saturating_sub(since)),
        }
    }
}
