//! Fyers: log-in, conversion of tickers, and the lists.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use venues::Refusal;

use super::{
    super::{get, http, post},
    APP, dial, frame, fyers, log_in, say, token, venue,
};

fn body(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn an_auth_code_buys_a_token_once() {
    let venue = venue().await;
    let target = "http%3A%2F%2F127.0.0.1%2Fback%3Fx%3D1";
    let page = format!(
        "/api/v3/generate-authcode?client_id={APP}&redirect_uri={target}&response_type=code&state=a%20b"
    );
    let (head, _) = http(venue.address(), get(&page.replace("back", "elsewhere"), "")).await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
    let (head, page) = http(venue.address(), get(&page, "")).await;
    assert!(head.starts_with("http/1.1 302"), "{head}");
    assert!(head.contains("location: http://127.0.0.1/back?x=1&s=ok&code=200&auth_code="), "{head}");
    assert!(head.contains("&state=a%20b"), "{head}");
    let page = String::from_utf8(page).unwrap();
    let code = page.split("auth_code=").nth(1).unwrap().split('<').next().unwrap();
    let validate = async |grant: &str, secret: &str| {
        let hash = hex::encode(Sha256::digest(format!("{APP}:{secret}")));
        let form = json!({ "grant_type": grant, "appIdHash": hash, "code": code }).to_string();
        let (head, answer) = http(venue.address(), post("/api/v3/validate-authcode", "", &form)).await;
        assert_eq!(head.starts_with("http/1.1 200"), body(&answer)["s"] == "ok", "{head}");
        body(&answer)
    };
    assert_eq!(validate("password", "secret").await["code"], -441);
    assert_eq!(validate("authorization_code", "other").await["code"], -371);
    let good = validate("authorization_code", "secret").await;
    assert_eq!(validate("authorization_code", "secret").await["code"], -437);
    // The key is in the token.
    let token = good["access_token"].as_str().unwrap();
    let middle = token.split('.').nth(1).unwrap();
    let key = key_in(middle);
    let mut socket = dial(&venue, "/hsm/v1-5/prod", None).await.unwrap();
    say(&mut socket, log_in(&key)).await;
    assert_eq!(frame(&mut socket).await[7], b'K');
    assert_eq!(venue.report().log_ins, [false, false, false, true]);
}

/// Decodes base 64 in its own way, so that the venue's is checked.
fn key_in(text: &str) -> String {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let sixes: Vec<String> =
        text.chars().map(|letter| format!("{:06b}", digits.find(letter).unwrap())).collect();
    let bytes: Vec<u8> = sixes
        .concat()
        .as_bytes()
        .chunks_exact(8)
        .map(|eight| u8::from_str_radix(std::str::from_utf8(eight).unwrap(), 2).unwrap())
        .collect();
    body(&bytes)["hsm_key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tickers_are_converted_in_another_order_for_those_who_are_logged_in() {
    let venue = venue().await;
    let asked = json!({ "symbols": ["NSE:SBIN-EQ", "NSE:NOSUCH-EQ", "NSE:NIFTY50-INDEX"] }).to_string();
    let ask = async |authorization: String| {
        let headers = format!("Authorization: {authorization}\r\n");
        let (head, answer) = http(venue.address(), post("/data/symbol-token", &headers, &asked)).await;
        (head, body(&answer))
    };
    for wrong in
        [String::new(), token("other"), format!("OTHER-100:{}", token("key")), fyers::token(APP, "key", 1)]
    {
        let (head, answer) = ask(wrong).await;
        assert!(head.starts_with("http/1.1 401") && answer["s"] == "error", "{head}");
    }
    for good in [token("key"), format!("{APP}:{}", token("key"))] {
        let (_, answer) = ask(good).await;
        let valid: Vec<(&str, &str)> = answer["validSymbol"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(symbol, token)| (symbol.as_str(), token.as_str().unwrap()))
            .collect();
        assert_eq!(valid, [("NSE:NIFTY50-INDEX", "101000000026000"), ("NSE:SBIN-EQ", "10100000003045")]);
        assert_eq!(answer["invalidSymbol"], json!(["NSE:NOSUCH-EQ"]));
    }
    // One that mixes them up.
    venue.own(&json!({ "mix_up": true })).unwrap();
    let (_, answer) = ask(token("key")).await;
    assert_eq!(answer["validSymbol"]["NSE:SBIN-EQ"], "101000000026000");
    let headers = format!("Authorization: {}\r\n", token("key"));
    let (head, _) = http(venue.address(), post("/data/symbol-token", &headers, r#"{"symbols":1}"#)).await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
}

#[tokio::test]
async fn who_asks_too_often_is_refused_where_requests_count() {
    let venue = venue().await;
    let ask = async |path: &str| http(venue.address(), get(path, "")).await.0;
    for _ in 0..12 {
        assert!(ask("/indus/home/tbtws").await.starts_with("http/1.1 401"));
    }
    venue.own(&json!({ "rates": true })).unwrap();
    let began = std::time::Instant::now();
    while !ask("/indus/home/tbtws").await.starts_with("http/1.1 429") {
        assert!(began.elapsed() < super::super::SOON);
    }
    assert!(ask("/sym_details/index_hsm_mapping.json").await.starts_with("http/1.1 200"));
}

#[tokio::test]
async fn the_lists_are_there_for_everybody() {
    let venue = venue().await;
    let list = async |name: &str| {
        let (head, csv) = http(venue.address(), get(&format!("/sym_details/{name}.csv"), "")).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let csv = String::from_utf8(csv).unwrap();
        let rows: Vec<Vec<String>> =
            csv.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
        assert!(!rows.is_empty() && rows.iter().all(|row| row.len() == 21), "{name}");
        rows
    };
    let of = |rows: &[Vec<String>], ticker: &str| rows.iter().find(|row| row[9] == ticker).unwrap().clone();
    let cash = list("NSE_CM").await;
    let sbin = of(&cash, "NSE:SBIN-EQ");
    let expected =
        [(0, "10100000003045"), (2, "0"), (4, "0.05"), (8, ""), (10, "10"), (11, "10"), (12, "3045")];
    for (column, text) in expected.into_iter().chain([(13, "SBIN"), (14, "3045"), (15, "-1.0"), (16, "XX")]) {
        assert_eq!(sbin[column], text, "{column}");
    }
    assert_eq!(of(&cash, "NSE:NIFTY50-INDEX")[2], "10");
    let options = list("NSE_FO").await;
    let call = of(&options, "NSE:NIFTY30D2424500CE");
    assert_eq!(call[1], "NIFTY 24 Dec 30 24500 CE");
    // 24 December 2030, 15:40 in India.
    assert_eq!((call[3].as_str(), call[8].as_str()), ("75", "1924337400"));
    let rest = [call[2].as_str(), &call[11], &call[13], &call[15], &call[16], &call[17]];
    assert_eq!(rest, ["14", "11", "NIFTY", "24500.0", "CE", "101000000026000"]);
    for (name, prefix) in
        [("NSE_CD", "1012"), ("NSE_COM", "1020"), ("BSE_CM", "1210"), ("BSE_FO", "1211"), ("MCX_COM", "1120")]
    {
        assert!(list(name).await.iter().all(|row| row[0].starts_with(prefix)), "{name}");
    }
    let (head, _) = http(venue.address(), get("/sym_details/NSE_XX.csv", "")).await;
    assert!(head.starts_with("http/1.1 404"), "{head}");
    venue.refuse(Refusal { status: 429, times: 1, is_rest: true });
    let (head, refused) = http(venue.address(), get("/sym_details/NSE_CM.csv", "")).await;
    assert!(head.starts_with("http/1.1 429") && head.contains("x-retry-after-ms: 1000"), "{head}");
    assert_eq!((&body(&refused)["s"], &body(&refused)["code"]), (&json!("error"), &json!(-429)));
    let (_, names) = http(venue.address(), get("/sym_details/index_hsm_mapping.json", "")).await;
    assert_eq!(body(&names)["NSE:MIDCPNIFTY-INDEX"], "NIFTY MID SELECT");
}
