//! How long things take: counts by duration, in buckets that are the same everywhere, so that they can be
//! summed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Upper ends of the buckets but the last, in microseconds: six in a decade, from 10 us to 70 s. What is
/// longer falls into the last bucket, which has no end.
pub const BOUNDS_US: [u64; 42] = [
    10, 15, 20, 30, 50, 70, //
    100, 150, 200, 300, 500, 700, //
    1_000, 1_500, 2_000, 3_000, 5_000, 7_000, //
    10_000, 15_000, 20_000, 30_000, 50_000, 70_000, //
    100_000, 150_000, 200_000, 300_000, 500_000, 700_000, //
    1_000_000, 1_500_000, 2_000_000, 3_000_000, 5_000_000, 7_000_000, //
    10_000_000, 15_000_000, 20_000_000, 30_000_000, 50_000_000, 70_000_000,
];

/// Number of buckets, the endless one included.
const BUCKETS: usize = BOUNDS_US.len() + 1;

/// Counts of durations. Relaxed, like every counter here.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), sum_us: AtomicU64::new(0) }
    }
}

impl Histogram {
    /// Counts one duration, in nanoseconds.
    pub fn record(&self, nanos: u64) {
        let us = nanos / 1_000;
        let place = BOUNDS_US.partition_point(|bound| *bound < us);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
            self.sum_us.fetch_add(us, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub fn read(&self) -> Counted {
        let mut counted = Counted { sum_us: self.sum_us.load(Ordering::Relaxed), ..Counted::default() };
        for (to, from) in counted.buckets.iter_mut().zip(&self.buckets) {
            *to = from.load(Ordering::Relaxed);
        }
        counted
    }
}

/// A histogram at one moment, or the difference between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Durations in each bucket.
    pub buckets: [u64; BUCKETS],
    /// Sum of all durations, in microseconds.
    pub sum_us: u64,
}

impl Default for Counted {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], sum_us: 0 }
    }
}

impl Counted {
    /// Durations in all.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Durations by the upper end of their bucket in microseconds, none for the last, which has no end. Of
    /// those that are kept this is one bucket in two, which is what dashboards need.
    pub fn shown(&self) -> impl Iterator<Item = (Option<u64>, u64)> {
        let ends = BOUNDS_US.into_iter().map(Some).chain([None]).enumerate();
        let mut count = 0;
        ends.zip(self.buckets).filter_map(move |((place, end), bucket)| {
            count += bucket;
            (place % 2 == 0).then(|| (end, std::mem::take(&mut count)))
        })
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut difference = Self { sum_us: self.sum_us.saturating_sub(earlier.sum_us), ..Self::default() };
        let pairs = self.buckets.iter().zip(&earlier.buckets);
        for (to, (now, then)) in difference.buckets.iter_mut().zip(pairs) {
            *to = now.saturating_sub(*then);
        }
        difference
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        for (to, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *to = to.saturating_add(*more);
        }
    }

    /// The duration, in microseconds, that `permille` thousandths of all do not exceed, interpolated within
    /// its bucket, so off by a fourth of itself at most; none when nothing was counted. Beyond the last
    /// bound, that bound.
    pub fn quantile_us(&self, permille: u64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (count.saturating_mul(permille)).div_ceil(1_000).clamp(1, count);
        let (mut below, mut lower) = (0_u64, 0_u64);
        for (bucket, upper) in self.buckets.iter().zip(BOUNDS_US) {
            if below + bucket >= rank {
                let share = (upper - lower).saturating_mul(rank - below) / bucket;
                return Some(lower + share);
            }
            (below, lower) = (below + bucket, upper);
        }
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let histogram = Histogram::default();
        for us in 1..=1_000_u64 {
            histogram.record(us * 1_000);
        }
        let counted = histogram.read();
        assert_eq!((counted.count(), counted.sum_us), (1_000, 500_500));
        for (permille, expected) in [(500, 500), (990, 990), (10, 10), (1_000, 1_000)] {
            let got = counted.quantile_us(permille).unwrap();
            assert!(got.abs_diff(expected) <= expected / 4, "{permille}: {got} for {expected}");
        }
    }

    #[test]
    fn nothing_has_no_quantile_and_the_endless_bucket_ends_at_its_beginning() {
        let histogram = Histogram::default();
        assert_eq!(histogram.read().quantile_us(500), None);
        histogram.record(u64::MAX);
        assert_eq!(histogram.read().quantile_us(500), Some(70_000_000));
    }

    #[test]
    fn a_difference_holds_what_came_between() {
        let histogram = Histogram::default();
        histogram.record(5_000);
        let before = histogram.read();
        histogram.record(2_000_000);
        let between = histogram.read().since(&before);
        assert_eq!((between.count(), between.sum_us), (1, 2_000));
        let mut sum = before;
        sum.add(&between);
        assert_eq!(sum, histogram.read());
    }
}
