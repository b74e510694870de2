//! The last values of an instrument: images replace, updates merge, what a broker never sent stays absent,
//! and time runs forward.

mod changed;
mod greeks;

pub use self::changed::Changed;
use crate::model::{DepthLevel, Greeks, Ltp, Mode, Quote, TickView, field};

/// Late ticks that may be refused before one with a time of the exchange comes in time. The next one is
/// believed: the broker's clock was set back.
const LATE_LIMIT: u8 = 3;

/// Everything known of one instrument.
///
/// An entry also stands for several ticks on their way, merged because the next stage is behind. It then
/// knows of which values it is an image, so that to merge it has the effect of merging those ticks one by
/// one.
///
/// In this order, as what each tick touches stands in as few lines of the cache as it can.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Entry {
    /// The latest time of the exchange that was taken; 0 for none.
    newest_ts_ns: u64,
    /// Values of which this is an image: none, those of an LTP record, or all.
    image_of: u32,
    /// Counts that were said to be unknown, and not said since.
    unknown: u32,
    /// Ticks that were refused for being late since the last one with a time of the exchange that was in
    /// time. Those without such a time, and those that are behind by it but not by their volume, neither
    /// count nor interrupt: they say nothing of the broker's clock.
    late: u8,
    /// Whether something was merged that says what the greeks are, be it that there are none.
    says_greeks: bool,
    /// Its `fields` are those of values, and [`field::BOOK`] once a book is known, perhaps known to be empty.
    quote: Quote,
    levels: Vec<DepthLevel>,
    buy_levels: usize,
    /// Greeks as they were said last; none of their bits when they are gone. Few instruments have any.
    greeks: Option<Box<Greeks>>,
}

impl Entry {
    /// Everything but the book; [`field::BOOK`] says whether there is one.
    pub const fn quote(&self) -> &Quote {
        &self.quote
    }

    /// All values, borrowed.
    pub fn view(&self) -> TickView<'_> {
        let (buy, sell) = self.levels.split_at_checked(self.buy_levels).unwrap_or((&self.levels, &[]));
        TickView { quote: &self.quote, buy, sell, greeks: self.greeks() }
    }

    /// The moment of the newest tick, as [`moment`] has it. Greeks beside a quote leave its time.
    pub fn moment(&self) -> u64 {
        match &self.greeks {
            Some(greeks) if self.quote.fields == 0 => {
                moment(greeks.fields, greeks.exchange_ts_ns, greeks.received_ts_ns)
            }
            _ => moment(self.quote.fields, self.quote.exchange_ts_ns, self.quote.received_ts_ns),
        }
    }

    /// Whether nothing is known yet.
    pub fn is_empty(&self) -> bool {
        self.quote.fields == 0 && self.greeks().is_none()
    }

    /// The values as one record that has the effect of everything that was merged into this, on its way as
    /// `mode`.
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

    /// Forgets all values: they are of another trading day, or of a clock that was wrong. A book that was
    /// known is an empty one from now on.
    pub fn clear(&mut self) -> Changed {
        let book = if self.levels.is_empty() { 0 } else { field::BOOK };
        let changed = Changed(self.quote.fields & field::IN_QUOTE | book).and(self.clear_greeks());
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
            self.clear_greeks();
        }
    }

    /// Notes a tick that is known to be late. False when so many came that the broker's clock must have been
    /// set back, and none between them whose time of the exchange was in time: from then on it is the newest.
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
        if self.is_behind(tick.fields, tick.exchange_ts_ns) {
            return self.merge_behind(tick.fields, tick.volume, |entry| entry.take_ltp(tick));
        }
        Some(self.take_ltp(tick))
    }

    #[inline]
    fn take_ltp(&mut self, tick: &Ltp) -> Changed {
        let (mut present, mut lost) = (tick.fields & field::IN_LTP, 0);
        // One branch for all that is rare.
        if is_negative(tick.volume | tick.last_quantity) | tick.fields & field::IMAGE | self.unknown != 0 {
            let counts = [(field::VOLUME, tick.volume), (field::LAST_QUANTITY, tick.last_quantity)];
            let unknown = tick.fields & negative_counts(&counts);
            let image = if tick.fields & field::IMAGE == 0 { 0 } else { field::IN_LTP };
            present &= !unknown;
            lost = self.forget(image, unknown, present);
        }
        let to = &mut self.quote;
        let mut changed = lost | present & !to.fields;
        stamp(to, tick.instrument, tick.seq, tick.received_ts_ns);
        changed |= copy(&mut to.ltp, tick.ltp, present, field::LTP);
        changed |= copy(&mut to.last_trade_ts_ns, tick.last_trade_ts_ns, present, field::LAST_TRADE_TS);
        changed |= copy(&mut to.volume, tick.volume, present, field::VOLUME);
        changed |= copy(&mut to.last_quantity, tick.last_quantity, present, field::LAST_QUANTITY);
        if present & field::EXCHANGE_TS != 0 {
            to.exchange_ts_ns = tick.exchange_ts_ns;
            self.newest_ts_ns = tick.exchange_ts_ns;
            self.late = 0;
        }
        settle(to, present);
        Changed(changed)
    }

    /// Takes a quote.
    pub fn merge_quote(&mut self, from: &Quote) -> Option<Changed> {
        if self.is_behind(from.fields, from.exchange_ts_ns) {
            return self.merge_behind(from.fields, from.volume, |entry| entry.take_quote(from));
        }
        Some(self.take_quote(from))
    }

    #[inline]
    fn take_quote(&mut self, from: &Quote) -> Changed {
        let counts = [
            (field::VOLUME, from.volume),
            (field::LAST_QUANTITY, from.last_quantity),
            (field::TOTAL_BUY_QUANTITY, from.total_buy_quantity),
            (field::TOTAL_SELL_QUANTITY, from.total_sell_quantity),
            (field::OI, from.oi),
            (field::BID_SIZE, from.bid_size),
            (field::ASK_SIZE, from.ask_size),
            (field::OI_HIGH, from.oi_high),
            (field::OI_LOW, from.oi_low),
        ];
        let (mut present, mut lost) = (from.fields & field::IN_QUOTE, 0);
        let image = from.fields & (field::IMAGE | LTP_IMAGE);
        let any_negative = counts.iter().fold(0, |all, (_, count)| all | count);
        if is_negative(any_negative) | image | self.unknown != 0 {
            let unknown = from.fields & negative_counts(&counts);
            let image = match image {
                0 => 0,
                LTP_IMAGE => field::IN_LTP,
                _ => field::IN_QUOTE,
            };
            present &= !unknown;
            lost = self.forget(image, unknown, present);
        }
        let to = &mut self.quote;
        let mut changed = lost | present & !to.fields;
        stamp(to, from.instrument, from.seq, from.received_ts_ns);
        changed |= copy(&mut to.ltp, from.ltp, present, field::LTP);
        changed |= copy(&mut to.last_trade_ts_ns, from.last_trade_ts_ns, present, field::LAST_TRADE_TS);
        changed |= copy(&mut to.volume, from.volume, present, field::VOLUME);
        changed |= copy(&mut to.last_quantity, from.last_quantity, present, field::LAST_QUANTITY);
        if present & field::EXCHANGE_TS != 0 {
            to.exchange_ts_ns = from.exchange_ts_ns;
            self.newest_ts_ns = from.exchange_ts_ns;
            self.late = 0;
        }
        changed |= copy(&mut to.open, from.open, present, field::OPEN);
        changed |= copy(&mut to.high, from.high, present, field::HIGH);
        changed |= copy(&mut to.low, from.low, present, field::LOW);
        changed |= copy(&mut to.close, from.close, present, field::CLOSE);
        changed |= copy(&mut to.average_price, from.average_price, present, field::AVERAGE_PRICE);
        changed |=
            copy(&mut to.total_buy_quantity, from.total_buy_quantity, present, field::TOTAL_BUY_QUANTITY);
        changed |=
            copy(&mut to.total_sell_quantity, from.total_sell_quantity, present, field::TOTAL_SELL_QUANTITY);
        changed |= copy(&mut to.change, from.change, present, field::CHANGE);
        changed |= copy(&mut to.change_percent, from.change_percent, present, field::CHANGE_PERCENT);
        changed |= copy(&mut to.oi, from.oi, present, field::OI);
        changed |= copy(&mut to.bid_price, from.bid_price, present, field::BID_PRICE);
        changed |= copy(&mut to.ask_price, from.ask_price, present, field::ASK_PRICE);
        changed |= copy(&mut to.bid_size, from.bid_size, present, field::BID_SIZE);
        changed |= copy(&mut to.ask_size, from.ask_size, present, field::ASK_SIZE);
        changed |= copy(&mut to.upper_circuit, from.upper_circuit, present, field::UPPER_CIRCUIT);
        changed |= copy(&mut to.lower_circuit, from.lower_circuit, present, field::LOWER_CIRCUIT);
        changed |= copy(&mut to.prev_close, from.prev_close, present, field::PREV_CLOSE);
        changed |= copy(&mut to.oi_high, from.oi_high, present, field::OI_HIGH);
        changed |= copy(&mut to.oi_low, from.oi_low, present, field::OI_LOW);
        settle(to, present);
        Changed(changed)
    }

    /// Takes a book with its quote. The levels replace all levels known before; a record without any leaves
    /// them, unless it says that the book is empty.
    pub fn merge_depth(&mut self, quote: &Quote, buy: &[DepthLevel], sell: &[DepthLevel]) -> Option<Changed> {
        let changed = self.merge_quote(quote)?;
        if buy.is_empty() && sell.is_empty() && quote.fields & field::BOOK == 0 {
            return Some(changed);
        }
        let view = self.view();
        if view.quote.fields & field::BOOK != 0 && view.buy == buy && view.sell == sell {
            return Some(changed);
        }
        self.quote.fields |= field::BOOK;
        self.levels.clear();
        self.levels.extend_from_slice(buy);
        self.levels.extend_from_slice(sell);
        self.buy_levels = buy.len();
        Some(changed.and(Changed(field::BOOK)))
    }

    /// Takes everything that another entry knows, published as `mode`; none when all of it are greeks.
    pub fn merge_entry(&mut self, from: &Self, mode: Option<Mode>) -> Option<Changed> {
        let values = mode.map(|mode| {
            let (record, view) = (from.record(mode), from.view());
            match mode {
                Mode::Ltp => self.merge_ltp(&Ltp::from(&record)),
                Mode::Quote => self.merge_quote(&record),
                Mode::Depth => self.merge_depth(&record, view.buy, view.sell),
            }
        });
        let Some(greeks) = from.greeks_record() else { return values.unwrap_or_default() };
        let changed = self.merge_greeks(&greeks);
        // Whichever of them came last.
        stamp(&mut self.quote, from.quote.instrument, from.quote.seq, from.quote.received_ts_ns);
        Some(changed.and(values.flatten().unwrap_or_default()))
    }

    /// Whether a tick is of an older time than what is known.
    #[inline]
    const fn is_behind(&self, fields: u32, exchange_ts_ns: u64) -> bool {
        fields & field::EXCHANGE_TS != 0 && exchange_ts_ns < self.newest_ts_ns
    }

    /// Takes a tick of an older time unless its volume is older, too, which makes it a late one: either alone
    /// goes back for honest reasons (sources with clocks of their own, cancelled trades).
    #[cold]
    fn merge_behind(
        &mut self,
        fields: u32,
        volume: i64,
        take: impl FnOnce(&mut Self) -> Changed,
    ) -> Option<Changed> {
        let (newest_ts_ns, late) = (self.newest_ts_ns, self.late);
        let known = known_count(self.quote.fields, field::VOLUME, self.quote.volume);
        let volume = known_count(fields, field::VOLUME, volume);
        if volume.zip(known).is_none_or(|(volume, known)| volume >= known) {
            let changed = take(self);
            (self.newest_ts_ns, self.late) = (newest_ts_ns, late);
            return Some(changed);
        }
        if self.refuse() {
            return None;
        }
        let cleared = self.clear();
        Some(cleared.and(take(self)))
    }

    /// Forgets those values of an image, and those counts of which it is said that nobody knows them, that
    /// are not present. Gives the values that are gone.
    #[inline]
    const fn forget(&mut self, image: u32, unknown: u32, present: u32) -> u32 {
        let gone = self.quote.fields & (image | unknown) & !present;
        self.quote.fields &= !gone;
        self.image_of |= image;
        self.unknown = (self.unknown | unknown) & !present;
        gone
    }
}

/// An update of a quote that is an image of the values of mode LTP: what several ticks of both kinds are
/// together. Only among the parts of a host, its adapters' processes included; the ABI keeps the bit free.
const LTP_IMAGE: u32 = field::RESERVED_FOR_HOSTS;

/// How far the time of an exchange may be ahead of the host's clock and still be believed.
const AHEAD_NS: u64 = 3_600 * 1_000_000_000;

/// The moment that a tick speaks of, in nanoseconds since the Unix epoch: the time of the exchange, or of the
/// receipt when there is none that can be. 0 when there is neither.
#[inline]
pub const fn moment(fields: u32, exchange_ts_ns: u64, received_ts_ns: u64) -> u64 {
    if fields & field::EXCHANGE_TS == 0 {
        return received_ts_ns;
    }
    let is_credible = received_ts_ns == 0 || exchange_ts_ns <= received_ts_ns.saturating_add(AHEAD_NS);
    if is_credible { exchange_ts_ns } else { received_ts_ns }
}

/// A count that is known: a negative one is not.
const fn known_count(fields: u32, bit: u32, count: i64) -> Option<i64> {
    if fields & bit != 0 && count >= 0 { Some(count) } else { None }
}

fn stamp(to: &mut Quote, instrument: u32, seq: u64, received_ts_ns: u64) {
    to.instrument = instrument;
    to.seq = seq;
    to.received_ts_ns = received_ts_ns;
}

/// A count of which it is said that nobody knows it: what was known before is gone. Any other that is below
/// zero is the same.
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

/// 1 for a negative number, 0 for others. Of numbers that are joined by `|` one is negative if the result is.
#[inline]
const fn is_negative(number: i64) -> u32 {
    (number < 0) as u32
}

/// Bits of the values among these that count something and are negative: nobody knows them, so they are not
/// shown.
#[inline]
fn negative_counts<const N: usize>(counts: &[(u32, i64); N]) -> u32 {
    counts.iter().fold(0, |bits, (bit, count)| if *count < 0 { bits | bit } else { bits })
}

/// An update without the exchange's time must not keep the time of an older one.
fn settle(to: &mut Quote, fields: u32) {
    to.fields = ((to.fields | fields) & !field::EXCHANGE_TS) | (fields & field::EXCHANGE_TS);
}

/// Copies a value if it is present; gives its bit if it is another than before.
#[inline]
fn copy<T: PartialEq>(to: &mut T, from: T, present: u32, bit: u32) -> u32 {
    if present & bit == 0 {
        return 0;
    }
    let is_another = *to != from;
    *to = from;
    if is_another { bit } else { 0 }
}

#[cfg(test)]
mod tests;
