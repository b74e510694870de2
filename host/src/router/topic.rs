//! One instrument in the router's table.

use smallvec::SmallVec;

use super::Names;
use crate::{
    book::Entry,
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
}

impl Topic {
    pub(super) fn new(feed: FeedId, instrument: InstrumentId, names: Names) -> Self {
        let label = Label::new(&names.symbol, &names.exchange, &names.broker, None);
        Self {
            feed,
            instrument,
            entry: Entry::default(),
            streams: SmallVec::new(),
            names,
            label,
            suffixed_labels: Vec::new(),
            last_published: None,
        }
    }

    /// The stream of a variant, made when nobody held it.
    pub(super) fn stream(&mut self, variant: Variant) -> &mut Stream {
        let place = self.streams.iter().position(|stream| stream.variant == variant).unwrap_or_else(|| {
            self.streams.push(Stream { variant, shards: 0, spacing: Spacing::default() });
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

    fn add_suffixed_label(&mut self, depth: DepthClass) {
        if self.suffixed_labels.iter().all(|(known, _)| *known != depth) {
            let Names { symbol, exchange, broker } = &self.names;
            let label = Label::new(symbol, exchange, broker, Some(depth));
            self.suffixed_labels.push((depth, label));
        }
    }
}
