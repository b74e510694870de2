//! Where an instrument of the broker's list is traded, and what it is derived from.
//!
//! The list has no column for the underlying of a derivative. It stands at the beginning of the trading
//! symbol, before month, strike and kind, which are known: `BAJAJ-AUTO-Aug2026-FUT`. The column
//! `SM_SYMBOL_NAME` looks like it and is something else.

use adapter_sdk::symbol;

use crate::segment::Segment;

/// OpenAlgo's code of the exchange, and the broker's segment, by exchange (`NSE`, `BSE` or `MCX`), segment
/// (`E` shares, `D` derivatives, `C` currencies, `M` commodities, `I` indices) and kind (`EQUITY`, `INDEX`,
/// `FUT…` or `OPT…`) of the list. None for what the feed has no segment for. Kind and segment must fit each
/// other: ids repeat between segments, so a wrong one would be another instrument.
pub(crate) fn place(exchange: &str, segment: &str, kind: &str) -> Option<(&'static str, Segment)> {
    Some(match (exchange, segment, kind) {
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
    })
}

/// The underlying of a derivative, by the broker's symbol, or else by that for people.
pub(crate) fn underlying<'a>(symbol: &'a str, custom_symbol: &'a str) -> Option<&'a str> {
    of_trading_symbol(symbol).or_else(|| of_custom_symbol(custom_symbol))
}

/// What stands before `-Aug2026-FUT` or `-28Aug2026-24500-CE`.
fn of_trading_symbol(symbol: &str) -> Option<&str> {
    let (rest, kind) = symbol.rsplit_once('-')?;
    let rest = match kind {
        "FUT" => rest,
        "CE" | "PE" => rest.rsplit_once('-')?.0,
        _ => return None,
    };
    let (underlying, date) = rest.rsplit_once('-')?;
    let letters = date.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let is_month = letters.split_at_checked(3).is_some_and(|(name, year)| {
        symbol::month_of(name).is_some() && year.len() == 4 && symbol::digits::<u16>(year).is_some()
    });
    (is_month && !underlying.is_empty()).then_some(underlying)
}

/// The words before the first that is a month, or a day with a month behind it: `NIFTY AUG FUT`,
/// `NIFTY 28 JUL 24500 CALL`.
fn of_custom_symbol(text: &str) -> Option<&str> {
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

#[cfg(test)]
mod tests;
