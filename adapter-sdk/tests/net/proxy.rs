//! TLS, with a certificate of one's own, through a proxy that wants a password.

use std::{
    io::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use adapter_sdk::{
    AdapterError,
    abi::ErrorCode,
    net::{Message, Network, NetworkConfig, RateLimit, WebSocketRequest},
};
use futures_util::SinkExt as _;
use rustls::pki_types::PrivateKeyDer;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{accept_async, tungstenite::Message as Frame};

use super::server;

/// A broker with a certificate for `localhost` that only who has the file knows.
async fn broker() -> (std::net::SocketAddr, tempfile::NamedTempFile) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(certified.cert.pem().as_bytes()).unwrap();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = server::serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            // One who does not trust the certificate hangs up.
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut socket = accept_async(stream).await.unwrap();
            socket.send(Frame::Text("hello".into())).await.unwrap();
            std::future::pending::<()>().await;
        }
    })
    .await;
    (address, file)
}

/// A proxy that counts whom it lets through.
async fn proxy(broker: std::net::SocketAddr) -> (std::net::SocketAddr, Arc<AtomicU32>) {
    let passed = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&passed);
    let address = server::serve(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            let request = server::request(&mut stream).await;
            assert!(request.starts_with("CONNECT localhost:"), "{request}");
            // user:hunter2
            if !request.contains("Basic dXNlcjpodW50ZXIy") {
                return server::answer(&mut stream, "407 Proxy Authentication Required", "", b"").await;
            }
            counted.fetch_add(1, Ordering::Relaxed);
            let mut onward = TcpStream::connect(broker).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            // Either side may hang up.
            _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
        }
    })
    .await;
    (address, passed)
}

#[tokio::test]
async fn a_private_certificate_and_a_proxy_are_used_when_they_are_set() {
    let (broker, ca_file) = broker().await;
    let (proxy, passed) = proxy(broker).await;
    let url = format!("wss://localhost:{}/feed", broker.port());
    let network = |proxy: Option<String>, knows_certificate: bool| {
        let ca_file = knows_certificate.then(|| ca_file.path().to_owned());
        Network::new(NetworkConfig { proxy, ca_file, connect_timeout_seconds: 5.0 }).unwrap()
    };
    let with_password = Some(format!("http://user:hunter2@{proxy}"));
    let mut socket =
        network(with_password.clone(), true).websocket(WebSocketRequest::new(url.as_str())).await.unwrap();
    assert_eq!(socket.next().await.unwrap(), Message::Text("hello".into()));
    assert_eq!(passed.load(Ordering::Relaxed), 1);

    let mut direct = network(None, true).websocket(WebSocketRequest::new(url.as_str())).await.unwrap();
    assert_eq!(direct.next().await.unwrap(), Message::Text("hello".into()));
    assert_eq!(passed.load(Ordering::Relaxed), 1);

    let refused = [network(None, false), network(Some(format!("http://user:wrong@{proxy}")), true)];
    for network in refused {
        let error =
            AdapterError::from(network.websocket(WebSocketRequest::new(url.as_str())).await.unwrap_err());
        assert_eq!(error.code(), ErrorCode::NETWORK);
        let http = network.http(RateLimit::per_second(10.0));
        let other = http.get(&url.replace("wss", "https")).send().await.unwrap_err();
        assert!(!format!("{error} {other}").contains("wrong"), "{error} {other}");
    }
}
