//! One instrument in the router's table.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::Names;
use crate::{
    book::{Changed, Entry},
    calendar::{Calendar, TradingDay},
    model::{DepthClass, FeedId, InstrumentId, Mode, Variant},
    protocol::encode::Label,
    throttle::{Nanos, Spacing},
};

/// How close two publications under different modes must be to be one tick said twice.
const REPEAT_WINDOW: Nanos = 100_000_000;

/// An instrument that somebody holds.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) feed: FeedId,
    pub(super) instrument: InstrumentId,
    pub(super) entry: Entry,
    pub(super) streams: SmallVec<[Stream; 2]>,
    days: Days,
    names: Names,
    label: Label,
    suffixed_labels: Vec<(DepthClass, Label)>,
    last_published: Option<(Mode, Nanos)>,
}

/// One kind of frame of an instrument, while a shard has subscribers for it.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) variant: Variant,
    /// A bit for each shard.
    pub(super) shards: u64,
    pub(super) spacing: Spacing,
    /// Whether a value that its frames show has changed since one was due.
    pub(super) owes: bool,
}

/// The trading day that the values of an instrument are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Days {
    /// There are none: the exchange trades around the clock, or its hours do not matter.
    None,
    /// Its calendar has not been asked yet.
    Unasked,
    Of(TradingDay),
}

/// When a tick is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// The trading day of what is known.
    Same,
    /// A later one, which begins with this tick.
    Newer,
    /// An earlier one.
    Older(TradingDay),
}

impl Topic {
    pub(super) fn new(feed: FeedId, instrument: InstrumentId, names: Names, has_days: bool) -> Self {
        let label = Label::new(&names.symbol, &names.exchange, &names.broker, None);
        Self {
            feed,
            instrument,
            entry: Entry::default(),
            streams: SmallVec::new(),
            days: if has_days { Days::Unasked } else { Days::None },
            names,
            label,
            suffixed_labels: Vec::new(),
            last_published: None,
        }
    }

    /// The stream of a variant, made when nobody held it.
    pub(super) fn stream(&mut self, variant: Variant) -> &mut Stream {
        let place = self.streams.iter().position(|stream| stream.variant == variant).unwrap_or_else(|| {
            self.streams.push(Stream { variant, shards: 0, spacing: Spacing::default(), owes: false });
            if variant.is_suffixed() {
                self.add_suffixed_label(variant.depth());
            }
            self.streams.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "the place was found or made one line above")]
        &mut self.streams[place]
    }

    pub(super) fn existing_stream(&mut self, variant: Variant) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.variant == variant)
    }

    pub(super) fn remove_stream(&mut self, variant: Variant) -> Option<Stream> {
        let place = self.streams.iter().position(|stream| stream.variant == variant)?;
        Some(self.streams.swap_remove(place))
    }

    /// The names as the frames of this variant spell them.
    pub(super) fn label(&self, variant: Variant) -> &Label {
        if !variant.is_suffixed() {
            return &self.label;
        }
        let suffixed = self.suffixed_labels.iter().find(|(depth, _)| *depth == variant.depth());
        suffixed.map_or(&self.label, |(_, label)| label)
    }

    /// Notes a publication; says whether it may repeat one that came just before under another mode.
    pub(super) fn note_published(&mut self, mode: Mode, now: Nanos) -> bool {
        let before = self.last_published.replace((mode, now));
        before.is_some_and(|(other, at)| other != mode && now.saturating_sub(at) <= REPEAT_WINDOW)
    }

    /// Merges a tick of this moment, in nanoseconds since the Unix epoch; 0 when nobody knows it. What is known of an earlier
    /// trading day is forgotten first. None for a tick that came late.
    #[inline]
    pub(super) fn merge(
        &mut self,
        at_ns: u64,
        calendar: &Calendar,
        merge: impl FnOnce(&mut Entry) -> Option<Changed>,
    ) -> Option<Changed> {
        match self.days {
            Days::None => return merge(&mut self.entry),
            Days::Of(day) if day.contains(at_ns) => return merge(&mut self.entry),
            _ if at_ns == 0 => return merge(&mut self.entry),
            Days::Of(_) | Days::Unasked => {}
        }
        let cleared = match self.age_of(at_ns, calendar) {
            Age::Same => Changed::default(),
            Age::Newer => self.entry.clear(),
            Age::Older(_) if self.entry.refuse() => return None,
            Age::Older(day) => {
                self.days = Days::Of(day);
                self.entry.clear()
            }
        };
        merge(&mut self.entry).map(|changed| cleared.and(changed))
    }

    #[cold]
    fn age_of(&mut self, at_ns: u64, calendar: &Calendar) -> Age {
        let Some(day) = calendar.trading_day(&self.names.exchange, at_ns) else {
            self.days = Days::None;
            return Age::Same;
        };
        let Days::Of(before) = std::mem::replace(&mut self.days, Days::Of(day)) else { return Age::Same };
        match day.date.cmp(&before.date) {
            Ordering::Equal => Age::Same,
            Ordering::Greater => Age::Newer,
            Ordering::Less => {
                self.days = Days::Of(before);
                Age::Older(day)
            }
        }
    }

    /// Another calendar is in force. Values stay of the day that they are of.
    pub(super) fn recheck_days(&mut self, has_days: bool) {
        self.days = match self.days {
            _ if !has_days => Days::None,
            Days::Of(day) => Days::Of(day.unsure()),
            Days::None | Days::Unasked => Days::Unasked,
        };
    }

    fn add_suffixed_label(&mut self, depth: DepthClass) {
        if self.suffixed_labels.iter().all(|(known, _)| *known != depth) {
            let Names { symbol, exchange, broker } = &self.names;
            let label = Label::new(symbol, exchange, broker, Some(depth));
            self.suffixed_labels.push((depth, label));
        }
    }
}
