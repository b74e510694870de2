//! Attacks with keys.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rusqlite::Connection;
use serde_json::json;

use crate::{
    raw::Raw,
    target::{self, Target},
};

/// Clients that connect at once after a restart.
pub(crate) async fn restart(target: &Target, _until: Instant) -> String {
    let keys: Vec<String> = target::fresh_keys().take(21).collect();
    let began = Instant::now();
    let of_one = (0..200).map(|_| Raw::login(target.host.websocket, &keys[0]));
    let of_one = join_all(of_one).await.into_iter().flatten().count();
    let after_one = began.elapsed();
    let began = Instant::now();
    let of_twenty = (0..1_000).map(|number| Raw::login(target.host.websocket, &keys[1 + number % 20]));
    let of_twenty = join_all(of_twenty).await.into_iter().flatten().count();
    format!(
        "{of_one} of 200 with one key in after {:.1} s, {of_twenty} of 1,000 with 20 after {:.1} s more",
        after_one.as_secs_f64(),
        began.elapsed().as_secs_f64()
    )
}

/// An exclusive lock while clients log in with a key that the host remembers.
pub(crate) async fn locked_database(target: &Target, until: Instant) -> String {
    let key = target::attackers_key();
    Raw::login(target.host.websocket, &key).await.expect("the host remembers the key from now on");
    let lock = Connection::open(&target.database).expect("the database opens");
    lock.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let mut logins = Vec::new();
    while Instant::now() < until {
        let four = join_all((0..4).map(|_| Raw::login(target.host.websocket, &key))).await;
        logins.extend(four.iter().map(Option::is_some));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    lock.execute_batch("ROLLBACK").expect("the lock ends");
    let refused = logins.iter().filter(|is_in| !**is_in).count();
    format!("{} log-ins with a remembered key under the lock, {refused} refused", logins.len())
}

/// A flood of wrong keys beside good ones.
pub(crate) async fn wrong_keys(target: &Target, until: Instant) -> String {
    let address = target.host.websocket;
    let flood: Vec<_> = (0..300)
        .map(|number| {
            tokio::spawn(async move {
                let mut connections = 0;
                while Instant::now() < until {
                    let Some(mut raw) = Raw::connect(address).await else { continue };
                    connections += 1;
                    for attempt in 0..20 {
                        let key = format!("wrong-key-{number}-{connections}-{attempt}");
                        if !raw.send(&json!({"action": "authenticate", "api_key": key})).await {
                            break;
                        }
                    }
                    raw.ended_within(until.saturating_duration_since(Instant::now())).await;
                }
                connections
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let keys: Vec<String> = target::fresh_keys().take(24).collect();
    let good = keys.iter().map(|key| async move {
        let began = Instant::now();
        Raw::login(address, key).await.map(|_| began.elapsed())
    });
    let good = join_all(good).await;
    let slowest = good.iter().flatten().max().copied().unwrap_or_default();
    let refused = good.iter().filter(|answer| answer.is_none()).count();
    let connections: usize = join_all(flood).await.into_iter().map(|ended| ended.unwrap_or(0)).sum();
    format!(
        "{refused} of 24 good log-ins refused, the slowest of the others took {:.1} s; {connections} connections of the flood",
        slowest.as_secs_f64()
    )
}
