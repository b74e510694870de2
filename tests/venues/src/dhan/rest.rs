//! Log-in and REST.

use hyper::{Method, header::HeaderValue};
use serde_json::{Value, json};

use super::{
    instruments,
    login::{
        APP_SECRET, PIN, SECRET, State, TOKEN, account, app_of, client_of, is_good, issue, value, wall_clock,
    },
};
use crate::{
    angel::totp,
    broker::{Reply, Request, json as answer_json, query, reply},
    model::now_ns,
    state::Core,
};

/// Path of the list of instruments.
pub(super) const COMPACT: &str = "/api-data/api-scrip-master.csv";

/// The client whose name nobody gave.
const ANYBODY: &str = "1000000001";

/// Pause between two tokens, in nanoseconds.
const PAUSE_NS: i64 = 120_000_000_000;

pub(super) fn answer(state: &mut State, core: &mut Core, request: &Request) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::GET, COMPACT) => reply(200, "text/csv", instruments::compact(&core.listed())),
        (&Method::POST, "/app/generateAccessToken") => {
            with_refusals(core, |core| one_time_password(state, core, request))
        }
        (&Method::POST, "/app/generate-consent") => with_refusals(core, |core| consent(core, request)),
        (&Method::GET, "/login/consentApp-login") => log_in_page(core, request),
        // The documents say POST, the package sends GET.
        (&Method::GET | &Method::POST, "/app/consumeApp-consent") => {
            with_refusals(core, |core| consume(state, core, request))
        }
        (&Method::GET | &Method::POST, "/v2/RenewToken") => renew(state, core, request),
        (&Method::GET, "/v2/profile") => profile(state, core, request),
        _ => reply(404, "text/plain", "Not Found"),
    }
}

/// Refusals of a log-in have the status of a success.
fn with_refusals(core: &mut Core, then: impl FnOnce(&mut Core) -> Result<Value, &'static str>) -> Reply {
    match then(core) {
        Ok(answer) => answer_json(200, &answer),
        Err(message) => {
            core.report.log_ins.push(false);
            answer_json(200, &json!({ "status": "error", "message": message }))
        }
    }
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn one_time_password(state: &mut State, core: &mut Core, request: &Request) -> Result<Value, &'static str> {
    let given = query(request.uri().query().unwrap_or_default());
    let member = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    let client = member("dhanClientId").to_owned();
    let set = account(core, &client).ok_or("Invalid Client Id")?;
    if value(set, PIN).is_none_or(|pin| pin != member("pin")) {
        return Err("Invalid Pin");
    }
    let secret = value(set, SECRET).ok_or("Invalid TOTP")?;
    let now = now_ns();
    let seconds = u64::try_from(now / 1_000_000_000).unwrap_or(0);
    // A code of the step before or after is good too: clocks differ.
    let steps = [seconds.saturating_sub(30), seconds, seconds + 30];
    if !steps.iter().any(|at| totp(secret, *at).as_deref() == Some(member("totp"))) {
        return Err("Invalid TOTP");
    }
    if state.are_tokens_slow && now - state.last_token_ns < PAUSE_NS {
        return Err("Token can be generated once every 2 minutes.");
    }
    state.last_token_ns = now;
    let (token, answer) = issue(core, &client);
    state.not_of_the_web.insert(token);
    Ok(answer)
}

/// Whether a request has the key and the secret of an app of this client.
fn is_app(core: &Core, client: &str, request: &Request) -> bool {
    account(core, client).is_some_and(|set| {
        app_of(set).is_some_and(|its| its == header(request, "app_id"))
            && value(set, APP_SECRET).is_some_and(|its| its == header(request, "app_secret"))
    })
}

fn consent(core: &mut Core, request: &Request) -> Result<Value, &'static str> {
    let given = query(request.uri().query().unwrap_or_default());
    let client = given.get("client_id").cloned().unwrap_or_default();
    if !is_app(core, &client, request) {
        return Err("Invalid App Id or App Secret");
    }
    let consent = core.token();
    core.tickets.insert(format!("consent {consent}"), client);
    Ok(json!({ "consentAppId": consent, "consentAppStatus": "GENERATED", "status": "success" }))
}

/// The page on which a person would log in: nobody is asked, and the browser goes where the app wants it.
fn log_in_page(core: &mut Core, request: &Request) -> Reply {
    let given = query(request.uri().query().unwrap_or_default());
    let consent = given.get("consentAppId").map(String::as_str).unwrap_or_default();
    let Some(client) = core.tickets.remove(&format!("consent {consent}")) else {
        return reply(400, "text/html", "<html><body>The consent has expired</body></html>");
    };
    let ticket = core.token();
    core.tickets.insert(format!("token {ticket}"), client);
    let target = format!("/logged-in?tokenId={ticket}");
    let mut page = reply(302, "text/html", format!("<html><body>tokenId={ticket}</body></html>"));
    if let Ok(target) = HeaderValue::from_str(&target) {
        page.headers_mut().insert("location", target);
    }
    page
}

fn consume(state: &mut State, core: &mut Core, request: &Request) -> Result<Value, &'static str> {
    let given = query(request.uri().query().unwrap_or_default());
    let ticket = format!("token {}", given.get("tokenId").map(String::as_str).unwrap_or_default());
    let client = core.tickets.get(&ticket).cloned().ok_or("Invalid Token Id")?;
    if !is_app(core, &client, request) {
        return Err("Invalid App Id or App Secret");
    }
    // It is good once.
    core.tickets.remove(&ticket);
    let (token, answer) = issue(core, &client);
    state.not_of_the_web.insert(token);
    Ok(answer)
}

/// An error as the REST interface writes it.
fn refuse(status: u16, kind: &str, code: &str, message: &str) -> Reply {
    answer_json(status, &json!({ "errorType": kind, "errorCode": code, "errorMessage": message }))
}

pub(super) fn refused(status: u16) -> Reply {
    match status {
        429 => refuse(status, "Rate_Limit", "DH-904", "Too many requests from a single user."),
        _ => refuse(status, "Internal_Server_Error", "DH-908", "The server could not process the request."),
    }
}

fn unauthorized() -> Reply {
    let message = "Client ID or user generated access token is invalid or expired.";
    refuse(401, "Invalid_Authentication", "DH-901", message)
}

/// Client and token of a request, when they are good. A request without a client is one of whoever has the
/// token.
fn authorized(core: &Core, request: &Request) -> Option<(String, String)> {
    let token = header(request, "access-token");
    let named = ["dhanclientid", "client-id"].map(|name| header(request, name));
    let named = named.into_iter().find(|client| !client.is_empty()).map(str::to_owned);
    let client = named.or_else(|| owner(core, token))?;
    is_good(core, &client, token).then(|| (client, token.to_owned()))
}

fn owner(core: &Core, token: &str) -> Option<String> {
    core.issued.get(token).cloned().or_else(|| {
        let set = core.accepted.iter().find(|set| value(set, TOKEN).is_some_and(|its| its == token))?;
        Some(client_of(set).unwrap_or(ANYBODY).to_owned())
    })
}

/// A token for another day, in place of one that is good and was made on the web site.
fn renew(state: &State, core: &mut Core, request: &Request) -> Reply {
    let Some((client, old)) = authorized(core, request) else {
        core.report.log_ins.push(false);
        return unauthorized();
    };
    if state.not_of_the_web.contains(&old) {
        core.report.log_ins.push(false);
        return refuse(400, "Input_Exception", "DH-905", "Token is not generated from web");
    }
    core.issued.remove(&old);
    for set in &mut core.accepted {
        TOKEN.iter().for_each(|name| {
            if set.get(*name) == Some(&old) {
                set.remove(*name);
            }
        });
    }
    core.expired.insert(old);
    answer_json(200, &issue(core, &client).1)
}

fn profile(state: &State, core: &Core, request: &Request) -> Reply {
    let Some((client, _)) = authorized(core, request) else { return unauthorized() };
    let until = wall_clock(now_ns() / 1_000_000_000 + 86_400);
    let (day, time) = until.split_once('T').unwrap_or_default();
    let mut parts = day.split('-').rev();
    let reversed = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default).join("/");
    let minutes = time.get(..5).unwrap_or_default();
    answer_json(
        200,
        &json!({
            "dhanClientId": client, "tokenValidity": format!("{reversed} {minutes}"),
            "activeSegment": "Equity, Derivative, Currency, Commodity", "ddpi": "Active", "mtf": "Deactive",
            "dataPlan": if state.has_no_plan { "Deactive" } else { "Active" },
            "dataValidity": format!("{day} {time}.0"),
        }),
    )
}
