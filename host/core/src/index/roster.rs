//! A list that is walked far more often than it changes, and in which nobody has to be searched for however
//! long it is.

use std::hash::Hash;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Members up to which a search costs less than a map.
const FEW: usize = 64;

/// Members, each of them once. To add, remove or look for one costs the same with ten thousand as with a
/// hundred; a list of at most 64 costs no memory but its members and one pointer.
#[derive(Debug)]
pub struct Roster<S> {
    list: SmallVec<[S; 2]>,
    /// Where each member stands in the list, once they are many; until half as many are left as made it
    /// necessary, so that one who comes and goes does not make it again each time. Beside the list, so that
    /// who walks it has one list to look at.
    places: Option<Box<FxHashMap<S, usize>>>,
}

impl<S> Default for Roster<S> {
    fn default() -> Self {
        Self { list: SmallVec::new(), places: None }
    }
}

impl<S> Roster<S> {
    /// All members. When one is removed, the last takes its place.
    #[inline]
    pub fn as_slice(&self) -> &[S] {
        &self.list
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<S: Clone + Eq + Hash> Roster<S> {
    fn place(&self, member: &S) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(member).copied(),
            None => self.list.iter().position(|held| held == member),
        }
    }

    /// Whether this is a member.
    pub fn contains(&self, member: &S) -> bool {
        self.place(member).is_some()
    }

    /// Adds a member; false if it was one already.
    pub fn insert(&mut self, member: S) -> bool {
        if self.contains(&member) {
            return false;
        }
        if let Some(places) = &mut self.places {
            places.insert(member.clone(), self.list.len());
        }
        self.list.push(member);
        if self.places.is_none() && self.list.len() > FEW {
            self.places = Some(Box::new(self.list.iter().cloned().zip(0..).collect()));
        }
        true
    }

    /// Removes a member; false if it was none.
    pub fn remove(&mut self, member: &S) -> bool {
        let Some(place) = self.place(member) else { return false };
        self.list.swap_remove(place);
        if let Some(places) = &mut self.places {
            places.remove(member);
            if let Some(at) = self.list.get(place).and_then(|moved| places.get_mut(moved)) {
                *at = place;
            }
            if self.list.len() <= FEW / 2 {
                self.places = None;
                self.list.shrink_to_fit();
            } else if self.list.len() < self.list.capacity() / 8 {
                // A peak must not keep its memory for ever. Rare enough that a removal costs no more than an
                // insertion, on average.
                places.shrink_to(self.list.len() * 2);
                self.list.shrink_to_fit();
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Equal to itself alone, and counts the comparisons.
    #[derive(Clone, Debug)]
    struct Counting<'a>(u32, &'a std::cell::Cell<usize>);

    impl PartialEq for Counting<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.1.update(|compared| compared + 1);
            self.0 == other.0
        }
    }

    impl Eq for Counting<'_> {}

    impl Hash for Counting<'_> {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    #[test]
    fn nobody_is_searched_for_among_ten_thousand() {
        let compared = std::cell::Cell::new(0);
        let member = |number| Counting(number, &compared);
        let mut roster = Roster::default();
        (0..10_000).for_each(|number| assert!(roster.insert(member(number))));
        compared.set(0);
        for number in 0..1_000 {
            assert!(!roster.insert(member(number)) && roster.contains(&member(number)));
            assert!(roster.remove(&member(number)) && !roster.remove(&member(number)));
            assert!(roster.insert(member(number)));
        }
        // Five look-ups and one of the member that moved, each with a comparison or a few where hashes meet.
        assert!(compared.get() < 1_000 * 6 * 4, "{} comparisons", compared.get());
    }

    #[test]
    fn few_members_cost_no_more_than_their_list_and_a_peak_leaves_nothing_behind() {
        assert_eq!(size_of::<Roster<u64>>(), size_of::<SmallVec<[u64; 2]>>() + size_of::<usize>());
        let mut roster = Roster::default();
        (0..FEW).for_each(|member| _ = roster.insert(member));
        assert!(roster.places.is_none());
        roster.insert(FEW);
        assert!(roster.places.is_some());
        (FEW..10_000).for_each(|member| _ = roster.insert(member));
        (FEW * 2..10_000).for_each(|member| _ = roster.remove(&member));
        let kept = [roster.list.capacity(), roster.places.as_ref().unwrap().capacity()];
        assert!(kept.into_iter().all(|capacity| capacity < 2_000), "{kept:?}");
        (1..FEW * 2).for_each(|member| _ = roster.remove(&member));
        assert!(roster.places.is_none() && roster.as_slice() == [0]);
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_set_whether_it_is_short_or_long(
            steps in proptest::collection::vec((prop::bool::weighted(0.6), 0_u32..150), 1..600),
            left in 0_u32..150,
        ) {
            let (mut roster, mut model) = (Roster::default(), BTreeSet::new());
            let leaving = (left..150).map(|member| (false, member));
            for (is_insert, member) in steps.into_iter().chain(leaving) {
                if is_insert {
                    prop_assert_eq!(roster.insert(member), model.insert(member));
                } else {
                    prop_assert_eq!(roster.remove(&member), model.remove(&member));
                }
                prop_assert_eq!(roster.contains(&member), model.contains(&member));
                prop_assert_eq!(roster.is_empty(), model.is_empty());
                prop_assert_eq!(roster.as_slice().len(), model.len());
                prop_assert_eq!(&roster.as_slice().iter().copied().collect::<BTreeSet<_>>(), &model);
            }
        }
    }
}
