//! The list of instruments on disk.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use adapter_sdk::{AdapterError, abi::ErrorCode, instruments::InstrumentFile};

use super::{http::http, server};

const MAX_BYTES: u64 = 1_000;

/// A broker whose list can change, and who can be in a bad mood.
async fn broker() -> (String, Arc<Mutex<(&'static str, Vec<u8>)>>) {
    let list = Arc::new(Mutex::new(("200 OK", b"SBIN,TCS".to_vec())));
    let shown = Arc::clone(&list);
    let address = server::serve(move |mut stream| {
        let (status, body) = shown.lock().unwrap().clone();
        async move {
            server::request(&mut stream).await;
            server::answer(&mut stream, status, "Connection: close\r\n", &body).await;
        }
    })
    .await;
    (format!("http://{address}/instruments"), list)
}

fn read(file: &std::path::Path) -> Result<usize, AdapterError> {
    let text = fs::read_to_string(file).map_err(AdapterError::network)?;
    if text.contains("html") { Err(AdapterError::protocol("no list")) } else { Ok(text.split(',').count()) }
}

#[tokio::test]
async fn the_last_good_copy_outlives_whatever_the_broker_sends_instead() {
    let dir = tempfile::tempdir().unwrap();
    let (url, list) = broker().await;
    let file = InstrumentFile::new(Some(dir.path()), "acme", &url);
    assert_eq!(file.cached(), None);
    let download = async || file.download(http(1_000.0).get(&url), MAX_BYTES, read).await;
    let before = SystemTime::now() - Duration::from_secs(5);
    let (cached, count) = download().await.unwrap();
    assert_eq!(count, 2);
    assert_eq!(fs::read_to_string(&cached.path).unwrap(), "SBIN,TCS");
    assert_eq!(file.cached().unwrap().path, cached.path);
    assert!(file.cached().unwrap().fetched_at > before);

    let bad: [(&str, &[u8], ErrorCode); 4] = [
        ("200 OK", b"<html>", ErrorCode::PROTOCOL),
        ("403 Forbidden", b"", ErrorCode::AUTH),
        ("503 Service Unavailable", b"SBIN", ErrorCode::NETWORK),
        ("200 OK", &[b'x'; 1_001], ErrorCode::PROTOCOL),
    ];
    for (status, body, code) in bad {
        *list.lock().unwrap() = (status, body.to_vec());
        assert_eq!(download().await.unwrap_err().code(), code, "{status}");
        assert_eq!(fs::read_to_string(&cached.path).unwrap(), "SBIN,TCS");
        assert_eq!(fs::read_dir(dir.path().join("acme")).unwrap().count(), 1, "nothing else is left");
    }
    let of_another_place =
        InstrumentFile::new(Some(dir.path()), "acme", "https://broker.example/instruments");
    assert_eq!(of_another_place.cached(), None, "a simulator's numbers are not the broker's");

    *list.lock().unwrap() = ("200 OK", b"INFY".to_vec());
    assert_eq!(download().await.unwrap().1, 1);
    assert_eq!(fs::read_to_string(&cached.path).unwrap(), "INFY");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (url, _) = broker().await;
    let inside = InstrumentFile::new(Some(file.path()), "acme", &url);
    let error = inside.download(http(1_000.0).get(&url), MAX_BYTES, read).await.unwrap_err().to_string();
    assert!(error.contains("cache_dir") && error.contains(&file.path().display().to_string()), "{error}");
}
