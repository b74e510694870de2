//! The library `adapter_hostile`: a well-behaved adapter at first sight, which tries what a hostile one would
//! try, and writes to the log what became of each attempt. `tests/adapters/README.md` lists the attacks.
#![cfg(target_os = "linux")]

mod attacks;

use adapter_sdk::{
    Adapter, AdapterError, Capability, Context, Credentials, Login, Manifest, testing::Ticker, tracing,
};

pub use attacks::Victims;

adapter_sdk::export_adapter!(Hostile);

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

impl Adapter for Hostile {
    type Config = Config;
    type Connection = Ticker;

    fn manifest() -> Manifest {
        Manifest::new("hostile", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp, Capability::Login])
            .limits(100, 1)
            .backoff(Ticker::backoff())
    }

    fn try_new(config: Config, _context: Context) -> Result<Self, AdapterError> {
        Ok(Self { config })
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Ticker, AdapterError> {
        let number = |name| credentials.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
        let victims = Victims { host: number("host"), sibling: number("sibling"), port: self.config.port };
        for attack in &self.config.attacks {
            match attacks::attempt(attack, &victims) {
                Ok(gained) => tracing::error!(attack, gained, "An attack succeeded"),
                Err(refusal) => tracing::info!(attack, refusal, "An attack failed"),
            }
        }
        Ok(Ticker::new())
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
