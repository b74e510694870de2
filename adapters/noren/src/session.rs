//! A connection that is up.

use std::{
    rc::Rc,
    time::{Duration, SystemTime},
};

use adapter_sdk::{
    AdapterError, ExposeSecret as _, Mode, Refusal, Subscription, TickSink,
    net::Message as Frame,
    plan::Change,
    read::Odd,
    serde_json::json,
    session::{Awaited, Live, OrderSocket, Protocol, Replan, Welcome},
    sparse::Known,
};
use tokio::time::Instant;

use crate::{
    account::Account,
    brand::Brand,
    decode::{self, Book},
    list::Instruments,
    order,
    request::{self, Channel},
    wire::{Key, Kind, Message, key, kind},
};

/// Why a log-in on the socket failed. The broker's own words are left out: nobody knows whether they repeat a
/// token.
const REFUSED: &str = "the broker refused the token: tokens end each morning, and at some brokers when somebody logs in elsewhere; \
                       log in again with `tickhost account login`";

/// How long the broker has to send the image of what was subscribed, and how often it is asked for it once
/// more: it answers for another instrument at times.
const IMAGE_LIMIT: Duration = Duration::from_secs(3);
const MOST_REPEATS: usize = 2;

/// What makes no sense, and why.
type Nonsense = (&'static str, &'static str);

/// A broker's side of a connection.
#[derive(Debug)]
pub struct Noren {
    brand: &'static Brand,
    account: Rc<Account>,
    state: Book,
    odd: Odd,
    awaited: Awaited<Key>,
    /// Where orders have a socket of their own.
    orders: Option<OrderSocket>,
}

impl Noren {
    pub(crate) fn new(brand: &'static Brand, account: Rc<Account>, orders: Option<OrderSocket>) -> Self {
        let awaited = Awaited::new(IMAGE_LIMIT, MOST_REPEATS);
        Self { brand, account, state: Book::new(), odd: Odd::new(), awaited, orders }
    }

    /// Takes a text, and says what makes no sense in it, if anything.
    fn take(
        &mut self,
        text: &str,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<Option<Nonsense>, AdapterError> {
        let Some(message) = Message::read(text) else {
            return Ok(Some(("message", "it is no JSON object")));
        };
        match kind(&message) {
            Kind::Prices { has_book, .. } => match key(&message) {
                Some(key) => self.take_prices(key, &message, has_book, live, sink),
                None => return Ok(Some(("instrument", "it names no instrument that can be one"))),
            },
            Kind::Order => {
                let is_listed = |exchange: &str, name: &str| live.list().key(exchange, name).is_some();
                match order::read(text, &self.odd, is_listed) {
                    Some(update) => sink.order_update(&update),
                    None => return Ok(Some(("order", "it has no number of an order"))),
                }
            }
            Kind::LogIn(false) => return Err(AdapterError::auth(REFUSED)),
            Kind::LogIn(true) | Kind::Other => {}
        }
        Ok(None)
    }

    fn take_prices(
        &mut self,
        key: Key,
        message: &Message<'_>,
        has_book: bool,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) {
        let now = SystemTime::now();
        self.state.begin_day(now);
        // Nobody wants it: it comes late, or the broker has answered for another instrument than it was asked
        // for, as it does at times.
        let Some(heard) = live.heard(&key).filter(|heard| !heard.instruments().is_empty()) else { return };
        let Some(known) = decode::take(&mut self.state, key, message, now) else { return };
        let wanted = heard.instruments().iter().filter_map(|(instrument, _)| heard.wanted(*instrument));
        wanted.for_each(|wanted| known.publish(wanted, has_book, sink));
    }
}

impl Protocol for Noren {
    type Key = Key;
    type Asked = Channel;
    type List = Instruments;

    fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<Key, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, key: &Key, sink: &mut TickSink) -> Channel {
        if wanted.mode == Mode::Depth && !wanted.is_index() {
            return Channel::Depth;
        }
        // The broker sends what it knows once. Who comes later gets it from here.
        self.state.begin_day(SystemTime::now());
        if let Some(known) = self.state.get(key) {
            known.publish(wanted, false, sink);
        }
        Channel::Touchline
    }

    fn hello(&mut self) -> Vec<Frame> {
        vec![self.account.hello().expose_secret().to_owned().into()]
    }

    fn welcome(&mut self, frame: &Frame) -> Result<Welcome, AdapterError> {
        let Frame::Text(text) = frame else { return Ok(Welcome::Continue(Vec::new())) };
        match Message::read(text).map(|message| kind(&message)) {
            Some(Kind::LogIn(true)) => {
                let orders = json!({ "t": "o", "actid": self.account.user() }).to_string();
                let first = self.brand.asks_for_orders.then(|| orders.into());
                Ok(Welcome::Accepted(first.into_iter().collect()))
            }
            Some(Kind::LogIn(false)) => Err(AdapterError::auth(REFUSED)),
            _ => Ok(Welcome::Continue(Vec::new())),
        }
    }

    fn requests(&mut self, changes: &[Change<Key, Channel>]) -> Vec<Frame> {
        self.awaited.subscribed(changes);
        // The book is not told of any more, or again.
        let deep = changes.iter().filter(|change| change.before == Some(Channel::Depth));
        deep.for_each(|change| self.state.empty_book(&change.key));
        // Who joins was told by the image that is known already.
        let has_image = |key: &Key| self.state.get(key).is_some_and(Known::is_image);
        let is_told = |change: &Change<Key, Channel>| {
            change.before == change.now && change.now == Some(Channel::Touchline) && has_image(&change.key)
        };
        let untold: Vec<_> = changes.iter().filter(|change| !is_told(change)).copied().collect();
        request::messages(&untold).map(Frame::from).collect()
    }

    fn receive(
        &mut self,
        frame: Frame,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let (length, nonsense) = match &frame {
            Frame::Text(text) => (text.len(), self.take(text, live, sink)?),
            Frame::Binary(bytes) => (bytes.len(), Some(("frame", "it is no text"))),
        };
        if let Some((what, reason)) = nonsense {
            live.undecodable(what, &reason, length, sink);
        }
        Ok(())
    }

    fn release(&mut self, _instrument: u32, last_of: Option<&Key>) {
        if let Some(key) = last_of {
            self.state.forget(key);
        }
    }

    fn list_changed(&mut self, _list: &Instruments, is_repair: bool) -> Replan {
        if is_repair {
            return Replan::Moved;
        }
        // A day begins: the broker is to send its images of it.
        self.state = Book::new();
        Replan::Everything
    }

    async fn wait(&mut self) {
        OrderSocket::wait(&mut self.orders).await;
    }

    fn wake_at(&self) -> Option<Instant> {
        self.awaited.wake_at()
    }

    fn advance(
        &mut self,
        now: Instant,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        if self.state.lacks_images() {
            live.repeat_all();
        }
        self.awaited.repeat_silent(now, live);
        if let Some(message) = OrderSocket::take(&mut self.orders) {
            // Whatever that socket says, this one is up.
            _ = self.receive(message, live, sink);
        }
        Ok(())
    }

    async fn close(self) {
        if let Some(orders) = self.orders {
            orders.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{Tick, testing::credentials};

    use super::*;

    fn noren() -> Noren {
        let brand = Brand::named("shoonya").unwrap();
        let fields = credentials(r#"{"user_id":"FA0001","access_token":"token"}"#);
        Noren::new(brand, Account::read(brand, &fields).unwrap().into(), None)
    }

    #[test]
    fn the_broker_is_asked_again_until_it_has_sent_an_image() {
        let mut noren = noren();
        let key = Key::of("NSE", "3045").unwrap();
        let touchline = Some(Channel::Touchline);
        let asked =
            |noren: &mut Noren| noren.requests(&[Change { key, before: touchline, now: touchline }]).len();
        assert_eq!(asked(&mut noren), 1, "nothing is known");
        noren.state.update(key, Tick::new(0).volume(7));
        assert_eq!(asked(&mut noren), 1, "what has changed is no image");
        noren.state.image(key, Tick::new(0).volume(8));
        assert_eq!(asked(&mut noren), 0);
    }
}
