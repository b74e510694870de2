//! A connection that is up.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use adapter_sdk::{
    AdapterError, Mode, Packet, Refusal, Subscription, TickSink,
    net::Message as Frame,
    plan::Change,
    read::Odd,
    serde_json::json,
    session::{Live, Protocol, Replan, Welcome},
    sparse::Known,
};
use tokio::time::Instant;

use crate::{
    account::Account,
    brand::Brand,
    decode::{self, Book, LEVELS},
    exchange::Key,
    list::Instruments,
    order,
    request::{Channel, Requests},
    wire::{Kind, Message},
};

/// Why a log-in on the socket failed. The broker's own words are left out: nobody knows whether they repeat a token.
const REFUSED: &str = "the broker refused the token: tokens end each morning, and at some brokers when somebody logs in elsewhere; \
                       log in again with `tickhost account login`";

/// How long the broker has to send the image of what was subscribed, and how often it is asked for it once more: it answers for another
/// instrument at times.
const IMAGE_LIMIT: Duration = Duration::from_secs(3);
const MOST_REPEATS: u8 = 2;

/// A broker's side of a connection.
#[derive(Debug)]
pub struct Noren {
    brand: &'static Brand,
    account: Account,
    state: Book,
    /// The state of the day before was dropped, and the broker has not been asked for its images since.
    is_new_day: bool,
    odd: Odd,
    heartbeat: Duration,
    beat_at: Instant,
    /// What was subscribed of late: when to see whether its image has come, and how often it was asked for again.
    recent: VecDeque<(Instant, Key, u8)>,
}

impl Noren {
    pub(crate) fn new(brand: &'static Brand, account: Account, heartbeat: Duration) -> Self {
        let beat_at = Instant::now() + heartbeat;
        let recent = VecDeque::new();
        Self {
            brand,
            account,
            state: Book::new(),
            is_new_day: false,
            odd: Odd::new(),
            heartbeat,
            beat_at,
            recent,
        }
    }

    /// Whoever notices first that another day has begun: all are to have the images of it.
    fn begin_day(&mut self, now: SystemTime) {
        self.is_new_day |= self.state.begin_day(now);
    }

    fn take(&mut self, message: &Message<'_>, length: usize, live: &mut Live<Self>, sink: &mut TickSink) {
        let Some(key) = message.key() else {
            return live.undecodable("instrument", &"it names no instrument that can be one", length, sink);
        };
        let now = SystemTime::now();
        self.begin_day(now);
        // Nobody wants it: it comes late, or the broker has answered for another instrument than it was asked for, as it does at times.
        let Some(heard) = live.heard(&key).filter(|heard| !heard.instruments().is_empty()) else { return };
        let has_book = matches!(message.kind(), Kind::Depth { .. });
        let Some(known) = decode::take(&mut self.state, key, message, now) else { return };
        for (instrument, _) in heard.instruments() {
            if let Some(wanted) = heard.wanted(*instrument) {
                publish(known, wanted, has_book, sink);
            }
        }
    }
}

/// Publishes what is known of an instrument, of whose book this is news or is not.
fn publish(known: &Known<LEVELS>, wanted: &Subscription, has_book: bool, sink: &mut TickSink) {
    let mut tick = known.tick(wanted.instrument);
    let packet = if has_book && !is_index(wanted) {
        known.packet(wanted.instrument)
    } else {
        if let Some(bid) = known.book().buy().first() {
            tick = tick.bid_price(bid.price).bid_size(bid.quantity);
        }
        if let Some(ask) = known.book().sell().first() {
            tick = tick.ask_price(ask.price).ask_size(ask.quantity);
        }
        if is_index(wanted) { Packet::Values(tick) } else { Packet::Quote(tick) }
    };
    sink.publish(wanted.mode, &packet);
}

/// An index has no book.
pub(crate) fn is_index(wanted: &Subscription) -> bool {
    wanted.exchange.ends_with("_INDEX")
}

impl Protocol for Noren {
    type Key = Key;
    type Asked = Channel;
    type List = Instruments;

    fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<Key, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, key: &Key, sink: &mut TickSink) -> Channel {
        if wanted.mode == Mode::Depth && !is_index(wanted) {
            return Channel::Depth;
        }
        // The broker sends what it knows once. Who comes later gets it from here.
        self.begin_day(SystemTime::now());
        if let Some(known) = self.state.get(key) {
            publish(known, wanted, false, sink);
        }
        Channel::Touchline
    }

    fn hello(&mut self) -> Vec<Frame> {
        vec![self.account.hello().as_str().to_owned().into()]
    }

    fn welcome(&mut self, frame: &Frame) -> Result<Welcome, AdapterError> {
        let Frame::Text(text) = frame else { return Ok(Welcome::Continue(Vec::new())) };
        match Message::read(text).map(|message| message.kind()) {
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
        let mut requests = Requests::default();
        let subscribed = changes.iter().filter(|change| change.before.is_none());
        self.recent.extend(subscribed.map(|change| (Instant::now() + IMAGE_LIMIT, change.key, 0)));
        for change in changes {
            let is_joined = change.before == change.now && change.now == Some(Channel::Touchline);
            if change.before == Some(Channel::Depth) && self.state.get(&change.key).is_some() {
                // It is not told of any more.
                self.state.update(change.key, adapter_sdk::Tick::new(0)).empty_book();
            }
            // Who joins was told by the image that is known already.
            if !(is_joined && self.state.get(&change.key).is_some_and(Known::is_image)) {
                requests.add(change);
            }
        }
        requests.messages().map(Frame::from).collect()
    }

    fn receive(
        &mut self,
        frame: Frame,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let text = match frame {
            Frame::Text(text) => text,
            Frame::Binary(bytes) => {
                live.undecodable("frame", &"it is no text", bytes.len(), sink);
                return Ok(());
            }
        };
        let Some(message) = Message::read(&text) else {
            live.undecodable("message", &"it is no JSON object", text.len(), sink);
            return Ok(());
        };
        match message.kind() {
            Kind::Touchline { .. } | Kind::Depth { .. } => self.take(&message, text.len(), live, sink),
            Kind::Order => match order::read(&text, &self.odd, |exchange, name| {
                live.list().key(exchange, name).is_some()
            }) {
                Some(update) => sink.order_update(&update),
                None => live.undecodable("order", &"it has no number of an order", text.len(), sink),
            },
            Kind::LogIn(false) => return Err(AdapterError::auth(REFUSED)),
            Kind::LogIn(true) | Kind::Other => {}
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

    fn wake_at(&self) -> Option<Instant> {
        let image_at = self.recent.front().map(|(at, ..)| *at);
        Some(image_at.map_or(self.beat_at, |at| at.min(self.beat_at)))
    }

    fn advance(
        &mut self,
        now: Instant,
        live: &mut Live<Self>,
        _sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        if std::mem::take(&mut self.is_new_day) {
            live.repeat_all();
        }
        if self.beat_at <= now {
            self.beat_at = now + self.heartbeat;
            live.send(self.brand.heartbeat);
        }
        while let Some((at, key, repeats)) = self.recent.front().copied()
            && at <= now
        {
            self.recent.pop_front();
            if repeats < MOST_REPEATS && live.is_silent(&key) {
                live.repeat(&key);
                self.recent.push_back((now + IMAGE_LIMIT, key, repeats + 1));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{Tick, testing::credentials};

    use super::*;

    fn noren() -> Noren {
        let brand = Brand::named("shoonya").unwrap();
        let account = r#"{"user_id":"FA0001","access_token":"token"}"#;
        Noren::new(brand, Account::read(brand, &credentials(account)).unwrap(), Duration::from_secs(30))
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

    #[test]
    fn images_are_wanted_of_a_day_whoever_notices_it_first() {
        let mut noren = noren();
        let today = SystemTime::now();
        noren.begin_day(today);
        assert!(!noren.is_new_day, "there was none before");
        noren.begin_day(today + Duration::from_hours(24));
        noren.begin_day(today + Duration::from_hours(24));
        assert!(noren.is_new_day);
    }
}
