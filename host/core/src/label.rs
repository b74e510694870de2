//! What counters are told apart by. It lies below the codes that are counted and the counters of them.

/// A value by which something is counted, such as a reason: few, and all of them known.
pub trait Label: Copy + PartialEq + 'static {
    /// All values.
    const ALL: &'static [Self];

    /// The spelling in metrics.
    fn as_str(self) -> &'static str;
}
