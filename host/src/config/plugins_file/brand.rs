//! `[adapter.brand.NAME]`: what differs at one of the brokers that an adapter serves.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};
use tickhost_core::calendar::Hours;
use toml::de::DeValue;

use super::{
    super::{
        LimitOverrides, Problems,
        file::{clipped, kind_of},
        problem::unknown,
    },
    AdapterEntry,
    read::{MAX_THROTTLE_MS, hours, limits},
    section::Section,
};

const BRAND_KEYS: [&str; 6] = [
    "symbols_per_connection",
    "connections",
    "deep_books_per_connection",
    "throttle_ms",
    "calendar",
    "config",
];

/// What differs at one broker of an adapter.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BrandEntry {
    /// Spacing of its updates, 0 to 60 s.
    pub throttle: Option<Duration>,
    /// Limits of an account.
    pub limits: LimitOverrides,
    /// When it may not be silent.
    pub hours: Option<Hours>,
    /// All settings of the adapter for this broker, one JSON object: what is said for the broker, laid over
    /// what is said for all. None when nothing differs. It may hold secrets and is left out of debug output.
    pub config_json: Option<String>,
    /// Line of its settings, from 1; that of the section when it has none.
    pub config_line: usize,
}

impl std::fmt::Debug for BrandEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BrandEntry")
            .field("throttle", &self.throttle)
            .field("limits", &self.limits)
            .field("hours", &self.hours)
            .finish_non_exhaustive()
    }
}

impl AdapterEntry {
    /// The adapter's settings for a broker, one JSON object, which may hold secrets.
    pub fn config_of(&self, broker: &str) -> &str {
        let own = self.brands.get(broker).and_then(|brand| brand.config_json.as_deref());
        own.unwrap_or(&self.config_json)
    }

    /// How a message calls the settings of a broker, to name them before what is wrong with them.
    pub fn config_place(&self, broker: &str) -> String {
        match self.brands.get(broker).filter(|brand| brand.config_json.is_some()) {
            Some(brand) => {
                format!("[adapter.brand.{broker}.config] in line {} of plugins.toml", brand.config_line)
            }
            None => format!("[adapter.config] in line {} of plugins.toml", self.config_line),
        }
    }

    /// Limits of an account at a broker: each number as it is said for the broker, else for the adapter.
    pub fn limits_of(&self, broker: &str) -> LimitOverrides {
        self.brands.get(broker).map(|brand| brand.limits).unwrap_or_default().or(self.limits)
    }

    /// Spacing of updates at a broker, instead of the usual one.
    pub fn throttle_of(&self, broker: &str) -> Option<Duration> {
        self.brands.get(broker).and_then(|brand| brand.throttle).or(self.throttle)
    }

    /// When a broker may not be silent.
    pub fn hours_of(&self, broker: &str) -> Hours {
        self.brands.get(broker).and_then(|brand| brand.hours).unwrap_or(self.hours)
    }
}

/// Reads the sections of the brokers of an adapter; `config` are its settings for all of them.
pub(super) fn brands(
    adapter: &Section<'_>,
    brokers: &[String],
    config: &Map<String, Value>,
    problems: &mut Problems,
) -> BTreeMap<String, BrandEntry> {
    let mut brands = BTreeMap::new();
    let Some((value, _)) = adapter.get("brand") else { return brands };
    let DeValue::Table(all) = value else {
        let message = format!("must be sections [adapter.brand.NAME], not {}", kind_of(value));
        problems.push(adapter.problem("brand", message));
        return brands;
    };
    for (name, value) in all {
        let (broker, offset) = (name.get_ref().as_ref(), name.span().start);
        if !brokers.iter().any(|known| known == broker) {
            let instead = format!("`brokers` of this adapter has {}", brokers.join(", "));
            let message = unknown("broker", broker, brokers.iter().map(String::as_str), &instead);
            problems.push(adapter.problem_in(&format!("brand.{}", clipped(broker)), offset, message));
            continue;
        }
        let DeValue::Table(table) = value.get_ref() else {
            let message =
                format!("must be a section [adapter.brand.{broker}], not {}", kind_of(value.get_ref()));
            problems.push(adapter.problem_in("brand", offset, message));
            continue;
        };
        let section = adapter.below(&format!("brand {broker}"), offset, table);
        brands.insert(broker.to_owned(), brand(&section, config, problems));
    }
    brands
}

fn brand(section: &Section<'_>, config: &Map<String, Value>, problems: &mut Problems) -> BrandEntry {
    section.allow(&BRAND_KEYS, problems);
    let throttle_ms = section.whole("throttle_ms", 0, MAX_THROTTLE_MS, problems);
    let own = section.json("config", problems);
    BrandEntry {
        throttle: throttle_ms.map(|ms| Duration::from_millis(ms.into())),
        limits: limits(section, problems),
        hours: hours(section, problems),
        config_json: own.map(|own| laid_over(config.clone(), own).to_string()),
        config_line: section.get("config").map_or(section.line, |(_, line)| line),
    }
}

/// Settings over others: sections key by key, everything else as a whole.
fn laid_over(mut below: Map<String, Value>, above: Map<String, Value>) -> Value {
    for (key, value) in above {
        let value = match (below.remove(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => laid_over(below, above),
            (_, value) => value,
        };
        below.insert(key, value);
    }
    Value::Object(below)
}
