//! Logging in: a person opens the broker's page, and its answer buys the token of the day.

use adapter_sdk::{
    AdapterError, Credentials, ExposeSecret as _, Login, SecretString,
    login::{Unfinished, answer, by_page, checksum},
    net::{Http, with_query},
};
use serde::Deserialize;

use crate::{auth::versioned, config::Settings};

const REFUSED: &str = "the broker refused the request_token: it works once and for a few minutes, so log in again; if that is refused \
                       too, api_key and api_secret are not of the same app";

#[derive(Deserialize)]
struct Answer {
    data: Session,
}

#[derive(Deserialize)]
struct Session {
    access_token: SecretString,
}

/// One step of logging in.
pub(crate) async fn step(
    http: &Http,
    settings: &Settings,
    fields: &Credentials,
) -> Result<Login, Unfinished> {
    let asked = answer(fields, &["api_key"], "The API key of your app on developers.kite.trade", false);
    let joined = || Some(fields.any_of(&["access_token", "auth_token"]).ok()?.split_once(':')?.0);
    let api_key = asked.or_else(|ask| joined().filter(|key| !key.is_empty()).ok_or(ask))?;
    let api_secret = answer(fields, &["api_secret"], "The API secret of the same app", true)?;
    let page = with_query(&settings.login_url, &[("v", "3"), ("api_key", api_key)]);
    let request_token = by_page(fields, "request_token", "request_token", &page)?;
    let checksum = checksum(&[api_key, request_token, api_secret]);
    let form = [("api_key", api_key), ("request_token", request_token), ("checksum", checksum.as_str())];
    let request = versioned(http.post(&format!("{}/session/token", settings.api_url))).form(&form);
    let Answer { data } = request.log_in(REFUSED).await?;
    if data.access_token.expose_secret().is_empty() {
        return Err(AdapterError::protocol("the broker answered the log-in without a token").into());
    }
    Ok(Login::done([
        ("access_token", data.access_token.expose_secret().to_owned()),
        ("api_key", api_key.to_owned()),
        ("api_secret", api_secret.to_owned()),
    ]))
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{ErrorCode, net::RateLimit, testing::credentials};
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    /// A step at a broker that does not answer, with another page.
    async fn step_at(login_url: &str, fields: serde_json::Value) -> Result<Login, AdapterError> {
        let config = json!({ "login_url": login_url, "api_url": "http://127.0.0.1:9" });
        let settings = serde_json::from_value::<Config>(config).unwrap().check().unwrap();
        let http = settings.network.http(RateLimit::per_second(1_000.0));
        step(&http, &settings, &credentials(&fields.to_string())).await.or_else(Unfinished::into_login)
    }

    #[tokio::test]
    async fn the_token_is_found_in_what_people_copy() {
        let answered = async |answer: &str| {
            let fields = json!({ "api_key": "k", "api_secret": "s", "request_token": answer });
            step_at("https://kite.example/", fields).await.unwrap_err()
        };
        for answer in [
            "AbC123",
            "request_token=AbC123",
            "https://127.0.0.1/?request_token=AbC123&action=login&status=success",
            "http://app.example/done?action=login&type=login&status=success&request_token=AbC123#top",
        ] {
            // It would have gone to the broker.
            assert_eq!(answered(answer).await.code(), ErrorCode::NETWORK, "{answer}");
        }
        for answer in ["https://127.0.0.1/?status=error", "a b", "https://127.0.0.1/", "?request_token=", "é"]
        {
            let error = answered(answer).await.to_string();
            assert!(error.contains("request_token") && !error.contains("127.0.0.1"), "{error}");
        }
    }

    #[tokio::test]
    async fn the_page_is_that_of_the_app() {
        for (login_url, fields, wanted) in [
            (
                "https://kite.example/login",
                json!({"api_key": "k+"}),
                "https://kite.example/login?v=3&api_key=k%2B",
            ),
            (
                "https://kite.example/?a=b",
                json!({"auth_token": "k:t"}),
                "https://kite.example/?a=b&v=3&api_key=k",
            ),
            ("https://x/", json!({"api_key": "k", "access_token": "old:t"}), "https://x/?v=3&api_key=k"),
        ] {
            let mut fields = fields;
            fields["api_secret"] = "s".into();
            let Login::Ask(question) = step_at(login_url, fields).await.unwrap() else { panic!("not asked") };
            assert_eq!(question.url.as_deref(), Some(wanted));
        }
        let Login::Ask(question) = step_at("https://x/", json!({"access_token": ":t"})).await.unwrap() else {
            panic!("not asked")
        };
        assert_eq!(question.field, "api_key");
    }
}
