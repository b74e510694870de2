//! What goes over a WebSocket, in the SDK's own types: the library that reads frames may change, an adapter
//! does not.

use std::{fmt, ops::Deref};

use bytes::Bytes;
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};

/// A message, of the broker's or to it. Cheap to clone: clones share their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text frame.
    Text(Text),
    /// A binary frame.
    Binary(Bytes),
}

impl Message {
    pub(super) fn into_frame(self) -> tungstenite::Message {
        match self {
            Self::Text(text) => tungstenite::Message::Text(text.0),
            Self::Binary(bytes) => tungstenite::Message::Binary(bytes),
        }
    }
}

/// The text of a message. It is read as a `str`, and made of a `String`, a `&str` or, without a copy, a
/// [`Text::from_static`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Utf8Bytes);

impl Text {
    /// A text of the program, which is not copied.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Utf8Bytes::from_static(text))
    }

    pub(super) const fn of_frame(text: Utf8Bytes) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The text as bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&'static str> for Message {
    fn from(text: &'static str) -> Self {
        Self::Text(Text::from_static(text))
    }
}

impl From<Text> for Message {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&'static [u8]> for Message {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Binary(Bytes::from_static(bytes))
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_copied_between_a_frame_and_a_message() {
        let frame = Utf8Bytes::from(String::from("a tick"));
        let address = frame.as_str().as_ptr();
        let Message::Text(text) = Message::Text(Text::of_frame(frame)) else { panic!("a text") };
        assert_eq!(text.as_str().as_ptr(), address);
        let tungstenite::Message::Text(frame) = Message::from(text).into_frame() else { panic!("a text") };
        assert_eq!(frame.as_str().as_ptr(), address);

        let text = String::from("subscribe");
        let address = text.as_ptr();
        assert_eq!(Text::from(text).into_bytes().as_ptr(), address);
        let bytes = vec![1_u8, 2];
        let address = bytes.as_ptr();
        let tungstenite::Message::Binary(frame) = Message::from(bytes).into_frame() else { panic!("bytes") };
        assert_eq!(frame.as_ptr(), address);
    }

    #[test]
    fn a_text_is_a_str_to_who_reads_it() {
        let text = Text::from("42,100");
        assert_eq!(text.split_once(','), Some(("42", "100")));
        assert_eq!((text.to_string(), format!("{text:?}")), ("42,100".to_owned(), "\"42,100\"".to_owned()));
        assert!(text == "42,100" && text == *"42,100");
    }
}
