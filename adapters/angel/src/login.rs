//! Logging in: a refresh of the token if there is one, or else client code, PIN and one-time password.

use std::{collections::BTreeMap, time::SystemTime};

use adapter_sdk::{
    AdapterError, Credentials, ExposeSecret as _, Login,
    abi::ErrorCode,
    login::{Unfinished, answer, totp},
    net::{Http, HttpRequest},
    serde_json::Value,
    tracing::info,
};
use serde::Deserialize;

use crate::{
    auth::{CLIENT_CODE, bearer},
    config::Settings,
};

const LOG_IN: &str = "/rest/auth/angelbroking/user/v1/loginByPassword";
const REFRESH: &str = "/rest/auth/angelbroking/jwt/v1/generateTokens";

/// Longest answer.
const MAX_BYTES: usize = 64 << 10;

/// What the broker refuses a log-in for: its codes for it, words of its message in small letters, and what to
/// do.
const REFUSALS: [(&[&str], &[&str], &str); 5] = [
    (&["AB1050"], &["totp"], "the one-time password is wrong: check totp_secret and this machine's clock"),
    (
        &["AG8001", "AG8002", "AG8003", "AB8050", "AB8051"],
        &[],
        "the token is not valid any more: log in again",
    ),
    (&[], &["api key", "privatekey"], "the API key is wrong: check api_key"),
    (&[], &["block", "lock"], "the account is blocked: unblock it at the broker"),
    (&["AB1007"], &["password", "pin", "client"], "client code or PIN is wrong: check them"),
];

/// Takes one step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    fields: &Credentials,
) -> Result<Login, AdapterError> {
    log_in(http, settings, fields).await.or_else(Unfinished::into_login)
}

async fn log_in(http: &Http, settings: &Settings, fields: &Credentials) -> Result<Login, Unfinished> {
    let api_key =
        answer(fields, &["api_key"], "API key of the app that you made in the SmartAPI portal", true)?;
    let broker = Broker { settings, api_key, http };
    let can_log_in = ["pin", "totp_secret"].iter().all(|name| fields.filled(name).is_some());
    if let Some(tokens) = broker.refresh(fields).await? {
        // Where a full log-in is possible, a token is used once: if the broker does not take what came of it,
        // the next step is the full log-in instead of the same once more.
        let next = if can_log_in { String::new() } else { tokens.refresh };
        return Ok(Login::done([
            ("auth_token", tokens.jwt),
            ("feed_token", tokens.feed),
            ("refresh_token", next),
        ]));
    }
    let client_code = answer(fields, &CLIENT_CODE, "Client code at Angel One, such as A123456", false)?;
    let pin = answer(fields, &["pin"], "PIN of the account at Angel One", true)?;
    let totp = totp(fields, SystemTime::now())?;
    let body = [("clientcode", client_code), ("password", pin), ("totp", totp.expose_secret())];
    let tokens = match broker.send(broker.post(LOG_IN), body).await? {
        Outcome::Granted(tokens) => tokens,
        Outcome::Refused(error) => return Err(error.into()),
    };
    // The PIN is stored only by whoever wants the host to log in by itself.
    Ok(Login::done([
        ("api_key", api_key.to_owned()),
        ("client_code", client_code.to_owned()),
        ("auth_token", tokens.jwt),
        ("feed_token", tokens.feed),
        ("refresh_token", tokens.refresh),
    ]))
}

struct Broker<'a> {
    settings: &'a Settings,
    api_key: &'a str,
    http: &'a Http,
}

/// Tokens of the day. The refresh token may be empty.
struct Tokens {
    jwt: String,
    feed: String,
    refresh: String,
}

#[derive(Deserialize)]
struct Answer {
    /// What stands before the log-in has another name for it.
    #[serde(alias = "success")]
    status: bool,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, alias = "errorCode")]
    errorcode: Option<String>,
    /// Other things than tokens come with refusals.
    #[serde(default)]
    data: Value,
}

/// What a request for tokens came to.
enum Outcome {
    Granted(Tokens),
    /// No tokens, whatever the reason. For a refresh it means that a full log-in comes next: a broker that
    /// never takes the stored refresh token must not keep the account out.
    Refused(AdapterError),
}

impl Broker<'_> {
    /// Tokens for the refresh token; none when there is none, or the broker does not take it.
    async fn refresh(&self, fields: &Credentials) -> Result<Option<Tokens>, AdapterError> {
        let Some(refresh_token) = fields.filled("refresh_token") else { return Ok(None) };
        let mut request = self.post(REFRESH);
        if let Some(token) = fields.filled("auth_token") {
            request = request.header("Authorization", &bearer(token));
        }
        match self.send(request, [("refreshToken", refresh_token)]).await {
            Ok(Outcome::Granted(tokens)) => Ok(Some(tokens)),
            // Trouble of the network, or a limit, would hit the full log-in too.
            Err(error) if error.code() != ErrorCode::PROTOCOL => Err(error),
            Ok(Outcome::Refused(error)) | Err(error) => {
                info!(%error, "The broker did not take the refresh token");
                Ok(None)
            }
        }
    }

    fn post(&self, path: &str) -> HttpRequest {
        let settings = self.settings;
        self.http
            .post(&format!("{}{path}", settings.api_url))
            .header("Accept", "application/json")
            .header("X-UserType", "USER")
            .header("X-SourceID", "WEB")
            .header("X-ClientLocalIP", &settings.client_local_ip)
            .header("X-ClientPublicIP", &settings.client_public_ip)
            .header("X-MACAddress", &settings.mac_address)
            .header("X-PrivateKey", self.api_key)
    }

    /// Sends it. The broker refuses with HTTP 200 as well as with other numbers. An error means that it is of
    /// no use to ask for anything else now.
    async fn send<const N: usize>(
        &self,
        request: HttpRequest,
        body: [(&str, &str); N],
    ) -> Result<Outcome, AdapterError> {
        let response = request.json(&BTreeMap::from(body)).send().await?;
        let (http_status, refusal) = (response.status(), response.refusal("the log-in"));
        if http_status == 429 || http_status >= 500 {
            return Err(refusal);
        }
        let is_success = response.is_success();
        let answer: Answer = match response.json(MAX_BYTES).await {
            Ok(answer) => answer,
            Err(error) if is_success => return Ok(Outcome::Refused(error)),
            Err(_) => return Ok(Outcome::Refused(refused_by_status(http_status, refusal))),
        };
        if answer.status {
            return Ok(answer.tokens().map_or_else(
                || Outcome::Refused(AdapterError::protocol("the broker answered the log-in without tokens")),
                Outcome::Granted,
            ));
        }
        let said = answer.message.unwrap_or_default().to_lowercase();
        if said.contains("access rate") || said.contains("too many") {
            return Err(AdapterError::rate_limited("the broker asks for fewer log-ins"));
        }
        Ok(Outcome::Refused(refused(answer.errorcode.as_deref(), &said)))
    }
}

impl Answer {
    fn tokens(&self) -> Option<Tokens> {
        let token = |name| self.data.get(name).and_then(Value::as_str).filter(|token| !token.is_empty());
        Some(Tokens {
            jwt: token("jwtToken")?.to_owned(),
            feed: token("feedToken")?.to_owned(),
            refresh: token("refreshToken").unwrap_or_default().to_owned(),
        })
    }
}

fn refused_by_status(status: u16, refusal: AdapterError) -> AdapterError {
    match status {
        // The front of the broker's servers says so to those who ask too often.
        403 => AdapterError::rate_limited("the broker refused the log-in with HTTP 403: it asks for fewer"),
        400 | 401 => AdapterError::auth(refusal),
        _ => refusal,
    }
}

/// A refusal in words that say what to do. The broker's own are not shown: they may repeat what was sent.
fn refused(code: Option<&str>, said: &str) -> AdapterError {
    let code = code.unwrap_or_default();
    let by_code = REFUSALS.iter().find(|(codes, ..)| codes.contains(&code));
    let by_word = || REFUSALS.iter().find(|(_, words, _)| words.iter().any(|word| said.contains(word)));
    let hint =
        by_code.or_else(by_word).map_or("check client_code, pin, totp_secret and api_key", |row| row.2);
    let is_plain = (1..=10).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let code = if is_plain { code } else { "without a code" };
    AdapterError::auth(format!("the broker refused the log-in ({code}): {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_say_what_to_do_and_repeat_nothing() {
        let said = |code, message: &str| refused(code, message).to_string();
        assert!(said(Some("AB1050"), "invalid totp").contains("(AB1050): the one-time password is wrong"));
        assert!(said(Some("AB1007"), "x").contains("PIN is wrong"));
        assert!(said(None, "invalid totp").contains("(without a code): the one-time password"));
        assert!(said(Some("x y <pin 1234>"), "pin 1234 is wrong").contains("(without a code)"));
        assert!(!said(Some("1234 5"), "pin 1234 is wrong").contains("1234"));
        assert_eq!(refused(None, "").code(), ErrorCode::AUTH);
    }
}
