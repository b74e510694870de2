//! Counts what clients lose when an adapter is replaced by another build while ticks flow.
//!
//! ```text
//! cargo run --release -p integration-tests --bin adapter_swaps -- --swaps 50 --mode both
//! ```
//!
//! An exchange numbers the ticks of every symbol and sends them to whoever is connected; clients without any
//! spacing look for numbers that are left out or come again. Every other swap is made by an operator who
//! moves another build over the library's file (the same library with a few more bytes behind it), the others
//! with `tickhost adapters reload`. *Took* is the time from that to the moment at which the new instance has
//! taken over; ticks flow all the while.
//!
//! At the end the exchange falls silent, so that ticks which were lost last are counted too. *Conflated*
//! counts ticks that the host merged because a client, a shard or the link was behind: when it is not 0 the
//! machine was too slow for the load, and what is lost may be that.
//!
//! The second table is of a broker that allows one session for an account: the old instance ends before the
//! new one begins. The gap is the longest time without a tick at any client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a measuring tool reports on standard output and by panicking"
)]

use std::time::Duration;

use clap::{Parser, ValueEnum};
use hdrhistogram::Histogram;
use integration_tests::{
    numbered::Totals,
    swaps::{Bench, Load},
};

/// Counts what clients lose when an adapter is replaced while ticks flow, as Markdown tables.
#[derive(Debug, Parser)]
struct Cli {
    /// How often the adapter is replaced by one that is ready before the old one ends
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    swaps: u32,
    /// How often it is replaced where a broker allows one session
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    breaks: u32,
    /// Where the adapter runs
    #[arg(long, value_enum, default_value_t = Mode::Both)]
    mode: Mode,
    #[command(flatten)]
    load: Load,
}

/// Where the adapter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// In a process of its own
    Process,
    /// In the host's process
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
    let Load { clients, symbols, rate, coarse_times } = cli.load;
    let times = if coarse_times { "seconds" } else { "nanoseconds" };
    println!("{clients} clients x {symbols} symbols x {rate} ticks/s, times of the exchange in {times}\n");
    println!(
        "| mode | swaps | failed | frames | lost | repeated | disconnected | took median ms | took worst ms | conflated | \
         held back | host MiB before | after |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for isolation in cli.mode.isolations().iter().filter(|_| cli.swaps > 0) {
        print_swaps(isolation, cli.swaps, &cli.load).await;
    }
    println!(
        "\n| mode, one session | swaps | frames | lost | repeated | disconnected | gap median ms | gap worst ms |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for isolation in cli.mode.isolations().iter().filter(|_| cli.breaks > 0) {
        print_breaks(isolation, cli.breaks, &cli.load).await;
    }
}

async fn print_swaps(isolation: &str, swaps: u32, load: &Load) {
    let mut bench = Bench::start("adapter_faulty", isolation, load).await;
    let memory_before = bench.memory().await;
    let (mut took_us, mut failed) = (histogram(), 0);
    for number in 0..swaps {
        match bench.swap(number).await {
            Some(took) => took_us.record(micros(took)).expect("a value in range"),
            None => failed += 1,
        }
    }
    let memory_after = bench.memory().await;
    let Totals { frames, lost, repeated, gone } = bench.end().await;
    println!(
        "| {isolation} | {swaps} | {failed} | {frames} | {lost} | {repeated} | {gone} | {} | {} | {:.0} | {:.0} | {:.1} | \
         {:.1} |",
        ms(took_us.value_at_quantile(0.5)),
        ms(took_us.max()),
        bench.conflated().await,
        bench.held_back().await,
        mib(memory_before),
        mib(memory_after),
    );
}

async fn print_breaks(isolation: &str, breaks: u32, load: &Load) {
    let mut bench = Bench::start("adapter_single", isolation, load).await;
    let mut gap_us = histogram();
    for number in 0..breaks {
        gap_us.record(micros(bench.break_and_make(number).await)).expect("a value in range");
    }
    let Totals { frames, lost, repeated, gone } = bench.end().await;
    println!(
        "| {isolation} | {breaks} | {frames} | {lost} | {repeated} | {gone} | {} | {} |",
        ms(gap_us.value_at_quantile(0.5)),
        ms(gap_us.max()),
    );
}

fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("a histogram")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn ms(us: u64) -> String {
    format!("{:.0}", us as f64 / 1_000.0)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1_024.0 * 1_024.0)
}
