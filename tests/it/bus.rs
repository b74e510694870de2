//! Publishers on the bus, and accounts that are fed by them.

use std::time::Duration;

use integration_tests::{Client, Host, bus::Publisher};
use serde_json::{Value, json};

/// A client at the bus broker, subscribed to `name`, and a publisher that reaches it: the first tick is
/// repeated until the subscription of the host came through.
async fn connected(host: &Host, name: &str, mode: &str, topic: &str, first: &Value) -> (Client, Publisher) {
    let key = host.add_user("bob", "bus");
    let mut client = Client::login(host.websocket, &key).await;
    let ack = client.subscribe(&[name], mode).await;
    assert_eq!(ack["status"], "success", "{ack}");
    let mut publisher = Publisher::connect(host.bus).await;
    let arrived = async {
        loop {
            publisher.send(topic, first).await;
            if client.next_within(Duration::from_millis(50)).await.is_some() {
                break;
            }
        }
    };
    tokio::time::timeout(integration_tests::SOON, arrived).await.expect("the first tick arrives");
    (client, publisher)
}

#[tokio::test]
async fn what_is_published_reaches_its_subscribers_normalised() {
    let host = Host::start();
    let first = json!({"ltp": 1.0, "timestamp": 1});
    let (mut client, mut publisher) = connected(&host, "NSE:SBIN", "Quote", "NSE_SBIN_QUOTE", &first).await;
    publisher
        .send(
            "NSE_SBIN_QUOTE",
            &json!({"symbol": "NSE:SBIN-EQ", "ltp": 625.5, "volume": 1_500_000.0, "last_quantity": 10, "oi": null,
                    "average_price": 621.4, "timestamp": 1_705_294_800, "open": 620}),
        )
        .await;
    let tick = client.find(|tick| tick["data"]["ltp"] == 625.5).await;
    let data = &tick["data"];
    assert_eq!(
        (&tick["symbol"], &data["symbol"], &tick["broker"]),
        (&json!("SBIN"), &json!("SBIN"), &json!("bus"))
    );
    assert_eq!(data["timestamp"], 1_705_294_800_000_u64);
    assert!(data["volume"].is_u64() && data["volume"] == 1_500_000);
    assert_eq!((&data["last_trade_quantity"], &data["avg_trade_price"]), (&json!(10), &json!(621.4)));
    assert!(data.get("oi").is_none() && data.get("high").is_none());
}

#[tokio::test]
async fn symbols_and_exchanges_with_underscores_are_told_apart() {
    let host = Host::start();
    let first = json!({"ltp": 1.0});
    let (mut client, mut publisher) =
        connected(&host, "NSE_INDEX:NIFTY", "LTP", "NSE_INDEX_NIFTY_LTP", &first).await;
    client.subscribe(&["CRYPTO:SOL_INR"], "LTP").await;
    publisher.send("CRYPTO_SOL_INR_LTP", &json!({"ltp": 77.0})).await;
    let tick = client.find(|tick| tick["data"]["ltp"] == 77.0).await;
    assert_eq!((&tick["exchange"], &tick["symbol"]), (&json!("CRYPTO"), &json!("SOL_INR")));
}

#[tokio::test]
async fn malformed_messages_are_counted_and_the_next_good_one_arrives() {
    let host = Host::start();
    let (mut client, mut publisher) =
        connected(&host, "NSE:SBIN", "LTP", "NSE_SBIN_LTP", &json!({"ltp": 1.0})).await;
    for body in
        ["", "{", "[]", "null", "{\"ltp\":\"x\"}", "{\"ltp\":1e999}", "\u{fffd}", "{\"ltp\":[[[[]]]]}"]
    {
        publisher.send_raw(vec![b"NSE_SBIN_LTP".to_vec(), body.as_bytes().to_vec()]).await;
    }
    publisher.send_raw(vec![b"NSE_SBIN_LTP".to_vec()]).await;
    publisher.send_raw(vec![vec![0xff, 0xfe], b"{}".to_vec()]).await;
    publisher.send("NSE_SBIN_LTP", &json!({"ltp": 42.0})).await;
    let tick = client.find(|tick| tick["data"]["ltp"] == 42.0).await;
    assert_eq!(tick["symbol"], "SBIN");
}

#[tokio::test]
async fn a_bad_value_costs_itself_and_the_operator_sees_it() {
    let host = Host::start();
    let first = json!({"ltp": 1.0});
    let (mut client, mut publisher) = connected(&host, "NSE:SBIN", "Quote", "NSE_SBIN_QUOTE", &first).await;
    let body =
        r#"{"ltp":102.5,"oi":NaN,"high":-Infinity,"volume":0.35015176,"low":true,"open":101,"close":1e999}"#;
    publisher.send_raw(vec![b"NSE_SBIN_QUOTE".to_vec(), body.as_bytes().to_vec()]).await;
    let tick = client.find(|tick| tick["data"]["ltp"] == 102.5).await;
    assert_eq!(tick["data"]["open"], 101.0);
    for absent in ["oi", "high", "volume", "low", "close"] {
        assert!(tick["data"].get(absent).is_none(), "{absent}: {tick}");
    }
    let batch = r#"[{"exchange":"NSE","symbol":"A","ltp":NaN},"x",{"exchange":"NSE","symbol":"SBIN","ltp":103.5,"oi":Infinity}]"#;
    publisher.send_raw(vec![b"NSE_BATCH_QUOTE".to_vec(), batch.as_bytes().to_vec()]).await;
    client.find(|tick| tick["data"]["ltp"] == 103.5).await;
    // Counted by the time that the tick behind it is there.
    publisher.send("NSE_SBIN_QUOTE", &json!({"ltp": 104.5})).await;
    client.find(|tick| tick["data"]["ltp"] == 104.5).await;
    let counted = &host.status().await["bus"]["malformed"];
    let expected = [("not_finite", 4), ("fraction", 1), ("number", 2), ("element", 2), ("json", 0)];
    for (outcome, count) in expected {
        assert_eq!(counted[outcome], count, "{outcome}: {counted}");
    }
    let metrics = host.get("/metrics").await.body;
    let line = "tickhost_bus_events_total{area=\"malformed\",outcome=\"not_finite\"} 4";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn a_book_that_is_empty_or_cannot_be_shown_stands_beside_no_new_price() {
    let host = Host::start();
    let level = |price: f64, quantity: f64| json!({"price": price, "quantity": quantity, "orders": 1});
    let book = |ltp: f64, buy: Value, sell: Value| json!({"ltp": ltp, "depth": {"buy": buy, "sell": sell}});
    let whole = |ltp: f64| book(ltp, json!([level(99.0, 5.0)]), json!([level(101.0, 7.0)]));
    let (mut client, mut publisher) =
        connected(&host, "CRYPTO:BTC", "Depth", "CRYPTO_BTC_DEPTH", &whole(100.0)).await;
    for (ltp, body, bids) in [
        (100.5, whole(100.5), 1),
        (101.0, book(101.0, json!([level(99.0, 1.9)]), json!([])), 0),
        (101.5, whole(101.5), 1),
        (102.0, book(102.0, json!([]), json!([])), 0),
        (102.5, whole(102.5), 1),
    ] {
        publisher.send("CRYPTO_BTC_DEPTH", &body).await;
        let tick = client.find(|tick| tick["data"]["ltp"] == ltp).await;
        let depth = &tick["data"]["depth"];
        assert_eq!(depth["buy"].as_array().map(Vec::len), Some(bids), "{tick}");
        assert_eq!(depth["sell"].as_array().map(Vec::len), Some(bids), "{tick}");
    }
    let counted = &host.status().await["bus"]["malformed"];
    assert_eq!((&counted["book"], &counted["fraction"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn order_updates_reach_the_user_who_asked_and_nobody_else() {
    let host = Host::start();
    let first = json!({"ltp": 1.0});
    let (mut bob, mut publisher) = connected(&host, "NSE:SBIN", "LTP", "NSE_SBIN_LTP", &first).await;
    let alice_key = host.add_user("alice_x", "bus");
    let mut alice = Client::login(host.websocket, &alice_key).await;
    for client in [&mut bob, &mut alice] {
        client.send(&json!({"action": "subscribe_orders"})).await;
        client.find(|message| message["type"] == "subscribe_orders").await;
    }
    let update = |user: &str| {
        json!({"type": "order_update", "user_id": user, "mode": "live", "broker": "upstox", "orderid": user,
               "symbol": "NHPC", "price": null})
    };
    publisher.send("UPSTOX_alice_x_orders", &update("alice_x")).await;
    publisher.send("UPSTOX_bob_orders", &update("bob")).await;
    let mine = bob.find(|message| message["type"] == "order_update").await;
    let mut expected = update("bob");
    expected["broker"] = json!("bus");
    assert_eq!(mine, expected, "as it was published, but for the broker, which is the host's word");
    let hers = alice.find(|message| message["type"] == "order_update").await;
    assert_eq!(hers["orderid"], "alice_x");
    assert!(hers["price"].is_null(), "nulls are passed through");
}

/// Adapters of OpenAlgo publish one price under all modes, in ascending order.
#[tokio::test]
async fn a_price_published_under_every_mode_reaches_the_clients_of_each() {
    let host = Host::start();
    let first = json!({"ltp": 1.0});
    let (mut client, mut publisher) =
        connected(&host, "NSE_INDEX:NIFTY", "LTP", "NSE_INDEX_NIFTY_LTP", &first).await;
    for mode in ["Quote", "Depth"] {
        assert_eq!(client.subscribe(&["NSE_INDEX:NIFTY"], mode).await["status"], "success");
    }
    let depth = json!({"buy": [{"price": 1.0, "quantity": 1}], "sell": []});
    let mut price = 24_500.0;
    for order in [["LTP", "QUOTE", "DEPTH"], ["DEPTH", "QUOTE", "LTP"], ["QUOTE", "DEPTH", "LTP"]] {
        for _ in 0..30 {
            price += 0.25;
            for mode in order {
                let mut body = json!({"ltp": price});
                if mode == "DEPTH" {
                    body["depth"] = depth.clone();
                }
                publisher.send(&format!("NSE_INDEX_NIFTY_{mode}"), &body).await;
            }
            let mut missing = vec![1, 2, 3];
            while !missing.is_empty() {
                let tick = client.find(|tick| tick["data"]["ltp"] == price).await;
                missing.retain(|mode| tick["mode"] != *mode);
            }
        }
    }
}
