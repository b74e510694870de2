//! Errors of an adapter, with what the SDK does about each kind.

use adapter_abi::{AdapterError as AbiError, ErrorCode};

/// Why something failed. The message is shown to operators: say what is wrong and what to do, and no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AdapterError {
    code: ErrorCode,
    message: String,
}

#[expect(clippy::needless_pass_by_value, reason = "texts and errors are handed over as they are")]
impl AdapterError {
    /// Network trouble: tried again, with growing pauses.
    pub fn network(message: impl ToString) -> Self {
        Self { code: ErrorCode::NETWORK, message: message.to_string() }
    }

    /// The broker sent something that makes no sense: the connection is made anew.
    pub fn protocol(message: impl ToString) -> Self {
        Self { code: ErrorCode::PROTOCOL, message: message.to_string() }
    }

    /// The broker refused the credentials: tried once more, then only with new ones.
    pub fn auth(message: impl ToString) -> Self {
        Self { code: ErrorCode::AUTH, message: message.to_string() }
    }

    /// The settings are wrong: not tried again.
    pub fn config(message: impl ToString) -> Self {
        Self { code: ErrorCode::CONFIG, message: message.to_string() }
    }

    /// The broker asks for fewer requests: tried again after the longest pause.
    pub fn rate_limited(message: impl ToString) -> Self {
        Self { code: ErrorCode::RATE_LIMITED, message: message.to_string() }
    }

    /// An error of a kind that is known by its code.
    #[cfg(feature = "net")]
    pub(crate) fn of(code: ErrorCode, message: impl ToString) -> Self {
        Self { code, message: message.to_string() }
    }

    pub(crate) fn panicked(message: impl ToString) -> Self {
        Self { code: ErrorCode::PANICKED, message: message.to_string() }
    }

    pub(crate) fn unavailable(message: impl ToString) -> Self {
        Self { code: ErrorCode::UNAVAILABLE, message: message.to_string() }
    }

    /// Kind of the error.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Whether trying again without a change from outside can help.
    pub const fn is_retryable(&self) -> bool {
        self.code.is_retryable()
    }
}

impl From<std::io::Error> for AdapterError {
    fn from(error: std::io::Error) -> Self {
        Self::network(error)
    }
}

impl From<AdapterError> for AbiError {
    fn from(error: AdapterError) -> Self {
        Self { code: error.code, message: error.message.into() }
    }
}
