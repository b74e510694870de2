//! What clients and publishers get wrong.

use tokio_tungstenite::tungstenite::Message;

use super::{
    Case,
    Make::{By, Client, LoggedIn},
    bench::Bench,
};

pub(super) const REQUESTS: &[Case] = &[
    Case::new(
        "A key that is wrong",
        Client(&[r#"{"action":"authenticate","api_key":"wrong"}"#]),
        &["AUTHENTICATION_ERROR", "Invalid API key"],
    ),
    Case::new(
        "A key that was revoked",
        By(|bench| {
            let key = user(bench);
            let id = key.split('_').nth(1).unwrap().to_owned();
            bench.prepare(&["key", "revoke", &id], "");
            bench.start();
            bench.client(&[&authenticate(&key)]);
        }),
        &["AUTHENTICATION_ERROR", "Invalid API key"],
    ),
    Case::new(
        "No key",
        Client(&[r#"{"action":"authenticate"}"#]),
        &["AUTHENTICATION_ERROR", "API key is required"],
    ),
    Case::new(
        "A user without an account at a broker",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            let key = bench.prepare(&["key", "create", "alice"], "");
            bench.mask(&key, "KEY");
            bench.start();
            bench.client(&[&authenticate(&key)]);
        }),
        &["BROKER_ERROR", "No broker configuration found for user"],
    ),
    Case::new(
        "An account at a broker that nothing serves",
        By(|bench| {
            bench.prepare(&["user", "add", "alice"], "");
            bench.prepare(&["account", "set", "alice", "zerodha"], "{}");
            let key = bench.prepare(&["key", "create", "alice"], "");
            bench.mask(&key, "KEY");
            bench.start();
            bench.client(&[&authenticate(&key)]);
        }),
        &["BROKER_ERROR", "zerodha"],
    ),
    Case::new(
        "A request before the log-in",
        Client(&[r#"{"action":"subscribe","symbol":"SBIN","exchange":"NSE","mode":1}"#]),
        &["NOT_AUTHENTICATED", "You must authenticate first"],
    ),
    Case::new("A text that is no JSON", Client(&["subscribe NSE:SBIN"]), &["INVALID_JSON"]),
    Case::new(
        "JSON that is no object",
        Client(&[r#"["subscribe","NSE:SBIN"]"#]),
        &["SERVER_ERROR", "object"],
    ),
    Case::new(
        "An action that is none",
        LoggedIn(&[r#"{"action":"subscripe","symbol":"SBIN","exchange":"NSE"}"#]),
        &["INVALID_ACTION", "subscripe"],
    ),
    Case::new(
        "A mode that is none",
        LoggedIn(&[r#"{"action":"subscribe","symbol":"SBIN","exchange":"NSE","mode":"Full"}"#]),
        &["INVALID_MODE", "Full"],
    ),
    Case::new(
        "A symbol that the broker does not know",
        LoggedIn(&[r#"{"action":"subscribe","symbol":"SBINN","exchange":"NSE","mode":1}"#]),
        &["SYMBOL_NOT_FOUND", "SBINN"],
    ),
    Case::new(
        "An exchange that does not exist",
        LoggedIn(&[r#"{"action":"subscribe","symbol":"SBIN","exchange":"NYSE","mode":1}"#]),
        &["SYMBOL_NOT_FOUND", "NYSE"],
    ),
    Case::new(
        "A subscription without symbols",
        LoggedIn(&[r#"{"action":"subscribe","mode":1}"#]),
        &["INVALID_PARAMETERS"],
    ),
    Case::new(
        "Every tick, without being allowed to",
        LoggedIn(&[r#"{"action":"subscribe","symbol":"SBIN","exchange":"NSE","mode":1,"lossless":true}"#]),
        &["INVALID_PARAMETERS", "lossless"],
    ),
    Case::new(
        "A rate out of its range",
        LoggedIn(&[r#"{"action":"subscribe","symbol":"SBIN","exchange":"NSE","mode":1,"max_rate":5000}"#]),
        &["INVALID_PARAMETERS", "max_rate"],
    ),
    Case::new(
        "A message that is too large",
        By(|bench| {
            bench.start();
            bench.converse(vec![Message::text(format!("\"{}\"", "x".repeat(20 * 1_024)))]);
        }),
        &["1009", "message too large"],
    ),
    Case::new(
        "No key in time",
        By(|bench| {
            bench.env("WS_AUTH_GRACE_SECONDS", "1");
            bench.start();
            bench.converse(vec![Message::Pong(Vec::new().into())]);
        }),
        &["4401", "auth timeout"],
    ),
    Case::new(
        "A page that may not connect",
        By(|bench| {
            bench.env("TICKHOST_ALLOWED_ORIGINS", "https://app.example");
            bench.start();
            bench.page("https://other.example");
        }),
        &["403", "TICKHOST_ALLOWED_ORIGINS"],
    ),
    Case::new(
        "The client port in the address bar of a browser, or behind a proxy that passes on no upgrade",
        By(|bench| {
            bench.start();
            bench.visit();
        }),
        &["426", "Connection: Upgrade"],
    ),
];

pub(super) const BUS: &[Case] = &[
    Case::new(
        "A topic without a mode",
        By(|bench| {
            bench.start();
            bench.publish("NSE_SBIN", r#"{"ltp": 625.5}"#);
        }),
        &["tickhost_bus_"],
    ),
    Case::new(
        "A body that is no JSON",
        By(|bench| {
            bench.start();
            bench.publish("NSE_SBIN_LTP", "625.5 rupees");
        }),
        &["tickhost_bus_"],
    ),
    Case::new(
        "A value that no JSON has, which costs itself alone",
        By(|bench| {
            bench.start();
            bench.publish("NSE_SBIN_QUOTE", r#"{"ltp": 625.5, "oi": NaN}"#);
        }),
        &["not_finite"],
    ),
    Case::new(
        "A count that is not whole, which is left out",
        By(|bench| {
            bench.start();
            bench.publish("CRYPTO_BTC_USD_QUOTE", r#"{"ltp": 87000.5, "volume": 0.35015176}"#);
        }),
        &["fraction"],
    ),
];

pub(super) fn authenticate(key: &str) -> String {
    format!(r#"{{"action":"authenticate","api_key":"{key}"}}"#)
}

/// A user at the synthetic exchange; gives the key.
pub(super) fn user(bench: &mut Bench) -> String {
    bench.prepare(&["user", "add", "alice"], "");
    bench.prepare(&["account", "set", "alice", "sim"], "{}");
    let key = bench.prepare(&["key", "create", "alice"], "");
    bench.mask(&key, "KEY");
    key
}
