//! Every error code and close code that a client can see. The numbers and spellings are promises: a test pins
//! them.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::label::Label;

/// The `code` of an error frame or of a failed entry in an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The API key is missing, unknown, or tried too often.
    AuthenticationError,
    /// The request needs a verified API key first.
    NotAuthenticated,
    /// The user has no usable broker account, or the adapter of the broker does not load.
    BrokerError,
    /// The broker's adapter refused to start.
    BrokerInitError,
    /// The broker could not be reached or refused the log-in.
    BrokerConnectionError,
    /// The list of brokers is not available.
    BrokerListError,
    /// The frame is not JSON.
    InvalidJson,
    /// The action is missing or unknown.
    InvalidAction,
    /// The mode is none of 1, 2, 3, `LTP`, `Quote`, `Depth`.
    InvalidMode,
    /// Another field is missing, has the wrong type, or is out of range.
    InvalidParameters,
    /// The broker refused a subscription.
    SubscriptionError,
    /// The broker refused to end a subscription.
    UnsubscriptionError,
    /// The broker does not know the instrument.
    SymbolNotFound,
    /// All connections to the broker are full.
    MaxCapacityReached,
    /// The client holds as many subscriptions as one client may.
    SubscriptionLimitReached,
    /// The frame is JSON but no message, or a handler failed.
    ServerError,
    /// The request could not be processed for a reason that is not the client's.
    ProcessingError,
}

impl ErrorCode {
    /// All codes, in the order in which the protocol document lists them.
    pub const ALL: [Self; 17] = [
        Self::AuthenticationError,
        Self::NotAuthenticated,
        Self::BrokerError,
        Self::BrokerInitError,
        Self::BrokerConnectionError,
        Self::BrokerListError,
        Self::InvalidJson,
        Self::InvalidAction,
        Self::InvalidMode,
        Self::InvalidParameters,
        Self::SubscriptionError,
        Self::UnsubscriptionError,
        Self::SymbolNotFound,
        Self::MaxCapacityReached,
        Self::SubscriptionLimitReached,
        Self::ServerError,
        Self::ProcessingError,
    ];

    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthenticationError => "AUTHENTICATION_ERROR",
            Self::NotAuthenticated => "NOT_AUTHENTICATED",
            Self::BrokerError => "BROKER_ERROR",
            Self::BrokerInitError => "BROKER_INIT_ERROR",
            Self::BrokerConnectionError => "BROKER_CONNECTION_ERROR",
            Self::BrokerListError => "BROKER_LIST_ERROR",
            Self::InvalidJson => "INVALID_JSON",
            Self::InvalidAction => "INVALID_ACTION",
            Self::InvalidMode => "INVALID_MODE",
            Self::InvalidParameters => "INVALID_PARAMETERS",
            Self::SubscriptionError => "SUBSCRIPTION_ERROR",
            Self::UnsubscriptionError => "UNSUBSCRIPTION_ERROR",
            Self::SymbolNotFound => "SYMBOL_NOT_FOUND",
            Self::MaxCapacityReached => "MAX_CAPACITY_REACHED",
            Self::SubscriptionLimitReached => "SUBSCRIPTION_LIMIT_REACHED",
            Self::ServerError => "SERVER_ERROR",
            Self::ProcessingError => "PROCESSING_ERROR",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whether a client that was closed should connect again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// At once, with the usual back-off if that fails.
    Now,
    /// After a pause of some seconds: the host, or a limit, needs time.
    Later,
    /// Not before something at the client's side was changed; trying again ends the same way.
    Never,
}

/// Why a session ended. Each session ends with exactly one, and it gives the close frame, the log field and
/// the metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The client sent a close frame.
    ClientClosed,
    /// The connection broke without a close frame.
    ConnectionLost,
    /// The host stops or restarts.
    ShuttingDown,
    /// The client broke the rules of RFC 6455.
    ProtocolError,
    /// A text frame was not UTF-8.
    InvalidUtf8,
    /// A message was longer than allowed; before authentication the limit is lower.
    FrameTooLarge,
    /// No pong came back in time.
    PingTimeout,
    /// A fault of the host.
    InternalError,
    /// The host holds as many connections as it may.
    TooManyConnections,
    /// No valid API key was sent in time, or too many wrong ones were.
    AuthTimeout,
    /// The API key was revoked, or its user removed, while it was in use.
    KeyRevoked,
    /// Replies and order updates, which are never dropped, piled up beyond their limit because the client did
    /// not read.
    SlowClient,
    /// The client took nothing off the socket for longer than a write may last.
    WriteStalled,
    /// The client sent messages faster than allowed, for longer than the burst allows.
    TooManyMessages,
    /// The client's address holds as many connections as one address may.
    TooManyFromAddress,
    /// The API key holds as many connections as one key may.
    TooManyForKey,
}

impl CloseReason {
    /// All reasons, by close code.
    pub const ALL: [Self; 16] = [
        Self::ClientClosed,
        Self::ShuttingDown,
        Self::ProtocolError,
        Self::ConnectionLost,
        Self::InvalidUtf8,
        Self::FrameTooLarge,
        Self::PingTimeout,
        Self::InternalError,
        Self::TooManyConnections,
        Self::AuthTimeout,
        Self::KeyRevoked,
        Self::SlowClient,
        Self::WriteStalled,
        Self::TooManyMessages,
        Self::TooManyFromAddress,
        Self::TooManyForKey,
    ];

    /// The code in the close frame. [`CloseReason::ConnectionLost`] has 1006, which is never sent: there is
    /// nobody to send it to.
    pub const fn code(self) -> u16 {
        match self {
            Self::ClientClosed => 1000,
            Self::ShuttingDown => 1001,
            Self::ProtocolError => 1002,
            Self::ConnectionLost => 1006,
            Self::InvalidUtf8 => 1007,
            Self::FrameTooLarge => 1009,
            Self::PingTimeout | Self::InternalError => 1011,
            Self::TooManyConnections => 1013,
            Self::AuthTimeout => 4401,
            Self::KeyRevoked => 4403,
            Self::SlowClient => 4408,
            Self::WriteStalled => 4409,
            Self::TooManyMessages => 4429,
            Self::TooManyFromAddress => 4431,
            Self::TooManyForKey => 4432,
        }
    }

    /// The reason text in the close frame, at most 123 bytes as RFC 6455 demands.
    pub const fn text(self) -> &'static str {
        match self {
            Self::ClientClosed => "",
            Self::ConnectionLost => "connection lost",
            Self::ShuttingDown => "shutting down",
            Self::ProtocolError => "websocket protocol error",
            Self::InvalidUtf8 => "text frame is not utf-8",
            Self::FrameTooLarge => "message too large",
            Self::PingTimeout => "ping timeout",
            Self::InternalError => "internal error",
            Self::TooManyConnections => "too many connections",
            Self::AuthTimeout => "auth timeout",
            Self::KeyRevoked => "api key revoked",
            Self::SlowClient => "slow client: replies are not being read",
            Self::WriteStalled => "write stalled: nothing is being read",
            Self::TooManyMessages => "too many messages",
            Self::TooManyFromAddress => "too many connections from this address",
            Self::TooManyForKey => "too many connections for this api key",
        }
    }

    /// The value of the metric label and of the log field `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ConnectionLost => "connection_lost",
            Self::ShuttingDown => "shutting_down",
            Self::ProtocolError => "protocol_error",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::FrameTooLarge => "frame_too_large",
            Self::PingTimeout => "ping_timeout",
            Self::InternalError => "internal_error",
            Self::TooManyConnections => "too_many_connections",
            Self::AuthTimeout => "auth_timeout",
            Self::KeyRevoked => "key_revoked",
            Self::SlowClient => "slow_client",
            Self::WriteStalled => "write_stalled",
            Self::TooManyMessages => "too_many_messages",
            Self::TooManyFromAddress => "too_many_from_address",
            Self::TooManyForKey => "too_many_for_key",
        }
    }

    /// What the client should do next.
    pub const fn client_return(self) -> Return {
        match self {
            Self::ConnectionLost | Self::PingTimeout | Self::SlowClient | Self::WriteStalled => Return::Now,
            Self::ShuttingDown
            | Self::InternalError
            | Self::TooManyConnections
            | Self::TooManyMessages
            | Self::TooManyFromAddress
            | Self::TooManyForKey => Return::Later,
            Self::ClientClosed
            | Self::ProtocolError
            | Self::InvalidUtf8
            | Self::FrameTooLarge
            | Self::AuthTimeout
            | Self::KeyRevoked => Return::Never,
        }
    }

    /// Whether connecting again, now or later, makes sense.
    pub const fn should_return(self) -> bool {
        !matches!(self.client_return(), Return::Never)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Label for ErrorCode {
    const ALL: &'static [Self] = &Self::ALL;

    fn as_str(self) -> &'static str {
        Self::as_str(self)
    }
}

impl Label for CloseReason {
    const ALL: &'static [Self] = &Self::ALL;

    fn as_str(self) -> &'static str {
        self.label()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn close_codes_are_those_that_clients_were_promised() {
        let mut table = String::new();
        for reason in CloseReason::ALL {
            let returns = reason.client_return();
            writeln!(table, "{} {reason} {returns:?}: {}", reason.code(), reason.text()).unwrap();
        }
        let promised = "\
1000 client_closed Never: 
1001 shutting_down Later: shutting down
1002 protocol_error Never: websocket protocol error
1006 connection_lost Now: connection lost
1007 invalid_utf8 Never: text frame is not utf-8
1009 frame_too_large Never: message too large
1011 ping_timeout Now: ping timeout
1011 internal_error Later: internal error
1013 too_many_connections Later: too many connections
4401 auth_timeout Never: auth timeout
4403 key_revoked Never: api key revoked
4408 slow_client Now: slow client: replies are not being read
4409 write_stalled Now: write stalled: nothing is being read
4429 too_many_messages Later: too many messages
4431 too_many_from_address Later: too many connections from this address
4432 too_many_for_key Later: too many connections for this api key
";
        assert_eq!(table, promised);
    }

    #[test]
    fn close_reasons_are_told_apart_and_fit_a_close_frame() {
        let labels: HashSet<_> = CloseReason::ALL.into_iter().map(CloseReason::label).collect();
        assert_eq!(labels.len(), CloseReason::ALL.len());
        assert!(CloseReason::ALL.into_iter().all(|reason| reason.text().len() <= 123));
    }

    #[test]
    fn error_codes_are_those_that_clients_were_promised() {
        let all: Vec<_> = ErrorCode::ALL.into_iter().map(ErrorCode::as_str).collect();
        let promised = "AUTHENTICATION_ERROR NOT_AUTHENTICATED BROKER_ERROR BROKER_INIT_ERROR \
                        BROKER_CONNECTION_ERROR BROKER_LIST_ERROR INVALID_JSON INVALID_ACTION INVALID_MODE \
                        INVALID_PARAMETERS SUBSCRIPTION_ERROR UNSUBSCRIPTION_ERROR SYMBOL_NOT_FOUND \
                        MAX_CAPACITY_REACHED SUBSCRIPTION_LIMIT_REACHED SERVER_ERROR PROCESSING_ERROR";
        assert_eq!(all.join(" "), promised);
    }

    #[test]
    fn every_code_is_explained_to_client_authors() {
        let document = include_str!("../../../PROTOCOL.md");
        for code in ErrorCode::ALL {
            assert!(document.contains(&format!("| `{code}` |")), "{code} is missing in PROTOCOL.md");
        }
        for reason in CloseReason::ALL.into_iter().filter(|reason| *reason != CloseReason::ClientClosed) {
            let row = format!("| {} | `{}` |", reason.code(), reason.text());
            assert!(document.contains(&row), "{row} is missing in PROTOCOL.md");
        }
    }
}
