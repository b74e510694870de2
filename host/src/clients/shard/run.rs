//! The task of a shard: waits for ticks, commands and what is due, and hands in the time.

use std::{rc::Rc, sync::Arc, time::Duration};

use tickhost_core::{inbox::KEPT_MESSAGES, metrics::ServerCounters, router::RouterHandle};
use tokio::task::LocalSet;

use super::{Arrival, Shard, ShardCommand, ShardHandle, idle::idle_nanos};
use crate::base::clock::{self, Clock};

/// Updates for which room is kept between two looks into the mailbox.
const KEPT_UPDATES: usize = 4_096;

/// Between two looks whether the last session has ended.
const DRAIN_PAUSE: Duration = Duration::from_millis(5);

/// Runs a shard until it was told to drain and its sessions have ended. Each connection is given to `serve`,
/// whose future runs on this thread.
pub async fn run<F: Future<Output = ()> + 'static>(
    number: usize,
    handle: Arc<ShardHandle>,
    router: RouterHandle,
    counters: Arc<ServerCounters>,
    serve: impl Fn(Rc<Shard>, Arrival) -> F,
) {
    let shard = Rc::new(Shard::new(number, handle, router, counters));
    let deliver = deliver(Rc::clone(&shard));
    let handle_commands = handle_commands(shard, serve);
    // The set looks at this future before each few dozen sessions, so that new ticks do not queue behind all
    // of those that are still to write the last ones: they find more to write, and write it at once.
    let before_sessions = async {
        tokio::select! {
            biased;
            () = handle_commands => {}
            () = deliver => {}
        }
    };
    LocalSet::new().run_until(before_sessions).await;
}

/// Never ends.
async fn deliver(shard: Rc<Shard>) {
    let clock = Clock::start();
    let mut updates = Vec::new();
    loop {
        let due = shard.next_due().map(|due| clock.instant_of(due));
        tokio::select! {
            biased;
            () = shard.handle.mailbox.filled() => {}
            () = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
        shard.counters.conflated_mailbox.add(shard.handle.mailbox.take(&mut updates));
        let mut taken = updates.drain(..);
        loop {
            let has_more = shard.deliver(clock.nanos(), &mut taken);
            // Those who wait for the beat must be among those who now write, or a long batch fills their
            // outboxes.
            shard.advance(clock.nanos(), idle_nanos());
            if !has_more {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(taken);
        // A burst must not keep its memory for ever.
        updates.shrink_to(KEPT_UPDATES);
    }
}

async fn handle_commands<F: Future<Output = ()> + 'static>(
    shard: Rc<Shard>,
    serve: impl Fn(Rc<Shard>, Arrival) -> F,
) {
    let mut commands = Vec::new();
    loop {
        shard.handle.commands.filled().await;
        shard.handle.commands.take(&mut commands);
        for command in commands.drain(..) {
            match command {
                ShardCommand::Accept(arrival) => {
                    tokio::task::spawn_local(serve(Rc::clone(&shard), arrival));
                }
                ShardCommand::News(bulletin) => shard.announce(bulletin),
                ShardCommand::Survey(survey) => shard.answer(survey, clock::unix_nanos()),
                ShardCommand::Drain => shard.drain(),
            }
        }
        commands.shrink_to(KEPT_MESSAGES);
        if shard.is_draining() {
            while !shard.is_empty() {
                tokio::time::sleep(DRAIN_PAUSE).await;
            }
            return;
        }
    }
}
