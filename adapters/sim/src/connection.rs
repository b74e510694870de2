//! From the feed to the SDK: waits, and puts ticks into its sink.

use std::{
    cell::RefCell,
    future,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use adapter_sdk::{
    AdapterError, Connection, Greeks, Level, Mode, Price, Refusal, Subscription, Tick, TickSink, tracing,
};
use tokio::time::{self, Instant};

use crate::{
    config::Settings,
    feed::{Detail, Feed, Now, Outgoing, Outlet, Progress},
    market::{self, Market},
};

/// A connection to the synthetic exchange, which is nothing but a table of timers.
#[derive(Debug)]
pub struct SimConnection {
    feed: Feed,
    market: Rc<RefCell<Market>>,
    since: Instant,
    levels: Levels,
}

/// The two sides of a book in the SDK's types, kept so that a tick allocates nothing.
#[derive(Debug, Default)]
struct Levels {
    buy: Vec<Level>,
    sell: Vec<Level>,
}

struct Publisher<'a> {
    levels: &'a mut Levels,
    sink: &'a mut TickSink,
}

impl SimConnection {
    pub(crate) fn new(settings: Rc<Settings>, market: Rc<RefCell<Market>>) -> Self {
        let feed = Feed::new(settings, Rc::clone(&market));
        Self { feed, market, since: Instant::now(), levels: Levels::default() }
    }

    fn now(&self) -> Now {
        Now { age: self.since.elapsed(), ts_ns: unix_now_ns() }
    }
}

impl Connection for SimConnection {
    async fn subscribe(
        &mut self,
        subscriptions: &[Subscription],
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let now = self.now();
        for Subscription { instrument, exchange, symbol, mode, depth, .. } in subscriptions {
            let position =
                self.market.borrow().universe().find(exchange, symbol).map(|(position, _)| position);
            let detail = match mode {
                Mode::Ltp => Detail::Price,
                Mode::Quote => Detail::Quote,
                Mode::Depth => Detail::Book(*depth),
            };
            if let Some(position) = position {
                let mut publisher = Publisher { levels: &mut self.levels, sink };
                self.feed.subscribe(*instrument, position, detail, now, &mut publisher);
            } else {
                // The SDK asks `resolve` first, but what it wants is not for this side to trust.
                let reason = format!("Symbol {symbol} not found");
                sink.outcome(*instrument, Err(Refusal::UnknownInstrument(reason)));
            }
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        for instrument in instruments {
            self.feed.unsubscribe(*instrument);
        }
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        match self.feed.next_wake(self.since.elapsed()) {
            Some(age) => time::sleep_until(self.since + age).await,
            None => future::pending().await,
        }
        // Nothing has changed so far: a caller that stopped waiting lost no tick.
        let now = self.now();
        let mut publisher = Publisher { levels: &mut self.levels, sink };
        match self.feed.advance(now, &mut publisher) {
            Progress::Connected => Ok(()),
            Progress::Lost => Err(AdapterError::network(
                "simulated loss of the connection, because faults.disconnect_every_ms is set",
            )),
        }
    }

    async fn close(self) {
        let count = self.feed.skipped();
        if count > 0 {
            tracing::info!(count, "Ticks were left out: the rates are more than this machine can do");
        }
    }
}

impl Outlet for Publisher<'_> {
    fn tick(&mut self, outgoing: Outgoing<'_>) {
        let tick = tick_of(&outgoing);
        match outgoing.detail {
            Detail::Price => self.sink.ltp(&tick),
            Detail::Quote => self.sink.quote(&tick),
            Detail::Book(_) => {
                let Levels { buy, sell } = &mut *self.levels;
                buy.clear();
                buy.extend(outgoing.buy.iter().map(level_of));
                sell.clear();
                sell.extend(outgoing.sell.iter().map(level_of));
                self.sink.depth(&tick, buy, sell);
            }
        }
        if let Some(greeks) = outgoing.greeks {
            self.sink.greeks(&greeks_of(&outgoing, greeks));
        }
    }
}

fn tick_of(outgoing: &Outgoing<'_>) -> Tick {
    let view = outgoing.view;
    // Each is all that there is to know.
    let mut tick =
        Tick::new(outgoing.instrument).image().ltp(price(view.ltp)).exchange_ts_ns(outgoing.exchange_ts_ns);
    if let Some(trading) = view.trading {
        tick = tick
            .last_trade_ts_ns(trading.last_trade_ts_ns)
            .volume(trading.volume)
            .last_quantity(trading.last_quantity);
    }
    if outgoing.detail == Detail::Price {
        return tick;
    }
    tick = tick
        .open(price(view.open))
        .high(price(view.high))
        .low(price(view.low))
        .close(price(view.prev_close))
        .change(price(view.change))
        .change_percent(price(view.change_percent));
    if let Some(trading) = view.trading {
        tick = tick
            .average_price(price(trading.average_price))
            .total_buy_quantity(trading.total_buy_quantity)
            .total_sell_quantity(trading.total_sell_quantity)
            .bid_price(price(trading.bid.price))
            .bid_size(trading.bid.quantity)
            .ask_price(price(trading.ask.price))
            .ask_size(trading.ask.quantity);
    }
    if let Some(oi) = view.oi {
        tick = tick.oi(oi.now).oi_high(oi.high).oi_low(oi.low);
    }
    if let Some(limits) = view.limits {
        tick = tick.lower_circuit(price(limits.lower)).upper_circuit(price(limits.upper));
    }
    tick
}

/// The model knows of no interest, so that there is no rho.
fn greeks_of(outgoing: &Outgoing<'_>, greeks: market::Greeks) -> Greeks {
    Greeks::new(outgoing.instrument)
        .exchange_ts_ns(outgoing.exchange_ts_ns)
        .delta(price(greeks.delta))
        .gamma(price(greeks.gamma))
        .theta(price(greeks.theta))
        .vega(price(greeks.vega))
        .implied_volatility(price(greeks.implied_volatility))
}

fn level_of(level: &market::Level) -> Level {
    Level { price: price(level.price), quantity: level.quantity, orders: Some(level.orders) }
}

const fn price(nanos: i64) -> Price {
    Price::from_nanos(nanos)
}

pub(crate) fn unix_now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
