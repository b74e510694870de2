//! A list of files of CSV or JSON, read row by row by the names of its columns.

mod named;
mod served;
#[cfg(target_os = "linux")]
mod shared;

use std::{
    fmt,
    fs::File,
    io::{BufReader, Read},
    path::PathBuf,
    time::SystemTime,
};

use super::{
    Key, List, Row, Rows, Summary, Table, TableBuilder,
    archive::unpacked,
    arrays::{Arrays, Which},
    cells,
    objects::Objects,
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
    /// One array of JSON objects, alone or within an envelope of any size, of which the first array of objects counts. Their members
    /// are the columns: texts, and numbers as texts. A value that is missing, null, or anything else is none. An object that is
    /// damaged costs itself, and so does a bare word such as `NaN`.
    JsonObjects,
    /// The same of the array at a path of a JSON object, such as `result` or `data.products`: names of members with dots between them.
    /// Several objects one behind the other, as [`Pages`](super::Pages) keeps them, are one list; each must have the array. A column can be
    /// within a member here and in the layout above: `underlying_asset.symbol`.
    JsonObjectsAt(&'static str),
}

/// What only the broker knows of its list: `N` columns, and what a row means. [`Catalog`] does the rest.
///
/// What it makes of rows depends on them and the day alone: other processes of the adapter take what one of them has made.
pub trait Sheet<const N: usize>: Sized + 'static {
    /// What the broker's packets call an instrument.
    type Key: Key;

    /// How its files are laid out.
    const LAYOUT: Layout = Layout::Csv;

    /// Columns, found by name: brokers add some, and change their order. One that is called differently in some files has all its
    /// names, with bars between them: `StrikePrice|Strike`. Capitals do not count.
    const COLUMNS: [&'static str; N];

    /// Which of them a file may lack.
    const OPTIONAL: [bool; N] = [false; N];

    /// Longest file that is read, in bytes, which are those of what is in it where it is packed.
    const MAX_BYTES: u64 = 256 << 20;

    /// Most rows that are read of all files together.
    const MAX_ROWS: usize = 2_000_000;

    /// Where the columns stand, counted from 0, in a file without their names, whose first row, which is empty in an empty file, is
    /// one of the list. None for any other file.
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
    own: TableBuilder<K>,
    later: Vec<Claim<K>>,
    named: usize,
    expired: usize,
    unserved: usize,
    today: Day,
    /// Kept for its room.
    symbol: String,
}

/// A name that another row may have a better claim to.
struct Claim<K> {
    rank: usize,
    exchange: String,
    symbol: String,
    key: K,
}

impl<K: Copy> Names<K> {
    /// Names an instrument. Where two rows have one name, the first counts.
    pub fn add(&mut self, exchange: &str, symbol: &str, key: K) {
        self.named += 1;
        self.builder.add(exchange, symbol, key);
    }

    /// Notes what the broker itself calls an instrument, where that is needed besides: [`Catalog::own_name`].
    pub fn add_own(&mut self, exchange: &str, symbol: &str, key: K) {
        self.own.add(exchange, symbol, key);
    }

    /// Names an instrument if no other has the name by [`Self::add`], or by a lower rank: a second name of an index, or a share
    /// in a series that nobody means when the usual one is there.
    pub fn add_unless_taken(&mut self, rank: usize, exchange: &str, symbol: &str, key: K) {
        self.named += 1;
        self.later.push(Claim { rank, exchange: exchange.to_owned(), symbol: symbol.to_owned(), key });
    }

    /// Counts a row of what has expired, which has no name.
    pub const fn expired(&mut self) {
        self.expired += 1;
    }

    /// Counts a row of a market or kind that is not served, which has no name.
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
    /// By the broker's own names, as far as they are needed.
    own: Table<S::Key>,
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
        let (builder, own, later) = (TableBuilder::new(), TableBuilder::new(), Vec::new());
        let names =
            Names { builder, own, later, named: 0, expired: 0, unserved: 0, today, symbol: String::new() };
        Self { sheet: S::begin(today), names, rows: 0, skipped: 0, is_cut_off: false }
    }

    fn take(&mut self, input: impl Read) -> Result<(), AdapterError> {
        let before = self.names.named;
        match S::LAYOUT {
            Layout::Csv => self.take_csv(input)?,
            Layout::JsonObjects => _ = self.take_objects(Arrays::new(input, Which::First))?,
            Layout::JsonObjectsAt(path) => {
                if !self.take_objects(Arrays::new(input, Which::At(path)))?.input().is_sound() {
                    let lacks =
                        format!("the broker's list of instruments has no array of objects at `{path}`");
                    return Err(AdapterError::protocol(lacks));
                }
            }
        }
        if self.names.named == before {
            return Err(AdapterError::protocol("the broker's list of instruments has none that can be used"));
        }
        Ok(())
    }

    fn take_objects<R: Read>(&mut self, input: R) -> Result<Objects<R>, AdapterError> {
        let mut rows = Objects::new(input);
        while self.rows < S::MAX_ROWS {
            let row = rows.next(|object| {
                let cells = cells::cells(object, &S::COLUMNS)?;
                self.cells(cells.each_ref().map(Option::as_deref));
                Some(())
            });
            let row = row.map_err(|error| AdapterError::io("the list of instruments", error))?;
            if row.is_none() {
                break;
            }
        }
        self.skipped += rows.damaged();
        self.is_cut_off |= rows.is_cut_off();
        Ok(rows)
    }

    fn take_csv(&mut self, input: impl Read) -> Result<(), AdapterError> {
        let mut rows = Rows::new(BufReader::with_capacity(BUFFER_BYTES, input));
        let (first, nothing) = (rows.read()?, Row::default());
        // An empty file is one whose first row has no cell.
        let begin = first.unwrap_or(&nothing);
        let places = if let Some(places) = S::places(begin) {
            if first.is_some() {
                self.row(begin, &places);
            }
            places
        } else {
            named_places::<S, N>(begin)?
        };
        while self.rows < S::MAX_ROWS
            && let Some(row) = rows.read()?
        {
            self.row(row, &places);
        }
        self.is_cut_off |= rows.is_cut_off();
        Ok(())
    }

    fn row(&mut self, row: &Row, places: &[Option<usize>; N]) {
        self.cells(places.map(|place| row.get(place?)));
    }

    fn cells(&mut self, cells: [Option<&str>; N]) {
        self.rows += 1;
        self.skipped += usize::from(self.sheet.row(cells, &mut self.names).is_none());
    }

    fn finish(self) -> Result<Catalog<S, N>, AdapterError> {
        let Names { mut builder, own, mut later, expired, unserved, .. } = self.names;
        // Stable: of one rank the first row counts.
        later.sort_by_key(|claim| claim.rank);
        for Claim { exchange, symbol, key, .. } in &later {
            builder.add(exchange, symbol, *key);
        }
        let skipped = self.skipped + builder.skipped() + own.skipped();
        let (table, own) = (builder.build(), own.build());
        if table.is_empty() {
            return Err(AdapterError::protocol("the broker's list of instruments has none that can be used"));
        }
        Ok(Catalog { table, own, skipped, expired, unserved, is_cut_off: self.is_cut_off })
    }
}

/// The places of the columns by their names in the first row.
fn named_places<S: Sheet<N>, const N: usize>(first: &Row) -> Result<[Option<usize>; N], AdapterError> {
    let mut places = [None; N];
    for ((place, column), is_optional) in places.iter_mut().zip(S::COLUMNS).zip(S::OPTIONAL) {
        let is_column = |place: &usize| first.get(*place).is_some_and(|cell| cells::is_named(column, cell));
        *place = (0..first.len()).find(is_column);
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
        Self::parse_all_on([input], today)
    }

    /// Reads a list of several files.
    ///
    /// # Errors
    /// When one of them is no such list, or has not a single instrument: it may be a page that says that there is none.
    pub fn parse_all<R: Read>(inputs: impl IntoIterator<Item = R>) -> Result<Self, AdapterError> {
        Self::parse_all_on(inputs, Day::at(SystemTime::now()))
    }

    fn parse_all_on<R: Read>(inputs: impl IntoIterator<Item = R>, today: Day) -> Result<Self, AdapterError> {
        let mut reading = Reading::<S, N>::begin(today);
        inputs.into_iter().try_for_each(|input| reading.take(input))?;
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

    /// The broker's own exchange and symbol of a key, if its sheet notes them.
    pub fn own_name(&self, key: S::Key) -> Option<(&str, &str)> {
        self.own.name(key)
    }

    /// Names; some instruments have two.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there is none, which cannot be.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Rows that were left out although they are of a market that is served and of what has not expired, and files of several that
    /// are no lists.
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
        self.table.bytes() + self.own.bytes()
    }

    /// Reads the files of a list, as it is on a day.
    fn read_on(files: &[PathBuf], today: Day) -> Result<Self, AdapterError> {
        let mut reading = Reading::<S, N>::begin(today);
        for path in files {
            let opened = File::open(path).and_then(unpacked);
            let file =
                opened.map_err(|error| AdapterError::network(format!("{}: {error}", path.display())))?;
            match reading.take(file.take(S::MAX_BYTES)) {
                // One of several costs itself.
                Err(_) if files.len() > 1 => reading.skipped += 1,
                taken => taken?,
            }
        }
        reading.finish()
    }
}

impl<S: Sheet<N>, const N: usize> List for Catalog<S, N> {
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError> {
        Self::read_on(files, Day::at(SystemTime::now()))
    }

    #[cfg(target_os = "linux")]
    fn read_shared(files: &[PathBuf]) -> Result<Self, AdapterError> {
        shared::read(files, Day::at(SystemTime::now()))
    }

    fn summary(&self) -> Summary {
        let skipped = self.skipped + self.expired + self.unserved;
        Summary::of(self.len()).skipped(skipped).bytes(self.bytes())
    }

    fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    fn names(&self) -> Box<dyn Iterator<Item = (&str, &str)> + '_> {
        Box::new(self.table.names())
    }

    fn hold(&mut self, last: &Self, is_held: &dyn Fn(&str, &str) -> bool) -> usize {
        let held = self.table.with_missing_of(&last.table, |exchange, symbol, _| is_held(exchange, symbol));
        let Some((table, count)) = held else { return 0 };
        self.table = table;
        let own = self.own.with_missing_of(&last.own, |_, _, key| self.table.name(key).is_some());
        if let Some((own, _)) = own {
            self.own = own;
        }
        count
    }
}

impl<S: Sheet<N>, const N: usize> PartialEq for Catalog<S, N> {
    fn eq(&self, other: &Self) -> bool {
        let counts = |list: &Self| (list.skipped, list.expired, list.unserved);
        self.table == other.table && self.own == other.own && counts(self) == counts(other)
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
mod tests;
