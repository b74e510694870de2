//! What the suite has to know of an adapter: `conformance.toml`, as its author writes it.

mod brand;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

pub use self::brand::BrandProfile;
use crate::value::{Value, nanos};

/// Stands in a setting for the fake venue's address, `127.0.0.1:PORT`.
const PLACEHOLDER: &str = "{venue}";

/// Stands in a setting for a folder that is empty when a case begins, and gone when it has ended.
const SCRATCH: &str = "{scratch}";

/// The setting of adapters that keep their lists of instruments in a folder.
const CACHE_DIR: &str = "cache_dir";

/// Instruments that the cases need at least.
const INSTRUMENTS: usize = 3;

/// Shortest value that is looked for as a secret.
const SECRET_BYTES: usize = 4;

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The profile.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file says something that makes no sense.
    #[error("{}: {problem}", file.display())]
    Wrong {
        /// The profile.
        file: PathBuf,
        /// What is wrong, in a sentence.
        problem: String,
    },
}

/// A profile. Every member but the instruments has a default; a case that needs more is skipped.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Stem of the library, such as `adapter_acme`, for a test of the folder of its sources.
    pub library: Option<String>,
    /// Command that starts the fake venue, from the folder of the profile. Left out, the adapter needs none.
    pub venue: Option<Vec<String>>,
    /// The adapter's settings. `{venue}` in a text becomes the fake venue's address.
    #[serde(default)]
    pub config: Map<String, Json>,
    /// What it logs in with.
    #[serde(default)]
    pub credentials: CredentialSets,
    /// How it logs in, if it does so by itself.
    pub login: Option<LogIn>,
    /// Instruments that exist, at least three.
    pub instruments: Vec<Instrument>,
    /// Instruments whose symbols have underscores, hyphens, spaces or other unusual characters.
    #[serde(default)]
    pub odd: Vec<Instrument>,
    /// An instrument that does not exist.
    pub unknown: Option<Instrument>,
    /// Many instruments.
    pub bulk: Option<Bulk>,
    /// What is special about the broker.
    #[serde(default)]
    pub limits: Limits,
    /// What differs at single brokers of a library that serves several, by name.
    #[serde(default, rename = "brand")]
    pub brands: BTreeMap<String, BrandProfile>,
    /// Settings that make something happen, for an adapter without a fake venue; laid over `config`.
    #[serde(default)]
    pub conditions: BTreeMap<String, Map<String, Json>>,
    /// The folder of the file.
    #[serde(skip)]
    pub dir: PathBuf,
}

/// Credentials by name, such as `access_token`.
pub type CredentialSet = BTreeMap<String, String>;

/// Three sets of credentials.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialSets {
    /// The first set that the venue accepts.
    #[serde(default)]
    pub valid: CredentialSet,
    /// The set that follows it, as after the nightly renewal.
    #[serde(default)]
    pub renewed: CredentialSet,
    /// A set that the venue never accepts.
    #[serde(default)]
    pub wrong: CredentialSet,
    /// Names of credentials that may be shown, such as a client number. All others are secrets.
    #[serde(default)]
    pub public: Vec<String>,
}

/// What a log-in begins with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The fields that are stored before.
    #[serde(default)]
    pub fields: CredentialSet,
    /// What is laid over them for a log-in that the venue refuses, such as another secret.
    #[serde(default)]
    pub wrong: CredentialSet,
}

/// An instrument.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instrument {
    /// Exchange code, such as `NSE`.
    pub exchange: String,
    /// Symbol, as a client writes it.
    pub symbol: String,
    /// Lowest and highest price that it can have, as decimals. Only needed without a fake venue.
    pub band: Option<(String, String)>,
    /// Smallest price step, as a decimal. Only needed without a fake venue.
    pub step: Option<String>,
    /// Names of values that it never has, such as the volume of an index. Only needed without a fake venue.
    #[serde(default)]
    pub lacks: Vec<String>,
}

/// Many instruments of one exchange.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// Exchange code.
    pub exchange: String,
    /// Symbols, written out.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// A symbol with `{n}` in the place of a number from 1.
    pub pattern: Option<String>,
    /// How many instruments the pattern makes.
    #[serde(default)]
    pub count: u32,
    /// Most instruments that the broker takes in one message; none when it has no limit.
    pub largest_message: Option<u64>,
}

/// What is special about the broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest silence before the adapter must take the connection for dead, in milliseconds. None when it
    /// cannot tell.
    pub stall_ms: Option<u64>,
    /// Most levels that the broker has on a side.
    pub depth: u16,
    /// Decimal places of its prices.
    pub price_decimals: u32,
    /// Digits of its prices: 7 for floats of 32 bits.
    pub price_digits: u32,
    /// Resolution of its times, in nanoseconds.
    pub time_resolution_ns: i64,
    /// Reconnects of the case that counts descriptors.
    pub reconnects: u32,
    /// The broker's modes by their names in the control protocol, lowest first, where it has fewer than
    /// clients: what is wanted in another is subscribed in the next higher one.
    pub modes: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stall_ms: None,
            depth: 5,
            price_decimals: 2,
            price_digits: 19,
            time_resolution_ns: 1_000_000_000,
            reconnects: 1_000,
            modes: Vec::new(),
        }
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// When it cannot be read, or is wrong.
    pub fn load(file: &Path) -> Result<Self, ProfileError> {
        let text = fs::read_to_string(file)
            .map_err(|source| ProfileError::Unreadable { file: file.to_owned(), source })?;
        let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&text, dir).map_err(|problem| ProfileError::Wrong { file: file.to_owned(), problem })
    }

    /// Reads the text of a profile that stands, or would stand, in a folder.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn parse(text: &str, dir: &Path) -> Result<Self, String> {
        let mut profile: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        dir.clone_into(&mut profile.dir);
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), String> {
        if self.instruments.len() < INSTRUMENTS {
            return Err(format!("instruments must list at least {INSTRUMENTS}"));
        }
        if self.venue.as_ref().is_some_and(Vec::is_empty) {
            return Err("venue must name a program, or be left out".to_owned());
        }
        for instrument in self.instruments.iter().chain(&self.odd) {
            let name = instrument.name();
            if let Some(value) = instrument.lacks.iter().find(|value| Value::named(value).is_none()) {
                return Err(format!("{name} lacks `{value}`, but there is no value of that name"));
            }
            let band = instrument.band.iter().flat_map(|(low, high)| [low, high]);
            if let Some(wrong) = band.chain(&instrument.step).find(|decimal| nanos(decimal).is_none()) {
                return Err(format!("{name}: `{wrong}` is no decimal of at most 9 places"));
            }
        }
        if self.limits.price_decimals > 9 || self.limits.time_resolution_ns < 1 {
            return Err("price_decimals must be 0 to 9, time_resolution_ns at least 1".to_owned());
        }
        Ok(())
    }

    /// The settings as JSON, with the venue's address and what a condition lays over them.
    pub(crate) fn config_json(&self, address: &str, overlay: Option<&Map<String, Json>>) -> String {
        self.config(overlay, &[(PLACEHOLDER, address)])
    }

    /// The same for a case, which has a folder. An adapter that keeps lists keeps them there, whatever the
    /// profile says: those of one case, or of another adapter, are none of the next.
    pub(crate) fn config_in(
        &self,
        address: &str,
        overlay: Option<&Map<String, Json>>,
        scratch: &Path,
        keeps_lists: bool,
    ) -> String {
        let mut overlay = overlay.cloned().unwrap_or_default();
        if keeps_lists {
            overlay.insert(CACHE_DIR.to_owned(), SCRATCH.into());
        }
        self.config(Some(&overlay), &[(PLACEHOLDER, address), (SCRATCH, &scratch.to_string_lossy())])
    }

    fn config(&self, overlay: Option<&Map<String, Json>>, places: &[(&str, &str)]) -> String {
        let mut config = Json::Object(self.config.clone());
        if let Some(overlay) = overlay {
            lay_over(&mut config, &Json::Object(overlay.clone()));
        }
        fill(&mut config, places);
        config.to_string()
    }

    /// Whether settings of this schema have a folder for lists.
    pub(crate) fn has_cache_dir(schema: &str) -> bool {
        let schema: Json = serde_json::from_str(schema).unwrap_or_default();
        schema.pointer("/properties").is_some_and(|properties| properties.get(CACHE_DIR).is_some())
    }

    /// Credentials that must not be seen outside the log-in. Those of less than 4 bytes are left out: they
    /// are found everywhere by chance.
    pub fn secrets(&self) -> Vec<&str> {
        let sets = [&self.credentials.valid, &self.credentials.renewed, &self.credentials.wrong];
        let log_in = self.login.iter().flat_map(|login| [&login.fields, &login.wrong]);
        let all = sets.into_iter().chain(log_in).flatten();
        let is_secret = |name: &String, value: &str| {
            !self.credentials.public.contains(name) && value.len() >= SECRET_BYTES
        };
        let secret = all.filter(|(name, value)| is_secret(name, value));
        secret.map(|(_, value)| value.as_str()).collect()
    }

    /// The unusual instruments and the usual ones by their first place.
    pub(crate) fn instrument(&self, place: usize) -> &Instrument {
        // `check` saw to it that there are enough; a case that asks for more gets the first again.
        self.instruments.get(place).or(self.instruments.first()).unwrap_or(&NOWHERE)
    }
}

/// Stands in for an instrument of a profile that has none, which `check` refuses.
static NOWHERE: Instrument =
    Instrument { exchange: String::new(), symbol: String::new(), band: None, step: None, lacks: Vec::new() };

impl Instrument {
    /// `EXCHANGE:SYMBOL`.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.exchange, self.symbol)
    }
}

impl Bulk {
    /// The instruments, at most so many.
    pub(crate) fn instruments(&self, most: usize) -> Vec<Instrument> {
        let made = self
            .pattern
            .iter()
            .flat_map(|pattern| (1..=self.count).map(|n| pattern.replace("{n}", &n.to_string())));
        let symbols = self.symbols.iter().cloned().chain(made);
        let of = |symbol| Instrument { exchange: self.exchange.clone(), symbol, ..NOWHERE.clone() };
        symbols.take(most).map(of).collect()
    }
}

impl Limits {
    /// Longest silence that the adapter takes for life.
    pub(crate) fn stall(&self) -> Option<Duration> {
        self.stall_ms.map(Duration::from_millis)
    }
}

/// A set of credentials as the host hands it over.
pub(crate) fn credentials_json(set: &CredentialSet) -> String {
    Json::from_iter(set.clone()).to_string()
}

fn lay_over(below: &mut Json, above: &Json) {
    match (below, above) {
        (Json::Object(below), Json::Object(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key.as_str()).or_insert(Json::Null), value);
            }
        }
        (below, above) => *below = above.clone(),
    }
}

fn fill(value: &mut Json, places: &[(&str, &str)]) {
    match value {
        Json::String(text) => {
            *text = places.iter().fold(text.clone(), |text, (place, with)| text.replace(place, with));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| fill(item, places)),
        Json::Object(members) => members.values_mut().for_each(|member| fill(member, places)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests;
