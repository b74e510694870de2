//! Logging in: a person opens the broker's page, and its answer buys the token of the day.

use adapter_sdk::{
    AdapterError, Credentials, Login,
    login::copied,
    net::{Http, push_encoded},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{auth::versioned, config::Settings};

/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Longest request token, in bytes. They have 32.
const MAX_TOKEN_BYTES: usize = 128;

#[derive(Deserialize)]
struct Answer {
    data: Session,
}

#[derive(Deserialize)]
struct Session {
    access_token: Zeroizing<String>,
}

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    fields: &Credentials,
) -> Result<Login, AdapterError> {
    let filled = |name| fields.filled(name);
    let stored = filled("access_token").or_else(|| filled("auth_token"));
    let joined = stored.and_then(|token| token.split_once(':')).map(|(key, _)| key);
    let Some(api_key) = filled("api_key").or(joined) else {
        return Ok(Login::ask("api_key", "The API key of your app on developers.kite.trade", None, false));
    };
    let Some(api_secret) = filled("api_secret") else {
        return Ok(Login::ask("api_secret", "The API secret of the same app", None, true));
    };
    let Some(answer) = filled("request_token") else {
        let message = "Log in on this page. It leads to an address of your app; copy the whole address, or the \
                       request_token in it. It works once, and for a few minutes";
        return Ok(Login::ask("request_token", message, Some(page(&settings.login_url, api_key)), false));
    };
    let request_token = request_token(answer)?;
    let access_token = exchange(http, settings, api_key, api_secret, request_token).await?;
    Ok(Login::done([
        ("access_token", access_token.as_str().to_owned()),
        ("api_key", api_key.to_owned()),
        ("api_secret", api_secret.to_owned()),
    ]))
}

fn page(login_url: &str, api_key: &str) -> String {
    let mut url = login_url.to_owned();
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str("v=3&api_key=");
    push_encoded(&mut url, api_key);
    url
}

/// The token in an answer, which is the token or the address that has it.
fn request_token(answer: &str) -> Result<&str, AdapterError> {
    copied(answer, "request_token", MAX_TOKEN_BYTES, |byte| byte.is_ascii_alphanumeric()).ok_or_else(|| {
        AdapterError::auth(
            "there is no request_token in that: copy the whole address to which the log-in led, or the letters and digits \
             after request_token= in it",
        )
    })
}

async fn exchange(
    http: &Http,
    settings: &Settings,
    api_key: &str,
    api_secret: &str,
    request_token: &str,
) -> Result<Zeroizing<String>, AdapterError> {
    let mut hash = Sha256::new();
    for part in [api_key, request_token, api_secret] {
        hash.update(part);
    }
    let checksum = hex::encode(hash.finalize());
    let form = [("api_key", api_key), ("request_token", request_token), ("checksum", checksum.as_str())];
    let request = versioned(http.post(&format!("{}/session/token", settings.api_url))).form(&form);
    let response = request.send().await?;
    match response.status() {
        _ if response.is_success() => {}
        // The broker's own words are left out: nobody knows whether they repeat a token.
        400 | 401 | 403 => {
            return Err(AdapterError::auth(
                "the broker refused the request_token: it works once and for a few minutes, so log in anew; if that is \
                 refused too, api_key and api_secret are not of the same app",
            ));
        }
        _ => return Err(response.refusal("the log-in")),
    }
    let Answer { data } = response.json(MAX_ANSWER_BYTES).await?;
    if data.access_token.is_empty() {
        return Err(AdapterError::protocol("the broker answered the log-in without a token"));
    }
    Ok(data.access_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_in_what_people_copy() {
        for answer in [
            "AbC123",
            "request_token=AbC123",
            "https://127.0.0.1/?request_token=AbC123&action=login&status=success",
            "http://app.example/done?action=login&type=login&status=success&request_token=AbC123#top",
        ] {
            assert_eq!(request_token(answer).unwrap(), "AbC123", "{answer}");
        }
        for answer in ["https://127.0.0.1/?status=error", "a b", "https://127.0.0.1/", "?request_token=", "é"]
        {
            let error = request_token(answer).unwrap_err().to_string();
            assert!(error.contains("request_token") && !error.contains("127.0.0.1"), "{error}");
        }
        assert!(request_token(&"a".repeat(129)).is_err());
    }

    #[test]
    fn the_page_is_that_of_the_app() {
        assert_eq!(page("https://kite.example/login", "k+"), "https://kite.example/login?v=3&api_key=k%2B");
        assert_eq!(page("https://kite.example/?a=b", "k"), "https://kite.example/?a=b&v=3&api_key=k");
    }
}
