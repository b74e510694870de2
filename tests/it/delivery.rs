//! Which updates a client gets when it asks for fewer, or for every one.

use std::time::{Duration, Instant};

use integration_tests::{Client, Host, HostBuilder, SOON, bus::Publisher};
use serde_json::{Value, json};

/// Two clients at the bus broker and a publisher that reaches the host.
async fn desk(builder: HostBuilder) -> (Host, Client, Client, Publisher) {
    let host = builder.start();
    let key = host.add_user("bob", "bus");
    let one = Client::login(host.websocket, &key).await;
    let other = Client::login(host.websocket, &key).await;
    let publisher = Publisher::connect(host.bus).await;
    (host, one, other, publisher)
}

/// Publishes until the subscription of the host came through.
async fn settle(publisher: &mut Publisher, client: &mut Client) {
    let arrived = async {
        loop {
            publisher.send("NSE_SBIN_QUOTE", &json!({"ltp": 1.0, "volume": 0})).await;
            if client.next_within(Duration::from_millis(50)).await.is_some() {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, arrived).await.expect("the first tick arrives");
}

fn number(tick: &Value) -> u64 {
    tick["data"]["volume"].as_u64().expect("a volume")
}

fn ask(option: (&str, Value)) -> Value {
    let mut request = json!({"action": "subscribe", "symbol": "SBIN", "exchange": "NSE", "mode": "Quote"});
    request[option.0] = option.1;
    request
}

async fn acknowledged(client: &mut Client, request: &Value) -> Value {
    client.send(request).await;
    client.control().await
}

#[tokio::test]
async fn a_client_that_asked_for_fewer_updates_gets_the_first_and_then_the_newest() {
    let (host, mut plain, mut rated, mut publisher) =
        desk(HostBuilder::new().env("TICKHOST_THROTTLE_MS", 0)).await;
    let ack = plain.subscribe(&["NSE:SBIN"], "Quote").await;
    assert_eq!(
        ack["subscriptions"],
        json!([{"symbol": "SBIN", "exchange": "NSE", "status": "success", "mode": "Quote", "depth": 5, "broker": "bus"}]),
        "who asks for nothing is told nothing new"
    );
    settle(&mut publisher, &mut plain).await;
    let ack = acknowledged(&mut rated, &ask(("max_rate", json!(4)))).await;
    assert_eq!(ack["subscriptions"][0]["max_rate"], 4, "{ack}");
    assert_eq!(rated.tick().await["snapshot"], true);
    let started = Instant::now();
    for volume in 1..=300 {
        publisher.send("NSE_SBIN_QUOTE", &json!({"ltp": 2.0, "volume": volume})).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut seen = vec![number(&rated.tick().await)];
    while seen.last() != Some(&300) {
        seen.push(number(&rated.tick().await));
    }
    let most = started.elapsed().as_secs_f64().mul_add(4.0, 2.0);
    let updates = u32::try_from(seen.len()).unwrap();
    assert!(f64::from(updates) < most, "{updates} updates, at most {most} were asked for");
    assert!(seen.is_sorted(), "{seen:?}");
    let missing: u64 = {
        let mut missing = (1..=300).collect::<std::collections::BTreeSet<u64>>();
        while missing.contains(&300) {
            missing.remove(&number(&plain.tick().await));
        }
        missing.len() as u64
    };
    assert_eq!(missing, 0, "the other client gets every tick");
    assert!(host.metric("tickhost_feed_conflated_max_rate_total").await > 200.0);
    // The same symbol again without the option: everything from now on.
    let ack = acknowledged(&mut rated, &ask(("max_rate", Value::Null))).await;
    assert!(ack["subscriptions"][0].get("max_rate").is_none(), "{ack}");
    for volume in 301..=320 {
        publisher.send("NSE_SBIN_QUOTE", &json!({"ltp": 2.0, "volume": volume})).await;
    }
    for volume in 301..=320 {
        assert_eq!(number(&rated.tick().await), volume);
    }
}

#[tokio::test]
async fn a_rate_above_that_of_the_host_is_told_as_that_of_the_host() {
    let host = HostBuilder::new().env("TICKHOST_THROTTLE_MS", 200).start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    for (asked, applied) in [(json!(100), json!(5)), (json!(2.5), json!(2.5))] {
        let ack = acknowledged(&mut client, &ask(("max_rate", asked))).await;
        assert_eq!(ack["subscriptions"][0]["max_rate"], applied, "{ack}");
    }
    for wrong in [json!(0), json!(-1), json!("5"), json!(1_001), json!([])] {
        let error = acknowledged(&mut client, &ask(("max_rate", wrong))).await;
        assert_eq!(error["code"], "INVALID_PARAMETERS", "{error}");
    }
}

#[tokio::test]
async fn every_tick_arrives_in_order_where_the_policy_allows_it() {
    let builder = HostBuilder::new().env("TICKHOST_THROTTLE_MS", 50).env("TICKHOST_LOSSLESS_FOR", "bob");
    let (host, mut plain, mut lossless, mut publisher) = desk(builder).await;
    plain.subscribe(&["NSE:SBIN"], "Quote").await;
    settle(&mut publisher, &mut plain).await;
    let ack = acknowledged(&mut lossless, &ask(("lossless", json!(true)))).await;
    assert_eq!(ack["subscriptions"][0]["lossless"], true, "{ack}");
    assert_eq!(lossless.tick().await["snapshot"], true);
    for volume in 1..=1_000 {
        publisher.send("NSE_SBIN_QUOTE", &json!({"ltp": 2.0, "volume": volume})).await;
    }
    for volume in 1..=1_000 {
        let frame = lossless.next().await;
        assert_eq!((frame["type"].as_str(), number(&frame)), (Some("market_data"), volume));
    }
    let mut conflated = 0;
    while number(&plain.tick().await) != 1_000 {
        conflated += 1;
    }
    assert!(conflated < 900, "the throttle holds for the others");
    assert!(host.metric("tickhost_feed_lossless_missed_total").await.abs() < 0.5);
    // The sample account is not named in the policy.
    let mut stranger = Client::login(host.websocket, &host.key()).await;
    let error = acknowledged(&mut stranger, &ask(("lossless", json!(true)))).await;
    assert_eq!(error["code"], "INVALID_PARAMETERS");
    assert!(error["message"].as_str().unwrap().contains("TICKHOST_LOSSLESS_FOR"), "{error}");
    let both = json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "lossless": true, "max_rate": 1});
    assert_eq!(acknowledged(&mut lossless, &both).await["code"], "INVALID_PARAMETERS");
}

#[tokio::test]
async fn a_lossless_client_that_falls_too_far_behind_is_told_how_many_it_misses() {
    let builder = HostBuilder::new()
        .env("TICKHOST_THROTTLE_MS", 0)
        .env("TICKHOST_LOSSLESS_FOR", "all")
        .env("TICKHOST_LOSSLESS_FRAMES", 64);
    let (host, mut plain, mut lossless, mut publisher) = desk(builder).await;
    plain.subscribe(&["NSE:SBIN"], "LTP").await;
    settle(&mut publisher, &mut plain).await;
    let request = json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 3, "lossless": true});
    assert_eq!(acknowledged(&mut lossless, &request).await["status"], "success");
    // More than the kernel's buffers take, of frames with a full book.
    let level = json!({"price": 600.05, "quantity": 123_456, "orders": 12});
    let side = json!(vec![level; 50]);
    let mut last = 0;
    while host.metric("tickhost_feed_conflated_outbox_total").await < 1_000.0 {
        for _ in 0..500 {
            last += 1;
            let body = json!({"ltp": 2.0, "volume": last, "depth": {"buy": side, "sell": side}});
            publisher.send("NSE_SBIN_DEPTH", &body).await;
        }
        plain.find(|tick| tick["data"]["ltp"] == 2.0).await;
        assert!(last < 200_000, "the client never fell behind");
    }
    let (mut reached, mut told) = (0, 0);
    while reached < last {
        let frame = lossless.next().await;
        if frame["type"] == "gap" {
            assert_eq!(
                (&frame["symbol"], &frame["exchange"], &frame["mode"]),
                (&json!("SBIN"), &json!("NSE"), &json!("Depth"))
            );
            let missed = frame["missed"].as_u64().unwrap();
            told += missed;
            reached += missed;
        } else {
            reached += 1;
            assert_eq!(number(&frame), reached);
        }
    }
    assert!(told >= 900, "only {told} missing ticks were told");
}
