//! Attacks a host as a stranger, a publisher and a client would, and measures what it costs those who do
//! nothing wrong.
//!
//! ```text
//! cargo run --release -p integration-tests --bin attacks -- list
//! cargo run --release -p integration-tests --bin attacks -- run                    all, one after another
//! cargo run --release -p integration-tests --bin attacks -- run wrong_keys         one
//! cargo run --release -p integration-tests --bin attacks -- soak --minutes 120     all in turn, for hours
//! ```
//!
//! Each attack meets a fresh host with a database of OpenAlgo's, on loopback, for some seconds. Meanwhile
//! healthy clients of two accounts measure how late their ticks come and count what is missing or wrong, and
//! one connects with a good key four times a second. Then the host has a minute to come to rest.
//! `TICKHOST_UNDER_TEST` names another program to be attacked than the one built from these sources.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring tool reports on standard output and by panicking"
)]

mod clients;
mod healthy;
mod logins;
mod memory;
mod publishers;
mod raw;
mod soak;
mod strangers;
mod target;

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use futures_util::future::BoxFuture;
use integration_tests::openalgo::Stored;

use self::{
    healthy::{Healthy, Phase},
    memory::Watch,
    target::Target,
};

/// Attacks a host, and measures what it costs those who do nothing wrong.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Names the attacks
    List,
    /// Attacks, and prints a line for each
    Run {
        /// Which; all when none is named
        names: Vec<String>,
        /// How long each lasts
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// How long the host has to come to rest
        #[arg(long, default_value_t = 60)]
        settle: u64,
    },
    /// All attacks in turn against one host with 200 clients that come and go, and adapters that are killed
    Soak {
        /// How long
        #[arg(long, default_value_t = 120)]
        minutes: u64,
    },
}

/// An attack. It ends at the given moment and says what it saw.
struct Attack {
    name: &'static str,
    what: &'static str,
    /// What OpenAlgo's database has of keys.
    stored: Stored,
    run: for<'a> fn(&'a Target, Instant) -> BoxFuture<'a, String>,
}

/// All attacks.
const ATTACKS: &[Attack] = &[
    Attack {
        name: "restart",
        what: "200 clients of one key and 1,000 of 20 connect at once to a host that has just started",
        stored: Stored::REAL,
        run: |target, until| Box::pin(logins::restart(target, until)),
    },
    Attack {
        name: "cache_invalidate",
        what: "a publisher invalidates users, known and unknown, as fast as it can",
        stored: Stored::REAL,
        run: |target, until| Box::pin(publishers::cache_invalidate(target, until)),
    },
    Attack {
        name: "unread_replies",
        what: "1,000 connections without a key send requests of 4 KB and read no answer",
        stored: Stored::REAL,
        run: |target, until| Box::pin(strangers::unread_replies(target, until)),
    },
    Attack {
        name: "idle_clients",
        what: "connections with a key that do nothing, as many as there may be, and then go",
        stored: Stored::REAL,
        run: |target, until| Box::pin(clients::idle(target, until)),
    },
    Attack {
        name: "bus_symbols",
        what: "a publisher sends 100,000 symbols, of which all are subscribed and left again",
        stored: Stored::REAL,
        run: |target, until| Box::pin(publishers::many_symbols(target, until)),
    },
    Attack {
        name: "locked_database",
        what: "another program holds OpenAlgo's database exclusively while clients log in",
        stored: Stored::REAL,
        run: |target, until| Box::pin(logins::locked_database(target, until)),
    },
    Attack {
        name: "wrong_keys",
        what: "300 connections send wrong keys in a row, again and again; 24 good keys log in beside them",
        stored: Stored::REAL,
        run: |target, until| Box::pin(logins::wrong_keys(target, until)),
    },
    Attack {
        name: "wrong_keys_hashes",
        what: "the same against a database that has the hashes of keys only, as old ones do",
        stored: Stored { is_encrypted: false, ..Stored::REAL },
        run: |target, until| Box::pin(logins::wrong_keys(target, until)),
    },
    Attack {
        name: "forged_orders",
        what: "a publisher sends order updates that look like ticks, are nested 5,000 deep, and 12 KB ones in a flood",
        stored: Stored::REAL,
        run: |target, until| Box::pin(publishers::forged_orders(target, until)),
    },
    Attack {
        name: "churn",
        what: "five clients subscribe to 3,000 symbols and leave them, in turn, as fast as they can",
        stored: Stored::REAL,
        run: |target, until| Box::pin(clients::churn(target, until)),
    },
    Attack {
        name: "pongs",
        what: "five clients send pongs that nobody asked for, as fast as they can",
        stored: Stored::REAL,
        run: |target, until| Box::pin(clients::pongs(target, until)),
    },
    Attack {
        name: "bare_connections",
        what: "a stranger keeps 1,500 connections open and says nothing",
        stored: Stored::REAL,
        run: |target, until| Box::pin(strangers::bare_connections(target, until)),
    },
    Attack {
        name: "slow_requests",
        what: "100 requests of the operator's port that never end",
        stored: Stored::REAL,
        run: |target, until| Box::pin(strangers::slow_requests(target, until)),
    },
    Attack {
        name: "silent_publishers",
        what: "300 publishers that say nothing, beside one that publishes",
        stored: Stored::REAL,
        run: |target, until| Box::pin(publishers::silent(target, until)),
    },
    Attack {
        name: "bad_greetings",
        what: "connections to the bus and to the client port that speak another language, as fast as they come",
        stored: Stored::REAL,
        run: |target, until| Box::pin(strangers::bad_greetings(target, until)),
    },
];

#[tokio::main]
async fn main() {
    match Cli::parse().command {
        Command::List => {
            for Attack { name, what, .. } in ATTACKS {
                println!("{name}: {what}");
            }
        }
        Command::Run { names, seconds, settle } => {
            let is_named =
                |attack: &&Attack| names.is_empty() || names.iter().any(|name| name == attack.name);
            let chosen: Vec<&Attack> = ATTACKS.iter().filter(is_named).collect();
            assert!(
                names.iter().all(|name| ATTACKS.iter().any(|attack| attack.name == name)),
                "`attacks list` names the attacks"
            );
            println!(
                "Latencies in ms, p50 / p99, at rest and under attack: through the bus, of another account, of a log-in \
                 with a good key. Memory in MiB: before, at most, at rest again.\n"
            );
            println!(
                "| attack | bus | other account | log-in | refused | lost | wrong | memory | log KB/s | seen |\n\
                 |---|---|---|---|---|---|---|---|---|---|"
            );
            for attack in chosen {
                measure(attack, Duration::from_secs(seconds), Duration::from_secs(settle)).await;
            }
        }
        Command::Soak { minutes } => soak::run(Duration::from_secs(minutes * 60)).await,
    }
}

/// Runs one attack against a host of its own and prints its line.
async fn measure(attack: &Attack, lasting: Duration, settle: Duration) {
    let target = Target::start(attack.stored);
    let healthy = Healthy::start(&target, 8).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    healthy.enter(Phase::Rest);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let memory = Watch::start(&target);
    let log_before = target.log_bytes();
    healthy.enter(Phase::Attack);
    let began = Instant::now();
    let seen = (attack.run)(&target, began + lasting).await;
    let log = (target.log_bytes() - log_before) as f64 / 1_000.0 / began.elapsed().as_secs_f64();
    healthy.enter(Phase::After);
    let (before, peak, settled) = memory.settle(settle).await;
    let found = healthy.stop().await;
    let [refused, lost, wrong] =
        [&found.refused, &found.lost, &found.wrong].map(|counter| counter.load(Ordering::Relaxed));
    println!(
        "| {} | {} | {} | {} | {refused} | {lost} | {wrong} | {before:.0}, {peak:.0}, {settled:.0} | {log:.1} | {seen} |",
        attack.name, found.bus, found.other, found.logins,
    );
}
