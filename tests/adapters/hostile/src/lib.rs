//! The library `adapter_hostile`: a well-behaved adapter at first sight, which tries what a hostile one would try, and
//! writes to the log what became of each attempt. `tests/adapters/README.md` lists the attacks.
#![cfg(target_os = "linux")]

mod attacks;

use std::time::Duration;

use adapter_sdk::{
    Adapter, AdapterError, Backoff, Capability, Connection, Context, Credentials, Login, Manifest, Price,
    Subscription, Tick, TickSink, tracing,
};

pub use attacks::Victims;

adapter_sdk::export_adapter!(Hostile);

/// Between two ticks.
const BEAT: Duration = Duration::from_millis(20);

/// The adapter's table in `plugins.toml`.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What it tries as soon as it connects, in this order.
    pub attacks: Vec<String>,
    /// Where a connection is tried by `connect`.
    pub port: u16,
}

/// The adapter.
#[derive(Debug)]
pub struct Hostile {
    config: Config,
}

/// A connection.
#[derive(Debug, Default)]
pub struct Session {
    wanted: Vec<u32>,
    /// In billionths.
    price: i64,
}

impl Adapter for Hostile {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        Manifest::new("hostile", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp, Capability::Login])
            .limits(100, 1)
            .backoff(Backoff { first: Duration::from_millis(50), ..Backoff::default() })
    }

    fn try_new(config: Config, _context: Context) -> Result<Self, AdapterError> {
        Ok(Self { config })
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        let number = |name| credentials.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let victims = Victims { host: number("host"), sibling: number("sibling"), port: self.config.port };
        for attack in &self.config.attacks {
            match attacks::attempt(attack, &victims) {
                Ok(gained) => tracing::error!(attack, gained, "An attack succeeded"),
                Err(refusal) => tracing::info!(attack, refusal, "An attack failed"),
            }
        }
        Ok(Session::default())
    }

    /// An errand is as hostile as a connection: what was gained is told instead of a token.
    async fn login(&self, _fields: &Credentials) -> Result<Login, AdapterError> {
        let victims = Victims { host: attacks::parent(), sibling: 0, port: self.config.port };
        let gained: Vec<&str> = self
            .config
            .attacks
            .iter()
            .filter(|attack| attacks::attempt(attack, &victims).is_ok())
            .map(String::as_str)
            .collect();
        Err(AdapterError::auth(format!("gained: {}.", gained.join(" "))))
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], _sink: &mut TickSink) -> Result<(), AdapterError> {
        self.wanted.extend(wanted.iter().map(|subscription| subscription.instrument));
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        self.wanted.retain(|wanted| !instruments.contains(wanted));
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        tokio::time::sleep(BEAT).await;
        self.price += 10_000_000;
        for instrument in &self.wanted {
            sink.ltp(&Tick::new(*instrument).ltp(Price::from_nanos(self.price)));
        }
        Ok(())
    }
}
