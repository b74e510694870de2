//! The broker's list of instruments: a CSV file, new each morning, with the columns `token`, `segment` and
//! `symbol`.
//!
//! The SDK downloads it, keeps the last good copy, renews it while connections are up, and looks names up.

use adapter_sdk::{
    instruments::{Catalog, Names, Sheet},
    ist::Day,
};

/// The instruments of the broker, by OpenAlgo's names and by token.
pub type InstrumentList = Catalog<Instruments, 3>;

/// The number of an instrument in requests. It may mean something else tomorrow.
pub type Token = u32;

/// Names of the broker's segments, with the exchange codes of OpenAlgo.
const SEGMENTS: [(&str, &str); 9] = [
    ("nse_eq", "NSE"),
    ("nse_fo", "NFO"),
    ("nse_cd", "CDS"),
    ("nse_ix", "NSE_INDEX"),
    ("bse_eq", "BSE"),
    ("bse_fo", "BFO"),
    ("bse_ix", "BSE_INDEX"),
    ("mcx_fo", "MCX"),
    ("crypto", "CRYPTO"),
];

/// Exchanges of which the list always has something: one without is incomplete.
pub(crate) const COMPLETE_WITH: &[&str] = &["NSE", "NSE_INDEX", "NFO"];

/// What a row of the list means.
#[derive(Clone, Copy, Debug)]
pub struct Instruments;

impl Sheet<3> for Instruments {
    type Key = Token;

    const COLUMNS: [&'static str; 3] = ["token", "segment", "symbol"];

    fn begin(_today: Day) -> Self {
        Self
    }

    /// This broker's derivatives and shares have OpenAlgo's names already. Where yours have parts, such as
    /// underlying, expiry and strike, or a series, [`Names::add_derivative`] and [`Names::add_cash`] make
    /// names of them.
    fn row(&mut self, cells: [Option<&str>; 3], names: &mut Names<Token>) -> Option<()> {
        let [token, segment, theirs] = cells;
        let (token, theirs) = (token?.parse().ok()?, theirs.filter(|name| !name.is_empty())?);
        let (_, exchange) = SEGMENTS.iter().find(|(name, _)| Some(*name) == segment)?;
        if exchange.ends_with("_INDEX") {
            return names.add_index(exchange, theirs, token);
        }
        names.add(exchange, theirs, token);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_openalgo_s_names_and_one_that_makes_no_sense_costs_itself() {
        let text = "symbol,token,segment\n\
                    SBIN,3045,nse_eq\n\
                    M&M,2031,nse_eq\n\
                    Nifty 50,26000,nse_ix\n\
                    GOLD,1,nymex\n\
                    TCS,many,nse_eq\n\
                    ,7,nse_eq\n\
                    NIFTY30DEC9924500CE,52,nse_fo\n";
        let list = InstrumentList::parse(text.as_bytes()).unwrap();
        assert_eq!(list.find("NSE", "M&M"), Ok(2_031));
        assert_eq!(list.find("NSE_INDEX", "NIFTY"), Ok(26_000));
        assert_eq!(list.find("NSE_INDEX", "NIFTY 50"), Ok(26_000), "as the broker has it");
        assert_eq!(list.find("NFO", "NIFTY30DEC9924500CE"), Ok(52));
        assert!(list.find("NSE", "TCS").is_err());
        // The index has two names.
        assert_eq!((list.len(), list.skipped()), (5, 3));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "token,segment,symbol\n", "<html>maintenance</html>"] {
            assert!(InstrumentList::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
