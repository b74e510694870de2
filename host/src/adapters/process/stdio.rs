//! The child's standard streams: taken away from the library, which may print whatever it likes, and given to
//! the host.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
};

use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::wire::{self, FromChild, MAX_LINE_BYTES, ToChild};

/// Lines that may wait for the host. It reads them as they come; only a host that is stuck lets this fill.
const LINES: usize = 16_384;

/// Log lines have less room than what must not be lost.
const LOG_LINES: u64 = 1_024;

/// The streams, for the host alone.
pub(super) struct Streams {
    pub(super) input: Lines<Box<dyn Read + Send>>,
    pub(super) output: Box<dyn Write + Send>,
}

/// Takes standard input and output, as the first thing that a process does which will load a library. From
/// then on the library reads nothing from its standard input, and what it prints goes to standard error,
/// which the host logs.
///
/// # Errors
/// What the system says against it.
#[cfg(unix)]
pub(super) fn take() -> io::Result<Streams> {
    use std::fs::File;

    super::cage::begin();
    let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), FIRST_PRIVATE)?;
    let output = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), FIRST_PRIVATE)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(Streams { input: Lines::new(Box::new(File::from(input))), output: Box::new(File::from(output)) })
}

/// Above the numbers that a careless library closes.
#[cfg(unix)]
const FIRST_PRIVATE: i32 = 10;

/// Takes standard input and output, as far as that is possible here: the library shares them.
///
/// # Errors
/// None.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(super) fn take() -> io::Result<Streams> {
    Ok(Streams { input: Lines::new(Box::new(io::stdin())), output: Box::new(io::stdout()) })
}

/// Commands of the host, a line each.
pub(super) struct Lines<R>(BufReader<R>);

impl<R: Read> Lines<R> {
    pub(super) fn new(read: R) -> Self {
        Self(BufReader::new(read))
    }

    /// The next command; none when the host is gone, or sent something that is none.
    pub(super) fn next(&mut self) -> Option<ToChild> {
        self.next_as()
    }

    /// The next line as this type.
    pub(super) fn next_as<T: DeserializeOwned>(&mut self) -> Option<T> {
        serde_json::from_slice(&self.next_line()?).ok()
    }

    /// The next line, with its end; none when the host is gone or the line is too long.
    pub(super) fn next_line(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        let mut line = Zeroizing::new(Vec::new());
        let limit = MAX_LINE_BYTES as u64;
        let read = (&mut self.0).take(limit).read_until(b'\n', &mut line);
        match read {
            Ok(_) if line.ends_with(b"\n") => Some(line),
            _ => None,
        }
    }
}

/// Where lines for the host go; never waits.
#[derive(Clone, Debug)]
pub(super) struct Output {
    lines: SyncSender<Line>,
    waiting_logs: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Line {
    Message(Zeroizing<Vec<u8>>),
    Log(Zeroizing<Vec<u8>>),
    /// Everything before has been written.
    Flush(SyncSender<()>),
}

impl Output {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(stream: Box<dyn Write + Send>) -> io::Result<Self> {
        let (lines, waiting) = sync_channel(LINES);
        let waiting_logs = Arc::<AtomicU64>::default();
        let logs = Arc::clone(&waiting_logs);
        std::thread::Builder::new()
            .name("host-output".to_owned())
            .spawn(move || write_lines(&waiting, stream, &logs))?;
        Ok(Self { lines, waiting_logs, lost: Arc::default() })
    }

    /// Sends a message, or counts it as lost when there is no room. Log lines are the first to find none.
    pub(super) fn send(&self, message: &FromChild) {
        let line = wire::to_line(message);
        let line = if matches!(message, FromChild::Log { .. }) {
            if self.waiting_logs.load(Ordering::Relaxed) >= LOG_LINES {
                self.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.waiting_logs.fetch_add(1, Ordering::Relaxed);
            Line::Log(line)
        } else {
            Line::Message(line)
        };
        if let Err(TrySendError::Full(_)) = self.lines.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Messages that found no room so far.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything before was handed to the system, or the host is gone.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.lines.send(Line::Flush(done)).is_ok() {
            // An error says that the writer ended: nobody reads any more.
            let _gone = written.recv();
        }
    }
}

fn write_lines(waiting: &Receiver<Line>, mut stream: Box<dyn Write + Send>, logs: &AtomicU64) {
    // The end of the input says that the host is gone; what cannot be written until then is of no use.
    while let Ok(line) = waiting.recv() {
        let written = match line {
            Line::Message(line) => stream.write_all(&line),
            Line::Log(line) => {
                logs.fetch_sub(1, Ordering::Relaxed);
                stream.write_all(&line)
            }
            Line::Flush(done) => {
                let flushed = stream.flush();
                let _gone = done.send(());
                flushed
            }
        };
        if written.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_line_by_line_until_the_end_or_nonsense() {
        let text: &[u8] =
            b"{\"connect\":{\"request\":1}}\n\"credentials_changed\"\nwhat\n\"credentials_changed\"\n";
        let mut lines = Lines::new(text);
        assert!(matches!(lines.next(), Some(ToChild::Connect { request: 1 })));
        assert!(matches!(lines.next(), Some(ToChild::CredentialsChanged)));
        assert!(lines.next().is_none());
        assert!(Lines::new(&b"\"credentials_changed\""[..]).next().is_none(), "half a line is no command");
    }

    #[test]
    fn a_host_that_does_not_read_costs_log_lines_first_and_no_wait() {
        /// Takes nothing until it is dropped.
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                let _end = self.0.recv();
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (_release, stuck) = sync_channel(1);
        let output = Output::start(Box::new(Stuck(stuck))).unwrap();
        let log = || FromChild::Log {
            level: 3,
            target: String::new(),
            message: String::new(),
            fields: String::new(),
        };
        for _ in 0..LOG_LINES + 100 {
            output.send(&log());
        }
        let lost = output.lost();
        assert!((99..=100).contains(&lost), "{lost}");
        for _ in 0..LINES {
            output.send(&FromChild::Alive(wire::Alive::default()));
        }
        assert!(output.lost() > lost, "the queue is bounded");
    }
}
