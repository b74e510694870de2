//! Frames that make no sense, the same ones for the same seed.

use crate::Message;

/// Longest frame of random bytes.
const BYTES: u64 = 600;

/// Random bytes, and samples of the broker's messages that are cut and changed.
#[derive(Debug)]
pub struct Garbage {
    state: u64,
}

impl Garbage {
    /// What follows from a seed.
    pub const fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.random() % limit).unwrap_or(0)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(usize::try_from(BYTES).unwrap_or(0));
        (0..length).map(|_| self.random().to_le_bytes()[3]).collect()
    }

    /// The next frame, made of one of the broker's messages or of nothing.
    pub fn frame(&mut self, samples: &[Message]) -> Message {
        let kind = self.below(8);
        let place = self.below(samples.len());
        let Some(sample) = samples.get(place).filter(|_| kind > 1) else {
            let bytes = self.bytes();
            return if kind == 0 { Message::binary(bytes) } else { text_of(&bytes) };
        };
        let mut bytes = sample.payload().to_vec();
        let place = self.below(bytes.len());
        if kind < 5 {
            bytes.truncate(place);
        } else if let Some(byte) = bytes.get_mut(place) {
            *byte ^= self.random().to_le_bytes()[0] | 1;
        }
        match sample {
            Message::Text(_) => text_of(&bytes),
            _ => Message::binary(bytes),
        }
    }
}

fn text_of(bytes: &[u8]) -> Message {
    Message::text(String::from_utf8_lossy(bytes).into_owned())
}
