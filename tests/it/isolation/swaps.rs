//! An adapter is replaced by another build while ticks flow.

use std::time::Duration;

use integration_tests::{
    numbered::Totals,
    swaps::{Bench, Load},
};

const LOAD: Load = Load { clients: 2, symbols: 20, rate: 50, coarse_times: false };

/// One by a file that is moved over the library's, one by command.
const SWAPS: u32 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_misses_a_tick_or_gets_one_twice() {
    for isolation in ["process", "in-process"] {
        for coarse_times in [false, true] {
            let mut bench = Bench::start("adapter_faulty", isolation, &Load { coarse_times, ..LOAD }).await;
            for number in 0..SWAPS {
                let took = bench.swap(number).await;
                assert!(took.is_some(), "{isolation}: swap {number} failed");
            }
            let totals = bench.end().await;
            let seen = (totals.lost, totals.repeated, totals.gone, bench.conflated().await);
            assert_eq!(seen, (0, 0, 0, 0.0), "{isolation}, coarse times: {coarse_times}: {totals:?}");
            assert!(bench.held_back().await > 0.0, "both instances published for a while");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_broker_allows_one_session_there_is_a_gap_and_nothing_else() {
    for isolation in ["process", "in-process"] {
        let mut bench = Bench::start("adapter_single", isolation, &LOAD).await;
        for number in 0..SWAPS {
            let gap = bench.break_and_make(number).await;
            assert!(gap < Duration::from_secs(5), "{isolation}: {gap:?}");
        }
        let Totals { lost, repeated, gone, .. } = bench.end().await;
        assert!(lost > 0, "{isolation}: the old instance had ended");
        assert_eq!((repeated, gone), (0, 0), "{isolation}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_library_changes_nothing_and_the_next_build_is_taken() {
    let mut bench = Bench::start("adapter_faulty", "process", &LOAD).await;
    bench.put_garbage().await;
    assert!(bench.swap(0).await.is_some(), "the next build is taken");
    let Totals { lost, repeated, gone, .. } = bench.end().await;
    assert_eq!((lost, repeated, gone), (0, 0, 0));
}
