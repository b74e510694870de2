//! The broker's list of instruments, read row by row: thirty megabytes of JSON never stand in memory as a whole.

use std::{
    fmt,
    fs::File,
    io::Read,
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
    objects::Objects,
    segment::Key,
};

/// Most rows that are read; the list has some 150,000.
const MAX_ROWS: usize = 2_000_000;

/// Every instrument, and what was left out.
#[derive(Debug, PartialEq)]
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

    fn hold(&mut self, last: &Self, is_held: &dyn Fn(&str, &str) -> bool) -> usize {
        let held = self.table.with_missing_of(&last.table, |exchange, symbol, _| is_held(exchange, symbol));
        held.map_or(0, |(table, count)| {
            self.table = table;
            count
        })
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

    /// Reads a list. What is damaged costs itself, and is counted: a value, a row, or what a file that was cut off lacks.
    ///
    /// # Errors
    /// When it cannot be read, or has no instrument, as what is no list.
    pub fn parse(input: impl Read) -> Result<Self, AdapterError> {
        let mut objects = Objects::new(input);
        let mut builder = TableBuilder::new();
        let (mut of_other_exchanges, mut unreadable) = (0, 0);
        // Those with an unusual series, whose name another row may have a better claim to.
        let mut later = Vec::new();
        let mut count = 0;
        let failed = |error: std::io::Error| {
            AdapterError::network(format!("the list of instruments cannot be read: {error}")).caused_by(error)
        };
        while let Some(Wide(row)) =
            objects.next(|object| serde_json::from_slice(object).ok()).map_err(failed)?
        {
            count += 1;
            if count > MAX_ROWS {
                return Err(AdapterError::protocol("the list of instruments has too many rows"));
            }
            match names::name(&row) {
                Ok(named) if named.is_usual => builder.add(named.exchange, &named.symbol, named.key),
                Ok(named) => later.push((named.exchange, named.symbol.into_owned(), named.key)),
                Err(LeftOut::Segment) => of_other_exchanges += 1,
                Err(LeftOut::Row) => unreadable += 1,
            }
        }
        for (exchange, symbol, key) in later {
            builder.add(exchange, &symbol, key);
        }
        unreadable += builder.skipped() + objects.damaged();
        let table = builder.build();
        if table.is_empty() {
            return Err(AdapterError::protocol("the list of instruments has none that can be used"));
        }
        Ok(Self { table, of_other_exchanges, unreadable })
    }
}

/// A row as the file has it.
struct Wide(Row);

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(Row::default()))
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
        assert_eq!((list.of_other_exchanges, list.unreadable), (2, 5));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for json in [
            "",
            "[",
            "{}",
            r#"[{"token":"1"}"#,
            "[] x",
            "[]",
            "<html>maintenance</html>",
            r#"{"status":false,"message":"down"}"#,
            r#"[{"token":"1","symbol":"X","exch_seg":"NCO"}]"#,
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains("has none that can be used"), "{json}: {error}");
        }
    }

    #[test]
    fn one_damaged_value_or_row_costs_itself_and_a_list_that_was_cut_off_what_it_lacks() {
        let option = |token: u32, strike: &str| {
            format!(
                r#"{{"token":"{token}","symbol":"SENSEX26721{token}CE","name":"SENSEX","expiry":"21JUL2026",
                "strike":{strike},"lotsize":"20","instrumenttype":"OPTIDX","exch_seg":"BFO","tick_size":NaN}}"#
            )
        };
        let rows = [
            option(1, r#""8000000.000000""#),
            option(2, "NaN"),
            option(3, "8100000.0"),
            option(4, r#""8200000""#).replace("\"name\":", "\"name\""),
            option(5, r#""8300000.000000""#),
        ];
        let text = format!("[{}]", rows.join(",\n"));
        let list = read(&text).unwrap();
        let has =
            |list: &List, strike: u32| list.table.get("BFO", &format!("SENSEX21JUL26{strike}CE")).is_some();
        assert!(has(&list, 80_000) && has(&list, 81_000) && has(&list, 83_000));
        assert_eq!((list.table.len(), list.unreadable), (3, 2));
        let cut = read(text.get(..text.len() - 40).unwrap()).unwrap();
        assert!(has(&cut, 80_000) && !has(&cut, 83_000));
        assert_eq!((cut.table.len(), cut.unreadable), (2, 3));
    }
}
