//! Log-in and REST.

use hyper::{Method, header::HeaderValue};
use serde_json::{Value, json};

use super::{
    Layout, Rules,
    account::{ORDERS as OF_ORDERS, SOCKET, hashed, owner, user, value},
    instruments,
};
use crate::{
    angel::totp,
    broker::{Reply, Request, json as answer_json, query, reply},
    model::now_ns,
    state::Core,
};

/// Where the interface that logs in is, the page for people, and the files of the list.
pub(super) const API: &str = "/api";
pub(super) const PAGE: &str = "/authorize";
pub(super) const LISTS: &str = "/lists";

/// Where the interface for orders is, with their socket.
pub(super) const ORDERS: &str = "/order-notify";

/// Begins the ticket of a one-time password that is waited for.
const PASSWORD: &str = "password of ";

pub(super) fn answer(rules: &Rules, core: &mut Core, request: &Request) -> Reply {
    let path = request.uri().path().to_owned();
    if let Some(file) = path.strip_prefix(LISTS).and_then(|file| file.strip_prefix('/')) {
        return instruments::file(rules, &core.listed(), file).map_or_else(
            || reply(404, "text/html", "Not Found"),
            |file| reply(200, "application/octet-stream", file),
        );
    }
    if path == PAGE {
        return page(rules, core, request);
    }
    if rules.has_order_socket() && path.strip_prefix(ORDERS) == Some("/ws/createWsToken") {
        return order_token(core, request);
    }
    let call = path.strip_prefix(API).and_then(|call| call.strip_prefix('/')).unwrap_or_default();
    let body = String::from_utf8_lossy(request.body()).into_owned();
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let result = match (request.method(), rules.name, call) {
        (&Method::POST, "shoonya" | "zebu" | "tradesmart", "GenAcsTok") => {
            body.strip_prefix("jData=").and_then(|body| by_code(core, &json(body)))
        }
        (&Method::POST, "flattrade", "apitoken") => at_flattrade(core, &json(&body)),
        (&Method::POST, "aliceblue", "vendor/getUserDetails") => at_aliceblue(core, &json(&body)),
        (&Method::POST, "aliceblue", "profile/invalidateWsSess" | "profile/createWsSess") => {
            return session(core, request, call.ends_with("createWsSess"), &json(&body));
        }
        // The same as the vendor's package has it, whose interface is that of before.
        (&Method::POST, "aliceblue", "ws/invalidateSocketSess" | "ws/createSocketSess") => {
            package_session(core, request, call.ends_with("createSocketSess"), &json(&body))
        }
        (&Method::GET, "definedge", call) if call.starts_with("login/") => ask_password(core, request, call),
        (&Method::POST, "definedge", "token") => by_password(core, &json(&body)),
        _ => return reply(404, "text/html", "<html><body><h1>Not Found</h1></body></html>"),
    };
    result.unwrap_or_else(|| {
        core.report.log_ins.push(false);
        let status = if rules.layout == Layout::Places { 401 } else { 200 };
        answer_json(status, &json!({ "stat": "Not_Ok", "emsg": "Invalid Input : canary-of-the-broker" }))
    })
}

/// The page on which a person would log in: nobody is asked, and the browser goes where the app wants it.
fn page(rules: &Rules, core: &mut Core, request: &Request) -> Reply {
    let Some(address) = redirected(rules, core, request.uri().query().unwrap_or_default()) else {
        return reply(400, "text/plain", "which app?");
    };
    let mut page = reply(302, "text/html", "");
    if let Ok(target) = HeaderValue::from_str(&address) {
        page.headers_mut().insert("location", target);
    }
    page
}

/// Where the page leads to, with a code that is good once.
pub(super) fn redirected(rules: &Rules, core: &mut Core, asked: &str) -> Option<String> {
    let (name, member) = match rules.name {
        "flattrade" => ("app_key", "code"),
        "aliceblue" => ("appcode", "authCode"),
        _ => ("client_id", "code"),
    };
    let app = query(asked).get(name)?.clone();
    let ticket = core.token();
    core.tickets.insert(ticket.clone(), app);
    Some(format!("/logged-in?{member}={ticket}&client=x"))
}

/// Client and secret of an app.
fn app(core: &Core, key: &str) -> Option<(String, String)> {
    let set = core.accepted.iter().find(|set| value(set, &["api_key"]) == Some(key))?;
    Some((user(set)?.to_owned(), value(set, &["api_secret"])?.to_owned()))
}

fn issue(core: &mut Core, user: &str) -> String {
    let token = core.token();
    core.issued.insert(token.clone(), user.to_owned());
    token
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A code is good once.
fn by_code(core: &mut Core, body: &Value) -> Option<Reply> {
    let code = text(body, "code");
    let key = core.tickets.remove(code)?;
    let (user, secret) = app(core, &key)?;
    if text(body, "checksum") != hashed(&[&key, &secret, code]) {
        return None;
    }
    let token = issue(core, &user);
    Some(answer_json(
        200,
        &json!({
            "stat": "Ok", "access_token": token, "susertoken": token, "refresh_token": "none-of-yours", "USERID": user, "actid": user,
        }),
    ))
}

fn at_flattrade(core: &mut Core, body: &Value) -> Option<Reply> {
    let (key, code) = (text(body, "api_key"), text(body, "request_code"));
    core.tickets.remove(code).filter(|owner| owner == key)?;
    let (user, secret) = app(core, key)?;
    if text(body, "api_secret") != hashed(&[key, code, &secret]) {
        return None;
    }
    let token = issue(core, &user);
    Some(answer_json(200, &json!({ "stat": "Ok", "token": token, "client": user, "emsg": "" })))
}

fn at_aliceblue(core: &mut Core, body: &Value) -> Option<Reply> {
    let checksum = text(body, "checkSum");
    let code = core.tickets.iter().find_map(|(code, key)| {
        let (user, secret) = app(core, key)?;
        (hashed(&[&user, code, &secret]) == checksum).then(|| (code.clone(), user))
    });
    let (code, user) = code?;
    core.tickets.remove(&code);
    let token = issue(core, &user);
    Some(answer_json(200, &json!({ "stat": "Ok", "userSession": token, "clientId": user })))
}

/// Whose the token of a request is. The vendor's package has one more word before it.
fn bearer(core: &Core, request: &Request) -> Option<String> {
    let bearer = request.headers().get("authorization").and_then(|text| text.to_str().ok());
    let jwt = bearer?.strip_prefix("Bearer ")?;
    owner(core, jwt.split_once(' ').map_or(jwt, |(_, jwt)| jwt))
}

fn package_session(core: &mut Core, request: &Request, is_made: bool, body: &Value) -> Option<Reply> {
    let user = bearer(core, request).filter(|_| text(body, "loginType") == "API")?;
    if is_made {
        core.tickets.insert(format!("{SOCKET}{user}"), user);
    }
    Some(answer_json(200, &json!({ "stat": "Ok" })))
}

/// A token for the socket of orders.
fn order_token(core: &mut Core, request: &Request) -> Reply {
    let Some(user) = bearer(core, request) else {
        return answer_json(401, &json!({ "status": "Not_Ok", "message": "EC912" }));
    };
    let token = core.token();
    core.tickets.insert(format!("{OF_ORDERS}{token}"), user);
    answer_json(200, &json!({ "status": "Ok", "message": "Success", "result": [{ "orderToken": token }] }))
}

/// Ends or makes a session for sockets.
fn session(core: &mut Core, request: &Request, is_made: bool, body: &Value) -> Reply {
    let owner = bearer(core, request);
    let user = text(body, "userId");
    if owner.as_deref() != Some(user) || text(body, "source") != "API" {
        if is_made {
            core.report.log_ins.push(false);
        }
        return answer_json(401, &json!({ "status": "Not_Ok", "message": "EC912", "result": [] }));
    }
    if is_made {
        core.tickets.insert(format!("{SOCKET}{user}"), user.to_owned());
    }
    answer_json(200, &json!({ "status": "Ok", "message": "Success", "result": [{ "Status": "OK" }] }))
}

fn ask_password(core: &mut Core, request: &Request, call: &str) -> Option<Reply> {
    let key = call.strip_prefix("login/")?;
    let (_, secret) = app(core, key)?;
    if request.headers().get("api_secret")?.to_str().ok()? != secret {
        return None;
    }
    let ticket = core.token();
    core.tickets.insert(format!("{PASSWORD}{ticket}"), key.to_owned());
    Some(answer_json(200, &json!({ "otp_token": ticket, "message": "OTP has been sent" })))
}

/// The password in the text message that belongs to a ticket.
pub(super) fn message(ticket: &str) -> String {
    hashed(&[ticket]).bytes().map(|byte| char::from(b'0' + byte % 10)).take(6).collect()
}

fn by_password(core: &mut Core, body: &Value) -> Option<Reply> {
    let (ticket, password) = (text(body, "otp_token"), text(body, "otp"));
    let key = core.tickets.remove(&format!("{PASSWORD}{ticket}"))?;
    let (user, secret) = app(core, &key)?;
    let set = core.accepted.iter().find(|set| value(set, &["api_key"]) == Some(&key))?;
    let shared = value(set, &["totp_secret"]);
    let now = u64::try_from(now_ns() / 1_000_000_000).unwrap_or(0);
    // A code of the step before or after is good too: clocks differ.
    let is_code = [now.saturating_sub(30), now, now + 30]
        .iter()
        .any(|at| shared.and_then(|shared| totp(shared, *at)).as_deref() == Some(password));
    if !(is_code || password == message(ticket)) || text(body, "ac") != hashed(&[ticket, password, &secret]) {
        return None;
    }
    let token = issue(core, &user);
    Some(answer_json(
        200,
        &json!({
            "stat": "Ok", "uid": user, "actid": user, "api_session_key": "a-key-for-orders", "susertoken": token,
        }),
    ))
}
