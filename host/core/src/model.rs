//! The words that every stage shares: modes, identities, and a borrowed view of an instrument's values.

use std::{fmt, time::Duration};

pub use adapter_abi::{
    Depth, DepthLevel, Greeks, Ltp, MAX_DEPTH_LEVELS, ORDERS_ABSENT, PRICE_SCALE, Quote, field, greek,
};

/// What a client asked for, and what a tick was published as. Each mode contains the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Last price and the trade it belongs to.
    Ltp = 1,
    /// The day's range, averages, best bid and ask.
    Quote = 2,
    /// The book.
    Depth = 3,
}

impl Mode {
    /// All modes, lowest first.
    pub const ALL: [Self; 3] = [Self::Ltp, Self::Quote, Self::Depth];

    /// The number that stands for the mode on the client wire and in the plugin ABI.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The mode with this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Ltp),
            2 => Some(Self::Quote),
            3 => Some(Self::Depth),
            _ => None,
        }
    }

    /// The spelling used in acknowledgements, which clients compare: `LTP`, `Quote`, `Depth`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ltp => "LTP",
            Self::Quote => "Quote",
            Self::Depth => "Depth",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// Depth levels a client can ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum DepthClass {
    /// Five levels, the default.
    #[default]
    Five = 0,
    /// Twenty levels.
    Twenty = 1,
    /// Thirty levels.
    Thirty = 2,
    /// Fifty levels.
    Fifty = 3,
    /// Two hundred levels.
    TwoHundred = 4,
}

impl DepthClass {
    /// All classes, smallest first.
    pub const ALL: [Self; 5] = [Self::Five, Self::Twenty, Self::Thirty, Self::Fifty, Self::TwoHundred];

    /// Levels on each side.
    pub const fn levels(self) -> u16 {
        match self {
            Self::Five => 5,
            Self::Twenty => 20,
            Self::Thirty => 30,
            Self::Fifty => 50,
            Self::TwoHundred => 200,
        }
    }

    /// The smallest class that holds this many levels; more than 200 is cut to 200.
    pub fn at_least(levels: u64) -> Self {
        Self::ALL.into_iter().find(|class| u64::from(class.levels()) >= levels).unwrap_or(Self::TwoHundred)
    }
}

/// What one kind of frame for an instrument looks like: its mode, its number of depth levels, and whether the
/// symbol carries its depth suffix (`RELIANCE:50`), as the client wrote it. Frames of one variant are the
/// same for everybody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Variant(u8);

impl Variant {
    const SUFFIX: u8 = 1 << 5;
    const LOSSLESS: u8 = 1 << 6;

    /// Number of different variants; [`Variant::index`] is below it.
    pub const COUNT: usize = 128;

    /// A variant. `depth` matters in mode DEPTH and when `suffixed`, and is forgotten otherwise.
    pub const fn new(mode: Mode, depth: DepthClass, suffixed: bool) -> Self {
        let depth = if suffixed || matches!(mode, Mode::Depth) { depth as u8 } else { 0 };
        Self(mode as u8 | (depth << 2) | if suffixed { Self::SUFFIX } else { 0 })
    }

    /// The same frames, but of every tick: neither throttled nor conflated.
    #[must_use]
    pub const fn lossless(self) -> Self {
        Self(self.0 | Self::LOSSLESS)
    }

    /// Whether every tick has its frame.
    pub const fn is_lossless(self) -> bool {
        self.0 & Self::LOSSLESS != 0
    }

    /// Mode of the frames.
    pub const fn mode(self) -> Mode {
        match self.0 & 3 {
            1 => Mode::Ltp,
            2 => Mode::Quote,
            _ => Mode::Depth,
        }
    }

    /// Depth levels of the frames, and the number in the suffix.
    pub const fn depth(self) -> DepthClass {
        match (self.0 >> 2) & 7 {
            0 => DepthClass::Five,
            1 => DepthClass::Twenty,
            2 => DepthClass::Thirty,
            3 => DepthClass::Fifty,
            _ => DepthClass::TwoHundred,
        }
    }

    /// Whether the symbol in the frames ends in `:<levels>`.
    pub const fn is_suffixed(self) -> bool {
        self.0 & Self::SUFFIX != 0
    }

    /// A small number, unique to the variant.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mode())?;
        if self.mode() == Mode::Depth || self.is_suffixed() {
            write!(f, "{}", self.depth().levels())?;
        }
        f.write_str(if self.is_suffixed() { ":" } else { "" })?;
        f.write_str(if self.is_lossless() { " lossless" } else { "" })
    }
}

/// Updates of one key in a second that a client wants at most, in steps of a thousandth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MaxRate {
    millihertz: u32,
}

impl MaxRate {
    /// The lowest: one in 100 seconds.
    pub const MIN: f64 = 0.01;

    /// The highest.
    pub const MAX: f64 = 1_000.0;

    /// This many updates a second; none when that is out of range.
    pub fn per_second(rate: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        (Self::MIN..=Self::MAX).contains(&rate).then(|| Self { millihertz: (rate * 1_000.0).round() as u32 })
    }

    /// The rate of updates that are this far apart, if they are at all.
    pub fn of_interval(interval: Duration) -> Option<Self> {
        Self::per_second((1.0 / interval.as_secs_f64()).clamp(0.0, Self::MAX))
    }

    /// Shortest time between two updates.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(1_000.0 / f64::from(self.millihertz))
    }

    /// Thousandths of an update in a second.
    pub const fn millihertz(self) -> u32 {
        self.millihertz
    }
}

/// Which updates of a key a client wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// As the host is set up: throttled, and the newest when the client is behind.
    #[default]
    Newest,
    /// Fewer than that.
    AtMost(MaxRate),
    /// Every tick in order, or a notice of how many are missing.
    EveryTick,
}

impl Delivery {
    /// The highest rate that was asked for.
    pub const fn rate(self) -> Option<MaxRate> {
        match self {
            Self::AtMost(rate) => Some(rate),
            Self::Newest | Self::EveryTick => None,
        }
    }
}

/// One account at one broker. Numbers are never used again while the host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub u32);

/// One (feed, exchange, symbol) while somebody holds it. The number that adapters publish under: the low bits
/// name a place in the router's table, the high bits count how often the place was given out, so that a late
/// tick for an instrument that left is never taken for the one that came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstrumentId(pub u32);

impl InstrumentId {
    /// Bits that name the place.
    pub const SLOT_BITS: u32 = 20;

    /// Most instruments that the host holds at one time.
    pub const SLOTS: usize = 1 << Self::SLOT_BITS;

    /// Joins place and count.
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self((generation << Self::SLOT_BITS) | (slot & ((1 << Self::SLOT_BITS) - 1)))
    }

    /// Place in the router's table.
    pub const fn slot(self) -> usize {
        (self.0 & ((1 << Self::SLOT_BITS) - 1)) as usize
    }
}

/// Which stream of frames a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The instrument, and with it the feed.
    pub instrument: InstrumentId,
    /// Mode, levels and label.
    pub variant: Variant,
}

/// The values known of an instrument at one moment, borrowed from wherever they live.
#[derive(Clone, Copy, Debug)]
pub struct TickView<'a> {
    /// Everything but the book; a value counts only when its bit is set in `fields`.
    pub quote: &'a Quote,
    /// Bids, best first.
    pub buy: &'a [DepthLevel],
    /// Asks, best first.
    pub sell: &'a [DepthLevel],
    /// Greeks, if there are any.
    pub greeks: Option<&'a Greeks>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_gives_back_what_it_was_made_of() {
        let mut seen = std::collections::BTreeSet::new();
        for mode in Mode::ALL {
            for depth in DepthClass::ALL {
                for suffixed in [false, true] {
                    let variant = Variant::new(mode, depth, suffixed);
                    assert_eq!(variant.mode(), mode);
                    assert_eq!(variant.is_suffixed(), suffixed);
                    if mode == Mode::Depth || suffixed {
                        assert_eq!(variant.depth(), depth);
                    }
                    assert!(variant.index() < Variant::COUNT);
                    assert!(!variant.is_lossless());
                    let lossless = variant.lossless();
                    assert_eq!(
                        (lossless.mode(), lossless.depth(), lossless.is_suffixed(), lossless.is_lossless()),
                        (variant.mode(), variant.depth(), variant.is_suffixed(), true)
                    );
                    assert!(lossless.index() < Variant::COUNT);
                    seen.extend([variant, lossless]);
                }
            }
        }
        assert_eq!(seen.len(), 2 * (2 + 5 + 3 * 5));
    }

    #[test]
    fn depth_requests_are_rounded_up_to_a_class() {
        assert_eq!(DepthClass::at_least(0), DepthClass::Five);
        assert_eq!(DepthClass::at_least(6), DepthClass::Twenty);
        assert_eq!(DepthClass::at_least(50), DepthClass::Fifty);
        assert_eq!(DepthClass::at_least(1_000), DepthClass::TwoHundred);
    }
}
