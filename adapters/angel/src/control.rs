//! Text messages of the market feed, in both directions.

use std::collections::BTreeMap;

use adapter_sdk::{
    Mode,
    serde_json::{self, Value, json},
};
use serde::Deserialize;

use crate::segment::Key;

/// What the broker says in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// The answer to this side's heartbeat.
    Pong,
    /// A request failed; those before it go on.
    Error {
        /// `E1001`: it was malformed; `E1002`: too many subscriptions.
        code: String,
        /// The request's, when it had one.
        correlation: Option<String>,
    },
    /// Something that no document names.
    Unknown,
}

/// Reads a text message. Its length is bounded by the connection.
pub fn read(text: &str) -> Control {
    #[derive(Deserialize)]
    struct Refused {
        #[serde(rename = "correlationID")]
        correlation: Option<String>,
        #[serde(rename = "errorCode")]
        code: String,
    }
    if text == "pong" {
        return Control::Pong;
    }
    match serde_json::from_str(text) {
        Ok(Refused { correlation, code }) => Control::Error { code, correlation },
        Err(_) => Control::Unknown,
    }
}

/// What is asked of the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Unsubscribe = 0,
    Subscribe = 1,
}

/// A request for the tokens of one mode.
pub(crate) fn request(correlation: &str, action: Action, mode: Mode, keys: &[Key]) -> String {
    let mut lists = BTreeMap::<u8, Vec<&str>>::new();
    for key in keys {
        lists.entry(key.segment.code()).or_default().push(key.token.as_str());
    }
    let lists: Vec<Value> = lists
        .into_iter()
        .map(|(exchange, tokens)| json!({"exchangeType": exchange, "tokens": tokens}))
        .collect();
    let mode = match mode {
        Mode::Ltp => 1,
        Mode::Quote => 2,
        Mode::Depth => 3,
    };
    // In the order of the broker's document, and with nothing outside of the lists that needs an escape.
    let (action, lists) = (action as u8, Value::from(lists));
    format!(
        r#"{{"correlationID":"{correlation}","action":{action},"params":{{"mode":{mode},"tokenList":{lists}}}}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Segment, Token};

    #[test]
    fn a_request_reads_like_the_one_in_the_broker_s_document() {
        let key = |segment, token| Key { segment, token: Token::new(token).unwrap() };
        let keys =
            [key(Segment::NseCash, "10626"), key(Segment::Mcx, "234230"), key(Segment::NseCash, "5290")];
        assert_eq!(
            request("abcde12345", Action::Subscribe, Mode::Ltp, &keys),
            r#"{"correlationID":"abcde12345","action":1,"params":{"mode":1,"tokenList":[{"exchangeType":1,"tokens":["10626","5290"]},{"exchangeType":5,"tokens":["234230"]}]}}"#
        );
    }

    #[test]
    fn what_is_no_error_is_not_taken_for_one() {
        for text in ["PONG", "{}", r#"{"errorCode":5}"#, "[", r#"{"data":"pong"}"#] {
            assert_eq!(read(text), Control::Unknown, "{text}");
        }
    }
}
