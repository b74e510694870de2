//! What an adapter said, without the types that cross the boundary.

use std::fmt;

use adapter_abi::{
    AdapterModuleRef, DepthLevel, ErrorCode, Greeks, HealthSnapshot, LogLevel, Ltp, OutcomeCode, Quote,
    StatusEvent, StatusKind, SubscriptionOutcome, field,
};

/// The entry points of an adapter, which the conformance suite takes.
#[derive(Clone, Copy)]
pub struct Module(pub(super) AdapterModuleRef);

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").finish_non_exhaustive()
    }
}

#[doc(hidden)]
impl From<Module> for AdapterModuleRef {
    fn from(module: Module) -> Self {
        module.0
    }
}

/// A tick as the host got it: a record of plain numbers, whose layout the ABI promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// A last price.
    Ltp(Ltp),
    /// A quote.
    Quote(Quote),
    /// What those see who want the book: values, and bids and asks if it [has a book](Self::has_book). Values
    /// beside a book come so as well, without levels.
    Depth(Quote, Vec<DepthLevel>, Vec<DepthLevel>),
}

impl Published {
    /// Number of the instrument.
    pub const fn instrument(&self) -> u32 {
        match self {
            Self::Ltp(tick) => tick.instrument,
            Self::Quote(quote) | Self::Depth(quote, ..) => quote.instrument,
        }
    }

    /// Whether it says what the whole book is, be it that there is none: a book with levels, or an empty one.
    /// Values beside a book ([`TickSink::beside_book`](crate::TickSink::beside_book)) say nothing of it.
    pub const fn has_book(&self) -> bool {
        match self {
            Self::Ltp(_) | Self::Quote(_) => false,
            Self::Depth(quote, ..) => quote.fields & field::BOOK != 0,
        }
    }
}

/// What became of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Number of the instrument.
    pub instrument: u32,
    /// Whether it was taken, or why not.
    pub code: OutcomeCode,
    /// Levels on each side that will come; 0 below mode DEPTH, and when it was not taken.
    pub depth: u16,
    /// For people; empty when it was taken.
    pub message: String,
}

impl From<&SubscriptionOutcome> for Outcome {
    fn from(outcome: &SubscriptionOutcome) -> Self {
        let SubscriptionOutcome { instrument, code, depth, message, .. } = outcome;
        Self { instrument: *instrument, code: *code, depth: *depth, message: message.to_string() }
    }
}

/// A sign of how the connection to the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What happened.
    pub kind: StatusKind,
    /// Why.
    pub code: ErrorCode,
    /// The request that it answers; 0 when nobody asked.
    pub request: u64,
    /// Milliseconds until the adapter tries again by itself; 0 when it does not.
    pub retry_in_ms: u64,
    /// For people.
    pub message: String,
}

impl From<StatusEvent> for Status {
    fn from(event: StatusEvent) -> Self {
        let StatusEvent { kind, code, request, retry_in_ms, message } = event;
        Self { kind, code, request, retry_in_ms, message: message.into() }
    }
}

/// Counters of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether it is connected to the broker.
    pub is_connected: bool,
    /// Records that the host was given.
    pub published: u64,
    /// Records that the host did not take.
    pub dropped: u64,
    /// Packets of the broker that made no sense.
    pub undecodable: u64,
    /// Connections that came up.
    pub connects: u64,
    /// When the last packet came, in nanoseconds since the Unix epoch; 0 when none did.
    pub last_packet_ts_ns: u64,
    /// When the adapter's loop last turned, in the same unit.
    pub last_turn_ts_ns: u64,
}

impl From<HealthSnapshot> for Health {
    fn from(health: HealthSnapshot) -> Self {
        Self {
            is_connected: health.connected != 0,
            published: health.published,
            dropped: health.dropped,
            undecodable: health.undecodable,
            connects: health.connects,
            last_packet_ts_ns: health.last_packet_ts_ns,
            last_turn_ts_ns: health.last_turn_ts_ns,
        }
    }
}

/// Everything that an adapter said.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Heard {
    /// Ticks, in order.
    pub ticks: Vec<Published>,
    /// Greeks, in order, each with how many ticks were there before it.
    pub greeks: Vec<(usize, Greeks)>,
    /// Sizes of the batches that they came in.
    pub batches: Vec<usize>,
    /// Outcomes with the request that they answer, in order.
    pub outcomes: Vec<(u64, Outcome)>,
    /// Status events, in order.
    pub statuses: Vec<Status>,
    /// Order updates, as JSON.
    pub orders: Vec<String>,
    /// States of the list of instruments, as JSON, in order.
    pub lists: Vec<String>,
    /// Log lines with their level.
    pub logs: Vec<(LogLevel, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beside_a_book_have_none_and_an_empty_book_is_one() {
        let quote = Quote { fields: field::LTP, ..Quote::default() };
        assert!(!Published::Depth(quote, Vec::new(), Vec::new()).has_book());
        assert!(!Published::Quote(quote).has_book());
        let book = Quote { fields: field::LTP | field::BOOK, ..quote };
        assert!(Published::Depth(book, Vec::new(), Vec::new()).has_book());
    }
}
