//! Log-ins with the keys of an OpenAlgo database, which cost a hash: after a restart, under a flood of wrong
//! keys, and while another program holds the database.

mod crowd;

use std::time::{Duration, Instant};

use integration_tests::{
    Client, Host,
    openalgo::{self, Stored, key_of},
    wait_until,
};
use rusqlite::Connection;
use serde_json::{Value, json};

fn authenticate(key: &str) -> Value {
    json!({"action": "authenticate", "api_key": key})
}

#[tokio::test]
async fn a_thousand_clients_of_twenty_keys_get_in_after_a_restart() {
    let host = openalgo::host(20, "bus", Stored::CHEAP).0.start();
    let outcome = crowd::restart(host.websocket, 1_000, 20).await;
    assert_eq!((outcome.accepted, outcome.refused.as_slice()), (1_000, &[][..]), "{outcome:?}");
    assert_eq!(host.metric("tickhost_keys_checked_total").await, 20.0);
    let without =
        host.metric("tickhost_keys_joined_total").await + host.metric("tickhost_keys_remembered_total").await;
    assert_eq!(without, 980.0);
}

#[tokio::test]
async fn good_keys_overtake_a_flood_of_wrong_ones_from_the_same_address() {
    const FLOOD: u32 = 300;
    // Where nothing but the hashes can tell, a wrong key costs all of them.
    let stored = Stored { hash_kib: 4_096, ..Stored::CHEAP };
    let host = openalgo::host(24, "bus", stored).0.start();
    let wrong = crowd::wrong_keys(host.websocket, FLOOD).await;
    wait_until("the flood waits", || async {
        host.metric("tickhost_keys_waiting").await + host.metric("tickhost_keys_wrong_total").await
            > f64::from(FLOOD) - 10.0
    })
    .await;
    let before = host.metric("tickhost_keys_checked_total").await;
    let outcome = crowd::newcomers(host.websocket, 24).await;
    assert_eq!((outcome.accepted, outcome.refused.as_slice()), (24, &[][..]), "{outcome:?}");
    let checked = host.metric("tickhost_keys_checked_total").await - before;
    assert!(checked < f64::from(FLOOD) / 2.0, "{checked} keys were looked at before the last good one");
    assert_eq!(host.metric("tickhost_keys_sent_away_total").await, 0.0);
    drop(wrong);
}

#[tokio::test]
async fn a_flood_of_wrong_keys_costs_no_hash_where_keys_are_stored_encrypted_and_ends() {
    const FLOOD: u32 = 100;
    let stored = Stored { is_encrypted: true, ..Stored::CHEAP };
    let host = openalgo::host(24, "bus", stored).0.start();
    let wrong = crowd::wrong_keys(host.websocket, FLOOD).await;
    for mut client in wrong {
        assert_eq!(client.closed().await, Some((4401, "auth timeout".to_owned())));
    }
    let looked_at = host.metric("tickhost_keys_wrong_total").await;
    assert!(looked_at <= f64::from(5 * FLOOD), "of {} wrong keys {looked_at} were looked at", 20 * FLOOD);
    assert!(host.metric("tickhost_keys_closed_total").await > 0.0);
    assert_eq!(host.metric("tickhost_keys_hashes_total").await, 0.0);
    Client::login(host.websocket, &key_of(7)).await;
    assert_eq!(host.metric("tickhost_keys_hashes_total").await, 1.0);
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
    let (host, path) = openalgo::host(2, "sim", Stored::CHEAP);
    let host = host.start();
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
