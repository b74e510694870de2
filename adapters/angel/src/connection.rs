//! A connection that is up: subscriptions out, packets in, order updates and the renewal of the list beside them.

use std::{rc::Rc, time::Duration};

use adapter_sdk::{
    AdapterError, Connection, Refusal, Subscription, TickSink,
    net::{Message, WebSocket},
    tracing::{debug, warn},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    control::{self, Control},
    decode::{self, Decoded},
    feed::{Feed, Refused, Wanted},
    master::{Master, Renewal},
    orders::{Orders, Said},
    segment::Key,
    wire::Packet,
};

/// Longest that subscriptions wait for the list of today when there is one of yesterday, whose tokens may mean something
/// else by now.
const HOLD_LIMIT: Duration = Duration::from_secs(30);

/// One connection of the market feed.
#[derive(Debug)]
pub struct Session {
    socket: WebSocket,
    feed: Feed,
    /// What the host wants, to find it again in another list of instruments.
    subscriptions: Vec<Subscription>,
    master: Rc<Master>,
    renewal: Renewal,
    orders: Option<Orders>,
    /// Until when subscriptions wait for the list of today.
    held_until: Option<Instant>,
}

/// What came first.
enum Event {
    Message(Message),
    Order(Said),
    Renewed,
    /// The list of today does not come.
    HeldLongEnough,
}

impl Session {
    pub(crate) fn new(
        socket: WebSocket,
        batch_size: usize,
        master: Rc<Master>,
        orders: Option<Orders>,
    ) -> Self {
        let renewal = Renewal::new(Rc::clone(&master));
        let held_until = (!master.is_of_today()).then(|| Instant::now() + HOLD_LIMIT);
        Self {
            socket,
            feed: Feed::new(batch_size),
            subscriptions: Vec::new(),
            master,
            renewal,
            orders,
            held_until,
        }
    }

    fn send(&mut self, messages: Vec<String>) {
        messages.into_iter().for_each(|message| self.socket.queue(message));
    }

    fn find(&self, subscription: &Subscription) -> Option<Wanted> {
        let key: Key = self.master.table()?.get(&subscription.exchange, &subscription.symbol)?;
        let is_index = subscription.exchange.ends_with("_INDEX");
        Some(Wanted { instrument: subscription.instrument, key, mode: subscription.mode, is_index })
    }

    /// Subscribes to what has a key, and says of the rest that it has none.
    fn want(&mut self, subscriptions: &[Subscription], sink: &mut TickSink) {
        let mut wanted = Vec::with_capacity(subscriptions.len());
        let mut gone = Vec::new();
        for subscription in subscriptions {
            if let Some(one) = self.find(subscription) {
                wanted.push(one);
            } else {
                let reason = format!("Symbol {} not found", subscription.symbol);
                sink.outcome(subscription.instrument, Err(Refusal::UnknownInstrument(reason)));
                gone.push(subscription.instrument);
            }
        }
        let messages = self.feed.subscribe(wanted);
        self.send(messages);
        let messages = self.feed.unsubscribe(&gone);
        self.send(messages);
    }

    /// Another list is in force: what has another token now is subscribed anew, before a tick of the old token can be
    /// shown under its name.
    fn renewed(&mut self, sink: &mut TickSink) {
        self.held_until = None;
        let subscriptions = std::mem::take(&mut self.subscriptions);
        self.want(&subscriptions, sink);
        self.subscriptions = subscriptions;
    }

    fn packet(&self, bytes: &[u8], sink: &mut TickSink) {
        let Ok(packet) = Packet::parse(bytes) else {
            sink.undecodable();
            return;
        };
        let Some(live) = self.feed.find(&packet.key) else { return };
        for instrument in &live.instruments {
            match decode::tick(&packet, *instrument, live.is_index) {
                Ok(Decoded::Ltp(tick)) => sink.ltp(&tick),
                Ok(Decoded::Quote(tick)) => sink.quote(&tick),
                Ok(Decoded::Book(tick, book)) => sink.depth(&tick, book.buy.levels(), book.sell.levels()),
                Err(_) => sink.undecodable(),
            }
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
                self.subscriptions.retain(|one| !refused.contains(&one.instrument));
                for instrument in refused {
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
        self.subscriptions.retain(|one| !wanted.iter().any(|new| new.instrument == one.instrument));
        self.subscriptions.extend_from_slice(wanted);
        if self.held_until.is_none() {
            self.want(wanted, sink);
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        self.subscriptions.retain(|one| !instruments.contains(&one.instrument));
        let messages = self.feed.unsubscribe(instruments);
        self.send(messages);
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        let Self { socket, renewal, orders, held_until, .. } = self;
        let held = async {
            match held_until {
                Some(until) => sleep_until(*until).await,
                None => std::future::pending().await,
            }
        };
        let order = async {
            match orders {
                Some(orders) => orders.next().await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            message = socket.next() => Event::Message(message?),
            said = order => Event::Order(said),
            () = renewal.next() => Event::Renewed,
            () = held => Event::HeldLongEnough,
        };
        match event {
            Event::Message(Message::Binary(bytes)) => self.packet(&bytes, sink),
            Event::Message(Message::Text(text)) => self.text(&text, sink),
            Event::Order(Said::Update(update)) => sink.order_update(&update),
            Event::Order(Said::Undecodable) => sink.undecodable(),
            Event::Order(Said::Nothing) => {}
            Event::Renewed => self.renewed(sink),
            Event::HeldLongEnough => {
                warn!("The list of today does not come; subscribing with that of yesterday");
                self.renewed(sink);
            }
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
