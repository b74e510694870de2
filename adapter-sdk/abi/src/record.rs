//! Market-data records: plain data, fixed size, no padding that is not named.
//!
//! Conventions for every record:
//! - prices, averages, changes and percentages are integers scaled by 10^-9 ([`PRICE_SCALE`]);
//! - quantities, volume and open interest are whole numbers in the exchange's unit; a negative one stands for
//!   unknown, and a book with one is not shown;
//! - times are nanoseconds since the Unix epoch, UTC;
//! - a value counts only when its bit is set in `fields`: what the broker did not send stays unset and is
//!   never shown to a client, whatever the member holds;
//! - a record is an *update*, which leaves what it does not have as it was, unless [`field::IMAGE`] says that
//!   it is an *image*: everything that the broker knows of the instrument in this kind of record, so that
//!   what it does not have is gone.

use abi_stable::StableAbi;

/// Units in 1.0: a price of 625.5 is stored as `625_500_000_000`. The range is ±9.22 × 10^9.
pub const PRICE_SCALE: i64 = 1_000_000_000;

/// Most levels that one side of a [`Depth`] record may have.
pub const MAX_DEPTH_LEVELS: u16 = 200;

/// Value of [`DepthLevel::orders`] when the broker does not say how many orders stand at the level.
pub const ORDERS_ABSENT: u32 = u32::MAX;

/// Bits of the `fields` members: which values of a record are present.
pub mod field {
    /// `ltp`: last traded price.
    pub const LTP: u32 = 1 << 0;
    /// `last_trade_ts_ns`: time of the last trade at the exchange.
    pub const LAST_TRADE_TS: u32 = 1 << 1;
    /// `volume`: quantity traded today.
    pub const VOLUME: u32 = 1 << 2;
    /// `last_quantity`: quantity of the last trade.
    pub const LAST_QUANTITY: u32 = 1 << 3;
    /// `exchange_ts_ns`: time the exchange put on this tick.
    pub const EXCHANGE_TS: u32 = 1 << 4;
    /// `open`: first price of the day.
    pub const OPEN: u32 = 1 << 5;
    /// `high`: highest price of the day.
    pub const HIGH: u32 = 1 << 6;
    /// `low`: lowest price of the day.
    pub const LOW: u32 = 1 << 7;
    /// `close`: what the broker calls close, usually that of the previous day.
    pub const CLOSE: u32 = 1 << 8;
    /// `average_price`: volume-weighted average of the day.
    pub const AVERAGE_PRICE: u32 = 1 << 9;
    /// `total_buy_quantity`: resting buy quantity over the whole book.
    pub const TOTAL_BUY_QUANTITY: u32 = 1 << 10;
    /// `total_sell_quantity`: resting sell quantity over the whole book.
    pub const TOTAL_SELL_QUANTITY: u32 = 1 << 11;
    /// `change`: last price minus previous close.
    pub const CHANGE: u32 = 1 << 12;
    /// `change_percent`: `change` in percent of the previous close.
    pub const CHANGE_PERCENT: u32 = 1 << 13;
    /// `oi`: open interest.
    pub const OI: u32 = 1 << 14;
    /// `bid_price`: best bid.
    pub const BID_PRICE: u32 = 1 << 15;
    /// `ask_price`: best ask.
    pub const ASK_PRICE: u32 = 1 << 16;
    /// `bid_size`: quantity at the best bid.
    pub const BID_SIZE: u32 = 1 << 17;
    /// `ask_size`: quantity at the best ask.
    pub const ASK_SIZE: u32 = 1 << 18;
    /// `upper_circuit`: highest price allowed today.
    pub const UPPER_CIRCUIT: u32 = 1 << 19;
    /// `lower_circuit`: lowest price allowed today.
    pub const LOWER_CIRCUIT: u32 = 1 << 20;
    /// `prev_close`: close of the previous day, where the broker sends it apart from `close`.
    pub const PREV_CLOSE: u32 = 1 << 21;
    /// `oi_high`: highest open interest of the day.
    pub const OI_HIGH: u32 = 1 << 22;
    /// `oi_low`: lowest open interest of the day.
    pub const OI_LOW: u32 = 1 << 23;

    /// No value, but what the record is: everything that the broker knows at this moment of the values that
    /// this kind of record can carry. Those whose bit is not set are gone, whatever was said before. Without
    /// it they stay. Since 1.2.
    pub const IMAGE: u32 = 1 << 31;
    /// No value either: the levels of a [`Depth`](super::Depth) are the whole book, also when there are none.
    /// Without it a record without levels says nothing of the book. Since 1.2.
    pub const BOOK: u32 = 1 << 30;

    /// What hosts say to themselves with it is their own matter; an adapter leaves it unset. Since 1.2.
    pub const RESERVED_FOR_HOSTS: u32 = 1 << 29;

    /// Every bit that an [`Ltp`](super::Ltp) can carry.
    pub const IN_LTP: u32 = LTP | LAST_TRADE_TS | VOLUME | LAST_QUANTITY | EXCHANGE_TS;
    /// Every bit that a [`Quote`](super::Quote) can carry. Others are ignored by a host of this version.
    pub const IN_QUOTE: u32 = (1 << 24) - 1;
}

/// Bits of [`Greeks::fields`](Greeks): which values of the record are present.
pub mod greek {
    /// `delta`: change of the option's price for a change of the underlying by 1.
    pub const DELTA: u32 = 1 << 0;
    /// `gamma`: change of delta for a change of the underlying by 1.
    pub const GAMMA: u32 = 1 << 1;
    /// `theta`: change of the option's price in a day.
    pub const THETA: u32 = 1 << 2;
    /// `vega`: change of the option's price for a change of its volatility by one percentage point.
    pub const VEGA: u32 = 1 << 3;
    /// `exchange_ts_ns`: time the exchange put on this record. The same bit as in the other records.
    pub const EXCHANGE_TS: u32 = super::field::EXCHANGE_TS;
    /// `rho`: change of the option's price for a change of the interest rate by one percentage point.
    pub const RHO: u32 = 1 << 5;
    /// `implied_volatility`: volatility at which a model gives the option's price, in percent a year.
    pub const IMPLIED_VOLATILITY: u32 = 1 << 6;

    /// Every value that a [`Greeks`](super::Greeks) can carry, the time aside. Others are ignored by a host
    /// of this version.
    pub const IN_GREEKS: u32 = DELTA | GAMMA | THETA | VEGA | RHO | IMPLIED_VOLATILITY;
}

/// A trade tick: what LTP subscribers see. 64 bytes.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ltp {
    /// The number under which the host subscribed this instrument.
    pub instrument: u32,
    /// Which values are present, of [`field::IN_LTP`]; [`field::IMAGE`] beside them.
    pub fields: u32,
    /// Counts the records of one adapter instance from 1, over all three kinds; 0 when the adapter does not
    /// count.
    pub seq: u64,
    /// When the adapter received the packet. Always set.
    pub received_ts_ns: u64,
    /// Time the exchange put on this tick.
    pub exchange_ts_ns: u64,
    /// Time of the last trade.
    pub last_trade_ts_ns: u64,
    /// Last traded price, scaled.
    pub ltp: i64,
    /// Quantity traded today.
    pub volume: i64,
    /// Quantity of the last trade.
    pub last_quantity: i64,
}

/// A quote: day range, averages, best bid and ask. Also the head of a [`Depth`]. 216 bytes.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quote {
    /// The number under which the host subscribed this instrument.
    pub instrument: u32,
    /// Which values are present, of [`field::IN_QUOTE`]; [`field::IMAGE`], and in a [`Depth`]
    /// [`field::BOOK`], beside them.
    pub fields: u32,
    /// Counts the records of one adapter instance from 1, over all three kinds; 0 when the adapter does not
    /// count.
    pub seq: u64,
    /// When the adapter received the packet. Always set.
    pub received_ts_ns: u64,
    /// Time the exchange put on this tick.
    pub exchange_ts_ns: u64,
    /// Time of the last trade.
    pub last_trade_ts_ns: u64,
    /// Last traded price, scaled.
    pub ltp: i64,
    /// Quantity traded today.
    pub volume: i64,
    /// Quantity of the last trade.
    pub last_quantity: i64,
    /// First price of the day, scaled.
    pub open: i64,
    /// Highest price of the day, scaled.
    pub high: i64,
    /// Lowest price of the day, scaled.
    pub low: i64,
    /// What the broker calls close, scaled.
    pub close: i64,
    /// Volume-weighted average price of the day, scaled.
    pub average_price: i64,
    /// Resting buy quantity over the whole book.
    pub total_buy_quantity: i64,
    /// Resting sell quantity over the whole book.
    pub total_sell_quantity: i64,
    /// Last price minus previous close, scaled.
    pub change: i64,
    /// Change in percent, scaled: 0.56 % is 560,000,000.
    pub change_percent: i64,
    /// Open interest.
    pub oi: i64,
    /// Best bid, scaled.
    pub bid_price: i64,
    /// Best ask, scaled.
    pub ask_price: i64,
    /// Quantity at the best bid.
    pub bid_size: i64,
    /// Quantity at the best ask.
    pub ask_size: i64,
    /// Highest price allowed today, scaled.
    pub upper_circuit: i64,
    /// Lowest price allowed today, scaled.
    pub lower_circuit: i64,
    /// Close of the previous day, scaled.
    pub prev_close: i64,
    /// Highest open interest of the day.
    pub oi_high: i64,
    /// Lowest open interest of the day.
    pub oi_low: i64,
}

impl From<&Ltp> for Quote {
    fn from(tick: &Ltp) -> Self {
        Self {
            instrument: tick.instrument,
            fields: tick.fields & (field::IN_LTP | field::IMAGE),
            seq: tick.seq,
            received_ts_ns: tick.received_ts_ns,
            exchange_ts_ns: tick.exchange_ts_ns,
            last_trade_ts_ns: tick.last_trade_ts_ns,
            ltp: tick.ltp,
            volume: tick.volume,
            last_quantity: tick.last_quantity,
            ..Self::default()
        }
    }
}

impl From<&Quote> for Ltp {
    fn from(quote: &Quote) -> Self {
        Self {
            instrument: quote.instrument,
            fields: quote.fields & (field::IN_LTP | field::IMAGE),
            seq: quote.seq,
            received_ts_ns: quote.received_ts_ns,
            exchange_ts_ns: quote.exchange_ts_ns,
            last_trade_ts_ns: quote.last_trade_ts_ns,
            ltp: quote.ltp,
            volume: quote.volume,
            last_quantity: quote.last_quantity,
        }
    }
}

/// A market-by-price book with the quote that belongs to it. A record with levels replaces the whole book,
/// and so does one without any that has [`field::BOOK`].
///
/// The levels of all records of a batch stand in one slice beside them: those of this record begin at
/// `first_level`, best bid first, and the asks follow the bids, best ask first.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// The values beside the book.
    pub quote: Quote,
    /// Index of the first level in the batch's slice of levels.
    pub first_level: u32,
    /// Bid levels, 0 to [`MAX_DEPTH_LEVELS`].
    pub buy_levels: u16,
    /// Ask levels, 0 to [`MAX_DEPTH_LEVELS`].
    pub sell_levels: u16,
}

/// Greeks and implied volatility of an option, as the broker computes them. 80 bytes. Since 1.2.
///
/// A record replaces all of them: what it does not have is gone, and one without any value says that there
/// are none any more. It says nothing of other values, nor do other records say anything of these.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Greeks {
    /// The number under which the host subscribed this instrument.
    pub instrument: u32,
    /// Which values are present, of [`greek::IN_GREEKS`]; [`greek::EXCHANGE_TS`] beside them.
    pub fields: u32,
    /// Counts the records of one adapter instance from 1, over all kinds; 0 when the adapter does not count.
    pub seq: u64,
    /// When the adapter received the packet. Always set.
    pub received_ts_ns: u64,
    /// Time the exchange put on this record.
    pub exchange_ts_ns: u64,
    /// Change of the option's price for a change of the underlying by 1, scaled: -1 to 1 for a plain option.
    pub delta: i64,
    /// Change of delta for a change of the underlying by 1, scaled.
    pub gamma: i64,
    /// Change of the option's price in a day, scaled.
    pub theta: i64,
    /// Change of the option's price for a change of its volatility by one percentage point, scaled.
    pub vega: i64,
    /// Change of the option's price for a change of the interest rate by one percentage point, scaled.
    pub rho: i64,
    /// Implied volatility in percent a year, scaled: 14.5 % is 14,500,000,000.
    pub implied_volatility: i64,
}

/// One price level of a book. 24 bytes.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DepthLevel {
    /// Price of the level, scaled.
    pub price: i64,
    /// Quantity resting at the price.
    pub quantity: i64,
    /// Orders resting at the price, or [`ORDERS_ABSENT`].
    pub orders: u32,
    /// Always 0; keeps the layout free of hidden padding.
    pub reserved: u32,
}

#[cfg(test)]
mod tests {
    use std::mem::{align_of, offset_of, size_of};

    use super::*;

    #[test]
    fn record_sizes_and_alignments_are_those_of_abi_1_0() {
        assert_eq!((size_of::<Ltp>(), align_of::<Ltp>()), (64, 8));
        assert_eq!((size_of::<Quote>(), align_of::<Quote>()), (216, 8));
        assert_eq!((size_of::<Depth>(), align_of::<Depth>()), (224, 8));
        assert_eq!((size_of::<DepthLevel>(), align_of::<DepthLevel>()), (24, 8));
    }

    #[test]
    fn greeks_have_the_size_that_came_with_1_2_and_no_bit_that_means_two_things() {
        assert_eq!((size_of::<Greeks>(), align_of::<Greeks>()), (80, 8));
        assert_eq!(offset_of!(Greeks, exchange_ts_ns), offset_of!(Ltp, exchange_ts_ns));
        assert_eq!(greek::IN_GREEKS.count_ones(), 6);
        assert_eq!(greek::IN_GREEKS & greek::EXCHANGE_TS, 0);
    }

    #[test]
    fn a_quote_begins_like_an_ltp() {
        assert_eq!(offset_of!(Ltp, ltp), offset_of!(Quote, ltp));
        assert_eq!(offset_of!(Ltp, last_quantity), offset_of!(Quote, last_quantity));
        assert_eq!(offset_of!(Quote, open), size_of::<Ltp>());
        assert_eq!(offset_of!(Depth, first_level), size_of::<Quote>());
    }
}
