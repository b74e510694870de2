use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const INTERVAL: Nanos = 50;

/// The throttle with its keys, as the router holds them: what was sent, and what each key's newest value is.
struct Rig {
    throttle: Throttle<u8>,
    spacing: HashMap<u8, Spacing>,
    newest: HashMap<u8, u64>,
    sent: Vec<(Nanos, u8, u64)>,
    replaced: u64,
    /// When the first update came that is not shown yet, directly or by a newer one.
    waiting_since: HashMap<u8, Nanos>,
}

impl Rig {
    fn new() -> Self {
        Self {
            throttle: Throttle::new(Duration::from_nanos(INTERVAL)),
            spacing: HashMap::new(),
            newest: HashMap::new(),
            sent: Vec::new(),
            replaced: 0,
            waiting_since: HashMap::new(),
        }
    }

    fn offer(&mut self, key: u8, value: u64, now: Nanos) {
        self.newest.insert(key, value);
        match self.throttle.offer(key, self.spacing.entry(key).or_default(), now) {
            Verdict::Emit => self.sent.push((now, key, value)),
            Verdict::Wait => {
                self.waiting_since.insert(key, now);
            }
            Verdict::Replaced => self.replaced += 1,
        }
    }

    fn advance(&mut self, now: Nanos) {
        let Self { throttle, spacing, newest, sent, waiting_since, .. } = self;
        throttle.advance(now, |key, expire| {
            if spacing.get_mut(&key).is_some_and(expire) {
                waiting_since.remove(&key);
                sent.push((now, key, newest[&key]));
            }
        });
    }
}

#[test]
fn the_first_passes_at_once_and_the_newest_follows_at_the_end() {
    let mut rig = Rig::new();
    rig.offer(1, 10, 100);
    rig.offer(1, 11, 110);
    rig.offer(1, 12, 120);
    assert_eq!(rig.throttle.next_due(), Some(150));
    rig.advance(149);
    assert_eq!(rig.sent, [(100, 1, 10)]);
    rig.advance(150);
    assert_eq!(rig.sent, [(100, 1, 10), (150, 1, 12)]);
    assert_eq!((rig.replaced, rig.throttle.next_due()), (1, None));
}

#[test]
fn a_quiet_key_passes_at_once_again() {
    let mut rig = Rig::new();
    rig.offer(1, 10, 100);
    rig.advance(150);
    rig.offer(1, 11, 151);
    assert_eq!(rig.sent, [(100, 1, 10), (151, 1, 11)]);
}

#[test]
fn no_interval_means_every_update() {
    let mut throttle = Throttle::new(Duration::ZERO);
    let mut spacing = Spacing::default();
    assert!((0..10).all(|_| throttle.offer(1, &mut spacing, 5) == Verdict::Emit));
    assert_eq!(throttle.next_due(), None);
}

#[test]
fn a_key_that_left_and_came_back_is_not_sent_twice_as_often() {
    let mut rig = Rig::new();
    rig.offer(1, 1, 100);
    rig.offer(1, 2, 101);
    let left = rig.spacing.remove(&1).unwrap();
    rig.throttle.forget(left);
    assert_eq!(rig.throttle.waiting(), 0);
    for now in 110..1_110 {
        rig.advance(now);
        rig.offer(1, now, now);
    }
    assert!(rig.sent.len() <= 1 + 1 + 1_000 / 50, "{} sent", rig.sent.len());
}

/// One step of a schedule: time passes, then either a tick of a key comes or the timer fires (late, or for
/// nothing).
fn steps() -> impl Strategy<Value = Vec<(Nanos, Option<u8>)>> {
    proptest::collection::vec((0_u64..40, proptest::option::weighted(0.8, 0_u8..4)), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_newest_value_always_arrives_within_one_interval(steps in steps()) {
        let mut rig = Rig::new();
        let mut now = 1_000;
        let mut value = 0;
        let mut offered = 0_u64;
        for (pause, key) in steps {
            // The timer is exact: it fires at each due time that lies within the pause.
            let until = now + pause;
            while let Some(due) = rig.throttle.next_due().filter(|due| *due <= until) {
                rig.advance(due.max(now));
                now = due.max(now);
            }
            now = until;
            if let Some(key) = key {
                value += 1;
                offered += 1;
                rig.offer(key, value, now);
            }
            #[expect(clippy::iter_over_hash_type, reason = "each is looked at for itself")]
            for (key, since) in &rig.waiting_since {
                prop_assert!(now - since <= INTERVAL, "key {} waits for {} ns", key, now - since);
            }
        }
        while let Some(due) = rig.throttle.next_due() {
            rig.advance(due);
        }
        #[expect(clippy::iter_over_hash_type, reason = "each is looked at for itself")]
        for (key, newest) in &rig.newest {
            let last = rig.sent.iter().rev().find(|(_, sent, _)| sent == key).unwrap();
            prop_assert_eq!(last.2, *newest);
        }
        for key in 0..4 {
            let times: Vec<Nanos> = rig.sent.iter().filter(|(_, sent, _)| *sent == key).map(|(at, ..)| *at).collect();
            prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= INTERVAL));
        }
        prop_assert_eq!(offered, rig.sent.len() as u64 + rig.replaced);
    }
}

/// A million short schedules by a cheap generator, beside the few that are shrunk to an example when they
/// fail.
#[test]
fn in_a_million_schedules_the_newest_value_arrives_within_one_interval() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let mut throttle = Throttle::new(Duration::from_nanos(INTERVAL));
    let mut spacing = [Spacing::default(); 2];
    let mut now = 1_000;
    for schedule in 0..1_000_000_u64 {
        let mut newest = [0_u64; 2];
        let mut shown = [0_u64; 2];
        let mut shown_at = [0_u64; 2];
        let mut changed_at = [0_u64; 2];
        for value in 1..=6 {
            let until = now + random(45);
            while let Some(due) = throttle.next_due().filter(|due| *due <= until) {
                throttle.advance(due, |key: usize, expire| {
                    if expire(&mut spacing[key]) {
                        (shown[key], shown_at[key]) = (newest[key], due);
                    }
                });
            }
            now = until;
            let key = usize::try_from(random(2)).unwrap();
            (newest[key], changed_at[key]) = (value, now);
            if throttle.offer(key, &mut spacing[key], now) == Verdict::Emit {
                (shown[key], shown_at[key]) = (value, now);
            }
        }
        while let Some(due) = throttle.next_due() {
            now = now.max(due);
            throttle.advance(due, |key: usize, expire| {
                if expire(&mut spacing[key]) {
                    (shown[key], shown_at[key]) = (newest[key], due);
                }
            });
        }
        assert_eq!(shown, newest, "schedule {schedule}");
        for key in 0..2 {
            assert!(shown_at[key].saturating_sub(changed_at[key]) <= INTERVAL, "schedule {schedule}");
        }
    }
}

#[test]
fn intervals_of_keys_that_are_gone_are_cleared_away_and_those_of_others_go_on() {
    let mut rig = Rig::new();
    for key in 1..=4 {
        rig.offer(key, 1, 100);
        rig.offer(key, 2, 101);
    }
    for gone in [1, 3] {
        let left = rig.spacing.remove(&gone).unwrap();
        rig.throttle.forget(left);
    }
    rig.throttle.retain(|key| rig.spacing.contains_key(key));
    assert_eq!((rig.throttle.running(), rig.throttle.waiting()), (2, 2));
    rig.sent.clear();
    rig.advance(150);
    assert_eq!(rig.sent, [(150, 2, 2), (150, 4, 2)]);
}
