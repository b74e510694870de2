//! The beginning of a connection, as the host plays it: with NULL security, or with PLAIN where the bus has a
//! secret.
//!
//! ```text
//! NULL    publisher: greeting, READY             host: greeting, READY
//! PLAIN   publisher: greeting, HELLO, INITIATE   host: greeting, WELCOME or an error, READY
//! ```
//!
//! HELLO carries a name, which is of no account, and the secret. It goes over the wire as it is: PLAIN keeps
//! others of this machine or network out, and does not encrypt.

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::{
    Violation,
    frame::{self, GREETING, Mechanism, push_command, push_ready, ready_type, socket_type_of},
};

/// Longest command of a handshake: name and secret have 255 bytes at most, and a READY has some properties.
const MAX_COMMAND_BYTES: usize = 1_024;

/// What a publisher is told whose secret is wrong: a status that libzmq reports as a failure to authenticate.
/// By the specification it begins with the length of the name; libzmq reads and writes it like this (its
/// `"\x5ERROR"` is `^RROR` to a compiler), and takes what is right for nonsense.
const WRONG_SECRET: &[u8] = b"^RROR\x03400";

/// Signature and version, the beginning of a greeting.
const GREETING_HEAD: usize = 12;

/// Where a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Greeting,
    /// PLAIN only.
    Hello,
    /// READY, or INITIATE where there was a HELLO.
    Ready,
}

/// A handshake that is under way.
#[derive(Debug)]
pub(super) struct Handshake {
    step: Step,
    secret: Option<SecretString>,
}

impl Handshake {
    pub(super) const fn new(secret: Option<SecretString>) -> Self {
        Self { step: Step::Greeting, secret }
    }

    const fn mechanism(&self) -> Mechanism {
        if self.secret.is_some() { Mechanism::Plain } else { Mechanism::Null }
    }

    /// What the host says first. Where it wants a secret it keeps that to itself until the publisher has said
    /// what it offers: libzmq leaves at once when that is another security, and nobody would know why.
    pub(super) fn greeting(&self) -> Vec<u8> {
        let mechanism = self.mechanism();
        let greeting = frame::greeting_of(mechanism);
        let length = if mechanism == Mechanism::Plain { GREETING_HEAD } else { GREETING };
        greeting.iter().take(length).copied().collect()
    }

    /// The rest of the greeting, where it was kept back.
    fn push_rest(&self, answer: &mut Vec<u8>) {
        if self.mechanism() == Mechanism::Plain {
            answer.extend(frame::greeting_of(Mechanism::Plain).iter().skip(GREETING_HEAD));
        }
    }

    /// Whether the next thing is a greeting, and not a frame.
    pub(super) fn is_before_frames(&self) -> bool {
        self.step == Step::Greeting
    }

    /// Takes what came of a greeting; gives its length when it is whole.
    pub(super) fn take_greeting(
        &mut self,
        bytes: &[u8],
        answer: &mut Vec<u8>,
    ) -> Result<Option<usize>, Violation> {
        let mechanism = self.mechanism();
        if !frame::fits_greeting(bytes, mechanism) {
            let speaks_null = mechanism == Mechanism::Plain && frame::fits_greeting(bytes, Mechanism::Null);
            if !speaks_null {
                return Err(Violation::Greeting);
            }
            self.push_rest(answer);
            return Err(Violation::NoSecret);
        }
        if bytes.len() < GREETING {
            return Ok(None);
        }
        self.step = if mechanism == Mechanism::Plain { Step::Hello } else { Step::Ready };
        self.push_rest(answer);
        if mechanism == Mechanism::Null {
            push_ready(answer, b"SUB");
        }
        Ok(Some(GREETING))
    }

    /// Takes a command; gives the type of the publisher's socket when the handshake is complete.
    pub(super) fn take_command<'a>(
        &mut self,
        body: &'a [u8],
        answer: &mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, Violation> {
        if body.len() > MAX_COMMAND_BYTES {
            return Err(Violation::Handshake);
        }
        if self.step == Step::Hello {
            let given = secret_of_hello(body).ok_or(Violation::Handshake)?;
            let is_right = self.secret.as_ref().is_some_and(|secret| is_same(given, secret));
            if !is_right {
                push_command(answer, WRONG_SECRET);
                return Err(Violation::WrongSecret);
            }
            push_command(answer, b"\x07WELCOME");
            self.step = Step::Ready;
            return Ok(None);
        }
        let is_plain = self.secret.is_some();
        let socket_type = if is_plain {
            body.strip_prefix(b"\x08INITIATE").and_then(socket_type_of)
        } else {
            ready_type(body)
        };
        let is_publisher = |of: &&[u8]| *of == b"PUB" || *of == b"XPUB";
        let socket_type = socket_type.filter(is_publisher).ok_or(Violation::Handshake)?;
        if is_plain {
            push_ready(answer, b"SUB");
        }
        Ok(Some(socket_type))
    }
}

/// The secret in a HELLO: behind its name, one byte for the length of each.
fn secret_of_hello(body: &[u8]) -> Option<&[u8]> {
    let (&length, rest) = body.strip_prefix(b"\x05HELLO")?.split_first()?;
    let (_name, rest) = rest.split_at_checked(length.into())?;
    let (&length, secret) = rest.split_first()?;
    (secret.len() == usize::from(length)).then_some(secret)
}

/// Compares in a time that tells nothing of what is right.
fn is_same(given: &[u8], secret: &SecretString) -> bool {
    given.ct_eq(secret.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn hello(name: &str, secret: &str) -> Vec<u8> {
        let mut body = b"\x05HELLO".to_vec();
        for text in [name, secret] {
            body.push(u8::try_from(text.len()).unwrap());
            body.extend_from_slice(text.as_bytes());
        }
        body
    }

    fn greeted() -> Handshake {
        let mut handshake = Handshake::new(Some(SECRET.into()));
        let greeting = frame::greeting_of(Mechanism::Plain);
        let mut said = handshake.greeting();
        assert_eq!(said.len(), GREETING_HEAD);
        assert_eq!(handshake.take_greeting(&greeting, &mut said), Ok(Some(GREETING)));
        assert_eq!(said, greeting);
        handshake
    }

    #[test]
    fn who_knows_the_secret_is_welcome_under_any_name() {
        for name in ["tickhost", "", "x"] {
            let (mut handshake, mut answer) = (greeted(), Vec::new());
            assert_eq!(handshake.take_command(&hello(name, SECRET), &mut answer), Ok(None));
            assert_eq!(answer, b"\x04\x08\x07WELCOME");
            answer.clear();
            let initiate = b"\x08INITIATE\x0bSocket-Type\0\0\0\x03PUB\x08Identity\0\0\0\0";
            assert_eq!(handshake.take_command(initiate, &mut answer), Ok(Some(&b"PUB"[..])));
            let mut ready = Vec::new();
            push_ready(&mut ready, b"SUB");
            assert_eq!(answer, ready);
        }
    }

    #[test]
    fn who_does_not_know_it_is_told_so_and_comes_no_further() {
        let almost = SECRET.trim_end_matches('f');
        for wrong in ["", almost, "0123456789abcdeg", "0123456789abcdef0"] {
            let mut answer = Vec::new();
            let hello = hello("tickhost", wrong);
            let refused = greeted().take_command(&hello, &mut answer).map(drop);
            assert_eq!(
                (refused, &*answer),
                (Err(Violation::WrongSecret), &b"\x04\x09^RROR\x03400"[..]),
                "{wrong}"
            );
        }
        let mut ready = Vec::new();
        push_ready(&mut ready, b"PUB");
        let malformed: [&[u8]; 5] =
            [&ready[2..], b"\x05HELLO", b"\x05HELLO\x01", b"\x05HELLO\x00\x05abc", b"\x08INITIATE"];
        for body in malformed {
            assert_eq!(greeted().take_command(body, &mut Vec::new()), Err(Violation::Handshake), "{body:?}");
        }
        let mut handshake = Handshake::new(Some(SECRET.into()));
        let without = frame::greeting_of(Mechanism::Null);
        let mut said = handshake.greeting();
        assert_eq!(handshake.take_greeting(&without, &mut said), Err(Violation::NoSecret));
        assert_eq!(said, frame::greeting_of(Mechanism::Plain), "libzmq says why it leaves");
    }
}
