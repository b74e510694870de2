//! Texts as keys.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Key;

/// A short text of at most `N` bytes, which is copied as numbers are: the key of a broker whose packets name
/// instruments by a symbol. It is at least one byte long, and neither longer than 255 nor with a zero byte in
/// it.
///
/// ```
/// use adapter_sdk::instruments::Text;
///
/// let key = Text::<16>::new("C-BTC-80000-281299").or(Text::new("BTCUSD")).unwrap();
/// assert_eq!((key.as_str(), serde_json::to_string(&key).unwrap().as_str()), ("BTCUSD", r#""BTCUSD""#));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const N: usize> {
    /// Padded with zeros, so that the order is that of the texts.
    bytes: [u8; N],
    length: u8,
}

impl<const N: usize> Text<N> {
    /// None of a text that is empty, too long, or has a zero byte.
    #[inline]
    pub fn new(text: &str) -> Option<Self> {
        let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        (!text.as_bytes().contains(&0)).then_some(Self { bytes, length })
    }

    /// As the broker writes it.
    #[inline]
    pub fn as_str(&self) -> &str {
        let text = self.bytes.get(..self.length.into()).unwrap_or_default();
        // It was one when it was taken.
        str::from_utf8(text).unwrap_or_default()
    }
}

impl<const N: usize> Key for Text<N> {
    type Parts = [u8; N];

    fn parts(self) -> [u8; N] {
        self.bytes
    }

    fn of_parts(bytes: [u8; N]) -> Option<Self> {
        let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(N);
        Self::new(str::from_utf8(bytes.get(..length)?).ok()?)
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Visitor)
    }
}

struct Visitor<const N: usize>;

impl<const N: usize> de::Visitor<'_> for Visitor<N> {
    type Value = Text<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of 1 to {N} bytes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<N>, E> {
        Text::new(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_fit_is_none() {
        let longest = "S".repeat(40);
        assert_eq!(Text::<40>::new(&longest).unwrap().as_str(), longest);
        assert_eq!(Text::<39>::new(&longest), None);
        for text in ["", "\0", "A\0B"] {
            assert_eq!(Text::<8>::new(text), None, "{text:?}");
        }
        assert_eq!(Text::<300>::new(&"S".repeat(256)), None);
        assert!(
            serde_json::from_str::<Text<3>>(r#""LONG""#).unwrap_err().to_string().contains("1 to 3 bytes")
        );
        assert_eq!(Text::<3>::of_parts([0xff, b'A', 0]), None);
        assert_eq!(Text::<3>::of_parts([0; 3]), None);
    }

    proptest! {
        #[test]
        fn it_is_the_text_in_every_way(one in "\\PC{1,12}", other in "[A-C]{1,4}", third in "[A-C]{1,4}") {
            let key = Text::<48>::new(&one).unwrap();
            prop_assert_eq!(key.as_str(), &one);
            prop_assert_eq!(Text::<48>::of_parts(key.parts()), Some(key));
            let json = serde_json::to_string(&key).unwrap();
            prop_assert_eq!(&json, &serde_json::to_string(&one).unwrap());
            prop_assert_eq!(serde_json::from_str::<Text<48>>(&json).unwrap(), key);
            let [other_key, third_key] = [&other, &third].map(|text| Text::<48>::new(text).unwrap());
            prop_assert_eq!(other_key.cmp(&third_key), other.cmp(&third));
        }
    }
}
