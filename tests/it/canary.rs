//! Secrets of every kind that the host is told, on every way on which it could lose one, at the most
//! talkative level; then everything that it printed is searched for them.

use std::{
    fs,
    io::Read as _,
    process::{Child, Output, Stdio},
    time::Instant,
};

use integration_tests::{
    Client, Host, HostBuilder, PLUGINS, SOON, host::assert_ok, secrets::Secrets, tls::Certificate, wait_until,
};
use serde_json::json;

/// Secrets from outside, by where they go.
const PEPPER: &str = "canary-pepper-5f0c31d2a97b4e86a1";
const SALT: &str = "canary-salt-90b1c5";
const BROKER_KEY: &str = "canary-broker-key-77aa";
const BROKER_SECRET: &str = "canary-broker-secret-12bd";
const TOKEN: &str = "canary-token-c0ffee00";
const WRONG_KEY: &str = "canary-wrong-key-0123456789abcdef";
const IN_CONFIG: &str = "canary-in-config-4711";
const MISPLACED: &str = "canary-misplaced-8080";

fn all() -> Secrets {
    let secrets = Secrets::default();
    [PEPPER, SALT, BROKER_KEY, BROKER_SECRET, TOKEN, WRONG_KEY, IN_CONFIG, MISPLACED]
        .into_iter()
        .for_each(|secret| secrets.add(secret));
    secrets
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

fn builder(certificate: &Certificate) -> HostBuilder {
    let builder = HostBuilder::new();
    certificate.write(builder.dir());
    let path = |name: &str| builder.dir().join(name).display().to_string();
    let (cert, key, settings) = (path("certificate.pem"), path("key.pem"), path("tickhost.toml"));
    fs::write(&settings, format!("broker_api_secret = '{BROKER_SECRET}'\n")).unwrap();
    builder
        .env("TICKHOST_LOG", "trace")
        .env("TICKHOST_CONFIG", settings)
        .env("TICKHOST_TLS_CERT", cert)
        .env("TICKHOST_TLS_KEY", key)
        .env("API_KEY_PEPPER", PEPPER)
        .env("FERNET_SALT", SALT)
        .env("BROKER_API_KEY", BROKER_KEY)
}

#[tokio::test]
async fn no_secret_is_in_anything_that_a_run_prints() {
    let certificate = Certificate::generate();
    let secrets = all();
    certificate.key_pem.lines().filter(|line| !line.starts_with('-')).for_each(|line| secrets.add(line));
    let host = builder(&certificate).start();
    secrets.add_those_of(&host.data_dir());
    let alice = host.add_user("alice", "sim");
    secrets.add(&alice);
    let mut printed = Vec::new();
    let mut run = |args: &[&str], input: &str| printed.push(said(&host.run(args, input)));

    // Accounts: stored, replaced, refused, asked for.
    let credentials = json!({"access_token": TOKEN}).to_string();
    run(&["account", "set", "alice", "sim"], &credentials);
    run(&["account", "set", "alice", "nobody"], &credentials);
    run(&["account", "set", "nobody", "sim"], &credentials);
    run(&["account", "set", "alice", "sim"], &format!("{{\"access_token\": \"{TOKEN}\""));
    run(&["account", "login", "alice"], TOKEN);
    run(&["account", "status"], "");
    run(&["user", "list"], "");
    run(&["key", "list"], "");
    run(&["adapters"], "");
    run(&["check"], "");
    // A secret in a place that is none for it.
    run(&["run", "--broker-api-key", MISPLACED], "");
    run(&["run", &format!("--broker-api-key={MISPLACED}")], "");
    run(&["key", "revoke", &alice], "");

    // Clients: right and wrong keys, in right and wrong places.
    for key in [alice.as_str(), WRONG_KEY] {
        let mut client = Client::connect_encrypted(host.websocket, &certificate).await.unwrap();
        printed.push(client.authenticate(key).await.to_string());
        client
            .send(&json!({"action": "subscribe", "api_key": key, "symbols": ["NSE:SBIN"], "mode": key}))
            .await;
        printed.push(client.control().await.to_string());
        client.send(&json!({"action": key, "apikey": key})).await;
        // What a client says of itself may come back to it.
        client.control().await;
        client.close().await;
    }

    // Files: mistakes beside secrets, and secrets that are mistakes.
    let settings = host.dir().join("tickhost.toml");
    for text in [
        format!("broker_api_secret = '{MISPLACED}' nonsense\n"),
        format!("broker_api_secret = ['{MISPLACED}', 1]\n"),
        format!("broker_api_secrt = '{MISPLACED}'\n"),
        format!("websocket_port = 1\nbroker_api_secret = '{MISPLACED}'\n"),
    ] {
        fs::write(&settings, text).unwrap();
        host.reload().await;
    }
    for config in [
        format!("api_secret = '{IN_CONFIG}'"),
        format!("api_secret = '{IN_CONFIG}' nonsense"),
        format!("[adapter.config.login]\npassword = '{IN_CONFIG}'"),
    ] {
        fs::write(host.dir().join("plugins.toml"), PLUGINS.replace("seed = 42", &config)).unwrap();
        host.reload().await;
        printed.push(said(&host.run(&["adapters"], "")));
        printed.push(said(&host.run(&["check"], "")));
    }
    fs::write(host.dir().join("key.pem"), &Certificate::generate().key_pem).unwrap();
    host.reload().await;

    for path in ["/status", "/metrics", "/readyz", "/nothing"] {
        printed.push(host.get(path).await.body);
    }
    wait_until("the log has everything", || async { host.messages("Reloaded").len() == 8 }).await;
    assert!(host.log().contains("\"level\":\"DEBUG\""), "the log says all that it can say");
    printed.push(host.log());
    printed.iter().for_each(|text| secrets.assert_absent_everywhere(text));
}

/// A second daemon, whose log is for people.
struct Talker(Child);

impl Drop for Talker {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test]
async fn no_secret_is_in_a_log_for_people() {
    let certificate = Certificate::generate();
    let secrets = all();
    certificate.key_pem.lines().filter(|line| !line.starts_with('-')).for_each(|line| secrets.add(line));
    let host: Host = builder(&certificate).start();
    let data = host.dir().join("other");
    let mut command = host.command(&["run"]);
    command.env("TICKHOST_DATA_DIR", &data).env("TICKHOST_LOG_FORMAT", "text").stdin(Stdio::null());
    let log = host.dir().join("other.log");
    let file = fs::File::create(&log).unwrap();
    command.stdout(file.try_clone().unwrap()).stderr(file);
    let talker = Talker(command.spawn().unwrap());
    let text = || {
        let mut text = String::new();
        fs::File::open(&log).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let started = Instant::now();
    let address = loop {
        let found = text()
            .split_once("Tickhost serves wss://")
            .and_then(|(_, rest)| rest.split_once(';').and_then(|(address, _)| address.parse().ok()));
        if let Some(address) = found {
            break address;
        }
        assert!(started.elapsed() < SOON, "{}", text());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let key = fs::read_to_string(data.join("demo.key")).unwrap();
    secrets.add(key.trim());
    secrets.add_those_of(&data);
    for key in [key.trim(), WRONG_KEY] {
        let mut client = Client::connect_encrypted(address, &certificate).await.unwrap();
        client.authenticate(key).await;
        client.close().await;
    }
    wait_until("the sessions are logged", || async { text().matches("A session has ended").count() == 2 })
        .await;
    drop(talker);
    let text = text();
    assert!(text.contains("DEBUG") && !text.contains('\u{1b}'), "a file gets no colours:\n{text}");
    secrets.assert_absent_everywhere(&text);
    assert_ok(&host.run(&["user", "list"], ""));
}
