//! The bus as a source of feeds: accounts at a bus broker subscribe to anything and get what is published.
//!
//! [`BusDirectory`] says which names are wanted by which feed; [`BusConnector`] makes the "adapter instance"
//! that writes into it; [`BusRouter`] stands on the bus's thread, looks names up and offers batches to the
//! intakes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use adapter_abi::{
    ErrorCode, HealthSnapshot, OutcomeCode, StatusEvent, StatusKind, Subscription, SubscriptionOutcome,
};
use parking_lot::{Mutex, RwLock};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use smallvec::SmallVec;
use tickhost_core::{
    intake::Intake,
    model::{
        Depth, DepthLevel, FeedId, Greeks, InstrumentId, Ltp, MAX_DEPTH_LEVELS, Mode, Quote, TickView, field,
    },
    protocol::order::OrderUpdate,
};

use crate::{
    adapters::{AdapterEvents, AdapterFailure, AdapterInstance, Assignment, connector::Connector},
    base::clock,
    bus::{BusSink, BusVerdict, CacheScope, Invalidated, OrderVerdict},
    feeds::hub::Hub,
};

/// Wanted by these feeds under these numbers: more than one only when several bus brokers exist.
type Wanted = SmallVec<[(Arc<Intake>, InstrumentId); 1]>;

/// Which names are wanted. Read once for each message, written at subscribe and unsubscribe.
#[derive(Debug, Default)]
pub struct BusDirectory {
    names: RwLock<HashMap<Box<str>, HashMap<Box<str>, Wanted, FxBuildHasher>, FxBuildHasher>>,
}

impl BusDirectory {
    fn add(&self, exchange: &str, symbol: &str, intake: &Arc<Intake>, instrument: InstrumentId) {
        let mut names = self.names.write();
        let wanted = names.entry(exchange.into()).or_default().entry(symbol.into()).or_default();
        if !wanted.iter().any(|(_, known)| *known == instrument) {
            wanted.push((Arc::clone(intake), instrument));
        }
    }

    fn remove(&self, exchange: &str, symbol: &str, instrument: InstrumentId) {
        let mut names = self.names.write();
        let Some(symbols) = names.get_mut(exchange) else { return };
        if let Some(wanted) = symbols.get_mut(symbol) {
            wanted.retain(|(_, known)| *known != instrument);
            if wanted.is_empty() {
                symbols.remove(symbol);
            }
        }
        if symbols.is_empty() {
            names.remove(exchange);
        }
    }
}

/// Makes the instance of a bus feed.
#[derive(Clone, Debug)]
pub struct BusConnector(pub Arc<BusDirectory>);

impl Connector for BusConnector {
    fn create(
        &self,
        _assignment: &Assignment,
        _label: &str,
        events: Arc<dyn AdapterEvents>,
        intake: &Arc<Intake>,
    ) -> Result<Box<dyn AdapterInstance>, AdapterFailure> {
        let directory = Arc::clone(&self.0);
        Ok(Box::new(BusInstance { directory, events, intake: Arc::clone(intake), names: Mutex::default() }))
    }
}

struct BusInstance {
    directory: Arc<BusDirectory>,
    events: Arc<dyn AdapterEvents>,
    intake: Arc<Intake>,
    /// Names by number, to be found again at unsubscribe. Bounded by what the feed holds.
    names: Mutex<FxHashMap<u32, (Box<str>, Box<str>)>>,
}

impl std::fmt::Debug for BusInstance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BusInstance").finish_non_exhaustive()
    }
}

impl AdapterInstance for BusInstance {
    fn connect(&self, request: u64) -> Result<(), AdapterFailure> {
        self.events.status(StatusEvent {
            kind: StatusKind::CONNECTED,
            code: ErrorCode::NONE,
            request,
            retry_in_ms: 0,
            message: "".into(),
        });
        Ok(())
    }

    fn subscribe(&self, request: u64, subscriptions: &[Subscription]) -> Result<(), AdapterFailure> {
        let mut outcomes = Vec::with_capacity(subscriptions.len());
        for subscription in subscriptions {
            let (exchange, symbol) = (subscription.exchange.as_str(), subscription.symbol.as_str());
            self.directory.add(exchange, symbol, &self.intake, InstrumentId(subscription.instrument));
            self.names.lock().insert(subscription.instrument, (exchange.into(), symbol.into()));
            outcomes.push(SubscriptionOutcome {
                instrument: subscription.instrument,
                code: OutcomeCode::ACCEPTED,
                depth: subscription.depth,
                reserved: 0,
                message: "".into(),
            });
        }
        self.events.outcomes(request, &outcomes);
        Ok(())
    }

    fn unsubscribe(&self, _request: u64, instruments: &[u32]) -> Result<(), AdapterFailure> {
        for instrument in instruments {
            if let Some((exchange, symbol)) = self.names.lock().remove(instrument) {
                self.directory.remove(&exchange, &symbol, InstrumentId(*instrument));
            }
        }
        Ok(())
    }

    fn credentials_changed(&self) {}

    fn health(&self) -> HealthSnapshot {
        HealthSnapshot { connected: 1, last_turn_ts_ns: clock::unix_nanos(), ..HealthSnapshot::default() }
    }

    fn shutdown(&self, _deadline: Duration) {
        let names: Vec<_> = self.names.lock().drain().collect();
        for (instrument, (exchange, symbol)) in names {
            self.directory.remove(&exchange, &symbol, InstrumentId(instrument));
        }
    }
}

/// Stands on the bus's thread: gathers ticks of one wake-up and offers them in batches.
pub struct BusRouter {
    directory: Arc<BusDirectory>,
    hub: Arc<Hub>,
    gathered: FxHashMap<FeedId, Gathered>,
}

impl std::fmt::Debug for BusRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BusRouter").finish_non_exhaustive()
    }
}

/// A batch of one kind, and greeks behind it. When a tick of another kind comes, or of an instrument whose
/// greeks wait, the batch goes first: one instrument's ticks keep their order.
struct Gathered {
    intake: Arc<Intake>,
    kind: Mode,
    ltp: Vec<Ltp>,
    quote: Vec<Quote>,
    depth: Vec<Depth>,
    levels: Vec<DepthLevel>,
    greeks: Vec<Greeks>,
    with_greeks: FxHashSet<InstrumentId>,
}

impl BusRouter {
    /// A router of bus messages.
    pub fn new(directory: Arc<BusDirectory>, hub: Arc<Hub>) -> Self {
        Self { directory, hub, gathered: FxHashMap::default() }
    }
}

impl BusSink for BusRouter {
    fn tick(&mut self, exchange: &str, symbol: &str, mode: Mode, tick: TickView<'_>) -> BusVerdict {
        let names = self.directory.names.read();
        let Some(wanted) = names.get(exchange).and_then(|symbols| symbols.get(symbol)) else {
            return BusVerdict::NotSubscribed;
        };
        for (intake, instrument) in wanted {
            let gathered = self.gathered.entry(intake.feed()).or_insert_with(|| Gathered::new(intake));
            gathered.add(*instrument, mode, tick);
        }
        BusVerdict::Accepted
    }

    fn order_update(&mut self, user_id: &str, update: &OrderUpdate<'_>) -> OrderVerdict {
        self.hub.forward_order_of_bus(user_id, update)
    }

    /// What is remembered of keys follows the database, and needs no word of a publisher.
    fn cache_invalidate(&mut self, _scope: CacheScope, user_id: &str) -> Invalidated {
        self.hub.invalidate(user_id)
    }

    fn flush(&mut self) {
        #[expect(clippy::iter_over_hash_type, reason = "feeds are independent of each other")]
        for gathered in self.gathered.values_mut() {
            gathered.flush();
        }
        self.gathered.retain(|_, gathered| !gathered.intake.is_closed());
    }
}

impl Gathered {
    /// Records of one kind before they are offered although more may come.
    const LIMIT: usize = 1_024;

    fn new(intake: &Arc<Intake>) -> Self {
        Self {
            intake: Arc::clone(intake),
            kind: Mode::Ltp,
            ltp: Vec::new(),
            quote: Vec::new(),
            depth: Vec::new(),
            levels: Vec::new(),
            greeks: Vec::new(),
            with_greeks: FxHashSet::default(),
        }
    }

    fn add(&mut self, instrument: InstrumentId, mode: Mode, tick: TickView<'_>) {
        let records = self.ltp.len() + self.quote.len() + self.depth.len() + self.greeks.len();
        let is_full = records >= Self::LIMIT;
        let must_follow = !self.with_greeks.is_empty() && self.with_greeks.contains(&instrument);
        if mode != self.kind || is_full || must_follow {
            self.flush();
            self.kind = mode;
        }
        if let Some(greeks) = tick.greeks {
            self.greeks.push(Greeks { instrument: instrument.0, ..*greeks });
            self.with_greeks.insert(instrument);
            // Greeks that came alone are no tick beside them.
            if tick.quote.fields & !field::EXCHANGE_TS == 0 {
                return;
            }
        }
        let quote = Quote { instrument: instrument.0, ..*tick.quote };
        match mode {
            Mode::Ltp => self.ltp.push(Ltp::from(&quote)),
            Mode::Quote => self.quote.push(quote),
            Mode::Depth => {
                let levels = |side: &[DepthLevel]| u16::try_from(side.len()).unwrap_or(MAX_DEPTH_LEVELS);
                self.depth.push(Depth {
                    quote,
                    first_level: u32::try_from(self.levels.len()).unwrap_or(u32::MAX),
                    buy_levels: levels(tick.buy),
                    sell_levels: levels(tick.sell),
                });
                self.levels.extend_from_slice(tick.buy);
                self.levels.extend_from_slice(tick.sell);
            }
        }
    }

    fn flush(&mut self) {
        let has_ticks = !(self.ltp.is_empty() && self.quote.is_empty() && self.depth.is_empty());
        if !has_ticks && self.greeks.is_empty() {
            return;
        }
        self.intake.counters().last_tick_ns.set(clock::unix_nanos());
        if has_ticks {
            match self.kind {
                Mode::Ltp => self.intake.offer_ltp(&self.ltp),
                Mode::Quote => self.intake.offer_quote(&self.quote),
                Mode::Depth => self.intake.offer_depth(&self.depth, &self.levels),
            };
        }
        if !self.greeks.is_empty() {
            self.intake.offer_greeks(&self.greeks);
            self.greeks.clear();
            self.with_greeks.clear();
        }
        self.ltp.clear();
        self.quote.clear();
        self.depth.clear();
        self.levels.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhost_core::{
        intake::{Batch, Doorbell},
        model::field,
    };

    #[test]
    fn a_depth_record_carries_what_was_said_of_the_book() {
        let intake = Intake::new(FeedId(1), Arc::default(), Doorbell::new());
        let mut gathered = Gathered::new(&intake);
        let quote = Quote { fields: field::LTP, ltp: 7, ..Quote::default() };
        let with_book = Quote { fields: field::LTP | field::BOOK, ..quote };
        let level = DepthLevel { price: 1, quantity: 2, orders: 3, reserved: 0 };
        let levels = [level];
        for (instrument, quote, buy) in [(5, &with_book, &levels[..]), (6, &with_book, &[]), (7, &quote, &[])]
        {
            gathered.add(
                InstrumentId(instrument),
                Mode::Depth,
                TickView { quote, buy, sell: &[], greeks: None },
            );
        }
        gathered.flush();
        let mut batches = Vec::new();
        intake.take(&mut batches);
        let [Batch::Depth(books, levels)] = batches.as_slice() else { panic!("{batches:?}") };
        let said: Vec<_> =
            books.iter().map(|book| (book.quote.instrument, book.quote.fields, book.buy_levels)).collect();
        let book = field::LTP | field::BOOK;
        assert_eq!(said, [(5, book, 1), (6, book, 0), (7, field::LTP, 0)]);
        assert_eq!(levels.len(), 1);
    }

    #[test]
    fn greeks_keep_their_place_among_the_ticks_of_their_instrument() {
        let intake = Intake::new(FeedId(1), Arc::default(), Doorbell::new());
        let mut gathered = Gathered::new(&intake);
        let quote = Quote { fields: field::LTP, ltp: 7, ..Quote::default() };
        let time = Quote { fields: field::EXCHANGE_TS, ..quote };
        let greeks = Greeks { delta: 5, ..Greeks::default() };
        for (instrument, quote, greeks) in [
            (5, &quote, Some(&greeks)),
            (6, &quote, Some(&greeks)),
            (7, &quote, None),
            (5, &quote, None),
            (8, &time, Some(&greeks)),
        ] {
            let tick = TickView { quote, buy: &[], sell: &[], greeks };
            gathered.add(InstrumentId(instrument), Mode::Quote, tick);
        }
        gathered.flush();
        let mut batches = Vec::new();
        intake.take(&mut batches);
        let numbers: Vec<(char, Vec<u32>)> = batches
            .iter()
            .map(|batch| match batch {
                Batch::Quote(quotes) => ('q', quotes.iter().map(|quote| quote.instrument).collect()),
                Batch::Greeks(all) => ('g', all.iter().map(|greeks| greeks.instrument).collect()),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [('q', vec![5, 6, 7]), ('g', vec![5, 6]), ('q', vec![5]), ('g', vec![8])];
        assert_eq!(numbers, expected, "greeks that come alone are no tick");
    }
}
