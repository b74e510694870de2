//! The end of a WebSocket that the broker has said itself.

use crate::AdapterError;

/// The broker has ended a WebSocket with a close frame, which is no trouble of the network: the end of its
/// day, or the word of some that another program has logged in with the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker closed the connection{}", .code.map_or_else(String::new, |code| format!(" with code {code}")))]
pub struct Closed {
    code: Option<u16>,
}

impl Closed {
    pub(super) const fn new(code: Option<u16>) -> Self {
        Self { code }
    }

    /// That of an error of [`WebSocket::next`](super::WebSocket::next), which is where a connection is lost;
    /// none for any other.
    pub fn of(error: &AdapterError) -> Option<Self> {
        std::error::Error::source(error)?.downcast_ref().copied()
    }

    /// Its code, if it has one.
    pub const fn code(self) -> Option<u16> {
        self.code
    }
}
