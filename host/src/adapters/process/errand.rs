//! A process that is asked one thing about a library, answers, and ends. What crashes or hangs there costs
//! nobody else anything.

use std::{
    io::{self, Read as _, Write as _},
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};

use super::{
    cage::{self, Inside},
    starter, stdio,
};
use crate::config::Cage;

/// Longest answer.
const MAX_ANSWER_BYTES: u64 = 4 * 1_024 * 1_024;

/// Between two looks whether the process has ended.
const POLL: Duration = Duration::from_millis(2);

/// Variables of the host's environment that every such process gets; the others may hold secrets.
const VARIABLES: [&str; 7] =
    ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LLVM_PROFILE_FILE"];

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errand {
    /// The hidden command.
    pub(super) name: &'static str,
    /// More variables of the host's environment that it gets.
    pub(super) variables: &'static [&'static str],
    /// Longest time.
    pub(super) timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum ErrandError {
    /// The process could not be started.
    NotStarted(io::Error),
    /// It took too long.
    Hung,
    /// It ended without an answer, in this way.
    Crashed(String),
}

impl Errand {
    /// Starts the process, hands it the question, and waits for the answer.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub(super) fn run<A: DeserializeOwned>(
        self,
        program: &Path,
        question: &impl Serialize,
    ) -> Result<A, ErrandError> {
        crate::base::blocking::may_wait();
        let mut command = Command::new(program);
        command.arg(self.name).env_clear();
        for name in VARIABLES.iter().chain(self.variables) {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = Killed(starter::start_here(&mut command).map_err(ErrandError::NotStarted)?);
        let line = super::wire::to_line(question);
        let (input, output) = (child.0.stdin.take(), child.0.stdout.take());
        // On a thread: a process that answers nothing must not hold this one.
        let reader = std::thread::Builder::new().name("errand".to_owned()).spawn(move || {
            if let Some(mut input) = input {
                // One that is dead already is seen by its silence.
                _ = input.write_all(&line);
            }
            let mut answer = zeroize::Zeroizing::new(Vec::new());
            let read = output.map(|output| output.take(MAX_ANSWER_BYTES).read_to_end(&mut answer));
            read.unwrap_or(Ok(0)).map(|_| answer)
        });
        let reader = reader.map_err(ErrandError::NotStarted)?;
        let deadline = Instant::now() + self.timeout;
        let status = loop {
            if let Some(status) = child.0.try_wait().map_err(ErrandError::NotStarted)? {
                break status;
            }
            if Instant::now() >= deadline {
                return Err(ErrandError::Hung);
            }
            std::thread::park_timeout(POLL);
        };
        child.kill_group();
        #[cfg(target_os = "linux")]
        super::orphans::end_all();
        let answer = reader.join().ok().and_then(Result::ok).unwrap_or_default();
        serde_json::from_slice(&answer).map_err(|_| ErrandError::Crashed(how_it_ended(status)))
    }
}

/// A question about a library, which is locked in before it is loaded.
pub(super) trait Locked {
    /// The cage, the private copy of the library, and the settings.
    fn cage(&self) -> (&Cage, &Path, &str);
}

/// Answers the question on standard input: the other end of [`Errand::run`]. What answers it is told whether
/// the process is locked in; if not, why the library may not be loaded.
pub(super) fn answer<Q: DeserializeOwned + Locked, A: Serialize>(
    find: impl FnOnce(Q, Result<(), String>) -> A,
) -> ExitCode {
    let Ok(mut streams) = stdio::take() else { return ExitCode::FAILURE };
    let Some(question) = streams.input.next_as::<Q>() else { return ExitCode::FAILURE };
    let locked = {
        let (cage, library, config_json) = question.cage();
        // What is lacking is said when the host starts.
        cage::enter(cage, &Inside { library, cache: None, config_json }).map(drop)
    };
    let locked = locked.map_err(|error| format!("it cannot be confined: {error}"));
    let line = zeroize::Zeroizing::new(serde_json::to_vec(&find(question, locked)).unwrap_or_default());
    let written = streams.output.write_all(&line).and_then(|()| streams.output.flush());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
        starter::has_ended(self.0.id());
    }
}
