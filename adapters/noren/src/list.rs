//! The brokers' lists of instruments. They are files of columns that differ in their names, their order and
//! in what is missing, and all have the same in them: a row names exchange and token, and what OpenAlgo's
//! name is made of.

use std::borrow::Cow;

use adapter_sdk::{
    Price,
    instruments::{Catalog, Names, Row, Sheet},
    ist::Day,
    symbol::{self, Contract, Exchange, digits},
};

use crate::wire::Key;

/// The instruments of a list, by OpenAlgo's names and by the broker's.
pub type Instruments = Catalog<NorenList, COLUMNS>;

const COLUMNS: usize = 12;

/// The layouts of all the lists.
#[derive(Debug)]
pub struct NorenList;

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
        // Of Definedge's list, whose columns have no names. Others have a precision too, but strikes in
        // rupees.
        "decimals of the strike",
        "multiplier of the strike",
    ];

    const OPTIONAL: [bool; COLUMNS] =
        [false, false, false, true, true, true, true, true, true, true, true, true];

    const MAX_BYTES: u64 = 128 << 20;

    fn begin(_today: Day) -> Self {
        Self
    }

    fn places(first: &Row) -> Option<[Option<usize>; COLUMNS]> {
        // No row has so many cells.
        const NONE: usize = usize::MAX;
        const PLACES: [usize; COLUMNS] = [0, 1, 2, 3, 4, 5, 9, 8, NONE, NONE, 10, 11];
        let is_row = first.len() >= COLUMNS
            && first.get(0).and_then(Exchange::of).is_some()
            && first.get(1).and_then(number).is_some();
        is_row.then(|| PLACES.map(Some))
    }

    fn row(&mut self, cells: [Option<&str>; COLUMNS], names: &mut Names<Key>) -> Option<()> {
        let [exchange, token, symbol, theirs, kind, expiry, strike, option, series, segment, places, factor] =
            cells;
        let (exchange, token, symbol) = (Exchange::of(exchange?)?, token?, symbol?);
        let [kind, expiry, strike, option] = [kind, expiry, strike, option].map(Option::unwrap_or_default);
        // Where there are indices alone, the file has no such columns. Their numbers have digits there that
        // the socket does not know.
        let is_of_indices = theirs.is_none() && kind.is_empty();
        let token = token.strip_prefix("999").filter(|_| is_of_indices).unwrap_or(token);
        let key = Key { exchange, token: number(token)? };
        let is_index = matches!(kind, "INDEX" | "IDX" | "UNDIND")
            || segment.is_some_and(|segment| segment.ends_with("_idx"));
        if is_of_indices || is_index {
            return index(exchange, theirs.unwrap_or(symbol), symbol, key, names);
        }
        let theirs = theirs.unwrap_or_default();
        if exchange.is_cash() {
            // At BSE the kind is the group, which is not a part of the name. Elsewhere the series stands
            // behind the symbol.
            let series = series.unwrap_or(if exchange == Exchange::Bse { kind } else { "" });
            return cash(exchange, theirs, series, key, names);
        }
        let expiry = symbol::day(expiry)?;
        if names.has_expired(expiry) {
            return Some(());
        }
        let strike = rupees(strike, places, factor)?;
        let contract = contract(kind, option, theirs, &strike)?;
        // At BSE the symbol is the exchange's code of the product in some lists, such as BSXOPT of SENSEX.
        let underlying = if exchange == Exchange::Bfo { leading(theirs).unwrap_or(symbol) } else { symbol };
        names.add_derivative(exchange.code(), underlying, expiry, contract, key)
    }
}

fn index(exchange: Exchange, theirs: &str, symbol: &str, key: Key, names: &mut Names<Key>) -> Option<()> {
    let Some(exchange) = exchange.of_indices() else {
        // Those of commodities have no feed.
        names.unserved();
        return Some(());
    };
    names.add_index(exchange, theirs, key).or_else(|| names.add_index(exchange, symbol, key))?;
    names.add_unless_taken(1, exchange, symbol, key);
    Some(())
}

fn cash(exchange: Exchange, theirs: &str, series: &str, key: Key, names: &mut Names<Key>) -> Option<()> {
    names.add_cash(exchange.code(), theirs, series, key)?;
    if exchange == Exchange::Bse {
        // Some of the lists have no indices of BSE; the brokers serve them under these numbers all the same.
        for (symbol, token) in [("SENSEX", 1), ("BANKEX", 12)] {
            names.add_unless_taken(9, "BSE_INDEX", symbol, Key { exchange, token });
        }
    }
    Some(())
}

/// What a derivative is. Lists of BSE may have no column that says what kind of option: it ends the name
/// then.
fn contract<'a>(kind: &str, option: &str, theirs: &str, strike: &'a str) -> Option<Contract<'a>> {
    let is_option = kind.starts_with("OPT") || kind.ends_with('O');
    let option = match option {
        "" if is_option => theirs.get(theirs.len().checked_sub(2)?..)?,
        said => said,
    };
    let is_future = matches!(option, "" | "XX" | "FUT") || matches!(kind, "SF" | "IF");
    if is_future { Some(Contract::Future) } else { Contract::option(option, strike) }
}

/// A strike in rupees, which it is in already, or stands for as a whole number of which only its decimals and
/// a factor say what it is worth. None when that cannot be divided exactly.
fn rupees<'a>(text: &'a str, decimals: Option<&str>, factor: Option<&str>) -> Option<Cow<'a, str>> {
    const ONE: i64 = 1_000_000_000;
    let (Some(decimals), Some(factor)) = (decimals, factor) else { return Some(text.into()) };
    let divisor = digits::<i64>(factor)?.checked_mul(10_i64.checked_pow(digits(decimals)?)?)?;
    let nanos = Price::parse(text)?.as_nanos();
    let worth = nanos.checked_div(divisor).filter(|worth| worth * divisor == nanos)?;
    Some(format!("{}.{:09}", worth / ONE, (worth % ONE).unsigned_abs()).into())
}

/// A number of an instrument. In some lists it went through a program that made a decimal of it.
fn number(text: &str) -> Option<u32> {
    digits(text.strip_suffix(".0").unwrap_or(text)).filter(|number| *number > 0)
}

/// What stands before the first digit, where names begin with none.
fn leading(theirs: &str) -> Option<&str> {
    let name = theirs.split(|letter: char| letter.is_ascii_digit()).next().unwrap_or_default();
    Some(name.trim_end()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;
