//! temporary
#![allow(warnings)]
use std::{sync::Arc, time::Duration};
use tickhost::*;
use tickhost::feed::FeedSettings;
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().init();
    let dir = std::path::PathBuf::from("/tmp/thrun"); std::fs::create_dir_all(&dir).unwrap();
    let lib = plugins::Library::load(std::path::Path::new(&std::env::args().nth(1).unwrap()), &dir).unwrap();
    println!("{:?}", lib.info());
    lib.validate_config("{\"seed\":42,\"rate_hz\":5.0}").unwrap();
    let mut sources = rustc_hash::FxHashMap::default();
    sources.insert(Arc::<str>::from("sim"), hub::Source { name: "sim".into(), connector: Ok(Arc::new(plugins::connector::LibraryConnector { library: lib, config_json: "{\"seed\":42,\"rate_hz\":5.0}".into() })), limits: pool::PoolLimits { symbols_per_connection: 1000, connections: 3 }, throttle: Duration::from_millis(50), is_bus: false });
    let plan = host::Plan {
        websocket: "127.0.0.1:8765".parse().unwrap(), admin: "127.0.0.1:8766".parse().unwrap(), bus: None, shards: 2,
        accounts: accounts::Accounts, sources, adapters: vec![], connections: listener::ConnectionLimits { total: 100, per_address: 100 },
        session: session::SessionSettings { auth_grace: Duration::from_secs(15), ping_interval: Duration::from_secs(20), ping_timeout: Duration::from_secs(20), write_timeout: Duration::ZERO, nudge_after: Duration::from_millis(300), max_frame_bytes: 1<<20, max_frame_bytes_before_auth: 16384, messages_per_second: 100, message_burst: 1000, max_subscriptions: 5000, subscribe_timeout: Duration::from_secs(4), outbox: Default::default() },
        hub: hub::HubSettings { connections_per_key: 256, feed: FeedSettings { subscribe_timeout: Duration::from_secs(4), linger: Duration::from_secs(5), shutdown: Duration::from_secs(2), stale_after: Duration::from_secs(10) }, announced_brokers: vec![] },
        encode: Default::default(), shutdown: Duration::from_secs(5),
    };
    let host = host::Host::start(plan).await.unwrap();
    tokio::signal::ctrl_c().await;
    host.shut_down().await;
}
