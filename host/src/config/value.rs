//! What a setting may be, and how its text becomes a type that cannot be wrong.

use std::{net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use tracing_subscriber::EnvFilter;

/// Most names in one list.
const MAX_NAMES: usize = 256;
/// What the modules of the host begin with in its log.
const HOST_MODULES: &str = env!("CARGO_CRATE_NAME");
/// Longest secret, path or address, in bytes.
const MAX_TEXT_BYTES: usize = 4_096;

/// One row of the table of settings.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Key in `tickhost.toml`; the flag is the same with dashes.
    pub key: &'static str,
    /// Environment variable.
    pub env: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Value when nobody gives one, as an operator would write it.
    pub default: Option<&'static str>,
    /// What happens without a value, for rows without a default.
    pub unset: &'static str,
    /// Heading under which documents list it.
    pub group: &'static str,
    /// What it decides.
    pub help: &'static str,
    /// Whether the short help shows it.
    pub is_common: bool,
    /// Whether `tickhost.toml` may have it.
    pub is_in_file: bool,
    /// Whether a running host follows a new value when it is told to reload.
    pub is_live: bool,
}

impl Setting {
    pub(super) const fn new(env: &'static str, kind: Kind) -> Self {
        Self {
            key: "",
            env,
            kind,
            default: None,
            unset: "",
            group: "",
            help: "",
            is_common: false,
            is_in_file: true,
            is_live: false,
        }
    }

    pub(super) const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    pub(super) const fn unset(self, unset: &'static str) -> Self {
        Self { unset, ..self }
    }

    pub(super) const fn common(self) -> Self {
        Self { is_common: true, ..self }
    }

    pub(super) const fn live(self) -> Self {
        Self { is_live: true, ..self }
    }

    pub(super) const fn not_in_file(self) -> Self {
        Self { is_in_file: false, ..self }
    }

    /// Whether the value must never be shown.
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// The flag, with its dashes; none for secrets, because every program of the machine can read arguments.
    pub fn flag(&self) -> Option<String> {
        (!self.is_secret()).then(|| format!("--{}", self.key.replace('_', "-")))
    }
}

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An IP address, or `localhost`.
    Address,
    /// A whole number in this range.
    Whole(u64, u64),
    /// Whole seconds in this range.
    Seconds(u64, u64),
    /// Whole milliseconds in this range.
    Milliseconds(u64, u64),
    /// Bytes in this range.
    Bytes(u64, u64),
    /// Yes or no.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Names, separated by commas; in the file also an array.
    Names,
    /// Origins of pages, separated by commas; in the file also an array.
    Origins,
    /// A file or folder.
    Path,
    /// Anything, but never to be shown.
    Secret,
    /// A time of day.
    TimeOfDay,
    /// Log levels by module.
    Filter,
    /// The address of an `OpenAlgo` database.
    Database,
}

impl Kind {
    /// What is allowed, to be read after "must be".
    pub fn allowed(self) -> String {
        match self {
            Self::Address => "an IP address such as 127.0.0.1, or localhost".to_owned(),
            Self::Whole(min, max) => format!("a whole number from {min} to {max}"),
            Self::Seconds(min, max) => format!("whole seconds from {min} to {max}"),
            Self::Milliseconds(min, max) => format!("whole milliseconds from {min} to {max}"),
            Self::Bytes(min, max) => format!("bytes from {min} to {max}"),
            Self::Switch => "true or false (also on, off, yes, no, 1, 0)".to_owned(),
            Self::Choice(words) => words.join(" or "),
            Self::Names => "names of letters, digits, _ and -, separated by commas".to_owned(),
            Self::Origins => {
                "origins of pages such as https://app.example or http://localhost:3000, without a path, separated by commas; to \
                 allow every page, leave it out"
                    .to_owned()
            }
            Self::Path => "a path".to_owned(),
            Self::Secret => format!("at most {MAX_TEXT_BYTES} bytes of text"),
            Self::TimeOfDay => "a time of day from 00:00 to 23:59".to_owned(),
            Self::Filter => {
                "a level (off, error, warn, info, debug, trace) or a list such as info,tickhost=debug"
                    .to_owned()
            }
            Self::Database => "sqlite:///relative/path or sqlite:////absolute/path".to_owned(),
        }
    }

    fn range(self) -> Option<(u64, u64)> {
        match self {
            Self::Whole(min, max)
            | Self::Seconds(min, max)
            | Self::Milliseconds(min, max)
            | Self::Bytes(min, max) => Some((min, max)),
            _ => None,
        }
    }
}

/// Turns the text of a setting into its type.
pub(super) trait FromText: Sized {
    /// The value; none when the text is not allowed.
    fn from_text(text: &str, kind: Kind) -> Option<Self>;

    /// The value when nobody gives one and the row has no default.
    fn absent() -> Option<Self> {
        None
    }

    /// Whether both decide the same.
    fn is_same(&self, other: &Self) -> bool;
}

impl<T: FromText> FromText for Option<T> {
    fn from_text(text: &str, kind: Kind) -> Option<Self> {
        T::from_text(text, kind).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Some(one), Some(other)) => one.is_same(other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

fn whole(text: &str, kind: Kind) -> Option<u64> {
    let (min, max) = kind.range()?;
    // `+5` and `5_000` parse nowhere else, so they are mistakes here too.
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten().filter(|number| (min..=max).contains(number))
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl FromText for $type {
            fn from_text(text: &str, kind: Kind) -> Option<Self> {
                whole(text, kind)?.try_into().ok()
            }

            fn is_same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )*};
}
numbers!(u16, u32, usize);

impl FromText for Duration {
    fn from_text(text: &str, kind: Kind) -> Option<Self> {
        let number = whole(text, kind)?;
        match kind {
            Kind::Seconds(..) => Some(Self::from_secs(number)),
            Kind::Milliseconds(..) => Some(Self::from_millis(number)),
            _ => None,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl FromText for IpAddr {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        if text.eq_ignore_ascii_case("localhost") {
            return Some(Self::from([127, 0, 0, 1]));
        }
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match inner {
            Some(inner) => inner.parse().ok().map(Self::V6),
            None => text.parse().ok(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl FromText for bool {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" => Some(true),
            "false" | "off" | "no" | "0" => Some(false),
            _ => None,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl FromText for PathBuf {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        let is_path = !text.is_empty() && text.len() <= MAX_TEXT_BYTES && !text.contains('\0');
        is_path.then(|| Self::from(text))
    }

    /// Filled in once all settings are known.
    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl FromText for SecretString {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        (!text.is_empty() && text.len() <= MAX_TEXT_BYTES).then(|| Self::from(text))
    }

    fn is_same(&self, other: &Self) -> bool {
        self.expose_secret() == other.expose_secret()
    }
}

impl FromText for Vec<String> {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        let names: Self =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let is_name = |name: &String| {
            name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        (names.len() <= MAX_NAMES && names.iter().all(is_name)).then_some(names)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// A time of day in the zone of the exchange (Asia/Kolkata).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
}

impl TimeOfDay {
    /// Minutes since midnight, 0 to 1439.
    pub const fn minutes(self) -> u16 {
        self.hour as u16 * 60 + self.minute as u16
    }
}

impl FromText for TimeOfDay {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let part = |text: &str, max: u64| u8::try_from(whole(text, Kind::Whole(0, max))?).ok();
        let is_short = hour.len() <= 2 && minute.len() == 2;
        is_short.then(|| Some(Self { hour: part(hour, 23)?, minute: part(minute, 59)? })).flatten()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object per line, for collectors.
    Json,
}

impl FromText for LogFormat {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// Log levels by module, known to be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it says what the host itself logs: a level for all, or one for a module of the host.
    pub(super) fn names_the_host(&self) -> bool {
        self.0.split(',').map(str::trim).any(|part| !part.contains('=') || part.starts_with(HOST_MODULES))
    }
}

impl FromText for LogFilter {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        // A bare word that is no level names a module: `debg` would silence everything and say nothing.
        let is_directive = |part: &str| {
            part.contains('=') || tracing_subscriber::filter::LevelFilter::from_str(part).is_ok()
        };
        let is_valid = !text.is_empty()
            && text.len() <= MAX_TEXT_BYTES
            && text.split(',').map(str::trim).all(is_directive)
            && EnvFilter::try_new(text).is_ok();
        is_valid.then(|| Self(text.to_owned()))
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// Address of an `OpenAlgo` database. Other kinds of databases carry a password in their address, so it is
/// never shown.
#[derive(Clone, Debug)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// The address as written, `sqlite:///…`.
    pub fn as_str(&self) -> &str {
        self.0.expose_secret()
    }

    /// The path in it: relative after three slashes, absolute after four. What stands after a `?` is left
    /// out.
    pub fn path(&self) -> &std::path::Path {
        let path = self.as_str().strip_prefix("sqlite:///").unwrap_or_default();
        std::path::Path::new(path.split_once('?').map_or(path, |(path, _)| path))
    }
}

impl FromText for DatabaseUrl {
    fn from_text(text: &str, _: Kind) -> Option<Self> {
        let url = Self(SecretString::from(text));
        (text.len() <= MAX_TEXT_BYTES && !url.path().as_os_str().is_empty()).then_some(url)
    }

    fn is_same(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
