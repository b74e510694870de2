//! Batches on their way through bytes.

use proptest::prelude::*;

use super::*;
use tickhost_core::{
    book::Entry,
    model::{InstrumentId, field, greek},
};

fn quote(number: u32) -> Quote {
    let value = i64::from(number);
    Quote {
        instrument: number,
        fields: 0x00ff_ffff,
        seq: 3,
        received_ts_ns: 4,
        exchange_ts_ns: 5,
        last_trade_ts_ns: 6,
        ltp: value * 7,
        volume: 8,
        last_quantity: 9,
        open: 10,
        high: 11,
        low: -12,
        close: 13,
        average_price: 14,
        total_buy_quantity: 15,
        total_sell_quantity: 16,
        change: -17,
        change_percent: 18,
        oi: 19,
        bid_price: 20,
        ask_price: 21,
        bid_size: 22,
        ask_size: 23,
        upper_circuit: 24,
        lower_circuit: 25,
        prev_close: 26,
        oi_high: 27,
        oi_low: i64::MIN,
    }
}

fn frames(batch: &Batch) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    encode(batch, |frame| frames.push(frame));
    assert!(frames.iter().all(|frame| frame.len() <= MAX_FRAME_BYTES));
    frames
}

#[test]
fn records_survive_the_way_in_order_however_many_frames_they_need() {
    let quotes: Vec<Quote> = (0..5_000).map(quote).collect();
    let ticks: Vec<Ltp> = quotes.iter().map(Ltp::from).collect();
    let mut decoded = Decoded::default();
    let mut read = Vec::new();
    let sent = frames(&Batch::Ltp(ticks.clone().into()));
    assert!(sent.len() > 1);
    for frame in sent {
        assert_eq!(decoded.read(&frame), Ok(Kind::Ltp));
        read.extend_from_slice(&decoded.ltp);
    }
    assert_eq!(read, ticks);
    let mut read = Vec::new();
    for frame in frames(&Batch::Quote(quotes.clone().into())) {
        assert_eq!(decoded.read(&frame), Ok(Kind::Quote));
        read.extend_from_slice(&decoded.quote);
    }
    assert_eq!(read, quotes);
}

#[test]
fn each_book_keeps_its_own_levels() {
    let level = |price: i64| DepthLevel { price, quantity: price * 2, orders: 3, reserved: 0 };
    let levels: Vec<DepthLevel> = (0..20_000).map(level).collect();
    // In no order, and sharing levels, as a batch may.
    let books: Vec<Depth> = (0..400)
        .map(|number| Depth {
            quote: quote(number),
            first_level: (number * 37) % 19_000,
            buy_levels: (number % 201) as u16,
            sell_levels: 200,
        })
        .collect();
    let expected: Vec<(Quote, Vec<DepthLevel>, Vec<DepthLevel>)> = books
        .iter()
        .map(|book| {
            let (buy, sell) = depth_levels(book, &levels).unwrap();
            (book.quote, buy.to_vec(), sell.to_vec())
        })
        .collect();
    let mut decoded = Decoded::default();
    let mut read = Vec::new();
    for frame in frames(&Batch::Depth(books.into(), levels.into())) {
        assert_eq!(decoded.read(&frame), Ok(Kind::Depth));
        for book in &decoded.depth {
            let (buy, sell) = depth_levels(book, &decoded.levels).unwrap();
            read.push((book.quote, buy.to_vec(), sell.to_vec()));
        }
    }
    assert_eq!(read, expected);
}

#[test]
fn merged_ticks_say_how_many_they_replace() {
    let merged = |number: u32, mode: Mode| {
        let mut entry = Entry::default();
        entry.merge_quote(&quote(number));
        if mode == Mode::Depth {
            entry.merge_depth(&quote(number), &[DepthLevel::default()], &[]);
        }
        Merged { instrument: InstrumentId(number), mode: Some(mode), entry, missed: number }
    };
    let batch = Batch::Merged(vec![
        merged(1, Mode::Depth),
        merged(2, Mode::Ltp),
        merged(3, Mode::Quote),
        merged(4, Mode::Ltp),
    ]);
    let mut decoded = Decoded::default();
    let mut seen = Vec::new();
    for frame in frames(&batch) {
        let kind = decoded.read(&frame).unwrap();
        let count = decoded.ltp.len() + decoded.quote.len() + decoded.depth.len();
        seen.push((kind, count, decoded.missed));
    }
    assert_eq!(seen, [(Kind::Ltp, 2, 6), (Kind::Quote, 1, 3), (Kind::Depth, 1, 1)]);
}

fn greeks(number: u32) -> Greeks {
    let value = i64::from(number);
    Greeks {
        instrument: number,
        fields: greek::IN_GREEKS | greek::EXCHANGE_TS,
        seq: 3,
        received_ts_ns: 4,
        exchange_ts_ns: 5,
        delta: -value,
        gamma: 7,
        theta: i64::MIN,
        vega: 9,
        rho: 10,
        implied_volatility: 11,
    }
}

#[test]
fn greeks_survive_the_way_in_order_however_many_frames_they_need() {
    let all: Vec<Greeks> = (0..5_000).map(greeks).collect();
    let (mut decoded, mut read) = (Decoded::default(), Vec::new());
    let sent = frames(&Batch::Greeks(all.clone().into()));
    assert!(sent.len() > 1);
    for frame in sent {
        assert_eq!(decoded.read(&frame), Ok(Kind::Greeks));
        read.extend_from_slice(&decoded.greeks);
    }
    assert_eq!(read, all);
    let [ltp, .., greeks] = samples();
    assert_eq!((decoded.read(&greeks), decoded.greeks.len()), (Ok(Kind::Greeks), 1));
    assert_eq!(
        (decoded.read(&ltp), decoded.greeks.len()),
        (Ok(Kind::Ltp), 0),
        "nothing stays of the frame before"
    );
}

#[test]
fn greeks_that_were_merged_with_ticks_go_behind_them_and_every_one_is_accounted_for() {
    let merged = |number: u32, mode: Option<Mode>, records: u32| {
        let mut entry = Entry::default();
        entry.merge_greeks(&greeks(number));
        if mode.is_some() {
            entry.merge_quote(&quote(number));
        }
        Merged { instrument: InstrumentId(number), mode, entry, missed: records - 1 }
    };
    let batch = Batch::Merged(vec![
        merged(1, None, 3),
        merged(2, Some(Mode::Quote), 5),
        merged(3, Some(Mode::Ltp), 2),
    ]);
    let (mut decoded, mut seen, mut records) = (Decoded::default(), Vec::new(), 0);
    for frame in frames(&batch) {
        let kind = decoded.read(&frame).unwrap();
        let numbers: Vec<u32> = decoded.greeks.iter().map(|greeks| greeks.instrument).collect();
        let count = decoded.ltp.len() + decoded.quote.len() + numbers.len();
        records += u32::try_from(count).unwrap() + decoded.missed;
        seen.push((kind, numbers, decoded.missed));
    }
    assert_eq!(seen, [(Kind::Ltp, vec![], 0), (Kind::Quote, vec![], 3), (Kind::Greeks, vec![1, 2, 3], 2)]);
    assert_eq!(records, 3 + 5 + 2);
}

#[test]
fn of_one_instrument_the_older_goes_first_whatever_its_kind() {
    let merged = |number: u32, mode: Mode, fields: u32| {
        let mut entry = Entry::default();
        entry.merge_depth(&Quote { fields, ..quote(number) }, &[], &[]);
        Merged { instrument: InstrumentId(number), mode: Some(mode), entry, missed: 0 }
    };
    let batch = Batch::Merged(vec![
        merged(1, Mode::Depth, field::LTP | field::BOOK),
        merged(2, Mode::Quote, field::LTP | field::IMAGE),
        merged(1, Mode::Ltp, field::LTP | field::IMAGE),
        merged(2, Mode::Ltp, field::LTP),
    ]);
    let mut decoded = Decoded::default();
    let mut seen = Vec::new();
    for frame in frames(&batch) {
        decoded.read(&frame).unwrap();
        seen.extend(decoded.ltp.iter().map(|tick| (tick.instrument, tick.fields)));
        seen.extend(decoded.quote.iter().map(|quote| (quote.instrument, quote.fields)));
        seen.extend(decoded.depth.iter().map(|book| (book.quote.instrument, book.quote.fields)));
    }
    let (ltp, image) = (field::LTP, field::LTP | field::IMAGE);
    assert_eq!(seen, [(2, image), (1, ltp | field::BOOK), (1, image), (2, ltp)]);
}

proptest! {
    #[test]
    fn no_bytes_are_taken_for_more_than_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 0_u8..6) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kind;
        }
        let mut decoded = Decoded::default();
        if decoded.read(&bytes).is_ok() {
            let records = decoded.ltp.len() * LTP_BYTES + decoded.quote.len() * QUOTE_BYTES
                + decoded.depth.len() * DEPTH_BYTES + decoded.levels.len() * LEVEL_BYTES
                + decoded.greeks.len() * GREEKS_BYTES;
            prop_assert_eq!(records + HEAD, bytes.len());
        }
    }
}
