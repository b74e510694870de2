//! What Kite sends and refuses.

use tokio_tungstenite::{connect_async, tungstenite::Message};
use venues::{Mode, Options, Refusal, zerodha};

use super::{KITE, get, http, kite, next, packets, post, refusal, say, still, text, to_kite};

#[tokio::test]
async fn kite_sends_the_state_after_subscribe_and_mode() {
    let venue = kite().await;
    let mut socket = to_kite(&venue, "token").await.unwrap();
    assert_eq!(text(&mut socket).await["type"], "instruments_meta");
    assert_eq!(text(&mut socket).await["type"], "app_code");
    say(&mut socket, r#"{"a":"subscribe","v":[408065,"738561"]}"#).await;
    // A token that is written as a text is passed over.
    let quote = packets(&mut socket).await;
    assert_eq!((quote.len(), &quote[..8]), (48, &[0, 1, 0, 44, 0, 6, 0x3a, 1][..]));
    say(&mut socket, r#"{"a":"mode","v":["full",[408065,256265]]}"#).await;
    let full = packets(&mut socket).await;
    assert_eq!(full.len(), 2 + 2 + 184 + 2 + 32);
    let sent = venue.sent("NSE", "INFY", Mode::Full).unwrap();
    assert_eq!(full[8..12], u32::try_from(sent.ltp / 10_000_000).unwrap().to_be_bytes());
    let report = venue.report();
    assert_eq!((report.subscribes, report.subscribed.len()), (vec![1], 2));
}

#[tokio::test]
async fn kite_beats_without_subscriptions() {
    let venue = kite().await;
    let mut socket = to_kite(&venue, "token").await.unwrap();
    loop {
        if let Message::Binary(bytes) = next(&mut socket).await {
            assert_eq!(bytes.len(), 1);
            break;
        }
    }
}

#[tokio::test]
async fn kite_refuses_as_the_broker_does() {
    let venue = kite().await;
    let refused = refusal(to_kite(&venue, "other").await);
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.body().as_deref(), Some(&b"Authentication failed"[..]));
    let _open = [to_kite(&venue, "token").await.unwrap(), to_kite(&venue, "token").await.unwrap()];
    let _third = to_kite(&venue, "token").await.unwrap();
    assert_eq!(refusal(to_kite(&venue, "token").await).status(), 429);
    let url = format!("ws://{}/?api_key=key", venue.address());
    assert_eq!(refusal(connect_async(url).await.map(|(socket, _)| socket)).status(), 400);
    assert_eq!(venue.report().log_ins, [false, true, true, true]);
}

#[tokio::test]
async fn kite_takes_three_thousand_instruments_and_no_more() {
    let venue =
        zerodha::Venue::start(Options { instruments: 6_000, ..still() }.accepting(&KITE)).await.unwrap();
    let mut socket = to_kite(&venue, "token").await.unwrap();
    let keys: Vec<u64> =
        venue.some("NFO", 3_001).iter().map(|one| venue.key("NFO", &one.symbol).unwrap()).collect();
    assert!(keys.len() > 600);
    let more = venue.some("NSE", 4_000);
    let keys: Vec<u64> =
        keys.into_iter().chain(more.iter().map(|one| venue.key("NSE", &one.symbol).unwrap())).collect();
    let bse = venue.some("BSE", 4_000);
    let all: Vec<u64> =
        keys.into_iter().chain(bse.iter().map(|one| venue.key("BSE", &one.symbol).unwrap())).collect();
    assert!(all.len() > 3_000);
    say(&mut socket, format!(r#"{{"a":"subscribe","v":{:?}}}"#, &all[..3_000])).await;
    say(&mut socket, format!(r#"{{"a":"subscribe","v":{:?}}}"#, &all[3_000..3_001])).await;
    loop {
        let message = text(&mut socket).await;
        if message["type"] == "error" {
            assert_eq!(message["data"], "Can't subscribe to more than 3000 instruments.");
            break;
        }
    }
    assert_eq!(venue.report().subscribed.len(), 3_000);
}

#[tokio::test]
async fn kite_lists_instruments_to_those_who_are_logged_in() {
    let venue = kite().await;
    let (head, body) = http(venue.address(), get("/instruments", "")).await;
    assert!(head.starts_with("http/1.1 403"), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("TokenException"));
    let allowed = "Authorization: token key:token\r\n";
    let (_, plain) = http(venue.address(), get("/instruments/NFO", allowed)).await;
    let plain = String::from_utf8(plain).unwrap();
    assert!(plain.contains(",NIFTY30D2424500CE,\"NIFTY\",0,2030-12-24,24500,0.05,75,CE,NFO-OPT,NFO"));
    let packed = get("/instruments", &format!("{allowed}Accept-Encoding: gzip\r\n"));
    let (head, packed) = http(venue.address(), packed).await;
    assert!(head.contains("content-encoding: gzip"));
    assert_eq!(packed[..2], [0x1f, 0x8b]);
    venue.refuse(Refusal { status: 429, times: 1, is_rest: true });
    let (head, _) = http(venue.address(), get("/instruments", allowed)).await;
    assert!(head.starts_with("http/1.1 429"), "{head}");
}

#[tokio::test]
async fn kite_gives_a_token_for_a_request_token_once() {
    use sha2::{Digest as _, Sha256};
    let venue = kite().await;
    let (head, _) = http(venue.address(), get("/connect/login?v=3&api_key=key", "")).await;
    let ticket = head.split("request_token=").nth(1).unwrap().lines().next().unwrap().to_owned();
    let log_in = |checksum: String| {
        let body = format!("api_key=key&request_token={ticket}&checksum={checksum}");
        http(venue.address(), post("/session/token", "", &body))
    };
    let (head, _) = log_in("0".repeat(64)).await;
    assert!(head.starts_with("http/1.1 403"));
    let checksum = hex::encode(Sha256::digest(format!("key{ticket}secret")));
    let (_, body) = log_in(checksum.clone()).await;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let token = body["data"]["access_token"].as_str().unwrap();
    let mut socket = to_kite(&venue, token).await.unwrap();
    assert!(log_in(checksum).await.0.starts_with("http/1.1 403"));
    // It expires for new connections; the old one goes on.
    venue.expire();
    assert_eq!(refusal(to_kite(&venue, token).await).status(), 403);
    say(&mut socket, r#"{"a":"subscribe","v":[408065]}"#).await;
    packets(&mut socket).await;
}
