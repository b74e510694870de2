//! The broker's list of instruments: a CSV file of some hundred thousand rows, read row by row.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::PathBuf,
};

use adapter_sdk::{
    AdapterError,
    instruments::{self, List, Rows, Summary, Table, TableBuilder},
    symbol,
};

use crate::names::Row;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// Longest list that is taken, in bytes. It has about 8 MB.
pub const MAX_BYTES: u64 = 64 << 20;

/// Most rows that are read.
const MAX_ROWS: usize = 1_000_000;

/// Columns that are needed, found by name: the broker may add some.
const COLUMNS: [&str; 8] = [
    "instrument_token",
    "tradingsymbol",
    "name",
    "expiry",
    "strike",
    "instrument_type",
    "segment",
    "exchange",
];

/// The instruments of a list, by OpenAlgo's names and by the broker's token.
#[derive(Debug, PartialEq)]
pub struct Instruments {
    table: Table<u32>,
    skipped: usize,
}

impl List for Instruments {
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError> {
        let [path] = files else { return Err(AdapterError::protocol("the list of instruments is one file")) };
        let file = File::open(path)
            .map_err(|error| AdapterError::network(format!("{}: {error}", path.display())))?;
        Self::parse(file.take(MAX_BYTES))
    }

    fn summary(&self) -> Summary {
        Summary { instruments: self.len(), skipped: self.skipped, bytes: self.bytes() }
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

impl Instruments {
    /// Reads a list. Rows that make no sense, and those of exchanges that OpenAlgo has no code for, are left out and
    /// counted.
    ///
    /// # Errors
    /// When it is no such list: a column is missing, or there is not a single instrument.
    pub fn parse(input: impl Read) -> Result<Self, AdapterError> {
        let mut rows = Rows::new(BufReader::with_capacity(BUFFER_BYTES, input));
        let places = places(rows.read()?)?;
        let mut builder = TableBuilder::new();
        // Second names of indices: they must not take a name that another row has as its first.
        let mut aliases: Vec<(&'static str, String, u32)> = Vec::new();
        let (mut symbol, mut skipped) = (String::new(), 0);
        for _ in 0..MAX_ROWS {
            let Some(record) = rows.read()? else { break };
            let taken = read_row(record, &places).and_then(|(token, row)| {
                let exchange = row.exchange()?;
                row.write_symbol(&mut symbol).then_some((token, row, exchange))
            });
            let Some((token, row, exchange)) = taken else {
                skipped += 1;
                continue;
            };
            builder.add(exchange, &symbol, token);
            if row.is_index() && row.tradingsymbol != symbol {
                aliases.push((exchange, row.tradingsymbol.to_owned(), token));
            }
        }
        for (exchange, alias, token) in &aliases {
            builder.add(exchange, alias, *token);
        }
        skipped += builder.skipped();
        let table = builder.build();
        if table.is_empty() {
            return Err(AdapterError::protocol("the broker's list of instruments has none"));
        }
        Ok(Self { table, skipped })
    }

    /// The broker's token of an instrument, by any spelling of its name that is clear.
    pub fn token(&self, exchange: &str, symbol: &str) -> Option<u32> {
        symbol::find(exchange, symbol, |name| self.table.get(exchange, name))
    }

    /// OpenAlgo's exchange and symbol of a token.
    pub fn name(&self, token: u32) -> Option<(&str, &str)> {
        self.table.name(token)
    }

    /// Names; some indices have two.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none, which cannot be.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Rows that were left out.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// Memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

fn places(header: Option<&instruments::Row>) -> Result<[usize; COLUMNS.len()], AdapterError> {
    let mut places = [0; COLUMNS.len()];
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        *place = header.and_then(|header| header.position(column)).ok_or_else(|| {
            AdapterError::protocol(format!("the broker's list of instruments has no column {column}"))
        })?;
    }
    Ok(places)
}

fn read_row<'a>(record: &'a instruments::Row, places: &[usize; COLUMNS.len()]) -> Option<(u32, Row<'a>)> {
    let [token, tradingsymbol, name, expiry, strike, instrument_type, segment, exchange] =
        places.map(|place| record.get(place));
    let row = Row {
        tradingsymbol: tradingsymbol?,
        // What a share does not need it may lack.
        name: name.unwrap_or_default(),
        expiry: expiry.unwrap_or_default(),
        strike: strike.unwrap_or_default(),
        instrument_type: instrument_type?,
        segment: segment?,
        exchange: exchange?,
    };
    Some((token?.parse().ok().filter(|token| *token > 0)?, row))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = "\
instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,NSE,NSE
519937,2031,M&M,\"MAHINDRA & MAHINDRA, LTD\",0,,0,0.05,1,EQ,NSE,NSE
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
288265,1126,NIFTY50 VALUE 20,NIFTY50 VALUE 20,0,,0,0,0,EQ,INDICES,NSE
265,1,SENSEX,BSE SENSEX,0,,0,0,0,EQ,INDICES,BSE
12517890,48898,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.05,75,FUT,NFO-FUT,NFO
12600578,49221,NIFTY26D0126000CE,NIFTY,0,2026-12-01,26000,0.05,75,CE,NFO-OPT,NFO
x,1,BAD,BAD,0,,0,0,0,EQ,NSE,NSE
1,1,SHORT
7,1,STRANGE,STRANGE,0,,0,0,0,EQ,NYSE,NYSE
9,1,NODATE,NODATE,0,,0,0,0,FUT,NFO-FUT,NFO
";

    #[test]
    fn a_list_becomes_names_in_both_directions() {
        let list = Instruments::parse(LIST.as_bytes()).unwrap();
        for (exchange, symbol, token) in [
            ("NSE", "INFY", 408_065),
            ("NSE", "M&M", 519_937),
            ("NSE_INDEX", "NIFTY", 256_265),
            ("NSE_INDEX", "NIFTY50VALUE20", 288_265),
            ("BSE_INDEX", "SENSEX", 265),
            ("NFO", "NIFTY29DEC26FUT", 12_517_890),
            ("NFO", "NIFTY01DEC2626000CE", 12_600_578),
        ] {
            assert_eq!(list.token(exchange, symbol), Some(token), "{symbol}");
            assert_eq!(list.name(token), Some((exchange, symbol)));
        }
        // The broker's names of indices work too.
        assert_eq!(list.token("NSE_INDEX", "NIFTY 50"), Some(256_265));
        assert_eq!(list.token("NSE", "NIFTY"), None);
        assert_eq!((list.len(), list.skipped()), (9, 4));
    }

    #[test]
    fn columns_are_found_by_name() {
        let list = "new,exchange,segment,instrument_type,strike,expiry,name,tradingsymbol,instrument_token\n\
                    ?,NSE,NSE,EQ,0,,INFOSYS,INFY,408065\n";
        assert_eq!(Instruments::parse(list.as_bytes()).unwrap().token("NSE", "INFY"), Some(408_065));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let refused = |text: &str| Instruments::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(refused("<html>maintenance</html>").contains("no column instrument_token"));
        assert!(refused("").contains("no column"));
        assert!(refused(LIST.lines().next().unwrap()).contains("has none"));
    }

    #[test]
    #[ignore = "a measurement: run it with --release --ignored --nocapture"]
    fn how_long_a_hundred_thousand_rows_take() {
        use std::fmt::Write as _;
        let mut text = LIST.lines().next().unwrap().to_owned() + "\n";
        for n in 0_u32..120_000 {
            let (token, strike) = ((n + 1) << 8 | 2, 10_000 + n / 2 * 50);
            let kind = if n % 2 == 0 { "CE" } else { "PE" };
            writeln!(
                text,
                "{token},{n},NIFTY26DEC{strike}{kind},NIFTY,0,2026-12-29,{strike}.0,0.05,75,{kind},NFO-OPT,NFO"
            )
            .unwrap();
        }
        let started = std::time::Instant::now();
        let list = Instruments::parse(text.as_bytes()).unwrap();
        println!(
            "{} instruments of {} bytes in {:?}, {} bytes of memory",
            list.len(),
            text.len(),
            started.elapsed(),
            list.bytes()
        );
        assert_eq!(list.len(), 120_000);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..900) {
            let _any = Instruments::parse(bytes.as_slice());
            let mut list = LIST.as_bytes().to_vec();
            let at = cut.min(list.len());
            list.splice(at..at, bytes);
            let _any = Instruments::parse(list.as_slice());
        }
    }
}
