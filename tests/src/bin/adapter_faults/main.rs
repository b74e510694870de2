//! Measures what an adapter that does something wrong costs the clients of another one, and how soon it is
//! back.
//!
//! ```text
//! cargo run --release -p integration-tests --bin adapter_faults -- --fault segfault --repeats 100 --mode both
//! ```
//!
//! For each fault and mode a host runs two adapters: one that is well, whose 10,000 numbered ticks a second
//! go to 100 clients without any spacing, and one that has the fault each time that it is told to, with 10
//! clients of its own. Both run in the mode that is measured. A tick of the first that one of its clients
//! does not get is *missed*. *Back* is the time from the moment at which the fault began to the first tick of
//! the new instance at the last of the 10 clients: until the fault is noticed, the pause before the restart,
//! the start, the connect and the subscription.
//!
//! A host leaves an adapter alone that fails five times within half a minute. So that restarts are measured
//! and not that rest, the 10 clients leave after every fourth fault; their feed ends, and the one that
//! follows has a clean record.
//!
//! Within the host's process only the faults are measured that a host survives there, and what hangs at most
//! 3 times: each leaves a thread behind, one of them a busy one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measuring tool reports on standard output and by panicking"
)]

mod catalogue;
mod run;

use std::time::Duration;

use clap::{Parser, ValueEnum};

use self::{
    catalogue::{FAULTS, Fault},
    run::Outcome,
};

/// Measures what a misbehaving adapter costs the clients of another one, as a Markdown table.
#[derive(Debug, Parser)]
struct Cli {
    /// Only this fault, as tests/adapters/README.md calls it; may be given several times
    #[arg(long = "fault", value_name = "NAME", value_parser = FAULTS.map(|fault| fault.name))]
    faults: Vec<String>,
    /// How often each happens
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: u32,
    /// Where the adapters run
    #[arg(long, value_enum, default_value_t = Mode::Both)]
    mode: Mode,
    /// Longest time for one fault in one mode, in seconds; the table says how often it happened by then
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    limit: u64,
}

/// Where the adapters run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Each instance in a process of its own
    Process,
    /// All in the host's process
    InProcess,
    /// One after the other
    Both,
}

impl Mode {
    fn isolations(self) -> &'static [&'static str] {
        match self {
            Self::Process => &["process"],
            Self::InProcess => &["in-process"],
            Self::Both => &["process", "in-process"],
        }
    }
}

#[tokio::main]
async fn main() {
    let cli = Cli::parse();
    let limit = Duration::from_secs(cli.limit);
    println!(
        "{} clients with {} ticks/s of the other adapter, {} clients of the faulty one\n",
        run::CLIENTS,
        run::TICKS_PER_SECOND,
        run::VICTIMS
    );
    println!(
        "| mode | fault | repeats | frames to the others | missed | others disconnected | own disconnected | \
         not back | back median ms | back worst ms | host MiB before | after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    let is_wanted =
        |fault: &&Fault| cli.faults.is_empty() || cli.faults.iter().any(|name| name == fault.name);
    for isolation in cli.mode.isolations() {
        for fault in FAULTS.iter().filter(is_wanted) {
            let Some(repeats) = fault.repeats(isolation, cli.repeats) else { continue };
            let outcome = run::measure(fault, isolation, repeats, limit).await;
            print_row(isolation, fault.name, &outcome);
        }
    }
}

fn print_row(isolation: &str, fault: &str, outcome: &Outcome) {
    let Outcome { repeats, others, victims_gone, not_back, back_us, memory_before, memory_after } = outcome;
    let ms = |us: u64| format!("{:.0}", us as f64 / 1_000.0);
    let (median, worst) = if back_us.is_empty() {
        ("-".to_owned(), "-".to_owned())
    } else {
        (ms(back_us.value_at_quantile(0.5)), ms(back_us.max()))
    };
    println!(
        "| {isolation} | {fault} | {repeats} | {} | {} | {} | {victims_gone} | {not_back} | {median} | {worst} | {:.1} | \
         {:.1} |",
        others.frames,
        others.lost + others.repeated,
        others.gone,
        mib(*memory_before),
        mib(*memory_after),
    );
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1_024.0 * 1_024.0)
}
