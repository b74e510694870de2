//! What clients ask for while a new instance gets ready.

use integration_tests::{Client, wait_until};
use serde_json::json;

use super::place::{Entry, Place, rebuilt, replace, tick_of, ticks_go_on, try_subscribe};

#[tokio::test]
async fn what_is_asked_during_a_swap_holds_after_it() {
    // The new instance takes its time to connect; meanwhile the old one serves.
    let config = "rate_hz = 50.0\n[adapter.config.faults]\nconnect_delay_ms = 2500";
    let place = Place::start(&[Entry::new("sim", "adapter_sim", config)]);
    let mut client = Client::login(place.host.websocket, &place.host.key()).await;
    client.subscribe(&["NSE:SBIN", "NSE:TCS"], "LTP").await;
    ticks_go_on(&mut client).await;
    replace(&place.library("adapter_sim"), &rebuilt("adapter_sim", 1));
    place.wait_for_generation("sim", 2).await;

    assert_eq!(try_subscribe(&mut client, "INFY").await["status"], "success");
    tick_of(&mut client, "INFY").await;
    client.send(&json!({"action": "unsubscribe", "symbol": "TCS", "exchange": "NSE", "mode": 1})).await;
    client.find(|message| message["type"] == "unsubscribe").await;
    let refused = try_subscribe(&mut client, "BAD1").await;
    assert_eq!(refused["status"], "error", "{refused}");
    assert_eq!(place.swaps().await, 0, "the swap was over before anything was asked");

    wait_until("the new instance took over", || async { place.swaps().await == 1 }).await;
    // Whatever comes from here on is the new one's; nothing of what was given up.
    ticks_go_on(&mut client).await;
    let mut seen = [0, 0];
    while seen[0] < 20 || seen[1] < 20 {
        let tick = client.tick().await;
        match tick["symbol"].as_str().unwrap() {
            "SBIN" => seen[0] += 1,
            "INFY" => seen[1] += 1,
            other => panic!("a tick of {other}"),
        }
    }
    let feed = place.feed().await;
    assert_eq!(
        (&feed["instruments"], &feed["disconnects"], &feed["restarts"]),
        (&json!(2), &json!(0), &json!(0))
    );
}
