//! Messages that say all that there is: JSON objects, whose values stand at the top or within `Touchline`.

use std::fmt;

use adapter_sdk::{
    read::Number,
    serde_json::{self, value::RawValue},
    sparse::Row,
};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{About, Code, LEVELS, News, Value, exchange_of, key, row};

/// How far the change in percent that a closing price would mean may be off for it to be that of the day
/// before, in hundredths of a percent.
const TOLERANCE: f64 = 3.0;

/// The members of a message.
#[derive(Default)]
struct Full<'a> {
    code: Number<'a>,
    segment: Number<'a>,
    instrument: Number<'a>,
    index: Option<&'a str>,
    sent_at: Number<'a>,
    /// Those at the top, and those within `Touchline`, which count where both are.
    values: [[Number<'a>; VALUES.len()]; 2],
    closing: Number<'a>,
    best: [Option<Row>; 2],
    rows: [Option<[Row; LEVELS]>; 2],
}

/// Which values there are, in the order of their places.
const VALUES: [Value; 14] = [
    Value::Ltp,
    Value::LastQuantity,
    Value::Volume,
    Value::Average,
    Value::Open,
    Value::High,
    Value::Low,
    Value::Close,
    Value::TotalBuy,
    Value::TotalSell,
    Value::ChangePercent,
    Value::TradedAt,
    Value::UpdatedAt,
    Value::OpenInterest,
];

/// What a member is.
#[derive(Clone, Copy)]
enum Member {
    Code,
    Segment,
    Instrument,
    IndexName,
    SentAt,
    Closing,
    Touchline,
    Best(usize),
    Rows(usize),
    Value(usize),
    Size,
    Price,
    Orders,
    Other,
}

impl Member {
    fn named(name: &str) -> Self {
        let value = match name {
            "MessageCode" => return Self::Code,
            "ExchangeSegment" => return Self::Segment,
            "ExchangeInstrumentID" => return Self::Instrument,
            "IndexName" => return Self::IndexName,
            "ExchangeTimeStamp" => return Self::SentAt,
            "ClosingIndex" => return Self::Closing,
            "Touchline" => return Self::Touchline,
            "BidInfo" => return Self::Best(0),
            "AskInfo" => return Self::Best(1),
            "Bids" => return Self::Rows(0),
            "Asks" => return Self::Rows(1),
            "Size" => return Self::Size,
            "Price" => return Self::Price,
            "TotalOrders" => return Self::Orders,
            "LastTradedPrice" | "IndexValue" => Value::Ltp,
            // Their spelling, and the right one.
            "LastTradedQunatity" | "LastTradedQuantity" => Value::LastQuantity,
            "TotalTradedQuantity" => Value::Volume,
            "AverageTradedPrice" | "AveragePrice" => Value::Average,
            "Open" | "OpeningIndex" => Value::Open,
            "High" | "HighIndexValue" => Value::High,
            "Low" | "LowIndexValue" => Value::Low,
            "Close" => Value::Close,
            "TotalBuyQuantity" => Value::TotalBuy,
            "TotalSellQuantity" => Value::TotalSell,
            "PercentChange" => Value::ChangePercent,
            "LastTradedTime" => Value::TradedAt,
            "LastUpdateTime" => Value::UpdatedAt,
            "OpenInterest" => Value::OpenInterest,
            _ => return Self::Other,
        };
        VALUES.iter().position(|known| *known == value).map_or(Self::Other, Self::Value)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;

        impl Visitor<'_> for Name {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Member, E> {
                Ok(Member::named(name))
            }
        }

        deserializer.deserialize_str(Name)
    }
}

/// A place for an object or a list that may be anything else: then nothing is taken.
struct Taken<T>(T);

macro_rules! anything_else {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
            Ok(())
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
            Ok(())
        }

        fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
            Ok(())
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
            Ok(())
        }

        fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
            Ok(())
        }

        fn visit_unit<E: Error>(self) -> Result<(), E> {
            Ok(())
        }
    };
}

macro_rules! object_or_anything_else {
    () => {
        anything_else!();

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(())
        }
    };
}

macro_rules! seed {
    ($target:ty) => {
        impl<'de> DeserializeSeed<'de> for Taken<$target> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    };
}

/// The message, and whether it is what stands within `Touchline`.
type Part<'s, 'de> = (&'s mut Full<'de>, bool);
seed!(Part<'_, 'de>);
seed!(&mut Option<[Row; LEVELS]>);
seed!(&mut Option<Row>);

impl<'de> Visitor<'de> for Taken<Part<'_, 'de>> {
    type Value = ();

    object_or_anything_else!();

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self((full, is_within)) = self;
        while let Some(member) = map.next_key()? {
            match member {
                Member::Code => full.code = map.next_value()?,
                Member::Segment => full.segment = map.next_value()?,
                Member::Instrument => full.instrument = map.next_value()?,
                Member::IndexName => full.index = text(map.next_value()?),
                Member::SentAt => full.sent_at = map.next_value()?,
                Member::Closing => full.closing = map.next_value()?,
                Member::Touchline if !is_within => map.next_value_seed(Taken((&mut *full, true)))?,
                Member::Best(side) => match full.best.get_mut(side) {
                    Some(best) => map.next_value_seed(Taken(best))?,
                    None => _ = map.next_value::<IgnoredAny>()?,
                },
                Member::Rows(side) => match full.rows.get_mut(side) {
                    Some(rows) => map.next_value_seed(Taken(rows))?,
                    None => _ = map.next_value::<IgnoredAny>()?,
                },
                Member::Value(place) => {
                    let [top, within] = &mut full.values;
                    let values = if is_within { within } else { top };
                    let value = map.next_value()?;
                    if let Some(known) = values.get_mut(place) {
                        *known = value;
                    }
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Taken<&mut Option<[Row; LEVELS]>> {
    type Value = ();

    anything_else!();

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let rows = self.0.insert([Row::default(); LEVELS]);
        let mut places = rows.iter_mut();
        loop {
            let mut one = None;
            if list.next_element_seed(Taken(&mut one))?.is_none() {
                return Ok(());
            }
            // What is below the last level is left out.
            if let (Some(place), Some(one)) = (places.next(), one) {
                *place = one;
            }
        }
    }
}

impl<'de> Visitor<'de> for Taken<&mut Option<Row>> {
    type Value = ();

    object_or_anything_else!();

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let [mut price, mut size, mut orders] = [Number::default(); 3];
        while let Some(member) = map.next_key()? {
            match member {
                Member::Price => price = map.next_value()?,
                Member::Size => size = map.next_value()?,
                Member::Orders => orders = map.next_value()?,
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        *self.0 = Some(row(&price, &size, &orders));
        Ok(())
    }
}

/// A text in which nothing is escaped.
fn text(value: &RawValue) -> Option<&str> {
    let text = value.get().strip_prefix('"')?.strip_suffix('"')?;
    Some(text).filter(|text| !text.contains('\\'))
}

/// Reads a message. `asked` is what it was an answer to: such messages may not say what they are about. None
/// when it is about something else, or makes no sense.
pub fn read(json: &str, asked: Option<Code>) -> Option<News<'_>> {
    let mut full = Full::default();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Taken((&mut full, false)).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    let code = match full.code.quantity() {
        Some(code) => Code::of(code)?,
        None => asked?,
    };
    let segment = full.segment.quantity()?;
    let about = match (full.instrument.quantity().and_then(|number| key(segment, number)), full.index) {
        (Some(key), _) => About::Instrument(key),
        (None, Some(name)) if code == Code::Index => About::Index(exchange_of(segment)?, name),
        _ => return None,
    };
    let mut news = News::new(code, about, true);
    let [top, within] = &full.values;
    for (value, (top, within)) in VALUES.into_iter().zip(top.iter().zip(within)) {
        let number = if within.as_written().is_some() { within } else { top };
        // What another message is for says nothing here.
        if (value == Value::OpenInterest) == (code == Code::OpenInterest) {
            news.take(value, number);
        }
    }
    if code == Code::Index {
        news.take(Value::UpdatedAt, &full.sent_at);
        if full.closed_the_day_before() {
            news.take(Value::Close, &full.closing);
        }
    }
    for ((rows, listed), best) in news.rows.iter_mut().zip(full.rows).zip(full.best) {
        match (code, listed, best) {
            (Code::Depth, Some(listed), _) => *rows = listed,
            (Code::Depth | Code::Touchline, None, Some(best)) | (Code::Touchline, Some(_), Some(best)) => {
                *rows = [best, Row::default(), Row::default(), Row::default(), Row::default()];
            }
            _ => {}
        }
    }
    Some(news.settled())
}

impl Full<'_> {
    /// Whether the closing value of an index is that of the day before, which the change in percent tells: it
    /// may be the value itself as well.
    fn closed_the_day_before(&self) -> bool {
        let float = |number: &Number<'_>| number.as_written()?.parse::<f64>().ok();
        let value = |wanted: Value| {
            let place = VALUES.iter().position(|value| *value == wanted)?;
            self.values.first()?.get(place).and_then(float)
        };
        let known = (value(Value::Ltp), float(&self.closing), value(Value::ChangePercent));
        let (Some(last), Some(close), Some(change)) = known else { return false };
        let meant = (last - close) * 100.0 / close;
        (meant - change).abs() * 100.0 <= TOLERANCE
    }
}

#[cfg(test)]
mod tests;
