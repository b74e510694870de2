//! Pseudo-random numbers whose sequence is part of this adapter's contract.
//!
//! Own code because the same seed has to give the same market in every later version, which general-purpose
//! crates do not promise of their generators. Integers only, so that the result does not depend on the
//! platform either.

/// A `SplitMix64` generator. Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// A generator for one purpose: equal seeds and names give equal sequences, others unrelated ones.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self { state: mix(seed ^ hash(name)) }
    }

    /// The next number.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number in `0..bound`, or 0 when the bound is not positive.
    pub(crate) fn below(&mut self, bound: i64) -> i64 {
        reduce(self.next_u64(), bound)
    }

    /// A number in `low..=high`; `low` when the range is empty.
    pub(crate) fn between(&mut self, low: i64, high: i64) -> i64 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// A roughly bell-shaped number in `-4 * scale ..= 4 * scale`, with a standard deviation of about 1.15
    /// `scale`.
    pub(crate) fn bell(&mut self, scale: i64) -> i64 {
        (0..4).map(|_| self.between(-scale, scale)).sum()
    }
}

/// The 64-bit FNV-1a hash of a name.
pub(crate) fn hash(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Spreads every bit of a number over all bits of another.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Maps a random number to `0..bound`, or to 0 when the bound is not positive.
pub(crate) fn reduce(random: u64, bound: i64) -> i64 {
    let bound = u64::try_from(bound).unwrap_or(0).max(1);
    // The product's upper half is below `bound`, which is at most `i64::MAX`.
    i64::try_from((u128::from(random) * u128::from(bound)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_of_a_seed_and_name_never_changes() {
        let mut random = Random::new(7, "NSE:SBIN");
        let drawn = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(drawn, [3_855_611_739_284_266_359, 12_297_868_103_756_803_447, 8_483_529_090_228_572_105]);
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let mut random = Random::new(1, "range");
        for _ in 0..10_000 {
            assert!((0..7).contains(&random.below(7)));
            assert!((-3..=3).contains(&random.between(-3, 3)));
            assert!((-40..=40).contains(&random.bell(10)));
        }
        assert_eq!(random.below(0), 0);
        assert_eq!(random.between(5, 1), 5);
    }

    #[test]
    fn other_names_and_seeds_give_other_numbers() {
        let first = |seed, name| Random::new(seed, name).next_u64();
        assert_ne!(first(1, "NSE:SBIN"), first(2, "NSE:SBIN"));
        assert_ne!(first(1, "NSE:SBIN"), first(1, "NSE:TCS"));
    }
}
