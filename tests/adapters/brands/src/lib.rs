//! The library `adapter_brands`: two brokers, `north` and `south`, each of which is a folder of its own. A
//! test writes into it which token is good, and reads from it who has connected.
//!
//! `north` takes two symbols on one connection, and logs in with a PIN; `south` has no limits of its own,
//! takes a password, and does not log in.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use adapter_sdk::{
    Adapter, AdapterError, Brand, Capability, Connection, Context, Credentials, Login, Manifest, Price,
    Subscription, TickSink, serde_json::json, testing::Ticker,
};

adapter_sdk::export_adapter!(Brands);

/// The adapter's settings, of which each brand gives the last two.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder of the brokers' folders.
    root: PathBuf,
    /// The broker's own. Its files: `token`, the good one; `calls`, a line for each
    /// `connect BROKER TOKEN ACCOUNT CONNECTION` and `login PIN`.
    endpoint: String,
    /// What its symbols cost.
    price: i64,
}

/// The adapter.
#[derive(Debug)]
pub struct Brands {
    folder: PathBuf,
    price: Price,
    context: Context,
}

/// A connection.
#[derive(Debug)]
pub struct Session {
    price: Price,
    ticker: Ticker,
}

impl Adapter for Brands {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        Manifest::new("brands", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp])
            .brand(
                Brand::new("north")
                    .title("North Securities")
                    .capabilities(&[Capability::Ltp, Capability::Login])
                    .limits(2, 1)
                    .credentials_schema(r#"{"required":["pin"],"properties":{"pin":{"title":"PIN"}}}"#)
                    .defaults(json!({ "endpoint": "north", "price": 100 })),
            )
            .brand(
                Brand::new("south")
                    .credentials_schema(r#"{"required":["password"],"properties":{"password":{}}}"#)
                    .defaults(json!({ "endpoint": "south", "price": 200 })),
            )
    }

    fn try_new(config: Config, context: Context) -> Result<Self, AdapterError> {
        if config.price < 1 {
            return Err(AdapterError::config("price must be at least 1"));
        }
        let price = Price::from_nanos(config.price.saturating_mul(1_000_000_000));
        Ok(Self { folder: config.root.join(config.endpoint), price, context })
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        let token = credentials.require("access_token")?;
        let (broker, account) = (self.context.broker(), self.context.account().unwrap_or("nobody"));
        note(&self.folder, &format!("connect {broker} {token} {account} {}", self.context.connection()))?;
        if fs::read_to_string(self.folder.join("token")).map_err(AdapterError::network)? != token {
            return Err(AdapterError::auth("the broker refused the token"));
        }
        Ok(Session { price: self.price, ticker: Ticker::new() })
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        note(&self.folder, &format!("login {}", fields.require("pin")?))?;
        Ok(Login::done([(
            "access_token",
            fs::read_to_string(self.folder.join("token")).map_err(AdapterError::network)?,
        )]))
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], sink: &mut TickSink) -> Result<(), AdapterError> {
        self.ticker.subscribe(wanted, sink).await
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        self.ticker.unsubscribe(instruments).await
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        self.ticker.beat().await;
        self.ticker.tick_at(self.price, sink);
        Ok(())
    }
}

fn note(folder: &Path, call: &str) -> Result<(), AdapterError> {
    let mut calls = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("calls"))
        .map_err(AdapterError::network)?;
    writeln!(calls, "{call}").map_err(AdapterError::network)
}
