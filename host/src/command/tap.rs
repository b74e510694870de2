//! `tickhost tap`: a client of a running host that shows prices in the terminal.
//!
//! `connection` speaks the protocol, `link` makes a connection again when it breaks, `board` knows what was
//! last heard of each symbol, `format` turns that into text, `screen` owns the terminal.

mod board;
mod connection;
mod format;
mod link;
mod screen;
mod stream;

use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use secrecy::{ExposeSecret as _, SecretString};

use self::{
    board::Board,
    connection::{Feed, Subscription, Target},
    link::{Event, Link, PAUSES},
    screen::Screen,
};
use super::run::DEMO_KEY_FILE;
use crate::{base::secret::read_text, config::Settings, operator::admin::from_this_machine};

/// Names the key in the environment; there is no flag for it, as every program can read the arguments of
/// others.
const KEY_VARIABLE: &str = "TICKHOST_API_KEY";

/// Between two pictures on the terminal.
const REDRAW: Duration = Duration::from_millis(100);

/// Longest key file; a key has some 64 characters.
const MAX_KEY_BYTES: u64 = 4_096;

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
    /// Where the host is, as ws://address:port, or wss:// with the certificate of the settings
    /// [default: the client port of the settings]
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
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
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
    let target = Target::parse(&url, settings.tls_files().map(|files| files.certificate))?;
    let subscription = Subscription {
        key: key(args.key_file.as_deref(), std::env::var(KEY_VARIABLE).ok(), &settings.data_dir)?,
        symbols: args.symbols.clone(),
        mode: args.mode.number(),
        depth: args.depth,
    };
    let is_plain = args.plain || args.json || args.count.is_some() || !io::stdout().is_terminal();
    // Mistakes of the first try are told on the usual screen.
    let mut link = Link::open(target.clone(), subscription, PAUSES, args.count.is_none()).await?;
    if is_plain {
        return match lines(&args, &mut link, out).await {
            // The reader of a pipe has seen enough.
            Err(error) if is_broken_pipe(&error) => Ok(()),
            ended => ended,
        };
    }
    table(&args.symbols, &target, &mut link).await
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The client port, reached from this machine although it may listen on all addresses.
fn default_url(settings: &Settings) -> String {
    let address = from_this_machine(settings.websocket_address());
    let scheme = if settings.tls_files().is_some() { "wss" } else { "ws" };
    format!("{scheme}://{address}")
}

/// The key of the file that was named, else of the environment, else of the first run.
fn key(file: Option<&Path>, variable: Option<String>, data_dir: &Path) -> anyhow::Result<SecretString> {
    if let Some(file) = file {
        return read_key(file);
    }
    let variable = SecretString::from(variable.unwrap_or_default());
    let variable = variable.expose_secret().trim();
    // An empty variable is how many tools say "none".
    if !variable.is_empty() {
        return Ok(SecretString::from(variable));
    }
    let file = data_dir.join(DEMO_KEY_FILE);
    if file.exists() {
        return read_key(&file);
    }
    bail!(
        "there is no API key: set {KEY_VARIABLE}, or name a file with --key-file. `tickhost key create USER` makes a key; \
         the first `tickhost run` leaves one in {}",
        file.display()
    )
}

fn read_key(file: &Path) -> anyhow::Result<SecretString> {
    let text = File::open(file)
        .and_then(|file| read_text(file, MAX_KEY_BYTES))
        .with_context(|| format!("cannot read the key file {}", file.display()))?;
    let text = text.expose_secret();
    if text.trim().is_empty() || text.len() as u64 > MAX_KEY_BYTES {
        bail!("the key file {} must contain a key and nothing else", file.display());
    }
    Ok(SecretString::from(text.trim()))
}

/// One line for each tick.
async fn lines(args: &TapArgs, link: &mut Link, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let mut left = args.count;
    let mut news = News::default();
    loop {
        match link.next().await? {
            Event::Tick(tick) => {
                let line = if args.json { format::printable_json(&tick.raw) } else { format::line(&tick) };
                writeln!(out, "{line}")?;
                out.flush()?;
                left = left.map(|left| left.saturating_sub(1));
                if left == Some(0) {
                    return Ok(());
                }
            }
            Event::Refused(refusals) => {
                refusals.iter().for_each(|refusal| note(&format!("{}: {}", refusal.name, refusal.reason)));
            }
            Event::Lost { reason, pause } => {
                note(&format!("{reason}; connecting again in {} ms", pause.as_millis()));
            }
            Event::Feed(feed) => {
                if news.is_worth_telling(&feed) {
                    note(&feed.to_string());
                }
            }
            Event::Found => note("connected again"),
        }
    }
}

/// Tells news from the usual course of things: that a feed is live is worth a word only after it was not.
#[derive(Debug, Default)]
struct News {
    was_trouble_told: bool,
}

impl News {
    fn is_worth_telling(&mut self, feed: &Feed) -> bool {
        let is_trouble = !feed.is_live();
        let was_trouble_told = std::mem::replace(&mut self.was_trouble_told, is_trouble);
        is_trouble || was_trouble_told
    }
}

fn note(text: &str) {
    // Nobody reads notes when standard error is closed.
    _ = writeln!(io::stderr(), "tickhost tap: {text}");
}

/// A table that is drawn again and again.
async fn table(symbols: &[(String, String)], target: &Target, link: &mut Link) -> anyhow::Result<()> {
    let mut board = Board::new(symbols, target.shown(), Instant::now());
    // Before the screen is entered, so that no signal finds it without its keeper.
    let stopped = stop_signal()?;
    tokio::pin!(stopped);
    let mut screen = Screen::open()?;
    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // All branches are cancel safe.
        tokio::select! {
            biased;
            () = &mut stopped => return Ok(()),
            () = screen.left() => return Ok(()),
            _ = redraw.tick() => screen.draw(|width, height| board.render(width, height, Instant::now()))?,
            event = link.next() => match event? {
                Event::Tick(tick) => board.tick(&tick, Instant::now()),
                Event::Refused(refusals) => refusals.iter().for_each(|refusal| board.refuse(refusal)),
                Event::Feed(feed) => board.feed(&feed),
                Event::Lost { reason, .. } => board.lost(&reason),
                Event::Found => board.found(),
            },
        }
    }
}

/// Waits for a signal that would end the process and leave the terminal in disorder.
pub(super) fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    {
        Ok(async { _ = tokio::signal::ctrl_c().await })
    }
}

#[cfg(test)]
mod tests;
