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
        self.shard.offer(0, Update { only, ..update("frame") });
        self.feed.offered.get() - before
    }
}

fn update(frame: &str) -> Update {
    Update { key: KEY, frame: frame.into(), only: None, missed: 0, times: Times::default() }
}

fn frames(session: &Seat) -> Vec<String> {
    std::iter::from_fn(|| session.next_frame()).map(|frame| frame.to_string()).collect()
}

#[test]
fn a_flood_is_delivered_in_turns_and_nothing_of_it_is_lost() {
    let rig = Rig::new();
    let sessions = [1, 2].map(|number| rig.enter(number));
    sessions.iter().for_each(|session| rig.attach(session, None));
    let mut updates = vec![update("frame"); OFFERS_PER_TURN / 2 + 10].into_iter();
    assert!(rig.shard.deliver(0, &mut updates), "each update is offered twice");
    assert_eq!((updates.len(), rig.feed.offered.get()), (10, OFFERS_PER_TURN as u64));
    assert!(!rig.shard.deliver(0, &mut updates));
    assert_eq!((updates.len(), rig.feed.offered.get()), (0, OFFERS_PER_TURN as u64 + 20));
}

#[test]
fn who_asked_for_fewer_updates_gets_the_newest_when_it_is_due() {
    const MS: Nanos = 1_000_000;
    let rig = Rig::new();
    let [paced, other] = [1, 2].map(|number| rig.enter(number));
    rig.attach(&paced, MaxRate::per_second(10.0));
    rig.attach(&other, None);
    for (at, frame) in [(0, "a"), (1, "b"), (50, "c")] {
        assert!(!rig.shard.deliver(at * MS, &mut [update(frame)].into_iter()));
    }
    assert_eq!((frames(&paced), frames(&other).len()), (vec!["a".to_owned()], 3));
    assert_eq!(rig.shard.next_due(), Some(100 * MS));
    rig.shard.advance(99 * MS, 0);
    assert_eq!(frames(&paced), Vec::<String>::new());
    rig.shard.advance(100 * MS, 0);
    assert_eq!(frames(&paced), ["c"]);
    assert_eq!(rig.feed.conflated_max_rate.get(), 1);
    // The interval that has begun now ends with nothing to say.
    rig.shard.advance(200 * MS, 0);
    assert_eq!((frames(&paced), rig.shard.next_due()), (Vec::new(), None));
}

#[test]
fn a_shard_that_drains_ends_its_sessions_and_is_empty_when_they_have_left() {
    let rig = Rig::new();
    let sessions = [1, 2].map(|number| rig.enter(number));
    assert!(!rig.shard.is_draining() && !rig.shard.is_empty());
    rig.shard.drain();
    assert!(rig.shard.is_draining());
    for session in &sessions {
        assert!(matches!(session.take_notice(), Some(Notice::Close(CloseReason::ShuttingDown))));
        assert!(!rig.shard.is_empty());
        rig.shard.leave(session);
    }
    assert!(rig.shard.is_empty());
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
