//! From records to ticks of the host.
//!
//! Prices and book of an instrument come as records of two topics. When both stand in one frame they are one tick: a client
//! must not see the new price beside the old book. A second record of the same topic ends that tick, so that none is lost.

use adapter_sdk::{Level, Mode, Tick, TickSink, plan::Plan, read};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{
    decode::{self, DecodeError},
    state::{Instrument, Topics},
    tbt::{book::Book, socket::Fifty},
    topic::{Feed, Topic},
    wire::Record,
};

/// What has changed of an instrument since its last tick.
const PRICES: u8 = 1;
const BOOK: u8 = 2;

/// Collects the changes of a frame.
#[derive(Debug, Default)]
pub(super) struct Publisher {
    /// By the instrument's place in [`Topics`].
    fresh: Vec<u8>,
    /// Places with something fresh.
    pending: Vec<u32>,
    /// Numbers that have more than five levels, and how many.
    pub(super) deep: FxHashMap<u32, usize>,
    /// Whose book the broker does not send: whoever wants it has the prices all the same.
    pub(super) bookless: FxHashSet<Topic>,
    buy: Vec<Level>,
    sell: Vec<Level>,
    /// Kept for its room.
    pub(super) changed: Vec<Topic>,
}

impl Publisher {
    /// Takes a record.
    pub(super) fn take(
        &mut self,
        record: &Record<'_>,
        topics: &mut Topics,
        plan: &mut Plan<Topic>,
        fifty: Option<&Fifty>,
        sink: &mut TickSink,
    ) {
        let target = topics.target(record);
        let Some(known) = target else {
            // Nobody wants it, but its number may have meant something else before.
            topics.apply(record, None);
            return;
        };
        let bit = if known.feed == Feed::Depth { BOOK } else { PRICES };
        if self.fresh(known.place) & bit != 0 {
            let fresh = self.settle(known.place);
            self.publish(known.place, fresh, topics, plan, fifty, sink);
        }
        topics.begin_day(record, known);
        if !topics.apply(record, target) {
            return;
        }
        if topics.get(known.place).is_some_and(Instrument::wants_book) {
            self.mark(known.place, bit);
        } else {
            self.publish(known.place, bit, topics, plan, fifty, sink);
        }
    }

    /// Publishes what is left at the end of a frame.
    pub(super) fn flush(
        &mut self,
        topics: &Topics,
        plan: &mut Plan<Topic>,
        fifty: Option<&Fifty>,
        sink: &mut TickSink,
    ) {
        let mut pending = std::mem::take(&mut self.pending);
        for place in pending.drain(..) {
            let fresh = self.settle(place);
            self.publish(place, fresh, topics, plan, fifty, sink);
        }
        self.pending = pending;
    }

    fn fresh(&self, place: u32) -> u8 {
        usize::try_from(place).ok().and_then(|place| self.fresh.get(place)).copied().unwrap_or(0)
    }

    fn mark(&mut self, place: u32, bit: u8) {
        let Ok(at) = usize::try_from(place) else { return };
        if at >= self.fresh.len() {
            self.fresh.resize(at + 1, 0);
        }
        if let Some(fresh) = self.fresh.get_mut(at) {
            if *fresh == 0 {
                self.pending.push(place);
            }
            *fresh |= bit;
        }
    }

    /// Nothing is fresh of a place any more; gives what was.
    fn settle(&mut self, place: u32) -> u8 {
        let fresh = usize::try_from(place).ok().and_then(|place| self.fresh.get_mut(place));
        fresh.map_or(0, std::mem::take)
    }

    fn publish(
        &mut self,
        place: u32,
        fresh: u8,
        topics: &Topics,
        plan: &mut Plan<Topic>,
        fifty: Option<&Fifty>,
        sink: &mut TickSink,
    ) {
        let Some(instrument) = topics.get(place).filter(|_| fresh != 0) else { return };
        let Some(feed) = plan.heard(instrument.topic()) else { return };
        let deep = fifty.and_then(|fifty| fifty.book(instrument.topic()));
        for (number, mode) in feed.instruments() {
            if self.tick(instrument, deep, *number, *mode, fresh, sink).is_err() {
                sink.undecodable();
            }
        }
    }

    /// Publishes once more what is known of an instrument.
    pub(super) fn repeat(
        &mut self,
        topic: &Topic,
        topics: &Topics,
        plan: &mut Plan<Topic>,
        fifty: Option<&Fifty>,
        sink: &mut TickSink,
    ) {
        if let Some(place) = topics.place(topic) {
            self.publish(place, PRICES, topics, plan, fifty, sink);
        }
    }

    /// Publishes a book of fifty levels that has changed.
    pub(super) fn deepen(
        &mut self,
        topic: &Topic,
        topics: &Topics,
        plan: &mut Plan<Topic>,
        fifty: Option<&Fifty>,
        sink: &mut TickSink,
    ) {
        let (Some(book), Some(feed)) = (fifty.and_then(|fifty| fifty.book(topic)), plan.heard(topic)) else {
            return;
        };
        for (number, mode) in feed.instruments() {
            let Some(levels) = self.deep.get(number).filter(|_| *mode == Mode::Depth) else { continue };
            // Prices may come later, and may be such that nobody can read them.
            let mut tick = topics
                .find(topic)
                .and_then(|instrument| Some(image(instrument, decode::values(instrument, *number).ok()?)))
                .unwrap_or_else(|| Tick::new(*number));
            if let Some(at) = book.feed_time().and_then(read::of_any_unit) {
                tick = tick.exchange_ts_ns(at);
            }
            if let Some(quantity) = book.total_buy().and_then(total) {
                tick = tick.total_buy_quantity(quantity);
            }
            if let Some(quantity) = book.total_sell().and_then(total) {
                tick = tick.total_sell_quantity(quantity);
            }
            book.levels(*levels, &mut self.buy, &mut self.sell);
            sink.depth(&tick, &self.buy, &self.sell);
        }
    }

    fn tick(
        &mut self,
        instrument: &Instrument,
        deep: Option<&Book>,
        number: u32,
        mode: Mode,
        fresh: u8,
        sink: &mut TickSink,
    ) -> Result<(), DecodeError> {
        if mode == Mode::Ltp {
            // A book that somebody else wants is no news here.
            if fresh & PRICES != 0 && has_prices(instrument) {
                let tick = Tick::new(number).image();
                sink.ltp(&decode::last_price(instrument)?.map_or(tick, |price| tick.ltp(price)));
            }
            return Ok(());
        }
        let deep = deep.filter(|_| self.deep.contains_key(&number));
        let topic = instrument.topic();
        let is_known = instrument.book().is_some() || deep.is_some();
        let is_without = topic.is_index() || self.bookless.contains(topic);
        if mode == Mode::Quote || !(is_known || is_without) {
            if fresh & PRICES != 0 && has_prices(instrument) {
                sink.quote(&image(instrument, decode::quote(instrument, number)?));
            }
            return Ok(());
        }
        // The quote's time is not the book's.
        let tick = if fresh & PRICES != 0 {
            decode::quote(instrument, number)?
        } else {
            decode::values(instrument, number)?
        };
        let tick = image(instrument, tick);
        if let (Some(book), Some(levels)) = (deep, self.deep.get(&number)) {
            book.levels(*levels, &mut self.buy, &mut self.sell);
            sink.depth(&tick, &self.buy, &self.sell);
        } else if let Some(book) = decode::book(instrument)? {
            sink.depth(&tick, book.buy(), book.sell());
        } else if is_known {
            // One that has been announced and has no level is an empty one.
            sink.depth(&tick, &[], &[]);
        } else if has_prices(instrument) {
            sink.beside_book(&tick);
        }
        Ok(())
    }
}

fn total(quantity: u64) -> Option<i64> {
    read::quantity(i64::try_from(quantity).ok()?)
}

/// A tick of what is known of an instrument. It is all that there is to know, an image, once its prices are known: records
/// are merged here.
fn image(instrument: &Instrument, tick: Tick) -> Tick {
    if has_prices(instrument) { tick.image() } else { tick }
}

fn has_prices(instrument: &Instrument) -> bool {
    instrument.prices().is_some_and(|values| !values.is_empty())
}
