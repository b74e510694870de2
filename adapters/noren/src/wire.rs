//! Messages as the brokers write them: one JSON object in a text frame, whose values are texts, numbers
//! included.
//!
//! ```text
//! {"t":"tk","e":"NSE","tk":"22","ts":"ACC-EQ","lp":"1400.05", …}    all of it, after it was subscribed
//! {"t":"tf","e":"NSE","tk":"22","lp":"1400.10"}                     what has changed
//! ```
//!
//! The key `tk` is the number of an instrument, and the text `tk` one of the types.

pub use adapter_sdk::instruments::ExchangeToken as Key;
use adapter_sdk::read::Flat;

/// The members of a message, of which the longest has some less.
pub type Message<'a> = Flat<'a, 64>;

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Prices, of the touchline with the best bid and the best ask, or with a book of five levels.
    Prices {
        /// Whether it is of the channel with the book.
        has_book: bool,
        /// Whether it is all that the broker knows in this channel.
        is_image: bool,
    },
    /// The answer to the log-in, and whether it was accepted.
    LogIn(bool),
    /// News of an order.
    Order,
    /// Acknowledgements, notices, and what nobody knows.
    Other,
}

/// What a message is about.
pub fn kind(message: &Message<'_>) -> Kind {
    let prices = |has_book, is_image| Kind::Prices { has_book, is_image };
    match message.get("t") {
        Some("tk") => prices(false, true),
        Some("tf") => prices(false, false),
        Some("dk") => prices(true, true),
        Some("df") => prices(true, false),
        // Each may be the answer to either form of the log-in, and the word is in one member or the other.
        Some("ck" | "ak" | "cf") => {
            let word = message.get("s").or_else(|| message.get("k"));
            Kind::LogIn(word.is_some_and(|word| word.eq_ignore_ascii_case("ok")))
        }
        Some("om") => Kind::Order,
        _ => Kind::Other,
    }
}

/// The instrument that a message is about, which is what the message says and nothing else: brokers answer
/// with another one than was asked for at times.
pub fn key(message: &Message<'_>) -> Option<Key> {
    Key::of(message.get("e")?, message.get("tk")?)
}

#[cfg(test)]
mod tests {
    use adapter_sdk::symbol::Exchange;

    use super::*;

    #[test]
    fn an_instrument_has_both_its_names_or_none() {
        for text in [
            r#"{"tk":"22"}"#,
            r#"{"e":"NSE"}"#,
            r#"{"e":"NYSE","tk":"22"}"#,
            r#"{"e":["NSE"],"tk":"22"}"#,
            r#"{"e":"NSE","tk":{"a":1}}"#,
            r#"{"e":"NSE","tk":"22x"}"#,
            r#"{"e":"NSE","tk":"-22"}"#,
            r#"{"e":"NSE","tk":"4294967296"}"#,
        ] {
            assert_eq!(key(&Message::read(text).unwrap()), None, "{text}");
        }
        let whole = Message::read(r#"{"t":"tk","e":"NSE","tk":22}"#).unwrap();
        assert_eq!(kind(&whole), Kind::Prices { has_book: false, is_image: true });
        assert_eq!(key(&whole), Some(Key { exchange: Exchange::Nse, token: 22 }));
    }

    #[test]
    fn a_log_in_is_accepted_by_the_one_word_alone() {
        for (text, is_accepted) in [
            (r#"{"t":"ak","s":"OK"}"#, true),
            (r#"{"t":"ck","s":"Ok"}"#, true),
            (r#"{"t":"cf","k":"OK"}"#, true),
            (r#"{"t":"ck","s":"Not_Ok","emsg":"Session Expired"}"#, false),
            (r#"{"t":"cf","k":"failed"}"#, false),
            (r#"{"t":"ak"}"#, false),
        ] {
            assert_eq!(kind(&Message::read(text).unwrap()), Kind::LogIn(is_accepted), "{text}");
        }
        for text in [r#"{"s":"OK"}"#, r#"{"t":"hk"}"#, r#"{"t":7}"#, "{}"] {
            assert_eq!(kind(&Message::read(text).unwrap()), Kind::Other, "{text}");
        }
    }

    #[test]
    fn the_longest_message_is_read_without_an_allocation() {
        let mut text =
            r#"{"t":"dk","e":"NSE","tk":"22","ts":"ACC-EQ","pp":"2","ti":"0.05","ls":"1""#.to_owned();
        let prices =
            "lp pc v o h l c ap oi toi poi ltt ltq tbq tsq uc lc 52h 52l ft".split(' ').map(str::to_owned);
        let cells = ["bp", "bq", "bo", "sp", "sq", "so"];
        let cells = cells.iter().flat_map(|cell| (1..=5).map(move |level| format!("{cell}{level}")));
        text.extend(prices.chain(cells).map(|name| format!(r#","{name}":"12345.05""#)));
        text.push('}');
        let used = allocation_counter::measure(|| {
            assert!(Message::read(&text).unwrap().members().count() > 50);
        });
        assert_eq!(used.count_total, 0);
    }
}
