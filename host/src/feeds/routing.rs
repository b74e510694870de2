//! The task that runs the router: it waits for ticks, commands and what is due, and hands in the time.

use tickhost_core::router::{Router, RouterHandle};
use tokio_util::sync::CancellationToken;

use crate::base::clock::{self, Clock};

/// Runs a router until `shutdown`.
pub async fn run(mut router: Router, handle: RouterHandle, clock: Clock, shutdown: CancellationToken) {
    loop {
        let due = router.next_due().map(|due| clock.instant_of(due));
        tokio::select! {
            () = handle.doorbell.rung() => {}
            () = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            } => {}
            () = shutdown.cancelled() => return,
        }
        router.set_time_of_day(clock::unix_nanos());
        router.turn(&handle, clock.nanos());
    }
}
