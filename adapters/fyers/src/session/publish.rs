//! From records to ticks of the host.
//!
//! Prices and book of an instrument come as records of two topics. When both stand in one frame they are one
//! tick: a client must not see the new price beside the old book. A second record of the same topic ends that
//! tick, so that none is lost.

use adapter_sdk::{Grant, Mode, Subscription, Tick, TickSink, session::Live};
use rustc_hash::FxHashSet;
use tokio::time::Instant;

use super::FyersFeed;
use crate::{
    LEVELS,
    decode::{self, DecodeError},
    state::{Instrument, Topics},
    tbt::{book::Book, socket::Fifty},
    topic::Topic,
    wire::Record,
};

/// What is known of the instruments, and who is shown how much of it.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) topics: Topics,
    pub(super) fifty: Option<Fifty>,
    /// Places in [`Topics`] with something fresh.
    pending: Vec<usize>,
    /// Whose book the broker does not send: whoever wants it has the prices all the same.
    pub(super) bookless: FxHashSet<Topic>,
}

impl Publisher {
    pub(super) fn new(fifty: Option<Fifty>) -> Self {
        Self { topics: Topics::new(), fifty, pending: Vec::new(), bookless: FxHashSet::default() }
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

    fn publish(&mut self, place: usize, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        if let Some(is_quote) = self.topics.settle(place) {
            self.show(place, is_quote, live, sink);
        }
    }

    /// Publishes once more what is known of an instrument.
    pub(super) fn repeat(&self, topic: &Topic, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        if let Some(place) = self.topics.place(topic) {
            self.show(place, true, live, sink);
        }
    }

    /// Publishes what is known of an instrument; `is_quote` says whether a quote came, or a book alone.
    fn show(&self, place: usize, is_quote: bool, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        let Some(instrument) = self.topics.get(place) else { return };
        let topic = instrument.topic();
        let Some(heard) = live.heard(topic) else { return };
        let deep = self.fifty.as_ref().and_then(|fifty| fifty.book(topic));
        let is_bookless = topic.is_index() || self.bookless.contains(topic);
        for (number, mode) in heard.instruments() {
            let deep = deep.and_then(|book| Some((book, heard.wanted(*number)?.depth)));
            let deep = deep.filter(|(_, levels)| *levels > LEVELS);
            let shown = match mode {
                Mode::Depth => book(instrument, is_quote, is_bookless, *number, deep, sink),
                // A book that somebody else wants is no news to who does not.
                _ if !is_quote || !has_prices(instrument) => Ok(()),
                Mode::Ltp => decode::last_price(instrument).map(|price| {
                    sink.ltp(&Tick::new(*number).with(price, Tick::ltp).image());
                }),
                Mode::Quote => decode::quote(instrument, *number).map(|tick| sink.quote(&tick.image())),
            };
            if shown.is_err() {
                sink.undecodable();
            }
        }
    }

    /// Asks for a book of fifty levels, or asks for it no more. When there is no room for one more, clients
    /// are told.
    pub(super) fn settle(&mut self, wanted: &Subscription, topic: Topic, ticker: &str, sink: &mut TickSink) {
        let is_deep = wanted.mode == Mode::Depth
            && wanted.depth > LEVELS
            && !topic.is_index()
            && topic.segment().has_fifty_levels();
        let is_served = match &mut self.fifty {
            Some(fifty) if is_deep => fifty.want(wanted.instrument, topic, ticker),
            _ => {
                self.release(wanted.instrument);
                false
            }
        };
        if wanted.depth > LEVELS && !is_served {
            sink.outcome(wanted.instrument, Ok(Grant::of_levels(LEVELS)));
        }
    }

    /// An instrument needs no book of fifty levels any more.
    pub(super) fn release(&mut self, instrument: u32) {
        if let Some(fifty) = &mut self.fifty {
            fifty.release(instrument);
        }
    }

    /// Follows what has happened on the second socket: clients get the books, and hear when they do not come
    /// any more; those of five go on.
    pub(super) fn follow_fifty(&mut self, now: Instant, live: &mut Live<FyersFeed>, sink: &mut TickSink) {
        if let Some(Err(bytes)) = self.fifty.as_mut().map(|fifty| fifty.advance(now)) {
            live.undecodable("book of fifty levels", &"no book", bytes, sink);
        }
        while let Some((topic, is_there)) = self.fifty.as_mut().and_then(Fifty::news) {
            for number in self.fifty.iter_mut().flat_map(|fifty| fifty.granted(&topic, is_there)) {
                let wanted = live.wanted(*number).filter(|_| is_there);
                let levels = wanted.map_or(LEVELS, |wanted| wanted.depth);
                sink.outcome(*number, Ok(Grant::of_levels(levels)));
            }
            if is_there && let Some(place) = self.topics.place(&topic) {
                self.show(place, false, live, sink);
            }
        }
    }
}

/// Publishes what is known of an instrument to who wants its book.
fn book(
    instrument: &Instrument,
    is_quote: bool,
    is_bookless: bool,
    number: u32,
    deep: Option<(&Book, u16)>,
    sink: &mut TickSink,
) -> Result<(), DecodeError> {
    // The quote's time is not the book's. It is all that there is to know, an image, once prices are known:
    // records are merged here.
    let tick = if is_quote { decode::quote } else { decode::values }(instrument, number)
        .map(|tick| if has_prices(instrument) { tick.image() } else { tick });
    if let Some((book, levels)) = deep {
        // Prices may be such that nobody can read them.
        let tick = tick.unwrap_or_else(|_| Tick::new(number));
        let (tick, levels) = (if is_quote { tick } else { book.over(tick) }, book.levels(levels.into()));
        sink.depth(&tick, levels.buy(), levels.sell());
    } else if instrument.book().is_some() {
        // One that has been announced and has no level is an empty one.
        let book = decode::book(instrument)?.unwrap_or_default();
        sink.depth(&tick?, book.buy(), book.sell());
    } else if is_bookless && has_prices(instrument) {
        sink.beside_book(&tick?);
    } else if is_quote && has_prices(instrument) {
        sink.quote(&tick?);
    }
    Ok(())
}

fn has_prices(instrument: &Instrument) -> bool {
    instrument.prices().is_some_and(|values| !values.is_empty())
}
