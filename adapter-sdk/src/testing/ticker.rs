//! A connection that is nothing but a clock: what adapters that are made for tests have in common.

use std::{collections::BTreeMap, time::Duration};

use crate::{AdapterError, Backoff, Connection, Price, Subscription, Tick, TickSink};

/// Between two ticks of an instrument.
const BEAT: Duration = Duration::from_millis(20);

/// What a price rises by from tick to tick, in billionths: a hundredth.
const STEP: i64 = 10_000_000;

/// Ticks of everything that is wanted, every 20 ms, each a hundredth dearer than the one before. It is a
/// whole connection of an adapter, or the part of one that ticks.
///
/// ```
/// # use adapter_sdk::*;
/// use adapter_sdk::testing::{Bench, Published, Ticker};
///
/// struct Clock;
///
/// impl Adapter for Clock {
///     type Config = serde_json::Value;
///     type Connection = Ticker;
///
///     fn manifest() -> Manifest {
///         Manifest::new("clock", "1.0.0").capabilities(&[Capability::Ltp]).backoff(Ticker::backoff())
///     }
///
///     fn try_new(_: Self::Config, _: Context) -> Result<Self, AdapterError> {
///         Ok(Self)
///     }
///
///     async fn connect(&self, _: &Credentials) -> Result<Ticker, AdapterError> {
///         Ok(Ticker::new())
///     }
/// }
///
/// let bench = Bench::start::<Clock>("{}").unwrap();
/// bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
/// let ticks = bench.wait_for_ticks(7, 2);
/// assert!(ticks[0].ltp() < ticks[1].ltp());
/// ```
#[derive(Debug, Default)]
pub struct Ticker {
    wanted: BTreeMap<u32, String>,
    /// In billionths.
    price: i64,
}

impl Ticker {
    /// Nothing is wanted yet, and the first price is a hundredth.
    pub const fn new() -> Self {
        Self { wanted: BTreeMap::new(), price: 0 }
    }

    /// Pauses between attempts that no test has to wait for: 20 to 200 ms.
    pub fn backoff() -> Backoff {
        Backoff { first: BEAT, longest: 10 * BEAT, ..Backoff::default() }
    }

    /// Waits for the time of the next tick.
    ///
    /// # Cancel Safety
    /// The wait starts over, and nothing is lost.
    pub async fn beat(&self) {
        tokio::time::sleep(BEAT).await;
    }

    /// Publishes the next price of everything that is wanted.
    pub fn tick(&mut self, sink: &mut TickSink) {
        self.price += STEP;
        self.tick_at(Price::from_nanos(self.price), sink);
    }

    /// Publishes a price of everything that is wanted.
    pub fn tick_at(&self, price: Price, sink: &mut TickSink) {
        for instrument in self.wanted.keys() {
            sink.ltp(&Tick::new(*instrument).ltp(price));
        }
    }

    /// Goes on with those whose number and symbol are answered with yes.
    pub fn retain(&mut self, mut is_kept: impl FnMut(u32, &str) -> bool) {
        self.wanted.retain(|instrument, symbol| is_kept(*instrument, symbol));
    }
}

impl Connection for Ticker {
    async fn subscribe(&mut self, wanted: &[Subscription], _sink: &mut TickSink) -> Result<(), AdapterError> {
        self.wanted.extend(wanted.iter().map(|wanted| (wanted.instrument, wanted.symbol.clone())));
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        self.wanted.retain(|wanted, _| !instruments.contains(wanted));
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        self.beat().await;
        self.tick(sink);
        Ok(())
    }
}
