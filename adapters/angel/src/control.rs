//! Text messages of the market feed, in both directions.

use adapter_sdk::serde_json;
use serde::{Deserialize, Serialize};

use crate::segment::{Segment, Token};

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
pub(crate) fn request(
    correlation: &str,
    action: Action,
    mode: u8,
    tokens: &[(Segment, Vec<Token>)],
) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'a> {
        #[serde(rename = "correlationID")]
        correlation: &'a str,
        action: u8,
        params: Params<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Params<'a> {
        mode: u8,
        token_list: Vec<Tokens<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Tokens<'a> {
        exchange_type: u8,
        tokens: Vec<&'a str>,
    }
    let token_list = tokens.iter().map(|(segment, tokens)| Tokens {
        exchange_type: segment.code(),
        tokens: tokens.iter().map(Token::as_str).collect(),
    });
    let request = Request {
        correlation,
        action: action as u8,
        params: Params { mode, token_list: token_list.collect() },
    };
    // These types have nothing that JSON cannot hold.
    serde_json::to_string(&request).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_like_the_one_in_the_broker_s_document() {
        let token = |text| Token::new(text).unwrap();
        let tokens =
            [(Segment::NseCash, vec![token("10626"), token("5290")]), (Segment::Mcx, vec![token("234230")])];
        assert_eq!(
            request("abcde12345", Action::Subscribe, 1, &tokens),
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
