//! A connection that is up: packets to ticks, texts, and what is Kite's own in its subscriptions.

use std::{cell::RefCell, rc::Rc, time::Duration};

use adapter_sdk::{
    AdapterError, Mode, OrderUpdate, Packet as Update, Refusal, Subscription, TickSink,
    net::Message,
    plan::Change,
    read::Odd,
    session::{Live, Protocol, Recent},
    tracing::{info, warn},
};
use tokio::time::Instant;

use crate::{
    decode::{Kind, Packet, Packets, Scale},
    instruments::Instruments,
    plan,
    wire::{self, Text},
};

/// What the broker last said to be its present list of instruments. All connections of an instance share it.
pub(crate) type Etag = Rc<RefCell<Option<String>>>;

/// When the broker says that there are too many instruments, what it may mean: those that were subscribed so
/// recently.
const RECENT: Duration = Duration::from_secs(10);

/// How long those have to show that they are not meant. The broker sends the last state of each right away.
const SNAPSHOT_LIMIT: Duration = Duration::from_secs(2);

/// Why those are refused.
const FULL: &str = "The broker takes no more instruments on this connection";

/// Kite's side of a connection.
#[derive(Debug)]
pub struct Kite {
    etag: Etag,
    recent: Recent<u32>,
    /// Tokens that the broker may have refused, and when to decide.
    suspects: Option<(Instant, Vec<u32>)>,
    /// Members of order updates that made no sense.
    odd: Odd,
    /// Whether the broker has said which list of instruments is the present one.
    has_begun: bool,
}

impl Kite {
    pub(crate) fn new(etag: Etag) -> Self {
        Self { etag, recent: Recent::default(), suspects: None, odd: Odd::new(), has_begun: false }
    }

    /// The broker has no room, but does not say for which. Those that stay silent are it.
    fn suspect(&mut self, live: &Live<Self>) {
        let now = Instant::now();
        self.recent.take_older(RECENT, now);
        let silent = self.recent.keys().copied().filter(|token| live.is_silent(token)).collect();
        self.suspects = Some((now + SNAPSHOT_LIMIT, silent));
    }

    /// Another list than before: while this side was away the broker may have given tokens to something else,
    /// and says so before the first tick.
    fn take_etag(&mut self, etag: String, live: &mut Live<Self>) {
        let is_another = self.etag.borrow().as_ref().is_some_and(|before| *before != etag);
        self.etag.replace(Some(etag));
        match (is_another, std::mem::replace(&mut self.has_begun, true)) {
            (true, false) => live.hold_for_list(),
            (true, true) => live.renew_list(),
            (false, _) => {}
        }
    }

    fn take_text(&mut self, text: &str, live: &mut Live<Self>, sink: &mut TickSink) {
        match wire::read(text, &self.odd) {
            Text::Order(update, token) => take_order(*update, token, live.list(), sink),
            Text::Error(error) => {
                warn!(error = wire::masked(&error), "The broker finds fault");
                if error.contains("subscribe to more than") {
                    self.suspect(live);
                }
            }
            Text::Notice(notice) => info!(notice = wire::masked(&notice), "The broker says"),
            Text::Instruments { etag } => self.take_etag(etag, live),
            Text::Other => {}
            Text::Damaged => {
                live.undecodable(
                    "text",
                    &"what it is about is missing, such as an order's number",
                    text.len(),
                    sink,
                );
            }
        }
    }
}

impl Protocol for Kite {
    type Key = u32;
    type Asked = Mode;
    type List = Instruments;

    fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<u32, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, _token: &u32, _sink: &mut TickSink) -> Mode {
        wanted.mode
    }

    fn requests(&mut self, changes: &[Change<u32>]) -> Vec<Message> {
        let now = Instant::now();
        self.recent.take_older(RECENT, now);
        self.recent.note(changes, now);
        plan::messages(changes).into_iter().map(Message::from).collect()
    }

    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        match message {
            Message::Binary(bytes) => take_packets(&bytes, live, sink),
            Message::Text(text) => self.take_text(&text, live, sink),
        }
        Ok(())
    }

    fn wake_at(&self) -> Option<Instant> {
        self.suspects.as_ref().map(|(at, _)| *at)
    }

    fn advance(
        &mut self,
        now: Instant,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let Some((_, tokens)) = self.suspects.take_if(|(at, _)| *at <= now) else { return Ok(()) };
        let refusal = Refusal::Capacity(FULL.to_owned());
        let silent = tokens.iter().filter(|token| live.is_silent(token)).copied().collect::<Vec<u32>>();
        let refused: usize = silent.iter().map(|token| live.refuse(token, &refusal, sink)).sum();
        warn!(refused, "{FULL}");
        Ok(())
    }
}

fn take_packets(message: &[u8], live: &mut Live<Kite>, sink: &mut TickSink) {
    for packet in Packets::new(message) {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => {
                live.undecodable("packet", &error, message.len(), sink);
                continue;
            }
        };
        // What nobody wants was unsubscribed, or is a mistake of the broker.
        let Some(heard) = live.heard(&packet.token()) else { continue };
        let packet = with_scale(packet, heard.list());
        if packet.scale.is_none() {
            live.undecodable("packet", &"a token of a segment that nobody knows", message.len(), sink);
            continue;
        }
        let book = packet.book();
        for (instrument, mode) in heard.instruments() {
            // An image: the broker sends nothing of the instrument beside it.
            let tick = packet.tick(*instrument).image();
            sink.publish(
                *mode,
                &match (packet.kind, &book) {
                    (_, Some(book)) => Update::Depth(tick, book.buy(), book.sell()),
                    (Kind::Ltp, None) => Update::Ltp(tick),
                    // An index has no book, but those who want one get its values.
                    (Kind::IndexFull, None) => Update::Values(tick),
                    (Kind::Quote | Kind::IndexQuote | Kind::Full, None) => Update::Quote(tick),
                },
            );
        }
    }
}

/// Publishes an order under OpenAlgo's name of its instrument, if the list knows its token.
fn take_order(mut update: OrderUpdate, token: Option<u32>, list: &Instruments, sink: &mut TickSink) {
    if let Some((exchange, symbol)) = token.and_then(|token| list.name(token)) {
        (update.exchange, update.symbol) = (exchange.to_owned(), symbol.to_owned());
    }
    sink.order_update(&update);
}

/// A packet with what its prices are worth: by the segment in its token, or by what the list says of the
/// token. None when neither is known, since to guess would show wrong prices.
fn with_scale<'a>(mut packet: Packet<'a>, list: &Instruments) -> Packet<'a> {
    let by_list = || list.name(packet.token()).and_then(|(exchange, _)| Scale::of_exchange(exchange));
    packet.scale = packet.scale.or_else(by_list);
    packet
}

#[cfg(test)]
mod tests {
    use adapter_sdk::Price;

    use super::*;

    #[test]
    fn a_segment_that_nobody_knows_is_priced_by_the_list_or_not_at_all() {
        let list = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
                    instrument_type,segment,exchange\n\
                    65774,256,USDINR26DECFUT,USDINR,0,2026-12-29,0,0.0025,1,FUT,CDS-FUT,CDS\n";
        let list = Instruments::parse(list.as_bytes()).unwrap();
        for (token, wanted) in [(65_774_u32, Price::from_scaled(830_025_000, 7)), (65_775, None)] {
            let mut message = vec![0, 1, 0, 8];
            message.extend(token.to_be_bytes());
            message.extend(830_025_000_u32.to_be_bytes());
            let packet = Packets::new(&message).next().unwrap().unwrap();
            assert_eq!(packet.scale, None);
            assert_eq!(with_scale(packet, &list).last_price(), wanted, "{token}");
        }
    }
}
