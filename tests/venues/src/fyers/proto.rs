//! Just enough of protobuf to write what the TBT socket sends.

/// A message that is being written.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            let [low, ..] = number.to_le_bytes();
            self.0.push(low | 0x80);
            number >>= 7;
        }
        let [low, ..] = number.to_le_bytes();
        self.0.push(low);
    }

    /// A number, which is not written when it is zero: that is what its absence means.
    pub(super) fn number(&mut self, field: u8, number: u64) {
        if number != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(number);
        }
    }

    /// A text or a message.
    pub(super) fn bytes(&mut self, field: u8, bytes: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    /// A number in a message of its own, so that zero differs from nothing; nothing for none.
    pub(super) fn wrapped(&mut self, field: u8, number: Option<u64>) {
        if let Some(number) = number {
            let mut inner = Self::default();
            inner.number(1, number);
            self.bytes(field, &inner.0);
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_bytes() {
        let mut writer = Writer::default();
        writer.number(1, 8);
        writer.number(3, 0);
        writer.bytes(4, b"hi");
        writer.wrapped(2, Some(300));
        writer.wrapped(3, Some(0));
        writer.wrapped(5, None);
        assert_eq!(writer.finish(), hex::decode("080822026869120308ac021a00").unwrap());
        let mut negative = Writer::default();
        negative.number(1, (-1_i64).cast_unsigned());
        assert_eq!(negative.finish(), hex::decode("08ffffffffffffffffff01").unwrap());
    }
}
