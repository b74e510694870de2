//! A connection of the adapter.

use std::{
    collections::{BTreeMap, HashMap},
    rc::Rc,
    time::Duration,
};

use adapter_conformance::{Edition, Name, Packet};
use adapter_sdk::{
    AdapterError, Connection, Greeks, Level, ListReporter, ListState, ListTrouble, Mode, OrderUpdate,
    Packet as Told, Price, Refusal, Subscription, Tick, TickSink,
    read::{Members, Odd},
};
use tokio::{sync::mpsc, time::Instant};

use super::{
    adapter::{LEVELS, Memory, Vice, has},
    venue::{Frame, Shared},
};

/// Silence after which the connection is taken for dead.
const SILENCE: Duration = Duration::from_millis(300);

pub struct Session {
    venue: Shared,
    number: u64,
    frames: mpsc::Receiver<Frame>,
    vice: Option<Vice>,
    memory: Rc<Memory>,
    lists: ListReporter,
    odd: Odd,
    is_again: bool,
    wanted: HashMap<u32, Subscription>,
    handles: HashMap<u32, u32>,
    heard: Instant,
}

impl Session {
    pub fn new(
        venue: Shared,
        (number, frames): (u64, mpsc::Receiver<Frame>),
        vice: Option<Vice>,
        memory: Rc<Memory>,
        lists: ListReporter,
        is_again: bool,
    ) -> Self {
        Self {
            venue,
            number,
            frames,
            vice,
            memory,
            lists,
            odd: Odd::new(),
            is_again,
            wanted: HashMap::new(),
            handles: HashMap::new(),
            heard: Instant::now(),
        }
    }

    fn is(&self, vice: Vice) -> bool {
        self.vice == Some(vice)
    }
}

impl Connection for Session {
    async fn subscribe(&mut self, wanted: &[Subscription], _sink: &mut TickSink) -> Result<(), AdapterError> {
        let mut asked = Vec::new();
        for one in wanted {
            let is_known = self.memory.known.borrow().contains(&one.instrument);
            if self.is(Vice::ForgetsAdditions) && self.is_again && !is_known {
                continue;
            }
            self.memory.known.borrow_mut().push(one.instrument);
            self.wanted.insert(one.instrument, one.clone());
            let mut modes = self.memory.modes.borrow_mut();
            let highest = modes.entry(one.instrument).or_insert(one.mode);
            *highest = one.mode.max(*highest);
            let mode = if self.is(Vice::NeverLowersModes) { *highest } else { one.mode };
            asked.push((one.instrument, self.key(one), mode));
        }
        let size = if self.is(Vice::SubscribesOneByOne) { 1 } else { 50 };
        for message in asked.chunks(size) {
            let pairs: Vec<_> = message.iter().map(|(_, key, mode)| (key.clone(), *mode)).collect();
            let handles = self.venue.lock().subscribe(self.number, &pairs);
            for (handle, (number, ..)) in handles.into_iter().zip(message) {
                if self.is(Vice::KeepsHandles) {
                    self.memory.handles.borrow_mut().entry(handle).or_insert(*number);
                }
                self.handles.insert(handle, *number);
            }
        }
        Ok(())
    }

    async fn unsubscribe(&mut self, instruments: &[u32]) -> Result<(), AdapterError> {
        for number in instruments {
            let Some(one) = self.wanted.remove(number) else { continue };
            self.memory.deep.borrow_mut().remove(number);
            let key = self.key(&one);
            self.venue.lock().unsubscribe(&key);
            self.handles.retain(|_, number| *number != one.instrument);
        }
        if self.wanted.is_empty() && self.is(Vice::HangsUpAtZero) {
            return Err(AdapterError::network("nothing to do"));
        }
        Ok(())
    }

    async fn next(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        let is_patient = self.is(Vice::NoticesNoStall);
        let frame = tokio::select! {
            frame = self.frames.recv() => frame.ok_or_else(|| AdapterError::network("the broker closed"))?,
            () = self.lists.asked() => return self.renew(sink).await,
            () = tokio::time::sleep_until(self.heard + SILENCE), if !is_patient => {
                return Err(AdapterError::network("the broker fell silent"));
            }
        };
        if !self.is(Vice::TakesQuietForDead) || !matches!(frame, Frame::Heartbeat) {
            self.heard = Instant::now();
        }
        match frame {
            Frame::Ticks(packets, is_partial) => self.publish(packets, is_partial, sink),
            Frame::Order(text) => self.order(&text, sink),
            Frame::Garbage => {
                assert!(!self.is(Vice::PanicsAtNonsense), "nonsense");
                if !self.is(Vice::HidesNonsense) {
                    sink.undecodable();
                }
            }
            Frame::Replaced if self.is(Vice::FightsSessions) => {
                return Err(AdapterError::network("the broker closed"));
            }
            Frame::Replaced => {
                return Err(AdapterError::rate_limited("another session took this one's place"));
            }
            Frame::Heartbeat => {}
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is(Vice::StopsSlowly) && self.handles.len() == 3 {
            super::hold(Duration::from_secs(3));
        }
        if self.is(Vice::LeavesSessions) {
            Box::leak(Box::new(std::mem::replace(&mut self.frames, mpsc::channel(1).1)));
        }
    }
}

/// The list.
impl Session {
    /// What the broker calls an instrument.
    fn key(&self, one: &Subscription) -> Name {
        let symbol = match self.vice {
            Some(Vice::CutsSymbols) => one.symbol.split(['_', '-']).next().unwrap_or_default(),
            _ => &one.symbol,
        };
        let name = Name { exchange: one.exchange.clone(), symbol: symbol.to_owned() };
        let list = self.memory.list.borrow();
        match list.as_ref().map(|list| list.swap.as_slice()) {
            Some([one, other]) if *one == name => other.clone(),
            Some([one, other]) if *other == name => one.clone(),
            _ => name,
        }
    }

    async fn renew(&mut self, sink: &mut TickSink) -> Result<(), AdapterError> {
        if self.is(Vice::KeepsList) {
            return Ok(());
        }
        let mut fresh: Edition = self.venue.lock().edition();
        if let Some(lacks) = fresh.lacks.take() {
            let trouble = ListTrouble { segment: lacks.clone(), ..ListTrouble::default() };
            self.lists.say(&ListState { troubles: vec![trouble], ..ListState::default() });
            if self.is(Vice::BelievesTornLists) {
                let gone = self.wanted.values().filter(|one| one.exchange == lacks);
                gone.for_each(|one| {
                    sink.outcome(one.instrument, Err(Refusal::not_found(&lacks, &one.symbol)));
                });
            }
            return Ok(());
        }
        let all: Vec<Subscription> = self.wanted.values().cloned().collect();
        let (kept, gone): (Vec<Subscription>, Vec<Subscription>) =
            all.into_iter().partition(|one| has(&fresh, one));
        for one in &gone {
            sink.outcome(one.instrument, Err(Refusal::not_found(&one.exchange, &one.symbol)));
        }
        if self.is(Vice::KeepsKeys) {
            fresh.swap.clear();
        }
        let old: Vec<Name> = self.wanted.values().map(|one| self.key(one)).collect();
        self.handles.clear();
        self.wanted.clear();
        *self.memory.list.borrow_mut() = Some(fresh);
        old.iter().for_each(|key| self.venue.lock().unsubscribe(key));
        self.subscribe(&kept, sink).await?;
        self.lists.say(&ListState { is_whole: true, ..ListState::default() });
        self.lists.changed();
        Ok(())
    }
}

/// What is published.
impl Session {
    fn publish(&self, packets: Vec<(u32, Packet)>, is_partial: bool, sink: &mut TickSink) {
        let count = if self.is(Vice::ReadsFirstPacketOnly) { 1 } else { usize::MAX };
        for (handle, packet) in packets.into_iter().take(count) {
            let kept = self.memory.handles.borrow().get(&handle).copied();
            if let Some(number) = kept.or(self.handles.get(&handle).copied()) {
                self.publish_one(number, packet, is_partial, sink);
            }
        }
    }

    fn publish_one(&self, number: u32, mut packet: Packet, is_partial: bool, sink: &mut TickSink) {
        let Some(wanted) = self.wanted.get(&number) else { return };
        let (mode, levels) = (wanted.mode, wanted.depth);
        let levels = if self.is(Vice::CutsNoBooks) { u16::MAX } else { levels };
        if self.is(Vice::RemembersDays) {
            let mut all = self.memory.values.borrow_mut();
            let known = all.entry(number).or_default();
            known.extend(std::mem::take(&mut packet.values));
            packet.values = known.clone();
        }
        let mut tick = self.tick(number, &packet.values, is_partial);
        let is_image = match self.vice {
            Some(Vice::TakesImagesForUpdates) => false,
            Some(Vice::TakesUpdatesForImages) => true,
            _ => !is_partial,
        };
        if is_image {
            tick = tick.image();
        }
        let (bids, asks) = (self.side(&packet.bids), self.side(&packet.asks));
        let told = match packet.kind.as_str() {
            "ltp" => Told::Ltp(tick),
            "quote" => Told::Quote(tick),
            "values" => Told::Values(tick),
            "book" => Told::Book(number, &bids, &asks),
            _ => Told::Depth(tick, &bids, &asks),
        };
        let delta = |paise| Greeks::new(number).delta(Price::from_scaled(paise, 4).unwrap());
        match (self.vice, mode) {
            (Some(Vice::MisscalesGreeks), _) => sink.greeks(&delta(523_400)),
            (Some(Vice::PublishesGreeksAbove), _) | (_, Mode::Quote | Mode::Depth) => {
                sink.greeks(&delta(5_234));
            }
            (_, Mode::Ltp) => {}
        }
        match (self.vice, mode) {
            (Some(Vice::PublishesAbove), Mode::Ltp) => sink.quote(&tick),
            (Some(Vice::PublishesBelow), Mode::Depth) => {
                sink.quote(&tick);
                sink.depth(&Tick::new(number), &bids, &asks);
            }
            _ => sink.publish(mode, &told.up_to(levels)),
        }
    }

    fn tick(&self, number: u32, values: &BTreeMap<String, String>, is_partial: bool) -> Tick {
        let mut tick = Tick::new(number);
        if self.is(Vice::InventsZeros) {
            tick = tick.volume(0);
        }
        if self.is(Vice::WipesOnPartial) && is_partial {
            tick = tick.high(Price::default());
        }
        for (name, text) in values {
            tick = match name.as_str() {
                "ltp" => tick.ltp(self.price(text)),
                "open" => tick.open(self.price(text)),
                "high" => tick.high(self.price(text)),
                "volume" => tick.volume(text.parse().unwrap()),
                "exchange_ts_ns" => {
                    let ahead = if self.is(Vice::SendsLocalTime) { 19_800_000_000_000 } else { 0 };
                    tick.exchange_ts_ns(text.parse::<u64>().unwrap() + ahead)
                }
                other => panic!("the venue has no {other}"),
            };
        }
        tick
    }

    fn side(&self, rows: &[(String, i64, u32)]) -> Vec<Level> {
        let rows = rows.iter().take(LEVELS.into());
        rows.map(|(at, quantity, orders)| Level {
            price: self.price(at),
            quantity: *quantity,
            orders: Some(*orders),
        })
        .collect()
    }

    fn price(&self, text: &str) -> Price {
        if self.is(Vice::CountsInFloats) {
            return Price::from_f64(f64::from(text.parse::<f32>().unwrap())).unwrap();
        }
        Price::from_f64(text.parse().unwrap()).unwrap()
    }

    fn order(&self, text: &str, sink: &mut TickSink) {
        let Some(order) = Members::read(text, &self.odd) else { return sink.undecodable() };
        let Some(orderid) = order.text("orderid") else { return sink.undecodable() };
        let (quantity, filled_quantity) = (order.whole("quantity"), order.whole("filled_quantity"));
        let price = order.number("price");
        let is_odd = quantity.is_none() || price.is_none();
        if self.is(Vice::DropsOddOrders) && is_odd {
            return sink.undecodable();
        }
        let is_lost = self.is(Vice::ForgetsOthersInOrders) && is_odd;
        sink.order_update(&OrderUpdate {
            orderid,
            quantity: if self.is(Vice::ZeroesOrders) { quantity.or(Some(0)) } else { quantity },
            filled_quantity: filled_quantity.filter(|_| !is_lost),
            price,
            order_status: order.text("order_status").unwrap_or_default(),
            ..OrderUpdate::default()
        });
    }
}
