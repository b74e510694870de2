//! A connection that is up.

use std::{cell::RefCell, rc::Rc, time::SystemTime};

use adapter_sdk::{
    AdapterError, Grant, Mode, Refusal, Subscription, TickSink,
    net::Message,
    plan::Change,
    read::Odd,
    session::{Live, OrderSocket, Protocol, Replan},
    tracing::{debug, info, warn},
};
use tokio::time::Instant;

use crate::{
    config::Settings,
    decode::State,
    key::{Key, Segment},
    list::Instruments,
    order::{self, Said},
    refusals::Refusals,
    request::{self, Asked, Refused},
    room::Room,
    wire::{Feed, LEVELS, Response, STATUSES},
};

/// Levels of the books that everybody has, and of those of the plan Upstox Plus.
pub(crate) const USUAL_LEVELS: u16 = 5;
pub(crate) const DEEP_LEVELS: u16 = 30;

const _: () = assert!(DEEP_LEVELS as usize == LEVELS, "they are those of a message");

/// The status of a segment with which its day begins.
const DAY_BEGINS: &str = "PRE_OPEN_START";

/// Most segments whose status is kept: the broker has a dozen.
const MOST_SEGMENTS: usize = 64;

/// The modes in which something that is wanted can come, the best first.
pub(crate) fn modes(settings: &Settings, wanted: &Subscription) -> &'static [Asked] {
    let is_option = || wanted.symbol.ends_with("CE") || wanted.symbol.ends_with("PE");
    let is_of_shares = || matches!(&*wanted.exchange, "NSE" | "BSE");
    match wanted.mode {
        Mode::Ltp => &[Asked::Ltpc],
        // There is nothing less that has the day.
        _ if wanted.is_index() => &[Asked::Full],
        Mode::Quote if settings.option_greeks && is_option() && !is_of_shares() => &[Asked::OptionGreeks],
        Mode::Depth if settings.depth_30 && wanted.depth > USUAL_LEVELS => &[Asked::FullD30, Asked::Full],
        Mode::Quote | Mode::Depth => &[Asked::Full],
    }
}

/// Levels that come in a mode, no more than are wanted.
pub(crate) fn levels(asked: Asked, wanted: &Subscription) -> u16 {
    let most = match asked {
        _ if wanted.is_index() || wanted.mode != Mode::Depth => 0,
        Asked::FullD30 => DEEP_LEVELS,
        Asked::Full => USUAL_LEVELS,
        Asked::Ltpc | Asked::OptionGreeks => 0,
    };
    wanted.depth.min(most)
}

/// Upstox's side of a connection.
#[derive(Debug)]
pub struct UpstoxFeed {
    settings: Rc<Settings>,
    room: Rc<RefCell<Room>>,
    state: State,
    /// Kept for its room.
    feed: Feed,
    refusals: Refusals,
    /// Requests so far.
    number: u64,
    /// What segments of the market are doing, as far as it was said.
    segments: Vec<(String, u64)>,
    orders: Option<OrderSocket>,
    odd: Odd,
}

impl UpstoxFeed {
    pub(crate) fn new(settings: Rc<Settings>, room: Rc<RefCell<Room>>, orders: OrderSocket) -> Self {
        room.borrow_mut().clear();
        let refusals = Refusals::new(settings.answer_limit, settings.batch_interval);
        Self {
            settings,
            room,
            state: State::default(),
            feed: Feed::default(),
            refusals,
            number: 0,
            segments: Vec::new(),
            orders: Some(orders),
            odd: Odd::new(),
        }
    }

    fn take(&mut self, message: &[u8], live: &mut Live<Self>, sink: &mut TickSink) {
        let response = match Response::read(message) {
            Ok(response) => response,
            Err(error) => return live.undecodable("message", &error, message.len(), sink),
        };
        self.state.begin_day(SystemTime::now());
        let mut wrong = None;
        response.segments(|taken| match taken {
            Ok((segment, status)) => note_segment(&mut self.segments, &mut self.state, segment, status),
            Err(error) => wrong = Some(error),
        });
        if let Some(error) = wrong {
            live.undecodable("state of a segment", &error, message.len(), sink);
        }
        let state = &mut self.state;
        response.feeds(&mut self.feed, |taken| {
            let (name, feed) = match taken {
                Ok(taken) => taken,
                Err(error) => return live.undecodable("instrument", &error, message.len(), sink),
            };
            let Some(key) = Key::parse(name) else {
                return live.undecodable("key", &"it is of no instrument", message.len(), sink);
            };
            // The broker's last messages come late.
            let Some(heard) = live.heard(&key).filter(|heard| !heard.instruments().is_empty()) else {
                return;
            };
            let Some(decoded) = state.take(key, feed, response.at) else { return };
            let wanted = heard.instruments().iter().filter_map(|(instrument, _)| heard.wanted(*instrument));
            wanted.for_each(|wanted| decoded.publish(wanted, sink));
        });
    }

    fn take_text(&mut self, text: &str, live: &mut Live<Self>, sink: &mut TickSink) {
        let Some(refused) = Refused::read(text) else {
            return live.undecodable("text", &"it is no refusal", text.len(), sink);
        };
        let is_of_limits = refused.is_of_limits();
        warn!(is_of_limits, "The broker refused a request");
        self.refusals.refused(&refused, Instant::now());
    }

    fn take_order(&self, message: &Message, live: &mut Live<Self>, sink: &mut TickSink) {
        let text = match message {
            Message::Text(text) => text.as_str(),
            Message::Binary(bytes) => str::from_utf8(bytes).unwrap_or_default(),
        };
        match order::read(text, &self.odd, live.list()) {
            Said::Order(update) => sink.order_update(&update),
            Said::Other => {}
            Said::Nonsense => live.undecodable("order", &"it has no number of an order", text.len(), sink),
        }
    }
}

/// Notes what a segment is doing. When its day begins, what was known of it is of the day before.
fn note_segment(known: &mut Vec<(String, u64)>, state: &mut State, segment: &str, status: u64) {
    let word = usize::try_from(status).ok().and_then(|status| STATUSES.get(status)).copied();
    if let Some((_, before)) = known.iter_mut().find(|(name, _)| name == segment) {
        if std::mem::replace(before, status) == status {
            return;
        }
    } else if known.len() < MOST_SEGMENTS {
        known.push((segment.to_owned(), status));
    }
    let Some(served) = Segment::from_name(segment) else { return };
    let word = word.unwrap_or("of a kind that is not known");
    info!(segment = served.name(), status = word, "A segment of the market has another status");
    if word == DAY_BEGINS {
        state.begin_day_of(served);
    }
}

impl Protocol for UpstoxFeed {
    type Key = Key;
    type Asked = Asked;
    type List = Instruments;

    fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<Key, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, _key: &Key, sink: &mut TickSink) -> Asked {
        let modes = modes(&self.settings, wanted);
        let taken = self.room.borrow_mut().take(wanted.instrument, modes);
        // It had room when it was granted. What the broker does not serve all the same, it refuses.
        let asked = taken.or_else(|| modes.last().copied()).unwrap_or(Asked::Ltpc);
        let levels = levels(asked, wanted);
        if levels < wanted.depth && !wanted.is_index() {
            wanted.depth = levels;
            sink.outcome(wanted.instrument, Ok(Grant::of_levels(levels)));
        }
        asked
    }

    fn requests(&mut self, changes: &[Change<Key, Asked>]) -> Vec<Message> {
        self.refusals.note(changes, Instant::now());
        request::messages(changes, &mut self.number).into_iter().map(Message::from).collect()
    }

    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        match message {
            Message::Binary(bytes) => self.take(&bytes, live, sink),
            Message::Text(text) => self.take_text(&text, live, sink),
        }
        Ok(())
    }

    fn release(&mut self, instrument: u32, last_of: Option<&Key>) {
        if let Some(key) = last_of {
            self.state.forget(key);
        }
        self.room.borrow_mut().give_back(instrument);
    }

    fn list_changed(&mut self, _list: &Instruments, is_repair: bool) -> Replan {
        if is_repair {
            return Replan::Moved;
        }
        // A day begins: the broker is to send the state of everything again.
        self.state = State::default();
        Replan::Everything
    }

    async fn wait(&mut self) {
        OrderSocket::wait(&mut self.orders).await;
    }

    fn wake_at(&self) -> Option<Instant> {
        self.refusals.wake_at()
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
        let due = self.refusals.due(now, |key| live.is_silent(key));
        if let Some(key) = due.again
            && let Some(told) = live.feed(&key).and_then(adapter_sdk::plan::Feed::told)
        {
            debug!("The broker is asked alone for an instrument of a request that it has refused");
            let change = Change { key, before: None, now: Some(told) };
            request::messages(&[change], &mut self.number).into_iter().for_each(|message| live.send(message));
        }
        for (key, is_of_limits) in due.refused {
            let refusal = if is_of_limits {
                Refusal::Capacity("The broker allows no more instruments".to_owned())
            } else {
                Refusal::Refused("The broker does not serve this instrument".to_owned())
            };
            warn!(is_of_limits, "The broker refused an instrument");
            live.refuse(&key, &refusal, sink);
            self.state.forget(&key);
        }
        if let Some(message) = OrderSocket::take(&mut self.orders) {
            self.take_order(&message, live, sink);
        }
        Ok(())
    }

    async fn close(self) {
        if let Some(orders) = self.orders {
            orders.close().await;
        }
    }
}
