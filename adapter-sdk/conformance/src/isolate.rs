//! Runs a case in a process of its own, so that a library which crashes or hangs costs one case and not the
//! run.

use std::{
    io::{Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{
    cases::Case,
    verdict::{CaseResult, Verdict},
};

/// Begins the line with the result. A library may print what it likes before.
const MARK: &str = "adapter-conformance-result ";

/// Bytes of each output that are kept: the last ones.
const OUTPUT_BYTES: usize = 64 * 1_024;

/// Bytes of standard error that are shown when a process crashed.
const SHOWN_BYTES: usize = 400;

/// Longest pause between looks at the process.
const POLL: Duration = Duration::from_millis(5);

/// Runs a case with a command that ends by calling [`hand_over`]. Whatever it does, there is a result. A
/// process that prints one of the secrets fails, since its output is the host's: it ends in a journal or a
/// log file.
pub fn run_isolated(case: &Case, command: &mut Command, secrets: &[&str]) -> CaseResult {
    let started = Instant::now();
    let result = in_scratch(command, |command| run(command, case.limit)).and_then(|output| {
        if secrets.iter().any(|secret| output.shows(secret)) {
            return Err("a secret of the profile was printed".to_owned());
        }
        let printed = output.checked()?;
        let mut lines = printed.lines().rev();
        let found = lines.find_map(|line| line.strip_prefix(MARK)).map(serde_json::from_str::<CaseResult>);
        found.and_then(Result::ok).ok_or_else(|| "ended the process before the case was over".to_owned())
    });
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    result.unwrap_or_else(|reason| CaseResult {
        id: case.id.to_owned(),
        slug: case.slug.to_owned(),
        verdict: Verdict::Failed,
        reason,
        elapsed_ms,
    })
}

/// Variables that say where adapters keep lists of instruments, and where programs write what they keep for a
/// while.
const FOLDERS: [&str; 3] = ["TICKHOST_CACHE_DIR", "XDG_CACHE_HOME", "TMPDIR"];

/// Runs something where adapters write into a folder that goes with the case: what one leaves is none of the
/// next, and none of the user's.
fn in_scratch<T>(
    command: &mut Command,
    run: impl FnOnce(&mut Command) -> Result<T, String>,
) -> Result<T, String> {
    let scratch = tempfile::Builder::new().prefix(SCRATCH).tempdir();
    let scratch = scratch.map_err(|error| format!("cannot be tried: there is no folder for it: {error}"))?;
    command.envs(FOLDERS.map(|name| (name, scratch.path())));
    run(command)
}

/// Begins the names of the suite's folders.
pub(crate) const SCRATCH: &str = "tickhost-conformance-";

/// Runs a command, at most for so long, and gives the end of what it printed.
///
/// # Errors
/// How it ended, when it did not end well: a crash by its name, and the last lines of its standard error.
pub fn run_limited(command: &mut Command, limit: Duration) -> Result<String, String> {
    run(command, limit)?.checked()
}

/// What is left of a process.
struct Output {
    status: ExitStatus,
    /// The end of its standard output.
    printed: String,
    /// The end of its standard error.
    errors: String,
}

impl Output {
    fn shows(&self, text: &str) -> bool {
        self.printed.contains(text) || self.errors.contains(text)
    }

    fn checked(self) -> Result<String, String> {
        if self.status.success() {
            return Ok(self.printed);
        }
        let errors = self.errors.trim();
        let from = errors.ceil_char_boundary(errors.len().saturating_sub(SHOWN_BYTES));
        let shown = errors.get(from..).unwrap_or_default();
        let why = end_of(self.status);
        Err(if shown.is_empty() { why } else { format!("{why}: {shown}") })
    }
}

fn run(command: &mut Command, limit: Duration) -> Result<Output, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start a process: {error}"))?;
    let printed = child.stdout.take().map(tail_of);
    let errors = child.stderr.take().map(tail_of);
    let Some(status) = wait(&mut child, limit) else {
        // It may end by itself in this moment; either way it is gone afterwards.
        _ = child.kill();
        _ = child.wait();
        return Err(format!("did not end in {limit:?}"));
    };
    let read = |tail: Option<JoinHandle<String>>| tail.and_then(|tail| tail.join().ok()).unwrap_or_default();
    Ok(Output { status, printed: read(printed), errors: read(errors) })
}

/// Prints the result of a case for the process that waits for it.
///
/// # Errors
/// When the output cannot be written.
pub fn hand_over(result: &CaseResult, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "\n{MARK}{}", serde_json::to_string(result)?)?;
    out.flush()
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::park_timeout(POLL),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Reads an output to its end and keeps the last part.
fn tail_of(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut part = [0; 4_096];
        while let Ok(length @ 1..) = output.read(&mut part) {
            kept.extend_from_slice(part.get(..length).unwrap_or_default());
            let excess = kept.len().saturating_sub(OUTPUT_BYTES);
            kept.drain(..excess);
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}

fn end_of(status: ExitStatus) -> String {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return format!("crashed with {}", signal_name(signal));
    }
    match status.code() {
        Some(code) => format!("ended the process with exit code {code}"),
        None => format!("ended the process: {status}"),
    }
}

/// Names of the signals of a crash; their numbers are the same on all systems that matter, but for the bus
/// error.
#[cfg(unix)]
fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 | 10 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}
