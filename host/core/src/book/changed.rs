//! What became another value, and who sees it.

use crate::model::{Mode, field};

/// What a merge did: the values that differ from those before, [`field::BOOK`] if the book does, and
/// a bit of its own if the greeks do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed(pub(super) u32);

/// Stands for all greeks of an instrument. No bit of a value: records have greeks of their own.
pub(super) const GREEKS: u32 = 1 << 28;

impl Changed {
    /// Whether a frame of this mode differs from the one before the merge in anything but its time.
    pub const fn is_visible_in(self, mode: Mode) -> bool {
        let shown = match mode {
            Mode::Ltp => field::IN_LTP,
            Mode::Quote => field::IN_QUOTE | GREEKS,
            Mode::Depth => field::IN_QUOTE | GREEKS | field::BOOK,
        };
        self.0 & shown & !field::EXCHANGE_TS != 0
    }

    /// Whether the book differs from the one before.
    pub const fn is_another_book(self) -> bool {
        self.0 & field::BOOK != 0
    }

    /// Whether something differs that no kind of tick brings to all who see it: the book, which goes with its
    /// day whatever the first tick of the next one is, or greeks.
    pub const fn is_beside_ticks(self) -> bool {
        self.0 & (field::BOOK | GREEKS) != 0
    }

    /// What two steps did together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
