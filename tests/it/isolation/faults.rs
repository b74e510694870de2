//! One fault, and what its own client sees of it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use integration_tests::{Client, Host, HostBuilder, SOON};
use serde_json::{Value, json};

use super::{Entry, bystander::Bystander, name_of, plugins, trigger_of};

/// A hang is to be noticed within this time.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);

/// Beyond it, for tests that run beside this one on few cores.
const BUSY: Duration = Duration::from_secs(2);

/// How long a fault that goes on is looked at.
const LOOKED_AT: Duration = Duration::from_millis(1_500);

/// A fault, and what is to be seen of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) entry: Entry,
    pub(super) when: When,
    pub(super) effect: Effect,
}

/// When the fault happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// While ticks flow.
    Live,
    /// While the first instance starts.
    Start,
    /// While this symbol is subscribed beside the one that ticks.
    Subscribe(&'static str),
    /// While a symbol is unsubscribed beside the one that ticks.
    Unsubscribe,
}

/// What follows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// The feed is down for a reason with these words, and the adapter is started again.
    Crash(&'static str),
    /// The same, for one that does not return: it is noticed by its silence.
    Hang(&'static str),
    /// Ticks go on.
    Nothing,
}

/// A fault of the adapter that is built on the SDK.
pub(super) const fn faulty(fault: &'static str, when: When, effect: Effect) -> Case {
    Case { entry: Entry { library: "adapter_faulty", fault, more: "" }, when, effect }
}

/// A fault of the adapter that is built without it.
pub(super) const fn raw(fault: &'static str, when: When, effect: Effect) -> Case {
    Case { entry: Entry { library: "adapter_raw", fault, more: "" }, when, effect }
}

impl Case {
    /// With these lines in its entry.
    pub(super) const fn with(mut self, more: &'static str) -> Self {
        self.entry.more = more;
        self
    }

    fn name(&self) -> String {
        name_of(self.entry.library, self.entry.fault)
    }
}

/// Lets each of these faults happen in one host, at the same time, beside a client of another adapter.
pub(super) async fn all_at_once(isolation: &str, cases: &[Case]) {
    let entries: Vec<Entry> = cases.iter().map(|case| case.entry).collect();
    let builder = HostBuilder::new().env("TICKHOST_THROTTLE_MS", 0);
    let text = plugins(isolation, &entries, builder.dir());
    let host = builder.plugins(&text).start();
    let keys: Vec<String> = cases.iter().map(|case| host.add_user(&case.name(), &case.name())).collect();
    let bystander = Bystander::watch(&host).await;
    let victims = cases.iter().zip(&keys).map(|(case, key)| Victim::live_through(*case, &host, key));
    futures_util::future::join_all(victims).await;
    bystander.noticed_nothing().await;
}

/// A client of the adapter that has the fault. That it keeps its connection shows by its reading on to the
/// end.
pub(super) struct Victim<'a> {
    pub(super) name: String,
    pub(super) host: &'a Host,
    pub(super) client: Client,
    pub(super) trigger: PathBuf,
}

impl<'a> Victim<'a> {
    /// Logs in.
    pub(super) async fn login(entry: &Entry, host: &'a Host, key: &str) -> Self {
        let name = name_of(entry.library, entry.fault);
        let trigger = trigger_of(host.dir(), &name);
        let client = Client::login_for_feed_status(host.websocket, key).await;
        Victim { name, host, client, trigger }
    }

    /// Lives through the fault and what follows.
    async fn live_through(case: Case, host: &'a Host, key: &str) {
        if matches!(case.when, When::Start) {
            std::fs::write(trigger_of(host.dir(), &case.name()), "").unwrap();
        }
        let mut victim = Victim::login(&case.entry, host, key).await;
        let began = victim.bring_about(case.when).await;
        match case.effect {
            Effect::Crash(words) => victim.is_down(words).await,
            Effect::Hang(words) => {
                victim.is_down(words).await;
                let after = began.elapsed();
                assert!(after < NOTICED_WITHIN + BUSY, "{}: noticed after {after:?}", victim.name);
            }
            Effect::Nothing => return victim.goes_on().await,
        }
        victim.is_back(case.when).await;
        victim.is_served_as_before().await;
    }

    /// Makes the fault happen; gives the moment.
    async fn bring_about(&mut self, when: When) -> Instant {
        let began = Instant::now();
        self.subscribe(&["NSE:SBIN"]).await;
        if matches!(when, When::Start) {
            return began;
        }
        self.is_live().await;
        if matches!(when, When::Unsubscribe) {
            self.subscribe(&["NSE:TCS"]).await;
            self.until("the second symbol ticks", |message| message["symbol"] == "TCS").await;
        }
        std::fs::write(&self.trigger, "").unwrap();
        let began = Instant::now();
        match when {
            When::Live | When::Start => {}
            When::Subscribe(symbol) => self.subscribe(&[&format!("NSE:{symbol}")]).await,
            When::Unsubscribe => {
                let request = json!({"action": "unsubscribe", "symbols": ["NSE:TCS"], "mode": "LTP"});
                self.client.send(&request).await;
            }
        }
        began
    }

    /// Asks for symbols, and leaves the answer to whoever looks for it.
    pub(super) async fn subscribe(&mut self, symbols: &[&str]) {
        self.client.send(&json!({"action": "subscribe", "symbols": symbols, "mode": "LTP"})).await;
    }

    /// Reads until a message fits; says what came instead if none does.
    pub(super) async fn until(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + SOON;
        let mut control = Vec::new();
        while let Some(time) = deadline.checked_duration_since(Instant::now()) {
            let Some(message) = self.client.next_within(time).await else { break };
            if fits(&message) {
                return message;
            }
            if message["type"] != "market_data" {
                control.push(message);
            }
        }
        let feed = self.feed().await;
        panic!("{}: waited for: {what}; heard {control:#?}; the feed is {feed:#}", self.name);
    }

    pub(super) async fn tick(&mut self) -> Value {
        self.until("a tick", |message| message["type"] == "market_data" && message["symbol"] == "SBIN").await
    }

    /// The feed is live, and ticks come.
    pub(super) async fn is_live(&mut self) {
        self.until("the feed is live", |message| message["state"] == "live").await;
        self.tick().await;
    }

    /// The client is told that its feed is down, and why.
    pub(super) async fn is_down(&mut self, words: &str) {
        let is_down = |message: &Value| message["type"] == "feed_status" && message["state"] == "down";
        let down = self.until("the feed is down", is_down).await;
        assert!(down["message"].as_str().is_some_and(|text| text.contains(words)), "{}: {down}", self.name);
        assert!(down["retry_in_ms"].is_u64(), "{}: {down}", self.name);
    }

    /// The client is told that its feed is back, and gets its ticks without asking.
    async fn is_back(&mut self, when: When) {
        self.is_live().await;
        if let When::Subscribe(symbol) = when {
            self.until("what the fault was about ticks", |message| message["symbol"] == symbol).await;
        }
        assert!(!self.trigger.exists(), "{}: the fault did not happen", self.name);
        let feed = self.feed().await;
        let facts = (&feed["state"], &feed["restarts"], &feed["last_error"]);
        assert_eq!(facts, (&json!("live"), &json!(1), &Value::Null), "{}: {feed}", self.name);
    }

    /// Answers about symbols reach the client as before.
    async fn is_served_as_before(&mut self) {
        self.subscribe(&["NSE:ICICI", "NSE:BAD1"]).await;
        let about = |message: &Value| message["type"] == "subscribe" && message.to_string().contains("BAD1");
        let ack = self.until("an answer", about).await;
        let outcomes = [&ack["subscriptions"][0]["status"], &ack["subscriptions"][1]["status"]];
        assert_eq!(outcomes, ["success", "error"], "{}: {ack}", self.name);
        self.until("the new symbol ticks", |message| message["symbol"] == "ICICI").await;
    }

    /// The fault happened, and ticks go on for a while.
    async fn goes_on(&mut self) {
        // The flood keeps the file, and goes on while it exists.
        let keeps_file = self.name.ends_with("tick_flood");
        let deadline = Instant::now() + SOON;
        while !keeps_file && self.trigger.exists() {
            assert!(Instant::now() < deadline, "{}: the fault does not happen", self.name);
            self.tick().await;
        }
        let until = Instant::now() + LOOKED_AT;
        while Instant::now() < until {
            self.tick().await;
        }
        self.is_served_as_before().await;
        if keeps_file {
            std::fs::remove_file(&self.trigger).unwrap();
        }
        let feed = self.feed().await;
        let facts = (&feed["restarts"], &feed["disconnects"]);
        assert_eq!(facts, (&json!(0), &json!(0)), "{}: {feed}", self.name);
    }

    /// What the operator sees of the feed.
    pub(super) async fn feed(&self) -> Value {
        let status = self.host.status().await;
        let feeds = status["feeds"].as_array().unwrap();
        feeds.iter().find(|feed| feed["adapter"] == self.name.as_str()).expect("the feed").clone()
    }
}
