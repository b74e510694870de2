use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

type Plain = Queue<u32, char, (), u32>;

/// Callers of `a` to `m` are innocent, those of `n` to `v` are under suspicion, and the others have erred
/// themselves.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as the queue asks")]
fn doubt(from: &char) -> Doubt {
    match from {
        ..='m' => Doubt::None,
        'n'..='v' => Doubt::Place,
        _ => Doubt::Connection,
    }
}

fn ask(queue: &mut Plain, from: char, key: u32, waiter: u32) -> Asked<u32> {
    queue.ask(key, &from, || (), waiter, |_| true, doubt)
}

fn asks(queue: &mut Plain, from: char, keys: impl IntoIterator<Item = u32>) {
    for key in keys {
        assert!(matches!(ask(queue, from, key, key), Asked::Queued { .. }), "{from} {key}");
    }
}

fn all(queue: &mut Plain) -> Vec<u32> {
    std::iter::from_fn(|| queue.next(|_| true, doubt).map(|(key, ())| key)).collect()
}

#[test]
fn a_key_is_checked_once_whoever_waits() {
    let mut queue = Plain::new(4);
    assert_eq!(ask(&mut queue, 'a', 7, 1), Asked::Queued { displaced: vec![] });
    assert_eq!(ask(&mut queue, 'a', 7, 2), Asked::Joined);
    assert_eq!(ask(&mut queue, 'b', 7, 3), Asked::Joined);
    assert_eq!(all(&mut queue), [7]);
    // One that comes while it runs waits for the same check.
    assert_eq!(ask(&mut queue, 'c', 7, 4), Asked::Joined);
    assert_eq!(queue.finish(&7), [1, 2, 3, 4]);
    assert_eq!(ask(&mut queue, 'a', 7, 5), Asked::Queued { displaced: vec![] });
}

#[test]
fn addresses_take_turns_and_the_first_of_each_comes_first() {
    let mut queue = Plain::new(100);
    asks(&mut queue, 'a', 0..5);
    asks(&mut queue, 'b', 10..12);
    assert_eq!(ask(&mut queue, 'c', 4, 0), Asked::Joined);
    // 'c' wants what is last in the lane of 'a'; it does not wait for that lane.
    assert_eq!(all(&mut queue), [0, 10, 4, 1, 11, 2, 3]);
}

#[test]
fn who_is_under_suspicion_has_one_turn_in_eight_and_who_came_last_comes_first() {
    let mut queue = Plain::new(100);
    asks(&mut queue, 'n', 0..6);
    asks(&mut queue, 'a', 10..20);
    assert_eq!(all(&mut queue), [10, 11, 12, 13, 14, 15, 16, 0, 17, 18, 19, 5, 4, 3, 2, 1]);
}

#[test]
fn a_crowd_is_a_flood_before_any_of_its_keys_was_found_wrong() {
    let mut queue = Plain::new(1_000);
    asks(&mut queue, 'a', 0..64);
    assert_eq!(queue.next(|_| true, doubt).map(|(key, ())| key), Some(0));
    asks(&mut queue, 'a', 64..200);
    asks(&mut queue, 'b', [1_000]);
    let served: Vec<u32> = all(&mut queue).into_iter().take(3).collect();
    assert_eq!(served, [1_000, 199, 198]);
}

#[test]
fn who_has_erred_comes_after_the_others_of_the_same_address() {
    let mut queue = Plain::new(100);
    asks(&mut queue, 'z', 0..3);
    asks(&mut queue, 'n', 10..20);
    assert_eq!(all(&mut queue), [19, 18, 17, 16, 15, 14, 13, 0, 12, 11, 10, 2, 1]);
}

#[test]
fn a_full_queue_makes_room_at_the_cost_of_who_has_erred_and_of_who_has_gone() {
    let mut queue = Plain::new(4);
    asks(&mut queue, 'a', 0..3);
    asks(&mut queue, 'z', [20]);
    assert_eq!(ask(&mut queue, 'z', 21, 21), Asked::Full(21));
    assert_eq!(ask(&mut queue, 'a', 3, 3), Asked::Queued { displaced: vec![20] });
    assert_eq!(ask(&mut queue, 'z', 22, 22), Asked::Full(22));
    let asked = queue.ask(23, &'z', || (), 23, |waiter| *waiter != 1, doubt);
    assert_eq!(asked, Asked::Queued { displaced: vec![] });
    assert_eq!(all(&mut queue), [0, 2, 3, 23]);
}

#[test]
fn a_full_queue_is_shared_and_its_greediest_address_gives_way() {
    let mut queue = Plain::new(4);
    asks(&mut queue, 'a', 0..4);
    assert_eq!(ask(&mut queue, 'a', 4, 4), Asked::Full(4));
    assert_eq!(ask(&mut queue, 'b', 10, 10), Asked::Queued { displaced: vec![3] });
    assert_eq!(ask(&mut queue, 'b', 11, 11), Asked::Queued { displaced: vec![2] });
    assert_eq!(ask(&mut queue, 'b', 12, 12), Asked::Full(12));
    // What another address waits for as well is kept, though it is the last.
    assert_eq!(ask(&mut queue, 'c', 1, 13), Asked::Joined);
    assert_eq!(ask(&mut queue, 'd', 14, 14), Asked::Queued { displaced: vec![11] });
    assert_eq!(all(&mut queue), [0, 10, 1, 14]);
}

#[test]
fn nobody_is_checked_for_who_has_gone() {
    let mut queue = Plain::new(4);
    asks(&mut queue, 'a', [1, 2]);
    assert_eq!(queue.next(|waiter| *waiter != 1, doubt), Some((2, ())));
    assert_eq!((queue.waiting(), queue.next(|_| true, doubt)), (0, None));
}

#[derive(Clone, Debug)]
enum Step {
    Ask(u8, u8),
    Run,
    Finish,
    Leave(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..24_u8, 0..4_u8).prop_map(|(key, from)| Step::Ask(key, from)),
        3 => Just(Step::Run),
        3 => Just(Step::Finish),
        1 => any::<u8>().prop_map(Step::Leave),
    ]
}

proptest! {
    #[test]
    fn everybody_is_answered_once_and_the_bound_holds(steps in prop::collection::vec(step(), 1..200)) {
        const PLACES: usize = 6;
        let of = |from: &u8| [Doubt::None, Doubt::None, Doubt::Place, Doubt::Connection][usize::from(*from)];
        let mut queue: Queue<u8, u8, (), usize> = Queue::new(PLACES);
        let (mut open, mut gone, mut running) = (HashMap::new(), HashSet::<usize>::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Ask(key, from) => match queue.ask(key, &from, || (), number, |waiter| !gone.contains(waiter), of) {
                    Asked::Full(waiter) => prop_assert_eq!(waiter, number),
                    Asked::Joined => prop_assert!(open.insert(number, key).is_none()),
                    Asked::Queued { displaced } => {
                        open.insert(number, key);
                        for waiter in displaced {
                            prop_assert!(open.remove(&waiter).is_some_and(|key| !running.contains(&key)));
                        }
                    }
                },
                Step::Run => {
                    if let Some((key, ())) = queue.next(|waiter| !gone.contains(waiter), of) {
                        prop_assert!(!running.contains(&key), "two checks of one key");
                        prop_assert!(open.iter().any(|(waiter, of)| *of == key && !gone.contains(waiter)));
                        running.push(key);
                    }
                }
                Step::Finish => if let Some(key) = running.pop() {
                    for waiter in queue.finish(&key) {
                        prop_assert_eq!(open.remove(&waiter), Some(key));
                    }
                    prop_assert!(!open.iter().any(|(waiter, of)| *of == key && !gone.contains(waiter)));
                },
                Step::Leave(place) => {
                    let mut waiters: Vec<usize> = open.keys().copied().collect();
                    waiters.sort_unstable();
                    gone.extend(waiters.get(usize::from(place) % waiters.len().max(1)));
                }
            }
            prop_assert!(queue.waiting() <= PLACES);
            let in_lanes: HashSet<u8> = queue.lanes.iter().flat_map(|(_, keys)| keys).copied().collect();
            prop_assert_eq!(in_lanes.len(), queue.waiting());
            prop_assert_eq!(queue.checks.values().filter(|check| check.job.is_some()).count(), queue.waiting());
            prop_assert!(queue.lanes.iter().all(|(_, keys)| !keys.is_empty()));
        }
        while let Some((key, ())) = queue.next(|waiter| !gone.contains(waiter), of) {
            running.push(key);
        }
        for key in running {
            open.retain(|waiter, _| !queue.checks[&key].waiters.contains(waiter));
            queue.finish(&key);
        }
        prop_assert!(open.keys().all(|waiter| gone.contains(waiter)), "somebody waits for ever");
    }
}
