//! What the brokers are asked for.

use adapter_sdk::plan::Change;

use crate::wire::Key;

/// One of the two kinds of messages that an instrument can be subscribed to. They are apart at the broker:
/// the second has all that the first has, and the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Prices, with the best bid and the best ask.
    Touchline,
    /// Prices with the book.
    Depth,
}

/// Types of the messages: for a channel, whether it begins or ends. No instrument is without a channel
/// between the two of a change when they go in this order.
const TYPES: [(&str, Channel, bool); 4] = [
    ("t", Channel::Touchline, true),
    ("d", Channel::Depth, true),
    ("u", Channel::Touchline, false),
    ("ud", Channel::Depth, false),
];

/// The messages that changes need, each of one type with all its instruments.
pub fn messages(changes: &[Change<Key, Channel>]) -> impl Iterator<Item = String> {
    TYPES.into_iter().filter_map(|(kind, channel, begins)| {
        let is_meant = |change: &&Change<Key, Channel>| {
            let ends = !begins && change.now != change.before;
            (begins && change.now == Some(channel)) || (ends && change.before == Some(channel))
        };
        let keys = changes.iter().filter(is_meant).map(|change| change.key.to_string());
        let keys = keys.collect::<Vec<String>>().join("#");
        (!keys.is_empty()).then(|| format!(r#"{{"t":"{kind}","k":"{keys}"}}"#))
    })
}

#[cfg(test)]
mod tests {
    use adapter_sdk::symbol::Exchange;

    use super::*;

    #[test]
    fn what_changes_its_channel_gets_the_new_one_before_the_old_one_ends() {
        let (touchline, depth) = (Some(Channel::Touchline), Some(Channel::Depth));
        let changes = [
            (1, None, touchline),
            (2, None, depth),
            (3, touchline, depth),
            (4, depth, touchline),
            (5, touchline, None),
            (6, depth, None),
            (7, depth, depth),
        ];
        let change =
            |(token, before, now)| Change { key: Key { exchange: Exchange::Nfo, token }, before, now };
        let messages: Vec<_> = messages(&changes.map(change)).collect();
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
