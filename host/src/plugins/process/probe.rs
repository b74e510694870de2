//! Looks at a library in a process of its own before anything else of the host touches it: `tickhost probe-adapter`.
//!
//! Loading a library runs its initialisers, and describing itself runs its code. What crashes or hangs there becomes a
//! sentence.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    cage::Cage,
    errand::{self, Errand, ErrandError, Locked},
};
use crate::plugins::{Library, LibraryInfo, integrity::PrivateCopy};

/// Longest time for a library to describe itself and to check its settings.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a library is not taken, in a sentence.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The process could not be started.
    #[error("cannot look at {} in a process of its own: {source}", file.display())]
    NotStarted {
        /// The library.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The library ended the process.
    #[error("{} {how} when it was loaded: it is broken, or not meant for this machine", file.display())]
    Crashed {
        /// The library.
        file: PathBuf,
        /// How it ended.
        how: String,
    },
    /// The library did not answer.
    #[error("{} did not describe itself within {} s after it was loaded", file.display(), PROBE_TIMEOUT.as_secs())]
    Hung {
        /// The library.
        file: PathBuf,
    },
    /// The library, or the adapter in it, is no good.
    #[error("{0}")]
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct Question {
    library: PathBuf,
    shown_as: PathBuf,
    cage: Cage,
    config_json: Option<Zeroizing<String>>,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Info(Box<LibraryInfo>),
    /// The library is no good.
    Refused(String),
    /// Its settings are no good.
    Config(String),
}

/// Loads a library in a process of its own, and lets it describe itself and check its settings. Blocks for a moment, 5
/// seconds at most.
///
/// # Errors
/// [`ProbeError`]; what the adapter says against its settings begins with `config_context`.
pub fn probe(
    program: &Path,
    copy: &PrivateCopy,
    cage: &Cage,
    config_json: Option<&str>,
    config_context: &str,
) -> Result<LibraryInfo, ProbeError> {
    let file = || copy.shown_as().to_owned();
    let question = Question {
        library: copy.path().to_owned(),
        shown_as: file(),
        cage: cage.clone(),
        config_json: config_json.map(|json| Zeroizing::new(json.to_owned())),
    };
    let errand = Errand { name: "probe-adapter", variables: &[], timeout: PROBE_TIMEOUT };
    match errand.run(program, &question) {
        Err(ErrandError::NotStarted(source)) => Err(ProbeError::NotStarted { file: file(), source }),
        Err(ErrandError::Hung) => Err(ProbeError::Hung { file: file() }),
        Err(ErrandError::Crashed(how)) => Err(ProbeError::Crashed { file: file(), how }),
        Ok(Answer::Info(info)) => Ok(*info),
        Ok(Answer::Refused(message)) => Err(ProbeError::Refused(message)),
        Ok(Answer::Config(message)) => Err(ProbeError::Refused(format!("{config_context}{message}"))),
    }
}

/// Answers the question on standard input: the other end of [`probe`].
pub fn run() -> ExitCode {
    errand::answer(|question: Question, locked| match map(&question, locked) {
        Err(error) => Answer::Refused(error),
        Ok(library) => {
            let checked = question.config_json.map_or(Ok(()), |json| library.validate_config(&json));
            match checked {
                Ok(()) => Answer::Info(Box::new(library.info().clone())),
                Err(failure) => Answer::Config(failure.message),
            }
        }
    })
}

fn map(question: &Question, locked: Result<(), String>) -> Result<Library, String> {
    locked?;
    Library::map(&question.library, &question.shown_as).map_err(|error| error.to_string())
}

impl Locked for Question {
    fn cage(&self) -> (&Cage, &Path, &str) {
        (&self.cage, &self.library, self.config_json.as_ref().map_or("{}", |json| json))
    }
}
