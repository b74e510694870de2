//! Reads `tickhost.toml`: one plain key for each setting.

use std::{fs::File, ops::Range, path::Path, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use tickhost_core::text::line_at;
use toml::de::{DeTable, DeValue};

use super::{
    Origin, Problem, Problems, TABLE, find,
    problem::{unknown, unreadable},
    value::Setting,
};
use crate::base::secret::read_text;

/// Largest file, in bytes; a real one has a few thousand.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads a file of the operator.
pub(super) fn read(path: &Path) -> Result<SecretString, Problem> {
    crate::base::blocking::may_wait();
    match File::open(path).and_then(|file| read_text(file, MAX_BYTES)) {
        Err(error) => Err(unreadable(path, &error)),
        Ok(text) if text.expose_secret().len() as u64 > MAX_BYTES => {
            Err(Problem::new(Origin::File(Arc::from(path), 0), "", "must be at most 1 MiB long"))
        }
        Ok(text) => Ok(text),
    }
}

/// Parses the document; what cannot be parsed becomes problems, and the rest is given nevertheless.
///
/// The messages of the parser are used without its excerpt of the line, which may hold a secret.
pub(super) fn parse_toml<'a>(
    source: &Arc<Path>,
    text: &'a str,
    problems: &mut Problems,
) -> (DeTable<'a>, usize) {
    let (document, errors) = DeTable::parse_recoverable(text);
    let count = errors.len();
    for error in errors {
        let line = error.span().map_or(0, |Range { start, .. }| line_at(text, start));
        let (key, message) = explained(error.message(), error.span().and_then(|span| text.get(span)));
        problems.push(Problem::new(Origin::File(Arc::clone(source), line), key, message));
    }
    (document.into_inner(), count)
}

/// What the parser says, for people who know no TOML; and the key that it speaks of, where that may be shown.
fn explained(message: &str, at: Option<&str>) -> (String, String) {
    let is_bare = |text: &&str| {
        text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if message.contains("duplicate key") {
        return (at.filter(is_bare).unwrap_or_default().to_owned(), "is given twice; leave one".to_owned());
    }
    (String::new(), format!("{message}; a line is name = value, and texts stand in quotes"))
}

/// The settings of the file, each with its line and its text.
pub(super) fn parse(
    source: &Arc<Path>,
    text: &str,
    problems: &mut Problems,
) -> Vec<(&'static Setting, usize, SecretString)> {
    let mut found = Vec::new();
    let (document, _) = parse_toml(source, text, problems);
    for (key, value) in &document {
        let line = line_at(text, key.span().start);
        let key = key.get_ref().as_ref();
        let problem =
            |message: String| Problem::new(Origin::File(Arc::clone(source), line), clipped(key), message);
        if let Some(setting) = find(key).filter(|setting| !setting.is_in_file) {
            let flag = setting.flag().unwrap_or_default();
            problems.push(problem(format!("cannot stand in the file; give {} or {flag}", setting.env)));
            continue;
        }
        let Some(setting) = find(key) else {
            let known = TABLE.iter().filter(|setting| setting.is_in_file).map(|setting| setting.key);
            let instead = match value.get_ref() {
                DeValue::Table(_) => "the file is without sections: write each setting at its top",
                _ => "tickhost --help lists them all",
            };
            problems.push(problem(unknown("setting", key, known, instead)));
            continue;
        };
        match plain(value.get_ref()) {
            Some(text) => found.push((setting, line, text)),
            None => problems.push(problem(format!(
                "must be {}, not {}",
                setting.kind.allowed(),
                kind_of(value.get_ref())
            ))),
        }
    }
    found
}

/// A value as the text that an environment variable would have.
fn plain(value: &DeValue<'_>) -> Option<SecretString> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => number.to_string(),
            Err(_) => number.as_str().to_owned(),
        },
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(is_on) => is_on.to_string(),
        DeValue::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            items?.join(",")
        }
        DeValue::Datetime(_) | DeValue::Table(_) => return None,
    };
    Some(text.into())
}

/// What a value is, for people.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time (put it in quotes)",
        DeValue::Array(_) => "an array of other things than texts",
        DeValue::Table(_) => "a section",
    }
}

/// A key as it may be shown: people paste secrets in the wrong place, and files hold anything.
pub(super) fn clipped(key: &str) -> String {
    key.chars().take(40).flat_map(char::escape_debug).collect()
}
