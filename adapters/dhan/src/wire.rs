//! The broker's binary messages, field by field, with the broker's numbers. Little-endian. Pure, and no input makes it
//! panic.
//!
//! Layouts are those of the broker's v2 documents ("Live Market Feed", "Full Market Depth") and of its Python package
//! (`dhanhq` 2.3.0); where the two differ, the field says which one is right. Quantities are called signed in the
//! documents; the package reads them as unsigned, which is right.

pub mod depth;
pub mod live;

/// Why a part of a message is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The message ends within a packet; or the packet's length is shorter than its head, so that nobody can say where
    /// the next one begins.
    #[error("the message is cut off")]
    Truncated,
    /// A packet that is too short for its kind. What follows it is fine.
    #[error("a packet of kind {code} with {bytes} bytes, which is too short")]
    TooShort {
        /// The broker's number of the kind.
        code: u8,
        /// Its length.
        bytes: usize,
    },
    /// The broker has no such segment. What follows it is fine.
    #[error("a packet of segment {0}, which does not exist")]
    UnknownSegment(u8),
}

/// What is not read yet.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    #[inline]
    fn take<const N: usize>(&mut self) -> [u8; N] {
        // Lengths are checked before a packet is read.
        let Some((taken, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *taken
    }

    #[inline]
    fn short(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    #[inline]
    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    #[inline]
    fn float(&mut self) -> f32 {
        f32::from_le_bytes(self.take())
    }

    #[inline]
    fn double(&mut self) -> f64 {
        f64::from_le_bytes(self.take())
    }
}
