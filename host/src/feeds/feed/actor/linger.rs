//! How long a feed stays when nobody is there.

use std::time::{Duration, Instant};

/// The time since the last client left.
#[derive(Debug)]
pub(super) struct Linger {
    time: Duration,
    empty_since: Option<Instant>,
}

impl Linger {
    /// A feed stays for so long without clients.
    pub(super) const fn new(time: Duration) -> Self {
        Self { time, empty_since: None }
    }

    /// Notes how many clients there are; says whether there have been none for too long.
    pub(super) fn is_over(&mut self, members: usize, now: Instant) -> bool {
        if members > 0 {
            self.empty_since = None;
            return false;
        }
        let since = *self.empty_since.get_or_insert(now);
        now.duration_since(since) >= self.time
    }

    /// When it is over, if nobody comes; none while somebody is there.
    pub(super) fn due(&self) -> Option<Instant> {
        self.empty_since.map(|since| since + self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_the_last_client_that_left() {
        let mut linger = Linger::new(Duration::from_secs(30));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!linger.is_over(1, after(0)) && linger.due().is_none());
        assert!(!linger.is_over(0, after(1)) && !linger.is_over(0, after(30)));
        assert!(!linger.is_over(2, after(31)) && linger.due().is_none());
        assert!(!linger.is_over(0, after(40)));
        assert_eq!(linger.due(), Some(after(70)));
        assert!(!linger.is_over(0, after(69)) && linger.is_over(0, after(70)));
    }
}
