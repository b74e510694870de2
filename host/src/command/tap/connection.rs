//! One connection to a host: log in, subscribe, listen.

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tickhost_core::protocol::codes::{CloseReason, Return};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Bytes, Message, protocol::WebSocketConfig},
};

use super::{
    format::printable,
    stream::{self, Stream},
};

/// Longest wait for the connection and for each answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Silence after which the host is asked whether it is there, and then time to answer. A host may have its
/// own pings switched off, and a machine that loses its network closes nothing.
const QUIET: Duration = Duration::from_secs(20);

/// Longest message of a host: a book of 200 levels has some 50 KB, the answer for thousands of symbols more.
const MAX_MESSAGE_BYTES: usize = 16 * 1_024 * 1_024;

/// Where the host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    url: String,
    shown: String,
    authority: String,
    /// Certificate of an encrypted one.
    certificate: Option<PathBuf>,
}

impl Target {
    /// `certificate` is the file with that of the host, for those that are encrypted.
    pub(super) fn parse(url: &str, certificate: Option<PathBuf>) -> anyhow::Result<Self> {
        let (rest, default_port, certificate) = if let Some(rest) = url.strip_prefix("wss://") {
            let Some(certificate) = certificate else {
                bail!(
                    "wss:// needs the host's certificate: name its file in TICKHOST_TLS_CERT and its key in TICKHOST_TLS_KEY"
                );
            };
            (rest, 443, Some(certificate))
        } else if let Some(rest) = url.strip_prefix("ws://") {
            (rest, 80, None)
        } else {
            bail!("--url is no address of a host: write ws://127.0.0.1:8765");
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            // Not repeated: what stands before the @ may be a password.
            bail!("the address of a host has no user and no password: write ws://127.0.0.1:8765");
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if authority.is_empty() {
            bail!("--url names no address: write ws://127.0.0.1:8765");
        }
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:{default_port}") };
        // A query may carry a token for a proxy.
        let shown = printable(url.split(['?', '#']).next().unwrap_or_default());
        Ok(Self { url: url.to_owned(), shown, authority, certificate })
    }

    /// The address as it may be shown, printable.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) key: SecretString,
    pub(super) symbols: Vec<(String, String)>,
    pub(super) mode: u8,
    pub(super) depth: u16,
}

/// A market-data message.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    /// `EXCHANGE:SYMBOL`, printable.
    pub(super) name: String,
    /// The values.
    pub(super) data: Value,
    /// The message as it came: not printable.
    pub(super) raw: String,
}

/// Why a symbol cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// `EXCHANGE:SYMBOL`, printable.
    pub(super) name: String,
    /// The host's reason, printable.
    pub(super) reason: String,
}

/// What the host says of its way to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Feed {
    /// The host's word for the state, printable.
    pub(super) state: String,
    /// The host's sentence, printable.
    pub(super) message: String,
}

impl Feed {
    /// Whether ticks may be expected.
    pub(super) fn is_live(&self) -> bool {
        self.state == "live"
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "feed {}: {}", self.state, self.message)
    }
}

/// What a host said.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// A tick.
    Tick(Tick),
    /// The request is answered.
    Answer {
        /// What was not granted.
        refusals: Vec<Refusal>,
        /// Whether anything was.
        is_any_granted: bool,
    },
    /// A symbol that was granted is not to be had after all.
    Ended(Refusal),
    /// A symbol that was granted is not to be had for now, and goes on when it is.
    Missing(Refusal),
    /// The way to the broker is in another state, or in this one from the beginning.
    Feed(Feed),
    /// The whole request is refused, for this reason, printable.
    Rejected(String),
}

/// The key is wrong: to try again is of no use.
#[derive(Debug, thiserror::Error)]
#[error(
    "the host refused the key: {0}. Set TICKHOST_API_KEY, or name a file with --key-file; `tickhost key create USER` makes a key"
)]
struct KeyRefused(String);

/// The host closed the connection and said why.
#[derive(Debug, thiserror::Error)]
#[error("the host closed the connection: {reason} ({code})")]
struct Closed {
    code: u16,
    reason: String,
}

impl Closed {
    fn client_return(&self) -> Option<Return> {
        // 1000 comes from proxies, too, and says nothing about this client.
        let reasons = CloseReason::ALL.into_iter().filter(|reason| *reason != CloseReason::ClientClosed);
        reasons.into_iter().find(|reason| reason.code() == self.code).map(CloseReason::client_return)
    }
}

/// Whether another try would end the same way.
pub(super) fn is_final(error: &anyhow::Error) -> bool {
    error.downcast_ref::<KeyRefused>().is_some() || closed_with(error) == Some(Return::Never)
}

/// Whether the host asks for a longer pause before another try.
pub(super) fn asks_for_patience(error: &anyhow::Error) -> bool {
    closed_with(error) == Some(Return::Later)
}

fn closed_with(error: &anyhow::Error) -> Option<Return> {
    error.downcast_ref::<Closed>().and_then(Closed::client_return)
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: WebSocketStream<Box<dyn Stream>>,
    heard_at: Instant,
    is_asked: bool,
}

impl Connection {
    /// Connects, logs in and sends the subscription, whose answer comes through [`Self::hear`].
    pub(super) async fn open(target: &Target, subscription: &Subscription) -> anyhow::Result<Self> {
        let connecting = async {
            let stream = TcpStream::connect(&target.authority).await?;
            let stream: Box<dyn Stream> = match &target.certificate {
                Some(certificate) => stream::encrypt(stream, certificate).await?,
                None => Box::new(stream),
            };
            let config = WebSocketConfig::default()
                .max_message_size(Some(MAX_MESSAGE_BYTES))
                .max_frame_size(Some(MAX_MESSAGE_BYTES));
            let (socket, _) = client_async_with_config(&target.url, stream, Some(config)).await?;
            anyhow::Ok(socket)
        };
        let socket = timeout(PATIENCE, connecting)
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs())))
            .with_context(|| format!("cannot connect to {}; is `tickhost run` running?", target.shown))?;
        let mut connection = Self { socket, heard_at: Instant::now(), is_asked: false };
        timeout(PATIENCE, connection.log_in(&subscription.key))
            .await
            .context("the host does not answer")??;
        let symbols: Vec<Value> = subscription
            .symbols
            .iter()
            .map(|(exchange, symbol)| json!({"exchange": exchange, "symbol": symbol}))
            .collect();
        let request = json!({
            "action": "subscribe",
            "symbols": symbols,
            "mode": subscription.mode,
            "depth": subscription.depth,
        });
        connection.send(&request).await?;
        Ok(connection)
    }

    async fn log_in(&mut self, key: &SecretString) -> anyhow::Result<()> {
        self.send(&json!({"action": "authenticate", "api_key": key.expose_secret(), "feed_status": true}))
            .await?;
        loop {
            let Ok(answer) = serde_json::from_str::<Value>(&self.next().await?) else { continue };
            match (text(&answer, "type"), text(&answer, "status")) {
                ("auth", "success") => return Ok(()),
                ("auth" | "", "error") => {}
                _ => continue,
            }
            let reason = printable(text(&answer, "message"));
            match text(&answer, "code") {
                "AUTHENTICATION_ERROR" => return Err(KeyRefused(reason).into()),
                code => bail!("the host refused to log in: {reason} ({})", printable(code)),
            }
        }
    }

    async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        self.socket.send(Message::text(message.to_string())).await.context("the connection is lost")
    }

    /// The next text message.
    ///
    /// # Cancel Safety
    /// Nothing is lost; at worst a ping is sent twice.
    async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            let patience = if self.is_asked { QUIET * 2 } else { QUIET };
            let Ok(message) = timeout_at(self.heard_at + patience, self.socket.next()).await else {
                if self.is_asked {
                    bail!("the connection is lost: the host was silent for {} s", patience.as_secs());
                }
                self.socket.send(Message::Ping(Bytes::new())).await.context("the connection is lost")?;
                self.is_asked = true;
                continue;
            };
            (self.heard_at, self.is_asked) = (Instant::now(), false);
            match message {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    let closed = Closed { code: frame.code.into(), reason: printable(&frame.reason) };
                    return Err(closed.into());
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error).context("the connection is lost"),
                None => bail!("the connection is lost"),
            }
        }
    }

    /// The next thing worth showing.
    ///
    /// # Cancel Safety
    /// Nothing is lost.
    pub(super) async fn hear(&mut self) -> anyhow::Result<Heard> {
        loop {
            if let Some(heard) = interpret(self.next().await?) {
                return Ok(heard);
            }
        }
    }
}

/// What a message means; unknown ones mean nothing.
pub(super) fn interpret(raw: String) -> Option<Heard> {
    let mut message = serde_json::from_str::<Value>(&raw).ok()?;
    match (text(&message, "type"), text(&message, "status")) {
        ("market_data", _) => {
            let name = name_of(&message);
            let data = message.get_mut("data").map(Value::take).unwrap_or_default();
            Some(Heard::Tick(Tick { name, data, raw }))
        }
        ("subscribe", _) => {
            let entries = message.get("subscriptions").and_then(Value::as_array);
            let entries = entries.map(Vec::as_slice).unwrap_or_default();
            let (granted, refused): (Vec<_>, Vec<_>) =
                entries.iter().partition(|entry| text(entry, "status") == "success");
            let refusals = refused.into_iter().map(refusal).collect();
            Some(Heard::Answer { refusals, is_any_granted: !granted.is_empty() })
        }
        ("feed_status", _) => {
            let part = |name| printable(text(&message, name));
            Some(Heard::Feed(Feed { state: part("state"), message: part("message") }))
        }
        ("subscription_status", "error") if message.get("kept") == Some(&Value::Bool(true)) => {
            Some(Heard::Missing(refusal(&message)))
        }
        ("subscription_status", "error") => Some(Heard::Ended(refusal(&message))),
        ("", "error") => {
            let reason = format!("{} ({})", text(&message, "message"), text(&message, "code"));
            Some(Heard::Rejected(printable(&reason)))
        }
        _ => None,
    }
}

fn refusal(entry: &Value) -> Refusal {
    Refusal { name: name_of(entry), reason: printable(text(entry, "message")) }
}

fn name_of(value: &Value) -> String {
    printable(&format!("{}:{}", text(value, "exchange"), text(value, "symbol")))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
