//! Logging in at a broker that wants more than a stored token.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// What a step of logging in came to.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Login {
    /// Something is missing that a person has to give.
    Ask(Question),
    /// Logged in: these fields are stored with the account, over those of the same name. Others stay as they are.
    Done(Fields),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(question) => f.debug_tuple("Ask").field(question).finish(),
            Self::Done(fields) => f.debug_tuple("Done").field(fields).finish(),
        }
    }
}

impl Login {
    /// Logged in, with these fields to store.
    pub fn done<const N: usize>(fields: [(&str, String); N]) -> Self {
        Self::Done(Fields(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
    }
}

/// Something that a person has to give: the answer comes back as a field of this name in the next step, and is not
/// stored unless [`Login::Done`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Name of the field, such as `request_token`.
    pub field: String,
    /// What to do and what to give, in a sentence or two.
    pub message: String,
    /// A page to open first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether nobody is to see what is typed.
    #[serde(default)]
    pub is_secret: bool,
}

/// Fields to store. Wiped from memory when dropped, and never shown.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
