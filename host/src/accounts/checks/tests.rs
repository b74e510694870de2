use std::{
    net::Ipv4Addr,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{Sender, channel},
    },
};

use futures_util::{FutureExt as _, future::join_all};

use super::*;

fn caller(last: u8) -> Caller {
    Caller::at(Ipv4Addr::new(192, 0, 2, last).into(), false)
}

/// Checks that count themselves and know the keys that begin with `good`. None ends before the gate is
/// opened.
fn counted() -> (Arc<Checks>, Arc<AtomicUsize>, Sender<()>) {
    let (count, counted) = (Arc::new(AtomicUsize::new(0)), Arc::default());
    let counting = Arc::clone(&count);
    let (gate, opened) = channel();
    let opened = Mutex::new(opened);
    let checks = Checks::new(counted, Arc::default(), move |_, _, key| {
        counting.fetch_add(1, Ordering::Relaxed);
        // Open once its other end is gone.
        let _open = opened.lock().recv();
        outcome_of(key)
    });
    (Arc::new(checks), count, gate)
}

fn outcome_of(key: &SecretString) -> Outcome {
    let key = secrecy::ExposeSecret::expose_secret(key);
    assert!(!key.starts_with("terrible"), "a check that fails");
    let good = Verified { user: "alice".into(), key: key.into(), account: None, seen: 0 };
    key.starts_with("good").then_some(good).ok_or(VerifyError::Unknown)
}

async fn ask(checks: Arc<Checks>, key: String, caller: Caller) -> Outcome {
    let key = SecretString::from(key);
    checks.ask(Fingerprint::of(&key), &key, caller).await
}

#[tokio::test]
async fn a_thousand_clients_of_twenty_keys_get_in_by_twenty_checks() {
    let (checks, count, gate) = counted();
    let mut clients: Vec<_> = (0..1_000)
        .map(|number| Box::pin(ask(Arc::clone(&checks), format!("good {}", number / 50), caller(1))))
        .collect();
    assert!(clients.iter_mut().all(|asked| asked.now_or_never().is_none()));
    drop(gate);
    assert!(join_all(clients).await.iter().all(Result::is_ok));
    assert_eq!((count.load(Ordering::Relaxed), checks.counters.joined.get()), (20, 980));
}

#[tokio::test]
async fn a_flood_of_one_address_keeps_nobody_else_out() {
    let (checks, _, gate) = counted();
    let mut flood: Vec<_> = (0..PLACES + 100)
        .map(|number| Box::pin(ask(Arc::clone(&checks), format!("wrong {number}"), caller(1))))
        .collect();
    let mut refused = 0;
    flood.retain_mut(|asked| match asked.now_or_never() {
        Some(Err(VerifyError::Busy { retry_after })) => {
            assert!(retry_after >= SOONEST && retry_after <= LATEST, "{retry_after:?}");
            refused += 1;
            false
        }
        Some(other) => panic!("{other:?}"),
        None => true,
    });
    let mut good: Vec<_> = (0..24)
        .map(|number| Box::pin(ask(Arc::clone(&checks), format!("good {number}"), caller(2))))
        .collect();
    assert!(good.iter_mut().all(|asked| asked.now_or_never().is_none()));
    drop(gate);
    assert!(join_all(good).await.iter().all(Result::is_ok));
    let outcomes = join_all(flood).await;
    let wrong = outcomes.iter().filter(|outcome| matches!(outcome, Err(VerifyError::Unknown))).count();
    let displaced =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(VerifyError::Busy { .. }))).count();
    assert_eq!((wrong + displaced, refused + outcomes.len()), (outcomes.len(), PLACES + 100));
    assert!(displaced <= 24 && refused <= 100, "{displaced} {refused}");
    while checks.state.lock().running > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(checks.counters.waiting.get(), 0);
}

#[tokio::test]
async fn who_has_gone_costs_no_check_and_a_check_that_fails_holds_nothing_up() {
    let (checks, count, gate) = counted();
    for number in 0..50 {
        // Asked, and gone.
        assert!(ask(Arc::clone(&checks), format!("wrong {number}"), caller(1)).now_or_never().is_none());
    }
    drop(gate);
    for _ in 0..3 {
        let failed = ask(Arc::clone(&checks), "terrible".to_owned(), caller(1)).await;
        assert!(matches!(failed, Err(VerifyError::Storage(_))), "{failed:?}");
    }
    assert!(ask(Arc::clone(&checks), "good".to_owned(), caller(1)).await.is_ok());
    assert!(count.load(Ordering::Relaxed) <= AT_ONCE + 4, "{count:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_told_when_to_come_back() {
    let (checks, _, gate) = counted();
    let asked = ask(Arc::clone(&checks), "good".to_owned(), caller(1));
    tokio::pin!(asked);
    assert!((&mut asked).now_or_never().is_none());
    tokio::time::advance(PATIENCE / 2).await;
    assert!((&mut asked).now_or_never().is_none());
    tokio::time::advance(PATIENCE).await;
    let outcome = asked.await;
    assert!(matches!(outcome, Err(VerifyError::Busy { .. })), "{outcome:?}");
    drop(gate);
}
