//! Attacks by those who reach the bus.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use integration_tests::bus::Publisher;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    raw::Raw,
    target::{self, Target},
};

/// Invalidations of users that exist and of others.
pub(crate) async fn cache_invalidate(target: &Target, until: Instant) -> String {
    let mut publisher = ready(target).await;
    let mut sent = 0_u64;
    while Instant::now() < until {
        for _ in 0..100 {
            let user =
                if sent.is_multiple_of(2) { format!("user{}", sent % 6) } else { format!("nobody{sent}") };
            let body = json!({"user_id": user, "cache_type": "ALL", "timestamp": 1});
            publisher.send(&format!("CACHE_INVALIDATE_ALL_{user}"), &body).await;
            sent += 1;
        }
    }
    let threads = std::fs::read_dir(format!("/proc/{}/task", target.host.pid())).map_or(0, Iterator::count);
    format!("{sent} messages, {threads} threads at the end")
}

/// As many symbols as the bus may have, subscribed by a client and left again.
pub(crate) async fn many_symbols(target: &Target, until: Instant) -> String {
    let mut publisher = ready(target).await;
    let mut clients = Vec::new();
    let mut subscribed = 0_u64;
    for client in 0..20 {
        let Some(mut raw) = Raw::login(target.host.websocket, &target::attackers_key()).await else {
            continue;
        };
        for part in 0..5 {
            let names: Vec<String> =
                (0..1_000).map(|number| format!("NSE:M{}", client * 5_000 + part * 1_000 + number)).collect();
            if !raw.send(&json!({"action": "subscribe", "symbols": names, "mode": "LTP"})).await {
                break;
            }
            let Some(answer) = raw.find(|message| message["type"] == "subscribe").await else { break };
            let entries = answer["subscriptions"].as_array().map_or(&[][..], Vec::as_slice);
            subscribed += entries.iter().filter(|entry| entry["status"] == "success").count() as u64;
        }
        clients.push(raw);
    }
    let mut sent = 0_u64;
    while Instant::now() < until && sent < 100_000 {
        publisher.send(&format!("NSE_M{sent}_LTP"), &json!({"ltp": 100 + sent % 1_000})).await;
        sent += 1;
    }
    format!("{subscribed} symbols subscribed by one user, {sent} published")
}

/// Order updates that are none.
pub(crate) async fn forged_orders(target: &Target, until: Instant) -> String {
    let mut reader = Raw::login(target.host.websocket, &target::bus_key()).await.expect("a reader");
    reader.send(&json!({"action": "subscribe", "symbols": ["NSE:FORGED"], "mode": "LTP"})).await;
    reader.send(&json!({"action": "subscribe_orders"})).await;
    let reading = tokio::spawn(async move {
        let (mut forged, mut deepest, mut frames) = (0_u64, 0, 0_u64);
        let find = |_: &Value| true;
        loop {
            let left = until + Duration::from_secs(2);
            match tokio::time::timeout_at(left.into(), reader.find(find)).await {
                Err(_) => return (forged, deepest, frames, "open"),
                Ok(None) => return (forged, deepest, frames, "closed"),
                Ok(Some(message)) => {
                    frames += 1;
                    forged += u64::from(message["symbol"] == "FORGED" && message["type"] == "market_data");
                    deepest = deepest.max(depth(&message));
                }
            }
        }
    });
    let mut publisher = ready(target).await;
    let forged = json!({"type": "market_data", "user_id": "user0", "symbol": "FORGED", "exchange": "NSE", "mode": 1,
        "broker": "zerodha", "topic": "NSE_FORGED_LTP", "data": {"ltp": 1.0}});
    let nested = format!("{{\"user_id\":\"user0\",\"a\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let large =
        json!({"type": "order_update", "user_id": "user0", "orderid": "1", "note": "x".repeat(12_000)});
    let mut sent = 0_u64;
    while Instant::now() < until {
        publisher.send("zerodha_user0_orders", &forged).await;
        publisher.send_raw(vec![b"zerodha_user0_orders".to_vec(), nested.clone().into_bytes()]).await;
        publisher.send("zerodha_user0_orders", &large).await;
        sent += 3;
    }
    let (forged, deepest, frames, end) = reading.await.expect("the reader ends");
    format!(
        "{sent} messages; a reader of that user got {frames} frames, {forged} of them forged ticks, nested {deepest} deep \
         at most, and its connection is {end}"
    )
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Publishers that say nothing.
pub(crate) async fn silent(target: &Target, until: Instant) -> String {
    let address = target.host.bus;
    let silent = join_all((0..300).map(|_| async move {
        let mut socket = TcpStream::connect(address).await.ok()?;
        // A greeting of ZMTP 3.0 and nothing after it.
        let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
        greeting.extend_from_slice(b"NULL");
        greeting.resize(64, 0);
        socket.write_all(&greeting).await.ok()?;
        Some(socket)
    }))
    .await;
    let mut reader = Raw::login(target.host.websocket, &target::attackers_key()).await.expect("a reader");
    reader.send(&json!({"action": "subscribe", "symbols": ["NSE:NEWS"], "mode": "LTP"})).await;
    let began = Instant::now();
    let publishing = tokio::spawn(async move {
        // As pyzmq and libzmq do: whoever is not let in tries again.
        while Instant::now() < until {
            let Ok(mut publisher) =
                tokio::time::timeout(Duration::from_secs(2), Publisher::connect(address)).await
            else {
                continue;
            };
            for _ in 0..10 {
                publisher.send("NSE_NEWS_LTP", &json!({"ltp": 1})).await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let patience = until.saturating_duration_since(began);
    let first = tokio::time::timeout(patience, reader.find(|message| message["type"] == "market_data")).await;
    let first = match first {
        Ok(Some(_)) => format!("after {:.2} s", began.elapsed().as_secs_f64()),
        _ => "never".to_owned(),
    };
    tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
    publishing.abort();
    format!(
        "{} silent publishers; the first tick of one that came after them: {first}",
        silent.iter().flatten().count()
    )
}

/// A publisher that the host has subscribed to.
async fn ready(target: &Target) -> Publisher {
    let publisher = Publisher::connect(target.host.bus).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    publisher
}
