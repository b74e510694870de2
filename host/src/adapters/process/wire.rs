//! What a host and an adapter's own process tell each other beside ticks: one JSON object to a line, on the
//! standard input and output of the process.
//!
//! Both ends are nearly always the same program: on Linux the host starts the one that it runs itself, also
//! when another release has taken its place on the disk. A process of another user is different, since the
//! service manager starts it from the disk, and so is another system. So the first line says [`VERSION`], and
//! a process that has another one says so and ends.

use std::path::PathBuf;

use adapter_abi::{ErrorCode, HealthSnapshot, OutcomeCode, StatusEvent, StatusKind, SubscriptionOutcome};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::link::Address;
use crate::{
    adapters::Assignment,
    base::secret::expose,
    config::{Cage, ResourceLimits},
};

/// Number of what the two ends say to each other, lines and frames of ticks. It moves with every change of
/// them; the test `what_is_said_has_a_version` notices one.
///
/// Frozen for all versions are the line that says it, `{"begin":{"version":1,…}}`, and that of the refusal,
/// `{"refused":{"code":1,"message":"…"}}`.
pub(super) const VERSION: u32 = 2;

/// Longest line in either direction. A child that sends a longer one is killed.
pub(super) const MAX_LINE_BYTES: usize = 4 * 1_024 * 1_024;

/// Outcomes in one line: with messages of [`MAX_TEXT_BYTES`] well below the longest line.
pub(super) const OUTCOMES_PER_LINE: usize = 500;

/// Longest message of a status, an outcome or a log line.
pub(super) const MAX_TEXT_BYTES: usize = 2_048;

/// Longest order update.
pub(super) const MAX_ORDER_BYTES: usize = 64 * 1_024;

/// From the host to the process.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToChild {
    /// Always the first line.
    Begin(Box<Begin>),
    /// The account's credentials from now on, a JSON object of strings.
    Credentials(#[serde(serialize_with = "expose")] SecretString),
    /// [`adapter_abi::Adapter::connect`].
    Connect { request: u64 },
    /// [`adapter_abi::Adapter::subscribe`].
    Subscribe { request: u64, subscriptions: Vec<Subscription> },
    /// [`adapter_abi::Adapter::unsubscribe`].
    Unsubscribe { request: u64, instruments: Vec<u32> },
    /// [`adapter_abi::Adapter::credentials_changed`].
    CredentialsChanged,
    /// [`adapter_abi::Adapter::renew_list`].
    RenewList,
    /// End within this time.
    Shutdown { deadline_ms: u64 },
}

/// What a process has to know before it can do anything.
#[derive(Serialize, Deserialize)]
pub(super) struct Begin {
    /// [`VERSION`] of the host.
    pub(super) version: u32,
    /// Names the instance in logs.
    pub(super) label: String,
    /// What the instance is for.
    pub(super) assignment: Assignment,
    /// The private copy of the library, or the operator's file for a process that cannot reach the copy.
    pub(super) library: PathBuf,
    /// What such a process must find in that file.
    pub(super) sha256: Option<String>,
    /// The operator's file, for messages.
    pub(super) shown_as: PathBuf,
    /// The adapter's settings.
    #[serde(serialize_with = "expose")]
    pub(super) config_json: SecretString,
    /// The account's credentials.
    #[serde(serialize_with = "expose")]
    pub(super) credentials_json: SecretString,
    /// Where ticks go.
    pub(super) endpoint: Address,
    /// What the process shows there first.
    #[serde(serialize_with = "expose")]
    pub(super) token: SecretString,
    /// What the process may use.
    pub(super) limits: ResourceLimits,
    /// Threads of the host and of its other processes, as far as the host knows.
    pub(super) others: u64,
    /// What the process may touch.
    pub(super) cage: Cage,
    /// Its own cache folder; none when the service manager has given it one.
    pub(super) cache: Option<PathBuf>,
    /// The most verbose level of log lines.
    pub(super) log_level: u8,
}

/// Reads the first line.
///
/// # Errors
/// What a process says that was started by another program than this one, or by none.
pub(super) fn read_begin(line: &[u8]) -> Result<Box<Begin>, NoBegin> {
    /// As much of it as every version has.
    #[derive(Deserialize)]
    struct Opening {
        begin: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        /// There were hosts that did not say it.
        #[serde(default)]
        version: u32,
    }
    let opening: Opening = serde_json::from_slice(line).map_err(|_| NoBegin::Nonsense)?;
    let theirs = opening.begin.version;
    if theirs != VERSION {
        return Err(NoBegin::OtherVersion(theirs));
    }
    match serde_json::from_slice(line) {
        Ok(ToChild::Begin(begin)) => Ok(begin),
        _ => Err(NoBegin::Nonsense),
    }
}

/// A first line by which a process cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoBegin {
    /// A host of another release.
    #[error(
        "the host and the process of this adapter are of different releases (they speak versions {0} and {VERSION}): restart \
         both, the host and the unit that starts the process"
    )]
    OtherVersion(u32),
    /// Not from a host.
    #[error("this command is for the host itself; use `tickhost run`")]
    Nonsense,
}

/// A subscription, with the members of [`adapter_abi::Subscription`].
#[derive(Serialize, Deserialize)]
pub(super) struct Subscription {
    instrument: u32,
    mode: u8,
    depth: u16,
    exchange: String,
    symbol: String,
}

/// From the process to the host.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromChild {
    /// The library could not be loaded, or made no instance; the process ends.
    Refused { code: u32, message: String },
    /// A command was not taken: the instance is of no use.
    NotTaken { code: u32, message: String },
    /// [`adapter_abi::Host::status`].
    Status(Status),
    /// [`adapter_abi::Host::subscription_outcomes`].
    Outcomes { request: u64, outcomes: Vec<Outcome> },
    /// [`adapter_abi::Host::instrument_list`].
    List { json: String },
    /// [`adapter_abi::Host::publish_order_update`].
    Order { json: String },
    /// [`adapter_abi::Host::log`].
    Log { level: u8, target: String, message: String, fields: String },
    /// The process is there.
    Alive(Alive),
}

/// A sign of life.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Alive {
    /// Counters of the instance.
    pub(super) health: Health,
    /// How long the present call into the library takes, 0 when there is none.
    pub(super) busy_ms: u64,
    /// Resident memory, 0 where it cannot be told.
    pub(super) resident_bytes: u64,
    /// Open descriptors, 0 where it cannot be told.
    pub(super) descriptors: u64,
    /// Malformed ticks since the start.
    pub(super) invalid: u64,
    /// Lines that found no room since the start.
    pub(super) lost: u64,
}

/// [`HealthSnapshot`].
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Health {
    connected: u8,
    published: u64,
    dropped: u64,
    undecodable: u64,
    connects: u64,
    last_packet_ts_ns: u64,
    last_turn_ts_ns: u64,
}

/// [`StatusEvent`].
#[derive(Serialize, Deserialize)]
pub(super) struct Status {
    kind: u32,
    code: u32,
    request: u64,
    retry_in_ms: u64,
    message: String,
}

/// [`SubscriptionOutcome`].
#[derive(Serialize, Deserialize)]
pub(super) struct Outcome {
    instrument: u32,
    code: u32,
    depth: u16,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
}

impl From<&adapter_abi::Subscription> for Subscription {
    fn from(wanted: &adapter_abi::Subscription) -> Self {
        Self {
            instrument: wanted.instrument,
            mode: wanted.mode,
            depth: wanted.depth,
            exchange: wanted.exchange.to_string(),
            symbol: wanted.symbol.to_string(),
        }
    }
}

impl From<Subscription> for adapter_abi::Subscription {
    fn from(wanted: Subscription) -> Self {
        let Subscription { instrument, mode, depth, exchange, symbol } = wanted;
        Self { instrument, mode, reserved: 0, depth, exchange: exchange.into(), symbol: symbol.into() }
    }
}

impl From<HealthSnapshot> for Health {
    fn from(health: HealthSnapshot) -> Self {
        Self {
            connected: health.connected,
            published: health.published,
            dropped: health.dropped,
            undecodable: health.undecodable,
            connects: health.connects,
            last_packet_ts_ns: health.last_packet_ts_ns,
            last_turn_ts_ns: health.last_turn_ts_ns,
        }
    }
}

impl From<Health> for HealthSnapshot {
    fn from(health: Health) -> Self {
        Self {
            connected: health.connected,
            reserved: [0; 7],
            published: health.published,
            dropped: health.dropped,
            undecodable: health.undecodable,
            connects: health.connects,
            last_packet_ts_ns: health.last_packet_ts_ns,
            last_turn_ts_ns: health.last_turn_ts_ns,
        }
    }
}

impl From<&StatusEvent> for Status {
    fn from(event: &StatusEvent) -> Self {
        Self {
            kind: event.kind.0,
            code: event.code.0,
            request: event.request,
            retry_in_ms: event.retry_in_ms,
            message: tidy(&event.message),
        }
    }
}

impl From<Status> for StatusEvent {
    fn from(status: Status) -> Self {
        Self {
            kind: StatusKind(status.kind),
            code: ErrorCode(status.code),
            request: status.request,
            retry_in_ms: status.retry_in_ms,
            message: status.message.into(),
        }
    }
}

impl From<&SubscriptionOutcome> for Outcome {
    fn from(outcome: &SubscriptionOutcome) -> Self {
        Self {
            instrument: outcome.instrument,
            code: outcome.code.0,
            depth: outcome.depth,
            message: tidy(&outcome.message),
        }
    }
}

impl From<Outcome> for SubscriptionOutcome {
    fn from(outcome: Outcome) -> Self {
        let Outcome { instrument, code, depth, message } = outcome;
        Self { instrument, code: OutcomeCode(code), depth, reserved: 0, message: message.into() }
    }
}

/// The text up to [`MAX_TEXT_BYTES`], without control characters, which would be six bytes each in a line.
pub(super) fn tidy(text: &str) -> String {
    let cut = text.split_at_checked(text.floor_char_boundary(MAX_TEXT_BYTES)).map_or(text, |(head, _)| head);
    cut.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A message as a line, with its end.
pub(super) fn to_line(message: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // Plain structs of numbers and strings always serialise.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    Zeroizing::new(line)
}

#[cfg(test)]
mod tests;
