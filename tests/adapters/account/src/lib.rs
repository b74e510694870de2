//! The library `adapter_account`: a broker whose tokens end, and the log-in for new ones. The broker is a
//! folder: the test writes into it what the broker accepts, and reads from it what the broker was asked.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use adapter_sdk::{
    Adapter, AdapterError, Capability, Connection, Context, Credentials, Login, Manifest, Subscription,
    TickSink, testing::Ticker,
};

adapter_sdk::export_adapter!(Account);

/// The adapter's table in `plugins.toml`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder. Its files: `token`, the good one, whose change ends every connection; `code`, what a
    /// log-in wants to know beside the PIN, if it is there; `calls`, a line for each `connect TOKEN` and
    /// `login PIN`.
    broker: PathBuf,
}

/// The adapter.
#[derive(Debug)]
pub struct Account {
    broker: PathBuf,
}

/// A connection with a token that was good when it began. It looks whether it still is before each tick.
#[derive(Debug)]
pub struct Session {
    broker: PathBuf,
    token: String,
    ticker: Ticker,
}

impl Adapter for Account {
    type Config = Config;
    type Connection = Session;

    fn manifest() -> Manifest {
        Manifest::new("account", env!("CARGO_PKG_VERSION"))
            .capabilities(&[Capability::Ltp, Capability::Login])
            .limits(100, 1)
            .credentials_schema(
                r#"{"type":"object","required":["pin"],"properties":{
                "pin":{"title":"PIN","description":"Four digits","writeOnly":true},
                "nickname":{"title":"Nickname","writeOnly":false}}}"#,
            )
            .backoff(Ticker::backoff())
    }

    fn try_new(config: Config, _context: Context) -> Result<Self, AdapterError> {
        Ok(Self { broker: config.broker })
    }

    async fn connect(&self, credentials: &Credentials) -> Result<Session, AdapterError> {
        let token = credentials.require("access_token")?.to_owned();
        note(&self.broker, &format!("connect {token}"))?;
        if good_token(&self.broker)? == token {
            Ok(Session { broker: self.broker.clone(), token, ticker: Ticker::new() })
        } else {
            Err(AdapterError::auth("the broker refused the token"))
        }
    }

    async fn login(&self, fields: &Credentials) -> Result<Login, AdapterError> {
        let ask = |field: &str, message: &str, url: Option<&str>| {
            Ok(Login::ask(field, message, url.map(str::to_owned), true))
        };
        let Some(pin) = fields.get("pin") else { return ask("pin", "Your PIN", None) };
        let code = fs::read_to_string(self.broker.join("code")).ok();
        if code.is_some() && fields.get("code").is_none() {
            return ask("code", "The code of the page", Some("https://broker.example/code"));
        }
        note(&self.broker, &format!("login {pin}"))?;
        // The last digits count: a test that looks for its PIN in a log wants one that no time of day
        // resembles.
        if !pin.ends_with("1234") || code.is_some_and(|code| fields.get("code") != Some(&code)) {
            return Err(AdapterError::auth(format!("the broker refused the PIN {pin} or the code")));
        }
        Ok(Login::done([("access_token", good_token(&self.broker)?)]))
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
        if good_token(&self.broker)? != self.token {
            return Err(AdapterError::network("the broker closed the connection"));
        }
        self.ticker.tick(sink);
        Ok(())
    }
}

fn good_token(broker: &Path) -> Result<String, AdapterError> {
    fs::read_to_string(broker.join("token")).map_err(AdapterError::network)
}

fn note(broker: &Path, call: &str) -> Result<(), AdapterError> {
    let mut calls = OpenOptions::new()
        .create(true)
        .append(true)
        .open(broker.join("calls"))
        .map_err(AdapterError::network)?;
    writeln!(calls, "{call}").map_err(AdapterError::network)
}
