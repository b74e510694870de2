//! The connection: subscriptions, heartbeats, and the watch over silence.

use std::collections::{BTreeMap, HashMap};

use adapter_sdk::{
    AdapterError, Connection, Mode, Refusal, Subscription, TickSink,
    tracing::{debug, info},
};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::time::{Duration, Instant, sleep_until};
use tokio_tungstenite::tungstenite;

use crate::{
    auth::Socket,
    decode::{self, Decoded},
    error::lost,
    symbols::key_of,
    wire::{KEYS_PER_MESSAGE, Message, Request},
};

/// A connection that is logged in.
#[derive(Debug)]
pub struct Session {
    socket: Socket,
    silence: Duration,
    heartbeat: Duration,
    /// When the broker was last heard.
    heard: Instant,
    /// When this side's next heartbeat is due.
    beat: Instant,
    /// Numbers of what is subscribed, by the broker's key.
    numbers: HashMap<String, u32>,
    /// The same numbers by handle, as the broker gave them on this connection.
    handles: HashMap<u32, u32>,
}

impl Session {
    pub(crate) fn new(socket: Socket, settings: &crate::config::Settings) -> Self {
        let now = Instant::now();
        Self {
            socket,
            silence: settings.silence,
            heartbeat: settings.heartbeat,
            heard: now,
            beat: now + settings.heartbeat,
            numbers: HashMap::new(),
            handles: HashMap::new(),
        }
    }

    async fn send(&mut self, request: Request<'_>) -> Result<(), AdapterError> {
        self.socket.send(request.to_frame()).await.map_err(|error| lost(&error))
    }

    fn take(&mut self, text: &str, sink: &mut TickSink) {
        match decode::message(text) {
            Ok(Message::Ticks { ticks }) => {
                for packet in &ticks {
                    // A late tick of what was unsubscribed has no number any more.
                    let Some(number) = self.handles.get(&packet.h) else { continue };
                    match decode::packet(packet, *number) {
                        Ok(Decoded::Ltp(tick)) => sink.ltp(&tick),
                        Ok(Decoded::Quote(tick)) => sink.quote(&tick),
                        Ok(Decoded::Book(tick, buy, sell)) => sink.depth(&tick, &buy, &sell),
                        Err(_) => sink.undecodable(),
                    }
                }
            }
            Ok(Message::Subscribed { handles }) => {
                for (key, handle) in handles {
                    // An answer that comes after the end of the subscription finds no number.
                    if let Some(number) = self.numbers.get(&key) {
                        self.handles.insert(handle, *number);
                    }
                }
            }
            Ok(Message::Refused { key, .. }) => {
                if let Some(number) = self.numbers.remove(&key) {
                    info!(key, "The broker refused an instrument");
                    let symbol = key.split_once('|').map_or(key.as_str(), |(_, symbol)| symbol);
                    sink.outcome(
                        number,
                        Err(Refusal::Refused(format!("The broker does not serve {symbol}"))),
                    );
                }
            }
            Ok(Message::Heartbeat | Message::Login { .. }) => {}
            Ok(Message::Unknown) => debug!("Message of a kind that is not known"),
            Err(_) => sink.undecodable(),
        }
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], _sink: &mut TickSink) -> Result<(), AdapterError> {
        let mut by_mode: BTreeMap<(&str, u16), Vec<String>> = BTreeMap::new();
        for one in wanted {
            // `resolve` was asked before, so that there is a key.
            let Ok(key) = key_of(&one.exchange, &one.symbol) else { continue };
            let mode = match one.mode {
                Mode::Ltp => ("ltp", 0),
                Mode::Quote => ("quote", 0),
                Mode::Depth => ("book", one.depth),
            };
            by_mode.entry(mode).or_default().push(key.clone());
            self.numbers.insert(key, one.instrument);
        }
        for ((mode, levels), keys) in by_mode {
            for keys in keys.chunks(KEYS_PER_MESSAGE) {
                self.send(Request::Subscribe { mode, levels, keys }).await?;
            }
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        let gone = self.numbers.extract_if(|_, number| instruments.contains(number));
        let keys: Vec<String> = gone.map(|(key, _)| key).collect();
        self.handles.retain(|_, number| !instruments.contains(number));
        for keys in keys.chunks(KEYS_PER_MESSAGE) {
            self.send(Request::Unsubscribe { keys }).await?;
        }
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        tokio::select! {
            frame = self.socket.next() => {
                self.heard = Instant::now();
                match frame {
                    Some(Ok(tungstenite::Message::Text(text))) => self.take(&text, sink),
                    Some(Ok(tungstenite::Message::Binary(_))) => sink.undecodable(),
                    Some(Ok(tungstenite::Message::Close(_))) | None => {
                        return Err(AdapterError::network("the broker closed the connection"));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(lost(&error)),
                }
            }
            () = sleep_until(self.beat) => {
                // Dropped while it is being sent, the heartbeat is in the socket's buffer already, and is sent once more.
                self.send(Request::Heartbeat).await?;
                self.beat = Instant::now() + self.heartbeat;
            }
            () = sleep_until(self.heard + self.silence) => {
                return Err(AdapterError::network(format!(
                    "the broker said nothing for {:?}, not even a heartbeat", self.silence
                )));
            }
        }
        Ok(())
    }

    async fn close(mut self) {
        // The broker may be gone already, which is as good.
        _ = self.socket.close(None).await;
    }
}
