//! A list of files of CSV or JSON, read row by row by the names of its columns.

mod named;
mod reading;
mod served;
#[cfg(target_os = "linux")]
mod shared;

use std::{fmt, fs::File, io::Read, path::PathBuf, time::SystemTime};

pub use self::named::Names;
use self::reading::Reading;
use super::{Key, List, Row, Summary, Table, archive::unpacked};
use crate::{AdapterError, Refusal, ist::Day};

/// How a list's file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// CSV, whose first line names the columns. A list without one of them is refused.
    Csv,
    /// One array of JSON objects, alone or within an envelope of any size, of which the first array of
    /// objects counts. Their members are the columns: texts, and numbers as texts. A value that is missing,
    /// null, or anything else is none. An object that is damaged costs itself, and so does a bare word such
    /// as `NaN`.
    JsonObjects,
    /// The same of the array at a path of a JSON object, such as `result` or `data.products`: names of
    /// members with dots between them. Several objects one behind the other, as [`Pages`](super::Pages) keeps
    /// them, are one list; each must have the array. A column can be within a member here and in the layout
    /// above: `underlying_asset.symbol`.
    JsonObjectsAt(&'static str),
}

/// What only the broker knows of its list: `N` columns, and what a row means. [`Catalog`] does the rest.
///
/// What it makes of rows depends on them and the day alone: other processes of the adapter take what one of
/// them has made.
pub trait Sheet<const N: usize>: Sized + 'static {
    /// What the broker's packets call an instrument.
    type Key: Key;

    /// How its files are laid out.
    const LAYOUT: Layout = Layout::Csv;

    /// Columns, found by name: brokers add some, and change their order. One that is called differently in
    /// some files has all its names, with bars between them: `StrikePrice|Strike`. Capitals do not count.
    const COLUMNS: [&'static str; N];

    /// Which of them a file may lack.
    const OPTIONAL: [bool; N] = [false; N];

    /// Longest file that is read, in bytes, which are those of what is in it where it is packed.
    const MAX_BYTES: u64 = 256 << 20;

    /// Most rows that are read of all files together.
    const MAX_ROWS: usize = 2_000_000;

    /// Where the columns stand, counted from 0, in a file without their names, whose first row, which is
    /// empty in an empty file, is one of the list. None for any other file.
    fn places(_first: &Row) -> Option<[Option<usize>; N]> {
        None
    }

    /// The text of a CSV file that stands within something else, such as a member of a JSON object. By
    /// default it is the file itself.
    fn text<'r>(file: Box<dyn Read + 'r>) -> Box<dyn Read + 'r> {
        file
    }

    /// Begins to read a list, as it is on a day in India: what has expired by then has no name.
    fn begin(today: Day) -> Self;

    /// Names an instrument by a row, whose cells stand in the order of [`Self::COLUMNS`]; a short row lacks
    /// some. None when the row makes no sense: it is counted.
    fn row(&mut self, cells: [Option<&str>; N], names: &mut Names<Self::Key>) -> Option<()>;
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
    /// When one of them is no such list, or has not a single instrument: it may be a page that says that
    /// there is none.
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

    /// Rows that were left out although they are of a market that is served and of what has not expired, and
    /// files of several that are no lists.
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
                Err(_) if files.len() > 1 => reading.skip(),
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
