//! What a request says, and whether it is one that opens a WebSocket (RFC 6455, section 4.2.1).

use tickhost_core::protocol::refusal::{MAX_HEAD_BYTES, MAX_HEADERS, MAX_TARGET_BYTES, UpgradeRefusal};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::config::Origins;

/// Longest method; there is none as long.
const MAX_METHOD_BYTES: usize = 64;

/// Ends of lines before a request that are passed over. One is customary.
const MAX_EMPTY_LINE_BYTES: usize = 16;

/// A request that opens a WebSocket.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// Bytes of the request; what follows is the first frame.
    pub(super) length: usize,
    /// The whole answer.
    pub(super) answer: String,
}

/// Whether a request may end in what came after the first `before` bytes: lines may end with a line feed
/// alone.
pub(super) fn may_end(bytes: &[u8], before: usize) -> bool {
    let new = bytes.get(before.saturating_sub(2)..).unwrap_or_default();
    new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}

/// Reads and judges a request. None while it is not whole.
pub(super) fn read(bytes: &[u8], origins: &Origins) -> Result<Option<Upgrade>, UpgradeRefusal> {
    let is_end_of_line = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    if bytes.iter().take_while(is_end_of_line).count() > MAX_EMPTY_LINE_BYTES {
        return Err(UpgradeRefusal::Malformed);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let parsed = request.parse(bytes);
    match request.path {
        Some(path) if path.len() > MAX_TARGET_BYTES => return Err(UpgradeRefusal::TargetTooLong),
        None if parsed == Ok(httparse::Status::Partial) => {
            // No target is longer, and no method.
            if request.method.is_some() && bytes.len() > MAX_TARGET_BYTES + MAX_METHOD_BYTES {
                return Err(UpgradeRefusal::TargetTooLong);
            }
            if request.method.is_none() && bytes.len() > MAX_EMPTY_LINE_BYTES + MAX_METHOD_BYTES {
                return Err(UpgradeRefusal::Malformed);
            }
        }
        _ => {}
    }
    match parsed {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD_BYTES => {
            let answer = judge(&request, origins)?;
            Ok(Some(Upgrade { length, answer }))
        }
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => Ok(None),
        Ok(_) => Err(UpgradeRefusal::HeadTooLong),
        Err(httparse::Error::TooManyHeaders) => Err(UpgradeRefusal::TooManyHeaders),
        Err(httparse::Error::Version) if names_http(bytes) => Err(UpgradeRefusal::HttpVersion),
        Err(_) => Err(UpgradeRefusal::Malformed),
    }
}

/// Whether the first line ends with a version of HTTP, one that is not known.
fn names_http(bytes: &[u8]) -> bool {
    let line = bytes.trim_ascii_start().split(|byte| *byte == b'\n').next().unwrap_or_default();
    line.split(|byte| *byte == b' ').nth(2).is_some_and(|version| version.starts_with(b"HTTP/"))
}

/// The answer to a request that opens a WebSocket.
fn judge(request: &httparse::Request<'_, '_>, origins: &Origins) -> Result<String, UpgradeRefusal> {
    if request.version != Some(1) {
        return Err(UpgradeRefusal::HttpVersion);
    }
    if request.method != Some("GET") {
        return Err(UpgradeRefusal::Method);
    }
    let target = request.path.unwrap_or_default();
    if !target.starts_with('/') && !target.contains("://") {
        return Err(UpgradeRefusal::Target);
    }
    let headers = Headers(request.headers);
    if headers.all("host").count() != 1 {
        return Err(UpgradeRefusal::Host);
    }
    let is_body = headers.all("content-length").any(|length| length.trim_ascii() != b"0")
        || headers.all("transfer-encoding").next().is_some();
    if is_body {
        return Err(UpgradeRefusal::Body);
    }
    if !headers.lists("upgrade", b"websocket") || !headers.lists("connection", b"upgrade") {
        return Err(UpgradeRefusal::NoUpgrade);
    }
    let mut versions = headers.all("sec-websocket-version").peekable();
    if versions.peek().is_none() || versions.any(|version| version.trim_ascii() != b"13") {
        return Err(UpgradeRefusal::WebsocketVersion);
    }
    let mut keys = headers.all("sec-websocket-key").map(<[u8]>::trim_ascii);
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key) => key,
        _ => return Err(UpgradeRefusal::Key),
    };
    if !origins.allow(headers.all("origin")) {
        return Err(UpgradeRefusal::Origin);
    }
    let accept = derive_accept_key(key);
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
    ))
}

/// Sixteen bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.strip_suffix(b"==").is_some_and(|digits| digits.iter().all(is_digit))
}

/// Headers, whose names are the same in any case.
struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// Values of all headers of this name, in their order.
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    }

    /// Whether one of the lists in headers of this name has this word, in any case.
    fn lists(&self, name: &str, word: &[u8]) -> bool {
        let mut words = self.all(name).flat_map(|list| list.split(|byte| *byte == b','));
        words.any(|listed| listed.trim_ascii().eq_ignore_ascii_case(word))
    }
}
