//! What a single setting cannot know: values that depend on others, and combinations that do not work.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZero,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    Origin, Problem, Problems, Settings, Sources, find,
    limits::{BrokerLimits, LimitOverrides},
    machine,
    plugins_file::AdapterEntry,
    problem::listed,
    sources::Values,
    value::Setting,
};
use crate::config::TlsFiles;

/// Bytes of one reply, for those who count replies instead of bytes.
const REPLY_BYTES: usize = 4 * 1_024;
/// Shortest pepper; `OpenAlgo` refuses shorter ones.
const MIN_PEPPER_CHARS: usize = 32;
/// Lengths of the secret of the bus: shorter ones can be guessed, longer ones do not fit into a handshake.
const BUS_SECRET_BYTES: RangeInclusive<usize> = 16..=255;
/// Shortest salt that counts, in hex digits, as in `OpenAlgo`.
const MIN_SALT_DIGITS: usize = 32;
/// What may wait for all clients together when nothing is set, at most and at least.
const MOST_WAITING_BYTES: u64 = 512 * 1_024 * 1_024;
const LEAST_WAITING_BYTES: usize = 16 * 1_024 * 1_024;
/// Folders above the program in which `plugins.toml` is looked for: enough for `target/release` in a
/// checkout.
const PARENTS: usize = 3;
const PLUGINS_FILE: &str = "plugins.toml";

impl Settings {
    /// Where clients connect.
    pub fn websocket_address(&self) -> SocketAddr {
        SocketAddr::new(self.websocket_host, self.websocket_port)
    }

    /// Where the operator connects.
    pub fn admin_address(&self) -> SocketAddr {
        SocketAddr::new(self.admin_host, self.admin_port)
    }

    /// Where publishers connect; none when the bus is off.
    pub fn bus_address(&self) -> Option<SocketAddr> {
        self.bus.then(|| SocketAddr::new(self.zmq_host, self.zmq_port))
    }

    /// Threads for clients, 1 to 64.
    pub fn shard_count(&self) -> usize {
        match self.shards {
            0 => available_parallelism().map_or(1, NonZero::get).min(64),
            shards => usize::from(shards),
        }
    }

    /// Bytes that may wait for all clients together.
    pub fn waiting_bytes(&self) -> usize {
        let share = || machine::memory_bytes().map_or(MOST_WAITING_BYTES, |bytes| bytes / 4);
        self.max_waiting_bytes.unwrap_or_else(|| {
            let share = usize::try_from(share()).unwrap_or(usize::MAX);
            share.clamp(LEAST_WAITING_BYTES, usize::try_from(MOST_WAITING_BYTES).unwrap_or(usize::MAX))
        })
    }

    /// What one account may open at a broker of this adapter; `known` is what the adapter knows of the
    /// broker.
    pub fn limits_for(&self, adapter: &AdapterEntry, broker: &str, known: LimitOverrides) -> BrokerLimits {
        self.decide_limits(adapter.limits_of(broker), known)
    }

    pub(super) fn decide_limits(&self, by_file: LimitOverrides, known: LimitOverrides) -> BrokerLimits {
        let by_settings = LimitOverrides {
            symbols_per_connection: self.max_symbols_per_websocket,
            connections: self.max_websocket_connections,
            deep_books_per_connection: self.max_deep_books_per_connection,
            ..LimitOverrides::default()
        };
        let limits = BrokerLimits::decide(by_file, known, by_settings);
        if self.enable_connection_pooling { limits } else { BrokerLimits { connections: 1, ..limits } }
    }

    /// Spacing of updates at a broker of this adapter.
    pub fn throttle_for(&self, adapter: &AdapterEntry, broker: &str) -> Duration {
        adapter.throttle_of(broker).unwrap_or(self.throttle_ms)
    }

    /// The file that lists the adapters.
    ///
    /// # Errors
    /// When none was named and none was found; the problem says where it was looked for.
    pub fn plugins_path(&self) -> Result<&Path, Problem> {
        self.plugins.as_deref().ok_or_else(|| {
            let message =
                format!("no such file; looked at {}; name one with --plugins", listed(&self.plugins_places));
            Problem::new(Origin::Default, "TICKHOST_PLUGINS", message)
        })
    }

    /// A problem with a setting that shows only when something is done with it: where it stands, and its
    /// value unless that is a secret.
    pub fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        self.given.problem(key, message)
    }

    /// A problem with the file of adapters as a whole, said of the setting that names it if there is one.
    pub(super) fn about_plugins(&self, problem: Problem) -> Problem {
        if self.given.has("plugins") { self.problem("plugins", problem.message) } else { problem }
    }

    pub(super) fn finish(&mut self, values: &Values, sources: &Sources, problems: &mut Problems) {
        self.executable_dir = sources.executable.as_deref().and_then(Path::parent).map(Path::to_path_buf);
        self.config.clone_from(&values.file);
        if self.plugins.is_none() {
            self.plugins_places = plugins_places(&sources.working_dir, self.executable_dir.as_deref());
            self.plugins = self.plugins_places.iter().find(|path| path.is_file()).cloned();
        }
        if self.data_dir.as_os_str().is_empty() {
            match &sources.platform_data_dir {
                Some(folder) => self.data_dir.clone_from(folder),
                None if problems.mention("TICKHOST_DATA_DIR") => {}
                None => problems.push(Problem::new(
                    Origin::Default,
                    "TICKHOST_DATA_DIR",
                    "this user has no home folder; name a folder for the host's database",
                )),
            }
        }
        if values.is_given("ws_max_queue") && !values.is_given("control_bytes") {
            self.control_bytes = usize::try_from(self.ws_max_queue).unwrap_or(usize::MAX) * REPLY_BYTES;
        }
        self.check_ignored(values);
        self.check_listeners(values, problems);
        self.check_frames(values, problems);
        self.check_tls(values, problems);
        self.check_secrets(values, problems);
    }

    /// What is allowed and decides nothing.
    fn check_ignored(&mut self, values: &Values) {
        if values.is_given("ws_max_queue") && values.is_given("control_bytes") {
            self.warnings.push(
                "WS_MAX_QUEUE counts for nothing beside TICKHOST_CONTROL_BYTES; leave one of them out"
                    .to_owned(),
            );
        }
        if let Some(folder) = self.plugin_dir.as_ref().filter(|folder| !folder.is_dir()) {
            self.warnings
                .push(format!("TICKHOST_PLUGIN_DIR: there is no such folder as {}", folder.display()));
        }
        let only_openalgo = [
            ("api_key_pepper", "API_KEY_PEPPER"),
            ("fernet_salt", "FERNET_SALT"),
            ("broker_api_key", "BROKER_API_KEY"),
            ("broker_api_secret", "BROKER_API_SECRET"),
        ];
        let unused: Vec<&str> =
            only_openalgo.iter().filter(|(key, _)| values.is_given(key)).map(|(_, name)| *name).collect();
        if self.database_url.is_none() && !values.is_given("database_url") && !unused.is_empty() {
            self.warnings.push(format!(
                "{} {} only with DATABASE_URL; the host's own accounts have credentials by `tickhost account set`",
                unused.join(", "),
                if unused.len() == 1 { "counts" } else { "count" }
            ));
        }
        if values.is_given("log") && !self.log.names_the_host() {
            self.warnings.push(format!(
                "TICKHOST_LOG: {:?} says no level for the host itself, so nothing of it is logged, errors included; \
                 write info,{}",
                self.log.as_str(),
                self.log.as_str()
            ));
        }
    }

    fn check_listeners(&self, values: &Values, problems: &mut Problems) {
        let mut listeners = vec![("websocket", self.websocket_address()), ("admin", self.admin_address())];
        listeners.extend(self.bus_address().map(|address| ("zmq", address)));
        for (index, (name, address)) in listeners.iter().enumerate() {
            if !address.ip().is_loopback() && !self.allow_remote {
                let message = "other machines could connect; if they should, set TICKHOST_ALLOW_REMOTE=true \
                               (and keep a firewall or a TLS proxy in front), else use 127.0.0.1";
                problems.extend(about(values, &format!("{name}_host"), message));
            }
            let clash = listeners.iter().take(index).find(|(_, other)| overlap(*other, *address));
            if let Some((other, _)) = clash {
                let other = find(&format!("{other}_port")).map_or("", |setting| setting.env);
                let message = format!("must differ from {other}, which is the same port");
                problems.extend(about(values, &format!("{name}_port"), &message));
            }
        }
    }

    /// The files of the certificate; none when the client port is not encrypted.
    pub fn tls_files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key })
    }

    fn check_tls(&mut self, values: &Values, problems: &mut Problems) {
        let (given, missing) = match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => ("tls_cert", "TICKHOST_TLS_KEY"),
            (None, Some(_)) => ("tls_key", "TICKHOST_TLS_CERT"),
            (None, None) => return,
            (Some(_), Some(key)) => {
                if is_readable_by_everybody(key) {
                    self.warnings.push(format!(
                        "{} is a private key and every user of this machine can read it; run chmod o= on it",
                        key.display()
                    ));
                }
                return;
            }
        };
        if !problems.mention(missing) {
            problems.extend(about(values, given, &format!("needs {missing} beside it")));
        }
    }

    fn check_frames(&self, values: &Values, problems: &mut Problems) {
        if self.max_frame_bytes_before_auth > self.max_frame_bytes {
            let message =
                format!("must not be more than TICKHOST_MAX_FRAME_BYTES, which is {}", self.max_frame_bytes);
            problems.extend(about(values, "max_frame_bytes_before_auth", &message));
        }
    }

    fn check_secrets(&mut self, values: &Values, problems: &mut Problems) {
        if let Some(secret) = &self.bus_secret {
            let length = secret.expose_secret().len();
            if !BUS_SECRET_BYTES.contains(&length) {
                let (min, max) = (BUS_SECRET_BYTES.start(), BUS_SECRET_BYTES.end());
                let message = format!("must have {min} to {max} bytes, and has {length}");
                problems.extend(about(values, "bus_secret", &message));
            }
        } else if let Some(address) = self.bus_address().filter(|address| !address.ip().is_loopback()) {
            self.warnings.push(format!(
                "ZMQ_HOST: whoever reaches {address} can publish prices, and order updates of every user; set \
                 TICKHOST_BUS_SECRET, or use 127.0.0.1"
            ));
        }
        if self.database_url.is_some() {
            let chars = |secret: &SecretString| secret.expose_secret().chars().count();
            match self.api_key_pepper.as_ref().map(chars) {
                None if problems.mention("API_KEY_PEPPER") => {}
                None => problems.push(Problem::new(
                    Origin::Default,
                    "API_KEY_PEPPER",
                    "is needed with DATABASE_URL: the value that the OpenAlgo installation has in its .env file",
                )),
                Some(count) if count < MIN_PEPPER_CHARS => problems.extend(about(
                    values,
                    "api_key_pepper",
                    &format!("must have at least {MIN_PEPPER_CHARS} characters, and has {count}"),
                )),
                Some(_) => {}
            }
        }
        let is_salt = |secret: &SecretString| {
            let text = secret.expose_secret();
            text.len() >= MIN_SALT_DIGITS
                && text.len().is_multiple_of(2)
                && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if self.fernet_salt.as_ref().is_some_and(|salt| !is_salt(salt)) {
            self.warnings.push(format!(
                "FERNET_SALT is not {MIN_SALT_DIGITS} or more hex digits, so that of old databases is used; give the value in \
                 OpenAlgo's .env, or leave it out"
            ));
        }
        let has_secret = values.keys_of_file().any(|key| find(key).is_some_and(Setting::is_secret));
        if let Some(path) = values.file.as_deref().filter(|path| has_secret && is_readable_by_others(path)) {
            self.warnings.push(format!(
                "{} holds secrets and other users of this machine can read it; run chmod 600 on it",
                path.display()
            ));
        }
    }
}

/// The problem with a setting, as a list of at most one.
fn about(values: &Values, key: &str, message: &str) -> Problems {
    find(key).map(|setting| values.problem(setting, message).into()).unwrap_or_default()
}

/// Whether two listeners want the same port.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_any = |address: IpAddr| address.is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || is_any(one.ip()) || is_any(other.ip()))
}

fn plugins_places(working_dir: &Path, executable_dir: Option<&Path>) -> Vec<PathBuf> {
    let above = executable_dir.into_iter().flat_map(|folder| folder.ancestors().take(PARENTS + 1));
    std::iter::once(working_dir).chain(above).map(|folder| folder.join(PLUGINS_FILE)).collect()
}

#[cfg(unix)]
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
}

/// Keys of a service are often readable by its group, so that counts for nothing.
#[cfg(unix)]
fn is_readable_by_everybody(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    path.metadata().is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_everybody(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Path) -> bool {
    false
}
