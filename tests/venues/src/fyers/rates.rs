//! How often an app may ask over REST.

use std::collections::VecDeque;

use parking_lot::Mutex;

const SECOND_NS: i64 = 1_000_000_000;

/// Requests in a second.
const IN_A_SECOND: usize = 10;

/// Requests in a minute.
const IN_A_MINUTE: usize = 200;

/// Times of the requests of the last minute that were answered, in nanoseconds since the Unix epoch.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<VecDeque<i64>>);

impl Rates {
    /// Whether a request at a time is one too many. Those that are do not count.
    pub(super) fn is_over(&self, now_ns: i64) -> bool {
        let mut asked = self.0.lock();
        while asked.front().is_some_and(|at| now_ns - at >= 60 * SECOND_NS) {
            asked.pop_front();
        }
        let in_a_second = asked.iter().rev().take_while(|at| now_ns - **at < SECOND_NS).count();
        let is_over = in_a_second >= IN_A_SECOND || asked.len() >= IN_A_MINUTE;
        if !is_over {
            asked.push_back(now_ns);
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_in_a_second_and_two_hundred_in_a_minute() {
        let rates = Rates::default();
        for second in 0..20 {
            for _ in 0..IN_A_SECOND {
                assert!(!rates.is_over(second * SECOND_NS));
            }
            assert!(rates.is_over(second * SECOND_NS + SECOND_NS - 1));
        }
        assert!(rates.is_over(59 * SECOND_NS));
        assert!(!rates.is_over(60 * SECOND_NS));
    }
}
