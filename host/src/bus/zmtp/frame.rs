//! Frames, greetings and READY of ZMTP 3, as bytes.

use super::{super::MAX_BODY_BYTES, Violation};

/// Length of a greeting.
pub(super) const GREETING: usize = 64;
pub(super) const MORE: u8 = 1;
pub(super) const LONG: u8 = 2;
pub(super) const COMMAND: u8 = 4;
/// Longest command: a READY with some properties, or a PING with its context.
pub(super) const MAX_COMMAND_BYTES: usize = 1_024;

/// One whole frame at the front of some bytes.
pub(super) struct Frame<'a> {
    flags: u8,
    pub(super) body: &'a [u8],
    /// With its head.
    pub(super) length: usize,
}

impl<'a> Frame<'a> {
    /// None when there is no whole frame yet. A length that no frame may have is refused as soon as it is
    /// read.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Option<Self>, Violation> {
        let Some((&flags, rest)) = bytes.split_first() else { return Ok(None) };
        let is_reserved = flags & !(MORE | LONG | COMMAND) != 0;
        if is_reserved || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Err(Violation::Frame);
        }
        let (head, body_length) = if flags & LONG == 0 {
            let Some(&length) = rest.first() else { return Ok(None) };
            (2, u64::from(length))
        } else {
            let Some(length) = rest.first_chunk::<8>() else { return Ok(None) };
            (9, u64::from_be_bytes(*length))
        };
        let body_length = usize::try_from(body_length).map_err(|_| Violation::Frame)?;
        if body_length > MAX_BODY_BYTES {
            return Err(Violation::Frame);
        }
        let length = head + body_length;
        Ok(bytes.get(head..length).map(|body| Self { flags, body, length }))
    }

    pub(super) const fn is_command(&self) -> bool {
        self.flags & COMMAND != 0
    }

    pub(super) const fn has_more(&self) -> bool {
        self.flags & MORE != 0
    }
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// Not at all.
    Null,
    /// By a secret.
    Plain,
}

impl Mechanism {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Null => b"NULL",
            Self::Plain => b"PLAIN",
        }
    }
}

/// Whether these bytes are the beginning of a greeting of ZMTP 3 with this security. Whatever has come must
/// fit, so that nonsense ends at its first byte and not at a deadline.
pub(super) fn fits_greeting(bytes: &[u8], mechanism: Mechanism) -> bool {
    let expected: &[(usize, fn(u8) -> bool)] =
        &[(0, |byte| byte == 0xff), (9, |byte| byte & 1 == 1), (10, |byte| byte >= 3)];
    let fits = expected.iter().all(|(at, fits)| bytes.get(*at).is_none_or(|byte| fits(*byte)));
    let name = mechanism.name().iter().copied().chain(std::iter::repeat(0));
    fits && bytes.iter().skip(12).take(20).zip(name).all(|(byte, expected)| *byte == expected)
}

/// A greeting of ZMTP 3.1 with NULL security.
pub(super) fn greeting() -> [u8; GREETING] {
    greeting_from(1, Mechanism::Null)
}

/// The greeting of the bus, of ZMTP 3.0, whose publishers understand the subscriptions that the socket behind
/// it sends.
pub(super) fn greeting_of(mechanism: Mechanism) -> [u8; GREETING] {
    greeting_from(0, mechanism)
}

fn greeting_from(minor_version: u8, mechanism: Mechanism) -> [u8; GREETING] {
    let mut bytes = [0; GREETING];
    let head = [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, minor_version];
    bytes.iter_mut().zip(head.iter().chain(mechanism.name())).for_each(|(byte, value)| *byte = *value);
    if let (Mechanism::Plain, Some(is_server)) = (mechanism, bytes.get_mut(32)) {
        *is_server = 1;
    }
    bytes
}

/// Appends a READY command of this socket type, and nothing else.
pub(super) fn push_ready(out: &mut Vec<u8>, socket_type: &[u8]) {
    let mut body = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    body.push(u8::try_from(socket_type.len()).unwrap_or_default());
    body.extend_from_slice(socket_type);
    push_command(out, &body);
}

/// The socket type of a READY command; none when the body is another command, or malformed.
pub(super) fn ready_type(body: &[u8]) -> Option<&[u8]> {
    socket_type_of(body.strip_prefix(b"\x05READY")?)
}

/// The value of `Socket-Type` in the properties of a READY or INITIATE; none when they are malformed.
pub(super) fn socket_type_of(mut properties: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    while !properties.is_empty() {
        let (&name_length, rest) = properties.split_first()?;
        let (name, rest) = rest.split_at_checked(name_length.into())?;
        let (value_length, rest) = rest.split_first_chunk::<4>()?;
        let value_length = usize::try_from(u32::from_be_bytes(*value_length)).ok()?;
        let (value, rest) = rest.split_at_checked(value_length)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            found = Some(value);
        }
        properties = rest;
    }
    found
}

pub(super) fn push_command(out: &mut Vec<u8>, body: &[u8]) {
    if let Ok(length) = u8::try_from(body.len()) {
        out.extend_from_slice(&[COMMAND, length]);
    } else {
        out.push(COMMAND | LONG);
        out.extend_from_slice(&(body.len() as u64).to_be_bytes());
    }
    out.extend_from_slice(body);
}
