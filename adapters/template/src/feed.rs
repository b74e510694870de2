//! The connection: logging in, subscribing, and the broker's messages. Batches, heartbeats, silence and what
//! is wanted are the SDK's [`Session`](adapter_sdk::session::Session)'s.

use std::collections::{BTreeMap, HashMap};

use adapter_sdk::{
    AdapterError, Mode, Packet, Refusal, Subscription, TickSink,
    net::Message,
    plan::Change,
    session::{Live, Protocol, Welcome},
    tracing::{debug, info},
};

use crate::{
    decode::{self, Decoded},
    list::{InstrumentList, Token},
    wire::{self, Request},
};

/// What the broker is asked for: a mode, and in mode DEPTH the levels on each side.
type Asked = (Mode, u16);

/// This broker's side of a connection.
#[derive(Debug)]
pub struct Feed {
    /// Of the day. It is never shown, and wiped from memory.
    access: adapter_sdk::Token,
    /// Tokens by handle: what the broker calls them in ticks, on this connection.
    handles: HashMap<u32, Token>,
}

impl Feed {
    pub(crate) fn new(access: adapter_sdk::Token) -> Self {
        Self { access, handles: HashMap::new() }
    }

    fn take(&mut self, packet: &wire::Packet, live: &mut Live<Self>, sink: &mut TickSink) {
        // A late packet of what was unsubscribed is nobody's.
        let Some(heard) = self.handles.get(&packet.h).and_then(|token| live.heard(token)) else { return };
        for (instrument, (mode, levels)) in heard.instruments() {
            match decode::packet(packet, *instrument) {
                // A packet has what changed, whatever the mode: a price alone is for those who want quotes or
                // books as well.
                Ok(Decoded::Ltp(tick) | Decoded::Quote(tick)) => sink.publish(*mode, &Packet::Values(tick)),
                Ok(Decoded::Book(tick, buy, sell)) => {
                    // Another instrument of the same key may want more levels.
                    sink.publish(*mode, &Packet::Depth(tick, &buy, &sell).up_to(*levels));
                }
                Err(_) => sink.undecodable(),
            }
        }
    }
}

impl Protocol for Feed {
    type Key = Token;
    type Asked = Asked;
    type List = InstrumentList;

    fn find(&self, list: &InstrumentList, wanted: &Subscription) -> Result<Token, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, _: &Token, _: &mut TickSink) -> Asked {
        (wanted.mode, wanted.depth)
    }

    fn hello(&mut self) -> Vec<Message> {
        vec![Request::Login { token: self.access.token() }.to_message()]
    }

    fn welcome(&mut self, message: &Message) -> Result<Welcome, AdapterError> {
        let Message::Text(text) = message else { return Ok(Welcome::Continue(Vec::new())) };
        match decode::message(text) {
            Ok(wire::Message::Login { ok: true }) => Ok(Welcome::Accepted(Vec::new())),
            // The broker's own words are left out: nobody knows whether they repeat the token.
            Ok(wire::Message::Login { ok: false }) => {
                Err(AdapterError::auth("the broker refused the access token: log in again for a new one"))
            }
            Ok(_) => Ok(Welcome::Continue(Vec::new())),
            Err(_) => Err(AdapterError::protocol("the broker answered the log-in with something else")),
        }
    }

    /// First what ends, so that there is room for the rest. A new mode replaces the old one.
    fn requests(&mut self, changes: &[Change<Token, Asked>]) -> Vec<Message> {
        let mut ended: Vec<Token> = Vec::new();
        let mut begun = BTreeMap::<Asked, Vec<Token>>::new();
        for Change { key, now, .. } in changes {
            match now {
                Some(asked) => begun.entry(*asked).or_default().push(*key),
                None => ended.push(*key),
            }
        }
        let ends = (!ended.is_empty()).then(|| Request::Unsubscribe { tokens: &ended }.to_message());
        let begins = begun.iter().map(|((mode, levels), tokens)| {
            let mode = match mode {
                Mode::Ltp => "ltp",
                Mode::Quote => "quote",
                Mode::Depth => "book",
            };
            Request::Subscribe { mode, levels: *levels, tokens }.to_message()
        });
        ends.into_iter().chain(begins).collect()
    }

    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let Message::Text(text) = message else {
            live.undecodable("frame", &"bytes where the broker sends text", 0, sink);
            return Ok(());
        };
        match decode::message(&text) {
            Ok(wire::Message::Ticks { ticks }) => {
                ticks.iter().for_each(|packet| self.take(packet, live, sink));
            }
            Ok(wire::Message::Subscribed { handles }) => {
                // An answer that comes after the end of the subscription finds nobody.
                let wanted = handles.iter().filter(|(token, _)| live.feed(token).is_some());
                self.handles.extend(wanted.map(|(token, handle)| (*handle, *token)));
            }
            Ok(wire::Message::Refused { token, .. }) => {
                info!(token, "The broker refused an instrument");
                let refusal = Refusal::Refused("The broker does not serve this instrument".to_owned());
                live.refuse(&token, &refusal, sink);
            }
            Ok(wire::Message::Heartbeat | wire::Message::Login { .. }) => {}
            Ok(wire::Message::Unknown) => debug!("Message of a kind that is not known"),
            Err(error) => live.undecodable("message", &error, text.len(), sink),
        }
        Ok(())
    }

    fn release(&mut self, _: u32, last_of: Option<&Token>) {
        if let Some(token) = last_of {
            self.handles.retain(|_, known| known != token);
        }
    }
}
