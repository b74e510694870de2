//! What Angel One sends and refuses.

use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};
use venues::{Options, angel};

use super::{
    ANGEL, SECRET, SOON, get, http, next, packets, post, refusal, say, smart, still, text, to_smart,
};

const HEADERS: &str = "X-UserType: USER\r\nX-SourceID: WEB\r\nX-ClientLocalIP: 127.0.0.1\r\nX-ClientPublicIP: 127.0.0.1\r\n\
                       X-MACAddress: 00:00:00:00:00:00\r\nX-PrivateKey: key\r\n";

#[tokio::test]
async fn angel_sends_the_state_and_answers_pings() {
    let venue = smart().await;
    let mut socket = to_smart(&venue, "feed").await.unwrap();
    say(&mut socket, "ping").await;
    assert_eq!(next(&mut socket).await, Message::text("pong"));
    let list = r#"[{"exchangeType":1,"tokens":["1594","99926000"]},{"exchangeType":0,"tokens":["1594"]}]"#;
    say(
        &mut socket,
        format!(r#"{{"correlationID":"a","action":1,"params":{{"mode":3,"tokenList":{list}}}}}"#),
    )
    .await;
    // In the order of the venue's list, where indices are first. The exchange type 0 gives silence.
    for expected in ["99926000", "1594"] {
        let packet = packets(&mut socket).await;
        assert_eq!((packet.len(), packet[0], packet[1]), (379, 3, 1));
        assert_eq!(packet[2..].split(|byte| *byte == 0).next(), Some(expected.as_bytes()));
    }
    say(&mut socket, r#"{"correlationID":"b","action":1,"params":{}}"#).await;
    let error = text(&mut socket).await;
    assert_eq!((&error["errorCode"], &error["correlationID"]), (&"E1001".into(), &"b".into()));
}

#[tokio::test]
async fn angel_hangs_up_on_those_who_say_nothing() {
    let patience = Some(Duration::from_millis(400));
    let venue = angel::Venue::start(Options { patience, ..still() }.accepting(&ANGEL)).await.unwrap();
    let mut quiet = to_smart(&venue, "feed").await.unwrap();
    let mut polite = to_smart(&venue, "feed").await.unwrap();
    let began = Instant::now();
    let mut ended = false;
    // One pings until the other has been hung up on.
    while !ended {
        say(&mut polite, "ping").await;
        assert_eq!(next(&mut polite).await, Message::text("pong"));
        let heard = timeout(Duration::from_millis(50), quiet.next()).await;
        ended = matches!(heard, Ok(None | Some(Err(_))));
        assert!(began.elapsed() < SOON);
    }
    assert!(began.elapsed() >= Duration::from_millis(350));
    assert_eq!(venue.report().opened, 2);
}

#[tokio::test]
async fn angel_refuses_as_the_broker_does() {
    let venue = smart().await;
    let refused = refusal(to_smart(&venue, "old").await);
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.headers()["x-error-message"], "Invalid Header - Invalid Feed Token");
    let _open = [to_smart(&venue, "feed").await.unwrap(), to_smart(&venue, "feed").await.unwrap()];
    let _third = to_smart(&venue, "feed").await.unwrap();
    let refused = refusal(to_smart(&venue, "feed").await);
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["x-error-message"], "Invalid Request. Connection Limit Exceeded.");
}

#[tokio::test]
async fn angel_takes_a_thousand_pairs_and_no_more() {
    let venue =
        angel::Venue::start(Options { instruments: 6_000, ..still() }.accepting(&ANGEL)).await.unwrap();
    let mut socket = to_smart(&venue, "feed").await.unwrap();
    let tokens: Vec<String> = venue.some("NSE", 1_001).iter().map(|one| one.number.to_string()).collect();
    assert_eq!(tokens.len(), 1_001);
    let ask = |id: &str, tokens: &[String]| {
        let list = format!(r#"[{{"exchangeType":1,"tokens":{tokens:?}}}]"#);
        format!(r#"{{"correlationID":"{id}","action":1,"params":{{"mode":1,"tokenList":{list}}}}}"#)
    };
    say(&mut socket, ask("fits", &tokens[..1_000])).await;
    // What is subscribed is free.
    say(&mut socket, ask("same", &tokens[..10])).await;
    say(&mut socket, ask("over", &tokens[1_000..])).await;
    let error = text(&mut socket).await;
    assert_eq!((&error["errorCode"], &error["correlationID"]), (&"E1002".into(), &"over".into()));
    assert_eq!(venue.report().subscribed.len(), 1_000);
}

#[tokio::test]
async fn angel_logs_in_with_pin_and_one_time_password() {
    let venue = smart().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let code = angel::totp(SECRET, now).unwrap();
    let log_in = |pin: &str, code: &str| {
        let body = format!(r#"{{"clientcode":"A1","password":"{pin}","totp":"{code}"}}"#);
        let request = post("/rest/auth/angelbroking/user/v1/loginByPassword", HEADERS, &body);
        let address = venue.address();
        async move { serde_json::from_slice::<serde_json::Value>(&http(address, request).await.1).unwrap() }
    };
    assert_eq!(log_in("9999", &code).await["errorcode"], "AB1007");
    assert_eq!(log_in("1234", "abcdef").await["errorcode"], "AB1050");
    let good = log_in("1234", &code).await;
    let renewal = format!(r#"{{"refreshToken":{}}}"#, good["data"]["refreshToken"]);
    let request = post("/rest/auth/angelbroking/jwt/v1/generateTokens", HEADERS, &renewal);
    let (_, body) = http(venue.address(), request).await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    to_smart(&venue, body["data"]["feedToken"].as_str().unwrap()).await.unwrap();
    let (_, list) = http(venue.address(), get("/OpenAPI_File/files/OpenAPIScripMaster.json", "")).await;
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap();
    assert!(list.iter().any(|one| one["symbol"] == "M&M-EQ" && one["tick_size"] == "5.000000"));
}

/// `smartapi-python` asks for it at the end of each log-in, with the refresh token as JSON in the place of a
/// query.
#[tokio::test]
async fn angel_tells_the_profile_of_an_account_to_who_is_logged_in() {
    let venue = smart().await;
    let ask = async |headers: &str| {
        let path = "/rest/secure/angelbroking/user/v1/getProfile?%7B%22refreshToken%22:%20%22any%22%7D";
        let (head, body) = http(venue.address(), get(path, headers)).await;
        (head, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
    };
    let signed = format!("{HEADERS}Authorization: Bearer jwt\r\n");
    let (_, profile) = ask(&signed).await;
    assert_eq!((&profile["status"], &profile["data"]["clientcode"]), (&true.into(), &"A1".into()));
    assert!(profile["data"]["exchanges"].as_array().unwrap().contains(&"NSE".into()));
    for headers in [HEADERS, &signed.replace("Bearer jwt", "Bearer other")] {
        let (head, refused) = ask(headers).await;
        assert!(head.starts_with("http/1.1 401"), "{head}");
        assert_eq!((&refused["status"], &refused["errorcode"]), (&false.into(), &"AG8001".into()));
    }
    let (head, refused) = ask("Authorization: Bearer jwt\r\n").await;
    assert!(head.starts_with("http/1.1 400"), "{head}");
    assert_eq!(refused["errorcode"], "AG8005");
    venue.expire();
    assert_eq!(ask(&signed).await.1["errorcode"], "AG8001");
}

/// An account may have its JWT under any of the names that log-ins look for; none of them outlives the day.
#[tokio::test]
async fn an_expired_jwt_opens_no_order_socket_either() {
    for name in ["access_token", "jwt_token", "auth_token", "jwt"] {
        let account = [("client_code", "A1"), (name, "the-jwt")];
        let venue = angel::Venue::start(still().accepting(&account)).await.unwrap();
        let connect = async || {
            let url = format!("ws://{}/smart-order-update", venue.address());
            let mut request = url.into_client_request().unwrap();
            request.headers_mut().insert("authorization", "Bearer the-jwt".parse().unwrap());
            connect_async(request).await.map(|(socket, _)| socket)
        };
        drop(connect().await.unwrap());
        venue.expire();
        assert_eq!(refusal(connect().await).status(), 401, "{name}");
    }
}
