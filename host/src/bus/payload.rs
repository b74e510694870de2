//! Bodies of market-data messages: one JSON object, or a list of them, into records.
//!
//! Publishers disagree about names, units and types; what they agree about is taken, the rest left absent. A value that
//! cannot be read is absent too and is counted, so that one bad member does not cost the price beside it. Nothing is
//! allocated for numbers and their names.

mod number;

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use self::number::{Number, NumberSeed};
use super::topic;
use crate::model::{DepthLevel, MAX_DEPTH_LEVELS, Mode, ORDERS_ABSENT, Quote, field};

/// The values of one tick. Kept between ticks for the capacity of its lists.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) quote: Quote,
    pub(super) buy: Vec<DepthLevel>,
    pub(super) sell: Vec<DepthLevel>,
    /// Whether the body had a book; an empty one is something else than none.
    pub(super) has_book: bool,
    /// Values that could not be read.
    pub(super) bad_values: u64,
    is_book_spoilt: bool,
}

impl Record {
    fn clear(&mut self) {
        self.quote = Quote::default();
        self.buy.clear();
        self.sell.clear();
        self.has_book = false;
        self.bad_values = 0;
        self.is_book_spoilt = false;
    }

    /// Whether nothing that could be read was in the body.
    pub(super) const fn is_empty(&self) -> bool {
        self.quote.fields & !field::EXCHANGE_TS == 0 && !self.has_book
    }
}

/// What an element of a batch calls itself. In a body of one tick the topic counts, and this does not.
#[derive(Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) exchange: Option<Cow<'a, str>>,
    pub(super) symbol: Option<Cow<'a, str>>,
    /// None when it is absent.
    pub(super) mode: Option<NamedMode>,
}

/// A mode as a publisher wrote it; none when it is not one.
#[derive(Clone, Copy, Debug)]
pub(super) struct NamedMode(pub(super) Option<Mode>);

/// What a body turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// One tick.
    Single,
    /// A list of ticks.
    Batch,
}

/// Reads a body and gives each tick to `each`, which is told whether it stands in a batch. Ticks before a mistake in the
/// JSON have been given by the time that it is found.
pub(super) fn read(
    body: &[u8],
    record: &mut Record,
    each: &mut dyn FnMut(Body, &Names<'_>, &Record),
) -> Result<Body, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let kind = json.deserialize_any(BodyVisitor { record, each })?;
    json.end()?;
    Ok(kind)
}

struct BodyVisitor<'r> {
    record: &'r mut Record,
    each: &'r mut dyn FnMut(Body, &Names<'_>, &Record),
}

impl<'de> Visitor<'de> for BodyVisitor<'_> {
    type Value = Body;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tick, or a list of ticks")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Body, A::Error> {
        let names = ElementVisitor(self.record).visit_map(map)?;
        (self.each)(Body::Single, &names, self.record);
        Ok(Body::Single)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Body, A::Error> {
        while let Some(names) = seq.next_element_seed(ElementVisitor(self.record))? {
            (self.each)(Body::Batch, &names, self.record);
        }
        Ok(Body::Batch)
    }
}

/// What a member means.
#[derive(Clone, Copy)]
enum Member {
    Price(u32, fn(&mut Quote) -> &mut i64),
    Quantity(u32, fn(&mut Quote) -> &mut i64),
    Time(u32, fn(&mut Quote) -> &mut u64),
    Book,
    Bids,
    Asks,
    Exchange,
    Symbol,
    Mode,
    Other,
}

impl Member {
    fn named(name: &str) -> Self {
        use Member::{Price, Quantity, Time};
        match name {
            "ltp" => Price(field::LTP, |quote| &mut quote.ltp),
            "open" => Price(field::OPEN, |quote| &mut quote.open),
            "high" => Price(field::HIGH, |quote| &mut quote.high),
            "low" => Price(field::LOW, |quote| &mut quote.low),
            "close" => Price(field::CLOSE, |quote| &mut quote.close),
            "average_price" | "avg_trade_price" | "atp" => {
                Price(field::AVERAGE_PRICE, |quote| &mut quote.average_price)
            }
            "change" | "price_change" => Price(field::CHANGE, |quote| &mut quote.change),
            "change_percent" | "percent_change" | "price_change_percent" => {
                Price(field::CHANGE_PERCENT, |quote| &mut quote.change_percent)
            }
            "bid_price" | "bid" => Price(field::BID_PRICE, |quote| &mut quote.bid_price),
            "ask_price" | "ask" => Price(field::ASK_PRICE, |quote| &mut quote.ask_price),
            "upper_circuit" => Price(field::UPPER_CIRCUIT, |quote| &mut quote.upper_circuit),
            "lower_circuit" => Price(field::LOWER_CIRCUIT, |quote| &mut quote.lower_circuit),
            "prev_close" => Price(field::PREV_CLOSE, |quote| &mut quote.prev_close),
            "volume" => Quantity(field::VOLUME, |quote| &mut quote.volume),
            "last_trade_quantity" | "last_quantity" | "last_traded_quantity" | "ltq" => {
                Quantity(field::LAST_QUANTITY, |quote| &mut quote.last_quantity)
            }
            "total_buy_quantity" | "totalbuyqty" => {
                Quantity(field::TOTAL_BUY_QUANTITY, |quote| &mut quote.total_buy_quantity)
            }
            "total_sell_quantity" | "totalsellqty" => {
                Quantity(field::TOTAL_SELL_QUANTITY, |quote| &mut quote.total_sell_quantity)
            }
            "oi" | "open_interest" => Quantity(field::OI, |quote| &mut quote.oi),
            "oi_high" => Quantity(field::OI_HIGH, |quote| &mut quote.oi_high),
            "oi_low" => Quantity(field::OI_LOW, |quote| &mut quote.oi_low),
            "bid_size" | "bid_qty" | "bid_quantity" => Quantity(field::BID_SIZE, |quote| &mut quote.bid_size),
            "ask_size" | "ask_qty" | "ask_quantity" => Quantity(field::ASK_SIZE, |quote| &mut quote.ask_size),
            "timestamp" => Time(field::EXCHANGE_TS, |quote| &mut quote.exchange_ts_ns),
            "ltt" | "last_traded_time" => Time(field::LAST_TRADE_TS, |quote| &mut quote.last_trade_ts_ns),
            "depth" => Self::Book,
            "bids" => Self::Bids,
            "asks" => Self::Asks,
            "exchange" => Self::Exchange,
            "symbol" => Self::Symbol,
            "mode" => Self::Mode,
            _ => Self::Other,
        }
    }
}

/// Reads the name of a member without keeping it.
struct NameSeed<T>(fn(&str) -> T);

impl<'de, T> DeserializeSeed<'de> for NameSeed<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<T> Visitor<'_> for NameSeed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<T, E> {
        Ok((self.0)(name))
    }
}

/// Reads one tick into a record.
struct ElementVisitor<'r>(&'r mut Record);

impl<'de> DeserializeSeed<'de> for ElementVisitor<'_> {
    type Value = Names<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Names<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ElementVisitor<'_> {
    type Value = Names<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tick, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names<'de>, A::Error> {
        let record = self.0;
        record.clear();
        let mut names = Names::default();
        while let Some(member) = map.next_key_seed(NameSeed(Member::named))? {
            match member {
                Member::Price(bit, place) => {
                    let value = map.next_value_seed(NumberSeed)?;
                    // Publishers write 0 where they do not know the last price yet.
                    let price =
                        value.price().map(|price| price.filter(|price| bit != field::LTP || *price != 0));
                    record.put(bit, price, place);
                }
                Member::Quantity(bit, place) => {
                    let value = map.next_value_seed(NumberSeed)?;
                    record.put(bit, value.quantity(), place);
                }
                Member::Time(bit, place) => {
                    let value = map.next_value_seed(NumberSeed)?;
                    record.put(bit, value.time_ns(), place);
                }
                Member::Book => map.next_value_seed(BookSeed(record))?,
                Member::Bids => map.next_value_seed(SideSeed(record, Side::Buy))?,
                Member::Asks => map.next_value_seed(SideSeed(record, Side::Sell))?,
                Member::Exchange => names.exchange = text(map.next_value_seed(NumberSeed)?),
                Member::Symbol => names.symbol = text(map.next_value_seed(NumberSeed)?),
                Member::Mode => names.mode = mode(&map.next_value_seed(NumberSeed)?),
                Member::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if record.is_book_spoilt {
            record.has_book = false;
            record.buy.clear();
            record.sell.clear();
        }
        Ok(names)
    }
}

/// A name; an empty one is none, as in a topic.
fn text(value: Number<'_>) -> Option<Cow<'_, str>> {
    match value {
        Number::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

fn mode(value: &Number<'_>) -> Option<NamedMode> {
    match value {
        Number::Absent => None,
        Number::Text(text) => Some(NamedMode(topic::mode_named(text))),
        Number::Whole(number) => Some(NamedMode(u8::try_from(*number).ok().and_then(Mode::from_number))),
        Number::Fraction(_) | Number::Other => Some(NamedMode(None)),
    }
}

impl Record {
    fn put<T>(
        &mut self,
        bit: u32,
        value: Result<Option<T>, number::Unreadable>,
        place: fn(&mut Quote) -> &mut T,
    ) {
        match value {
            Ok(Some(value)) => {
                *place(&mut self.quote) = value;
                self.quote.fields |= bit;
            }
            Ok(None) => {}
            Err(number::Unreadable) => self.bad_values += 1,
        }
    }

    fn side(&mut self, side: Side) -> &mut Vec<DepthLevel> {
        match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        }
    }

    /// A book with a level that cannot be read is no book: to leave the level out would show another market.
    fn spoil_book(&mut self) {
        self.bad_values += 1;
        self.is_book_spoilt = true;
    }
}

#[derive(Clone, Copy)]
enum Side {
    Buy,
    Sell,
}

/// Reads `{"buy": […], "sell": […]}`. Anything else is no book.
struct BookSeed<'r>(&'r mut Record);

impl<'de> DeserializeSeed<'de> for BookSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(number::Lenient(self))
    }
}

impl<'de> number::Container<'de> for BookSeed<'_> {
    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let side = |name: &str| match name {
            "buy" | "bids" => Some(Side::Buy),
            "sell" | "asks" => Some(Side::Sell),
            _ => None,
        };
        while let Some(side) = map.next_key_seed(NameSeed(side))? {
            match side {
                Some(side) => map.next_value_seed(SideSeed(self.0, side))?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn other(self, is_null: bool) {
        if !is_null {
            self.0.spoil_book();
        }
    }
}

/// Reads the levels of one side, best first.
struct SideSeed<'r>(&'r mut Record, Side);

impl<'de> DeserializeSeed<'de> for SideSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(number::Lenient(self))
    }
}

impl<'de> number::Container<'de> for SideSeed<'_> {
    fn seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(record, side) = self;
        record.side(side).clear();
        record.has_book = true;
        let mut is_readable = true;
        while let Some(level) = seq.next_element_seed(LevelSeed)? {
            match level {
                // Books of fewer levels are filled up with zeros by some publishers.
                Some(level) if level.price == 0 && level.quantity == 0 => {}
                Some(level) if record.side(side).len() < usize::from(MAX_DEPTH_LEVELS) => {
                    record.side(side).push(level);
                }
                Some(_) => {}
                None => is_readable = false,
            }
        }
        if !is_readable {
            record.spoil_book();
        }
        Ok(())
    }

    fn other(self, is_null: bool) {
        if !is_null {
            self.0.spoil_book();
        }
    }
}

/// Reads `{"price": …, "quantity": …, "orders": …}`; none when price or quantity is missing or unreadable.
struct LevelSeed;

impl<'de> DeserializeSeed<'de> for LevelSeed {
    type Value = Option<DepthLevel>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut level = None;
        deserializer.deserialize_any(number::Lenient(LevelVisitor(&mut level)))?;
        Ok(level)
    }
}

struct LevelVisitor<'r>(&'r mut Option<DepthLevel>);

impl<'de> number::Container<'de> for LevelVisitor<'_> {
    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        #[derive(Clone, Copy)]
        enum Part {
            Price,
            Quantity,
            Orders,
            Other,
        }
        let part = |name: &str| match name {
            "price" => Part::Price,
            "quantity" | "qty" => Part::Quantity,
            "orders" => Part::Orders,
            _ => Part::Other,
        };
        let (mut price, mut quantity, mut orders) = (None, None, ORDERS_ABSENT);
        while let Some(part) = map.next_key_seed(NameSeed(part))? {
            match part {
                Part::Price => price = map.next_value_seed(NumberSeed)?.price().ok().flatten(),
                Part::Quantity => quantity = map.next_value_seed(NumberSeed)?.quantity().ok().flatten(),
                Part::Orders => {
                    let value = map.next_value_seed(NumberSeed)?.quantity().ok().flatten();
                    orders = value.and_then(|value| u32::try_from(value).ok()).unwrap_or(ORDERS_ABSENT);
                }
                Part::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if let (Some(price), Some(quantity)) = (price, quantity) {
            *self.0 = Some(DepthLevel { price, quantity, orders, reserved: 0 });
        }
        Ok(())
    }

    fn other(self, _is_null: bool) {}
}

#[cfg(test)]
mod tests;
