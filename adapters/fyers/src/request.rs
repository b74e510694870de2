//! Messages to the data socket.

use crate::topic::{Feed, Topic};

/// Most topics in one message. The broker takes 1,500, but a message whose names are all as long as they can
/// be has no room for more than these: the length of a field has two bytes.
pub const MAX_TOPICS: usize = 1_000;

/// What says that this side lives. The broker does not answer it.
pub const PING: [u8; 3] = [0, 1, 11];

/// What is done with topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Send them no more. First, to make room.
    Unsubscribe,
    /// Send them.
    Subscribe,
}

/// Channels of this adapter. The broker knows channels by number only; each has a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Every value.
    Full,
    /// The last price alone, after a first record with everything.
    Lite,
}

impl Channel {
    /// The broker's packages use 11 if nobody says otherwise.
    const fn number(self) -> u8 {
        match self {
            Self::Full => 11,
            Self::Lite => 12,
        }
    }
}

/// The log-in.
pub fn authenticate(hsm_key: &str, client: &str) -> Vec<u8> {
    // Production, and tell what the records hold.
    frame(1, &[(1, hsm_key.as_bytes()), (2, b"P"), (3, &[1]), (4, client.as_bytes())])
}

/// Lite or full, for one channel.
pub fn mode(channel: Channel) -> Vec<u8> {
    let mask = 1_u64 << channel.number();
    let mode: &[u8] = match channel {
        Channel::Full => b"F",
        Channel::Lite => b"L",
    };
    frame(12, &[(1, &mask.to_be_bytes()), (2, mode)])
}

/// Topics, at most [`MAX_TOPICS`]; more are left out.
pub fn topics(action: Action, channel: Channel, topics: &[(Feed, Topic)]) -> Vec<u8> {
    let topics = topics.get(..MAX_TOPICS).unwrap_or(topics);
    let mut list = u16::try_from(topics.len()).unwrap_or(0).to_be_bytes().to_vec();
    for (feed, topic) in topics {
        let name = topic.of(*feed);
        // At most 64 bytes.
        list.push(u8::try_from(name.len()).unwrap_or(0));
        list.extend_from_slice(name.as_bytes());
    }
    let kind = match action {
        Action::Subscribe => 4,
        Action::Unsubscribe => 5,
    };
    frame(kind, &[(1, &list), (2, &[channel.number()])])
}

/// That a frame of data has arrived. The broker slows down without it.
pub fn acknowledge(number: u32) -> Vec<u8> {
    frame(3, &[(1, &number.to_be_bytes())])
}

fn frame(kind: u8, fields: &[(u8, &[u8])]) -> Vec<u8> {
    let mut frame = vec![0, 0, kind, u8::try_from(fields.len()).unwrap_or(0)];
    for (id, value) in fields {
        // The longest field is one of topics, which fits.
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        frame.push(*id);
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend(value.iter().take(usize::from(length)));
    }
    let length = u16::try_from(frame.len() - 2).unwrap_or(u16::MAX).to_be_bytes();
    frame.splice(..2, length);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_the_documentation() {
        assert_eq!(
            hex::encode(authenticate("test-hsm-key", "PythonSDK-3.2.0")),
            "002b010401000c746573742d68736d2d6b65790200015003000101\
             04000f507974686f6e53444b2d332e322e30"
                .replace(' ', "")
        );
        let (feed, topic) = Topic::parse(b"sf|nse_cm|3045").unwrap();
        assert_eq!(
            hex::encode(topics(Action::Subscribe, Channel::Full, &[(feed, topic)])),
            "001a040201001100010e73667c6e73655f636d7c333034350200010b"
        );
        assert!(
            hex::encode(topics(Action::Unsubscribe, Channel::Lite, &[(feed, topic)])).starts_with("001a0502")
        );
        assert_eq!(hex::encode(mode(Channel::Lite)), "00110c0201000800000000000010000200014c");
        assert_eq!(hex::encode(mode(Channel::Full)), "00110c02010008000000000000080002000146");
        assert_eq!(hex::encode(acknowledge(0x1bb2_74a4)), "00090301010004 1bb274a4".replace(' ', ""));
    }
}
