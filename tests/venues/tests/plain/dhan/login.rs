//! How Dhan gives tokens, and its list of instruments.

use serde_json::{Value, json};
use venues::{Refusal, dhan};

use super::{
    super::{SECRET, get, http, post, still},
    CLIENT, connect, is_silent, live, reason, started,
};

async fn asked(venue: &dhan::Venue, request: String) -> (String, Value) {
    let (head, body) = http(venue.address(), request).await;
    (head.lines().next().unwrap().to_owned(), serde_json::from_slice(&body).unwrap_or_default())
}

fn code() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    venues::angel::totp(SECRET, now).unwrap()
}

#[tokio::test]
async fn dhan_gives_tokens_for_one_time_passwords() {
    let venue = started(still()).await;
    let log_in = |pin: &str, code: &str| {
        let path = format!("/app/generateAccessToken?dhanClientId={CLIENT}&pin={pin}&totp={code}");
        asked(&venue, post(&path, "", ""))
    };
    for (pin, code, message) in
        [("1", code(), "Invalid Pin"), ("123456", "abcdef".to_owned(), "Invalid TOTP")]
    {
        let (status, body) = log_in(pin, &code).await;
        assert!(status.contains("200"), "{status}");
        assert_eq!(body, json!({ "status": "error", "message": message }));
    }
    let (_, body) = log_in("123456", &code()).await;
    let token = body["accessToken"].as_str().unwrap();
    assert!(token.len() > 200 && token.split('.').count() == 3, "{token}");
    assert_eq!((&body["dhanClientId"], body["expiryTime"].as_str().unwrap().len()), (&CLIENT.into(), 19));
    is_silent(&mut connect(&venue, "/", token).await.unwrap()).await;
    venue.own(&json!({ "slow_tokens": true })).unwrap();
    let (_, body) = log_in("123456", &code()).await;
    assert_eq!(body["message"], "Token can be generated once every 2 minutes.");
    // Tokens of the web site can be renewed, and no others.
    let headers = |token: &str| format!("access-token: {token}\r\ndhanClientId: {CLIENT}\r\n");
    let renew = |token: &str| asked(&venue, get("/v2/RenewToken", &headers(token)));
    assert!(renew(token).await.0.contains("400"));
    let (_, body) = renew("token").await;
    let renewed = body["accessToken"].as_str().unwrap().to_owned();
    assert!(renew("token").await.0.contains("401"));
    assert_eq!(reason(connect(&venue, "/", "token").await.unwrap()).await, 807);
    is_silent(&mut connect(&venue, "/", &renewed).await.unwrap()).await;
    let (status, body) = asked(&venue, get("/v2/profile", &headers("token"))).await;
    assert!(status.contains("401"), "{status}");
    assert_eq!(body["errorCode"], "DH-901");
    let (_, body) = asked(&venue, get("/v2/profile", &format!("access-token: {renewed}\r\n"))).await;
    assert_eq!((&body["dhanClientId"], &body["dataPlan"]), (&CLIENT.into(), &"Active".into()));
    venue.refuse(Refusal { status: 429, times: 1, is_rest: true });
    let (status, body) = asked(&venue, get("/v2/profile", "")).await;
    assert!(status.contains("429") && body["errorCode"] == "DH-904", "{status} {body}");
    let (_, body) = asked(&venue, get("/v2/profile", &format!("access-token: {renewed}\r\n"))).await;
    assert_eq!(body["tokenValidity"].as_str().unwrap().len(), "31/12/2030 23:59".len());
}

#[tokio::test]
async fn dhan_gives_a_token_for_a_consent_once() {
    let openalgo = [("api_key", "1000000001:::app"), ("api_secret", "secret"), ("auth_token", "token")];
    let venue = dhan::Venue::start(still().accepting(&openalgo)).await.unwrap();
    is_silent(&mut live(&venue).await).await;
    let app = "app_id: app\r\napp_secret: secret\r\n";
    let path = format!("/app/generate-consent?client_id={CLIENT}");
    let (_, refused) = asked(&venue, post(&path, "app_id: app\r\napp_secret: other\r\n", "")).await;
    assert_eq!(refused["status"], "error");
    let (_, body) = asked(&venue, post(&path, app, "")).await;
    let page = format!("/login/consentApp-login?consentAppId={}", body["consentAppId"].as_str().unwrap());
    let (head, _) = http(venue.address(), get(&page, "")).await;
    assert!(head.starts_with("http/1.1 302"), "{head}");
    let ticket = head.split("tokenid=").nth(1).unwrap().lines().next().unwrap();
    let path = format!("/app/consumeApp-consent?tokenId={ticket}");
    assert_eq!(asked(&venue, get(&path, "")).await.1["status"], "error");
    let (_, body) = asked(&venue, get(&path, app)).await;
    is_silent(&mut connect(&venue, "/", body["accessToken"].as_str().unwrap()).await.unwrap()).await;
    assert_eq!(asked(&venue, post(&path, app, "")).await.1["status"], "error");
}

#[tokio::test]
async fn dhan_lists_instruments_to_everybody() {
    let venue = started(still()).await;
    let (head, list) = http(venue.address(), get("/api-data/api-scrip-master.csv", "")).await;
    assert!(head.contains("text/csv"), "{head}");
    let list = String::from_utf8(list).unwrap();
    assert!(list.starts_with("SEM_EXM_EXCH_ID,"));
    assert!(list.contains("\nNSE,E,2031,EQUITY,0,M&M,1.0,"));
    let (one, other) = (venue.key("NSE", "INFY"), venue.key("NSE", "SBIN"));
    venue.reuse("NSE", "INFY", "SBIN").unwrap();
    assert_eq!((venue.key("NSE", "SBIN"), venue.key("NSE", "INFY")), (one, other));
    let (_, list) = http(venue.address(), get("/api-data/api-scrip-master.csv", "")).await;
    assert!(String::from_utf8(list).unwrap().contains("\nNSE,E,1594,EQUITY,0,SBIN,1.0,"));
}
