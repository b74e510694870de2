//! Logging in: PIN and one-time password, which takes no person when both are stored, or the broker's consent page,
//! which does.

use std::time::SystemTime;

use adapter_sdk::{
    AdapterError, Credentials, Login,
    login::{copied, totp},
    net::{Http, HttpRequest, HttpResponse, push_encoded},
};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{auth::client_id, config::Settings};

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Longest token id of the consent page, in bytes.
const MAX_TOKEN_ID_BYTES: usize = 256;

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    fields: &Credentials,
) -> Result<Login, AdapterError> {
    let Some(client_id) = client_id(fields) else {
        return Ok(Login::ask("client_id", "Client id at Dhan, ten digits", None, false));
    };
    let broker = Broker { http, settings, client_id };
    match (fields.filled("pin"), app(fields)) {
        (Some(pin), _) => by_password(&broker, fields, pin).await,
        (None, Some((api_key, Some(secret)))) => by_consent(&broker, fields, api_key, secret).await,
        (None, Some((_, None))) => {
            Ok(Login::ask("api_secret", "API secret that the broker showed with the API key", None, true))
        }
        (None, None) => {
            let message = "PIN of the account at Dhan, where TOTP must be switched on. To use an API key instead, \
                           store api_key and api_secret with `tickhost account set`";
            Ok(Login::ask("pin", message, None, true))
        }
    }
}

/// API key and secret, when the account has them. OpenAlgo has the client id before the key.
fn app(fields: &Credentials) -> Option<(&str, Option<&str>)> {
    let api_key = fields.filled("api_key")?;
    let api_key = api_key.split_once(":::").map_or(api_key, |(_, key)| key);
    (!api_key.is_empty()).then(|| (api_key, fields.filled("api_secret")))
}

async fn by_password(broker: &Broker<'_>, fields: &Credentials, pin: &str) -> Result<Login, AdapterError> {
    let totp = match totp(fields, SystemTime::now()) {
        Ok(totp) => totp,
        Err(unfinished) => return unfinished.into_login(),
    };
    let access_token = broker.generate(pin, &totp).await?;
    // The PIN is stored only by whoever wants the host to log in by itself.
    Ok(done(broker.client_id, &access_token))
}

async fn by_consent(
    broker: &Broker<'_>,
    fields: &Credentials,
    api_key: &str,
    secret: &str,
) -> Result<Login, AdapterError> {
    let app = App { key: api_key, secret };
    let Some(answer) = fields.filled("token_id") else {
        let page = broker.consent_page(&app).await?;
        let message = "Log in on this page. It leads to the address of your API key; copy the whole address, or \
                       the tokenId in it";
        return Ok(Login::ask("token_id", message, Some(page), false));
    };
    let access_token = broker.consume(&app, token_id(answer)?).await?;
    Ok(done(broker.client_id, &access_token))
}

fn done(client_id: &str, access_token: &str) -> Login {
    Login::done([("access_token", access_token.to_owned()), ("client_id", client_id.to_owned())])
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

/// What the broker calls an app.
struct App<'a> {
    key: &'a str,
    secret: &'a str,
}

struct Broker<'a> {
    http: &'a Http,
    settings: &'a Settings,
    client_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    access_token: Option<Zeroizing<String>>,
    #[serde(default)]
    consent_app_id: Option<String>,
    // Which of them says why it was refused differs. They need not be texts.
    #[serde(default)]
    message: Value,
    #[serde(default)]
    error_message: Value,
    #[serde(default)]
    remarks: Value,
}

impl Broker<'_> {
    async fn generate(&self, pin: &str, totp: &str) -> Result<Zeroizing<String>, AdapterError> {
        let query = [("dhanClientId", self.client_id), ("pin", pin), ("totp", totp)];
        let url = self.address("/app/generateAccessToken", &query);
        let answer = read(self.http.post(&url).send().await?, Given::Password).await?;
        token(answer, Given::Password)
    }

    /// The page on which a person agrees.
    async fn consent_page(&self, app: &App<'_>) -> Result<String, AdapterError> {
        let url = self.address("/app/generate-consent", &[("client_id", self.client_id)]);
        let answer = read(signed(self.http.post(&url), app).send().await?, Given::Key).await?;
        let said = said(&answer);
        match answer.consent_app_id.filter(|id| !id.is_empty()) {
            Some(id) => {
                let page = self.address("/login/consentApp-login", &[("consentAppId", &id)]);
                Ok(page.as_str().to_owned())
            }
            None => Err(refused(Given::Key, &said)),
        }
    }

    async fn consume(&self, app: &App<'_>, token_id: &str) -> Result<Zeroizing<String>, AdapterError> {
        // It comes out of an address, and goes back into one as it is.
        let mut url = self.address("/app/consumeApp-consent", &[]);
        url.push_str("?tokenId=");
        url.push_str(token_id);
        let mut response = signed(self.http.post(&url), app).send().await?;
        // The documents say POST, the broker's package does GET.
        if matches!(response.status(), 404 | 405) {
            response = signed(self.http.get(&url), app).send().await?;
        }
        let answer = read(response, Given::TokenId).await?;
        token(answer, Given::TokenId)
    }

    /// An address of the log-in. It has secrets in it and must not be shown.
    fn address(&self, path: &str, query: &[(&str, &str)]) -> Zeroizing<String> {
        let mut url = Zeroizing::new(format!("{}{path}", self.settings.auth_url));
        for (place, (name, value)) in query.iter().enumerate() {
            url.push(if place == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            push_encoded(&mut url, value);
        }
        url
    }
}

fn signed(request: HttpRequest, app: &App<'_>) -> HttpRequest {
    request.header("app_id", app.key).header("app_secret", app.secret)
}

/// What was given to the broker.
#[derive(Clone, Copy)]
enum Given {
    Password,
    Key,
    TokenId,
}

/// Reads an answer. The broker refuses with HTTP 200 as well as with other numbers.
async fn read(response: HttpResponse, given: Given) -> Result<Answer, AdapterError> {
    let (status, refusal) = (response.status(), response.refusal("the log-in"));
    if status == 429 || status >= 500 {
        return Err(refusal);
    }
    let is_success = response.is_success();
    match response.json::<Answer>(MAX_ANSWER_BYTES).await {
        Ok(answer) if is_success => Ok(answer),
        Ok(answer) => Err(refused(given, &said(&answer))),
        Err(error) if is_success => Err(error),
        Err(_) if matches!(status, 400 | 401 | 403) => Err(refused(given, "")),
        Err(_) => Err(refusal),
    }
}

fn said(answer: &Answer) -> String {
    let words = [&answer.message, &answer.error_message, &answer.remarks].map(Value::as_str);
    words.into_iter().flatten().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn token(answer: Answer, given: Given) -> Result<Zeroizing<String>, AdapterError> {
    let said = said(&answer);
    answer.access_token.filter(|token| !token.is_empty()).ok_or_else(|| refused(given, &said))
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
        Given::TokenId => "the tokenId works once and for a few minutes: log in anew",
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
