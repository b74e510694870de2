//! The whole way of a tick: a simulated broker on its own protocol, its adapter in a process, the host, a
//! client; and the comparison of what the client has with what the broker sent, value by value.

mod sdk;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use venues::{Broker, Kind, Mode, Options, Values, Venue};

pub use self::sdk::Sighting;
use crate::{Client, Host, HostBuilder, SOON, host::assert_ok, library};

/// Longest wait until everything that was subscribed has ticked.
const ALL_ACTIVE: Duration = Duration::from_mins(2);

/// What a test needs to know of a broker and its adapter.
pub trait Profile: Broker {
    /// Name of the adapter's library.
    const LIBRARY: &'static str;

    /// Credentials that the venue accepts.
    const CREDENTIALS: &'static [(&'static str, &'static str)];
}

/// A venue with a host that is connected to it.
#[derive(Debug)]
pub struct Chain<B: Broker> {
    /// The broker.
    pub venue: Venue<B>,
    /// The host.
    pub host: Host,
    /// Key of a user with an account there.
    pub key: String,
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Compared {
    /// Values that were compared.
    pub values: u64,
    /// The first of those that differ, in words.
    pub mismatches: Vec<String>,
}

/// A client of a chain, with what it holds.
#[derive(Debug)]
pub struct Watcher {
    /// Its connection.
    pub client: Client,
    mode: Mode,
    latest: BTreeMap<(String, String), Value>,
}

/// How long a subscription took.
#[derive(Clone, Copy, Debug)]
pub struct Activation {
    /// Until it was acknowledged.
    pub acknowledged: Duration,
    /// Until the last of the instruments had ticked.
    pub active: Duration,
}

impl<B: Profile> Chain<B> {
    /// Starts both, with so many instruments at the broker, whose prices move when the test says so.
    pub async fn start(instruments: usize) -> Self {
        let options = Options { rate_hz: 0.0, instruments, ..Options::default() };
        let venue = Venue::start(options.accepting(B::CREDENTIALS)).await.unwrap();
        let builder = HostBuilder::new();
        let cache = builder.dir().join("cache");
        let plugins = plugins::<B>(venue.address(), &cache);
        Self::on(venue, builder.plugins(&plugins))
    }

    /// Starts a host, whose `plugins.toml` names the adapter, at a venue that runs.
    pub fn on(venue: Venue<B>, builder: HostBuilder) -> Self {
        let host = builder.start();
        let key = add_user(&host, "alice", B::NAME);
        let chain = Self { venue, host, key };
        chain.set_credentials(B::CREDENTIALS);
        chain
    }

    /// Gives the account these credentials.
    pub fn set_credentials(&self, credentials: &[(&str, &str)]) {
        let object: serde_json::Map<String, Value> =
            credentials.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        assert_ok(&self.host.run(&["account", "set", "alice", B::NAME], &Value::Object(object).to_string()));
    }

    /// So many instruments of as many exchanges as the venue has, all of which have a price.
    pub fn instruments(&self, count: usize) -> Vec<(String, String)> {
        const EXCHANGES: [&str; 9] =
            ["NSE", "NSE_INDEX", "BSE_INDEX", "NFO", "BSE", "BFO", "CDS", "MCX", "BCD"];
        let of_each: Vec<Vec<(String, String)>> = EXCHANGES
            .iter()
            .map(|exchange| {
                let some = self.venue.some(exchange, count);
                let some = some.into_iter().filter(|one| B::key(one).is_some());
                some.map(|one| (one.exchange.to_owned(), one.symbol)).collect()
            })
            .collect();
        // In turns, so that a few instruments are of all exchanges too.
        let most = of_each.iter().map(Vec::len).max().unwrap_or(0);
        let turns = (0..most).flat_map(|turn| of_each.iter().filter_map(move |all| all.get(turn)));
        let chosen: Vec<_> = turns.take(count).cloned().collect();
        assert_eq!(chosen.len(), count, "the venue has enough");
        chosen
    }

    /// Logs a client in, subscribes it to all in one request, and waits until each has ticked.
    pub async fn watch(&self, names: &[(String, String)], mode: Mode) -> (Watcher, Activation) {
        let mut client = Client::login(self.host.websocket, &self.key).await;
        let texts: Vec<String> =
            names.iter().map(|(exchange, symbol)| format!("{exchange}:{symbol}")).collect();
        let number = match mode {
            Mode::Ltp => 1,
            Mode::Quote => 2,
            Mode::Full | Mode::Deep(_) => 3,
        };
        let begun = Instant::now();
        client.send(&json!({"action": "subscribe", "symbols": texts, "mode": number})).await;
        let mut watcher = Watcher { client, mode, latest: BTreeMap::new() };
        // An index has no book, and a subscription to one says so.
        let has_book = |name: &(String, String)| mode != Mode::Full || !name.0.ends_with("_INDEX");
        let mut missing: BTreeSet<&(String, String)> = names.iter().filter(|name| has_book(name)).collect();
        let mut acknowledged = None;
        while acknowledged.is_none() || !missing.is_empty() {
            let left = ALL_ACTIVE.saturating_sub(begun.elapsed());
            let Some(message) = watcher.client.next_within(left).await else {
                panic!("{} of {} never ticked, such as {:?}", missing.len(), names.len(), missing.first());
            };
            if let Some(name) = watcher.note(&message) {
                missing.remove(&name);
            } else if message["type"] == "subscribe" {
                assert_ne!(message["status"], "error", "{message}");
                acknowledged = Some(begun.elapsed());
            }
        }
        (watcher, Activation { acknowledged: acknowledged.unwrap(), active: begun.elapsed() })
    }

    /// Waits until the client has what the broker sent last of every instrument, and says what differs when
    /// it does not.
    pub async fn compare(&self, watcher: &mut Watcher) -> Compared {
        let deadline = Instant::now() + SOON;
        loop {
            let compared = self.compare_now(watcher);
            if compared.mismatches.is_empty() || Instant::now() >= deadline {
                return compared;
            }
            // What is still on its way.
            while let Some(message) = watcher.client.next_within(Duration::from_millis(200)).await {
                watcher.note(&message);
            }
        }
    }

    fn compare_now(&self, watcher: &Watcher) -> Compared {
        let mut compared = Compared::default();
        for ((exchange, symbol), data) in &watcher.latest {
            let sent = self.venue.sent(exchange, symbol, watcher.mode);
            let Some(sent) = sent else {
                compared.mismatches.push(format!("{exchange}:{symbol} was never sent"));
                continue;
            };
            let instrument = self.venue.instrument(exchange, symbol).expect("it was asked of the venue");
            compare_values(&mut compared, data, &sent, watcher.mode, instrument.kind == Kind::Index, false);
            if compared.mismatches.len() >= 5 {
                break;
            }
        }
        compared
    }
}

/// `plugins.toml` for a venue.
pub fn plugins<B: Profile>(venue: SocketAddr, cache: &Path) -> String {
    let settings = B::addresses(venue).into_iter().map(|(name, value)| format!("{name} = \"{value}\"\n"));
    // The venues are always open.
    format!(
        "[[adapter]]\nname = \"{}\"\nlibrary = \"{}\"\ncalendar = \"always\"\n[adapter.config]\n{}cache_dir = \"{}\"\n",
        B::NAME,
        library(B::LIBRARY).display(),
        settings.collect::<String>(),
        cache.display()
    )
}

/// Adds a user with a key.
pub fn add_user(host: &Host, user: &str, broker: &str) -> String {
    assert_ok(&host.run(&["user", "add", user], ""));
    assert_ok(&host.run(&["account", "set", user, broker], "{}"));
    let created = host.run(&["key", "create", user], "");
    assert_ok(&created);
    String::from_utf8_lossy(&created.stdout).trim().to_owned()
}

impl Watcher {
    /// Takes a message; gives the instrument when it is a tick.
    pub fn note(&mut self, message: &Value) -> Option<(String, String)> {
        if message["type"] != "market_data" {
            return None;
        }
        let text = |key: &str| message[key].as_str().expect("a tick has a name").to_owned();
        let name = (text("exchange"), text("symbol"));
        self.latest.insert(name.clone(), message["data"].clone());
        Some(name)
    }

    /// What it has of an instrument.
    pub fn latest(&self, exchange: &str, symbol: &str) -> Option<&Value> {
        self.latest.get(&(exchange.to_owned(), symbol.to_owned()))
    }
}

/// Compares a tick's values with those that were sent; of a digest, only those that it has.
pub fn compare_values(
    compared: &mut Compared,
    data: &Value,
    sent: &Values,
    mode: Mode,
    is_index: bool,
    is_digest: bool,
) {
    let name = format!("{}:{}", data["exchange"], data["symbol"]);
    let mut check = |what: &str, has: &Value, expected: f64| {
        // Client programs leave out what they do not show.
        if is_digest && has.is_null() && what != "ltp" {
            return;
        }
        compared.values += 1;
        if has.as_f64() != Some(expected) {
            compared.mismatches.push(format!("{name} {what} is {has}, but {expected} was sent"));
        }
    };
    let price = |price: i64| venues::decimal(price).parse::<f64>().expect("a decimal");
    #[expect(clippy::cast_precision_loss, reason = "quantities are below 2^53")]
    let count = |count: i64| count as f64;
    check("ltp", &data["ltp"], price(sent.ltp));
    if mode == Mode::Ltp {
        return;
    }
    for (what, value) in [("open", sent.open), ("high", sent.high), ("low", sent.low), ("close", sent.close)]
    {
        check(what, &data[what], price(value));
    }
    if is_index {
        return;
    }
    check("average_price", &data["average_price"], price(sent.average_price));
    for (what, value) in [
        ("volume", sent.volume),
        ("last_trade_quantity", sent.last_quantity),
        ("total_buy_quantity", sent.total_buy_quantity),
        ("total_sell_quantity", sent.total_sell_quantity),
    ] {
        check(what, &data[what], count(value));
    }
    if mode == Mode::Quote {
        return;
    }
    // Shares have none, and some brokers' packets a field for it all the same.
    if sent.oi != 0 {
        check("oi", &data["oi"], count(sent.oi));
    }
    for (side, levels) in [("buy", &sent.bids), ("sell", &sent.asks)] {
        let levels = levels.iter().filter(|level| level.quantity != 0 || level.price != 0);
        for (row, level) in levels.enumerate() {
            let has = &data["depth"][side][row];
            check("depth price", &has["price"], price(level.price));
            check("depth quantity", &has["quantity"], count(level.quantity));
            // Some brokers do not count them.
            if level.orders != 0 {
                check("depth orders", &has["orders"], f64::from(level.orders));
            }
        }
    }
}

impl Profile for venues::zerodha::Kite {
    const LIBRARY: &'static str = "adapter_zerodha";
    const CREDENTIALS: &'static [(&'static str, &'static str)] =
        &[("api_key", "kitekey"), ("access_token", "canary-kite-token")];
}

impl Profile for venues::angel::Smart {
    const LIBRARY: &'static str = "adapter_angel";
    const CREDENTIALS: &'static [(&'static str, &'static str)] = &[
        ("client_code", "A123456"),
        ("api_key", "smartkey"),
        ("auth_token", "canary-jwt"),
        ("feed_token", "canary-feed-token"),
    ];
}

impl Profile for venues::dhan::Dhan {
    const LIBRARY: &'static str = "adapter_dhan";
    const CREDENTIALS: &'static [(&'static str, &'static str)] =
        &[("client_id", "1100123456"), ("access_token", "canary-dhan-token")];
}

/// The token ends in the year 2100, and nobody signed it.
impl Profile for venues::fyers::Fyers {
    const LIBRARY: &'static str = "adapter_fyers";
    const CREDENTIALS: &'static [(&'static str, &'static str)] = &[
        ("api_key", "APP-100"),
        (
            "access_token",
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDAsImhzbV9rZXkiOiJjYW5\
             hcnktaHNtLWtleSJ9.canary-fyers-signature",
        ),
    ];
}

impl Profile for venues::upstox::Upstox {
    const LIBRARY: &'static str = "adapter_upstox";
    const CREDENTIALS: &'static [(&'static str, &'static str)] =
        &[("user_id", "AB1234"), ("access_token", "canary-upstox-token")];
}

impl<B: NorenAccount> Profile for venues::noren::Noren<B> {
    const LIBRARY: &'static str = "adapter_noren";
    const CREDENTIALS: &'static [(&'static str, &'static str)] = B::CREDENTIALS;
}

/// The account at a broker of the Noren family.
pub trait NorenAccount: venues::noren::Brand {
    /// Credentials that the venue accepts.
    const CREDENTIALS: &'static [(&'static str, &'static str)] =
        &[("user_id", "FA0001"), ("access_token", "canary-noren-token")];
}

impl NorenAccount for venues::noren::Shoonya {}
impl NorenAccount for venues::noren::Flattrade {}
impl NorenAccount for venues::noren::Zebu {}
impl NorenAccount for venues::noren::TradeSmart {}
impl NorenAccount for venues::noren::AliceBlue {}

impl NorenAccount for venues::noren::Definedge {
    const CREDENTIALS: &'static [(&'static str, &'static str)] =
        &[("user_id", "FA0001"), ("susertoken", "canary-noren-token")];
}

impl<B: venues::xts::Brand> Profile for venues::xts::Xts<B> {
    const LIBRARY: &'static str = "adapter_xts";
    const CREDENTIALS: &'static [(&'static str, &'static str)] =
        &[("user_id", "XTS001"), ("access_token", "canary-xts-token")];
}
