//! What is known of each topic that is subscribed: records hold only what has changed, under numbers of the
//! connection. Pure, and bounded: there is room for nothing that was not asked for.

use adapter_sdk::{ist::day_number, read};
use rustc_hash::FxHashMap;

use crate::{
    topic::{Feed, Topic},
    wire::{ABSENT, Record},
};

/// Places of the longest record, that of a book.
pub const MAX_VALUES: usize = 30;

/// Most decimal places that a price may have.
const MAX_PRECISION: u8 = 9;

/// The values of one feed of an instrument, by the broker's places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Values {
    raw: [i32; MAX_VALUES],
    /// As the broker sent it.
    pub multiplier: u16,
    /// As the broker sent it.
    pub precision: u8,
    /// The broker's number of the topic; none before its snapshot.
    id: Option<u16>,
    is_wanted: bool,
    /// Whether something has changed since it was last published.
    is_fresh: bool,
}

impl Values {
    const NONE: Self = Self {
        raw: [ABSENT; MAX_VALUES],
        multiplier: 1,
        precision: 0,
        id: None,
        is_wanted: false,
        is_fresh: false,
    };

    /// The value at a place; none when the broker has not sent one.
    pub fn get(&self, place: usize) -> Option<i32> {
        self.raw.get(place).copied().filter(|value| *value != ABSENT)
    }

    /// Whether there is none: the broker has announced the topic and said nothing of it yet.
    pub fn is_empty(&self) -> bool {
        self.raw.iter().all(|value| *value == ABSENT)
    }

    /// What a price of this feed is to be divided by; none when it would have more than nine decimal places.
    pub fn divisor(&self) -> Option<i64> {
        if self.precision > MAX_PRECISION {
            return None;
        }
        // Currencies came with a multiplier of 0, which means nothing else than 1.
        Some(10_i64.pow(self.precision.into()) * i64::from(self.multiplier.max(1)))
    }

    fn update(&mut self, feed: Feed, values: impl Iterator<Item = i32>) -> bool {
        let mut is_changed = false;
        // What a later version of the broker may add has no place here.
        for (place, value) in self.raw.iter_mut().take(layout(feed).0).zip(values) {
            if value != ABSENT && *place != value {
                *place = value;
                is_changed = true;
            }
        }
        is_changed
    }
}

/// Places that a feed's records have, and that of the exchange's time.
const fn layout(feed: Feed) -> (usize, Option<usize>) {
    match feed {
        Feed::Scrip => (21, Some(3)),
        Feed::Index => (6, Some(2)),
        Feed::Depth => (MAX_VALUES, None),
    }
}

/// Place of open interest in `sf`.
const OPEN_INTEREST: usize = 12;

/// Place of the exchange's time.
pub(crate) const fn feed_time(feed: Feed) -> Option<usize> {
    layout(feed).1
}

/// The day in India of a time of the broker's, in days since 1970.
fn day(seconds: i32) -> Option<u64> {
    read::seconds(seconds.cast_unsigned().into()).map(day_number)
}

/// An instrument that is subscribed.
#[derive(Clone, Debug)]
pub struct Instrument {
    topic: Topic,
    /// Of `sf` or `if`.
    prices: Values,
    /// Of `dp`.
    book: Values,
}

impl Instrument {
    /// Its topic.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Values of a feed; none before their snapshot.
    pub fn known(&self, feed: Feed) -> Option<&Values> {
        Some(self.values(feed)).filter(|values| values.id.is_some())
    }

    /// Values of `sf` or `if`; none before their snapshot.
    pub fn prices(&self) -> Option<&Values> {
        self.known(self.topic.prices())
    }

    /// Values of `dp`; none before their snapshot.
    pub fn book(&self) -> Option<&Values> {
        self.known(Feed::Depth)
    }

    /// Whether its book is subscribed too.
    pub const fn wants_book(&self) -> bool {
        self.book.is_wanted
    }

    /// Whether something has changed since it was last published.
    pub const fn is_fresh(&self) -> bool {
        self.prices.is_fresh || self.book.is_fresh
    }

    const fn values(&self, feed: Feed) -> &Values {
        if matches!(feed, Feed::Depth) { &self.book } else { &self.prices }
    }

    const fn values_mut(&mut self, feed: Feed) -> &mut Values {
        if matches!(feed, Feed::Depth) { &mut self.book } else { &mut self.prices }
    }
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where the instrument is, for [`Topics::get`]. Good until topics are dropped.
    pub place: usize,
    /// Which of its values.
    pub feed: Feed,
}

/// Every topic of a connection.
#[derive(Debug, Default)]
pub struct Topics {
    instruments: Vec<Instrument>,
    free: Vec<usize>,
    by_topic: FxHashMap<Topic, usize>,
    /// What the broker's numbers stand for: at most 65,536 of them, which take one megabyte. One of a topic
    /// that is dropped stands for nothing, so that it never means the next tenant of its place.
    by_id: Vec<Option<Target>>,
}

impl Topics {
    /// Nothing is subscribed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Instruments that are subscribed.
    pub fn len(&self) -> usize {
        self.by_topic.len()
    }

    /// Whether nothing is subscribed.
    pub fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }

    /// Takes records of a topic from now on. One that was wanted already loses everything but its last price:
    /// on a channel with another mode the rest may be old.
    pub fn want(&mut self, feed: Feed, topic: Topic) {
        let place = self.place(&topic).unwrap_or_else(|| self.admit(topic));
        let Some(instrument) = self.instruments.get_mut(place) else { return };
        let values = instrument.values_mut(feed);
        values.is_wanted = true;
        let kept = usize::from(feed != Feed::Depth);
        values.raw.iter_mut().skip(kept).for_each(|value| *value = ABSENT);
    }

    fn admit(&mut self, topic: Topic) -> usize {
        let instrument = Instrument { topic, prices: Values::NONE, book: Values::NONE };
        let place = self.free.pop().unwrap_or(self.instruments.len());
        match self.instruments.get_mut(place) {
            Some(free) => *free = instrument,
            None => self.instruments.push(instrument),
        }
        self.by_topic.insert(topic, place);
        place
    }

    /// Takes no more records of a topic. What still comes of it is skipped.
    pub fn drop(&mut self, feed: Feed, topic: &Topic) {
        let Some(place) = self.place(topic) else { return };
        let Some(instrument) = self.instruments.get_mut(place) else { return };
        let values = std::mem::replace(instrument.values_mut(feed), Values::NONE);
        if !instrument.prices.is_wanted && !instrument.book.is_wanted {
            self.by_topic.remove(topic);
            self.free.push(place);
        }
        self.disown(values.id, Target { place, feed });
    }

    /// A number stands for a topic no more, if it did.
    fn disown(&mut self, id: Option<u16>, target: Target) {
        if let Some(known) = id.and_then(|id| self.by_id.get_mut(usize::from(id))) {
            *known = known.filter(|known| *known != target);
        }
    }

    /// What a record is for. None when its topic is not wanted, or its number was never announced.
    pub fn target(&self, record: &Record<'_>) -> Option<Target> {
        match record {
            Record::Snapshot { topic, .. } => {
                let (feed, topic) = Topic::parse(topic)?;
                let place = self.place(&topic)?;
                self.get(place)?.values(feed).is_wanted.then_some(Target { place, feed })
            }
            Record::Update { id, .. } => self.by_id.get(usize::from(*id)).copied()?,
        }
    }

    /// Takes a record, and says whether it is news: a snapshot is, an update when a value has changed.
    ///
    /// The number of a snapshot that is not wanted stands for nothing from now on, whatever it stood for
    /// before.
    pub fn apply(&mut self, record: &Record<'_>, target: Option<Target>) -> bool {
        if let Record::Snapshot { id, .. } = record {
            self.announce(*id, target);
        }
        let Some((feed, instrument)) =
            target.and_then(|target| Some((target.feed, self.instruments.get_mut(target.place)?)))
        else {
            return false;
        };
        let values = instrument.values_mut(feed);
        let is_news = match *record {
            Record::Snapshot { id, values: new, multiplier, precision, .. } => {
                *values = Values { multiplier, precision, id: Some(id), is_wanted: true, ..Values::NONE };
                values.update(feed, new.iter());
                true
            }
            Record::Update { values: new, .. } => values.update(feed, new.iter()),
        };
        values.is_fresh |= is_news;
        is_news
    }

    /// A number stands for a topic from now on, and for nothing else; that of a topic before, if it had one,
    /// for nothing.
    fn announce(&mut self, id: u16, target: Option<Target>) {
        if let Some(target) = target {
            let before = self.get(target.place).and_then(|instrument| instrument.values(target.feed).id);
            self.disown(before, target);
        }
        let id = usize::from(id);
        if id >= self.by_id.len() && target.is_some() {
            self.by_id.resize(id + 1, None);
        }
        if let Some(known) = self.by_id.get_mut(id) {
            *known = target;
        }
    }

    /// Whether the feed of a record has changed since [`Self::settle`].
    pub fn is_fresh(&self, target: Target) -> bool {
        self.get(target.place).is_some_and(|instrument| instrument.values(target.feed).is_fresh)
    }

    /// Nothing is fresh of an instrument any more. None when nothing was, or whether its prices were: else
    /// its book alone.
    pub fn settle(&mut self, place: usize) -> Option<bool> {
        let instrument = self.instruments.get_mut(place)?;
        let is_fresh = instrument.is_fresh();
        instrument.book.is_fresh = false;
        let prices = std::mem::take(&mut instrument.prices.is_fresh);
        is_fresh.then_some(prices)
    }

    /// Forgets what was known of another day, if the record is the first one of a new day by the exchange's
    /// time: an update says only what has changed. Open interest is kept, which changes with the first trade
    /// and not with the day. It is for those who publish ticks, and comes before [`Self::apply`].
    pub fn begin_day(&mut self, record: &Record<'_>, target: Target) {
        let Record::Update { values: new, .. } = record else { return };
        let Some(at) = feed_time(target.feed) else { return };
        let Some(Instrument { prices, book, .. }) = self.instruments.get_mut(target.place) else { return };
        let known = prices.get(at).and_then(day);
        let now = new.iter().nth(at).filter(|value| *value != ABSENT).and_then(day);
        if matches!((known, now), (Some(known), Some(now)) if known < now) {
            book.raw = [ABSENT; MAX_VALUES];
            for (place, value) in prices.raw.iter_mut().enumerate() {
                if target.feed != Feed::Scrip || place != OPEN_INTEREST {
                    *value = ABSENT;
                }
            }
        }
    }

    /// An instrument at its place.
    pub fn get(&self, place: usize) -> Option<&Instrument> {
        self.instruments.get(place)
    }

    /// Where an instrument is, for [`Self::get`].
    pub fn place(&self, topic: &Topic) -> Option<usize> {
        self.by_topic.get(topic).copied()
    }

    /// An instrument by its topic.
    pub fn find(&self, topic: &Topic) -> Option<&Instrument> {
        self.get(self.place(topic)?)
    }
}

#[cfg(test)]
mod tests;
