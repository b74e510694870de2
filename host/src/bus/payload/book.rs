//! The book of a tick: two sides of levels, shown whole or not at all.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess};
use tickhost_core::model::{DepthLevel, MAX_DEPTH_LEVELS, ORDERS_ABSENT};

use super::{
    NameSeed, Record,
    number::{Container, Lenient, NumberSeed},
};

/// What a tick says of the book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::bus) enum Book {
    /// Nothing.
    #[default]
    Absent,
    /// This is the book. It may be empty.
    Known,
    /// There is one, but part of it cannot be shown. The rest would be another market, and so would the book
    /// before it, so that none is known from now on.
    LeftOut,
}

#[derive(Clone, Copy)]
pub(super) enum Side {
    Buy,
    Sell,
}

impl Record {
    fn side(&mut self, side: Side) -> &mut Vec<DepthLevel> {
        match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        }
    }

    /// The tick is read: a book that is left out has no levels, and is counted once.
    pub(super) fn settle_book(&mut self) {
        if self.book == Book::LeftOut {
            self.faults.books += 1;
            self.buy.clear();
            self.sell.clear();
        }
    }
}

/// Reads `{"buy": […], "sell": […]}`. Anything else is no book.
pub(super) struct BookSeed<'r>(pub(super) &'r mut Record);

impl<'de> DeserializeSeed<'de> for BookSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Lenient(self))
    }
}

impl<'de> Container<'de> for BookSeed<'_> {
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
            self.0.book = Book::LeftOut;
        }
    }
}

/// Reads the levels of one side, best first.
pub(super) struct SideSeed<'r>(pub(super) &'r mut Record, pub(super) Side);

impl<'de> DeserializeSeed<'de> for SideSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Lenient(self))
    }
}

impl<'de> Container<'de> for SideSeed<'_> {
    fn seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self(record, side) = self;
        record.side(side).clear();
        if record.book == Book::Absent {
            record.book = Book::Known;
        }
        let mut is_filled_up = false;
        while let Some(level) = seq.next_element_seed(LevelSeed(record))? {
            match level {
                // Books of fewer levels are filled up with zeros by some publishers.
                Level::Known(level) if level.price == 0 && level.quantity == 0 => {}
                // A level is missing before this one.
                Level::Known(_) if is_filled_up => record.book = Book::LeftOut,
                Level::Known(level) if record.side(side).len() < usize::from(MAX_DEPTH_LEVELS) => {
                    record.side(side).push(level);
                }
                Level::Known(_) => {}
                Level::Null => is_filled_up = true,
                Level::Unreadable => record.book = Book::LeftOut,
            }
        }
        Ok(())
    }

    fn other(self, is_null: bool) {
        if !is_null {
            self.0.book = Book::LeftOut;
        }
    }
}

/// What an element of a side is.
enum Level {
    Known(DepthLevel),
    /// It is null, or both price and quantity are: what programs whose missing numbers are NaN fill up with.
    Null,
    /// Price or quantity is missing or cannot be read.
    Unreadable,
}

/// Reads `{"price": …, "quantity": …, "orders": …}`. What is wrong with a value is counted in the record.
struct LevelSeed<'r>(&'r mut Record);

impl<'de> DeserializeSeed<'de> for LevelSeed<'_> {
    type Value = Level;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Level, D::Error> {
        let mut level = Level::Unreadable;
        deserializer.deserialize_any(Lenient(LevelVisitor { record: self.0, level: &mut level }))?;
        Ok(level)
    }
}

struct LevelVisitor<'r> {
    record: &'r mut Record,
    level: &'r mut Level,
}

#[derive(Clone, Copy)]
enum Part {
    Price,
    Quantity,
    Orders,
    Other,
}

impl<'de> Container<'de> for LevelVisitor<'_> {
    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let part = |name: &str| match name {
            "price" => Part::Price,
            "quantity" | "qty" => Part::Quantity,
            "orders" => Part::Orders,
            _ => Part::Other,
        };
        let faults = &mut self.record.faults;
        let (mut price, mut quantity, mut orders, mut nulls) = (None, None, ORDERS_ABSENT, 0);
        while let Some(part) = map.next_key_seed(NameSeed(part))? {
            match part {
                Part::Price => {
                    let value = map.next_value_seed(NumberSeed)?;
                    nulls += u8::from(value.is_absent());
                    price = faults.sort(value.price());
                }
                Part::Quantity => {
                    let value = map.next_value_seed(NumberSeed)?;
                    nulls += u8::from(value.is_absent());
                    quantity = faults.sort(value.quantity());
                }
                Part::Orders => {
                    let value = faults.sort(map.next_value_seed(NumberSeed)?.orders());
                    orders = value.unwrap_or(ORDERS_ABSENT);
                }
                Part::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        *self.level = match (price, quantity) {
            (Some(price), Some(quantity)) => {
                Level::Known(DepthLevel { price, quantity, orders, reserved: 0 })
            }
            (None, None) if nulls == 2 => Level::Null,
            _ => Level::Unreadable,
        };
        Ok(())
    }

    fn other(self, is_null: bool) {
        if is_null {
            *self.level = Level::Null;
        }
    }
}
