//! The broker's lists of instruments: a CSV file without a header for each segment, read row by row.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::PathBuf,
    time::SystemTime,
};

use adapter_sdk::{
    AdapterError, Refusal,
    instruments::{self, List, Rows, Summary, Table, TableBuilder},
    symbol,
};

use crate::{
    names::{LeftOut, Row},
    topic::Fytoken,
};

/// Longest file that is taken, in bytes. The longest has some 15 MB.
pub const MAX_BYTES: u64 = 128 << 20;

/// Most rows that are read of one file.
const MAX_ROWS: usize = 1_000_000;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 1 << 17;

/// Places of the columns that are needed.
mod column {
    pub(super) const FYTOKEN: usize = 0;
    pub(super) const KIND: usize = 2;
    pub(super) const EXPIRY: usize = 8;
    pub(super) const TICKER: usize = 9;
    pub(super) const EXCHANGE: usize = 10;
    pub(super) const SEGMENT: usize = 11;
    pub(super) const TOKEN: usize = 12;
    pub(super) const UNDERLYING: usize = 13;
    pub(super) const STRIKE: usize = 15;
    pub(super) const OPTION: usize = 16;
}

/// Every instrument of the lists.
#[derive(Debug, PartialEq)]
pub struct Instruments {
    /// By OpenAlgo's names.
    names: Table<Fytoken>,
    /// By the broker's symbols.
    tickers: Table<Fytoken>,
    of_other_kinds: usize,
    unreadable: usize,
    /// Whether one of its files ends within a row.
    is_cut_off: bool,
}

impl List for Instruments {
    fn read(files: &[PathBuf]) -> Result<Self, AdapterError> {
        let mut reading = Reading::default();
        for path in files {
            let file = File::open(path)
                .map_err(|error| AdapterError::network(format!("{}: {error}", path.display())))?;
            match reading.read(file.take(MAX_BYTES)) {
                // One of several costs itself.
                Err(_) if files.len() > 1 => reading.unreadable += 1,
                read => read?,
            }
        }
        reading.finish()
    }

    fn summary(&self) -> Summary {
        Summary {
            instruments: self.names.len(),
            skipped: self.of_other_kinds + self.unreadable,
            bytes: self.names.bytes() + self.tickers.bytes(),
        }
    }

    fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    fn names(&self) -> Box<dyn Iterator<Item = (&str, &str)> + '_> {
        Box::new(self.names.names())
    }

    fn hold(&mut self, last: &Self, is_held: &dyn Fn(&str, &str) -> bool) -> usize {
        let held = self.names.with_missing_of(&last.names, |exchange, symbol, _| is_held(exchange, symbol));
        let Some((names, count)) = held else { return 0 };
        self.names = names;
        let tickers =
            self.tickers.with_missing_of(&last.tickers, |_, _, fytoken| self.names.name(fytoken).is_some());
        if let Some((tickers, _)) = tickers {
            self.tickers = tickers;
        }
        count
    }
}

impl Instruments {
    /// Reads lists. Rows that make no sense, and those that OpenAlgo has no name for, are left out and counted.
    ///
    /// # Errors
    /// When one of them is no such list, or has not a single instrument: it may be a page that says that there is none.
    pub fn load<R: Read>(lists: impl IntoIterator<Item = R>) -> Result<Self, AdapterError> {
        let mut reading = Reading::default();
        lists.into_iter().try_for_each(|list| reading.read(list))?;
        reading.finish()
    }

    /// The broker's number of an instrument, by any spelling of its name that is clear.
    pub fn fytoken(&self, exchange: &str, symbol: &str) -> Option<Fytoken> {
        symbol::find(exchange, symbol, |name| self.names.get(exchange, name))
    }

    /// The broker's number of an instrument that can be subscribed.
    pub(crate) fn find(&self, exchange: &str, symbol: &str) -> Result<Fytoken, Refusal> {
        self.names.find(exchange, symbol, SystemTime::now())
    }

    /// OpenAlgo's exchange and symbol of an instrument.
    pub fn name(&self, fytoken: Fytoken) -> Option<(&str, &str)> {
        self.names.name(fytoken)
    }

    /// The broker's symbol of an instrument, such as `NSE:SBIN-EQ`.
    pub fn ticker(&self, fytoken: Fytoken) -> Option<String> {
        self.tickers.name(fytoken).map(|(exchange, symbol)| format!("{exchange}:{symbol}"))
    }

    /// Names; some indices have two.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none, which cannot be.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Rows that OpenAlgo has no name for.
    pub const fn of_other_kinds(&self) -> usize {
        self.of_other_kinds
    }

    /// Rows that make no sense.
    pub const fn unreadable(&self) -> usize {
        self.unreadable
    }
}

#[derive(Default)]
struct Reading {
    names: TableBuilder<Fytoken>,
    tickers: TableBuilder<Fytoken>,
    /// Names that another row may have a better claim to: shares whose series is not said, and second names of indices.
    later: Vec<(&'static str, String, Fytoken)>,
    of_other_kinds: usize,
    unreadable: usize,
    is_cut_off: bool,
}

impl Reading {
    fn read(&mut self, list: impl Read) -> Result<(), AdapterError> {
        let mut rows = Rows::new(BufReader::with_capacity(BUFFER_BYTES, list));
        let (mut symbol, mut second) = (String::new(), String::new());
        let mut taken = 0;
        for _ in 0..MAX_ROWS {
            let Some(record) = rows.read()? else { break };
            let Some(row) = read_row(record) else {
                self.unreadable += 1;
                continue;
            };
            let named = match row.name(&mut symbol) {
                Ok(named) => named,
                Err(LeftOut::Kind) => {
                    self.of_other_kinds += 1;
                    continue;
                }
                Err(LeftOut::Row) => {
                    self.unreadable += 1;
                    continue;
                }
            };
            let Some((exchange, ticker)) = row.ticker.split_once(':') else {
                self.unreadable += 1;
                continue;
            };
            taken += 1;
            self.tickers.add(exchange, ticker, row.fytoken);
            if named.is_usual {
                self.names.add(named.exchange, &symbol, row.fytoken);
            } else {
                self.later.push((named.exchange, symbol.clone(), row.fytoken));
            }
            if row.is_index() {
                row.second_name(&mut second);
                if second != symbol {
                    self.later.push((named.exchange, second.clone(), row.fytoken));
                }
            }
        }
        self.is_cut_off |= rows.is_cut_off();
        if taken == 0 {
            return Err(AdapterError::protocol(
                "a list of instruments of the broker has none that can be used",
            ));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Instruments, AdapterError> {
        for (exchange, symbol, fytoken) in &self.later {
            self.names.add(exchange, symbol, *fytoken);
        }
        let unreadable = self.unreadable + self.names.skipped() + self.tickers.skipped();
        let (names, tickers) = (self.names.build(), self.tickers.build());
        if names.is_empty() {
            return Err(AdapterError::protocol("the broker's lists of instruments have none"));
        }
        let Self { of_other_kinds, is_cut_off, .. } = self;
        Ok(Instruments { names, tickers, of_other_kinds, unreadable, is_cut_off })
    }
}

/// A row whose columns agree with each other: what is said of exchange, segment and number stands in the fytoken too, and a
/// row in which they differ would show the price of something else.
fn read_row(record: &instruments::Row) -> Option<Row<'_>> {
    let text = |place| record.get(place);
    let digits = text(column::FYTOKEN)?;
    let fytoken = Fytoken::parse(digits)?;
    let (exchange, segment, token) = (text(column::EXCHANGE)?, text(column::SEGMENT)?, text(column::TOKEN)?);
    let is_same = digits.get(..2) == Some(exchange)
        && digits.get(2..4) == Some(segment)
        && digits.get(10..) == Some(token);
    if !is_same {
        return None;
    }
    Some(Row {
        fytoken,
        segment: fytoken.segment()?,
        kind: text(column::KIND)?,
        expiry: text(column::EXPIRY)?,
        ticker: text(column::TICKER)?,
        underlying: text(column::UNDERLYING)?,
        strike: text(column::STRIKE)?,
        option: text(column::OPTION)?,
    })
}

#[cfg(test)]
mod tests;
