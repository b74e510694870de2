//! Publishers that mean harm: what reaching the bus does not allow.

use std::{net::SocketAddr, time::Duration};

use integration_tests::{Client, Host, HostBuilder, bus::Publisher, wait_until};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const USER: &str = "demo";

fn invalidation(user: &str) -> (String, Value) {
    let body = json!({"action": "invalidate", "user_id": user, "cache_type": "ALL"});
    (format!("CACHE_INVALIDATE_ALL_{user}"), body)
}

async fn bus_count(host: &Host, outcome: &str) -> u64 {
    host.status().await["bus"]["message"][outcome].as_u64().expect("a counter of the bus")
}

/// A publisher whose messages reach the host.
async fn heard(host: &Host) -> Publisher {
    let mut publisher = Publisher::connect(host.bus).await;
    let arrives = async {
        while bus_count(host, "received").await == 0 {
            publisher.send("NSE_NOTHING_LTP", &json!({"ltp": 1})).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(integration_tests::SOON, arrives).await.expect("the bus subscribes");
    publisher
}

#[tokio::test]
async fn invalidations_of_anybody_connect_nothing_and_leave_nothing_behind() {
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    let mut publisher = heard(&host).await;
    let memory = host.memory_bytes();
    let (topic, unknown) = invalidation("nobody-of-this-name");
    let (_, known) = invalidation(USER);
    for _ in 0..20_000 {
        publisher.send(&topic, &unknown).await;
        publisher.send(&topic, &known).await;
    }
    wait_until("the last message has come", || async {
        let named = [bus_count(&host, "invalidation").await, bus_count(&host, "invalidation_pending").await];
        bus_count(&host, "invalidation_unknown").await == 20_000 && named.iter().sum::<u64>() == 20_000
    })
    .await;
    let looks = bus_count(&host, "invalidation").await;
    assert!((1..=20).contains(&looks), "looked {looks} times");
    let feed = &host.status().await["feeds"][0];
    assert_eq!(
        (&feed["state"], &feed["disconnects"], &feed["restarts"]),
        (&json!("live"), &json!(0), &json!(0))
    );
    assert!(host.messages("Connecting again with new credentials").is_empty());
    assert!(host.messages("Publishers say that credentials changed; looking at them").len() <= 10);
    let grown = host.memory_bytes().saturating_sub(memory);
    assert!(grown < 32 * 1_024 * 1_024, "{grown} bytes more");
    for _ in 0..3 {
        assert_eq!(client.tick().await["symbol"], "SBIN");
    }
}

#[tokio::test]
async fn new_credentials_reach_a_feed_in_the_middle_of_a_flood_of_invalidations() {
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    client.tick().await;
    let mut publisher = heard(&host).await;
    let (topic, body) = invalidation(USER);
    let flood = tokio::spawn(async move {
        loop {
            publisher.send(&topic, &body).await;
            tokio::task::yield_now().await;
        }
    });
    let told = || host.messages("Connecting again with new credentials").len();
    for (number, token) in ["first", "second"].into_iter().enumerate() {
        let credentials = json!({"access_token": token}).to_string();
        integration_tests::host::assert_ok(&host.run(&["account", "set", USER, "sim"], &credentials));
        wait_until("the feed has the credentials", || async { told() == number + 1 }).await;
    }
    for _ in 0..3 {
        assert_eq!(client.tick().await["symbol"], "SBIN");
    }
    assert_eq!(told(), 2, "once for each change");
    flood.abort();
}

/// A client of bob's at the bus that gets order updates, and a publisher that reaches the host.
async fn order_desk(host: &Host) -> (Client, Publisher) {
    let mut client = Client::login(host.websocket, &host.add_user("bob", "bus")).await;
    client.send(&json!({"action": "subscribe_orders"})).await;
    client.find(|message| message["type"] == "subscribe_orders").await;
    let publisher = heard(host).await;
    (client, publisher)
}

#[tokio::test]
async fn a_publisher_cannot_send_another_frame_than_an_order_update_of_the_broker_that_the_host_knows() {
    let host = Host::start();
    let (mut bob, mut publisher) = order_desk(&host).await;
    let forged = r#"{"user_id":"bob","type":"market_data","symbol":"SBIN","exchange":"NSE","mode":1,"broker":"zerodha",
        "data":{"ltp":1.0},"Type":"auth","\u0074ype":"market_data"}"#;
    let nested = format!(r#"{{"user_id":"bob","x":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let long = format!(r#"{{"user_id":"bob","x":"{}"}}"#, "x".repeat(17 * 1_024));
    for body in
        [&nested, &long, r#"{"user_id":"bob","x":"\ud800"}"#, r#"{"user_id":"bob","x":1e999}"#, forged]
    {
        publisher.send_raw(vec![b"U_bob_orders".to_vec(), body.as_bytes().to_vec()]).await;
    }
    publisher.send("U_nobody_orders", &json!({"user_id": "nobody"})).await;
    let frame = bob.next().await;
    let head = [&frame["type"], &frame["user_id"], &frame["broker"], &frame["mode"]];
    assert_eq!(head, [&json!("order_update"), &json!("bob"), &json!("bus"), &json!("live")], "{frame}");
    assert!(frame.get("Type").is_none() && frame["data"]["ltp"] == 1.0, "{frame}");
    wait_until("all are counted", || async { bus_count(&host, "order_unknown_user").await == 1 }).await;
    assert_eq!(host.status().await["bus"]["malformed"]["order"], 4);
}

#[tokio::test]
async fn a_flood_of_order_updates_is_dropped_and_the_client_that_does_not_read_stays_and_is_told() {
    let host = HostBuilder::new().env("TICKHOST_CONTROL_BYTES", 256 * 1_024).start();
    let (mut bob, mut publisher) = order_desk(&host).await;
    let body = json!({"user_id": "bob", "orderid": "1", "x": "x".repeat(12 * 1_024)});
    // More than the kernel takes for somebody who does not read.
    for _ in 0..4_000 {
        publisher.send("U_bob_orders", &body).await;
    }
    wait_until("the flood has come", || async {
        let outcomes = [bus_count(&host, "order").await, bus_count(&host, "order_dropped").await];
        outcomes.iter().sum::<u64>() == 4_000
    })
    .await;
    assert!(bus_count(&host, "order_dropped").await > 0);
    // Each is there or said to be missing.
    let forwarded = bus_count(&host, "order").await;
    let (mut updates, mut missed) = (0_u64, 0_u64);
    while updates + missed < forwarded {
        let frame = bob.next().await;
        match frame["type"].as_str() {
            Some("order_update") => updates += 1,
            Some("orders_missed") => missed += frame["missed"].as_u64().expect("a count"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((updates + missed, missed > 0), (forwarded, true));
    let page = host.get("/metrics").await.body;
    assert!(page.contains(&format!("tickhost_server_orders_dropped_total {missed}\n")), "{missed}");
    bob.send(&json!({"action": "ping"})).await;
    bob.find(|frame| frame["type"] == "pong").await;
}

/// What a ZeroMQ publisher says before its first message.
fn opening() -> Vec<u8> {
    let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
    bytes.extend(b"NULL");
    bytes.resize(64, 0);
    bytes.extend(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB");
    bytes
}

async fn raw(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the bus takes connections");
    // It may be closed before everything is written.
    _ = stream.write_all(bytes).await;
    stream
}

async fn guard_count(host: &Host, outcome: &str) -> u64 {
    host.status().await["bus"]["guard"][outcome].as_u64().expect("a counter of the guard")
}

#[tokio::test]
async fn publishers_that_say_nothing_keep_none_off_that_have_something_to_say() {
    let host = Host::start();
    let mut speaking = heard(&host).await;
    let mut silent = Vec::new();
    for number in 0..400 {
        let bytes = if number % 4 == 0 { Vec::new() } else { opening() };
        silent.push(raw(host.bus, &bytes).await);
    }
    wait_until("they have taken every place", || async { guard_count(&host, "displaced").await >= 45 }).await;
    let before = bus_count(&host, "received").await;
    // The one that spoke before them has kept its place, and another finds one.
    speaking.send("NSE_NOTHING_LTP", &json!({"ltp": 2})).await;
    wait_until("it is heard", || async { bus_count(&host, "received").await == before + 1 }).await;
    let mut newcomer = Publisher::connect(host.bus).await;
    let arrives = async {
        while bus_count(&host, "received").await < before + 2 {
            newcomer.send("NSE_OTHER_LTP", &json!({"ltp": 2})).await;
        }
    };
    tokio::time::timeout(integration_tests::SOON, arrives).await.expect("the newcomer is heard");
    assert_eq!(guard_count(&host, "too_many").await, 0);
}

#[tokio::test]
async fn a_flood_of_bad_greetings_is_counted_and_fills_no_log() {
    let host = Host::start();
    let before = host.log().len();
    for _ in 0..1_000 {
        let mut stream = raw(host.bus, b"GET / HTTP/1.1\r\n\r\n").await;
        // The host closes it.
        _ = stream.read_to_end(&mut Vec::new()).await;
    }
    wait_until("all are counted", || async { guard_count(&host, "handshake").await == 1_000 }).await;
    let written = host.log().len() - before;
    assert!(written < 8 * 1_024, "{written} bytes of log");
    assert!(!host.messages("Closed the connection of a publisher").is_empty());
}

#[tokio::test]
async fn one_user_does_not_take_all_symbols_of_the_bus() {
    let host = HostBuilder::new().env("TICKHOST_BUS_SYMBOLS", 1_000).start();
    let mut taken = Vec::new();
    let mut clients = Vec::new();
    for user in ["alice", "bob"] {
        let mut client = Client::login(host.websocket, &host.add_user(user, "bus")).await;
        let names: Vec<String> = (0..1_000).map(|number| format!("NSE:{user}{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let ack = client.subscribe(&names, "LTP").await;
        let entries = ack["subscriptions"].as_array().expect("an entry for each");
        let refused = entries.iter().find(|entry| entry["status"] != "success").expect("not all of them");
        assert_eq!(refused["code"], "MAX_CAPACITY_REACHED", "{refused}");
        assert!(refused["message"].as_str().unwrap().contains("TICKHOST_BUS_SYMBOLS"), "{refused}");
        taken.push(entries.iter().filter(|entry| entry["status"] == "success").count());
        clients.push(client);
    }
    assert_eq!(taken, [500, 250]);
    assert_eq!(host.metric("tickhost_feed_refused_share_total").await, 1_250.0);
    // What others have is for everybody.
    assert_eq!(clients[1].subscribe(&["NSE:alice1"], "LTP").await["status"], "success");
}
