//! Why a connection is refused before it is a WebSocket, and what the client is answered.

use crate::label::Label;

/// Longest request, from its method to the empty line. Browsers send all cookies of a host name, whatever the
/// port, so those of every program on `localhost` come along: tens of kilobytes on the machines of
/// developers.
pub const MAX_HEAD_BYTES: usize = 64 * 1_024;

/// Longest target of a request: path and query.
pub const MAX_TARGET_BYTES: usize = 16 * 1_024;

/// Most headers of a request.
pub const MAX_HEADERS: usize = 256;

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeRefusal {
    /// It is no HTTP.
    Malformed,
    /// `Host` is missing, or there more than once.
    Host,
    /// The target is neither a path nor an absolute address.
    Target,
    /// The request announces a body.
    Body,
    /// `Sec-WebSocket-Key` is missing, there more than once, or none.
    Key,
    /// It speaks no TLS at an encrypted port.
    NotEncrypted,
    /// The page that asks is none of those allowed.
    Origin,
    /// It is another method than GET.
    Method,
    /// The request was not whole in time.
    Timeout,
    /// The target is too long.
    TargetTooLong,
    /// It asks for no upgrade to a WebSocket.
    NoUpgrade,
    /// It asks for another version of the WebSocket protocol.
    WebsocketVersion,
    /// The request is too long.
    HeadTooLong,
    /// There are too many headers.
    TooManyHeaders,
    /// The host holds as many connections as it may.
    NoRoom,
    /// It is another version of HTTP than 1.1.
    HttpVersion,
    /// The connection ended before the request was whole: a port scan, a browser's preparation, a client that
    /// gave up.
    Gone,
}

impl UpgradeRefusal {
    /// All of them, in the order of their status.
    pub const ALL: [Self; 17] = [
        Self::Malformed,
        Self::Host,
        Self::Target,
        Self::Body,
        Self::Key,
        Self::NotEncrypted,
        Self::Origin,
        Self::Method,
        Self::Timeout,
        Self::TargetTooLong,
        Self::NoUpgrade,
        Self::WebsocketVersion,
        Self::HeadTooLong,
        Self::TooManyHeaders,
        Self::NoRoom,
        Self::HttpVersion,
        Self::Gone,
    ];

    /// The spelling in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Host => "host",
            Self::Target => "target",
            Self::Body => "body",
            Self::Key => "key",
            Self::NotEncrypted => "not_encrypted",
            Self::Origin => "origin",
            Self::Method => "method",
            Self::Timeout => "timeout",
            Self::TargetTooLong => "target_too_long",
            Self::NoUpgrade => "no_upgrade",
            Self::WebsocketVersion => "websocket_version",
            Self::HeadTooLong => "head_too_long",
            Self::TooManyHeaders => "too_many_headers",
            Self::NoRoom => "no_room",
            Self::HttpVersion => "http_version",
            Self::Gone => "gone",
        }
    }

    /// Status and its name; none when nobody is there to read an answer.
    pub const fn status(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Self::Malformed | Self::Host | Self::Target | Self::Body | Self::Key | Self::NotEncrypted => {
                (400, "Bad Request")
            }
            Self::Origin => (403, "Forbidden"),
            Self::Method => (405, "Method Not Allowed"),
            Self::Timeout => (408, "Request Timeout"),
            Self::TargetTooLong => (414, "URI Too Long"),
            Self::NoUpgrade | Self::WebsocketVersion => (426, "Upgrade Required"),
            Self::HeadTooLong | Self::TooManyHeaders => (431, "Request Header Fields Too Large"),
            Self::NoRoom => (503, "Service Unavailable"),
            Self::HttpVersion => (505, "HTTP Version Not Supported"),
            Self::Gone => return None,
        })
    }

    /// What is wrong and what to do, in one line for people.
    pub fn text(self) -> String {
        let text = match self {
            Self::Malformed => "this is no HTTP/1.1 request: connect with a WebSocket client",
            Self::Host => "an HTTP/1.1 request names its host once: send one Host header",
            Self::Target => "the target is a path such as /, or a whole address",
            Self::Body => "an upgrade has no body: send neither Content-Length nor Transfer-Encoding",
            Self::Key => "Sec-WebSocket-Key is needed once, with 16 bytes in base64",
            Self::NotEncrypted => "This port is encrypted: connect with wss://",
            Self::Origin => "this page may not connect (TICKHOST_ALLOWED_ORIGINS)",
            Self::Method => "a WebSocket is opened with GET",
            Self::Timeout => "the request was not whole in time: send it at once",
            Self::TargetTooLong => {
                return format!("the address is longer than {MAX_TARGET_BYTES} bytes: leave out its query");
            }
            Self::NoUpgrade => {
                "this port speaks WebSocket: connect with a WebSocket client; a proxy in between has to pass on the headers \
                 Connection: Upgrade and Upgrade: websocket"
            }
            Self::WebsocketVersion => "WebSocket version 13 is needed: send Sec-WebSocket-Version: 13",
            Self::HeadTooLong => {
                return format!(
                    "the headers are longer than {MAX_HEAD_BYTES} bytes: most often these are cookies of other programs on the \
                     same host name; remove them, or use another name, such as 127.0.0.1 for localhost"
                );
            }
            Self::TooManyHeaders => return format!("there are more than {MAX_HEADERS} headers: send fewer"),
            Self::NoRoom => "the host holds as many connections as it may: connect again later",
            Self::HttpVersion => "HTTP/1.1 is needed",
            Self::Gone => "the connection ended before the request was whole",
        };
        text.to_owned()
    }

    /// The whole answer; none when nobody is there to read it. An answer to HEAD has no body.
    pub fn answer(self, is_head: bool) -> Option<String> {
        let (status, name) = self.status()?;
        let text = self.text();
        let headers = match self {
            Self::Method => "connection: close\r\nallow: GET\r\n",
            Self::NoUpgrade | Self::WebsocketVersion => {
                "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            }
            Self::NoRoom => "connection: close\r\nretry-after: 10\r\n",
            _ => "connection: close\r\n",
        };
        let length = text.len();
        let head = format!(
            "HTTP/1.1 {status} {name}\r\n{headers}content-type: text/plain\r\ncontent-length: {length}\r\n\r\n"
        );
        Some(if is_head { head } else { head + &text })
    }
}

impl Label for UpgradeRefusal {
    const ALL: &'static [Self] = &Self::ALL;

    fn as_str(self) -> &'static str {
        self.label()
    }
}
