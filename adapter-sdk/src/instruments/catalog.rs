//! A list of files of CSV or JSON, read row by row by the names of its columns.

use std::{
    fmt,
    fs::File,
    hash::Hash,
    io::{BufReader, Read},
    path::PathBuf,
    time::SystemTime,
};

use super::{
    List, Row, Rows, Summary, Table, TableBuilder,
    archive::unpacked,
    objects::{self, Objects},
};
use crate::{AdapterError, Refusal, ist::Day};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// How a list's file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// CSV, whose first line names the columns. A list without one of them is refused.
    Csv,
    /// One array of JSON objects, whose members are the columns: texts, and numbers as texts. A value that is missing, null, or
    /// anything else is none. An object that is damaged costs itself, and so does a bare word such as `NaN`.
    JsonObjects,
}

/// What only the broker knows of its list: `N` columns, and what a row means. [`Catalog`] does the rest.
pub trait Sheet<const N: usize>: Sized + 'static {
    /// What the broker's packets call an instrument.
    type Key: Copy + Ord + Hash + fmt::Debug + Send + Sync + 'static;

    /// How its files are laid out.
    const LAYOUT: Layout = Layout::Csv;

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
    /// row makes no sense: it is counted.
    fn row(&mut self, cells: [Option<&str>; N], names: &mut Names<Self::Key>) -> Option<()>;
}

/// Takes the names of a list's instruments.
pub struct Names<K> {
    builder: TableBuilder<K>,
    later: Vec<Claim<K>>,
    expired: usize,
    unserved: usize,
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

    /// Counts a row of a market that is not served, which has no name.
    pub const fn unserved(&mut self) {
        self.unserved += 1;
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
    unserved: usize,
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
        let (builder, later) = (TableBuilder::new(), Vec::new());
        let names = Names { builder, later, expired: 0, unserved: 0 };
        Self { sheet: S::begin(today), names, rows: 0, skipped: 0, is_cut_off: false }
    }

    fn take(&mut self, input: impl Read) -> Result<(), AdapterError> {
        match S::LAYOUT {
            Layout::Csv => self.take_csv(input),
            Layout::JsonObjects => self.take_objects(input),
        }
    }

    fn take_objects(&mut self, input: impl Read) -> Result<(), AdapterError> {
        let mut rows = Objects::new(input);
        while self.rows < S::MAX_ROWS {
            let row = rows.next(|object| {
                let cells = objects::cells(object, &S::COLUMNS)?;
                self.cells(cells.each_ref().map(Option::as_deref));
                Some(())
            })?;
            if row.is_none() {
                break;
            }
        }
        self.skipped += rows.damaged();
        self.is_cut_off |= rows.is_cut_off();
        Ok(())
    }

    fn take_csv(&mut self, input: impl Read) -> Result<(), AdapterError> {
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
        self.cells(places.map(|place| row.and_then(|row| row.get(place?))));
    }

    fn cells(&mut self, cells: [Option<&str>; N]) {
        self.rows += 1;
        self.skipped += usize::from(self.sheet.row(cells, &mut self.names).is_none());
    }

    fn finish(self) -> Result<Catalog<S, N>, AdapterError> {
        let Names { mut builder, mut later, expired, unserved } = self.names;
        // Stable: of one rank the first row counts.
        later.sort_by_key(|claim| claim.rank);
        for Claim { exchange, symbol, key, .. } in &later {
            builder.add(exchange, symbol, *key);
        }
        let skipped = self.skipped + builder.skipped();
        let table = builder.build();
        if table.is_empty() {
            return Err(AdapterError::protocol("the broker's list of instruments has none that can be used"));
        }
        Ok(Catalog { table, skipped, expired, unserved, is_cut_off: self.is_cut_off })
    }
}

/// The places of the columns by their names in the first row.
fn named_places<S: Sheet<N>, const N: usize>(
    first: Option<&Row>,
) -> Result<[Option<usize>; N], AdapterError> {
    let mut places = [None; N];
    for ((place, column), is_optional) in places.iter_mut().zip(S::COLUMNS).zip(S::OPTIONAL) {
        let is_column = |place: &usize| {
            first.and_then(|first| first.get(*place)).is_some_and(|cell| objects::is_named(column, cell))
        };
        *place = (0..first.map_or(0, Row::len)).find(is_column);
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

    /// Rows that were left out although they are of a market that is served and of what has not expired.
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// Rows that were left out because their instrument had expired.
    pub const fn expired(&self) -> usize {
        self.expired
    }

    /// Rows that were left out because their market is not served.
    pub const fn unserved(&self) -> usize {
        self.unserved
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
        let skipped = self.skipped + self.expired + self.unserved;
        Summary { instruments: self.len(), skipped, bytes: self.bytes() }
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
        self.table == other.table
            && (self.skipped, self.expired, self.unserved) == (other.skipped, other.expired, other.unserved)
    }
}

impl<S: Sheet<N>, const N: usize> fmt::Debug for Catalog<S, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("names", &self.len())
            .field("skipped", &self.skipped)
            .field("expired", &self.expired)
            .field("unserved", &self.unserved)
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

    struct Json;

    impl Sheet<3> for Json {
        type Key = u32;

        const LAYOUT: Layout = Layout::JsonObjects;
        const COLUMNS: [&'static str; 3] = ["token", "symbol", "market"];
        const MAX_ROWS: usize = 5;

        fn begin(_today: Day) -> Self {
            Self
        }

        fn row(&mut self, cells: [Option<&str>; 3], names: &mut Names<u32>) -> Option<()> {
            let [token, symbol, market] = cells;
            if market == Some("other") {
                names.unserved();
                return Some(());
            }
            names.add("NSE", symbol?, token?.parse().ok()?);
            Some(())
        }
    }

    #[test]
    fn a_list_of_json_objects_is_read_as_one_of_rows() {
        let text = r#"[{"symbol":"A","token":1,"more":{"token":9}},{"token":"2","symbol":"B","market":NaN},
            {"token":3,"symbol":"C","market":"other"},{"token":"x","symbol":"D"},7,{"token":4,"symbol":
            {"token":5,"symbol":"E"},{"token":6,"symbol":"F"}]"#;
        let list = Catalog::<Json, 3>::parse_on(text.as_bytes(), day(1)).unwrap();
        let has = ["A", "B", "C", "D", "E", "F"].map(|symbol| list.key("NSE", symbol));
        assert_eq!(has, [Some(1), Some(2), None, None, Some(5), None], "there is a limit to the rows");
        assert_eq!((list.len(), list.unserved(), list.skipped(), list.is_cut_off), (3, 1, 3, true));
        for (end, is_cut_off) in
            [("", true), (",", true), (r#",{"token":2"#, true), ("]", false), (" ]\n", false)]
        {
            let text = format!(r#"[{{"token":1,"symbol":"A"}}{end}"#);
            let list = Catalog::<Json, 3>::parse_on(text.as_bytes(), day(1)).unwrap();
            assert_eq!(list.is_cut_off, is_cut_off, "{end:?}");
        }
        for text in ["", "[]", "<html>maintenance</html>", r#"{"status":false}"#] {
            let error = Catalog::<Json, 3>::parse_on(text.as_bytes(), day(1)).unwrap_err().to_string();
            assert!(error.contains("has none that can be used"), "{error}");
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
