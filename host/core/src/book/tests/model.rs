//! Any records, against the plainest thing that could do the same: a map from value to number.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::greek;

/// Bits of the values and how a quote holds them, written down once more.
type Value = (u32, fn(&mut Quote) -> &mut i64);

const VALUES: [Value; 22] = [
    (field::LTP, |quote| &mut quote.ltp),
    (field::VOLUME, |quote| &mut quote.volume),
    (field::LAST_QUANTITY, |quote| &mut quote.last_quantity),
    (field::OPEN, |quote| &mut quote.open),
    (field::HIGH, |quote| &mut quote.high),
    (field::LOW, |quote| &mut quote.low),
    (field::CLOSE, |quote| &mut quote.close),
    (field::AVERAGE_PRICE, |quote| &mut quote.average_price),
    (field::TOTAL_BUY_QUANTITY, |quote| &mut quote.total_buy_quantity),
    (field::TOTAL_SELL_QUANTITY, |quote| &mut quote.total_sell_quantity),
    (field::CHANGE, |quote| &mut quote.change),
    (field::CHANGE_PERCENT, |quote| &mut quote.change_percent),
    (field::OI, |quote| &mut quote.oi),
    (field::BID_PRICE, |quote| &mut quote.bid_price),
    (field::ASK_PRICE, |quote| &mut quote.ask_price),
    (field::BID_SIZE, |quote| &mut quote.bid_size),
    (field::ASK_SIZE, |quote| &mut quote.ask_size),
    (field::UPPER_CIRCUIT, |quote| &mut quote.upper_circuit),
    (field::LOWER_CIRCUIT, |quote| &mut quote.lower_circuit),
    (field::PREV_CLOSE, |quote| &mut quote.prev_close),
    (field::OI_HIGH, |quote| &mut quote.oi_high),
    (field::OI_LOW, |quote| &mut quote.oi_low),
];

const COUNTS: u32 = field::VOLUME
    | field::LAST_QUANTITY
    | field::TOTAL_BUY_QUANTITY
    | field::TOTAL_SELL_QUANTITY
    | field::OI
    | field::BID_SIZE
    | field::ASK_SIZE
    | field::OI_HIGH
    | field::OI_LOW;

/// Bits of greeks and how a record holds them.
type Greek = (u32, fn(&mut Greeks) -> &mut i64);

const GREEKS: [Greek; 6] = [
    (greek::DELTA, |greeks| &mut greeks.delta),
    (greek::GAMMA, |greeks| &mut greeks.gamma),
    (greek::THETA, |greeks| &mut greeks.theta),
    (greek::VEGA, |greeks| &mut greeks.vega),
    (greek::RHO, |greeks| &mut greeks.rho),
    (greek::IMPLIED_VOLATILITY, |greeks| &mut greeks.implied_volatility),
];

/// A tick, or greeks: the time and the arrival are those of `quote` then, and of it nothing else counts.
#[derive(Clone, Debug)]
struct Record {
    mode: Option<Mode>,
    greeks: Greeks,
    quote: Quote,
    buy: Vec<DepthLevel>,
    sell: Vec<DepthLevel>,
}

impl Record {
    fn merge_into(&self, entry: &mut Entry) -> Option<Changed> {
        match self.mode {
            Some(Mode::Ltp) => entry.merge_ltp(&Ltp::from(&self.quote)),
            Some(Mode::Quote) => entry.merge_quote(&self.quote),
            Some(Mode::Depth) => entry.merge_depth(&self.quote, &self.buy, &self.sell),
            None => {
                let Quote { instrument, seq, received_ts_ns, exchange_ts_ns, .. } = self.quote;
                let stamped = Greeks { instrument, seq, received_ts_ns, exchange_ts_ns, ..self.greeks };
                Some(entry.merge_greeks(&stamped))
            }
        }
    }
}

fn side() -> impl Strategy<Value = Vec<DepthLevel>> {
    prop::collection::vec((1_i64..4).prop_map(level), 0..3)
}

prop_compose! {
    /// Few different numbers, so that values often stay as they were, and counts are sometimes negative.
    fn record()(
        mode in prop::sample::select([&Mode::ALL.map(Some)[..], &[None]].concat()),
        fields: u32,
        greek_fields: u32,
        greek_values in prop::collection::vec(0_i64..2, GREEKS.len()),
        is_image: bool,
        is_book: bool,
        values in prop::collection::vec(-1_i64..4, VALUES.len()),
        times in (0_u64..5, 0_u64..3),
        arrival in (0_u64..9, 0_u64..9),
        buy in side(),
        sell in side(),
    ) -> Record {
        let flags = if is_image { field::IMAGE } else { 0 } | if is_book { field::BOOK } else { 0 };
        let mut quote = Quote {
            instrument: 7,
            fields: fields & (field::IN_QUOTE | 1 << 28) | flags,
            exchange_ts_ns: times.0,
            last_trade_ts_ns: times.1,
            received_ts_ns: arrival.0,
            seq: arrival.1,
            ..Quote::default()
        };
        for ((_, member), value) in VALUES.iter().zip(values) {
            *member(&mut quote) = value;
        }
        let mut greeks = Greeks { fields: greek_fields, ..Greeks::default() };
        for ((_, member), value) in GREEKS.iter().zip(greek_values) {
            *member(&mut greeks) = value;
        }
        Record { mode, greeks, quote, buy, sell }
    }
}

/// Bids and asks.
type Sides = (Vec<DepthLevel>, Vec<DepthLevel>);

/// What clients can see: values by bit, the book if it is known, and greeks by bit.
type Seen = (BTreeMap<u32, i64>, Option<Sides>, BTreeMap<u32, i64>);

#[derive(Debug, Default)]
struct Model {
    values: BTreeMap<u32, i64>,
    book: Option<Sides>,
    greeks: BTreeMap<u32, i64>,
    newest: u64,
    late: u32,
}

impl Model {
    /// Whether the record was taken, and whether what was known before was given up for it.
    fn take(&mut self, record: &Record) -> (bool, bool) {
        let Record { mode, greeks, quote, buy, sell } = record;
        let Some(mode) = mode else {
            self.greeks = said_greeks(greeks);
            return (true, false);
        };
        let mut quote = *quote;
        let carried = if *mode == Mode::Ltp { field::IN_LTP } else { field::IN_QUOTE };
        let mut said: BTreeMap<u32, i64> =
            VALUES.iter().map(|(bit, member)| (*bit, *member(&mut quote))).collect();
        said.insert(field::LAST_TRADE_TS, i64::try_from(quote.last_trade_ts_ns).unwrap());
        said.retain(|bit, _| quote.fields & carried & bit != 0);
        // A count below zero is unknown from now on.
        let is_unknown = |bit: &u32, value: &mut i64| COUNTS & bit != 0 && *value < 0;
        let unknown: Vec<u32> = said.extract_if(.., is_unknown).map(|(bit, _)| bit).collect();
        let mut is_restart = false;
        if quote.fields & field::EXCHANGE_TS != 0 {
            let time = quote.exchange_ts_ns;
            let has_less = match (said.get(&field::VOLUME), self.values.get(&field::VOLUME)) {
                (Some(new), Some(known)) => new < known,
                _ => false,
            };
            if time >= self.newest {
                (self.newest, self.late) = (time, 0);
            } else if has_less {
                self.late += 1;
                if self.late <= 3 {
                    return (false, false);
                }
                is_restart = true;
                self.values.clear();
                self.greeks.clear();
                self.book = self.book.as_ref().map(|_| Sides::default());
                (self.newest, self.late) = (time, 0);
            }
            said.insert(field::EXCHANGE_TS, i64::try_from(time).unwrap());
        }
        self.values.remove(&field::EXCHANGE_TS);
        if quote.fields & field::IMAGE != 0 {
            self.values.retain(|bit, _| carried & bit == 0);
        }
        self.values.retain(|bit, _| !unknown.contains(bit));
        self.values.extend(said);
        if *mode == Mode::Depth && (quote.fields & field::BOOK != 0 || !buy.is_empty() || !sell.is_empty()) {
            self.book = Some((buy.clone(), sell.clone()));
        }
        (true, is_restart)
    }

    fn seen(&self) -> Seen {
        (self.values.clone(), self.book.clone(), self.greeks.clone())
    }
}

fn said_greeks(greeks: &Greeks) -> BTreeMap<u32, i64> {
    let mut copy = *greeks;
    let said = GREEKS.iter().map(|(bit, member)| (*bit, *member(&mut copy)));
    said.filter(|(bit, _)| greeks.fields & bit != 0).collect()
}

fn seen(entry: &Entry) -> Seen {
    let view = entry.view();
    let mut quote = *view.quote;
    let times = [
        (field::LAST_TRADE_TS, i64::try_from(quote.last_trade_ts_ns).unwrap()),
        (field::EXCHANGE_TS, i64::try_from(quote.exchange_ts_ns).unwrap()),
    ];
    let values = VALUES.iter().map(|(bit, member)| (*bit, *member(&mut quote))).chain(times);
    let known = values.filter(|(bit, _)| view.quote.fields & bit != 0).collect();
    let book = view.quote.fields & field::BOOK != 0;
    let greeks = view.greeks.map(said_greeks).unwrap_or_default();
    (known, book.then(|| (view.buy.to_vec(), view.sell.to_vec())), greeks)
}

/// What frames of a mode show of it, their time excepted.
fn shown((values, book, greeks): &Seen, mode: Mode) -> Seen {
    let bits = if mode == Mode::Ltp { field::IN_LTP } else { field::IN_QUOTE } & !field::EXCHANGE_TS;
    let mut values = values.clone();
    values.retain(|bit, _| bits & bit != 0);
    let greeks = if mode == Mode::Ltp { BTreeMap::new() } else { greeks.clone() };
    (values, book.clone().filter(|_| mode == Mode::Depth), greeks)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn an_entry_is_what_a_map_would_be(records in prop::collection::vec(record(), 1..16)) {
        let (mut entry, mut model) = (Entry::default(), Model::default());
        for record in &records {
            let before = seen(&entry);
            let changed = record.merge_into(&mut entry);
            let (is_taken, is_restart) = model.take(record);
            prop_assert_eq!(changed.is_none(), !is_taken);
            let changed = changed.unwrap_or_default();
            prop_assert_eq!(seen(&entry), model.seen());
            if is_taken {
                let quote = entry.quote();
                let stamps = (quote.instrument, quote.seq, quote.received_ts_ns);
                prop_assert_eq!(stamps, (7, record.quote.seq, record.quote.received_ts_ns));
            }
            for mode in Mode::ALL {
                let differs = shown(&before, mode) != shown(&seen(&entry), mode);
                prop_assert!(changed.is_visible_in(mode) || !differs, "{mode:?}");
                prop_assert!(differs || is_restart || !changed.is_visible_in(mode), "{mode:?}");
            }
            prop_assert_eq!(entry.is_empty(), seen(&entry) == Seen::default());
        }
    }

    /// Ticks that were merged on their way, in parts of any length, and sent on as one record each.
    #[test]
    fn merged_ticks_have_the_effect_of_each_by_itself(
        records in prop::collection::vec(record(), 1..24),
        lengths in prop::collection::vec(1_usize..6, 24),
        by_record: bool,
    ) {
        let (mut one_by_one, mut in_parts) = (Entry::default(), Entry::default());
        let mut time = 0;
        let mut records = records.into_iter().map(|mut record| {
            // In their time: which late tick is refused depends on what is known, and a part of them knows
            // less.
            time += record.quote.exchange_ts_ns;
            record.quote.exchange_ts_ns = time;
            record
        });
        for length in lengths {
            let part: Vec<Record> = records.by_ref().take(length).collect();
            let Some(mode) = part.iter().map(|record| record.mode).max() else { break };
            let mut merged = Entry::default();
            for record in &part {
                record.merge_into(&mut one_by_one);
                record.merge_into(&mut merged);
            }
            if by_record {
                let greeks = merged.greeks_record();
                if let Some(mode) = mode {
                    let (quote, view) = (merged.record(mode), merged.view());
                    let (buy, sell) = (view.buy.to_vec(), view.sell.to_vec());
                    let record = Record { mode: Some(mode), greeks: Greeks::default(), quote, buy, sell };
                    record.merge_into(&mut in_parts);
                }
                greeks.map(|greeks| in_parts.merge_greeks(&greeks));
            } else {
                in_parts.merge_entry(&merged, mode);
            }
            prop_assert_eq!(seen(&in_parts), seen(&one_by_one));
            if !by_record {
                let stamps = |entry: &Entry| (entry.quote().seq, entry.quote().received_ts_ns);
                prop_assert_eq!(stamps(&in_parts), stamps(&one_by_one));
            }
        }
    }
}
