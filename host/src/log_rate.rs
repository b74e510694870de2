//! Log lines that others cause: so many in a window of time, and the rest is counted.

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

    /// Whether one more line may be written in the window with this number, and how many were not since the last one.
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
}
