//! Adapters come and go: users of their brokers are served, or told why not, on the connections that they
//! have.

use integration_tests::{Client, wait_until};
use serde_json::Value;

use super::place::{Entry, Place, put_library, tick_of, ticks_go_on, try_subscribe};

fn sim() -> Entry {
    Entry::sim_with("NEW0")
}

fn other() -> Entry {
    Entry::new("other", "adapter_faulty", "rate_hz = 50.0").keys("brokers = [\"other\"]")
}

async fn state(client: &mut Client, state: &str) -> Value {
    client.find(|message| message["type"] == "feed_status" && message["state"] == state).await
}

#[tokio::test]
async fn users_of_a_broker_are_served_as_soon_as_its_adapter_is_listed() {
    let place = Place::start(&[sim()]);
    let key = place.host.add_user("alice", "other");
    let mut early = Client::connect(place.host.websocket).await;
    let refused = early.authenticate(&key).await;
    assert!(
        refused["status"] == "error" && refused["message"].as_str().unwrap().contains("no adapter"),
        "{refused}"
    );
    put_library(&place.brokers, "adapter_faulty");
    place.save(&[sim(), other()]);
    place.wait_for_generation("other", 1).await;
    // On the connection that was refused, and on a new one.
    for mut client in [early, Client::connect(place.host.websocket).await] {
        let answer = client.authenticate(&key).await;
        assert_eq!(answer["status"], "success", "{answer}");
        assert_eq!(try_subscribe(&mut client, "SBIN").await["status"], "success");
        ticks_go_on(&mut client).await;
    }
}

#[tokio::test]
async fn clients_outlive_their_adapter_and_are_served_again_when_it_returns() {
    let place = Place::start(&[sim(), other()]);
    let key = place.host.add_user("alice", "other");
    let mut alice = Client::login_for_feed_status(place.host.websocket, &key).await;
    let mut bob = Client::login(place.host.websocket, &place.host.key()).await;
    for client in [&mut alice, &mut bob] {
        assert_eq!(try_subscribe(client, "SBIN").await["status"], "success");
        ticks_go_on(client).await;
    }
    let switched_off = other().keys("brokers = [\"other\"]\nenabled = false");
    for without in [vec![sim()], vec![sim(), switched_off]] {
        place.save(&without);
        let closed = state(&mut alice, "closed").await;
        assert!(closed["message"].as_str().unwrap().contains("serves this broker"), "{closed}");
        let refused = try_subscribe(&mut alice, "TCS").await;
        assert!(
            refused["status"] == "error" && refused.to_string().contains("serves this broker"),
            "{refused}"
        );
        ticks_go_on(&mut bob).await;
        place.save(&[sim(), other()]);
        state(&mut alice, "live").await;
        tick_of(&mut alice, "SBIN").await;
        assert_eq!(try_subscribe(&mut alice, "INFY").await["status"], "success");
        tick_of(&mut alice, "INFY").await;
    }
    wait_until("both feeds are live", || async {
        let status = place.host.status().await;
        status["feeds"].as_array().unwrap().iter().all(|feed| feed["state"] == "live")
    })
    .await;
}
