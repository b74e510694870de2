//! A connection that is up.

use std::time::SystemTime;

use adapter_sdk::{
    AdapterError, Mode, Packet as Published, Refusal, Subscription, TickSink,
    net::Message,
    plan::Change,
    read::Odd,
    session::{Live, OrderSocket, Protocol, Replan},
    sparse::Known,
    tracing::info,
};
use tokio::time::Instant;

use crate::{
    decode::{self, Books},
    engine::{PONG, Packet, Version, said},
    list::Instruments,
    order,
    requests::{Call, Channel, Codes, Requests},
    rest::{Answer, Ask, ENDED},
    wire::{Code, Key, News, binary, json, read_event},
};

/// What it means that the broker ends a session that it had accepted.
pub(crate) const REPLACED: &str = "the broker ended the session: another program may have logged in with the same keys, of which \
                                   the last one is served";

/// A broker's side of a connection.
#[derive(Debug)]
pub struct Xts {
    version: Version,
    codes: Codes,
    has_index_events: bool,
    books: Books,
    requests: Requests,
    unpacker: binary::Unpacker,
    /// Events of which the bytes are still to come.
    announced: u32,
    scratch: String,
    odd: Odd,
    /// Codes beside the values that the broker does not serve.
    unserved: Vec<Code>,
    orders: Option<OrderSocket>,
}

impl Xts {
    pub(crate) fn new(
        version: Version,
        (codes, has_index_events): (Codes, bool),
        requests: Requests,
        orders: Option<OrderSocket>,
    ) -> Self {
        Self {
            version,
            codes,
            has_index_events,
            books: Books::new(),
            requests,
            unpacker: binary::Unpacker::default(),
            announced: 0,
            scratch: String::new(),
            odd: Odd::new(),
            unserved: Vec::new(),
            orders,
        }
    }

    /// Takes what a message says of an instrument, and publishes what is known then.
    fn news(&mut self, news: &News<'_>, live: &mut Live<Self>, sink: &mut TickSink) {
        let found = decode::key(&news.about, |exchange, name| live.list().key(exchange, name));
        let Some(key) = found else { return };
        // Nobody wants it any more: it comes late.
        if live.heard(&key).is_none_or(|heard| heard.instruments().is_empty()) {
            return;
        }
        decode::take(&mut self.books, key, news);
        self.publish(news.code, key, live, sink);
    }

    /// Publishes what is known of an instrument under a code, for all who want it.
    fn publish(&mut self, code: Code, key: Key, live: &mut Live<Self>, sink: &mut TickSink) {
        decode::complete(&mut self.books, code, key);
        let (Some(heard), Some(known)) = (live.heard(&key), self.books.get(&(code, key))) else { return };
        for wanted in heard.instruments().iter().filter_map(|(instrument, _)| heard.wanted(*instrument)) {
            match code {
                Code::Touchline | Code::Depth | Code::Index => {
                    known.publish(wanted, code == Code::Depth, sink);
                }
                Code::Ltp => sink.publish(wanted.mode, &Published::Ltp(known.tick(wanted.instrument))),
                Code::OpenInterest | Code::Bands if wanted.mode != Mode::Ltp => {
                    sink.publish(wanted.mode, &Published::Values(known.tick(wanted.instrument).update()));
                }
                Code::OpenInterest | Code::Bands => {}
            }
        }
    }

    /// Takes what the answer to a request says of an instrument.
    fn answer(&mut self, news: &News<'_>, live: &mut Live<Self>, sink: &mut TickSink) {
        let found = decode::key(&news.about, |exchange, name| live.list().key(exchange, name));
        let Some(key) =
            found.filter(|key| live.heard(key).is_some_and(|heard| !heard.instruments().is_empty()))
        else {
            return;
        };
        if decode::take_answer(&mut self.books, key, news) {
            self.publish(news.code, key, live, sink);
        }
    }

    fn event(
        &mut self,
        name: &str,
        argument: &str,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        if name == "logout" {
            return Err(AdapterError::rate_limited(REPLACED));
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        match said(argument, &mut scratch).map(|text| read_event(name, text)) {
            Some(Ok(Some(news))) => self.news(&news, live, sink),
            Some(Ok(None)) => {}
            Some(Err(error)) => live.undecodable("event", &error, argument.len(), sink),
            None => live.undecodable("text", &"it is no text of JSON", argument.len(), sink),
        }
        self.scratch = scratch;
        Ok(())
    }

    fn packets(&mut self, bytes: &[u8], live: &mut Live<Self>, sink: &mut TickSink) {
        if self.announced == 0 {
            return live.undecodable("frame", &"no event has announced it", bytes.len(), sink);
        }
        self.announced -= 1;
        let mut unpacker = std::mem::take(&mut self.unpacker);
        binary::read(self.version.attachment(bytes), &mut unpacker, |news| match news {
            Ok(news) => self.news(&news, live, sink),
            Err(fault) => live.undecodable(fault.kind(), &fault, bytes.len(), sink),
        });
        self.unpacker = unpacker;
    }

    /// Does what follows from the answer to a request.
    fn answered(&mut self, call: Call, answer: Answer, live: &mut Live<Self>, sink: &mut TickSink) {
        match (answer, call.ask) {
            (Answer::Done(quotes), _) => {
                let mut scratch = std::mem::take(&mut self.scratch);
                for quote in &quotes {
                    match said(quote.get(), &mut scratch).and_then(|text| json::read(text, Some(call.code))) {
                        Some(news) if news.code == call.code => self.answer(&news, live, sink),
                        _ => live.undecodable(
                            "quote",
                            &"it does not say what it is about",
                            quote.get().len(),
                            sink,
                        ),
                    }
                }
                self.scratch = scratch;
            }
            // Of some of them or of all, nobody knows: they are ended and subscribed again, once.
            (Answer::Already, Ask::Subscribe) if !call.is_again => {
                let again = Call { is_again: true, ..call };
                self.requests.first([Call { ask: Ask::Unsubscribe, ..again.clone() }, again]);
            }
            // As it was wanted. What is known of them did not come along.
            (Answer::Already, Ask::Subscribe) => {
                self.requests.first([Call { ask: Ask::Quotes, ..call }]);
            }
            (Answer::Refused, Ask::Subscribe | Ask::Unsubscribe) if call.keys.len() > 1 => {
                // One of them may be at fault, which is found by halves.
                let (one, other) = call.keys.split_at(call.keys.len() / 2);
                let half = |keys: &[Key]| Call { keys: keys.to_vec(), ..call.clone() };
                self.requests.first([half(one), half(other)]);
            }
            (Answer::Refused, Ask::Subscribe) => self.refused(&call, live, sink),
            (Answer::Refused | Answer::Already, _) => {}
        }
    }

    fn refused(&mut self, call: &Call, live: &mut Live<Self>, sink: &mut TickSink) {
        if matches!(call.code, Code::OpenInterest | Code::Bands) {
            // The rest of it is served.
            if !self.unserved.contains(&call.code) {
                self.unserved.push(call.code);
                info!(code = call.code.number(), "The broker does not serve a code for some instruments");
            }
            return;
        }
        let refusal = Refusal::Refused("the broker refuses to serve it, or has no room for more".to_owned());
        for key in &call.keys {
            live.refuse(key, &refusal, sink);
            self.forget(*key);
        }
    }

    fn forget(&mut self, key: Key) {
        for code in [Code::Touchline, Code::Depth, Code::Index, Code::Ltp, Code::OpenInterest, Code::Bands] {
            self.books.forget(&(code, key));
        }
    }

    fn orders(&mut self, message: &Message, live: &Live<Self>, sink: &mut TickSink) {
        let Message::Text(text) = message else { return };
        match Packet::read(text) {
            Packet::Ping => {
                if let Some(orders) = &mut self.orders {
                    orders.send(PONG);
                }
            }
            Packet::Event("order" | "trade", argument) => {
                let name = |key| {
                    let (exchange, symbol) = live.list().name(key)?;
                    Some((exchange.to_owned(), symbol.to_owned()))
                };
                let update =
                    said(argument, &mut self.scratch).and_then(|text| order::read(text, &self.odd, name));
                match update {
                    Some(update) => sink.order_update(&update),
                    None => sink.undecodable(),
                }
            }
            _ => {}
        }
    }
}

impl Protocol for Xts {
    type Key = Key;
    type Asked = Channel;
    type List = Instruments;

    fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<Key, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, key: &Key, sink: &mut TickSink) -> Channel {
        let channel = match wanted.mode {
            _ if wanted.is_index() && self.has_index_events => Channel::Index,
            Mode::Ltp => Channel::Ltp,
            Mode::Depth if !wanted.is_index() => Channel::Depth,
            Mode::Quote | Mode::Depth => Channel::Quote,
        };
        // The broker sends what it knows once. Who comes later gets it from here.
        self.books.begin_day(SystemTime::now());
        // What others have asked for says as much, or more.
        let codes: &[Code] = match channel {
            Channel::Ltp => &[Code::Ltp, Code::Touchline, Code::Depth],
            Channel::Quote => &[Code::Touchline, Code::Depth],
            Channel::Depth => &[Code::Depth],
            Channel::Index => &[Code::Index],
        };
        let known = codes.iter().find_map(|code| Some((*code, self.books.get(&(*code, *key))?)));
        match known {
            Some((Code::Ltp, known)) => {
                sink.publish(wanted.mode, &Published::Ltp(known.tick(wanted.instrument)));
            }
            Some((code, known)) => known.publish(wanted, code == Code::Depth, sink),
            None => {}
        }
        channel
    }

    fn requests(&mut self, changes: &[Change<Key, Channel>]) -> Vec<Message> {
        // Who joins was told by the image that is known already.
        let is_told = |change: &Change<Key, Channel>| {
            let code = change.now.map(|channel| self.codes.of(channel));
            change.before == change.now
                && code.is_some_and(|code| self.books.get(&(code, change.key)).is_some_and(Known::is_image))
        };
        let untold: Vec<_> = changes.iter().filter(|change| !is_told(change)).copied().collect();
        for change in changes.iter().filter(|change| change.before != change.now) {
            // It is not told of any more, and what is known of it grows old.
            if let Some(channel) = change.before {
                self.books.forget(&(self.codes.of(channel), change.key));
            }
        }
        self.requests.follow(&untold);
        self.requests.begin(Instant::now());
        Vec::new()
    }

    fn has_room(&self) -> bool {
        self.requests.has_room()
    }

    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        self.books.begin_day(SystemTime::now());
        let text = match &message {
            Message::Text(text) => text,
            Message::Binary(bytes) => {
                self.packets(bytes, live, sink);
                return Ok(());
            }
        };
        match Packet::read(text) {
            Packet::Event(name, argument) => return self.event(name, argument, live, sink),
            Packet::Announced(_) => self.announced = self.announced.saturating_add(1),
            Packet::Ping => live.send(PONG),
            Packet::Ended => return Err(AdapterError::rate_limited(REPLACED)),
            Packet::Refused => return Err(AdapterError::auth(ENDED)),
            Packet::Nonsense => live.undecodable("message", &"it is none of Socket.IO", text.len(), sink),
            Packet::Open | Packet::Joined { .. } | Packet::Other => {}
        }
        Ok(())
    }

    fn release(&mut self, _instrument: u32, last_of: Option<&Key>) {
        if let Some(key) = last_of {
            self.forget(*key);
        }
    }

    fn list_changed(&mut self, _list: &Instruments, is_repair: bool) -> Replan {
        if is_repair {
            return Replan::Moved;
        }
        // A day begins: the broker is to send what it knows of it.
        self.books = Books::new();
        Replan::Everything
    }

    async fn wait(&mut self) {
        let Self { requests, orders, .. } = self;
        tokio::select! {
            () = requests.wait() => {}
            () = OrderSocket::wait(orders) => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.requests.wake_at()
    }

    fn advance(
        &mut self,
        now: Instant,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        if self.books.lacks_images() {
            live.repeat_all();
        }
        if let Some((call, answer)) = self.requests.answer(now)? {
            self.answered(call, answer, live, sink);
        }
        self.requests.begin(now);
        if let Some(message) = OrderSocket::take(&mut self.orders) {
            self.orders(&message, live, sink);
        }
        Ok(())
    }

    async fn close(self) {
        if let Some(orders) = self.orders {
            orders.close().await;
        }
    }
}
