//! An adapter instance that runs in a process of its own, as the host sees it.
//!
//! Every method only adds to a bounded queue; one task owns the process, its streams and its watchdog, and
//! reports what happens through [`AdapterEvents`]. Whatever ends the process, the feed hears of it as one
//! status event.

mod ends;
mod launch;
mod pipes;
mod task;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use adapter_abi::{ErrorCode, HealthSnapshot};
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};

use self::task::Task;
use super::{ProcessSettings, Usage, wire::ToChild};
use crate::adapters::{AdapterEvents, AdapterFailure, AdapterInstance, Assignment, integrity::PrivateCopy};

/// Commands that may wait for a process. One that does not read makes the host's calls fail, not wait.
const COMMANDS: usize = 1_024;

/// Beyond the deadline of a shutdown, before the process is killed.
const SHUTDOWN_MARGIN: Duration = Duration::from_millis(300);

/// What is to be started.
pub(super) struct Plan {
    /// Name of the adapter, the only thing that the list of processes shows.
    pub(super) name: Arc<str>,
    /// Names the instance in logs.
    pub(super) label: String,
    /// What the instance is for.
    pub(super) assignment: Assignment,
    /// The library. It stays in its place while the instance lives.
    pub(super) copy: Arc<PrivateCopy>,
    /// Settings.
    pub(super) config_json: SecretString,
    /// Who hears of it.
    pub(super) events: Arc<dyn AdapterEvents>,
    /// Where and how.
    pub(super) settings: Arc<ProcessSettings>,
    /// What it may use.
    pub(super) limits: super::ResourceLimits,
    /// Where the service manager gives a process of another user, instead of one of the host's own.
    pub(super) socket: Option<std::path::PathBuf>,
    /// What it may touch.
    pub(super) cage: Arc<super::Cage>,
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

    fn renew_list(&self) {
        // A process that is stuck is replaced soon, and the next one makes its own list.
        _ = self.send(ToChild::RenewList);
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
