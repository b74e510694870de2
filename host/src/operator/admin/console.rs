//! The console: a page, which anybody on this machine may have, and what it shows, which needs the console's
//! [`Token`].
//!
//! [`Token`]: super::Token

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use super::{
    StatusSource,
    assets::{ASSETS, Asset},
    live::Live,
    routes::{HEADERS, authorization, refusal},
};

const WRONG_TOKEN: &str =
    "this needs the token of the console: `tickhost console` prints the link that has it";

/// What the handlers share.
#[derive(Clone)]
struct Console {
    source: Arc<dyn StatusSource>,
    live: Arc<Live>,
}

pub(super) fn routes(source: Arc<dyn StatusSource>, live: Arc<Live>) -> Router {
    Router::new()
        .route("/console", get(page))
        .route("/console/", get(page))
        .route("/console/{name}", get(file))
        .route("/console/api/live", get(document))
        .route("/console/api/symbols", get(symbols))
        .with_state(Console { source, live })
}

async fn page(State(console): State<Console>, headers: HeaderMap) -> Response {
    serve("", &console, &headers)
}

async fn file(State(console): State<Console>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    serve(&name, &console, &headers)
}

fn serve(name: &str, console: &Console, headers: &HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(Asset { kind, text, .. }) => {
            let policy = policy(host_of(headers), console.source.websocket().port());
            (HEADERS, PAGE_HEADERS, [(header::CONTENT_TYPE, *kind)], [policy], *text).into_response()
        }
        None => refusal(StatusCode::NOT_FOUND, "the console has no such file"),
    }
}

/// Pages of other sites can neither show the console in a frame nor use what belongs to it, and it tells
/// nobody where its reader came from.
const PAGE_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Everything comes from this port, and the playground may talk to the client port of the same machine.
fn policy(host: &str, websocket_port: u16) -> (HeaderName, HeaderValue) {
    const REST: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                        form-action 'none'; frame-ancestors 'none'; connect-src 'self'";
    // An IPv6 address cannot be written in a policy; there, any address may be talked to by this protocol.
    let clients = if host.starts_with('[') {
        "ws: wss:".to_owned()
    } else {
        format!("ws://{host}:{websocket_port} wss://{host}:{websocket_port}")
    };
    let value = HeaderValue::try_from(format!("{REST} {clients}"));
    (header::CONTENT_SECURITY_POLICY, value.unwrap_or(HeaderValue::from_static(REST)))
}

/// The machine as the browser names it, without the port. The guard has seen that it is an address or
/// `localhost`.
fn host_of(headers: &HeaderMap) -> &str {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[derive(Deserialize)]
struct After {
    /// Number of the last sample that the page has; none before the first.
    #[serde(default)]
    after: u64,
}

async fn document(
    State(console): State<Console>,
    query: Result<Query<After>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    if !console.source.console_token().opens(authorization(&headers)) {
        return refusal(StatusCode::UNAUTHORIZED, WRONG_TOKEN);
    }
    let Ok(Query(After { after })) = query else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "`after` is the number of the last sample that the page has",
        );
    };
    match console.live.document(after).await {
        Some(text) => {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (HEADERS, kind, text).into_response()
        }
        None => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the host failed; see its log"),
    }
}

#[derive(Deserialize)]
struct Find {
    find: String,
}

async fn symbols(
    State(console): State<Console>,
    query: Result<Query<Find>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    if !console.source.console_token().opens(authorization(&headers)) {
        return refusal(StatusCode::UNAUTHORIZED, WRONG_TOKEN);
    }
    let Ok(Query(Find { find })) = query else {
        return refusal(StatusCode::BAD_REQUEST, "`find` is a part of the symbol's name");
    };
    (HEADERS, Json(console.source.symbols(find).await)).into_response()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1:8766", "connect-src 'self' ws://127.0.0.1:8765 wss://127.0.0.1:8765")]
    #[case("localhost", "connect-src 'self' ws://localhost:8765 wss://localhost:8765")]
    #[case("[::1]:8766", "connect-src 'self' ws: wss:")]
    fn the_page_may_talk_to_the_client_port_of_its_own_machine(
        #[case] host: &'static str,
        #[case] end: &str,
    ) {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        let (_, policy) = policy(host_of(&headers), 8_765);
        let policy = policy.to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && policy.ends_with(end), "{policy}");
    }
}
