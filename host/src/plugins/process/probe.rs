//! Looks at a library in a process of its own before anything else of the host touches it: `tickhost probe-adapter`.
//!
//! Loading a library runs its initialisers, and describing itself runs its code. What crashes or hangs there becomes a
//! sentence.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::stdio;
use crate::plugins::{Library, LibraryInfo, integrity::PrivateCopy};

/// Longest time for a library to describe itself and to check its settings.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest answer.
const MAX_ANSWER_BYTES: u64 = 4 * 1_024 * 1_024;

/// Between two looks whether the process has ended.
const POLL: Duration = Duration::from_millis(2);

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
    config_json: Option<&str>,
    config_context: &str,
) -> Result<LibraryInfo, ProbeError> {
    let file = || copy.shown_as().to_owned();
    let not_started = |source| ProbeError::NotStarted { file: file(), source };
    let mut command = Command::new(program);
    command.arg("probe-adapter").env_clear();
    for name in
        ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LLVM_PROFILE_FILE"]
    {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = Killed(command.spawn().map_err(not_started)?);
    let question = Question {
        library: copy.path().to_owned(),
        shown_as: file(),
        config_json: config_json.map(|json| Zeroizing::new(json.to_owned())),
    };
    let line = super::wire::to_line(&question);
    let (input, output) = (child.0.stdin.take(), child.0.stdout.take());
    // On a thread: a process that answers nothing must not hold this one.
    let reader = std::thread::Builder::new().name("probe".to_owned()).spawn(move || {
        if let Some(mut input) = input {
            // One that is dead already is seen by its silence.
            _ = input.write_all(&line);
        }
        let mut answer = Vec::new();
        let read = output.map(|output| output.take(MAX_ANSWER_BYTES).read_to_end(&mut answer));
        read.unwrap_or(Ok(0)).map(|_| answer)
    });
    let reader = reader.map_err(not_started)?;
    let deadline = Instant::now() + PROBE_TIMEOUT;
    let status = loop {
        if let Some(status) = child.0.try_wait().map_err(not_started)? {
            break status;
        }
        if Instant::now() >= deadline {
            return Err(ProbeError::Hung { file: file() });
        }
        std::thread::park_timeout(POLL);
    };
    child.kill_group();
    let answer = reader.join().ok().and_then(Result::ok).unwrap_or_default();
    match serde_json::from_slice(&answer) {
        Ok(Answer::Info(info)) => Ok(*info),
        Ok(Answer::Refused(message)) => Err(ProbeError::Refused(message)),
        Ok(Answer::Config(message)) => Err(ProbeError::Refused(format!("{config_context}{message}"))),
        Err(_) => Err(ProbeError::Crashed { file: file(), how: how_it_ended(status) }),
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt as _;

        if let Some(signal) = status.signal() {
            return format!("crashed with {}", super::signal_name(signal));
        }
    }
    format!("ended the process ({status})")
}

/// A process that does not outlive its owner.
#[derive(Debug)]
struct Killed(Child);

impl Killed {
    fn kill_group(&self) {
        #[cfg(unix)]
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // Fails when nothing is left to kill.
            _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill_group();
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// Answers the question on standard input: the other end of [`probe`].
pub fn run() -> ExitCode {
    let Ok(mut streams) = stdio::take() else { return ExitCode::FAILURE };
    let Some(question) = streams.input.next_as::<Question>() else { return ExitCode::FAILURE };
    let answer = match Library::map(&question.library, &question.shown_as) {
        Err(error) => Answer::Refused(error.to_string()),
        Ok(library) => {
            let checked = question.config_json.map_or(Ok(()), |json| library.validate_config(&json));
            match checked {
                Ok(()) => Answer::Info(Box::new(library.info().clone())),
                Err(failure) => Answer::Config(failure.message),
            }
        }
    };
    let line = serde_json::to_vec(&answer).unwrap_or_default();
    let written = streams.output.write_all(&line).and_then(|()| streams.output.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
