//! What the session promises.

use std::time::{Duration, Instant};

use adapter_sdk::{
    Mode,
    abi::{ErrorCode, OutcomeCode, StatusKind, field},
    testing::{Bench, Published, SOON},
};
use serde_json::json;

use crate::venue::Venue;

const LIST: &str = "NSE,SBIN,1\nNSE,TCS,2\nNSE_INDEX,NIFTY,9\n";

/// Long enough for a message that is sent by mistake, on a busy machine most of the time.
const A_WHILE: Duration = Duration::from_millis(150);

/// A list of instruments `S1`, `S2` and so on.
fn numbered(count: u32) -> String {
    let lines: Vec<String> = (1..=count).map(|key| format!("NSE,S{key},{key}\n")).collect();
    lines.concat()
}

fn connected(venue: &Venue, settings: serde_json::Value) -> Bench {
    let bench = venue.connect("{}", settings);
    bench.wait_for_status(StatusKind::CONNECTED);
    bench
}

#[test]
fn nothing_is_subscribed_before_the_broker_has_accepted() {
    let venue = Venue::start(LIST);
    let bench = venue.connect(r#"{"token":"canary"}"#, json!({}));
    assert!(bench.subscribe(7, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    assert_eq!(venue.told(), "login canary");
    venue.say("challenge");
    assert_eq!(venue.told(), "response");
    assert_eq!(venue.told_within(A_WHILE), None);
    assert!(bench.heard().statuses.iter().all(|event| event.kind != StatusKind::CONNECTED));
    venue.say("ok");
    assert_eq!(venue.told(), "ready");
    assert_eq!(venue.told(), "+1Ltp");
    bench.wait_for_status(StatusKind::CONNECTED);
}

#[test]
fn a_log_in_that_is_refused_and_one_that_is_not_answered_are_told_apart() {
    let venue = Venue::start(LIST);
    let bench = venue.connect(r#"{"token":"t"}"#, json!({}));
    for _ in 0..2 {
        assert_eq!(venue.told(), "login t");
        venue.say("no");
    }
    let refused = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert_eq!(refused.code, ErrorCode::AUTH);
    drop(bench);
    let bench = venue.connect(r#"{"token":"t"}"#, json!({"welcome_ms": 20}));
    let lost = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert_eq!(lost.code, ErrorCode::NETWORK);
    assert!(lost.message.contains("did not accept the log-in within 20ms, says acme"), "{}", lost.message);
}

#[test]
fn silence_to_a_log_in_is_a_refusal_where_the_broker_says_nothing_else() {
    let venue = Venue::start(LIST);
    let bench = venue.connect(r#"{"token":"t"}"#, json!({"welcome_ms": 20, "unanswered": true}));
    let refused = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::AUTH, "silence is a refusal"));
}

#[test]
fn a_connection_that_is_closed_soon_was_replaced_and_an_older_one_was_lost() {
    for (age, code) in [(600_000, ErrorCode::RATE_LIMITED), (0, ErrorCode::NETWORK)] {
        let venue = Venue::start(LIST);
        let bench = connected(&venue, json!({"young_ms": age}));
        venue.say("bye");
        let lost = bench.wait_for_status(StatusKind::DISCONNECTED);
        let is_said = lost.message.contains("somebody else is there");
        assert_eq!((lost.code, is_said), (code, age > 0), "{}", lost.message);
    }
}

#[test]
fn changes_go_in_batches_of_the_broker_s_size_and_pace() {
    let venue = Venue::start(&numbered(5));
    let bench = venue.connect(r#"{"token":"t"}"#, json!({"most": 2, "every_ms": 60}));
    for key in 1..=5 {
        bench.subscribe(key, "NSE", &format!("S{key}"), Mode::Quote);
    }
    assert_eq!(venue.told(), "login t");
    venue.say("ok");
    assert_eq!(venue.told(), "ready");
    let begun = Instant::now();
    assert_eq!([venue.told(), venue.told(), venue.told()], ["+1Quote +2Quote", "+3Quote +4Quote", "+5Quote"]);
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    // Another mode is one change; what is taken back before it is said is none.
    bench.subscribe(3, "NSE", "S3", Mode::Depth);
    bench.unsubscribe(&[1]);
    let mut told = Vec::new();
    while told.len() < 2 {
        let message = venue.told();
        if message == "released 1 Some(1)" {
            continue;
        }
        told.extend(message.split(' ').map(str::to_owned));
    }
    assert_eq!(told, ["+3Depth", "-1"]);
}

#[test]
fn what_stays_silent_is_asked_for_again_and_not_for_ever() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({"first_within_ms": 60}));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp");
    venue.say("ltp 1");
    bench.wait_for_ticks(7, 1);
    bench.subscribe(8, "NSE", "TCS", Mode::Ltp);
    let begun = Instant::now();
    assert_eq!([venue.told(), venue.told(), venue.told()], ["+2Ltp", "+2Ltp", "+2Ltp"]);
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(venue.told_within(A_WHILE), None, "one has answered, and the other was asked for twice more");
}

#[test]
fn a_broker_that_does_not_read_is_not_told_what_nobody_wants_any_more() {
    const COUNT: u32 = 300;
    let venue = Venue::start(&numbered(COUNT));
    let bench = connected(&venue, json!({"most": 1, "padding": 256 << 10}));
    bench.subscribe(1, "NSE", "S1", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp");
    venue.reads(false);
    for key in 2..=COUNT {
        bench.subscribe(key, "NSE", &format!("S{key}"), Mode::Ltp);
        // Another turn of the session, in which it could say it.
        venue.say("ltp 1");
        bench.wait_for_ticks(1, usize::try_from(key).unwrap() - 1);
    }
    bench.unsubscribe(&(1..COUNT).collect::<Vec<u32>>());
    venue.reads(true);
    let (mut begun, mut ended) = (1, 0);
    let last = format!("+{COUNT}Ltp");
    let mut has_last = false;
    // The last is wanted still, and each that was begun is ended.
    while !has_last || ended < begun - 1 {
        let word = venue.told();
        begun += i32::from(word.starts_with('+'));
        ended += i32::from(word.starts_with('-'));
        has_last |= word == last;
    }
    // 64 messages that wait, and some megabytes in the kernel.
    assert!(begun < 150, "{begun} of {COUNT} were subscribed at a broker that does not read");
}

#[test]
fn another_list_moves_what_has_another_key_and_refuses_what_it_lacks() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    for (number, symbol) in [(7, "SBIN"), (8, "TCS")] {
        bench.subscribe(number, "NSE", symbol, Mode::Ltp);
        venue.told();
    }
    venue.list("NSE,SBIN,5\nNSE,INFY,2\nNSE_INDEX,NIFTY,9\nNSE,A,11\nNSE,B,12\n");
    bench.renew_list();
    let mut told: Vec<String> = (0..3).map(|_| venue.told()).collect();
    told.sort();
    assert_eq!(told, ["-1 +5Ltp -2", "released 7 Some(1)", "released 8 Some(2)"]);
    let refused = bench.wait_for("a refusal", |heard| {
        heard.outcomes.iter().find(|(request, _)| *request == 0).map(|(_, outcome)| outcome.clone())
    });
    assert_eq!((refused.instrument, refused.code), (8, OutcomeCode::UNKNOWN_INSTRUMENT));
    // Late packets of the old key are nobody's.
    ["ltp 1", "ltp 2", "ltp 5"].iter().for_each(|word| venue.say(word));
    bench.wait_for_ticks(7, 1);
    assert_eq!(bench.heard().ticks.len(), 1);
}

#[test]
fn a_broker_that_says_something_only_at_the_beginning_is_subscribed_again() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({"subscribes_again": true}));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp");
    venue.list("NSE,SBIN,1\nNSE,TCS,3\nNSE_INDEX,NIFTY,9\n");
    bench.renew_list();
    assert_eq!([venue.told(), venue.told()], ["-1", "+1Ltp"]);
}

#[test]
fn while_keys_may_mean_something_else_nothing_is_subscribed() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp");
    // The list cannot be had for the moment.
    let asked = venue.files.requests();
    venue.list("");
    venue.say("hold");
    assert_eq!(venue.told(), "-1");
    bench.subscribe(8, "NSE", "TCS", Mode::Ltp);
    venue.say("ltp 1");
    assert_eq!(venue.told_within(A_WHILE), None);
    bench.wait_for("another attempt", |_| (venue.files.requests() > asked).then_some(()));
    assert_eq!(bench.heard().ticks, []);
    venue.list("NSE,SBIN,2\nNSE,TCS,1\nNSE_INDEX,NIFTY,9\n");
    bench.renew_list();
    assert_eq!(venue.told(), "+2Ltp +1Ltp");
    venue.say("ltp 1");
    assert_eq!(bench.wait_for_ticks(8, 1)[0].instrument(), 8);
    bench.subscribe(9, "NSE_INDEX", "NIFTY", Mode::Ltp);
    assert_eq!(venue.told(), "+9Ltp");
}

#[test]
fn an_instrument_whose_key_is_asked_for_waits_for_the_answer() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({"answer_ms": 60_000}));
    for (number, symbol) in [(7, "SBIN"), (8, "TCS"), (9, "SBIN")] {
        bench.subscribe(number, "NSE", symbol, Mode::Ltp);
        assert_eq!(venue.told(), format!("ask {number}"));
    }
    bench.unsubscribe(&[8]);
    assert_eq!(venue.told(), "released 8 None");
    ["answer 8", "ltp 1", "answer 7"].iter().for_each(|word| venue.say(word));
    assert_eq!(venue.told(), "+1Ltp");
    venue.say("ltp 1");
    assert_eq!(bench.wait_for_ticks(7, 1).len(), 1);
    assert_eq!(bench.heard().ticks.len(), 1, "the others have no key");
    // By another list it is asked for again, and until then it has no key either.
    venue.list("NSE,SBIN,5\nNSE,TCS,2\nNSE_INDEX,NIFTY,9\n");
    bench.renew_list();
    let mut told: Vec<String> = (0..4).map(|_| venue.told()).collect();
    told.sort();
    assert_eq!(told, ["-1", "ask 7", "ask 9", "released 7 Some(1)"]);
    venue.say("answer 7");
    assert_eq!(venue.told(), "+5Ltp");
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_longer_than_is_said() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({"answer_ms": 30}));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    assert_eq!([venue.told(), venue.told()], ["ask 7", "+1Ltp"]);
    bench.subscribe(8, "NSE", "TCS", Mode::Ltp);
    assert_eq!([venue.told(), venue.told()], ["ask 8", "+2Ltp"]);
    let logs = bench.heard().logs;
    assert!(logs.iter().any(|(_, line)| line.contains("does not say the keys")), "{logs:?}");
}

#[test]
fn keys_are_asked_for_in_one_request_after_the_other() {
    let venue = Venue::start(&numbered(5));
    let bench = venue.connect(r#"{"token":"t"}"#, json!({"questions": 3}));
    for key in 1..=5 {
        bench.subscribe(key, "NSE", &format!("S{key}"), Mode::Ltp);
    }
    assert_eq!(venue.told(), "login t");
    venue.say("ok");
    assert_eq!([venue.told(), venue.told()], ["ready", "keys [1, 2, 3]"]);
    assert_eq!(venue.told_within(A_WHILE), None, "one at a time");
    venue.say("keys 1");
    assert_eq!([venue.told(), venue.told()], ["keys [4, 5]", "+1Ltp +2Ltp +3Ltp"]);
    // After one that fails nobody waits, and nothing is asked for a while.
    venue.say("keys 0");
    assert_eq!(venue.told(), "+4Ltp +5Ltp");
    bench.unsubscribe(&[5]);
    assert_eq!([venue.told(), venue.told()], ["released 5 Some(5)", "-5"]);
    bench.subscribe(5, "NSE", "S5", Mode::Quote);
    assert_eq!(venue.told(), "+5Quote");
    let logs = bench.heard().logs;
    assert!(logs.iter().any(|(_, line)| line.contains("does not say the keys of instruments")), "{logs:?}");
}

#[test]
fn while_the_broker_owes_answers_no_more_is_asked() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({"room": 1}));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp");
    bench.subscribe(8, "NSE", "TCS", Mode::Ltp);
    assert_eq!(venue.told_within(A_WHILE), None);
    bench.subscribe(8, "NSE", "TCS", Mode::Quote);
    venue.say("done");
    assert_eq!(venue.told(), "+2Quote");
}

#[test]
fn what_the_broker_refuses_is_told_to_all_its_clients_and_ended() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp");
    bench.subscribe(8, "NSE", "SBIN-EQ", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp", "the second name has no state yet");
    venue.say("refuse 1");
    assert_eq!([venue.told(), venue.told()], ["refused 2", "-1"]);
    let refused = bench.wait_for("refusals", |heard| {
        let later = heard.outcomes.iter().filter(|(request, _)| *request == 0);
        let both: Vec<_> = later.map(|(_, outcome)| (outcome.instrument, outcome.code)).collect();
        (both.len() == 2).then_some(both)
    });
    assert_eq!(refused, [(7, OutcomeCode::CAPACITY), (8, OutcomeCode::CAPACITY)]);
    // Another list does not bring them back.
    venue.list("NSE,SBIN,5\nNSE,TCS,2\nNSE,INFY,3\nNSE_INDEX,NIFTY,9\n");
    bench.renew_list();
    bench.wait_for("the list", |heard| {
        heard.lists.iter().any(|state| state.contains("\"instruments\":4")).then_some(())
    });
    bench.subscribe(9, "NSE", "TCS", Mode::Ltp);
    let told = std::iter::repeat_with(|| venue.told()).find(|word| !word.starts_with("released"));
    assert_eq!(told.unwrap(), "+2Ltp");
}

#[test]
fn what_comes_beside_the_socket_goes_out_at_once_and_a_time_is_kept() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp");
    venue.say("beside 1");
    bench.wait_for_ticks(7, 1);
    venue.say("alarm 30");
    assert_eq!(venue.told(), "alarm");
    bench.wait_for_ticks(7, 2);
}

#[test]
fn nonsense_is_logged_once_and_counted_always() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    bench.subscribe(7, "NSE", "SBIN", Mode::Ltp);
    assert_eq!(venue.told(), "+1Ltp");
    (0..3).for_each(|_| venue.say("canary"));
    venue.say("ltp 1");
    bench.wait_for_ticks(7, 1);
    assert_eq!(bench.health().undecodable, 3);
    let logs = bench.heard().logs;
    assert_eq!(logs.iter().filter(|(_, line)| line.contains("makes no sense")).count(), 1, "{logs:?}");
    assert!(logs.iter().all(|(_, line)| !line.contains("canary")), "{logs:?}");
}

#[test]
fn the_end_is_said_when_this_side_ends_it() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    bench.change_credentials(r#"{"token":"of another day"}"#);
    assert_eq!([venue.told(), venue.told()], ["bye", "login of another day"]);
}

/// Kind of the record, whether it is an image, whether it has open interest and a book.
fn shape(tick: &Published) -> (&'static str, bool, bool, bool) {
    let has = |fields: u32, bit: u32| fields & bit != 0;
    match tick {
        Published::Ltp(tick) => ("ltp", has(tick.fields, field::IMAGE), has(tick.fields, field::OI), false),
        Published::Quote(quote) => {
            ("quote", has(quote.fields, field::IMAGE), has(quote.fields, field::OI), false)
        }
        Published::Depth(quote, ..) => {
            let book = has(quote.fields, field::BOOK);
            ("depth", has(quote.fields, field::IMAGE), has(quote.fields, field::OI), book)
        }
    }
}

#[test]
fn no_packet_shows_more_than_is_wanted_and_one_that_knows_less_is_an_update() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    let (image, update, oi, no_oi, book, no_book) = (true, false, true, false, true, false);
    let expected = [
        (Mode::Ltp, "+1Ltp", vec![("ltp", image, no_oi, no_book); 4]),
        (
            Mode::Quote,
            "+1Quote",
            vec![
                ("ltp", update, no_oi, no_book),
                ("quote", image, oi, no_book),
                ("quote", image, oi, no_book),
                ("quote", image, oi, no_book),
            ],
        ),
        (
            Mode::Depth,
            "+1Depth",
            vec![
                ("ltp", update, no_oi, no_book),
                ("quote", update, oi, no_book),
                ("depth", image, oi, no_book),
                ("depth", image, oi, book),
                ("depth", update, no_oi, book),
            ],
        ),
    ];
    for (mode, told, shapes) in expected {
        bench.subscribe(7, "NSE", "SBIN", mode);
        assert_eq!(venue.told(), told);
        bench.forget();
        ["ltp 1", "quote 1", "values 1", "depth 1", "book 1"].iter().for_each(|word| venue.say(word));
        // Behind them, so that what should not come has had its time.
        venue.say("beside 1");
        let ticks = bench.wait_for_ticks(7, shapes.len() + 1);
        assert_eq!(ticks[..shapes.len()].iter().map(shape).collect::<Vec<_>>(), shapes, "{mode:?}");
        assert_eq!(ticks.len(), shapes.len() + 1, "{mode:?}");
    }
}

#[test]
fn on_a_new_day_the_broker_is_asked_once_more_for_all_that_it_serves_and_for_nothing_else() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({"most": 2}));
    let wanted = [
        (7, "NSE", "SBIN", Mode::Ltp, "+1Ltp"),
        // Another name of the same key, which is one request all the same.
        (8, "NSE", "SBIN-EQ", Mode::Quote, "+1Quote"),
        (9, "NSE", "TCS", Mode::Depth, "+2Depth"),
        (10, "NSE_INDEX", "NIFTY", Mode::Ltp, "+9Ltp"),
        (11, "NSE", "INFY", Mode::Ltp, "+3Ltp"),
    ];
    venue.list("NSE,SBIN,1\nNSE,TCS,2\nNSE,INFY,3\nNSE_INDEX,NIFTY,9\n");
    bench.renew_list();
    bench.wait_for("the list", |heard| {
        heard.lists.iter().any(|state| state.contains("\"instruments\":4")).then_some(())
    });
    for (number, exchange, symbol, mode, told) in wanted {
        assert!(bench.subscribe(number, exchange, symbol, mode).code.is_taken());
        assert_eq!(venue.told(), told);
    }
    bench.unsubscribe(&[10]);
    assert_eq!([venue.told(), venue.told()], ["released 10 Some(9)", "-9"]);
    venue.say("refuse 3");
    assert_eq!([venue.told(), venue.told()], ["refused 1", "-3"]);
    venue.say("again");
    assert_eq!(venue.told(), "+1Quote +2Depth");
    // Once; and what changes meanwhile is not said twice.
    venue.say("again");
    assert_eq!(venue.told(), "+1Quote +2Depth");
    bench.subscribe(9, "NSE", "TCS", Mode::Ltp);
    assert_eq!(venue.told(), "+2Ltp");
    assert_eq!(venue.told_within(A_WHILE), None);
}

#[test]
fn an_index_is_asked_for_as_a_quote_and_shown_as_what_is_wanted() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    bench.subscribe(7, "NSE_INDEX", "NIFTY", Mode::Depth);
    assert_eq!(venue.told(), "+9Quote");
    venue.say("values 9");
    let ticks = bench.wait_for_ticks(7, 1);
    assert_eq!(shape(&ticks[0]), ("depth", true, true, false));
}

#[test]
fn an_instance_that_is_shut_down_says_goodbye_to_the_broker() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    assert!(bench.subscribe(7, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    assert_eq!(venue.told(), "+1Ltp");
    assert!(bench.shut_down(SOON));
    assert_eq!(venue.told(), "bye");
    drop(bench);
    // Of one that is dropped without a word, too.
    let bench = connected(&venue, json!({}));
    bench.wait_for_status(StatusKind::CONNECTED);
    drop(bench);
    assert_eq!(venue.told(), "bye");
}

#[test]
fn a_broker_that_does_not_read_delays_no_end() {
    let venue = Venue::start(LIST);
    let bench = connected(&venue, json!({}));
    venue.reads(false);
    let started = Instant::now();
    assert!(bench.shut_down(SOON));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
