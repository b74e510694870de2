//! Logging in at a broker: by hand, by the host itself, and what a month of nights costs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use integration_tests::{Client, Host, HostBuilder, host::assert_ok, wait_until};
use serde_json::{Value, json};

/// A host with one user at a broker that is a folder.
struct Place {
    host: Host,
    broker: PathBuf,
    key: String,
}

impl Place {
    fn start(isolation: &str) -> Self {
        let builder = HostBuilder::new();
        let broker = builder.dir().join("broker");
        fs::create_dir(&broker).unwrap();
        put(&broker, "token", "canary-day-0");
        let library = integration_tests::library("adapter_account");
        let host = builder
            .env("TICKHOST_THROTTLE_MS", 0)
            .plugins(&format!(
                "[[adapter]]\nname = \"account\"\nlibrary = \"{}\"\nisolation = \"{isolation}\"\n\
                 [adapter.config]\nbroker = \"{}\"\n",
                library.display(),
                broker.display()
            ))
            .start();
        assert_ok(&host.run(&["user", "add", "alice"], ""));
        let created = host.run(&["key", "create", "alice"], "");
        let key = String::from_utf8_lossy(&created.stdout).lines().last().unwrap().trim().to_owned();
        Self { host, broker, key }
    }

    fn set(&self, credentials: &str) {
        assert_ok(&self.host.run(&["account", "set", "alice", "account"], credentials));
    }

    async fn client(&self) -> Client {
        Client::login_for_feed_status(self.host.websocket, &self.key).await
    }

    /// How often the broker was asked for this.
    fn calls(&self, call: &str) -> usize {
        let calls = fs::read_to_string(self.broker.join("calls")).unwrap_or_default();
        calls.split_inclusive('\n').filter(|line| line.starts_with(call)).count()
    }

    async fn feed(&self) -> Value {
        self.host.status().await["feeds"][0].clone()
    }

    async fn waits_for_login(&self) {
        wait_until("the feed says that it needs a log-in", || async {
            self.feed().await["last_error"]
                .as_str()
                .is_some_and(|error| error.contains("tickhost account login"))
        })
        .await;
    }
}

/// Whole files only: the adapter may read at any moment.
fn put(broker: &Path, name: &str, text: &str) {
    let beside = broker.join(format!("{name}.new"));
    fs::write(&beside, text).unwrap();
    fs::rename(beside, broker.join(name)).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

async fn subscribe(client: &mut Client) {
    client.send(&json!({"action": "subscribe", "symbol": "SBIN", "exchange": "NSE", "mode": 1})).await;
    let answer = client.find(|message| message["type"] == "subscribe").await;
    assert_eq!(answer["status"], "success", "{answer}");
}

async fn becomes(client: &mut Client, state: &str) {
    client.find(|message| message["type"] == "feed_status" && message["state"] == state).await;
}

#[tokio::test]
async fn the_host_logs_in_by_itself_night_after_night_and_no_client_leaves() {
    for isolation in ["process", "in-process"] {
        let place = Place::start(isolation);
        place.set(r#"{"pin": "canary-1234"}"#);
        let mut client = place.client().await;
        subscribe(&mut client).await;
        client.tick().await;
        assert_eq!((place.calls("login"), place.calls("connect canary-day-0")), (1, 1));
        for day in 1..=2 {
            put(&place.broker, "token", &format!("canary-day-{day}"));
            if day == 2 {
                // The second night comes at once: somebody is quicker than the host, which waits longer with
                // each log-in.
                becomes(&mut client, "auth_failed").await;
                let status = place.host.run(&["account", "status"], "");
                assert_eq!(status.status.code(), Some(1), "{}", said(&status));
                let by_hand = place.host.run(&["account", "login", "alice"], "");
                assert_ok(&by_hand);
            }
            wait_until("the new token is accepted", || async {
                place.calls(&format!("connect canary-day-{day}")) == 1
            })
            .await;
            client.tick().await;
        }
        assert!(place.calls("connect canary-day-0") <= 3 && place.calls("connect canary-day-1") <= 3);
        let log = place.host.log();
        assert!(!log.contains("canary"), "{log}");
    }
}

#[tokio::test]
async fn what_only_a_person_knows_is_asked_for_and_wakes_the_feed_at_once() {
    let place = Place::start("process");
    place.set("pin=1234");
    put(&place.broker, "code", "canary-code");
    let mut client = place.client().await;
    subscribe(&mut client).await;
    place.waits_for_login().await;
    // The client may have heard of it before the answer to its request.
    assert_eq!(place.feed().await["state"], "auth_failed");
    let error = place.feed().await["last_error"].as_str().unwrap().to_owned();
    assert!(error.contains("code") && error.contains("tickhost account login alice account"), "{error}");
    let attempts = (place.calls("login"), place.calls("connect"));
    assert_eq!(attempts.0, 0, "without the code the broker was not asked");

    let wrong = place.host.run(&["account", "login", "alice", "account"], "canary-wrong\n");
    assert!(!wrong.status.success());
    let words = said(&wrong);
    assert!(
        words.contains("https://broker.example/code") && words.contains("The code of the page"),
        "{words}"
    );
    assert!(words.contains("refused the PIN [redacted]") && !words.contains("canary"), "{words}");

    let good = place.host.run(&["account", "login", "alice"], "canary-code\n");
    assert_ok(&good);
    assert!(said(&good).contains("access_token") && !said(&good).contains("canary"), "{}", said(&good));
    becomes(&mut client, "live").await;
    client.tick().await;
    assert_eq!(place.calls("connect"), attempts.1 + 1, "once with the new token");
    assert_ok(&place.host.run(&["account", "status", "alice"], ""));
}

#[tokio::test]
async fn a_pin_that_the_broker_refused_is_not_tried_again_before_it_is_changed() {
    let place = Place::start("process");
    place.set(r#"{"pin": "canary-4321"}"#);
    let mut client = place.client().await;
    subscribe(&mut client).await;
    place.waits_for_login().await;
    let error = place.feed().await["last_error"].as_str().unwrap().to_owned();
    assert!(error.contains("refused the PIN [redacted]") && !error.contains("canary"), "{error}");
    // Whatever makes the host look again, such as an account that has nothing to do with it.
    assert_ok(&place.host.run(&["user", "add", "bob"], ""));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(place.calls("login"), 1);
    place.set(r#"{"pin": "1234"}"#);
    becomes(&mut client, "live").await;
    client.tick().await;
    assert_eq!(place.calls("login"), 2);
}

#[tokio::test]
async fn thirty_nights_of_dead_tokens_cost_two_attempts_each_and_no_client() {
    const NIGHTS: usize = 30;
    let place = Place::start("process");
    place.set(r#"{"access_token": "canary-day-0"}"#);
    let mut client = place.client().await;
    subscribe(&mut client).await;
    client.tick().await;
    for night in 1..=NIGHTS {
        put(&place.broker, "token", &format!("canary-day-{night}"));
        becomes(&mut client, "auth_failed").await;
        place.waits_for_login().await;
        place.set(&format!(r#"{{"access_token": "canary-day-{night}"}}"#));
        becomes(&mut client, "live").await;
        client.tick().await;
    }
    for day in 0..NIGHTS {
        let refused = place.calls(&format!("connect canary-day-{day}\n")) - 1;
        assert_eq!(refused, 2, "attempts with the dead token of day {day}");
    }
    assert_eq!(place.calls(&format!("connect canary-day-{NIGHTS}")), 1);
    let feed = place.feed().await;
    assert_eq!((&feed["restarts"], &feed["state"]), (&json!(0), &json!("live")), "{feed}");
}

#[tokio::test]
async fn what_an_account_lacks_is_said_when_it_is_set_and_in_its_status() {
    let place = Place::start("process");
    let set = place.host.run(&["account", "set", "alice", "account"], r#"{"pim": "canary"}"#);
    assert_ok(&set);
    let words = said(&set);
    assert!(
        words.contains("pin is missing") && words.contains("knows no pim; it knows pin, nickname"),
        "{words}"
    );
    let status = place.host.run(&["account", "status", "--json"], "");
    assert_eq!(status.status.code(), Some(1));
    let rows: Value = serde_json::from_slice(&status.stdout).unwrap();
    let row = rows.as_array().unwrap().iter().find(|row| row["user"] == "alice").unwrap();
    assert_eq!((&row["missing"][0], &row["credentials"][0]), (&"pin".into(), &"pim".into()), "{row}");
    assert!(!said(&status).contains("canary"));
}
