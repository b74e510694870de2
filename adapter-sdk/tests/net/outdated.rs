//! Lists that are no lists, and parts of lists that are older than the rest.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adapter_sdk::{
    Mode, Refusal, Subscription,
    abi::ErrorCode,
    instruments::{Access, Outdated},
};

use super::incomplete::{Bench, KEPT, SHORT, WHOLE, are, instruments, soon};

/// What brokers answer in the place of a list, with HTTP 200.
const NO_LISTS: [&str; 4] = ["", "\n", "<html>maintenance</html>", "NSE SBIN 1\nNSE TC"];

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_lone_file_that_is_no_list_leaves_what_was_good_and_says_so() {
    for outdated in [Outdated::Refuse, Outdated::Use] {
        let bench = Bench { outdated, ..Bench::start(&[WHOLE]).await };
        let (master, lists) = bench.prepared().await;
        let good = instruments(&master);
        for no_list in NO_LISTS {
            bench.serve(&[no_list]);
            // The operator asks, although there is one of today: it serves on.
            lists.ask();
            master.prepare(&Access::Public).await.unwrap();
            assert_eq!(instruments(&master), good, "{no_list:?}");
            let state = master.state();
            let [trouble] = &state.troubles[..] else { panic!("{no_list:?}: {state:?}") };
            assert!(!state.is_whole && !master.is_whole());
            assert_eq!((trouble.segment.as_str(), trouble.rows, trouble.expected), ("all", 0, 4));
            assert!(trouble.reason.contains("is used") && trouble.reason.contains("asked for again"));
            assert_eq!(fs::read_to_string(bench.copy(0)).unwrap(), WHOLE, "{no_list:?}");
        }
        bench.serve(&[WHOLE]);
        let mut renewal = master.renewal(Access::Public);
        lists.ask();
        assert!(tokio::time::timeout(Duration::from_secs(20), async {
            tokio::select! {
                // The same list again is no news for the connection.
                _ = renewal.next() => {}
                () = async { while !master.is_whole() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
            }
        }).await.is_ok());
        assert!(master.is_whole() && master.state().troubles.is_empty());
    }
}

#[tokio::test]
async fn without_a_list_of_today_one_that_is_none_connects_nobody_unless_the_operator_says_so() {
    let mut bench = Bench::start(&[WHOLE]).await;
    bench.prepared().await;
    bench.broker.age(bench.dir.path(), 0);
    for no_list in NO_LISTS {
        bench.serve(&[no_list]);
        bench.outdated = Outdated::Refuse;
        let (strict, _) = bench.instance();
        let error = strict.prepare(&Access::Public).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::PROTOCOL, "{no_list:?}");
        assert!(strict.list().is_none());
        let state = strict.state();
        assert_eq!((state.is_whole, state.instruments, state.troubles.len()), (false, 0, 1), "{state:?}");

        bench.outdated = Outdated::Use;
        let (lenient, _) = bench.prepared().await;
        assert_eq!(instruments(&lenient).len(), 4);
        let state = lenient.state();
        assert!(!state.is_whole, "{no_list:?}: an older list is not said to be that of today");
        let wanted = Subscription::new(7, "NFO", "X30DEC99FUT", Mode::Ltp, 0);
        let found = lenient.look_up(&wanted, |_| Err::<(), _>(Refusal::not_found("NFO", "X30DEC99FUT")));
        assert_eq!(found, Ok(None), "that of today may have it");
    }
}

#[tokio::test]
async fn a_connection_that_goes_on_by_an_older_list_says_so() {
    let bench = Bench { outdated: Outdated::Use, ..Bench::start(&[WHOLE]).await };
    let (master, _) = bench.prepared().await;
    let mut renewal = master.renewal(Access::Public);
    bench.serve(&["<html>"]);
    renewal.hurry(Duration::ZERO);
    let gone_on = tokio::time::timeout(Duration::from_secs(20), async {
        tokio::select! {
            outcome = renewal.next() => panic!("{outcome:?}"),
            () = async { while master.is_whole() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
        }
    });
    gone_on.await.unwrap();
    are(&master, &[("NIFTY28JAN20FUT", 4), ("NIFTY30DEC99FUT", 3), ("SBIN", 1), ("TCS", 2)]);
    bench.serve(&[WHOLE]);
    soon(renewal.next()).await.unwrap();
    assert!(master.is_whole());
}

#[tokio::test]
async fn a_damaged_copy_of_an_incomplete_list_does_not_hide_the_good_one() {
    let bench = Bench::start(&[WHOLE]).await;
    let (master, lists) = bench.prepared().await;
    bench.serve(&[SHORT]);
    lists.ask();
    master.prepare(&Access::Public).await.unwrap();
    are(&master, KEPT);
    fs::write(bench.copy(0).with_extension("incomplete"), "<html>").unwrap();
    bench.serve(&[]);
    let (later, _) = bench.prepared().await;
    assert_eq!(instruments(&later).len(), 4);
}

#[tokio::test]
async fn a_file_that_is_missing_for_long_does_not_make_the_rows_of_other_segments_old() {
    // In the memory of one that goes on, and on disk after a restart.
    for is_restart in [false, true] {
        let bench = Bench::start(&["NSE SBIN 1\nNFO A30DEC99FUT 2\n", "CDS USDINR 3\n"]).await;
        bench.prepared().await;
        bench.broker.age_by(bench.dir.path(), 1, 8 * DAY);
        bench.serve(&["NSE SBIN 1\n"]);
        let (master, lists) = bench.instance();
        if is_restart {
            bench.broker.age(bench.dir.path(), 0);
        } else {
            lists.ask();
        }
        master.prepare(&Access::Public).await.unwrap();
        are(&master, &[("A30DEC99FUT", 2), ("SBIN", 1)]);
        let troubles = master.state().troubles;
        let is_used = |segment| {
            let trouble = troubles.iter().find(|trouble| trouble.segment == segment);
            trouble.map(|trouble| trouble.reason.contains("is used") || trouble.reason.contains("are used"))
        };
        assert_eq!((is_used("1"), is_used("NFO")), (Some(false), Some(true)), "{troubles:?}");
        assert_eq!(is_used("CDS"), is_restart.then_some(false), "{troubles:?}");
    }
}

#[tokio::test]
async fn an_old_file_among_new_ones_is_told_as_old_and_by_its_name() {
    let bench = Bench::start(&["NSE SBIN 1\n", "CDS USDINR 2\n"]).await;
    bench.prepared().await;
    (0..2).for_each(|place| bench.broker.age(bench.dir.path(), place));
    let old = fs::metadata(bench.copy(1)).unwrap().modified().unwrap();
    let old = old.duration_since(UNIX_EPOCH).unwrap().as_secs();
    bench.serve(&["NSE SBIN 8\n"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (downloading, _) = bench.prepared().await;
    let (restarted, _) = bench.instance();
    restarted.prepare(&Access::Public).await.unwrap();
    for master in [downloading, restarted] {
        are(&master, &[("SBIN", 8), ("USDINR", 2)]);
        let state = master.state();
        assert_eq!((state.oldest_at, state.oldest_segment.as_str()), (old, "CDS"), "{state:?}");
        assert!(state.fetched_at >= now, "{state:?}");
        let [trouble] = &state.troubles[..] else { panic!("{state:?}") };
        assert!(trouble.reason.contains("last good copy is used (of 20"), "{trouble:?}");
    }
    bench.serve(&["NSE SBIN 8\n", "CDS USDINR 2\n"]);
    let (whole, lists) = bench.instance();
    lists.ask();
    whole.prepare(&Access::Public).await.unwrap();
    let state = whole.state();
    assert_eq!((state.oldest_at, state.oldest_segment.as_str()), (state.fetched_at, ""), "{state:?}");
}

#[tokio::test]
async fn a_list_that_ends_within_a_row_is_not_whole_however_little_is_missing() {
    const TORN: &str = "NSE SBIN 1\nNSE TCS 2\nNFO NIFTY30DEC99FUT 3\nN";
    let bench = Bench::start(&[TORN]).await;
    for _ in 0..2 {
        let (master, lists) = bench.instance();
        lists.ask();
        master.prepare(&Access::Public).await.unwrap();
        let troubles = master.state().troubles;
        let [trouble] = &troubles[..] else { panic!("{troubles:?}") };
        assert_eq!((trouble.segment.as_str(), trouble.rows), ("all", 3));
        assert!(trouble.reason.contains("ends within a row, after 3 rows"), "{trouble:?}");
        assert_eq!(instruments(&master).len(), 3, "what it has serves");
    }
    bench.serve(&[WHOLE]);
    let (master, lists) = bench.instance();
    lists.ask();
    master.prepare(&Access::Public).await.unwrap();
    assert!(master.is_whole());
    bench.serve(&["NSE TCS 2\nNFO NIFTY30DEC99FUT 3\nN"]);
    lists.ask();
    master.prepare(&Access::Public).await.unwrap();
    are(&master, &[("NIFTY30DEC99FUT", 3), ("SBIN", 1), ("TCS", 2)]);
    let trouble = master.state().troubles.remove(0);
    assert!(trouble.reason.contains("are used (of 20"), "{trouble:?}");
    assert_eq!(fs::read_to_string(bench.copy(0)).unwrap(), WHOLE, "the good copy stays");
}
