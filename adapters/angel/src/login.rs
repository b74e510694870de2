//! Logging in: a refresh of the token if there is one, or else client code, PIN and one-time password.

use std::time::SystemTime;

use adapter_sdk::{
    AdapterError, Credentials, Login,
    abi::ErrorCode,
    login::one_time_password,
    net::{Http, HttpRequest, RateLimit},
    tracing::info,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::config::Settings;

const LOG_IN: &str = "/rest/auth/angelbroking/user/v1/loginByPassword";
const REFRESH: &str = "/rest/auth/angelbroking/jwt/v1/generateTokens";

/// Longest answer.
const MAX_BYTES: usize = 64 << 10;

/// The client code, under the adapter's name for it or under OpenAlgo's.
pub(crate) fn client_code(credentials: &Credentials) -> Result<&str, AdapterError> {
    match credentials.filled("client_code").or_else(|| credentials.filled("user_id")) {
        Some(code) => Ok(code),
        None => credentials.require("client_code"),
    }
}

/// The JWT without the word that some store before it.
pub(crate) fn jwt(credentials: &Credentials) -> Result<&str, AdapterError> {
    match credentials.filled("auth_token") {
        Some(token) => Ok(token.strip_prefix("Bearer ").unwrap_or(token)),
        None => Err(AdapterError::auth(
            "the account has no auth_token: log in with `tickhost account login`, or set it with `tickhost account set`",
        )),
    }
}

/// Takes one step of logging in.
pub(crate) async fn step(settings: &Settings, fields: &Credentials) -> Result<Login, AdapterError> {
    let Some(api_key) = fields.filled("api_key") else {
        return Ok(Login::ask(
            "api_key",
            "API key of the app that you made in the SmartAPI portal",
            None,
            true,
        ));
    };
    // One for all requests of a step, which keep the broker's limit among them.
    let broker = Broker { settings, api_key, http: settings.network.http(RateLimit::per_second(1.0)) };
    let can_log_in = ["pin", "totp_secret"].iter().all(|name| fields.filled(name).is_some());
    if let Some(refresh_token) = fields.filled("refresh_token")
        && let Some(tokens) = broker.refresh(refresh_token, fields.filled("auth_token")).await?
    {
        // Where a full log-in is possible, a token is used once: if the broker does not take what came of it, the next
        // step is the full log-in instead of the same once more.
        let next = if can_log_in { None } else { tokens.refresh };
        return Ok(Login::done([
            ("auth_token", tokens.jwt),
            ("feed_token", tokens.feed),
            ("refresh_token", next.unwrap_or_default()),
        ]));
    }
    let Ok(client_code) = client_code(fields) else {
        return Ok(Login::ask("client_code", "Client code at Angel One, such as A123456", None, false));
    };
    let Some(pin) = fields.filled("pin") else {
        return Ok(Login::ask("pin", "PIN of the account at Angel One", None, true));
    };
    let totp = match (fields.filled("totp"), fields.filled("totp_secret")) {
        (Some(typed), _) => Zeroizing::new(typed.to_owned()),
        (None, Some(secret)) => one_time_password(secret, SystemTime::now())?,
        (None, None) => {
            return Ok(Login::ask("totp", "The six digits that your authenticator app shows", None, true));
        }
    };
    let tokens = broker.log_in(client_code, pin, &totp).await?;
    // The PIN is stored only by whoever wants the host to log in by itself.
    Ok(Login::done([
        ("api_key", api_key.to_owned()),
        ("client_code", client_code.to_owned()),
        ("auth_token", tokens.jwt),
        ("feed_token", tokens.feed),
        ("refresh_token", tokens.refresh.unwrap_or_default()),
    ]))
}

struct Broker<'a> {
    settings: &'a Settings,
    api_key: &'a str,
    http: Http,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(rename = "jwtToken")]
    jwt: String,
    #[serde(rename = "feedToken")]
    feed: String,
    #[serde(rename = "refreshToken")]
    refresh: Option<String>,
}

impl Tokens {
    fn is_complete(&self) -> bool {
        !self.jwt.is_empty() && !self.feed.is_empty()
    }
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
    data: Option<Loose>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Loose {
    Tokens(Tokens),
    Other(serde::de::IgnoredAny),
}

/// What a request for tokens came to.
enum Outcome {
    Granted(Tokens),
    /// No tokens, whatever the reason. For a refresh it means that a full log-in comes next: a broker that never takes
    /// the stored refresh token must not keep the account out.
    Refused(AdapterError),
}

impl Broker<'_> {
    /// Tokens for a refresh token; none when the broker does not take it.
    async fn refresh(
        &self,
        refresh_token: &str,
        auth_token: Option<&str>,
    ) -> Result<Option<Tokens>, AdapterError> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            refresh_token: &'a str,
        }
        let mut request = self.post(REFRESH);
        if let Some(token) = auth_token {
            let token = token.strip_prefix("Bearer ").unwrap_or(token);
            request = request.header("Authorization", &format!("Bearer {token}"));
        }
        match self.send(request.json(&Body { refresh_token })).await {
            Ok(Outcome::Granted(tokens)) => Ok(Some(tokens)),
            // Trouble of the network, or a limit, would hit the full log-in too.
            Err(error) if error.code() != ErrorCode::PROTOCOL => Err(error),
            Ok(Outcome::Refused(error)) | Err(error) => {
                info!(%error, "The broker did not take the refresh token");
                Ok(None)
            }
        }
    }

    async fn log_in(&self, client_code: &str, pin: &str, totp: &str) -> Result<Tokens, AdapterError> {
        #[derive(Serialize)]
        struct Body<'a> {
            clientcode: &'a str,
            password: &'a str,
            totp: &'a str,
        }
        let body = Body { clientcode: client_code, password: pin, totp };
        match self.send(self.post(LOG_IN).json(&body)).await? {
            Outcome::Granted(tokens) => Ok(tokens),
            Outcome::Refused(error) => Err(error),
        }
    }

    fn post(&self, path: &str) -> HttpRequest {
        let machine = &self.settings.machine;
        self.http
            .post(&format!("{}{path}", self.settings.api_url))
            .header("Accept", "application/json")
            .header("X-UserType", "USER")
            .header("X-SourceID", "WEB")
            .header("X-ClientLocalIP", &machine.local_ip)
            .header("X-ClientPublicIP", &machine.public_ip)
            .header("X-MACAddress", &machine.mac_address)
            .header("X-PrivateKey", self.api_key)
    }

    /// Sends it. The broker refuses with HTTP 200 as well as with other numbers. An error means that it is of no use to
    /// ask for anything else now.
    async fn send(&self, request: HttpRequest) -> Result<Outcome, AdapterError> {
        let response = request.send().await?;
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
        match answer.data {
            Some(Loose::Tokens(tokens)) if answer.status && tokens.is_complete() => {
                Ok(Outcome::Granted(tokens))
            }
            _ if answer.status => {
                Ok(Outcome::Refused(AdapterError::protocol("the broker answered the log-in without tokens")))
            }
            _ => {
                let said = answer.message.unwrap_or_default().to_lowercase();
                if said.contains("access rate") || said.contains("too many") {
                    return Err(AdapterError::rate_limited("the broker asks for fewer log-ins"));
                }
                Ok(Outcome::Refused(refused(answer.errorcode.as_deref(), &said)))
            }
        }
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
    let hint = match code {
        Some("AB1050") => "the one-time password is wrong: check totp_secret and this machine's clock",
        Some("AB1007") => "client code or PIN is wrong: check them",
        Some("AG8001" | "AG8002" | "AG8003" | "AB8050" | "AB8051") => {
            "the token is not valid any more: log in anew"
        }
        _ if said.contains("totp") => {
            "the one-time password is wrong: check totp_secret and this machine's clock"
        }
        _ if said.contains("api key") || said.contains("privatekey") => "the API key is wrong: check api_key",
        _ if said.contains("block") || said.contains("lock") => {
            "the account is blocked: unblock it at the broker"
        }
        _ if said.contains("password") || said.contains("pin") || said.contains("client") => {
            "client code or PIN is wrong: check them"
        }
        _ => "check client_code, pin, totp_secret and api_key",
    };
    let is_code = |text: &&str| text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let code = code.filter(|text| !text.is_empty()).filter(is_code).unwrap_or("without a code");
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
