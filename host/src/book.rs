//! The last values of an instrument: partial updates merge, what a broker never sent stays absent.

use crate::model::{DepthLevel, Ltp, Mode, Quote, TickView, field};

/// Everything known of one instrument.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    quote: Quote,
    levels: Vec<DepthLevel>,
    buy_levels: usize,
}

/// Which modes show something new after a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    ltp: bool,
    quote: bool,
    depth: bool,
}

impl Changed {
    /// Whether a frame of this mode differs from the one before the merge in anything but its time.
    pub const fn is_visible_in(self, mode: Mode) -> bool {
        match mode {
            Mode::Ltp => self.ltp,
            Mode::Quote => self.ltp || self.quote,
            Mode::Depth => self.ltp || self.quote || self.depth,
        }
    }
}

impl Entry {
    /// Everything but the book.
    pub const fn quote(&self) -> &Quote {
        &self.quote
    }

    /// All values, borrowed.
    pub fn view(&self) -> TickView<'_> {
        let (buy, sell) = self.levels.split_at_checked(self.buy_levels).unwrap_or((&self.levels, &[]));
        TickView { quote: &self.quote, buy, sell }
    }

    /// Whether nothing is known yet.
    pub const fn is_empty(&self) -> bool {
        self.quote.fields == 0 && self.levels.is_empty()
    }

    /// Takes a trade tick.
    pub fn merge_ltp(&mut self, tick: &Ltp) -> Changed {
        let mut changed = Changed::default();
        let to = &mut self.quote;
        let fields = tick.fields
            & field::IN_LTP
            & !negative_counts(&[(field::VOLUME, tick.volume), (field::LAST_QUANTITY, tick.last_quantity)]);
        stamp(to, tick.instrument, tick.seq, tick.received_ts_ns);
        changed.ltp |= copy(&mut to.ltp, tick.ltp, fields, to.fields, field::LTP);
        changed.ltp |=
            copy(&mut to.last_trade_ts_ns, tick.last_trade_ts_ns, fields, to.fields, field::LAST_TRADE_TS);
        changed.ltp |= copy(&mut to.volume, tick.volume, fields, to.fields, field::VOLUME);
        changed.ltp |=
            copy(&mut to.last_quantity, tick.last_quantity, fields, to.fields, field::LAST_QUANTITY);
        copy(&mut to.exchange_ts_ns, tick.exchange_ts_ns, fields, to.fields, field::EXCHANGE_TS);
        settle(to, fields);
        changed
    }

    /// Takes a quote.
    pub fn merge_quote(&mut self, from: &Quote) -> Changed {
        let mut changed = Changed::default();
        let to = &mut self.quote;
        let fields = from.fields
            & field::IN_QUOTE
            & !negative_counts(&[
                (field::VOLUME, from.volume),
                (field::LAST_QUANTITY, from.last_quantity),
                (field::TOTAL_BUY_QUANTITY, from.total_buy_quantity),
                (field::TOTAL_SELL_QUANTITY, from.total_sell_quantity),
                (field::OI, from.oi),
                (field::BID_SIZE, from.bid_size),
                (field::ASK_SIZE, from.ask_size),
                (field::OI_HIGH, from.oi_high),
                (field::OI_LOW, from.oi_low),
            ]);
        let known = to.fields;
        stamp(to, from.instrument, from.seq, from.received_ts_ns);
        changed.ltp |= copy(&mut to.ltp, from.ltp, fields, known, field::LTP);
        changed.ltp |=
            copy(&mut to.last_trade_ts_ns, from.last_trade_ts_ns, fields, known, field::LAST_TRADE_TS);
        changed.ltp |= copy(&mut to.volume, from.volume, fields, known, field::VOLUME);
        changed.ltp |= copy(&mut to.last_quantity, from.last_quantity, fields, known, field::LAST_QUANTITY);
        copy(&mut to.exchange_ts_ns, from.exchange_ts_ns, fields, known, field::EXCHANGE_TS);

        let quote = &mut changed.quote;
        *quote |= copy(&mut to.open, from.open, fields, known, field::OPEN);
        *quote |= copy(&mut to.high, from.high, fields, known, field::HIGH);
        *quote |= copy(&mut to.low, from.low, fields, known, field::LOW);
        *quote |= copy(&mut to.close, from.close, fields, known, field::CLOSE);
        *quote |= copy(&mut to.average_price, from.average_price, fields, known, field::AVERAGE_PRICE);
        *quote |= copy(
            &mut to.total_buy_quantity,
            from.total_buy_quantity,
            fields,
            known,
            field::TOTAL_BUY_QUANTITY,
        );
        *quote |= copy(
            &mut to.total_sell_quantity,
            from.total_sell_quantity,
            fields,
            known,
            field::TOTAL_SELL_QUANTITY,
        );
        *quote |= copy(&mut to.change, from.change, fields, known, field::CHANGE);
        *quote |= copy(&mut to.change_percent, from.change_percent, fields, known, field::CHANGE_PERCENT);
        *quote |= copy(&mut to.oi, from.oi, fields, known, field::OI);
        *quote |= copy(&mut to.bid_price, from.bid_price, fields, known, field::BID_PRICE);
        *quote |= copy(&mut to.ask_price, from.ask_price, fields, known, field::ASK_PRICE);
        *quote |= copy(&mut to.bid_size, from.bid_size, fields, known, field::BID_SIZE);
        *quote |= copy(&mut to.ask_size, from.ask_size, fields, known, field::ASK_SIZE);
        *quote |= copy(&mut to.upper_circuit, from.upper_circuit, fields, known, field::UPPER_CIRCUIT);
        *quote |= copy(&mut to.lower_circuit, from.lower_circuit, fields, known, field::LOWER_CIRCUIT);
        *quote |= copy(&mut to.prev_close, from.prev_close, fields, known, field::PREV_CLOSE);
        *quote |= copy(&mut to.oi_high, from.oi_high, fields, known, field::OI_HIGH);
        *quote |= copy(&mut to.oi_low, from.oi_low, fields, known, field::OI_LOW);
        settle(to, fields);
        changed
    }

    /// Takes a book with its quote. The levels replace all levels known before; a record without any level leaves them.
    pub fn merge_depth(&mut self, quote: &Quote, buy: &[DepthLevel], sell: &[DepthLevel]) -> Changed {
        let mut changed = self.merge_quote(quote);
        if buy.is_empty() && sell.is_empty() {
            return changed;
        }
        let view = self.view();
        changed.depth = view.buy != buy || view.sell != sell;
        if changed.depth {
            self.levels.clear();
            self.levels.extend_from_slice(buy);
            self.levels.extend_from_slice(sell);
            self.buy_levels = buy.len();
        }
        changed
    }

    /// Takes everything that another entry knows, published as `mode`.
    pub fn merge_entry(&mut self, from: &Self, mode: Mode) -> Changed {
        let view = from.view();
        if mode == Mode::Depth {
            self.merge_depth(view.quote, view.buy, view.sell)
        } else {
            self.merge_quote(view.quote)
        }
    }
}

fn stamp(to: &mut Quote, instrument: u32, seq: u64, received_ts_ns: u64) {
    to.instrument = instrument;
    to.seq = seq;
    to.received_ts_ns = received_ts_ns;
}

/// Bits of the values among these that count something and are negative: nobody knows what they mean, so they are not
/// shown, as those of the bus are not.
#[inline]
fn negative_counts<const N: usize>(counts: &[(u32, i64); N]) -> u32 {
    counts.iter().fold(0, |bits, (bit, count)| if *count < 0 { bits | bit } else { bits })
}

/// An update without the exchange's time must not keep the time of an older one.
fn settle(to: &mut Quote, fields: u32) {
    to.fields = ((to.fields | fields) & !field::EXCHANGE_TS) | (fields & field::EXCHANGE_TS);
}

/// Copies a present value; says whether a frame would show the difference.
#[inline]
fn copy<T: PartialEq>(to: &mut T, from: T, present: u32, known: u32, bit: u32) -> bool {
    if present & bit == 0 {
        return false;
    }
    let differs = known & bit == 0 || *to != from;
    *to = from;
    differs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(price: i64) -> DepthLevel {
        DepthLevel { price, quantity: 1, orders: 1, reserved: 0 }
    }

    #[test]
    fn a_partial_update_keeps_what_was_known_and_invents_nothing() {
        let mut entry = Entry::default();
        entry.merge_quote(&Quote { fields: field::LTP | field::OPEN, ltp: 10, open: 9, ..Quote::default() });
        entry.merge_ltp(&Ltp { fields: field::LTP, ltp: 11, volume: 99, ..Ltp::default() });
        let quote = entry.quote();
        assert_eq!((quote.ltp, quote.open, quote.volume), (11, 9, 0));
        assert_eq!(quote.fields, field::LTP | field::OPEN);
    }

    #[test]
    fn a_negative_count_is_unknown_and_a_negative_price_is_a_price() {
        let mut entry = Entry::default();
        let fields = field::LTP | field::VOLUME | field::LAST_QUANTITY | field::OI | field::BID_SIZE;
        let sane =
            Quote { fields, ltp: -5, volume: 7, last_quantity: 0, oi: 9, bid_size: 3, ..Quote::default() };
        entry.merge_quote(&sane);
        let odd = Quote { volume: -1, last_quantity: i64::MIN, oi: -2, bid_size: -3, ..sane };
        assert_eq!(entry.merge_quote(&odd), Changed::default());
        assert_eq!(entry.quote(), &sane);
        let mut fresh = Entry::default();
        fresh.merge_ltp(&Ltp {
            fields: field::IN_LTP,
            ltp: -5,
            volume: -1,
            last_quantity: -1,
            ..Ltp::default()
        });
        assert_eq!(fresh.quote().fields, field::IN_LTP & !field::VOLUME & !field::LAST_QUANTITY);
        assert_eq!((fresh.quote().ltp, fresh.quote().volume), (-5, 0));
    }

    #[test]
    fn a_book_without_prices_keeps_the_last_price() {
        let mut entry = Entry::default();
        entry.merge_ltp(&Ltp { fields: field::LTP, ltp: 11, ..Ltp::default() });
        entry.merge_depth(&Quote::default(), &[level(10)], &[level(12), level(13)]);
        let view = entry.view();
        assert_eq!((view.quote.ltp, view.buy.len(), view.sell.len()), (11, 1, 2));
        entry.merge_depth(&Quote::default(), &[], &[level(12)]);
        let view = entry.view();
        assert_eq!((view.buy.len(), view.sell.len()), (0, 1));
    }

    #[test]
    fn the_time_of_the_exchange_does_not_outlive_its_tick() {
        let mut entry = Entry::default();
        entry.merge_ltp(&Ltp {
            fields: field::LTP | field::EXCHANGE_TS,
            exchange_ts_ns: 5,
            ..Ltp::default()
        });
        entry.merge_ltp(&Ltp { fields: field::LTP, received_ts_ns: 9, ..Ltp::default() });
        assert_eq!(entry.quote().fields & field::EXCHANGE_TS, 0);
    }

    #[test]
    fn only_modes_that_show_the_difference_have_changed() {
        let mut entry = Entry::default();
        let quote = Quote { fields: field::LTP | field::OI, ltp: 1, oi: 2, ..Quote::default() };
        assert!(entry.merge_quote(&quote).is_visible_in(Mode::Ltp));
        assert!(!entry.merge_quote(&quote).is_visible_in(Mode::Depth));
        let changed = entry.merge_quote(&Quote { oi: 3, ..quote });
        assert!(!changed.is_visible_in(Mode::Ltp) && changed.is_visible_in(Mode::Quote));
        let changed = entry.merge_depth(&Quote::default(), &[level(1)], &[]);
        assert!(!changed.is_visible_in(Mode::Quote) && changed.is_visible_in(Mode::Depth));
    }
}
