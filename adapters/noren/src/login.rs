//! Logging in: a person opens the broker's page, and its code buys the token of the day. At Definedge a
//! one-time password does, which needs no person when its secret is stored.

use std::time::SystemTime;

use adapter_sdk::{
    AdapterError, Credentials, ErrorCode, ExposeSecret as _, Login,
    login::{self, Unfinished, answer_to_ticket, ask_for_ticket, by_page, checksum, totp},
    net::{Http, HttpRequest, push_encoded, with_query},
    serde_json::{Value, json},
};

use crate::{
    account::{self, Account},
    brand::{Brand, Scheme},
    config::Settings,
};

/// What people answer who want a one-time password in a text message.
const BY_MESSAGE: &str = "sms";

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    brand: &'static Brand,
    fields: &Credentials,
) -> Result<Login, Unfinished> {
    let known = |value: Option<_>, field, what, is_secret| match value {
        Some(value) => Ok(value),
        None => login::answer(fields, &[field], &format!("{what} at {}", brand.title), is_secret),
    };
    let user = known(account::user(fields), "user_id", "Client id, with which you log in", false)?;
    let app = "API key (client id of the app, app code, API token) of your app";
    let api_key = known(account::api_key(fields), "api_key", app, false)?;
    let api_secret = known(None, "api_secret", "API secret of the same app", true)?;
    let keys = Keys { http, settings, user, api_key, api_secret };
    // Query of the page, and the member of the address to which it leads.
    let (query, member) = match brand.scheme {
        Scheme::Definedge => return keys.by_password(fields).await,
        Scheme::Flattrade => ("app_key", "code"),
        Scheme::AliceBlue => ("appcode", "authCode"),
        Scheme::Code => ("client_id", "code"),
    };
    let page = with_query(&settings.login_url, &[(query, api_key)]);
    Ok(keys.by_code(brand.scheme, by_page(fields, "code", member, &page)?).await?)
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
                let checksum = checksum(&[api_key, api_secret, code]);
                let body = json!({ "code": code, "checksum": checksum, "uid": user });
                self.post("GenAcsTok").text("text/plain", format!("jData={body}"))
            }
        };
        let answer = answer(request, "the code works once and for a few minutes").await?;
        let tokens = ["access_token", "accesstoken", "token", "susertoken", "userSession"];
        self.done("access_token", &answer, &tokens, &["actid", "uid", "clientId", "client"])
    }

    async fn by_password(&self, fields: &Credentials) -> Result<Login, Unfinished> {
        if let Some((ticket, password)) = answer_to_ticket(fields, "otp") {
            return Ok(self.with_password(ticket, password).await?);
        }
        let message =
            "The six digits that your authenticator app shows, or sms for a password in a text message";
        login::answer(fields, &["totp", "totp_secret"], message, true)?;
        let password = totp(fields, SystemTime::now())?;
        let mut url = format!("{}/login/", self.settings.api_url);
        push_encoded(&mut url, self.api_key);
        let begun = answer(self.http.get(&url).header("api_secret", self.api_secret), "").await?;
        // What is sent is good together with this alone.
        let ticket = member(&begun, &["otp_token"])?;
        if password.expose_secret().eq_ignore_ascii_case(BY_MESSAGE) {
            return Err(ask_for_ticket("otp", ticket, "The password that has come by text message and mail"));
        }
        Ok(self.with_password(ticket, password.expose_secret()).await?)
    }

    async fn with_password(&self, ticket: &str, password: &str) -> Result<Login, AdapterError> {
        let checksum = checksum(&[ticket, password, self.api_secret]);
        let body = json!({ "otp_token": ticket, "otp": password, "ac": checksum });
        let answer = answer(self.post("token").json(&body), "or the one-time password is wrong").await?;
        self.done("susertoken", &answer, &["susertoken"], &["uid", "actid"])
    }

    /// What is stored: the token, and who it is for the socket, which is not what people log in with
    /// everywhere.
    fn done(
        &self,
        field: &str,
        answer: &Value,
        tokens: &[&str],
        users: &[&str],
    ) -> Result<Login, AdapterError> {
        let user = member(answer, users).unwrap_or(self.user);
        Ok(Login::done([(field, member(answer, tokens)?.to_owned()), ("user_id", user.to_owned())]))
    }
}

/// Makes a session for sockets of an account at Alice Blue: without one its socket stays silent. It ends the
/// one before, of which there may be none.
pub(crate) async fn make_session(
    http: &Http,
    settings: &Settings,
    account: &Account,
) -> Result<(), AdapterError> {
    let body = json!({ "source": "API", "userId": account.user() });
    let request = |path: &str| {
        let request = http.post(&format!("{}/profile/{path}", settings.api_url));
        request.header("Authorization", account.bearer().expose_secret()).json(&body)
    };
    match answer(request("invalidateWsSess"), "").await {
        // What is wrong with the token is said by the next one.
        Err(error) if error.code() != ErrorCode::AUTH => Err(error),
        _ => answer(request("createWsSess"), ENDED).await.map(drop),
    }
}

/// What else a refusal may mean at Alice Blue.
const ENDED: &str = "or the session has ended: log in again with `tickhost account login`";

/// The broker's answer, if it accepts. Its own words are left out: nobody knows whether they repeat a secret.
pub(crate) async fn answer(request: HttpRequest, reason: &str) -> Result<Value, AdapterError> {
    let refused = format!("the broker refused the log-in: the keys are wrong; {reason}");
    let answer: Value = request.log_in(&refused).await?;
    // They spell it in two ways, and some say nothing when all is well.
    let word = ["stat", "status"].into_iter().find_map(|name| answer.get(name)?.as_str());
    if word.is_some_and(|word| !word.eq_ignore_ascii_case("ok")) {
        return Err(AdapterError::auth(refused));
    }
    Ok(answer)
}

/// The first of these members that is a text with something in it.
pub(crate) fn member<'a>(answer: &'a Value, names: &[&str]) -> Result<&'a str, AdapterError> {
    let found = names.iter().find_map(|name| answer.get(name)?.as_str().filter(|text| !text.is_empty()));
    found.ok_or_else(|| {
        let name = names.first().copied().unwrap_or_default();
        AdapterError::protocol(format!("the broker answered the log-in without {name}"))
    })
}
