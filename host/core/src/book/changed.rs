//! What became another value, and who sees it.

use crate::model::{Mode, field};

/// What a merge did: the values that differ from those before, and [`field::BOOK`] if the book does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed(pub(super) u32);

impl Changed {
    /// Whether a frame of this mode differs from the one before the merge in anything but its time.
    pub const fn is_visible_in(self, mode: Mode) -> bool {
        let shown = match mode {
            Mode::Ltp => field::IN_LTP,
            Mode::Quote => field::IN_QUOTE,
            Mode::Depth => field::IN_QUOTE | field::BOOK,
        };
        self.0 & shown & !field::EXCHANGE_TS != 0
    }

    /// Whether the book differs from the one before.
    pub const fn is_another_book(self) -> bool {
        self.0 & field::BOOK != 0
    }

    /// What two steps did together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
