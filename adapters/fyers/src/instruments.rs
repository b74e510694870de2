//! The broker's lists of instruments: a CSV file without a header for each segment, read row by row.

use adapter_sdk::{
    instruments::{self as csv, Catalog, Names, Sheet},
    ist::Day,
};

use crate::{names::Row, topic::Fytoken};

/// Every instrument of the lists, by OpenAlgo's names and by the broker's symbols.
pub type Instruments = Catalog<FyersList, 10>;

/// The layout of the lists.
#[derive(Clone, Copy, Debug)]
pub struct FyersList;

impl Sheet<10> for FyersList {
    type Key = Fytoken;

    const COLUMNS: [&'static str; 10] = [
        "fytoken",
        "kind",
        "expiry",
        "ticker",
        "exchange",
        "segment",
        "token",
        "underlying",
        "strike",
        "option",
    ];

    /// The longest file has some 15 MB.
    const MAX_BYTES: u64 = 128 << 20;
    const MAX_ROWS: usize = 1_000_000;

    fn places(_first: &csv::Row) -> Option<[Option<usize>; 10]> {
        Some([0, 2, 8, 9, 10, 11, 12, 13, 15, 16].map(Some))
    }

    fn begin(_today: Day) -> Self {
        Self
    }

    fn row(&mut self, cells: [Option<&str>; 10], names: &mut Names<Fytoken>) -> Option<()> {
        read_row(cells)?.name(names)
    }
}

/// A row whose columns agree with each other: what is said of exchange, segment and number stands in the
/// fytoken too, and a row in which they differ would show the price of something else.
fn read_row(cells: [Option<&str>; 10]) -> Option<Row<'_>> {
    let [digits, kind, expiry, ticker, exchange, segment, token, underlying, strike, option] = cells;
    let digits = digits?;
    let fytoken = Fytoken::parse(digits)?;
    let said = [digits.get(..2)?, digits.get(2..4)?, digits.get(10..)?];
    if said != [exchange?, segment?, token?] {
        return None;
    }
    Some(Row {
        fytoken,
        kind: kind?,
        expiry: expiry?,
        ticker: ticker?,
        underlying: underlying?,
        strike: strike?,
        option: option?,
    })
}

#[cfg(test)]
mod tests;
