//! A venue in a process of its own: commands and answers are lines of JSON on its standard input and output.

use std::{
    collections::VecDeque,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{self, Child, ChildStdin, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread::{JoinHandle, park_timeout},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{Answer, Command, Control, Hello, PROTOCOL};
use crate::nested::as_by_hand;

/// Longest time to the first line: the command may build the venue.
const START_LIMIT: Duration = Duration::from_mins(10);

/// Longest time for one command.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// Time to end after its input was closed.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Longest line of the venue.
const LINE_BYTES: u64 = 4 * 1_024 * 1_024;

/// Lines of its standard error that are kept, to say why it failed.
const TAIL_LINES: usize = 12;

/// Most bytes of such a line that are shown: that of a linker has thousands, and says nothing.
const SHOWN_BYTES: usize = 240;

/// Lines that may wait to be read.
const LINES: usize = 64;

pub(crate) struct Process {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    tail: Arc<Mutex<VecDeque<String>>>,
    /// Reads what it says for people, until there is no more.
    listening: Option<JoinHandle<()>>,
    hello: Hello,
}

/// Starts a venue from a folder and waits until it listens.
pub(crate) fn start(command: &[String], dir: &Path) -> Result<Process, String> {
    let [program, arguments @ ..] = command else {
        return Err("the command of the fake venue is empty".to_owned());
    };
    let mut command = process::Command::new(program);
    // It may be cargo, which builds the venue.
    let mut child = as_by_hand(&mut command)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the fake venue `{program}`: {error}"))?;
    let input = child.stdin.take();
    let (sender, lines) = sync_channel(LINES);
    if let Some(output) = child.stdout.take() {
        // The thread ends with the output.
        std::thread::spawn(move || each_line(output, |line| sender.send(line).is_ok()));
    }
    let tail = Arc::<Mutex<VecDeque<String>>>::default();
    let listening = child.stderr.take().map(|errors| {
        let tail = Arc::clone(&tail);
        std::thread::spawn(move || {
            each_line(errors, |line| {
                let mut tail = tail.lock();
                if tail.len() >= TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(shortened(line));
                true
            });
        })
    });
    let mut process = Process { child, input, lines, tail, listening, hello: Hello::default() };
    let line = process.line(START_LIMIT)?;
    process.hello = serde_json::from_str(&line)
        .map_err(|error| format!("the fake venue's first line makes no sense ({error}): {line}"))?;
    if process.hello.venue != PROTOCOL {
        let theirs = process.hello.venue;
        return Err(format!(
            "the fake venue speaks version {theirs} of the control protocol, not {PROTOCOL}"
        ));
    }
    Ok(process)
}

/// The command that starts the program again which cargo ran when it was started by this one: before cargo
/// runs anything it looks at every file of the workspace, which takes longer than most cases. None where
/// cargo has no part in it, or the system does not tell.
pub(crate) fn without_cargo(command: &[String], started: &Process) -> Option<Vec<String>> {
    let is_cargo = |program: &String| Path::new(program).file_stem().is_some_and(|stem| stem == "cargo");
    command.first().filter(|program| is_cargo(program))?;
    // Cargo has become the program by now, on systems that have this file.
    let line = fs::read_to_string(format!("/proc/{}/cmdline", started.child.id())).ok()?;
    let ran: Vec<String> = line.strip_suffix('\0')?.split('\0').map(str::to_owned).collect();
    ran.first().is_some_and(|program| !is_cargo(program)).then_some(ran)
}

/// A line of which no more than its beginning is shown when it is long.
fn shortened(line: String) -> String {
    match line.get(..line.floor_char_boundary(SHOWN_BYTES)) {
        Some(begin) if begin.len() < line.len() => format!("{begin}… ({} bytes)", line.len()),
        _ => line,
    }
}

fn each_line(input: impl Read, mut take: impl FnMut(String) -> bool) {
    let mut input = BufReader::new(input);
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if take(String::from_utf8_lossy(&line).trim_end().to_owned()) => {}
            Ok(_) => return,
        }
    }
}

impl Process {
    fn line(&mut self, limit: Duration) -> Result<String, String> {
        self.lines.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => format!("it said nothing for {limit:?}"),
            RecvTimeoutError::Disconnected => self.obituary(),
        })
    }

    /// Why it is gone: how it ended, and below that what it said last.
    fn obituary(&mut self) -> String {
        let ended = self
            .wait(END_LIMIT)
            .map_or_else(|| "it closed its output".to_owned(), |status| format!("it ended with {status}"));
        // What it said last may still be on its way, and a process that it started may hold that way open.
        until(END_LIMIT, || self.listening.as_ref().is_none_or(JoinHandle::is_finished).then_some(()));
        let tail: Vec<String> = self.tail.lock().iter().cloned().collect();
        if tail.is_empty() { ended } else { format!("{ended}:\n  {}", tail.join("\n  ")) }
    }

    fn wait(&mut self, limit: Duration) -> Option<process::ExitStatus> {
        until(limit, || self.child.try_wait().ok().flatten())
    }

    fn send(&mut self, command: &Command) -> io::Result<()> {
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(input, "{}", serde_json::to_string(command)?)?;
        input.flush()
    }
}

/// Waits for something for so long.
fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let found = look();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        park_timeout(Duration::from_millis(2));
    }
}

impl Control for Process {
    fn hello(&self) -> Hello {
        self.hello.clone()
    }

    fn execute(&mut self, command: Command) -> Answer {
        if let Err(error) = self.send(&command) {
            return Answer::Error(format!("{error}; {}", self.obituary()));
        }
        match self.line(ANSWER_LIMIT) {
            Ok(line) => serde_json::from_str(&line).unwrap_or_else(|error| {
                Answer::Error(format!("its answer makes no sense ({error}): {line}"))
            }),
            Err(reason) => Answer::Error(reason),
        }
    }
}

/// The program of a venue: says hello, and carries out commands until there are no more. A line that is no
/// command is answered with an error.
///
/// # Errors
/// When the input cannot be read, or the output not be written.
pub fn serve(control: &mut dyn Control, mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    writeln!(output, "{}", serde_json::to_string(&control.hello())?)?;
    output.flush()?;
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_slice(&line) {
            Ok(command) => control.execute(command),
            Err(error) => Answer::Error(format!("that is no command: {error}")),
        };
        writeln!(output, "{}", serde_json::to_string(&answer)?)?;
        output.flush()?;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input tells it to end.
        self.input = None;
        if self.wait(END_LIMIT).is_none() {
            // It may have ended in between; either way it is gone afterwards.
            _ = self.child.kill();
            _ = self.child.wait();
        }
    }
}
