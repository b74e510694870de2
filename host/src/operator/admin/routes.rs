//! What stands at which path.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;

use super::{Reloaded, StatusSource, console, live::Live, pages};

/// Room for a page of metrics of a few feeds, so that the usual scrape grows its text once.
const METRICS_BYTES: usize = 16 * 1_024;

const WRONG_TOKEN: &str = "commands need the token of this host, which `tickhost adapters reload` knows";

type Source = State<Arc<dyn StatusSource>>;

/// Nothing of this port may be kept by a cache, and a browser must not guess what a text is.
pub(super) const HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

pub(super) fn routes(source: Arc<dyn StatusSource>, live: Arc<Live>) -> Router {
    let pages = pages::routes(Arc::clone(&source)).merge(console::routes(Arc::clone(&source), live));
    Router::new()
        .route("/livez", get(async || (HEADERS, "ok")))
        .route("/readyz", get(ready))
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/adapters/{name}/reload", post(reload))
        .fallback(async || {
            refusal(
                StatusCode::NOT_FOUND,
                "there is only /console, /livez, /readyz, /status and /metrics here",
            )
        })
        .with_state(source)
        .merge(pages)
}

async fn ready(State(source): Source) -> Response {
    let readiness = source.ready();
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, HEADERS, Json(readiness)).into_response()
}

async fn status(State(source): Source, headers: HeaderMap) -> Response {
    // Whoever shows a token means the host that it belongs to, and must not take another one for it.
    let authorization = authorization(&headers);
    if authorization.is_some_and(|shown| shown.starts_with("Bearer ")) && !source.token().opens(authorization)
    {
        return refusal(StatusCode::UNAUTHORIZED, WRONG_TOKEN);
    }
    (HEADERS, Json(source.status())).into_response()
}

async fn metrics(State(source): Source) -> Response {
    let mut text = String::with_capacity(METRICS_BYTES);
    source.render_metrics(&mut text);
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"))];
    (HEADERS, kind, text).into_response()
}

async fn reload(State(source): Source, Path(name): Path<String>, headers: HeaderMap) -> Response {
    if !source.token().opens(authorization(&headers)) {
        return refusal(StatusCode::UNAUTHORIZED, WRONG_TOKEN);
    }
    match source.reload(name).await {
        Reloaded::Unknown => {
            refusal(StatusCode::NOT_FOUND, "there is no adapter of that name in plugins.toml")
        }
        Reloaded::Failed => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the host failed; see its log"),
        Reloaded::Done(outcome) => {
            let status =
                if outcome.failed.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
            (status, HEADERS, Json(outcome)).into_response()
        }
    }
}

pub(super) fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok())
}

#[derive(Serialize)]
struct Refusal {
    error: &'static str,
}

/// A refusal as a sentence in JSON.
pub(super) fn refusal(status: StatusCode, sentence: &'static str) -> Response {
    let mut response = (status, HEADERS, Json(Refusal { error: sentence })).into_response();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
