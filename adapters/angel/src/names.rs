//! From a row of the broker's list of instruments to the exchange and the symbol that OpenAlgo's clients use.

use adapter_sdk::{
    ist::Day,
    symbol::{self, Contract, digits},
};

use crate::segment::Segment;

/// What the list says of an instrument; all of it is text there, and may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    /// Where it is traded.
    pub(crate) segment: Segment,
    pub(crate) symbol: &'a str,
    pub(crate) name: &'a str,
    /// `28JUL2026`, or empty.
    pub(crate) expiry: &'a str,
    /// Hundredths of a rupee, or 10^-7 for currencies; `-1.000000` where there is none.
    pub(crate) strike: &'a str,
    /// Empty for shares, `AMXIDX` for indices, `FUT…`, `OPT…`.
    pub(crate) kind: &'a str,
}

impl Row<'_> {
    fn is_index(&self) -> bool {
        self.kind == "AMXIDX"
    }

    /// OpenAlgo's code of the exchange.
    pub(crate) fn exchange(&self) -> &'static str {
        match self.segment {
            Segment::NseCash if self.is_index() => "NSE_INDEX",
            Segment::BseCash if self.is_index() => "BSE_INDEX",
            Segment::Mcx if self.is_index() => "MCX_INDEX",
            segment => segment.name(),
        }
    }

    /// Writes OpenAlgo's symbol, and says whether the list has the series of a share: one whose series it
    /// does not say has the lesser claim to the bare name, which is that of the usual series. None when the
    /// row makes no sense.
    pub(crate) fn write_symbol(&self, symbol: &mut String) -> Option<bool> {
        symbol.clear();
        let (is_future, is_option) = (self.kind.starts_with("FUT"), self.kind.starts_with("OPT"));
        match (self.exchange(), self.segment) {
            (exchange @ ("NSE_INDEX" | "BSE_INDEX"), _) => {
                let name = if exchange == "BSE_INDEX" { self.name.strip_prefix("S&P ") } else { None };
                symbol::write_index(symbol, exchange, name.unwrap_or(self.name));
            }
            ("NSE", _) => {
                let (bare, series) = symbol::split_cash("NSE", self.symbol);
                return symbol::write_cash(symbol, "NSE", bare, series).then_some(!series.is_empty());
            }
            ("BFO" | "MCX" | "NCDEX" | "CDS", segment) if is_future || is_option => {
                let expiry = day(self.expiry)?;
                let strike = if is_option { strike(self.strike, segment)? } else { String::new() };
                let contract = if is_option {
                    let kind = self.symbol.get(self.symbol.len().checked_sub(2)?..)?;
                    Contract::option(kind, &strike)?
                } else {
                    Contract::Future
                };
                symbol::write(symbol, self.name, expiry, contract);
            }
            // Those of BSE and NFO are written as OpenAlgo writes them; spot prices of commodities and
            // indices of MCX have the broker's own.
            _ => symbol.push_str(self.symbol),
        }
        (!symbol.is_empty()).then_some(true)
    }
}

/// In rupees.
fn strike(text: &str, segment: Segment) -> Option<String> {
    let scale = if segment == Segment::Currency { 1e7 } else { 1e2 };
    let strike = text.parse::<f64>().ok()? / scale;
    // Fifteen digits are exact.
    (strike > 0.0 && strike < 1e8).then(|| strike.to_string())
}

/// `28JUL2026`.
fn day(text: &str) -> Option<Day> {
    let (day, rest) = text.split_at_checked(2)?;
    let (month, year) = rest.split_at_checked(3)?;
    Day::new(digits(year)?, symbol::month_of(month)?, digits(day)?)
}

#[cfg(test)]
mod tests {
    use adapter_sdk::testing::{CASH, assert_cash_names};

    use super::*;
    use crate::list::Instruments;

    fn row<'a>(
        segment: &str,
        kind: &'a str,
        symbol: &'a str,
        name: &'a str,
        expiry: &'a str,
        strike: &'a str,
    ) -> Row<'a> {
        Row { segment: Segment::from_name(segment).unwrap(), symbol, name, expiry, strike, kind }
    }

    fn written(row: &Row<'_>) -> Option<(String, bool)> {
        let mut symbol = "what was before".to_owned();
        let is_usual = row.write_symbol(&mut symbol)?;
        Some((symbol, is_usual))
    }

    fn named(row: &Row<'_>) -> String {
        format!("{}:{}@{}", row.exchange(), written(row).unwrap().0, row.segment.code())
    }

    #[test]
    fn securities_have_the_names_that_they_have_at_all_brokers() {
        let rows = CASH.iter().enumerate().map(|(number, one)| {
            let (exchange, series) = (one.exchange, one.series);
            let symbol =
                if exchange == "BSE" { one.symbol.to_owned() } else { format!("{}-{series}", one.symbol) };
            serde_json::json!({
                "token": (number + 1).to_string(), "symbol": symbol, "name": one.symbol, "expiry": "", "strike": "-1.000000",
                "instrumenttype": "", "exch_seg": exchange,
            })
        });
        let list = serde_json::Value::Array(rows.collect()).to_string();
        let list = Instruments::parse(list.as_bytes()).unwrap();
        assert_cash_names(|exchange, symbol| {
            let (exchange, symbol) = list.name(list.key(exchange, symbol)?)?;
            Some((exchange.to_owned(), symbol.to_owned()))
        });
    }

    #[test]
    fn shares_of_the_usual_series_lose_its_suffix() {
        let share = |symbol| named(&row("NSE", "", symbol, "X", "", "-1.000000"));
        assert_eq!(share("SBIN-EQ"), "NSE:SBIN@1");
        assert_eq!(share("BAJAJ-AUTO-EQ"), "NSE:BAJAJ-AUTO@1");
        assert_eq!(share("M&M-BE"), "NSE:M&M-BE@1");
        assert_eq!(share("A-EQUITY-N1"), "NSE:A-EQUITY-N1@1");
        assert_eq!(share("SGBMAR31-SG"), "NSE:SGBMAR31-SG@1");
        assert_eq!(named(&row("BSE", "", "SBIN", "SBIN", "", "-1.000000")), "BSE:SBIN@3");
        assert!(written(&row("NSE", "", "SBIN-BE", "SBIN", "", "")).unwrap().1);
        assert!(!written(&row("NSE", "", "SBIN", "SBIN", "", "")).unwrap().1);
    }

    #[test]
    fn indices_have_the_names_of_openalgo() {
        let nse = |name| named(&row("NSE", "AMXIDX", "x", name, "", "0.000000"));
        assert_eq!(nse("NIFTY"), "NSE_INDEX:NIFTY@1");
        assert_eq!(nse("Nifty 50"), "NSE_INDEX:NIFTY@1");
        assert_eq!(nse("Nifty Bank"), "NSE_INDEX:BANKNIFTY@1");
        assert_eq!(nse("NIFTY MID SELECT"), "NSE_INDEX:MIDCPNIFTY@1");
        assert_eq!(nse("India VIX"), "NSE_INDEX:INDIAVIX@1");
        assert_eq!(nse("Nifty100 Liq-15"), "NSE_INDEX:NIFTY100LIQ15@1");
        let bse = |name| named(&row("BSE", "AMXIDX", "x", name, "", "0.000000"));
        assert_eq!(bse("SENSEX"), "BSE_INDEX:SENSEX@3");
        assert_eq!(bse("S&P BSE AUTO"), "BSE_INDEX:BSEAUTO@3");
        assert_eq!(bse("SNSX50"), "BSE_INDEX:SENSEX50@3");
        assert_eq!(bse("BSE IT"), "BSE_INDEX:BSEINFORMATIONTECHNOLOGY@3");
        assert_eq!(nse("Nifty Smallcap 250"), "NSE_INDEX:NIFTYSMLCAP250@1");
        assert_eq!(named(&row("MCX", "AMXIDX", "MCXBULLDEX", "x", "", "")), "MCX_INDEX:MCXBULLDEX@5");
    }

    #[test]
    fn derivatives_have_the_names_of_openalgo() {
        let nfo = row("NFO", "OPTIDX", "NIFTY28JUL2623500CE", "NIFTY", "28JUL2026", "2350000.000000");
        assert_eq!(named(&nfo), "NFO:NIFTY28JUL2623500CE@2");
        let future = row("MCX", "FUTCOM", "CRUDEOIL26JULFUT", "CRUDEOIL", "20JUL2026", "-1.000000");
        assert_eq!(named(&future), "MCX:CRUDEOIL20JUL26FUT@5");
        let bfo = row("BFO", "OPTIDX", "SENSEX2672180000PE", "SENSEX", "21JUL2026", "8000000.000000");
        assert_eq!(named(&bfo), "BFO:SENSEX21JUL2680000PE@4");
        let cds = row("CDS", "OPTCUR", "USDINR26JUL83.05CE", "USDINR", "28JUL2026", "830500000.000000");
        assert_eq!(named(&cds), "CDS:USDINR28JUL2683.05CE@13");
        let small = row("MCX", "OPTFUT", "NATURALGAS26JUL252.5CE", "NATURALGAS", "24JUL2026", "25250.000000");
        assert_eq!(named(&small), "MCX:NATURALGAS24JUL26252.5CE@5");
    }

    #[test]
    fn rows_that_make_no_sense_are_left_out() {
        let is_left_out = |row: &Row<'_>| written(row).is_none();
        for expiry in ["", "28JUL26", "28JUX2026", "31JUN2026", "\u{e9}8JUL2026", "2\u{e9}JUL2026"] {
            assert!(is_left_out(&row("MCX", "FUTCOM", "x", "x", expiry, "")), "{expiry}");
        }
        for strike in ["", "-1.000000", "0", "NaN", "inf", "1e40"] {
            assert!(is_left_out(&row("BFO", "OPTIDX", "xCE", "x", "28JUL2026", strike)), "{strike}");
        }
        for symbol in ["", "x", "\u{e9}", "xXX"] {
            assert!(is_left_out(&row("BFO", "OPTIDX", symbol, "x", "28JUL2026", "100")), "{symbol}");
        }
        assert!(is_left_out(&row("MCX", "FUTCOM", "x", "", "28JUL2026", "")));
        assert!(is_left_out(&row("BSE", "", "", "x", "", "")));
        assert!(is_left_out(&row("NSE", "", "-EQ", "x", "", "")));
    }
}
