//! The adapter behind the real boundary objects: what is good about it, and the faults that leave the process
//! alive.

#![allow(missing_docs, reason = "the names of the tests say what they are")]
#![allow(clippy::expect_used, reason = "a helper of tests reports by panicking")]

mod instance {
    #[cfg(unix)]
    pub(crate) mod deaths;
    pub(crate) mod faults;
    pub(crate) mod ticks;
    pub(crate) mod venue;
}

use adapter_sdk::{
    abi::{Ltp, StatusKind},
    testing::{Bench, Published},
};
use fault_kit::Faulty;

fn connected(config_json: &str) -> Bench {
    let bench = Bench::start::<Faulty>(config_json).expect("the settings are usable");
    bench.wait_for_status(StatusKind::CONNECTED);
    bench
}

fn last_prices(ticks: &[Published]) -> Vec<Ltp> {
    ticks.iter().filter_map(|tick| if let Published::Ltp(ltp) = tick { Some(*ltp) } else { None }).collect()
}
