//! Ticks as authors write them: a value that is not set is absent, and shows nowhere.

use adapter_abi::{DepthLevel, Ltp, ORDERS_ABSENT, Quote, field};

use crate::Price;

/// What a client wants of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Last price.
    Ltp,
    /// Quote.
    Quote,
    /// Book.
    Depth,
}

/// An instrument that the host wants.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// The number to publish it under.
    pub instrument: u32,
    /// Exchange code of the OpenAlgo convention, such as `NSE` or `NSE_INDEX`.
    pub exchange: String,
    /// Symbol of the OpenAlgo convention.
    pub symbol: String,
    /// Highest mode that any client holds.
    pub mode: Mode,
    /// Levels wanted on each side: 5, 20, 30, 50 or 200 in mode DEPTH, 0 below.
    pub depth: u16,
}

impl Subscription {
    /// As the host would want it, for tests.
    pub fn new(instrument: u32, exchange: &str, symbol: &str, mode: Mode, depth: u16) -> Self {
        Self { instrument, exchange: exchange.to_owned(), symbol: symbol.to_owned(), mode, depth }
    }

    /// Whether it is an index, which has no book at any broker.
    pub fn is_index(&self) -> bool {
        self.exchange.ends_with("_INDEX")
    }

    /// What came over the boundary.
    pub(crate) fn of_abi(wanted: &adapter_abi::Subscription) -> Self {
        Self {
            instrument: wanted.instrument,
            exchange: wanted.exchange.to_string(),
            symbol: wanted.symbol.to_string(),
            mode: match wanted.mode {
                1 => Mode::Ltp,
                2 => Mode::Quote,
                _ => Mode::Depth,
            },
            depth: wanted.depth,
        }
    }
}

/// One price level of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price.
    pub price: Price,
    /// Quantity resting at the price.
    pub quantity: i64,
    /// Orders resting at the price, if the broker says.
    pub orders: Option<u32>,
}

impl From<&Level> for DepthLevel {
    fn from(level: &Level) -> Self {
        Self {
            price: level.price.0,
            quantity: level.quantity,
            orders: level.orders.unwrap_or(ORDERS_ABSENT),
            reserved: 0,
        }
    }
}

/// One tick. Set what the broker sent, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    pub(crate) quote: Quote,
}

macro_rules! values {
    ($($(#[$meta:meta])+ $name:ident($kind:ident) = $bit:ident;)+) => {
        impl Tick {
            $(
                $(#[$meta])+
                #[must_use]
                pub const fn $name(mut self, value: values!(@type $kind)) -> Self {
                    self.quote.$name = values!(@value $kind value);
                    self.quote.fields |= field::$bit;
                    self
                }
            )+

            /// These values, with those of a newer tick over them.
            pub(crate) const fn overlaid(mut self, newer: &Self) -> Self {
                $(
                    if newer.quote.fields & field::$bit != 0 {
                        self.quote.$name = newer.quote.$name;
                    }
                )+
                self.quote.fields |= newer.quote.fields;
                self
            }

            /// Without these values: bits of [`field`].
            pub(crate) const fn without(mut self, fields: u32) -> Self {
                $(
                    if fields & field::$bit != 0 {
                        self.quote.$name = 0;
                    }
                )+
                self.quote.fields &= !fields;
                self
            }
        }
    };
    (@type price) => { Price };
    (@type count) => { i64 };
    (@type time) => { u64 };
    (@value price $value:ident) => { $value.0 };
    (@value count $value:ident) => { $value };
    (@value time $value:ident) => { $value };
}

values! {
    /// Last traded price.
    ltp(price) = LTP;
    /// When the last trade happened, in nanoseconds since the Unix epoch, UTC.
    last_trade_ts_ns(time) = LAST_TRADE_TS;
    /// Quantity traded today.
    volume(count) = VOLUME;
    /// Quantity of the last trade.
    last_quantity(count) = LAST_QUANTITY;
    /// The exchange's time of this tick, in nanoseconds since the Unix epoch, UTC.
    exchange_ts_ns(time) = EXCHANGE_TS;
    /// First price of the day.
    open(price) = OPEN;
    /// Highest price of the day.
    high(price) = HIGH;
    /// Lowest price of the day.
    low(price) = LOW;
    /// What the broker calls close.
    close(price) = CLOSE;
    /// Volume-weighted average price of the day.
    average_price(price) = AVERAGE_PRICE;
    /// Resting buy quantity over the whole book.
    total_buy_quantity(count) = TOTAL_BUY_QUANTITY;
    /// Resting sell quantity over the whole book.
    total_sell_quantity(count) = TOTAL_SELL_QUANTITY;
    /// Last price minus previous close.
    change(price) = CHANGE;
    /// Change in percent: 0.56 for 0.56 %.
    change_percent(price) = CHANGE_PERCENT;
    /// Open interest.
    oi(count) = OI;
    /// Best bid.
    bid_price(price) = BID_PRICE;
    /// Best ask.
    ask_price(price) = ASK_PRICE;
    /// Quantity at the best bid.
    bid_size(count) = BID_SIZE;
    /// Quantity at the best ask.
    ask_size(count) = ASK_SIZE;
    /// Highest price allowed today.
    upper_circuit(price) = UPPER_CIRCUIT;
    /// Lowest price allowed today.
    lower_circuit(price) = LOWER_CIRCUIT;
    /// Close of the previous day, where the broker sends it apart from `close`.
    prev_close(price) = PREV_CLOSE;
    /// Highest open interest of the day.
    oi_high(count) = OI_HIGH;
    /// Lowest open interest of the day.
    oi_low(count) = OI_LOW;
}

impl Tick {
    /// A tick of this instrument, without any value.
    pub fn new(instrument: u32) -> Self {
        Self { quote: Quote { instrument, ..Quote::default() } }
    }

    /// Sets a value that is there: `tick.with(price, Tick::ltp)`.
    #[inline]
    #[must_use]
    pub fn with<T>(self, value: Option<T>, set: impl FnOnce(Self, T) -> Self) -> Self {
        match value {
            Some(value) => set(self, value),
            None => self,
        }
    }

    /// Says that the packet is an image: all that the broker knows of the values of this kind of tick. Those
    /// that are not set are gone, and clients do not go on seeing what was said before. Without this a tick
    /// is an update, which leaves what it does not set as it was.
    #[must_use]
    pub const fn image(mut self) -> Self {
        self.quote.fields |= field::IMAGE;
        self
    }

    /// Says that the packet is an update, which is what a tick is without [`Self::image`].
    #[must_use]
    pub const fn update(mut self) -> Self {
        self.quote.fields &= !field::IMAGE;
        self
    }

    /// The same values under another number: for brokers whose instrument has several.
    #[must_use]
    pub const fn numbered(mut self, instrument: u32) -> Self {
        self.quote.instrument = instrument;
        self
    }

    /// When the packet arrived, in nanoseconds since the Unix epoch. The SDK notes it when this is not set.
    #[must_use]
    pub const fn received_ts_ns(mut self, at: u64) -> Self {
        self.quote.received_ts_ns = at;
        self
    }

    pub(crate) fn as_ltp(&self) -> Ltp {
        Ltp::from(&self.quote)
    }
}

/// An order update, in the words of OpenAlgo's clients. What the broker does not say, or says in a way that
/// nobody can read, is left out: absent numbers are none, absent texts are empty, and neither is in what
/// clients get. [`crate::read`] has readers that keep to that.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[expect(missing_docs, reason = "each is the member of the same name in the protocol document")]
pub struct OrderUpdate {
    pub orderid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub symbol: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub exchange: String,
    /// `BUY` or `SELL`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_price: Option<f64>,
    /// `MARKET`, `LIMIT`, `SL` or `SL-M`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pricetype: String,
    /// `CNC`, `NRML` or `MIS`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub product: String,
    /// `open`, `trigger pending`, `complete`, `rejected`, `cancelled`, or the broker's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub order_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filled_quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection_reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_present() {
        let tick = Tick::new(7).ltp(Price::from_nanos(5)).oi(0);
        assert_eq!(tick.quote.fields, field::LTP | field::OI);
        assert_eq!(Tick::new(7).with(Some(Price::from_nanos(5)), Tick::ltp).with(Some(0), Tick::oi), tick);
        assert_eq!(tick.with(None, Tick::volume), tick);
        assert_eq!(tick.as_ltp().fields, field::LTP);
    }

    #[test]
    fn what_an_order_update_does_not_say_is_left_out() {
        let update = OrderUpdate { orderid: "1".to_owned(), ..OrderUpdate::default() };
        assert_eq!(serde_json::to_string(&update).unwrap(), r#"{"orderid":"1"}"#);
        let update = OrderUpdate { quantity: Some(0), action: "BUY".to_owned(), ..update };
        assert_eq!(serde_json::to_string(&update).unwrap(), r#"{"orderid":"1","action":"BUY","quantity":0}"#);
    }

    #[test]
    fn an_image_is_one_in_every_kind_of_record() {
        let tick = Tick::new(7).ltp(Price::from_nanos(5)).open(Price::from_nanos(4)).image();
        assert_eq!(tick.quote.fields, field::LTP | field::OPEN | field::IMAGE);
        assert_eq!(tick.as_ltp().fields, field::LTP | field::IMAGE);
    }
}
