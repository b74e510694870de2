//! What an adapter's settings hold that nobody is to read in what the adapter says.

use secrecy::SecretString;

/// Shortest value that is looked for, in bytes: a PIN has four digits, and shorter ones are parts of every
/// text.
pub(crate) const MIN_SECRET_BYTES: usize = 4;

/// Texts of an adapter's settings whose keys say that they are secrets.
pub(crate) fn secrets_of_settings(config_json: &str) -> Vec<SecretString> {
    let mut found = Vec::new();
    if let Ok(settings) = serde_json::from_str(config_json) {
        gather_secrets(&settings, false, &mut found);
    }
    found
}

fn gather_secrets(value: &serde_json::Value, is_secret: bool, found: &mut Vec<SecretString>) {
    const WORDS: [&str; 7] = ["secret", "token", "password", "passwd", "pin", "totp", "key"];
    match value {
        serde_json::Value::String(text) if is_secret && text.len() >= MIN_SECRET_BYTES => {
            found.push(text.as_str().into());
        }
        serde_json::Value::Array(items) => {
            items.iter().for_each(|item| gather_secrets(item, is_secret, found));
        }
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                let name = name.to_lowercase();
                let says_so = name.split(['_', '-']).any(|part| WORDS.contains(&part));
                gather_secrets(member, is_secret || says_so, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn settings_are_secret_when_their_name_says_so() {
        let found = secrets_of_settings(
            r#"{"user":"alice","login":{"password":"p4ssword","tokens":["x"],"feed-token":["t0ken1"]},"monkey":"banana"}"#,
        );
        assert_eq!(found.iter().map(SecretString::expose_secret).collect::<Vec<_>>(), ["p4ssword", "t0ken1"]);
    }
}
