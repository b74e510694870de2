//! A fake venue for the conformance suite: speaks the broker's protocol on a free port, and does what the
//! suite says on standard input. It ends with its input.

mod list;
mod packet;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    time::Duration,
};

use adapter_conformance::{Name, Packet};
use adapter_venue::{Broker, Desk, Guest, Handshake, Message, Next, Pulse, Reply, Request, reply};
use serde::Deserialize;
use serde_json::json;

/// Pause between the venue's heartbeats.
const HEARTBEAT: Duration = Duration::from_millis(100);

/// Silence after which the venue hangs up, as the broker does after three heartbeats that are missing.
const SILENCE: Duration = Duration::from_millis(1_500);

/// Most tokens in one message.
const TOKENS_PER_MESSAGE: usize = 100;

/// A message of the adapter.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Asked {
    Login { token: String },
    Subscribe { mode: String, tokens: Vec<u32> },
    Unsubscribe { tokens: Vec<u32> },
    Heartbeat,
}

/// The broker. What it calls an instrument on a connection is a handle, which means another one on the next.
#[derive(Default)]
struct Acme {
    handles: BTreeMap<u64, HashMap<u32, u32>>,
}

impl Broker for Acme {
    const TOKENS: &'static [&'static str] = &["access_token"];

    fn values(&self) -> Vec<&'static str> {
        packet::VALUES.map(|(name, _)| name).into()
    }

    fn answer(&mut self, desk: &mut Desk, request: &Request) -> Reply {
        if request.uri().path() != "/list" {
            return reply(404, "text/plain", "Not Found");
        }
        let text = list::csv(&desk.listing);
        desk.listing.file("text/csv", text)
    }

    fn admit(&mut self, _desk: &mut Desk, _handshake: &Handshake) -> Result<Guest, Reply> {
        Ok(Guest::Stranger)
    }

    fn hear(&mut self, desk: &mut Desk, connection: u64, message: &Message) -> Next {
        let Ok(asked) = serde_json::from_slice(message.payload()) else { return Next::HangUp };
        match asked {
            Asked::Login { token } => {
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
            Asked::Subscribe { mode, tokens } if tokens.len() <= TOKENS_PER_MESSAGE => {
                self.subscribe(desk, connection, &mode, tokens);
            }
            Asked::Unsubscribe { tokens } if tokens.len() <= TOKENS_PER_MESSAGE => {
                for token in tokens {
                    if let Some(name) = list::instrument_of(&desk.listing, token) {
                        desk.unsubscribe(connection, &name);
                    }
                }
            }
            Asked::Heartbeat => {}
            Asked::Subscribe { .. } | Asked::Unsubscribe { .. } => return Next::HangUp,
        }
        Next::Go
    }

    /// What is absent in a packet of this broker did not change, so that whole packets are partial ones.
    fn write(
        &mut self,
        desk: &Desk,
        connection: u64,
        packets: &[Packet],
        _is_partial: bool,
    ) -> Result<Vec<Message>, String> {
        let Some(handles) = self.handles.get(&connection) else { return Ok(Vec::new()) };
        let mut ticks = Vec::new();
        for one in packets {
            let name = Name { exchange: one.exchange.clone(), symbol: one.symbol.clone() };
            let token = list::token_of(&desk.listing, &name)
                .ok_or_else(|| format!("there is no {} on {}", one.symbol, one.exchange))?;
            if let Some(handle) = handles.get(&token) {
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
    fn subscribe(&mut self, desk: &mut Desk, connection: u64, mode: &str, tokens: Vec<u32>) {
        let mode = match mode {
            "book" => "depth",
            "quote" => "quote",
            _ => "ltp",
        };
        let name_of = |desk: &Desk, token: u32| list::instrument_of(&desk.listing, token);
        let (mut known, unknown): (Vec<u32>, Vec<u32>) =
            tokens.into_iter().partition(|token| name_of(desk, *token).is_some());
        let wanted: Vec<(Name, &'static str)> =
            known.iter().filter_map(|token| Some((name_of(desk, *token)?, mode))).collect();
        desk.subscribe(connection, &wanted);
        // On each connection a handle means something else: a table that outlives its connection shows.
        let handles = self.handles.entry(connection).or_default();
        if connection.is_multiple_of(2) {
            known.reverse();
        }
        let mut given = Vec::new();
        for token in known {
            let next = u32::try_from(handles.len()).unwrap_or(u32::MAX);
            given.push((token, *handles.entry(token).or_insert(next)));
        }
        desk.say(connection, &json!({ "type": "subscribed", "handles": given }));
        for token in unknown {
            desk.say(
                connection,
                &json!({ "type": "refused", "token": token, "reason": "no such instrument" }),
            );
        }
    }
}

fn main() -> io::Result<()> {
    adapter_venue::run(Acme::default(), io::stdin().lock(), io::stdout().lock())
}
