//! The brokers that a library says it serves.

use adapter_abi::capability;
use serde::{Deserialize, Serialize};

use super::{
    deep_books::DeepBooks,
    info::{LibraryInfo, MAX_SCHEMA_BYTES, label},
};
use crate::config::{
    LimitOverrides,
    plugins_file::{MAX_CONNECTIONS, MAX_SYMBOLS, is_name},
};

/// Longest description of all brands, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 1_024 * 1_024;

/// Most brands of one library: as many brokers as an entry of `plugins.toml` may serve.
const MAX_BRANDS: usize = 64;

/// One broker of a library, with everything that the library says of it or of all its brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrandInfo {
    /// The broker, as `plugins.toml` and accounts name it.
    pub name: String,
    /// What people call it, if the library says so.
    pub title: Option<String>,
    /// Bits of `adapter_abi::capability`.
    pub capabilities: u64,
    /// Instruments on one connection, if the library knows a limit.
    pub symbols_per_connection: Option<u32>,
    /// Connections of one account, if the library knows a limit.
    pub connections: Option<u32>,
    /// JSON Schema of the credentials; empty when it needs none.
    pub credentials_schema: String,
    /// Deep books on one connection, if the library knows a limit with the settings that it has.
    pub deep_books: Option<DeepBooks>,
}

impl BrandInfo {
    /// Whether the adapter logs in at the broker.
    pub const fn logs_in(&self) -> bool {
        self.capabilities & capability::LOGIN != 0
    }

    /// What the library knows of the broker's limits, within the ranges that `plugins.toml` has for them. A
    /// broker that allows one session allows one connection.
    pub fn limits(&self) -> LimitOverrides {
        let within = |value: u32, most: u32| usize::try_from(value.min(most)).ok();
        let connections = self.connections.or_else(|| self.is_single_session().then_some(1));
        LimitOverrides {
            symbols_per_connection: self.symbols_per_connection.and_then(|value| within(value, MAX_SYMBOLS)),
            connections: connections.and_then(|value| within(value, MAX_CONNECTIONS)),
            deep_books_per_connection: self
                .deep_books
                .and_then(|books| within(books.per_connection, MAX_SYMBOLS)),
            deep_above_levels: self.deep_books.map(|books| books.above_levels),
        }
    }

    /// Sessions that the broker allows an account at once. An operator who allows so many connections, and
    /// more than the adapter knows of, knows better.
    pub fn sessions(&self, connections: usize) -> usize {
        if self.is_single_session() {
            return 1;
        }
        let known = self.connections.and_then(|count| usize::try_from(count).ok());
        known.map_or(usize::MAX, |known| known.max(connections))
    }

    const fn is_single_session(&self) -> bool {
        self.capabilities & capability::SINGLE_SESSION != 0
    }
}

/// The library does not serve this broker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the library does not serve {broker}: choose `brokers` among {known}")]
pub struct UnknownBrand {
    broker: String,
    known: String,
}

impl LibraryInfo {
    /// What the library says of a broker. One that describes no brands serves any, all alike.
    ///
    /// # Errors
    /// [`UnknownBrand`].
    pub fn brand(&self, broker: &str) -> Result<BrandInfo, UnknownBrand> {
        let found = match self.brands.as_slice() {
            [] => Some(self.of_all(broker)),
            brands => brands.iter().find(|brand| brand.name == broker).cloned(),
        };
        let deep_books = self.deep_books.get(broker).copied();
        found.map(|brand| BrandInfo { deep_books, ..brand }).ok_or_else(|| {
            let known: Vec<&str> = self.brands.iter().map(|brand| brand.name.as_str()).collect();
            UnknownBrand { broker: broker.to_owned(), known: known.join(", ") }
        })
    }

    /// What it says of all its brokers, under the name of one.
    fn of_all(&self, broker: &str) -> BrandInfo {
        BrandInfo {
            name: broker.to_owned(),
            title: None,
            capabilities: self.capabilities,
            symbols_per_connection: self.symbols_per_connection,
            connections: self.connections,
            credentials_schema: self.credentials_schema.clone(),
            deep_books: None,
        }
    }

    /// Takes what the library says of its brands, a JSON array.
    ///
    /// # Errors
    /// What makes no sense, in a sentence.
    pub(super) fn read_brands(&mut self, json: &str) -> Result<(), String> {
        if json.len() > MAX_DESCRIPTION_BYTES {
            return Err(format!("it describes its brands in more than {MAX_DESCRIPTION_BYTES} bytes"));
        }
        // The error may repeat as much of the description as the library likes.
        let described: Vec<Described> = serde_json::from_str(json).map_err(|error| {
            format!("its description of brands is not readable: {}", label(&error.to_string()))
        })?;
        if described.len() > MAX_BRANDS {
            return Err(format!("it describes {} brands; {MAX_BRANDS} are the most", described.len()));
        }
        let mut brands: Vec<BrandInfo> = Vec::with_capacity(described.len());
        for one in described {
            if !is_name(&one.name) || brands.iter().any(|brand| brand.name == one.name) {
                let name = label(&one.name);
                return Err(format!(
                    "it describes a brand `{name}`: names are 1 to 32 letters a-z, digits, _ and -, each once"
                ));
            }
            brands.push(one.over(self.of_all("")));
        }
        self.brands = brands;
        Ok(())
    }
}

/// A brand as a library describes it: what is missing is what the library says of all. Members of later
/// versions are ignored.
#[derive(Deserialize)]
struct Described {
    name: String,
    title: Option<String>,
    capabilities: Option<u64>,
    symbols_per_connection: Option<u32>,
    connections: Option<u32>,
    credentials_schema: Option<String>,
}

impl Described {
    fn over(self, of_all: BrandInfo) -> BrandInfo {
        let limit = |own: Option<u32>, of_all| own.map_or(of_all, |value| (value > 0).then_some(value));
        let schema = self.credentials_schema.filter(|schema| schema.len() <= MAX_SCHEMA_BYTES);
        BrandInfo {
            title: self.title.as_deref().map(label).filter(|title| !title.is_empty()),
            name: self.name,
            capabilities: self.capabilities.unwrap_or(of_all.capabilities),
            symbols_per_connection: limit(self.symbols_per_connection, of_all.symbols_per_connection),
            connections: limit(self.connections, of_all.connections),
            credentials_schema: schema.unwrap_or(of_all.credentials_schema),
            deep_books: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn library() -> LibraryInfo {
        LibraryInfo {
            name: "family".into(),
            version: "1.0.0".into(),
            abi_version: "1.2".into(),
            sdk_version: "0.1.0".into(),
            rustc: "unknown".into(),
            capabilities: capability::LTP,
            symbols_per_connection: Some(1_000),
            connections: None,
            config_schema: "{}".into(),
            credentials_schema: "{}".into(),
            brands: Vec::new(),
            deep_books: BTreeMap::new(),
        }
    }

    #[test]
    fn a_brand_has_of_its_own_what_it_says_and_the_rest_of_all() {
        let mut info = library();
        let described = r#"[{"name":"one"},{"name":"two","title":"Two\u001b[2J","capabilities":64,"later":[],
            "symbols_per_connection":0,"connections":2,"credentials_schema":"{\"a\":1}","config_defaults":{}}]"#;
        info.read_brands(described).unwrap();
        let one = info.brand("one").unwrap();
        assert_eq!((one.capabilities, one.symbols_per_connection, one.connections), (1, Some(1_000), None));
        let two = info.brand("two").unwrap();
        assert_eq!((two.capabilities, two.symbols_per_connection, two.connections), (64, None, Some(2)));
        assert_eq!((two.title.as_deref(), two.credentials_schema.as_str()), (Some("Two?[2J"), r#"{"a":1}"#));
        let unknown = info.brand("three").unwrap_err().to_string();
        assert!(unknown.contains("does not serve three") && unknown.contains("one, two"), "{unknown}");
    }

    #[test]
    fn a_library_without_brands_serves_any_name() {
        let mut info = library();
        info.read_brands("[]").unwrap();
        assert_eq!(info.brand("whatever").unwrap().symbols_per_connection, Some(1_000));
    }

    #[test]
    fn limits_are_those_of_the_brand_and_one_connection_where_there_is_one_session() {
        let limits = |symbols, connections, capabilities| {
            let brand = BrandInfo {
                symbols_per_connection: symbols,
                connections,
                capabilities,
                ..library().of_all("a")
            };
            let limits = brand.limits();
            (limits.symbols_per_connection, limits.connections)
        };
        assert_eq!(limits(Some(5_000), Some(1), 0), (Some(5_000), Some(1)));
        assert_eq!(limits(None, None, 0), (None, None));
        assert_eq!(limits(None, None, capability::SINGLE_SESSION), (None, Some(1)));
        assert_eq!(limits(Some(u32::MAX), Some(u32::MAX), 0), (Some(100_000), Some(100)));
    }

    #[test]
    fn deep_books_are_those_of_the_settings_of_the_broker_within_the_range_of_the_file() {
        let mut info = library();
        info.read_brands(r#"[{"name":"one"},{"name":"two"}]"#).unwrap();
        let said = r#"{"deep_books":{"per_connection":4000000000,"above_levels":5,"later":[]},"later":{}}"#;
        info.deep_books.insert("two".into(), DeepBooks::read(said).unwrap());
        let deep = |broker| {
            let limits = info.brand(broker).unwrap().limits();
            (limits.deep_books_per_connection, limits.deep_above_levels)
        };
        assert_eq!((deep("one"), deep("two")), ((None, None), (Some(100_000), Some(5))));
        let long = format!(
            r#"{{"x":"{}","deep_books":{{"per_connection":1,"above_levels":5}}}}"#,
            "x".repeat(1 << 16)
        );
        for nothing in
            ["", "[]", "{}", r#"{"deep_books":null}"#, r#"{"deep_books":{"per_connection":-1}}"#, &long]
        {
            assert_eq!(DeepBooks::read(nothing), None, "{nothing:.40}");
        }
    }

    #[test]
    fn descriptions_that_make_no_sense_are_refused_in_a_sentence() {
        let many: Vec<String> = (0..=MAX_BRANDS).map(|n| format!(r#"{{"name":"b{n}"}}"#)).collect();
        let long = format!(r#"[{{"name":"a","title":"{}"}}]"#, "x".repeat(MAX_DESCRIPTION_BYTES));
        for (json, reason) in [
            ("", "not readable"),
            ("{}", "not readable"),
            (r#"[{"title":"x"}]"#, "not readable"),
            (&format!(r#"["{}"]"#, "x".repeat(10_000)), "not readable"),
            (r#"[{"name":"a","connections":-1}]"#, "not readable"),
            (r#"[{"name":"A"}]"#, "`A`"),
            (r#"[{"name":"a\u001b"}]"#, "`a?`"),
            (r#"[{"name":"a"},{"name":"a"}]"#, "each once"),
            (&format!("[{}]", many.join(",")), "are the most"),
            (&long, "more than"),
        ] {
            let mut info = library();
            let said = info.read_brands(json).unwrap_err();
            assert!(said.contains(reason) && said.len() < 200, "{reason}: {said}");
            assert!(info.brands.is_empty());
        }
    }
}
