//! A connection that is up: the live feed, the depth feeds beside it, and a list of instruments that changes meanwhile.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use adapter_sdk::{
    AdapterError, Connection, Grant, Mode, Subscription, Tick, TickSink,
    instruments::Renewal,
    net::{Message, WebSocket},
    plan::{Change, Feed, Plan},
    read,
    tracing::{debug, info, warn},
};
use rustc_hash::FxHashMap;
use tokio::time::{Instant, sleep_until};

use crate::{
    allotment::LIVE_LEVELS,
    clock::Clock,
    config::Settings,
    decode::{self, Apart, Decoded},
    deep::{Deep, Outcome},
    list::Instruments,
    lookup,
    publish::{publish, upstream},
    request,
    segment::{Key, Segment},
    shared::Shared,
    wire::live::{Body, Packet, Packets},
};

/// Most messages that wait in the socket before no more batches are made, and how long until the next look.
const QUEUED_MESSAGES: usize = 64;
const QUEUE_PAUSE: Duration = Duration::from_millis(50);

/// How long the first packet of a subscription may take.
const FIRST_PACKET_LIMIT: Duration = Duration::from_secs(20);

/// Most batches whose first packets are awaited. Of more, the oldest are believed to have worked.
const AWAITED_BATCHES: usize = 1_024;

/// A connection that is up.
#[derive(Debug)]
pub struct Session {
    socket: WebSocket,
    settings: Arc<Settings>,
    list: Arc<Instruments>,
    renewal: Renewal<Instruments>,
    shared: Shared,
    /// Everything that is wanted, by number: what a name means may change with the list.
    wanted: BTreeMap<u32, Subscription>,
    plan: Plan<Key>,
    deep: Deep,
    /// What the broker says beside quotes, by what is wanted.
    apart: FxHashMap<Key, Apart>,
    clock: Clock,
    /// When the next batch may go.
    batch_at: Instant,
    /// Batches whose first packets are awaited, and until when.
    awaited: VecDeque<(Instant, Vec<Key>)>,
    opened: Instant,
    has_heard: bool,
    has_complained: bool,
}

impl Session {
    pub(crate) fn new(
        socket: WebSocket,
        settings: Arc<Settings>,
        list: Arc<Instruments>,
        renewal: Renewal<Instruments>,
        deep: Deep,
        shared: Shared,
    ) -> Self {
        shared.begin();
        let now = Instant::now();
        Self {
            socket,
            settings,
            list,
            renewal,
            shared,
            wanted: BTreeMap::new(),
            plan: Plan::new(),
            deep,
            apart: FxHashMap::default(),
            clock: Clock::new(),
            batch_at: now,
            awaited: VecDeque::new(),
            opened: now,
            has_heard: false,
            has_complained: false,
        }
    }

    /// Plans an instrument by what its name means in the present list.
    fn place(&mut self, instrument: u32, sink: &mut TickSink) {
        let Some(wanted) = self.wanted.get_mut(&instrument) else { return };
        let key = match lookup(&self.list, &wanted.exchange, &wanted.symbol) {
            Ok(key) => key,
            Err(refusal) => {
                let refusal = self.renewal.explain(&wanted.exchange, &wanted.symbol, refusal);
                self.forget(instrument);
                sink.outcome(instrument, Err(refusal));
                return;
            }
        };
        let mut allotment = self.shared.allotment();
        let granted = allotment.grant(instrument, key, wanted.depth);
        if granted < wanted.depth && key.segment != Segment::Index {
            wanted.depth = granted;
            sink.outcome(instrument, Ok(Grant { depth: granted }));
        }
        let mut is_coming = false;
        if let Some(tier) = allotment.tier(instrument) {
            is_coming = self.deep.want(instrument, key, tier);
            if !is_coming {
                sink.outcome(instrument, Ok(Grant { depth: LIVE_LEVELS }));
            }
        } else {
            self.deep.drop(instrument);
        }
        let mode = upstream(wanted.mode, key.segment, is_coming);
        self.plan.want(instrument, key, mode);
    }

    fn place_all(&mut self, sink: &mut TickSink) {
        let instruments: Vec<u32> = self.wanted.keys().copied().collect();
        for instrument in instruments {
            self.place(instrument, sink);
        }
    }

    /// Subscribes everything anew, by a new list: the broker says the close of the day before only then, and it is
    /// another one on each day.
    fn begin_anew(&mut self, sink: &mut TickSink) {
        info!("Subscribing anew by the new list of instruments");
        self.apart.clear();
        let ends = request::end_all(&mut self.plan, self.wanted.keys().copied(), self.settings.batch_size);
        ends.into_iter().for_each(|message| self.socket.queue(message));
        self.place_all(sink);
    }

    fn forget(&mut self, instrument: u32) {
        self.wanted.remove(&instrument);
        if let Some(key) = self.plan.key(instrument) {
            self.plan.drop(instrument);
            if self.plan.feed(&key).is_none_or(|feed| feed.instruments().is_empty()) {
                self.apart.remove(&key);
            }
        }
        self.deep.drop(instrument);
        self.shared.allotment().release(instrument);
    }

    /// Does what is due, and says when to come back.
    fn advance(&mut self, sink: &mut TickSink) -> Option<Instant> {
        let now = Instant::now();
        if self.deep.due().is_some_and(|due| due <= now) {
            let outcome = self.deep.expire(now);
            self.heed(&outcome, sink);
        }
        if self.socket.queued() >= QUEUED_MESSAGES {
            // The broker does not read. What is wanted meanwhile is told when it does.
            self.batch_at = self.batch_at.max(now + QUEUE_PAUSE);
        }
        if self.plan.has_changes() && self.batch_at <= now {
            let changes = self.plan.changes(self.settings.batch_size);
            self.await_first(&changes, now);
            let messages = request::changes(&changes);
            if !messages.is_empty() {
                messages.into_iter().for_each(|message| self.socket.queue(message));
                self.batch_at = now + self.settings.batch_interval;
            }
        }
        while self.awaited.front().is_some_and(|(until, _)| *until <= now)
            && let Some((_, keys)) = self.awaited.pop_front()
        {
            self.repeat_silent(&keys);
        }
        let batch_at = self.plan.has_changes().then_some(self.batch_at);
        let awaited_until = self.awaited.front().map(|(until, _)| *until);
        [batch_at, awaited_until, self.deep.due()].into_iter().flatten().min()
    }

    fn await_first(&mut self, changes: &[Change<Key>], now: Instant) {
        let new = changes.iter().filter(|change| change.before.is_none());
        let keys: Vec<Key> = new.map(|change| change.key).collect();
        if !keys.is_empty() {
            if self.awaited.len() >= AWAITED_BATCHES {
                self.awaited.pop_front();
            }
            self.awaited.push_back((now + FIRST_PACKET_LIMIT, keys));
        }
    }

    /// The broker acknowledges nothing, but sends the last state of whatever it has subscribed. What stays silent is
    /// subscribed once more.
    fn repeat_silent(&mut self, keys: &[Key]) {
        let silent: Vec<Key> = keys.iter().copied().filter(|key| self.plan.is_silent(key)).collect();
        if silent.is_empty() {
            return;
        }
        warn!(
            count = silent.len(),
            "The broker sends nothing of some instruments; subscribing them once more"
        );
        let messages = request::repeat(&self.plan, &silent, self.settings.batch_size);
        messages.into_iter().for_each(|message| self.socket.queue(message));
    }

    fn take_packets(&mut self, message: &[u8], sink: &mut TickSink) -> Result<(), AdapterError> {
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
                    self.shared.is_fine();
                    self.take_packet(&packet, sink);
                }
                Err(error) => self.complain(&error, message.len(), sink),
            }
        }
        Ok(())
    }

    fn take_packet(&mut self, packet: &Packet, sink: &mut TickSink) {
        // What nobody wants was unsubscribed, or is a mistake of the broker.
        let Some(feed) = self.plan.heard(&packet.key) else { return };
        let segment = packet.key.segment;
        let has_deep_book = self.deep.is_coming(packet.key);
        if let Body::OpenInterest(oi) = packet.body {
            self.apart.entry(packet.key).or_default().oi = read::quantity(oi.into());
        }
        let apart = self.apart.get(&packet.key).copied().unwrap_or_default();
        for (instrument, _) in feed.instruments() {
            let Some(wanted) = self.wanted.get(instrument) else { continue };
            let decoded = decode::tick(packet, *instrument, &mut self.clock);
            if let Decoded::Close(close) = decoded {
                // It goes out with the packet that follows it.
                self.apart.entry(packet.key).or_default().close = Some(close);
                return;
            }
            publish(&decoded, &apart, wanted.mode, segment, has_deep_book, sink);
        }
    }

    fn lost(&self, error: AdapterError) -> AdapterError {
        if self.has_heard { error } else { self.shared.lost_unheard(error, self.opened.elapsed()) }
    }

    fn complain(&mut self, error: &impl std::fmt::Display, bytes: usize, sink: &mut TickSink) {
        sink.undecodable();
        if !std::mem::replace(&mut self.has_complained, true) {
            warn!(%error, bytes, "A message that makes no sense; more of them are only counted");
        }
    }

    /// Follows what happened to the depth feeds: books go to clients, and where they come no more the live feed brings
    /// them.
    fn heed(&mut self, outcome: &Outcome, sink: &mut TickSink) {
        (0..outcome.undecodable).for_each(|_| sink.undecodable());
        if let Some(tier) = outcome.closed {
            warn!(levels = tier.levels(), "The broker does not give this account books of so many levels");
            self.shared.allotment().close(tier);
        }
        for (keys, is_deep) in [(&outcome.missing, false), (&outcome.begun, true)] {
            for key in keys {
                let holders: Vec<(u32, u16)> =
                    self.holders(*key).map(|wanted| (wanted.instrument, wanted.depth)).collect();
                for (instrument, granted) in holders {
                    let depth = if is_deep { granted } else { LIVE_LEVELS };
                    sink.outcome(instrument, Ok(Grant { depth }));
                    self.plan.want(instrument, *key, upstream(Mode::Depth, key.segment, is_deep));
                }
            }
        }
        for key in &outcome.changed {
            let Some((buy, sell)) = self.deep.sides(*key) else { continue };
            for wanted in self.holders(*key) {
                let [buy, sell] = [buy, sell].map(|side| side.get(..wanted.depth.into()).unwrap_or(side));
                sink.depth(&Tick::new(wanted.instrument), buy, sell);
            }
        }
    }

    /// Who wants the deep book of a key.
    fn holders(&self, key: Key) -> impl Iterator<Item = &Subscription> {
        let instruments = self.plan.feed(&key).map(Feed::instruments).unwrap_or_default();
        let wanted = instruments.iter().filter_map(|(instrument, _)| self.wanted.get(instrument));
        wanted.filter(move |wanted| self.deep.is_held(wanted.instrument, key))
    }
}

/// Closes a socket as the broker wants it: with a word before.
pub(crate) async fn say_goodbye(mut socket: WebSocket) {
    socket.queue(request::DISCONNECT);
    // It goes out in one turn, or not at all.
    tokio::select! {
        biased;
        _ = socket.next() => {}
        () = std::future::ready(()) => {}
    }
    socket.close().await;
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], sink: &mut TickSink) -> Result<(), AdapterError> {
        for one in wanted {
            self.wanted.insert(one.instrument, one.clone());
            self.place(one.instrument, sink);
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        instruments.iter().for_each(|instrument| self.forget(*instrument));
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
                message = self.socket.next() => {
                    match message {
                        Ok(Message::Binary(bytes)) => self.take_packets(&bytes, sink)?,
                        Ok(Message::Text(_)) => debug!("A text on the live feed"),
                        Err(error) => return Err(self.lost(error)),
                    }
                    return Ok(());
                }
                outcome = self.deep.next() => {
                    self.heed(&outcome, sink);
                    return Ok(());
                }
                list = self.renewal.next() => {
                    self.list = list?;
                    if self.renewal.is_repair() {
                        // The closes of the day before are still the same.
                        self.place_all(sink);
                    } else {
                        self.begin_anew(sink);
                    }
                }
                () = wake => debug!("Time for the next batch"),
            }
        }
    }

    async fn close(self) {
        tokio::join!(say_goodbye(self.socket), self.deep.close());
    }
}
