//! Where the broker allows one session, the old instance ends before the new one begins, and returns when
//! that fails.

use std::fs;

use integration_tests::{Client, HostBuilder, wait_until};
use serde_json::json;

use super::{
    place::{Entry, ISOLATIONS, Place, rebuilt, replace, tick_of, ticks_go_on},
    venue::Venue,
};

const LIBRARY: &str = "adapter_single";

fn entry(venue: &Venue, isolation: &str, more: &str) -> Entry {
    let config = format!("venue = \"{}\"\n{more}", venue.address);
    Entry::new("acme", LIBRARY, &config).keys(&format!("isolation = \"{isolation}\"\nbrokers = [\"sim\"]"))
}

async fn start(venue: &Venue, isolation: &str) -> (Place, Client) {
    let place = Place::start(&[entry(venue, isolation, "")]);
    let client = login(&place).await;
    (place, client)
}

async fn login(place: &Place) -> Client {
    let mut client = Client::login_for_feed_status(place.host.websocket, &place.host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    ticks_go_on(&mut client).await;
    client
}

#[tokio::test]
async fn there_are_never_two_sessions_at_the_broker() {
    for isolation in ISOLATIONS {
        let venue = Venue::start(&["SBIN".to_owned()], 50).await;
        let (place, mut client) = start(&venue, isolation).await;
        for build in 1..=2 {
            replace(&place.library(LIBRARY), &rebuilt(LIBRARY, build));
            wait_until("the next session", || async { venue.connections().0 == build + 1 }).await;
            ticks_go_on(&mut client).await;
        }
        // Without a pause between two reloads, and between an end and a beginning.
        for _ in 0..2 {
            assert_eq!(place.adapters(&["reload", "acme"]).0, Some(0));
        }
        place.save(&[]);
        client.find(|message| message["type"] == "feed_status" && message["state"] == "closed").await;
        place.save(&[entry(&venue, isolation, "")]);
        client.find(|message| message["type"] == "feed_status" && message["state"] == "live").await;
        tick_of(&mut client, "SBIN").await;
        ticks_go_on(&mut client).await;
        assert_eq!(venue.connections().2, 1, "{isolation}: most sessions at a time");
    }
}

#[tokio::test]
async fn a_session_that_hangs_is_gone_before_the_next_one_begins() {
    let venue = Venue::start(&["SBIN".to_owned(), "TCS".to_owned()], 50).await;
    let builder = HostBuilder::new().env("TICKHOST_SHUTDOWN_SECONDS", 2);
    let trigger = builder.dir().join("hang");
    let fault = format!("fault = \"sleep_in_next\"\ntrigger = \"{}\"", trigger.display());
    let mut adapter = entry(&venue, "process", &fault);
    adapter.keys = format!("{}\nwritable = [{:?}]", adapter.keys, builder.dir());
    let place = Place::start_with(builder, &[adapter]);
    let mut client = login(&place).await;
    fs::write(&trigger, "").unwrap();
    wait_until("it hangs", || async { !trigger.exists() }).await;
    // The second one finds no instance to end, only one that is ending.
    for _ in 0..2 {
        assert_eq!(place.adapters(&["reload", "acme"]).0, Some(0));
    }
    // What clients ask for while there is no instance is there when the next one is.
    client.send(&json!({"action": "unsubscribe", "symbol": "SBIN", "exchange": "NSE", "mode": 1})).await;
    client.find(|message| message["type"] == "unsubscribe").await;
    client.send(&json!({"action": "subscribe", "symbols": ["NSE:TCS"], "mode": 1})).await;
    assert_eq!(venue.connections().0, 1, "the next session began before anything was asked");
    let answer = client.find(|message| message["type"] == "subscribe").await;
    assert_eq!(answer["status"], "success", "{answer}");
    for _ in 0..20 {
        assert_eq!(client.tick().await["symbol"], "TCS");
    }
    assert_eq!(venue.connections().0, 2);
    assert_eq!(venue.connections().2, 1, "most sessions at a time");
}

#[tokio::test]
async fn a_build_that_does_not_come_up_gives_way_to_the_old_one() {
    let venue = Venue::start(&["SBIN".to_owned()], 50).await;
    let (place, mut client) = start(&venue, "process").await;
    place.save(&[entry(&venue, "process", "fault = \"exit\"")]);
    wait_until("the failure is counted", || async { place.feed().await["counters"]["swaps_failed"] == 1 })
        .await;
    client
        .find(|message| {
            message["type"] == "feed_status"
                && message["state"] == "live"
                && message["message"].as_str().unwrap().contains("the old one serves")
        })
        .await;
    ticks_go_on(&mut client).await;
    assert_eq!(venue.connections().2, 1, "most sessions at a time");
    let (_, said) = place.adapters(&[]);
    assert!(said.contains("the new build did not take over"), "{said}");
    // The one that serves is the old one: it goes on, and a good build still follows.
    place.save(&[entry(&venue, "process", "rate_hz = 10.0")]);
    place.wait_for_generation("acme", 3).await;
    wait_until("the session after the old one's, the failed one's and the old one's", || async {
        venue.connections().0 == 4
    })
    .await;
    ticks_go_on(&mut client).await;
    let feed = place.feed().await;
    assert!(feed["counters"]["swaps_failed"] == 1 && feed["last_error"].is_null(), "{feed}");
}
