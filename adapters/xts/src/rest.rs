//! Requests over HTTP: log-ins, the list, and what is subscribed, which no broker of the family takes on the
//! socket.

use adapter_sdk::{
    AdapterError, ErrorCode,
    net::{Http, HttpRequest},
    serde_json::{self, Value, json, value::RawValue},
};
use serde::Deserialize;

use crate::wire::{Code, Key, segment_of};

/// Longest answer that is read, in bytes: that to a full batch has some hundred thousand.
const MAX_ANSWER: usize = 8 << 20;

/// Why a log-in is not accepted. The broker's own words are left out: nobody knows whether they repeat a key.
const WRONG_KEYS: &str =
    "the broker refused the log-in: app_key or secret_key is wrong, or they are those of another of its APIs";

/// What the end of a token means.
pub(crate) const ENDED: &str = "the broker refused the token: tokens end each day, and when anybody logs in with the same keys; \
                                log in again with `tickhost account login`";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Subscribe,
    Unsubscribe,
    /// What is known, of what is subscribed already.
    Quotes,
}

/// What the broker says to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It does so; what it knows of the instruments, each a text of JSON within JSON.
    Done(Vec<Box<RawValue>>),
    /// Some or all of the instruments were subscribed before.
    Already,
    /// It does not.
    Refused,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default)]
    code: Value,
    #[serde(default)]
    description: Value,
    #[serde(default)]
    result: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Quotes {
    #[serde(default, rename = "listQuotes")]
    quotes: Vec<Box<RawValue>>,
}

impl Said {
    fn is_success(&self) -> bool {
        self.kind == "success"
    }

    /// Whether it is about the token: `e-session-0007`, or words that are used for it.
    fn is_of_token(&self) -> bool {
        let words = ["invalid token", "token/authorization not found", "token expired", "session expired"];
        let said = self.description.as_str().unwrap_or_default().to_ascii_lowercase();
        self.code == "e-session-0007" || words.iter().any(|word| said.contains(word))
    }

    fn is_of_what_is_subscribed(&self) -> bool {
        let said = self.description.as_str().unwrap_or_default().to_ascii_lowercase();
        self.code == "e-session-0002" || said.contains("already subscribed")
    }
}

/// The interface of an account.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    pub http: Http,
    pub url: String,
}

impl Rest {
    /// Logs in with an app key and its secret, at a path of the interface, and gives the token and the user.
    ///
    /// # Errors
    /// When the broker refuses it.
    pub(crate) async fn log_in(
        &self,
        path: &str,
        [app, secret]: [&str; 2],
    ) -> Result<[String; 2], AdapterError> {
        let body = json!({ "appKey": app, "secretKey": secret, "source": "WebAPI" });
        let request = self.http.post(&format!("{}/{path}", self.url)).json(&body);
        let said: Said = request.log_in(WRONG_KEYS).await?;
        if !said.is_success() {
            return Err(AdapterError::auth(WRONG_KEYS));
        }
        let result: Value =
            said.result.and_then(|result| serde_json::from_str(result.get()).ok()).unwrap_or_default();
        let member = |name: &str| {
            let text = result.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| {
                AdapterError::protocol(format!("the broker answered the log-in without {name}"))
            })
        };
        Ok([member("token")?, member("userID")?])
    }

    /// Whether the broker still knows a token: an authentication error when it does not. Any other trouble is
    /// none here.
    pub(crate) async fn check(&self, token: &str) -> Result<(), AdapterError> {
        let url = format!("{}/instruments/indexlist?exchangeSegment=1", self.url);
        match answer(self.http.get(&url).header("authorization", token)).await {
            Err(error) if error.code() == ErrorCode::AUTH => Err(error),
            _ => Ok(()),
        }
    }

    /// Asks for something of instruments.
    ///
    /// # Errors
    /// When there is no answer, the token has ended, or there were too many requests.
    pub(crate) async fn ask(
        self,
        token: zeroize::Zeroizing<String>,
        ask: Ask,
        code: Code,
        keys: Vec<Key>,
    ) -> Result<Answer, AdapterError> {
        let instruments: Vec<Value> = keys
            .iter()
            .filter_map(|key| {
                let (segment, _) = segment_of(key.exchange)?;
                Some(json!({ "exchangeSegment": segment, "exchangeInstrumentID": key.token }))
            })
            .collect();
        let mut body = json!({ "instruments": instruments, "xtsMessageCode": code.number() });
        let request = match ask {
            Ask::Subscribe => self.http.post(&format!("{}/instruments/subscription", self.url)),
            Ask::Unsubscribe => self.http.put(&format!("{}/instruments/subscription", self.url)),
            Ask::Quotes => {
                if let Some(members) = body.as_object_mut() {
                    members.insert("publishFormat".to_owned(), "JSON".into());
                }
                self.http.post(&format!("{}/instruments/quotes", self.url))
            }
        };
        answer(request.header("authorization", &token).json(&body)).await
    }
}

async fn answer(request: HttpRequest) -> Result<Answer, AdapterError> {
    let response = request.send().await?;
    let (status, refusal) = (response.status(), response.refusal("a request for instruments"));
    let is_success = response.is_success();
    if status == 429 || status >= 500 {
        return Err(refusal);
    }
    // Most refusals have status 400, and say in their body what they are.
    let said: Said = match response.json(MAX_ANSWER).await {
        Ok(said) => said,
        Err(error) if is_success => return Err(error),
        Err(_) if matches!(status, 401 | 403) => return Err(AdapterError::auth(ENDED)),
        Err(_) => return Ok(Answer::Refused),
    };
    if is_success && said.is_success() {
        let quotes = said.result.and_then(|result| serde_json::from_str(result.get()).ok());
        return Ok(Answer::Done(quotes.map_or_else(Vec::new, |quotes: Quotes| quotes.quotes)));
    }
    if said.is_of_token() || matches!(status, 401 | 403) {
        return Err(AdapterError::auth(ENDED));
    }
    Ok(if said.is_of_what_is_subscribed() { Answer::Already } else { Answer::Refused })
}
