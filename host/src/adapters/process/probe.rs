//! Looks at a library in a process of its own before anything else of the host touches it:
//! `tickhost probe-adapter`.
//!
//! Loading a library runs its initialisers, and describing itself runs its code. What crashes or hangs there
//! becomes a sentence.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::errand::{self, Errand, ErrandError, Locked};
use crate::{
    adapters::{Assignment, Library, LibraryInfo, integrity::PrivateCopy},
    base::secret::expose,
    config::Cage,
};

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

/// What is to be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// The library.
    pub copy: &'a PrivateCopy,
    /// What the process may touch.
    pub cage: &'a Cage,
    /// Settings that the library has to find valid, one for each broker.
    pub settings: &'a [SettingsOf],
}

/// The settings of one broker.
#[derive(Clone, Serialize, Deserialize)]
pub struct SettingsOf {
    /// The broker.
    pub broker: String,
    /// A JSON object.
    #[serde(serialize_with = "expose")]
    pub config_json: SecretString,
}

impl std::fmt::Debug for SettingsOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SettingsOf").field("broker", &self.broker).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Question {
    library: PathBuf,
    shown_as: PathBuf,
    cage: Cage,
    settings: Vec<SettingsOf>,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Info(Box<LibraryInfo>),
    /// The library is no good.
    Refused(String),
    /// It does not serve a broker.
    Brand(String),
    /// Its settings are no good for a broker.
    Config {
        broker: String,
        message: String,
    },
}

/// Loads a library in a process of its own, and lets it describe itself and check its settings. Blocks for a
/// moment, 5 seconds at most.
///
/// # Errors
/// [`ProbeError`]; what the adapter says against its settings begins with what `context` says of their
/// broker.
pub fn probe(
    program: &Path,
    what: Probe<'_>,
    context: impl FnOnce(&str) -> String,
) -> Result<LibraryInfo, ProbeError> {
    let Probe { copy, cage, settings } = what;
    let file = || copy.shown_as().to_owned();
    let question = Question {
        library: copy.path().to_owned(),
        shown_as: file(),
        cage: cage.clone(),
        settings: settings.to_vec(),
    };
    let errand = Errand { name: "probe-adapter", variables: &[], timeout: PROBE_TIMEOUT };
    match errand.run(program, &question) {
        Err(ErrandError::NotStarted(source)) => Err(ProbeError::NotStarted { file: file(), source }),
        Err(ErrandError::Hung) => Err(ProbeError::Hung { file: file() }),
        Err(ErrandError::Crashed(how)) => Err(ProbeError::Crashed { file: file(), how }),
        Ok(Answer::Info(info)) => Ok(*info),
        Ok(Answer::Refused(message) | Answer::Brand(message)) => Err(ProbeError::Refused(message)),
        Ok(Answer::Config { broker, message }) => {
            Err(ProbeError::Refused(format!("{}{message}", context(&broker))))
        }
    }
}

/// Answers the question on standard input: the other end of [`probe`].
pub fn run() -> ExitCode {
    errand::answer(|question: Question, locked| match map(&question, locked) {
        Err(error) => Answer::Refused(error),
        Ok(library) => look_at(&library, question.settings),
    })
}

fn look_at(library: &Library, settings: Vec<SettingsOf>) -> Answer {
    let mut info = library.info().clone();
    for SettingsOf { broker, config_json } in settings {
        if let Err(unknown) = library.info().brand(&broker) {
            return Answer::Brand(unknown.to_string());
        }
        let assignment = Assignment::at(broker.as_str());
        if let Err(failure) = library.validate_config(&assignment, config_json.expose_secret()) {
            return Answer::Config { broker, message: failure.message };
        }
        if let Some(limit) = library.deep_books(&assignment, config_json.expose_secret()) {
            info.deep_books.insert(broker, limit);
        }
    }
    Answer::Info(Box::new(info))
}

fn map(question: &Question, locked: Result<(), String>) -> Result<Library, String> {
    locked?;
    Library::map(&question.library, &question.shown_as).map_err(|error| error.to_string())
}

impl Locked for Question {
    /// With the settings of the first broker: what they name is not needed to check them.
    fn cage(&self) -> (&Cage, &Path, &str) {
        (
            &self.cage,
            &self.library,
            self.settings.first().map_or("{}", |first| first.config_json.expose_secret()),
        )
    }
}
