//! Who gets a deep book: the sockets that the account is entitled to hold few instruments. Pure.
//!
//! An answer is given when a client asks, before anything is sent, so that nobody is promised levels that
//! cannot come.

use crate::{config::Settings, segment::Key, wire::depth::Tier};

/// Levels of a book of the live feed.
pub(crate) const LIVE_LEVELS: u16 = 5;

/// Which instruments have a place on the depth feeds.
pub(crate) type Places = adapter_sdk::session::Places<Key, Tier>;

/// As many as the sockets of each feed hold that the account is entitled to.
pub(crate) fn places(settings: &Settings) -> Places {
    Places::new(Tier::ALL.map(|tier| (tier, settings.depth_sockets(tier) * tier.instruments())))
}

/// Gives an instrument the best place that serves so many levels, and says how many it gets.
pub(crate) fn grant(places: &mut Places, instrument: u32, key: Key, levels: u16) -> u16 {
    let tiers = match levels {
        _ if !key.segment.has_deep_books() => &[][..],
        ..=LIVE_LEVELS => &[],
        // A socket of 200 levels holds one instrument: it is kept for those who ask for as many, if there is
        // another way.
        6..200 => &[Tier::Twenty, Tier::TwoHundred],
        200.. => &[Tier::TwoHundred, Tier::Twenty],
    };
    levels.min(places.take(instrument, key, tiers).map_or(LIVE_LEVELS, Tier::levels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, segment::Segment};

    const fn key(id: u32) -> Key {
        Key { segment: Segment::NseEquity, id }
    }

    /// So many sockets of each feed.
    struct Allotment(Places);

    impl Allotment {
        fn grant(&mut self, instrument: u32, key: Key, levels: u16) -> u16 {
            grant(&mut self.0, instrument, key, levels)
        }

        fn tier(&self, instrument: u32) -> Option<Tier> {
            self.0.of(instrument).map(|(_, tier)| tier)
        }
    }

    fn allotment(twenty: usize, two_hundred: usize) -> Allotment {
        let config =
            format!(r#"{{"depth":200,"depth20_sockets":{twenty},"depth200_sockets":{two_hundred}}}"#);
        let config: Config = serde_json::from_str(&config).unwrap();
        Allotment(places(&config.check().unwrap()))
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
        both.0.give_back(3);
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
        allotment.0.give_back(7);
        assert_eq!(allotment.grant(51, key(51), 20), 5);
        allotment.0.give_back(52);
        assert_eq!(allotment.grant(51, key(51), 20), 20);
        allotment.0.clear();
        assert_eq!(allotment.grant(1, key(1), 20), 20);
        allotment.0.close(Tier::Twenty);
        assert_eq!((allotment.grant(2, key(2), 20), allotment.tier(1)), (5, Some(Tier::Twenty)));
        allotment.0.clear();
        assert_eq!(allotment.grant(2, key(2), 20), 20);
    }

    #[test]
    fn only_shares_and_derivatives_of_nse_have_deep_books() {
        for segment in Segment::ALL.iter().copied() {
            let granted = allotment(1, 1).grant(1, Key { segment, id: 1 }, 20);
            let has_some = matches!(segment, Segment::NseEquity | Segment::NseDerivatives);
            assert_eq!(granted, if has_some { 20 } else { 5 }, "{segment:?}");
        }
    }
}
