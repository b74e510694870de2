//! Writes the log on a thread of its own. Whoever reads standard error may stop to, a pipe may be full and a
//! disk slow: none of that holds up a thread that serves. Lines for which there is no room meanwhile, and
//! those that cannot be written, are lost; the log says how many, once it can be written again.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait: some thousands of lines.
const MAX_BYTES: usize = 1 << 20;

/// Where lines are left. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Aside(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    is_writing: bool,
    /// Lines for which there was no room.
    lost: u64,
    /// Lines that could not be written.
    unwritten: u64,
}

impl Aside {
    /// Writes to `to` from now on. Gives nothing when the system gives no thread.
    pub(super) fn new(to: impl Write + Send + 'static) -> io::Result<Self> {
        let aside = Self(Arc::new(Inner { state: Mutex::default(), changed: Condvar::new() }));
        let inner = Arc::clone(&aside.0);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || inner.write(to))?;
        Ok(aside)
    }

    /// Waits until everything is written, or this time is over.
    pub(super) fn flush(&self, longest: Duration) {
        let deadline = Instant::now() + longest;
        let mut state = self.0.state.lock();
        while !state.waiting.is_empty() || state.is_writing {
            if self.0.changed.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }
}

impl Inner {
    fn write(&self, mut to: impl Write) {
        let mut lines = Vec::new();
        let mut is_torn = false;
        loop {
            {
                let mut state = self.state.lock();
                state.is_writing = false;
                self.changed.notify_all();
                while state.waiting.is_empty() {
                    self.changed.wait(&mut state);
                }
                lines.clear();
                std::mem::swap(&mut lines, &mut state.waiting);
                state.is_writing = true;
            }
            let failed = write_lines(&mut to, &lines, &mut is_torn);
            let (lost, unwritten) = {
                let mut state = self.state.lock();
                state.unwritten += failed;
                // What is said of a log that takes nothing would be lost as well, and be the next to say.
                if failed > 0 { (0, 0) } else { state.take_losses() }
            };
            if lost > 0 || unwritten > 0 {
                tracing::warn!(
                    lost,
                    unwritten,
                    "Lines of the log are missing here: whoever reads it was too slow, or it could not be written"
                );
            }
        }
    }
}

impl State {
    /// Lines for which there was no room, and lines that could not be written, since this was last asked.
    fn take_losses(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.lost), std::mem::take(&mut self.unwritten))
    }
}

/// Writes whole lines, as many as can be, and gives how many were not written to their end. `is_torn` is
/// whether the last thing that was written is the beginning of a line: what follows begins a new one then.
fn write_lines(to: &mut impl Write, lines: &[u8], is_torn: &mut bool) -> u64 {
    let mut rest = lines;
    if *is_torn && to.write_all(b"\n").is_ok() {
        *is_torn = false;
    }
    while !*is_torn && !rest.is_empty() {
        match to.write(rest) {
            Ok(0) => break,
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let begun = lines.len() - rest.len();
    *is_torn |= begun > 0 && lines.get(begun - 1) != Some(&b'\n');
    let mut unwritten = ends(rest);
    if rest.is_empty() && to.flush().is_err() {
        // Nobody knows which of them came through.
        unwritten = ends(lines);
    }
    unwritten as u64
}

/// Ends of lines.
fn ends(lines: &[u8]) -> usize {
    lines.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).count()
}

impl Write for Aside {
    /// Takes a whole line, or nothing of it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.waiting.len() + line.len() > MAX_BYTES {
            state.lost += 1;
        } else {
            state.waiting.extend_from_slice(line);
            self.0.changed.notify_all();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Aside {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Writes when it is let, and shows what.
    struct Slow {
        may_write: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // For ever, once nobody holds it up any more.
            let _let = self.may_write.recv();
            self.written.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_who_reads_the_log_and_what_is_lost_is_bounded_and_counted() {
        let (go, may_write) = mpsc::channel();
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let mut log = Aside::new(Slow { may_write, written: Arc::clone(&written) }).unwrap();
        let line = [b'x'; 1_023];
        let mut count = 0_usize;
        // The thread has taken some already, or not.
        while log.0.state.lock().lost < 10 {
            log.write_all(&line).unwrap();
            log.write_all(b"\n").unwrap();
            count += 1;
            assert!(count < 3 * MAX_BYTES / 1_024, "it is bounded");
        }
        log.flush(Duration::from_millis(1));
        assert!(written.lock().is_empty());
        drop(go);
        log.flush(Duration::from_secs(20));
        let written = written.lock();
        assert!(written.len() > MAX_BYTES - 2_048 && written.len() < count * 1_024, "{}", written.len());
    }

    /// A disk that is full, after so many bytes and for so many attempts.
    struct Full {
        room: usize,
        failures: u32,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 && self.failures > 0 {
                self.failures -= 1;
                self.room = if self.failures == 0 { usize::MAX } else { 0 };
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = bytes.len().min(self.room);
            self.room -= count;
            self.written.lock().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_begins_again() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let mut disk = Full { room: 6, failures: 3, written: Arc::clone(&written) };
        let mut is_torn = false;
        let mut write = |lines: &str| write_lines(&mut disk, lines.as_bytes(), &mut is_torn);
        assert_eq!(write("one\ntwo\nthree\n"), 2, "of the second a part");
        assert_eq!(write("four\n"), 1);
        assert_eq!(write("five\n"), 1);
        assert_eq!(write("six\n"), 0);
        assert_eq!(String::from_utf8_lossy(&written.lock()), "one\ntw\nsix\n");
    }

    #[test]
    fn what_could_not_be_written_is_said_when_it_can_be_again_and_not_before() {
        let written = Arc::<Mutex<Vec<u8>>>::default();
        let log = Aside::new(Full { room: 0, failures: 2, written: Arc::clone(&written) }).unwrap();
        let losses = || log.0.state.lock().unwritten;
        for count in 1..=2 {
            log.clone().write_all(b"lost\n").unwrap();
            log.flush(Duration::from_secs(20));
            assert_eq!(losses(), count);
        }
        log.clone().write_all(b"kept\n").unwrap();
        log.flush(Duration::from_secs(20));
        assert_eq!((losses(), written.lock().as_slice()), (0, &b"kept\n"[..]));
    }
}
