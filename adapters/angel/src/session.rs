//! A connection that is up: packets to ticks, texts, and the order updates beside them.

use adapter_sdk::{
    AdapterError, Mode, Packet as Update, Refusal, Subscription, TickSink,
    net::Message,
    plan::{Change, Feed},
    session::{Live, Protocol},
    tracing::{debug, warn},
};

use crate::{
    control::{self, Control},
    decode::{self, Decoded},
    list::List,
    orders::{Orders, Said},
    requests::{Asked, Refused, Requests},
    segment::Key,
    wire::Packet,
};

/// Angel One's side of a connection.
#[derive(Debug)]
pub struct SmartStream {
    requests: Requests,
    orders: Option<Orders>,
    /// What the order socket has brought, and is to be told.
    said: Option<Said>,
}

impl SmartStream {
    pub(crate) fn new(batch_size: usize, orders: Option<Orders>) -> Self {
        Self { requests: Requests::new(batch_size), orders, said: None }
    }

    fn take_text(&mut self, text: &str, live: &mut Live<Self>, sink: &mut TickSink) {
        match control::read(text) {
            Control::Pong => {}
            Control::Unknown => debug!("Message of a kind that is not known"),
            Control::Error { code, correlation } => {
                self.take_refusal(&code, &correlation.unwrap_or_default(), live, sink);
            }
        }
    }

    fn take_refusal(&mut self, code: &str, correlation: &str, live: &mut Live<Self>, sink: &mut TickSink) {
        let is_full = code == "E1002";
        let refusal = if is_full {
            Refusal::Capacity("The broker allows no more subscriptions on this connection".to_owned())
        } else {
            Refusal::Refused("The broker did not understand the request".to_owned())
        };
        let refused = self.requests.refused(correlation, |key| live.feed(key).and_then(Feed::told));
        let instruments: usize = match refused {
            Some(Refused::Gone(keys)) => keys.iter().map(|key| live.refuse(key, &refusal, sink)).sum(),
            Some(Refused::Again(messages)) => {
                messages.into_iter().for_each(|message| live.send(message));
                0
            }
            None => 0,
        };
        warn!(is_full, instruments, "The broker refused a request");
    }
}

impl Protocol for SmartStream {
    type Key = Key;
    type Asked = Asked;
    type List = List;

    fn find(&self, list: &List, wanted: &Subscription) -> Result<Key, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, _key: &Key, _sink: &mut TickSink) -> Asked {
        Asked { mode: wanted.mode, is_index: wanted.exchange.ends_with("_INDEX") }
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
            Some(orders) if self.said.is_none() => self.said = Some(orders.next().await),
            Some(_) => {}
            None => std::future::pending().await,
        }
    }

    fn advance(
        &mut self,
        _now: tokio::time::Instant,
        _live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        match self.said.take() {
            Some(Said::Update(update)) => sink.order_update(&update),
            Some(Said::Undecodable) => sink.undecodable(),
            Some(Said::Nothing) | None => {}
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

/// Publishes a packet, and no more of it than is wanted. It is an image: the broker sends nothing of the instrument beside it.
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
