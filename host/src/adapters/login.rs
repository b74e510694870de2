//! Steps of logging in at a broker, as adapters answer them.

use std::{collections::BTreeMap, fmt};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::base::secret::expose_fields;

/// Longest answer that is taken for one, in bytes.
const MAX_STEP_BYTES: usize = 256 * 1_024;

/// What a step came to.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginStep {
    /// A person has to give something first.
    Ask(Question),
    /// Logged in: these are to be stored with the account, over those of the same name.
    Done(#[serde(serialize_with = "expose_fields")] BTreeMap<String, SecretString>),
}

/// Something that a person has to give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Name of the field in the next step.
    pub field: String,
    /// What to do and what to give.
    pub message: String,
    /// A page to open first.
    #[serde(default)]
    pub url: Option<String>,
    /// Whether nobody is to see what is typed.
    #[serde(default)]
    pub is_secret: bool,
}

impl fmt::Debug for LoginStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(question) => f.debug_tuple("Ask").field(question).finish(),
            Self::Done(fields) => f.debug_tuple("Done").field(&fields.keys()).finish(),
        }
    }
}

impl LoginStep {
    /// Reads an adapter's answer; none when it makes no sense.
    pub(super) fn read(json: &str) -> Option<Self> {
        if json.len() > MAX_STEP_BYTES {
            return None;
        }
        let mut step = serde_json::from_str(json).ok()?;
        if let Self::Ask(question) = &mut step {
            // They go to a person's terminal.
            for text in [Some(&mut question.message), question.url.as_mut()].into_iter().flatten() {
                text.retain(|c| !c.is_control());
            }
            if question.field.is_empty() || question.field.contains(char::is_control) {
                return None;
            }
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_nonsense_is_not() {
        let ask = r#"{"ask":{"field":"otp","message":"The\u001b[2J code","url":"https://x/\u0007"}}"#;
        let Some(LoginStep::Ask(question)) = LoginStep::read(ask) else { panic!("a question") };
        assert_eq!((question.message.as_str(), question.url.as_deref()), ("The[2J code", Some("https://x/")));
        let done = LoginStep::read(r#"{"done":{"access_token":"canary"}}"#).unwrap();
        assert!(!format!("{done:?}").contains("canary"));
        for nonsense in [
            "",
            "{}",
            r#"{"done":{"a":1}}"#,
            r#"{"ask":{"field":"","message":""}}"#,
            r#"{"ask":{"field":"a\n","message":""}}"#,
        ] {
            assert!(LoginStep::read(nonsense).is_none(), "{nonsense}");
        }
        assert!(
            LoginStep::read(&format!(r#"{{"done":{{"a":"{}"}}}}"#, "x".repeat(MAX_STEP_BYTES))).is_none()
        );
    }
}
