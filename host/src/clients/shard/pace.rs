//! Subscriptions that asked for fewer updates than there are.
//!
//! Those of one key with the same rate form a [`Group`], which stands in the index like one subscriber: a tick costs a
//! group what it costs a session, and a timer fires once for each group that changed, however many sessions it has.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use smallvec::SmallVec;
use tickhost_core::{
    mailbox::SessionId,
    model::{Key, MaxRate},
    throttle::{Nanos, Spacing, Throttle, Verdict},
};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::Subscriber;
use crate::clients::session::SessionRef;

/// Intervals over of groups that ended, beyond those of groups that live, before they are cleared away.
const SLACK: usize = 256;

/// Sessions that hold one key at one rate.
#[derive(Debug)]
pub(super) struct Group {
    key: Key,
    rate: MaxRate,
    sessions: RefCell<SmallVec<[SessionRef; 2]>>,
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
}

#[derive(Debug)]
struct Beat {
    throttle: Throttle<GroupRef>,
    groups: usize,
}

/// A group in the queue of its rate.
type GroupRef = Rc<Group>;

impl Group {
    pub(super) const fn rate(&self) -> MaxRate {
        self.rate
    }

    pub(super) fn contains(&self, session: &SessionRef) -> bool {
        self.sessions.borrow().contains(session)
    }

    pub(super) fn find(&self, id: SessionId) -> Option<SessionRef> {
        self.sessions.borrow().iter().find(|session| session.id() == id).cloned()
    }

    pub(super) fn add(&self, session: &SessionRef) {
        self.sessions.borrow_mut().push(session.clone());
    }

    /// Removes a session; says whether it was the last.
    pub(super) fn remove(&self, session: &SessionRef) -> bool {
        let mut sessions = self.sessions.borrow_mut();
        sessions.retain(|held| held != session);
        sessions.is_empty()
    }

    /// Calls `visit` for each session.
    pub(super) fn each(&self, visit: impl FnMut(&SessionRef)) {
        self.sessions.borrow().iter().for_each(visit);
    }
}

impl Pacer {
    /// An empty group.
    pub(super) fn open(&mut self, key: Key, rate: MaxRate) -> Rc<Group> {
        let beat = self
            .rates
            .entry(rate)
            .or_insert_with(|| Beat { throttle: Throttle::new(rate.interval()), groups: 0 });
        beat.groups += 1;
        Rc::new(Group {
            key,
            rate,
            sessions: RefCell::default(),
            spacing: Cell::default(),
            waiting: RefCell::default(),
        })
    }

    /// Forgets a group whose last session left.
    pub(super) fn close(&mut self, group: &Rc<Group>) {
        let Some(beat) = self.rates.get_mut(&group.rate) else { return };
        beat.throttle.forget(group.spacing.take());
        group.waiting.take();
        beat.groups -= 1;
        if beat.groups == 0 {
            self.rates.remove(&group.rate);
        } else if beat.throttle.running() > 2 * beat.groups + SLACK {
            beat.throttle.retain(|group| !group.sessions.borrow().is_empty());
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

impl Subscriber {
    /// The session, or that of the group, with this identity.
    pub(super) fn find(&self, id: SessionId) -> Option<SessionRef> {
        match self {
            Self::Session(session) => (session.id() == id).then(|| session.clone()),
            Self::Group(group) => group.find(id),
        }
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

    fn open(pacer: &mut Pacer, instrument: u32, rate: f64) -> Rc<Group> {
        let group = pacer.open(key(instrument), MaxRate::per_second(rate).unwrap());
        group.add(&SessionRef::of_test(SessionId(1)));
        group
    }

    fn due(pacer: &mut Pacer, now: Nanos) -> Vec<(u32, String)> {
        let mut due = Vec::new();
        pacer.advance(now, |_, key, frame| due.push((key.instrument.0, frame.to_string())));
        due
    }

    #[test]
    fn the_first_passes_and_then_the_newest_of_each_interval() {
        let mut pacer = Pacer::default();
        let (slow, fast) = (open(&mut pacer, 1, 5.0), open(&mut pacer, 1, 10.0));
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
        let stays = open(&mut pacer, 1, 1.0);
        for instrument in 2..2_000 {
            let group = open(&mut pacer, instrument, 1.0);
            pacer.offer(&group, "x".into(), MS);
            pacer.offer(&group, "y".into(), MS);
            group.each(|_| {});
            group.sessions.borrow_mut().clear();
            pacer.close(&group);
        }
        let queued: usize = pacer.rates.values().map(|beat| beat.throttle.running()).sum();
        assert!(queued <= SLACK + 2, "{queued} intervals of groups that are gone");
        assert_eq!(due(&mut pacer, 5_000 * MS), []);
        stays.sessions.borrow_mut().clear();
        pacer.close(&stays);
        assert!(pacer.rates.is_empty());
    }
}
