//! Bodies of market-data messages: one JSON object, or a list of them, into records.
//!
//! Publishers disagree about names, units and types; what they agree about is taken, the rest left absent. A
//! value that cannot be read is absent too and is counted, so that one bad member does not cost the price
//! beside it. Nothing is allocated for numbers and their names.

mod book;
mod greeks;
mod member;
mod number;
mod repair;
mod time;

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tickhost_core::{
    book::UNKNOWN_COUNT,
    model::{DepthLevel, Greeks, Mode, Quote, field},
};

pub(super) use self::book::Book;
use self::{
    book::{BookSeed, Side, SideSeed},
    greeks::GreeksSeed,
    member::Member,
    number::{Container, Fault, Lenient, Number, NumberSeed},
};
use super::topic;

/// The values of one tick. Kept between ticks for the capacity of its lists.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) quote: Quote,
    pub(super) buy: Vec<DepthLevel>,
    pub(super) sell: Vec<DepthLevel>,
    /// What the body says of the book; an empty one is something else than none.
    pub(super) book: Book,
    /// Whether the body says what the greeks are, and which; without any value it says that there are none.
    pub(super) has_greeks: bool,
    pub(super) greeks: Greeks,
    /// What was left out.
    pub(super) faults: Faults,
}

/// Values that were left out, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// They are not what their member should be, or out of range.
    pub(super) unreadable: u64,
    /// Words for what is no finite number.
    pub(super) not_finite: u64,
    /// Counts that are not whole.
    pub(super) fractions: u64,
    /// Books with a level that cannot be shown.
    pub(super) books: u64,
}

impl Faults {
    /// Counts a value that is left out; gives one that is not.
    fn sort<T>(&mut self, value: Result<Option<T>, Fault>) -> Option<T> {
        match value {
            Ok(value) => return value,
            Err(Fault::Unreadable) => self.unreadable += 1,
            Err(Fault::NotFinite) => self.not_finite += 1,
            Err(Fault::Fraction) => self.fractions += 1,
        }
        None
    }
}

impl Record {
    fn clear(&mut self) {
        self.quote = Quote::default();
        self.buy.clear();
        self.sell.clear();
        self.book = Book::Absent;
        self.has_greeks = false;
        self.greeks = Greeks::default();
        self.faults = Faults::default();
    }

    /// Whether nothing that could be read was in the body.
    pub(super) fn is_empty(&self) -> bool {
        self.quote.fields & !field::EXCHANGE_TS == 0 && self.book == Book::Absent && !self.has_greeks
    }

    fn put<T>(&mut self, bit: u32, value: Result<Option<T>, Fault>, place: fn(&mut Quote) -> &mut T) {
        if let Some(value) = self.faults.sort(value) {
            *place(&mut self.quote) = value;
            self.quote.fields |= bit;
        }
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

/// Reads a body and gives each tick to `each`, which is told whether it stands in a batch. Ticks before a
/// mistake in the JSON have been given by the time that it is found. What had to be taken out of the body to
/// read it, wherever it stood, is in the answer; `scratch` is for that case only.
pub(super) fn read(
    body: &[u8],
    record: &mut Record,
    scratch: &mut Vec<u8>,
    each: &mut dyn FnMut(Body, &Names<'_>, &Record),
) -> Result<Faults, serde_json::Error> {
    let mut given = 0_usize;
    let first = parse(body, record, &mut |kind, names, record| {
        given += 1;
        each(kind, names, record);
    });
    let Err(error) = first else { return Ok(Faults::default()) };
    // Something else than a body that ends too early.
    let removed = if error.is_syntax() { repair::repair(body, scratch) } else { None };
    let Some(removed) = removed else { return Err(error) };
    // What stood before the first of these values was given, and is the same as before.
    let mut again = 0_usize;
    parse(scratch, record, &mut |kind, names, record| {
        again += 1;
        if again > given {
            each(kind, names, record);
        }
    })?;
    Ok(Faults { unreadable: removed.unreadable, not_finite: removed.not_finite, ..Faults::default() })
}

fn parse(
    body: &[u8],
    record: &mut Record,
    each: &mut dyn FnMut(Body, &Names<'_>, &Record),
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(body);
    json.deserialize_any(BodyVisitor { record, each })?;
    json.end()
}

struct BodyVisitor<'r> {
    record: &'r mut Record,
    each: &'r mut dyn FnMut(Body, &Names<'_>, &Record),
}

impl<'de> Visitor<'de> for BodyVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tick, or a list of ticks")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        Element { record: self.record, names: &mut names }.map(map)?;
        (self.each)(Body::Single, &names, self.record);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let mut names = Names::default();
            let element = Element { record: self.record, names: &mut names };
            if seq.next_element_seed(element)?.is_none() {
                return Ok(());
            }
            (self.each)(Body::Batch, &names, self.record);
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

/// Reads one tick into a record. What is no object says nothing at all.
struct Element<'r, 'de> {
    record: &'r mut Record,
    names: &'r mut Names<'de>,
}

impl<'de> DeserializeSeed<'de> for Element<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Lenient(self))
    }
}

impl<'de> Container<'de> for Element<'_, 'de> {
    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { record, names } = self;
        record.clear();
        while let Some(member) = map.next_key_seed(NameSeed(Member::named))? {
            match member {
                Member::Price(bit, place) => {
                    let value = map.next_value_seed(NumberSeed)?;
                    // Publishers write 0 where they do not know a price yet. A change of 0 is one.
                    let is_change = bit & (field::CHANGE | field::CHANGE_PERCENT) != 0;
                    let price = value.price().map(|price| price.filter(|price| is_change || *price != 0));
                    record.put(bit, price, place);
                }
                Member::Quantity(bit, place) => {
                    let quantity = map.next_value_seed(NumberSeed)?.quantity();
                    // It has changed, so what was known before is not true any more.
                    if matches!(quantity, Err(Fault::Fraction)) {
                        record.put(bit, Ok(Some(UNKNOWN_COUNT)), place);
                    }
                    record.put(bit, quantity, place);
                }
                Member::Time(bit, place) => {
                    let value = map.next_value_seed(NumberSeed)?;
                    record.put(bit, value.time_ns(), place);
                }
                Member::Greeks => map.next_value_seed(GreeksSeed(record))?,
                Member::ImpliedVolatility => {
                    let volatility = map.next_value_seed(NumberSeed)?.price();
                    record.put_volatility(volatility);
                }
                Member::Book => map.next_value_seed(BookSeed(record))?,
                Member::Bids => map.next_value_seed(SideSeed(record, Side::Buy))?,
                Member::Asks => map.next_value_seed(SideSeed(record, Side::Sell))?,
                Member::Exchange => names.exchange = text(map.next_value_seed(NumberSeed)?),
                Member::Symbol => names.symbol = text(map.next_value_seed(NumberSeed)?),
                Member::Mode => {
                    let value = map.next_value_seed(NumberSeed)?;
                    names.mode = record.faults.sort(mode(&value));
                }
                Member::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        record.settle_book();
        Ok(())
    }

    fn other(self, _is_null: bool) {
        self.record.clear();
    }
}

/// A name; an empty one is none, as in a topic.
fn text(value: Number<'_>) -> Option<Cow<'_, str>> {
    match value {
        Number::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// A mode by its name or number. What is neither, a name that no mode has included, says none.
fn mode(value: &Number<'_>) -> Result<Option<NamedMode>, Fault> {
    if let Number::Text(text) = value
        && let Some(mode) = topic::mode_named(text)
    {
        return Ok(Some(NamedMode(Some(mode))));
    }
    let number = match value.resolved() {
        Ok(None) => return Ok(None),
        Ok(Some(_)) => value.quantity().ok().flatten().and_then(|number| u8::try_from(number).ok()),
        Err(_) if matches!(value, Number::Text(_)) => None,
        Err(fault) => return Err(fault),
    };
    Ok(Some(NamedMode(number.and_then(Mode::from_number))))
}

#[cfg(test)]
mod tests;
