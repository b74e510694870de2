//! The alert rules and the dashboard of `host/monitoring` against `/metrics` of running hosts: each metric, label and value
//! that they name exists and has the right type, and what a rule is for makes it fire.

mod promql;

use std::{collections::BTreeSet, fs, path::Path};

use integration_tests::{Client, Host, HostBuilder, bus::Publisher, wait_until};
use serde_json::{Value, json};

use self::promql::{Page, Tree, parse};

/// What Prometheus adds to every series of a target.
const OF_THE_TARGET: [&str; 2] = ["job", "instance"];

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/monitoring").join(name);
    fs::read_to_string(path).unwrap()
}

fn rules() -> Vec<Value> {
    let document: Value = serde_norway::from_str(&file("alerts.yaml")).expect("the rules are YAML");
    let groups = document["groups"].as_array().expect("groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("{place} of {value}"))
}

/// Every expression of the dashboard, with the name of its panel. Variables of Grafana are filled in as it does for "All".
fn panels() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).expect("the dashboard is JSON");
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((text(panel, "/title").to_owned(), text(target, "/expr").to_owned()));
        }
    }
    for annotation in dashboard["annotations"]["list"].as_array().into_iter().flatten() {
        found.push((text(annotation, "/name").to_owned(), text(annotation, "/expr").to_owned()));
    }
    for (_, expression) in &mut found {
        *expression = expression.replace("$__rate_interval", "1m");
        for variable in ["$instance", "$adapter"] {
            *expression = expression.replace(variable, ".*");
        }
        assert!(!expression.contains('$'), "an unknown variable: {expression}");
    }
    found
}

/// A host with a feed of the synthetic exchange and one of the bus.
async fn busy_host() -> Host {
    let host = Host::start();
    for key in [host.key(), host.add_user("bob", "bus")] {
        let mut client = Client::login(host.websocket, &key).await;
        client.subscribe(&["NSE:SBIN"], "Quote").await;
    }
    host
}

async fn page(host: &Host) -> Page {
    Page::parse(&host.get("/metrics").await.body)
}

/// Finds fault with every selector, function and list of labels of an expression.
fn check(place: &str, tree: &Tree, page: &Page) {
    tree.visit(&mut |node, parent| match node {
        Tree::Selector { name, matchers, range_s } => {
            let family = page.family(name).unwrap_or_else(|| panic!("{place}: there is no metric {name}"));
            assert!(family.samples > 0, "{place}: {name} has no samples");
            for matcher in matchers.iter().filter(|matcher| !OF_THE_TARGET.contains(&matcher.label.as_str()))
            {
                assert!(
                    family.labels.contains(&matcher.label),
                    "{place}: {name} has no label {}",
                    matcher.label
                );
                let known = page.values(name, &matcher.label);
                for word in matcher.words() {
                    assert!(
                        known.iter().any(|value| matcher.is_word_of(&word, value)),
                        "{place}: {name} never has {}={word}, but {known:?}",
                        matcher.label
                    );
                }
            }
            assert!(page.selects(name, matchers), "{place}: no sample of {name} fits {matchers:?}");
            let function = parent.and_then(Tree::call);
            let wants_counter = matches!(function, Some("rate" | "increase" | "irate"));
            assert_eq!(range_s.is_some(), wants_counter, "{place}: a range of {name} for {function:?}");
            assert_eq!(family.kind == "counter", wants_counter, "{place}: {name} is a {}", family.kind);
        }
        Tree::Call { .. } | Tree::Number(_) => {}
        Tree::Aggregate { by, part, .. } => {
            let known = part.labels(page);
            for label in by {
                assert!(known.contains(label), "{place}: by {label}, of {known:?}");
            }
        }
        Tree::Operator { on, sides, .. } => {
            for (label, side) in on.iter().flat_map(|label| sides.iter().map(move |side| (label, side))) {
                let known = side.labels(page);
                assert!(known.contains(label), "{place}: on {label}, of {known:?}");
            }
        }
    });
}

/// Labels that a text of an annotation or legend shows.
fn shown(template: &str, before: &str) -> BTreeSet<String> {
    let parts = template.split("{{").skip(1).filter_map(|part| part.split_once("}}"));
    let words = parts.flat_map(|(inside, _)| inside.split_whitespace().collect::<Vec<_>>());
    words.filter_map(|word| word.strip_prefix(before)).map(str::to_owned).collect()
}

#[tokio::test]
async fn rules_name_what_a_host_shows_with_its_type() {
    let rules = rules();
    let Some(trees) = parse(rules.iter().map(|rule| text(rule, "/expr").to_owned()).collect()).await else {
        return;
    };
    let host = busy_host().await;
    let page = page(&host).await;
    let mut names = BTreeSet::new();
    for (rule, tree) in rules.iter().zip(&trees) {
        let name = text(rule, "/alert");
        assert!(names.insert(name), "{name} stands twice");
        assert!(matches!(text(rule, "/labels/severity"), "critical" | "warning"), "{name}");
        check(name, tree, &page);
        let known = tree.labels(&page);
        for annotation in ["/annotations/summary", "/annotations/description"] {
            let template = text(rule, annotation);
            for label in shown(template, "$labels.") {
                assert!(known.contains(&label), "{name}: {annotation} shows {label}, of {known:?}");
            }
        }
    }
    assert!(names.len() > 20, "{}", names.len());
}

#[tokio::test]
async fn panels_name_what_a_host_shows_with_its_type() {
    let panels = panels();
    let Some(trees) = parse(panels.iter().map(|(_, expression)| expression.clone()).collect()).await else {
        return;
    };
    let host = busy_host().await;
    let page = page(&host).await;
    assert!(panels.len() > 30, "{}", panels.len());
    for ((panel, _), tree) in panels.iter().zip(&trees) {
        check(panel, tree, &page);
    }
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| {
        panel["targets"].as_array().into_iter().flatten().map(move |target| (text(panel, "/title"), target))
    });
    for ((panel, target), tree) in targets.zip(&trees) {
        let known = tree.labels(&page);
        for label in shown(text(target, "/legendFormat"), "") {
            assert!(known.contains(&label), "{panel}: the legend shows {label}, of {known:?}");
        }
    }
}

#[tokio::test]
async fn a_misspelt_metric_label_or_value_is_noticed() {
    let wrong = [
        "tickhost_feed_stat == 1",
        "tickhost_feed_state{stat=\"live\"} == 1",
        "tickhost_feed_state{state=\"alive\"} == 1",
        "tickhost_feed_state{state=~\"live|dwon\"} == 1",
        "rate(tickhost_sessions[1m]) > 0",
        "tickhost_feed_restarts_total > 2",
        "sum by (reasons) (increase(tickhost_session_closes_total[5m])) > 0",
        "tickhost_feed_active == 0 unless on (feeds) tickhost_feed_market_closed == 1",
        "increase(tickhost_bus_events_total{area=\"malformed\",outcome=\"handshake\"}[5m]) > 0",
    ];
    let Some(trees) = parse(wrong.map(str::to_owned).into()).await else { return };
    let host = busy_host().await;
    let page = page(&host).await;
    for (expression, tree) in wrong.iter().zip(trees) {
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check("wrong", &tree, &page)));
        assert!(judged.is_err(), "{expression} passes");
    }
}

/// Whether a rule fires on what a host showed before and shows now, its waiting time left out.
struct Watch {
    rules: Vec<(String, Tree)>,
}

impl Watch {
    async fn over_all_rules() -> Option<Self> {
        let rules = rules();
        let trees = parse(rules.iter().map(|rule| text(rule, "/expr").to_owned()).collect()).await?;
        let names = rules.iter().map(|rule| text(rule, "/alert").to_owned());
        Some(Self { rules: names.zip(trees).collect() })
    }

    fn firing(&self, before: &Page, now: &Page) -> Vec<&str> {
        let fires = |tree: &Tree| !tree.evaluate(before, now).is_empty();
        self.rules.iter().filter(|(_, tree)| fires(tree)).map(|(name, _)| name.as_str()).collect()
    }

    /// Waits until a rule fires, with what came of the host since `before`.
    async fn until(&self, rule: &str, host: &Host, before: &Page) {
        assert!(self.rules.iter().any(|(name, _)| name == rule), "there is no rule {rule}");
        wait_until(rule, || async { self.firing(before, &page(host).await).contains(&rule) }).await;
    }
}

#[tokio::test]
async fn a_healthy_host_fires_nothing() {
    let Some(watch) = Watch::over_all_rules().await else { return };
    let host = Host::start();
    let mut client = Client::login(host.websocket, &host.key()).await;
    client.subscribe(&["NSE:SBIN"], "Quote").await;
    client.tick().await;
    let before = page(&host).await;
    for _ in 0..20 {
        client.tick().await;
    }
    let now = page(&host).await;
    assert_eq!(watch.firing(&before, &now), Vec::<&str>::new());
    assert_eq!(watch.firing(&Page::default(), &Page::default()), ["TickhostAbsent"]);
}

#[tokio::test]
async fn faults_of_feeds_fire_their_rules() {
    let Some(watch) = Watch::over_all_rules().await else { return };
    for (rule, faults) in [
        ("TickhostAuthFailed", "auth_failure = \"always\""),
        ("TickhostFeedNotLive", "connect_delay_ms = 60000"),
        ("TickhostFeedStale", "mute_after_ms = 0"),
        ("TickhostSubscriptionsSilent", "mute_after_ms = 0"),
        ("TickhostFeedFlaps", "disconnect_every_ms = 50"),
        ("TickhostAdapterRestarts", "panic_in = \"connect\""),
    ] {
        let host = HostBuilder::new()
            .env("WS_STALE_TICK_WARN_SECONDS", 1)
            .sim(&format!("[adapter.config.faults]\n{faults}"))
            .start();
        let mut client = Client::login(host.websocket, &host.key()).await;
        let before = page(&host).await;
        client.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 1})).await;
        watch.until(rule, &host, &before).await;
    }
}

#[tokio::test]
async fn faults_of_clients_and_publishers_fire_their_rules() {
    let Some(watch) = Watch::over_all_rules().await else { return };
    let host = Host::start();
    let key = host.add_user("bob", "bus");
    let mut client = Client::login(host.websocket, &key).await;
    client.subscribe(&["NSE:SBIN"], "LTP").await;
    let before = page(&host).await;
    let mut publisher = Publisher::connect(host.bus).await;
    let malformed = async {
        loop {
            publisher.send("NSE_SBIN_LTP", &json!("no tick")).await;
            if watch.firing(&before, &page(&host).await).contains(&"TickhostBusMalformed") {
                break;
            }
        }
    };
    tokio::time::timeout(integration_tests::SOON, malformed).await.expect("TickhostBusMalformed fires");
    // No publisher: it is refused for what it says.
    let mut stranger = tokio::net::TcpStream::connect(host.bus).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stranger, &[b'G'; 64]).await.unwrap();
    watch.until("TickhostBusRefuses", &host, &before).await;

    let refused = async {
        while !watch.firing(&before, &page(&host).await).contains(&"TickhostKeysRefused") {
            let mut guesser = Client::connect(host.websocket).await;
            for _ in 0..3 {
                guesser.send(&json!({"action": "authenticate", "api_key": "wrong"})).await;
                guesser.next().await;
            }
        }
    };
    tokio::time::timeout(integration_tests::SOON, refused).await.expect("TickhostKeysRefused fires");
}
