//! A connection that is up: the live feed's packets, and the depth feeds beside it.

use std::{
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adapter_sdk::{
    AdapterError, Grant, Mode, Refusal, Subscription, Tick, TickSink,
    net::Message,
    plan::{Change, Feed},
    read,
    session::{Awaited, Live, Protocol, Replan},
    tracing::{debug, warn},
};
use rustc_hash::FxHashMap;
use tokio::time::Instant;

use crate::{
    allotment::{self, LIVE_LEVELS},
    clock::Clock,
    decode::{self, Apart, Decoded},
    deep::{Deep, Outcome},
    list::Instruments,
    publish::{publish, upstream},
    request,
    segment::{Key, Segment},
    shared::Shared,
    wire::live::{Body, Packet, Packets},
};

/// How long the first packet of a subscription may take: the broker acknowledges nothing, but sends the last
/// state of whatever it has subscribed. What stays silent is subscribed once more.
const FIRST_PACKET_LIMIT: Duration = Duration::from_secs(20);

/// Dhan's side of a connection.
#[derive(Debug)]
pub struct DhanFeed {
    shared: Rc<Shared>,
    deep: Deep,
    /// What has happened to the depth feeds, and is to be followed.
    happened: Option<Outcome>,
    /// What the broker says beside quotes, by what is wanted.
    apart: FxHashMap<Key, Apart>,
    clock: Clock,
    awaited: Awaited<Key>,
    opened: Instant,
    has_heard: bool,
}

impl DhanFeed {
    pub(crate) fn new(deep: Deep, shared: Rc<Shared>) -> Self {
        shared.begin();
        Self {
            shared,
            deep,
            happened: None,
            apart: FxHashMap::default(),
            clock: Clock::new(),
            awaited: Awaited::new(FIRST_PACKET_LIMIT, 1),
            opened: Instant::now(),
            has_heard: false,
        }
    }

    fn take_packets(
        &mut self,
        message: &[u8],
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.clock.set(now.as_secs()) {
            // What was said yesterday is not shown beside what is said today.
            self.apart.clear();
        }
        for packet in Packets::new(message) {
            match packet {
                Ok(Packet { body: Body::Disconnect(reason), .. }) => {
                    return Err(self.shared.disconnected(reason));
                }
                Ok(Packet { key, body: Body::MarketStatus }) => {
                    debug!(segment = key.segment.name(), "The broker says something of the market's status");
                }
                Ok(packet) => {
                    self.has_heard = true;
                    self.shared.suspicion.set(None);
                    self.take_packet(&packet, live, sink);
                }
                Err(error) => live.undecodable("packet", &error, message.len(), sink),
            }
        }
        Ok(())
    }

    fn take_packet(&mut self, packet: &Packet, live: &mut Live<Self>, sink: &mut TickSink) {
        // What nobody wants was unsubscribed, or is a mistake of the broker.
        let Some(heard) = live.heard(&packet.key) else { return };
        let segment = packet.key.segment;
        let has_deep_book = self.deep.is_coming(packet.key);
        if let Body::OpenInterest(oi) = packet.body {
            self.apart.entry(packet.key).or_default().oi = read::quantity(oi.into());
        }
        let apart = self.apart.get(&packet.key).copied().unwrap_or_default();
        for (instrument, _) in heard.instruments() {
            let Some(wanted) = heard.wanted(*instrument) else { continue };
            let decoded = decode::tick(packet, *instrument, &mut self.clock);
            if let Decoded::Close(close) = decoded {
                // It goes out with the packet that follows it.
                self.apart.entry(packet.key).or_default().close = Some(close);
                return;
            }
            publish(&decoded, &apart, wanted.mode, segment, has_deep_book, sink);
        }
    }

    /// Follows what happened to the depth feeds: books go to clients, and where they come no more the live
    /// feed brings them.
    fn follow(&self, outcome: &Outcome, live: &mut Live<Self>, sink: &mut TickSink) {
        (0..outcome.undecodable).for_each(|_| sink.undecodable());
        if let Some(tier) = outcome.closed {
            warn!(levels = tier.levels(), "The broker does not give this account books of so many levels");
            self.shared.places.borrow_mut().close(tier);
        }
        for (keys, is_deep) in [(&outcome.missing, false), (&outcome.begun, true)] {
            for key in keys {
                let holders: Vec<(u32, u16)> =
                    self.holders(*key, live).map(|wanted| (wanted.instrument, wanted.depth)).collect();
                for (instrument, granted) in holders {
                    let depth = if is_deep { granted } else { LIVE_LEVELS };
                    sink.outcome(instrument, Ok(Grant::of_levels(depth)));
                    if !is_deep {
                        // What is fed no more must not stand there until the live feed brings its first book.
                        sink.depth(&Tick::new(instrument), &[], &[]);
                    }
                    live.ask(instrument, key, upstream(Mode::Depth, key.segment, is_deep));
                }
            }
        }
        for key in &outcome.changed {
            let Some((buy, sell)) = self.deep.sides(*key) else { continue };
            for wanted in self.holders(*key, live) {
                let [buy, sell] = [buy, sell].map(|side| side.get(..wanted.depth.into()).unwrap_or(side));
                sink.depth(&Tick::new(wanted.instrument), buy, sell);
            }
        }
    }

    /// Who wants the deep book of a key.
    fn holders<'a>(&'a self, key: Key, live: &'a Live<Self>) -> impl Iterator<Item = &'a Subscription> {
        let instruments = live.feed(&key).map(Feed::instruments).unwrap_or_default();
        let wanted = instruments.iter().filter_map(|(instrument, _)| live.wanted(*instrument));
        let has_place =
            move |instrument| self.shared.places.borrow().of(instrument).is_some_and(|place| place.0 == key);
        wanted.filter(move |wanted| has_place(wanted.instrument))
    }
}

impl Protocol for DhanFeed {
    type Key = Key;
    type Asked = Mode;
    type List = Instruments;

    fn find(&self, list: &Instruments, wanted: &Subscription) -> Result<Key, Refusal> {
        list.find(&wanted.exchange, &wanted.symbol)
    }

    fn ask(&mut self, wanted: &mut Subscription, key: &Key, sink: &mut TickSink) -> Mode {
        let instrument = wanted.instrument;
        let mut places = self.shared.places.borrow_mut();
        let granted = allotment::grant(&mut places, instrument, *key, wanted.depth);
        if granted < wanted.depth && key.segment != Segment::Index {
            wanted.depth = granted;
            sink.outcome(instrument, Ok(Grant::of_levels(granted)));
        }
        self.deep.follow(&places);
        let has_place = places.of(instrument).is_some();
        let is_coming = has_place && self.deep.is_coming(*key);
        if has_place && !is_coming {
            sink.outcome(instrument, Ok(Grant::of_levels(LIVE_LEVELS)));
        }
        upstream(wanted.mode, key.segment, is_coming)
    }

    fn requests(&mut self, changes: &[Change<Key>]) -> Vec<Message> {
        self.awaited.subscribed(changes);
        request::changes(changes).into_iter().map(Message::from).collect()
    }

    fn receive(
        &mut self,
        message: Message,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        match message {
            Message::Binary(bytes) => self.take_packets(&bytes, live, sink),
            Message::Text(_) => {
                debug!("A text on the live feed");
                Ok(())
            }
        }
    }

    fn release(&mut self, instrument: u32, last_of: Option<&Key>) {
        if let Some(key) = last_of {
            self.apart.remove(key);
        }
        let mut places = self.shared.places.borrow_mut();
        places.give_back(instrument);
        self.deep.follow(&places);
    }

    fn list_changed(&mut self, _list: &Instruments, is_repair: bool) -> Replan {
        if is_repair {
            // The closes of the day before are still the same.
            return Replan::Moved;
        }
        // The broker says the close of the day before only when something is subscribed, and it is another
        // one on each day.
        self.apart.clear();
        Replan::Everything
    }

    async fn wait(&mut self) {
        if self.happened.is_none() {
            self.happened = Some(self.deep.next().await);
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        [self.awaited.wake_at(), self.deep.due()].into_iter().flatten().min()
    }

    fn advance(
        &mut self,
        now: Instant,
        live: &mut Live<Self>,
        sink: &mut TickSink,
    ) -> Result<(), AdapterError> {
        if let Some(outcome) = self.happened.take() {
            self.follow(&outcome, live, sink);
        }
        if self.deep.due().is_some_and(|due| due <= now) {
            let outcome = self.deep.expire(now);
            self.follow(&outcome, live, sink);
        }
        self.awaited.repeat_silent(now, live);
        Ok(())
    }

    fn lost(&mut self, error: AdapterError) -> AdapterError {
        if self.has_heard { error } else { self.shared.lost_unheard(error, self.opened.elapsed()) }
    }

    fn goodbye(&mut self) -> Vec<Message> {
        vec![request::DISCONNECT.into()]
    }

    async fn close(self) {
        self.deep.close().await;
    }
}
