//! The last values of an instrument: images replace, updates merge, what a broker never sent stays absent, and time runs
//! forward.

use crate::model::{DepthLevel, Ltp, Mode, Quote, TickView, field};

/// Ticks in a row that may be refused for coming late. The next one is believed: the broker's clock was mended.
const LATE_LIMIT: u8 = 3;

/// Everything known of one instrument.
///
/// An entry also stands for several ticks on their way, merged because the next stage is behind. It then knows of which
/// values it is an image, so that to merge it has the effect of merging those ticks one by one.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// Its `fields` are those of values, and [`field::BOOK`] once a book is known, perhaps known to be empty.
    quote: Quote,
    levels: Vec<DepthLevel>,
    buy_levels: usize,
    /// Values of which this is an image: none, those of an LTP record, or all.
    image_of: u32,
    /// Counts that were said to be unknown, and not said since.
    unknown: u32,
    /// The latest time of the exchange that was taken; 0 for none.
    newest_ts_ns: u64,
    /// Ticks that were refused for being late since the last one that was not.
    late: u8,
}

/// What a merge did.
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

    /// Whether the book differs from the one before.
    pub const fn is_another_book(self) -> bool {
        self.depth
    }

    /// What two steps did together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            ltp: self.ltp || other.ltp,
            quote: self.quote || other.quote,
            depth: self.depth || other.depth,
        }
    }
}

impl Entry {
    /// Everything but the book; [`field::BOOK`] says whether there is one.
    pub const fn quote(&self) -> &Quote {
        &self.quote
    }

    /// All values, borrowed.
    pub fn view(&self) -> TickView<'_> {
        let (buy, sell) = self.levels.split_at_checked(self.buy_levels).unwrap_or((&self.levels, &[]));
        TickView { quote: &self.quote, buy, sell }
    }

    /// The moment of the newest tick, as [`moment`] has it.
    pub const fn moment(&self) -> u64 {
        moment(self.quote.fields, self.quote.exchange_ts_ns, self.quote.received_ts_ns)
    }

    /// Whether nothing is known yet.
    pub const fn is_empty(&self) -> bool {
        self.quote.fields == 0
    }

    /// The values as one record that has the effect of everything that was merged into this, on its way as `mode`.
    pub fn record(&self, mode: Mode) -> Quote {
        let image = match (self.image_of, mode) {
            (0, _) => 0,
            (field::IN_QUOTE, _) | (_, Mode::Ltp) => field::IMAGE,
            _ => LTP_IMAGE,
        };
        let mut record = Quote { fields: self.quote.fields | image, ..self.quote };
        if self.unknown != 0 {
            record.fields |= self.unknown;
            for (bit, count) in counts(&mut record) {
                if self.unknown & bit != 0 {
                    *count = UNKNOWN_COUNT;
                }
            }
        }
        record
    }

    /// Forgets all values: they are of another trading day, or of a clock that was wrong. A book that was known is an empty
    /// one from now on.
    pub fn clear(&mut self) -> Changed {
        let changed = Changed {
            ltp: self.quote.fields & LTP_VISIBLE != 0,
            quote: self.quote.fields & QUOTE_ONLY != 0,
            depth: !self.levels.is_empty(),
        };
        self.quote.fields &= field::BOOK;
        self.levels.clear();
        self.buy_levels = 0;
        self.image_of = field::IN_QUOTE;
        self.newest_ts_ns = 0;
        changed
    }

    /// Forgets what only modes above this one show, because the broker is not asked for it any more.
    pub fn keep_up_to(&mut self, mode: Mode) {
        if mode < Mode::Depth {
            self.levels.clear();
            self.buy_levels = 0;
            self.quote.fields &= !field::BOOK;
        }
        if mode < Mode::Quote {
            self.quote.fields &= field::IN_LTP;
        }
    }

    /// Notes a tick that is known to be late. False when so many came in a row that the broker's clock must have been set
    /// back: from then on it is the newest.
    pub const fn refuse(&mut self) -> bool {
        self.late += 1;
        if self.late > LATE_LIMIT {
            self.late = 0;
            return false;
        }
        true
    }

    /// Takes a trade tick. None when it came late, and nothing was taken of it; so for the others.
    pub fn merge_ltp(&mut self, tick: &Ltp) -> Option<Changed> {
        let (volume, is_image) =
            (present(tick.fields, field::VOLUME, tick.volume), tick.fields & field::IMAGE != 0);
        let mut changed = self.begin(tick.fields, tick.exchange_ts_ns, volume)?;
        let unknown =
            negative_counts(&[(field::VOLUME, tick.volume), (field::LAST_QUANTITY, tick.last_quantity)]);
        let fields = tick.fields & field::IN_LTP & !unknown;
        if is_image {
            self.image_of |= field::IN_LTP;
            self.keep_values(fields, field::IN_LTP, &mut changed);
        } else if tick.fields & unknown != 0 {
            self.keep_values(0, tick.fields & unknown, &mut changed);
        }
        self.unknown = (self.unknown | tick.fields & unknown) & !fields;
        let to = &mut self.quote;
        stamp(to, tick.instrument, tick.seq, tick.received_ts_ns);
        changed.ltp |= copy(&mut to.ltp, tick.ltp, fields, to.fields, field::LTP);
        changed.ltp |=
            copy(&mut to.last_trade_ts_ns, tick.last_trade_ts_ns, fields, to.fields, field::LAST_TRADE_TS);
        changed.ltp |= copy(&mut to.volume, tick.volume, fields, to.fields, field::VOLUME);
        changed.ltp |=
            copy(&mut to.last_quantity, tick.last_quantity, fields, to.fields, field::LAST_QUANTITY);
        copy(&mut to.exchange_ts_ns, tick.exchange_ts_ns, fields, to.fields, field::EXCHANGE_TS);
        settle(to, fields);
        Some(changed)
    }

    /// Takes a quote.
    pub fn merge_quote(&mut self, from: &Quote) -> Option<Changed> {
        let volume = present(from.fields, field::VOLUME, from.volume);
        let mut changed = self.begin(from.fields, from.exchange_ts_ns, volume)?;
        let unknown = negative_counts(&[
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
        let fields = from.fields & field::IN_QUOTE & !unknown;
        if from.fields & field::IMAGE != 0 {
            self.image_of |= field::IN_QUOTE;
            self.keep_values(fields, field::IN_QUOTE, &mut changed);
        } else {
            if from.fields & LTP_IMAGE != 0 {
                self.image_of |= field::IN_LTP;
                self.keep_values(fields, field::IN_LTP, &mut changed);
            }
            if from.fields & unknown != 0 {
                self.keep_values(0, from.fields & unknown, &mut changed);
            }
        }
        self.unknown = (self.unknown | from.fields & unknown) & !fields;
        let to = &mut self.quote;
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
        Some(changed)
    }

    /// Takes a book with its quote. The levels replace all levels known before; a record without any leaves them, unless
    /// it says that the book is empty.
    pub fn merge_depth(&mut self, quote: &Quote, buy: &[DepthLevel], sell: &[DepthLevel]) -> Option<Changed> {
        let mut changed = self.merge_quote(quote)?;
        if buy.is_empty() && sell.is_empty() && quote.fields & field::BOOK == 0 {
            return Some(changed);
        }
        let view = self.view();
        changed.depth |= view.quote.fields & field::BOOK == 0 || view.buy != buy || view.sell != sell;
        if changed.depth {
            self.quote.fields |= field::BOOK;
            self.levels.clear();
            self.levels.extend_from_slice(buy);
            self.levels.extend_from_slice(sell);
            self.buy_levels = buy.len();
        }
        Some(changed)
    }

    /// Takes everything that another entry knows, published as `mode`.
    pub fn merge_entry(&mut self, from: &Self, mode: Mode) -> Option<Changed> {
        let (record, view) = (from.record(mode), from.view());
        match mode {
            Mode::Ltp => self.merge_ltp(&Ltp::from(&record)),
            Mode::Quote => self.merge_quote(&record),
            Mode::Depth => self.merge_depth(&record, view.buy, view.sell),
        }
    }

    /// Whether a tick comes in its time. It is late when both its time and its volume are older than what is known: either
    /// alone goes back for honest reasons (sources with clocks of their own, cancelled trades).
    #[inline]
    fn begin(&mut self, fields: u32, exchange_ts_ns: u64, volume: Option<i64>) -> Option<Changed> {
        if fields & field::EXCHANGE_TS == 0 {
            return Some(Changed::default());
        }
        if exchange_ts_ns >= self.newest_ts_ns {
            self.newest_ts_ns = exchange_ts_ns;
            self.late = 0;
            return Some(Changed::default());
        }
        self.begin_late(exchange_ts_ns, volume)
    }

    #[cold]
    fn begin_late(&mut self, exchange_ts_ns: u64, volume: Option<i64>) -> Option<Changed> {
        let known = present(self.quote.fields, field::VOLUME, self.quote.volume);
        let has_less = volume.zip(known).is_some_and(|(volume, known)| volume < known);
        if !has_less {
            return Some(Changed::default());
        }
        if self.refuse() {
            return None;
        }
        let changed = self.clear();
        self.newest_ts_ns = exchange_ts_ns;
        Some(changed)
    }

    /// Of the values of `mask` those that are not present are gone.
    #[inline]
    const fn keep_values(&mut self, present: u32, mask: u32, changed: &mut Changed) {
        let gone = self.quote.fields & mask & !present;
        self.quote.fields &= !gone;
        changed.ltp |= gone & LTP_VISIBLE != 0;
        changed.quote |= gone & QUOTE_ONLY != 0;
    }
}

/// An update of a quote that is an image of the values of mode LTP: what several ticks of both kinds are together. Only
/// among the parts of a host, its adapters' processes included; the ABI keeps the bit free.
const LTP_IMAGE: u32 = field::RESERVED_FOR_HOSTS;

/// Values that frames of all modes show, their time excepted.
const LTP_VISIBLE: u32 = field::IN_LTP & !field::EXCHANGE_TS;

/// Values that only frames above mode LTP show.
const QUOTE_ONLY: u32 = field::IN_QUOTE & !field::IN_LTP;

/// How far the time of an exchange may be ahead of the host's clock and still be believed.
const AHEAD_NS: u64 = 3_600 * 1_000_000_000;

/// The moment that a tick speaks of, in nanoseconds since the Unix epoch: the time of the exchange, or of the receipt when
/// there is none that can be. 0 when there is neither.
pub const fn moment(fields: u32, exchange_ts_ns: u64, received_ts_ns: u64) -> u64 {
    let is_credible = received_ts_ns == 0 || exchange_ts_ns <= received_ts_ns.saturating_add(AHEAD_NS);
    if fields & field::EXCHANGE_TS != 0 && is_credible { exchange_ts_ns } else { received_ts_ns }
}

/// A count that is known: a negative one is not.
const fn present(fields: u32, bit: u32, count: i64) -> Option<i64> {
    if fields & bit != 0 && count >= 0 { Some(count) } else { None }
}

fn stamp(to: &mut Quote, instrument: u32, seq: u64, received_ts_ns: u64) {
    to.instrument = instrument;
    to.seq = seq;
    to.received_ts_ns = received_ts_ns;
}

/// A count of which it is said that nobody knows it: what was known before is gone. Any other that is below zero is the same.
pub const UNKNOWN_COUNT: i64 = -1;

/// The counts of a quote, with their bits.
fn counts(quote: &mut Quote) -> [(u32, &mut i64); 9] {
    [
        (field::VOLUME, &mut quote.volume),
        (field::LAST_QUANTITY, &mut quote.last_quantity),
        (field::TOTAL_BUY_QUANTITY, &mut quote.total_buy_quantity),
        (field::TOTAL_SELL_QUANTITY, &mut quote.total_sell_quantity),
        (field::OI, &mut quote.oi),
        (field::BID_SIZE, &mut quote.bid_size),
        (field::ASK_SIZE, &mut quote.ask_size),
        (field::OI_HIGH, &mut quote.oi_high),
        (field::OI_LOW, &mut quote.oi_low),
    ]
}

/// Bits of the values among these that count something and are negative: nobody knows them, so they are not shown.
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
mod tests;
