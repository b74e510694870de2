//! The broker's list of instruments, read row by row: thirty megabytes of JSON never stand in memory as a whole.

use std::{
    fmt,
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use adapter_sdk::{
    AdapterError,
    instruments::{self, Summary, Table, TableBuilder},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, SeqAccess, Visitor},
};

use crate::{
    names::{self, LeftOut, Row},
    segment::Key,
};

/// Most rows that are read; the list has some 150,000.
const MAX_ROWS: usize = 2_000_000;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// Every instrument, and what was left out.
#[derive(Debug)]
pub struct List {
    /// By OpenAlgo's names and by the broker's.
    pub table: Table<Key>,
    /// Rows of exchanges that the streaming API does not have.
    pub of_other_exchanges: usize,
    /// Rows that make no sense.
    pub unreadable: usize,
}

impl instruments::List for List {
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError> {
        let [path] = files else { return Err(AdapterError::protocol("the list of instruments is one file")) };
        Self::load(path)
    }

    fn summary(&self) -> Summary {
        Summary {
            instruments: self.table.len(),
            skipped: self.of_other_exchanges + self.unreadable,
            bytes: self.table.bytes(),
        }
    }

    fn names(&self) -> Box<dyn Iterator<Item = (&str, &str)> + '_> {
        Box::new(self.table.names())
    }
}

impl List {
    /// Reads a file. Takes its time: not for the adapter's own thread.
    ///
    /// # Errors
    /// When it cannot be read, is no list, or has no instrument.
    pub fn load(path: &Path) -> Result<Self, AdapterError> {
        let file = File::open(path)
            .map_err(|error| AdapterError::network(format!("{}: {error}", path.display())))?;
        Self::parse(file)
    }

    /// Reads a list.
    ///
    /// # Errors
    /// When it cannot be read, is no list, or has no instrument.
    pub fn parse(input: impl Read) -> Result<Self, AdapterError> {
        let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(BUFFER_BYTES, input));
        let damaged = |error: serde_json::Error| {
            AdapterError::protocol(format!(
                "the list of instruments is damaged at line {}, column {}",
                error.line(),
                error.column()
            ))
        };
        let list = reader.deserialize_seq(Rows).map_err(damaged)?;
        reader.end().map_err(damaged)?;
        if list.table.is_empty() {
            return Err(AdapterError::protocol("the list of instruments has none that can be used"));
        }
        Ok(list)
    }
}

struct Rows;

impl<'de> Visitor<'de> for Rows {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of instruments")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<List, A::Error> {
        let mut builder = TableBuilder::new();
        let (mut of_other_exchanges, mut unreadable) = (0, 0);
        // Those with an unusual series, whose name another row may have a better claim to.
        let mut later = Vec::new();
        let mut count = 0;
        while let Some(row) = rows.next_element::<Wide>()? {
            count += 1;
            if count > MAX_ROWS {
                return Err(de::Error::custom("too many rows"));
            }
            match names::name(&row.0) {
                Ok(named) if named.is_usual => builder.add(named.exchange, &named.symbol, named.key),
                Ok(named) => later.push((named.exchange, named.symbol.into_owned(), named.key)),
                Err(LeftOut::Segment) => of_other_exchanges += 1,
                Err(LeftOut::Row) => unreadable += 1,
            }
        }
        for (exchange, symbol, key) in later {
            builder.add(exchange, &symbol, key);
        }
        unreadable += builder.skipped();
        Ok(List { table: builder.build(), of_other_exchanges, unreadable })
    }
}

/// A row as the file has it. What is none becomes an empty one, which is counted and left out.
struct Wide(Row);

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Wide(Row::default()))
    }
}

impl<'de> Visitor<'de> for Wide {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an instrument")
    }

    fn visit_map<A: de::MapAccess<'de>>(mut self, mut members: A) -> Result<Self, A::Error> {
        while let Some(member) = members.next_key::<Member>()? {
            let row = &mut self.0;
            let place = match member {
                Member::Token => &mut row.token,
                Member::Symbol => &mut row.symbol,
                Member::Name => &mut row.name,
                Member::Expiry => &mut row.expiry,
                Member::Strike => &mut row.strike,
                Member::Kind => &mut row.kind,
                Member::Segment => &mut row.segment,
                Member::Other => {
                    members.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *place = members.next_value::<Text>()?.0;
        }
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut other: A) -> Result<Self, A::Error> {
        while other.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Member {
    Token,
    Symbol,
    Name,
    Expiry,
    Strike,
    #[serde(rename = "instrumenttype")]
    Kind,
    #[serde(rename = "exch_seg")]
    Segment,
    #[serde(other)]
    Other,
}

/// Text, or a number that should have been one.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self(String::new()))
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self, E> {
        Ok(Self(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self, E> {
        Ok(Self(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self, E> {
        Ok(Self(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self, E> {
        Ok(Self(number.to_string()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::segment::{Segment, Token};

    fn read(json: &str) -> Result<List, AdapterError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(json.as_bytes()).unwrap();
        List::load(file.path())
    }

    #[test]
    fn names_are_found_both_ways_and_the_usual_series_comes_first() {
        let list = read(
            r#"[{"token":"9","symbol":"SBIN-BE","name":"SBIN","expiry":"","strike":"-1.000000","lotsize":"1",
                "instrumenttype":"","exch_seg":"NSE","tick_size":"5.000000","freeze_qty":"1","is_cas_enabled":false},
               {"token":"3045","symbol":"SBIN-EQ","name":"SBIN","instrumenttype":"","exch_seg":"NSE"},
               {"token":99926000,"symbol":"Nifty 50","name":"NIFTY","instrumenttype":"AMXIDX","exch_seg":"NSE","more":[{}]},
               {"token":"1","symbol":"X","name":"X","instrumenttype":"FUTCOM","exch_seg":"NCO"},
               {"token":null,"symbol":"X","name":[1,{}],"expiry":{"a":[1]},"strike":1.5,"instrumenttype":true,"exch_seg":"NSE"}, 7, null, "x", ["x"], {}]"#,
        )
        .unwrap();
        let key = |token| Key { segment: Segment::NseCash, token: Token::new(token).unwrap() };
        assert_eq!(list.table.get("NSE", "SBIN"), Some(key("3045")));
        assert_eq!(list.table.get("NSE_INDEX", "NIFTY"), Some(key("99926000")));
        assert_eq!(list.table.name(key("3045")), Some(("NSE", "SBIN")));
        // A row without an exchange is of another one.
        assert_eq!((list.of_other_exchanges, list.unreadable), (6, 1));
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_place() {
        for (json, said) in [
            ("", "damaged at line 1"),
            ("[", "damaged at line 1"),
            ("{}", "damaged"),
            (r#"[{"token":"1"}"#, "damaged"),
            ("[] x", "damaged"),
            ("[]", "has none"),
            (r#"[{"token":"1","symbol":"X","exch_seg":"NCO"}]"#, "has none"),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(said), "{json}: {error}");
        }
    }
}
