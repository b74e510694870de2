//! What a message says, in whatever form it comes: as JSON ([`json`]), as the text of what has changed
//! ([`partial`]), or packed ([`binary`]).

pub mod binary;
pub mod json;
pub mod partial;

pub use adapter_sdk::instruments::ExchangeToken as Key;
use adapter_sdk::{
    Price, Tick,
    abi::field,
    read::{self, Number, Sign},
    serde_json,
    sparse::Row,
    symbol::{Exchange, digits},
};

/// Levels on each side of a book.
pub const LEVELS: usize = 5;

/// What a message is about, by the number that the broker has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "others are passed over")]
pub enum Code {
    /// Limits of a price.
    Bands = 1_105,
    /// Prices, and the best bid and ask.
    Touchline = 1_501,
    /// The same with a book.
    Depth = 1_502,
    /// An index.
    Index = 1_504,
    /// Open interest.
    OpenInterest = 1_510,
    /// The last price.
    Ltp = 1_512,
}

impl Code {
    /// That of a number.
    pub const fn of(number: i64) -> Option<Self> {
        Some(match number {
            1_105 => Self::Bands,
            1_501 => Self::Touchline,
            1_502 => Self::Depth,
            1_504 => Self::Index,
            1_510 => Self::OpenInterest,
            1_512 => Self::Ltp,
            _ => return None,
        })
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self as u16
    }
}

/// The exchange of a segment.
pub const fn exchange_of(segment: i64) -> Option<Exchange> {
    Some(match segment {
        1 => Exchange::Nse,
        2 => Exchange::Nfo,
        3 => Exchange::Cds,
        11 => Exchange::Bse,
        12 => Exchange::Bfo,
        13 => Exchange::Bcd,
        51 => Exchange::Mcx,
        _ => return None,
    })
}

/// The segment of an exchange, with the name that lists have for it. None for what no broker of the family
/// has.
pub const fn segment_of(exchange: Exchange) -> Option<(u16, &'static str)> {
    Some(match exchange {
        Exchange::Nse => (1, "NSECM"),
        Exchange::Nfo => (2, "NSEFO"),
        Exchange::Cds => (3, "NSECD"),
        Exchange::Bse => (11, "BSECM"),
        Exchange::Bfo => (12, "BSEFO"),
        Exchange::Bcd => (13, "BSECD"),
        Exchange::Mcx => (51, "MCXFO"),
        _ => return None,
    })
}

/// The instrument of a segment and a number.
pub fn key(segment: i64, number: i64) -> Option<Key> {
    let token = u32::try_from(number).ok().filter(|token| *token > 0)?;
    Some(Key { exchange: exchange_of(segment)?, token })
}

/// Who a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it is one or the other")]
pub enum About<'a> {
    /// An instrument.
    Instrument(Key),
    /// An index, by the exchange that it is of and the broker's name: its number is not said.
    Index(Exchange, &'a str),
}

impl About<'_> {
    /// The exchange.
    pub const fn exchange(&self) -> Exchange {
        match self {
            Self::Instrument(key) => key.exchange,
            Self::Index(exchange, _) => *exchange,
        }
    }
}

/// What a message says.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "it is what the formats have in common")]
pub struct News<'a> {
    /// What it is about.
    pub code: Code,
    /// Whom.
    pub about: About<'a>,
    /// Whether it is all that the broker knows under this code.
    pub is_image: bool,
    /// The values.
    pub tick: Tick,
    /// Those that it takes back: bits of [`field`].
    pub none: u32,
    /// Rows of the book, bids and asks.
    pub rows: [[Row; LEVELS]; 2],
}

impl<'a> News<'a> {
    pub(crate) fn new(code: Code, about: About<'a>, is_image: bool) -> Self {
        let row = Row { price: None, quantity: None, orders: None };
        Self { code, about, is_image, tick: Tick::new(0), none: 0, rows: [[row; LEVELS]; 2] }
    }

    const fn sign(&self) -> Sign {
        self.about.exchange().sign()
    }

    fn with<T>(&mut self, value: Option<T>, set: impl Fn(Tick, T) -> Tick) {
        self.tick = self.tick.with(value, set);
    }

    /// Takes a value that is written as a text or a number.
    pub(crate) fn take(&mut self, value: Value, number: &Number<'_>) {
        let Some(text) = number.as_written() else { return };
        if let Some((bit, set)) = value.price() {
            match number.price(self.sign()) {
                None if is_zero(text) => self.none |= bit,
                price => self.with(price, set),
            }
            return;
        }
        match value {
            Value::ChangePercent => {
                let change = Price::parse(text).or_else(|| Price::from_f64(text.parse().ok()?));
                self.with(change, Tick::change_percent);
            }
            Value::TradedAt | Value::UpdatedAt => self.at(value, read::count(text)),
            _ => self.count(value, number.quantity()),
        }
    }

    /// Takes a value that is packed.
    pub(crate) fn take_float(&mut self, value: Value, float: f64) {
        match value.price() {
            Some((bit, _)) if float == 0.0 => self.none |= bit,
            Some((_, set)) => self.with(read::float(float, self.sign()), set),
            None => self.with(Price::from_f64(float), Tick::change_percent),
        }
    }

    /// Takes a count, or a time in seconds.
    pub(crate) fn count(&mut self, value: Value, count: Option<i64>) {
        match (value, count) {
            (Value::LastQuantity, Some(0)) => self.none |= field::LAST_QUANTITY,
            (Value::LastQuantity, count) => self.with(count, Tick::last_quantity),
            (Value::Volume, count) => self.with(count, Tick::volume),
            (Value::TotalBuy, count) => self.with(count, Tick::total_buy_quantity),
            (Value::TotalSell, count) => self.with(count, Tick::total_sell_quantity),
            (Value::OpenInterest, count) => self.with(count, Tick::oi),
            _ => {}
        }
    }

    /// Takes a time, in the seconds of the segment.
    pub(crate) fn at(&mut self, value: Value, seconds: Option<i64>) {
        let at = seconds.map(|seconds| time(self.about.exchange(), seconds));
        let (bit, set) = match value {
            Value::TradedAt => (field::LAST_TRADE_TS, Tick::last_trade_ts_ns as fn(Tick, u64) -> Tick),
            _ => (field::EXCHANGE_TS, Tick::exchange_ts_ns as fn(Tick, u64) -> Tick),
        };
        if at == Some(None) {
            self.none |= bit;
        }
        self.with(at.flatten(), set);
    }

    /// What follows from the rest, when all of it is there: without a last price, or a close of the day
    /// before, there is no change.
    pub(crate) fn settled(mut self) -> Self {
        if self.none & (field::LTP | field::CLOSE) != 0 {
            self.none |= field::CHANGE_PERCENT;
        }
        self
    }
}

/// A value of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Ltp,
    LastQuantity,
    Volume,
    Average,
    Open,
    High,
    Low,
    Close,
    TotalBuy,
    TotalSell,
    ChangePercent,
    TradedAt,
    UpdatedAt,
    OpenInterest,
    UpperCircuit,
    LowerCircuit,
}

impl Value {
    /// Of a price its bit of [`field`], and how it is set.
    const fn price(self) -> Option<(u32, fn(Tick, Price) -> Tick)> {
        Some(match self {
            Self::Ltp => (field::LTP, Tick::ltp),
            Self::Average => (field::AVERAGE_PRICE, Tick::average_price),
            Self::Open => (field::OPEN, Tick::open),
            Self::High => (field::HIGH, Tick::high),
            Self::Low => (field::LOW, Tick::low),
            Self::Close => (field::CLOSE, Tick::close),
            Self::UpperCircuit => (field::UPPER_CIRCUIT, Tick::upper_circuit),
            Self::LowerCircuit => (field::LOWER_CIRCUIT, Tick::lower_circuit),
            _ => return None,
        })
    }
}

/// Nanoseconds since the Unix epoch, UTC, of the seconds of a segment: those of NSE begin with 1980 and all
/// others with 1970, by the clock of India. None for what is no time.
pub fn time(exchange: Exchange, seconds: i64) -> Option<u64> {
    /// From 1970 to 1980.
    const DECADE: i64 = 315_532_800;
    /// How far the clock of India is ahead.
    const AHEAD: i64 = 19_800;
    let is_nse = matches!(exchange, Exchange::Nse | Exchange::Nfo | Exchange::Cds);
    let base = if is_nse { DECADE - AHEAD } else { -AHEAD };
    if seconds <= 0 {
        return None;
    }
    read::seconds(seconds.checked_add(base)?)
}

/// Reads an event, whose name says the code and the form: `1502-json-full`. None of other codes and of what
/// is packed, which comes in a message of its own; some brokers call every event `message`.
///
/// # Errors
/// When the event is of a code that matters, and makes no sense.
pub fn read_event<'a>(name: &str, text: &'a str) -> Result<Option<News<'a>>, Senseless> {
    if name == "message" {
        return Ok(json::read(text, None));
    }
    let Some((code, form)) = name.split_once("-json-") else { return Ok(None) };
    let Some(code) = digits(code).and_then(Code::of) else { return Ok(None) };
    let news = match form {
        "full" => json::read(text, Some(code)).filter(|news| news.code == code),
        "partial" => partial::read(text, code),
        _ => return Ok(None),
    };
    news.map(Some).ok_or(Senseless)
}

/// An event makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not say what it is about, or is neither an object nor pairs")]
pub struct Senseless;

/// A number that stands by itself in a text; none of it when that is empty or anything else.
pub(crate) fn number(text: &str) -> Number<'_> {
    serde_json::from_str(text).unwrap_or_default()
}

/// A row of a book. A price that makes no sense is none; what cannot be read stays.
pub(crate) fn row(price: &Number<'_>, size: &Number<'_>, orders: &Number<'_>) -> Row {
    let price = price.as_written().map(|_| price.price(Sign::Either).unwrap_or_default());
    let orders = orders.quantity().and_then(|orders| u32::try_from(orders).ok());
    Row { price, quantity: size.quantity(), orders }
}

fn is_zero(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_codes_have_numbers_of_which_no_two_are_alike() {
        for exchange in Exchange::ALL {
            if let Some((segment, _)) = segment_of(*exchange) {
                assert_eq!(exchange_of(segment.into()), Some(*exchange));
            }
        }
        for number in [1_105, 1_501, 1_502, 1_504, 1_510, 1_512] {
            assert_eq!(Code::of(number).map(|code| i64::from(code.number())), Some(number));
        }
        assert_eq!((Code::of(1_505), exchange_of(0), key(1, 0), key(1, -1)), (None, None, None, None));
    }

    #[test]
    fn times_are_of_the_epoch_of_their_segment_and_of_the_clock_of_india() {
        // 09:15:00 in India on 25 November 2026.
        let nine = 1_795_578_300_000_000_000;
        let local = 1_795_578_300 + 19_800;
        assert_eq!(time(Exchange::Bse, local), Some(nine));
        assert_eq!(time(Exchange::Mcx, local), Some(nine));
        for exchange in [Exchange::Nse, Exchange::Nfo, Exchange::Cds] {
            assert_eq!(time(exchange, local - 315_532_800), Some(nine));
            for none in [0, -1, i64::MIN, i64::MAX] {
                assert_eq!(time(exchange, none), None);
            }
        }
    }
}
