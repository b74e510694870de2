//! How many instruments the broker serves in which mode: more of one mode than of several together. Pure.

use std::collections::BTreeMap;

use crate::request::Asked;

/// Most instruments of a mode when there is no other, and when there are others.
const LIMITS: [(usize, usize); 4] = [(5_000, 2_000), (3_000, 2_000), (2_000, 1_500), (DEEP, DEEP)];

/// Most instruments with books of thirty levels.
pub const DEEP: usize = 50;

/// What instruments are asked for, by the host's numbers. Two numbers of one instrument count as two.
#[derive(Debug, Default)]
pub struct Room {
    held: BTreeMap<u32, Asked>,
    counts: [usize; 4],
}

impl Room {
    /// Takes an instrument in the first of these modes that has room, and says which it is. What it was taken
    /// in before is free again.
    pub fn take(&mut self, instrument: u32, modes: &[Asked]) -> Option<Asked> {
        self.give_back(instrument);
        let mode = modes.iter().copied().find(|mode| self.has_room(*mode))?;
        self.held.insert(instrument, mode);
        self.count(mode, |count| count + 1);
        Some(mode)
    }

    /// An instrument is not wanted any more.
    pub fn give_back(&mut self, instrument: u32) {
        if let Some(mode) = self.held.remove(&instrument) {
            self.count(mode, |count| count.saturating_sub(1));
        }
    }

    /// There is a new connection, on which everything is taken again.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn count(&mut self, mode: Asked, change: impl Fn(usize) -> usize) {
        if let Some(count) = self.counts.get_mut(mode as usize) {
            *count = change(*count);
        }
    }

    fn has_room(&self, mode: Asked) -> bool {
        let mut counts = self.counts;
        if let Some(count) = counts.get_mut(mode as usize) {
            *count += 1;
        }
        let is_alone = counts.iter().filter(|count| **count > 0).count() == 1;
        counts
            .iter()
            .zip(LIMITS)
            .all(|(count, (alone, combined))| *count <= if is_alone { alone } else { combined })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(counts: [usize; 4]) -> Room {
        let mut room = Room::default();
        let mut number = 0;
        for (mode, count) in Asked::ALL.into_iter().zip(counts) {
            for _ in 0..count {
                number += 1;
                assert_eq!(room.take(number, &[mode]), Some(mode), "{mode:?} {number}");
            }
        }
        room
    }

    #[test]
    fn a_mode_has_more_room_alone_than_beside_others() {
        for (counts, full) in [
            ([5_000, 0, 0, 0], &Asked::ALL[..]),
            ([0, 3_000, 0, 0], &Asked::ALL),
            ([0, 0, 2_000, 0], &Asked::ALL),
            ([2_000, 0, 1_500, 0], &[Asked::Ltpc, Asked::Full]),
            ([1, 2_000, 1_500, 0], &[Asked::OptionGreeks, Asked::Full]),
            ([0, 0, 1_500, 50], &[Asked::Full, Asked::FullD30]),
        ] {
            let mut room = with(counts);
            for mode in Asked::ALL {
                let taken = room.take(u32::MAX, &[mode]);
                assert_eq!(taken.is_none(), full.contains(&mode), "{counts:?} {mode:?}");
                room.give_back(u32::MAX);
            }
        }
    }

    #[test]
    fn who_is_taken_again_frees_what_it_had() {
        let mut room = with([0, 0, 10, 50]);
        assert_eq!(room.take(100, &[Asked::FullD30, Asked::Full]), Some(Asked::Full));
        // One of those that have a deep book is content with less, and another one gets its place.
        assert_eq!(room.take(60, &[Asked::Full]), Some(Asked::Full));
        assert_eq!(room.take(100, &[Asked::FullD30, Asked::Full]), Some(Asked::FullD30));
        room.give_back(100);
        room.give_back(100);
        assert_eq!(room.take(101, &[Asked::FullD30]), Some(Asked::FullD30));
        room.clear();
        assert_eq!(with([5_000, 0, 0, 0]).take(7_000, &[Asked::Full]), None);
        assert_eq!(room.take(1, &[Asked::Full]), Some(Asked::Full));
    }
}
