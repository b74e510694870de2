//! Where ticks go: batches on their way to the host.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use adapter_abi::{
    Depth, DepthLevel, Greeks as GreeksRecord, HostHandle, Ltp, MAX_DEPTH_LEVELS, OutcomeCode,
    PublishOutcome, Quote, SubscriptionOutcome,
    abi_stable::std_types::{RSlice, RStr},
    field,
};

use crate::{Grant, Greeks, Level, OrderUpdate, Refusal, Tick, instance::Health};

/// Records in a batch before it is handed over although the packet holds more.
const BATCH: usize = 256;

/// Takes ticks, and hands them to the host in batches: one for each packet, without waiting for more. Never
/// blocks.
///
/// The ticks of one instrument arrive in the order in which they were given here.
#[derive(Debug)]
pub struct TickSink {
    pub(crate) host: Handle,
    health: Arc<Health>,
    seq: u64,
    /// Time of the batch; 0 when no tick of it needed one yet. One clock read serves the whole batch.
    now_ns: u64,
    ltp: Vec<Ltp>,
    quote: Vec<Quote>,
    depth: Vec<Depth>,
    levels: Vec<DepthLevel>,
    /// Handed over behind the ticks of the batch, which are all older for the instruments that have some.
    greeks: Vec<GreeksRecord>,
    with_greeks: Marked,
    is_retired: bool,
    /// Instruments that the broker refused after they had been subscribed, since the runtime took note of
    /// them.
    refused: Vec<u32>,
}

/// The host, with the traits that the trait object lacks.
#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Arc<HostHandle>);

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostHandle(..)")
    }
}

impl TickSink {
    pub(crate) fn new(host: Handle, health: Arc<Health>) -> Self {
        Self {
            host,
            health,
            seq: 0,
            now_ns: 0,
            ltp: Vec::with_capacity(BATCH),
            quote: Vec::new(),
            depth: Vec::new(),
            levels: Vec::new(),
            greeks: Vec::new(),
            with_greeks: Marked::default(),
            is_retired: false,
            refused: Vec::new(),
        }
    }

    /// Publishes a last price. Values beyond those of mode LTP are left out.
    pub fn ltp(&mut self, tick: &Tick) {
        let quote = self.stamp(tick);
        if !self.quote.is_empty() || !self.depth.is_empty() || self.ltp.len() >= BATCH {
            self.hand_over();
        }
        self.ltp.push(Tick { quote }.as_ltp());
    }

    /// Publishes a quote.
    pub fn quote(&mut self, tick: &Tick) {
        let quote = self.stamp(tick);
        if !self.ltp.is_empty() || !self.depth.is_empty() || self.quote.len() >= BATCH {
            self.hand_over();
        }
        self.quote.push(quote);
    }

    /// Publishes a whole book, best levels first, with the values beside it. Levels beyond 200 on a side are
    /// left out. Without any level it says that the book is empty; a packet that has no place for a book is a
    /// [`Self::quote`], or [`Self::beside_book`].
    pub fn depth(&mut self, tick: &Tick, buy: &[Level], sell: &[Level]) {
        self.book(tick, field::BOOK, buy, sell);
    }

    /// Publishes values to everybody, those who want the book included, and says nothing of the book: it
    /// stays as it is. For what comes apart from the book of an instrument, and for instruments that have
    /// none.
    pub fn beside_book(&mut self, tick: &Tick) {
        self.book(tick, 0, &[], &[]);
    }

    fn book(&mut self, tick: &Tick, bit: u32, buy: &[Level], sell: &[Level]) {
        let mut quote = self.stamp(tick);
        quote.fields |= bit;
        if !self.ltp.is_empty() || !self.quote.is_empty() || self.depth.len() >= BATCH {
            self.hand_over();
        }
        let first_level = u32::try_from(self.levels.len()).unwrap_or(u32::MAX);
        let mut push = |side: &[Level]| {
            let kept = side.len().min(usize::from(MAX_DEPTH_LEVELS));
            self.levels.extend(side.iter().take(kept).map(DepthLevel::from));
            u16::try_from(kept).unwrap_or(MAX_DEPTH_LEVELS)
        };
        let (buy_levels, sell_levels) = (push(buy), push(sell));
        self.depth.push(Depth { quote, first_level, buy_levels, sell_levels });
    }

    /// Publishes greeks and implied volatility of an option. They replace all that were published of it:
    /// values that are not set are gone. Clients of modes QUOTE and DEPTH see them. A host of an older ABI
    /// leaves them out.
    pub fn greeks(&mut self, greeks: &Greeks) {
        let mut record = greeks.record;
        (record.seq, record.received_ts_ns) = self.next(record.received_ts_ns);
        if self.greeks.len() >= BATCH {
            self.hand_over();
        }
        self.with_greeks.mark(record.instrument);
        self.greeks.push(record);
    }

    /// Publishes an order update of the account.
    pub fn order_update(&mut self, update: &OrderUpdate) {
        if let Ok(json) = serde_json::to_string(update) {
            let outcome = self.host.0.publish_order_update(RStr::from(json.as_str()));
            self.note(outcome);
        }
    }

    /// Reports what the broker said of an instrument after it had been subscribed: fewer levels, or a
    /// refusal. Clients are told.
    ///
    /// One that is refused is not subscribed any more, and does not come again after a reconnect by itself.
    /// When it is [`Refusal::UnknownInstrument`], the host asks for it again each time that the adapter says
    /// that its list has changed ([`ListReporter::say`](crate::ListReporter::say)), and when it has
    /// connected.
    pub fn outcome(&mut self, instrument: u32, answer: Result<Grant, Refusal>) {
        if answer.is_err() {
            self.refused.push(instrument);
        }
        let outcome = outcome_of(instrument, answer);
        self.host.0.subscription_outcomes(0, RSlice::from_slice(&[outcome]));
    }

    /// Counts a packet that could not be decoded.
    pub fn undecodable(&mut self) {
        self.health.undecodable.fetch_add(1, Ordering::Relaxed);
    }

    /// Hands over what was gathered. The SDK does this after each packet; an adapter that publishes from
    /// elsewhere does it itself.
    pub fn flush(&mut self) {
        self.hand_over();
        self.now_ns = 0;
    }

    /// Whether the host has replaced this instance and wants nothing more from it.
    pub const fn is_retired(&self) -> bool {
        self.is_retired
    }

    /// Ticks that were given here so far.
    #[cfg(feature = "net")]
    pub(crate) const fn count(&self) -> u64 {
        self.seq
    }

    /// Instruments that were refused since the last call.
    pub(crate) fn take_refused(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.refused)
    }

    fn stamp(&mut self, tick: &Tick) -> Quote {
        let mut quote = tick.quote;
        (quote.seq, quote.received_ts_ns) = self.next(quote.received_ts_ns);
        if !self.greeks.is_empty() && self.with_greeks.may_have(quote.instrument) {
            self.hand_over();
        }
        quote
    }

    /// Number of the next record, and when it arrived: now, unless that is set.
    fn next(&mut self, received_ts_ns: u64) -> (u64, u64) {
        self.seq += 1;
        if received_ts_ns != 0 {
            return (self.seq, received_ts_ns);
        }
        if self.now_ns == 0 {
            self.now_ns = unix_nanos();
        }
        (self.seq, self.now_ns)
    }

    fn hand_over(&mut self) {
        if !self.ltp.is_empty() {
            let outcome = self.host.0.publish_ltp(RSlice::from_slice(&self.ltp));
            self.ltp.clear();
            self.note(outcome);
        }
        if !self.quote.is_empty() {
            let outcome = self.host.0.publish_quote(RSlice::from_slice(&self.quote));
            self.quote.clear();
            self.note(outcome);
        }
        if !self.depth.is_empty() {
            let outcome =
                self.host.0.publish_depth(RSlice::from_slice(&self.depth), RSlice::from_slice(&self.levels));
            self.depth.clear();
            self.levels.clear();
            self.note(outcome);
        }
        if !self.greeks.is_empty() {
            let outcome = self.host.0.publish_greeks(RSlice::from_slice(&self.greeks));
            self.greeks.clear();
            self.with_greeks = Marked::default();
            self.note(outcome);
        }
    }

    fn note(&mut self, outcome: PublishOutcome) {
        let count = u64::from(outcome.accepted) + u64::from(outcome.dropped);
        self.health.published.fetch_add(count, Ordering::Relaxed);
        self.health.dropped.fetch_add(u64::from(outcome.dropped), Ordering::Relaxed);
        self.is_retired |= outcome.retired != 0;
    }
}

/// Instruments, by the low bits of their numbers: says of each that was marked that it may be there, and
/// seldom of another one, as hosts give numbers out in a row.
#[derive(Debug, Default)]
struct Marked([u64; 16]);

impl Marked {
    fn mark(&mut self, instrument: u32) {
        let (word, bit) = Self::place(instrument);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    fn may_have(&self, instrument: u32) -> bool {
        let (word, bit) = Self::place(instrument);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    const fn place(instrument: u32) -> (usize, u64) {
        ((instrument / 64 % 16) as usize, 1 << (instrument % 64))
    }
}

pub(crate) fn outcome_of(instrument: u32, answer: Result<Grant, Refusal>) -> SubscriptionOutcome {
    let (code, depth, message) = match answer {
        Ok(grant) => (OutcomeCode::ACCEPTED, grant.depth, String::new()),
        Err(Refusal::UnknownInstrument(message)) => (OutcomeCode::UNKNOWN_INSTRUMENT, 0, message),
        Err(Refusal::Refused(message)) => (OutcomeCode::REFUSED, 0, message),
        Err(Refusal::Capacity(message)) => (OutcomeCode::CAPACITY, 0, message),
    };
    SubscriptionOutcome { instrument, code, depth, reserved: 0, message: message.into() }
}

pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
