//! Log-in and REST.

use hyper::{Method, header::HeaderValue};
use serde_json::{Value, json};

use super::instruments;
use crate::{
    broker::{Reply, Request, json as answer_json, query, reply},
    state::Core,
};

/// Where the sockets are.
pub(super) const MARKET: &str = "/market-data-feeder/v3/upstox-developer-api/feeds";
pub(super) const PORTFOLIO: &str = "/portfolio-feeder/v2/upstox-developer-api/feeds";

/// The list of instruments.
pub(super) const LIST: &str = "/complete.json.gz";

/// Begins the account of a connection for orders, and the ticket of one.
pub(super) const ORDERS: &str = "orders of ";

/// Begins a ticket for the market data.
const DATA: &str = "data of ";

pub(super) fn answer(core: &mut Core, request: &Request) -> Reply {
    match (request.method(), request.uri().path()) {
        (&Method::GET, LIST) => match instruments::list(&core.listed()) {
            Ok(list) => reply(200, "application/gzip", list),
            Err(error) => reply(500, "text/plain", error.to_string()),
        },
        (&Method::GET, "/v2/login/authorization/dialog") => page(core, request),
        (&Method::POST, "/v2/login/authorization/token") => token(core, request),
        (&Method::GET, "/v3/feed/market-data-feed/authorize") => authorize(core, request, MARKET),
        (&Method::GET, "/v2/feed/portfolio-stream-feed/authorize") => authorize(core, request, PORTFOLIO),
        _ => reply(404, "text/plain", "Not Found"),
    }
}

/// An error as the REST interface writes it.
pub(super) fn refuse(status: u16, code: &str, message: &str) -> Reply {
    let error = json!({ "errorCode": code, "message": message, "propertyPath": null, "invalidValue": null });
    answer_json(status, &json!({ "status": "error", "errors": [error] }))
}

/// The page on which a person would log in: nobody is asked, and the browser goes where the app wants it.
fn page(core: &mut Core, request: &Request) -> Reply {
    let Some(address) = redirected(core, request.uri().query().unwrap_or_default()) else {
        return refuse(400, "UDAPI100068", "Check your 'client_id' and 'redirect_uri'");
    };
    let mut page = reply(302, "text/html", "");
    if let Ok(target) = HeaderValue::from_str(&address) {
        page.headers_mut().insert("location", target);
    }
    page
}

/// Where the page leads to, with a code that is good once.
pub(super) fn redirected(core: &mut Core, asked: &str) -> Option<String> {
    let asked = query(asked);
    let app = asked.get("client_id")?;
    let is_known = |set: &adapter_conformance::CredentialSet| {
        set.get("api_key") == Some(app) && set.get("redirect_uri") == asked.get("redirect_uri")
    };
    if !core.accepted.iter().any(is_known) || asked.get("response_type")? != "code" {
        return None;
    }
    let ticket = core.token();
    core.tickets.insert(ticket.clone(), app.clone());
    let state = asked.get("state").map(String::as_str).unwrap_or_default();
    Some(format!("/logged-in?code={ticket}&state={state}"))
}

fn token(core: &mut Core, request: &Request) -> Reply {
    let form = query(&String::from_utf8_lossy(request.body()));
    let member = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    // It is good once.
    let app = core.tickets.remove(member("code")).filter(|app| app == member("client_id"));
    let set = app.and_then(|app| core.accepted.iter().find(|set| set.get("api_key") == Some(&app)));
    let has = |name: &str, given: &str| {
        set.and_then(|set| set.get(name)).is_some_and(|value| value == member(given))
    };
    let is_good = has("api_secret", "client_secret")
        && has("redirect_uri", "redirect_uri")
        && member("grant_type") == "authorization_code";
    if !is_good {
        core.report.log_ins.push(false);
        return refuse(401, "UDAPI100057", "Invalid Auth code");
    }
    let user = set.and_then(|set| set.get("user_id")).map_or("AB1234", String::as_str).to_owned();
    let token = core.token();
    core.issued.insert(token.clone(), user.clone());
    let answer: Value = json!({
        "email": "", "exchanges": ["NSE", "NFO", "BSE", "CDS", "BFO", "BCD", "MCX"], "products": ["D", "CO", "I"],
        "broker": "UPSTOX", "user_id": user, "user_name": "Test", "user_type": "individual", "is_active": true,
        "access_token": token, "extended_token": null,
    });
    answer_json(200, &answer)
}

/// Whose a token is, if it is good.
fn owner(core: &Core, token: &str) -> Option<String> {
    let of = |set: &adapter_conformance::CredentialSet| {
        let known = set.get("access_token").or_else(|| set.get("auth_token"))?;
        (known == token).then(|| set.get("user_id").map_or("AB1234", String::as_str).to_owned())
    };
    core.issued.get(token).cloned().or_else(|| core.accepted.iter().find_map(of))
}

/// Gives the address of a socket, with a code that is good once.
fn authorize(core: &mut Core, request: &Request, path: &str) -> Reply {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let user = header("authorization").and_then(|text| text.strip_prefix("Bearer "));
    let Some(user) = user.and_then(|token| owner(core, token)) else {
        if path == MARKET {
            core.report.log_ins.push(false);
        }
        return refuse(401, "UDAPI100050", "Invalid token used to access API");
    };
    let host = header("host").unwrap_or("127.0.0.1").to_owned();
    let code = core.token();
    let kind = if path == MARKET { DATA } else { ORDERS };
    core.tickets.insert(format!("{kind}{code}"), user);
    let address = format!("ws://{host}{path}?requestId=1&code={code}");
    let data = json!({ "authorized_redirect_uri": address, "authorizedRedirectUri": address });
    answer_json(200, &json!({ "status": "success", "data": data }))
}

/// Judges a handshake: the ticket that it uses up, with the user before it.
#[expect(clippy::result_large_err, reason = "a test server; the answer is sent at once")]
pub(super) fn admit(core: &Core, request: &hyper::Request<()>) -> Result<String, Reply> {
    let kind = match request.uri().path() {
        MARKET => DATA,
        PORTFOLIO => ORDERS,
        _ => return Err(reply(404, "text/plain", "Not Found")),
    };
    let given = query(request.uri().query().unwrap_or_default());
    let ticket = given.get("code").map(|code| format!("{kind}{code}")).unwrap_or_default();
    match core.tickets.get(&ticket) {
        Some(_) => Ok(ticket),
        None => Err(refuse(403, "UDAPI100058", "The code is not good")),
    }
}

/// Uses a ticket up, and gives the account of the connection.
pub(super) fn use_up(core: &mut Core, ticket: &str) -> Option<String> {
    let user = core.tickets.remove(ticket)?;
    Some(if ticket.starts_with(ORDERS) { format!("{ORDERS}{user}") } else { user })
}
