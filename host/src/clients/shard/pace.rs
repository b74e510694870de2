//! Subscriptions that asked for fewer updates than there are.
//!
//! Those of one key with the same rate form a [`Group`], which stands in the index like one subscriber: a
//! tick costs a group what it costs a session, and a timer fires once for each group that changed, however
//! many sessions it has.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use rustc_hash::FxHashMap;
use tickhost_core::{
    index::Roster,
    mailbox::SessionId,
    model::{Key, MaxRate},
    throttle::{Nanos, Spacing, Throttle, Verdict},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::clients::seat::Seat;

/// Intervals over of groups that ended, beyond those of groups that live, before they are cleared away.
const SLACK: usize = 256;

/// Sessions in groups for which room is kept.
const SPARE_MEMBERS: usize = 1_024;

/// Sessions that hold one key at one rate.
#[derive(Debug)]
pub(super) struct Group {
    key: Key,
    rate: MaxRate,
    sessions: RefCell<Roster<Seat>>,
    spacing: Cell<Spacing>,
    /// The newest frame, while it waits for the end of an interval.
    waiting: RefCell<Option<Utf8Bytes>>,
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Paced {
    /// It is due now.
    Due(Utf8Bytes),
    /// It waits.
    Waiting,
    /// It waits, and one that waited is gone.
    Replaced,
}

/// All groups of a shard, by rate.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    rates: BTreeMap<MaxRate, Beat>,
    /// The group by which a session holds a key.
    members: FxHashMap<(SessionId, Key), Rc<Group>>,
}

#[derive(Debug)]
struct Beat {
    throttle: Throttle<GroupRef>,
    groups: FxHashMap<Key, Rc<Group>>,
}

/// A group in the queue of its rate.
type GroupRef = Rc<Group>;

impl Group {
    pub(super) const fn rate(&self) -> MaxRate {
        self.rate
    }

    /// Calls `visit` for each session.
    pub(super) fn each(&self, visit: impl FnMut(&Seat)) {
        self.sessions.borrow().as_slice().iter().for_each(visit);
    }
}

impl Pacer {
    /// The group by which a session holds a key.
    pub(super) fn group_of(&self, key: Key, session: &Seat) -> Option<&Rc<Group>> {
        self.members.get(&(session.id(), key))
    }

    /// A session holds a key at this rate from now on. The group by which it held it before must be left by
    /// [`Self::leave`], now or earlier.
    pub(super) fn join(&mut self, key: Key, rate: MaxRate, session: &Seat) -> Rc<Group> {
        let beat = self.rates.entry(rate).or_insert_with(|| Beat {
            throttle: Throttle::new(rate.interval()),
            groups: FxHashMap::default(),
        });
        let group = beat.groups.entry(key).or_insert_with(|| {
            Rc::new(Group {
                key,
                rate,
                sessions: RefCell::default(),
                spacing: Cell::default(),
                waiting: RefCell::default(),
            })
        });
        group.sessions.borrow_mut().insert(session.clone());
        self.members.insert((session.id(), key), Rc::clone(group));
        Rc::clone(group)
    }

    /// Removes a session from a group; says whether it was the last, and the group is gone.
    pub(super) fn leave(&mut self, group: &Rc<Group>, session: &Seat) -> bool {
        let held = (session.id(), group.key);
        if self.members.get(&held).is_some_and(|present| Rc::ptr_eq(present, group)) {
            self.members.remove(&held);
        }
        group.sessions.borrow_mut().remove(session);
        if !group.sessions.borrow().is_empty() {
            return false;
        }
        self.close(group);
        // A peak must not keep its memory for ever.
        if self.members.capacity() > SPARE_MEMBERS && self.members.len() < self.members.capacity() / 8 {
            self.members.shrink_to(self.members.len() * 2);
        }
        true
    }

    fn close(&mut self, group: &Rc<Group>) {
        let Some(beat) = self.rates.get_mut(&group.rate) else { return };
        beat.throttle.forget(group.spacing.take());
        group.waiting.take();
        beat.groups.remove(&group.key);
        if beat.groups.is_empty() {
            self.rates.remove(&group.rate);
        } else if beat.throttle.running() > 2 * beat.groups.len() + SLACK {
            beat.throttle.retain(|group| !group.sessions.borrow().is_empty());
            beat.groups.shrink_to(2 * beat.groups.len() + SLACK);
        }
    }

    /// Judges a frame of a group at `now`.
    pub(super) fn offer(&mut self, group: &Rc<Group>, frame: Utf8Bytes, now: Nanos) -> Paced {
        let Some(beat) = self.rates.get_mut(&group.rate) else { return Paced::Due(frame) };
        let mut spacing = group.spacing.get();
        let verdict = beat.throttle.offer(Rc::clone(group), &mut spacing, now);
        group.spacing.set(spacing);
        match verdict {
            Verdict::Emit => Paced::Due(frame),
            Verdict::Wait => {
                group.waiting.replace(Some(frame));
                Paced::Waiting
            }
            Verdict::Replaced => {
                group.waiting.replace(Some(frame));
                Paced::Replaced
            }
        }
    }

    /// Gives `deliver` what is due at `now`.
    pub(super) fn advance(&mut self, now: Nanos, mut deliver: impl FnMut(&Group, Key, Utf8Bytes)) {
        for beat in self.rates.values_mut() {
            beat.throttle.advance(now, |group, expire| {
                let mut spacing = group.spacing.get();
                let is_due = expire(&mut spacing);
                group.spacing.set(spacing);
                if is_due && let Some(frame) = group.waiting.take() {
                    deliver(&group, group.key, frame);
                }
            });
        }
    }

    /// Whether nobody asked for fewer updates.
    pub(super) fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }

    /// When [`Self::advance`] has to be called next.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        self.rates.values().filter_map(|beat| beat.throttle.next_due()).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickhost_core::model::{DepthClass, InstrumentId, Mode, Variant};

    const MS: Nanos = 1_000_000;

    fn key(instrument: u32) -> Key {
        Key {
            instrument: InstrumentId(instrument),
            variant: Variant::new(Mode::Ltp, DepthClass::Five, false),
        }
    }

    fn session(number: u64) -> Seat {
        Seat::of_test(SessionId(number))
    }

    fn join(pacer: &mut Pacer, instrument: u32, rate: f64, session: &Seat) -> Rc<Group> {
        pacer.join(key(instrument), MaxRate::per_second(rate).unwrap(), session)
    }

    fn due(pacer: &mut Pacer, now: Nanos) -> Vec<(u32, String)> {
        let mut due = Vec::new();
        pacer.advance(now, |_, key, frame| due.push((key.instrument.0, frame.to_string())));
        due
    }

    #[test]
    fn the_first_passes_and_then_the_newest_of_each_interval() {
        let mut pacer = Pacer::default();
        let (slow, fast) = (join(&mut pacer, 1, 5.0, &session(1)), join(&mut pacer, 1, 10.0, &session(2)));
        for (at, frame) in [(1, "a"), (50, "b"), (90, "c")] {
            let expected = if frame == "a" { Paced::Due("a".into()) } else { Paced::Waiting };
            let expected = if frame == "c" { Paced::Replaced } else { expected };
            assert_eq!(pacer.offer(&slow, frame.into(), at * MS), expected);
            pacer.offer(&fast, frame.into(), at * MS);
        }
        assert_eq!(pacer.next_due(), Some(101 * MS));
        assert_eq!(due(&mut pacer, 101 * MS), [(1, "c".to_owned())]);
        assert_eq!(pacer.next_due(), Some(201 * MS));
        assert_eq!(due(&mut pacer, 201 * MS), [(1, "c".to_owned())]);
        assert_eq!(pacer.next_due(), None);
        assert_eq!(due(&mut pacer, 1_000 * MS), []);
    }

    #[test]
    fn a_group_that_ended_leaves_nothing_behind() {
        let mut pacer = Pacer::default();
        let (one, other) = (session(1), session(2));
        let stays = join(&mut pacer, 1, 1.0, &one);
        for instrument in 2..2_000 {
            let group = join(&mut pacer, instrument, 1.0, &one);
            assert!(Rc::ptr_eq(&group, &join(&mut pacer, instrument, 1.0, &other)));
            pacer.offer(&group, "x".into(), MS);
            pacer.offer(&group, "y".into(), MS);
            assert!(!pacer.leave(&group, &one));
            assert!(pacer.leave(&group, &other));
        }
        let queued: usize = pacer.rates.values().map(|beat| beat.throttle.running()).sum();
        assert!(queued <= SLACK + 2, "{queued} intervals of groups that are gone");
        assert_eq!(due(&mut pacer, 5_000 * MS), []);
        assert_eq!(pacer.members.len(), 1);
        assert!(pacer.leave(&stays, &one));
        assert!(pacer.rates.is_empty() && pacer.members.is_empty());
    }

    #[test]
    fn a_session_that_changes_its_rate_is_in_the_group_of_the_new_one() {
        let mut pacer = Pacer::default();
        let (one, other) = (session(1), session(2));
        let before = join(&mut pacer, 1, 5.0, &one);
        join(&mut pacer, 1, 5.0, &other);
        let after = join(&mut pacer, 1, 10.0, &one);
        assert!(!pacer.leave(&before, &one));
        let group_of = |session| pacer.group_of(key(1), session).map(|group| group.rate());
        assert_eq!((group_of(&one), group_of(&other)), (Some(after.rate()), Some(before.rate())));
        assert_eq!(group_of(&session(3)), None);
    }
}
