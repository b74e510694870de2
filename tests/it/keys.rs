//! Log-ins with the keys of an OpenAlgo database, which cost a hash: after a restart, under a flood of wrong keys, and while
//! another program holds the database.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use futures_util::future::join_all;
use integration_tests::{Client, Host, HostBuilder};
use rusqlite::Connection;
use serde_json::{Value, json};

const PEPPER: &str = "0123456789abcdef0123456789abcdef";

/// A database of OpenAlgo's with these users at this broker, whose hashes cost little, and a host that uses it.
fn start(users: usize, broker: &str) -> (Host, PathBuf) {
    let host = HostBuilder::new();
    let path = host.dir().join("openalgo.db");
    let database = Connection::open(&path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE api_keys (id INTEGER PRIMARY KEY, user_id TEXT, api_key_hash TEXT);
             CREATE TABLE auth (id INTEGER PRIMARY KEY, name TEXT, auth TEXT, feed_token TEXT, broker TEXT,
                                user_id TEXT, is_revoked BOOLEAN)",
        )
        .unwrap();
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
    for user in 0..users {
        let peppered = format!("{}{PEPPER}", key_of(user));
        let hash = cheap.hash_password_with_salt(peppered.as_bytes(), b"0123456789abcdef").unwrap();
        let name = format!("user{user}");
        database
            .execute(
                "INSERT INTO auth (name, auth, broker, is_revoked) VALUES (?1, 'x', ?2, 0)",
                [name.as_str(), broker],
            )
            .unwrap();
        database
            .execute("INSERT INTO api_keys (user_id, api_key_hash) VALUES (?1, ?2)", [name, hash.to_string()])
            .unwrap();
    }
    let url = format!("sqlite:///{}", path.display());
    (host.env("DATABASE_URL", url).env("API_KEY_PEPPER", PEPPER).start(), path)
}

fn key_of(user: usize) -> String {
    format!("key-of-user{user}-0123456789")
}

fn authenticate(key: &str) -> Value {
    json!({"action": "authenticate", "api_key": key})
}

#[tokio::test]
async fn a_thousand_clients_of_twenty_keys_get_in_after_a_restart() {
    let (host, _database) = start(20, "bus");
    let clients = join_all((0..1_000).map(|_| Client::connect(host.websocket))).await;
    let began = Instant::now();
    let answers = clients.into_iter().enumerate().map(|(number, mut client)| async move {
        let answer = client.authenticate(&key_of(number % 20)).await;
        (client, answer)
    });
    for (_, answer) in join_all(answers).await {
        assert_eq!(answer["status"], "success", "{answer} after {:?}", began.elapsed());
    }
    assert_eq!(host.metric("tickhost_keys_checked_total").await, 20.0);
    let without =
        host.metric("tickhost_keys_joined_total").await + host.metric("tickhost_keys_remembered_total").await;
    assert_eq!(without, 980.0);
}

#[tokio::test]
async fn a_flood_of_wrong_keys_refuses_no_good_one_and_ends() {
    let (host, _database) = start(24, "bus");
    let flood = join_all((0..300).map(|number| {
        let address = host.websocket;
        async move {
            let mut client = Client::connect(address).await;
            for attempt in 0..20 {
                client.send(&authenticate(&format!("wrong-{number}-{attempt}"))).await;
            }
            client
        }
    }))
    .await;
    let began = Instant::now();
    let good = join_all((0..24).map(|user| {
        let address = host.websocket;
        async move {
            let answer = Client::connect(address).await.authenticate(&key_of(user)).await;
            (answer, began.elapsed())
        }
    }))
    .await;
    for (answer, took) in good {
        assert_eq!(answer["status"], "success", "{answer}");
        eprintln!("{took:?}");
    }
    for mut client in flood {
        assert_eq!(client.closed().await, Some((4401, "auth timeout".to_owned())));
    }
    let wrong = host.metric("tickhost_keys_wrong_total").await;
    assert!(wrong < 1_500.0, "of 6,000 wrong keys {wrong} were looked at");
    // The others ran into the end of their time.
    assert!(host.metric("tickhost_keys_closed_total").await > 0.0);
    assert_eq!(host.metric("tickhost_keys_sent_away_total").await, 0.0);
}

#[tokio::test]
async fn wrong_keys_make_their_connection_wait_and_then_end_it() {
    let host = Host::start();
    let mut client = Client::connect(host.websocket).await;
    let began = Instant::now();
    let mut waits = Vec::new();
    for number in 0..4 {
        let answer = client.authenticate(&format!("wrong-{number}")).await;
        assert_eq!((&answer["code"], answer.get("type")), (&json!("AUTHENTICATION_ERROR"), None), "{answer}");
        waits.push(began.elapsed());
    }
    assert!(waits[1] >= Duration::from_millis(500) && waits[2] >= Duration::from_millis(1_500), "{waits:?}");
    client.send(&authenticate("wrong-5")).await;
    assert_eq!(client.closed().await.map(|(code, _)| code), Some(4401));
    // A good key is not made to wait for what others do at its address.
    let began = Instant::now();
    Client::login(host.websocket, &host.key()).await;
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn ticks_and_known_keys_go_on_while_another_program_holds_the_database() {
    let (host, path) = start(2, "sim");
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = Client::login(host.websocket, &key_of(0)).await;
        client.subscribe(&["NSE:SBIN"], "LTP").await;
        client.tick().await;
        clients.push(client);
    }
    let lock = Connection::open(&path).unwrap();
    lock.busy_timeout(Duration::from_secs(5)).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let held = Instant::now();
    // The key that nobody knows yet has to wait for the lock, alone.
    let mut unknown = Client::connect(host.websocket).await;
    unknown.send(&authenticate(&key_of(1))).await;
    let mut slowest = Duration::ZERO;
    while held.elapsed() < Duration::from_secs(3) {
        let began = Instant::now();
        Client::login(host.websocket, &key_of(0)).await;
        for client in &mut clients {
            client.tick().await;
        }
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_millis(1_500), "{slowest:?}");
    assert!(unknown.next_within(Duration::ZERO).await.is_none(), "the lock held up nothing");
    lock.execute_batch("COMMIT").unwrap();
    assert_eq!(unknown.control().await["status"], "success");
}
