//! From messages to ticks. Pure: the time is handed in.
//!
//! A message has all of its mode, or lacks parts of it. A part that lacks is as it was: the last trade, the
//! book, the candles, the greeks. What stands outside of parts is as it comes, where zero and nothing are the
//! same: a volume of zero is one, a price of zero is none. A last price of zero is as it was.

use std::time::SystemTime;

use adapter_sdk::{
    Book, Greeks, Level, Mode, Packet, Price, Subscription, Tick, TickSink,
    ist::Day,
    read::{Sign, float, millis, quantity, whole},
};
use rustc_hash::FxHashMap;

use crate::{
    key::{Key, Segment},
    wire::{self, Branch, Feed, LEVELS, Ltpc, Quote},
};

/// What is known of all instruments.
#[derive(Debug, Default)]
pub struct State {
    known: FxHashMap<Key, Known>,
    /// The book of the last message. It is kept for its room: no book is known beyond its message.
    book: Book<LEVELS>,
    day: Option<Day>,
    lacks_images: bool,
}

/// What is known of an instrument, beyond what each message has.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    ltp: Option<Price>,
    ltpc: Option<Ltpc>,
    day: Option<wire::Day>,
    best: [Option<Level>; 2],
    greeks: Option<wire::Greeks>,
}

/// What a message and what was known before come to.
#[derive(Clone, Copy, Debug)]
pub struct Decoded<'a> {
    branch: Branch,
    tick: Tick,
    best: [Option<Level>; 2],
    /// None when the message says nothing of the book.
    book: Option<&'a Book<LEVELS>>,
    /// Of an option, and none of anything else.
    greeks: Option<Greeks>,
}

impl State {
    /// Takes what a message says of an instrument. `at` is the broker's clock, in milliseconds since the Unix
    /// epoch. None when it says nothing.
    pub fn take(&mut self, key: Key, feed: &Feed, at: i64) -> Option<Decoded<'_>> {
        if feed.branch == Branch::Nothing {
            return None;
        }
        let sign = key.segment.sign();
        let known = self.known.entry(key).or_default();
        known.merge(feed, sign);
        let mut tick = known.last_trade(Tick::new(0).with(millis(at), Tick::exchange_ts_ns), sign);
        if matches!(feed.branch, Branch::Market | Branch::FirstLevel) && !key.segment.is_of_indices() {
            tick = of_the_market(tick, feed, key.segment);
        }
        if let Some(day) = known.day.filter(|_| matches!(feed.branch, Branch::Market | Branch::Index)) {
            tick = tick
                .with(float(day.open, sign), Tick::open)
                .with(float(day.high, sign), Tick::high)
                .with(float(day.low, sign), Tick::low);
        }
        let has_book = feed.branch == Branch::Market && feed.has_rows;
        if has_book {
            self.book = book(&feed.rows);
        }
        Some(Decoded {
            branch: feed.branch,
            // Without a last trade nobody knows what is missing.
            tick: if known.ltpc.is_some() { tick.image() } else { tick },
            best: known.best,
            book: has_book.then_some(&self.book),
            greeks: known.greeks(feed, at),
        })
    }

    /// Nobody wants an instrument any more.
    pub fn forget(&mut self, key: &Key) {
        self.known.remove(key);
    }

    /// Another day begins in a segment: what was known of its instruments is of the day before.
    pub fn begin_day_of(&mut self, segment: Segment) {
        self.known.retain(|key, _| key.segment != segment);
    }

    /// Notes what day it is in India, and drops what is of the day before.
    pub fn begin_day(&mut self, now: SystemTime) {
        let today = Day::at(now);
        if self.day.replace(today).is_some_and(|day| day != today) {
            self.known.clear();
            self.lacks_images = true;
        }
    }

    /// Whether another day has begun since this was asked last: the broker is to be asked for all again.
    pub const fn lacks_images(&mut self) -> bool {
        std::mem::replace(&mut self.lacks_images, false)
    }
}

impl Known {
    /// Takes over the parts that a message has.
    fn merge(&mut self, feed: &Feed, sign: Sign) {
        if let Some(ltpc) = feed.ltpc {
            self.ltp = float(ltpc.ltp, sign).or(self.ltp);
            self.ltpc = Some(ltpc);
        }
        if feed.has_rows {
            let first = feed.rows.first().copied().unwrap_or_default();
            self.best = [bid(&first), ask(&first)];
        }
        self.day = feed.day.or(self.day);
        self.greeks = feed.greeks.or(self.greeks);
    }

    fn last_trade(&self, tick: Tick, sign: Sign) -> Tick {
        let tick = tick.with(self.ltp, Tick::ltp);
        let Some(ltpc) = self.ltpc else { return tick };
        tick.with(millis(ltpc.at), Tick::last_trade_ts_ns)
            .with(quantity(ltpc.quantity).filter(|quantity| *quantity > 0), Tick::last_quantity)
            .with(float(ltpc.close, sign), Tick::close)
    }

    /// Greeks with the implied volatility of the message, of what has greeks: options alone.
    fn greeks(&self, feed: &Feed, at: i64) -> Option<Greeks> {
        /// The broker sends a fraction.
        const PERCENT: f64 = 100.0;
        let known = self.greeks.filter(|_| matches!(feed.branch, Branch::Market | Branch::FirstLevel))?;
        let volatility = Price::from_f64(feed.iv * PERCENT).filter(|value| value.as_nanos() > 0);
        let mut greeks = Greeks::new(0).with(volatility, Greeks::implied_volatility);
        // One alone can be zero. All of them are where there are none.
        if known != wire::Greeks::default() {
            greeks = greeks
                .with(Price::from_f64(known.delta), Greeks::delta)
                .with(Price::from_f64(known.theta), Greeks::theta)
                .with(Price::from_f64(known.gamma), Greeks::gamma)
                .with(Price::from_f64(known.vega), Greeks::vega)
                .with(Price::from_f64(known.rho), Greeks::rho);
        }
        Some(match millis(at) {
            Some(at) => greeks.exchange_ts_ns(at),
            None => greeks,
        })
    }
}

/// What a message has of something that is traded, outside of its parts.
fn of_the_market(tick: Tick, feed: &Feed, segment: Segment) -> Tick {
    // Shares have none, and the place for it all the same.
    let oi = whole(feed.oi).filter(|oi| *oi > 0 || !segment.is_cash());
    let tick = tick.with(quantity(feed.volume), Tick::volume).with(oi, Tick::oi);
    if feed.branch != Branch::Market {
        return tick;
    }
    tick.with(float(feed.average_price, segment.sign()), Tick::average_price)
        .with(whole(feed.total_buy_quantity), Tick::total_buy_quantity)
        .with(whole(feed.total_sell_quantity), Tick::total_sell_quantity)
}

/// A side of a level; none without a price or a quantity.
fn level(price: f64, orders: i64) -> Option<Level> {
    let price = float(price, Sign::Either)?;
    let quantity = quantity(orders).filter(|quantity| *quantity > 0)?;
    Some(Level { price, quantity, orders: None })
}

fn bid(quote: &Quote) -> Option<Level> {
    level(quote.bid, quote.bid_quantity)
}

fn ask(quote: &Quote) -> Option<Level> {
    level(quote.ask, quote.ask_quantity)
}

fn book(rows: &[Quote]) -> Book<LEVELS> {
    let mut book = Book::new();
    rows.iter().filter_map(bid).for_each(|level| book.push_buy(level));
    rows.iter().filter_map(ask).for_each(|level| book.push_sell(level));
    book
}

impl Decoded<'_> {
    /// What is known, without the best level: under the number 0.
    pub const fn tick(&self) -> Tick {
        self.tick
    }

    /// Which message it came from.
    pub const fn branch(&self) -> Branch {
        self.branch
    }

    /// The book, if the message has one.
    pub const fn book(&self) -> Option<&Book<LEVELS>> {
        self.book
    }

    /// The best bid and the best ask, as far as they are known.
    pub const fn best(&self) -> [Option<Level>; 2] {
        self.best
    }

    /// The greeks, under the number 0.
    pub const fn greeks(&self) -> Option<Greeks> {
        self.greeks
    }

    /// Publishes it for who holds an instrument, and no more of it than is wanted.
    pub fn publish(&self, wanted: &Subscription, sink: &mut TickSink) {
        let tick = self.tick.numbered(wanted.instrument);
        let [bid, ask] = self.best;
        let with_best = tick
            .with(bid, |tick, best| tick.bid_price(best.price).bid_size(best.quantity))
            .with(ask, |tick, best| tick.ask_price(best.price).ask_size(best.quantity));
        let packet = match (self.branch, self.book) {
            (Branch::Nothing, _) => return,
            (Branch::Ltpc, _) => Packet::Ltp(tick),
            (Branch::Index, _) => Packet::Values(tick),
            (Branch::Market, Some(book)) if wanted.mode == Mode::Depth => {
                Packet::Depth(tick, book.buy(), book.sell())
            }
            // What says nothing of the book leaves it as it is.
            (Branch::Market, None) if wanted.mode == Mode::Depth => Packet::Values(tick),
            (Branch::Market | Branch::FirstLevel, _) => Packet::Quote(with_best),
        };
        sink.publish(wanted.mode, &packet.up_to(wanted.depth));
        if let Some(greeks) = self.greeks.filter(|_| wanted.mode != Mode::Ltp) {
            sink.greeks(&greeks.numbered(wanted.instrument));
        }
    }
}
