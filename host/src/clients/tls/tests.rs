use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tickhost_core::metrics::ServerCounters;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clients::{
    admissions::{Admissions, ConnectionLimits},
    upgrade::Refusals,
};

const SOON: Duration = Duration::from_secs(10);

struct Pair {
    certificate: String,
    key: String,
}

fn pair() -> Pair {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Pair { certificate: certified.cert.pem(), key: certified.signing_key.serialize_pem() }
}

fn write(dir: &Path, pair: &Pair) -> TlsFiles {
    let files = TlsFiles { certificate: dir.join("certificate.pem"), key: dir.join("key.pem") };
    fs::write(&files.certificate, &pair.certificate).unwrap();
    fs::write(&files.key, &pair.key).unwrap();
    files
}

fn connector(certificate: &Path) -> TlsConnector {
    let files = TlsFiles { certificate: certificate.to_owned(), key: certificate.to_owned() };
    let mut roots = RootCertStore::empty();
    roots.add(files.leaf().unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// A port behind which handshakes are made, as the accept loop has it.
struct Port {
    address: SocketAddr,
    counters: Arc<ServerCounters>,
    admissions: Arc<Admissions>,
    done: mpsc::Receiver<Incoming>,
    _stop: tokio_util::sync::DropGuard,
}

async fn port(tls: Tls) -> Port {
    let counters = Arc::<ServerCounters>::default();
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Handle::current();
    let handshakes = Handshakes::new(tls, runtime, Refusals::new(Arc::clone(&counters)), stop.clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, done) = mpsc::channel(16);
    let until = stop.clone();
    let limits = ConnectionLimits { total: 1, per_address: 1, strangers: 1, strangers_per_address: 1 };
    let admissions = Admissions::new(limits, Arc::clone(&counters));
    let places = Arc::clone(&admissions);
    tokio::spawn(until.run_until_cancelled_owned(async move {
        loop {
            let (socket, peer) = listener.accept().await.unwrap();
            let sender = sender.clone();
            let place = places.admit(peer.ip(), std::time::Instant::now()).unwrap();
            let signal = place.signal();
            handshakes.begin(socket.into_std().unwrap(), peer, signal, move |incoming| {
                sender.try_send(incoming).unwrap();
                drop(place);
            });
        }
    }));
    Port { address, counters, admissions, done, _stop: stop.drop_guard() }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    tokio::time::timeout(SOON, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("waited for: {what}"));
}

#[test]
fn each_mistake_in_the_files_is_named_and_no_key_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let (good, other) = (pair(), pair());
    let said = |certificate: &str, key: &str| {
        let files = write(dir.path(), &Pair { certificate: certificate.to_owned(), key: key.to_owned() });
        let error = Tls::open(files).unwrap_err();
        let text = format!("{error} {error:?}");
        let secret = good.key.lines().nth(1).unwrap();
        assert!(!text.contains(secret), "{text}");
        error.to_string()
    };
    assert!(said("", &good.key).contains("certificate.pem: has no certificate"));
    assert!(said(&good.key, &good.key).contains("has no certificate"));
    assert!(said(&good.certificate.repeat(17), &good.key).contains("more than 16"));
    assert!(said(&good.certificate.replace('M', "!"), &good.key).contains("has no certificate"));
    assert!(said(&good.certificate, "").contains("key.pem: has no private key"));
    assert!(said(&good.certificate, &good.certificate).contains("has no private key"));
    assert!(said(&good.certificate, &other.key).contains("the key is not the certificate's"));
    assert!(said(&good.certificate, &" ".repeat(300 * 1_024)).contains("is longer than"));
    let encrypted = good.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert!(said(&good.certificate, &encrypted).contains("passphrase"));
    fs::remove_file(dir.path().join("key.pem")).unwrap();
    let files = TlsFiles { certificate: dir.path().join("certificate.pem"), key: dir.path().join("key.pem") };
    assert!(Tls::open(files).unwrap_err().to_string().contains("key.pem: cannot be read"));
}

#[test]
fn a_certificate_is_doubted_by_its_dates_alone() {
    let dir = tempfile::tempdir().unwrap();
    let files = write(dir.path(), &pair());
    assert_eq!(files.doubt(crate::base::clock::unix_nanos()), None);
    let said = files.doubt(0).unwrap();
    assert!(said.contains("certificate.pem") && said.contains("is not valid before 1975-01-01"), "{said}");
}

#[test]
fn the_key_shows_in_no_debug_output() {
    let dir = tempfile::tempdir().unwrap();
    let pair = pair();
    let tls = Tls::open(write(dir.path(), &pair)).unwrap();
    let shown = format!("{tls:?}");
    assert!(!shown.contains(pair.key.lines().nth(1).unwrap()), "{shown}");
}

#[test]
fn bad_files_keep_the_certificate_and_good_ones_replace_it() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (pair(), pair());
    let files = write(dir.path(), &first);
    let tls = Tls::open(files.clone()).unwrap();
    let before = tls.config();
    assert_eq!(tls.look(None), Looked::Same);
    // Half of a renewal: the new certificate is there, its key is not.
    fs::write(&files.certificate, &second.certificate).unwrap();
    assert_eq!(tls.look(None), Looked::Refused);
    assert!(tls.error().unwrap().to_string().contains("the key is not"));
    assert!(Arc::ptr_eq(&tls.config(), &before));
    fs::write(&files.key, &second.key).unwrap();
    assert_eq!(tls.look(None), Looked::Changed);
    assert!(tls.error().is_none() && !Arc::ptr_eq(&tls.config(), &before));
    fs::remove_file(&files.certificate).unwrap();
    assert_eq!(tls.look(None), Looked::Refused);
    write(dir.path(), &second);
    assert_eq!(tls.look(None), Looked::Same, "what was in force is there again");
    assert!(tls.error().is_none());
    // Other files, as after a change of the settings; from then on they are followed.
    let elsewhere = tempfile::tempdir().unwrap();
    let missing = TlsFiles { certificate: elsewhere.path().join("a"), key: elsewhere.path().join("b") };
    assert_eq!(tls.look(Some(missing)), Looked::Refused);
    assert_eq!(tls.look(None), Looked::Same, "files that never worked are not followed");
    assert_eq!(tls.look(Some(write(elsewhere.path(), &first))), Looked::Changed);
    assert_eq!(tls.look(None), Looked::Same);
}

#[tokio::test]
async fn a_connection_moves_to_another_runtime_with_what_was_read_ahead() {
    let dir = tempfile::tempdir().unwrap();
    let files = write(dir.path(), &pair());
    let mut port = port(Tls::open(files.clone()).unwrap()).await;
    let socket = TcpStream::connect(port.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = connector(&files.certificate).connect(name, socket).await.unwrap();
    // Sent before anybody serves the connection.
    client.write_all(b"early").await.unwrap();
    let incoming = tokio::time::timeout(SOON, port.done.recv()).await.unwrap().unwrap();
    let served = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut transport = incoming.attach().unwrap();
            let mut bytes = [0; 9];
            transport.read_exact(&mut bytes).await.unwrap();
            transport.write_all(&vec![b'x'; 100_000]).await.unwrap();
            transport.flush().await.unwrap();
            let written = transport.written_below().unwrap();
            transport.shutdown().await.unwrap();
            (bytes, written)
        })
    });
    client.write_all(b"late").await.unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    let (bytes, written) = served.join().unwrap();
    assert_eq!((&bytes, answer.len()), (b"earlylate", 100_000));
    assert!(written > 100_000, "counted is what the kernel took, records and all: {written}");
    assert_eq!(port.counters.tls_handshakes_failed.get(), 0);
}

#[tokio::test]
async fn whoever_speaks_no_tls_is_told_so_or_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls::open(write(dir.path(), &pair())).unwrap();
    let port = port(tls).await;
    for (index, bytes) in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00\x05hello", b"\x16"].iter().enumerate()
    {
        let mut socket = TcpStream::connect(port.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _reset = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        assert_eq!(head.contains("400 Bad Request"), index == 0, "{answer}");
        assert_eq!(head.contains(&format!("content-length: {}", body.len())), index == 0, "{answer}");
        until("the failure is counted", || port.counters.tls_handshakes_failed.get() == index as u64 + 1)
            .await;
    }
}

#[tokio::test]
async fn who_says_nothing_makes_room_for_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let files = write(dir.path(), &pair());
    let tls = Tls::open(files.clone()).unwrap();
    let mut port = port(tls).await;
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..2 {
        silent.push(TcpStream::connect(port.address).await.unwrap());
    }
    until("both are there", || port.admissions.open() == 2).await;
    let socket = TcpStream::connect(port.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let _client = connector(&files.certificate).connect(name, socket).await.unwrap();
    assert!(tokio::time::timeout(SOON, port.done.recv()).await.unwrap().is_some());
    assert_eq!(silent[0].read(&mut [0]).await.unwrap_or(0), 0, "the oldest is closed");
    until("it is counted", || port.counters.tls_handshakes_refused.get() == 1).await;
    assert_eq!(port.admissions.open(), 1, "the other silent one");
    drop(silent);
    until("its place is given back", || port.admissions.open() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Tls::open(write(dir.path(), &pair())).unwrap();
    let port = port(tls).await;
    let started = tokio::time::Instant::now();
    let mut socket = TcpStream::connect(port.address).await.unwrap();
    // The head of a record whose rest never comes.
    socket.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
    assert_eq!(socket.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(started.elapsed() >= Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(port.counters.tls_handshakes_failed.get(), 1);
}
