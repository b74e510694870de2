//! Logging in: PIN and one-time password, which takes no person when both are stored, or the broker's consent
//! page, which does.

use std::time::SystemTime;

use adapter_sdk::{
    AdapterError, Credentials, ExposeSecret as _, Login, Question, SecretString,
    login::{Unfinished, answer, copied, totp},
    net::{Http, HttpRequest, HttpResponse, with_query},
};
use serde::Deserialize;
use serde_json::Value;

use crate::{auth::client_id, config::Settings};

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Longest token id of the consent page, in bytes.
const MAX_TOKEN_ID_BYTES: usize = 256;

const ASK_PIN: &str = "PIN of the account at Dhan, where TOTP must be switched on. To use an API key instead, store api_key and \
                       api_secret with `tickhost account set`";

const ASK_TOKEN_ID: &str = "Log in on this page. It leads to the address of your API key; copy the whole address, or the tokenId in it";

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    fields: &Credentials,
) -> Result<Login, Unfinished> {
    let ask = || answer(fields, &["client_id"], "Client id at Dhan, ten digits", false);
    let client_id = client_id(fields).map_or_else(ask, Ok)?;
    let broker = Broker { http, settings, client_id };
    let access_token = if let (None, Some(api_key)) = (fields.filled("pin"), api_key(fields)) {
        broker.by_consent(fields, api_key).await?
    } else {
        let pin = answer(fields, &["pin"], ASK_PIN, true)?;
        broker.by_password(pin, totp(fields, SystemTime::now())?.expose_secret()).await?
    };
    // The PIN is stored only by whoever wants the host to log in by itself.
    Ok(Login::done([
        ("access_token", access_token.expose_secret().to_owned()),
        ("client_id", client_id.to_owned()),
    ]))
}

/// The API key, when the account has one. OpenAlgo has the client id before it.
fn api_key(fields: &Credentials) -> Option<&str> {
    fields.joined("api_key").map(|(_, api_key)| api_key).filter(|api_key| !api_key.is_empty())
}

/// The token id in an answer, which is that or the address that has it.
fn token_id(answer: &str) -> Result<&str, AdapterError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    copied(answer, "tokenId", MAX_TOKEN_ID_BYTES, is_plain).ok_or_else(|| {
        AdapterError::auth(
            "there is no tokenId in that: copy the whole address to which the page led, or what follows tokenId=",
        )
    })
}

struct Broker<'a> {
    http: &'a Http,
    settings: &'a Settings,
    client_id: &'a str,
}

impl Broker<'_> {
    async fn by_password(&self, pin: &str, totp: &str) -> Result<SecretString, AdapterError> {
        let query = [("dhanClientId", self.client_id), ("pin", pin), ("totp", totp)];
        let url = self.address("/app/generateAccessToken", &query);
        granted(self.http.post(url.expose_secret()).send().await?, Given::Password).await
    }

    async fn by_consent(&self, fields: &Credentials, api_key: &str) -> Result<SecretString, Unfinished> {
        let message = "API secret that the broker showed with the API key";
        let secret = answer(fields, &["api_secret"], message, true)?;
        let signed = |request: HttpRequest| request.header("app_id", api_key).header("app_secret", secret);
        let Some(copied) = fields.filled("token_id") else {
            let url = self.address("/app/generate-consent", &[("client_id", self.client_id)]);
            let consent =
                granted(signed(self.http.post(url.expose_secret())).send().await?, Given::Key).await?;
            let page = self.address("/login/consentApp-login", &[("consentAppId", consent.expose_secret())]);
            let page = Some(page.expose_secret().to_owned());
            return Err(Unfinished::Ask(Question::new("token_id", ASK_TOKEN_ID, page, false)));
        };
        // It comes out of an address, and goes back into one as it is.
        let consume = self.address("/app/consumeApp-consent", &[]);
        let url = format!("{}?tokenId={}", consume.expose_secret(), token_id(copied)?);
        let mut response = signed(self.http.post(&url)).send().await?;
        // The documents say POST, the broker's package does GET.
        if matches!(response.status(), 404 | 405) {
            response = signed(self.http.get(&url)).send().await?;
        }
        Ok(granted(response, Given::TokenId).await?)
    }

    /// An address of the log-in. It has secrets in it and must not be shown.
    fn address(&self, path: &str, query: &[(&str, &str)]) -> SecretString {
        with_query(&format!("{}{path}", self.settings.auth_url), query).into()
    }
}

/// What was given to the broker.
#[derive(Clone, Copy)]
enum Given {
    Password,
    Key,
    TokenId,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    access_token: Option<SecretString>,
    consent_app_id: Option<SecretString>,
    // Which of them says why it was refused differs. They need not be texts.
    message: Value,
    error_message: Value,
    remarks: Value,
}

/// What the broker grants: a token, for a key the number of a consent. It refuses with HTTP 200 as well as
/// with other numbers.
async fn granted(response: HttpResponse, given: Given) -> Result<SecretString, AdapterError> {
    let (status, is_success) = (response.status(), response.is_success());
    let refusal = response.refusal("the log-in");
    if status == 429 || status >= 500 {
        return Err(refusal);
    }
    let answer = match response.json::<Answer>(MAX_ANSWER_BYTES).await {
        Ok(answer) => answer,
        Err(error) if is_success => return Err(error),
        Err(_) if matches!(status, 400 | 401 | 403) => Answer::default(),
        Err(_) => return Err(refusal),
    };
    let said = said(&answer);
    let granted = if matches!(given, Given::Key) { answer.consent_app_id } else { answer.access_token };
    granted.filter(|text| is_success && !text.expose_secret().is_empty()).ok_or_else(|| refused(given, &said))
}

fn said(answer: &Answer) -> String {
    let words = [&answer.message, &answer.error_message, &answer.remarks].map(Value::as_str);
    words.into_iter().flatten().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// A refusal in words that say what to do. The broker's own are not shown: they may repeat what was sent.
fn refused(given: Given, said: &str) -> AdapterError {
    if ["once every", "too many", "rate limit"].iter().any(|word| said.contains(word)) {
        return AdapterError::rate_limited(
            "the broker asks for fewer log-ins: it makes a token every two minutes",
        );
    }
    let hint = match given {
        Given::Password if said.contains("totp") => {
            "the one-time password is wrong: check totp_secret and this machine's clock"
        }
        Given::Password if said.contains("pin") => "the PIN is wrong: check pin",
        Given::Password => "check client_id, pin and totp_secret, and that TOTP is switched on at the broker",
        Given::Key => "check client_id, api_key and api_secret; keys live for twelve months",
        Given::TokenId => "the tokenId works once and for a few minutes: log in again",
    };
    AdapterError::auth(format!("the broker refused the log-in: {hint}"))
}

#[cfg(test)]
mod tests {
    use adapter_sdk::abi::ErrorCode;

    use super::*;

    #[test]
    fn the_token_id_is_found_in_what_people_copy() {
        for answer in [
            "f3b2-AbC",
            "tokenId=f3b2-AbC",
            "https://127.0.0.1/?tokenId=f3b2-AbC",
            "http://app.example/done?state=1&tokenId=f3b2-AbC#top",
        ] {
            assert_eq!(token_id(answer).unwrap(), "f3b2-AbC", "{answer}");
        }
        for answer in ["https://127.0.0.1/?status=error", "a b", "https://127.0.0.1/", "?tokenId=", "é"] {
            let error = token_id(answer).unwrap_err().to_string();
            assert!(error.contains("tokenId") && !error.contains("127.0.0.1"), "{error}");
        }
        assert!(token_id(&"a".repeat(257)).is_err());
    }

    #[test]
    fn a_refusal_is_read_whatever_it_looks_like() {
        let said = |json: &str| said(&serde_json::from_str(json).unwrap());
        assert_eq!(said(r#"{"status":"error","message":"Invalid Pin"}"#), "invalid pin");
        assert_eq!(said(r#"{"message":null,"errorMessage":"A","remarks":"B"}"#), "a b");
        assert_eq!(said(r#"{"message":["x"],"remarks":{"error_code":"DH-905"},"accessToken":null}"#), "");
    }

    #[test]
    fn refusals_say_what_to_do_and_repeat_nothing() {
        let error = |given, said: &str| refused(given, said);
        assert!(error(Given::Password, "invalid totp").to_string().contains("one-time password is wrong"));
        assert!(error(Given::Password, "invalid pin 1234").to_string().ends_with("check pin"));
        assert_eq!(error(Given::Password, "").code(), ErrorCode::AUTH);
        let often = error(Given::Password, "token can be generated once every 2 minutes");
        assert_eq!(often.code(), ErrorCode::RATE_LIMITED);
        for given in [Given::Password, Given::Key, Given::TokenId] {
            assert!(!error(given, "invalid pin 1234 canary").to_string().contains("canary"));
        }
    }
}
