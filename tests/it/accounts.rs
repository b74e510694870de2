//! Users, keys and accounts, managed while the host runs.

use std::time::{Duration, Instant};

use integration_tests::{Client, Host, host::assert_ok};
use serde_json::json;

#[tokio::test]
async fn a_revoked_key_closes_its_connections_within_a_second() {
    let host = Host::start();
    let key = host.add_user("alice", "sim");
    let mut alice = Client::login(host.websocket, &key).await;
    let mut other = Client::login(host.websocket, &host.key()).await;
    other.subscribe(&["NSE:SBIN"], "LTP").await;
    let listed = host.run(&["key", "list", "--json"], "");
    assert_ok(&listed);
    let keys: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("a list in JSON");
    let id = keys.as_array().unwrap().iter().find(|key| key["user"] == "alice").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ok(&host.run(&["key", "revoke", &id], ""));
    let revoked = Instant::now();
    assert_eq!(alice.closed().await.map(|(code, _)| code), Some(4403));
    assert!(revoked.elapsed() < Duration::from_secs(1), "{:?}", revoked.elapsed());
    other.tick().await;
    let mut again = Client::connect(host.websocket).await;
    assert_eq!(again.authenticate(&key).await["code"], "AUTHENTICATION_ERROR");
}

#[tokio::test]
async fn two_users_have_two_feeds_of_the_same_symbol() {
    let host = Host::start();
    let (alice, bob) = (host.add_user("alice", "sim"), host.add_user("bob", "sim"));
    let mut alice = Client::login(host.websocket, &alice).await;
    let mut bob = Client::login(host.websocket, &bob).await;
    for client in [&mut alice, &mut bob] {
        client.subscribe(&["NSE:SBIN"], "LTP").await;
        client.tick().await;
    }
    let feeds = host.status().await["feeds"].as_array().unwrap().clone();
    let mut users: Vec<&str> = feeds.iter().filter_map(|feed| feed["user"].as_str()).collect();
    users.sort_unstable();
    assert_eq!(users, ["alice", "bob"], "{feeds:?}");
}

#[tokio::test]
async fn a_user_without_an_account_is_told_so_and_served_once_it_is_there() {
    let host = Host::start();
    assert_ok(&host.run(&["user", "add", "carol"], ""));
    let created = host.run(&["key", "create", "carol"], "");
    let key = String::from_utf8_lossy(&created.stdout).lines().last().unwrap().trim().to_owned();
    let mut carol = Client::connect(host.websocket).await;
    let refused = carol.authenticate(&key).await;
    assert_eq!(
        (&refused["code"], &refused["message"]),
        (&json!("BROKER_ERROR"), &json!("No broker configuration found for user"))
    );
    carol.send(&json!({"action": "subscribe", "symbol": "SBIN", "exchange": "NSE", "mode": 1})).await;
    assert_eq!(carol.control().await["message"], "Broker adapter not found");
    assert_ok(&host.run(&["account", "set", "carol", "sim"], "{}"));
    assert_eq!(carol.authenticate(&key).await["status"], "success");
    assert_eq!(carol.subscribe(&["NSE:SBIN"], "LTP").await["status"], "success");
}

#[cfg(unix)]
#[tokio::test]
async fn a_key_of_a_restored_backup_is_revoked_in_the_running_host() {
    let host = Host::start();
    let key = host.add_user("alice", "sim");
    let database = host.data_dir().join("tickhost.db");
    // As `sqlite3 tickhost.db ".backup FILE"` makes one.
    let backup = host.data_dir().join("backup.db");
    let live = rusqlite::Connection::open(&database).unwrap();
    live.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    drop(live);
    std::fs::set_permissions(&backup, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::rename(&backup, &database).unwrap();
    let mut alice = Client::login(host.websocket, &key).await;
    let id = key.split('_').nth(1).unwrap();
    let said = host.run(&["key", "revoke", id], "");
    assert_ok(&said);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("The running host has seen it"), "{said}");
    assert_eq!(alice.closed().await.map(|(code, _)| code), Some(4403));
    let mut again = Client::connect(host.websocket).await;
    assert_eq!(again.authenticate(&key).await["code"], "AUTHENTICATION_ERROR");
}
