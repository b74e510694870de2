//! Who is served at the operator's port when more come than it has places: the oldest who has not finished
//! asking makes room, so that who asks at once is answered however many ask slowly.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tickhost_core::metrics::ServerCounters;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::base::log_rate::outside_line;

/// An answer that takes longer than this makes room too, when nobody is left who is still asking.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// The places of one listener.
#[derive(Debug)]
pub(super) struct Door {
    places: usize,
    guests: Mutex<Guests>,
    counters: Arc<ServerCounters>,
}

#[derive(Debug)]
struct Guests {
    /// In the order in which they came.
    present: BTreeMap<u64, Guest>,
    next: u64,
}

#[derive(Debug)]
struct Guest {
    /// When the request was there; none while it is not.
    asked: Option<Instant>,
    leave: CancellationToken,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(super) struct Visit {
    door: Arc<Door>,
    number: u64,
    leave: CancellationToken,
}

impl Door {
    /// With nobody in it. `places` is how many are served at one time.
    pub(super) fn new(places: usize, counters: Arc<ServerCounters>) -> Arc<Self> {
        let guests = Guests { present: BTreeMap::new(), next: 0 };
        Arc::new(Self { places, guests: Mutex::new(guests), counters })
    }

    /// Takes a place, if need be that of another; none when all are being answered.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Visit> {
        let now = Instant::now();
        let mut guests = self.guests.lock();
        if guests.present.len() >= self.places {
            let oldest = |is_due: &dyn Fn(&Guest) -> bool| {
                guests.present.iter().find(|(_, guest)| is_due(guest)).map(|(number, _)| *number)
            };
            let slow = |asked: Instant| now.duration_since(asked) >= ANSWERED_WITHIN;
            let due = oldest(&|guest| guest.asked.is_none())
                .or_else(|| oldest(&|guest| guest.asked.is_some_and(slow)));
            let leaving = due.and_then(|number| guests.present.remove(&number));
            outside_line!(
                warn,
                places = self.places,
                "More ask the operator's port than it has places; the slowest are ended"
            );
            let Some(leaving) = leaving else {
                self.counters.operator_refused.add(1);
                return None;
            };
            leaving.leave.cancel();
            self.counters.operator_ended.add(1);
        }
        let (number, leave) = (guests.next, CancellationToken::new());
        guests.next += 1;
        guests.present.insert(number, Guest { asked: None, leave: leave.clone() });
        Some(Visit { door: Arc::clone(self), number, leave })
    }
}

impl Visit {
    /// The whole head of the request is there.
    pub(super) fn has_asked(&self) {
        if let Some(guest) = self.door.guests.lock().present.get_mut(&self.number) {
            guest.asked.get_or_insert_with(Instant::now);
        }
    }

    /// Waits until another needs the place.
    pub(super) async fn must_leave(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.door.guests.lock().present.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn must_leave(visit: &Visit) -> bool {
        visit.leave.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_who_has_not_asked_makes_room_and_then_the_slowest_answer() {
        let counters = Arc::<ServerCounters>::default();
        let door = Door::new(3, Arc::clone(&counters));
        let [first, second, third] = [(); 3].map(|()| door.enter().unwrap());
        first.has_asked();
        let fourth = door.enter().unwrap();
        assert!(must_leave(&second) && ![&first, &third, &fourth].into_iter().any(must_leave));
        // The place is taken already; that the old one is gone gives none.
        drop(second);
        third.has_asked();
        fourth.has_asked();
        assert!(door.enter().is_none(), "everybody is being answered");
        tokio::time::advance(ANSWERED_WITHIN).await;
        let _fifth = door.enter().unwrap();
        assert!(must_leave(&first) && !must_leave(&third));
        assert_eq!((counters.operator_ended.get(), counters.operator_refused.get()), (2, 1));
        drop((third, fourth));
        let [_sixth, _seventh] = [(); 2].map(|()| door.enter().unwrap());
        assert_eq!(counters.operator_ended.get(), 2);
    }
}
