//! Logging in: a person opens the broker's page, and its answer buys the token of the day.

use adapter_sdk::{
    AdapterError, Credentials, Login,
    login::{copied, missing},
    net::{Http, push_encoded},
};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::config::Settings;

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Longest code, in bytes. They are as long as tokens.
const MAX_CODE_BYTES: usize = 16 << 10;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    s: String,
    access_token: Option<Zeroizing<String>>,
}

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    fields: &Credentials,
) -> Result<Login, AdapterError> {
    let filled = |name| fields.filled(name);
    let stored = filled("access_token").or_else(|| filled("auth_token"));
    let joined = stored.and_then(|token| token.split_once(':')).map(|(app, _)| app);
    let Some(app_id) = filled("app_id").or_else(|| filled("api_key")).or(joined) else {
        let message = "The App ID of your app on myapi.fyers.in, such as XXXXXXXXXX-100";
        return Ok(Login::ask("api_key", message, None, false));
    };
    let wanted = [
        ("api_secret", "The Secret ID of the same app", true),
        ("redirect_uri", "The redirect URL of the same app, letter by letter", false),
    ];
    if let Some(question) = missing(fields, &wanted) {
        return Ok(question);
    }
    let (secret, redirect_uri) =
        (filled("api_secret").unwrap_or_default(), filled("redirect_uri").unwrap_or_default());
    let Some(answer) = filled("auth_code") else {
        let message = "Log in on this page. It leads to the address of your app; copy the whole address, or the auth_code \
                       in it. It works once, and for a few minutes";
        let page = page(&settings.api_url, app_id, redirect_uri);
        return Ok(Login::ask("auth_code", message, Some(page), true));
    };
    let access_token = exchange(http, settings, app_id, secret, auth_code(answer)?).await?;
    Ok(Login::done([
        ("access_token", access_token.as_str().to_owned()),
        ("api_key", app_id.to_owned()),
        ("api_secret", secret.to_owned()),
        ("redirect_uri", redirect_uri.to_owned()),
    ]))
}

fn page(api_url: &str, app_id: &str, redirect_uri: &str) -> String {
    let mut url = format!("{api_url}/api/v3/generate-authcode?response_type=code&state=tickhost&client_id=");
    push_encoded(&mut url, app_id);
    url.push_str("&redirect_uri=");
    push_encoded(&mut url, redirect_uri);
    url
}

/// The code in an answer, which is the code or the address that has it.
fn auth_code(answer: &str) -> Result<&str, AdapterError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    copied(answer, "auth_code", MAX_CODE_BYTES, is_plain).ok_or_else(|| {
        AdapterError::auth(
            "there is no auth_code in that: copy the whole address to which the log-in led, or what stands after \
             auth_code= in it",
        )
    })
}

async fn exchange(
    http: &Http,
    settings: &Settings,
    app_id: &str,
    secret: &str,
    code: &str,
) -> Result<Zeroizing<String>, AdapterError> {
    let mut hash = Sha256::new();
    for part in [app_id, ":", secret] {
        hash.update(part);
    }
    let body = json!({
        "grant_type": "authorization_code",
        "appIdHash": hex::encode(hash.finalize()),
        "code": code,
    });
    let response =
        http.post(&format!("{}/api/v3/validate-authcode", settings.api_url)).json(&body).send().await?;
    match response.status() {
        _ if response.is_success() => {}
        400 | 401 | 403 => return Err(refused()),
        _ => return Err(response.refusal("the log-in")),
    }
    let Answer { s, access_token } = response.json(MAX_ANSWER_BYTES).await?;
    if s != "ok" {
        return Err(refused());
    }
    access_token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| AdapterError::protocol("the broker answered the log-in without a token"))
}

/// The broker's own words are left out: nobody knows whether they repeat a code.
fn refused() -> AdapterError {
    AdapterError::auth(
        "the broker refused the auth_code: it works once and for a few minutes, so log in anew; if that is refused too, \
         App ID and Secret ID are not of the same app",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_in_what_people_copy() {
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
            let error = auth_code(answer).unwrap_err().to_string();
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
