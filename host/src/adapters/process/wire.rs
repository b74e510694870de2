//! What a host and an adapter's own process tell each other beside ticks: one JSON object to a line, on the standard
//! input and output of the process. Both ends are the same program, so there are no versions.

use std::path::PathBuf;

use adapter_abi::{ErrorCode, HealthSnapshot, OutcomeCode, StatusEvent, StatusKind, SubscriptionOutcome};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    adapters::Assignment,
    config::{Cage, ResourceLimits},
};

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
    Credentials(Zeroizing<String>),
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
    /// Bytes of tick frames that were taken since the start: opens the window of the sender.
    Taken { bytes: u64 },
    /// End within this time.
    Shutdown { deadline_ms: u64 },
}

/// What a process has to know before it can do anything.
#[derive(Serialize, Deserialize)]
pub(super) struct Begin {
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
    pub(super) config_json: Zeroizing<String>,
    /// The account's credentials.
    pub(super) credentials_json: Zeroizing<String>,
    /// Where ticks go.
    pub(super) endpoint: String,
    /// What the process shows there first.
    pub(super) token: Zeroizing<String>,
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
mod tests {
    use super::*;

    #[test]
    fn every_message_survives_the_way() {
        let status = StatusEvent {
            kind: StatusKind::AUTH_FAILED,
            code: ErrorCode::AUTH,
            request: 3,
            retry_in_ms: 250,
            message: "no".into(),
        };
        let line = to_line(&FromChild::Status(Status::from(&status)));
        let FromChild::Status(read) = serde_json::from_slice(&line).unwrap() else { panic!() };
        assert_eq!(StatusEvent::from(read), status);

        let outcome = SubscriptionOutcome {
            instrument: 7,
            code: OutcomeCode::REFUSED,
            depth: 0,
            reserved: 0,
            message: "é".repeat(2_000).into(),
        };
        let line = to_line(&FromChild::Outcomes { request: 1, outcomes: vec![Outcome::from(&outcome)] });
        let FromChild::Outcomes { outcomes, .. } = serde_json::from_slice(&line).unwrap() else { panic!() };
        let read = SubscriptionOutcome::from(outcomes.into_iter().next().unwrap());
        assert_eq!((read.instrument, read.code), (7, OutcomeCode::REFUSED));
        assert_eq!(read.message.len(), MAX_TEXT_BYTES);

        let wanted = adapter_abi::Subscription {
            instrument: 9,
            mode: 3,
            reserved: 0,
            depth: 20,
            exchange: "NSE".into(),
            symbol: "M&M \"quoted\"\n".into(),
        };
        let line = to_line(&ToChild::Subscribe { request: 2, subscriptions: vec![(&wanted).into()] });
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        let ToChild::Subscribe { subscriptions, .. } = serde_json::from_slice(&line).unwrap() else {
            panic!()
        };
        let read = subscriptions.into_iter().map(adapter_abi::Subscription::from).next().unwrap();
        assert_eq!(read, wanted);
    }

    #[test]
    fn a_full_line_of_outcomes_fits() {
        // Two bytes for one are the worst that JSON makes of text without control characters.
        let worst = Outcome {
            instrument: u32::MAX,
            code: u32::MAX,
            depth: u16::MAX,
            message: tidy(&"\"\n".repeat(MAX_TEXT_BYTES)),
        };
        assert!(OUTCOMES_PER_LINE * (to_line(&worst).len() + 1) + 100 < MAX_LINE_BYTES);
    }
}
