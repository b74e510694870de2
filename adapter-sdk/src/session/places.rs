//! Who has one of the few places that a broker has for something special.

use std::collections::{BTreeMap, BTreeSet};

/// Places on channels that carry few instruments each, such as those of deep books, by the host's numbers.
/// Two numbers of one key have one place.
///
/// Ask it in [`Adapter::resolve`](crate::Adapter::resolve), before anything is sent, so that nobody is
/// promised what cannot come; what is to be on the channels is what [`Self::taken`] says.
///
/// ```
/// use adapter_sdk::session::Places;
///
/// let mut books = Places::new([("20 levels", 2), ("200 levels", 1)]);
/// assert_eq!(books.take(1, "SBIN", &["200 levels", "20 levels"]), Some("200 levels"));
/// assert_eq!(books.take(2, "INFY", &["200 levels", "20 levels"]), Some("20 levels"));
/// books.give_back(1);
/// assert_eq!(books.taken().into_iter().collect::<Vec<_>>(), [("INFY", "20 levels")]);
/// ```
#[derive(Clone, Debug)]
pub struct Places<K, C> {
    /// Places of each channel that the account is entitled to.
    entitled: BTreeMap<C, usize>,
    /// The same, without the channels that are closed.
    room: BTreeMap<C, usize>,
    held: BTreeMap<u32, (K, C)>,
}

impl<K: Copy + Ord, C: Copy + Ord> Places<K, C> {
    /// So many places on each channel.
    pub fn new(entitled: impl IntoIterator<Item = (C, usize)>) -> Self {
        let entitled: BTreeMap<C, usize> = entitled.into_iter().collect();
        Self { room: entitled.clone(), entitled, held: BTreeMap::new() }
    }

    /// Gives an instrument a place on the first of these channels that has one, and says which it is. The
    /// place that it had before is free again.
    pub fn take(&mut self, instrument: u32, key: K, channels: &[C]) -> Option<C> {
        self.give_back(instrument);
        let channel = channels.iter().copied().find(|channel| self.has_room(key, *channel))?;
        self.held.insert(instrument, (key, channel));
        Some(channel)
    }

    /// Gives up the place of an instrument, if it has one.
    pub fn give_back(&mut self, instrument: u32) {
        self.held.remove(&instrument);
    }

    /// Gives up all places and opens all channels: there is a new connection, on which they are taken again.
    pub fn clear(&mut self) {
        self.held.clear();
        self.room.clone_from(&self.entitled);
    }

    /// The broker refuses a channel: it has no places any more. Those who have one keep it.
    pub fn close(&mut self, channel: C) {
        self.room.insert(channel, 0);
    }

    /// The key and the channel of an instrument that has a place.
    pub fn of(&self, instrument: u32) -> Option<(K, C)> {
        self.held.get(&instrument).copied()
    }

    /// What is to be on the channels, each key once for a channel.
    pub fn taken(&self) -> BTreeSet<(K, C)> {
        self.held.values().copied().collect()
    }

    fn has_room(&self, key: K, channel: C) -> bool {
        let room = self.room.get(&channel).copied().unwrap_or(0);
        let taken = self.taken();
        let count = taken.iter().filter(|(_, one)| *one == channel).count();
        count < room || (room > 0 && taken.contains(&(key, channel)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_key_share_a_place_until_the_last_of_them_has_gone() {
        let mut places = Places::new([('a', 1)]);
        assert_eq!((places.take(1, 7, &['a']), places.take(2, 8, &['a'])), (Some('a'), None));
        assert_eq!(places.take(3, 7, &['a']), Some('a'));
        places.give_back(1);
        assert_eq!((places.take(2, 8, &['a']), places.of(1), places.of(3)), (None, None, Some((7, 'a'))));
        places.give_back(3);
        assert_eq!((places.take(2, 8, &['a']), places.taken().len()), (Some('a'), 1));
        // Whoever wants another key gives up the place of the one that he had.
        assert_eq!((places.take(2, 9, &['a']), places.of(2)), (Some('a'), Some((9, 'a'))));
    }

    #[test]
    fn a_closed_channel_has_no_places_until_there_is_another_connection() {
        let mut places = Places::new([('a', 9), ('b', 1)]);
        assert_eq!((places.take(1, 1, &['b']), places.take(2, 2, &['c'])), (Some('b'), None));
        places.close('b');
        assert_eq!((places.of(1), places.take(2, 1, &['b', 'a'])), (Some((1, 'b')), Some('a')));
        places.clear();
        assert_eq!((places.of(1), places.take(2, 2, &['b', 'a'])), (None, Some('b')));
    }
}
