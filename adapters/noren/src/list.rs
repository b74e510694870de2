//! The brokers' lists of instruments. They are files of columns that differ in their names, their order and in what is missing, and all
//! have the same in them: a row names exchange and token, and what OpenAlgo's name is made of.

use std::fmt::Write as _;

use adapter_sdk::{
    Price,
    instruments::{Catalog, Names, Row, Sheet},
    ist::Day,
    symbol::{self, Contract, digits},
};

use crate::exchange::{Exchange, Key};

/// The instruments of a list, by OpenAlgo's names and by the broker's.
pub type Instruments = Catalog<NorenList, COLUMNS>;

const COLUMNS: usize = 12;

/// The layouts of all the lists.
#[derive(Debug)]
pub struct NorenList {
    today: Day,
    /// Kept for their room.
    symbol: String,
    strike: String,
}

/// A row.
struct Cells<'a> {
    exchange: Exchange,
    token: &'a str,
    symbol: &'a str,
    /// None in files of indices alone, which have no such column.
    trading_symbol: Option<&'a str>,
    instrument: &'a str,
    expiry: &'a str,
    option: &'a str,
    series: Option<&'a str>,
}

impl Sheet<COLUMNS> for NorenList {
    type Key = Key;

    const COLUMNS: [&'static str; COLUMNS] = [
        "Exchange|Exch",
        "Token",
        "Symbol",
        "TradingSymbol|Trading Symbol",
        "Instrument|Instrument Type",
        "Expiry|Expiry Date",
        "StrikePrice|Strike Price|Strike",
        "OptionType|Option Type",
        "Group Name",
        "Exchange Segment",
        // Of Definedge's list, whose columns have no names. Others have a precision too, but strikes in rupees.
        "decimals of the strike",
        "multiplier of the strike",
    ];

    const OPTIONAL: [bool; COLUMNS] =
        [false, false, false, true, true, true, true, true, true, true, true, true];

    const MAX_BYTES: u64 = 128 << 20;

    fn begin(today: Day) -> Self {
        Self { today, symbol: String::new(), strike: String::new() }
    }

    fn places(first: &Row) -> Option<[Option<usize>; COLUMNS]> {
        let is_row = first.len() >= 12
            && first.get(0).and_then(Exchange::of).is_some()
            && first.get(1).and_then(token).is_some();
        let [strike, option] = [Some(9), Some(8)];
        let first_six = [Some(0), Some(1), Some(2), Some(3), Some(4), Some(5)];
        let [exchange, token, symbol, trading_symbol, instrument, expiry] = first_six;
        is_row.then_some([
            exchange,
            token,
            symbol,
            trading_symbol,
            instrument,
            expiry,
            strike,
            option,
            None,
            None,
            Some(10),
            Some(11),
        ])
    }

    fn row(&mut self, cells: [Option<&str>; COLUMNS], names: &mut Names<Key>) -> Option<()> {
        let [
            exchange,
            token,
            symbol,
            trading_symbol,
            instrument,
            expiry,
            strike,
            option,
            series,
            segment,
            decimals,
            multiplier,
        ] = cells;
        let exchange = Exchange::of(exchange?)?;
        let cells = Cells {
            exchange,
            token: token?,
            symbol: symbol?,
            trading_symbol,
            instrument: instrument.unwrap_or_default(),
            expiry: expiry.unwrap_or_default(),
            option: option.unwrap_or_default(),
            series,
        };
        self.symbol.clear();
        match exchange {
            // Indices of commodities have no feed.
            _ if segment.is_some_and(|segment| segment.ends_with("_idx")) => None,
            _ if cells.is_index() => self.index(&cells, names),
            Exchange::Nse | Exchange::Bse => self.cash(&cells, names),
            _ => {
                self.read_strike(strike.unwrap_or_default(), decimals, multiplier)?;
                self.derivative(&cells, names)
            }
        }
    }
}

impl Cells<'_> {
    fn is_index(&self) -> bool {
        matches!(self.instrument, "INDEX" | "IDX" | "UNDIND") || self.is_of_a_file_of_indices()
    }

    fn is_of_a_file_of_indices(&self) -> bool {
        self.trading_symbol.is_none() && self.instrument.is_empty()
    }

    fn key(&self, token: &str) -> Option<Key> {
        Some(Key { exchange: self.exchange, token: self::token(token)? })
    }
}

impl NorenList {
    fn index(&mut self, cells: &Cells<'_>, names: &mut Names<Key>) -> Option<()> {
        let exchange = cells.exchange.of_indices()?;
        // In the file of indices they have a number that the socket does not know, with these digits before the real one.
        let token = match cells.token.strip_prefix("999") {
            Some(token) if cells.is_of_a_file_of_indices() => token,
            _ => cells.token,
        };
        let key = cells.key(token)?;
        let mut is_named = false;
        for (rank, theirs) in [cells.trading_symbol, Some(cells.symbol)].into_iter().flatten().enumerate() {
            self.symbol.clear();
            if symbol::write_index(&mut self.symbol, exchange, theirs) {
                if self.symbol == "NIFTYINDEX" {
                    self.symbol.truncate("NIFTY".len());
                }
                if is_named {
                    names.add_unless_taken(rank, exchange, &self.symbol, key);
                } else {
                    names.add(exchange, &self.symbol, key);
                }
                is_named = true;
            }
        }
        is_named.then_some(())
    }

    fn cash(&mut self, cells: &Cells<'_>, names: &mut Names<Key>) -> Option<()> {
        let key = cells.key(cells.token)?;
        let theirs = cells.trading_symbol.filter(|text| !text.is_empty())?;
        let series = match (cells.series, cells.exchange) {
            (Some(series), _) => series,
            // The group, which is not a part of the name.
            (None, Exchange::Bse) => cells.instrument,
            // It stands behind the symbol.
            (None, _) => "",
        };
        if !symbol::write_cash(&mut self.symbol, cells.exchange.code(), theirs, series) {
            return None;
        }
        names.add(cells.exchange.code(), &self.symbol, key);
        if cells.exchange == Exchange::Bse {
            // Some of the lists have no indices of BSE; the brokers serve them under these numbers all the same.
            for (symbol, token) in [("SENSEX", 1), ("BANKEX", 12)] {
                names.add_unless_taken(9, "BSE_INDEX", symbol, Key { exchange: Exchange::Bse, token });
            }
        }
        Some(())
    }

    fn derivative(&mut self, cells: &Cells<'_>, names: &mut Names<Key>) -> Option<()> {
        let expiry = day(cells.expiry)?;
        let key = cells.key(cells.token)?;
        let theirs = cells.trading_symbol.unwrap_or_default();
        // Lists of BSE may have no column for it.
        let kind = match cells.option {
            "" if cells.instrument.starts_with("OPT") || cells.instrument.ends_with('O') => {
                theirs.get(theirs.len().checked_sub(2)?..)?
            }
            kind => kind,
        };
        let is_future = matches!(kind, "" | "XX" | "FUT") || matches!(cells.instrument, "SF" | "IF");
        let contract = if is_future { Contract::Future } else { Contract::option(kind, &self.strike)? };
        // At BSE the symbol is the exchange's code of the product in some lists, such as BSXOPT of SENSEX.
        let underlying = match cells.exchange {
            Exchange::Bfo => leading(theirs).unwrap_or(cells.symbol),
            _ => cells.symbol,
        };
        if expiry < self.today {
            names.expired();
            return Some(());
        }
        symbol::write(&mut self.symbol, underlying, expiry, contract).then(|| {
            names.add(cells.exchange.code(), &self.symbol, key);
        })
    }

    /// Reads a strike, which stands in rupees, or as a whole number of which only its decimals and a multiplier say what it is worth.
    fn read_strike(&mut self, text: &str, decimals: Option<&str>, multiplier: Option<&str>) -> Option<()> {
        self.strike.clear();
        let (Some(decimals), Some(multiplier)) = (decimals, multiplier) else {
            self.strike.push_str(text);
            return Some(());
        };
        let divisor = digits::<i64>(multiplier)?.checked_mul(10_i64.checked_pow(digits(decimals)?)?)?;
        let nanos = Price::parse(text)?.as_nanos();
        if divisor <= 0 || nanos % divisor != 0 {
            return None;
        }
        let (whole, part) =
            (nanos / divisor / 1_000_000_000, (nanos / divisor % 1_000_000_000).unsigned_abs());
        // Writing to a text cannot fail.
        _ = write!(self.strike, "{whole}.{part:09}");
        Some(())
    }
}

/// A number of an instrument. In some lists it went through a program that made a decimal of it.
fn token(text: &str) -> Option<u32> {
    digits(text.strip_suffix(".0").unwrap_or(text)).filter(|token| *token > 0)
}

/// What stands before the first digit, where names begin with none.
fn leading(theirs: &str) -> Option<&str> {
    let name = theirs.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or_default();
    Some(name.trim_end()).filter(|name| !name.is_empty())
}

/// A day as one of the lists has it: `26-DEC-2024`, `2024-12-26`, or `26122024`, whose first zero may be lost.
fn day(text: &str) -> Option<Day> {
    if let Some(day) = text.get(..10).and_then(|day| day.parse().ok()) {
        return Some(day);
    }
    if text.len() <= 8 {
        let number: u32 = digits(text).filter(|_| text.len() >= 7)?;
        let (day, month) = (number / 1_000_000, number / 10_000 % 100);
        return Day::new((number % 10_000).try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?);
    }
    let mut parts = text.splitn(3, '-');
    let (day, month, year) = (digits(parts.next()?)?, parts.next()?, digits(parts.next()?)?);
    let month = symbol::month_of(month).or_else(|| digits(month))?;
    Day::new(year, month, day)
}

#[cfg(test)]
mod tests;
