//! What an account logs in with.

use std::{collections::BTreeMap, fmt};

use zeroize::Zeroize;

/// Credentials of the account at this moment, by name. Wiped from memory when dropped, and never shown.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<String, String>);

impl Credentials {
    /// A credential, such as `access_token`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A credential that is there and not empty, without the spaces around it: people copy them.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).map(str::trim).filter(|value| !value.is_empty())
    }

    /// A credential that the adapter cannot do without.
    ///
    /// # Errors
    /// An authentication error that names what is missing.
    pub fn require(&self, name: &str) -> Result<&str, crate::AdapterError> {
        self.get(name).ok_or_else(|| {
            crate::AdapterError::auth(format!(
                "the account has no {name}: set it with `tickhost account set`"
            ))
        })
    }

    /// Reads a JSON object; values that are no strings are left out.
    pub(crate) fn from_json(json: &str) -> Self {
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
        let strings = object.into_iter().filter_map(|(name, value)| match value {
            serde_json::Value::String(text) => Some((name, text)),
            _ => None,
        });
        Self(strings.collect())
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
