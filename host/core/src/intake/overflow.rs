//! Ticks of an intake beyond its bound: of most instruments one merged value, of a few one for each minute.

use rustc_hash::FxHashMap;

use super::{Merged, OVERFLOW_LIMIT};
use crate::{
    book::Entry,
    calendar::Moments,
    model::{InstrumentId, Mode},
};

/// Ticks of different slots of this length merge only where it is known that no trading day begins between
/// them ([`Doorbell::settle`](super::Doorbell::settle)), or where there is no room to keep them apart: no
/// frame mixes two of those. Days begin at full minutes.
pub(super) const MINUTE_NS: u64 = 60_000_000_000;

/// What did not fit into the queue, borrowed for one batch.
pub(super) struct Overflow<'a> {
    pub(super) entries: &'a mut Vec<Merged>,
    pub(super) places: &'a mut FxHashMap<u32, usize>,
    /// Between these moments no trading day begins.
    pub(super) settled: Moments,
    pub(super) conflated: u64,
    pub(super) beyond_limit: u64,
}

impl Overflow<'_> {
    /// A tick that came late counts as merged into the newer one.
    pub(super) fn merge<R>(
        &mut self,
        instrument: u32,
        mode: Option<Mode>,
        at_ns: u64,
        merge: impl FnOnce(&mut Entry) -> R,
    ) {
        let has_room = self.entries.len() < OVERFLOW_LIMIT;
        // The last half is for instruments of which there is nothing yet.
        let may_stand_apart = self.entries.len() < OVERFLOW_LIMIT / 2;
        let settled = self.settled;
        // By the minute alone, sources with two clocks (some of their ticks have the exchange's time, and
        // others none) would stand apart at each change between them.
        let is_one_day = |other_ns: u64| {
            other_ns / MINUTE_NS == at_ns / MINUTE_NS
                || (settled.contains(other_ns) && settled.contains(at_ns))
        };
        let merged = self
            .places
            .get(&instrument)
            .and_then(|&at| self.entries.get_mut(at))
            .filter(|merged| !may_stand_apart || is_one_day(merged.entry.moment()));
        if let Some(merged) = merged {
            merged.mode = merged.mode.max(mode);
            merged.missed = merged.missed.saturating_add(1);
            merge(&mut merged.entry);
            self.conflated += 1;
        } else if has_room {
            let mut entry = Entry::default();
            merge(&mut entry);
            self.places.insert(instrument, self.entries.len());
            self.entries.push(Merged { instrument: InstrumentId(instrument), mode, entry, missed: 0 });
        } else {
            self.beyond_limit += 1;
        }
    }
}
