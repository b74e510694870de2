//! The broker's list of instruments: a file for each segment, and one of the indices of each exchange.

mod envelope;

use std::io::Read;

use adapter_sdk::{
    instruments::{Catalog, Names, Row, Sheet},
    ist::Day,
    symbol::{self, Contract, Exchange, digits},
};

use crate::wire::{Key, exchange_of, segment_of};

/// The instruments of a list, by OpenAlgo's names.
pub type Instruments = Catalog<XtsList, COLUMNS>;

const COLUMNS: usize = 8;

/// The first cell of a row of an index, which the broker's list does not have.
const INDEX: &str = "INDEX";

/// The layout of the files, whose columns have places and no names. Behind the fourteenth those of
/// derivatives differ from those of shares, and those of futures from those of options.
#[derive(Debug)]
pub struct XtsList;

impl Sheet<COLUMNS> for XtsList {
    type Key = Key;

    const COLUMNS: [&'static str; COLUMNS] =
        ["segment", "number", "kind", "name", "series", "expiry", "strike", "option"];

    const OPTIONAL: [bool; COLUMNS] = [true; COLUMNS];

    fn text<'r>(file: Box<dyn Read + 'r>) -> Box<dyn Read + 'r> {
        Box::new(envelope::Envelope::of(file))
    }

    fn places(_first: &Row) -> Option<[Option<usize>; COLUMNS]> {
        Some([0, 1, 2, 3, 5, 16, 17, 18].map(Some))
    }

    fn begin(_today: Day) -> Self {
        Self
    }

    fn row(&mut self, cells: [Option<&str>; COLUMNS], names: &mut Names<Key>) -> Option<()> {
        let [segment, number, kind, name, series, expiry, strike, option] = cells;
        let (segment, name) = (segment?, name?);
        let token = number.and_then(digits).filter(|token| *token > 0)?;
        if segment == INDEX {
            let exchange = exchange_of(kind.and_then(digits)?)?;
            return names.add_index(exchange.of_indices()?, name, Key { exchange, token });
        }
        let exchange = exchange_named(segment)?;
        let (key, series) = (Key { exchange, token }, series?);
        if exchange.is_cash() {
            return names.add_cash(exchange.code(), name, series, key);
        }
        let contract = match (kind?, option) {
            ("1", _) => Contract::Future,
            ("2", Some("3" | "CE")) => Contract::Call { strike: strike? },
            ("2", Some("4" | "PE")) => Contract::Put { strike: strike? },
            // Pairs of contracts, and what is traded at once.
            ("2", _) => return None,
            _ => {
                names.unserved();
                return Some(());
            }
        };
        let expiry = symbol::day(expiry?)?;
        if names.has_expired(expiry) {
            return Some(());
        }
        names.add_derivative(exchange.code(), name, expiry, contract, key)
    }
}

/// The exchange of a segment, by its name or its number.
pub(crate) fn exchange_named(segment: &str) -> Option<Exchange> {
    let named = |exchange: &&Exchange| segment_of(**exchange).is_some_and(|(_, name)| name == segment);
    Exchange::ALL.iter().find(named).copied().or_else(|| exchange_of(digits(segment)?))
}

#[cfg(test)]
mod tests;
