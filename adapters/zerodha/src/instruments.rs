//! The broker's list of instruments: a CSV file of some hundred thousand rows, and what OpenAlgo calls what
//! stands in it.
//!
//! Derivatives are named after underlying, expiry and strike, never after the broker's own symbol, whose
//! expiry cannot be read without knowing which one is the month's last.

use adapter_sdk::{
    instruments::{Catalog, Names, Sheet},
    ist::Day,
    symbol::Contract,
};

/// The instruments of a list, by OpenAlgo's names and by the broker's token.
pub type Instruments = Catalog<KiteList, 8>;

/// The layout of the list.
#[derive(Debug)]
pub struct KiteList;

impl Sheet<8> for KiteList {
    type Key = u32;

    const COLUMNS: [&'static str; 8] = [
        "instrument_token",
        "tradingsymbol",
        "name",
        "expiry",
        "strike",
        "instrument_type",
        "segment",
        "exchange",
    ];

    /// It has about 8 MB.
    const MAX_BYTES: u64 = 64 << 20;
    const MAX_ROWS: usize = 1_000_000;

    fn begin(_today: Day) -> Self {
        Self
    }

    fn row(&mut self, cells: [Option<&str>; 8], names: &mut Names<u32>) -> Option<()> {
        let [token, symbol, name, expiry, strike, kind, segment, exchange] = cells;
        let (symbol, kind, exchange) = (symbol?, kind?, openalgo(segment?, exchange?)?);
        let token = token?.parse().ok().filter(|token| *token > 0)?;
        // What a share does not need it may lack.
        let (name, strike) = (name.unwrap_or_default(), strike.unwrap_or_default());
        let contract = if kind == "FUT" { Some(Contract::Future) } else { Contract::option(kind, strike) };
        match contract {
            _ if exchange.ends_with("_INDEX") => names.add_index(exchange, symbol, token),
            Some(contract) => names.add_derivative(exchange, name, expiry?.parse().ok()?, contract, token),
            // Its series stands behind it, but for the usual one.
            None => names.add_cash(exchange, symbol, "", token),
        }
    }
}

/// OpenAlgo's code of an exchange, by what the broker calls the segment and the exchange; none for one that
/// has no code.
fn openalgo(segment: &str, exchange: &str) -> Option<&'static str> {
    Some(match (segment, exchange) {
        (_, "GLOBAL" | "NSEIX") => "GLOBAL_INDEX",
        ("INDICES", "NSE") => "NSE_INDEX",
        ("INDICES", "BSE") => "BSE_INDEX",
        ("INDICES", "MCX") => "MCX_INDEX",
        ("INDICES", "CDS") => "CDS_INDEX",
        ("INDICES", _) => return None,
        (_, "NSE") => "NSE",
        (_, "BSE") => "BSE",
        (_, "NFO") => "NFO",
        (_, "BFO") => "BFO",
        (_, "CDS") => "CDS",
        (_, "BCD") => "BCD",
        (_, "MCX") => "MCX",
        (_, "NCO") => "NCO",
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
