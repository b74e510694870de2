//! Log-in and REST.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use hyper::{Method, header::HeaderValue};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{instruments, refuse};
use crate::{
    broker::{Reply, Request, json as answer_json, query, reply},
    state::Core,
};

pub(super) fn answer(core: &mut Core, request: &Request) -> Reply {
    let path = request.uri().path().trim_end_matches('/');
    match (request.method(), path) {
        (&Method::GET, "/connect/login") => log_in_page(core, request),
        (&Method::POST, "/session/token") => session(core, request),
        (&Method::GET, path) if path == "/instruments" || path.starts_with("/instruments/") => {
            let exchange = path.strip_prefix("/instruments/");
            list(core, request, exchange)
        }
        _ => refuse(404, "GeneralException", "Route not found"),
    }
}

/// Whether these are good for a connection or a request.
pub(super) fn is_good(core: &Core, api_key: &str, token: &str) -> bool {
    let is_issued = core.issued.get(token).is_some_and(|account| account == api_key);
    is_issued
        || core.accepted.iter().any(|set| {
            // The access token may stand behind the key, as OpenAlgo stores it.
            let given = set
                .get("access_token")
                .or_else(|| set.get("auth_token"))
                .map(String::as_str)
                .unwrap_or_default();
            let (its_key, its_token) = given
                .split_once(':')
                .map_or((set.get("api_key").map(String::as_str), given), |(key, token)| (Some(key), token));
            !its_token.is_empty() && its_token == token && its_key.is_none_or(|key| key == api_key)
        })
}

/// The page on which a person would log in: nobody is asked, and the browser goes where the app wants it.
fn log_in_page(core: &mut Core, request: &Request) -> Reply {
    let query = query(request.uri().query().unwrap_or_default());
    let Some(api_key) = query.get("api_key") else {
        return refuse(400, "InputException", "Missing api_key");
    };
    let ticket = ticket(core, api_key);
    let target = format!("/logged-in?action=login&status=success&request_token={ticket}");
    let mut page = reply(302, "text/html", format!("<html><body>request_token={ticket}</body></html>"));
    if let Ok(target) = HeaderValue::from_str(&target) {
        page.headers_mut().insert("location", target);
    }
    page
}

/// What the page gives for a log-in of an app.
pub(super) fn ticket(core: &mut Core, api_key: &str) -> String {
    let ticket = core.token();
    core.tickets.insert(ticket.clone(), api_key.to_owned());
    ticket
}

fn session(core: &mut Core, request: &Request) -> Reply {
    let form = query(&String::from_utf8_lossy(request.body()));
    let member = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (api_key, ticket) = (member("api_key"), member("request_token"));
    let secret = core.accepted.iter().find(|set| set.get("api_key").is_some_and(|key| key == api_key));
    let Some(secret) = secret.and_then(|set| set.get("api_secret")) else {
        core.report.log_ins.push(false);
        return refuse(403, "InputException", "Invalid `api_key`.");
    };
    let checksum = hex::encode(Sha256::digest(format!("{api_key}{ticket}{secret}")));
    if member("checksum") != checksum {
        core.report.log_ins.push(false);
        return refuse(403, "TokenException", "Invalid `checksum`.");
    }
    // It is good once.
    if core.tickets.remove(ticket).is_none_or(|account| account != api_key) {
        core.report.log_ins.push(false);
        return refuse(403, "TokenException", "Token is invalid or has expired.");
    }
    let token = core.token();
    core.issued.insert(token.clone(), api_key.to_owned());
    let data = json!({
        "user_id": "AB1234", "user_name": "Test", "user_type": "individual", "email": "", "broker": "ZERODHA",
        "exchanges": ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO"], "products": ["CNC", "NRML", "MIS"],
        "order_types": ["MARKET", "LIMIT", "SL", "SL-M"], "api_key": api_key, "access_token": token,
        "public_token": "", "refresh_token": "", "enctoken": "", "login_time": "2026-01-01 08:30:00",
    });
    answer_json(200, &json!({ "status": "success", "data": data }))
}

fn list(core: &Core, request: &Request, exchange: Option<&str>) -> Reply {
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_allowed = header("authorization")
        .strip_prefix("token ")
        .and_then(|pair| pair.split_once(':'))
        .is_some_and(|(key, token)| is_good(core, key, token));
    if !is_allowed {
        return refuse(403, "TokenException", "Incorrect `api_key` or `access_token`.");
    }
    let csv = instruments::csv(&core.listed(), exchange);
    if !header("accept-encoding").contains("gzip") {
        return reply(200, "text/csv", csv);
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = packed.write_all(csv.as_bytes()).and_then(|()| packed.finish());
    let Ok(packed) = packed else { return refuse(500, "GeneralException", "Something went wrong") };
    let mut answer = reply(200, "text/csv", packed);
    answer.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
    answer
}
