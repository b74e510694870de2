//! The settings: as a person writes them, and checked.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use serde::Deserialize;

const RATE_HZ: RangeInclusive<f64> = 0.001..=10_000.0;

/// The adapter's table in `plugins.toml`. Every setting has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Ticks of one instrument per second, 0.001 to 10,000.
    pub rate_hz: f64,
    /// `host:port` of a server that says what to publish, instead of ticks of the adapter's own.
    pub venue: Option<String>,
    /// What it does wrong.
    pub fault: Option<Fault>,
    /// The fault happens when this file exists. The adapter removes it first, so that the next instance is
    /// well.
    pub trigger: Option<PathBuf>,
    /// The fault happens so many milliseconds after each connect, when there is no trigger.
    pub after_ms: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self { rate_hz: 20.0, venue: None, fault: None, trigger: None, after_ms: None }
    }
}

/// What the adapter can do wrong; `tests/adapters/README.md` says more of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Writes to an address that is not mapped.
    Segfault,
    /// Aborts the process.
    Abort,
    /// Ends the process with exit code 3.
    Exit,
    /// Panics when it is asked whether instrument `PANIC` exists.
    PanicCallback,
    /// Panics in `next`.
    PanicTask,
    /// Panics in an `extern "C"` function, which nothing can catch.
    PanicEscape,
    /// Computes for ever.
    EndlessLoop,
    /// Blocks the thread for an hour before it is connected.
    SleepInConnect,
    /// Blocks the thread for an hour.
    SleepInNext,
    /// Takes memory, and uses it.
    MemoryLeak,
    /// Opens files.
    DescriptorLeak,
    /// Starts threads.
    ThreadLeak,
    /// Publishes as fast as it can.
    TickFlood,
    /// Publishes records that make no sense, as far as the SDK lets it.
    GarbageRecords,
    /// Publishes under numbers that were never subscribed.
    StrayIds,
    /// Shows its credentials wherever it can.
    LogSecret,
    /// Writes to the host's standard output.
    StdoutNoise,
    /// Ends the connection by which its process brings ticks to the host, and has none any more. On Linux.
    EndLink,
}

impl Fault {
    /// Whether it happens on a connection that is up.
    pub(crate) const fn is_in_next(self) -> bool {
        !matches!(self, Self::PanicCallback | Self::SleepInConnect)
    }
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The rate is out of range, or no number.
    #[error("rate_hz is {rate_hz}; allowed are {} to {}", RATE_HZ.start(), RATE_HZ.end())]
    Rate {
        /// The rate.
        rate_hz: f64,
    },
    /// There are two moments for one fault.
    #[error("trigger and after_ms exclude each other: leave one of them out")]
    TwoMoments,
    /// There is a moment for nothing.
    #[error("trigger and after_ms need a fault: name one, or leave them out")]
    NoFault,
}

/// Settings that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Between two ticks of one instrument.
    pub(crate) interval: Duration,
    pub(crate) venue: Option<String>,
    pub(crate) fault: Option<Fault>,
    pub(crate) when: When,
}

/// When the fault happens.
#[derive(Clone, Debug)]
pub(crate) enum When {
    /// When this file exists.
    Triggered(PathBuf),
    /// So long after each connect.
    After(Duration),
}

impl Config {
    pub(crate) fn check(self) -> Result<Settings, ConfigError> {
        let Self { rate_hz, venue, fault, trigger, after_ms } = self;
        if !RATE_HZ.contains(&rate_hz) {
            return Err(ConfigError::Rate { rate_hz });
        }
        if fault.is_none() && (trigger.is_some() || after_ms.is_some()) {
            return Err(ConfigError::NoFault);
        }
        let when = match (trigger, after_ms) {
            (Some(_), Some(_)) => return Err(ConfigError::TwoMoments),
            (Some(file), None) => When::Triggered(file),
            (None, after_ms) => When::After(Duration::from_millis(after_ms.unwrap_or(0))),
        };
        Ok(Settings { interval: Duration::from_secs_f64(1.0 / rate_hz), venue, fault, when })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Settings, String> {
        let config: Config = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())
    }

    #[test]
    fn every_setting_has_a_default_and_a_misspelt_one_is_refused() {
        let settings = check("{}").unwrap();
        assert_eq!((settings.interval, settings.fault), (Duration::from_millis(50), None));
        assert!(check(r#"{"colour": "abort"}"#).unwrap_err().contains("unknown field `colour`"));
        assert!(check(r#"{"fault": "crash"}"#).unwrap_err().contains("unknown variant `crash`"));
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        for rate in ["0", "-1", "10001"] {
            assert!(check(&format!(r#"{{"rate_hz": {rate}}}"#)).unwrap_err().starts_with("rate_hz is"));
        }
        assert!(check(r#"{"trigger": "/x"}"#).unwrap_err().contains("need a fault"));
        assert!(check(r#"{"after_ms": 1}"#).unwrap_err().contains("need a fault"));
        let both = check(r#"{"fault": "abort", "trigger": "/x", "after_ms": 1}"#);
        assert!(both.unwrap_err().contains("exclude each other"));
    }

    #[test]
    fn a_fault_without_a_moment_happens_at_once() {
        let settings = check(r#"{"fault": "segfault"}"#).unwrap();
        assert!(matches!(settings.when, When::After(Duration::ZERO)), "{:?}", settings.when);
    }
}
