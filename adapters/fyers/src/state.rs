//! What is known of each topic that is subscribed: records hold only what has changed, under numbers of the connection.
//! Pure, and bounded: there is room for nothing that was not asked for.

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
    is_known: bool,
    is_wanted: bool,
    /// Whether something has changed since it was last published.
    is_fresh: bool,
}

impl Values {
    const NONE: Self = Self {
        raw: [ABSENT; MAX_VALUES],
        multiplier: 1,
        precision: 0,
        is_known: false,
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
        for (place, value) in self.raw.iter_mut().take(places(feed)).zip(values) {
            if value != ABSENT && *place != value {
                *place = value;
                is_changed = true;
            }
        }
        is_changed
    }
}

/// Places that a feed's records have.
const fn places(feed: Feed) -> usize {
    match feed {
        Feed::Scrip => 21,
        Feed::Index => 6,
        Feed::Depth => MAX_VALUES,
    }
}

/// Place of open interest in `sf`.
const OPEN_INTEREST: usize = 12;

/// Place of the exchange's time.
pub(crate) const fn feed_time(feed: Feed) -> Option<usize> {
    match feed {
        Feed::Scrip => Some(3),
        Feed::Index => Some(2),
        Feed::Depth => None,
    }
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
    /// Counts who had this place, so that a number of the broker never means its next tenant.
    generation: u32,
}

impl Instrument {
    const fn new(topic: Topic, generation: u32) -> Self {
        Self { topic, prices: Values::NONE, book: Values::NONE, generation }
    }

    /// Its topic.
    pub const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Values of a feed; none before their snapshot.
    pub fn known(&self, feed: Feed) -> Option<&Values> {
        Some(self.values(feed)).filter(|values| values.is_known)
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
        match feed {
            Feed::Depth => &self.book,
            Feed::Scrip | Feed::Index => &self.prices,
        }
    }

    const fn values_mut(&mut self, feed: Feed) -> &mut Values {
        match feed {
            Feed::Depth => &mut self.book,
            Feed::Scrip | Feed::Index => &mut self.prices,
        }
    }
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where the instrument is, for [`Topics::get`]. Good until topics are dropped.
    pub place: u32,
    /// Which of its values.
    pub feed: Feed,
}

/// Every topic of a connection.
#[derive(Debug, Default)]
pub struct Topics {
    instruments: Vec<Instrument>,
    free: Vec<u32>,
    by_topic: FxHashMap<Topic, u32>,
    /// What the broker's numbers stand for, and for whose place: at most 65,536 of them, which take one megabyte.
    by_id: Vec<Option<(Target, u32)>>,
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

    /// Takes records of a topic from now on. One that was wanted already loses everything but its last price: on a
    /// channel with another mode the rest may be old.
    pub fn want(&mut self, feed: Feed, topic: Topic) {
        let known = self.by_topic.get(&topic).copied();
        let place = known.unwrap_or_else(|| self.admit(topic));
        let Some(instrument) = at_mut(&mut self.instruments, place) else { return };
        let values = instrument.values_mut(feed);
        values.is_wanted = true;
        let last = values.raw.first().copied().filter(|_| feed != Feed::Depth);
        values.raw = [ABSENT; MAX_VALUES];
        if let (Some(first), Some(last)) = (values.raw.first_mut(), last) {
            *first = last;
        }
    }

    fn admit(&mut self, topic: Topic) -> u32 {
        let place = if let Some(place) = self.free.pop() {
            if let Some(free) = at_mut(&mut self.instruments, place) {
                *free = Instrument::new(topic, free.generation.wrapping_add(1));
            }
            place
        } else {
            self.instruments.push(Instrument::new(topic, 0));
            u32::try_from(self.instruments.len() - 1).unwrap_or(u32::MAX)
        };
        self.by_topic.insert(topic, place);
        place
    }

    /// Takes no more records of a topic. What still comes of it is skipped.
    pub fn drop(&mut self, feed: Feed, topic: &Topic) {
        let Some(place) = self.by_topic.get(topic).copied() else { return };
        let Some(instrument) = at_mut(&mut self.instruments, place) else { return };
        *instrument.values_mut(feed) = Values::NONE;
        if !instrument.prices.is_wanted && !instrument.book.is_wanted {
            self.by_topic.remove(topic);
            self.free.push(place);
        }
    }

    /// What a record is for. None when its topic is not wanted, or its number was never announced.
    pub fn target(&self, record: &Record<'_>) -> Option<Target> {
        match record {
            Record::Snapshot { topic, .. } => {
                let (feed, topic) = Topic::parse(topic)?;
                let place = *self.by_topic.get(&topic)?;
                self.get(place)?.values(feed).is_wanted.then_some(Target { place, feed })
            }
            Record::Update { id, .. } => {
                let (target, generation) = self.by_id.get(usize::from(*id)).copied()??;
                let instrument = self.get(target.place)?;
                let is_same = instrument.generation == generation;
                (is_same && instrument.values(target.feed).is_wanted).then_some(target)
            }
        }
    }

    /// Takes a record, and says whether it is news: a snapshot is, an update when a value has changed.
    ///
    /// The number of a snapshot that is not wanted stands for nothing from now on, whatever it stood for before.
    pub fn apply(&mut self, record: &Record<'_>, target: Option<Target>) -> bool {
        let instrument = target.and_then(|target| at_mut(&mut self.instruments, target.place));
        let (Some(Target { place, feed }), Some(instrument)) = (target, instrument) else {
            if let Record::Snapshot { id, .. } = record
                && let Some(known) = self.by_id.get_mut(usize::from(*id))
            {
                *known = None;
            }
            return false;
        };
        let generation = instrument.generation;
        let values = instrument.values_mut(feed);
        let is_news = match record {
            Record::Snapshot { id, values: new, multiplier, precision, .. } => {
                *values = Values {
                    multiplier: *multiplier,
                    precision: *precision,
                    is_known: true,
                    is_wanted: true,
                    ..Values::NONE
                };
                values.update(feed, new.iter());
                let id = usize::from(*id);
                if id >= self.by_id.len() {
                    self.by_id.resize(id + 1, None);
                }
                if let Some(known) = self.by_id.get_mut(id) {
                    *known = Some((Target { place, feed }, generation));
                }
                true
            }
            // Without its snapshot nobody knows what its prices mean.
            Record::Update { values: new, .. } => values.is_known && values.update(feed, new.iter()),
        };
        values.is_fresh |= is_news;
        is_news
    }

    /// Whether the feed of a record has changed since [`Self::settle`].
    pub fn is_fresh(&self, target: Target) -> bool {
        self.get(target.place).is_some_and(|instrument| instrument.values(target.feed).is_fresh)
    }

    /// Nothing is fresh of an instrument any more. None when nothing was, or whether its prices were: else its book alone.
    pub fn settle(&mut self, place: u32) -> Option<bool> {
        let instrument = at_mut(&mut self.instruments, place)?;
        let is_fresh = instrument.is_fresh();
        instrument.book.is_fresh = false;
        let prices = std::mem::take(&mut instrument.prices.is_fresh);
        is_fresh.then_some(prices)
    }

    /// Forgets what was known of another day, if the record is the first one of a new day by the exchange's time: an update
    /// says only what has changed. Open interest is kept, which changes with the first trade and not with the day. It is for
    /// those who publish ticks, and comes before [`Self::apply`].
    pub fn begin_day(&mut self, record: &Record<'_>, target: Target) {
        let Record::Update { values: new, .. } = record else { return };
        let Some(at) = feed_time(target.feed) else { return };
        let Some(instrument) = at_mut(&mut self.instruments, target.place) else { return };
        let known = instrument.prices.get(at).and_then(day);
        let now = new.iter().nth(at).filter(|value| *value != ABSENT).and_then(day);
        if !matches!((known, now), (Some(known), Some(now)) if known < now) {
            return;
        }
        let oi = instrument.prices.raw.get(OPEN_INTEREST).copied().filter(|_| target.feed == Feed::Scrip);
        instrument.prices.raw = [ABSENT; MAX_VALUES];
        instrument.book.raw = [ABSENT; MAX_VALUES];
        if let (Some(place), Some(oi)) = (instrument.prices.raw.get_mut(OPEN_INTEREST), oi) {
            *place = oi;
        }
    }

    /// An instrument at its place.
    pub fn get(&self, place: u32) -> Option<&Instrument> {
        self.instruments.get(usize::try_from(place).ok()?)
    }

    /// Where an instrument is, for [`Self::get`].
    pub fn place(&self, topic: &Topic) -> Option<u32> {
        self.by_topic.get(topic).copied()
    }

    /// An instrument by its topic.
    pub fn find(&self, topic: &Topic) -> Option<&Instrument> {
        self.get(self.place(topic)?)
    }
}

fn at_mut(instruments: &mut [Instrument], place: u32) -> Option<&mut Instrument> {
    instruments.get_mut(usize::try_from(place).ok()?)
}

#[cfg(test)]
mod tests;
