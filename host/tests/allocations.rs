//! What a tick costs in allocations: some for itself, none for a subscriber.

#![allow(clippy::expect_used, clippy::tests_outside_test_module, reason = "an integration test")]

use std::{
    cell::RefCell,
    hash::{Hash, Hasher},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use adapter_abi::{Ltp, field};
use tickhost_core::{
    calendar::Calendars,
    index::Index,
    intake::Intake,
    mailbox::{Mailbox, SessionId, Update},
    metrics::FeedCounters,
    model::{DepthClass, FeedId, InstrumentId, Key, Mode, Variant},
    outbox::{Outbox, OutboxLimits},
    protocol::encode::EncodeOptions,
    router::{Command, Names, Router, RouterHandle},
};

const FEED: FeedId = FeedId(1);
const TICKS: u64 = 1_000;

/// A router, and the part of a shard that ticks pass: the index, and an outbox for each subscriber.
struct Path {
    router: Router,
    handle: RouterHandle,
    intake: Arc<Intake>,
    mailbox: Arc<Mailbox>,
    index: Index<Session, ()>,
    sessions: Vec<Session>,
    updates: Vec<Update>,
    key: Key,
    now: u64,
}

#[derive(Clone)]
struct Session(Rc<RefCell<Outbox>>);

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Session {}

impl Hash for Session {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Rc::as_ptr(&self.0).hash(state);
    }
}

impl Path {
    fn with(subscribers: usize) -> Self {
        let mailbox = Arc::<Mailbox>::default();
        let handle = RouterHandle::new();
        let router = Router::new(
            &[Arc::clone(&mailbox)],
            EncodeOptions::default(),
            Arc::default(),
            Calendars::default(),
        );
        let counters = Arc::<FeedCounters>::default();
        let intake = Intake::new(FEED, Arc::clone(&counters), Arc::clone(&handle.doorbell));
        let instrument = InstrumentId::new(3, 1);
        let key = Key { instrument, variant: Variant::new(Mode::Ltp, DepthClass::Five, false) };
        let names = Names { exchange: "NSE".into(), symbol: "SBIN".into(), broker: "sim".into() };
        handle.send_all([
            Command::OpenFeed {
                feed: FEED,
                interval: Duration::ZERO,
                counters,
                repeats_modes: false,
                has_hours: true,
            },
            Command::Activate { feed: FEED, instrument, names },
            Command::Attach { shard: 0, key, session: SessionId(1) },
        ]);
        let mut index = Index::default();
        let sessions: Vec<Session> = (0..subscribers)
            .map(|_| Session(Rc::new(RefCell::new(Outbox::new(OutboxLimits::default())))))
            .collect();
        for session in &sessions {
            index.insert(key, session.clone(), || ());
        }
        Self { router, handle, intake, mailbox, index, sessions, updates: Vec::new(), key, now: 0 }
    }

    /// One tick from the source to every socket's door; returns how many sessions got it.
    fn tick(&mut self) -> usize {
        self.now += 1;
        let price = i64::try_from(self.now).expect("few ticks") * 50_000_000;
        let tick =
            Ltp { instrument: self.key.instrument.0, fields: field::LTP, ltp: price, ..Ltp::default() };
        self.intake.offer_ltp(&[tick]);
        self.router.turn(&self.handle, self.now);
        self.mailbox.take(&mut self.updates);
        for update in self.updates.drain(..) {
            let (subscribers, ()) = self.index.subscribers(update.key).expect("a subscriber");
            for session in subscribers {
                session.0.borrow_mut().offer(update.key, update.frame.clone(), update.missed);
            }
        }
        self.sessions.iter().filter_map(|session| session.0.borrow_mut().pop_tick()).count()
    }
}

/// Allocations of a thousand ticks, once everything has its size.
fn allocations(subscribers: usize) -> u64 {
    let mut path = Path::with(subscribers);
    for _ in 0..TICKS {
        assert_eq!(path.tick(), subscribers);
    }
    let info = allocation_counter::measure(|| {
        for _ in 0..TICKS {
            path.tick();
        }
    });
    info.count_total
}

#[test]
fn a_subscriber_costs_a_tick_no_allocation() {
    let one = allocations(1);
    assert!(one >= TICKS, "the counter counts: each tick has a frame of its own, and {one} were seen");
    assert!(one <= 8 * TICKS, "{one} allocations for {TICKS} ticks");
    for subscribers in [2, 20, 500] {
        assert_eq!(allocations(subscribers), one, "with {subscribers} subscribers");
    }
}
