//! What went wrong on the way, without what nobody is to read.

use std::error::Error;

use tokio_tungstenite::tungstenite;

use crate::AdapterError;

/// An error with its causes. Addresses are left out: brokers put tokens into them.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "it took too long".to_owned()
    } else if error.is_connect() {
        "no connection".to_owned()
    } else if error.is_redirect() {
        "too many redirects".to_owned()
    } else if error.is_body() || error.is_decode() {
        "the answer broke off or is damaged".to_owned()
    } else {
        "the request failed".to_owned()
    };
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        // Layers repeat each other.
        if !said.contains("://") && !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = inner.source();
    }
    text
}

/// The error of a request.
pub(super) fn failed(what: &str, error: &reqwest::Error) -> AdapterError {
    AdapterError::network(format!("{what}: {}", chain(error)))
}

/// The error of a WebSocket that was up.
pub(super) fn lost(error: tungstenite::Error) -> AdapterError {
    use tungstenite::Error;
    let lost = match &error {
        Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) => {
            AdapterError::protocol(format!("the broker broke the WebSocket protocol: {error}"))
        }
        Error::ConnectionClosed | Error::AlreadyClosed => {
            AdapterError::network("the broker closed the connection")
        }
        error => AdapterError::network(format!("the connection to the broker is lost: {error}")),
    };
    lost.caused_by(error)
}
