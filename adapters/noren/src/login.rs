//! Logging in: a person opens the broker's page, and its code buys the token of the day. At Definedge a one-time password does, which
//! needs no person when its secret is stored.

use std::time::SystemTime;

use adapter_sdk::{
    AdapterError, Credentials, Login,
    login::{Unfinished, copied, totp},
    net::{Http, HttpRequest, push_encoded},
    serde_json::{Value, json},
};
use zeroize::Zeroizing;

use crate::{
    account::{self, Account, checksum},
    brand::{Brand, Scheme},
    config::Settings,
};

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Longest code of a page, in bytes.
const MAX_CODE_BYTES: usize = 512;

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    brand: &'static Brand,
    fields: &Credentials,
) -> Result<Login, AdapterError> {
    let title = brand.title;
    let ask =
        |field, what: &str, is_secret| Ok(Login::ask(field, &format!("{what} at {title}"), None, is_secret));
    let Some(user) = account::user(fields) else {
        return ask("user_id", "Client id, with which you log in", false);
    };
    let Some(api_key) = account::api_key(fields) else {
        return ask("api_key", "API key (client id of the app, app code, API token) of your app", false);
    };
    let Some(api_secret) = fields.filled("api_secret") else {
        return ask("api_secret", "API secret of the same app", true);
    };
    let keys = Keys { http, settings, user, api_key, api_secret };
    if brand.scheme == Scheme::Definedge {
        return keys.by_password(fields).await.or_else(Unfinished::into_login);
    }
    // Query of the page, and the member of the address to which it leads.
    let (query, member) = match brand.scheme {
        Scheme::Flattrade => ("app_key", "code"),
        Scheme::AliceBlue => ("appcode", "authCode"),
        _ => ("client_id", "code"),
    };
    let Some(answer) = fields.filled("code") else {
        let mut page = settings.login_url.clone();
        page.push(if page.contains('?') { '&' } else { '?' });
        page.push_str(query);
        page.push('=');
        push_encoded(&mut page, api_key);
        let message = format!(
            "Log in on this page. It leads to an address of your app; copy the whole address, or the {member} in it. It works once, \
             and for a few minutes"
        );
        return Ok(Login::ask("code", &message, Some(page), true));
    };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let code = copied(answer, member, MAX_CODE_BYTES, is_plain).ok_or_else(|| {
        AdapterError::auth(format!(
            "there is no {member} in that: copy the whole address to which the log-in led, or what follows {member}= in it"
        ))
    })?;
    keys.by_code(brand.scheme, code).await
}

/// What an account logs in with, and where.
struct Keys<'a> {
    http: &'a Http,
    settings: &'a Settings,
    user: &'a str,
    api_key: &'a str,
    api_secret: &'a str,
}

impl Keys<'_> {
    fn post(&self, path: &str) -> HttpRequest {
        self.http.post(&format!("{}/{path}", self.settings.api_url))
    }

    async fn by_code(&self, scheme: Scheme, code: &str) -> Result<Login, AdapterError> {
        let Self { user, api_key, api_secret, .. } = self;
        let request = match scheme {
            Scheme::Flattrade => {
                let secret = checksum(&[api_key, code, api_secret]);
                let body = json!({ "api_key": api_key, "request_code": code, "api_secret": secret });
                self.post("apitoken").json(&body)
            }
            Scheme::AliceBlue => {
                let body = json!({ "checkSum": checksum(&[user, code, api_secret]) });
                self.post("vendor/getUserDetails").json(&body)
            }
            Scheme::Code | Scheme::Definedge => {
                let body = json!({ "code": code, "checksum": checksum(&[api_key, api_secret, code]) });
                self.post("GenAcsTok").text("text/plain", format!("jData={body}"))
            }
        };
        let answer = answer(request, "the code works once and for a few minutes").await?;
        let token = any(&answer, &["access_token", "accesstoken", "token", "susertoken", "userSession"])
            .ok_or_else(|| AdapterError::protocol("the broker answered the log-in without a token"))?;
        // Who it is for the socket is not what people log in with everywhere.
        let user = any(&answer, &["actid", "uid", "clientId", "client"]).unwrap_or(user);
        Ok(Login::done([("access_token", token.to_owned()), ("user_id", user.to_owned())]))
    }

    async fn by_password(&self, fields: &Credentials) -> Result<Login, Unfinished> {
        let password = totp(fields, SystemTime::now())?;
        let mut url = format!("{}/login/", self.settings.api_url);
        push_encoded(&mut url, self.api_key);
        let begun = answer(self.http.get(&url).header("api_secret", self.api_secret), "").await?;
        let ticket = any(&begun, &["otp_token"])
            .ok_or_else(|| AdapterError::protocol("the broker answered the log-in without an otp_token"))?;
        let body = json!({
            "otp_token": ticket, "otp": password.as_str(), "ac": checksum(&[ticket, &password, self.api_secret]),
        });
        let answer = answer(self.post("token").json(&body), "or the one-time password is wrong").await?;
        let token = any(&answer, &["susertoken"])
            .ok_or_else(|| AdapterError::protocol("the broker answered the log-in without a susertoken"))?;
        let user = any(&answer, &["uid", "actid"]).unwrap_or(self.user);
        Ok(Login::done([("susertoken", token.to_owned()), ("user_id", user.to_owned())]))
    }
}

/// Makes a session for sockets of an account at Alice Blue: without one its socket stays silent. It ends the one before, of which there
/// may be none.
pub(crate) async fn make_session(
    http: &Http,
    settings: &Settings,
    account: &Account,
) -> Result<(), AdapterError> {
    let bearer = Zeroizing::new(format!("Bearer {}", account.token()));
    let body = json!({ "source": "API", "userId": account.user() });
    let request = |path: &str| {
        http.post(&format!("{}/profile/{path}", settings.api_url))
            .header("Authorization", &bearer)
            .json(&body)
    };
    match answer(request("invalidateWsSess"), "").await {
        Err(error) if error.code() != adapter_sdk::abi::ErrorCode::AUTH => return Err(error),
        // What is wrong with the token is said by the next one.
        _ => {}
    }
    answer(request("createWsSess"), "or the session has ended: log in again with `tickhost account login`")
        .await
        .map(drop)
}

/// The broker's answer, if it accepts. Its own words are left out: nobody knows whether they repeat a secret.
async fn answer(request: HttpRequest, reason: &str) -> Result<Value, AdapterError> {
    let response = request.send().await?;
    let status = response.status();
    let refused =
        || AdapterError::auth(format!("the broker refused the log-in: the keys are wrong; {reason}"));
    match status {
        400 | 401 | 403 => return Err(refused()),
        _ if response.is_success() => {}
        _ => return Err(response.refusal("the log-in")),
    }
    let answer: Value = response.json(MAX_ANSWER_BYTES).await?;
    // They spell it in two ways, and some say nothing when all is well.
    let word = ["stat", "status"].into_iter().find_map(|name| answer.get(name)?.as_str());
    if word.is_some_and(|word| !word.eq_ignore_ascii_case("ok")) { Err(refused()) } else { Ok(answer) }
}

/// The first of these members that is a text with something in it.
fn any<'a>(answer: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| answer.get(name)?.as_str().filter(|text| !text.is_empty()))
}
