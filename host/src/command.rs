//! The command line: what can be asked, and the flags of the settings.

pub mod accounts;
pub mod adapters;
pub mod check;
mod confinement;
mod console;
mod manual;
mod openalgo;
pub mod run;
mod table;
pub mod tap;
mod trouble;

#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
    sync::LazyLock,
};

use adapter_abi::ABI_VERSION;
use clap::{
    Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    builder::ValueParser,
};

use clap_complete::Shell;

use self::{
    accounts::{AccountCommand, KeyCommand, UserCommand},
    adapters::AdaptersCommand,
    tap::TapArgs,
};
use crate::{
    adapters::process,
    base::descriptors,
    config::{self, Flags, Kind, PluginsFile, Problems, Setting, Settings, Sources, TABLE},
    feeds::catalog,
    operator::telemetry::{self, Export, LogControl},
};

/// Exit code for a command line that cannot be understood, as every Unix program has it.
const USAGE: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  tickhost check                          is everything that I wrote right?
  tickhost run                            start with the built-in market; prints how to connect
  tickhost run --websocket-port 9000      start on another port
  tickhost tap NSE:SBIN NSE_INDEX:NIFTY   watch prices in this terminal
  tickhost user add alice                 a user, who gets a key with: tickhost key create alice

Settings come from flags, then the environment, then tickhost.toml, then defaults.

Secrets have no flag, because every program on a machine can read the arguments of the others. Give \
API_KEY_PEPPER, FERNET_SALT, BROKER_API_KEY, BROKER_API_SECRET, BROKER_API_KEY_MARKET and \
BROKER_API_SECRET_MARKET in the environment or in the file.";

static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (adapter ABI {ABI_VERSION})", env!("CARGO_PKG_VERSION")));

/// Streams live market data from many brokers to many WebSocket clients.
#[derive(Debug, Parser)]
#[command(
    name = "tickhost",
    after_long_help = EXAMPLES,
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 120
)]
struct Cli {
    #[command(subcommand)]
    command: Request,
}

/// What is asked for.
#[derive(Debug, Subcommand)]
#[non_exhaustive]
pub enum Request {
    /// Start the host and serve clients until it is stopped
    ///
    /// Opens the client port, the operator's port and the bus, and loads the adapters of plugins.toml. On the
    /// first run it makes its database, a user on the built-in market and a key, and prints how to connect
    /// with them. Stop it with Ctrl-C or SIGTERM: clients get a close frame that tells them to come back.
    Run,
    /// Look for mistakes without starting anything
    ///
    /// Validates the settings, plugins.toml and each adapter's own settings, and looks whether libraries are
    /// there, the data folder can be written and the ports are free, or those of the host that runs with it.
    /// Prints all problems at once; secrets are never printed. Exit code 0 when there is none, else 1.
    Check,
    /// List the adapters of plugins.toml; write and test new ones
    ///
    /// Without a command it lists what plugins.toml names, and whether each library loads.
    Adapters {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
        #[command(subcommand)]
        #[expect(missing_docs, reason = "a doc comment here would replace the help of the command")]
        command: Option<AdaptersCommand>,
    },
    /// Print the link to the console
    ///
    /// The console is a page of the running host with its feeds, adapters and clients, and a playground. The
    /// link holds the token that opens it, from the file console.token of the data folder: keep it to
    /// yourself. To make it worthless, remove that file and start the host again.
    Console,
    /// Watch prices in the terminal
    ///
    /// Connects to a running host as a client and shows the symbols, each written EXCHANGE:SYMBOL.
    Tap(TapArgs),
    /// Add, list and remove users
    User {
        #[command(subcommand)]
        #[expect(missing_docs, reason = "a doc comment here would replace the help of the command")]
        command: UserCommand,
    },
    /// Create, list, revoke and rotate API keys
    Key {
        #[command(subcommand)]
        #[expect(missing_docs, reason = "a doc comment here would replace the help of the command")]
        command: KeyCommand,
    },
    /// Connect users to their accounts at brokers
    Account {
        #[command(subcommand)]
        #[expect(missing_docs, reason = "a doc comment here would replace the help of the command")]
        command: AccountCommand,
    },
    /// Ask whether a host runs with this data folder
    ///
    /// Exit code 0 when one does and answers, else 1: for the health checks of containers and scripts.
    /// Whether its feeds are as they should be is another question; /readyz at the operator's port answers
    /// that.
    Alive,
    /// Print what a shell needs to complete commands and flags
    ///
    /// For bash: tickhost completions bash > ~/.local/share/bash-completion/completions/tickhost
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, of the program or of one command
    ///
    /// To read it: tickhost man | man -l -
    Man {
        /// The command, such as run or key create
        command: Vec<String>,
    },
    /// Run one adapter in this process, for the host
    #[command(hide = true)]
    RunAdapter {
        /// Name of the adapter, for the list of processes
        name: String,
    },
    /// Load a library and describe it, for the host
    #[command(hide = true)]
    ProbeAdapter,
    /// Take one step of logging in with a library, for the host
    #[command(hide = true)]
    LoginAdapter,
    /// Print the document of all settings
    #[command(hide = true)]
    DocumentSettings,
}

/// Runs the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    match parse(std::env::args_os()) {
        Ok((request, flags)) => dispatch(request, &Sources::of_process(flags)),
        Err(error) => {
            // Help and version are "errors" that go to standard output. Nobody is left to tell when printing
            // fails.
            _ = error.print();
            if let Some(variable) = secret_flag(std::env::args_os()) {
                complain(&format_args!(
                    "tickhost: that is a secret, and every program on this machine can read arguments; give it as {variable} in \
                     the environment or in tickhost.toml"
                ));
            }
            if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
        }
    }
}

/// The variable of the secret that somebody tried to give as a flag.
fn secret_flag(arguments: impl IntoIterator<Item = OsString>) -> Option<&'static str> {
    let mut flags = arguments.into_iter().filter_map(|argument| {
        let name = argument.to_str()?.strip_prefix("--")?.split('=').next()?.replace('-', "_");
        TABLE.iter().find(|setting| setting.is_secret() && setting.key == name)
    });
    flags.next().map(|setting| setting.env)
}

fn dispatch(request: Request, sources: &Sources) -> ExitCode {
    let outcome = handle(request, sources);
    telemetry::flush();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            match error.downcast_ref::<Problems>() {
                Some(problems) => complain(&refusal(problems)),
                None => complain(&format_args!("tickhost: {error:#}")),
            }
            ExitCode::FAILURE
        }
    }
}

fn handle(request: Request, sources: &Sources) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout();
    match request {
        Request::Run => {
            // Before anything secret is read.
            process::guard_host();
            descriptors::raise();
            let prepared = prepare(sources)?;
            runtime()?.block_on(run::run(prepared, sources.clone(), &mut out))?;
        }
        Request::Check => {
            let scratch = adapters::Scratch::new()?;
            let validate =
                |entry: &_, _: &_| catalog::inspect(entry, &run::own_program(), &scratch.0).map(drop);
            let (settings, _) = Settings::load_lenient(sources);
            // A host that does not answer as one is another program to it.
            let status = runtime()?.block_on(adapters::status(&settings)).ok().flatten();
            let taken = status.map(|(_, status)| adapters::listeners(&status)).unwrap_or_default();
            let mut report = check::check(sources, &validate, &taken);
            report.warn(Export::complaints());
            print(&report);
            return Ok(ExitCode::from(report.exit_code()));
        }
        Request::Adapters { command: Some(command), .. } => {
            return adapters::handle(command, sources, &mut out);
        }
        Request::Adapters { json, command: None } => {
            let settings = Settings::load(sources)?;
            let all_loaded = runtime()?.block_on(adapters::run(&settings, json, &mut out))?;
            return Ok(if all_loaded { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Request::Console => console::print_link(&Settings::load(sources)?, &mut out)?,
        Request::Tap(args) => runtime()?.block_on(tap::run(args, &Settings::load(sources)?, &mut out))?,
        Request::User { command } => {
            accounts::run_user(
                &run::open_accounts(&Settings::load(sources)?, &sources.working_dir)?,
                command,
                &mut out,
            )?;
        }
        Request::Key { command } => {
            let settings = Settings::load(sources)?;
            let noticed = || {
                let status = runtime()?.block_on(adapters::status(&settings))?;
                Ok(status.and_then(|(_, status)| status.get("accounts_changes")?.as_u64()))
            };
            accounts::run_key(
                &run::open_accounts(&settings, &sources.working_dir)?,
                command,
                noticed,
                &mut out,
            )?;
        }
        Request::Account { command } => {
            let settings = Settings::load(sources)?;
            // Most of it works without the file.
            let plugins = PluginsFile::load(&settings);
            let is_broken = plugins.is_err();
            let plugins = plugins.unwrap_or_default();
            let accounts = run::open_accounts(&settings, &sources.working_dir)?;
            let host = || Ok(runtime()?.block_on(adapters::status(&settings))?.map(|(_, status)| status));
            let is_fine =
                accounts::run_account(&accounts, command, &plugins, host, &mut out, &mut io::stdin().lock())?;
            if is_broken {
                let note =
                    "plugins.toml cannot be used, so nothing was compared with it; `tickhost check` says why";
                print(&format_args!("Note: {note}"));
            }
            return Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Request::Alive => {
            let settings = Settings::load(sources)?;
            let Some((admin, _)) = runtime()?.block_on(adapters::status(&settings))? else {
                anyhow::bail!(
                    "no host answers for the data folder {} (TICKHOST_DATA_DIR); start one with `tickhost run`",
                    settings.data_dir.display()
                );
            };
            print(&format_args!("alive, see http://{admin}/status"));
        }
        Request::Completions { shell } => manual::completions(shell, &mut out)?,
        Request::Man { command } => manual::page(&command, &mut out)?,
        Request::RunAdapter { name } => return Ok(process::run_child(&name)),
        Request::ProbeAdapter => return Ok(process::run_probe()),
        Request::LoginAdapter => return Ok(process::run_login()),
        Request::DocumentSettings => print(&config::markdown().trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}

/// For everything that is not on a thread of its own: accepting, feeds, the operator's port, the terminal
/// view.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("main")
        .on_thread_start(crate::base::blocking::serve_here)
        .enable_all()
        .build()
}

/// What `tickhost run` begins with.
#[derive(Debug)]
pub struct Prepared {
    /// The settings.
    pub settings: Settings,
    /// The adapters.
    pub plugins: PluginsFile,
    /// The log, unless somebody else has set it up in this process.
    pub log: Option<LogControl>,
    /// What goes to a collector.
    pub export: Export,
}

/// What `tickhost run` begins with: settings, logging, and the adapters. Libraries that are missing are no
/// error; see [`PluginsFile::load`].
///
/// # Errors
/// Every mistake in the settings, or, when there is none there, in `plugins.toml`.
pub fn prepare(sources: &Sources) -> Result<Prepared, Problems> {
    let settings = Settings::load(sources)?;
    // Only a second call in one process can fail, and then logging is there.
    let export = Export::of_environment();
    let log = telemetry::init(&settings.log, settings.log_format, &export).ok();
    export.announce();
    for warning in &settings.warnings {
        tracing::warn!(detail = %warning, "Setting needs attention");
    }
    let plugins = PluginsFile::load(&settings)?;
    Ok(Prepared { settings, plugins, log, export })
}

/// Problems as a person reads them after a command that did not run.
pub fn refusal(problems: &Problems) -> String {
    let count = problems.as_slice().len();
    let noun = if count == 1 { "problem" } else { "problems" };
    format!("tickhost: {count} {noun}, nothing was started\n{problems}")
}

/// Takes a command line apart. The first argument is the name of the program.
///
/// # Errors
/// What clap wants to be printed: a usage error, the help or the version.
pub fn parse(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<(Request, Flags), clap::Error> {
    let matches = command().try_get_matches_from(arguments)?;
    let flags = Flags::from_matches(&matches);
    Ok((Cli::from_arg_matches(&matches)?.command, flags))
}

/// The whole command line, with the flags of the settings before and after each command.
pub fn command() -> Command {
    let shown = |setting: &Setting| argument(setting).hide_short_help(!setting.is_common);
    let mut command = Cli::command().version(VERSION.as_str()).args(flags().map(shown));
    for (name, relevant) in RELEVANT {
        // A flag that the command has itself is not inherited, so it can be hidden where it decides nothing.
        let arguments = flags().map(|setting| argument(setting).hide(!relevant.contains(&setting.key)));
        command = command.mut_subcommand(name, |command| command.args(arguments));
    }
    command
}

/// The command line with each flag only where it decides something, and without what is hidden: a shell that
/// completes is slow with ten times as many words.
fn command_for_completion() -> Command {
    let mut command = Command::new("tickhost").version(VERSION.as_str()).subcommand_required(true);
    for subcommand in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let relevant =
            RELEVANT.iter().find(|(name, _)| *name == subcommand.get_name()).map(|(_, keys)| *keys);
        let wanted = flags().filter(|setting| relevant.is_none_or(|keys| keys.contains(&setting.key)));
        command = command.subcommand(subcommand.clone().args(wanted.map(argument)));
    }
    command
}

/// Commands that need few settings, and the flags that their help shows. They accept all, so that one set of
/// flags works for every command.
const RELEVANT: [(&str, &[&str]); 13] = [
    ("adapters", &["config", "plugins", "plugin_dir"]),
    ("console", &["config", "data_dir"]),
    ("tap", &["config", "websocket_host", "websocket_port", "data_dir"]),
    ("user", &["config", "data_dir"]),
    ("key", &["config", "data_dir"]),
    ("account", &["config", "data_dir"]),
    ("alive", &["config", "data_dir"]),
    ("completions", &[]),
    ("man", &[]),
    ("run-adapter", &[]),
    ("probe-adapter", &[]),
    ("login-adapter", &[]),
    ("document-settings", &[]),
];

fn flags() -> impl Iterator<Item = &'static Setting> {
    TABLE.iter().filter(|setting| !setting.is_secret())
}

fn argument(setting: &Setting) -> Arg {
    let default = setting.default.unwrap_or(setting.unset);
    let sources = format!("[env: {}] [default: {default}]", setting.env);
    let argument = Arg::new(setting.key)
        .long(setting.key.replace('_', "-"))
        .help(format!("{} {sources}", setting.help.trim_end_matches('.')))
        .long_help(format!("{}\n{sources}", setting.help.trim_end_matches('.')))
        .help_heading(setting.group)
        .value_name(value_name(setting.kind))
        .value_parser(ValueParser::os_string())
        .action(ArgAction::Set)
        .allow_negative_numbers(true)
        .global(true);
    match setting.kind {
        Kind::Switch => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => argument,
    }
}

fn value_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Address => "ADDRESS",
        Kind::Whole(..) => "NUMBER",
        Kind::Seconds(..) => "SECONDS",
        Kind::Milliseconds(..) => "MS",
        Kind::Bytes(..) => "BYTES",
        Kind::Switch => "true|false",
        Kind::Choice(_) => "WORD",
        Kind::Names => "NAMES",
        Kind::Origins => "ORIGINS",
        Kind::Path => "PATH",
        Kind::Secret => "SECRET",
        Kind::TimeOfDay => "HH:MM",
        Kind::Filter => "LEVELS",
        Kind::Database => "URL",
    }
}

fn print(text: &dyn Display) {
    // A closed pipe (`tickhost check | head`) is the reader's decision.
    _ = writeln!(io::stdout().lock(), "{text}");
}

fn complain(text: &dyn Display) {
    _ = writeln!(io::stderr().lock(), "{text}");
}
