//! ZMTP 3 as far as a publisher speaks it, over bytes: no I/O, no time, every length bounded.
//!
//! [`Inspector`] reads what a publisher sends and gives what may be passed on: a plain greeting, a READY command without
//! identity, and whole messages of two parts. [`Splitter`] cuts the other direction into whole frames, so that an
//! answer of the guard never stands inside one.

pub(crate) mod frame;

use self::frame::{Frame, GREETING, MAX_COMMAND_BYTES, fits_greeting, push_command, push_ready, ready_type};
use super::MAX_TOPIC_BYTES;

/// Longest context of a PING, by the specification.
const MAX_PING_CONTEXT: usize = 16;

/// Why a connection must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// No ZMTP 3 with NULL security.
    Greeting,
    /// No READY of a publisher.
    Handshake,
    /// A frame that is too long, or has reserved bits.
    Frame,
    /// More than two parts.
    Parts,
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
    /// Messages that were left out: of one part, or with too long a topic.
    pub(super) dropped_messages: u32,
    /// PINGs answered.
    pub(super) pings: u32,
    /// Commands left out.
    pub(super) dropped_commands: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Greeting,
    Handshake,
    Traffic,
}

/// Reads a publisher's bytes, in any pieces.
#[derive(Debug)]
pub(super) struct Inspector {
    stage: Stage,
    /// Frames of the message that is under way, as they came.
    message: Vec<u8>,
    parts: u8,
    is_droppable: bool,
}

impl Inspector {
    pub(super) const fn new() -> Self {
        Self { stage: Stage::Greeting, message: Vec::new(), parts: 0, is_droppable: false }
    }

    /// Whether the handshake is complete.
    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Traffic
    }

    /// Takes what is complete from the front of `bytes` into `out`; returns how many bytes that was. What is left has to
    /// be given again with more behind it, and is never longer than one frame.
    pub(super) fn inspect(&mut self, bytes: &[u8], out: &mut Inspected) -> Result<usize, Violation> {
        let mut taken = 0;
        loop {
            let rest = bytes.get(taken..).unwrap_or_default();
            let step = match self.stage {
                Stage::Greeting => self.greeting(rest, out)?,
                Stage::Handshake => self.handshake(rest, out)?,
                Stage::Traffic => self.traffic(rest, out)?,
            };
            match step {
                Some(length) => taken += length,
                None => return Ok(taken),
            }
        }
    }

    fn greeting(&mut self, bytes: &[u8], out: &mut Inspected) -> Result<Option<usize>, Violation> {
        if !fits_greeting(bytes) {
            return Err(Violation::Greeting);
        }
        let Some(greeting) = bytes.get(..GREETING) else { return Ok(None) };
        out.forward.extend_from_slice(greeting);
        self.stage = Stage::Handshake;
        Ok(Some(GREETING))
    }

    fn handshake(&mut self, bytes: &[u8], out: &mut Inspected) -> Result<Option<usize>, Violation> {
        let Some(frame) = Frame::read(bytes)? else { return Ok(None) };
        if !frame.is_command() || frame.body.len() > MAX_COMMAND_BYTES {
            return Err(Violation::Handshake);
        }
        let socket_type = ready_type(frame.body).ok_or(Violation::Handshake)?;
        if socket_type != b"PUB" && socket_type != b"XPUB" {
            return Err(Violation::Handshake);
        }
        // Made anew: an Identity would let a newcomer push out a peer of the same one.
        push_ready(&mut out.forward, socket_type);
        self.stage = Stage::Traffic;
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
        self.is_droppable |= self.parts == 1 && frame.body.len() > MAX_TOPIC_BYTES;
        self.message.extend_from_slice(bytes.get(..frame.length).unwrap_or_default());
        if !frame.has_more() {
            if self.parts == 2 && !self.is_droppable {
                out.forward.append(&mut self.message);
                out.messages += 1;
            } else {
                self.message.clear();
                out.dropped_messages += 1;
            }
            self.parts = 0;
            self.is_droppable = false;
        }
        Ok(Some(frame.length))
    }
}

/// Cuts the SUB socket's bytes into whole frames.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    is_past_greeting: bool,
}

impl Splitter {
    /// How many bytes at the front are whole: the greeting, then frames.
    pub(super) fn whole(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let mut length = 0;
        if !self.is_past_greeting {
            if bytes.len() < GREETING {
                return Ok(0);
            }
            self.is_past_greeting = true;
            length = GREETING;
        }
        while let Some(frame) = Frame::read(bytes.get(length..).unwrap_or_default())? {
            length += frame.length;
        }
        Ok(length)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::{
        super::MAX_BODY_BYTES,
        frame::{COMMAND, LONG, MORE},
        *,
    };

    pub(crate) fn greeting() -> Vec<u8> {
        frame::greeting().to_vec()
    }

    pub(crate) fn ready(properties: &[(&str, &str)]) -> Vec<u8> {
        let mut body = b"\x05READY".to_vec();
        for (name, value) in properties {
            body.push(u8::try_from(name.len()).unwrap());
            body.extend_from_slice(name.as_bytes());
            body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
            body.extend_from_slice(value.as_bytes());
        }
        let mut out = Vec::new();
        push_command(&mut out, &body);
        out
    }

    pub(crate) fn message(topic: &[u8], body: &[u8]) -> Vec<u8> {
        let mut out = vec![MORE, u8::try_from(topic.len()).unwrap()];
        out.extend_from_slice(topic);
        out.push(LONG);
        out.extend_from_slice(&(body.len() as u64).to_be_bytes());
        out.extend_from_slice(body);
        out
    }

    fn conversation() -> Vec<u8> {
        let mut bytes = greeting();
        bytes.extend(ready(&[("Socket-Type", "PUB"), ("Identity", "thief")]));
        bytes.extend(message(b"NSE_SBIN_LTP", br#"{"ltp":1}"#));
        bytes.extend(b"\x04\x09\x04PING\0\x0aab");
        bytes.extend(b"\x04\x05\x04NOPE");
        bytes.extend(message(b"NSE_TCS_LTP", br#"{"ltp":2}"#));
        bytes
    }

    fn inspect_all(inspector: &mut Inspector, bytes: &[u8]) -> Result<Inspected, Violation> {
        let mut out = Inspected::default();
        inspector.inspect(bytes, &mut out)?;
        Ok(out)
    }

    #[test]
    fn a_publisher_passes_without_its_identity_and_its_pings_are_answered() {
        let mut inspector = Inspector::new();
        let out = inspect_all(&mut inspector, &conversation()).unwrap();
        assert!(inspector.is_ready());
        assert_eq!((out.messages, out.pings, out.dropped_commands), (2, 1, 1));
        assert_eq!(out.answer, b"\x04\x07\x04PONGab");
        let text = String::from_utf8_lossy(&out.forward);
        assert!(text.contains("Socket-Type") && !text.contains("thief") && !text.contains("PING"));
    }

    #[test]
    fn it_makes_no_difference_in_which_pieces_the_bytes_come() {
        let bytes = conversation();
        let whole = inspect_all(&mut Inspector::new(), &bytes).unwrap();
        for cut in 0..bytes.len() {
            let mut inspector = Inspector::new();
            let mut out = Inspected::default();
            let taken = inspector.inspect(&bytes[..cut], &mut out).unwrap();
            inspector.inspect(&bytes[taken..], &mut out).unwrap();
            assert_eq!(out, whole, "cut at {cut}");
        }
    }

    #[test]
    fn every_attack_is_named() {
        let ready_pub = ready(&[("Socket-Type", "PUB")]);
        let violation = |parts: &[&[u8]]| {
            let bytes: Vec<u8> = parts.concat();
            inspect_all(&mut Inspector::new(), &bytes).err()
        };
        let greeting = greeting();
        let mut curve = greeting.clone();
        curve[12..17].copy_from_slice(b"CURVE");
        let mut null_but_longer = greeting.clone();
        null_but_longer[16] = b'X';
        let mut old = greeting.clone();
        old[10] = 2;
        assert_eq!(violation(&[b"GET / HTTP/1.1"]), Some(Violation::Greeting));
        assert_eq!(violation(&[&curve]), Some(Violation::Greeting));
        assert_eq!(violation(&[&null_but_longer]), Some(Violation::Greeting));
        assert_eq!(violation(&[&old]), Some(Violation::Greeting));
        for socket_type in ["SUB", "REQ", "DEALER", "", "PUBLISHER"] {
            let ready = ready(&[("Socket-Type", socket_type)]);
            assert_eq!(violation(&[&greeting, &ready]), Some(Violation::Handshake), "{socket_type}");
        }
        assert_eq!(violation(&[&greeting, b"\x04\x08\x05READY\xff\xff"]), Some(Violation::Handshake));
        assert_eq!(violation(&[&greeting, &message(b"NSE", b"{}")]), Some(Violation::Handshake));
        let start = [greeting, ready_pub].concat();
        // 32 GiB in one frame, claimed in nine bytes.
        assert_eq!(violation(&[&start, b"\x02\0\0\0\x08\0\0\0\0"]), Some(Violation::Frame));
        assert_eq!(violation(&[&start, b"\x02\xff\xff\xff\xff\xff\xff\xff\xff"]), Some(Violation::Frame));
        assert_eq!(
            violation(&[&start, &message(b"NSE_A_LTP", &vec![b'x'; MAX_BODY_BYTES + 1])]),
            Some(Violation::Frame)
        );
        assert_eq!(violation(&[&start, b"\x80\x01x"]), Some(Violation::Frame));
        assert_eq!(violation(&[&start, b"\x05\x01x"]), Some(Violation::Frame));
        assert_eq!(violation(&[&start, b"\x01\x01a\x01\x01b\x01\x01c"]), Some(Violation::Parts));
        let giant_command = [&[COMMAND | LONG, 0, 0, 0, 0, 0, 0, 0x10, 0][..], &[0; 4_096]].concat();
        assert_eq!(violation(&[&start, &giant_command]), Some(Violation::Frame));
    }

    #[test]
    fn messages_of_one_part_or_with_a_long_topic_are_left_out_and_the_next_passes() {
        let mut inspector = Inspector::new();
        let start = [greeting(), ready(&[("Socket-Type", "XPUB")])].concat();
        inspect_all(&mut inspector, &start).unwrap();
        let mut long_topic = vec![MORE | LONG, 0, 0, 0, 0, 0, 0, 1, 1];
        long_topic.extend_from_slice(&[b'x'; 257]);
        long_topic.extend_from_slice(b"\0\x02{}");
        let bytes = [b"\0\x03one".to_vec(), long_topic, message(b"NSE_A_LTP", b"{}")].concat();
        let out = inspect_all(&mut inspector, &bytes).unwrap();
        assert_eq!((out.dropped_messages, out.messages), (2, 1));
        assert_eq!(out.forward, message(b"NSE_A_LTP", b"{}"));
    }

    #[test]
    fn the_other_direction_is_cut_between_frames() {
        let bytes = [greeting(), ready(&[("Socket-Type", "SUB")]), b"\0\x01\x01".to_vec()].concat();
        let mut splitter = Splitter::default();
        assert_eq!(splitter.whole(&bytes[..63]), Ok(0));
        assert_eq!(splitter.whole(&bytes[..70]), Ok(GREETING));
        assert_eq!(splitter.whole(&bytes[GREETING..]), Ok(bytes.len() - GREETING));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_hoard(bytes in proptest::collection::vec(any::<u8>(), 0..600), has_start: bool) {
            let start = if has_start { [greeting(), ready(&[("Socket-Type", "PUB")])].concat() } else { Vec::new() };
            let bytes = [start, bytes].concat();
            let mut inspector = Inspector::new();
            let mut out = Inspected::default();
            let _verdict = inspector.inspect(&bytes, &mut out);
            prop_assert!(inspector.message.len() <= bytes.len());
            let _cut = Splitter::default().whole(&bytes);
        }
    }
}
