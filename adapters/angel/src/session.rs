//! A connection that is up: packets to ticks, texts, and the order updates beside them.

use adapter_sdk::{
    AdapterError, Mode, Packet as Update, Refusal, Subscription, TickSink,
    net::Message,
    plan::{Change, Feed},
    read::Odd,
    session::{Live, OrderSocket, Protocol},
    tracing::{debug, warn},
};
use tokio::time::Instant;

use crate::{
    control::{self, Control},
    decode::{self, Decoded},
    list::Instruments,
    order::{self, Said},
    requests::{Asked, Refused, Requests},
    segment::Key,
    wire::Packet,
};

/// Angel One's side of a connection.
#[derive(Debug)]
pub struct SmartStream {
    requests: Requests,
    orders: Option<OrderSocket>,
    /// What the order socket has brought, and is to be told.
    order: Option<Message>,
    /// Members of order updates that made no sense.
    odd: Odd,
}

impl SmartStream {
    pub(crate) fn new(batch_size: usize, orders: Option<OrderSocket>) -> Self {
        Self { requests: Requests::new(batch_size), orders, order: None, odd: Odd::new() }
    }

    fn take_text(&mut self, text: &str, live: &mut Live<Self>, sink: &mut TickSink) {
        let (code, correlation) = match control::read(text) {
            Control::Pong => return,
            Control::Unknown => return debug!("Message of a kind that is not known"),
            Control::Error { code, correlation } => (code, correlation.unwrap_or_default()),
        };
        let is_full = code == "E1002";
        let refusal = if is_full {
            Refusal::Capacity("The broker allows no more subscriptions on this connection".to_owned())
        } else {
            Refusal::Refused("The broker did not understand the request".to_owned())
        };
        let Refused { gone, again } =
            self.requests.refused(&correlation, |key| live.feed(key).and_then(Feed::told));
        again.into_iter().for_each(|message| live.send(message));
        let instruments: usize = gone.iter().map(|key| live.refuse(key, &refusal, sink)).sum();
        warn!(is_full, instruments, "The broker refused a request");
    }
}

impl Protocol for SmartStream {
    type Key = Key;
    type Asked = Asked;
    type List = Instruments;

    fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<Key, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, _key: &Key, _sink: &mut TickSink) -> Asked {
        Asked { mode: wanted.mode, is_index: wanted.is_index() }
    }

    fn requests(&mut self, changes: &[Change<Key, Asked>]) -> Vec<Message> {
        self.requests.follow(changes).into_iter().map(Message::from).collect()
    }

    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        match message {
            Message::Binary(bytes) => take_packet(&bytes, live, sink),
            Message::Text(text) => self.take_text(&text, live, sink),
        }
        Ok(())
    }

    async fn wait(&mut self) {
        match &mut self.orders {
            Some(orders) if self.order.is_none() => self.order = Some(orders.next().await),
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    fn advance(
        &mut self,
        _now: Instant,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let Some(message) = self.order.take() else { return Ok(()) };
        let (said, bytes) = match &message {
            Message::Text(text) => (order::read(text, live.list(), &self.odd), text.len()),
            Message::Binary(bytes) => (Said::Undecodable, bytes.len()),
        };
        match said {
            Said::Update(update) => sink.order_update(&update),
            Said::Undecodable => {
                live.undecodable("order update", &"it has no number of an order", bytes, sink);
            }
            Said::Nothing => {}
        }
        Ok(())
    }

    async fn close(self) {
        if let Some(orders) = self.orders {
            orders.close().await;
        }
    }
}

fn take_packet(bytes: &[u8], live: &mut Live<SmartStream>, sink: &mut TickSink) {
    let packet = match Packet::parse(bytes) {
        Ok(packet) => packet,
        Err(error) => return live.undecodable("packet", &error, bytes.len(), sink),
    };
    // What nobody wants was unsubscribed: the broker's last packets come late.
    let Some(heard) = live.heard(&packet.key) else { return };
    for (instrument, asked) in heard.instruments() {
        publish(&decode::tick(&packet, *instrument, asked.is_index), asked.mode, sink);
    }
}

/// Publishes a packet, and no more of it than is wanted. It is an image: the broker sends nothing of the
/// instrument beside it.
fn publish(decoded: &Decoded, wanted: Mode, sink: &mut TickSink) {
    let update = match decoded {
        Decoded::Ltp(tick) => Update::Ltp(tick.image()),
        Decoded::Quote(tick) => Update::Quote(tick.image()),
        Decoded::Book(tick, book) => Update::Depth(tick.image(), book.buy(), book.sell()),
        Decoded::Bookless(tick) => Update::Values(tick.image()),
        // Nobody asks for this packet, and it has no values.
        Decoded::Deep(..) if wanted < Mode::Depth => return,
        Decoded::Deep(tick, book) => Update::Depth(*tick, book.buy(), book.sell()),
    };
    sink.publish(wanted, &update);
}
