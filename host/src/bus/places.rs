//! Places for publishers: how many there are, and who gives one up when somebody new comes.
//!
//! Addresses share the places: whoever is new takes that of the address with the most, so nobody keeps others
//! out who has no other address. Within an address those go first that never said anything, the oldest of
//! them first, then those that were silent for long. A publisher that loses its place connects again by
//! itself, as ZeroMQ does, and has lost nothing when it was silent. Pure: time is handed in.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::base::address::network_of;

/// Silence after which a publisher gives up its place to another one, if there is no other.
const IDLE_AFTER: Duration = Duration::from_mins(10);

/// Where a publisher is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// At this address.
    Address(IpAddr),
    /// On this machine, at the Unix socket.
    Socket,
}

impl Origin {
    /// Where a publisher at this address is.
    pub(super) fn of(address: IpAddr) -> Self {
        Self::Address(network_of(address))
    }
}

/// Places of one kind.
#[derive(Debug)]
pub(super) struct Places {
    limit: usize,
    epoch: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// By number, so the oldest first.
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    origin: Origin,
    /// Milliseconds from the epoch of the places to the last good message, plus one; 0 when there was none.
    heard: Arc<AtomicU64>,
    end: CancellationToken,
}

/// A place. It is given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    heard: Arc<AtomicU64>,
    end: CancellationToken,
}

impl Places {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit: limit.max(1), epoch: Instant::now(), state: Mutex::default() })
    }

    /// Takes a place, if need be that of another; none when all are in use by those who have as much right to
    /// them.
    pub(super) fn take(self: &Arc<Self>, origin: Origin, now: Instant) -> Option<Place> {
        let mut state = self.state.lock();
        if state.taken.len() >= self.limit {
            let victim = state.victim(origin, self.millis(now))?;
            if let Some(taken) = state.taken.remove(&victim) {
                taken.end.cancel();
            }
        }
        let number = state.next;
        state.next += 1;
        let (heard, end) = (Arc::<AtomicU64>::default(), CancellationToken::new());
        state.taken.insert(number, Taken { origin, heard: Arc::clone(&heard), end: end.clone() });
        Some(Place { places: Arc::clone(self), number, heard, end })
    }

    /// Milliseconds since the epoch, plus one.
    fn millis(&self, now: Instant) -> u64 {
        let millis = now.saturating_duration_since(self.epoch).as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl State {
    /// Who gives up a place for somebody new from `origin`.
    fn victim(&self, origin: Origin, now: u64) -> Option<u64> {
        let mut shares: BTreeMap<Origin, usize> = BTreeMap::new();
        for taken in self.taken.values() {
            *shares.entry(taken.origin).or_default() += 1;
        }
        let share = |of: Origin| shares.get(&of).copied().unwrap_or(0);
        let idle = u64::try_from(IDLE_AFTER.as_millis()).unwrap_or(u64::MAX);
        let candidates = self.taken.iter().filter_map(|(number, taken)| {
            let heard = taken.heard.load(Ordering::Relaxed);
            let speaks = heard != 0 && now.saturating_sub(heard) < idle;
            // Of those who speak only an address gives up one that has more than the newcomer's even without
            // it.
            let may_go = !speaks || share(taken.origin) > share(origin) + 1;
            may_go.then_some((speaks, std::cmp::Reverse(share(taken.origin)), heard, *number))
        });
        candidates.min().map(|(.., number)| number)
    }
}

impl Place {
    /// A good message has come.
    pub(super) fn note_heard(&self, now: Instant) {
        self.heard.store(self.places.millis(now), Ordering::Relaxed);
    }

    /// Ends when the place was given to another.
    pub(super) async fn lost(&self) {
        self.end.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.state.lock().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(last: u8) -> Origin {
        Origin::of([10, 0, 0, last].into())
    }

    fn is_lost(place: &Place) -> bool {
        place.end.is_cancelled()
    }

    fn full(limit: usize, origin: Origin, now: Instant) -> (Arc<Places>, Vec<Place>) {
        let places = Places::new(limit);
        let taken = (0..limit).map(|_| places.take(origin, now).unwrap()).collect();
        (places, taken)
    }

    #[test]
    fn silent_publishers_keep_nobody_out_and_the_oldest_of_them_goes_first() {
        let now = Instant::now();
        let (places, taken) = full(4, at(1), now);
        taken[0].note_heard(now);
        let newcomer = places.take(at(1), now).expect("a place");
        assert_eq!(taken.iter().map(is_lost).collect::<Vec<_>>(), [false, true, false, false]);
        newcomer.note_heard(now);
        // What was lost is not given back a second time.
        drop(taken);
        assert_eq!(places.state.lock().taken.len(), 1);
    }

    #[test]
    fn those_who_speak_keep_their_places_until_they_have_been_silent_for_long() {
        let now = Instant::now();
        let (places, taken) = full(3, at(1), now);
        for (seconds, place) in (0..).zip(&taken) {
            place.note_heard(now + Duration::from_secs(seconds));
        }
        assert!(places.take(at(1), now + Duration::from_mins(5)).is_none());
        let late = now + IDLE_AFTER + Duration::from_secs(1);
        assert!(places.take(at(1), late).is_some());
        assert_eq!(taken.iter().map(is_lost).collect::<Vec<_>>(), [true, false, false]);
    }

    #[test]
    fn an_address_that_has_more_than_its_share_gives_up_to_others_even_if_it_speaks() {
        let now = Instant::now();
        let (places, taken) = full(8, at(1), now);
        taken.iter().for_each(|place| place.note_heard(now));
        let mut others = Vec::new();
        for last in 2..=5 {
            others.push(places.take(at(last), now).expect("a place"));
            others.iter().for_each(|place| place.note_heard(now));
        }
        let more = places.take(at(2), now).expect("a second place of four to one");
        more.note_heard(now);
        assert_eq!(taken.iter().filter(|place| is_lost(place)).count(), 5);
        // Three, two, one, one, one.
        assert!(places.take(at(2), now).is_none(), "nobody has more than one beyond");
        assert!(others.iter().chain([&more]).all(|place| !is_lost(place)));
    }

    #[test]
    fn a_flood_of_one_address_displaces_its_own_and_not_the_silent_one_of_another() {
        let now = Instant::now();
        let places = Places::new(8);
        let honest = places.take(at(9), now).unwrap();
        let flood: Vec<_> = (0..1_000).map(|_| places.take(at(1), now)).collect();
        assert!(!is_lost(&honest));
        assert!(flood.iter().all(Option::is_some));
        // The Unix socket is a place of its own.
        assert!(places.take(Origin::Socket, now).is_some() && !is_lost(&honest));
    }
}
