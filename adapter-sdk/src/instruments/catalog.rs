//! A list that is one CSV file, read row by row by the names of its columns.

use std::{
    fmt,
    fs::File,
    hash::Hash,
    io::{BufReader, Read},
    path::PathBuf,
    time::SystemTime,
};

use super::{List, Rows, Summary, Table, TableBuilder};
use crate::{AdapterError, Refusal, ist::Day};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// What only the broker knows of its list: `N` columns, and what a row means. [`Catalog`] does the rest.
pub trait Sheet<const N: usize>: Sized + 'static {
    /// What the broker's packets call an instrument.
    type Key: Copy + Ord + Hash + fmt::Debug + Send + Sync + 'static;

    /// Columns that are needed, found by name: brokers add some, and change their order.
    const COLUMNS: [&'static str; N];

    /// Longest file that is read, in bytes.
    const MAX_BYTES: u64 = 256 << 20;

    /// Most rows that are read.
    const MAX_ROWS: usize = 2_000_000;

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

impl<S: Sheet<N>, const N: usize> Catalog<S, N> {
    /// Reads a list as it is now. Rows that make no sense are left out and counted.
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
        let mut rows = Rows::new(BufReader::with_capacity(BUFFER_BYTES, input));
        let header = rows.read()?;
        let mut places = [0; N];
        for (place, column) in places.iter_mut().zip(S::COLUMNS) {
            *place = header.and_then(|header| header.position(column)).ok_or_else(|| {
                AdapterError::protocol(format!("the broker's list of instruments has no column {column}"))
            })?;
        }
        let mut sheet = S::begin(today);
        let mut names = Names { builder: TableBuilder::new(), later: Vec::new(), expired: 0 };
        let mut skipped = 0;
        for _ in 0..S::MAX_ROWS {
            let Some(row) = rows.read()? else { break };
            let cells = places.map(|place| row.get(place));
            skipped += usize::from(sheet.row(cells, &mut names).is_none());
        }
        let Names { mut builder, mut later, expired } = names;
        // Stable: of one rank the first row counts.
        later.sort_by_key(|claim| claim.rank);
        for Claim { exchange, symbol, key, .. } in &later {
            builder.add(exchange, symbol, *key);
        }
        skipped += builder.skipped();
        let table = builder.build();
        if table.is_empty() {
            return Err(AdapterError::protocol("the broker's list of instruments has none"));
        }
        Ok(Self { table, skipped, expired, is_cut_off: rows.is_cut_off() })
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
        let [path] = files else { return Err(AdapterError::protocol("the list of instruments is one file")) };
        let file = File::open(path)
            .map_err(|error| AdapterError::network(format!("{}: {error}", path.display())))?;
        Self::parse(file.take(S::MAX_BYTES))
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
