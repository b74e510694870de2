//! One section of `plugins.toml`: typed access to its keys, and a problem with a line for all that does not
//! fit.

use std::{fmt::Write as _, ops::RangeInclusive, path::Path, sync::Arc};

use serde_json::{Map, Number, Value};
use tickhost_core::text::line_at;
use toml::de::{DeInteger, DeTable, DeValue};

use super::super::{
    Origin, Problem, Problems,
    file::{clipped, kind_of},
    problem::unknown,
};

/// A section, its document, and where its problems go.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) source: &'a Arc<Path>,
    pub(super) text: &'a str,
    /// What the problems call it, such as `adapter sim`.
    pub(super) name: String,
    /// Line of its head.
    pub(super) line: usize,
    pub(super) table: &'a DeTable<'a>,
}

impl Section<'_> {
    /// A problem with a key of this section, at the line of its value if it has one.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let line = self.get(key).map_or(self.line, |(_, line)| line);
        self.problem_at(line, key, message)
    }

    /// A problem with a part of a key's value, which stands at this byte of the document.
    pub(super) fn problem_in(&self, key: &str, offset: usize, message: impl Into<String>) -> Problem {
        self.problem_at(line_at(self.text, offset), key, message)
    }

    fn problem_at(&self, line: usize, key: &str, message: impl Into<String>) -> Problem {
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}: {key}", self.name) };
        Problem::new(Origin::File(Arc::clone(self.source), line), name, message)
    }

    /// The value of a key, and its line.
    pub(super) fn get(&self, key: &str) -> Option<(&DeValue<'_>, usize)> {
        let (_, value) = self.table.iter().find(|(known, _)| known.get_ref().as_ref() == key)?;
        Some((value.get_ref(), line_at(self.text, value.span().start)))
    }

    /// Reports the keys that are none of these.
    pub(super) fn allow(&self, known: &[&str], problems: &mut Problems) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if !known.contains(&name) {
                let mut instead = format!("known here: {}", known.join(", "));
                if known.contains(&"config") {
                    let of_brand = self.name.rsplit_once(": brand ").map(|(_, brand)| brand);
                    let section = of_brand.map_or_else(String::new, |brand| format!(".brand.{brand}"));
                    _ = write!(
                        instead,
                        "; settings of the adapter itself belong under [adapter{section}.config]"
                    );
                }
                let message = unknown("key", name, known.iter().copied(), &instead);
                let line = line_at(self.text, key.span().start);
                problems.push(self.problem_at(line, &clipped(name), message));
            }
        }
    }

    /// A value that `convert` accepts; one that it does not is a problem.
    fn typed<T>(
        &self,
        key: &str,
        allowed: &str,
        problems: &mut Problems,
        convert: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        let (value, _) = self.get(key)?;
        match convert(value) {
            Ok(value) => Some(value),
            Err(shown) if shown.is_empty() => {
                problems.push(self.problem(key, format!("must be {allowed}, not {}", kind_of(value))));
                None
            }
            Err(shown) => {
                problems.push(self.problem(key, format!("must be {allowed}")).with_value(&shown));
                None
            }
        }
    }

    /// A whole number in this range.
    pub(super) fn whole(&self, key: &str, min: u32, max: u32, problems: &mut Problems) -> Option<u32> {
        let allowed = format!("a whole number from {min} to {max}");
        self.typed(key, &allowed, problems, |value| {
            let number = value.as_integer().ok_or_else(String::new)?;
            integer(number)
                .and_then(|number| u32::try_from(number).ok())
                .filter(|number| (min..=max).contains(number))
                .ok_or_else(|| number.as_str().to_owned())
        })
    }

    /// True or false.
    pub(super) fn switch(&self, key: &str, problems: &mut Problems) -> Option<bool> {
        self.typed(key, "true or false", problems, |value| value.as_bool().ok_or_else(String::new))
    }

    /// A text that passes the test.
    pub(super) fn text(
        &self,
        key: &str,
        allowed: &str,
        problems: &mut Problems,
        is_allowed: impl Fn(&str) -> bool,
    ) -> Option<String> {
        self.typed(key, allowed, problems, |value| {
            let text = value.as_str().ok_or_else(String::new)?;
            if is_allowed(text) { Ok(text.to_owned()) } else { Err(shown(text)) }
        })
    }

    /// An array of texts that all pass the test and are all different.
    pub(super) fn texts(
        &self,
        key: &str,
        allowed: &str,
        problems: &mut Problems,
        is_allowed: impl Fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        self.typed(key, allowed, problems, |value| {
            let mut texts: Vec<String> = Vec::new();
            for item in value.as_array().ok_or_else(String::new)? {
                let text = item.get_ref().as_str().ok_or_else(String::new)?;
                if !is_allowed(text) || texts.iter().any(|other| other == text) {
                    return Err(shown(text));
                }
                texts.push(text.to_owned());
            }
            Ok(texts)
        })
    }

    /// An array of whole numbers in this range that are all different.
    pub(super) fn wholes(
        &self,
        key: &str,
        allowed: &str,
        problems: &mut Problems,
        range: RangeInclusive<u32>,
    ) -> Option<Vec<u32>> {
        self.typed(key, allowed, problems, |value| {
            let mut numbers: Vec<u32> = Vec::new();
            for item in value.as_array().ok_or_else(String::new)? {
                let number = item.get_ref().as_integer().ok_or_else(String::new)?;
                let fitting = integer(number).and_then(|number| u32::try_from(number).ok());
                match fitting.filter(|number| range.contains(number) && !numbers.contains(number)) {
                    Some(fitting) => numbers.push(fitting),
                    None => return Err(number.as_str().to_owned()),
                }
            }
            Ok(numbers)
        })
    }

    /// A section within this one, which begins at this byte of the document.
    pub(super) fn below<'b>(&'b self, name: &str, offset: usize, table: &'b DeTable<'b>) -> Section<'b> {
        Section {
            source: self.source,
            text: self.text,
            name: format!("{}: {name}", self.name),
            line: line_at(self.text, offset),
            table,
        }
    }

    /// A section as one JSON object.
    pub(super) fn json(&self, key: &str, problems: &mut Problems) -> Option<Map<String, Value>> {
        let (value, _) = self.get(key)?;
        if !value.is_table() {
            problems.push(self.problem(key, format!("must be a section, not {}", kind_of(value))));
            return None;
        }
        match to_json(value) {
            Ok(Value::Object(members)) => Some(members),
            Ok(_) => None,
            Err(message) => {
                problems.push(self.problem(key, message));
                None
            }
        }
    }
}

/// A text that is never empty, so that it is told from "no text at all".
fn shown(text: &str) -> String {
    if text.is_empty() { " ".to_owned() } else { text.to_owned() }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Depth is bounded by the parser, which refuses deeper documents.
fn to_json(value: &DeValue<'_>) -> Result<Value, &'static str> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            integer(number).map(Value::from).ok_or("holds a number that is too large")?
        }
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            number.map(Value::Number).ok_or("holds a number that JSON cannot express (inf or nan)")?
        }
        DeValue::Boolean(is_on) => Value::Bool(*is_on),
        DeValue::Datetime(moment) => Value::String(moment.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| to_json(item.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| to_json(value.get_ref()).map(|value| (key.get_ref().to_string(), value)));
            Value::Object(entries.collect::<Result<Map<_, _>, _>>()?)
        }
    })
}
