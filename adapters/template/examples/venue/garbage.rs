//! Frames that make no sense, the same ones for the same seed.

use tokio_tungstenite::tungstenite::Message;

/// Messages that are cut and changed, of every kind that the broker has.
const MESSAGES: [&str; 6] = [
    r#"{"type":"ticks","ticks":[{"h":0,"p":62505,"v":1500000,"t":1764570600000,"b":[[62500,10,2]],"s":[[62510,5,1]]}]}"#,
    r#"{"type":"ticks","ticks":[{"h":1,"p":-1,"o":9223372036854775807,"hi":1e999,"lo":null}]}"#,
    r#"{"type":"ticks","ticks":[{"h":4294967295,"b":[[1,2,3]]},{"h":0,"t":18446744073709551615}]}"#,
    r#"{"type":"subscribed","handles":{"1|NOBODY":0,"":4294967295}}"#,
    r#"{"type":"refused","key":"1|NOBODY","reason":""}"#,
    r#"{"type":"heartbeat","extra":[[[[[[[[[[]]]]]]]]]]}"#,
];

/// Longest frame of random bytes.
const BYTES: u64 = 300;

/// A generator of frames: xorshift, which needs no library.
pub(crate) struct Garbage {
    state: u64,
}

impl Garbage {
    pub(crate) const fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, limit: u64) -> usize {
        usize::try_from(self.random() % limit.max(1)).unwrap_or(0)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.below(BYTES);
        (0..length).map(|_| self.random().to_le_bytes()[0]).collect()
    }

    fn message(&mut self) -> Vec<u8> {
        let chosen = self.below(MESSAGES.len() as u64);
        MESSAGES.get(chosen).map(|text| text.as_bytes().to_vec()).unwrap_or_default()
    }
}

impl Iterator for Garbage {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let mut bytes = match self.below(4) {
            0 => return Some(Message::binary(self.bytes())),
            1 => self.bytes(),
            _ => self.message(),
        };
        match self.below(3) {
            0 => {
                let length = self.below(bytes.len() as u64);
                bytes.truncate(length);
            }
            1 => {
                let place = self.below(bytes.len() as u64);
                let random = self.random().to_le_bytes()[0];
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = random & 0x7f;
                }
            }
            _ => {}
        }
        Some(Message::text(String::from_utf8_lossy(&bytes).into_owned()))
    }
}
