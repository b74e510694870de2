//! Measures the host, and the floor below it, with thousands of clients on one machine.
//!
//! ```text
//! cargo run --release -p load -- table                  the table of the documents, host beside floor
//! cargo run --release -p load -- one host --rate 500000 one shape, once
//! cargo run --release -p load -- isolation              an adapter in a process of its own, and in the host's
//! ```
//!
//! The server has its own core, publisher and clients share another. Each tick carries the time at which it
//! was due, so whatever falls behind its schedule shows as latency (no coordinated omission), and a number,
//! so that every conflated, lost or misplaced tick is counted, and the last value of every client is compared
//! with what was published.

#![allow(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a measuring tool prints tables, of numbers that are far below what a double holds"
)]

mod clients;
mod clock;
mod echo;
mod floor;
mod frame;
mod isolation;
mod measure;
mod process;
mod publisher;
mod report;
mod shape;
mod table;

use clap::{Args, Parser, Subcommand};

use self::{
    measure::{Server, Setup},
    publisher::{Kind, Style},
    shape::Shape,
};

/// Measures the host, and the floor below it.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One server in one shape
    One {
        /// Which server
        server: Server,
        #[command(flatten)]
        shape: Shape,
        #[command(flatten)]
        how: How,
    },
    /// Both servers in the usual shapes
    Table {
        #[command(flatten)]
        how: How,
        /// Rounds, of which the medians are printed
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Only the rows whose names contain this
        #[arg(long, default_value = "")]
        only: String,
    },
    /// An adapter in the host's own process against one in a process of its own
    Isolation {
        #[command(flatten)]
        how: How,
        /// Rounds, of which the medians are printed
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// The least latency that these cores allow: a few bytes to another core and back, without any server
    Echo {
        /// How often
        #[arg(long, default_value_t = 1_000)]
        per_second: u64,
        #[command(flatten)]
        how: How,
    },
    /// The floor as a process of its own
    #[command(hide = true)]
    ServeFloor {
        #[command(flatten)]
        shape: Shape,
        #[arg(long)]
        interval_us: u64,
        #[arg(long)]
        burst: u64,
    },
}

/// Where and how long.
#[derive(Clone, Debug, Args)]
struct How {
    /// Cores of the server
    #[arg(long, value_delimiter = ',', default_value = "0")]
    server_cores: Vec<usize>,
    /// Cores of the clients and the publisher
    #[arg(long, value_delimiter = ',', default_value = "1")]
    load_cores: Vec<usize>,
    /// Seconds before the measurement
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds measured
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Throttle of the host in milliseconds
    #[arg(long, default_value_t = 0)]
    throttle_ms: u32,
    /// Ticks that are due at once
    #[arg(long, default_value_t = 1)]
    burst: u64,
    /// What publishes
    #[arg(long, value_enum, default_value_t = Kind::Wire)]
    publisher: Kind,
    /// Where the adapter runs: process or in-process
    #[arg(long, default_value = "process", value_parser = ["process", "in-process"])]
    isolation: String,
    /// Ticks in one message of the bus
    #[arg(long, default_value_t = 1)]
    batch: usize,
    /// Microseconds between two looks of the publisher at its schedule
    #[arg(long, default_value_t = 1_000)]
    granularity_us: u64,
    /// Microseconds between two sends of the floor to one client
    #[arg(long, default_value_t = 1_000)]
    floor_interval_us: u64,
}

impl How {
    fn setup(&self, mode: u8) -> Setup {
        Setup {
            server_cores: self.server_cores.clone(),
            load_cores: self.load_cores.clone(),
            warm_up_us: (self.warm_up * 1e6) as u64,
            measured_us: (self.seconds * 1e6) as u64,
            throttle_ms: self.throttle_ms,
            burst: self.burst.max(1),
            floor_interval_us: self.floor_interval_us.max(1),
            isolation: if self.isolation == "process" { "process" } else { "in-process" },
            style: Style {
                kind: self.publisher,
                batch: self.batch.max(1),
                mode,
                granularity_us: self.granularity_us,
            },
        }
    }
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::One { server, shape, how } => {
            let outcome = measure::run(server, &shape, &how.setup(shape.mode))?;
            report::print_one(server, &shape, &outcome);
            Ok(())
        }
        Command::Table { how, rounds, only } => table::run(&how, rounds.max(1), &only),
        Command::Isolation { how, rounds } => isolation::run(&how, rounds.max(1)),
        Command::Echo { per_second, how } => {
            echo::run(&how.server_cores, &how.load_cores, per_second, how.seconds)
        }
        Command::ServeFloor { shape, interval_us, burst } => floor::run(&shape, interval_us, burst),
    }
}
