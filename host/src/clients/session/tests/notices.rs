//! Notices that wait for a session.

use tickhost_core::{model::Mode, protocol::codes::CloseReason};

use super::{
    super::rig::{Rig, instrument, subscribe},
    MANY, TURN, logged_in,
};
use crate::{clients::seat::MAX_NOTICES, feeds::bulletin::Bulletin};

#[test]
fn notices_that_are_not_taken_pile_up_to_their_limit_and_then_end_the_session() {
    let rig = Rig::new(1);
    let mut client = logged_in(&rig);
    client.say(rig.now, &subscribe(0..MANY));
    rig.grant(&mut client);
    let refuse = |number: usize| {
        let number = MANY + u32::try_from(number).unwrap();
        let failed =
            Bulletin::Failed { instrument: instrument(number), mode: None, number: 1, message: "no".into() };
        rig.shards[0].announce(failed);
    };
    // Those of each instrument that it holds come beside the others.
    let limit = MAX_NOTICES + 2 * TURN;
    (0..limit).for_each(refuse);
    assert_eq!(client.session.seat.notices(), limit);
    client.notice(rig.now).unwrap();
    assert_eq!((client.session.seat.notices(), client.session.seat.holdings().len()), (0, MANY as usize));

    let mut other = logged_in(&rig);
    other.say(rig.now, &subscribe(0..MANY));
    rig.grant(&mut other);
    (0..2 * limit).for_each(refuse);
    rig.shards[0].drain();
    assert_eq!(other.session.seat.notices(), limit + 1, "the last one is the end");
    assert_eq!(other.notice(rig.now), Err(CloseReason::SlowClient));
    other.leave(rig.now);
    assert_eq!(rig.released(), (0..MANY).collect::<Vec<_>>());
}

#[test]
fn a_session_that_is_to_end_is_told_so_once_and_nothing_more() {
    let rig = Rig::new(1);
    let mut client = logged_in(&rig);
    rig.shards[0].drain();
    rig.shards[0].drain();
    rig.shards[0].announce(Bulletin::Moved { user: "alice".into() });
    assert_eq!(client.session.seat.notices(), 1);
    assert_eq!(client.notice(rig.now), Err(CloseReason::ShuttingDown));
}

#[test]
fn a_refusal_from_before_a_grant_does_not_end_what_was_granted() {
    let mut rig = Rig::new(1);
    let mut client = logged_in(&rig);
    rig.subscribe(&mut client, [1]);
    client.say(rig.now, &subscribe([1]).replace("LTP", "Depth"));
    let failed = Bulletin::Failed {
        instrument: instrument(1),
        mode: Some(Mode::Depth),
        number: 1,
        message: "no book".into(),
    };
    rig.shards[0].announce(failed);
    rig.failures = 1;
    // Its answer is there before it is polled, and comes first.
    rig.grant(&mut client);
    client.notice(rig.now).unwrap();
    assert_eq!((client.session.seat.holdings().len(), rig.released()), (2, vec![]));

    let failed = Bulletin::Failed { instrument: instrument(1), mode: None, number: 2, message: "no".into() };
    rig.shards[0].announce(failed);
    client.notice(rig.now).unwrap();
    assert_eq!(client.session.seat.holdings().len(), 0, "the next one is about both");
}
