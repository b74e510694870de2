//! A client of another adapter, which must notice nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use integration_tests::{Client, Host};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::BYSTANDER;

const SYMBOLS: [&str; 4] = ["NSE:SBIN", "NSE:TCS", "NSE:RELIANCE", "NSE:INFY"];

/// Longest silence at 200 ticks a second. A host that is held up by an adapter is silent for as long as that
/// hangs; a busy machine is not.
const LONGEST_SILENCE: Duration = Duration::from_secs(3);

/// A client that reads until it is asked what it saw.
#[derive(Debug)]
pub(super) struct Bystander {
    is_over: Arc<AtomicBool>,
    reading: JoinHandle<Result<u64, String>>,
}

impl Bystander {
    /// Begins to watch. The host must run with the throttle off and `stamps` on.
    pub(super) async fn watch(host: &Host) -> Self {
        let key = host.add_user(BYSTANDER, "sim");
        let mut client = Client::login(host.websocket, &key).await;
        assert_eq!(client.subscribe(&SYMBOLS, "Quote").await["status"], "success");
        client.tick().await;
        let is_over = Arc::<AtomicBool>::default();
        let reading = tokio::spawn(read(client, Arc::clone(&is_over)));
        Self { is_over, reading }
    }

    /// Ends it, and asserts that it missed no tick and kept its connection.
    pub(super) async fn noticed_nothing(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ticks = self.reading.await.expect("the bystander keeps its connection");
        assert!(ticks.as_ref().is_ok_and(|ticks| *ticks > 0), "the bystander noticed something: {ticks:?}");
    }
}

async fn read(mut client: Client, is_over: Arc<AtomicBool>) -> Result<u64, String> {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let (mut ticks, mut heard_at) = (0, Instant::now());
    while !is_over.load(Ordering::Relaxed) {
        let message = client.next_within(LONGEST_SILENCE).await;
        let silence = heard_at.elapsed();
        let Some(message) = message.filter(|_| silence < LONGEST_SILENCE) else {
            return Err(format!("silence of {silence:?} after {ticks} ticks"));
        };
        if message["type"] != "market_data" {
            continue;
        }
        heard_at = Instant::now();
        let number = number_of(&message)?;
        let symbol = message["symbol"].as_str().unwrap_or_default().to_owned();
        if let Some(before) = last.insert(symbol, number).filter(|before| before + 1 != number) {
            return Err(format!("tick {number} came after {before}: {message}"));
        }
        ticks += 1;
    }
    Ok(ticks)
}

fn number_of(message: &Value) -> Result<u64, String> {
    message["data"]["last_trade_quantity"]
        .as_u64()
        .ok_or_else(|| format!("a tick without a number: {message}"))
}
