//! Ticks as authors write them: a value that is not set is absent, and shows nowhere.

use adapter_abi::{DepthLevel, Ltp, ORDERS_ABSENT, PRICE_SCALE, Quote, field};

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

impl From<&adapter_abi::Subscription> for Subscription {
    fn from(wanted: &adapter_abi::Subscription) -> Self {
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

/// A price, exact to 10^-9, up to 9.22 × 10^9.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

impl Price {
    /// From units of 10^-9.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From an integer with `decimals` decimal places, as most brokers send it: paise are `(62_550, 2)`. None when it
    /// does not fit; `decimals` is at most 9.
    pub const fn from_scaled(value: i64, decimals: u32) -> Option<Self> {
        // A table: this is done for every price of every packet.
        let units = match decimals {
            0 => 1_000_000_000,
            1 => 100_000_000,
            2 => 10_000_000,
            3 => 1_000_000,
            4 => 100_000,
            5 => 10_000,
            6 => 1_000,
            7 => 100,
            8 => 10,
            9 => 1,
            _ => return None,
        };
        match value.checked_mul(units) {
            Some(nanos) => Some(Self(nanos)),
            None => None,
        }
    }

    /// From a floating-point number, rounded to 10^-4 when it is too large for more to be meant. None for what is no
    /// number, or does not fit.
    pub fn from_f64(value: f64) -> Option<Self> {
        // Beyond 2^53 / 10^9 the ninth place is noise of the conversion.
        const EXACT_BELOW: f64 = 9.0e6;
        const LIMIT: f64 = 9.2e9;
        if !value.is_finite() || value.abs() >= LIMIT {
            return None;
        }
        let (scale, factor) = if value.abs() < EXACT_BELOW { (1e9, 1) } else { (1e4, 100_000) };
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked above")]
        let scaled = (value * scale).round() as i64;
        scaled.checked_mul(factor).map(Self)
    }

    /// From a decimal number as text, exactly: `625.05`, `-0.5`, `1500`, and with spaces around it. Digits beyond the ninth
    /// decimal place must be zeros. None for anything else, such as an exponent, a comma, an empty text, and what does not fit.
    ///
    /// What a broker's text means by zero is for [`read::plausible`](crate::read::plausible) to say.
    pub fn parse(text: &str) -> Option<Self> {
        const PLACES: usize = 9;
        let text = text.trim();
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
        let (kept, rest) = fraction.split_at_checked(fraction.len().min(PLACES))?;
        if rest.bytes().any(|byte| byte != b'0') {
            return None;
        }
        let zeros = std::iter::repeat_n(b'0', PLACES - kept.len());
        // Below zero there is room for one more.
        let sign = if is_negative { -1 } else { 1 };
        whole
            .bytes()
            .chain(kept.bytes())
            .chain(zeros)
            .try_fold(0_i64, |sum, byte| sum.checked_mul(10)?.checked_add(sign * digit(byte)?))
            .map(Self)
    }

    /// In units of 10^-9.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// As a floating-point number, for arithmetic that need not be exact.
    #[expect(clippy::cast_precision_loss, reason = "says so")]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / PRICE_SCALE as f64
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

    /// Says that the packet is an image: all that the broker knows of the values of this kind of tick. Those that are not
    /// set are gone, and clients do not go on seeing what was said before. Without this a tick is an update, which leaves
    /// what it does not set as it was.
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

/// An order update, in the words of OpenAlgo's clients. What the broker does not say, or says in a way that nobody can
/// read, is left out: absent numbers are none, absent texts are empty, and neither is in what clients get. [`crate::read`]
/// has readers that keep to that.
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
    fn prices_are_exact() {
        assert_eq!(Price::from_f64(625.05), Price::from_scaled(62_505, 2));
        assert_eq!(Price::from_f64(0.1 + 0.2).unwrap().as_nanos(), 300_000_000);
        assert_eq!(Price::from_f64(8_500_000.25), Price::from_scaled(850_000_025, 2));
        assert_eq!(Price::from_f64(-12.5), Price::from_scaled(-125, 1));
        assert_eq!(Price::from_f64(9_100_000.05), Price::from_scaled(910_000_005, 2));
        for nonsense in [f64::NAN, f64::INFINITY, 1e10, -1e300] {
            assert_eq!(Price::from_f64(nonsense), None);
        }
        assert_eq!(Price::from_scaled(i64::MAX, 0), None);
        assert_eq!(Price::from_scaled(1, 10), None);
    }

    #[test]
    fn prices_are_read_from_text_exactly_or_not_at_all() {
        for (text, nanos) in [
            ("625.05", 625_050_000_000),
            (" 1500 ", 1_500_000_000_000),
            ("-0.5", -500_000_000),
            ("+1", 1_000_000_000),
            (".25", 250_000_000),
            ("7.", 7_000_000_000),
            ("0.0000000010000", 1),
            ("9223372036.854775807", i64::MAX),
            ("-9223372036.854775808", i64::MIN),
            ("0", 0),
        ] {
            assert_eq!(Price::parse(text), Some(Price::from_nanos(nanos)), "{text}");
        }
        for text in [
            "",
            " ",
            ".",
            "-",
            "+",
            "--1",
            "1e3",
            "1,500",
            "1.2.3",
            "NaN",
            "inf",
            "1 2",
            "0.0000000001",
            "\u{661}",
            "9223372036.854775808",
            "99999999999999999999",
            "1é",
            "0.é00000000",
            "1.00000000é",
        ] {
            assert_eq!(Price::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_is_set_is_present() {
        let tick = Tick::new(7).ltp(Price::from_nanos(5)).oi(0);
        assert_eq!(tick.quote.fields, field::LTP | field::OI);
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
