//! Silence is a fault in the hours of the exchanges, and none outside of them.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use integration_tests::{Client, Host, HostBuilder, PLUGINS, host::assert_ok, wait_until};
use serde_json::{Value, json};

/// Midnight in India before Thursday, 2026-11-26, a day of trade; in seconds since the Unix epoch.
const THURSDAY: u64 = 1_795_631_400;
const HOUR: u64 = 3_600;

/// A host whose clock can be set, and whose adapters follow the hours of the exchanges.
struct Place {
    builder: HostBuilder,
    clock: std::path::PathBuf,
}

impl Place {
    fn at(unix_seconds: u64) -> Self {
        let builder = HostBuilder::new().env("WS_STALE_TICK_WARN_SECONDS", 1);
        let clock = builder.dir().join("clock");
        set_clock(&clock, unix_seconds);
        let builder = builder.env("TICKHOST_CLOCK_OFFSET_FILE", clock.display());
        Self { builder, clock }
    }

    fn start(self, adapter: &str, config: &str) -> (Host, std::path::PathBuf) {
        let plugins = PLUGINS
            .replace("calendar = \"always\"\n\n[adapter.config]", &format!("{adapter}\n[adapter.config]"));
        let plugins = plugins.replace("rate_hz = 20.0\n", &format!("{config}\n"));
        (self.builder.plugins(&plugins).start(), self.clock)
    }
}

fn set_clock(file: &std::path::Path, unix_seconds: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let seconds = i64::try_from(unix_seconds).expect("a time") - i64::try_from(now).expect("a time");
    // Renamed into place: the host reads it at any moment.
    let new = file.with_extension("new");
    fs::write(&new, seconds.to_string()).expect("the clock is set");
    fs::rename(new, file).expect("the clock is set");
}

fn is_news(message: &Value, state: &str, market: &str) -> bool {
    message["type"] == "feed_status" && message["state"] == state && message["market"] == market
}

async fn feed(host: &Host) -> Value {
    host.status().await["feeds"][0].clone()
}

const MUTE: &str = "rate_hz = 50.0\n[adapter.config.faults]\nmute_after_ms = 0";

#[tokio::test]
async fn a_silent_night_is_live_and_the_next_morning_it_is_stale_and_answered() {
    // Three in the morning.
    let (host, clock) = Place::at(THURSDAY + 3 * HOUR).start("", MUTE);
    let mut client = Client::login_for_feed_status(host.websocket, &host.key()).await;
    client.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN", "NFO:NIFTY"], "mode": 1})).await;
    let night = client.find(|message| is_news(message, "live", "closed")).await;
    let opens_in = night["opens_in_ms"].as_u64().expect("the next session");
    assert!((6 * HOUR * 1_000..=6 * HOUR * 1_000 + 900_000).contains(&opens_in), "{night}");
    assert!(night["message"].as_str().is_some_and(|text| text.contains("2026-11-26 09:15")), "{night}");
    wait_until("it was silent for three times as long as it may be in the hours of trade", || async {
        feed(&host).await["state_age_ms"].as_u64().is_some_and(|age| age > 3_500)
    })
    .await;
    let report = feed(&host).await;
    assert_eq!((&report["state"], &report["market"]), (&json!("live"), &json!("closed")), "{report}");
    assert_eq!(report["instances"][0]["connects"], 1, "{report}");
    assert_eq!(host.metric("tickhost_feed_silences_answered_total").await, 0.0);
    assert_eq!(host.get("/readyz").await.status, 200);
    let listed = host.run(&["adapters"], "");
    assert_ok(&listed);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("closed, opens in"), "{listed}");

    // Eleven in the morning.
    set_clock(&clock, THURSDAY + 11 * HOUR);
    let stale = client.find(|message| is_news(message, "stale", "open")).await;
    assert!(stale["message"].as_str().is_some_and(|text| text.contains("silent for")), "{stale}");
    wait_until("the connection is made again", || async {
        feed(&host).await["instances"][0]["connects"].as_u64() == Some(2)
    })
    .await;
    assert!(host.metric("tickhost_feed_silences_answered_total").await >= 1.0);
    client.find(|message| is_news(message, "stale", "open")).await;

    // In the afternoon the same silence is none.
    set_clock(&clock, THURSDAY + 16 * HOUR);
    client.find(|message| is_news(message, "live", "closed")).await;
}

#[tokio::test]
async fn weekends_and_holidays_of_the_operators_own_calendar_are_quiet() {
    // Noon on a Saturday, and on the Monday after it, which is a holiday in this file.
    let place = Place::at(THURSDAY + 60 * HOUR);
    let file = place.builder.dir().join("hours.toml");
    let calendar = "covers = { from = \"2026-01-01\", to = \"2026-12-31\" }\n\
        [[market]]\nname = \"equity\"\nexchanges = [\"NSE\"]\nsessions = [\"09:15-15:30\"]\n";
    fs::write(&file, format!("{calendar}holidays = [\"2026-11-30\"]\n")).unwrap();
    let place = Place { builder: place.builder.env("TICKHOST_CALENDAR", file.display()), ..place };
    let (host, clock) = place.start("", MUTE);
    let mut client = Client::login_for_feed_status(host.websocket, &host.key()).await;
    client.send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN"], "mode": 1})).await;
    client.find(|message| is_news(message, "live", "closed")).await;
    set_clock(&clock, THURSDAY + 108 * HOUR);
    wait_until("the host has looked at the new day", || async {
        // Until Tuesday, 09:15.
        feed(&host).await["opens_in_ms"].as_u64().is_some_and(|left| left < 24 * HOUR * 1_000)
    })
    .await;
    assert_eq!(feed(&host).await["state"], "live");
    // The exchange trades after all.
    fs::write(&file, calendar).unwrap();
    client.find(|message| is_news(message, "stale", "open")).await;
}

#[tokio::test]
async fn one_silent_connection_beside_others_that_tick_is_noticed_and_alone_made_again() {
    let (host, _clock) = Place::at(THURSDAY + 11 * HOUR).start(
        "symbols_per_connection = 1\nconnections = 3",
        "rate_hz = 50.0\nrates = { \"NSE:TCS\" = 0.1 }",
    );
    let mut client = Client::login_for_feed_status(host.websocket, &host.key()).await;
    client
        .send(&json!({"action": "subscribe", "symbols": ["NSE:SBIN", "NSE:TCS", "NSE:INFY"], "mode": 1}))
        .await;
    let stale = client.find(|message| is_news(message, "stale", "open")).await;
    let said = stale["message"].as_str().unwrap_or_default();
    assert!(said.contains("1 of 3 connections silent for"), "{stale}");
    assert!(stale["last_tick_age_ms"].as_u64().is_some_and(|age| age < 1_000), "the others tick: {stale}");
    wait_until("the silent one is made again", || async {
        feed(&host).await["instances"][1]["connects"].as_u64().is_some_and(|connects| connects >= 2)
    })
    .await;
    let report = feed(&host).await;
    for place in [0, 2] {
        assert_eq!(report["instances"][place]["connects"], 1, "{report}");
        assert_eq!(report["links"][place]["state"], "live", "{report}");
    }
}
