//! The broker's list of instruments: a CSV file of some two hundred thousand rows, read row by row.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
    time::SystemTime,
};

use adapter_sdk::{
    AdapterError,
    instruments::{self, List, Rows, Summary, Table, TableBuilder},
    ist::Day,
    symbol,
};

use crate::{
    names::Row,
    segment::{Key, Segment},
};

/// Longest list that is taken, in bytes. It has some tens of megabytes.
pub const MAX_BYTES: u64 = 256 << 20;

/// Most rows that are read.
const MAX_ROWS: usize = 2_000_000;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// Columns that are needed, found by name: their order and number have changed before.
const COLUMNS: [&str; 10] = [
    "SEM_SMST_SECURITY_ID",
    "SEM_EXM_EXCH_ID",
    "SEM_SEGMENT",
    "SEM_INSTRUMENT_NAME",
    "SEM_TRADING_SYMBOL",
    "SEM_CUSTOM_SYMBOL",
    "SEM_EXPIRY_DATE",
    "SEM_STRIKE_PRICE",
    "SEM_OPTION_TYPE",
    "SEM_SERIES",
];

/// The instruments of a list, by OpenAlgo's names and by the broker's key.
#[derive(Debug, PartialEq)]
pub struct Instruments {
    table: Table<Key>,
    /// Rows that make no sense, and those of markets that the feed has no segment for.
    skipped: usize,
    /// Rows of what had expired already.
    expired: usize,
}

/// A name that another row may have a better claim to.
struct Claim {
    rank: usize,
    exchange: &'static str,
    symbol: String,
    key: Key,
}

impl Instruments {
    /// Reads a list, as it is on a day. Rows that make no sense, those of markets that the feed does not have, and
    /// those of what has expired are left out and counted.
    ///
    /// # Errors
    /// When it is no such list: a column is missing, or there is not a single instrument.
    pub fn read(input: impl Read, today: Day) -> Result<Self, AdapterError> {
        let mut rows = Rows::new(BufReader::with_capacity(BUFFER_BYTES, input));
        let places = places(rows.read()?)?;
        let mut builder = TableBuilder::new();
        // In the order of their claims: a name is that of the first who has it.
        let mut later: Vec<Claim> = Vec::new();
        let mut symbol = String::new();
        let (mut skipped, mut expired) = (0, 0);
        for _ in 0..MAX_ROWS {
            let Some(record) = rows.read()? else { break };
            let taken = read_row(record, &places).and_then(|(id, row)| {
                let place = row.place()?;
                let rank = row.write_symbol(place, &mut symbol)?;
                Some((Key { segment: place.segment, id }, row, place.exchange, rank))
            });
            let Some((key, row, exchange, rank)) = taken else {
                skipped += 1;
                continue;
            };
            let has_expired = |expiry: Day| expiry < today;
            if !matches!(key.segment, Segment::Index | Segment::NseEquity | Segment::BseEquity)
                && row.expiry().is_none_or(has_expired)
            {
                expired += 1;
                continue;
            }
            if rank == 0 {
                builder.add(exchange, &symbol, key);
            } else {
                later.push(Claim { rank, exchange, symbol: symbol.clone(), key });
            }
            if key.segment == Segment::Index && row.trading_symbol != symbol {
                // The broker's names of indices work too.
                let symbol = row.trading_symbol.to_owned();
                later.push(Claim { rank: usize::MAX, exchange, symbol, key });
            }
        }
        later.sort_by_key(|claim| claim.rank);
        for Claim { exchange, symbol, key, .. } in &later {
            builder.add(exchange, symbol, *key);
        }
        skipped += builder.skipped();
        let table = builder.build();
        if table.is_empty() {
            return Err(AdapterError::protocol("the broker's list of instruments has none"));
        }
        Ok(Self { table, skipped, expired })
    }

    /// The broker's key of an instrument, by any spelling of its name that is clear.
    pub fn key(&self, exchange: &str, symbol: &str) -> Option<Key> {
        symbol::find(exchange, symbol, |name| self.table.get(exchange, name))
    }

    /// Exchange and symbol of a key.
    pub fn name(&self, key: Key) -> Option<(&str, &str)> {
        self.table.name(key)
    }

    /// Rows that were left out because they had expired.
    pub const fn expired(&self) -> usize {
        self.expired
    }
}

impl List for Instruments {
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError> {
        let path = files.first().map_or(Path::new(""), PathBuf::as_path);
        let file = File::open(path)
            .map_err(|error| AdapterError::network(format!("{}: {error}", path.display())))?;
        Self::read(file.take(MAX_BYTES), Day::at(SystemTime::now()))
    }

    fn summary(&self) -> Summary {
        Summary {
            instruments: self.table.len(),
            skipped: self.skipped + self.expired,
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
    let [id, exchange, segment, kind, trading_symbol, custom_symbol, expiry, strike, option_type, series] =
        places.map(|place| record.get(place));
    let row = Row {
        exchange: exchange?,
        segment: segment?,
        kind: kind?,
        trading_symbol: trading_symbol?,
        // It is for people, and a second way to the underlying.
        custom_symbol: custom_symbol.unwrap_or_default(),
        expiry: expiry?,
        strike: strike?,
        option_type: option_type?,
        series: series?,
    };
    Some((security_id(id?)?, row))
}

/// Requests have it as text, packets as a number: only what is the same in both can be told apart.
fn security_id(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = "\
SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,SEM_LOT_UNITS,\
SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,\
SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME
NSE,I,13,INDEX,0,NIFTY,1.0,Nifty 50,0001-01-01,,XX,0.0500,,INDEX,X,NIFTY
NSE,I,38,INDEX,0,NIFTY NEXT 50,1.0,Nifty Next 50,0001-01-01,,XX,0.0500,,INDEX,X,NIFTY NEXT 50
BSE,I,51,INDEX,0,SENSEX,1.0,Sensex,0001-01-01,,XX,0.0500,,INDEX,X,SENSEX
NSE,E,9001,EQUITY,0,RELIANCE,1.0,Reliance Bond,,,,10.0000,NA,ES,N2,RELIANCE INDUSTRIES LTD
NSE,E,9002,EQUITY,0,RELIANCE,1.0,Reliance Industries,,,,10.0000,NA,ES,BE,RELIANCE INDUSTRIES LTD
NSE,E,2885,EQUITY,0,RELIANCE,1.0,Reliance Industries,,,,10.0000,NA,ES,EQ,RELIANCE INDUSTRIES LTD
BSE,E,2885,EQUITY,0,OTHER,1.0,Other,,,,10.0000,NA,ES,A,\"OTHER, LTD\"
NSE,D,58072,FUTIDX,0,NIFTY-Aug2026-FUT,65,NIFTY AUG FUT,2026-08-25 14:30:00,-0.01000,XX,10.0000,M,FUTIDX,,
NSE,D,49081,OPTIDX,0,NIFTY-Jul2026-24500-CE,65.0,NIFTY 28 JUL 24500 CALL,2026-07-28 14:30:00,24500.00000,CE,5.0000,M,OP,,
NSE,D,58071,FUTIDX,0,NIFTY-Jun2026-FUT,65,NIFTY JUN FUT,2026-06-30 14:30:00,-0.01000,XX,10.0000,M,FUTIDX,,
NSE,M,58072,FUTCOM,0,GOLD-Aug2026-FUT,1,GOLD AUG FUT,2026-08-25 14:30:00,-0.01000,XX,10.0000,M,FUTCOM,,
NSE,E,x,EQUITY,0,BAD,1.0,Bad,,,,10.0000,NA,ES,EQ,BAD
NSE,E,007,EQUITY,0,ZEROS,1.0,Zeros,,,,10.0000,NA,ES,EQ,ZEROS
NSE,E,1
";

    /// A day on which the contracts of June have expired, and those of July have not.
    fn today() -> Day {
        Day::new(2026, 7, 28).unwrap()
    }

    fn read(text: &str) -> Result<Instruments, AdapterError> {
        Instruments::read(text.as_bytes(), today())
    }

    #[test]
    fn a_list_becomes_names_in_both_directions() {
        let list = read(LIST).unwrap();
        for (exchange, symbol, segment, id) in [
            ("NSE_INDEX", "NIFTY", Segment::Index, 13),
            ("NSE_INDEX", "NIFTYNXT50", Segment::Index, 38),
            ("BSE_INDEX", "SENSEX", Segment::Index, 51),
            ("NSE", "RELIANCE", Segment::NseEquity, 2885),
            ("NSE", "RELIANCE-BE", Segment::NseEquity, 9002),
            ("NSE", "RELIANCE-N2", Segment::NseEquity, 9001),
            // The same id in another segment is something else.
            ("BSE", "OTHER", Segment::BseEquity, 2885),
            ("NFO", "NIFTY25AUG26FUT", Segment::NseDerivatives, 58_072),
            ("NFO", "NIFTY28JUL2624500CE", Segment::NseDerivatives, 49_081),
        ] {
            let key = Key { segment, id };
            assert_eq!(list.key(exchange, symbol), Some(key), "{symbol}");
            assert_eq!(list.name(key), Some((exchange, symbol)));
        }
        // The broker's name of an index works too.
        assert_eq!(list.key("NSE_INDEX", "NIFTY NEXT 50"), list.key("NSE_INDEX", "NIFTYNXT50"));
        assert_eq!(list.key("NFO", "NIFTY30JUN26FUT"), None);
        assert_eq!((list.summary().instruments, list.skipped, list.expired()), (10, 4, 1));
    }

    #[test]
    fn columns_are_found_by_name() {
        let list = "SEM_SERIES,NEW,SEM_OPTION_TYPE,SEM_STRIKE_PRICE,SEM_EXPIRY_DATE,SEM_CUSTOM_SYMBOL,SEM_TRADING_SYMBOL,\
                    SEM_INSTRUMENT_NAME,SEM_SMST_SECURITY_ID,SEM_SEGMENT,SEM_EXM_EXCH_ID\n\
                    EQ,?,,,,State Bank,SBIN,EQUITY,3045,E,NSE\n";
        let key = Key { segment: Segment::NseEquity, id: 3045 };
        assert_eq!(read(list).unwrap().key("NSE", "SBIN"), Some(key));
        // A mark of the byte order may come before the first one, and lines may end as on Windows.
        let marked = format!("\u{feff}{list}").replace('\n', "\r\n");
        assert_eq!(read(&marked).unwrap().key("NSE", "SBIN"), Some(key));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let refused = |text: &str| read(text).unwrap_err().to_string();
        assert!(refused("<html>maintenance</html>").contains("no column SEM_SMST_SECURITY_ID"));
        assert!(refused("").contains("no column"));
        assert!(refused(LIST.lines().next().unwrap()).contains("has none"));
    }

    #[test]
    #[ignore = "a measurement: run it with --release --ignored --nocapture"]
    fn how_long_two_hundred_thousand_rows_take() {
        use std::fmt::Write as _;
        let mut text = LIST.lines().next().unwrap().to_owned() + "\n";
        for n in 0_u32..200_000 {
            let (id, strike) = (n + 1, 10_000 + n / 2 * 50);
            let (kind, word) = if n % 2 == 0 { ("CE", "CALL") } else { ("PE", "PUT") };
            writeln!(
                text,
                "NSE,D,{id},OPTIDX,0,NIFTY-Jul2026-{strike}-{kind},65.0,NIFTY 28 JUL {strike} {word},2026-07-28 14:30:00,\
                 {strike}.00000,{kind},5.0000,M,OP,,"
            )
            .unwrap();
        }
        let started = std::time::Instant::now();
        let list = read(&text).unwrap();
        println!("{:?} of {} bytes in {:?}", list.summary(), text.len(), started.elapsed());
        assert_eq!(list.summary().instruments, 200_000);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..2_000) {
            let _any = Instruments::read(bytes.as_slice(), today());
            let mut list = LIST.as_bytes().to_vec();
            let at = cut.min(list.len());
            list.splice(at..at, bytes);
            let _any = Instruments::read(list.as_slice(), today());
        }
    }
}
