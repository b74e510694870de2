//! ZMTP 3 as far as a publisher speaks it, over bytes: no I/O, no time, every length bounded.
//!
//! [`Inspector`] plays the host's part of a handshake, reads what a publisher sends and gives what may be
//! passed on: a plain greeting, a READY command without identity, and whole messages of two parts.
//! [`Splitter`] cuts the other direction into whole frames, so that an answer of the guard never stands
//! inside one, and leaves out the handshake, which is over.

mod frame;
mod handshake;

use std::fmt;

use secrecy::SecretString;

use self::{
    frame::{Frame, GREETING, MAX_COMMAND_BYTES, greeting, push_command, push_ready},
    handshake::Handshake,
};
use super::{MAX_TOPIC_BYTES, topic::ORDERS_END};

/// Longest context of a PING, by the specification.
const MAX_PING_CONTEXT: usize = 16;

/// Why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// No ZMTP 3 with NULL security, or with PLAIN where that is wanted.
    Greeting,
    /// It offers no secret, and the bus wants one.
    NoSecret,
    /// The secret is wrong.
    WrongSecret,
    /// No READY of a publisher.
    Handshake,
    /// A frame that is too long, or has reserved bits.
    Frame,
    /// More than two parts.
    Parts,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "it speaks no ZeroMQ (ZMTP 3) with the security that the bus has",
            Self::NoSecret => "it offers no secret (PLAIN), and TICKHOST_BUS_SECRET is set",
            Self::WrongSecret => "its secret is not that of TICKHOST_BUS_SECRET",
            Self::Handshake => "it is no publisher (PUB socket)",
            Self::Frame => "it sent a frame that is too long, or none",
            Self::Parts => "it sent a message with more parts than topic and body",
        })
    }
}

/// What a publisher's bytes amount to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Inspected {
    /// Bytes to pass on.
    pub(super) forward: Vec<u8>,
    /// Bytes to answer with.
    pub(super) answer: Vec<u8>,
    /// Messages in `forward`.
    pub(super) messages: u32,
    /// Order updates among them.
    pub(super) orders: u32,
    /// Messages that were left out: of one part, or with too long a topic.
    pub(super) dropped_messages: u32,
    /// Order updates that were left out, because there were too many.
    pub(super) dropped_orders: u32,
    /// PINGs answered.
    pub(super) pings: u32,
    /// Commands left out.
    pub(super) dropped_commands: u32,
}

/// Reads a publisher's bytes, in any pieces.
#[derive(Debug)]
pub(super) struct Inspector {
    /// None when it is complete.
    handshake: Option<Handshake>,
    /// Frames of the message that is under way, as they came.
    message: Vec<u8>,
    parts: u8,
    is_droppable: bool,
    is_order: bool,
    /// Order updates that may be passed on until more are allowed.
    orders_left: u32,
}

impl Inspector {
    /// At the beginning of a connection. With a secret, the publisher has to know it.
    pub(super) const fn new(secret: Option<SecretString>) -> Self {
        Self {
            handshake: Some(Handshake::new(secret)),
            message: Vec::new(),
            parts: 0,
            is_droppable: false,
            is_order: false,
            orders_left: u32::MAX,
        }
    }

    /// What the host says before it has heard anything.
    pub(super) fn greeting(&self) -> Vec<u8> {
        self.handshake.as_ref().map(Handshake::greeting).unwrap_or_default()
    }

    /// Whether the handshake is complete.
    pub(super) const fn is_ready(&self) -> bool {
        self.handshake.is_none()
    }

    /// So many order updates may be passed on from now on.
    pub(super) const fn allow_orders(&mut self, count: u32) {
        self.orders_left = count;
    }

    /// Takes what is complete from the front of `bytes` into `out`; returns how many bytes that was. What is
    /// left has to be given again with more behind it, and is never longer than one frame.
    pub(super) fn inspect(&mut self, bytes: &[u8], out: &mut Inspected) -> Result<usize, Violation> {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let step = if self.is_ready() { self.traffic(rest, out)? } else { self.shake_hands(rest, out)? };
            match step {
                Some(length) => taken += length,
                None => return Ok(taken),
            }
        }
    }

    fn shake_hands(&mut self, bytes: &[u8], out: &mut Inspected) -> Result<Option<usize>, Violation> {
        let Some(handshake) = &mut self.handshake else { return Ok(None) };
        if handshake.is_before_frames() {
            return handshake.take_greeting(bytes, &mut out.answer);
        }
        let Some(frame) = Frame::read(bytes)? else { return Ok(None) };
        if !frame.is_command() {
            return Err(Violation::Handshake);
        }
        if let Some(socket_type) = handshake.take_command(frame.body, &mut out.answer)? {
            // Made again: an Identity would let a newcomer push out a peer of the same one.
            out.forward.extend_from_slice(&greeting());
            push_ready(&mut out.forward, socket_type);
            self.handshake = None;
        }
        Ok(Some(frame.length))
    }

    fn traffic(&mut self, bytes: &[u8], out: &mut Inspected) -> Result<Option<usize>, Violation> {
        let Some(frame) = Frame::read(bytes)? else { return Ok(None) };
        if frame.is_command() {
            if frame.body.len() > MAX_COMMAND_BYTES {
                return Err(Violation::Frame);
            }
            match frame.body.strip_prefix(b"\x04PING") {
                Some(ping) if ping.len() >= 2 && ping.len() - 2 <= MAX_PING_CONTEXT => {
                    let mut pong = b"\x04PONG".to_vec();
                    pong.extend(ping.iter().skip(2));
                    push_command(&mut out.answer, &pong);
                    out.pings += 1;
                }
                _ => out.dropped_commands += 1,
            }
            return Ok(Some(frame.length));
        }
        self.parts += 1;
        if self.parts > 2 {
            return Err(Violation::Parts);
        }
        if self.parts == 1 {
            self.is_droppable = frame.body.len() > MAX_TOPIC_BYTES;
            self.is_order = frame.body.ends_with(ORDERS_END.as_bytes());
        }
        self.message.extend_from_slice(bytes.get(..frame.length).unwrap_or_default());
        if !frame.has_more() {
            let is_too_much = self.is_order && self.orders_left == 0;
            if self.parts == 2 && !self.is_droppable && !is_too_much {
                out.forward.append(&mut self.message);
                out.messages += 1;
                if self.is_order {
                    out.orders += 1;
                    self.orders_left = self.orders_left.saturating_sub(1);
                }
            } else if self.parts == 2 && is_too_much {
                self.message.clear();
                out.dropped_orders += 1;
            } else {
                self.message.clear();
                out.dropped_messages += 1;
            }
            self.parts = 0;
        }
        Ok(Some(frame.length))
    }
}

/// Cuts the SUB socket's bytes into whole frames, without greeting and READY.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    is_past_greeting: bool,
    is_past_ready: bool,
}

impl Splitter {
    /// How many bytes at the front are of the handshake, and how many behind them are whole frames.
    pub(super) fn whole(&mut self, bytes: &[u8]) -> Result<(usize, usize), Violation> {
        let mut skipped = 0;
        if !self.is_past_greeting {
            if bytes.len() < GREETING {
                return Ok((0, 0));
            }
            self.is_past_greeting = true;
            skipped = GREETING;
        }
        let mut length = 0;
        while let Some(frame) = Frame::read(bytes.get(skipped + length..).unwrap_or_default())? {
            if std::mem::replace(&mut self.is_past_ready, true) {
                length += frame.length;
            } else {
                skipped += frame.length;
            }
        }
        Ok((skipped, length))
    }
}

#[cfg(test)]
pub(super) mod tests;
