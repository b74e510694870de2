//! A broker, an adapter that connects to it, and a way between them that can be cut.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use adapter_dhan::Dhan;
use adapter_sdk::{
    abi::{PRICE_SCALE, Quote, StatusKind},
    testing::{Bench, Heard, Outcome, Published},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::Notify,
};
use venues::{Options, dhan::Venue};

pub(crate) const CLIENT: &str = "1100123456";
pub(crate) const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
pub(crate) const ACCOUNT: [(&str, &str); 6] = [
    ("client_id", CLIENT),
    ("access_token", "canary-token"),
    ("pin", "271828"),
    ("totp_secret", SECRET),
    ("api_key", "canary-key"),
    ("api_secret", "canary-secret"),
];

pub(crate) struct Broker {
    pub(crate) venue: Venue,
    pub(crate) cache: TempDir,
    /// After the venue, which runs in it.
    pub(crate) runtime: Runtime,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let options = Options { rate_hz: 0.0, instruments: 1_000, ..Options::default() };
        let venue = runtime.block_on(Venue::start(options.accepting(&ACCOUNT))).unwrap();
        Self { venue, cache: tempfile::tempdir().unwrap(), runtime }
    }

    /// The settings, with some others over them.
    pub(crate) fn config(&self, others: &Value) -> String {
        let address = self.venue.address();
        let mut config = json!({
            "ws_url": format!("ws://{address}/"),
            "depth20_url": format!("ws://{address}/twentydepth"),
            "depth200_url": format!("ws://{address}/twohundreddepth"),
            "api_url": format!("http://{address}/v2"),
            "auth_url": format!("http://{address}"),
            "instruments_url": format!("http://{address}/api-data/api-scrip-master.csv"),
            "cache_dir": self.cache.path(),
            "batch_interval_ms": 10,
        });
        for (name, value) in others.as_object().unwrap() {
            config[name] = value.clone();
        }
        config.to_string()
    }

    pub(crate) fn connect(&self, others: &Value, token: &str) -> Bench {
        let credentials = fields(&[("client_id", CLIENT), ("access_token", token)]);
        Bench::start_with::<Dhan>(&self.config(others), &credentials).unwrap()
    }

    pub(crate) fn connected(&self, others: &Value) -> Bench {
        let bench = self.connect(others, "canary-token");
        bench.wait_for_status(StatusKind::CONNECTED);
        bench
    }

    /// The last price that was sent of an instrument, as the host has it.
    pub(crate) fn sent_ltp(&self, exchange: &str, symbol: &str, mode: venues::Mode) -> Option<i64> {
        let values = self.venue.sent(exchange, symbol, mode)?;
        Some(values.ltp * (PRICE_SCALE / venues::PRICE_SCALE))
    }
}

pub(crate) fn fields(pairs: &[(&str, &str)]) -> String {
    serde_json::to_string(&pairs.iter().copied().collect::<BTreeMap<_, _>>()).unwrap()
}

pub(crate) const fn quote(tick: &Published) -> Option<&Quote> {
    match tick {
        Published::Quote(quote) | Published::Depth(quote, ..) => Some(quote),
        Published::Ltp(_) => None,
    }
}

/// What the adapter said of an instrument by itself, the latest first.
pub(crate) fn late_outcomes(heard: &Heard, instrument: u32) -> Vec<&Outcome> {
    let of =
        heard.outcomes.iter().rev().filter(|(request, one)| *request == 0 && one.instrument == instrument);
    of.map(|(_, outcome)| outcome).collect()
}

/// A way to the broker that can be cut and mended.
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    is_open: Arc<AtomicBool>,
    cut: Arc<Notify>,
}

impl Way {
    pub(crate) fn to(broker: &Broker) -> Self {
        let listener = broker.runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let way = Self { address, is_open: Arc::new(AtomicBool::new(true)), cut: Arc::default() };
        let (is_open, cut, broker_at) =
            (Arc::clone(&way.is_open), Arc::clone(&way.cut), broker.venue.address());
        broker.runtime.spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                let cut = Arc::clone(&cut);
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(broker_at).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        way
    }

    pub(crate) fn cut(&self) {
        self.is_open.store(false, Ordering::SeqCst);
        self.cut.notify_waiters();
    }

    pub(crate) fn mend(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}
