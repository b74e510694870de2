//! Who gets a deep book: the sockets that the account is entitled to hold few instruments. Pure.
//!
//! An answer is given when a client asks, before anything is sent, so that nobody is promised levels that cannot come.

use std::collections::BTreeMap;

use crate::{segment::Key, wire::depth::Tier};

/// Levels of a book of the live feed.
pub(crate) const LIVE_LEVELS: u16 = 5;

/// Which instruments have a place on the depth feeds.
#[derive(Debug, Default)]
pub(crate) struct Allotment {
    /// Instruments of each feed that the account is entitled to.
    entitled: BTreeMap<Tier, usize>,
    /// The same, without the feeds that the broker has refused on this connection.
    room: BTreeMap<Tier, usize>,
    /// By the host's number.
    places: BTreeMap<u32, (Key, Tier)>,
}

impl Allotment {
    /// Room for what so many sockets of each feed hold.
    pub(crate) fn new(sockets: impl Fn(Tier) -> usize) -> Self {
        let room = Tier::ALL.map(|tier| (tier, sockets(tier) * tier.instruments()));
        let entitled = BTreeMap::from(room);
        Self { room: entitled.clone(), entitled, places: BTreeMap::new() }
    }

    /// Gives an instrument the best place that serves so many levels, and says how many it gets. The place that it had
    /// is free again.
    pub(crate) fn grant(&mut self, instrument: u32, key: Key, levels: u16) -> u16 {
        self.release(instrument);
        let tiers = match levels {
            ..=LIVE_LEVELS => &[][..],
            // A socket of 200 levels holds one instrument: it is kept for those who ask for as many, if there is
            // another way.
            6..200 => &[Tier::Twenty, Tier::TwoHundred],
            200.. => &[Tier::TwoHundred, Tier::Twenty],
        };
        let tiers = if key.segment.has_deep_books() { tiers } else { &[] };
        let Some(tier) = tiers.iter().copied().find(|tier| self.has_room(key, *tier)) else {
            return levels.min(LIVE_LEVELS);
        };
        self.places.insert(instrument, (key, tier));
        levels.min(tier.levels())
    }

    /// Gives up an instrument's place.
    pub(crate) fn release(&mut self, instrument: u32) {
        self.places.remove(&instrument);
    }

    /// Gives up all places: there is a new connection, on which they are taken anew.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
        self.room.clone_from(&self.entitled);
    }

    /// The broker refuses a feed. Those that have a place keep it.
    pub(crate) fn close(&mut self, tier: Tier) {
        self.room.insert(tier, 0);
    }

    /// Where an instrument has its place.
    pub(crate) fn tier(&self, instrument: u32) -> Option<Tier> {
        self.places.get(&instrument).map(|(_, tier)| *tier)
    }

    fn has_room(&self, key: Key, tier: Tier) -> bool {
        let room = self.room.get(&tier).copied().unwrap_or(0);
        let mut keys: Vec<Key> =
            self.places.values().filter(|place| place.1 == tier).map(|place| place.0).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len() < room || (room > 0 && keys.contains(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Segment;

    const fn key(id: u32) -> Key {
        Key { segment: Segment::NseEquity, id }
    }

    fn allotment(twenty: usize, two_hundred: usize) -> Allotment {
        Allotment::new(|tier| if tier == Tier::Twenty { twenty } else { two_hundred })
    }

    #[test]
    fn levels_are_granted_by_request_and_entitlement() {
        let mut none = allotment(0, 0);
        assert_eq!((none.grant(1, key(1), 200), none.grant(2, key(2), 5), none.tier(1)), (5, 5, None));
        let mut both = allotment(1, 1);
        assert_eq!((both.grant(1, key(1), 0), both.grant(1, key(1), 5)), (0, 5));
        assert_eq!((both.grant(1, key(1), 20), both.tier(1)), (20, Some(Tier::Twenty)));
        assert_eq!((both.grant(2, key(2), 50), both.tier(2)), (20, Some(Tier::Twenty)));
        assert_eq!((both.grant(3, key(3), 200), both.tier(3)), (200, Some(Tier::TwoHundred)));
        assert_eq!((both.grant(4, key(4), 200), both.tier(4)), (20, Some(Tier::Twenty)));
        both.release(3);
        assert_eq!(both.grant(4, key(4), 200), 200);
        let mut only_large = allotment(0, 1);
        assert_eq!((only_large.grant(1, key(1), 30), only_large.grant(2, key(2), 30)), (30, 5));
    }

    #[test]
    fn fifty_instruments_share_a_socket_and_the_next_one_gets_five_levels() {
        let mut allotment = allotment(1, 0);
        for number in 1..=50 {
            assert_eq!(allotment.grant(number, key(number), 20), 20);
        }
        assert_eq!(allotment.grant(51, key(51), 20), 5);
        // Another name of the same thing takes no place.
        assert_eq!(allotment.grant(52, key(7), 20), 20);
        allotment.release(7);
        assert_eq!(allotment.grant(51, key(51), 20), 5);
        allotment.release(52);
        assert_eq!(allotment.grant(51, key(51), 20), 20);
        allotment.clear();
        assert_eq!(allotment.grant(1, key(1), 20), 20);
        allotment.close(Tier::Twenty);
        assert_eq!((allotment.grant(2, key(2), 20), allotment.tier(1)), (5, Some(Tier::Twenty)));
        allotment.clear();
        assert_eq!(allotment.grant(2, key(2), 20), 20);
    }

    #[test]
    fn only_shares_and_derivatives_of_nse_have_deep_books() {
        for (segment, _) in Segment::ALL {
            let granted = allotment(1, 1).grant(1, Key { segment, id: 1 }, 20);
            let has_some = matches!(segment, Segment::NseEquity | Segment::NseDerivatives);
            assert_eq!(granted, if has_some { 20 } else { 5 }, "{segment:?}");
        }
    }
}
