//! Ports, addresses, and the certificate of the client port.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{
    Case,
    Make::{By, ByNobody, Flags, Settings},
    bench::Bench,
};

pub(super) const PORTS: &[Case] = &[
    Case::new(
        "The client port is in use",
        By(|bench| taken(bench, "--websocket-port")),
        &["flag: --websocket-port", "127.0.0.1:PORT", "in use", "another port"],
    ),
    Case::new(
        "The operator's port is in use",
        By(|bench| taken(bench, "--admin-port")),
        &["flag: --admin-port", "127.0.0.1:PORT", "in use", "another port"],
    ),
    Case::new(
        "The port of the bus is in use",
        By(|bench| taken(bench, "--zmq-port")),
        &["flag: --zmq-port", "127.0.0.1:PORT", "in use", "another port"],
    ),
    Case::new(
        "A port below 1024 without the right to it",
        ByNobody(|bench| bench.refused_with(&["--websocket-port", "443"])),
        &["--websocket-port", "127.0.0.1:443", "ports from 1024 need no rights"],
    ),
    Case::new(
        "One port for two",
        Flags(&["--websocket-port", "9000", "--admin-port", "9000"]),
        &["--admin-port = \"9000\"", "must differ from WEBSOCKET_PORT"],
    ),
    Case::new(
        "An address that others reach, without saying so",
        Settings("websocket_host = \"0.0.0.0\""),
        &["tickhost.toml:1: websocket_host = \"0.0.0.0\"", "TICKHOST_ALLOW_REMOTE=true", "127.0.0.1"],
    ),
    Case::new(
        "A secret of the bus that can be guessed",
        Settings("bus_secret = \"short\""),
        &["tickhost.toml:1: bus_secret", "16 to 255 bytes, and has 5"],
    ),
    Case::new(
        "A Unix socket of the bus in a folder that is not there",
        Settings("bus_socket = \"sockets/bus.sock\""),
        &["tickhost.toml:1: bus_socket", "its folder does not exist"],
    ),
    Case::new(
        "An address of another machine",
        Settings("allow_remote = true\nwebsocket_host = \"192.0.2.1\""),
        &["tickhost.toml:2: websocket_host", "192.0.2.1", "no address of this machine"],
    ),
];

pub(super) const TLS: &[Case] = &[
    Case::new(
        "A certificate without its key",
        Settings("tls_cert = \"certificate.pem\""),
        &["tickhost.toml:1: tls_cert", "needs TICKHOST_TLS_KEY"],
    ),
    Case::new(
        "A certificate that is not there",
        Settings("tls_cert = \"certificate.pem\"\ntls_key = \"key.pem\""),
        &["tickhost.toml:1: tls_cert", "DIR/certificate.pem", "no such file"],
    ),
    Case::new(
        "A key of another certificate",
        By(|bench| {
            certificate(bench, 2020, 2099);
            let key = KeyPair::generate().unwrap().serialize_pem();
            bench.bytes("key.pem", "the key of another certificate", key);
            bench.refused();
        }),
        &["DIR/certificate.pem and DIR/key.pem", "the key is not the certificate's"],
    ),
    Case::new(
        "A certificate that has expired",
        By(|bench| {
            certificate(bench, 2019, 2020);
            bench.warned();
            bench.start();
            bench.logged("Setting needs attention");
        }),
        &["warning", "WARN", "DIR/certificate.pem", "2020-01-02", "expired"],
    ),
    Case::new(
        "A certificate that is not valid yet",
        By(|bench| {
            certificate(bench, 2098, 2099);
            bench.warned();
        }),
        &["warning", "DIR/certificate.pem", "2098-01-02", "not valid before"],
    ),
    Case::new(
        "An empty certificate",
        By(|bench| {
            certificate(bench, 2020, 2099);
            bench.shell(": > certificate.pem");
            bench.refused();
        }),
        &["tls_cert", "DIR/certificate.pem", "no certificate in PEM form"],
    ),
    Case::new(
        "The certificate where the key should be",
        By(|bench| {
            certificate(bench, 2020, 2099);
            bench.shell("cp certificate.pem key.pem");
            bench.refused();
        }),
        &["tls_key", "DIR/key.pem", "no private key in PEM form"],
    ),
    Case::new(
        "A key that this user may not read",
        ByNobody(|bench| {
            certificate(bench, 2020, 2099);
            bench.shell("chmod 000 key.pem");
            bench.refused();
        }),
        &["tls_key", "DIR/key.pem", "may not read it"],
    ),
    Case::new(
        "A key that everybody can read",
        By(|bench| {
            certificate(bench, 2020, 2099);
            bench.shell("chmod 644 key.pem");
            bench.warned();
        }),
        &["warning", "DIR/key.pem", "chmod o="],
    ),
];

/// The port of this flag is another program's.
fn taken(bench: &mut Bench, flag: &str) {
    let port = bench.taken_port().port().to_string();
    bench.refused_with(&[flag, &port]);
}

/// A certificate for these years with its key, and the settings that name them.
pub(super) fn certificate(bench: &mut Bench, from: i32, to: i32) {
    let (certificate, key) = pem(from, to);
    let what = format!("a certificate for localhost, from {from}-01-02 to {to}-01-02");
    bench.bytes("certificate.pem", &what, certificate);
    bench.bytes("key.pem", "its key", key);
    bench.settle("chmod 600 key.pem");
    bench.file("tickhost.toml", "tls_cert = \"certificate.pem\"\ntls_key = \"key.pem\"");
}

/// One with a key of its own.
pub(super) fn another_certificate() -> String {
    pem(2020, 2099).0
}

/// A certificate and its key, as files have them.
fn pem(from: i32, to: i32) -> (String, String) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 2);
    params.not_after = date_time_ymd(to, 1, 2);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
