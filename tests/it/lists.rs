//! A list of instruments that is incomplete: who says so, who asks for another, and what comes back with it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use integration_tests::{Client, Host, HostBuilder, host::assert_ok, wait_until};
use serde_json::{Value, json};

const TORN: &str = "its list of instruments is incomplete: NFO has 1 of 2 rows (the broker sent a torn list)";

/// A host with one user at a broker whose list is a file.
struct Place {
    host: Host,
    broker: PathBuf,
    key: String,
}

impl Place {
    fn start(isolation: &str, list: &[&str]) -> Self {
        let builder = HostBuilder::new();
        let broker = builder.dir().join("broker");
        fs::create_dir(&broker).unwrap();
        put(&broker, "most", "2");
        put(&broker, "list", &list.join("\n"));
        let library = integration_tests::library("adapter_listed");
        let host = builder
            .env("TICKHOST_THROTTLE_MS", 0)
            .plugins(&format!(
                "[[adapter]]\nname = \"listed\"\nlibrary = \"{}\"\nisolation = \"{isolation}\"\ncalendar = \"always\"\n\
                 [adapter.config]\nbroker = \"{}\"\n",
                library.display(),
                broker.display()
            ))
            .start();
        let key = host.add_user("alice", "listed");
        Self { host, broker, key }
    }

    /// A client that wants to know what becomes of its subscriptions, if it `asks`.
    async fn client(&self, asks: bool) -> Client {
        let mut client = Client::connect(self.host.websocket).await;
        client
            .send(&json!({"action": "authenticate", "api_key": self.key, "subscription_status": asks}))
            .await;
        assert_eq!(client.control().await["status"], "success");
        client
    }

    /// The broker makes another list, which the adapter takes by itself.
    async fn noon(&self, list: &[&str]) {
        put(&self.broker, "list", &list.join("\n"));
        put(&self.broker, "noon", "");
        wait_until("the adapter has taken it", || async { !self.broker.join("noon").exists() }).await;
    }

    async fn feed(&self) -> Value {
        self.host.status().await["feeds"][0].clone()
    }

    async fn is_whole(&self, is_whole: bool) {
        wait_until("the list is as it should be", || async {
            self.feed().await["list"]["is_whole"] == is_whole
        })
        .await;
    }

    async fn readiness(&self) -> (u16, Value) {
        let answer = self.host.get("/readyz").await;
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    fn adapters(&self, args: &[&str]) -> String {
        let output = self.host.run(&[&["adapters"], args].concat(), "");
        assert_ok(&output);
        String::from_utf8(output.stdout).unwrap()
    }
}

fn put(broker: &Path, name: &str, text: &str) {
    // The adapter may look at any moment.
    let new = broker.join(format!("{name}.new"));
    fs::write(&new, text).unwrap();
    fs::rename(new, broker.join(name)).unwrap();
}

/// Reads until this symbol has ticked again.
async fn ticks(client: &mut Client, symbol: &str) {
    client
        .find(|message| {
            message["type"] == "market_data" && message["symbol"] == symbol && message["snapshot"] != true
        })
        .await;
}

async fn subscribe(client: &mut Client, symbols: &[&str]) -> Value {
    let symbols: Vec<String> = symbols.iter().map(|symbol| format!("NFO:{symbol}")).collect();
    client.send(&json!({"action": "subscribe", "symbols": symbols, "mode": 1, "request_id": 7})).await;
    client.find(|message| message["type"] == "subscribe").await
}

/// What the client was told of its subscriptions next, symbol by symbol.
async fn news(client: &mut Client) -> Vec<Value> {
    let frame = client.find(|message| message["type"] == "subscription_status").await;
    assert_eq!(frame["request_id"], 7, "{frame}");
    frame["subscriptions"].as_array().unwrap().clone()
}

async fn what_a_torn_list_takes_comes_back(isolation: &str) {
    let place = Place::start(isolation, &["FUT", "OPT"]);
    let (mut asks, mut plain) = (place.client(true).await, place.client(false).await);
    for client in [&mut asks, &mut plain] {
        assert_eq!(subscribe(client, &["FUT", "OPT"]).await["status"], "success");
        ticks(client, "FUT").await;
        ticks(client, "OPT").await;
    }
    assert_eq!(news(&mut asks).await.len(), 2);
    place.is_whole(true).await;
    assert_eq!(place.readiness().await, (200, json!({"ready": true, "reasons": []})));
    assert_eq!(place.host.metric("tickhost_feed_list_whole").await, 1.0);
    assert_eq!(place.host.metric("tickhost_feed_list_instruments").await, 2.0);

    place.noon(&["FUT"]).await;
    let lost = json!({"symbol": "OPT", "exchange": "NFO", "mode": "LTP", "state": "failed", "code": "SYMBOL_NOT_FOUND",
        "message": "Symbol OPT not found on NFO", "kept": true});
    assert_eq!(news(&mut asks).await, [lost]);
    let told = plain.find(|message| message["type"] == "subscription_status").await;
    assert_eq!(
        told,
        json!({"type": "subscription_status", "symbol": "OPT", "exchange": "NFO", "status": "error", "mode": "LTP",
            "code": "SYMBOL_NOT_FOUND", "message": "Symbol OPT not found on NFO", "broker": "listed", "kept": true})
    );
    place.is_whole(false).await;
    let (status, readiness) = place.readiness().await;
    let reason = json!({"feed": 1, "adapter": "listed", "broker": "listed", "state": "list_incomplete", "message": TORN});
    assert_eq!((status, &readiness["ready"], &readiness["reasons"]), (503, &json!(false), &json!([reason])));
    let feed = place.feed().await;
    assert_eq!(
        (&feed["lost"], &feed["list_trouble"], &feed["state"]),
        (&json!(1), &json!(TORN), &json!("live"))
    );
    let troubles =
        json!([{"segment": "NFO", "rows": 1, "expected": 2, "reason": "the broker sent a torn list"}]);
    assert_eq!((&feed["list"]["troubles"], &feed["list"]["instruments"]), (&troubles, &json!(1)));
    assert!(feed["list"]["fetched_at"].as_u64().is_some_and(|at| at > 1_700_000_000), "{feed}");
    for (metric, wanted) in [
        ("tickhost_feed_list_whole", 0.0),
        ("tickhost_feed_list_troubles", 1.0),
        ("tickhost_feed_instruments_missing", 1.0),
        ("tickhost_feed_instruments_lost_total", 1.0),
    ] {
        assert_eq!(place.host.metric(metric).await, wanted, "{metric}");
    }
    let listed = place.adapters(&[]);
    for wanted in ["1, not whole", TORN, "waits for the list to have 1 of its symbols again"] {
        assert!(listed.contains(wanted), "nothing about {wanted} in: {listed}");
    }
    let account = place.host.run(&["account", "status"], "");
    assert!(String::from_utf8_lossy(&account.stdout).contains(TORN), "{account:?}");
    let said = place.host.messages("A list of instruments is not whole; the broker is asked for another");
    assert_eq!((said.len(), &said[0]["reason"], &said[0]["adapter"]), (1, &json!(TORN), &json!("listed")));
    // Who asks for it now is refused, as the broker does not list it; nor does that end what the others have.
    let mut late = place.client(false).await;
    let answer = subscribe(&mut late, &["OPT"]).await;
    assert_eq!(answer["subscriptions"][0]["code"], "SYMBOL_NOT_FOUND", "{answer}");
    ticks(&mut plain, "FUT").await;

    // The broker has mended its list. Nobody knows until somebody asks.
    put(&place.broker, "list", "FUT\nOPT");
    let said = place.adapters(&["reload", "listed"]);
    assert!(said.contains("Loaded listed") && said.contains("asks the broker for a new list"), "{said}");
    for client in [&mut asks, &mut plain] {
        ticks(client, "OPT").await;
        ticks(client, "FUT").await;
    }
    let active = json!({"symbol": "OPT", "exchange": "NFO", "mode": "LTP", "state": "active"});
    assert_eq!(news(&mut asks).await, [active]);
    place.is_whole(true).await;
    wait_until("it is ready", || async { place.readiness().await.0 == 200 }).await;
    assert_eq!(place.feed().await["lost"], 0);
    assert_eq!(place.host.metric("tickhost_feed_instruments_returned_total").await, 1.0);
    assert_eq!(place.host.messages("The list of instruments is whole again").len(), 1);
    assert_eq!(subscribe(&mut late, &["OPT"]).await["status"], "success");
    ticks(&mut late, "OPT").await;
}

#[tokio::test]
async fn what_a_torn_list_takes_comes_back_by_itself_when_the_list_is_whole() {
    what_a_torn_list_takes_comes_back("process").await;
}

#[tokio::test]
async fn what_a_torn_list_takes_comes_back_within_the_host_too() {
    what_a_torn_list_takes_comes_back("in-process").await;
}

#[tokio::test]
async fn a_list_that_was_torn_from_the_beginning_is_asked_for_by_a_reload() {
    let place = Place::start("process", &["FUT"]);
    let mut client = place.client(false).await;
    let answer = subscribe(&mut client, &["FUT", "OPT"]).await;
    assert_eq!(answer["status"], "partial", "{answer}");
    place.is_whole(false).await;
    put(&place.broker, "list", "FUT\nOPT");
    place.adapters(&["reload", "listed"]);
    place.is_whole(true).await;
    // It was refused, and so is asked for by who wants it.
    assert_eq!(subscribe(&mut client, &["OPT"]).await["status"], "success");
    ticks(&mut client, "OPT").await;
}

#[tokio::test]
async fn an_adapter_that_says_nothing_of_its_list_is_ready_and_has_no_numbers_of_it() {
    // It is built on the ABI alone, as one of an earlier version.
    let host = HostBuilder::new()
        .plugins("[[adapter]]\nname = \"raw\"\nlibrary = \"adapter_raw\"\ncalendar = \"always\"\n")
        .start();
    let mut client = Client::login(host.websocket, &host.add_user("alice", "raw")).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    ticks(&mut client, "SBIN").await;
    assert_eq!(host.get("/readyz").await.status, 200);
    assert_eq!(host.status().await["feeds"][0]["list"], Value::Null);
    assert!(!host.get("/metrics").await.body.contains("tickhost_feed_list_whole{"));
    assert_ok(&host.run(&["adapters", "reload", "raw"], ""));
    ticks(&mut client, "SBIN").await;
}
