//! Errors of an adapter, with what the SDK does about each kind.

use std::{error::Error, fmt, io, sync::Arc};

use adapter_abi::{AdapterError as AbiError, ErrorCode};

/// Why something failed. The message is shown to operators: say what is wrong and what to do, and no secrets.
///
/// Two errors are equal when their kinds and messages are; what they come from is for people who look for a
/// cause.
#[derive(Clone, Debug)]
pub struct AdapterError {
    code: ErrorCode,
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

#[expect(clippy::needless_pass_by_value, reason = "texts and errors are handed over as they are")]
impl AdapterError {
    /// Network trouble: tried again, with growing pauses.
    pub fn network(message: impl ToString) -> Self {
        Self::of(ErrorCode::NETWORK, message)
    }

    /// The broker sent something that makes no sense: the connection is made again.
    pub fn protocol(message: impl ToString) -> Self {
        Self::of(ErrorCode::PROTOCOL, message)
    }

    /// The broker refused the credentials: tried once more, then only with new ones.
    pub fn auth(message: impl ToString) -> Self {
        Self::of(ErrorCode::AUTH, message)
    }

    /// The settings are wrong: not tried again.
    pub fn config(message: impl ToString) -> Self {
        Self::of(ErrorCode::CONFIG, message)
    }

    /// The broker asks for fewer requests: tried again after the longest pause.
    pub fn rate_limited(message: impl ToString) -> Self {
        Self::of(ErrorCode::RATE_LIMITED, message)
    }

    /// What failed on this machine or on the way to the broker, by the kind of the failure: a file that is
    /// not there, may not be opened or is not what it should be is a mistake in the settings, which no retry
    /// mends; everything else is network trouble. `what` says what was tried, such as
    /// `the certificates of network.ca_file`. There is no conversion with `?`: an error that says nothing but
    /// "not found" helps nobody.
    pub fn io(what: impl fmt::Display, error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let code = match error.kind() {
            Kind::NotFound
            | Kind::PermissionDenied
            | Kind::AlreadyExists
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::DirectoryNotEmpty
            | Kind::ReadOnlyFilesystem
            | Kind::InvalidInput
            | Kind::InvalidFilename
            | Kind::Unsupported => ErrorCode::CONFIG,
            _ => ErrorCode::NETWORK,
        };
        Self::of(code, format!("{what}: {error}")).caused_by(error)
    }

    /// Adds the error that this one comes from, for [`Error::source`]. It is logged with the adapter's own
    /// lines at most, never shown to clients; still, see that its text has no secrets.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// An error of a kind that is known by its code.
    pub(crate) fn of(code: ErrorCode, message: impl ToString) -> Self {
        Self { code, message: message.to_string(), source: None }
    }

    pub(crate) fn panicked(message: impl ToString) -> Self {
        Self::of(ErrorCode::PANICKED, message)
    }

    pub(crate) fn unavailable(message: impl ToString) -> Self {
        Self::of(ErrorCode::UNAVAILABLE, message)
    }

    /// Kind of the error.
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Whether trying again without a change from outside can help.
    pub const fn is_retryable(&self) -> bool {
        self.code.is_retryable()
    }

    /// The error as it crosses the boundary: kind and message.
    pub(crate) fn into_abi(self) -> AbiError {
        AbiError { code: self.code, message: self.message.into() }
    }
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for AdapterError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl PartialEq for AdapterError {
    fn eq(&self, other: &Self) -> bool {
        (self.code, &self.message) == (other.code, &other.message)
    }
}

impl Eq for AdapterError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_is_no_network_trouble() {
        let missing = std::fs::read("/nowhere/certificates.pem").unwrap_err();
        let said = missing.to_string();
        let error = AdapterError::io("the certificates", missing);
        assert_eq!((error.code(), error.is_retryable()), (ErrorCode::CONFIG, false));
        assert_eq!(error.to_string(), format!("the certificates: {said}"));
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).unwrap();
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
        for kind in [io::ErrorKind::ConnectionRefused, io::ErrorKind::TimedOut, io::ErrorKind::UnexpectedEof]
        {
            assert_eq!(AdapterError::io("the feed", kind.into()).code(), ErrorCode::NETWORK, "{kind}");
        }
    }

    #[test]
    fn where_an_error_comes_from_does_not_tell_it_from_another() {
        let plain = AdapterError::network("lost");
        let caused = plain.clone().caused_by(io::Error::other("reset"));
        assert_eq!(plain, caused);
        assert!(plain.source().is_none());
        assert_eq!(caused.source().unwrap().to_string(), "reset");
    }
}
