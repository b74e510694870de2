//! What OpenAlgo calls an instrument of the broker's lists.
//!
//! Derivatives are named after underlying, expiry and strike. Neither the broker's symbol nor its description
//! is taken apart: the first leaves out the day of the month's last expiry, the second is words for people.

use std::time::{Duration, UNIX_EPOCH};

use adapter_sdk::{
    instruments::Names,
    ist::Day,
    symbol::{self, Contract},
};

use crate::topic::{Fytoken, Segment};

/// Kind of an index in the lists.
const INDEX: &str = "10";

/// Kinds of what is traded in the cash segments: shares, preference shares, debentures, warrants, others,
/// bonds on gold, bonds and bills of governments, funds that are traded and that are not, and others of BSE.
const CASH: [&str; 11] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "50"];

/// Latest expiry that is believed: the end of the year 9999, in seconds since the Unix epoch.
const LAST_EXPIRY: u64 = 253_402_300_799;

/// A row of a list, in the broker's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// The broker's number of it.
    pub fytoken: Fytoken,
    /// The broker's kind of instrument.
    pub kind: &'a str,
    /// Seconds since the Unix epoch, or nothing.
    pub expiry: &'a str,
    /// The broker's symbol, such as `NSE:SBIN-EQ`.
    pub ticker: &'a str,
    /// Symbol of the share, the index, or what a derivative is of.
    pub underlying: &'a str,
    /// In rupees; `-1.0` where there is none.
    pub strike: &'a str,
    /// `CE`, `PE`, or `XX`.
    pub option: &'a str,
}

impl<'a> Row<'a> {
    /// Names it, unless OpenAlgo has no name for its kind. None when the row makes no sense.
    pub(crate) fn name(&self, names: &mut Names<Fytoken>) -> Option<()> {
        let (exchange, ticker) = self.ticker.split_once(':')?;
        let (fytoken, segment) = (self.fytoken, self.fytoken.segment()?);
        if !segment.is_cash() {
            let contract = match self.option {
                "XX" | "" => Contract::Future,
                kind => Contract::option(kind, self.strike)?,
            };
            names.add_derivative(segment.exchange(), self.underlying, self.expires()?, contract, fytoken)?;
        } else if self.kind == INDEX {
            let exchange = if segment == Segment::NseCash { "NSE_INDEX" } else { "BSE_INDEX" };
            let underlying = if self.underlying.is_empty() { self.stem() } else { self.underlying };
            names.add_index(exchange, underlying, fytoken)?;
            let mut second = String::new();
            if symbol::write_index(&mut second, exchange, self.stem()) {
                names.add_unless_taken(0, exchange, &second, fytoken);
            }
        } else if CASH.contains(&self.kind) {
            let (bare, series) = self.symbol_and_series(segment);
            names.add_cash(segment.exchange(), bare, series, fytoken)?;
        } else {
            names.unserved();
            return Some(());
        }
        names.add_own(exchange, ticker, fytoken);
        Some(())
    }

    /// `SBIN` and `EQ` of `NSE:SBIN-EQ`. The symbol may have hyphens itself. It stands in a column of its own
    /// too, but that may have something else: the index that a fund follows, the company whose bond it is.
    fn symbol_and_series(&self, segment: Segment) -> (&'a str, &'a str) {
        let ticker = self.stem();
        if ticker == self.underlying {
            (ticker, "")
        } else if segment == Segment::NseCash {
            symbol::split_cash("NSE", ticker)
        } else {
            // There are more groups than have names that clients write, and every symbol has one.
            ticker.rsplit_once('-').filter(|(_, group)| is_group(group)).unwrap_or((ticker, ""))
        }
    }

    /// `NIFTY50` of `NSE:NIFTY50-INDEX`, and `SBIN-EQ` of `NSE:SBIN-EQ`.
    fn stem(&self) -> &'a str {
        let symbol = self.ticker.split_once(':').map_or(self.ticker, |(_, symbol)| symbol);
        symbol.strip_suffix("-INDEX").unwrap_or(symbol)
    }

    /// The day in India on which it expires.
    fn expires(&self) -> Option<Day> {
        let seconds =
            symbol::digits::<u64>(self.expiry).filter(|seconds| (1..=LAST_EXPIRY).contains(seconds))?;
        Some(Day::at(UNIX_EPOCH + Duration::from_secs(seconds)))
    }
}

fn is_group(text: &str) -> bool {
    (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use adapter_sdk::testing;

    use super::*;
    use crate::instruments::Instruments;

    fn row<'a>(fytoken: &str, kind: &'a str, ticker: &'a str, underlying: &'a str) -> Row<'a> {
        let fytoken = Fytoken::parse(fytoken).unwrap();
        Row { fytoken, kind, expiry: "", ticker, underlying, strike: "-1.0", option: "XX" }
    }

    fn line(row: &Row<'_>) -> String {
        let Row { fytoken, kind, expiry, ticker, underlying, strike, option, .. } = row;
        let digits = fytoken.to_string();
        let [exchange, segment, token] = [0..2, 2..4, 10..digits.len()].map(|part| digits.get(part).unwrap());
        format!(
            "{digits},WORDS,{kind},1,0.05,,:,2026-10-03,{expiry},{ticker},{exchange},{segment},{token},{underlying},,{strike},{option}\n"
        )
    }

    /// Its name in a list of two rows, or what is said of it there.
    fn named(row: &Row<'_>) -> Result<String, &'static str> {
        let other =
            "1210000000999999,WORDS,0,1,0.05,,:,2026-10-03,,BSE:OTHER-A,12,10,999999,OTHER,,-1.0,XX\n";
        let list = Instruments::parse_all([[&line(row), other].concat().as_bytes()]).unwrap();
        match (list.name(row.fytoken), list.unserved(), list.skipped()) {
            (Some((exchange, symbol)), 0, 0) => Ok(format!("{exchange}:{symbol}")),
            (None, 1, 0) => Err("its kind has no name"),
            (None, 0, 1) => Err("it makes no sense"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn shares_are_named_after_their_symbol() {
        let name = |fytoken, kind, ticker, underlying| named(&row(fytoken, kind, ticker, underlying));
        assert_eq!(name("10100000003045", "0", "NSE:SBIN-EQ", "SBIN").as_deref(), Ok("NSE:SBIN"));
        assert_eq!(name("10100000003045", "9", "NSE:M&M-EQ", "M&M").as_deref(), Ok("NSE:M&M"));
        for kind in ["2", "5"] {
            assert_eq!(name("1010000000123", kind, "NSE:SGBX-GB", "SGBX").as_deref(), Ok("NSE:SGBX-GB"));
        }
        assert_eq!(name("1010000000123", "2", "NSE:BOND-N1", "BOND").as_deref(), Ok("NSE:BOND-N1"));
        // The column may have something else than the symbol: the index that a fund follows.
        assert_eq!(name("1010000000123", "9", "NSE:NIFTYBEES-EQ", "NIFTY").as_deref(), Ok("NSE:NIFTYBEES"));
        assert_eq!(
            name("1010000000123", "0", "NSE:BAJAJ-AUTO", "BAJAJ-AUTO").as_deref(),
            Ok("NSE:BAJAJ-AUTO")
        );
        assert_eq!(name("1210000000500112", "4", "BSE:SBIN-A", "SBIN").as_deref(), Ok("BSE:SBIN"));
        assert_eq!(name("1210000000500112", "9", "BSE:BEES-B", "BEES").as_deref(), Ok("BSE:BEES"));
        assert_eq!(name("1210000000500112", "2", "BSE:795IRFC26-F", "IRFC").as_deref(), Ok("BSE:795IRFC26"));
        assert_eq!(name("1210000000500112", "99", "BSE:SBIN-A", "SBIN"), Err("its kind has no name"));
        assert_eq!(name("1210000000500112", "2", "BSE:BOND-XC", "IRFC").as_deref(), Ok("BSE:BOND"));
        assert_eq!(name("1210000000500112", "0", "BSE:BAJAJ-AUTO", "BAJAJ").as_deref(), Ok("BSE:BAJAJ-AUTO"));
        assert_eq!(name("10100000003045", "0", "NSE:SBIN-EQ", "").as_deref(), Ok("NSE:SBIN"));
        assert_eq!(name("10100000003045", "0", "NSE:-EQ", ""), Err("it makes no sense"));
        assert_eq!(name("10100000003045", "0", "NSE:", ""), Err("it makes no sense"));
    }

    /// One whose series nobody says has the lesser claim to the bare name.
    #[test]
    fn the_bare_name_is_that_of_the_usual_series() {
        let of = |number: u32, ticker| line(&row(&format!("1010000000{number}"), "0", ticker, "SBIN"));
        let (bare, usual, other) = (of(1, "NSE:SBIN"), of(2, "NSE:SBIN-EQ"), of(3, "NSE:SBIN-BE"));
        for rows in [[&bare, &usual, &other], [&other, &usual, &bare]] {
            let list = Instruments::parse_all([rows.map(String::as_str).concat().as_bytes()]).unwrap();
            let key = |symbol| list.key("NSE", symbol).unwrap().to_string();
            assert_eq!((key("SBIN"), key("SBIN-BE")), ("10100000002".to_owned(), "10100000003".to_owned()));
        }
        let list = Instruments::parse_all([[&*bare, &*other].concat().as_bytes()]).unwrap();
        assert_eq!(list.key("NSE", "SBIN").unwrap().to_string(), "10100000001");
    }

    #[test]
    fn securities_have_the_names_that_they_have_at_all_brokers() {
        let kind = |series: &str| match series {
            "GB" | "G" => "5",
            "GS" | "SG" => "6",
            "TB" => "7",
            "MF" => "8",
            "W1" => "3",
            "N1" | "NA" | "F" => "2",
            _ => "0",
        };
        let mut list = String::new();
        for (number, one) in testing::CASH.iter().enumerate() {
            let testing::Cash { exchange, symbol, series, .. } = one;
            let (number, code) = (number + 1, if *exchange == "NSE" { 10 } else { 12 });
            writeln!(
                list,
                "{code}10000000{number},WORDS,{},1,0.05,,:,2026-10-03,,{exchange}:{symbol}-{series},{code},10,{number},{symbol},\
                 {number},-1.0,XX",
                kind(series)
            )
            .unwrap();
        }
        let list = Instruments::parse_all([list.as_bytes()]).unwrap();
        testing::assert_cash_names(|exchange, symbol| {
            let (exchange, symbol) = list.name(list.key(exchange, symbol)?)?;
            Some((exchange.to_owned(), symbol.to_owned()))
        });
    }

    #[test]
    fn derivatives_are_named_after_underlying_expiry_and_strike() {
        let name = |fytoken, underlying, expiry, strike, option| {
            named(&Row { expiry, strike, option, ..row(fytoken, "14", "NSE:ANY", underlying) })
        };
        // 1790676600 is half past three in the afternoon of 29 September 2026 in India.
        for (made, wanted) in [
            (name("101126092968407", "NIFTY", "1790676600", "-1.0", "XX"), "NFO:NIFTY29SEP26FUT"),
            (name("101126092935086", "NIFTY", "1790676600", "29200.0", "CE"), "NFO:NIFTY29SEP2629200CE"),
            (name("10122609291", "USDINR", "1790676600", "83.25", "PE"), "CDS:USDINR29SEP2683.25PE"),
            (name("12112609291", "SENSEX", "1790676600", "81000", "CE"), "BFO:SENSEX29SEP2681000CE"),
            (name("11202609291", "CRUDEOIL", "1790676600", "-1.0", ""), "MCX:CRUDEOIL29SEP26FUT"),
            (name("1020260929123456", "GOLD", "1790676600", "-1.0", "XX"), "NCO:GOLD29SEP26FUT"),
            // An hour before midnight of UTC is the next day in India.
            (name("12122609301", "USDINR", "1790722800", "-1.0", "XX"), "BCD:USDINR30SEP26FUT"),
        ] {
            assert_eq!(made.as_deref(), Ok(wanted));
            let (exchange, symbol) = wanted.split_once(':').unwrap();
            assert_eq!(symbol::expiry(exchange, symbol).map(|day| (day.year, day.month)), Some((2026, 9)));
        }
        for (underlying, expiry, strike, option) in [
            ("NIFTY", "", "1", "CE"),
            ("NIFTY", "0", "1", "CE"),
            ("NIFTY", "99999999999999", "1", "CE"),
            ("", "1790676600", "1", "CE"),
            ("NIFTY", "1790676600", "-1.0", "CE"),
            ("NIFTY", "1790676600", "1", "YY"),
        ] {
            assert_eq!(name("101126092968407", underlying, expiry, strike, option), Err("it makes no sense"));
        }
    }

    #[test]
    fn indices_have_the_names_that_clients_know() {
        for (fytoken, ticker, underlying, wanted) in [
            ("101000000026000", "NSE:NIFTY50-INDEX", "NIFTY", "NSE_INDEX:NIFTY"),
            ("101000000026000", "NSE:NIFTY50-INDEX", "NIFTY 50", "NSE_INDEX:NIFTY"),
            ("101000000026000", "NSE:NIFTYMID50-INDEX", "NIFTYMID50", "NSE_INDEX:NIFTYMIDCAP50"),
            ("101000000026000", "NSE:HANGSENG BEES-NAV-INDEX", "", "NSE_INDEX:HANGSENGBEESNAV"),
            ("12100000001", "BSE:SENSEX-INDEX", "SENSEX", "BSE_INDEX:SENSEX"),
            ("12100000001", "BSE:100-INDEX", "100", "BSE_INDEX:BSE100"),
            ("12100000001", "BSE:IT-INDEX", "IT", "BSE_INDEX:BSEINFORMATIONTECHNOLOGY"),
            ("12100000001", "BSE:SNXT50-INDEX", "SNXT50", "BSE_INDEX:BSESENSEXNEXT50"),
        ] {
            assert_eq!(named(&row(fytoken, "10", ticker, underlying)).as_deref(), Ok(wanted));
        }
        let bank = row("101000000026009", "10", "NSE:NIFTYBANK-INDEX", "X");
        let list = Instruments::parse_all([line(&bank).as_bytes()]).unwrap();
        assert_eq!(list.key("NSE_INDEX", "BANKNIFTY"), Some(bank.fytoken));
        assert_eq!(list.key("NSE_INDEX", "X"), Some(bank.fytoken));
    }
}
