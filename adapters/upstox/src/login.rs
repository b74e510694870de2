//! Logging in: a person opens the broker's page, and its code buys the token of the day.

use adapter_sdk::{
    AdapterError, Credentials, Login,
    login::{Unfinished, answer, by_page},
    net::{Http, with_query},
};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::config::Settings;

/// What a refusal means.
const REFUSED: &str = "the broker refused the code: it works once and for a few minutes, so log in again; if that is refused too, \
                       api_key, api_secret and redirect_uri are not of the same app";

#[derive(Deserialize)]
struct Answer {
    access_token: Zeroizing<String>,
    #[serde(default)]
    user_id: Option<String>,
}

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    fields: &Credentials,
) -> Result<Login, Unfinished> {
    let app = "The API key of your app on account.upstox.com/developer/apps";
    let api_key = answer(fields, &["api_key", "client_id"], app, false)?;
    let api_secret =
        answer(fields, &["api_secret", "client_secret"], "The API secret of the same app", true)?;
    let wanted = "The redirect URL of the same app, letter by letter";
    let redirect_uri = answer(fields, &["redirect_uri"], wanted, false)?;
    let code = by_page(fields, "code", "code", &page(&settings.api_url, api_key, redirect_uri))?;
    let form = [
        ("code", code),
        ("client_id", api_key),
        ("client_secret", api_secret),
        ("redirect_uri", redirect_uri),
        ("grant_type", "authorization_code"),
    ];
    let request = http.post(&format!("{}/v2/login/authorization/token", settings.api_url));
    let request = request.header("Accept", "application/json").form(&form);
    let Answer { access_token, user_id } = request.log_in(REFUSED).await?;
    if access_token.is_empty() {
        return Err(AdapterError::protocol("the broker answered the log-in without a token").into());
    }
    let user = fields.any_of(&["user_id"]).ok();
    let user = user_id.filter(|user| !user.is_empty()).or_else(|| user.map(str::to_owned));
    Ok(Login::done([
        ("access_token", access_token.as_str().to_owned()),
        ("api_key", api_key.to_owned()),
        ("api_secret", api_secret.to_owned()),
        ("redirect_uri", redirect_uri.to_owned()),
        ("user_id", user.unwrap_or_default()),
    ]))
}

fn page(api_url: &str, api_key: &str, redirect_uri: &str) -> String {
    let pairs = [
        ("response_type", "code"),
        ("client_id", api_key),
        ("redirect_uri", redirect_uri),
        ("state", "tickhost"),
    ];
    with_query(&format!("{api_url}/v2/login/authorization/dialog"), &pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_that_of_the_app() {
        assert_eq!(
            page("https://api.example", "key+", "https://127.0.0.1/x?y"),
            "https://api.example/v2/login/authorization/dialog?response_type=code&client_id=key%2B\
             &redirect_uri=https%3A%2F%2F127.0.0.1%2Fx%3Fy&state=tickhost"
        );
    }
}
