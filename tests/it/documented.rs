//! `host/asyncapi.yaml` against the samples of the protocol and against a live host, so that it cannot rot:
//! what is not in it fails, and so does what nobody meets.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use integration_tests::{
    Client, Host, HostBuilder, PLUGINS, SOON,
    asyncapi::{Document, Sender},
    bus::Publisher,
};
use serde_json::{Value, json};

/// Name, sample, in the order of names.
fn samples() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/testdata/protocol");
    let mut samples: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let sample: Value = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
            (sample["name"].as_str().unwrap().to_owned(), sample)
        })
        .collect();
    samples.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(samples.len() > 70, "{}", samples.len());
    samples
}

/// Whether the host takes all of it: no error, but that a key comes first, and no entry skipped or refused.
fn is_understood_in_full(sample: &Value) -> bool {
    let expected = &sample["expect"];
    if expected.get("error").is_some() {
        return expected["error"] == "NOT_AUTHENTICATED";
    }
    let sent = &sample["message"];
    let sent = ["symbols", "instruments"].into_iter().find_map(|name| sent[name].as_array());
    let taken = expected["entries"].as_array();
    let is_whole = sent.is_none_or(|sent| taken.is_some_and(|taken| taken.len() == sent.len()));
    is_whole && taken.into_iter().flatten().all(|entry| entry.get("refused").is_none())
}

/// The name of a request in the samples' expectations, in the document's spelling.
fn documented_name(request: &str) -> String {
    match request {
        "broker_info" | "supported_brokers" => documented_name(&format!("get_{request}")),
        "pong" => "clientPong".to_owned(),
        other => {
            let mut name = String::new();
            for word in other.split('_') {
                let mut letters = word.chars();
                let first = letters
                    .next()
                    .map(|letter| if name.is_empty() { letter } else { letter.to_ascii_uppercase() });
                name.extend(first.into_iter().chain(letters));
            }
            name
        }
    }
}

#[test]
fn requests_fit_exactly_when_the_host_understands_them_in_full() {
    let document = Document::of_the_host();
    for (name, sample) in samples().into_iter().filter(|(name, _)| name.starts_with("request_")) {
        let fitting = document.fitting(Sender::Client, &sample["message"]);
        if !is_understood_in_full(&sample) {
            assert_eq!(fitting, Vec::<&str>::new(), "{name} is refused by the host");
            continue;
        }
        let expected = sample["expect"]["request"].as_str().map_or("subscribe".to_owned(), documented_name);
        assert_eq!(fitting, [expected], "{name}");
    }
}

#[test]
fn replies_and_frames_are_one_message_each() {
    let document = Document::of_the_host();
    for (name, sample) in samples().into_iter().filter(|(name, _)| !name.starts_with("request_")) {
        let message = document.the_message(Sender::Host, &sample["message"]);
        let expected = match name.split_once('_').unwrap().1 {
            rest if rest.starts_with("auth_status") => "authStatus",
            rest if rest.starts_with("auth") => "authenticated",
            "subscribe_orders" => "ordersSubscribed",
            "unsubscribe_orders" => "ordersUnsubscribed",
            "orders_missed" => "ordersMissed",
            "subscription_status" | "subscription_status_kept" => "subscriptionFailed",
            "subscription_status_asked" => "subscriptionStatus",
            rest if rest.starts_with("subscribe") => "subscribed",
            rest if rest.starts_with("unsubscribe") => "unsubscribed",
            rest if rest.starts_with("broker_info") => "brokerInfo",
            rest if rest.starts_with("supported") => "supportedBrokers",
            rest if rest.starts_with("feed_status") => "feedStatus",
            rest if rest.starts_with("order_update") => "orderUpdate",
            rest => rest.split('_').next().unwrap(),
        };
        assert_eq!(message, expected, "{name}");
    }
}

#[test]
fn a_frame_with_a_member_too_many_too_few_or_of_another_type_is_noticed() {
    let document = Document::of_the_host();
    let frames = samples().into_iter().filter(|(name, _)| !name.starts_with("request_"));
    for (name, sample) in frames.filter(|(name, _)| name != "frame_order_update") {
        let message = &sample["message"];
        let mut added = message.clone();
        added["unheard_of"] = json!(1);
        assert_eq!(document.fitting(Sender::Host, &added), Vec::<&str>::new(), "{name} with a member more");
        let mut retyped = message.clone();
        let key = if message.get("type").is_some() { "type" } else { "code" };
        retyped[key] = json!("unheard_of");
        assert_eq!(document.fitting(Sender::Host, &retyped), Vec::<&str>::new(), "{name} of another kind");
        if message["type"] == "market_data" {
            let mut zeroed = message.clone();
            zeroed["data"]["volume"] = Value::Null;
            assert_eq!(document.fitting(Sender::Host, &zeroed), Vec::<&str>::new(), "{name} with a null");
            let mut moved = message.clone();
            moved["mode"] = json!(4);
            assert_eq!(document.fitting(Sender::Host, &moved), Vec::<&str>::new(), "{name} in mode 4");
        }
    }
}

#[test]
fn bounds_of_requests_are_those_of_the_host() {
    let document = Document::of_the_host();
    let subscribe = |member: &str, value: Value| {
        let mut request = json!({"action": "subscribe", "symbol": "SBIN", "exchange": "NSE", "mode": 1});
        request[member] = value;
        !document.fitting(Sender::Client, &request).is_empty()
    };
    for (member, largest, too_large) in [
        ("symbol", json!("S".repeat(128)), json!("S".repeat(129))),
        ("exchange", json!("E".repeat(32)), json!("E".repeat(33))),
        ("symbol", json!("M&M"), json!("S\u{7}")),
        ("max_rate", json!(1000), json!(1000.5)),
        ("max_rate", json!(0.01), json!(0.009)),
        ("mode", json!("dEPTH"), json!(0)),
        ("depth", json!(200), json!(-5)),
        ("symbols", json!(vec!["X"; 20_000]), json!(vec!["X"; 20_001])),
    ] {
        assert!(subscribe(member, largest.clone()), "{member}: {largest}");
        assert!(!subscribe(member, too_large.clone()), "{member}: {too_large}");
    }
    let key = |length| {
        let request = json!({"action": "authenticate", "api_key": "k".repeat(length)});
        !document.fitting(Sender::Client, &request).is_empty()
    };
    assert!(key(1_024) && !key(1_025) && !key(0));
}

/// Values of one label of a metric, as the running host shows them.
async fn labels(host: &Host, metric: &str, label: &str) -> BTreeSet<String> {
    let text = host.get("/metrics").await.body;
    let samples = text.lines().filter(|line| line.starts_with(&format!("{metric}{{")));
    samples
        .map(|line| {
            let value = line.split_once(&format!("{label}=\"")).expect("the label").1;
            value.split_once('"').expect("its end").0.to_owned()
        })
        .collect()
}

fn words<'a>(values: impl IntoIterator<Item = &'a Value>) -> BTreeSet<String> {
    values.into_iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn codes_states_and_actions_are_those_that_the_host_counts() {
    let document = Document::of_the_host();
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    let codes = document.value("/components/schemas/errorCode/enum").as_array().unwrap();
    assert_eq!(words(codes), labels(&host, "tickhost_session_errors_total", "code").await);
    let states = document.value("/components/schemas/feedState/enum").as_array().unwrap();
    assert_eq!(words(states), labels(&host, "tickhost_feed_state", "state").await);
    let closes = document.value("/channels/client/x-close-codes").as_array().unwrap();
    assert_eq!(
        words(closes.iter().map(|close| &close["label"])),
        labels(&host, "tickhost_session_closes_total", "reason").await
    );
    let actions = labels(&host, "tickhost_session_requests_total", "action").await;
    let actions: BTreeSet<String> = actions.iter().map(|action| documented_name(action)).collect();
    assert_eq!(actions, document.messages(Sender::Client).map(str::to_owned).collect());
}

#[test]
fn close_codes_are_those_of_the_protocol_document() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/PROTOCOL.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split_once("## Close codes").unwrap().1.split_once("\n## ").unwrap().0;
    let rows = section.lines().filter(|line| line.starts_with('|') && line.contains('`'));
    let promised: BTreeSet<(String, String, &str)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let again = match cells[2] {
                no if no.starts_with("no") => "never",
                now if now.starts_with("at once") => "now",
                _ => "later",
            };
            (cells[0].to_owned(), cells[1].trim_matches('`').to_owned(), again)
        })
        .collect();
    let documented = Document::of_the_host().value("/channels/client/x-close-codes").as_array().unwrap();
    // A close that the client asked for is not in the table.
    let documented = documented.iter().filter(|close| close["code"] != 1000);
    let documented: BTreeSet<_> = documented
        .map(|close| {
            let reason = close["reason"].as_str().unwrap().to_owned();
            (close["code"].to_string(), reason, close["return"].as_str().unwrap())
        })
        .collect();
    assert_eq!(documented, promised);
}

/// A client that notes what it sends and gets.
struct Recorder {
    client: Client,
    met: BTreeSet<String>,
    messages: BTreeSet<String>,
}

impl Recorder {
    async fn connect(host: &Host) -> Self {
        Self {
            client: Client::connect(host.websocket).await,
            met: BTreeSet::new(),
            messages: BTreeSet::new(),
        }
    }

    fn note(&mut self, sender: Sender, value: &Value) -> String {
        let document = Document::of_the_host();
        let message = document.the_message(sender, value).to_owned();
        document.note_members(&message, value, &mut self.met);
        self.messages.insert(message.clone());
        message
    }

    /// Sends a request under `action`, or under `type`.
    async fn send(&mut self, request: &Value) {
        self.note(Sender::Client, request);
        self.client.send(request).await;
    }

    /// Reads until this message has come.
    async fn until(&mut self, message: &str) -> Value {
        let read = async {
            loop {
                let value = self.client.next().await;
                if self.note(Sender::Host, &value) == message {
                    return value;
                }
            }
        };
        tokio::time::timeout(SOON, read).await.unwrap_or_else(|_| panic!("{message} comes in time"))
    }

    /// Sends a request in both its forms, and reads the answer to each.
    async fn ask(&mut self, request: Value, answer: &str) -> Value {
        let mut by_type = request.clone();
        let action = by_type.as_object_mut().unwrap().remove("action").expect("an action");
        by_type["type"] = action;
        self.send(&by_type).await;
        self.until(answer).await;
        self.send(&request).await;
        self.until(answer).await
    }
}

#[tokio::test]
async fn a_live_host_speaks_as_documented_and_every_message_and_member_is_met() {
    let document = Document::of_the_host();
    let host = HostBuilder::new()
        .env("TICKHOST_LOSSLESS_FOR", "all")
        .env("TICKHOST_SUBSCRIPTION_SILENT_SECONDS", 1)
        .start();
    let key = host.key();
    let mut client = Recorder::connect(&host).await;
    client.ask(json!({"action": "get_supported_brokers"}), "supportedBrokers").await;
    client.ask(json!({"action": "ping", "timestamp": 5, "_pingId": {"any": [1]}}), "pong").await;
    client.send(&json!("pong")).await;
    client.send(&json!({"type": "pong"})).await;
    client.send(&json!({"action": "pong"})).await;
    // Fits the document, and comes too early.
    client.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"]})).await;
    assert_eq!(client.until("error").await["code"], "NOT_AUTHENTICATED");
    client.ask(json!({"action": "auth", "apikey": key}), "authenticated").await;
    client.until("authStatus").await;
    let wishes =
        json!({"action": "authenticate", "api_key": key, "feed_status": true, "subscription_status": true});
    client.ask(wishes, "authenticated").await;
    client.until("feedStatus").await;
    client.ask(json!({"action": "subscribe_orders", "request_id": 1}), "ordersSubscribed").await;
    client.ask(json!({"action": "unsubscribe_orders", "request_id": [1]}), "ordersUnsubscribed").await;
    let list = json!([{"symbol": "SBIN:20", "exchange": "NSE"}, "NSE:TCS", "INFY", "NSE:BAD1"]);
    for (mode, frame) in [(json!("ltp"), "ltp"), (json!(2), "quote"), (json!("3"), "depth")] {
        let request =
            json!({"action": "subscribe", "symbols": list, "mode": mode, "depth": 20, "request_id": "r"});
        let ack = client.ask(request, "subscribed").await;
        assert_eq!((&ack["status"], &ack["request_id"]), (&json!("partial"), &json!("r")), "{ack}");
        client.until(frame).await;
        client.until("subscriptionStatus").await;
    }
    let ask = json!({"action": "subscribe", "instruments": ["TCS"], "mode": "LTP", "depth_level": "5", "max_rate": 5});
    assert_eq!(client.ask(ask, "subscribed").await["subscriptions"][0]["max_rate"], 5);
    let ask =
        json!({"action": "subscribe", "symbol": "TCS", "exchange": "NSE", "mode": "LTP", "lossless": true});
    assert_eq!(client.ask(ask, "subscribed").await["subscriptions"][0]["lossless"], true);
    client.ask(json!({"action": "get_broker_info"}), "brokerInfo").await;
    let ended = json!([{"symbol": "SBIN:20", "exchange": "NSE", "mode": 2}, "NSE:INFY"]);
    for member in ["symbols", "instruments"] {
        let request = json!({"action": "unsubscribe", member: ended, "mode": "Depth", "request_id": null});
        client.ask(request, "unsubscribed").await;
    }
    let one = json!({"action": "unsubscribe", "symbol": "TCS", "exchange": "NSE"});
    client.ask(one, "unsubscribed").await;
    client.ask(json!({"action": "unsubscribe_all", "request_id": 1.5}), "unsubscribed").await;

    let asked: BTreeSet<String> = document.messages(Sender::Client).map(str::to_owned).collect();
    let heard: BTreeSet<String> = document.messages(Sender::Host).map(str::to_owned).collect();
    // Each of these needs a fault or a publisher; the other tests meet them, and each has a sample.
    let elsewhere = ["gap", "orderUpdate", "ordersMissed", "subscriptionFailed"].map(str::to_owned);
    let expected: BTreeSet<String> =
        asked.union(&heard).filter(|name| !elsewhere.contains(name)).cloned().collect();
    assert_eq!(client.messages, expected, "every message, live");

    let mut met = client.met;
    met.extend(of_a_feed_that_fails().await);
    met.extend(of_a_closed_market().await);
    met.extend(of_a_publisher().await);
    for (name, sample) in samples() {
        let sender = if name.starts_with("request_") { Sender::Client } else { Sender::Host };
        for message in document.fitting(sender, &sample["message"]) {
            document.note_members(message, &sample["message"], &mut met);
        }
    }
    let documented: BTreeSet<String> =
        document.members(Sender::Client).union(&document.members(Sender::Host)).cloned().collect();
    assert!(documented.len() > 150, "{}", documented.len());
    let unmet: Vec<&String> = documented.difference(&met).collect();
    assert!(unmet.is_empty(), "nobody ever sees these members: {unmet:#?}");
}

/// What a client sees of a feed whose adapter fails at each start.
async fn of_a_feed_that_fails() -> BTreeSet<String> {
    let host = HostBuilder::new().sim("[adapter.config.faults]\npanic_in = \"connect\"").start();
    let mut client = Recorder::connect(&host).await;
    client.ask(json!({"action": "auth", "api_key": host.key()}), "authenticated").await;
    while client.ask(json!({"action": "get_broker_info"}), "brokerInfo").await.get("retry_in_ms").is_none() {}
    client.met
}

/// What a client sees before the exchanges open.
async fn of_a_closed_market() -> BTreeSet<String> {
    let builder = HostBuilder::new();
    let clock = builder.dir().join("clock");
    // Three in the morning in India of a Thursday with trade, 2026-11-26.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    fs::write(&clock, (1_795_631_400_i64 + 3 * 3_600 - i64::try_from(now).unwrap()).to_string()).unwrap();
    let plugins = PLUGINS.replace("calendar = \"always\"\n\n[adapter.config]", "\n[adapter.config]");
    let host = builder.env("TICKHOST_CLOCK_OFFSET_FILE", clock.display()).plugins(&plugins).start();
    let mut client = Recorder::connect(&host).await;
    client.ask(json!({"action": "auth", "api_key": host.key()}), "authenticated").await;
    client.ask(json!({"action": "subscribe", "symbols": ["NSE:SBIN"]}), "subscribed").await;
    while client.ask(json!({"action": "get_broker_info"}), "brokerInfo").await.get("opens_in_ms").is_none() {}
    client.met
}

/// What a client sees of values that the synthetic exchange does not have.
async fn of_a_publisher() -> BTreeSet<String> {
    let host = Host::start();
    let key = host.add_user("bob", "bus");
    let mut client = Recorder::connect(&host).await;
    client.ask(json!({"action": "auth", "api_key": key}), "authenticated").await;
    client.ask(json!({"action": "subscribe", "symbols": ["SBIN"], "mode": 3}), "subscribed").await;
    let mut publisher = Publisher::connect(host.bus).await;
    let book = json!({"buy": [{"price": 1, "quantity": 1}], "sell": []});
    let body = json!({"ltp": 2.5, "depth": book, "oi_high": 3, "oi_low": 1, "prev_close": 2.5});
    let arrived = async {
        // A publisher may be heard some time after it connected.
        loop {
            publisher.send("NSE_SBIN_DEPTH", &body).await;
            let frame = client.client.next_within(Duration::from_millis(50)).await;
            if frame.is_some_and(|frame| client.note(Sender::Host, &frame) == "depth") {
                break;
            }
        }
    };
    tokio::time::timeout(SOON, arrived).await.expect("the tick arrives");
    let mut late = Recorder::connect(&host).await;
    late.ask(json!({"action": "auth", "api_key": key}), "authenticated").await;
    for (mode, frame) in [(1, "ltp"), (2, "quote"), (3, "depth")] {
        late.send(&json!({"action": "subscribe", "symbols": ["SBIN"], "mode": mode})).await;
        assert_eq!(late.until(frame).await["snapshot"], true);
    }
    client.met.union(&late.met).cloned().collect()
}

/// A client of bob's at the bus, subscribed to SBIN, and a publisher that reaches the host.
async fn bus_desk(host: &Host) -> (Client, Publisher) {
    let mut client = Client::login(host.websocket, &host.add_user("bob", "bus")).await;
    client.send(&json!({"action": "subscribe_orders"})).await;
    client.control().await;
    for mode in ["Quote", "Depth"] {
        client.subscribe(&["NSE:SBIN", "NSE:INFY"], mode).await;
    }
    let mut publisher = Publisher::connect(host.bus).await;
    let arrived = async {
        while client.next_within(Duration::from_millis(50)).await.is_none() {
            publisher.send("NSE_SBIN_QUOTE", &json!({"ltp": 1.0})).await;
        }
    };
    tokio::time::timeout(SOON, arrived).await.expect("the first tick arrives");
    (client, publisher)
}

#[tokio::test]
async fn what_publishers_are_told_to_send_is_taken() {
    let document = Document::of_the_host();
    let host = Host::start();
    let (mut client, mut publisher) = bus_desk(&host).await;
    for message in document.messages(Sender::Publisher) {
        let examples =
            document.value(&format!("/components/messages/{message}/examples")).as_array().unwrap();
        assert!(!examples.is_empty(), "{message} has an example");
        for example in examples {
            let payload = &example["payload"];
            let fitting = document.fitting(Sender::Publisher, payload);
            assert!(fitting.contains(&message), "{message}: {payload} is {fitting:?}");
            publisher.send(example["name"].as_str().unwrap(), payload).await;
        }
    }
    client.find(|frame| frame["type"] == "order_update" && frame["user_id"] == "bob").await;
    publisher.send("NSE_SBIN_QUOTE", &json!({"ltp": 9.25})).await;
    client.find(|frame| frame["data"]["ltp"] == 9.25).await;
    let page = host.get("/metrics").await.body;
    let count = |area: &str, outcome: &str| -> u64 {
        let head = format!("tickhost_bus_events_total{{area=\"{area}\",outcome=\"{outcome}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&head)).expect("the outcome is counted");
        line.parse().unwrap()
    };
    for fault in ["topic", "json", "number", "element", "order", "invalidation"] {
        assert_eq!(count("malformed", fault), 0, "{fault}");
    }
    assert_eq!((count("message", "order"), count("message", "invalidation")), (1, 1));
}

#[tokio::test]
async fn the_host_knows_every_name_that_a_value_has_on_the_bus() {
    let document = Document::of_the_host();
    let host = Host::start();
    let (mut client, mut publisher) = bus_desk(&host).await;
    let names: Vec<&String> =
        document.value("/components/schemas/busTick/properties").as_object().unwrap().keys().collect();
    assert!(names.len() > 40, "{}", names.len());
    for (number, name) in names.into_iter().enumerate() {
        // Told apart by the value. One that is a time has to be one, and a price that large would be none.
        let is_time = ["timestamp", "ltt", "last_traded_time"].contains(&name.as_str());
        let value = if is_time { 1_700_000_000_000_u64 } else { 1_000_000 } + u64::try_from(number).unwrap();
        let level = json!([{"price": value, "quantity": 1}]);
        let (topic, body) = match name.as_str() {
            "depth" => ("NSE_SBIN_DEPTH", json!({"depth": {"buy": level, "sell": []}})),
            "greeks" => ("NSE_SBIN_QUOTE", json!({"greeks": {"theta": value}})),
            "bids" | "asks" => ("NSE_SBIN_DEPTH", json!({name.as_str(): level})),
            // A time alone is nothing to tell.
            other if is_time => ("NSE_SBIN_QUOTE", json!({other: value, "ltp": number})),
            other => ("NSE_SBIN_QUOTE", json!({other: value})),
        };
        assert!(!document.fitting(Sender::Publisher, &body).is_empty(), "{body}");
        publisher.send(topic, &body).await;
        let arrived =
            async { while !client.next().await["data"].to_string().contains(&value.to_string()) {} };
        let arrived = tokio::time::timeout(Duration::from_secs(10), arrived).await;
        assert!(arrived.is_ok(), "{name} reaches no client");
    }
}

#[test]
fn what_publishers_should_not_send_does_not_fit() {
    let document = Document::of_the_host();
    for body in [
        json!({}),
        json!(null),
        json!([{"ltp": 1}]),
        json!({"ltp": [1]}),
        json!({"ltp": "one"}),
        json!({"volume": true}),
        json!({"depth": {"buy": [{"quantity": 1}]}}),
    ] {
        assert_eq!(document.fitting(Sender::Publisher, &body), Vec::<&str>::new(), "{body}");
    }
}
