//! From a row of the broker's list of instruments to the exchange and the symbol that OpenAlgo's clients use.

use std::borrow::Cow;

use adapter_sdk::{
    ist::Day,
    symbol::{self, Contract, digits},
};

use crate::segment::{Key, Segment, Token};

/// What the list says of an instrument; all of it is text there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) token: String,
    pub(crate) symbol: String,
    pub(crate) name: String,
    /// `28JUL2026`, or empty.
    pub(crate) expiry: String,
    /// Hundredths of a rupee, or 10^-7 for currencies; `-1.000000` where there is none.
    pub(crate) strike: String,
    /// Empty for shares, `AMXIDX` for indices, `FUT…`, `OPT…`.
    pub(crate) kind: String,
    /// Exchange.
    pub(crate) segment: String,
}

/// Why an instrument is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// The streaming API has no number for its exchange.
    Segment,
    /// The row makes no sense.
    Row,
}

/// An instrument as clients name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named<'a> {
    pub(crate) exchange: &'static str,
    pub(crate) symbol: Cow<'a, str>,
    pub(crate) key: Key,
    /// Whether the list says the series of a share. One whose series it does not say has the lesser claim to the bare name,
    /// which is that of the usual series.
    pub(crate) is_usual: bool,
}

/// Names an instrument.
pub(crate) fn name(row: &Row) -> Result<Named<'_>, LeftOut> {
    let segment = Segment::from_list(&row.segment).ok_or(LeftOut::Segment)?;
    let token = Token::new(&row.token).ok_or(LeftOut::Row)?;
    let mut is_usual = true;
    let (exchange, symbol) = match (segment, row.kind.as_str()) {
        (Segment::NseCash, "AMXIDX") => ("NSE_INDEX", index("NSE_INDEX", &row.name)),
        (Segment::BseCash, "AMXIDX") => {
            let name = row.name.strip_prefix("S&P ").unwrap_or(&row.name);
            ("BSE_INDEX", index("BSE_INDEX", name))
        }
        (Segment::Mcx, "AMXIDX") => ("MCX_INDEX", Cow::Borrowed(row.symbol.as_str())),
        (Segment::NseCash, _) => {
            let (bare, series) = symbol::split_cash("NSE", &row.symbol);
            is_usual = !series.is_empty();
            let mut symbol = String::with_capacity(row.symbol.len());
            if !symbol::write_cash(&mut symbol, "NSE", bare, series) {
                return Err(LeftOut::Row);
            }
            ("NSE", Cow::Owned(symbol))
        }
        (Segment::BseCash, _) => ("BSE", Cow::Borrowed(row.symbol.as_str())),
        // These are written as OpenAlgo writes them.
        (Segment::NseDerivatives, _) => ("NFO", Cow::Borrowed(row.symbol.as_str())),
        (Segment::BseDerivatives, _) => ("BFO", derivative(row, segment)?),
        (Segment::Mcx, _) => ("MCX", derivative(row, segment)?),
        (Segment::Ncdex, _) => ("NCDEX", derivative(row, segment)?),
        (Segment::Currency, _) => ("CDS", derivative(row, segment)?),
    };
    if symbol.is_empty() {
        return Err(LeftOut::Row);
    }
    Ok(Named { exchange, symbol, key: Key { segment, token }, is_usual })
}

fn index(exchange: &str, theirs: &str) -> Cow<'static, str> {
    let mut name = String::with_capacity(theirs.len());
    symbol::write_index(&mut name, exchange, theirs);
    Cow::Owned(name)
}

/// `NAME28JUL26FUT` or `NAME28JUL2683.25CE`.
fn derivative(row: &Row, segment: Segment) -> Result<Cow<'_, str>, LeftOut> {
    let is_future = row.kind.starts_with("FUT");
    if !is_future && !row.kind.starts_with("OPT") {
        // Spot prices of commodities, under the broker's own name.
        return Ok(Cow::Borrowed(&row.symbol));
    }
    let expiry = day(&row.expiry).ok_or(LeftOut::Row)?;
    let strike = if is_future { String::new() } else { strike(&row.strike, segment).ok_or(LeftOut::Row)? };
    let contract = if is_future {
        Contract::Future
    } else {
        let kind = ["CE", "PE"].into_iter().find(|kind| row.symbol.ends_with(kind));
        kind.and_then(|kind| Contract::option(kind, &strike)).ok_or(LeftOut::Row)?
    };
    let mut name = String::new();
    symbol::write(&mut name, &row.name, expiry, contract).then_some(Cow::Owned(name)).ok_or(LeftOut::Row)
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
    use crate::list::List;

    fn row(segment: &str, kind: &str, symbol: &str, name: &str, expiry: &str, strike: &str) -> Row {
        Row {
            token: "1594".to_owned(),
            symbol: symbol.to_owned(),
            name: name.to_owned(),
            expiry: expiry.to_owned(),
            strike: strike.to_owned(),
            kind: kind.to_owned(),
            segment: segment.to_owned(),
        }
    }

    fn named(row: &Row) -> String {
        let named = name(row).unwrap();
        format!("{}:{}@{}", named.exchange, named.symbol, named.key.segment.code())
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
        let table = List::parse(list.as_bytes()).unwrap().table;
        assert_cash_names(|exchange, symbol| {
            let (exchange, symbol) =
                table.name(symbol::find(exchange, symbol, |name| table.get(exchange, name))?)?;
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
        assert!(name(&row("NSE", "", "SBIN-BE", "SBIN", "", "")).unwrap().is_usual);
        assert!(!name(&row("NSE", "", "SBIN", "SBIN", "", "")).unwrap().is_usual);
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
        let reason = |row: &Row| name(row).unwrap_err();
        assert_eq!(reason(&row("NCO", "FUTCOM", "x", "x", "28JUL2026", "")), LeftOut::Segment);
        for expiry in ["", "28JUL26", "28JUX2026", "31JUN2026", "\u{e9}8JUL2026", "2\u{e9}JUL2026"] {
            assert_eq!(reason(&row("MCX", "FUTCOM", "x", "x", expiry, "")), LeftOut::Row, "{expiry}");
        }
        for strike in ["", "-1.000000", "0", "NaN", "inf", "1e40"] {
            assert_eq!(
                reason(&row("BFO", "OPTIDX", "xCE", "x", "28JUL2026", strike)),
                LeftOut::Row,
                "{strike}"
            );
        }
        assert_eq!(reason(&row("BFO", "OPTIDX", "x", "x", "28JUL2026", "100")), LeftOut::Row);
        assert_eq!(reason(&Row { token: String::new(), ..row("NSE", "", "x", "x", "", "") }), LeftOut::Row);
        assert_eq!(reason(&row("NSE", "", "-EQ", "x", "", "")), LeftOut::Row);
    }
}
