//! From records to ticks of the host.
//!
//! Prices and book of an instrument come as records of two topics. When both stand in one frame they are one tick: a client
//! must not see the new price beside the old book. A second record of the same topic ends that tick, so that none is lost.

use adapter_sdk::{Grant, Level, Mode, Subscription, Tick, TickSink, net::Message, read, session::Live};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use super::FyersFeed;
use crate::{
    decode::{self, DecodeError},
    state::{Instrument, Topics},
    tbt::{
        book::Book,
        socket::{Event, Fifty},
    },
    topic::Topic,
    wire::Record,
};

/// Levels of the data socket's books.
#[expect(clippy::cast_possible_truncation, reason = "five")]
const LEVELS: u16 = decode::LEVELS as u16;

/// What is known of the instruments, and who is shown how much of it.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) topics: Topics,
    fifty: Option<Fifty>,
    /// Places in [`Topics`] with something fresh.
    pending: Vec<u32>,
    /// Numbers that have more than five levels, of what, and how many.
    deep: FxHashMap<u32, (Topic, u16)>,
    /// Whose book the broker does not send: whoever wants it has the prices all the same.
    pub(super) bookless: FxHashSet<Topic>,
    /// Kept for their room.
    rows: [Vec<Level>; 2],
    changed: Vec<Topic>,
}

/// What a client is to see.
struct Wish<'a> {
    number: u32,
    mode: Mode,
    /// The book of fifty levels, and how many of them.
    deep: Option<(&'a Book, u16)>,
    is_bookless: bool,
}

impl Publisher {
    pub(super) fn new(fifty: Option<Fifty>) -> Self {
        Self {
            topics: Topics::new(),
            fifty,
            pending: Vec::new(),
            deep: FxHashMap::default(),
            bookless: FxHashSet::default(),
            rows: [const { Vec::new() }; 2],
            changed: Vec::new(),
        }
    }

    /// Takes a record.
    pub(super) fn take(&mut self, record: &Record<'_>, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        let target = self.topics.target(record);
        let Some(known) = target else {
            // Nobody wants it, but its number may have meant something else before.
            self.topics.apply(record, None);
            return;
        };
        if self.topics.is_fresh(known) {
            self.publish(known.place, live, sink);
        }
        self.topics.begin_day(record, known);
        let instrument = self.topics.get(known.place);
        let waits = instrument.is_some_and(Instrument::wants_book);
        let is_first = !instrument.is_some_and(Instrument::is_fresh);
        if !self.topics.apply(record, target) {
            return;
        }
        if !waits {
            self.publish(known.place, live, sink);
        } else if is_first {
            self.pending.push(known.place);
        }
    }

    /// Publishes what is left at the end of a frame.
    pub(super) fn flush(&mut self, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.drain(..).for_each(|place| self.publish(place, live, sink));
        self.pending = pending;
    }

    fn publish(&mut self, place: u32, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        if let Some(is_quote) = self.topics.settle(place) {
            self.show(place, is_quote, live, sink);
        }
    }

    /// Publishes once more what is known of an instrument.
    pub(super) fn repeat(&mut self, topic: &Topic, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        if let Some(place) = self.topics.place(topic) {
            self.show(place, true, live, sink);
        }
    }

    fn show(&mut self, place: u32, is_quote: bool, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        let Self { topics, fifty, deep, bookless, rows, .. } = self;
        let Some(instrument) = topics.get(place) else { return };
        let topic = instrument.topic();
        let Some(heard) = live.heard(topic) else { return };
        let book = fifty.as_ref().and_then(|fifty| fifty.book(topic));
        for (number, mode) in heard.instruments() {
            let deep = book.and_then(|book| Some((book, deep.get(number)?.1)));
            let is_bookless = topic.is_index() || bookless.contains(topic);
            let wish = Wish { number: *number, mode: *mode, deep, is_bookless };
            if tick(instrument, is_quote, &wish, rows, sink).is_err() {
                sink.undecodable();
            }
        }
    }

    /// Asks for a book of fifty levels, or asks for it no more. When there is no room for one more, clients are told.
    pub(super) fn settle(&mut self, wanted: &Subscription, topic: Topic, ticker: &str, sink: &mut TickSink) {
        let is_deep = wanted.mode == Mode::Depth
            && wanted.depth > LEVELS
            && !topic.is_index()
            && topic.segment().has_fifty_levels();
        let symbol = self.fifty.as_mut().filter(|_| is_deep).and_then(|fifty| fifty.want(topic, ticker));
        let is_served = symbol.as_ref().is_some_and(|symbol| symbol.is_granted);
        if symbol.is_some() {
            self.deep.insert(wanted.instrument, (topic, wanted.depth));
        } else {
            self.release(wanted.instrument);
        }
        if wanted.depth > LEVELS && !is_served {
            sink.outcome(wanted.instrument, Ok(Grant::of_levels(LEVELS)));
        }
    }

    /// An instrument needs no book of fifty levels any more.
    pub(super) fn release(&mut self, instrument: u32) {
        if let Some((topic, _)) = self.deep.remove(&instrument)
            && self.deep.values().all(|(other, _)| *other != topic)
            && let Some(fifty) = &mut self.fifty
        {
            fifty.release(&topic);
        }
    }

    /// Waits for what the second socket brings.
    pub(super) async fn next_of_fifty(&mut self) -> Event {
        match &mut self.fifty {
            Some(fifty) => fifty.next().await,
            None => std::future::pending().await,
        }
    }

    /// When to look after it.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.fifty.as_ref().and_then(Fifty::wake_at)
    }

    /// Follows what has happened there: clients get the books, and hear when they do not come any more; those of five go on.
    pub(super) fn follow_fifty(
        &mut self,
        news: Option<Event>,
        now: Instant,
        live: &mut Live<FyersFeed>,
        sink: &mut TickSink,
    ) {
        let Some(fifty) = &mut self.fifty else { return };
        let mut changed = std::mem::take(&mut self.changed);
        changed.clear();
        let mut without = fifty.overdue(now);
        match news {
            Some(Event::Message(Message::Binary(bytes))) => {
                if !fifty.take(&bytes, &mut changed) {
                    live.undecodable("book of fifty levels", &"no book", bytes.len(), sink);
                }
            }
            // Answers to heartbeats, and notices that say nothing of a book.
            Some(Event::Message(Message::Text(_))) | None => {}
            Some(Event::Lost) => without = fifty.topics(),
        }
        without.iter().for_each(|topic| self.tell_depth(topic, false, sink));
        changed.iter().for_each(|topic| self.deepen(topic, live, sink));
        self.changed = changed;
    }

    /// Tells clients how many levels they have, when that is news.
    fn tell_depth(&mut self, topic: &Topic, is_granted: bool, sink: &mut TickSink) {
        let Some(symbol) = self.fifty.as_mut().and_then(|fifty| fifty.symbol(topic)) else { return };
        if std::mem::replace(&mut symbol.is_granted, is_granted) == is_granted {
            return;
        }
        for (number, (_, depth)) in self.deep.iter().filter(|(_, (known, _))| known == topic) {
            sink.outcome(*number, Ok(Grant::of_levels(if is_granted { *depth } else { LEVELS })));
        }
    }

    /// Publishes a book of fifty levels that has changed.
    fn deepen(&mut self, topic: &Topic, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        if self.fifty.as_ref().and_then(|fifty| fifty.book(topic)).is_none() {
            return;
        }
        self.tell_depth(topic, true, sink);
        let Self { topics, fifty, deep, rows: [buy, sell], .. } = self;
        let Some(book) = fifty.as_ref().and_then(|fifty| fifty.book(topic)) else { return };
        let Some(heard) = live.heard(topic) else { return };
        for (number, mode) in heard.instruments() {
            let Some((_, levels)) = deep.get(number).filter(|_| *mode == Mode::Depth) else { continue };
            // Prices may come later, and may be such that nobody can read them.
            let values = topics
                .find(topic)
                .and_then(|instrument| Some(image(instrument, decode::values(instrument, *number).ok()?)));
            let mut tick = values.unwrap_or_else(|| Tick::new(*number));
            if let Some(at) = book.feed_time.and_then(read::of_any_unit) {
                tick = tick.exchange_ts_ns(at);
            }
            let totals: [(_, fn(Tick, i64) -> Tick); 2] =
                [(book.total_buy, Tick::total_buy_quantity), (book.total_sell, Tick::total_sell_quantity)];
            for (quantity, set) in totals {
                let quantity = quantity.and_then(|quantity| read::quantity(i64::try_from(quantity).ok()?));
                tick = quantity.map_or(tick, |quantity| set(tick, quantity));
            }
            book.levels((*levels).into(), buy, sell);
            sink.depth(&tick, buy, sell);
        }
    }
}

/// Publishes what is known of an instrument as a client wants it; `is_quote` says whether it is a quote that came, or its book
/// alone.
fn tick(
    instrument: &Instrument,
    is_quote: bool,
    wish: &Wish<'_>,
    [buy, sell]: &mut [Vec<Level>; 2],
    sink: &mut TickSink,
) -> Result<(), DecodeError> {
    let number = wish.number;
    // A book that somebody else wants is no news to who does not.
    let has_quote = is_quote && has_prices(instrument);
    if wish.mode == Mode::Ltp {
        if has_quote {
            let tick = Tick::new(number).image();
            sink.ltp(&decode::last_price(instrument)?.map_or(tick, |price| tick.ltp(price)));
        }
        return Ok(());
    }
    let has_book = instrument.book().is_some() || wish.deep.is_some();
    if wish.mode == Mode::Quote || !(has_book || wish.is_bookless) {
        if has_quote {
            sink.quote(&image(instrument, decode::quote(instrument, number)?));
        }
        return Ok(());
    }
    // The quote's time is not the book's.
    let values = if is_quote { decode::quote } else { decode::values };
    let tick = image(instrument, values(instrument, number)?);
    if let Some((book, levels)) = wish.deep {
        book.levels(levels.into(), buy, sell);
        sink.depth(&tick, buy, sell);
    } else if let Some(book) = decode::book(instrument)? {
        sink.depth(&tick, book.buy(), book.sell());
    } else if has_book {
        // One that has been announced and has no level is an empty one.
        sink.depth(&tick, &[], &[]);
    } else if has_prices(instrument) {
        sink.beside_book(&tick);
    }
    Ok(())
}

/// A tick of what is known of an instrument. It is all that there is to know, an image, once its prices are known: records
/// are merged here.
fn image(instrument: &Instrument, tick: Tick) -> Tick {
    if has_prices(instrument) { tick.image() } else { tick }
}

fn has_prices(instrument: &Instrument) -> bool {
    instrument.prices().is_some_and(|values| !values.is_empty())
}
