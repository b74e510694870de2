//! A router with two shards and two feeds, driven by hand, and what must hold of it after every scenario.

use super::*;

/// A router with two shards, driven by hand. When it is dropped, every account must balance.
pub(super) struct Rig {
    pub(super) router: Router,
    pub(super) handle: RouterHandle,
    pub(super) server: Arc<ServerCounters>,
    pub(super) intakes: BTreeMap<FeedId, Arc<Intake>>,
    pub(super) calendars: Calendars,
    shards: Vec<Arc<Mailbox>>,
    /// Of each shard what it got and the test has not looked at.
    arrived: Vec<Vec<Update>>,
    posted: Posted,
}

/// What shards got in all.
#[derive(Default)]
struct Posted {
    /// Ticks, those that a newer one replaced in a mailbox included.
    ticks: u64,
    snapshots: u64,
}

impl Rig {
    pub(super) fn new(interval_ms: u64, repeats_modes: bool) -> Self {
        let shards = vec![Arc::new(Mailbox::default()), Arc::new(Mailbox::default())];
        let options = EncodeOptions { flat_fields: true, bids_asks: false };
        let (calendars, server) = (Calendars::default(), Arc::<ServerCounters>::default());
        let mut rig = Self {
            router: Router::new(&shards, options, Arc::clone(&server), calendars.clone()),
            handle: RouterHandle::new(),
            server,
            arrived: shards.iter().map(|_| Vec::new()).collect(),
            shards,
            intakes: BTreeMap::new(),
            calendars,
            posted: Posted::default(),
        };
        for feed in [FEED, OTHER] {
            let counters = Arc::<FeedCounters>::default();
            rig.handle.send(Command::OpenFeed {
                feed,
                interval: Duration::from_millis(interval_ms),
                counters: Arc::clone(&counters),
                repeats_modes,
                has_hours: true,
            });
            rig.intakes.insert(feed, Intake::new(feed, counters, Arc::clone(&rig.handle.doorbell)));
        }
        rig
    }

    pub(super) fn activate(&self, feed: FeedId, instrument: InstrumentId, symbol: &str) {
        let names = Names { exchange: "NSE".into(), symbol: symbol.into(), broker: "sim".into() };
        self.handle.send(Command::Activate { feed, instrument, names });
    }

    pub(super) fn attach(&self, shard: usize, instrument: InstrumentId, variant: Variant) {
        self.handle.send(Command::Attach { shard, key: Key { instrument, variant }, session: SessionId(1) });
    }

    pub(super) fn detach(&self, shard: usize, instrument: InstrumentId, variant: Variant) {
        self.handle.send(Command::Detach { shard, key: Key { instrument, variant } });
    }

    pub(super) fn turn(&mut self, now: Nanos) {
        self.router.turn(&self.handle, now);
        for (mailbox, arrived) in self.shards.iter().zip(&mut self.arrived) {
            let mut updates = Vec::new();
            self.posted.ticks += mailbox.take(&mut updates);
            let snapshots = updates.iter().filter(|update| update.only.is_some()).count() as u64;
            self.posted.snapshots += snapshots;
            self.posted.ticks += updates.len() as u64 - snapshots;
            arrived.append(&mut updates);
        }
    }

    pub(super) fn received(&mut self, shard: usize) -> Vec<Update> {
        std::mem::take(&mut self.arrived[shard])
    }

    /// Symbol, mode and last price of each frame that a shard got.
    pub(super) fn frames(&mut self, shard: usize) -> Vec<(String, u64, f64)> {
        self.received(shard).iter().map(|update| read(&update.frame)).collect()
    }

    pub(super) fn counters(&self, feed: FeedId) -> &FeedCounters {
        self.intakes[&feed].counters()
    }

    /// The accounts that `metrics.rs` states, as far as a router has a part in them: what it hands to the
    /// shards is the left side of the third, and of the fourth it knows nothing.
    pub(super) fn assert_balanced(&self, feed: FeedId) {
        let c = self.counters(feed);
        assert_eq!(
            c.received.get(),
            c.routed.get()
                + c.out_of_order.get()
                + c.conflated_link.get()
                + c.conflated_intake.get()
                + c.dropped_unsubscribed.get()
                + c.dropped_invalid.get()
                + c.dropped_retired.get(),
            "intake of {feed:?}"
        );
        assert_eq!(
            c.updates.get(),
            c.emitted.get()
                + c.conflated_throttle.get()
                + c.repeated.get()
                + c.empty.get()
                + c.abandoned.get()
                + c.waiting.get(),
            "throttle of {feed:?}"
        );
        let handed: u64 = self.intakes.values().map(|intake| intake.counters().handed.get()).sum();
        assert_eq!(
            (handed, self.server.snapshots.get()),
            (self.posted.ticks, self.posted.snapshots),
            "shards"
        );
        self.assert_gauges(feed);
    }

    /// Gauges are what the table holds.
    fn assert_gauges(&self, feed: FeedId) {
        let topics = || self.router.topics.iter().flatten();
        let own = || topics().filter(|topic| topic.feed == feed);
        let waiting = own().flat_map(|topic| &topic.streams).filter(|stream| stream.spacing.is_dirty());
        let active = own().filter(|topic| topic.has_ticked);
        let c = self.counters(feed);
        assert_eq!(c.waiting.get(), waiting.count() as u64, "updates of {feed:?} that wait");
        assert_eq!(c.active.get(), active.count() as u64, "instruments of {feed:?} that have ticked");
        let streams: usize = topics().map(|topic| topic.streams.len()).sum();
        assert_eq!(self.server.streams.get(), streams as u64, "streams");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let open: Vec<FeedId> = self.router.feeds.keys().copied().collect();
            open.into_iter().for_each(|feed| self.assert_balanced(feed));
        }
    }
}

fn read(frame: &str) -> (String, u64, f64) {
    let value: serde_json::Value = serde_json::from_str(frame).unwrap();
    let symbol = value["symbol"].as_str().unwrap().to_owned();
    (symbol, value["mode"].as_u64().unwrap(), value["ltp"].as_f64().unwrap_or(-1.0))
}
