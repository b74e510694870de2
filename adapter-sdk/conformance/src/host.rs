//! A host that only writes down what an instance says, with the times.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use adapter_abi::{
    Depth, DepthLevel, Greeks, Host, Host_TO, HostHandle, LogLevel, Ltp, MAX_DEPTH_LEVELS, PRICE_SCALE,
    PublishOutcome, Quote, StatusEvent, StatusKind, SubscriptionOutcome,
    abi_stable::{
        sabi_trait::TD_Opaque,
        std_types::{RArc, RSlice, RStr, RString},
    },
    field, greek,
};
use parking_lot::{Condvar, Mutex};

use crate::{
    value::decimal,
    verdict::{Check, fail},
};

/// Entries of each kind that are kept of one case; what comes later is counted only.
const KEPT: usize = 200_000;

/// The three kinds of records, in the order of the modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Ltp,
    Quote,
    Depth,
}

impl Kind {
    /// Lowest first.
    pub(crate) const ALL: [Self; 3] = [Self::Ltp, Self::Quote, Self::Depth];

    /// The mode's name in the control protocol.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ltp => "ltp",
            Self::Quote => "quote",
            Self::Depth => "depth",
        }
    }
}

/// One record, as it was published.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) quote: Quote,
    pub(crate) bids: Vec<DepthLevel>,
    pub(crate) asks: Vec<DepthLevel>,
}

/// Everything that an instance said.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Records, in order.
    pub(crate) records: Vec<Record>,
    /// Greeks, in order, each with how many records there were before it.
    pub(crate) greeks: Vec<(usize, Greeks)>,
    /// Status events, in order.
    pub(crate) statuses: Vec<StatusEvent>,
    /// Outcomes with the request that they answer, in order.
    pub(crate) outcomes: Vec<(u64, SubscriptionOutcome)>,
    /// Log lines, with target and fields.
    pub(crate) logs: Vec<String>,
    /// Order updates, as JSON.
    pub(crate) orders: Vec<String>,
    /// What was said of the list of instruments, as JSON.
    pub(crate) lists: Vec<String>,
    /// What no adapter may hand over, whatever the case.
    pub(crate) malformed: Option<String>,
    /// Entries beyond the bound.
    pub(crate) not_kept: u64,
}

impl Heard {
    /// How often the instance said that it was in this state.
    pub(crate) fn count(&self, kind: StatusKind) -> usize {
        self.statuses.iter().filter(|event| event.kind == kind).count()
    }

    /// The status events in few words.
    fn story(&self) -> String {
        let said = self.statuses.iter().map(|event| {
            let name = name_of(event.kind);
            if event.message.is_empty() { name.to_owned() } else { format!("{name} ({})", event.message) }
        });
        let said: Vec<String> = said.collect();
        // The last ones say where it stands; a case with many reconnects would fill the screen.
        let from = said.len().saturating_sub(4);
        let last = said.get(from..).unwrap_or_default().join(", ");
        let story = if last.is_empty() { "no status event".to_owned() } else { last };
        format!("{} records; {story}", self.records.len())
    }
}

fn name_of(kind: StatusKind) -> &'static str {
    match kind {
        StatusKind::CONNECTING => "connecting",
        StatusKind::CONNECTED => "connected",
        StatusKind::DISCONNECTED => "disconnected",
        StatusKind::AUTH_FAILED => "auth failed",
        StatusKind::FAILED => "failed",
        StatusKind::STOPPED => "stopped",
        _ => "another status",
    }
}

/// Where an instance's words go. Waits have a limit each.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    heard: Mutex<Heard>,
    grown: Condvar,
    credentials: Mutex<String>,
    /// Numbers that are subscribed at the moment; a real host refuses records of others.
    held: Mutex<BTreeSet<u32>>,
}

impl Recorder {
    pub(crate) fn new(credentials_json: String) -> Arc<Self> {
        Arc::new(Self { credentials: Mutex::new(credentials_json), ..Self::default() })
    }

    /// The host as an instance gets it.
    pub(crate) fn handle(self: &Arc<Self>) -> HostHandle {
        Host_TO::from_ptr(RArc::new(Callbacks(Arc::clone(self))), TD_Opaque)
    }

    pub(crate) fn set_credentials(&self, credentials_json: String) {
        *self.credentials.lock() = credentials_json;
    }

    pub(crate) fn hold(&self, number: u32) {
        self.held.lock().insert(number);
    }

    pub(crate) fn release(&self, number: u32) {
        self.held.lock().remove(&number);
    }

    /// Looks at what was said so far.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock())
    }

    /// Waits until `find` finds something.
    pub(crate) fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        find: impl Fn(&Heard) -> Option<T>,
    ) -> Check<T> {
        let deadline = Instant::now() + limit;
        let mut heard = self.heard.lock();
        loop {
            if let Some(found) = find(&heard) {
                return Ok(found);
            }
            if self.grown.wait_until(&mut heard, deadline).timed_out() {
                return fail(format!("waited {limit:?} for {what}, in vain; heard {}", heard.story()));
            }
        }
    }

    /// Watches for a time; fails as soon as `wrong` sees something.
    pub(crate) fn watch(&self, span: Duration, wrong: impl Fn(&Heard) -> Option<String>) -> Check {
        let deadline = Instant::now() + span;
        let mut heard = self.heard.lock();
        loop {
            if let Some(reason) = wrong(&heard) {
                return fail(format!("{reason}; heard {}", heard.story()));
            }
            if self.grown.wait_until(&mut heard, deadline).timed_out() {
                return Ok(());
            }
        }
    }
}

struct Callbacks(Arc<Recorder>);

impl Callbacks {
    fn hear(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.0.heard.lock());
        self.0.grown.notify_all();
    }

    fn take(&self, records: impl Iterator<Item = Result<Record, String>>) -> PublishOutcome {
        let mut outcome = PublishOutcome::default();
        self.hear(|heard| {
            for record in records {
                match record {
                    Ok(record) => {
                        let is_held = self.0.held.lock().contains(&record.quote.instrument);
                        let counter = if is_held { &mut outcome.accepted } else { &mut outcome.dropped };
                        *counter = counter.saturating_add(1);
                        keep(&mut heard.records, record, &mut heard.not_kept);
                    }
                    Err(reason) => {
                        outcome.dropped = outcome.dropped.saturating_add(1);
                        heard.malformed.get_or_insert(reason);
                    }
                }
            }
        });
        outcome
    }

    fn note<T>(&self, item: T, list: impl FnOnce(&mut Heard) -> &mut Vec<T>) {
        self.hear(|heard| {
            let mut not_kept = heard.not_kept;
            keep(list(heard), item, &mut not_kept);
            heard.not_kept = not_kept;
        });
    }
}

fn keep<T>(list: &mut Vec<T>, item: T, not_kept: &mut u64) {
    if list.len() < KEPT {
        list.push(item);
    } else {
        *not_kept = not_kept.saturating_add(1);
    }
}

fn checked(kind: Kind, quote: Quote, allowed: u32) -> Result<Record, String> {
    let unknown = quote.fields & !allowed;
    if unknown != 0 {
        return Err(format!(
            "a {kind:?} record says that values are present which it cannot have: {unknown:#x}"
        ));
    }
    if quote.received_ts_ns == 0 {
        return Err(format!("a {kind:?} record has no received_ts_ns"));
    }
    Ok(Record { kind, quote, bids: Vec::new(), asks: Vec::new() })
}

fn checked_book(book: &Depth, levels: &[DepthLevel]) -> Result<Record, String> {
    let record = checked(Kind::Depth, book.quote, field::IN_QUOTE | field::IMAGE | field::BOOK)?;
    if book.buy_levels > MAX_DEPTH_LEVELS || book.sell_levels > MAX_DEPTH_LEVELS {
        return Err(format!("a book has more than {MAX_DEPTH_LEVELS} levels on a side"));
    }
    let first = usize::try_from(book.first_level).unwrap_or(usize::MAX);
    let middle = first.saturating_add(book.buy_levels.into());
    let end = middle.saturating_add(book.sell_levels.into());
    match (levels.get(first..middle), levels.get(middle..end)) {
        (Some(bids), Some(asks)) => Ok(Record { bids: bids.to_vec(), asks: asks.to_vec(), ..record }),
        _ => Err("a book points to levels that are not in its batch".to_owned()),
    }
}

/// Greeks of plain options that no model gives, whatever the market: what a wrong scale or a word for "none"
/// makes of them.
fn checked_greeks(greeks: &Greeks) -> Result<(), String> {
    let unknown = greeks.fields & !(greek::IN_GREEKS | greek::EXCHANGE_TS);
    if unknown != 0 {
        return Err(format!("greeks say that values are present which they cannot have: {unknown:#x}"));
    }
    if greeks.received_ts_ns == 0 {
        return Err("greeks have no received_ts_ns".to_owned());
    }
    for (name, bit, value, least, most) in [
        ("delta", greek::DELTA, greeks.delta, -MOST_DELTA, MOST_DELTA),
        ("gamma", greek::GAMMA, greeks.gamma, 0, i64::MAX),
        ("vega", greek::VEGA, greeks.vega, 0, i64::MAX),
        ("implied_volatility", greek::IMPLIED_VOLATILITY, greeks.implied_volatility, 1, MOST_VOLATILITY),
    ] {
        if greeks.fields & bit != 0 && !(least..=most).contains(&value) {
            return Err(format!("{name} was published as {}, which it cannot be", decimal(value)));
        }
    }
    Ok(())
}

/// A delta of 1, and what rounding may add.
const MOST_DELTA: i64 = PRICE_SCALE + PRICE_SCALE / 1_000;

/// 10,000 % a year: brokers that send a fraction are far below, hundredths of a percent far above.
const MOST_VOLATILITY: i64 = 10_000 * PRICE_SCALE;

impl Host for Callbacks {
    fn publish_ltp(&self, batch: RSlice<'_, Ltp>) -> PublishOutcome {
        self.take(batch.iter().map(|tick| {
            // The conversion clears bits that an LTP record cannot have, and those are a mistake to be seen.
            checked(
                Kind::Ltp,
                Quote { fields: tick.fields, ..Quote::from(tick) },
                field::IN_LTP | field::IMAGE,
            )
        }))
    }

    fn publish_quote(&self, batch: RSlice<'_, Quote>) -> PublishOutcome {
        self.take(batch.iter().map(|quote| checked(Kind::Quote, *quote, field::IN_QUOTE | field::IMAGE)))
    }

    fn publish_depth(&self, batch: RSlice<'_, Depth>, levels: RSlice<'_, DepthLevel>) -> PublishOutcome {
        let levels = levels.as_slice();
        self.take(batch.iter().map(|book| checked_book(book, levels)))
    }

    fn publish_greeks(&self, batch: RSlice<'_, Greeks>) -> PublishOutcome {
        let mut outcome = PublishOutcome::default();
        self.hear(|heard| {
            for greeks in batch {
                let checked = checked_greeks(greeks);
                let is_taken = checked.is_ok() && self.0.held.lock().contains(&greeks.instrument);
                let counter = if is_taken { &mut outcome.accepted } else { &mut outcome.dropped };
                *counter = counter.saturating_add(1);
                match checked {
                    Ok(()) => keep(&mut heard.greeks, (heard.records.len(), *greeks), &mut heard.not_kept),
                    Err(reason) => _ = heard.malformed.get_or_insert(reason),
                }
            }
        });
        outcome
    }

    fn publish_order_update(&self, update_json: RStr<'_>) -> PublishOutcome {
        self.note(update_json.to_string(), |heard| &mut heard.orders);
        PublishOutcome { accepted: 1, ..PublishOutcome::default() }
    }

    fn status(&self, event: StatusEvent) {
        self.note(event, |heard| &mut heard.statuses);
    }

    fn subscription_outcomes(&self, request: u64, outcomes: RSlice<'_, SubscriptionOutcome>) {
        for outcome in outcomes {
            self.note((request, outcome.clone()), |heard| &mut heard.outcomes);
        }
    }

    fn instrument_list(&self, state_json: RStr<'_>) {
        self.note(state_json.to_string(), |heard| &mut heard.lists);
    }

    fn credentials(&self) -> RString {
        self.0.credentials.lock().as_str().into()
    }

    fn max_log_level(&self) -> LogLevel {
        // Everything, so that a secret in a line which nobody usually sees is found as well.
        LogLevel::TRACE
    }

    fn log(&self, _level: LogLevel, target: RStr<'_>, message: RStr<'_>, fields_json: RStr<'_>) {
        self.note(format!("{target}: {message} {fields_json}"), |heard| &mut heard.logs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeks(fields: u32, value: i64) -> Greeks {
        Greeks {
            fields,
            received_ts_ns: 1,
            delta: value,
            gamma: value,
            theta: value,
            vega: value,
            rho: value,
            implied_volatility: value,
            ..Greeks::default()
        }
    }

    #[test]
    fn greeks_are_held_to_what_an_option_can_have() {
        let all = greek::IN_GREEKS | greek::EXCHANGE_TS;
        for (fields, value) in
            [(all, PRICE_SCALE), (greek::DELTA | greek::THETA, -PRICE_SCALE), (0, i64::MIN)]
        {
            assert_eq!(checked_greeks(&greeks(fields, value)), Ok(()), "{fields:#x}");
        }
        for (fields, value) in [
            (greek::DELTA, 2 * PRICE_SCALE),
            (greek::DELTA, i64::MIN),
            (greek::GAMMA, -1),
            (greek::VEGA, -1),
            (greek::IMPLIED_VOLATILITY, 0),
            (greek::IMPLIED_VOLATILITY, MOST_VOLATILITY + 1),
            (1 << 30, 0),
        ] {
            assert!(checked_greeks(&greeks(fields, value)).is_err(), "{fields:#x} {value}");
        }
        assert!(checked_greeks(&Greeks { received_ts_ns: 0, ..greeks(0, 0) }).is_err());
    }
}
