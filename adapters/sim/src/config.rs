//! The settings of one instance: as a person writes them, and checked.

mod faults;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::RangeInclusive,
    time::Duration,
};

use serde::Deserialize;

pub use faults::{AuthFailures, Faults, FaultsConfig, PanicPoint, Stage};

use crate::universe::{EXCHANGES, Instrument, Kind, PRICE_SCALE, Spot, exchange_code};

const RATE_HZ: RangeInclusive<f64> = 0.1..=1000.0;
const PRICE: RangeInclusive<f64> = 1.0..=1_000_000.0;
const TICK: RangeInclusive<f64> = 0.0001..=100.0;
const LOT: RangeInclusive<i64> = 1..=1_000_000;
const LATENCY_MS: RangeInclusive<u64> = 0..=60_000;
const EXTRA_INSTRUMENTS_MAX: usize = 10_000;
const TICKS_IN_PRICE_MIN: i64 = 20;

/// The adapter's section of `plugins.toml`. Every setting has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What all prices follow from.
    pub seed: u64,
    /// Ticks of one instrument per second, 0.1 to 1000.
    pub rate_hz: f64,
    /// Other rates, by `EXCHANGE` or `EXCHANGE:SYMBOL`; the latter wins.
    pub rates: BTreeMap<String, f64>,
    /// Instruments beyond the built-in ones, at most 10,000.
    pub instruments_extra: Vec<ExtraInstrument>,
    /// Age of a tick's exchange time when it is published, 0 to 60,000 milliseconds.
    pub latency_ms: u64,
    /// Whether volumes and last quantities are replaced by when a tick was due and which one it is.
    pub stamps: bool,
    /// What goes wrong on purpose.
    pub faults: FaultsConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            rate_hz: 2.0,
            rates: BTreeMap::new(),
            instruments_extra: Vec::new(),
            latency_ms: 0,
            stamps: false,
            faults: FaultsConfig::default(),
        }
    }
}

/// One more instrument. What it is follows from its exchange: an index, a crypto pair, a future, or a share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraInstrument {
    /// Exchange code, such as `NSE`.
    pub exchange: String,
    /// Symbol, without spaces, at most 64 bytes.
    pub symbol: String,
    /// The price that it moves around, 1 to 1,000,000 and at least 20 price steps.
    #[serde(default = "default_price")]
    pub price: f64,
    /// Smallest price step, 0.0001 to 100.
    #[serde(default = "default_tick")]
    pub tick: f64,
    /// Smallest quantity, 1 to 1,000,000.
    #[serde(default = "default_lot")]
    pub lot: i64,
}

fn default_price() -> f64 {
    100.0
}

fn default_tick() -> f64 {
    0.05
}

fn default_lot() -> i64 {
    1
}

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What all prices follow from.
    pub seed: u64,
    /// How often each instrument ticks.
    pub rates: Rates,
    /// Instruments beyond the built-in ones. Their names may still be taken.
    pub instruments_extra: Vec<Instrument>,
    /// Age of a tick's exchange time when it is published.
    pub latency: Duration,
    /// Whether the volume is the microsecond since the Unix epoch at which the tick was due, and the last
    /// quantity its number among those of its instrument, from 1.
    pub stamps: bool,
    /// What goes wrong on purpose.
    pub faults: Faults,
}

/// How often each instrument ticks.
#[derive(Clone, Debug)]
pub struct Rates {
    default: Duration,
    by_name: HashMap<String, Duration>,
}

impl Rates {
    /// Mean time between two ticks of an instrument: 1 millisecond to 10 seconds.
    pub fn interval(&self, instrument: &Instrument) -> Duration {
        self.by_name
            .get(&instrument.name())
            .or_else(|| self.by_name.get(instrument.exchange))
            .copied()
            .unwrap_or(self.default)
    }
}

/// Settings that cannot be used. Names every problem at once.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", join(.problems))]
pub struct ConfigError {
    /// What is wrong; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Problem {
    /// A number outside its range.
    #[error("{key} is {value}, but must be between {low} and {high}")]
    OutOfRange {
        /// Path of the setting.
        key: String,
        /// What it was set to.
        value: String,
        /// Smallest value allowed.
        low: String,
        /// Largest value allowed.
        high: String,
    },
    /// An exchange code that does not exist.
    #[error("{key} names the exchange `{exchange}`, but must name one of {}", EXCHANGES.join(", "))]
    UnknownExchange {
        /// Path of the setting.
        key: String,
        /// What it was set to.
        exchange: String,
    },
    /// A symbol that no client could subscribe.
    #[error(
        "{key} is `{symbol}`, but must have 1 to 64 letters, digits or punctuation marks and no space or colon"
    )]
    BadSymbol {
        /// Path of the setting.
        key: String,
        /// What it was set to.
        symbol: String,
    },
    /// A price of too few steps for a book around it.
    #[error(
        "{key}.price must be at least {TICKS_IN_PRICE_MIN} times {key}.tick: raise the one or lower the other"
    )]
    CoarseTick {
        /// Path of the instrument.
        key: String,
    },
    /// More instruments than fit.
    #[error("instruments_extra has {count} entries, but at most {EXTRA_INSTRUMENTS_MAX} are allowed")]
    TooManyInstruments {
        /// How many there are.
        count: usize,
    },
    /// An instrument that exists already.
    #[error("instruments_extra names {name}, which exists already: remove it or choose another symbol")]
    NameTaken {
        /// `EXCHANGE:SYMBOL`.
        name: String,
    },
}

fn join(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Config {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names everything that is out of range, misspelt or contradictory.
    pub fn check(&self) -> Result<Settings, ConfigError> {
        let mut problems = Problems::default();
        let rates = self.check_rates(&mut problems);
        if self.instruments_extra.len() > EXTRA_INSTRUMENTS_MAX {
            problems.add(Problem::TooManyInstruments { count: self.instruments_extra.len() });
        }
        let instruments_extra = self
            .instruments_extra
            .iter()
            .take(EXTRA_INSTRUMENTS_MAX)
            .enumerate()
            .filter_map(|(index, extra)| extra.check(&format!("instruments_extra[{index}]"), &mut problems))
            .collect();
        problems.check_range("latency_ms", self.latency_ms, &LATENCY_MS);
        let faults = self.faults.check(&mut problems);
        problems.into_result(Settings {
            seed: self.seed,
            rates,
            instruments_extra,
            latency: Duration::from_millis(self.latency_ms),
            stamps: self.stamps,
            faults,
        })
    }

    fn check_rates(&self, problems: &mut Problems) -> Rates {
        let mut interval = |key: &str, rate_hz: f64| {
            let usable = problems.check_range(key, rate_hz, &RATE_HZ);
            Duration::from_secs(1).div_f64(if usable { rate_hz } else { 1.0 })
        };
        let default = interval("rate_hz", self.rate_hz);
        let by_name: HashMap<_, _> = self
            .rates
            .iter()
            .map(|(name, rate_hz)| (name.clone(), interval(&format!("rates.\"{name}\""), *rate_hz)))
            .collect();
        for name in self.rates.keys() {
            let (exchange, symbol) =
                name.split_once(':').map_or((name.as_str(), None), |(left, right)| (left, Some(right)));
            let key = format!("rates.\"{name}\"");
            problems.check_exchange(&key, exchange);
            if let Some(symbol) = symbol {
                problems.check_symbol(&key, symbol);
            }
        }
        Rates { default, by_name }
    }
}

impl ExtraInstrument {
    fn check(&self, key: &str, problems: &mut Problems) -> Option<Instrument> {
        let exchange = problems.check_exchange(&format!("{key}.exchange"), &self.exchange);
        let symbol_is_fine = problems.check_symbol(&format!("{key}.symbol"), &self.symbol);
        let price_is_fine = problems.check_range(&format!("{key}.price"), self.price, &PRICE);
        let tick_is_fine = problems.check_range(&format!("{key}.tick"), self.tick, &TICK);
        let lot_is_fine = problems.check_range(&format!("{key}.lot"), self.lot, &LOT);
        if !(symbol_is_fine && price_is_fine && tick_is_fine && lot_is_fine) {
            return None;
        }
        let (price, tick) = (scaled(self.price), scaled(self.tick));
        if price < tick.saturating_mul(TICKS_IN_PRICE_MIN) {
            problems.add(Problem::CoarseTick { key: key.to_owned() });
            return None;
        }
        exchange.map(|exchange| plain_instrument(exchange, &self.symbol, price, tick, self.lot))
    }
}

/// An instrument of the kind that is usual on its exchange.
pub(crate) fn plain_instrument(
    exchange: &'static str,
    symbol: &str,
    price: i64,
    tick: i64,
    lot: i64,
) -> Instrument {
    let kind = match exchange {
        "NSE" | "BSE" => Kind::Equity,
        "CRYPTO" => Kind::Crypto,
        index if index.ends_with("_INDEX") => Kind::Index,
        _ => Kind::Future { days: 30 },
    };
    let spot =
        Spot { name: format!("{exchange}:{symbol}"), price, step_ppb: 150_000, volatility_permille: 280 };
    Instrument { exchange, symbol: symbol.to_owned(), kind, tick, lot, spot }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the ranges of prices and ticks, times the scale, are within those of i64 and exact enough in f64"
)]
fn scaled(price: f64) -> i64 {
    (price * PRICE_SCALE as f64).round() as i64
}

/// Collects problems, so that a person learns of all of them at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(crate) fn check_range<T: Copy + PartialOrd + fmt::Display>(
        &mut self,
        key: &str,
        value: T,
        range: &RangeInclusive<T>,
    ) -> bool {
        let fits = range.contains(&value);
        if !fits {
            self.add(Problem::OutOfRange {
                key: key.to_owned(),
                value: value.to_string(),
                low: range.start().to_string(),
                high: range.end().to_string(),
            });
        }
        fits
    }

    fn check_exchange(&mut self, key: &str, exchange: &str) -> Option<&'static str> {
        let code = exchange_code(exchange);
        if code.is_none() {
            self.add(Problem::UnknownExchange { key: key.to_owned(), exchange: exchange.to_owned() });
        }
        code
    }

    pub(crate) fn check_symbol(&mut self, key: &str, symbol: &str) -> bool {
        let fits = (1..=64).contains(&symbol.len())
            && symbol.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !fits {
            self.add(Problem::BadSymbol { key: key.to_owned(), symbol: symbol.to_owned() });
        }
        fits
    }

    fn into_result<T>(self, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() { Ok(value) } else { Err(ConfigError { problems: self.0 }) }
    }
}

#[cfg(test)]
mod tests;
