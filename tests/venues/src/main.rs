//! Starts a venue, and says how to connect an adapter to it.

use std::{
    future,
    io::{self, Write as _},
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use venues::{Broker, FAR, Options, Venue, angel, dhan, fyers, noren, upstox, xts, zerodha};

/// Plays a broker on this machine, so that its adapter can be tried without an account.
#[derive(Debug, Parser)]
#[command(name = "venues")]
struct Cli {
    #[command(subcommand)]
    broker: Name,
}

#[derive(Debug, Subcommand)]
enum Name {
    /// Kite Connect version 3.
    Zerodha(Settings),
    /// `SmartAPI` WebSocket Streaming 2.0.
    Angel(Settings),
    /// `DhanHQ` version 2.
    Dhan(Settings),
    /// Fyers API version 3.
    Fyers(Settings),
    /// Upstox, market data feed version 3.
    Upstox(Settings),
    /// Shoonya, of the Noren family.
    Shoonya(Settings),
    /// Flattrade, of the same.
    Flattrade(Settings),
    /// Zebu, of the same.
    Zebu(Settings),
    /// `TradeSmart`, of the same.
    Tradesmart(Settings),
    /// Definedge, of the same.
    Definedge(Settings),
    /// Alice Blue, of the same.
    Aliceblue(Settings),
    /// `CompositEdge`, with Symphony XTS.
    Compositedge(Settings),
    /// 5paisa, with the same.
    Fivepaisaxts(Settings),
    /// Indiabulls, with the same.
    Ibulls(Settings),
    /// IIFL, with the same.
    Iifl(Settings),
    /// Jainam, with the same.
    Jainamxts(Settings),
    /// `RMoney`, with the same.
    Rmoney(Settings),
    /// Wisdom Capital, with the same.
    Wisdom(Settings),
}

#[derive(Debug, Args)]
struct Settings {
    /// Obey commands on standard input, and write nothing but answers: no prices move by themselves
    #[arg(long)]
    control: bool,
    /// Port on 127.0.0.1; 0 for a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Number of instruments, at most 150000
    #[arg(long, default_value_t = 10_000)]
    instruments: usize,
    /// Updates of each subscribed instrument a second
    #[arg(long, default_value_t = 1.0)]
    rate: f64,
    /// Seconds between two heartbeats, instead of the broker's, for an adapter that is told to have little
    /// patience
    #[arg(long, value_parser = seconds)]
    heartbeat: Option<Duration>,
    /// An access token that is good from the start
    #[arg(long, default_value = "made-up-access-token")]
    access_token: String,
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().broker {
        Name::Zerodha(settings) => {
            let account = [
                ("api_key", "madeupkey"),
                ("api_secret", "made-up-secret"),
                ("access_token", settings.access_token.as_str()),
            ];
            run::<zerodha::Kite>(&settings, &account)
        }
        Name::Angel(settings) => {
            let account = [
                ("api_key", "madeupkey"),
                ("client_code", "A123456"),
                ("pin", "1234"),
                ("totp_secret", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
                ("auth_token", settings.access_token.as_str()),
                ("feed_token", "made-up-feed-token"),
            ];
            run::<angel::Smart>(&settings, &account)
        }
        Name::Dhan(settings) => {
            let account = [
                ("client_id", "1000000001"),
                ("access_token", settings.access_token.as_str()),
                ("pin", "123456"),
                ("totp_secret", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
                ("api_key", "madeupkey"),
                ("api_secret", "made-up-secret"),
            ];
            run::<dhan::Dhan>(&settings, &account)
        }
        Name::Fyers(settings) => {
            const APP: &str = "MADEUP0001-100";
            // What is no token becomes the key in one.
            let token = match settings.access_token.as_str() {
                token if token.contains('.') => token.to_owned(),
                key => fyers::token(APP, key, FAR.0 * 86_400),
            };
            let account = [
                ("api_key", APP),
                ("api_secret", "made-up-secret"),
                ("redirect_uri", "http://127.0.0.1/logged-in"),
                ("access_token", token.as_str()),
            ];
            run::<fyers::Fyers>(&settings, &account)
        }
        Name::Upstox(settings) => {
            let account = [
                ("user_id", "AB1234"),
                ("api_key", "made-up-key"),
                ("api_secret", "made-up-secret"),
                ("redirect_uri", "http://127.0.0.1/logged-in"),
                ("access_token", settings.access_token.as_str()),
            ];
            run::<upstox::Upstox>(&settings, &account)
        }
        Name::Shoonya(settings) => run_noren::<noren::Shoonya>(&settings),
        Name::Flattrade(settings) => run_noren::<noren::Flattrade>(&settings),
        Name::Zebu(settings) => run_noren::<noren::Zebu>(&settings),
        Name::Tradesmart(settings) => run_noren::<noren::TradeSmart>(&settings),
        Name::Definedge(settings) => run_noren::<noren::Definedge>(&settings),
        Name::Aliceblue(settings) => run_noren::<noren::AliceBlue>(&settings),
        Name::Compositedge(settings) => run_xts::<xts::CompositEdge>(&settings),
        Name::Fivepaisaxts(settings) => run_xts::<xts::FivePaisa>(&settings),
        Name::Ibulls(settings) => run_xts::<xts::Indiabulls>(&settings),
        Name::Iifl(settings) => run_xts::<xts::Iifl>(&settings),
        Name::Jainamxts(settings) => run_xts::<xts::Jainam>(&settings),
        Name::Rmoney(settings) => run_xts::<xts::RMoney>(&settings),
        Name::Wisdom(settings) => run_xts::<xts::Wisdom>(&settings),
    }
}

fn run_noren<B: noren::Brand>(settings: &Settings) -> anyhow::Result<()> {
    let token = if B::RULES.name == "definedge" { "susertoken" } else { "access_token" };
    let account = [
        ("user_id", "FA0001"),
        ("api_key", "madeupkey"),
        ("api_secret", "made-up-secret"),
        ("totp_secret", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"),
        (token, settings.access_token.as_str()),
    ];
    // Only one of them has one-time passwords.
    let account = account.into_iter().filter(|(name, _)| *name != "totp_secret" || token == "susertoken");
    run::<noren::Noren<B>>(settings, &account.collect::<Vec<_>>())
}

fn run_xts<B: xts::Brand>(settings: &Settings) -> anyhow::Result<()> {
    let account = [
        ("user_id", "XTS001"),
        ("app_key", "madeupkey"),
        ("secret_key", "made-up-secret"),
        ("access_token", settings.access_token.as_str()),
        ("interactive_app_key", "madeuporders"),
        ("interactive_secret_key", "made-up-secret-of-orders"),
    ];
    run::<xts::Xts<B>>(settings, &account)
}

fn run<B: Broker>(settings: &Settings, account: &[(&str, &str)]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut options = Options {
        port: settings.port,
        instruments: settings.instruments,
        heartbeat: settings.heartbeat,
        ..Options::default()
    }
    .accepting(account);
    if settings.control {
        (options.rate_hz, options.snapshots) = (0.0, false);
    } else {
        options.rate_hz = settings.rate;
    }
    let venue = runtime.block_on(Venue::<B>::start(options))?;
    if settings.control {
        venues::control(&venue, io::stdin().lock(), io::stdout().lock())?;
    } else {
        io::stdout().lock().write_all(instructions(&venue, account).as_bytes())?;
        runtime.block_on(future::pending::<()>());
    }
    Ok(())
}

/// Shortest pause that is taken: a millisecond.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|pause| *pause >= Duration::from_millis(1))
        .ok_or_else(|| "it must be at least 0.001".to_owned())
}

/// What to paste where.
fn instructions<B: Broker>(venue: &Venue<B>, account: &[(&str, &str)]) -> String {
    let name = B::NAME;
    let mut lines = vec![
        "# plugins.toml".to_owned(),
        "[[adapter]]".to_owned(),
        format!("name = \"{name}\""),
        format!("library = \"adapter_{}\"", B::ADAPTER),
        "[adapter.config]".to_owned(),
    ];
    let addresses = B::addresses(venue.address());
    lines.extend(addresses.into_iter().map(|(setting, address)| format!("{setting} = \"{address}\"")));
    let fields: serde_json::Map<_, _> =
        account.iter().map(|(field, value)| ((*field).to_owned(), (*value).into())).collect();
    lines.push(format!("\n# The account, for the standard input of: tickhost account set USER {name}"));
    lines.push(serde_json::Value::from(fields).to_string());
    lines.push("\n# Some symbols".to_owned());
    for exchange in venues::EXCHANGES {
        let some = venue.some(exchange, 3).into_iter().filter(|one| B::key(one).is_some());
        let some: Vec<String> = some.map(|one| one.symbol).collect();
        if !some.is_empty() {
            lines.push(format!("{exchange}: {}", some.join(", ")));
        }
    }
    lines.join("\n") + "\n"
}
