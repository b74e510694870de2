//! A connection that is up: subscriptions out, packets in, order updates and the renewal of the list beside them.

use std::{sync::Arc, time::SystemTime};

use adapter_sdk::{
    AdapterError, Connection, Mode, Packet, Refusal, Subscription, TickSink,
    instruments::Renewal,
    net::{Message, WebSocket},
    symbol,
    tracing::{debug, warn},
};
use rustc_hash::FxHashMap;

use crate::{
    control::{self, Control},
    decode::{self, Decoded},
    feed::{Feed, Refused, Wanted},
    list::List,
    names,
    orders::{Orders, Said},
    wire,
};

/// One connection of the market feed.
#[derive(Debug)]
pub struct Session {
    socket: WebSocket,
    feed: Feed,
    /// What the host wants, to find it again in another list of instruments.
    subscriptions: FxHashMap<u32, Subscription>,
    list: Arc<List>,
    renewal: Renewal<List>,
    orders: Option<Orders>,
}

/// What came first.
enum Event {
    Message(Message),
    Order(Said),
    Renewed(Arc<List>),
}

impl Session {
    pub(crate) fn new(
        socket: WebSocket,
        batch_size: usize,
        list: Arc<List>,
        renewal: Renewal<List>,
        orders: Option<Orders>,
    ) -> Self {
        Self {
            socket,
            feed: Feed::new(batch_size),
            subscriptions: FxHashMap::default(),
            list,
            renewal,
            orders,
        }
    }

    fn send(&mut self, messages: Vec<String>) {
        messages.into_iter().for_each(|message| self.socket.queue(message));
    }

    fn find(&self, subscription: &Subscription) -> Option<Wanted> {
        if symbol::has_expired(&subscription.exchange, &subscription.symbol, SystemTime::now()) {
            return None;
        }
        let key = names::find(&self.list.table, &subscription.exchange, &subscription.symbol)?;
        let is_index = subscription.exchange.ends_with("_INDEX");
        Some(Wanted { instrument: subscription.instrument, key, mode: subscription.mode, is_index })
    }

    /// Subscribes to what has a key, and says of the rest that it has none. Gives the numbers of those: the host asks for
    /// them again when another list may have them.
    fn want<'a>(
        &mut self,
        subscriptions: impl IntoIterator<Item = &'a Subscription>,
        sink: &mut TickSink,
    ) -> Vec<u32> {
        let mut wanted = Vec::new();
        let mut gone = Vec::new();
        for subscription in subscriptions {
            if let Some(one) = self.find(subscription) {
                wanted.push(one);
            } else {
                let Subscription { exchange, symbol, .. } = subscription;
                let refusal = Refusal::UnknownInstrument(format!("Symbol {symbol} not found on {exchange}"));
                let refusal = self.renewal.explain(exchange, symbol, refusal);
                sink.outcome(subscription.instrument, Err(refusal));
                gone.push(subscription.instrument);
            }
        }
        let messages = self.feed.subscribe(wanted);
        self.send(messages);
        let messages = self.feed.unsubscribe(&gone);
        self.send(messages);
        gone
    }

    /// Another list is in force: what has another token now is subscribed anew, before a tick of the old token can be
    /// shown under its name.
    fn renewed(&mut self, list: Arc<List>, sink: &mut TickSink) {
        self.list = list;
        let mut subscriptions = std::mem::take(&mut self.subscriptions);
        for gone in self.want(subscriptions.values(), sink) {
            subscriptions.remove(&gone);
        }
        self.subscriptions = subscriptions;
    }

    fn packet(&self, bytes: &[u8], sink: &mut TickSink) {
        let Ok(packet) = wire::Packet::parse(bytes) else {
            sink.undecodable();
            return;
        };
        let Some(live) = self.feed.find(&packet.key) else { return };
        for instrument in &live.instruments {
            publish(&decode::tick(&packet, *instrument, live.is_index), live.mode, sink);
        }
    }

    fn text(&mut self, text: &str, sink: &mut TickSink) {
        match control::read(text) {
            Control::Pong => {}
            Control::Unknown => debug!("Message of a kind that is not known"),
            Control::Error { code, correlation } => {
                let is_full = code == "E1002";
                let Refused { instruments: refused, messages } =
                    correlation.map(|one| self.feed.refuse(&one)).unwrap_or_default();
                self.send(messages);
                warn!(is_full, instruments = refused.len(), "The broker refused a request");
                for instrument in refused {
                    self.subscriptions.remove(&instrument);
                    let refusal = if is_full {
                        Refusal::Capacity(
                            "The broker allows no more subscriptions on this connection".to_owned(),
                        )
                    } else {
                        Refusal::Refused("The broker did not understand the request".to_owned())
                    };
                    sink.outcome(instrument, Err(refusal));
                }
            }
        }
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], sink: &mut TickSink) -> Result<(), AdapterError> {
        self.subscriptions.extend(wanted.iter().map(|one| (one.instrument, one.clone())));
        for gone in self.want(wanted, sink) {
            self.subscriptions.remove(&gone);
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        for instrument in instruments {
            self.subscriptions.remove(instrument);
        }
        let messages = self.feed.unsubscribe(instruments);
        self.send(messages);
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        let Self { socket, renewal, orders, .. } = self;
        let order = async {
            match orders {
                Some(orders) => orders.next().await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            message = socket.next() => Event::Message(message?),
            said = order => Event::Order(said),
            list = renewal.next() => Event::Renewed(list?),
        };
        match event {
            Event::Message(Message::Binary(bytes)) => self.packet(&bytes, sink),
            Event::Message(Message::Text(text)) => self.text(&text, sink),
            Event::Order(Said::Update(update)) => sink.order_update(&update),
            Event::Order(Said::Undecodable) => sink.undecodable(),
            Event::Order(Said::Nothing) => {}
            Event::Renewed(list) => self.renewed(list, sink),
        }
        Ok(())
    }

    async fn close(self) {
        // Both at once: a session that is not closed counts against the broker's limit for a while.
        let orders = async {
            if let Some(orders) = self.orders {
                orders.close().await;
            }
        };
        tokio::join!(self.socket.close(), orders);
    }
}

/// Publishes a packet, and no more of it than the mode that is subscribed brings: while that changes, packets of both modes
/// come. A packet is an image: the broker sends nothing of the instrument beside it.
fn publish(decoded: &Decoded, mode: Mode, sink: &mut TickSink) {
    let packet = match decoded {
        Decoded::Ltp(tick) => Packet::Ltp(tick.image()),
        Decoded::Quote(tick) => Packet::Quote(tick.image()),
        Decoded::Book(tick, book) => Packet::Depth(tick.image(), book.buy(), book.sell()),
        Decoded::Bookless(tick) => Packet::Values(tick.image()),
        // Nobody asks for this packet, and it has no values.
        Decoded::Deep(..) if mode < Mode::Depth => return,
        Decoded::Deep(tick, book) => Packet::Depth(*tick, book.buy(), book.sell()),
    };
    sink.publish(mode, &packet);
}
