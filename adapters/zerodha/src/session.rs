//! A connection that is up: subscriptions in batches, packets to ticks, texts, and a list of instruments that changes
//! meanwhile.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use adapter_sdk::{
    AdapterError, Connection, Mode, Refusal, Subscription, Tick, TickSink,
    instruments::Renewal,
    net::{Message, WebSocket},
    plan::Plan,
    read::Odd,
    tracing::{debug, info, warn},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    config::Settings,
    decode::{Kind, Packet, Packets, Scale},
    instruments::Instruments,
    lookup, plan,
    wire::{self, Postback, Text},
};

/// Longest that subscriptions wait for a list that the broker made while this side was away, whose tokens may mean something
/// else by now.
const HOLD_LIMIT: Duration = Duration::from_secs(30);

/// Longest that subscriptions go on by a list that the broker has replaced meanwhile.
const REPLACED_LIMIT: Duration = Duration::from_mins(15);

/// What the broker last said to be its present list of instruments. All connections of an instance share it.
pub(crate) type Etag = Rc<RefCell<Option<String>>>;

/// When the broker says that there are too many instruments, what it may mean: those that were subscribed so recently.
const RECENT: Duration = Duration::from_secs(10);

/// How long those have to show that they are not meant. The broker sends the last state of each right away.
const SNAPSHOT_LIMIT: Duration = Duration::from_secs(2);

/// What was logged, and is only counted from then on.
#[derive(Debug, Default)]
struct Complaints {
    packets: bool,
    texts: bool,
}

/// A connection that is up.
#[derive(Debug)]
pub struct Session {
    socket: WebSocket,
    batch_size: usize,
    batch_interval: Duration,
    list: Arc<Instruments>,
    renewal: Renewal<Instruments>,
    etag: Etag,
    /// Everything that is wanted, by number: what a name means may change with the list.
    wanted: BTreeMap<u32, Subscription>,
    plan: Plan<u32>,
    /// Whether subscriptions wait for the broker's new list.
    is_held: bool,
    /// When the next batch may go.
    batch_at: Instant,
    /// Batches of the last seconds: when they went, and what they subscribed.
    recent: VecDeque<(Instant, Vec<u32>)>,
    /// Tokens that the broker may have refused, and when to decide.
    suspects: Option<(Instant, Vec<u32>)>,
    /// Members of order updates that made no sense.
    odd: Odd,
    has_complained_of: Complaints,
    /// Whether the broker has said which list of instruments is the present one.
    has_begun: bool,
}

impl Session {
    pub(crate) fn new(
        socket: WebSocket,
        settings: &Settings,
        list: Arc<Instruments>,
        renewal: Renewal<Instruments>,
        etag: Etag,
    ) -> Self {
        Self {
            socket,
            batch_size: settings.batch_size,
            batch_interval: settings.batch_interval,
            list,
            renewal,
            etag,
            wanted: BTreeMap::new(),
            plan: Plan::new(),
            is_held: false,
            batch_at: Instant::now(),
            recent: VecDeque::new(),
            suspects: None,
            odd: Odd::new(),
            has_complained_of: Complaints::default(),
            has_begun: false,
        }
    }

    /// Plans an instrument by what its name means in the present list.
    fn place(&mut self, instrument: u32, sink: &mut TickSink) {
        let Some(wanted) = self.wanted.get(&instrument) else { return };
        match lookup(&self.list, &wanted.exchange, &wanted.symbol) {
            Ok(token) => self.plan.want(instrument, token, wanted.mode),
            Err(refusal) => {
                let refusal = self.renewal.explain(&wanted.exchange, &wanted.symbol, refusal);
                self.plan.drop(instrument);
                self.wanted.remove(&instrument);
                sink.outcome(instrument, Err(refusal));
            }
        }
    }

    fn place_all(&mut self, sink: &mut TickSink) {
        self.is_held = false;
        let instruments: Vec<u32> = self.wanted.keys().copied().collect();
        for instrument in instruments {
            self.place(instrument, sink);
        }
    }

    /// The broker has another list. While this side was away it may have given tokens to something else; it says so before
    /// the first tick. What changes while instruments are subscribed is no reason to miss their ticks.
    fn replace_list(&mut self) {
        info!("The broker has a new list of instruments");
        if self.has_begun {
            self.renewal.hurry(REPLACED_LIMIT);
            return;
        }
        self.renewal.hurry(HOLD_LIMIT);
        self.is_held = true;
        for instrument in self.wanted.keys() {
            self.plan.drop(*instrument);
        }
    }

    /// Does what is due, and says when to come back.
    fn advance(&mut self, sink: &mut TickSink) -> Option<Instant> {
        let now = Instant::now();
        if self.suspects.as_ref().is_some_and(|(at, _)| *at <= now)
            && let Some((_, tokens)) = self.suspects.take()
        {
            self.refuse(&tokens, sink);
        }
        if self.plan.has_changes() && self.batch_at <= now {
            let changes = self.plan.changes(self.batch_size);
            if !changes.is_empty() {
                plan::messages(&changes).into_iter().for_each(|message| self.socket.queue(message));
                self.batch_at = now + self.batch_interval;
            }
            self.forget_before(now);
            let new = changes.iter().filter(|change| change.before.is_none()).map(|change| change.key);
            let subscribed: Vec<u32> = new.collect();
            if !subscribed.is_empty() {
                self.recent.push_back((now, subscribed));
            }
        }
        let batch_at = self.plan.has_changes().then_some(self.batch_at);
        let suspects_at = self.suspects.as_ref().map(|(at, _)| *at);
        [batch_at, suspects_at].into_iter().flatten().min()
    }

    fn forget_before(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|(at, _)| *at + RECENT < now) {
            self.recent.pop_front();
        }
    }

    /// The broker has no room, but does not say for which. Those that stay silent are it.
    fn suspect(&mut self) {
        let now = Instant::now();
        self.forget_before(now);
        let plan = &self.plan;
        let tokens = self.recent.iter().flat_map(|(_, tokens)| tokens).copied();
        let silent = tokens.filter(|token| plan.is_silent(token)).collect();
        self.suspects = Some((now + SNAPSHOT_LIMIT, silent));
    }

    fn refuse(&mut self, tokens: &[u32], sink: &mut TickSink) {
        let mut count = 0;
        for token in tokens {
            if !self.plan.is_silent(token) {
                continue;
            }
            for instrument in self.plan.give_up(token) {
                self.wanted.remove(&instrument);
                let why = "The broker takes no more instruments on this connection".to_owned();
                sink.outcome(instrument, Err(Refusal::Capacity(why)));
                count += 1;
            }
        }
        warn!(refused = count, "The broker takes no more instruments on this connection");
    }

    fn take_packets(&mut self, message: &[u8], sink: &mut TickSink) {
        for packet in Packets::new(message) {
            match packet {
                Ok(packet) => {
                    // What nobody wants was unsubscribed, or is a mistake of the broker.
                    let Some(feed) = self.plan.heard(&packet.token()) else { continue };
                    let Some(packet) = with_scale(packet, &self.list) else {
                        self.complain(&"a token of a segment that nobody knows", message.len(), sink);
                        continue;
                    };
                    for (instrument, mode) in feed.instruments() {
                        publish(&packet, *instrument, *mode, sink);
                    }
                }
                Err(error) => self.complain(&error, message.len(), sink),
            }
        }
    }

    fn complain(&mut self, error: &dyn std::fmt::Display, bytes: usize, sink: &mut TickSink) {
        sink.undecodable();
        if !std::mem::replace(&mut self.has_complained_of.packets, true) {
            warn!(%error, bytes, "A message that makes no sense; more of them are only counted");
        }
    }

    fn take_text(&mut self, text: &str, sink: &mut TickSink) {
        match wire::read(text, &self.odd) {
            Text::Order(postback) => self.take_order(&postback, sink),
            Text::Error(error) => {
                warn!(error = wire::masked(&error), "The broker finds fault");
                if error.contains("subscribe to more than") {
                    self.suspect();
                }
            }
            Text::Notice(notice) => info!(notice = wire::masked(&notice), "The broker says"),
            Text::Instruments { etag } => {
                let before = self.etag.replace(Some(etag.clone()));
                if before.is_some_and(|before| before != etag) {
                    self.replace_list();
                }
                self.has_begun = true;
            }
            Text::Other => {}
            Text::Damaged => {
                sink.undecodable();
                if !std::mem::replace(&mut self.has_complained_of.texts, true) {
                    warn!(
                        bytes = text.len(),
                        "A text without what it is about, such as an order without its number; more of them are only counted"
                    );
                }
            }
        }
    }

    fn take_order(&self, postback: &Postback, sink: &mut TickSink) {
        let named = postback.instrument_token.and_then(|token| self.list.name(token));
        let (exchange, symbol) = named.unwrap_or((&postback.exchange, &postback.tradingsymbol));
        sink.order_update(&postback.update(exchange, symbol));
    }
}

/// A packet with what its prices are worth: by the segment in its token, or by what the list says of the token. None when
/// neither is known, since to guess would show wrong prices.
fn with_scale<'a>(packet: Packet<'a>, list: &Instruments) -> Option<Packet<'a>> {
    if packet.scale().is_some() {
        return Some(packet);
    }
    let (exchange, _) = list.name(packet.token())?;
    Some(packet.scaled(Scale::of_exchange(exchange)?))
}

/// Publishes a packet under a number, and no more of it than is wanted: what comes while the broker has not yet followed
/// a change of mode would be left standing.
///
/// A packet of the mode that is wanted is an image: the broker sends nothing of the instrument beside it. One of a lower
/// mode, which comes before it has followed, knows less than what is shown, and is an update.
fn publish(packet: &Packet<'_>, instrument: u32, mode: Mode, sink: &mut TickSink) {
    if mode == Mode::Ltp {
        let tick = Tick::new(instrument).image();
        return sink.ltp(&packet.last_price().map_or(tick, |price| tick.ltp(price)));
    }
    let tick = packet.tick(instrument);
    match (mode, packet.kind(), packet.book()) {
        (_, Kind::Ltp, _) => sink.ltp(&tick),
        (Mode::Depth, _, Some(book)) => sink.depth(&tick.image(), book.buy(), book.sell()),
        // An index has no book, but those who want one get its values.
        (Mode::Depth, Kind::IndexFull, _) => sink.beside_book(&tick.image()),
        (Mode::Depth, ..) => sink.quote(&tick),
        _ => sink.quote(&tick.image()),
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], sink: &mut TickSink) -> Result<(), AdapterError> {
        for one in wanted {
            self.wanted.insert(one.instrument, one.clone());
            if !self.is_held {
                self.place(one.instrument, sink);
            }
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        for instrument in instruments {
            self.wanted.remove(instrument);
            self.plan.drop(*instrument);
        }
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        loop {
            let wake_at = self.advance(sink);
            let wake = async {
                match wake_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                list = self.renewal.next() => {
                    self.list = list?;
                    // Tokens that mean something else now are left in the same breath in which the new ones are taken.
                    self.place_all(sink);
                }
                message = self.socket.next() => {
                    match message? {
                        Message::Binary(bytes) => self.take_packets(&bytes, sink),
                        Message::Text(text) => self.take_text(&text, sink),
                    }
                    return Ok(());
                }
                () = wake => debug!("Time for the next batch"),
            }
        }
    }

    async fn close(self) {
        self.socket.close().await;
    }
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
            assert_eq!(packet.scale(), None);
            assert_eq!(with_scale(packet, &list).and_then(|packet| packet.last_price()), wanted, "{token}");
        }
    }
}
