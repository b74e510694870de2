//! What a page of the operator asks before it connects: where, and with which key. The two paths and their
//! answers are those of OpenAlgo, so that its front ends work unchanged; what stands there for a logged-in
//! browser is here the console's token.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use secrecy::ExposeSecret as _;
use serde::Serialize;

use super::{
    KeptKey, Local, StatusSource,
    routes::{HEADERS, authorization},
};

type Source = State<Arc<dyn StatusSource>>;

pub(super) fn routes(source: Arc<dyn StatusSource>) -> Router {
    Router::new()
        .route("/api/websocket/config", get(config))
        .route("/api/websocket/apikey", get(key))
        .with_state(source)
}

#[derive(Serialize)]
struct Config {
    status: &'static str,
    websocket_url: String,
    is_secure: bool,
    original_url: String,
    /// The same once more, for the hook that reads it under this name.
    url: String,
}

async fn config(State(source): Source, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let scheme = if source.is_secure() { "wss" } else { "ws" };
    let url = format!("{scheme}://{}", reachable(source.websocket(), host));
    let config = Config {
        status: "success",
        is_secure: source.is_secure(),
        original_url: url.clone(),
        url: url.clone(),
        websocket_url: url,
    };
    (HEADERS, Json(config)).into_response()
}

/// The client port under a name that works where the question came from: one that listens at every address
/// has none itself.
fn reachable(websocket: SocketAddr, host: Option<&str>) -> String {
    if !websocket.ip().is_unspecified() {
        return websocket.to_string();
    }
    let name = host.map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    });
    format!("{}:{}", name.unwrap_or("127.0.0.1"), websocket.port())
}

/// The key under each name that a front end reads.
#[derive(Serialize)]
struct Key<'a> {
    status: &'static str,
    #[serde(rename = "api_key")]
    snake: &'a str,
    #[serde(rename = "apiKey")]
    camel: &'a str,
    #[serde(rename = "apikey")]
    flat: &'a str,
}

#[derive(Serialize)]
struct Failed {
    status: &'static str,
    message: String,
}

async fn key(
    State(source): Source,
    Extension(Local(local)): Extension<Local>,
    headers: HeaderMap,
) -> Response {
    // It would cross the network for everybody to read.
    if !local.ip().to_canonical().is_loopback() {
        return failed(StatusCode::FORBIDDEN, "The API key is only given to this machine itself".to_owned());
    }
    if !source.console_token().opens(authorization(&headers)) {
        return failed(StatusCode::UNAUTHORIZED, "Session not found - please refresh page".to_owned());
    }
    match source.kept_key().await {
        KeptKey::Found(key) => {
            let key = key.expose_secret();
            (HEADERS, Json(Key { status: "success", snake: key, camel: key, flat: key })).into_response()
        }
        KeptKey::None => {
            failed(StatusCode::NOT_FOUND, "No API key found. Please generate an API key first.".to_owned())
        }
        KeptKey::Unusable(why) => failed(StatusCode::NOT_FOUND, why),
    }
}

fn failed(status: StatusCode, message: String) -> Response {
    (status, HEADERS, Json(Failed { status: "error", message })).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_listens_everywhere_is_named_as_the_question_names_the_machine() {
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 8_765));
        assert_eq!(reachable(everywhere, Some("192.0.2.7:8766")), "192.0.2.7:8765");
        assert_eq!(reachable(everywhere, Some("[::1]:8766")), "[::1]:8765");
        assert_eq!(reachable(everywhere, None), "127.0.0.1:8765");
        let here = SocketAddr::from(([127, 0, 0, 1], 9_000));
        assert_eq!(reachable(here, Some("localhost:8766")), "127.0.0.1:9000");
    }
}
