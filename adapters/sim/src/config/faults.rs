//! What goes wrong on purpose, so that everything behind an adapter can be seen to cope.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Deserializer, de};

use super::Problems;

const CONNECT_DELAY_MS: RangeInclusive<u64> = 0..=60_000;
const DISCONNECT_EVERY_MS: RangeInclusive<u64> = 10..=86_400_000;
const MUTE_AFTER_MS: RangeInclusive<u64> = 0..=86_400_000;

/// Where and at which symbol the adapter panics when only the other of the two is set.
const PANIC_DEFAULT: (Stage, &str) = (Stage::Subscribe, "PANIC");

/// The `faults` table. All but the first are off unless set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultsConfig {
    /// Symbols that begin like this are refused; empty refuses none.
    pub refuse_prefix: String,
    /// How long a login takes, 0 to 60,000 milliseconds.
    pub connect_delay_ms: u64,
    /// How many logins are refused: `never`, `first`, `always` or a number.
    pub auth_failure: AuthFailures,
    /// How long each connection lasts, 10 milliseconds to a day.
    pub disconnect_every_ms: Option<u64>,
    /// After how long each connection falls silent without ending, up to a day in milliseconds.
    pub mute_after_ms: Option<u64>,
    /// Whether ticks of an instrument that nobody subscribed are published among the others.
    pub stray_ticks: bool,
    /// Instrument at which the adapter panics: `PANIC` when only `panic_in` is set, none when neither is.
    pub panic_on_symbol: Option<String>,
    /// Where the adapter panics: on `subscribe` when only `panic_on_symbol` is set, nowhere when neither is.
    pub panic_in: Option<Stage>,
}

impl Default for FaultsConfig {
    fn default() -> Self {
        Self {
            refuse_prefix: "BAD".to_owned(),
            connect_delay_ms: 0,
            auth_failure: AuthFailures::default(),
            disconnect_every_ms: None,
            mute_after_ms: None,
            stray_ticks: false,
            panic_on_symbol: None,
            panic_in: None,
        }
    }
}

/// Where an adapter can panic.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// On each login, whatever is subscribed.
    Connect,
    /// When the instrument is subscribed.
    Subscribe,
    /// When the instrument's next tick is due after its first one.
    Next,
}

/// How many logins are refused since the instance was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthFailures(
    /// `u32::MAX` stands for all of them.
    pub u32,
);

impl<'de> Deserialize<'de> for AuthFailures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AuthFailuresVisitor)
    }
}

struct AuthFailuresVisitor;

impl de::Visitor<'_> for AuthFailuresVisitor {
    type Value = AuthFailures;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`never`, `first`, `always` or how many logins to refuse")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<AuthFailures, E> {
        match word {
            "never" => Ok(AuthFailures(0)),
            "first" => Ok(AuthFailures(1)),
            "always" => Ok(AuthFailures(u32::MAX)),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, count: u64) -> Result<AuthFailures, E> {
        u32::try_from(count)
            .map(AuthFailures)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(count), &self))
    }

    fn visit_i64<E: de::Error>(self, count: i64) -> Result<AuthFailures, E> {
        u32::try_from(count)
            .map(AuthFailures)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(count), &self))
    }
}

/// Checked faults.
#[derive(Clone, Debug)]
pub struct Faults {
    refuse_prefix: String,
    /// How long a login takes.
    pub connect_delay: Duration,
    /// How many logins are refused.
    pub auth_failures: AuthFailures,
    /// How long each connection lasts.
    pub disconnect_every: Option<Duration>,
    /// After how long each connection falls silent.
    pub mute_after: Option<Duration>,
    /// Whether foreign ticks are published among the others.
    pub stray_ticks: bool,
    /// Where the adapter panics.
    pub panic: Option<PanicPoint>,
}

/// Where, and at which instrument, the adapter panics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanicPoint {
    /// Where.
    pub stage: Stage,
    /// At which symbol, on any exchange; without meaning for [`Stage::Connect`].
    pub symbol: String,
}

impl Faults {
    /// Whether a symbol is refused, although it may exist.
    pub fn refuses(&self, symbol: &str) -> bool {
        !self.refuse_prefix.is_empty() && symbol.starts_with(&self.refuse_prefix)
    }

    /// Whether the adapter is to panic at this point with this symbol.
    pub fn panics(&self, stage: Stage, symbol: &str) -> bool {
        self.panic
            .as_ref()
            .is_some_and(|panic| panic.stage == stage && (stage == Stage::Connect || panic.symbol == symbol))
    }
}

impl FaultsConfig {
    pub(super) fn check(&self, problems: &mut Problems) -> Faults {
        problems.check_range("faults.connect_delay_ms", self.connect_delay_ms, &CONNECT_DELAY_MS);
        let mut optional = |key, value: Option<u64>, range| {
            if let Some(value) = value {
                problems.check_range(key, value, range);
            }
            value.map(Duration::from_millis)
        };
        let disconnect_every =
            optional("faults.disconnect_every_ms", self.disconnect_every_ms, &DISCONNECT_EVERY_MS);
        let mute_after = optional("faults.mute_after_ms", self.mute_after_ms, &MUTE_AFTER_MS);
        if let Some(symbol) = &self.panic_on_symbol {
            problems.check_symbol("faults.panic_on_symbol", symbol);
        }
        let (default_stage, default_symbol) = PANIC_DEFAULT;
        let is_armed = self.panic_in.is_some() || self.panic_on_symbol.is_some();
        let panic = is_armed.then(|| PanicPoint {
            stage: self.panic_in.unwrap_or(default_stage),
            symbol: self.panic_on_symbol.as_deref().unwrap_or(default_symbol).to_owned(),
        });
        Faults {
            refuse_prefix: self.refuse_prefix.clone(),
            connect_delay: Duration::from_millis(self.connect_delay_ms),
            auth_failures: self.auth_failure,
            disconnect_every,
            mute_after,
            stray_ticks: self.stray_ticks,
            panic,
        }
    }
}
