//! Measures what the processes of an adapter cost: memory, and threads by name.
//!
//! ```text
//! cargo run --release -p integration-tests --bin adapter_memory -- --listed 130000 --symbols 1000 --connections 1,3
//! ```
//!
//! The broker is a venue of `tests/venues` in this process, which lists as many instruments as wanted. Each
//! connection is a process of its own and holds so many symbols of one client. The figures are the kernel's
//! (`/proc/PID/smaps_rollup`) some seconds after the last instrument has ticked: *PSS* counts a page that
//! several processes have in parts, *private* is what would be free without this process, *anonymous* what no
//! file is behind. *First* is a host that gets the list from the broker, *again* the next one, which finds it
//! on disk. Linux only; the kernel shows processes of adapters, which are confined, to the superuser.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measuring tool reports on standard output and by panicking"
)]

use std::{fs, time::Duration};

use clap::Parser;
use integration_tests::{
    HostBuilder, chain,
    chain::{Chain, Profile},
    process::{Process, adapters_of},
};
use venues::{Mode, Options, Venue};

/// Measures memory and threads of adapters' processes, as a Markdown table.
#[derive(Debug, Parser)]
struct Cli {
    /// Names of brokers; all when none is given
    brokers: Vec<String>,
    /// Instruments that the broker lists
    #[arg(long, default_value_t = 130_000, value_parser = clap::value_parser!(u32).range(1_000..=150_000))]
    listed: u32,
    /// Symbols of a connection
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    symbols: u32,
    /// Connections of the account
    #[arg(long, value_delimiter = ',', default_values_t = [1, 3], value_parser = clap::value_parser!(u32).range(1..=3))]
    connections: Vec<u32>,
    /// Seconds between the last tick and the look: threads that wait for nothing end after ten
    #[arg(long, default_value_t = 12)]
    settle: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let cli = Cli::parse();
    println!("| broker | connections | start | process | PSS MiB | private MiB | anonymous MiB | threads |");
    println!("|---|---|---|---|---|---|---|---|");
    for connections in &cli.connections {
        measure::<venues::zerodha::Kite>(&cli, *connections).await;
        measure::<venues::angel::Smart>(&cli, *connections).await;
        measure::<venues::dhan::Dhan>(&cli, *connections).await;
        measure::<venues::fyers::Fyers>(&cli, *connections).await;
    }
}

async fn measure<B: Profile>(cli: &Cli, connections: u32) {
    if !cli.brokers.is_empty() && !cli.brokers.iter().any(|broker| broker == B::NAME) {
        return;
    }
    let listed = usize::try_from(cli.listed).unwrap();
    let options = Options { rate_hz: 0.0, instruments: listed, ..Options::default() };
    let venue = Venue::<B>::start(options.accepting(B::CREDENTIALS)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plugins = chain::plugins::<B>(venue.address(), &folder.path().join("cache"));
    let limits = format!("symbols_per_connection = {}\nconnections = {connections}\n", cli.symbols);
    let plugins = plugins.replacen("[adapter.config]", &format!("{limits}[adapter.config]"), 1);
    let mut venue = Some(venue);
    for start in ["first", "again"] {
        let chain = Chain::on(venue.take().unwrap(), HostBuilder::new().plugins(&plugins));
        let names = chain.instruments(usize::try_from(cli.symbols * connections).unwrap());
        let watched = chain.watch(&names, Mode::Quote).await;
        tokio::time::sleep(Duration::from_secs(cli.settle)).await;
        let mut processes = adapters_of(chain.host.pid());
        processes.sort_by_key(|process| process.pid);
        assert_eq!(processes.len(), usize::try_from(connections).unwrap(), "one process for each connection");
        for (place, process) in processes.iter().enumerate() {
            let [pss, private, anonymous] = memory(process);
            println!(
                "| {} | {connections} | {start} | {place} | {pss:.1} | {private:.1} | {anonymous:.1} | {} |",
                B::NAME,
                threads(process)
            );
        }
        drop(watched);
        venue = Some(chain.venue);
    }
}

/// Proportional, private and anonymous memory in MiB.
fn memory(process: &Process) -> [f64; 3] {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid))
        .expect("the kernel shows the memory of a confined process to the superuser of Linux alone");
    let of = |name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of each kind");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1_024.0
    };
    [of("Pss:"), of("Private_Clean:") + of("Private_Dirty:"), of("Anonymous:")]
}

/// How many there are, and their names.
fn threads(process: &Process) -> String {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.pid)).expect("it runs");
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    let mut names: Vec<String> = tasks.flatten().map(|task| name(task).trim_end().to_owned()).collect();
    names.sort();
    format!("{}: {}", names.len(), names.join(", "))
}
