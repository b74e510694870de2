//! One instrument in the router's table.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::Names;
use crate::{
    book::{Changed, Entry},
    calendar::{Calendar, Moments, date::Date},
    model::{DepthClass, FeedId, InstrumentId, Mode, Variant},
    protocol::encode::Label,
    throttle::{Nanos, Spacing},
};

/// How close two publications under different modes must be to be one tick said twice.
const REPEAT_WINDOW: Nanos = 100_000_000;

/// An instrument that somebody holds. What each tick touches comes first, in few lines of the cache.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Topic {
    pub(super) feed: FeedId,
    pub(super) instrument: InstrumentId,
    /// Whether there are streams, which stand some lines of the cache further on.
    pub(super) is_shown: bool,
    /// Moments for which the calendar need not be asked: those of the day that is known, or all where there
    /// are no days.
    settled: Moments,
    pub(super) entry: Entry,
    pub(super) streams: SmallVec<[Stream; 2]>,
    last_published: Option<(Mode, Nanos)>,
    /// Whether it counts as active. Its values may go, with their day or because the broker is not asked for
    /// them.
    pub(super) has_ticked: bool,
    days: Days,
    names: Names,
    label: Label,
    suffixed_labels: Vec<(DepthClass, Label)>,
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
    Of(Date),
}

impl Topic {
    pub(super) fn new(feed: FeedId, instrument: InstrumentId, names: Names, has_days: bool) -> Self {
        let label = Label::new(&names.symbol, &names.exchange, &names.broker, None);
        Self {
            feed,
            instrument,
            entry: Entry::default(),
            streams: SmallVec::new(),
            is_shown: false,
            days: if has_days { Days::Unasked } else { Days::None },
            settled: if has_days { Moments::NONE } else { Moments::ALL },
            names,
            label,
            suffixed_labels: Vec::new(),
            last_published: None,
            has_ticked: false,
        }
    }

    /// The stream of a variant, made when nobody held it.
    pub(super) fn stream(&mut self, variant: Variant) -> &mut Stream {
        let place = self.streams.iter().position(|stream| stream.variant == variant).unwrap_or_else(|| {
            self.is_shown = true;
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
        let removed = self.streams.swap_remove(place);
        self.is_shown = !self.streams.is_empty();
        Some(removed)
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

    /// Merges a tick of this moment, in nanoseconds since the Unix epoch; 0 when nobody knows it. What is
    /// known of an earlier trading day is forgotten first. None for a tick that came late. `has_clock` says
    /// whether many late ones of its kind mean that the broker's clock was set back.
    #[inline]
    pub(super) fn merge(
        &mut self,
        at_ns: u64,
        calendar: &Calendar,
        has_clock: bool,
        merge: impl FnOnce(&mut Entry) -> Option<Changed>,
    ) -> Option<Changed> {
        if self.settled.contains(at_ns) {
            return merge(&mut self.entry);
        }
        let cleared = self.turn_to(at_ns, calendar, has_clock)?;
        merge(&mut self.entry).map(|changed| cleared.and(changed))
    }

    /// Finds the trading day of a moment and forgets what is known of an earlier one. None for a moment of a
    /// day that is over, unless so many came that this must be the day.
    #[cold]
    fn turn_to(&mut self, at_ns: u64, calendar: &Calendar, has_clock: bool) -> Option<Changed> {
        if at_ns == 0 {
            return Some(Changed::default());
        }
        let Some(day) = calendar.trading_day(&self.names.exchange, at_ns) else {
            (self.days, self.settled) = (Days::None, Moments::ALL);
            return Some(Changed::default());
        };
        let order = match self.days {
            Days::Of(before) => day.date.cmp(&before),
            Days::None | Days::Unasked => Ordering::Equal,
        };
        if order == Ordering::Less && (!has_clock || self.entry.refuse()) {
            return None;
        }
        (self.days, self.settled) = (Days::Of(day.date), day.moments);
        Some(if order == Ordering::Equal { Changed::default() } else { self.entry.clear() })
    }

    /// Another calendar is in force. Values stay of the day that they are of.
    pub(super) fn recheck_days(&mut self, has_days: bool) {
        (self.days, self.settled) = match self.days {
            _ if !has_days => (Days::None, Moments::ALL),
            Days::Of(date) => (Days::Of(date), Moments::NONE),
            Days::None | Days::Unasked => (Days::Unasked, Moments::NONE),
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
