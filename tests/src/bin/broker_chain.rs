//! Measures the whole way from a simulated broker to a client: how long a large subscription takes, and
//! whether every value arrives as it was sent.
//!
//! ```text
//! cargo run --release -p integration-tests --bin broker_chain -- --symbols 3000 --rounds 20
//! ```
//!
//! The broker is a venue of `tests/venues` in this process; its adapter runs in a process of its own below
//! the host. One client subscribes to everything in one request. *Active* is the time until the last
//! instrument has ticked at the client. In each round every instrument trades once, and the client's newest
//! values are compared with those that were sent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measuring tool reports on standard output and by panicking"
)]

use clap::Parser;
use integration_tests::chain::{Chain, Profile};
use venues::Mode;

/// Measures subscriptions and compares values from a simulated broker to a client, as a Markdown table.
#[derive(Debug, Parser)]
struct Cli {
    /// Instruments
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=9_000))]
    symbols: u32,
    /// Rounds of trades in each mode
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Instruments that the broker lists
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=150_000))]
    listed: u32,
    /// Look with the unmodified OpenAlgo SDK instead, which takes 0.1 s for each symbol; needs
    /// `TICKHOST_PYTHON`
    #[arg(long)]
    sdk: bool,
    /// One of the brokers alone
    #[arg(long)]
    broker: Option<String>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let cli = Cli::parse();
    println!(
        "| broker | mode | symbols | acknowledged ms | active ms | rounds | values compared | mismatches |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    measure::<venues::zerodha::Kite>(&cli).await;
    measure::<venues::angel::Smart>(&cli).await;
    measure::<venues::dhan::Dhan>(&cli).await;
    measure::<venues::fyers::Fyers>(&cli).await;
    measure::<venues::noren::Noren<venues::noren::Shoonya>>(&cli).await;
    measure::<venues::upstox::Upstox>(&cli).await;
    // They have room for a thousand.
    let cli = Cli { symbols: cli.symbols.min(1_000), ..cli };
    measure::<venues::xts::Xts<venues::xts::Iifl>>(&cli).await;
    measure::<venues::xts::Xts<venues::xts::Jainam>>(&cli).await;
}

async fn measure<B: Profile>(cli: &Cli) {
    if cli.broker.as_ref().is_some_and(|broker| broker != B::NAME) {
        return;
    }
    if cli.sdk {
        return measure_sdk::<B>(cli).await;
    }
    for mode in [Mode::Ltp, Mode::Quote, Mode::Full] {
        let chain = Chain::<B>::start(usize::try_from(cli.listed).unwrap()).await;
        let names = chain.instruments(usize::try_from(cli.symbols).unwrap());
        let (mut watcher, took) = chain.watch(&names, mode).await;
        let (mut values, mut mismatches) = (0, Vec::new());
        for _ in 0..cli.rounds {
            chain.venue.trade();
            let compared = chain.compare(&mut watcher).await;
            values += compared.values;
            mismatches.extend(compared.mismatches);
        }
        println!(
            "| {} | {} | {} | {} | {} | {} | {values} | {} |",
            B::NAME,
            mode.name(),
            names.len(),
            took.acknowledged.as_millis(),
            took.active.as_millis(),
            cli.rounds,
            mismatches.len(),
        );
        for mismatch in mismatches.iter().take(5) {
            println!("{mismatch}");
        }
        assert!(mismatches.is_empty(), "values differ");
    }
}

async fn measure_sdk<B: Profile>(cli: &Cli) {
    let chain = Chain::<B>::start(usize::try_from(cli.listed).unwrap()).await;
    let names = chain.instruments(usize::try_from(cli.symbols).unwrap());
    let seen =
        chain.sdk_sees(&names, Mode::Quote).await.expect("set TICKHOST_PYTHON to one that has the SDK");
    let (active, values) = (seen.active.as_millis(), seen.compared.values);
    println!(
        "| {} | quote, OpenAlgo SDK | {} | | {active} | 1 | {values} | {} |",
        B::NAME,
        names.len(),
        seen.compared.mismatches.len()
    );
    assert!(seen.compared.mismatches.is_empty(), "values differ: {:?}", seen.compared.mismatches.first());
}
