//! Log lines that others cause: so many in a window of time, and the rest is counted.
//!
//! Every line that somebody can cause who only reaches a port is written with `outside_line`, so that nobody
//! fills the disk or hides what happens in a flood of lines.

use parking_lot::Mutex;

use crate::base::clock;

/// Lines of one kind in a minute that people outside can cause; the next one says how many were left out.
const OUTSIDE_LINES_PER_MINUTE: u32 = 5;

const NANOS_PER_MINUTE: u64 = 60_000_000_000;

/// Writes a line of the log that somebody outside can cause, five times a minute at most for each place in
/// the code. It has a field `suppressed`: how many were left out since the last one.
macro_rules! outside_line {
    ($level:ident, $($line:tt)+) => {{
        static LINES: $crate::base::log_rate::OutsideLines = $crate::base::log_rate::OutsideLines::new();
        if let Some(suppressed) = LINES.may_write() {
            tracing::$level!(suppressed, $($line)+);
        }
    }};
}
pub(crate) use outside_line;

/// Lines of one kind that somebody outside can cause.
#[derive(Debug)]
pub struct OutsideLines(Mutex<LogRate>);

impl OutsideLines {
    /// None was written yet.
    pub const fn new() -> Self {
        Self(Mutex::new(LogRate::new(OUTSIDE_LINES_PER_MINUTE)))
    }

    /// Whether one more line may be written now, and how many were not since the last one.
    pub fn may_write(&self) -> Option<u32> {
        self.0.lock().may_write(clock::unix_nanos() / NANOS_PER_MINUTE)
    }
}

impl Default for OutsideLines {
    fn default() -> Self {
        Self::new()
    }
}

/// Lines of one kind.
#[derive(Debug)]
pub struct LogRate {
    limit: u32,
    window: u64,
    written: u32,
    suppressed: u32,
}

impl LogRate {
    /// Lets `limit` lines pass in each window.
    pub const fn new(limit: u32) -> Self {
        Self { limit, window: 0, written: 0, suppressed: 0 }
    }

    /// Whether one more line may be written in the window with this number, and how many were not since the
    /// last one.
    pub fn may_write(&mut self, window: u64) -> Option<u32> {
        if self.window != window {
            self.window = window;
            self.written = 0;
        }
        if self.written >= self.limit {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_pass_in_a_window_and_the_next_says_how_many_did_not() {
        let mut rate = LogRate::new(3);
        let written = (0..200).filter(|_| rate.may_write(1).is_some()).count();
        assert_eq!(written, 3);
        assert_eq!(rate.may_write(2), Some(197));
        assert_eq!(rate.may_write(2), Some(0));
    }

    #[test]
    fn each_place_in_the_code_has_its_own_lines() {
        let lines = OutsideLines::new();
        let minute = || clock::unix_nanos() / NANOS_PER_MINUTE;
        // Within one minute of the clock; at its end the count starts over.
        let written = loop {
            let before = minute();
            let written = (0..100).filter(|_| lines.may_write().is_some()).count();
            if minute() == before {
                break written;
            }
        };
        assert!(written <= OUTSIDE_LINES_PER_MINUTE as usize);
        assert!(OutsideLines::new().may_write().is_some());
    }
}
