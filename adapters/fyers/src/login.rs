//! Logging in: a person opens the broker's page, and its answer buys the token of the day.

use adapter_sdk::{
    AdapterError, Credentials, ExposeSecret as _, Login, SecretString,
    login::{Unfinished, answer, by_page, checksum},
    net::{Http, with_query},
};
use serde::Deserialize;
use serde_json::json;

use crate::config::Settings;

/// What a person is asked for first.
const APP_ID: &str = "The App ID of your app on myapi.fyers.in, such as XXXXXXXXXX-100";

/// What a refusal means.
const REFUSED: &str = "the broker refused the auth_code: it works once and for a few minutes, so log in again; if that is refused \
                       too, App ID and Secret ID are not of the same app";

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    s: String,
    access_token: Option<SecretString>,
}

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    fields: &Credentials,
) -> Result<Login, AdapterError> {
    log_in(http, settings, fields).await.or_else(Unfinished::into_login)
}

async fn log_in(http: &Http, settings: &Settings, fields: &Credentials) -> Result<Login, Unfinished> {
    let stored = fields.filled("access_token").or_else(|| fields.filled("auth_token"));
    let joined = stored.and_then(|token| token.split_once(':')).map(|(app, _)| app);
    let known = fields.filled("app_id").or_else(|| fields.filled("api_key")).or(joined);
    let app_id = known.map_or_else(|| answer(fields, &["api_key"], APP_ID, false), Ok)?;
    let secret = answer(fields, &["api_secret"], "The Secret ID of the same app", true)?;
    let wanted = "The redirect URL of the same app, letter by letter";
    let redirect_uri = answer(fields, &["redirect_uri"], wanted, false)?;
    let code = by_page(fields, "auth_code", "auth_code", &page(&settings.api_url, app_id, redirect_uri))?;
    let hash = checksum(&[app_id, ":", secret]);
    let body = json!({ "grant_type": "authorization_code", "appIdHash": hash, "code": code });
    let request = http.post(&format!("{}/api/v3/validate-authcode", settings.api_url)).json(&body);
    let Answer { s, access_token } = request.log_in(REFUSED).await?;
    if s != "ok" {
        return Err(AdapterError::auth(REFUSED).into());
    }
    let token = access_token.filter(|token| !token.expose_secret().is_empty());
    let token =
        token.ok_or_else(|| AdapterError::protocol("the broker answered the log-in without a token"))?;
    Ok(Login::done([
        ("access_token", token.expose_secret().to_owned()),
        ("api_key", app_id.to_owned()),
        ("api_secret", secret.to_owned()),
        ("redirect_uri", redirect_uri.to_owned()),
    ]))
}

fn page(api_url: &str, app_id: &str, redirect_uri: &str) -> String {
    let pairs = [
        ("response_type", "code"),
        ("state", "tickhost"),
        ("client_id", app_id),
        ("redirect_uri", redirect_uri),
    ];
    with_query(&format!("{api_url}/api/v3/generate-authcode"), &pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_in_what_people_copy() {
        let auth_code = |answer: &str| {
            let fields = adapter_sdk::testing::credentials(&json!({ "auth_code": answer }).to_string());
            by_page(&fields, "auth_code", "auth_code", "").map(str::to_owned).map_err(Unfinished::into_login)
        };
        for answer in [
            "eyJ0.eyJh.s-_g",
            "auth_code=eyJ0.eyJh.s-_g",
            "https://127.0.0.1/?s=ok&code=200&auth_code=eyJ0.eyJh.s-_g&state=tickhost",
            "https://app.example/done?auth_code=eyJ0.eyJh.s-_g#top",
        ] {
            assert_eq!(auth_code(answer).unwrap(), "eyJ0.eyJh.s-_g", "{answer}");
        }
        for answer in ["https://127.0.0.1/?s=error&code=-1", "a b", "https://127.0.0.1/", "?auth_code=", "é"]
        {
            let error = auth_code(answer).unwrap_err().unwrap_err().to_string();
            assert!(error.contains("auth_code") && !error.contains("127.0.0.1"), "{error}");
        }
    }

    #[test]
    fn the_page_is_that_of_the_app() {
        assert_eq!(
            page("https://api.example", "APP-100", "https://127.0.0.1/x?y"),
            "https://api.example/api/v3/generate-authcode?response_type=code&state=tickhost&client_id=APP-100\
             &redirect_uri=https%3A%2F%2F127.0.0.1%2Fx%3Fy"
        );
    }
}
