//! Log-in, REST, and who may connect.

use std::collections::{BTreeMap, HashMap};

use adapter_conformance::CredentialSet;
use adapter_time::ist::{day_and_second, unix_seconds_of};
use hyper::{Method, header::HeaderValue};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    BOOKS, CONNECTIONS, IGNORED, jwt, master,
    names::{by_ticker, fytoken, index_names},
    own,
};
use crate::{
    broker::{Reply, Request, json as answer_json, query, reply},
    model::now_ns,
    state::Core,
};

/// Path of the HSM socket.
pub(super) const HSM: &str = "/hsm/v1-5/prod";

/// Path of the TBT socket. The broker has it on another server, whose address it tells.
pub(super) const TBT: &str = "/versova";

/// Where the lists of instruments are.
pub(super) const LISTS: &str = "/sym_details";

/// Where the names of indices are.
pub(super) const INDICES: &str = "/sym_details/index_hsm_mapping.json";

/// Path that converts tickers to fytokens.
pub(super) const CONVERT: &str = "/data/symbol-token";

/// Hour of the day in India at which tokens end, in seconds.
const MORNING: u32 = 6 * 3_600;

/// A token lasts at least as long as this, in seconds.
const SHORTEST: i64 = 3_600;

/// Names under which accounts may have a value.
const APP: &[&str] = &["app_id", "api_key", "client_id"];
const SECRET: &[&str] = &["api_secret", "app_secret", "secret_key", "secret_id"];
const TOKEN: &[&str] = &["access_token", "auth_token", "jwt"];

fn value<'a>(set: &'a CredentialSet, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| set.get(*name)).map(String::as_str)
}

/// App and token of a set. The app may stand before the token, as OpenAlgo stores it.
fn parts(set: &CredentialSet) -> (Option<&str>, Option<&str>) {
    let (app, token) = (value(set, APP), value(set, TOKEN));
    match token.and_then(|token| token.split_once(':')) {
        Some((before, token)) => (Some(before), Some(token)),
        None => (app, token),
    }
}

pub(super) fn answer(core: &mut Core, request: &Request) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/api/v3/generate-authcode") => log_in_page(core, request),
        (&Method::POST, "/api/v3/validate-authcode") => match validate(core, request) {
            Ok(body) => answer_json(200, &body),
            Err((code, message)) => {
                core.report.log_ins.push(false);
                answer_json(400, &error(code, message))
            }
        },
        (&Method::POST, CONVERT) => match owner(core, &authorization(request.headers()), false) {
            Some(_) => convert(core, request),
            None => unauthorized(),
        },
        (&Method::GET, "/indus/home/tbtws") => match owner(core, &authorization(request.headers()), true) {
            Some(_) => {
                let host =
                    request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
                let data = json!({ "socket_url": format!("ws://{host}{TBT}") });
                answer_json(200, &json!({ "s": "ok", "code": 200, "message": "", "data": data }))
            }
            None => unauthorized(),
        },
        (&Method::GET, INDICES) => {
            let names = index_names().map(|(ticker, name)| (ticker.to_owned(), name.into()));
            answer_json(200, &names.collect::<Map<_, _>>().into())
        }
        (&Method::GET, path) => {
            let file = path.strip_prefix(LISTS).and_then(|file| file.strip_prefix('/')?.strip_suffix(".csv"));
            match file.and_then(|file| master::csv(&core.listed(), file)) {
                Some(csv) => reply(200, "text/csv", csv),
                None => reply(404, "text/html", "<html><body><h1>Not Found</h1></body></html>"),
            }
        }
        _ => reply(404, "text/html", "<html><body><h1>Not Found</h1></body></html>"),
    }
}

fn error(code: i32, message: &str) -> Value {
    json!({ "s": "error", "code": code, "message": message })
}

/// Whether a request counts: the lists are on a server that does not.
pub(super) fn is_limited(request: &Request) -> bool {
    !request.uri().path().starts_with(LISTS)
}

/// What is refused on purpose. One who asks too often is told for how long not to, in both forms that were
/// seen.
pub(super) fn refused(status: u16) -> Reply {
    let mut refusal = answer_json(status, &error(-i32::from(status), "request limit reached"));
    if status == 429 {
        let headers = refusal.headers_mut();
        headers.insert("retry-after", HeaderValue::from_static("1"));
        headers.insert("x-retry-after-ms", HeaderValue::from_static("1000"));
    }
    refusal
}

fn unauthorized() -> Reply {
    answer_json(401, &error(-16, "Could not authenticate the user"))
}

/// The page on which a person would log in: nobody is asked, and the browser goes where the app wants it.
fn log_in_page(core: &mut Core, request: &Request) -> Reply {
    let query = query(request.uri().query().unwrap_or_default());
    let (Some(app), Some(target)) = (query.get("client_id"), query.get("redirect_uri")) else {
        return answer_json(400, &error(-50, "Please provide client_id and redirect_uri"));
    };
    if query.get("response_type").is_none_or(|kind| kind != "code") {
        return answer_json(400, &error(-50, "Please provide valid response_type"));
    }
    let set = core.accepted.iter().find(|set| parts(set).0 == Some(app.as_str()));
    if set.and_then(|set| set.get("redirect_uri")).is_some_and(|known| known != target) {
        return answer_json(400, &error(-50, "redirect_uri does not match that of the app"));
    }
    // It looks like a token, and is none.
    let code = jwt::token(app, &core.token(), now() + 60);
    core.tickets.insert(code.clone(), app.clone());
    let separator = if target.contains('?') { '&' } else { '?' };
    let state = query.get("state").map(|state| escaped(state)).unwrap_or_default();
    let target = format!("{target}{separator}s=ok&code=200&auth_code={code}&state={state}");
    let mut page = reply(302, "text/html", format!("<html><body>auth_code={code}</body></html>"));
    match HeaderValue::from_str(&target) {
        Ok(target) => {
            page.headers_mut().insert("location", target);
            page
        }
        Err(_) => answer_json(400, &error(-50, "Please provide valid redirect_uri")),
    }
}

/// A value of a query.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// An auth code, which is good once, buys a token of the day.
fn validate(core: &mut Core, request: &Request) -> Result<Value, (i32, &'static str)> {
    let body: Value = serde_json::from_slice(request.body()).map_err(|_| (-50, "Invalid input"))?;
    let member = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    if member("grant_type") != "authorization_code" {
        return Err((-441, "invalid grant type"));
    }
    let is_app = |app: &str, secret: &str| {
        member("appIdHash") == hex::encode(Sha256::digest(format!("{app}:{secret}")))
    };
    let app = core.accepted.iter().find_map(|set| {
        let (app, secret) = (parts(set).0?, value(set, SECRET)?);
        is_app(app, secret).then(|| app.to_owned())
    });
    let app = app.ok_or((-371, "Please provide sha256 hash of appId and app secret"))?;
    if core.tickets.remove(member("code")).is_none_or(|owner| owner != app) {
        return Err((-437, "invalid auth code"));
    }
    let [token, refresh] = [core.token(), core.token()].map(|key| jwt::token(&app, &key, ending()));
    core.issued.insert(token.clone(), app);
    Ok(json!({ "s": "ok", "code": 200, "message": "", "access_token": token, "refresh_token": refresh }))
}

fn now() -> i64 {
    now_ns() / 1_000_000_000
}

/// When a token ends that is issued now, in seconds since the Unix epoch: early in the morning.
fn ending() -> i64 {
    let earliest = now() + SHORTEST;
    let (day, _) = day_and_second(earliest - i64::from(MORNING));
    unix_seconds_of(day + 1, MORNING)
}

/// The answer has another order than the question: only by its key does a token belong to a symbol.
fn convert(core: &Core, request: &Request) -> Reply {
    let body = serde_json::from_slice::<Value>(request.body()).ok();
    let symbols = body.as_ref().and_then(|body| body.get("symbols")?.as_array());
    let symbols: Option<Vec<&str>> = symbols.and_then(|list| list.iter().map(Value::as_str).collect());
    let Some(symbols) = symbols else { return answer_json(400, &error(-50, "Please provide valid symbols")) };
    let places = by_ticker(&core.universe, &symbols);
    let places = if own::is_mixed_up(core) { mixed(places) } else { places };
    let token = |symbol: &str| fytoken(core.instrument(*places.get(symbol)?)?);
    let (mut valid, mut invalid) = (Map::new(), Vec::new());
    for symbol in symbols.iter().rev() {
        match token(symbol) {
            Some(token) => _ = valid.insert((*symbol).to_owned(), token.into()),
            None => invalid.push(*symbol),
        }
    }
    answer_json(
        200,
        &json!({ "s": "ok", "code": 200, "message": "", "validSymbol": valid, "invalidSymbol": invalid }),
    )
}

/// Gives each ticker the instrument of another one.
fn mixed(places: HashMap<&str, usize>) -> HashMap<&str, usize> {
    let sorted: BTreeMap<&str, usize> = places.into_iter().collect();
    let others = sorted.values().copied().cycle().skip(1);
    sorted.keys().copied().zip(others).collect()
}

fn authorization(headers: &hyper::HeaderMap) -> String {
    headers.get("authorization").and_then(|text| text.to_str().ok()).unwrap_or_default().to_owned()
}

/// The account that an authorization is of: app and token, or, where that is enough, a token alone.
fn owner(core: &Core, authorization: &str, needs_app: bool) -> Option<String> {
    let (app, token) = match authorization.split_once(':') {
        Some((app, token)) => (Some(app), token),
        None if needs_app => return None,
        None => (None, authorization),
    };
    jwt::hsm_key(token, now())?;
    let account = tokens(core).find(|(known, _)| *known == token)?.1;
    app.is_none_or(|app| app == account).then(|| account.to_owned())
}

/// The account that a key of the HSM socket is of.
pub(super) fn owner_of_key(core: &Core, key: &str) -> Option<String> {
    let now = now();
    let found = tokens(core).find(|(token, _)| jwt::hsm_key(token, now).is_some_and(|its| its == key));
    found.map(|(_, account)| account.to_owned())
}

/// All tokens that are good, with the account of each.
fn tokens(core: &Core) -> impl Iterator<Item = (&str, &str)> {
    let issued = core.issued.iter().map(|(token, account)| (token.as_str(), account.as_str()));
    let accepted = core.accepted.iter().filter_map(|set| {
        let (app, token) = parts(set);
        Some((token?, app.unwrap_or("somebody")))
    });
    issued.chain(accepted)
}

/// Judges a handshake. That of the HSM socket needs nothing, and must not have what others need.
#[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
pub(super) fn admit(core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
    match request.uri().path() {
        HSM if request.headers().contains_key("authorization") => Ok(IGNORED.to_owned()),
        HSM => Ok(String::new()),
        TBT => {
            let account = owner(core, &authorization(request.headers()), true).ok_or_else(unauthorized)?;
            let account = format!("{BOOKS}{account}");
            if core.open(&account) >= CONNECTIONS {
                return Err(answer_json(429, &error(429, "Connection limit exceeded")));
            }
            Ok(account)
        }
        _ => Err(reply(404, "text/html", "<html><body><h1>Not Found</h1></body></html>")),
    }
}
