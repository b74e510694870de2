//! Mistakes in what the operator wrote: where, what, and what would be right.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::base::cause;

/// Longest part of a value that a report shows, in characters.
const SHOWN_CHARS: usize = 60;

/// The same for a path; systems allow no longer ones.
const MAX_PATH_CHARS: usize = 4_096;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment of the process.
    Environment,
    /// A line of a file, counted from 1; line 0 is the file as a whole.
    File(Arc<Path>, usize),
    /// Nobody gave a value.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment => f.write_str("environment"),
            Self::File(path, 0) => write!(f, "{}", path.display()),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("settings"),
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The flag, variable or key, spelled as in that source; empty when the mistake belongs to none.
    pub key: String,
    /// The value; none for secrets, for unknown names (which may be misspelt secrets), and where there is no
    /// value.
    pub value: Option<String>,
    /// What is allowed, or what to do.
    pub message: String,
}

impl Problem {
    /// A mistake without a value.
    pub fn new(origin: Origin, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { origin, key: key.into(), value: None, message: message.into() }
    }

    /// Adds the value. Never call it with a secret.
    #[must_use]
    pub fn with_value(mut self, value: &str) -> Self {
        self.value = Some(cut(value, SHOWN_CHARS));
        self
    }

    /// Adds a path, which helps only as a whole.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        self.value = Some(cut(path, MAX_PATH_CHARS));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        match (&self.value, self.key.is_empty()) {
            (Some(value), false) => write!(f, "{} = {value}: ", self.key)?,
            (None, false) => write!(f, "{}: ", self.key)?,
            (_, true) => {}
        }
        f.write_str(&self.message)
    }
}

/// Every mistake that was found, one to a line when displayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes: flags, environment, then each file from top to bottom.
    pub fn as_slice(&self) -> &[Problem] {
        &self.0
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Adds all of another report.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether one of the mistakes is about this name, in the spelling of any source.
    pub fn mention(&self, env: &str) -> bool {
        let plain = |name: &str| name.trim_start_matches("--").replace('-', "_").to_lowercase();
        let wanted = plain(env);
        let short = wanted.trim_start_matches("tickhost_");
        self.0.iter().any(|problem| {
            let name = plain(&problem.key);
            name == wanted || name == short
        })
    }

    pub(super) fn sort(&mut self) {
        self.0.sort();
        self.0.dedup();
    }

    pub(super) fn into_result<T>(mut self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            return Ok(value);
        }
        self.sort();
        Err(self)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// The value between quotes, cut, and without characters that would act on a terminal.
fn cut(value: &str, most: usize) -> String {
    let mut text: String = value.chars().take(most).flat_map(char::escape_debug).collect();
    if value.chars().nth(most).is_some() {
        text.push('…');
    }
    format!("\"{text}\"")
}

/// The known name that an unknown one most likely means.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().trim_start_matches("tickhost_").replace('-', "_");
    let unknown = plain(unknown);
    let (distance, name) =
        known.map(|name| (strsim::osa_distance(&unknown, &plain(name)), name)).min_by_key(|(far, _)| *far)?;
    // A third of the letters wrong is another word, not a slip.
    (distance <= unknown.chars().count() / 3).then_some(name)
}

/// "unknown …", with the nearest known name or, failing that, where to find them all.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str>,
    instead: &str,
) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown {what}; did you mean {near}?"),
        None => format!("unknown {what}; {instead}"),
    }
}

/// A file that could not be read.
pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(
        Origin::File(Arc::from(path), 0),
        "",
        format!("cannot be read: {}", cause::of_reading(error)),
    )
}

/// Paths for people, one after the other.
pub(super) fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_cannot_act_on_a_terminal_or_fill_it() {
        let problem = Problem::new(Origin::Environment, "WEBSOCKET_PORT", "must be a number")
            .with_value(&format!("\u{1b}[2J{}", "9".repeat(500)));
        let line = problem.to_string();
        assert!(line.starts_with(r#"environment: WEBSOCKET_PORT = "\u{1b}[2J999"#), "{line}");
        assert!(line.len() < 150 && line.ends_with("…\": must be a number"), "{line}");
    }

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["websocket_port", "TICKHOST_THROTTLE_MS", "log"];
        let near = |unknown| nearest(unknown, known.into_iter());
        assert_eq!(near("websoket_port"), Some("websocket_port"));
        assert_eq!(near("TICKHOST_WEBSOCKET_PORT"), Some("websocket_port"));
        assert_eq!(near("TICKHOST_THROTLE_MS"), Some("TICKHOST_THROTTLE_MS"));
        assert_eq!(near("colour"), None);
    }
}
