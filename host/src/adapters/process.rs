//! Adapters in processes of their own, the default: a crash, a hang or a leak costs that broker's feed a
//! restart and nobody else anything.
//!
//! ```text
//!            commands, credentials: JSON lines on standard input
//! host ──────────────────────────────────────────────────────────▶ tickhost run-adapter NAME
//!  parent ◀── status, outcomes, orders, log, signs of life: JSON lines on standard output ── child
//!  receiver ◀── ticks: frames with their length in front, on a private socket ───────────────── sender
//! ```
//!
//! The same library, the same SDK, the same [`AdapterInstance`] as within the host.

mod batch;
mod cage;
mod child;
mod errand;
#[cfg(fuzzing)]
pub mod fuzzing;
mod limits;
mod link;
mod login;
#[doc(hidden)]
pub mod measured;
#[cfg(target_os = "linux")]
mod orphans;
mod parent;
mod probe;
mod quota;
mod receiver;
mod sender;
mod starter;
mod stdio;
mod wire;

use std::{path::PathBuf, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use tickhost_core::intake::Intake;

pub use self::{
    cage::{Support, guard_host},
    child::run as run_child,
    login::{LoginOf, log_in, run as run_login},
    probe::{Probe, ProbeError, SettingsOf, probe, run as run_probe},
};
use super::{AdapterEvents, AdapterFailure, AdapterInstance, Assignment, LoginStep, integrity::PrivateCopy};
pub use crate::config::{Allowed, Cage, Confine, ResourceLimits};
use crate::{
    adapters::{connector::Connector, secrets::secrets_of_settings},
    base::run_dir::RunDir,
};

/// Where and how the host starts processes.
#[derive(Clone, Debug)]
pub struct ProcessSettings {
    /// The host's own program.
    pub program: PathBuf,
    /// Directory that only this user can enter, for the private sockets.
    pub run_dir: PathBuf,
    /// Where adapters keep what can be had again, such as lists of instruments; each has a folder of its own
    /// there.
    pub cache_dir: PathBuf,
    /// The runtime that takes ticks: the router's, so that a tick wakes no other thread on its way.
    pub ticks: tokio::runtime::Handle,
}

impl ProcessSettings {
    /// Those of a host with this program and folder, whose ticks are taken on this runtime.
    pub fn new(program: PathBuf, run_dir: &RunDir, ticks: tokio::runtime::Handle) -> Self {
        let (own, cache_dir) = (run_dir.own().to_owned(), run_dir.cache().to_owned());
        Self { program, run_dir: own, cache_dir, ticks }
    }
}

/// What a process uses at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its number.
    pub pid: u32,
    /// Resident memory, 0 where it cannot be told.
    pub resident_bytes: u64,
    /// Open descriptors, 0 where they cannot be told.
    pub descriptors: u64,
}

/// Makes instances that run in processes of their own.
#[derive(Clone)]
pub struct ProcessConnector {
    /// Name of the adapter.
    pub name: Arc<str>,
    /// Its library.
    pub copy: Arc<PrivateCopy>,
    /// Its settings, a JSON object that it found valid.
    pub config_json: SecretString,
    /// What each process may use.
    pub limits: ResourceLimits,
    /// What each process may touch.
    pub cage: Arc<Cage>,
    /// Where the service manager gives processes of another user, instead of the host's own.
    pub socket: Option<PathBuf>,
    /// Where and how processes are started.
    pub settings: Arc<ProcessSettings>,
}

impl std::fmt::Debug for ProcessConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessConnector")
            .field("name", &self.name)
            .field("copy", &self.copy)
            .finish_non_exhaustive()
    }
}

impl Connector for ProcessConnector {
    fn create(
        &self,
        assignment: &Assignment,
        label: &str,
        events: Arc<dyn AdapterEvents>,
        _intake: &Arc<Intake>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        Ok(Box::new(parent::ProcessInstance::start(parent::Plan {
            name: Arc::clone(&self.name),
            label: label.to_owned(),
            assignment: assignment.clone(),
            copy: Arc::clone(&self.copy),
            config_json: self.config_json.clone(),
            events,
            settings: Arc::clone(&self.settings),
            limits: self.limits,
            socket: self.socket.clone(),
            cage: Arc::clone(&self.cage),
        })))
    }

    fn secrets(&self) -> Vec<SecretString> {
        secrets_of_settings(self.config_json.expose_secret())
    }

    fn log_in(
        &self,
        assignment: &Assignment,
        fields_json: &str,
        deadline: Duration,
    ) -> Result<LoginStep, AdapterFailure> {
        let of = LoginOf {
            copy: &self.copy,
            cage: &self.cage,
            assignment,
            config_json: self.config_json.expose_secret(),
        };
        log_in(&self.settings.program, of, fields_json, deadline)
    }
}

/// The name of a signal, as far as a crash is known by it.
#[cfg(unix)]
fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
