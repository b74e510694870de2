//! The REST client.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use adapter_sdk::{
    abi::ErrorCode,
    net::{Http, Network, NetworkConfig, RateLimit},
};
use flate2::{Compression, write::GzEncoder};

use super::server;

pub(crate) fn http(rate: f64) -> Http {
    Network::new(NetworkConfig::default()).unwrap().http(RateLimit::per_second(rate))
}

#[tokio::test]
async fn requests_go_out_as_they_were_made_and_compressed_answers_come_as_what_they_were() {
    let address = server::serve(|mut stream| async move {
        let request = server::request(&mut stream).await;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&serde_json::to_vec(&request).unwrap()).unwrap();
        server::answer(&mut stream, "200 OK", "Content-Encoding: gzip\r\n", &encoder.finish().unwrap()).await;
    })
    .await;
    let http = http(1_000.0);
    let request = http.post(&format!("http://{address}/session")).header("X-Kite-Version", "3");
    let response = request.form(&[("api_key", "a b"), ("checksum", "=&")]).send().await.unwrap();
    assert!(response.is_success());
    let seen: String = response.json(10_000).await.unwrap();
    assert!(seen.starts_with("POST /session HTTP/1.1\r\nx-kite-version: 3\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\napi_key=a+b&checksum=%3D%26"), "{seen}");

    let request = http.post(&format!("http://{address}/login")).json(&serde_json::json!({"pin": 1}));
    let seen: String = request.send().await.unwrap().json(10_000).await.unwrap();
    assert!(seen.contains("application/json") && seen.ends_with("\r\n\r\n{\"pin\":1}"), "{seen}");

    let request = http.post(&format!("http://{address}/login")).text("text/plain", "jData={}".to_owned());
    let seen: String = request.send().await.unwrap().json(10_000).await.unwrap();
    assert!(
        seen.contains("\r\ncontent-type: text/plain\r\n") && seen.ends_with("\r\n\r\njData={}"),
        "{seen}"
    );

    let response = http.get(&format!("http://{address}/")).send().await.unwrap();
    let error = response.bytes(10).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker's answer is longer than 10 bytes");
}

#[tokio::test]
async fn no_error_shows_an_address_or_a_body() {
    let address = server::serve(|mut stream| async move {
        server::request(&mut stream).await;
        server::answer(&mut stream, "403 Forbidden", "", b"secret-1 is wrong").await;
    })
    .await;
    let url = format!("http://{address}/?token=secret-1");
    let response = http(1_000.0).get(&url).send().await.unwrap();
    assert_eq!(response.status(), 403);
    let refusal = response.refusal("the log-in");
    assert_eq!(
        (refusal.code(), refusal.to_string().as_str()),
        (ErrorCode::AUTH, "the broker answered the log-in with HTTP 403")
    );
    let garbage = response.json::<serde_json::Value>(1_000).await.unwrap_err();
    assert_eq!(garbage.code(), ErrorCode::PROTOCOL);
    let nobody = http(1_000.0).get("http://127.0.0.1:9/?token=secret-1").send().await.unwrap_err();
    assert_eq!(nobody.code(), ErrorCode::NETWORK);
    let injected = http(1_000.0).get(&url).header("Authorization", "secret-1\r\n").send().await.unwrap_err();
    assert_eq!(injected.code(), ErrorCode::AUTH);
    let nowhere = http(1_000.0).get("ftp://secret-1").send().await.unwrap_err();
    for error in [garbage, nobody, injected, nowhere] {
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_broker_that_asks_for_a_pause_gets_it() {
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let address = server::serve(move |mut stream| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            server::request(&mut stream).await;
            let status = if number == 0 { "429 Too Many Requests" } else { "200 OK" };
            server::answer(&mut stream, status, "Retry-After: 1\r\nConnection: close\r\n", b"").await;
        }
    })
    .await;
    let http = http(1_000.0);
    let url = format!("http://{address}/");
    let refused = http.get(&url).send().await.unwrap();
    assert_eq!(refused.refusal("it").code(), ErrorCode::RATE_LIMITED);
    let begun = Instant::now();
    assert!(http.clone().get(&url).send().await.unwrap().is_success());
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_log_in_gives_its_answer_or_says_what_to_do_without_the_broker_s_words() {
    let address = server::serve(|mut stream| async move {
        let head = server::request(&mut stream).await;
        let status = head.split(['/', ' ']).nth(2).unwrap().to_owned();
        server::answer(&mut stream, &format!("{status} X"), "", br#"{"token":"canary"}"#).await;
    })
    .await;
    let http = http(1_000.0);
    let log_in = async |status: &str| {
        let url = format!("http://{address}/{status}");
        http.post(&url).log_in::<serde_json::Value>("the code works once").await
    };
    assert_eq!(log_in("200").await.unwrap()["token"], "canary");
    for status in ["400", "401", "403"] {
        let refused = log_in(status).await.unwrap_err();
        assert_eq!((refused.code(), refused.to_string().as_str()), (ErrorCode::AUTH, "the code works once"));
    }
    for (status, code) in
        [("404", ErrorCode::PROTOCOL), ("429", ErrorCode::RATE_LIMITED), ("503", ErrorCode::NETWORK)]
    {
        let error = log_in(status).await.unwrap_err();
        assert_eq!((error.code(), error.to_string().contains("canary")), (code, false), "{status}");
    }
}
