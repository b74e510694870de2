//! Log-in, REST, and who may connect.

use std::collections::HashMap;

use adapter_conformance::CredentialSet;
use hyper::{Method, header::HeaderValue};
use serde_json::{Value, json};

use super::{CONNECTIONS, ORDERS, instruments, totp};
use crate::{
    broker::{Reply, Request, json as answer_json, query, reply},
    model::now_ns,
    state::Core,
};

/// Path of the list of instruments.
pub(super) const MASTER: &str = "/OpenAPI_File/files/OpenAPIScripMaster.json";

const LOG_IN: &str = "/rest/auth/angelbroking/user/v1/loginByPassword";
const RENEW: &str = "/rest/auth/angelbroking/jwt/v1/generateTokens";
const PROFILE: &str = "/rest/secure/angelbroking/user/v1/getProfile";

/// Headers that every request needs.
const HEADERS: [&str; 6] =
    ["x-usertype", "x-sourceid", "x-clientlocalip", "x-clientpublicip", "x-macaddress", "x-privatekey"];

/// Names under which accounts may have a value.
const CLIENT: &[&str] = &["client_code", "user_id", "client_id", "clientcode"];
const PIN: &[&str] = &["pin", "password"];
const SECRET: &[&str] = &["totp_secret", "totp_key", "totp"];
const JWT: &[&str] = &["access_token", "jwt_token", "auth_token", "jwt"];
const FEED: &[&str] = &["feed_token"];
const API_KEY: &[&str] = &["api_key"];

fn value<'a>(set: &'a CredentialSet, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| set.get(*name)).map(String::as_str)
}

pub(super) fn answer(core: &mut Core, request: &Request) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::GET, MASTER) => reply(200, "application/json", instruments::master(&core.listed())),
        (&Method::GET, PROFILE) => without_headers(request).unwrap_or_else(|| profile(core, request)),
        (&Method::POST, path) if path == LOG_IN || path == RENEW => {
            if let Some(refusal) = without_headers(request) {
                return refusal;
            }
            let key = header(request, "x-privatekey").unwrap_or_default().to_owned();
            let Ok(body) = serde_json::from_slice::<Value>(request.body()) else {
                return answer_json(400, &error("AB1004", "Something Went Wrong, Please Try After Sometime"));
            };
            let result = if path == LOG_IN { log_in(core, &key, &body) } else { renew(core, &key, &body) };
            result.unwrap_or_else(|(code, message)| {
                core.report.log_ins.push(false);
                answer_json(200, &error(code, message))
            })
        }
        _ => reply(404, "text/html", "<html><body><h1>Not Found</h1></body></html>"),
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name).and_then(|text| text.to_str().ok())
}

/// The refusal of a request that lacks one of the headers.
fn without_headers(request: &Request) -> Option<Reply> {
    let missing = HEADERS.into_iter().find(|name| header(request, name).is_none())?;
    Some(answer_json(400, &error("AG8005", &format!("Missing header {missing}"))))
}

/// What the broker knows of a client. Its own packages ask for it at the end of each log-in, and put the
/// refresh token into the query, which nobody reads.
fn profile(core: &Core, request: &Request) -> Reply {
    let jwt = header(request, "authorization").and_then(|text| text.strip_prefix("Bearer "));
    let Some(client) = jwt.and_then(|jwt| owner_of_jwt(core, jwt)) else {
        return answer_json(401, &error("AG8001", "Invalid Token"));
    };
    let data = json!({
        "clientcode": client, "name": "Test", "email": "", "mobileno": "",
        "exchanges": ["NSE", "NFO", "BSE", "BFO", "MCX", "NCDEX", "CDS"],
        "products": ["DELIVERY", "INTRADAY", "CARRYFORWARD", "MARGIN", "BO"], "lastlogintime": "", "broker": "B2C",
    });
    answer_json(200, &json!({ "status": true, "message": "SUCCESS", "errorcode": "", "data": data }))
}

fn error(code: &str, message: &str) -> Value {
    json!({ "status": false, "message": message, "errorcode": code, "data": null })
}

type Refused = (&'static str, &'static str);

fn log_in(core: &mut Core, api_key: &str, body: &Value) -> Result<Reply, Refused> {
    let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let client = member("clientcode");
    let sets = &core.accepted;
    let set = sets.iter().find(|set| value(set, CLIENT).is_some_and(|code| code == client));
    let set = set.ok_or(("AB1007", "Invalid user code or password"))?;
    if value(set, API_KEY).is_some_and(|key| key != api_key) {
        return Err(("AG8004", "Invalid API Key"));
    }
    if value(set, PIN).is_none_or(|pin| pin != member("password")) {
        return Err(("AB1007", "Invalid user code or password"));
    }
    let secret = value(set, SECRET).ok_or(("AB1050", "Invalid totp"))?;
    let now = u64::try_from(now_ns() / 1_000_000_000).unwrap_or(0);
    // A code of the step before or after is good too: clocks differ.
    let is_code = [now.saturating_sub(30), now, now + 30]
        .iter()
        .any(|at| totp(secret, *at).as_deref() == Some(member("totp")));
    if !is_code {
        return Err(("AB1050", "Invalid totp"));
    }
    let client = client.to_owned();
    Ok(tokens(core, &client))
}

fn renew(core: &mut Core, _api_key: &str, body: &Value) -> Result<Reply, Refused> {
    let ticket = body.get("refreshToken").and_then(Value::as_str).unwrap_or_default();
    let client = core.tickets.remove(ticket).ok_or(("AG8001", "Invalid Token"))?;
    Ok(tokens(core, &client))
}

fn tokens(core: &mut Core, client: &str) -> Reply {
    let [jwt, refresh, feed] =
        [core.token(), core.token(), core.token()].map(|token| format!("eyJ.{token}.made-up"));
    core.issued.insert(jwt.clone(), client.to_owned());
    core.issued.insert(feed.clone(), client.to_owned());
    core.tickets.insert(refresh.clone(), client.to_owned());
    let data = json!({ "jwtToken": jwt, "refreshToken": refresh, "feedToken": feed });
    answer_json(200, &json!({ "status": true, "message": "SUCCESS", "errorcode": "", "data": data }))
}

/// Judges a handshake by its four headers, or by the three members of its query.
#[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
pub(super) fn admit(core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
    let given: HashMap<String, String> = query(request.uri().query().unwrap_or_default());
    let header = |name: &str, member: &str| {
        let text = request.headers().get(name).and_then(|text| text.to_str().ok());
        text.map(str::to_owned).or_else(|| given.get(member).cloned()).unwrap_or_default()
    };
    let is_orders = request.uri().path() == "/smart-order-update";
    let jwt = header("authorization", "");
    let jwt = jwt.strip_prefix("Bearer ").unwrap_or(&jwt);
    if is_orders {
        let client =
            owner_of_jwt(core, jwt).ok_or_else(|| unauthorized("Invalid Header - Invalid Auth token"))?;
        return limited(core, format!("{ORDERS}{client}"));
    }
    let (client, feed) = (header("x-client-code", "clientCode"), header("x-feed-token", "feedToken"));
    let api_key = header("x-api-key", "apiKey");
    let is_browser = jwt.is_empty() && given.contains_key("feedToken");
    if api_key.is_empty() {
        return Err(unauthorized("Invalid Header - Invalid API Key"));
    }
    if client.is_empty() || !is_client(core, &client) {
        return Err(unauthorized("Invalid Header - Invalid Client Code"));
    }
    if !is_feed(core, &client, &feed) {
        return Err(unauthorized("Invalid Header - Invalid Feed Token"));
    }
    if !is_browser && owner_of_jwt(core, jwt).is_none_or(|owner| owner != client) {
        return Err(unauthorized("Invalid Header - Invalid Auth token"));
    }
    limited(core, client)
}

fn is_client(core: &Core, client: &str) -> bool {
    core.accepted.iter().any(|set| value(set, CLIENT).is_some_and(|code| code == client))
}

fn is_feed(core: &Core, client: &str, feed: &str) -> bool {
    let is_set = |set: &CredentialSet| {
        value(set, FEED).is_some_and(|token| token == feed)
            && value(set, CLIENT).is_some_and(|code| code == client)
    };
    !feed.is_empty()
        && (core.issued.get(feed).is_some_and(|owner| owner == client) || core.accepted.iter().any(is_set))
}

/// The client code that a token belongs to.
fn owner_of_jwt(core: &Core, jwt: &str) -> Option<String> {
    if jwt.is_empty() {
        return None;
    }
    core.issued.get(jwt).cloned().or_else(|| {
        let set = core.accepted.iter().find(|set| value(set, JWT).is_some_and(|token| token == jwt))?;
        value(set, CLIENT).map(str::to_owned)
    })
}

#[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
fn limited(core: &Core, account: String) -> Result<String, Reply> {
    if core.open(&account) >= CONNECTIONS {
        let mut refusal = reply(429, "text/html", "<html><body><h1>HTTP Status 429</h1></body></html>");
        let text = HeaderValue::from_static("Invalid Request. Connection Limit Exceeded.");
        refusal.headers_mut().insert("x-error-message", text);
        return Err(refusal);
    }
    Ok(account)
}

fn unauthorized(message: &'static str) -> Reply {
    let mut refusal = reply(401, "text/html", "<html><body><h1>HTTP Status 401</h1></body></html>");
    refusal.headers_mut().insert("x-error-message", HeaderValue::from_static(message));
    refusal
}
