//! Writes the log on a thread of its own. Whoever reads standard error may stop to, a pipe may be full and a disk slow: none
//! of that holds up a thread that serves. Lines for which there is no room meanwhile are lost, and the log says how many.

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
    lost: u64,
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
        loop {
            let lost = {
                let mut state = self.state.lock();
                state.is_writing = false;
                self.changed.notify_all();
                while state.waiting.is_empty() {
                    self.changed.wait(&mut state);
                }
                lines.clear();
                std::mem::swap(&mut lines, &mut state.waiting);
                state.is_writing = true;
                std::mem::take(&mut state.lost)
            };
            // A reader that is gone is nobody's loss.
            let _gone = to.write_all(&lines).and_then(|()| to.flush());
            if lost > 0 {
                tracing::warn!(lost, "Lines of the log are missing here: whoever reads it was too slow");
            }
        }
    }
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
}
