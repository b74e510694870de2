//! What OpenAlgo calls an instrument of the broker's list.
//!
//! The list has no column for the underlying of a derivative. It stands at the beginning of the trading symbol, before
//! month, strike and kind, which are known: `BAJAJ-AUTO-Aug2026-FUT`. The column `SM_SYMBOL_NAME` looks like it and is
//! something else.

use adapter_sdk::{
    ist::Day,
    symbol::{self, Contract},
};

use crate::segment::Segment;

/// A row of the broker's list, in its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// `NSE`, `BSE` or `MCX`.
    pub exchange: &'a str,
    /// `E` shares, `D` derivatives, `C` currencies, `M` commodities, `I` indices.
    pub segment: &'a str,
    /// `EQUITY`, `INDEX`, `FUT…` or `OPT…`.
    pub kind: &'a str,
    /// The broker's symbol.
    pub trading_symbol: &'a str,
    /// The broker's symbol for people: `NIFTY 28 JUL 24500 CALL`.
    pub custom_symbol: &'a str,
    /// Nothing, `0001-01-01`, a date, or a date with a time.
    pub expiry: &'a str,
    /// In rupees; nothing, or something below zero, where there is none.
    pub strike: &'a str,
    /// `CE`, `PE`, or `XX` where there is none.
    pub option_type: &'a str,
    /// The exchange's series of a share.
    pub series: &'a str,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// OpenAlgo's code of the exchange.
    pub exchange: &'static str,
    /// The broker's segment.
    pub segment: Segment,
}

impl Row<'_> {
    /// Where it is traded. None for what the feed has no segment for. Kind and segment must fit each other: ids repeat
    /// between segments, so a wrong one would be another instrument.
    pub fn place(&self) -> Option<Place> {
        let (exchange, segment) = match (self.exchange, self.segment, self.kind) {
            ("NSE", "E", "EQUITY") => ("NSE", Segment::NseEquity),
            ("BSE", "E", "EQUITY") => ("BSE", Segment::BseEquity),
            ("NSE", "I", "INDEX") => ("NSE_INDEX", Segment::Index),
            ("BSE", "I", "INDEX") => ("BSE_INDEX", Segment::Index),
            ("NSE", "D", "FUTIDX" | "FUTSTK" | "OPTIDX" | "OPTSTK" | "OPTFUT") => {
                ("NFO", Segment::NseDerivatives)
            }
            ("BSE", "D", "FUTIDX" | "FUTSTK" | "OPTIDX" | "OPTSTK") => ("BFO", Segment::BseDerivatives),
            // Of these, the kind says enough.
            ("NSE", "C" | "D", "FUTCUR" | "OPTCUR") => ("CDS", Segment::NseCurrency),
            ("BSE", "C" | "D", "FUTCUR" | "OPTCUR") => ("BCD", Segment::BseCurrency),
            ("MCX", "M", "FUTIDX" | "FUTCOM" | "OPTFUT") => ("MCX", Segment::Mcx),
            _ => return None,
        };
        Some(Place { exchange, segment })
    }

    /// When it expires. None for what does not, and for what has no date there.
    pub fn expiry(&self) -> Option<Day> {
        self.expiry.split([' ', 'T']).next()?.parse().ok()
    }

    /// Writes OpenAlgo's symbol, and says how good the claim to it is: 0 is the best. None when the row has not what a
    /// symbol is made of.
    pub fn write_symbol(&self, place: Place, symbol: &mut String) -> Option<usize> {
        symbol.clear();
        let rank = match place.segment {
            Segment::Index => {
                symbol::write_index(symbol, place.exchange, self.trading_symbol);
                0
            }
            Segment::NseEquity | Segment::BseEquity => {
                if !symbol::write_cash(symbol, place.exchange, self.trading_symbol, self.series) {
                    return None;
                }
                // One whose series is not said may claim the bare name, which is that of the usual series.
                usize::from(place.segment == Segment::NseEquity && self.series.is_empty())
            }
            _ => {
                self.write_derivative(symbol)?;
                0
            }
        };
        (!symbol.is_empty()).then_some(rank)
    }

    fn write_derivative(&self, symbol: &mut String) -> Option<()> {
        let is_future = self.kind.starts_with("FUT");
        let contract =
            if is_future { Contract::Future } else { Contract::option(self.option_type, self.strike)? };
        symbol::write(symbol, self.underlying()?, self.expiry()?, contract).then_some(())
    }

    fn underlying(&self) -> Option<&str> {
        self.underlying_of_trading_symbol().or_else(|| self.underlying_of_custom_symbol())
    }

    /// What stands before `-Aug2026-FUT` or `-28Aug2026-24500-CE`.
    fn underlying_of_trading_symbol(&self) -> Option<&str> {
        let (rest, kind) = self.trading_symbol.rsplit_once('-')?;
        let rest = match kind {
            "FUT" => rest,
            "CE" | "PE" => rest.rsplit_once('-')?.0,
            _ => return None,
        };
        let (underlying, date) = rest.rsplit_once('-')?;
        let letters = date.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let is_month = letters.split_at_checked(3).is_some_and(|(name, year)| {
            symbol::month_of(name).is_some()
                && year.len() == 4
                && year.bytes().all(|byte| byte.is_ascii_digit())
        });
        (is_month && !underlying.is_empty()).then_some(underlying)
    }

    /// The words before the first that is a month, or a day with a month behind it: `NIFTY AUG FUT`, `NIFTY 28 JUL
    /// 24500 CALL`.
    fn underlying_of_custom_symbol(&self) -> Option<&str> {
        let text = self.custom_symbol;
        let is_month = |word: &str| symbol::MONTHS.contains(&word);
        let is_day = |word: &str| word.len() <= 2 && word.parse::<u8>().is_ok();
        let mut words = text.split(' ').peekable();
        let mut end = 0_usize;
        while let Some(word) = words.next() {
            if is_month(word) || (is_day(word) && words.peek().copied().is_some_and(is_month)) {
                return text.get(..end.checked_sub(1)?).filter(|underlying| !underlying.is_empty());
            }
            end += word.len() + 1;
        }
        None
    }
}

#[cfg(test)]
mod tests;
