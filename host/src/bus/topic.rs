//! What the topic of a message says: which kind it is and, for a tick, whose.

use tickhost_core::model::Mode;

/// How topics of order updates end.
pub(super) const ORDERS_END: &str = "_orders";

/// A topic, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic<'a> {
    /// Something remembered is outdated; the body says what and whose.
    Invalidation,
    /// An order update; the body says whose, as user names may contain the separator.
    Orders,
    /// Positions, margins: nothing that clients are sent.
    Ignored,
    /// Begins with a broker's name. Publishers that do so publish the plain form too.
    Legacy,
    /// Ticks.
    Tick {
        /// Exchange code.
        exchange: &'a str,
        /// Symbol, with the separators that it contains.
        symbol: &'a str,
        /// The mode in which they are published.
        mode: Mode,
    },
}

/// The order of the questions is that of OpenAlgo's own host. None when the topic cannot be read.
pub(super) fn parse<'a>(
    topic: &'a str,
    two_word_exchanges: &[String],
    brokers: &[String],
) -> Option<Topic<'a>> {
    if topic.starts_with("CACHE_INVALIDATE") {
        return Some(Topic::Invalidation);
    }
    if topic.ends_with(ORDERS_END) {
        return Some(Topic::Orders);
    }
    if topic.ends_with("_positions") || topic.ends_with("_margins") {
        return Some(Topic::Ignored);
    }
    let (names, mode) = topic.rsplit_once('_')?;
    let mode = Mode::ALL.into_iter().find(|known| mode.eq_ignore_ascii_case(known.label()))?;
    let after = |prefix: &str| names.strip_prefix(prefix)?.strip_prefix('_');
    if brokers.iter().any(|broker| after(broker).is_some()) {
        return Some(Topic::Legacy);
    }
    let two_words =
        two_word_exchanges.iter().find(|exchange| names == **exchange || after(exchange).is_some());
    let (exchange, symbol) = match two_words {
        Some(exchange) => names
            .split_at_checked(exchange.len())
            .map(|(exchange, rest)| (exchange, rest.get(1..).unwrap_or_default()))?,
        None => names.split_once('_')?,
    };
    (!exchange.is_empty() && !symbol.is_empty()).then_some(Topic::Tick { exchange, symbol, mode })
}

/// A mode by its name or number, as publishers write it into a body.
pub(super) fn mode_named(name: &str) -> Option<Mode> {
    if name.eq_ignore_ascii_case("full") {
        return Some(Mode::Depth);
    }
    Mode::ALL.into_iter().find(|mode| name.eq_ignore_ascii_case(mode.label()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(topic: &str) -> Option<Topic<'_>> {
        let two_words = ["NSE_INDEX", "GLOBAL_INDEX"].map(str::to_owned);
        parse(topic, &two_words, &["dhan_sandbox".to_owned(), "dhan".to_owned()])
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what the parser returns")]
    fn tick<'a>(exchange: &'a str, symbol: &'a str, mode: Mode) -> Option<Topic<'a>> {
        Some(Topic::Tick { exchange, symbol, mode })
    }

    #[test]
    fn ticks_are_named_by_exchange_symbol_and_mode() {
        assert_eq!(parsed("NSE_SBIN_LTP"), tick("NSE", "SBIN", Mode::Ltp));
        assert_eq!(parsed("NSE_SBIN_quote"), tick("NSE", "SBIN", Mode::Quote));
        assert_eq!(parsed("CRYPTO_SOL_INR_DEPTH"), tick("CRYPTO", "SOL_INR", Mode::Depth));
        assert_eq!(parsed("NSE_INDEX_NIFTY_LTP"), tick("NSE_INDEX", "NIFTY", Mode::Ltp));
        assert_eq!(parsed("GLOBAL_INDEX_DOW_JONES_LTP"), tick("GLOBAL_INDEX", "DOW_JONES", Mode::Ltp));
        assert_eq!(parsed("NSE_M&M-EQ 5_LTP"), tick("NSE", "M&M-EQ 5", Mode::Ltp));
        assert_eq!(parsed("NSE_INDEXFUND_LTP"), tick("NSE", "INDEXFUND", Mode::Ltp));
        // Not on the list: split as one word, as everywhere.
        assert_eq!(parsed("NSEIX_INDEX_GIFT_LTP"), tick("NSEIX", "INDEX_GIFT", Mode::Ltp));
    }

    #[test]
    fn other_topics_are_told_by_their_ends() {
        assert_eq!(parsed("CACHE_INVALIDATE_ALL_alice_orders"), Some(Topic::Invalidation));
        assert_eq!(parsed("UPSTOX_alice_x_orders"), Some(Topic::Orders));
        assert_eq!(parsed("deltaexchange_positions"), Some(Topic::Ignored));
        assert_eq!(parsed("deltaexchange_margins"), Some(Topic::Ignored));
        assert_eq!(parsed("dhan_NSE_SBIN_LTP"), Some(Topic::Legacy));
        assert_eq!(parsed("dhan_sandbox_NSE_SBIN_LTP"), Some(Topic::Legacy));
    }

    #[test]
    fn what_names_no_instrument_or_no_mode_is_none() {
        for topic in [
            "",
            "_",
            "__LTP",
            "NSE__LTP",
            "LTP",
            "NSE_LTP",
            "NSE_INDEX_LTP",
            "NSE_INDEX__LTP",
            "DEBUG_MARKET_DATA",
            "NSE_SBIN_3",
            "_SBIN_LTP",
        ] {
            assert_eq!(parsed(topic), None, "{topic}");
        }
    }

    #[test]
    fn modes_in_bodies_have_more_names() {
        assert_eq!(mode_named("ltp"), Some(Mode::Ltp));
        assert_eq!(mode_named("full"), Some(Mode::Depth));
        assert_eq!(mode_named("FULLER"), None);
    }

    proptest! {
        #[test]
        fn a_tick_topic_is_made_of_its_parts(topic in "[A-Z_]{0,12}_(LTP|QUOTE|DEPTH|x)") {
            if let Some(Topic::Tick { exchange, symbol, mode }) = parsed(&topic) {
                let names = format!("{exchange}_{symbol}_");
                prop_assert!(topic.starts_with(&names));
                prop_assert!(topic.to_lowercase().ends_with(&mode.label().to_lowercase()));
            }
        }
    }
}
