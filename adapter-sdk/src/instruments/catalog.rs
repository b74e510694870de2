//! A list of CSV files, read row by row by the names of their columns.

use std::{
    fmt,
    fs::File,
    hash::Hash,
    io::{BufReader, Read},
    path::PathBuf,
    time::SystemTime,
};

use super::{List, Row, Rows, Summary, Table, TableBuilder, archive::unpacked};
use crate::{AdapterError, Refusal, ist::Day};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// What only the broker knows of its list: `N` columns, and what a row means. [`Catalog`] does the rest.
pub trait Sheet<const N: usize>: Sized + 'static {
    /// What the broker's packets call an instrument.
    type Key: Copy + Ord + Hash + fmt::Debug + Send + Sync + 'static;

    /// Columns, found by name: brokers add some, and change their order. One that is called differently in some files has all its
    /// names, with bars between them: `StrikePrice|Strike`. Capitals do not count.
    const COLUMNS: [&'static str; N];

    /// Which of them a file may lack.
    const OPTIONAL: [bool; N] = [false; N];

    /// Longest file that is read, in bytes, which are those of what is in it where it is packed.
    const MAX_BYTES: u64 = 256 << 20;

    /// Most rows that are read.
    const MAX_ROWS: usize = 2_000_000;

    /// Where the columns stand in a file without their names, whose first row is one of the list. None for any other file.
    fn places(_first: &Row) -> Option<[Option<usize>; N]> {
        None
    }

    /// Begins to read a list, as it is on a day in India: what has expired by then has no name.
    fn begin(today: Day) -> Self;

    /// Names an instrument by a row, whose cells stand in the order of [`Self::COLUMNS`]; a short row lacks some. None when the
    /// row makes no sense, or is of a market that is not served: it is counted.
    fn row(&mut self, cells: [Option<&str>; N], names: &mut Names<Self::Key>) -> Option<()>;
}

/// Takes the names of a list's instruments.
pub struct Names<K> {
    builder: TableBuilder<K>,
    later: Vec<Claim<K>>,
    expired: usize,
}

/// A name that another row may have a better claim to.
struct Claim<K> {
    rank: usize,
    exchange: String,
    symbol: String,
    key: K,
}

impl<K: Copy + Ord + Hash> Names<K> {
    /// Names an instrument. Where two rows have one name, the first counts.
    pub fn add(&mut self, exchange: &str, symbol: &str, key: K) {
        self.builder.add(exchange, symbol, key);
    }

    /// Names an instrument if no other has the name by [`Self::add`], or by a lower rank: a second name of an index, or a share
    /// in a series that nobody means when the usual one is there.
    pub fn add_unless_taken(&mut self, rank: usize, exchange: &str, symbol: &str, key: K) {
        self.later.push(Claim { rank, exchange: exchange.to_owned(), symbol: symbol.to_owned(), key });
    }

    /// Counts a row of what has expired, which has no name.
    pub const fn expired(&mut self) {
        self.expired += 1;
    }
}

impl<K> fmt::Debug for Names<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names").field("later", &self.later.len()).finish_non_exhaustive()
    }
}

/// The instruments of a broker's list, by OpenAlgo's names and by the broker's key.
pub struct Catalog<S: Sheet<N>, const N: usize> {
    table: Table<S::Key>,
    skipped: usize,
    expired: usize,
    is_cut_off: bool,
}

/// A list that is being read, file by file.
struct Reading<S: Sheet<N>, const N: usize> {
    sheet: S,
    names: Names<S::Key>,
    rows: usize,
    skipped: usize,
    is_cut_off: bool,
}

impl<S: Sheet<N>, const N: usize> Reading<S, N> {
    fn begin(today: Day) -> Self {
        let names = Names { builder: TableBuilder::new(), later: Vec::new(), expired: 0 };
        Self { sheet: S::begin(today), names, rows: 0, skipped: 0, is_cut_off: false }
    }

    fn take(&mut self, input: impl Read) -> Result<(), AdapterError> {
        let mut rows = Rows::new(BufReader::with_capacity(BUFFER_BYTES, input));
        let first = rows.read()?;
        let places = match first.and_then(S::places) {
            Some(places) => {
                self.row(first, &places);
                places
            }
            None => named_places::<S, N>(first)?,
        };
        while self.rows < S::MAX_ROWS
            && let Some(row) = rows.read()?
        {
            self.row(Some(row), &places);
        }
        self.is_cut_off |= rows.is_cut_off();
        Ok(())
    }

    fn row(&mut self, row: Option<&Row>, places: &[Option<usize>; N]) {
        self.rows += 1;
        let cells = places.map(|place| row.and_then(|row| row.get(place?)));
        self.skipped += usize::from(self.sheet.row(cells, &mut self.names).is_none());
    }

    fn finish(self) -> Result<Catalog<S, N>, AdapterError> {
        let Names { mut builder, mut later, expired } = self.names;
        // Stable: of one rank the first row counts.
        later.sort_by_key(|claim| claim.rank);
        for Claim { exchange, symbol, key, .. } in &later {
            builder.add(exchange, symbol, *key);
        }
        let skipped = self.skipped + builder.skipped();
        let table = builder.build();
        if table.is_empty() {
            return Err(AdapterError::protocol("the broker's list of instruments has none"));
        }
        Ok(Catalog { table, skipped, expired, is_cut_off: self.is_cut_off })
    }
}

/// The places of the columns by their names in the first row.
fn named_places<S: Sheet<N>, const N: usize>(
    first: Option<&Row>,
) -> Result<[Option<usize>; N], AdapterError> {
    let mut places = [None; N];
    for ((place, column), is_optional) in places.iter_mut().zip(S::COLUMNS).zip(S::OPTIONAL) {
        let is_column = |cell: &str| column.split('|').any(|name| name.eq_ignore_ascii_case(cell));
        *place =
            first.and_then(|first| (0..first.len()).find(|place| first.get(*place).is_some_and(is_column)));
        if place.is_none() && !is_optional {
            let named = column.replace('|', " or ");
            return Err(AdapterError::protocol(format!(
                "the broker's list of instruments has no column {named}"
            )));
        }
    }
    Ok(places)
}

impl<S: Sheet<N>, const N: usize> Catalog<S, N> {
    /// Reads a list of one file as it is now. Rows that make no sense are left out and counted.
    ///
    /// # Errors
    /// When it is no such list: a column is missing, or there is not a single instrument.
    pub fn parse(input: impl Read) -> Result<Self, AdapterError> {
        Self::parse_on(input, Day::at(SystemTime::now()))
    }

    /// The same, as it is on another day.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_on(input: impl Read, today: Day) -> Result<Self, AdapterError> {
        let mut reading = Reading::<S, N>::begin(today);
        reading.take(input)?;
        reading.finish()
    }

    /// The broker's key of an instrument, by any spelling of its name that is clear, be it expired or not.
    pub fn key(&self, exchange: &str, symbol: &str) -> Option<S::Key> {
        crate::symbol::find(exchange, symbol, |name| self.table.get(exchange, name))
    }

    /// The broker's key of an instrument that can be subscribed, see [`Table::find`].
    ///
    /// # Errors
    /// [`Refusal::UnknownInstrument`], with a sentence for the client.
    pub fn find(&self, exchange: &str, symbol: &str) -> Result<S::Key, Refusal> {
        self.table.find(exchange, symbol, SystemTime::now())
    }

    /// OpenAlgo's exchange and symbol of a key.
    pub fn name(&self, key: S::Key) -> Option<(&str, &str)> {
        self.table.name(key)
    }

    /// Names; some instruments have two.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none, which cannot be.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Rows that were left out, but for those of what had expired.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// Rows that were left out because their instrument had expired.
    pub const fn expired(&self) -> usize {
        self.expired
    }

    /// Memory that it takes, in bytes.
    pub fn bytes(&self) -> usize {
        self.table.bytes()
    }
}

impl<S: Sheet<N>, const N: usize> List for Catalog<S, N> {
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError> {
        let mut reading = Reading::<S, N>::begin(Day::at(SystemTime::now()));
        for path in files {
            let opened = File::open(path).and_then(unpacked);
            let file =
                opened.map_err(|error| AdapterError::network(format!("{}: {error}", path.display())))?;
            reading.take(file.take(S::MAX_BYTES))?;
        }
        reading.finish()
    }

    fn summary(&self) -> Summary {
        Summary { instruments: self.len(), skipped: self.skipped + self.expired, bytes: self.bytes() }
    }

    fn is_cut_off(&self) -> bool {
        self.is_cut_off
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

impl<S: Sheet<N>, const N: usize> PartialEq for Catalog<S, N> {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table && self.skipped == other.skipped && self.expired == other.expired
    }
}

impl<S: Sheet<N>, const N: usize> fmt::Debug for Catalog<S, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("names", &self.len())
            .field("skipped", &self.skipped)
            .field("expired", &self.expired)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Acme(Day);

    impl Sheet<4> for Acme {
        type Key = u32;

        const COLUMNS: [&'static str; 4] = ["token", "symbol", "alias", "ends"];
        const MAX_ROWS: usize = 6;

        fn begin(today: Day) -> Self {
            Self(today)
        }

        fn row(&mut self, cells: [Option<&str>; 4], names: &mut Names<u32>) -> Option<()> {
            let [token, symbol, alias, ends] = cells;
            if ends.and_then(|ends| ends.parse().ok()).is_some_and(|ends: Day| ends < self.0) {
                names.expired();
                return Some(());
            }
            let token = token?.parse().ok()?;
            names.add("NSE", symbol?, token);
            if let Some((rank, alias)) = alias.and_then(|alias| alias.split_once('#')) {
                names.add_unless_taken(rank.parse().ok()?, "NSE", alias, token);
            }
            Some(())
        }
    }

    type List = Catalog<Acme, 4>;

    fn day(day: u8) -> Day {
        Day::new(2026, 1, day).unwrap()
    }

    #[test]
    fn columns_are_found_by_name_and_names_go_to_who_has_the_best_claim() {
        let text = "new,ends,symbol,alias,token\n\
                    ,,A,2#X,1\n\
                    ,,B,1#X,2\n\
                    ,,C,1#A,3\n\
                    ,2026-01-09,D,,4\n\
                    ,,E,,nonsense\n\
                    ,,F\n\
                    ,,G,,7\n";
        let list = List::parse_on(text.as_bytes(), day(10)).unwrap();
        assert_eq!((list.key("NSE", "X"), list.key("NSE", "A")), (Some(2), Some(1)));
        assert_eq!((list.len(), list.skipped(), list.expired()), (4, 2, 1));
        assert_eq!(list.key("NSE", "G"), None, "there is a limit to the rows");
        assert_eq!(list.name(2), Some(("NSE", "B")));
        let before = List::parse_on(text.as_bytes(), day(9)).unwrap();
        assert_eq!((before.key("NSE", "D"), before.expired()), (Some(4), 0));
        assert!(before != list);
    }

    /// A list of several files, some of which call columns otherwise, lack some, or name none.
    struct Odd;

    impl Sheet<3> for Odd {
        type Key = u32;

        const COLUMNS: [&'static str; 3] = ["Exchange|Exch", "token", "Name|Trading Name"];
        const OPTIONAL: [bool; 3] = [false, false, true];

        fn places(first: &Row) -> Option<[Option<usize>; 3]> {
            first.get(1)?.parse::<u32>().is_ok().then_some([Some(0), Some(1), None])
        }

        fn begin(_: Day) -> Self {
            Self
        }

        fn row(&mut self, [exchange, token, name]: [Option<&str>; 3], names: &mut Names<u32>) -> Option<()> {
            let key = token?.parse().ok()?;
            names.add(exchange?, name.or(token)?, key);
            Some(())
        }
    }

    #[test]
    fn several_files_are_one_list_whatever_their_columns_are_called() {
        let folder = std::env::temp_dir().join(format!("catalog-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let texts =
            ["TOKEN,Trading Name,exch\n1,A,NSE\n", "Exchange,Token\nBSE,2\n", "MCX,3\nMCX,x\nMCX,4\n"];
        let paths: Vec<PathBuf> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| {
                let path = folder.join(number.to_string());
                std::fs::write(&path, text).unwrap();
                path
            })
            .collect();
        let list = <Catalog<Odd, 3> as super::List>::read(&paths).unwrap();
        let missing = Catalog::<Odd, 3>::parse("Exch,Name\nNSE,A\n".as_bytes()).unwrap_err();
        std::fs::remove_dir_all(&folder).unwrap();
        let found = [("NSE", "A"), ("BSE", "2"), ("MCX", "3"), ("MCX", "4")]
            .map(|(exchange, name)| list.key(exchange, name));
        assert_eq!(found, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!((list.len(), list.skipped()), (4, 1));
        assert!(missing.to_string().ends_with("has no column token"), "{missing}");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (text, said) in [
            ("", "no column token"),
            ("<html>maintenance</html>", "no column token"),
            ("token,symbol,alias\n", "no column ends"),
            ("token,symbol,alias,ends\n", "has none"),
        ] {
            let error = List::parse_on(text.as_bytes(), day(1)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_in_words() {
        let list = List::parse_on("token,symbol,alias,ends\n1,SBIN,,\n".as_bytes(), day(1)).unwrap();
        assert_eq!(list.find("NSE", "SBIN"), Ok(1));
        assert_eq!(list.find("NSE", "X"), Err(Refusal::not_found("NSE", "X")));
        assert_eq!(list.find("NFO", "NIFTY30JAN25FUT"), Err(Refusal::expired("NFO", "NIFTY30JAN25FUT")));
    }
}
