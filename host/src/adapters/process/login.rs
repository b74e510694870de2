//! Takes one step of logging in at a broker, in a process of its own: `tickhost login-adapter`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use adapter_abi::ErrorCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::errand::{self, Errand, ErrandError, Locked};
use crate::{
    adapters::{AdapterFailure, Assignment, Library, LoginStep, integrity::PrivateCopy},
    base::secret::expose,
    config::Cage,
};

/// Beyond the adapter's own deadline, for starting the process and loading the library.
const MARGIN: Duration = Duration::from_secs(5);

/// What a library needs of the host's environment to reach a broker.
const VARIABLES: [&str; 3] = ["TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"];

#[derive(Serialize, Deserialize)]
struct Question {
    library: PathBuf,
    shown_as: PathBuf,
    cage: Cage,
    assignment: Assignment,
    #[serde(serialize_with = "expose")]
    config_json: SecretString,
    #[serde(serialize_with = "expose")]
    fields_json: SecretString,
    deadline: Duration,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Step(LoginStep),
    Failed { code: u32, message: String },
}

/// Who logs in, and where.
#[derive(Clone, Copy, Debug)]
pub struct LoginOf<'a> {
    /// The library.
    pub copy: &'a PrivateCopy,
    /// What its process may touch.
    pub cage: &'a Cage,
    /// The broker, and the account if it is known.
    pub assignment: &'a Assignment,
    /// The settings, a JSON object.
    pub config_json: &'a str,
}

/// Takes the next step of logging in with what is known of the account, a JSON object of strings. Blocks, for
/// as long as the broker takes, up to the deadline and some seconds.
///
/// # Errors
/// What the adapter or the broker says against it.
pub fn log_in(
    program: &Path,
    of: LoginOf<'_>,
    fields_json: &str,
    deadline: Duration,
) -> Result<LoginStep, AdapterFailure> {
    let LoginOf { copy, cage, assignment, config_json } = of;
    let question = Question {
        library: copy.path().to_owned(),
        shown_as: copy.shown_as().to_owned(),
        cage: cage.clone(),
        assignment: assignment.clone(),
        config_json: SecretString::from(config_json),
        fields_json: SecretString::from(fields_json),
        deadline,
    };
    let errand = Errand { name: "login-adapter", variables: &VARIABLES, timeout: deadline + MARGIN };
    let failed = |message: String| AdapterFailure { code: ErrorCode::OTHER, message };
    match errand.run(program, &question) {
        Ok(Answer::Step(step)) => Ok(step),
        Ok(Answer::Failed { code, message }) => Err(AdapterFailure { code: ErrorCode(code), message }),
        Err(ErrandError::NotStarted(error)) => {
            Err(failed(format!("cannot log in in a process of its own: {error}")))
        }
        Err(ErrandError::Hung) => Err(failed(format!("the adapter did not log in within {deadline:?}"))),
        Err(ErrandError::Crashed(how)) => Err(failed(format!("the adapter {how} while it logged in"))),
    }
}

/// Answers the question on standard input: the other end of [`log_in`].
pub fn run() -> ExitCode {
    errand::answer(|question: Question, locked| {
        let Question { library, shown_as, assignment, config_json, fields_json, deadline, .. } = question;
        let refused = |message: String| AdapterFailure { code: ErrorCode::OTHER, message };
        let step = locked
            .map_err(refused)
            .and_then(|()| Library::map(&library, &shown_as).map_err(|error| refused(error.to_string())))
            .and_then(|library| {
                library.log_in(
                    &assignment,
                    config_json.expose_secret(),
                    fields_json.expose_secret(),
                    deadline,
                )
            });
        match step {
            Ok(step) => Answer::Step(step),
            Err(AdapterFailure { code, message }) => Answer::Failed { code: code.0, message },
        }
    })
}

impl Locked for Question {
    fn cage(&self) -> (&Cage, &Path, &str) {
        (&self.cage, &self.library, self.config_json.expose_secret())
    }
}
