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
mod tests {
    use adapter_sdk::{Price, symbol::Exchange};

    use super::*;
    use crate::wire::Key;

    fn tick(json: &str) -> adapter_sdk::Tick {
        read(json, None).unwrap().tick
    }

    #[test]
    fn an_odd_member_costs_itself_and_no_other() {
        let whole = r#"{"MessageCode":1502,"ExchangeSegment":1,"ExchangeInstrumentID":22,"Bids":[{"Size":5,"Price":100.5,"TotalOrders":2}],"Touchline":{"LastTradedPrice":101.5,"Open":99}}"#;
        let known = read(whole, None).unwrap();
        assert_eq!(known.about, About::Instrument(Key { exchange: Exchange::Nse, token: 22 }));
        assert_eq!(known.rows[0][0].price, Price::parse("100.5"));
        for (from, to) in [
            ("99", "null"),
            ("99", "[1,{}]"),
            ("99", r#"{"a":[]}"#),
            ("99", r#""x""#),
            ("99", "true"),
            ("99", "1e99"),
        ] {
            let odd = whole.replace(from, to);
            let odd = read(&odd, None).unwrap();
            assert_eq!(odd.tick, adapter_sdk::Tick::new(0).ltp(Price::parse("101.5").unwrap()), "{to}");
        }
        for to in ["null", "7", "-7", "1.5", r#""x""#, "false", "{}", "[7]", "[null]"] {
            let odd = whole.replace(r#"[{"Size":5,"Price":100.5,"TotalOrders":2}]"#, to);
            let odd = read(&odd, None).unwrap();
            assert_eq!((odd.tick, odd.rows[0][0].price), (known.tick, None), "{to}");
            let odd = whole.replace(r#"{"LastTradedPrice":101.5,"Open":99}"#, to);
            assert_eq!(read(&odd, None).unwrap().rows, known.rows, "{to}");
        }
        for none in [
            "",
            "7",
            "{",
            "[]",
            r#"{"MessageCode":1502}"#,
            r#"{"MessageCode":1505,"ExchangeSegment":1,"ExchangeInstrumentID":22}"#,
        ] {
            assert!(read(none, None).is_none(), "{none}");
        }
        // It is behind what a message is.
        assert!(read(&format!("{whole}x"), None).is_none());
    }

    #[test]
    fn what_stands_within_counts_before_what_stands_at_the_top() {
        let json = r#"{"MessageCode":1501,"ExchangeSegment":1,"ExchangeInstrumentID":22,"LastTradedPrice":1,"Open":2,
            "Touchline":{"LastTradedPrice":3,"Open":null,"Touchline":{"Open":9}}}"#;
        let price = |text| Price::parse(text).unwrap();
        assert_eq!(tick(json), adapter_sdk::Tick::new(0).ltp(price("3")).open(price("2")));
    }

    #[test]
    fn an_index_has_a_name_and_its_close_is_that_of_the_day_before_or_none() {
        let json = r#"{"MessageCode":1504,"ExchangeSegment":1,"ExchangeInstrumentID":0,"ExchangeTimeStamp":1205682355,"IndexName":"NIFTY 50",
            "IndexValue":10195.15,"OpeningIndex":10345.15,"ClosingIndex":10195.15,"HighIndexValue":10346.3,"LowIndexValue":10180.25,"PercentChange":1.59}"#;
        let news = read(json, None).unwrap();
        assert_eq!(news.about, About::Index(Exchange::Nse, "NIFTY 50"));
        let price = |text| Price::parse(text).unwrap();
        let wanted = adapter_sdk::Tick::new(0)
            .ltp(price("10195.15"))
            .open(price("10345.15"))
            .high(price("10346.3"))
            .low(price("10180.25"))
            .change_percent(price("1.59"))
            .exchange_ts_ns(super::super::time(Exchange::Nse, 1_205_682_355).unwrap());
        assert_eq!(news.tick, wanted);
        let right = json.replace(r#""ClosingIndex":10195.15"#, r#""ClosingIndex":10035.58"#);
        assert_eq!(tick(&right), wanted.close(price("10035.58")));
        assert!(read(&json.replace("NIFTY 50", r"NIFTY\u0020"), None).is_none());
    }

    #[test]
    fn the_longest_message_is_read_without_an_allocation() {
        let row = r#"{"Size":77200,"Price":22605.05,"TotalOrders":12,"BuyBackMarketMaker":0}"#;
        let rows = [row; 5].join(",");
        let json = format!(
            r#"{{"MessageCode":1502,"ExchangeSegment":1,"ExchangeInstrumentID":22,"Bids":[{rows}],"Asks":[{rows}],
            "Touchline":{{"BidInfo":{row},"AskInfo":{row},"LastTradedPrice":1.5,"LastTradedQunatity":5,"PercentChange":-0.5}}}}"#
        );
        let used = allocation_counter::measure(|| {
            assert!(read(&json, None).unwrap().rows[1][4].price.is_some());
        });
        assert_eq!(used.count_total, 0);
    }
}
