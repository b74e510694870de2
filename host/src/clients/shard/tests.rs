use tickhost_core::model::{DepthClass, InstrumentId, Key, MaxRate, Mode, Variant};

use super::*;

const KEY: Key =
    Key { instrument: InstrumentId(7), variant: Variant::new(Mode::Ltp, DepthClass::Five, false) };

/// A shard with a feed, driven by hand.
struct Rig {
    shard: Shard,
    feed: Arc<FeedCounters>,
    server: Arc<ServerCounters>,
}

impl Rig {
    fn new() -> Self {
        let server = Arc::<ServerCounters>::default();
        let shard = Shard::new(0, ShardHandle::new(), RouterHandle::new(), Arc::clone(&server));
        Self { shard, feed: Arc::default(), server }
    }

    fn enter(&self, number: u64) -> Seat {
        let session = Seat::of_test(SessionId(number));
        self.shard.enter(&session);
        session
    }

    fn attach(&self, session: &Seat, rate: Option<MaxRate>) {
        self.shard.attach(KEY, rate, session, &self.feed);
    }

    /// Gives the shard a tick, or a snapshot for one session; says to how many sessions it was offered.
    fn offer(&self, only: Option<SessionId>) -> u64 {
        let before = self.feed.offered.get();
        let update = Update { key: KEY, frame: "frame".into(), only, missed: 0, times: Times::default() };
        self.shard.offer(0, update);
        self.feed.offered.get() - before
    }
}

#[test]
fn every_update_that_a_shard_was_handed_is_fanned_out_or_unclaimed() {
    let rig = Rig::new();
    let session = rig.enter(1);
    rig.attach(&session, None);
    assert_eq!((rig.offer(None), rig.offer(Some(session.id()))), (1, 1));
    rig.shard.detach(KEY, &session);
    // Under way when its last subscriber left. A snapshot is not counted among what shards are handed.
    assert_eq!((rig.offer(None), rig.offer(Some(session.id()))), (0, 0));
    assert_eq!((rig.feed.fanned.get(), rig.server.unclaimed.get()), (1, 1));
}

#[test]
fn a_snapshot_is_for_the_session_that_holds_the_key_at_whatever_rate() {
    let rig = Rig::new();
    let [one, paced, stranger] = [1, 2, 3].map(|number| rig.enter(number));
    rig.attach(&one, None);
    rig.attach(&paced, MaxRate::per_second(1.0));
    for (session, expected) in [(&one, 1), (&paced, 1), (&stranger, 0)] {
        assert_eq!(rig.offer(Some(session.id())), expected);
    }
}

#[test]
fn a_session_holds_a_key_at_the_rate_that_it_asked_for_last() {
    let rig = Rig::new();
    let (session, other) = (rig.enter(1), rig.enter(2));
    let (slow, fast) = (MaxRate::per_second(1.0), MaxRate::per_second(10.0));
    rig.attach(&other, slow);
    for rate in [slow, fast, None, None, slow] {
        rig.attach(&session, rate);
        assert_eq!((rig.shard.rate_of(KEY, &session), rig.shard.rate_of(KEY, &other)), (rate, slow));
        assert_eq!(rig.shard.handle.keys.load(Ordering::Relaxed), 1);
    }
    rig.shard.detach(KEY, &session);
    assert_eq!((rig.shard.rate_of(KEY, &session), rig.offer(Some(session.id()))), (None, 0));
    rig.shard.detach(KEY, &other);
    assert_eq!(rig.shard.handle.keys.load(Ordering::Relaxed), 0);
    assert!(rig.shard.pacer.borrow().is_empty() && rig.shard.index.borrow().is_empty());
}
