//! Asks the broker for the numbers of symbols. Its lists have them too, and count when it does not answer:
//! the two must agree in everything but the exchange's own number, or else nobody knows what the number
//! means.

use std::{collections::BTreeMap, time::Duration};

use adapter_sdk::{AdapterError, net::Http};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{auth::Keys, directory::SymbolTokens, topic::Fytoken};

/// Most symbols in one request.
const MAX_SYMBOLS: usize = 500;

/// Longest answer that is read, in bytes. For 500 symbols it has some 25 KB.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Longest time for a request. Subscriptions wait for it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long the broker is left alone after a request that failed.
const PAUSE: Duration = Duration::from_mins(1);

/// What the broker says of symbols: their numbers, or that it does not know them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Converted(BTreeMap<String, Option<Fytoken>>);

/// What the broker and its list say of one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The number to use.
    Use(Fytoken),
    /// The broker says nothing of the symbol.
    Unsaid,
    /// The broker does not know the symbol.
    Unknown,
    /// They name different instruments.
    Contradiction,
}

#[derive(Deserialize)]
struct Answer {
    s: String,
    #[serde(default, rename = "validSymbol")]
    valid: BTreeMap<String, Value>,
    #[serde(default, rename = "invalidSymbol")]
    invalid: Vec<Value>,
}

/// Asks for what waits for its number.
pub(crate) fn questions(http: &Http, url: String, keys: &Keys) -> SymbolTokens {
    let (http, keys) = (http.clone(), keys.clone());
    SymbolTokens::new(MAX_SYMBOLS, PAUSE, move |asked| {
        let tickers = asked.iter().map(|listed| listed.ticker.clone()).collect();
        ask(http.clone(), url.clone(), keys.clone(), tickers)
    })
}

/// Asks for at most [`MAX_SYMBOLS`] symbols. A request whose turn does not come, since the broker has asked
/// for a pause, is given up like one without an answer.
async fn ask(http: Http, url: String, keys: Keys, tickers: Vec<String>) -> Result<Converted, AdapterError> {
    let asked = async {
        let request = keys.sign(http.post(&url)).json(&json!({ "symbols": tickers }));
        let response = request.send().await?;
        if !response.is_success() {
            return Err(response.refusal("the request for the numbers of symbols"));
        }
        read(response.json(MAX_ANSWER_BYTES).await?)
    };
    timeout(TIMEOUT, asked).await.unwrap_or_else(|_| {
        Err(AdapterError::network(format!(
            "the broker did not say the numbers of symbols within {TIMEOUT:?}"
        )))
    })
}

fn read(answer: Answer) -> Result<Converted, AdapterError> {
    if answer.s != "ok" {
        // Its words are left out: nobody knows whether they repeat a token.
        return Err(AdapterError::protocol("the broker refused the request for the numbers of symbols"));
    }
    // By name, since they come in another order than they were asked for.
    let valid = answer.valid.into_iter().filter_map(|(ticker, number)| {
        // As text or as a number.
        let digits = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
        Some((ticker, Some(Fytoken::parse(&digits)?)))
    });
    let invalid = answer.invalid.iter().filter_map(|ticker| Some((ticker.as_str()?.to_owned(), None)));
    // What is both has its number.
    Ok(Converted(invalid.chain(valid).collect()))
}

impl Converted {
    /// What becomes of a symbol that the list has under this number.
    pub(crate) fn verdict(&self, ticker: &str, listed: Fytoken) -> Verdict {
        match self.0.get(ticker) {
            Some(Some(fytoken)) if fytoken.is_akin(listed) => Verdict::Use(*fytoken),
            Some(Some(_)) => Verdict::Contradiction,
            Some(None) => Verdict::Unknown,
            None => Verdict::Unsaid,
        }
    }
}

#[cfg(test)]
impl Converted {
    pub(crate) fn of(valid: &[(&str, &str)]) -> Self {
        Self(valid.iter().map(|(ticker, number)| ((*ticker).to_owned(), Fytoken::parse(number))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(json: &str) -> Result<Converted, AdapterError> {
        read(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn answers_are_joined_by_name_whatever_their_order() {
        let converted = converted(
            r#"{"s":"ok","validSymbol":{"NSE:B-EQ":"10100000000002","NSE:A-EQ":10100000000001,"NSE:C-EQ":"101126092900009",
                "NSE:D-EQ":"x"},"invalidSymbol":["NSE:E-EQ",7]}"#,
        )
        .unwrap();
        let listed = |number: u32| Fytoken::parse(&format!("1010000000{number:04}")).unwrap();
        let verdict = |ticker: &str| converted.verdict(ticker, listed(9));
        assert_eq!(verdict("NSE:A-EQ"), Verdict::Use(listed(1)));
        assert_eq!(verdict("NSE:B-EQ"), Verdict::Use(listed(2)));
        assert_eq!(verdict("NSE:C-EQ"), Verdict::Contradiction, "another segment");
        assert_eq!(verdict("NSE:D-EQ"), Verdict::Unsaid);
        assert_eq!(verdict("NSE:E-EQ"), Verdict::Unknown);
    }

    #[test]
    fn a_refusal_is_an_error_without_the_brokers_words() {
        let error = converted(r#"{"s":"error","message":"token canary"}"#).unwrap_err().to_string();
        assert!(!error.contains("canary"), "{error}");
    }
}
