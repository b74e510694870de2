//! What went wrong on the way to the broker, and whether it is worth a retry.

use adapter_sdk::AdapterError;
use tokio_tungstenite::tungstenite::{Error, http::StatusCode};

/// The error of a connection. Answers of the broker are shown by their number only, since nobody knows whether their
/// text repeats a token.
pub(crate) fn lost(error: &Error) -> AdapterError {
    match error {
        Error::Http(response) => match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                AdapterError::auth(format!("the broker refused the log-in with HTTP {}", response.status()))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                AdapterError::rate_limited("the broker asks for fewer connections")
            }
            status => AdapterError::network(format!("the broker answered with HTTP {status}")),
        },
        Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) => AdapterError::protocol(error),
        error => AdapterError::network(error),
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::abi::ErrorCode;
    use tokio_tungstenite::tungstenite::http::Response;

    use super::*;

    #[test]
    fn answers_have_their_class() {
        let code = |status: u16| {
            let response = Response::builder().status(status).body(Some(b"token=abc".to_vec())).unwrap();
            let error = lost(&Error::Http(Box::new(response)));
            assert!(!error.to_string().contains("abc"), "{error}");
            error.code()
        };
        assert_eq!(code(401), ErrorCode::AUTH);
        assert_eq!(code(429), ErrorCode::RATE_LIMITED);
        assert_eq!(code(502), ErrorCode::NETWORK);
        assert_eq!(lost(&Error::ConnectionClosed).code(), ErrorCode::NETWORK);
    }
}
