//! The brokers of a library that serves several.

use adapter_abi::capability;
use serde_json::{Map, Value, json};

use crate::{AdapterError, Capability, Manifest, context::Assignment};

/// One of several brokers that a library serves: where it differs from what the [`Manifest`] says of all of
/// them.
///
/// ```
/// use adapter_sdk::{Brand, Capability, Manifest, serde_json::json};
///
/// Manifest::new("noren", "1.0.0")
///     .capabilities(&[Capability::Ltp, Capability::Login])
///     .brand(Brand::new("shoonya").limits(1_000, 1).defaults(json!({ "ws_url": "wss://api.shoonya.com/NorenWSTP/" })))
///     .brand(Brand::new("zebu").title("Zebu MYNT").defaults(json!({ "ws_url": "wss://go.mynt.in/NorenWSTP/" })));
/// ```
#[derive(Clone, Debug)]
pub struct Brand {
    pub(crate) name: &'static str,
    title: Option<&'static str>,
    capabilities: Option<u64>,
    limits: Option<(u32, u32)>,
    credentials_schema: Option<&'static str>,
    defaults: Option<Value>,
}

impl Brand {
    /// A broker by the name that `plugins.toml` and accounts have for it: 1 to 32 of a-z, 0-9, `_` and `-`,
    /// and no other brand's.
    pub const fn new(name: &'static str) -> Self {
        Self { name, title: None, capabilities: None, limits: None, credentials_schema: None, defaults: None }
    }

    /// What people call it.
    #[must_use]
    pub fn title(mut self, title: &'static str) -> Self {
        self.title = Some(title);
        self
    }

    /// What the adapter can do here, instead of what the manifest says.
    #[must_use]
    pub fn capabilities(mut self, capabilities: &[Capability]) -> Self {
        self.capabilities = Some(bits(capabilities));
        self
    }

    /// The broker's limits: instruments on one connection, and connections of one account; 0 where none is
    /// known.
    #[must_use]
    pub fn limits(mut self, symbols_per_connection: u32, connections: u32) -> Self {
        self.limits = Some((symbols_per_connection, connections));
        self
    }

    /// JSON Schema of the credentials.
    #[must_use]
    pub fn credentials_schema(mut self, json: &'static str) -> Self {
        self.credentials_schema = Some(json);
        self
    }

    /// Settings that this broker has of its own, an object. The operator's are laid over them, table by
    /// table, before [`Adapter::Config`](crate::Adapter::Config) is read.
    #[must_use]
    pub fn defaults(mut self, settings: Value) -> Self {
        self.defaults = Some(settings);
        self
    }

    /// As the host reads it.
    fn described(&self) -> Value {
        let mut described = Map::new();
        let mut say = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                described.insert(name.to_owned(), value);
            }
        };
        say("name", Some(self.name.into()));
        say("title", self.title.map(Value::from));
        say("capabilities", self.capabilities.map(Value::from));
        say("symbols_per_connection", self.limits.map(|(symbols, _)| symbols.into()));
        say("connections", self.limits.map(|(_, connections)| connections.into()));
        say("credentials_schema", self.credentials_schema.map(Value::from));
        say("config_defaults", self.defaults.clone());
        Value::Object(described)
    }
}

/// [`Capability`] as the ABI has it.
pub(crate) fn bits(capabilities: &[Capability]) -> u64 {
    capabilities.iter().fold(0, |bits, can| {
        bits | match can {
            Capability::Ltp => capability::LTP,
            Capability::Quote => capability::QUOTE,
            Capability::Depth => capability::DEPTH,
            Capability::Orders => capability::ORDERS,
            Capability::SingleSession => capability::SINGLE_SESSION,
            Capability::CountsModes => capability::COUNTS_MODES,
            Capability::Login => capability::LOGIN,
        }
    })
}

impl Manifest {
    /// One of several brokers that the library serves. Without any, it is a library of one broker, which the
    /// operator may call as he likes. [`Context::broker`](crate::Context::broker) says which one an instance
    /// serves.
    #[must_use]
    pub fn brand(mut self, brand: Brand) -> Self {
        self.brands.push(brand);
        self
    }

    /// All brands as the host reads them.
    pub(crate) fn described_brands(&self) -> String {
        Value::Array(self.brands.iter().map(Brand::described).collect()).to_string()
    }

    /// The settings of an assignment: those of the operator over those of its brand.
    ///
    /// # Errors
    /// When the library does not serve the broker, or does not know which one is meant.
    pub(crate) fn settings_for(
        &self,
        assignment: &Assignment,
        config_json: &str,
    ) -> Result<String, AdapterError> {
        let names = || self.brands.iter().map(|brand| brand.name).collect::<Vec<_>>().join(", ");
        let brand = match (&assignment.broker, self.brands.as_slice()) {
            (_, []) => return Ok(config_json.to_owned()),
            (Some(broker), brands) => brands.iter().find(|brand| brand.name == broker).ok_or_else(|| {
                AdapterError::config(format!("this library does not serve {broker}; it serves {}", names()))
            })?,
            (None, [only]) => only,
            (None, _) => {
                return Err(AdapterError::config(format!(
                    "this library serves {}, and the host does not say which of them is meant: it needs a host of ABI \
                     1.2 or later",
                    names()
                )));
            }
        };
        let Some(mut settings) = brand.defaults.clone() else { return Ok(config_json.to_owned()) };
        // What is no JSON is refused by whoever reads it, in the words for all settings.
        let Ok(given) = serde_json::from_str(config_json) else { return Ok(config_json.to_owned()) };
        lay_over(&mut settings, given);
        Ok(settings.to_string())
    }
}

/// Lays settings over others: tables member by member, everything else as a whole.
fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (name, value) in above {
                lay_over(below.entry(name).or_insert(json!(null)), value);
            }
        }
        (below, above) => *below = above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> Manifest {
        Manifest::new("family", "1.0.0")
            .brand(
                Brand::new("one")
                    .defaults(json!({ "url": "wss://one", "network": { "tls": true, "port": 1 } })),
            )
            .brand(Brand::new("two").limits(500, 1).capabilities(&[Capability::Ltp, Capability::Login]))
    }

    fn settings(manifest: &Manifest, broker: Option<&str>, given: &str) -> Result<Value, String> {
        let assignment = Assignment { broker: broker.map(str::to_owned), ..Assignment::default() };
        let settings = manifest.settings_for(&assignment, given).map_err(|error| error.to_string())?;
        Ok(serde_json::from_str(&settings).unwrap())
    }

    #[test]
    fn what_the_operator_says_lies_over_what_the_brand_has() {
        let given = r#"{"network":{"port":2},"seed":3}"#;
        let one = settings(&family(), Some("one"), given).unwrap();
        assert_eq!(one, json!({ "url": "wss://one", "network": { "tls": true, "port": 2 }, "seed": 3 }));
        assert_eq!(
            settings(&family(), Some("two"), given).unwrap(),
            json!({ "network": { "port": 2 }, "seed": 3 })
        );
    }

    #[test]
    fn a_broker_that_is_not_served_or_not_named_is_an_error_that_names_those_that_are() {
        let unknown = settings(&family(), Some("three"), "{}").unwrap_err();
        assert!(unknown.contains("does not serve three; it serves one, two"), "{unknown}");
        let untold = settings(&family(), None, "{}").unwrap_err();
        assert!(untold.contains("needs a host of ABI 1.2"), "{untold}");
        let alone = Manifest::new("alone", "1.0.0").brand(Brand::new("one").defaults(json!({ "a": 1 })));
        assert_eq!(settings(&alone, None, "{}").unwrap(), json!({ "a": 1 }));
        let plain = Manifest::new("plain", "1.0.0");
        assert_eq!(settings(&plain, Some("whatever"), "{}").unwrap(), json!({}));
    }

    #[test]
    fn a_brand_says_only_what_differs() {
        let described: Value = serde_json::from_str(&family().described_brands()).unwrap();
        let can = capability::LTP | capability::LOGIN;
        let two =
            json!({ "name": "two", "capabilities": can, "symbols_per_connection": 500, "connections": 1 });
        assert_eq!((described[0]["name"].as_str(), &described[1]), (Some("one"), &two));
        assert_eq!(Manifest::new("plain", "1.0.0").described_brands(), "[]");
    }
}
