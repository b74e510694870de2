//! Several cases at a time.

use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use crate::{cases::Case, verdict::CaseResult};

/// Cases that run at a time. Most of their time is waiting: for a timeout, or to see that nothing happens.
const SIDE_BY_SIDE: usize = 6;

/// Runs cases side by side, and hands over each result as soon as those of all cases before it are known.
///
/// # Panics
/// When `run` does.
pub fn run_side_by_side(
    cases: &[&Case],
    run: impl Fn(&Case) -> CaseResult + Sync,
    mut hand_over: impl FnMut(CaseResult),
) {
    let order = in_turn(cases);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (results, ended) = mpsc::channel();
        for _ in 0..SIDE_BY_SIDE.min(cases.len()) {
            let (results, order, next, run) = (results.clone(), &order, &next, &run);
            scope.spawn(move || {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    let Some(place) = order.get(turn).copied() else { return };
                    let Some(case) = cases.get(place) else { return };
                    // Nobody listens any more when the one who hands over has panicked, which ends all of
                    // this.
                    _ = results.send((place, run(case)));
                }
            });
        }
        drop(results);
        let (mut waiting, mut handed) = (BTreeMap::new(), 0);
        for (place, result) in ended {
            waiting.insert(place, result);
            while let Some(result) = waiting.remove(&handed) {
                hand_over(result);
                handed += 1;
            }
        }
    });
}

/// The places of cases in the order in which they begin: what runs beside no other goes first, as later it
/// would wait for the longest of the others, and they for it.
fn in_turn(cases: &[&Case]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..cases.len()).collect();
    places.sort_by_key(|place| cases.get(*place).is_none_or(|case| !case.is_alone));
    places
}

#[cfg(test)]
mod tests {
    use parking_lot::{Condvar, Mutex};

    use super::*;
    use crate::{CASES, verdict::Verdict};

    #[test]
    fn what_runs_beside_no_other_begins_first() {
        let cases: Vec<&Case> = CASES.iter().collect();
        let places = in_turn(&cases);
        let alone = cases.iter().filter(|case| case.is_alone).count();
        assert!(alone > 0 && places[..alone].iter().all(|place| cases[*place].is_alone));
        assert!(places[alone..].is_sorted() && places.len() == cases.len());
    }

    #[test]
    fn results_come_in_the_order_of_their_cases_whichever_ends_first() {
        let cases: Vec<&Case> = CASES.iter().collect();
        let (ended, rung) = (Mutex::new(0), Condvar::new());
        let run = |case: &Case| {
            // The first ends when four that began with it have.
            let mut ended = ended.lock();
            if case.id == CASES[0].id {
                rung.wait_while(&mut ended, |ended| *ended < 4);
            }
            *ended += 1;
            rung.notify_all();
            let (id, slug, reason) = (case.id.to_owned(), case.slug.to_owned(), String::new());
            CaseResult { id, slug, verdict: Verdict::Passed, reason, elapsed_ms: 0 }
        };
        let mut order = Vec::new();
        run_side_by_side(&cases, run, |result| order.push(result.id));
        assert_eq!(order, CASES.iter().map(|case| case.id).collect::<Vec<_>>());
        run_side_by_side(&[], run, |_| unreachable!());
    }
}
