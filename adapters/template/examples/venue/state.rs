//! What the venue knows: whom it lets in, its connections, and what the suite may ask of it.

use std::collections::HashMap;

use adapter_conformance::{CredentialSet, Packet, Subscribed, VenueReport};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::{garbage::Garbage, list, packet};

/// Frames that may wait for one connection. The suite never sends as many at once.
const WAITING: usize = 20_000;

#[derive(Default)]
pub(crate) struct State {
    /// Credentials with which one may log in now.
    pub(crate) accepted: Vec<CredentialSet>,
    pub(crate) report: VenueReport,
    /// Connections that are logged in, oldest first.
    peers: Vec<Peer>,
    log_ins: u64,
}

/// A connection that is logged in.
struct Peer {
    number: u64,
    frames: mpsc::Sender<Message>,
    /// Handles that were ever given on this connection, by token.
    handles: HashMap<u32, u32>,
    is_mute: bool,
}

impl Peer {
    fn send(&self, message: &Value) {
        self.send_frame(Message::text(message.to_string()));
    }

    fn send_frame(&self, frame: Message) {
        if !self.is_mute {
            // A connection that has just ended misses it, as at any broker.
            _ = self.frames.try_send(frame);
        }
    }
}

impl State {
    pub(crate) fn opened(&mut self) {
        self.report.opened += 1;
        self.report.open += 1;
    }

    pub(crate) fn closed(&mut self) {
        self.report.open -= 1;
    }

    /// Judges a log-in; one that is good gives the number of the connection and the frames that it is to send.
    pub(crate) fn log_in(&mut self, token: &str) -> Option<(u64, mpsc::Receiver<Message>)> {
        let is_good =
            self.accepted.iter().any(|set| set.get("access_token").is_some_and(|good| good == token));
        self.report.log_ins.push(is_good);
        if !is_good {
            return None;
        }
        self.log_ins += 1;
        let (frames, receiver) = mpsc::channel(WAITING);
        let peer = Peer { number: self.log_ins, frames, handles: HashMap::new(), is_mute: false };
        peer.send(&json!({ "type": "login", "ok": true }));
        self.peers.push(peer);
        // The report is about the newest connection.
        self.report.subscribes.clear();
        self.report.subscribed.clear();
        Some((self.log_ins, receiver))
    }

    pub(crate) fn leave(&mut self, number: u64) {
        self.peers.retain(|peer| peer.number != number);
    }

    pub(crate) fn subscribe(&mut self, number: u64, mode: &str, tokens: &[u32]) {
        let Some(peer) = self.peers.iter_mut().find(|peer| peer.number == number) else { return };
        self.report.subscribes.push(tokens.len() as u64);
        let (mut known, unknown): (Vec<u32>, Vec<u32>) =
            tokens.iter().partition(|token| list::instrument_of(**token).is_some());
        // On each connection a handle means something else: a table that outlives its connection shows.
        if number.is_multiple_of(2) {
            known.reverse();
        }
        let mut given = Vec::new();
        for token in known {
            let next = u32::try_from(peer.handles.len()).unwrap_or(u32::MAX);
            let handle = *peer.handles.entry(token).or_insert(next);
            given.push((token, handle));
            if let Some((exchange, symbol)) = list::instrument_of(token) {
                self.report.subscribed.retain(|one| one.exchange != exchange || one.symbol != symbol);
                let mode = if mode == "book" { "depth" } else { mode };
                self.report.subscribed.push(Subscribed { exchange, symbol, mode: mode.to_owned() });
            }
        }
        peer.send(&json!({ "type": "subscribed", "handles": given }));
        for token in unknown {
            peer.send(&json!({ "type": "refused", "token": token, "reason": "no such instrument" }));
        }
    }

    pub(crate) fn unsubscribe(&mut self, tokens: &[u32]) {
        for (exchange, symbol) in tokens.iter().filter_map(|token| list::instrument_of(*token)) {
            self.report.subscribed.retain(|one| one.exchange != exchange || one.symbol != symbol);
        }
    }

    pub(crate) fn heartbeat(&self, number: u64) {
        if let Some(peer) = self.peers.iter().find(|peer| peer.number == number) {
            peer.send(&json!({ "type": "heartbeat" }));
        }
    }

    /// Sends packets in one frame, on each connection those whose instrument has a handle there.
    pub(crate) fn send(&self, packets: &[Packet]) -> Result<(), String> {
        for peer in &self.peers {
            let mut ticks = Vec::new();
            for one in packets {
                let token = list::token_of(&one.exchange, &one.symbol)
                    .ok_or_else(|| format!("there is no {} on {}", one.symbol, one.exchange))?;
                if let Some(handle) = peer.handles.get(&token) {
                    ticks.push(packet::wire(one, *handle)?);
                }
            }
            if !ticks.is_empty() {
                peer.send(&json!({ "type": "ticks", "ticks": ticks }));
            }
        }
        Ok(())
    }

    /// Ends every connection: with its sender the task of a connection ends.
    pub(crate) fn disconnect(&mut self) {
        self.peers.clear();
    }

    pub(crate) fn mute(&mut self) {
        self.peers.iter_mut().for_each(|peer| peer.is_mute = true);
    }

    pub(crate) fn garbage(&self, seed: u64, frames: u32) {
        for peer in &self.peers {
            for frame in Garbage::new(seed).take(frames as usize) {
                peer.send_frame(frame);
            }
        }
    }
}
