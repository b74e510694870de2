//! What host and adapter tell each other beside ticks: subscriptions, their outcomes, status, errors.
//!
//! Enumerations cross the boundary as integer newtypes with constants, so that a later version can add a
//! value without changing a layout. A side that meets a value it does not know treats it as the constant
//! named `OTHER`, or ignores it.

use abi_stable::{StableAbi, std_types::RString};

/// One instrument that the host wants, or wants in another mode.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The number to publish this instrument under. Unique in the host while subscribed.
    pub instrument: u32,
    /// Highest mode any client holds: 1 LTP, 2 QUOTE, 3 DEPTH.
    pub mode: u8,
    /// Always 0.
    pub reserved: u8,
    /// Levels wanted on each side in mode 3 (5, 20, 30, 50 or 200); 0 in other modes.
    pub depth: u16,
    /// Exchange code of the OpenAlgo convention, such as `NSE` or `NSE_INDEX`.
    pub exchange: RString,
    /// Symbol of the OpenAlgo convention, such as `SBIN` or `NIFTY28NOV2624500CE`.
    pub symbol: RString,
}

/// What became of one subscription. Several may follow each other: accepted, active, later failed.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionOutcome {
    /// Instrument that this is about.
    pub instrument: u32,
    /// Whether it was taken.
    pub code: OutcomeCode,
    /// Levels that will really be delivered in mode 3; 0 in other modes or when refused.
    pub depth: u16,
    /// Always 0.
    pub reserved: u16,
    /// For people, empty when taken. Must not contain credentials.
    pub message: RString,
}

/// Outcome of a subscription.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCode(pub u32);

impl OutcomeCode {
    /// The instrument exists and will be subscribed as soon as the broker is connected.
    pub const ACCEPTED: Self = Self(0);
    /// The broker confirmed it, or sent its first tick.
    pub const ACTIVE: Self = Self(1);
    /// The adapter knows no such instrument.
    pub const UNKNOWN_INSTRUMENT: Self = Self(2);
    /// The broker refused it (entitlement, limit, mode).
    pub const REFUSED: Self = Self(3);
    /// The connection has no room for it.
    pub const CAPACITY: Self = Self(4);

    /// Whether the instrument stays subscribed after this outcome.
    pub const fn is_taken(self) -> bool {
        self.0 <= Self::ACTIVE.0
    }
}

/// A change in the life of one adapter instance.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct StatusEvent {
    /// What happened.
    pub kind: StatusKind,
    /// Why, for [`StatusKind::DISCONNECTED`], [`StatusKind::AUTH_FAILED`] and [`StatusKind::FAILED`].
    pub code: ErrorCode,
    /// The request this answers; 0 when nobody asked.
    pub request: u64,
    /// Milliseconds until the adapter tries again by itself; 0 when it does not.
    pub retry_in_ms: u64,
    /// For people. Must not contain credentials.
    pub message: RString,
}

/// Kind of a [`StatusEvent`].
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusKind(pub u32);

impl StatusKind {
    /// The adapter has begun to connect.
    pub const CONNECTING: Self = Self(1);
    /// Logged in; subscriptions are being sent.
    pub const CONNECTED: Self = Self(2);
    /// The connection is lost; the adapter goes on trying.
    pub const DISCONNECTED: Self = Self(3);
    /// The broker refused the credentials; the adapter waits for new ones.
    pub const AUTH_FAILED: Self = Self(4);
    /// The adapter gave up, or panicked, and will do nothing more.
    pub const FAILED: Self = Self(5);
    /// The adapter has ended after `shutdown`.
    pub const STOPPED: Self = Self(6);
}

/// An error as it crosses the boundary.
#[repr(C)]
#[derive(StableAbi, Clone, Debug, PartialEq, Eq)]
pub struct AdapterError {
    /// Machine-readable class.
    pub code: ErrorCode,
    /// For people: what is wrong and what to do. Must not contain credentials.
    pub message: RString,
}

/// Class of an error.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// No error.
    pub const NONE: Self = Self(0);
    /// Anything without a code of its own. Worth a retry.
    pub const OTHER: Self = Self(1);
    /// Network trouble. Worth a retry.
    pub const NETWORK: Self = Self(2);
    /// The broker sent something that the adapter cannot read. Worth a retry.
    pub const PROTOCOL: Self = Self(3);
    /// Credentials refused or expired. Not worth a retry before they change.
    pub const AUTH: Self = Self(4);
    /// The settings are wrong. Not worth a retry.
    pub const CONFIG: Self = Self(5);
    /// The broker asks for fewer requests. Worth a retry, later.
    pub const RATE_LIMITED: Self = Self(6);
    /// The adapter panicked.
    pub const PANICKED: Self = Self(7);
    /// The adapter's command queue is full or its thread has ended.
    pub const UNAVAILABLE: Self = Self(8);

    /// Whether trying again without a change from outside can help.
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::AUTH | Self::CONFIG | Self::PANICKED)
    }
}

/// How a batch fared in the host.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishOutcome {
    /// Records that the host took in. Under overload it keeps only the newest of each instrument; those count
    /// too.
    pub accepted: u32,
    /// Records refused: not subscribed here, or malformed.
    pub dropped: u32,
    /// 1 when the host has replaced this instance and wants nothing more from it.
    pub retired: u8,
    /// Always 0.
    pub reserved: [u8; 3],
}

/// Counters of one adapter instance since it was created.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthSnapshot {
    /// 1 while logged in at the broker.
    pub connected: u8,
    /// Always 0.
    pub reserved: [u8; 7],
    /// Records handed to the host.
    pub published: u64,
    /// Records that the host refused.
    pub dropped: u64,
    /// Packets from the broker that could not be decoded.
    pub undecodable: u64,
    /// Connections established.
    pub connects: u64,
    /// When the last packet came, in nanoseconds since the Unix epoch; 0 when none did.
    pub last_packet_ts_ns: u64,
    /// When the adapter's own loop last turned; a host may take silence here for a hang.
    pub last_turn_ts_ns: u64,
}

/// Severity of a log line, as `tracing` has it.
#[repr(transparent)]
#[derive(StableAbi, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogLevel(pub u8);

impl LogLevel {
    /// Something failed for good.
    pub const ERROR: Self = Self(1);
    /// Something is degraded and will be tried again.
    pub const WARN: Self = Self(2);
    /// Lifecycle.
    pub const INFO: Self = Self(3);
    /// Details for the author.
    pub const DEBUG: Self = Self(4);
    /// Everything.
    pub const TRACE: Self = Self(5);
}
