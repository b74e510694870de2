//! What OpenAlgo calls an instrument of the broker's list.
//!
//! Derivatives are named after underlying, expiry and strike, never after the broker's own symbol, whose expiry cannot be
//! read without knowing which one is the month's last.

use adapter_sdk::symbol::{self, Contract};

/// A row of the broker's list, in its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The broker's symbol.
    pub tradingsymbol: &'a str,
    /// The underlying of a derivative, or the company's name.
    pub name: &'a str,
    /// `YYYY-MM-DD`, or nothing.
    pub expiry: &'a str,
    /// In rupees.
    pub strike: &'a str,
    /// `EQ`, `FUT`, `CE` or `PE`.
    pub instrument_type: &'a str,
    /// `INDICES`, or something that the exchange says too.
    pub segment: &'a str,
    /// The broker's exchange.
    pub exchange: &'a str,
}

impl Row<'_> {
    /// OpenAlgo's code of the exchange; None for one that it has no code for.
    pub fn exchange(&self) -> Option<&'static str> {
        Some(match (self.segment, self.exchange) {
            (_, "GLOBAL" | "NSEIX") => "GLOBAL_INDEX",
            ("INDICES", "NSE") => "NSE_INDEX",
            ("INDICES", "BSE") => "BSE_INDEX",
            ("INDICES", "MCX") => "MCX_INDEX",
            ("INDICES", "CDS") => "CDS_INDEX",
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

    /// Whether it is an index.
    pub fn is_index(&self) -> bool {
        self.segment == "INDICES" || matches!(self.exchange, "GLOBAL" | "NSEIX")
    }

    /// Writes OpenAlgo's symbol; false when the row has not what it is made of.
    pub fn write_symbol(&self, symbol: &mut String) -> bool {
        symbol.clear();
        if self.is_index() {
            symbol::write_index(symbol, self.exchange().unwrap_or_default(), self.tradingsymbol);
        } else if matches!(self.instrument_type, "FUT" | "CE" | "PE") {
            let contract = Contract::option(self.instrument_type, self.strike).unwrap_or(Contract::Future);
            return self
                .expiry
                .parse()
                .is_ok_and(|expiry| symbol::write(symbol, self.name, expiry, contract));
        } else {
            // Its series stands behind it, but for the usual one.
            return symbol::write_cash(symbol, self.exchange().unwrap_or_default(), self.tradingsymbol, "");
        }
        !symbol.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use adapter_sdk::testing::{CASH, assert_cash_names};

    use super::*;
    use crate::instruments::Instruments;

    fn row<'a>(tradingsymbol: &'a str, segment: &'a str, exchange: &'a str) -> Row<'a> {
        Row { tradingsymbol, name: "", expiry: "", strike: "0", instrument_type: "EQ", segment, exchange }
    }

    fn named(row: &Row<'_>) -> Option<(&'static str, String)> {
        let mut symbol = "what was before".to_owned();
        row.write_symbol(&mut symbol).then(|| (row.exchange().unwrap(), symbol))
    }

    #[test]
    fn stocks_keep_their_names() {
        for symbol in ["SBIN", "BAJAJ-AUTO", "M&M", "20MICRONS-BE"] {
            assert_eq!(named(&row(symbol, "NSE", "NSE")), Some(("NSE", symbol.to_owned())));
        }
        assert_eq!(row("X", "NYSE", "NYSE").exchange(), None);
    }

    #[test]
    fn securities_have_the_names_that_they_have_at_all_brokers() {
        let mut list =
            "instrument_token,tradingsymbol,name,expiry,strike,instrument_type,segment,exchange\n".to_owned();
        for (number, one) in CASH.iter().enumerate() {
            let (exchange, series) = (one.exchange, one.series);
            let theirs = match (exchange, series) {
                ("BSE", _) | (_, "EQ") => one.symbol.to_owned(),
                _ => format!("{}-{series}", one.symbol),
            };
            writeln!(list, "{},{theirs},ANY,,0,EQ,{exchange},{exchange}", number + 1).unwrap();
        }
        let list = Instruments::parse(list.as_bytes()).unwrap();
        assert_cash_names(|exchange, symbol| {
            let (exchange, symbol) = list.name(list.key(exchange, symbol)?)?;
            Some((exchange.to_owned(), symbol.to_owned()))
        });
    }

    #[test]
    fn derivatives_are_named_after_underlying_expiry_and_strike() {
        let name = |name, expiry, strike, instrument_type, segment, exchange| {
            let row = Row { name, expiry, strike, instrument_type, segment, exchange, tradingsymbol: "ANY" };
            named(&row).map(|(exchange, symbol)| format!("{exchange}:{symbol}"))
        };
        for (made, wanted) in [
            (name("NIFTY", "2025-01-30", "0", "FUT", "NFO-FUT", "NFO"), "NFO:NIFTY30JAN25FUT"),
            (name("NIFTY", "2025-01-30", "23500.0", "CE", "NFO-OPT", "NFO"), "NFO:NIFTY30JAN2523500CE"),
            (name("VEDL", "2025-04-24", "292.5", "CE", "NFO-OPT", "NFO"), "NFO:VEDL24APR25292.5CE"),
            (name("USDINR", "2025-03-05", "83.25", "PE", "CDS-OPT", "CDS"), "CDS:USDINR05MAR2583.25PE"),
            (name("SENSEX", "2026-12-04", "100", "CE", "BFO-OPT", "BFO"), "BFO:SENSEX04DEC26100CE"),
            (name("CRUDEOIL", "2026-12-18", "0.0", "FUT", "MCX-FUT", "MCX"), "MCX:CRUDEOIL18DEC26FUT"),
        ] {
            assert_eq!(made.as_deref(), Some(wanted));
            let (exchange, symbol) = wanted.split_once(':').unwrap();
            assert!(symbol::expiry(exchange, symbol).is_some(), "{wanted}");
        }
        assert_eq!(name("NIFTY", "", "0", "FUT", "NFO-FUT", "NFO"), None);
        assert_eq!(name("", "2025-01-30", "0", "FUT", "NFO-FUT", "NFO"), None);
        assert_eq!(name("NIFTY", "2025-01-30", "x", "CE", "NFO-OPT", "NFO"), None);
        assert_eq!(name("NIFTY", "2025-13-30", "1", "CE", "NFO-OPT", "NFO"), None);
    }

    #[test]
    fn indices_have_the_names_that_clients_know() {
        for (theirs, exchange, wanted) in [
            ("NIFTY 50", "NSE", ("NSE_INDEX", "NIFTY")),
            ("NIFTY BANK", "NSE", ("NSE_INDEX", "BANKNIFTY")),
            ("NIFTY MID SELECT", "NSE", ("NSE_INDEX", "MIDCPNIFTY")),
            ("INDIA VIX", "NSE", ("NSE_INDEX", "INDIAVIX")),
            ("SENSEX", "BSE", ("BSE_INDEX", "SENSEX")),
            ("OILGAS", "BSE", ("BSE_INDEX", "BSEOIL&GAS")),
            ("GIFT NIFTY", "GLOBAL", ("GLOBAL_INDEX", "GIFTNIFTY")),
            ("GIFT NIFTY", "NSEIX", ("GLOBAL_INDEX", "GIFTNIFTY")),
            ("MCXBULLDEX", "MCX", ("MCX_INDEX", "MCXBULLDEX")),
        ] {
            let (exchange, symbol) = named(&row(theirs, "INDICES", exchange)).unwrap();
            assert_eq!((exchange, symbol.as_str()), wanted);
        }
        // A stock of that name is none.
        assert_eq!(named(&row("POWER", "BSE", "BSE")), Some(("BSE", "POWER".to_owned())));
    }
}
