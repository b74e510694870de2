//! The object that the host holds: turns its calls into messages for the adapter's thread.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use adapter_abi::{
    Adapter_TO, AdapterBox, AdapterError as AbiError, HealthSnapshot, HostHandle, StatusEvent, StatusKind,
    abi_stable::{
        sabi_trait::TD_Opaque,
        std_types::{RBox, ROk, RResult, RSlice},
    },
};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{mpsc, watch};

use crate::{
    Adapter, AdapterError, Context, Credentials, DeepBooks, ListReporter, Manifest, Subscription,
    context::Assignment,
    guard::guarded,
    log::Bridge,
    runtime::{self, Command},
    sink::Handle,
};

/// Commands that may wait for the adapter's thread. One that is stuck makes the host's calls fail, not wait.
const COMMANDS: usize = 1_024;

/// Longest pause between looks at a thread that is to end.
const JOIN_POLL: Duration = Duration::from_millis(2);

/// Counters that the host may read at any time.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) connected: AtomicBool,
    pub(crate) published: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) connects: AtomicU64,
    pub(crate) last_packet_ts_ns: AtomicU64,
    pub(crate) last_turn_ts_ns: AtomicU64,
}

/// One instance, as the host holds it.
struct Instance {
    commands: mpsc::Sender<Command>,
    /// Tells the thread to end, also one whose command queue is full, and how long a goodbye to the broker
    /// may take.
    stop: watch::Sender<Option<Duration>>,
    /// Says that the operator wants a new list of instruments.
    list_asked: Arc<tokio::sync::Notify>,
    health: Arc<Health>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Checks a configuration by making an adapter of it, which does no I/O.
///
/// # Errors
/// What the adapter says against it.
pub(crate) fn validate_config<A: Adapter>(
    assignment: &Assignment,
    config_json: &str,
) -> Result<(), AdapterError> {
    let manifest = guarded(A::manifest)?;
    make::<A>(&manifest, assignment, config_json, ListReporter::default()).map(drop)
}

/// What a configuration means for the limits of the broker, as the host reads it.
///
/// # Errors
/// What the adapter says against the configuration.
pub(crate) fn limits<A: Adapter>(assignment: &Assignment, config_json: &str) -> Result<String, AdapterError> {
    let manifest = guarded(A::manifest)?;
    let adapter = make::<A>(&manifest, assignment, config_json, ListReporter::default())?;
    guarded(|| DeepBooks::described(adapter.deep_books()))
}

/// Makes an instance with its thread. It does nothing before the host says `connect`.
///
/// # Errors
/// What the adapter says against its configuration, or why there is no thread.
pub(crate) fn create<A: Adapter>(
    assignment: &Assignment,
    config_json: &str,
    host: HostHandle,
) -> Result<AdapterBox, AdapterError> {
    // Made here once to refuse a bad configuration at once, and again on its own thread, which need not be
    // able to receive it.
    validate_config::<A>(assignment, config_json)?;
    let manifest = guarded(A::manifest)?;
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (stop, stopped) = watch::channel(None);
    let health = Arc::<Health>::default();
    let list_asked = Arc::new(tokio::sync::Notify::new());
    let thread = {
        let (config_json, assignment) = (SecretString::from(config_json), assignment.clone());
        let health = Arc::clone(&health);
        let host = Handle(Arc::new(host));
        let lists = ListReporter::new(host.clone(), Arc::clone(&list_asked));
        std::thread::Builder::new()
            .name(format!("adapter-{}", manifest.name))
            .spawn(move || {
                let _bridge = Bridge::install(&host);
                let ended = guarded(|| {
                    let adapter =
                        make::<A>(&manifest, &assignment, config_json.expose_secret(), lists.clone())?;
                    runtime::run(adapter, &manifest, host.clone(), lists, inbox, stopped, &health)
                })
                .and_then(std::convert::identity);
                health.connected.store(false, Ordering::Relaxed);
                let (kind, error) = match ended {
                    Ok(()) => (StatusKind::STOPPED, None),
                    Err(error) => (StatusKind::FAILED, Some(error)),
                };
                let error = error.map(AdapterError::into_abi);
                host.0.status(StatusEvent {
                    kind,
                    code: error.as_ref().map_or_else(Default::default, |error| error.code),
                    request: 0,
                    retry_in_ms: 0,
                    message: error.map(|error| error.message).unwrap_or_default(),
                });
            })
            .map_err(|error| {
                AdapterError::unavailable(format!("cannot start the adapter's thread: {error}"))
            })?
    };
    let instance = Instance { commands, stop, list_asked, health, thread: Mutex::new(Some(thread)) };
    Ok(Adapter_TO::from_ptr(RBox::new(instance), TD_Opaque))
}

/// Takes one step of logging in, in a runtime of its own on this thread.
///
/// # Errors
/// What the adapter says, or that it took too long.
pub(crate) fn log_in<A: Adapter>(
    assignment: &Assignment,
    config_json: &str,
    fields_json: &str,
    deadline: Duration,
) -> Result<String, AdapterError> {
    let manifest = guarded(A::manifest)?;
    let adapter = make::<A>(&manifest, assignment, config_json, ListReporter::default())?;
    let fields = Credentials::from_json(fields_json);
    guarded(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| AdapterError::unavailable(format!("cannot start a runtime: {error}")))?;
        let step = runtime
            .block_on(async { tokio::time::timeout(deadline, adapter.login(&fields)).await })
            .map_err(|_| AdapterError::network(format!("the broker did not answer within {deadline:?}")))??;
        serde_json::to_string(&step).map_err(AdapterError::protocol)
    })
    .and_then(std::convert::identity)
}

fn make<A: Adapter>(
    manifest: &Manifest,
    assignment: &Assignment,
    config_json: &str,
    lists: ListReporter,
) -> Result<A, AdapterError> {
    let config_json = SecretString::from(manifest.settings_for(assignment, config_json)?);
    let context = Context::new(assignment.clone(), manifest, lists);
    guarded(|| {
        let mut json = serde_json::Deserializer::from_str(config_json.expose_secret());
        let config = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| AdapterError::config(plain(&error)))?;
        A::try_new(config, context)
    })
    .and_then(std::convert::identity)
}

/// Which setting is wrong, and how. Without its position, since the configuration was written as TOML, and a
/// column of its JSON says nothing; and without a value of the wrong type, which may be a secret.
fn plain(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let text = error.inner().to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    let shown = ["invalid type: ", "invalid value: "].into_iter().find_map(|start| {
        let (given, _) = text.strip_prefix(start)?.split_once(['"', '`'])?;
        let expected = text.get(text.rfind(", expected ")?..)?;
        Some(format!("{start}{}{expected}", given.trim_end()))
    });
    let shown = shown.or_else(|| {
        let expected =
            text.strip_prefix("unknown variant ").and_then(|text| text.get(text.rfind(", expected ")?..))?;
        Some(format!("unknown value{expected}"))
    });
    let shown = in_words(shown.unwrap_or_else(|| text.to_owned()));
    match error.path().to_string().as_str() {
        "." => shown,
        _ if text.starts_with("unknown field ") => shown,
        path => format!("{path}: {shown}"),
    }
}

/// The types of numbers as people call them.
fn in_words(text: String) -> String {
    let Some((given, expected)) = text.rsplit_once(", expected ") else { return text };
    match expected {
        "f32" | "f64" => format!("{given}, expected a number"),
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
            format!("{given}, expected a whole number")
        }
        _ => text,
    }
}

impl Instance {
    fn send(&self, command: Command) -> RResult<(), AbiError> {
        match self.commands.try_send(command) {
            Ok(()) => ROk(()),
            Err(mpsc::error::TrySendError::Full(_)) => RResult::RErr(
                AdapterError::unavailable("the adapter does not take commands; it may be stuck").into_abi(),
            ),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                RResult::RErr(AdapterError::unavailable("the adapter has ended").into_abi())
            }
        }
    }
}

impl adapter_abi::Adapter for Instance {
    fn connect(&self, request: u64) -> RResult<(), AbiError> {
        self.send(Command::Connect(request))
    }

    fn subscribe(
        &self,
        request: u64,
        subscriptions: RSlice<'_, adapter_abi::Subscription>,
    ) -> RResult<(), AbiError> {
        self.send(Command::Subscribe(request, subscriptions.iter().map(Subscription::of_abi).collect()))
    }

    fn unsubscribe(&self, _request: u64, instruments: RSlice<'_, u32>) -> RResult<(), AbiError> {
        self.send(Command::Unsubscribe(instruments.to_vec()))
    }

    fn credentials_changed(&self) {
        // A full queue means a stuck thread, which the host notices by its silence.
        let _sent = self.commands.try_send(Command::CredentialsChanged);
    }

    fn health(&self) -> HealthSnapshot {
        let health = &self.health;
        HealthSnapshot {
            connected: u8::from(health.connected.load(Ordering::Relaxed)),
            reserved: [0; 7],
            published: health.published.load(Ordering::Relaxed),
            dropped: health.dropped.load(Ordering::Relaxed),
            undecodable: health.undecodable.load(Ordering::Relaxed),
            connects: health.connects.load(Ordering::Relaxed),
            last_packet_ts_ns: health.last_packet_ts_ns.load(Ordering::Relaxed),
            last_turn_ts_ns: health.last_turn_ts_ns.load(Ordering::Relaxed),
        }
    }

    fn shutdown(&self, deadline_ms: u32) {
        let limit = Duration::from_millis(deadline_ms.into());
        let deadline = Instant::now() + limit;
        // The other half is for the thread to end in.
        self.stop.send_replace(Some(limit / 2));
        let Some(thread) = self.thread.lock().take() else { return };
        // The standard library cannot wait for a thread with a limit, and a stuck one must not hold the host.
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                tracing::warn!("The adapter did not end in time; its thread is left behind");
                return;
            }
            std::thread::park_timeout(JOIN_POLL);
        }
        // A panic of the thread was reported as a status already.
        let _ended = thread.join();
    }

    fn renew_list(&self) {
        self.list_asked.notify_one();
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop.send_if_modified(|stop| stop.replace(Duration::MAX).is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by nobody but the parser")]
    struct Config {
        size: u8,
        network: Option<Network>,
    }

    #[derive(serde::Deserialize)]
    #[expect(dead_code, reason = "the same")]
    struct Network {
        mode: Mode,
    }

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
    }

    fn said(json: &str) -> String {
        let mut json = serde_json::Deserializer::from_str(json);
        let parsed: Result<Config, _> = serde_path_to_error::deserialize(&mut json);
        plain(&parsed.err().unwrap())
    }

    #[test]
    fn a_wrong_setting_is_named_and_its_value_is_not_repeated() {
        for (json, wanted) in [
            (
                r#"{"size":"canary \", expected at line 7"}"#,
                "size: invalid type: string, expected a whole number",
            ),
            (r#"{"size":-7}"#, "size: invalid value: integer, expected a whole number"),
            (r#"{"size":[]}"#, "size: invalid type: sequence, expected a whole number"),
            (r#"{"stall":1}"#, "unknown field `stall`, expected `size` or `network`"),
            (
                r#"{"size":1,"network":{"mode":"canary, expected `slow`"}}"#,
                "network.mode: unknown value, expected `fast`",
            ),
            ("{}", "missing field `size`"),
        ] {
            assert_eq!(said(json), wanted, "{json}");
        }
    }
}
