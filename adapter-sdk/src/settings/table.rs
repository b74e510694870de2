//! One table that gives an adapter's settings: fields, defaults, ranges, sentences and schema.

use std::{fmt::Debug, ops::RangeInclusive, time::Duration};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{http, http_base, ip_address, mac_address, seconds, websocket, within};
use crate::AdapterError;

/// A kind of setting: what it is in `plugins.toml`, what is allowed, and what it is once it was checked.
pub trait Kind {
    /// As a person writes it.
    type Raw: Clone + Debug + DeserializeOwned;

    /// Its default as the table has it.
    type Default;

    /// What is allowed, if there is a choice.
    type Range;

    /// Checked.
    type Checked: Clone + Debug;

    /// Whether it must be there.
    const IS_REQUIRED: bool = false;

    /// The default as a person would write it.
    fn raw(default: Self::Default) -> Self::Raw;

    /// Checks what was written.
    ///
    /// # Errors
    /// A sentence that names the setting and what is allowed.
    fn check(key: &str, raw: Self::Raw, range: Option<Self::Range>) -> Result<Self::Checked, AdapterError>;

    /// Its JSON Schema, without description.
    fn schema(default: Self::Default, range: Option<Self::Range>) -> Value;
}

macro_rules! texts {
    ($($(#[$meta:meta])+ $name:ident: $check:ident, $pattern:literal;)+) => {
        $(
            $(#[$meta])+
            #[derive(Debug)]
            pub enum $name {}

            impl Kind for $name {
                type Raw = String;
                type Default = &'static str;
                type Range = ();
                type Checked = String;

                fn raw(default: &'static str) -> String {
                    default.to_owned()
                }

                fn check(key: &str, raw: String, _: Option<()>) -> Result<String, AdapterError> {
                    $check(key, raw)
                }

                fn schema(default: &'static str, _: Option<()>) -> Value {
                    json!({"type": "string", "pattern": $pattern, "default": default})
                }
            }
        )+
    };
}

texts! {
    /// An address of a WebSocket, see [`websocket`].
    WebSocketUrl: websocket, "^wss?://";
    /// An address of a REST interface, a file or a page, see [`http`].
    HttpUrl: http, "^https?://";
    /// The address that paths are appended to, see [`http_base`]: without slashes at its end once it was
    /// checked.
    HttpBase: http_base, "^https?://";
    /// An address of this machine that the broker wants to be told, see [`ip_address`].
    IpAddress: ip_address, "^[0-9A-Fa-f.:]+$";
    /// A MAC address of this machine that the broker wants to be told, see [`mac_address`].
    MacAddress: mac_address, "^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$";
}

/// A setting that may be left out, of another kind. It has no default: write `()`.
#[derive(Debug)]
pub struct Optional<K>(std::marker::PhantomData<K>);

impl<K: Kind<Default = &'static str>> Kind for Optional<K> {
    type Raw = Option<K::Raw>;
    type Default = ();
    type Range = K::Range;
    type Checked = Option<K::Checked>;

    fn raw((): ()) -> Self::Raw {
        None
    }

    fn check(key: &str, raw: Self::Raw, range: Option<K::Range>) -> Result<Self::Checked, AdapterError> {
        raw.map(|raw| K::check(key, raw, range)).transpose()
    }

    fn schema((): (), range: Option<K::Range>) -> Value {
        without_default(K::schema("", range))
    }
}

/// A setting that must be there, of another kind. It has no default: write `()`.
#[derive(Debug)]
pub struct Required<K>(std::marker::PhantomData<K>);

impl<K: Kind<Default = &'static str>> Kind for Required<K> {
    type Raw = Option<K::Raw>;
    type Default = ();
    type Range = K::Range;
    type Checked = K::Checked;

    const IS_REQUIRED: bool = true;

    fn raw((): ()) -> Self::Raw {
        None
    }

    fn check(key: &str, raw: Self::Raw, range: Option<K::Range>) -> Result<Self::Checked, AdapterError> {
        let raw = raw.ok_or_else(|| AdapterError::config(format!("{key} is missing")))?;
        K::check(key, raw, range)
    }

    fn schema((): (), range: Option<K::Range>) -> Value {
        without_default(K::schema("", range))
    }
}

fn without_default(mut schema: Value) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.remove("default");
    }
    schema
}

/// A switch: `true` or `false`.
#[derive(Debug)]
pub enum Flag {}

impl Kind for Flag {
    type Raw = bool;
    type Default = bool;
    type Range = ();
    type Checked = bool;

    fn raw(default: bool) -> bool {
        default
    }

    fn check(_: &str, raw: bool, _: Option<()>) -> Result<bool, AdapterError> {
        Ok(raw)
    }

    fn schema(default: bool, _: Option<()>) -> Value {
        json!({"type": "boolean", "default": default})
    }
}

/// One of several words, such as `refuse` or `use`: an enum that is a [`Kind`] by itself. What it reads must
/// be these words.
pub trait Choice: Copy + Debug + PartialEq + DeserializeOwned + 'static {
    /// What is allowed, as a person writes it.
    const WORDS: &'static [(&'static str, Self)];
}

impl<C: Choice> Kind for C {
    type Raw = Self;
    type Default = Self;
    type Range = ();
    type Checked = Self;

    fn raw(default: Self) -> Self {
        default
    }

    fn check(_: &str, raw: Self, _: Option<()>) -> Result<Self, AdapterError> {
        Ok(raw)
    }

    fn schema(default: Self, _: Option<()>) -> Value {
        let words: Vec<&str> = C::WORDS.iter().map(|(word, _)| *word).collect();
        let default = C::WORDS.iter().find(|(_, choice)| *choice == default).map(|(word, _)| *word);
        json!({"enum": words, "default": default})
    }
}

macro_rules! numbers {
    ($($(#[$meta:meta])+ $name:ident: $raw:ty => $checked:ty, $kind:literal, $convert:expr;)+) => {
        $(
            $(#[$meta])+
            #[derive(Debug)]
            pub enum $name {}

            impl Kind for $name {
                type Raw = $raw;
                type Default = $raw;
                type Range = RangeInclusive<$raw>;
                type Checked = $checked;

                fn raw(default: $raw) -> $raw {
                    default
                }

                fn check(key: &str, raw: $raw, range: Option<Self::Range>) -> Result<$checked, AdapterError> {
                    let all = range.unwrap_or(<$raw>::MIN..=<$raw>::MAX);
                    let convert: fn(&str, $raw, &Self::Range) -> Result<$checked, AdapterError> = $convert;
                    convert(key, raw, &all)
                }

                fn schema(default: $raw, range: Option<Self::Range>) -> Value {
                    let mut schema = json!({"type": $kind, "default": default});
                    if let (Some(range), Some(members)) = (range, schema.as_object_mut()) {
                        members.insert("minimum".to_owned(), json!(range.start()));
                        members.insert("maximum".to_owned(), json!(range.end()));
                    }
                    schema
                }
            }
        )+
    };
}

numbers! {
    /// A count, such as instruments in a message.
    Count: usize => usize, "integer", within;
    /// A number of levels.
    Levels: u16 => u16, "integer", within;
    /// A time in milliseconds.
    Millis: u64 => Duration, "integer", |key, value, range| within(key, value, range).map(Duration::from_millis);
    /// A time in seconds, with a fraction; a range must be given, and have no negative numbers.
    Seconds: f64 => Duration, "number", seconds;
}

/// A folder, which may be left out. It has no default: write `()`.
#[derive(Debug)]
pub enum Folder {}

impl Kind for Folder {
    type Raw = Option<std::path::PathBuf>;
    type Default = ();
    type Range = ();
    type Checked = Option<std::path::PathBuf>;

    fn raw((): ()) -> Self::Raw {
        None
    }

    fn check(_: &str, raw: Self::Raw, _: Option<()>) -> Result<Self::Checked, AdapterError> {
        Ok(raw)
    }

    fn schema((): (), _: Option<()>) -> Value {
        json!({"type": "string"})
    }
}

#[cfg(feature = "net")]
mod net {
    use super::{AdapterError, Choice, Kind, Value};
    use crate::{
        instruments::Outdated,
        net::{NETWORK_SCHEMA, Network, NetworkConfig},
    };

    impl Choice for Outdated {
        const WORDS: &'static [(&'static str, Self)] = &[("refuse", Self::Refuse), ("use", Self::Use)];
    }

    /// The way to the broker, the table [`NetworkConfig`]. Its default is written `()`.
    impl Kind for Network {
        type Raw = NetworkConfig;
        type Default = ();
        type Range = ();
        type Checked = Self;

        fn raw((): ()) -> NetworkConfig {
            NetworkConfig::default()
        }

        fn check(_: &str, raw: NetworkConfig, _: Option<()>) -> Result<Self, AdapterError> {
            Self::new(raw)
        }

        fn schema((): (), _: Option<()>) -> Value {
            serde_json::from_str(NETWORK_SCHEMA).unwrap_or_default()
        }
    }
}

/// A setting's schema with its sentence.
#[doc(hidden)]
pub fn described(mut schema: Value, sentence: &str) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), sentence.trim().into());
    }
    schema
}

/// The schema of a table of settings.
#[doc(hidden)]
pub fn schema_of(settings: impl IntoIterator<Item = (&'static str, Value, bool)>) -> String {
    let (mut required, mut properties) = (Vec::new(), Map::new());
    for (key, schema, is_required) in settings {
        required.extend(is_required.then_some(key));
        properties.insert(key.to_owned(), schema);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties,
    })
    .to_string()
}

/// An adapter's settings, as one table: each row has a sentence, the name of the checked value, the name in
/// `plugins.toml` if that is another one, a [`Kind`](crate::settings::Kind), the default, and what is
/// allowed.
///
/// It makes two types. The first is [`Adapter::Config`](crate::Adapter::Config), as a person writes it; its
/// `check` gives the second, and its `schema` is what
/// [`Manifest::config_schema`](crate::Manifest::config_schema) takes. What stands in the table cannot
/// contradict itself, which is why there is no file of the schema to keep in step.
///
/// ```
/// use adapter_sdk::settings::{Count, HttpBase, Millis, Optional, Required, HttpUrl, WebSocketUrl};
///
/// adapter_sdk::settings! {
///     Config => pub(crate) struct Settings {
///         /// The ticker.
///         ws_url: Required<WebSocketUrl> = ();
///         /// The REST interface.
///         api_url: HttpBase = "https://api.example";
///         /// The list of instruments, if it stands elsewhere.
///         list_url: Optional<HttpUrl> = ();
///         /// Most instruments in one message.
///         batch_size: Count = 200, in 1..=3_000;
///         /// Pause between two batches.
///         batch_interval("batch_interval_ms"): Millis = 100, in 0..=10_000;
///     }
/// }
///
/// let read = |json| serde_json::from_str::<Config>(json).unwrap().check();
/// let settings = read(r#"{"ws_url": "wss://x", "batch_interval_ms": 50}"#).unwrap();
/// assert_eq!((settings.batch_size, settings.batch_interval.as_millis()), (200, 50));
/// assert!(settings.list_url.is_none() && settings.api_url == "https://api.example");
/// assert_eq!(read("{}").unwrap_err().to_string(), "ws_url is missing");
/// let refused = read(r#"{"ws_url": "wss://x", "batch_size": 0}"#).unwrap_err();
/// assert_eq!(refused.to_string(), "batch_size is 0, but must be between 1 and 3000");
/// assert!(Config::schema().contains(r#""maximum":3000"#));
/// ```
#[macro_export]
macro_rules! settings {
    (
        $config:ident => $vis:vis struct $settings:ident {
            $(
                $(#[doc = $sentence:literal])+
                $name:ident $(($key:literal))?: $kind:ty = $default:expr $(, in $range:expr)?;
            )+
        }
    ) => {
        /// The adapter's table in `plugins.toml`.
        #[derive(Clone, Debug, $crate::serde::Deserialize)]
        #[serde(crate = "adapter_sdk::serde", default, deny_unknown_fields)]
        pub struct $config {
            $(
                $(#[doc = $sentence])+
                $(#[serde(rename = $key)])?
                $name: <$kind as $crate::settings::Kind>::Raw,
            )+
        }

        impl Default for $config {
            fn default() -> Self {
                Self { $($name: <$kind as $crate::settings::Kind>::raw($default),)+ }
            }
        }

        /// Checked settings.
        #[derive(Clone, Debug)]
        $vis struct $settings {
            $(
                $(#[doc = $sentence])+
                $vis $name: <$kind as $crate::settings::Kind>::Checked,
            )+
        }

        impl $config {
            /// Checks the settings.
            $vis fn check(self) -> ::std::result::Result<$settings, $crate::AdapterError> {
                Ok($settings {
                    $(
                        $name: <$kind as $crate::settings::Kind>::check(
                            $crate::settings!(@key $name $(($key))?),
                            self.$name,
                            $crate::settings!(@range $($range)?),
                        )?,
                    )+
                })
            }

            /// Their JSON Schema.
            $vis fn schema() -> &'static str {
                static SCHEMA: ::std::sync::OnceLock<String> = ::std::sync::OnceLock::new();
                SCHEMA.get_or_init(|| {
                    $crate::settings::schema_of([
                        $((
                            $crate::settings!(@key $name $(($key))?),
                            $crate::settings::described(
                                <$kind as $crate::settings::Kind>::schema(
                                    $default,
                                    $crate::settings!(@range $($range)?),
                                ),
                                concat!($($sentence),+),
                            ),
                            <$kind as $crate::settings::Kind>::IS_REQUIRED,
                        ),)+
                    ])
                })
            }
        }
    };
    (@key $name:ident) => { stringify!($name) };
    (@key $name:ident ($key:literal)) => { $key };
    (@range) => { None };
    (@range $range:expr) => { Some($range) };
}
