//! A number of a few.

use serde_json::{Value, json};

use super::Kind;
use crate::AdapterError;

/// One of a few numbers, such as the levels of a book; what is allowed must be given.
///
/// ```
/// use adapter_sdk::settings::OneOf;
///
/// adapter_sdk::settings! {
///     Config => pub(crate) struct Settings {
///         /// Most levels of a book.
///         depth: OneOf = 5, in &[5, 20, 200];
///     }
/// }
///
/// let read = |json| serde_json::from_str::<Config>(json).unwrap().check().map(|settings| settings.depth);
/// assert_eq!((read("{}"), read(r#"{"depth": 200}"#)), (Ok(5), Ok(200)));
/// let refused = read(r#"{"depth": 50}"#).unwrap_err();
/// assert_eq!(refused.to_string(), "depth is 50, but must be 5, 20 or 200");
/// assert!(Config::schema().contains(r#""enum":[5,20,200]"#));
/// ```
#[derive(Debug)]
pub enum OneOf {}

impl Kind for OneOf {
    type Raw = u16;
    type Default = u16;
    type Range = &'static [u16];
    type Checked = u16;

    fn raw(default: u16) -> u16 {
        default
    }

    fn check(key: &str, raw: u16, allowed: Option<Self::Range>) -> Result<u16, AdapterError> {
        let allowed = allowed.unwrap_or_default();
        if allowed.contains(&raw) {
            return Ok(raw);
        }
        let words: Vec<String> = allowed.iter().map(u16::to_string).collect();
        let words = match words.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => "left out".to_owned(),
        };
        Err(AdapterError::config(format!("{key} is {raw}, but must be {words}")))
    }

    fn schema(default: u16, allowed: Option<Self::Range>) -> Value {
        json!({"enum": allowed.unwrap_or_default(), "default": default})
    }
}
