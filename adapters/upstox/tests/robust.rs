//! Messages as another implementation of protocol buffers writes and reads them, damaged ones, and what
//! decoding takes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]

use std::{collections::BTreeMap, sync::LazyLock};

use adapter_upstox::{
    decode::State,
    key::Key,
    wire::{Branch, Day, Feed, Greeks, LEVELS, Ltpc, Quote, Response},
};
use proptest::prelude::*;
use prost::Message as _;
use serde_json::Value;
use venues::upstox::proto::{self, FeedUnion, FullFeedUnion};

/// All binary messages of the vectors.
static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let lines = include_str!("../testdata/upstox-v3.jsonl").lines();
    let frames = lines
        .flat_map(|line| serde_json::from_str::<Value>(line).unwrap()["frames"].as_array().unwrap().clone());
    let hex = |text: &str| {
        let byte = |place: usize| u8::from_str_radix(&text[place..place + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(byte).collect()
    };
    frames.filter_map(|frame| frame["hex"].as_str().map(hex)).collect()
});

/// What this adapter makes of a message. None when it is none, or one of its instruments makes no sense.
fn ours(message: &[u8]) -> Option<(i64, BTreeMap<String, Feed>, BTreeMap<String, u64>)> {
    let response = Response::read(message).ok()?;
    let (mut feeds, mut segments, mut is_sound) = (BTreeMap::new(), BTreeMap::new(), true);
    response.feeds(&mut Feed::default(), |taken| match taken {
        Ok((key, feed)) => _ = feeds.insert(key.to_owned(), feed.clone()),
        Err(_) => is_sound = false,
    });
    response.segments(|taken| match taken {
        Ok((segment, status)) => _ = segments.insert(segment.to_owned(), status),
        Err(_) => is_sound = false,
    });
    is_sound.then_some((response.at, feeds, segments))
}

const fn last_trade(ltpc: &proto::Ltpc) -> Ltpc {
    Ltpc { ltp: ltpc.ltp, at: ltpc.ltt, quantity: ltpc.ltq, close: ltpc.cp }
}

const fn quote(quote: &proto::Quote) -> Quote {
    Quote { bid_quantity: quote.bid_q, bid: quote.bid_p, ask_quantity: quote.ask_q, ask: quote.ask_p }
}

const fn greeks(greeks: &proto::OptionGreeks) -> Greeks {
    let proto::OptionGreeks { delta, theta, gamma, vega, rho } = *greeks;
    Greeks { delta, theta, gamma, vega, rho }
}

fn day(candles: Option<&proto::MarketOhlc>) -> Option<Day> {
    let of_the_day = candles?.ohlc.iter().rfind(|candle| candle.interval == "1d")?;
    Some(Day { open: of_the_day.open, high: of_the_day.high, low: of_the_day.low })
}

/// The same of what `prost` has read.
fn theirs(feed: &proto::Feed) -> Feed {
    let mode = i64::from(feed.request_mode).cast_unsigned();
    let nothing = Feed { mode, ..Feed::default() };
    match &feed.feed_union {
        None => nothing,
        Some(FeedUnion::Ltpc(ltpc)) => Feed { branch: Branch::Ltpc, ltpc: Some(last_trade(ltpc)), ..nothing },
        Some(FeedUnion::FirstLevelWithGreeks(first)) => Feed {
            branch: Branch::FirstLevel,
            ltpc: first.ltpc.as_ref().map(last_trade),
            has_rows: first.first_depth.is_some(),
            rows: first.first_depth.iter().map(quote).collect(),
            greeks: first.option_greeks.as_ref().map(greeks),
            volume: first.vtt,
            oi: first.oi,
            iv: first.iv,
            ..nothing
        },
        Some(FeedUnion::FullFeed(full)) => match &full.full_feed_union {
            None => nothing,
            Some(FullFeedUnion::Index(index)) => Feed {
                branch: Branch::Index,
                ltpc: index.ltpc.as_ref().map(last_trade),
                day: day(index.market_ohlc.as_ref()),
                ..nothing
            },
            Some(FullFeedUnion::Market(market)) => Feed {
                branch: Branch::Market,
                ltpc: market.ltpc.as_ref().map(last_trade),
                has_rows: market.market_level.is_some(),
                rows: market
                    .market_level
                    .iter()
                    .flat_map(|book| &book.bid_ask_quote)
                    .map(quote)
                    .take(LEVELS)
                    .collect(),
                greeks: market.option_greeks.as_ref().map(greeks),
                day: day(market.market_ohlc.as_ref()),
                average_price: market.atp,
                volume: market.vtt,
                oi: market.oi,
                iv: market.iv,
                total_buy_quantity: market.tbq,
                total_sell_quantity: market.tsq,
                ..nothing
            },
        },
    }
}

/// Debug forms, in which what is no number is the same as itself.
fn compare(message: &[u8]) {
    // What one of the two does not take is not compared: prost minds fields that nobody reads here.
    let Ok(response) = proto::FeedResponse::decode(message) else { return };
    let Some((at, feeds, segments)) = ours(message) else { return };
    assert_eq!(at, response.current_ts);
    let wanted: BTreeMap<String, Feed> =
        response.feeds.iter().map(|(key, feed)| (key.clone(), theirs(feed))).collect();
    assert_eq!(format!("{feeds:?}"), format!("{wanted:?}"));
    let info = response.market_info.unwrap_or_default();
    let wanted: BTreeMap<String, u64> = info
        .segment_status
        .into_iter()
        .map(|(segment, status)| (segment, i64::from(status).cast_unsigned()))
        .collect();
    assert_eq!(segments, wanted);
}

#[test]
fn every_message_is_read_as_by_another_implementation() {
    assert!(MESSAGES.len() > 700);
    for message in &*MESSAGES {
        assert!(proto::FeedResponse::decode(&**message).is_ok() && ours(message).is_some());
        compare(message);
    }
}

#[test]
fn parts_that_come_twice_are_one_and_the_last_of_several_messages_counts() {
    use proto::{Feed, FeedResponse, FullFeed, IndexFullFeed, MarketFullFeed};
    let ltpc = |ltp: f64, ltq: i64| Some(proto::Ltpc { ltp, ltq, ..proto::Ltpc::default() });
    let of = |feed_union: FeedUnion| Feed { feed_union: Some(feed_union), request_mode: 1 };
    let full = |union: FullFeedUnion| of(FeedUnion::FullFeed(FullFeed { full_feed_union: Some(union) }));
    let market =
        |ltpc, vtt| full(FullFeedUnion::Market(MarketFullFeed { ltpc, vtt, ..MarketFullFeed::default() }));
    let index = |ltpc| full(FullFeedUnion::Index(IndexFullFeed { ltpc, ..IndexFullFeed::default() }));
    let trade = |ltp, ltq| of(FeedUnion::Ltpc(ltpc(ltp, ltq).unwrap()));
    for feeds in [
        vec![market(ltpc(1.0, 0), 5), market(ltpc(0.0, 7), 0)],
        vec![market(ltpc(1.0, 3), 5), index(ltpc(2.0, 0))],
        vec![index(ltpc(2.0, 9)), market(None, 5)],
        vec![trade(1.0, 3), market(ltpc(0.0, 7), 5)],
        vec![market(ltpc(1.0, 3), 5), trade(0.0, 8)],
        vec![trade(1.0, 3), trade(0.0, 4), Feed::default()],
    ] {
        let joined: Vec<u8> = feeds.iter().flat_map(prost::Message::encode_to_vec).collect();
        let key = "NSE_EQ|INE002A01018";
        // An entry of a map: the key, and the messages as one.
        let mut entry = vec![0x0a, u8::try_from(key.len()).unwrap()];
        entry.extend(key.as_bytes());
        entry.extend([0x12, u8::try_from(joined.len()).unwrap()]);
        entry.extend(&joined);
        let mut message = vec![0x12, u8::try_from(entry.len()).unwrap()];
        message.extend(entry);
        let read = FeedResponse::decode(&*message).unwrap();
        let (_, ours, _) = ours(&message).unwrap();
        assert_eq!(ours[key], theirs(&read.feeds[key]), "{feeds:?}");
    }
}

fn take(state: &mut State, feed: &mut Feed, message: &[u8]) -> usize {
    let Ok(response) = Response::read(message) else { return 0 };
    let mut taken = 0;
    response.feeds(feed, |one| {
        if let Ok((key, feed)) = one
            && let Some(key) = Key::parse(key)
        {
            taken += usize::from(std::hint::black_box(state.take(key, feed, response.at)).is_some());
        }
    });
    taken
}

#[test]
fn decoding_does_not_allocate() {
    let (mut state, mut feed, mut taken) = (State::default(), Feed::default(), 0);
    // The first time there is a place to be made for each instrument, and for the rows.
    MESSAGES.iter().for_each(|message| _ = take(&mut state, &mut feed, message));
    let counts = allocation_counter::measure(|| {
        taken = MESSAGES.iter().map(|message| take(&mut state, &mut feed, message)).sum();
    });
    assert_eq!(counts.count_total, 0, "in {taken} ticks");
    assert!(taken > 1_000, "{taken}");
}

#[test]
fn a_message_that_is_cut_off_counts_for_nothing_and_a_damaged_instrument_costs_itself() {
    for message in MESSAGES.iter().filter(|message| message.len() > 4) {
        let whole = ours(message).unwrap().1;
        for length in 1..message.len() {
            if let Some((_, part, _)) = ours(&message[..length]) {
                assert!(part.iter().all(|(key, feed)| whole.get(key) == Some(feed)), "{length}");
            }
        }
    }
    let good = b"\x12\x17\x0a\x08NSE_EQ|A\x12\x0b\x0a\x09\x09\0\0\0\0\0\0\xf0\x3f";
    let bad = b"\x12\x0e\x0a\x08NSE_EQ|B\x12\x02\x0a\x7f";
    let message = [&good[..], bad, good].concat();
    let (mut sound, mut damaged) = (0, 0);
    Response::read(&message).unwrap().feeds(&mut Feed::default(), |taken| match taken {
        Ok((key, feed)) => {
            assert_eq!((key, feed.ltpc.unwrap().ltp), ("NSE_EQ|A", 1.0));
            sound += 1;
        }
        Err(_) => damaged += 1,
    });
    assert_eq!((sound, damaged), (2, 1));
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(message in proptest::collection::vec(any::<u8>(), 0..300)) {
        compare(&message);
        take(&mut State::default(), &mut Feed::default(), &message);
    }

    #[test]
    fn changed_messages_are_read_alike(
        place in 0_usize..700,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut message = MESSAGES[place % MESSAGES.len()].clone();
        for (at, value) in changes {
            let at = at.index(message.len());
            message[at] = value;
        }
        take(&mut State::default(), &mut Feed::default(), &message);
        // Two instruments may have become one, of which a map has the last.
        let is_plain = ours(&message).is_none_or(|(_, feeds, _)| {
            let mut count = 0;
            Response::read(&message).unwrap().feeds(&mut Feed::default(), |_| count += 1);
            count == feeds.len()
        });
        if is_plain {
            compare(&message);
        }
    }
}
