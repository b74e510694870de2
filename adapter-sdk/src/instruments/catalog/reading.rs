//! From files to a catalogue, row by row.

use std::io::{BufReader, Read};

use super::{
    super::{
        Row, Rows,
        arrays::{Arrays, Which},
        cells,
        objects::Objects,
    },
    Catalog, Layout, Names, Sheet,
    named::Named,
};
use crate::{AdapterError, ist::Day};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// A list that is being read, file by file.
pub(super) struct Reading<S: Sheet<N>, const N: usize> {
    sheet: S,
    names: Names<S::Key>,
    rows: usize,
    skipped: usize,
    is_cut_off: bool,
}

impl<S: Sheet<N>, const N: usize> Reading<S, N> {
    pub(super) fn begin(today: Day) -> Self {
        Self { sheet: S::begin(today), names: Names::on(today), rows: 0, skipped: 0, is_cut_off: false }
    }

    pub(super) fn take(&mut self, input: impl Read) -> Result<(), AdapterError> {
        let before = self.names.count();
        match S::LAYOUT {
            Layout::Csv => self.take_csv(S::text(Box::new(input)))?,
            Layout::JsonObjects => _ = self.take_objects(Arrays::new(input, Which::First))?,
            Layout::JsonObjectsAt(path) => {
                if !self.take_objects(Arrays::new(input, Which::At(path)))?.input().is_sound() {
                    let lacks =
                        format!("the broker's list of instruments has no array of objects at `{path}`");
                    return Err(AdapterError::protocol(lacks));
                }
            }
        }
        if self.names.count() == before {
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

    /// Counts a file that is no list.
    pub(super) const fn skip(&mut self) {
        self.skipped += 1;
    }

    pub(super) fn finish(self) -> Result<Catalog<S, N>, AdapterError> {
        let Named { table, own, skipped, expired, unserved } = self.names.finish();
        let skipped = self.skipped + skipped;
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
