//! Fyers: what the HSM socket sends of topics, and when.

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::time::timeout;
use venues::{ABSENT, Level, Mode, Options, Values, fyers, price};

use super::{
    super::{SOON, ended},
    Record, ask, connected, frame, hundredths, is_quiet, options, parse, records, request, say, snapshot,
    subscribe, topics, venue,
};

#[tokio::test]
async fn a_topic_begins_with_a_snapshot_and_goes_on_with_what_changed() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
    let Some(Record::Snapshot { id, topic, slots, multiplier, precision, symbol }) =
        records(&mut socket).await.pop()
    else {
        panic!("no snapshot");
    };
    let sent = venue.sent("NSE", "SBIN", Mode::Quote).unwrap();
    assert_eq!((topic.as_str(), slots.len(), multiplier, precision), ("sf|nse_cm|3045", 21, 1, 2));
    assert_eq!(
        (slots[0], slots[20], symbol.as_str()),
        (hundredths(sent.ltp), hundredths(sent.close), "SBIN-EQ")
    );
    // A share has no open interest.
    assert_eq!(slots[12], i32::MIN);
    venue.trade();
    let now = venue.sent("NSE", "SBIN", Mode::Quote).unwrap();
    let Some(Record::Update { id: of, slots: changed }) = records(&mut socket).await.pop() else {
        panic!("no update");
    };
    // The opening and the price of yesterday did not change, and nothing says what they are.
    assert_eq!((of, changed.len(), changed[0]), (id, 21, hundredths(now.ltp)));
    assert_eq!((changed[19], changed[20]), (i32::MIN, i32::MIN));
    let report = venue.report();
    assert_eq!((report.subscribes, report.subscribed[0].mode.as_str()), (vec![1], "quote"));
}

#[tokio::test]
async fn the_mode_is_that_of_the_channel() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    assert!(ask(&mut socket, 12, &[&(1_u64 << 11).to_be_bytes(), b"L"]).await);
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
    let (lite, _, slots) = snapshot(&mut socket).await;
    assert_eq!(slots.len(), 21);
    assert!(subscribe(&mut socket, &["if|nse_cm|Nifty 50", "dp|nse_cm|3045"], 12).await);
    assert_eq!(records(&mut socket).await.len(), 2);
    venue.trade();
    let ltp = hundredths(venue.sent("NSE", "SBIN", Mode::Ltp).unwrap().ltp);
    let mut found = records(&mut socket).await;
    assert_eq!(found.len(), 3);
    assert!(found.contains(&Record::Lite { id: lite, ltp }));
    found.retain(|record| matches!(record, Record::Update { slots, .. } if matches!(slots.len(), 6 | 30)));
    assert_eq!(found.len(), 2);
    // A channel that is lite no more tells what was not told meanwhile.
    assert!(ask(&mut socket, 12, &[&(1_u64 << 11).to_be_bytes(), b"F"]).await);
    venue.trade();
    let sent = venue.sent("NSE", "SBIN", Mode::Quote).unwrap();
    let found = records(&mut socket).await;
    let full = found.iter().find_map(|record| match record {
        Record::Update { id, slots } if *id == lite => Some(slots),
        _ => None,
    });
    assert_eq!(i64::from(full.unwrap()[1]), sent.volume);
    for (mask, mode) in [(1_u64, b"F"), (0, b"F"), (2, b"X")] {
        assert!(!ask(&mut socket, 12, &[&mask.to_be_bytes(), mode]).await);
    }
}

#[tokio::test]
async fn a_channel_that_is_paused_says_nothing() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
    snapshot(&mut socket).await;
    let channel = (1_u64 << 11).to_be_bytes();
    assert!(ask(&mut socket, 7, &[&channel]).await);
    venue.trade();
    assert!(ask(&mut socket, 8, &[&channel]).await);
    venue.trade();
    let sent = venue.sent("NSE", "SBIN", Mode::Quote).unwrap();
    match records(&mut socket).await.as_slice() {
        [Record::Update { slots, .. }] => assert_eq!(slots[0], hundredths(sent.ltp)),
        other => panic!("{other:?}"),
    }
    // What is subscribed meanwhile begins afterwards.
    assert!(ask(&mut socket, 7, &[&channel]).await);
    assert!(subscribe(&mut socket, &["sf|nse_cm|1594"], 11).await);
    assert!(is_quiet(&mut socket).await);
    assert!(ask(&mut socket, 8, &[&channel]).await);
    assert_eq!(snapshot(&mut socket).await.1, "sf|nse_cm|1594");
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_granted_and_silent() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    let wrong =
        ["sf|nse_cm|999999", "if|nse_cm|NIFTY 50", "dp|nse_cm|Nifty 50", "sf|nse_cm|26000", "nonsense"];
    assert!(subscribe(&mut socket, &wrong, 11).await);
    assert!(is_quiet(&mut socket).await);
    assert!(venue.report().subscribed.is_empty());
    // Requests that make no sense are refused: a list that is cut off, a channel that there is not.
    assert!(!ask(&mut socket, 4, &[&[0, 2, 3, b's'], &[11]]).await);
    assert!(!subscribe(&mut socket, &["sf|nse_cm|3045"], 64).await);
    assert!(!ask(&mut socket, 10, &[]).await);
    venue.own(&json!({ "refuse": "subscribe" })).unwrap();
    assert!(!subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
}

#[tokio::test]
async fn the_end_of_a_subscription_is_that_of_its_number() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    let names: &[&str] = &["sf|nse_cm|3045"];
    assert!(subscribe(&mut socket, names, 11).await);
    let (old, ..) = snapshot(&mut socket).await;
    // On another channel it is not.
    assert!(ask(&mut socket, 5, &[&topics(names), &[12]]).await);
    assert_eq!(venue.report().subscribed.len(), 1);
    assert!(ask(&mut socket, 5, &[&topics(names), &[11]]).await);
    assert!(venue.report().subscribed.is_empty());
    venue.trade();
    assert!(subscribe(&mut socket, names, 11).await);
    let (new, ..) = snapshot(&mut socket).await;
    assert_ne!(old, new);
}

#[tokio::test]
async fn an_app_has_five_thousand_symbols_and_a_message_fifteen_hundred_topics() {
    let venue = fyers::Venue::start(Options { instruments: 12_000, ..options() }).await.unwrap();
    let mut socket = connected(&venue).await;
    let all = venue.some("NSE", 2_501).into_iter().chain(venue.some("BSE", 2_500));
    let names: Vec<String> =
        all.map(|one| format!("sf|{}_cm|{}", one.exchange.to_lowercase(), one.number)).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.dedup();
    assert!(names.len() > 4_800, "{}", names.len());
    let fo: Vec<String> = venue
        .some("NFO", 5_001 - names.len())
        .iter()
        .map(|one| format!("sf|nse_fo|{}", one.number))
        .collect();
    names.extend(fo.iter().map(String::as_str));
    assert_eq!(names.len(), 5_001);
    assert!(!subscribe(&mut socket, &names[..1_501], 11).await);
    for some in names[..5_000].chunks(1_500) {
        say(&mut socket, request(4, &[&topics(some), &[11]])).await;
        assert_eq!(frame(&mut socket).await[7], b'K');
        for _ in some.chunks(100) {
            records(&mut socket).await;
        }
    }
    // What is subscribed is free, also on another connection.
    let mut other = connected(&venue).await;
    assert!(subscribe(&mut other, &names[..1], 11).await);
    snapshot(&mut other).await;
    say(&mut other, request(4, &[&topics(&names[5_000..]), &[11]])).await;
    let refused = frame(&mut other).await;
    assert_eq!((refused[2], &refused[4..11]), (51, &[1, 0, 4, 0, 0, 0xc7, 0x39][..]));
    assert_eq!(refused[refused.len() - 4..], [3, 0, 1, 4]);
    // A smaller plan has fewer.
    venue.own(&json!({ "limit": 200 })).unwrap();
    say(&mut other, request(4, &[&topics(&names[..1]), &[11]])).await;
    assert_eq!(frame(&mut other).await[2], 51);
}

#[tokio::test]
async fn trades_are_held_back_from_who_does_not_acknowledge() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
    let mut numbers = vec![parse(&frame(&mut socket).await).0];
    // One acknowledgement after each ten frames may be missing twenty times.
    for _ in 0..250 {
        venue.trade();
    }
    while numbers.len() < 210 {
        numbers.push(parse(&frame(&mut socket).await).0);
    }
    assert!(is_quiet(&mut socket).await);
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    // A number that was not asked for changes nothing.
    say(&mut socket, request(3, &[&numbers[208].to_be_bytes()])).await;
    assert!(is_quiet(&mut socket).await);
    venue.trade();
    assert!(is_quiet(&mut socket).await);
    say(&mut socket, request(3, &[&numbers[209].to_be_bytes()])).await;
    assert!(is_quiet(&mut socket).await);
    venue.trade();
    let sent = venue.sent("NSE", "SBIN", Mode::Quote).unwrap();
    match records(&mut socket).await.as_slice() {
        [Record::Update { slots, .. }] => assert_eq!(slots[0], hundredths(sent.ltp)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_is_sent_unasked_but_that_a_topic_exists() {
    let venue = fyers::Venue::start(Options { snapshots: false, ..options() }).await.unwrap();
    let mut socket = connected(&venue).await;
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045", "dp|nse_cm|3045"], 11).await);
    let found = records(&mut socket).await;
    let [Record::Snapshot { id: prices, slots: first, .. }, Record::Snapshot { id: book, slots: second, .. }] =
        found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert!(first.iter().chain(second).all(|slot| *slot == i32::MIN));
    let level = |text: &str| Level { price: price(text).unwrap(), quantity: 5, orders: 2 };
    let values = Values {
        ltp: price("830.05").unwrap(),
        volume: 0,
        bids: [level("830")].into_iter().collect(),
        ..Values::absent()
    };
    venue.send(&[("NSE", "SBIN", Mode::Full, values)]).unwrap();
    // The prices complete the book.
    let found = records(&mut socket).await;
    let [Record::Snapshot { id: one, slots: levels, .. }, Record::Snapshot { id: other, slots: values, .. }] =
        found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert_eq!((one, levels[0], levels[10], levels[20], levels[5]), (book, 83_000, 5, 2, 0));
    assert_eq!((other, values[0], values[1], values[6], values[8]), (prices, 83_005, 0, 83_000, i32::MIN));
    let partial = Values { volume: 7, ..Values::absent() };
    venue.send_partial(&[("NSE", "SBIN", Mode::Full, partial)]).unwrap();
    let found = records(&mut socket).await;
    let [Record::Update { id, slots }] = found.as_slice() else { panic!("{found:?}") };
    let present: Vec<usize> = (0..21).filter(|slot| slots[*slot] != i32::MIN).collect();
    assert_eq!((id, present, slots[1]), (prices, vec![1], 7));
    // A side without levels is as it was.
    let asks = Values { asks: [level("831")].into_iter().collect(), ..Values::absent() };
    venue.send_partial(&[("NSE", "SBIN", Mode::Full, asks)]).unwrap();
    let found = records(&mut socket).await;
    let [Record::Update { id, slots }, Record::Update { id: other, slots: best }] = found.as_slice() else {
        panic!("{found:?}");
    };
    let present =
        |slots: &[i32]| (0..slots.len()).filter(|slot| slots[*slot] != i32::MIN).collect::<Vec<_>>();
    assert_eq!((id, other, present(slots), present(best)), (book, prices, vec![5, 15, 25], vec![5, 7]));
    let sent = venue.sent("NSE", "SBIN", Mode::Full).unwrap();
    assert_eq!((sent.bids.len(), sent.asks.len()), (1, 1));
    assert_eq!((sent.ltp, sent.volume, sent.open), (price("830.05").unwrap(), 7, ABSENT));
}

#[tokio::test]
async fn strays_have_numbers_that_nobody_was_told() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
    let (known, ..) = snapshot(&mut socket).await;
    let values = Values { ltp: price("12.05").unwrap(), ..Values::absent() };
    let stray = ("NSE", "INFY", Mode::Ltp, values.clone());
    venue.stray(&[stray, ("NSE", "INFY", Mode::Quote, values.clone())]).unwrap();
    let found = records(&mut socket).await;
    let [Record::Lite { id, ltp: 1_205 }, Record::Snapshot { id: other, topic, .. }] = found.as_slice()
    else {
        panic!("{found:?}");
    };
    assert!(*id != known && *other != known && topic == "sf|nse_cm|1594");
    // They count for nothing: what is sent to those who know the instrument passes this connection by.
    venue.send(&[("NSE", "INFY", Mode::Ltp, values)]).unwrap();
    assert!(is_quiet(&mut socket).await);
    venue.own(&json!({ "custom": { "code": -99, "text": "Token expired", "request": 0 } })).unwrap();
    let custom = frame(&mut socket).await;
    assert_eq!((custom[2], &custom[7..11]), (51, &(-99_i32).to_be_bytes()[..]));
}

#[tokio::test]
async fn a_snapshot_can_be_had_once() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    assert!(ask(&mut socket, 9, &[&topics(&["sf|nse_cm|3045"]), &[11]]).await);
    let (_, topic, slots) = snapshot(&mut socket).await;
    assert_eq!((topic.as_str(), slots.len()), ("sf|nse_cm|3045", 21));
    venue.trade();
    assert!(is_quiet(&mut socket).await);
    assert!(venue.report().subscribed.is_empty());
}

/// Numbers of topics mean nothing on the next connection, and a number of the exchange may be that of another
/// instrument.
#[tokio::test]
async fn a_new_list_gives_numbers_to_other_instruments() {
    let venue = venue().await;
    let mut socket = connected(&venue).await;
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
    let (old, ..) = snapshot(&mut socket).await;
    venue.reuse("NSE", "SBIN", "INFY").unwrap();
    ended(&mut socket).await;
    let mut socket = connected(&venue).await;
    assert!(subscribe(&mut socket, &["sf|nse_cm|3045"], 11).await);
    let (new, _, slots) = snapshot(&mut socket).await;
    assert_ne!(old, new);
    assert_eq!(slots[0], hundredths(venue.sent("NSE", "INFY", Mode::Quote).unwrap().ltp));
    // Nonsense does not end a connection on this side.
    venue.garbage(1, 50);
    for _ in 0..50 {
        timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
    }
    assert!(is_quiet(&mut socket).await);
}
