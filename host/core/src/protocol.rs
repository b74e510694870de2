//! The client wire: requests to types, values to frames. Nothing here reads a socket, a clock or a setting.
//!
//! A frame from a client goes through [`request::parse`]; what the session answers is built in [`reply`];
//! ticks become frames in [`encode`], which is the hot path; order updates pass through [`order`]. Every
//! number and text that a client may act on is listed once, in [`codes`]. `host/PROTOCOL.md` describes the
//! same for people who write clients, and `host/testdata/protocol` holds one sample of each message, which
//! the tests here and those of the client packages read.

pub mod codes;
pub mod request;

pub mod reply;

pub mod encode;
pub mod order;
pub mod refusal;

#[cfg(test)]
mod golden;

/// A text for a client as its socket takes it. Cheap to clone; all clones share the bytes.
pub type Frame = tokio_tungstenite::tungstenite::Utf8Bytes;

/// A frame as the socket takes it. Frames are made of strings, so the check never fails; a frame that did
/// would be empty.
pub fn text(frame: bytes::Bytes) -> Frame {
    frame.try_into().unwrap_or_default()
}
