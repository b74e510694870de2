//! What is tested: an adapter library at one of its brokers.

use std::time::Duration;

use adapter_abi::{
    AdapterBox, AdapterError, AdapterModuleRef, ErrorCode, HostHandle,
    abi_stable::std_types::{RResult, RStr, RString},
    capability,
};
use serde::Deserialize;
use serde_json::json;

use crate::host::Kind;

/// An account's name, as opaque as that of a real host.
const ACCOUNT: &str = "00c04f0000c04f0000c04f0000c04f00";

/// A library at one broker.
#[derive(Clone)]
pub(crate) struct Subject {
    module: AdapterModuleRef,
    /// The broker, if the library tells several apart.
    brand: Option<Brand>,
}

/// What a library says of one of its brokers.
#[derive(Clone, Debug, Deserialize)]
struct Brand {
    name: String,
    capabilities: Option<u64>,
    symbols_per_connection: Option<u32>,
    credentials_schema: Option<String>,
    config_defaults: Option<serde_json::Value>,
}

/// Names of the brokers that a library tells apart, in its order; none when it is one of a single broker.
///
/// # Errors
/// When its description is not readable.
pub fn brands(module: impl Into<AdapterModuleRef>) -> Result<Vec<String>, String> {
    Ok(described(module.into())?.into_iter().map(|brand| brand.name).collect())
}

fn described(module: AdapterModuleRef) -> Result<Vec<Brand>, String> {
    let Some(brands) = module.brands() else { return Ok(Vec::new()) };
    serde_json::from_str(&brands())
        .map_err(|error| format!("its description of brands is not readable: {error}"))
}

impl Subject {
    /// A library of a single broker.
    pub(crate) const fn new(module: AdapterModuleRef) -> Self {
        Self { module, brand: None }
    }

    /// One of the library's brokers.
    ///
    /// # Errors
    /// When it does not serve that one.
    pub(crate) fn at(module: AdapterModuleRef, name: &str) -> Result<Self, String> {
        let mut brands = described(module)?;
        let Some(place) = brands.iter().position(|brand| brand.name == name) else {
            let known: Vec<&str> = brands.iter().map(|brand| brand.name.as_str()).collect();
            let known = if known.is_empty() {
                "tells no brokers apart".to_owned()
            } else {
                format!("serves {}", known.join(", "))
            };
            return Err(format!("the library does not serve {name}: it {known}"));
        };
        Ok(Self { module, brand: Some(brands.swap_remove(place)) })
    }

    pub(crate) const fn module(&self) -> AdapterModuleRef {
        self.module
    }

    /// As reports name it.
    pub(crate) fn name(&self) -> String {
        let library = self.module.metadata()().name;
        self.brand.as_ref().map_or_else(|| library.to_string(), |brand| format!("{library} ({})", brand.name))
    }

    /// Instruments on one connection; 0 when the adapter knows no limit.
    pub(crate) fn symbols_per_connection(&self) -> u32 {
        let own = self.brand.as_ref().and_then(|brand| brand.symbols_per_connection);
        own.unwrap_or_else(|| self.module.metadata()().symbols_per_connection)
    }

    /// Deep books on one connection with these settings, and the levels above which a book is one; none where
    /// the adapter does not count them apart.
    pub(crate) fn deep_books(&self, config_json: &str) -> Option<(usize, u16)> {
        #[derive(Deserialize)]
        struct Limits {
            deep_books: Option<DeepBooks>,
        }
        #[derive(Deserialize)]
        struct DeepBooks {
            per_connection: usize,
            above_levels: u16,
        }
        let said = self.module.limits_for()?(self.assignment(false).as_str().into(), config_json.into());
        let limits: Limits = serde_json::from_str(&said).ok()?;
        limits.deep_books.map(|books| (books.per_connection, books.above_levels))
    }

    /// JSON Schema of the credentials.
    pub(crate) fn credentials_schema(&self) -> String {
        let own = self.brand.as_ref().and_then(|brand| brand.credentials_schema.clone());
        own.unwrap_or_else(|| self.module.metadata()().credentials_schema_json.into())
    }

    /// Whether the settings that it has for the broker, if any, can be laid below others.
    pub(crate) fn has_fit_defaults(&self) -> bool {
        let defaults = self.brand.as_ref().and_then(|brand| brand.config_defaults.as_ref());
        defaults.is_none_or(serde_json::Value::is_object)
    }

    /// The kinds that the adapter says it publishes, lowest first.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let can = self.capabilities();
        let all = [
            (capability::LTP, Kind::Ltp),
            (capability::QUOTE, Kind::Quote),
            (capability::DEPTH, Kind::Depth),
        ];
        all.into_iter().filter(|(bit, _)| can & bit != 0).map(|(_, kind)| kind).collect()
    }

    /// Whether it says that it can do something, a bit of [`capability`].
    pub(crate) fn can(&self, bit: u64) -> bool {
        self.capabilities() & bit != 0
    }

    fn capabilities(&self) -> u64 {
        let own = self.brand.as_ref().and_then(|brand| brand.capabilities);
        own.unwrap_or_else(|| self.module.metadata()().capabilities)
    }

    /// One step of a log-in: JSON of a question, or of the fields to store.
    pub(crate) fn log_in(
        &self,
        config_json: &str,
        fields_json: &str,
        limit: Duration,
    ) -> Result<String, AdapterError> {
        let (config, fields) = (RStr::from(config_json), RStr::from(fields_json));
        let deadline_ms = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        let step = match (self.module.login_for(), self.module.login()) {
            (Some(step), _) => step(RStr::from(self.assignment(true).as_str()), config, fields, deadline_ms),
            (None, Some(step)) => step(config, fields, deadline_ms),
            (None, None) => {
                return Err(AdapterError {
                    code: ErrorCode::OTHER,
                    message: "it says that it logs in, and has no function for it".into(),
                });
            }
        };
        step.into_result().map(RString::into)
    }

    /// An instance, which was told nothing yet.
    pub(crate) fn create(&self, config_json: &str, host: HostHandle) -> RResult<AdapterBox, AdapterError> {
        let config = RStr::from(config_json);
        match self.module.create_for() {
            Some(create) => create(RStr::from(self.assignment(true).as_str()), config, host),
            None => self.module.create()(config, host),
        }
    }

    /// What it says against settings.
    pub(crate) fn validate(&self, config_json: &str) -> Result<(), AdapterError> {
        let config = RStr::from(config_json);
        let checked = match self.module.validate_config_for() {
            Some(validate) => validate(RStr::from(self.assignment(false).as_str()), config),
            None => self.module.validate_config()(config),
        };
        checked.into_result()
    }

    fn assignment(&self, has_account: bool) -> String {
        let broker = self
            .brand
            .as_ref()
            .map_or_else(|| self.module.metadata()().name.to_string(), |brand| brand.name.clone());
        let assignment = if has_account {
            json!({ "broker": broker, "account": ACCOUNT, "connection": 0 })
        } else {
            json!({ "broker": broker })
        };
        assignment.to_string()
    }
}
