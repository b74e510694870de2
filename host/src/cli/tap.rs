//! `tickhost tap`: a client of a running host that shows prices in the terminal.
//!
//! `connection` speaks the protocol, `board` knows what was last heard of each symbol, `format` turns that into
//! text, `screen` owns the terminal.

mod board;
mod connection;
mod format;
mod screen;

use std::{
    io::{self, IsTerminal as _, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use secrecy::SecretString;

use self::{
    board::Board,
    connection::{Connection, Heard, Subscription, Target},
    screen::{Pressed, Screen},
};
use super::run::DEMO_KEY_FILE;
use crate::config::Settings;

/// Names the key in the environment; there is no flag for it, as every program can read the arguments of others.
const KEY_VARIABLE: &str = "TICKHOST_API_KEY";

/// Between two pictures on the terminal.
const REDRAW: Duration = Duration::from_millis(100);

/// First and longest pause before a lost connection is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// `tickhost tap`.
#[derive(Debug, Args)]
pub struct TapArgs {
    /// Symbols, each written EXCHANGE:SYMBOL
    #[arg(required = true, value_name = "EXCHANGE:SYMBOL", value_parser = symbol)]
    pub symbols: Vec<(String, String)>,
    /// What to subscribe to
    #[arg(long, value_enum, default_value_t = TapMode::Quote)]
    pub mode: TapMode,
    /// Levels of the book in mode depth
    #[arg(long, value_name = "LEVELS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub depth: u16,
    /// Where the host is, as ws://address:port [default: the client port of the settings]
    #[arg(long)]
    pub url: Option<String>,
    /// A file with the API key; without it, the key in the environment or that of the first run
    #[arg(
        long,
        value_name = "PATH",
        help = "A file with the API key [default: the key in TICKHOST_API_KEY, else that of the first run]"
    )]
    pub key_file: Option<PathBuf>,
    /// End after this many ticks; prints lines
    #[arg(long, value_name = "NUMBER")]
    pub count: Option<u64>,
    /// Print a line for each tick, as happens when the output is no terminal
    #[arg(long)]
    pub plain: bool,
    /// Print each message of the host, one JSON object a line
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
}

/// Modes, as the command line spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TapMode {
    /// Last price
    Ltp,
    /// The day's range, best bid and ask
    Quote,
    /// The book
    Depth,
}

impl TapMode {
    const fn number(self) -> u8 {
        match self {
            Self::Ltp => 1,
            Self::Quote => 2,
            Self::Depth => 3,
        }
    }
}

/// Takes `EXCHANGE:SYMBOL` apart; the symbol may contain further colons.
fn symbol(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((exchange, symbol)) if !exchange.is_empty() && !symbol.is_empty() => {
            Ok((exchange.to_owned(), symbol.to_owned()))
        }
        _ => Err(format!("write EXCHANGE:SYMBOL, as in NSE:{}", text.trim_matches(':'))),
    }
}

/// Shows prices until it is told to stop.
///
/// # Errors
/// Why it cannot, and what to do.
pub async fn run(args: TapArgs, settings: &Settings, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let url = args.url.clone().unwrap_or_else(|| default_url(settings));
    let target = Target::parse(&url)?;
    let subscription = Subscription {
        key: key(&args, settings)?,
        symbols: args.symbols.clone(),
        mode: args.mode.number(),
        depth: args.depth,
    };
    let is_plain = args.plain || args.json || args.count.is_some() || !io::stdout().is_terminal();
    if is_plain {
        return match lines(&args, &target, &subscription, out).await {
            // The reader of a pipe has seen enough.
            Err(error)
                if error
                    .downcast_ref::<io::Error>()
                    .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) =>
            {
                Ok(())
            }
            ended => ended,
        };
    }
    table(&target, &subscription).await
}

/// The client port, reached from this machine although it may listen on all addresses.
fn default_url(settings: &Settings) -> String {
    let mut address = settings.websocket_address();
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("ws://{address}")
}

fn key(args: &TapArgs, settings: &Settings) -> anyhow::Result<SecretString> {
    let read = |file: &std::path::Path| {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the key file {}", file.display()))?;
        Ok(SecretString::from(text.trim().to_owned()))
    };
    if let Some(file) = &args.key_file {
        return read(file);
    }
    if let Ok(key) = std::env::var(KEY_VARIABLE) {
        return Ok(SecretString::from(key.trim().to_owned()));
    }
    let file = settings.data_dir.join(DEMO_KEY_FILE);
    if file.exists() {
        return read(&file);
    }
    bail!(
        "there is no API key: set {KEY_VARIABLE}, or name a file with --key-file. `tickhost key create USER` makes a key; \
         the first `tickhost run` leaves one in {}",
        file.display()
    )
}

/// One line for each tick.
async fn lines(
    args: &TapArgs,
    target: &Target,
    subscription: &Subscription,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let mut left = args.count;
    let mut pause = RETRY.0;
    let mut connection = Connection::open(target, subscription).await?;
    let mut may_retry = false;
    loop {
        match connection.hear().await {
            Ok(Heard::Tick(tick)) => {
                may_retry = left.is_none();
                pause = RETRY.0;
                if args.json {
                    writeln!(out, "{}", tick.raw)?;
                } else {
                    writeln!(out, "{}", format::line(&tick))?;
                }
                out.flush()?;
                left = left.map(|left| left.saturating_sub(1));
                if left == Some(0) {
                    return Ok(());
                }
            }
            Ok(Heard::Refused { name, reason }) => note(&format!("{name}: {reason}")),
            Ok(Heard::AllRefused) => bail!("none of the symbols can be shown"),
            Ok(Heard::Subscribed) => {}
            Err(error) if may_retry => {
                connection = loop {
                    note(&format!("{error:#}; connecting again in {} ms", pause.as_millis()));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                    match Connection::open(target, subscription).await {
                        Ok(connection) => break connection,
                        Err(error) if connection::is_final(&error) => return Err(error),
                        Err(_) => {}
                    }
                };
            }
            Err(error) => return Err(error),
        }
    }
}

fn note(text: &str) {
    // Nobody reads notes when standard error is closed.
    _ = writeln!(io::stderr(), "tickhost tap: {text}");
}

/// A table that is drawn again and again.
async fn table(target: &Target, subscription: &Subscription) -> anyhow::Result<()> {
    // Mistakes of the first try are told on the usual screen.
    let mut connection = Some(Connection::open(target, subscription).await?);
    let mut board = Board::new(&subscription.symbols, target.url(), Instant::now());
    let mut screen = Screen::open()?;
    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pause = RETRY.0;
    let mut retry_at = tokio::time::Instant::now();
    loop {
        let heard = async {
            if let Some(connection) = &mut connection {
                connection.hear().await
            } else {
                tokio::time::sleep_until(retry_at).await;
                Err(anyhow::anyhow!("retry"))
            }
        };
        tokio::select! {
            heard = heard => match heard {
                Ok(heard) => {
                    pause = RETRY.0;
                    if matches!(heard, Heard::AllRefused) {
                        drop(screen);
                        bail!("none of the symbols can be shown:\n{}", board.refusals());
                    }
                    board.hear(heard, Instant::now());
                }
                Err(error) => {
                    if connection.take().is_some() {
                        board.lost(&format!("{error:#}"));
                    } else {
                        match Connection::open(target, subscription).await {
                            Ok(again) => {
                                connection = Some(again);
                                board.found();
                                continue;
                            }
                            Err(error) if connection::is_final(&error) => return Err(error),
                            Err(error) => board.lost(&format!("{error:#}")),
                        }
                    }
                    retry_at = tokio::time::Instant::now() + pause;
                    pause = (pause * 2).min(RETRY.1);
                }
            },
            _ = redraw.tick() => screen.draw(|width, height| board.render(width, height, Instant::now()))?,
            pressed = screen.pressed() => match pressed {
                Pressed::Quit => break,
                Pressed::Resized => screen.draw(|width, height| board.render(width, height, Instant::now()))?,
            },
        }
    }
    drop(screen);
    Ok(())
}

#[cfg(test)]
mod tests;
