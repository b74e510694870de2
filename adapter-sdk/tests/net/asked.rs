//! When a list of instruments is asked for again.

use std::{fs, time::Duration};

use adapter_sdk::instruments::Access;
use tokio::time::timeout;

use super::{
    incomplete::{Bench, KEPT, SHORT, WHOLE, are, soon},
    master::{ANSWER_MS, HELD},
};

#[tokio::test]
async fn an_incomplete_list_is_asked_for_with_growing_pauses_and_given_once() {
    let bench = Bench::start(&[WHOLE]).await;
    let (master, _lists) = bench.prepared().await;
    let mut renewal = master.renewal(Access::Public);
    bench.serve(&[SHORT]);
    renewal.hurry(Duration::from_mins(1));
    soon(renewal.next()).await.unwrap();
    let asked = bench.broker.requests();
    let mut again = Box::pin(renewal.next());
    while bench.broker.requests() < asked + 5 {
        assert!(timeout(Duration::from_millis(5), again.as_mut()).await.is_err(), "it is the same one");
    }
    let times = bench.broker.times();
    let gaps: Vec<Duration> = times[asked - 1..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, least) in gaps.iter().zip([10, 20, 40, 80, 80].map(|pause| pause + ANSWER_MS)) {
        assert!(*gap >= Duration::from_millis(least), "{gaps:?}");
    }
    assert!(gaps[4] < Duration::from_secs(2), "no longer than the longest: {gaps:?}");
}

#[tokio::test]
async fn a_restart_knows_that_its_list_is_incomplete_and_asks_at_once() {
    let bench = Bench::start(&[WHOLE]).await;
    bench.prepared().await;
    bench.broker.age(bench.dir.path(), 0);
    bench.serve(&[SHORT]);
    let (first, _) = bench.prepared().await;
    are(&first, KEPT);
    assert_eq!(fs::read_to_string(bench.copy(0)).unwrap(), WHOLE, "the last good copy stays");
    let asked = bench.broker.requests();

    // The broker is down now: what is there serves.
    bench.serve(&[]);
    let (second, _) = bench.prepared().await;
    are(&second, KEPT);
    assert!(!second.is_whole() && second.is_current());
    assert_eq!(bench.broker.requests(), asked + 1, "asked at once");
    second.prepare(&Access::Public).await.unwrap();
    assert_eq!(bench.broker.requests(), asked + 1, "but not by every connect of a storm");

    bench.serve(&[WHOLE]);
    let (third, _) = bench.prepared().await;
    assert!(third.is_whole());
    assert_eq!(bench.broker.requests(), asked + 2);
    let (fourth, _) = bench.prepared().await;
    assert!(fourth.is_whole());
    assert_eq!(bench.broker.requests(), asked + 2, "whole on disk again");
}

#[tokio::test]
async fn the_operator_gets_a_new_list_at_once() {
    let bench = Bench::start(&[WHOLE]).await;
    let (master, lists) = bench.prepared().await;
    let mut renewal = master.renewal(Access::Public);
    lists.ask();
    let asked = bench.broker.requests();
    let mut same = Box::pin(renewal.next());
    while bench.broker.requests() == asked || !master.is_whole() {
        assert!(timeout(Duration::from_millis(5), same.as_mut()).await.is_err());
    }
    drop(same);
    bench.serve(&["NSE SBIN 9\nNFO NIFTY30DEC99FUT 3\n"]);
    lists.ask();
    soon(renewal.next()).await.unwrap();
    assert!(renewal.is_repair());
    are(&master, &[("NIFTY30DEC99FUT", 3), ("SBIN", 9)]);
    // Without a connection the next one does it.
    drop(renewal);
    bench.serve(&["NSE SBIN 7\nNFO NIFTY30DEC99FUT 3\n"]);
    master.prepare(&Access::Public).await.unwrap();
    are(&master, &[("NIFTY30DEC99FUT", 3), ("SBIN", 9)]);
    lists.ask();
    master.prepare(&Access::Public).await.unwrap();
    are(&master, &[("NIFTY30DEC99FUT", 3), ("SBIN", 7)]);
    // A broker that is down ends nothing.
    bench.serve(&[]);
    lists.ask();
    master.prepare(&Access::Public).await.unwrap();
    assert!(master.is_whole() && master.is_current());
}

#[tokio::test]
async fn a_pause_begins_again_after_a_list_that_came() {
    let bench = Bench { longest_pause: Duration::from_mins(1), ..Bench::start(&[WHOLE]).await };
    let (master, _lists) = bench.prepared().await;
    let mut renewal = master.renewal(Access::Public);
    let asked = bench.broker.requests();
    bench.serve(&[]);
    renewal.hurry(Duration::from_mins(1));
    {
        let mut next = Box::pin(renewal.next());
        while bench.broker.requests() < asked + 5 {
            assert!(timeout(Duration::from_millis(5), next.as_mut()).await.is_err());
        }
        bench.serve(&["NSE SBIN 7\nNFO NIFTY30DEC99FUT 3\n"]);
        soon(next).await.unwrap();
    }
    let asked = bench.broker.requests();
    bench.serve(&[]);
    renewal.hurry(Duration::from_mins(1));
    let mut next = Box::pin(renewal.next());
    while bench.broker.requests() < asked + 2 {
        assert!(timeout(Duration::from_millis(5), next.as_mut()).await.is_err());
    }
    let times = bench.broker.times();
    let gap = times[asked + 1] - times[asked];
    assert!(gap < Duration::from_millis(320), "it was at 640 ms, half of them random: {gap:?}");
}

#[tokio::test]
async fn a_list_that_was_replaced_while_it_came_is_not_the_present_one() {
    let bench = Bench::start(&[WHOLE]).await;
    bench.broker.change(|state| state.status = Some(HELD));
    let (master, _lists) = bench.instance();
    let access = Access::Public;
    let prepared = async {
        soon(master.prepare(&access)).await.unwrap();
        assert!(!master.is_current(), "the broker had another one before it was there");
    };
    let replaced = async {
        while bench.broker.requests() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        master.invalidate();
        bench.broker.change(|state| state.status = None);
    };
    tokio::join!(prepared, replaced);
    let mut renewal = master.renewal(Access::Public);
    soon(renewal.next()).await.unwrap();
    assert!(master.is_current());

    // The same while a connection is up.
    bench.broker.change(|state| state.status = Some(HELD));
    renewal.hurry(Duration::from_mins(1));
    let asked = bench.broker.requests();
    let replaced = async {
        while bench.broker.requests() == asked {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        master.invalidate();
        bench.broker.change(|state| state.status = None);
    };
    let (list, ()) = tokio::join!(soon(renewal.next()), replaced);
    list.unwrap();
    assert!(!master.is_current());
    soon(renewal.next()).await.unwrap();
    assert!(master.is_current());
}
