//! A fake venue for the conformance suite: speaks the broker's protocol on a free port, and does what the suite says on
//! standard input. It ends with its input.

mod packet;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    time::Duration,
};

use adapter_conformance::{Name, Packet};
use adapter_venue::{Broker, Desk, Guest, Handshake, Message, Next, Pulse, Reply};
use serde::Deserialize;
use serde_json::json;

/// Pause between the venue's heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Silence after which the venue hangs up, as the broker does after three heartbeats that are missing.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Most keys in one message.
const KEYS_PER_MESSAGE: usize = 100;

/// A message of the adapter.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Request {
    Login { token: String },
    Subscribe { mode: String, keys: Vec<String> },
    Unsubscribe { keys: Vec<String> },
    Heartbeat,
}

/// The broker. What it calls an instrument on a connection is a handle, which means another one on the next.
#[derive(Default)]
struct Acme {
    handles: BTreeMap<u64, HashMap<String, u32>>,
}

impl Broker for Acme {
    const TOKENS: &'static [&'static str] = &["access_token"];

    fn values(&self) -> Vec<&'static str> {
        packet::VALUES.map(|(name, _)| name).into()
    }

    fn admit(&mut self, _desk: &mut Desk, _handshake: &Handshake) -> Result<Guest, Reply> {
        Ok(Guest::Stranger)
    }

    fn hear(&mut self, desk: &mut Desk, connection: u64, message: &Message) -> Next {
        let Ok(request) = serde_json::from_slice(message.payload()) else { return Next::HangUp };
        match request {
            Request::Login { token } => {
                let is_good = desk.accounts.is_token("access_token", &token);
                desk.logged_in_on(connection, is_good.then_some("the account"));
                if is_good {
                    desk.say(connection, &json!({ "type": "login", "ok": true }));
                } else {
                    let reason = format!("token {token} has expired");
                    desk.expel(connection, &json!({ "type": "login", "ok": false, "reason": reason }));
                }
            }
            // What is said before the log-in is the end.
            _ if !desk.connections().contains(&connection) => return Next::HangUp,
            Request::Subscribe { mode, keys } if keys.len() <= KEYS_PER_MESSAGE => {
                self.subscribe(desk, connection, &mode, &keys);
            }
            Request::Unsubscribe { keys } if keys.len() <= KEYS_PER_MESSAGE => {
                let names = keys.iter().filter_map(|key| packet::instrument_of(key));
                names.for_each(|name| desk.unsubscribe(connection, &name));
            }
            Request::Heartbeat => {}
            Request::Subscribe { .. } | Request::Unsubscribe { .. } => return Next::HangUp,
        }
        Next::Go
    }

    /// What is absent in a packet of this broker did not change, so that whole packets are partial ones.
    fn write(
        &mut self,
        _desk: &Desk,
        connection: u64,
        packets: &[Packet],
        _is_partial: bool,
    ) -> Result<Vec<Message>, String> {
        let Some(handles) = self.handles.get(&connection) else { return Ok(Vec::new()) };
        let mut ticks = Vec::new();
        for one in packets {
            let key = packet::key_of(&one.exchange, &one.symbol)
                .ok_or_else(|| format!("there is no exchange {}", one.exchange))?;
            if let Some(handle) = handles.get(&key) {
                ticks.push(packet::wire(one, *handle)?);
            }
        }
        let message = || Message::from(&json!({ "type": "ticks", "ticks": ticks }));
        Ok(if ticks.is_empty() { Vec::new() } else { vec![message()] })
    }

    fn samples(&self) -> Vec<Message> {
        packet::SAMPLES.map(Message::text).into()
    }

    fn pulse(&self) -> Pulse {
        let beat = Message::text(r#"{"type":"heartbeat"}"#);
        Pulse { heartbeat: Some((HEARTBEAT, beat)), patience: Some(SILENCE) }
    }
}

impl Acme {
    fn subscribe(&mut self, desk: &mut Desk, connection: u64, mode: &str, keys: &[String]) {
        let mode = match mode {
            "book" => "depth",
            "quote" => "quote",
            _ => "ltp",
        };
        let (known, unknown): (Vec<&String>, Vec<&String>) =
            keys.iter().partition(|key| packet::instrument_of(key).is_some());
        let wanted: Vec<(Name, &'static str)> =
            known.iter().filter_map(|key| Some((packet::instrument_of(key)?, mode))).collect();
        desk.subscribe(connection, &wanted);
        // On each connection a handle means something else: a table that outlives its connection shows.
        let handles = self.handles.entry(connection).or_default();
        let mut ordered = known;
        if connection.is_multiple_of(2) {
            ordered.reverse();
        }
        let mut given = serde_json::Map::new();
        for key in ordered {
            let next = u32::try_from(handles.len()).unwrap_or(u32::MAX);
            given.insert(key.clone(), (*handles.entry(key.clone()).or_insert(next)).into());
        }
        desk.say(connection, &json!({ "type": "subscribed", "handles": given }));
        for key in unknown {
            desk.say(connection, &json!({ "type": "refused", "key": key, "reason": "no such instrument" }));
        }
    }
}

fn main() -> io::Result<()> {
    adapter_venue::run(Acme::default(), io::stdin().lock(), io::stdout().lock())
}
