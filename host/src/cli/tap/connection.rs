//! One connection to a host: log in, subscribe, listen.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::format::printable;

/// Longest wait for the connection and for each answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Longest message of a host: a book of 200 levels has some 50 KB, the answer for thousands of symbols more.
const MAX_MESSAGE_BYTES: usize = 16 * 1_024 * 1_024;

/// Where the host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    url: String,
    authority: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("wss://") {
            bail!(
                "{} is not supported by tap yet: reach the host on its own machine, or through a tunnel, with ws://",
                printable(url)
            );
        }
        let Some(rest) = url.strip_prefix("ws://") else {
            bail!("{} is no address of a host: write ws://127.0.0.1:8765", printable(url));
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if authority.is_empty() {
            bail!("{} names no address: write ws://127.0.0.1:8765", printable(url));
        }
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        Ok(Self { url: url.to_owned(), authority })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
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
    /// The message as it came, printable.
    pub(super) raw: String,
}

/// What a host said.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// A tick.
    Tick(Tick),
    /// A symbol cannot be had, or no longer.
    Refused {
        /// `EXCHANGE:SYMBOL`, printable.
        name: String,
        /// The host's reason, printable.
        reason: String,
    },
    /// The request is answered, and something of it granted.
    Subscribed,
    /// The request is answered, and nothing of it granted.
    AllRefused,
}

/// The key is wrong: to try again is of no use.
#[derive(Debug, thiserror::Error)]
#[error(
    "the host refused the key: {0}. Set TICKHOST_API_KEY, or name a file with --key-file; `tickhost key create USER` makes a key"
)]
struct KeyRefused(String);

/// Whether another try would end the same way.
pub(super) fn is_final(error: &anyhow::Error) -> bool {
    error.downcast_ref::<KeyRefused>().is_some()
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: WebSocketStream<TcpStream>,
    waiting: VecDeque<Heard>,
}

impl Connection {
    /// Connects, logs in and sends the subscription, whose answer comes through [`Self::hear`].
    pub(super) async fn open(target: &Target, subscription: &Subscription) -> anyhow::Result<Self> {
        let connecting = async {
            let stream = TcpStream::connect(&target.authority).await?;
            let config = WebSocketConfig::default()
                .max_message_size(Some(MAX_MESSAGE_BYTES))
                .max_frame_size(Some(MAX_MESSAGE_BYTES));
            let (socket, _) = client_async_with_config(&target.url, stream, Some(config)).await?;
            anyhow::Ok(socket)
        };
        let socket = timeout(PATIENCE, connecting)
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs())))
            .with_context(|| {
                format!("cannot connect to {}; is `tickhost run` running?", printable(&target.url))
            })?;
        let mut connection = Self { socket, waiting: VecDeque::new() };
        connection.log_in(&subscription.key).await?;
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
        self.send(&json!({"action": "authenticate", "api_key": key.expose_secret()})).await?;
        let answer = timeout(PATIENCE, self.next()).await.context("the host does not answer")??;
        let answer: Value = serde_json::from_str(&answer).context("the host's answer is no JSON")?;
        if text(&answer, "status") == "success" {
            return Ok(());
        }
        let reason = printable(text(&answer, "message"));
        match text(&answer, "code") {
            "AUTHENTICATION_ERROR" => Err(KeyRefused(reason).into()),
            code => bail!("the host refused to log in: {reason} ({})", printable(code)),
        }
    }

    async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        self.socket.send(Message::text(message.to_string())).await.context("the connection is lost")
    }

    /// The next text message.
    async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    bail!(
                        "the host closed the connection: {} ({})",
                        printable(&frame.reason),
                        u16::from(frame.code)
                    )
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
            if let Some(heard) = self.waiting.pop_front() {
                return Ok(heard);
            }
            let raw = self.next().await?;
            interpret(&raw, &mut self.waiting);
        }
    }
}

/// What a message means; unknown ones mean nothing.
pub(super) fn interpret(raw: &str, heard: &mut VecDeque<Heard>) {
    let Ok(mut message) = serde_json::from_str::<Value>(raw) else { return };
    let name = |value: &Value| printable(&format!("{}:{}", text(value, "exchange"), text(value, "symbol")));
    match text(&message, "type") {
        "market_data" => {
            let name = name(&message);
            let data = message.get_mut("data").map(Value::take).unwrap_or_default();
            heard.push_back(Heard::Tick(Tick { name, data, raw: printable(raw) }));
        }
        "subscribe" => {
            let entries =
                message.get("subscriptions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let refused = |entry: &&Value| text(entry, "status") != "success";
            heard.extend(entries.iter().filter(refused).map(|entry| Heard::Refused {
                name: name(entry),
                reason: printable(text(entry, "message")),
            }));
            let is_granted = entries.iter().any(|entry| !refused(&entry));
            heard.push_back(if is_granted { Heard::Subscribed } else { Heard::AllRefused });
        }
        "subscription_status" if text(&message, "status") == "error" => heard
            .push_back(Heard::Refused { name: name(&message), reason: printable(text(&message, "message")) }),
        "" if text(&message, "status") == "error" => {
            let reason = format!("{} ({})", text(&message, "message"), text(&message, "code"));
            heard.push_back(Heard::Refused { name: "request".to_owned(), reason: printable(&reason) });
            heard.push_back(Heard::AllRefused);
        }
        _ => {}
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
