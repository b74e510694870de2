//! Attacks by clients that have a key.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, future::join_all};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    raw::Raw,
    target::{self, Target},
};

/// Connections that do nothing: nearly as many as a host has places for, or until no more are let in.
pub(crate) async fn idle(target: &Target, until: Instant) -> String {
    let keys: Vec<String> = target::fresh_keys().collect();
    let mut held = Vec::new();
    for round in 0..39 {
        let round =
            (0..250).map(|number| Raw::login(target.host.websocket, &keys[(round * 250 + number) % 40]));
        let more: Vec<Raw> = join_all(round).await.into_iter().flatten().collect();
        if more.is_empty() {
            break;
        }
        held.extend(more);
    }
    let count = held.len();
    tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
    format!("{count} connections with a key at once")
}

/// Subscribing and leaving in turn.
pub(crate) async fn churn(target: &Target, until: Instant) -> String {
    let key = target::attackers_key();
    let names: Vec<String> = (0..3_000).map(|number| format!("NSE:C{number}")).collect();
    let attackers = (0..5).map(|_| {
        let (key, names, address) = (key.clone(), names.clone(), target.host.websocket);
        tokio::spawn(async move {
            let Some(mut raw) = Raw::login(address, &key).await else { return (0_u64, None) };
            let mut turns = 0;
            loop {
                for action in ["subscribe", "unsubscribe"] {
                    let message = json!({"action": action, "symbols": names, "mode": "LTP"});
                    if Instant::now() > until {
                        return (turns, None);
                    }
                    if !raw.send(&message).await
                        || raw.find(|message| message["type"] == action).await.is_none()
                    {
                        return (turns, raw.ended_within(Duration::from_millis(100)).await);
                    }
                }
                turns += 1;
            }
        })
    });
    seen(join_all(attackers).await.into_iter().flatten(), "times 3,000 symbols subscribed and left")
}

/// Pongs that nobody asked for.
pub(crate) async fn pongs(target: &Target, until: Instant) -> String {
    let key = target::attackers_key();
    let attackers = (0..5).map(|_| {
        let (key, address) = (key.clone(), target.host.websocket);
        tokio::spawn(async move {
            let Some(mut raw) = Raw::login(address, &key).await else { return (0_u64, None) };
            let mut sent = 0;
            while Instant::now() < until {
                for _ in 0..256 {
                    if raw.0.feed(Message::Pong(vec![b'x'; 100].into())).await.is_err() {
                        return (sent, raw.ended_within(Duration::from_secs(1)).await);
                    }
                    sent += 1;
                }
                if raw.0.flush().await.is_err() {
                    return (sent, raw.ended_within(Duration::from_secs(1)).await);
                }
            }
            (sent, None)
        })
    });
    seen(join_all(attackers).await.into_iter().flatten(), "pongs sent")
}

fn seen(attackers: impl Iterator<Item = (u64, Option<u16>)>, what: &str) -> String {
    let (mut total, mut codes) = (0, Vec::new());
    for (count, code) in attackers {
        total += count;
        codes.extend(code);
    }
    codes.sort_unstable();
    format!("{total} {what}; closed with {codes:?}")
}
