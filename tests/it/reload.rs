//! What a running host follows when it is told to, and what it says of the rest.

use std::{fs, path::PathBuf};

use integration_tests::{Client, Host, HostBuilder, PLUGINS, wait_until};
use serde_json::json;

/// A host with a settings file.
fn start(text: &str) -> (Host, PathBuf) {
    let builder = HostBuilder::new();
    let settings = builder.dir().join("tickhost.toml");
    fs::write(&settings, text).unwrap();
    let host = builder.env("TICKHOST_CONFIG", settings.display()).start();
    (host, settings)
}

fn named(host: &Host, message: &str) -> Vec<String> {
    let fields = host.messages(message);
    fields.iter().map(|fields| fields["setting"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn new_clients_have_new_limits_and_old_ones_keep_theirs() {
    let (host, settings) = start("max_subscriptions_per_client = 2\n");
    let key = host.key();
    let names = ["NSE:SBIN", "NSE:TCS", "NSE:INFY"];
    let mut old = Client::login(host.websocket, &key).await;
    fs::write(&settings, "max_subscriptions_per_client = 1\nmax_connections_per_address = 2\n").unwrap();
    assert_eq!(
        host.reload().await,
        json!({"message": "Reloaded", "followed": 2, "waiting": 0, "refused": 0})
    );
    assert_eq!(
        named(&host, "A setting has changed"),
        ["TICKHOST_MAX_CONNECTIONS_PER_ADDRESS", "TICKHOST_MAX_SUBSCRIPTIONS_PER_CLIENT"]
    );
    let granted = |ack: &serde_json::Value| {
        let answers = ack["subscriptions"].as_array().unwrap().clone();
        answers.iter().filter(|answer| answer["status"] == "success").count()
    };
    assert_eq!(granted(&old.subscribe(&names, "LTP").await), 2);
    let mut new = Client::login(host.websocket, &key).await;
    assert_eq!(granted(&new.subscribe(&names, "LTP").await), 1);
    let mut third = Client::connect(host.websocket).await;
    assert_eq!(third.closed().await.map(|(code, _)| code), Some(4431));
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_what_is_unchanged_is_not() {
    let (host, settings) = start("");
    assert_eq!(
        host.reload().await,
        json!({"message": "Reloaded", "followed": 0, "waiting": 0, "refused": 0})
    );
    fs::write(&settings, "throttle_ms = 500\nlog = 'debug'\nmessage_burst = 9\n").unwrap();
    // The environment has a log filter, which wins.
    for _ in 0..2 {
        let reloaded = host.reload().await;
        assert_eq!(reloaded["waiting"], 1, "{reloaded}");
    }
    assert_eq!(
        named(&host, "A setting has changed that only a restart follows"),
        ["TICKHOST_THROTTLE_MS", "TICKHOST_THROTTLE_MS"]
    );
    assert_eq!(named(&host, "A setting has changed"), ["TICKHOST_MESSAGE_BURST"]);
}

#[tokio::test]
async fn a_mistake_changes_nothing_and_is_said() {
    let (host, settings) = start("max_connections = 2\n");
    let _first = Client::login(host.websocket, &host.key()).await;
    fs::write(
        &settings,
        "max_connections = 1\nmessage_burst = 'many'\ntls_cert = 'c.pem'\nbroker_api_key = 'hunter2'\n\
         api_key_pepper = 5 hunter2\n",
    )
    .unwrap();
    let reloaded = host.reload().await;
    assert_eq!((&reloaded["followed"], &reloaded["waiting"]), (&json!(0), &json!(0)), "{reloaded}");
    assert!(reloaded["refused"].as_u64().unwrap() >= 2, "{reloaded}");
    let log = host.log();
    assert!(log.contains("message_burst") && log.contains("TICKHOST_TLS_KEY"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    let mut second = Client::login(host.websocket, &host.key()).await;
    assert_eq!(second.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
}

#[tokio::test]
async fn the_log_follows_its_filter() {
    let builder = HostBuilder::new();
    let settings = builder.dir().join("tickhost.toml");
    fs::write(&settings, "log = 'info'\n").unwrap();
    let host = builder.env("TICKHOST_CONFIG", settings.display()).env("TICKHOST_LOG", "").start();
    let visit = async || {
        let client = Client::login(host.websocket, &host.key()).await;
        client.close().await;
    };
    visit().await;
    fs::write(&settings, "log = 'info,tickhost::clients::session=debug'\n").unwrap();
    assert_eq!(host.reload().await["followed"], 1);
    assert!(host.messages("A session has ended").is_empty());
    visit().await;
    wait_until("the end is logged", || async { !host.messages("A session has ended").is_empty() }).await;
}

#[tokio::test]
async fn adapters_and_the_calendar_are_looked_at_at_once() {
    let builder = HostBuilder::new();
    let calendar = builder.dir().join("calendar.toml");
    fs::write(&calendar, include_str!("../../host/data/calendar.toml")).unwrap();
    let host = builder.env("TICKHOST_CALENDAR", calendar.display()).start();
    fs::write(&calendar, "nonsense").unwrap();
    fs::write(host.dir().join("plugins.toml"), PLUGINS.replace("library", "libary")).unwrap();
    let reloaded = host.reload().await;
    assert_eq!(reloaded["refused"], 1, "{reloaded}");
    assert!(host.status().await["plugins_error"].as_str().unwrap().contains("libary"));
    wait_until("the calendar is refused", || async {
        host.log().contains("The calendar of the exchanges has mistakes")
    })
    .await;
    fs::write(host.dir().join("plugins.toml"), PLUGINS).unwrap();
    assert_eq!(host.reload().await["refused"], 0);
    assert!(host.status().await["plugins_error"].is_null());
}

#[tokio::test]
async fn encryption_is_neither_begun_nor_ended_by_a_reload() {
    let (host, settings) = start("");
    fs::write(&settings, "tls_cert = 'c.pem'\ntls_key = 'k.pem'\n").unwrap();
    assert_eq!(host.reload().await["waiting"], 2);
    Client::login(host.websocket, &host.key()).await.close().await;
}
