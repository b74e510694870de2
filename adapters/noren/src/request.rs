//! What the brokers are asked for.

use std::fmt::Write as _;

use adapter_sdk::plan::Change;

use crate::exchange::Key;

/// One of the two kinds of messages that an instrument can be subscribed to. They are apart at the broker: the second has all that the
/// first has, and the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Prices, with the best bid and the best ask.
    Touchline,
    /// Prices with the book.
    Depth,
}

/// What changes need to be said, each kind with all its instruments, in an order in which no instrument is without a channel in
/// between.
#[derive(Debug, Default)]
pub struct Requests([String; 4]);

/// Types of the messages, in this order.
const TYPES: [&str; 4] = ["t", "d", "u", "ud"];

impl Requests {
    /// Adds a change.
    pub fn add(&mut self, change: &Change<Key, Channel>) {
        if let Some(channel) = change.now {
            self.push(change.key, channel, true);
        }
        if let Some(channel) = change.before.filter(|_| change.before != change.now) {
            self.push(change.key, channel, false);
        }
    }

    fn push(&mut self, key: Key, channel: Channel, is_wanted: bool) {
        let [touchline, depth, end_touchline, end_depth] = &mut self.0;
        let keys = match (channel, is_wanted) {
            (Channel::Touchline, true) => touchline,
            (Channel::Depth, true) => depth,
            (Channel::Touchline, false) => end_touchline,
            (Channel::Depth, false) => end_depth,
        };
        if !keys.is_empty() {
            keys.push('#');
        }
        // Writing to a text cannot fail.
        _ = write!(keys, "{key}");
    }

    /// The messages.
    pub fn messages(self) -> impl Iterator<Item = String> {
        let named = TYPES.into_iter().zip(self.0).filter(|(_, keys)| !keys.is_empty());
        named.map(|(kind, keys)| format!(r#"{{"t":"{kind}","k":"{keys}"}}"#))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;

    #[test]
    fn what_changes_its_channel_gets_the_new_one_before_the_old_one_ends() {
        let mut requests = Requests::default();
        let (touchline, depth) = (Some(Channel::Touchline), Some(Channel::Depth));
        for (token, before, now) in [
            (1, None, touchline),
            (2, None, depth),
            (3, touchline, depth),
            (4, depth, touchline),
            (5, touchline, None),
            (6, depth, None),
            (7, depth, depth),
        ] {
            requests.add(&Change { key: Key { exchange: Exchange::Nfo, token }, before, now });
        }
        let messages: Vec<_> = requests.messages().collect();
        assert_eq!(
            messages,
            [
                r#"{"t":"t","k":"NFO|1#NFO|4"}"#,
                r#"{"t":"d","k":"NFO|2#NFO|3#NFO|7"}"#,
                r#"{"t":"u","k":"NFO|3#NFO|5"}"#,
                r#"{"t":"ud","k":"NFO|4#NFO|6"}"#,
            ]
        );
    }
}
