//! `tickhost check`: everything that can be known to be wrong before anything starts.

use std::{
    fmt,
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    path::Path,
};

use tickhost_core::calendar::date::Date;

use super::{confinement::Confinement, trouble};
use crate::{
    adapters::integrity,
    assembly::plan,
    base::{clock, private::unwritable, run_dir},
    bus::probe_unix,
    clients::tls::Tls,
    config::{AdapterEntry, Origin, PluginsFile, Problem, Problems, Settings, Sources, calendar_file},
    operator::admin::Token,
};

/// An adapter's own look at its settings: the entry, and the library that was found for it. The error is a
/// sentence without secrets.
pub type Validate<'a> = &'a dyn Fn(&AdapterEntry, &Path) -> Result<(), String>;

/// What a check found; displays as the whole output of the command.
#[derive(Clone, Debug, Default)]
pub struct Report {
    problems: Problems,
    warnings: Vec<String>,
    facts: Vec<String>,
    host_runs: bool,
}

impl Report {
    /// The problems.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// Adds what somebody else has noticed.
    pub fn warn(&mut self, warnings: Vec<String>) {
        self.warnings.extend(warnings);
    }

    /// 0 when there is no problem, else 1. Warnings are no problem.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.problems.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.as_slice() {
            writeln!(f, "problem  {problem}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning  {warning}")?;
        }
        for fact in &self.facts {
            writeln!(f, "ok       {fact}")?;
        }
        match self.problems.as_slice().len() {
            0 if self.host_runs => f.write_str("No problems found: the host that runs can be restarted."),
            0 => f.write_str("No problems found: `tickhost run` can start."),
            1 => f.write_str("1 problem found."),
            count => write!(f, "{count} problems found."),
        }
    }
}

/// Looks at everything. Nothing is started and nothing is left behind; each port is opened and closed at
/// once. `taken` are the addresses of the host that runs with the data folder, if one does: ports that it has
/// are free for the next one.
pub fn check(sources: &Sources, validate: Validate<'_>, taken: &[SocketAddr]) -> Report {
    check_at(sources, validate, taken, clock::unix_nanos())
}

fn check_at(sources: &Sources, validate: Validate<'_>, taken: &[SocketAddr], now_ns: u64) -> Report {
    let (settings, problems) = Settings::load_lenient(sources);
    let warnings = settings.warnings.clone();
    let mut report = Report { problems, warnings, facts: Vec::new(), host_runs: false };
    let own = [settings.websocket_address(), settings.admin_address()];
    report.host_runs = own.into_iter().any(|address| is_among(address, taken));
    if let Some(file) = &settings.config {
        report.facts.push(format!("settings file {}", file.display()));
    }
    check_plugins(&settings, validate, &mut report);
    check_calendar(&settings, now_ns, &mut report);
    check_tls(&settings, now_ns, &mut report);
    check_data(&settings, &sources.working_dir, &mut report);
    check_ports(&settings, taken, &mut report);
    check_bus_socket(&settings, &mut report);
    check_descriptors(&settings, &mut report);
    report
}

fn check_descriptors(settings: &Settings, report: &mut Report) {
    report.warnings.extend(trouble::few_descriptors(settings));
    let (budget, fitting) = (plan::descriptors(settings), plan::connection_limits(settings));
    report.facts.push(format!(
        "descriptors {}, enough for {} clients (TICKHOST_MAX_CONNECTIONS is {}) and {} without a key",
        budget.limit, fitting.total, settings.max_connections, fitting.strangers
    ));
}

fn check_plugins(settings: &Settings, validate: Validate<'_>, report: &mut Report) {
    let path = match settings.plugins_path() {
        Ok(path) => path,
        Err(problem) if !report.problems.mention("TICKHOST_PLUGINS") => return report.problems.push(problem),
        Err(_) => return,
    };
    let plugins = match PluginsFile::load(settings) {
        Ok(plugins) => plugins,
        Err(problems) => return report.problems.extend(problems),
    };
    report.problems.extend(plugins.missing_libraries(path));
    let (enabled, bus) = (plugins.enabled().count(), plugins.bus.brokers.len());
    if let Some(message) = trouble::nothing_served(&plugins) {
        report.problems.push(Problem::new(Origin::File(path.into(), 0), "", message));
    }
    if bus > 0 && !settings.bus {
        report.warnings.push("plugins.toml gives brokers to the bus, but TICKHOST_BUS is off".to_owned());
    }
    let proves = |adapter: &AdapterEntry| adapter.integrity.sha256.is_some();
    if plugins.enabled().any(proves) || plugins.trust.require_signature {
        // Whoever can write the pins can pin a library of their own.
        report.warnings.extend(integrity::check_access(path).err().map(|error| error.to_string()));
    }
    report.facts.push(format!("{}: adapters switched on: {enabled}", path.display()));
    let Confinement { holds, lacks } = Confinement::of(&plugins);
    report.facts.push(format!("adapters in processes of their own are confined: {holds}"));
    report.warnings.extend(lacks);
    for adapter in plugins.enabled() {
        let Ok(library) = &adapter.library_path else { continue };
        match validate(adapter, library) {
            Ok(()) => report.facts.push(format!("adapter {}: {}", adapter.name, library.display())),
            Err(message) => {
                let origin = Origin::File(path.into(), adapter.line);
                report.problems.push(Problem::new(origin, format!("adapter {}", adapter.name), message));
            }
        }
    }
}

/// Days before the holidays of a calendar end on which the operator is told.
const CALENDAR_NOTICE_DAYS: i64 = 14;

fn check_calendar(settings: &Settings, now_ns: u64, report: &mut Report) {
    let path = settings.calendar.as_deref();
    let name = path.map_or_else(|| "the built-in one".to_owned(), |path| path.display().to_string());
    match calendar_file::open(path) {
        Ok(calendars) => {
            let (_, to) = calendars.present().covers();
            let (today, _) = Date::in_india(now_ns);
            if to.days_since(today) < CALENDAR_NOTICE_DAYS {
                report.warnings.push(format!(
                    "calendar of the exchanges ({name}): its holidays end on {to}; after that the host takes holidays for \
                     days of trade. Write a file with those to come, and name it in TICKHOST_CALENDAR"
                ));
            }
            report.facts.push(format!("calendar of the exchanges: {name}, holidays until {to}"));
        }
        Err(error) => report.problems.push(trouble::calendar(settings, &error)),
    }
}

fn check_tls(settings: &Settings, now_ns: u64, report: &mut Report) {
    let Some(files) = settings.tls_files() else { return };
    match Tls::open(files.clone()) {
        Ok(_) => {
            report.warnings.extend(files.doubt(now_ns));
            report.facts.push("certificate and key of the client port (wss://)".to_owned());
        }
        Err(error) => report.problems.push(trouble::tls(settings, &files, &error)),
    }
}

fn check_data(settings: &Settings, working_dir: &Path, report: &mut Report) {
    if !report.problems.mention("TICKHOST_DATA_DIR") {
        match trouble::probe_folder(&settings.data_dir) {
            Ok(()) => {
                report.facts.push(format!("data folder {}", settings.data_dir.display()));
                trouble::long_path(settings).into_iter().for_each(|problem| report.problems.push(problem));
                if let Err(error) = Token::read_console(&settings.data_dir) {
                    report.problems.push(trouble::data_folder(settings, &error));
                }
            }
            Err(error) => {
                let error = unwritable(&settings.data_dir, &error);
                report.problems.push(trouble::data_folder(settings, &error));
            }
        }
    }
    let is_wrong = if settings.database_url.is_some() { "DATABASE_URL" } else { "TICKHOST_DATA_DIR" };
    if !report.problems.mention("DATABASE_URL") && !report.problems.mention(is_wrong) {
        match trouble::doubts(settings, working_dir) {
            Ok(doubts) => {
                report.warnings.extend(doubts);
                // That the host runs which these settings are of is no mistake.
                if !report.host_runs
                    && let Some(error) = run_dir::other_host(&settings.data_dir)
                {
                    report.problems.push(trouble::data_folder(settings, &error));
                }
                let database = settings.database_url.as_ref().map(|url| url.path().display().to_string());
                report.facts.extend(database.map(|path| format!("database {path}")));
            }
            Err(error) => report.problems.push(trouble::data(settings, &error)),
        }
    }
    trouble::folders(settings).into_iter().for_each(|problem| report.problems.push(problem));
}

fn check_ports(settings: &Settings, taken: &[SocketAddr], report: &mut Report) {
    let listeners = [
        ("client port", "websocket", Some(settings.websocket_address())),
        ("operator's port", "admin", Some(settings.admin_address())),
        ("bus", "zmq", settings.bus_address()),
    ];
    for (what, prefix, address) in listeners {
        let Some(address) = address else { continue };
        let parts = ["host", "port"].map(|part| settings.problem(&format!("{prefix}_{part}"), "").key);
        if parts.iter().any(|part| report.problems.mention(part)) {
            continue;
        }
        match TcpListener::bind(address) {
            Ok(_) => report.facts.push(format!("{what} {address}")),
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_among(address, taken) => {
                report.facts.push(format!("{what} {address}, which the host that runs has"));
            }
            Err(error) => report.problems.push(trouble::port(settings, prefix, address, &error)),
        }
    }
}

fn check_bus_socket(settings: &Settings, report: &mut Report) {
    let Some(path) = settings.bus_socket.as_deref().filter(|_| settings.bus) else { return };
    match probe_unix(path) {
        Ok(()) => report.facts.push(format!("Unix socket of the bus {}", path.display())),
        Err(error) if error.kind() == ErrorKind::AddrInUse && report.host_runs => {
            report
                .facts
                .push(format!("Unix socket of the bus {}, which the host that runs has", path.display()));
        }
        Err(error) => report.problems.push(trouble::bus_socket(settings, path, &error)),
    }
}

/// Whether one of these is in the way of an address. All addresses of a machine are in the way of each.
fn is_among(address: SocketAddr, taken: &[SocketAddr]) -> bool {
    taken.iter().filter(|taken| taken.port() == address.port()).any(|taken| {
        taken.ip() == address.ip() || taken.ip().is_unspecified() || address.ip().is_unspecified()
    })
}

#[cfg(test)]
mod tests;
