//! What keeps a host from starting, and what lets it start and needs attention, said of the setting that
//! decides it. `tickhost check` and `tickhost run` both take it from here, so that they say the same.

use std::{
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tickhost_core::calendar::CalendarError;

use super::openalgo;
use crate::{
    accounts::{Accounts, AccountsError, look::look_at_embedded},
    assembly::{host::StartError, plan},
    base::{
        files,
        private::unwritable,
        run_dir::{self, RunDir},
    },
    bus::{self, BusError},
    clients::tls::TlsError,
    config::{Origin, PluginsFile, Problem, Problems, Settings, TlsFiles},
};

/// A port that cannot be opened. `prefix` is that of its two settings, such as `websocket`.
pub(super) fn port(settings: &Settings, prefix: &str, address: SocketAddr, error: &io::Error) -> Problem {
    let (part, message) = match error.kind() {
        ErrorKind::AddrInUse => (
            "port",
            format!(
                "{address} is in use; stop the program that has it (another tickhost?) or choose another port"
            ),
        ),
        ErrorKind::AddrNotAvailable => (
            "host",
            format!("{address} is no address of this machine; use 127.0.0.1, or 0.0.0.0 for all that it has"),
        ),
        ErrorKind::PermissionDenied => {
            ("port", format!("this user may not open {address}; ports from 1024 need no rights"))
        }
        _ => ("port", format!("{address} cannot be opened: {error}")),
    };
    settings.problem(&format!("{prefix}_{part}"), message)
}

/// Why the host did not start.
pub(super) fn start(settings: &Settings, error: StartError) -> anyhow::Error {
    let problem = match &error {
        StartError::Listen { address, setting, reason } => {
            let prefix = if setting.starts_with("WEBSOCKET") { "websocket" } else { "admin" };
            port(settings, prefix, *address, reason)
        }
        StartError::Bus(BusError::Listen { address, reason }) => port(settings, "zmq", *address, reason),
        StartError::Bus(BusError::Socket { path, reason }) => bus_socket(settings, path, reason),
        _ => return error.into(),
    };
    Problems::from(problem).into()
}

/// The Unix socket of the bus, which cannot be opened.
pub(super) fn bus_socket(settings: &Settings, path: &Path, error: &io::Error) -> Problem {
    let message = match error.kind() {
        ErrorKind::NotFound => "its folder does not exist; make it first".to_owned(),
        ErrorKind::AddrInUse => "another program listens there (another tickhost?)".to_owned(),
        _ => format!("cannot be opened: {error}"),
    };
    about_path(settings, "bus_socket", path, &message)
}

/// A calendar that cannot be used.
pub(super) fn calendar(settings: &Settings, error: &CalendarError) -> Problem {
    settings.problem("calendar", error.to_string())
}

/// A certificate that cannot be used.
pub(super) fn tls(settings: &Settings, files: &TlsFiles, error: &TlsError) -> Problem {
    let key = if error.is_of_key(files) { "tls_key" } else { "tls_cert" };
    about_path(
        settings,
        key,
        if key == "tls_key" { &files.key } else { &files.certificate },
        &error.to_string(),
    )
}

/// A database, or another file of the data folder, that cannot be used.
pub(super) fn data(settings: &Settings, error: &AccountsError) -> Problem {
    if settings.database_url.is_none() {
        return data_folder(settings, error);
    }
    settings.problem("database_url", error.to_string())
}

/// A data folder whose path leaves no room for the sockets in it, if the bus needs one.
pub(super) fn long_path(settings: &Settings) -> Option<Problem> {
    let folder = std::path::absolute(&settings.data_dir).unwrap_or_else(|_| settings.data_dir.clone());
    let is_too_long = settings.bus && !bus::has_room(&RunDir::own_of(&folder));
    is_too_long.then(|| {
        settings.problem(
            "data_dir",
            "is too long a path for the sockets in it; name a folder with a shorter path",
        )
    })
}

/// A file of the data folder that cannot be used, whatever database there is.
pub(super) fn data_folder(settings: &Settings, error: &dyn std::error::Error) -> Problem {
    about_path(settings, "data_dir", &settings.data_dir, &error.to_string())
}

/// A problem with what a setting names. A path that the value shows is not repeated.
fn about_path(settings: &Settings, key: &str, path: &Path, message: &str) -> Problem {
    let problem = settings.problem(key, message);
    let repeated = format!("{}: ", path.display());
    match message.strip_prefix(&repeated).filter(|_| problem.value.is_some()) {
        Some(rest) => Problem { message: rest.to_owned(), ..problem },
        None => problem,
    }
}

/// Folders, beside the data folder, in which files cannot be made.
pub(super) fn folders(settings: &Settings) -> Vec<Problem> {
    let mut problems = Vec::new();
    let stats = settings.ws_proxy_stats_file.as_deref();
    if let Some((file, folder)) = stats.and_then(|file| Some((file, file.parent()?)))
        && let Err(error) = files::require_unshared(folder).and_then(|()| probe_folder(folder))
    {
        let message = unwritable(file, &error).to_string();
        problems.push(about_path(settings, "ws_proxy_stats_file", file, &message));
    }
    let cache =
        std::env::var_os(run_dir::CACHE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = cache.map(|folder| std::path::absolute(&folder).unwrap_or(folder))
        && let Err(error) = files::require_closed(&folder).and_then(|()| probe_folder(&folder))
    {
        let message = unwritable(&folder, &error).to_string();
        problems.push(Problem::new(Origin::Environment, run_dir::CACHE_VARIABLE, message));
    }
    problems
}

/// More connections allowed than the host can open, in a sentence.
pub(super) fn few_descriptors(settings: &Settings) -> Option<String> {
    let (limit, clients) = (plan::descriptors(settings).limit, plan::connection_limits(settings).total);
    let wanted = settings.max_connections;
    (clients < wanted).then(|| {
        format!(
            "TICKHOST_MAX_CONNECTIONS is {wanted}, but the system lets the host open {limit} files and sockets, into which \
             {clients} clients fit beside adapters, publishers and its own: more are not admitted. Raise the hard limit \
             (LimitNOFILE= of a unit of systemd, --ulimit nofile= of a container, ulimit -Hn of a shell), or lower that setting"
        )
    })
}

/// Why no client could get a price, in a sentence.
pub(super) fn nothing_served(plugins: &PluginsFile) -> Option<&'static str> {
    (plugins.enabled().next().is_none() && plugins.bus.brokers.is_empty()).then_some(
        "no adapter is switched on and the bus serves no broker, so no client could get a price; add an [[adapter]], or \
         set enabled = true on one",
    )
}

/// Whether files can be made in a folder or, when it does not exist, in the nearest one above it that does.
pub(super) fn probe_folder(folder: &Path) -> io::Result<()> {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    if !existing.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, "it is not a folder"));
    }
    let probe = existing.join(format!(".tickhost-check-{}", std::process::id()));
    fs::OpenOptions::new().write(true).create_new(true).open(&probe)?;
    fs::remove_file(&probe)
}

/// What lets a host start and needs attention, a sentence each, beside the warnings of the settings.
///
/// # Errors
/// Why the host would not start with its database.
pub(super) fn doubts(settings: &Settings, working_dir: &Path) -> Result<Vec<String>, AccountsError> {
    let mut doubts = match (openalgo::settings_of(settings, working_dir), &settings.database_url) {
        (Some(openalgo), _) => Accounts::look_at_openalgo(openalgo)?,
        (None, Some(url)) => {
            Accounts::look_for_openalgo(&working_dir.join(url.path()))?;
            Vec::new()
        }
        (None, None) => look_at_embedded(&settings.data_dir)?,
    };
    doubts.extend(others_may_enter(&settings.data_dir));
    let above = settings.data_dir.parent().unwrap_or(Path::new(""));
    doubts.extend(files::require_unshared(above).err().map(|error| {
        format!("the data folder {} could be exchanged for another: {error}", settings.data_dir.display())
    }));
    Ok(doubts)
}

#[cfg(unix)]
fn others_may_enter(data_dir: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let mode = data_dir.metadata().ok()?.mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "other users may enter the data folder {} (mode {mode:o}); the host takes that right from them when it starts",
            data_dir.display()
        )
    })
}

#[cfg(not(unix))]
fn others_may_enter(_: &Path) -> Option<String> {
    None
}
