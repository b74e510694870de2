//! What sessions, shards and the router do together, step by step.

mod notices;

use std::{
    task::{Context, Waker},
    time::Duration,
};

use rustc_hash::FxHashSet;
use serde_json::Value;
use tickhost_core::protocol::codes::CloseReason;

use super::{
    Event, SessionSettings,
    ask::{Answer, Ask},
    rig::{Client, Rig, instrument, settings, subscribe, unsubscribe},
    turns::TURN,
};
use crate::feeds::{bulletin::Bulletin, feed::stub::FeedStub};

/// More than fits into two turns.
const MANY: u32 = 600;
const _: () = assert!(MANY as usize > 2 * TURN);

const NEWS: &str = r#","subscription_status":true"#;

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

/// What a frame says of each entry, by this member.
fn entries<'a>(frame: &'a Value, member: &str) -> Vec<&'a str> {
    let entries = frame["subscriptions"].as_array().unwrap();
    entries.iter().filter_map(|entry| entry[member].as_str()).collect()
}

fn logged_in(rig: &Rig) -> Client {
    rig.log_in(0, settings(), "")
}

#[test]
fn a_client_that_leaves_while_its_subscribe_is_on_the_way_holds_nothing() {
    // Before the feed has answered, after it has, and when the answer is applied.
    for stage in 0..3 {
        let rig = Rig::new(1);
        let mut client = logged_in(&rig);
        client.say(rig.now, &subscribe([1]));
        let (feed, wants) = client.asked();
        let mut question = Box::pin(feed.subscribe(wants));
        assert!(question.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(rig.total.get(), 1, "its place is taken meanwhile");
        if stage > 0 {
            rig.feed.answer(vec![Ok(instrument(1).0)]);
        }
        if stage > 1 {
            rig.grant(&mut client);
            let read = question.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(read.is_ready());
        }
        drop(question);
        client.leave(rig.now);
        assert_eq!(rig.released(), if stage > 0 { vec![1] } else { vec![] }, "at stage {stage}");
        assert_eq!((rig.total.get(), rig.shards[0].is_empty()), (0, true));
    }
}

#[test]
fn a_close_between_two_turns_gives_back_each_grant_once() {
    let rig = Rig::new(1);
    let mut client = logged_in(&rig);
    client.say(rig.now, &subscribe(0..MANY));
    rig.grant(&mut client);
    assert!(matches!(client.ask, Some(Ask::Turn)), "the rest waits for its turn");
    assert_eq!(client.session.seat.holdings().len(), TURN);
    client.leave(rig.now);
    assert_eq!((rig.released(), rig.total.get()), ((0..MANY).collect(), 0));

    // The same while it ends what it held.
    let mut client = logged_in(&rig);
    rig.subscribe(&mut client, 0..MANY);
    client.say(rig.now, &unsubscribe(0..MANY - 10));
    assert!(matches!(client.ask, Some(Ask::Turn)));
    client.leave(rig.now);
    assert_eq!((rig.released(), rig.total.get()), ((0..MANY).collect(), 0));
}

#[test]
fn of_two_clients_that_hold_a_key_the_one_that_stays_keeps_ticking() {
    // On two shards, and on one.
    for shard_of_other in [1, 0] {
        let mut rig = Rig::new(2);
        let mut one = logged_in(&rig);
        let mut other = rig.log_in(shard_of_other, settings(), "");
        rig.subscribe(&mut one, [1]);
        rig.subscribe(&mut other, [1]);
        rig.publish(1, 100);
        rig.turn();
        assert_eq!((one.prices(), other.prices()), (vec![100.0], vec![100.0]));
        one.say(rig.now, &unsubscribe([1]));
        rig.publish(1, 101);
        rig.turn();
        assert_eq!((one.prices(), other.prices()), (vec![], vec![101.0]));
        assert_eq!(rig.released(), [1], "the other's hold stays");
        // The router hands nothing to a shard where nobody is left.
        rig.publish(1, 102);
        rig.turn();
        assert_eq!((other.prices(), rig.counters.unclaimed.get()), (vec![102.0], 0));
    }
}

#[test]
fn requests_are_answered_in_their_order_however_long_the_feed_takes() {
    let mut rig = Rig::new(1);
    let mut client = logged_in(&rig);
    client.say(rig.now, &subscribe([1]));
    client.say(rig.now, &unsubscribe([1]));
    client.say(rig.now, &subscribe([2]));
    assert!(client.read().is_empty(), "nothing is read while the feed is asked");
    rig.grant(&mut client);
    assert_eq!(types(&client.read()), ["subscribe", "unsubscribe"]);
    assert_eq!((rig.released(), client.session.seat.holdings().len()), (vec![1], 0));
    rig.grant(&mut client);
    rig.publish(1, 100);
    rig.publish(2, 200);
    rig.turn();
    assert_eq!(client.prices(), [200.0], "it holds what it asked for last");
    assert_eq!(rig.total.get(), 1);
}

#[test]
fn a_key_that_is_subscribed_twice_is_held_once() {
    let mut rig = Rig::new(1);
    let mut client = logged_in(&rig);
    rig.subscribe(&mut client, [1]);
    rig.subscribe(&mut client, [1, 1]);
    assert_eq!((rig.released(), rig.total.get()), (vec![1, 1], 1), "grants that are too many go back");
    rig.publish(1, 100);
    rig.turn();
    assert_eq!(client.prices(), [100.0]);
    client.leave(rig.now);
    assert_eq!((rig.released(), rig.total.get()), (vec![1], 0));
}

#[test]
fn other_levels_take_the_place_of_those_held() {
    let rig = Rig::new(1);
    let mut client = logged_in(&rig);
    for levels in [5, 20] {
        let entry = r#"{"exchange":"NSE","symbol":"S1"}"#;
        let request =
            format!(r#"{{"action":"subscribe","mode":"Depth","depth":{levels},"symbols":[{entry}]}}"#);
        client.say(rig.now, &request);
        rig.grant(&mut client);
    }
    assert_eq!((rig.released(), rig.total.get()), (vec![1], 1), "those before are given back");
    client.leave(rig.now);
    assert_eq!((rig.released(), rig.total.get()), (vec![1], 0));
}

#[test]
fn limits_that_shrink_take_nothing_away_and_let_nothing_in() {
    let rig = Rig::new(1);
    let limits = |client, key| SessionSettings {
        max_subscriptions: client,
        max_subscriptions_per_key: key,
        ..settings()
    };
    let mut before = rig.log_in(0, limits(100, 100), "");
    rig.subscribe(&mut before, 0..80);
    assert_eq!(entries(&before.read()[0], "code"), Vec::<&str>::new());
    // The operator lowers both limits: who connects now has them, and all clients of the key count.
    let mut after = rig.log_in(0, limits(20, 50), "");
    rig.subscribe(&mut after, 100..110);
    assert_eq!(entries(&after.read()[0], "code"), ["SUBSCRIPTION_LIMIT_REACHED"; 10]);
    assert_eq!((rig.total.get(), before.session.seat.holdings().len()), (80, 80));
    before.say(rig.now, &unsubscribe(0..45));
    rig.subscribe(&mut after, 100..150);
    let acknowledged = after.read();
    assert_eq!(
        entries(&acknowledged[0], "status")[..16].iter().filter(|status| **status == "success").count(),
        15
    );
    assert_eq!(entries(&acknowledged[0], "code").len(), 35);
    // There is room for the key, but not for this client.
    before.say(rig.now, &unsubscribe(45..80));
    rig.subscribe(&mut after, 200..210);
    assert_eq!(entries(&after.read()[0], "code").len(), 5);
    assert_eq!(rig.total.get(), 20);
}

#[test]
fn what_a_smaller_account_parks_is_held_on_and_its_next_tick_is_news() {
    let mut rig = Rig::new(1);
    let mut client = rig.log_in(0, settings(), NEWS);
    rig.subscribe(&mut client, [1, 2]);
    rig.publish(1, 100);
    rig.publish(2, 100);
    rig.turn();
    client.notice(rig.now).unwrap();
    rig.pass(Duration::from_millis(100));
    client.step(rig.now, Event::Elapsed).unwrap();
    let active = client.read().into_iter().find(|frame| frame["type"] == "subscription_status").unwrap();
    assert_eq!(entries(&active, "state"), ["active", "active"]);

    let instruments: FxHashSet<_> = [instrument(2)].into_iter().collect();
    let why = "the account's connections to the broker are full".into();
    rig.shards[0].announce(Bulletin::Waiting { instruments: instruments.into(), message: why });
    client.notice(rig.now).unwrap();
    rig.pass(Duration::from_millis(100));
    client.step(rig.now, Event::Elapsed).unwrap();
    let pending = client.read();
    assert_eq!(
        (entries(&pending[0], "state"), entries(&pending[0], "symbol")),
        (vec!["pending"], vec!["S2"])
    );
    assert_eq!((client.session.seat.holdings().len(), rig.released()), (2, vec![]));

    rig.publish(1, 101);
    rig.publish(2, 102);
    rig.turn();
    client.notice(rig.now).unwrap();
    rig.pass(Duration::from_millis(100));
    client.step(rig.now, Event::Elapsed).unwrap();
    let again = client.read();
    let news = again.iter().find(|frame| frame["type"] == "subscription_status").unwrap();
    assert_eq!((entries(news, "state"), entries(news, "symbol")), (vec!["active"], vec!["S2"]));
}

#[test]
fn the_acknowledgement_comes_first_then_the_snapshot_then_what_is_live() {
    let mut rig = Rig::new(1);
    let mut one = logged_in(&rig);
    rig.subscribe(&mut one, [1]);
    rig.publish(1, 100);
    rig.turn();
    // The next tick is under way when the other one is granted the same, and more than it can begin in a
    // turn.
    let mut other = rig.log_in(0, settings(), NEWS);
    other.say(rig.now, &subscribe([1].into_iter().chain(1_000..1_000 + MANY)));
    rig.publish(1, 101);
    rig.grant(&mut other);
    rig.turn();
    let frames = other.read();
    assert_eq!(types(&frames), ["subscribe", "market_data", "market_data"]);
    let snapshots: Vec<bool> = frames[1..].iter().map(|frame| frame["snapshot"] == true).collect();
    let prices: Vec<f64> = frames[1..].iter().filter_map(|frame| frame["data"]["ltp"].as_f64()).collect();
    assert_eq!((snapshots, prices), (vec![true, false], vec![100.0, 101.0]));
    assert_eq!(one.prices(), [100.0, 101.0], "the snapshot is for the newcomer alone");
}

#[test]
fn a_snapshot_is_no_news_of_the_broker() {
    let mut rig = Rig::new(1);
    let mut one = logged_in(&rig);
    rig.subscribe(&mut one, [1]);
    rig.publish(1, 100);
    rig.turn();
    let mut other = rig.log_in(0, settings(), NEWS);
    rig.subscribe(&mut other, [1]);
    rig.turn();
    assert_eq!((other.prices(), other.session.seat.has_notice()), (vec![100.0], false));
    rig.publish(1, 101);
    rig.turn();
    assert_eq!((other.prices(), other.session.seat.has_notice()), (vec![101.0], true));
}

#[test]
fn a_refusal_that_comes_between_two_turns_reaches_what_is_not_begun_yet() {
    let mut rig = Rig::new(1);
    let mut client = logged_in(&rig);
    client.say(rig.now, &subscribe(0..MANY));
    rig.grant(&mut client);
    client.read();
    let last = MANY - 1;
    let failed =
        Bulletin::Failed { instrument: instrument(last), mode: None, number: 1, message: "no".into() };
    rig.shards[0].announce(failed);
    client.notice(rig.now).unwrap();
    assert_eq!(client.session.seat.holdings().len(), TURN, "the others keep their turns");
    client.take_turns(rig.now);
    let told = client.read();
    assert_eq!(
        (types(&told), told[0]["symbol"].clone()),
        (vec!["subscription_status"], format!("S{last}").into())
    );
    assert_eq!(client.session.seat.holdings().len(), MANY as usize - 1);
    assert!(!client.session.seat.may_hold(instrument(last)), "from now on only what it holds concerns it");
    rig.publish(last, 1);
    rig.turn();
    assert_eq!(client.prices(), Vec::<f64>::new());
    assert!(rig.released().is_empty(), "the feed has ended it itself");
}

#[test]
fn a_flood_of_refusals_between_two_turns_begins_the_rest_at_once() {
    let rig = Rig::new(1);
    let mut client = logged_in(&rig);
    client.say(rig.now, &subscribe(0..MANY));
    rig.grant(&mut client);
    let refuse = |number: u32| {
        let failed = Bulletin::Failed {
            instrument: instrument(MANY + number),
            mode: None,
            number: 1,
            message: "no".into(),
        };
        rig.shards[0].announce(failed);
    };
    (0..u32::try_from(super::MAX_DEFERRED).unwrap()).for_each(refuse);
    client.notice(rig.now).unwrap();
    assert_eq!(
        (client.session.deferred.len(), client.session.seat.holdings().len()),
        (super::MAX_DEFERRED, TURN)
    );
    refuse(0);
    client.notice(rig.now).unwrap();
    assert_eq!((client.session.deferred.len(), client.session.seat.holdings().len()), (0, MANY as usize));
}

#[test]
fn a_refusal_of_what_is_begun_ends_it_at_once_and_a_close_begins_nothing_more() {
    let rig = Rig::new(1);
    let mut client = logged_in(&rig);
    client.say(rig.now, &subscribe(0..MANY));
    rig.grant(&mut client);
    client.read();
    let failed = Bulletin::Failed { instrument: instrument(0), mode: None, number: 1, message: "no".into() };
    rig.shards[0].announce(failed);
    client.notice(rig.now).unwrap();
    assert_eq!(types(&client.read()), ["subscription_status"]);
    assert_eq!(client.session.seat.holdings().len(), MANY as usize - 1);

    let mut other = logged_in(&rig);
    other.say(rig.now, &subscribe(0..MANY));
    rig.grant(&mut other);
    rig.shards[0].drain();
    assert_eq!(other.notice(rig.now), Err(CloseReason::ShuttingDown));
    assert_eq!(other.session.seat.holdings().len(), TURN);
    other.leave(rig.now);
    assert_eq!(rig.released(), (0..MANY).collect::<Vec<_>>());
}

#[test]
fn an_account_that_moves_while_a_subscribe_is_on_its_way_takes_everything_along() {
    let rig = Rig::new(1);
    let mut client = logged_in(&rig);
    rig.subscribe(&mut client, [1]);
    client.say(rig.now, &subscribe([2]));
    rig.shards[0].announce(Bulletin::Moved { user: "alice".into() });
    client.notice(rig.now).unwrap();
    assert!(matches!(client.ask, Some(Ask::Subscribe { .. })), "the request is answered first");
    rig.grant(&mut client);
    assert!(matches!(client.ask, Some(Ask::Rejoin { .. })));
    let next = FeedStub::new(2);
    client.answer(rig.now, Answer::Rejoined(Ok(next.join("alice"))));
    let (feed, wants) = client.asked();
    assert_eq!((feed.is(next.feed()), wants.len()), (true, 2));
    assert_eq!((rig.released(), client.session.seat.holdings().len()), (vec![1, 2], 0));
    rig.grant(&mut client);
    assert_eq!((client.session.seat.holdings().len(), rig.total.get()), (2, 2));
    client.leave(rig.now);
    assert_eq!((rig.released().len(), next.released().len(), rig.total.get()), (0, 2, 0));
}

#[test]
fn a_client_is_asked_for_a_sign_of_life_and_closed_without_one() {
    let mut rig = Rig::new(1);
    let mut client = logged_in(&rig);
    assert_eq!(client.session.next_due(), rig.now.at + settings().nudge_after);
    rig.pass(settings().nudge_after);
    client.step(rig.now, Event::Elapsed).unwrap();
    assert_eq!(types(&client.read()), ["auth_status"]);
    rig.pass(client.session.next_due() - rig.now.at);
    client.step(rig.now, Event::Elapsed).unwrap();
    assert_eq!(client.pings, 1);
    rig.pass(settings().ping_timeout);
    assert_eq!(client.step(rig.now, Event::Elapsed), Err(CloseReason::PingTimeout));
}

#[test]
fn one_without_a_key_is_closed_at_the_end_of_its_grace_unless_the_host_takes_the_time() {
    let mut rig = Rig::new(1);
    let mut silent = rig.connect(0, settings());
    let mut asking = rig.connect(0, settings());
    asking.say(rig.now, r#"{"action":"authenticate","api_key":"k"}"#);
    rig.pass(settings().auth_grace);
    assert_eq!(silent.step(rig.now, Event::Elapsed), Err(CloseReason::AuthTimeout));
    assert_eq!(asking.step(rig.now, Event::Elapsed), Ok(()));
}
