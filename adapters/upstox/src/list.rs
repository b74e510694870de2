//! The broker's list of instruments: an array of JSON objects, packed in gzip.

use std::time::{Duration, UNIX_EPOCH};

use adapter_sdk::{
    instruments::{Catalog, Layout, Names, Sheet},
    ist::Day,
    read::millis,
    symbol::Contract,
};

use crate::key::{Key, Segment};

/// The instruments of a list, by OpenAlgo's names and by the broker's key.
pub type Instruments = Catalog<Master, COLUMNS>;

const COLUMNS: usize = 7;

/// The layout of the list.
#[derive(Debug)]
pub struct Master;

impl Sheet<COLUMNS> for Master {
    type Key = Key;

    const LAYOUT: Layout = Layout::JsonObjects;
    const COLUMNS: [&'static str; COLUMNS] = [
        "instrument_key",
        "instrument_type",
        "trading_symbol",
        "name",
        // The second is the older name.
        "underlying_symbol|asset_symbol",
        "expiry",
        "strike_price",
    ];
    const MAX_BYTES: u64 = 256 << 20;

    fn begin(_today: Day) -> Self {
        Self
    }

    fn row(&mut self, cells: [Option<&str>; COLUMNS], names: &mut Names<Key>) -> Option<()> {
        let [key, kind, theirs, name, underlying, expiry, strike] = cells;
        let (segment, _) = key?.split_once('|')?;
        let Some(segment) = Segment::from_name(segment) else {
            names.unserved();
            return Some(());
        };
        let (key, kind) = (Key::parse(key?)?, kind.unwrap_or_default());
        let (exchange, theirs) = (segment.exchange(), theirs.unwrap_or_default());
        if segment.is_of_indices() {
            // What the key has is the name of the exchange's feed: `Nifty 50`, and `NIFTY` beside it.
            names.add_index(exchange, key.name.as_str(), key)?;
            if !theirs.is_empty() {
                names.add_unless_taken(1, exchange, theirs, key);
            }
            return Some(());
        }
        if segment.is_cash() {
            return names.add_cash(exchange, theirs, kind, key);
        }
        let expiry = day(expiry?)?;
        if names.has_expired(expiry) {
            return Some(());
        }
        let contract = match kind {
            "FUT" => Contract::Future,
            _ => Contract::option(kind, strike.unwrap_or_default())?,
        };
        names.add_derivative(exchange, underlying.or(name)?, expiry, contract, key)
    }
}

/// The day in India of a time in milliseconds since the Unix epoch: it is the end of that day.
fn day(expiry: &str) -> Option<Day> {
    let nanos = millis(expiry.parse().ok()?)?;
    Some(Day::at(UNIX_EPOCH + Duration::from_nanos(nanos)))
}
