//! The little of Engine.IO 3 and 4, and of Socket.IO on top, that a feed needs: the opening, the namespace,
//! pings, events, and events with bytes. Over a WebSocket alone, without long polling.
//!
//! | | Engine.IO 3 | Engine.IO 4 |
//! |---|---|---|
//! | ping | this side sends `2`, the server answers `3` | the server sends `2`, this side answers `3` |
//! | namespace | the server says `40` by itself | this side says `40`, the server answers `40{"sid":…}` |
//! | bytes of an event | begin with a byte `04` | are nothing else |

/// A ping of one side, which the other answers with [`PONG`].
pub const PING: &str = "2";
/// The answer to [`PING`].
pub const PONG: &str = "3";
/// Joins the namespace of all events.
pub const JOIN: &str = "40";

/// What stands before the bytes of an event in Engine.IO 3.
const MESSAGE: u8 = 4;

/// A version of Engine.IO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// That of Socket.IO 1 and 2.
    Three,
    /// That of Socket.IO 3 and 4.
    Four,
}

impl Version {
    /// As the address has it.
    pub const fn number(self) -> u8 {
        match self {
            Self::Three => 3,
            Self::Four => 4,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Three => Self::Four,
            Self::Four => Self::Three,
        }
    }

    /// The bytes of an event in a binary message.
    pub fn attachment(self, bytes: &[u8]) -> &[u8] {
        match self {
            Self::Three => bytes.strip_prefix(&[MESSAGE]).unwrap_or(bytes),
            Self::Four => bytes,
        }
    }
}

/// A text message of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The first: the session is open.
    Open,
    /// The server wants [`PONG`].
    Ping,
    /// This side has joined the namespace; whether the server named the session, as it does from version 4
    /// on.
    Joined {
        /// It did.
        is_named: bool,
    },
    /// The server does not let this side in.
    Refused,
    /// The server has ended the session.
    Ended,
    /// An event: its name, and its argument as JSON.
    Event(&'a str, &'a str),
    /// An event whose bytes come in the next binary message.
    Announced(&'a str),
    /// Nothing that matters.
    Other,
    /// No message of Socket.IO.
    Nonsense,
}

impl<'a> Packet<'a> {
    /// Reads a text message.
    pub fn read(text: &'a str) -> Self {
        let Some((kind, rest)) = text.split_at_checked(1) else { return Self::Nonsense };
        match kind {
            "0" => Self::Open,
            "1" => Self::Ended,
            "2" => Self::Ping,
            // A pong, an upgrade, nothing.
            "3" | "5" | "6" => Self::Other,
            "4" => Self::of_namespace(rest),
            _ => Self::Nonsense,
        }
    }

    fn of_namespace(text: &'a str) -> Self {
        let Some((kind, rest)) = text.split_at_checked(1) else { return Self::Nonsense };
        match kind {
            "0" => Self::Joined { is_named: rest.contains('{') },
            "1" => Self::Ended,
            "2" => event(rest).map_or(Self::Nonsense, |(name, argument)| Self::Event(name, argument)),
            // An answer, and one with bytes: nothing is asked.
            "3" | "6" => Self::Other,
            "4" => Self::Refused,
            "5" => event(rest).map_or(Self::Nonsense, |(name, _)| Self::Announced(name)),
            _ => Self::Nonsense,
        }
    }
}

/// Name and argument of an event: what is before its array is a namespace, or a number of an answer that is
/// wanted.
fn event(text: &str) -> Option<(&str, &str)> {
    let array = text.get(text.find('[')?..)?.trim_end();
    let within = array.strip_prefix('[')?.strip_suffix(']')?.trim_start();
    let (name, rest) = within.strip_prefix('"')?.split_once('"')?;
    let argument = rest.trim_start();
    Some((name, argument.strip_prefix(',').map_or("", str::trim)))
}

/// What an argument says: brokers write JSON into a text within the JSON of the event. Without anything
/// escaped it is read where it lies, or else copied to `scratch`. None for a text that is none.
pub fn said<'a>(argument: &'a str, scratch: &'a mut String) -> Option<&'a str> {
    let Some(text) = argument.strip_prefix('"') else { return Some(argument) };
    let text = text.strip_suffix('"')?;
    let Some(mut at) = text.find('\\') else { return Some(text) };
    scratch.clear();
    let mut rest = text;
    loop {
        let (plain, escaped) = rest.split_at_checked(at)?;
        scratch.push_str(plain);
        rest = unescape(escaped.strip_prefix('\\')?, scratch)?;
        match rest.find('\\') {
            Some(next) => at = next,
            None => break,
        }
    }
    scratch.push_str(rest);
    Some(scratch)
}

/// Appends what is escaped behind a backslash, and gives what follows it.
fn unescape<'a>(text: &'a str, into: &mut String) -> Option<&'a str> {
    let (letter, rest) = text.split_at_checked(1)?;
    let (character, rest) = match letter {
        "\"" | "\\" | "/" => (letter.chars().next()?, rest),
        "n" => ('\n', rest),
        "t" => ('\t', rest),
        "r" => ('\r', rest),
        "b" => ('\u{8}', rest),
        "f" => ('\u{c}', rest),
        "u" => {
            let (digits, rest) = rest.split_at_checked(4)?;
            let number = u32::from_str_radix(digits, 16).ok()?;
            // Half a character beyond the first 65,536 is of no name that matters.
            (char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER), rest)
        }
        _ => return None,
    };
    into.push(character);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_what_both_versions_call_them() {
        let opening = r#"0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":5000}"#;
        for (text, packet) in [
            (opening, Packet::Open),
            ("1", Packet::Ended),
            ("2", Packet::Ping),
            ("3", Packet::Other),
            ("40", Packet::Joined { is_named: false }),
            (r#"40{"sid":"x"}"#, Packet::Joined { is_named: true }),
            ("41", Packet::Ended),
            (r#"42["joined","x"]"#, Packet::Event("joined", r#""x""#)),
            (r#"42["joined"]"#, Packet::Event("joined", "")),
            (r#"42/,7[ "a" , {"b":[1]} ]"#, Packet::Event("a", r#"{"b":[1]}"#)),
            (r#"44{"message":"no"}"#, Packet::Refused),
            (r#"451-["b",{"_placeholder":true,"num":0}]"#, Packet::Announced("b")),
            ("42", Packet::Nonsense),
            ("42[7]", Packet::Nonsense),
            ("", Packet::Nonsense),
            ("4", Packet::Nonsense),
            ("é", Packet::Nonsense),
        ] {
            assert_eq!(Packet::read(text), packet, "{text}");
        }
        assert_eq!(Version::Three.attachment(&[4, 1, 2]), [1, 2]);
        assert_eq!(Version::Three.attachment(&[1, 2]), [1, 2]);
        assert_eq!(Version::Four.attachment(&[4, 1, 2]), [4, 1, 2]);
    }

    #[test]
    fn a_text_within_a_text_is_what_it_was_and_takes_no_memory_of_its_own() {
        let mut scratch = String::new();
        for text in ["", "t:1_22,ltp:7", "{\"a\":\"b\\\\\"}", "\n\t/\u{8}é", "\u{1}\"\""] {
            let argument = serde_json::to_string(text).unwrap();
            assert_eq!(said(&argument, &mut scratch), Some(text));
        }
        assert_eq!(said(r#"{"a":1}"#, &mut scratch), Some(r#"{"a":1}"#));
        assert_eq!(said(r#""\u0041\ud83d\/""#, &mut scratch), Some("A\u{fffd}/"));
        for odd in [r#"""#, r#""a"#, r#""\x""#, r#""\u00""#, r#""\""#] {
            assert!(said(odd, &mut scratch).is_none() || odd == r#"""#, "{odd}");
        }
        let argument = serde_json::to_string(&"\"".repeat(1_000)).unwrap();
        said(&argument, &mut scratch).unwrap();
        let used = allocation_counter::measure(|| {
            said(&argument, &mut scratch).unwrap();
        });
        assert_eq!(used.count_total, 0);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}") {
            let mut scratch = String::new();
            let _any = (Packet::read(&text), said(&text, &mut scratch).map(str::len));
            let _any = Packet::read(&format!("42{text}"));
            let _any = said(&format!("\"{text}\""), &mut scratch).map(str::len);
            let _any = Packet::read(&format!("42[\"{text}\",{text}]"));
        }
    }
}
