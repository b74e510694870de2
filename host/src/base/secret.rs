//! What is done with secret texts in more than one place. [`SecretString`] wipes itself and shows nothing;
//! what must be written somewhere is exposed here, by name.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize as _, Serializer};

/// Reads a text of at most `max_bytes`, and one byte more of a longer one, so that the caller can refuse it.
///
/// # Errors
/// When it cannot be read, or is no UTF-8.
pub(crate) fn read_text(from: impl Read, max_bytes: u64) -> io::Result<SecretString> {
    let mut text = String::new();
    let read = from.take(max_bytes.saturating_add(1)).read_to_string(&mut text);
    let text = SecretString::from(text);
    read.map(|_| text)
}

/// Whether two are the same text. For what this process has itself, not for what a stranger shows: the time
/// that it takes tells where they differ.
pub(crate) fn is_same(one: &SecretString, other: &SecretString) -> bool {
    one.expose_secret() == other.expose_secret()
}

/// Fields of an account as a JSON object of strings.
pub(crate) fn to_json<'a>(fields: impl IntoIterator<Item = (&'a str, &'a SecretString)>) -> SecretString {
    let object: BTreeMap<&str, &str> =
        fields.into_iter().map(|(name, value)| (name, value.expose_secret())).collect();
    // Texts always serialise.
    serde_json::to_string(&object).unwrap_or_else(|_| "{}".to_owned()).into()
}

/// `serialize_with` of what goes through the private pipe to a process of the host.
pub(crate) fn expose<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    secret.expose_secret().serialize(to)
}

/// The same, of fields by name.
pub(crate) fn expose_fields<S: Serializer>(
    fields: &BTreeMap<String, SecretString>,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_map(fields.iter().map(|(name, value)| (name, value.expose_secret())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_text_shows_nothing() {
        let secret = SecretString::from("canary");
        assert!(!format!("{secret:?} {:?}", Some(secret.clone())).contains("canary"));
    }

    #[test]
    fn one_byte_too_many_is_seen() {
        let read = |max_bytes| read_text(&b"four"[..], max_bytes).unwrap().expose_secret().to_owned();
        assert_eq!((read(4), read(3), read(2)), ("four".to_owned(), "four".to_owned(), "fou".to_owned()));
        assert!(read_text(&b"\xff"[..], 4).is_err());
    }

    #[test]
    fn of_fields_with_one_name_the_last_counts() {
        let (old, new) = (SecretString::from("old"), SecretString::from("\"new\""));
        let json = to_json([("b", &old), ("a", &old), ("b", &new)]);
        assert_eq!(json.expose_secret(), r#"{"a":"old","b":"\"new\""}"#);
        assert!(is_same(&old, &"old".into()) && !is_same(&old, &new));
    }
}
