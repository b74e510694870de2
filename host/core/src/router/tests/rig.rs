//! A router with two shards and two feeds, driven by hand, and what must hold of it after every scenario.

use super::*;

/// A router with two shards, driven by hand.
pub(super) struct Rig {
    pub(super) router: Router,
    pub(super) handle: RouterHandle,
    shards: Vec<Arc<Mailbox>>,
    pub(super) intakes: BTreeMap<FeedId, Arc<Intake>>,
    pub(super) calendars: Calendars,
}

impl Rig {
    pub(super) fn new(interval_ms: u64, repeats_modes: bool) -> Self {
        let shards = vec![Arc::new(Mailbox::default()), Arc::new(Mailbox::default())];
        let options = EncodeOptions { flat_fields: true, bids_asks: false };
        let calendars = Calendars::default();
        let mut rig = Self {
            router: Router::new(&shards, options, Arc::default(), calendars.clone()),
            handle: RouterHandle::new(),
            shards,
            intakes: BTreeMap::new(),
            calendars,
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

    pub(super) fn turn(&mut self, now: Nanos) {
        self.router.turn(&self.handle, now);
    }

    pub(super) fn received(&self, shard: usize) -> Vec<Update> {
        let mut updates = Vec::new();
        self.shards[shard].take(&mut updates);
        updates
    }

    /// Symbol, mode and last price of each frame that a shard got.
    pub(super) fn frames(&self, shard: usize) -> Vec<(String, u64, f64)> {
        self.received(shard).iter().map(|update| read(&update.frame)).collect()
    }

    pub(super) fn counters(&self, feed: FeedId) -> &FeedCounters {
        self.intakes[&feed].counters()
    }

    pub(super) fn assert_balanced(&self, feed: FeedId) {
        let c = self.counters(feed);
        assert_eq!(
            c.received.get(),
            c.routed.get()
                + c.out_of_order.get()
                + c.conflated_intake.get()
                + c.dropped_unsubscribed.get()
                + c.dropped_invalid.get()
                + c.dropped_retired.get()
        );
        assert_eq!(
            c.updates.get(),
            c.emitted.get()
                + c.conflated_throttle.get()
                + c.repeated.get()
                + c.empty.get()
                + c.abandoned.get()
                + c.waiting.get()
        );
    }
}

fn read(frame: &str) -> (String, u64, f64) {
    let value: serde_json::Value = serde_json::from_str(frame).unwrap();
    let symbol = value["symbol"].as_str().unwrap().to_owned();
    (symbol, value["mode"].as_u64().unwrap(), value["ltp"].as_f64().unwrap_or(-1.0))
}
