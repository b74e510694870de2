use std::fmt::Write as _;

use adapter_sdk::{
    instruments::Sheet as _,
    ist::Day,
    testing::{CASH, Cash, assert_cash_names},
};

use super::*;
use crate::{
    list::{DhanList, Instruments},
    segment::Key,
};

/// What a row of the list says beside the id.
#[derive(Clone, Copy)]
struct Row<'a> {
    exchange: &'a str,
    segment: &'a str,
    kind: &'a str,
    trading_symbol: &'a str,
    custom_symbol: &'a str,
    expiry: &'a str,
    strike: &'a str,
    option_type: &'a str,
    series: &'a str,
}

const NOTHING: Row<'_> = Row {
    exchange: "NSE",
    segment: "D",
    kind: "",
    trading_symbol: "",
    custom_symbol: "",
    expiry: "",
    strike: "",
    option_type: "XX",
    series: "",
};

/// A list of these rows, with ids from 1, on a day on which nothing of it has expired.
fn list(rows: &[Row<'_>]) -> Option<Instruments> {
    let mut text = DhanList::COLUMNS.join(",") + "\n";
    for (id, row) in (1..).zip(rows) {
        let Row { exchange, segment, kind, trading_symbol, custom_symbol, expiry, strike, .. } = row;
        writeln!(
            text,
            "{id},{exchange},{segment},{kind},{trading_symbol},{custom_symbol},{expiry},{strike},{},{}",
            row.option_type, row.series
        )
        .unwrap();
    }
    Instruments::parse_on(text.as_bytes(), Day::new(2025, 1, 1).unwrap()).ok()
}

fn named(row: &Row<'_>) -> Option<String> {
    let list = list(&[*row])?;
    let (_, segment) = place(row.exchange, row.segment, row.kind)?;
    let (exchange, symbol) = list.name(Key { segment, id: 1 })?;
    Some(format!("{exchange}:{symbol}@{}", segment.name()))
}

fn share<'a>(exchange: &'a str, trading_symbol: &'a str, series: &'a str) -> Row<'a> {
    Row { exchange, segment: "E", kind: "EQUITY", trading_symbol, series, ..NOTHING }
}

fn index<'a>(exchange: &'a str, trading_symbol: &'a str) -> Row<'a> {
    Row { exchange, segment: "I", kind: "INDEX", trading_symbol, expiry: "0001-01-01", ..NOTHING }
}

#[test]
fn shares_keep_their_names_and_bonds_do_not_take_them() {
    for symbol in ["SBIN", "BAJAJ-AUTO", "M&M"] {
        assert_eq!(named(&share("NSE", symbol, "EQ")).unwrap(), format!("NSE:{symbol}@NSE_EQ"));
        assert_eq!(named(&share("BSE", symbol, "A")).unwrap(), format!("BSE:{symbol}@BSE_EQ"));
    }
    assert_eq!(named(&share("NSE", "IRFC", "N2")).as_deref(), Some("NSE:IRFC-N2@NSE_EQ"));
    assert_eq!(named(&share("NSE", "IRFC", "BE")).as_deref(), Some("NSE:IRFC-BE@NSE_EQ"));
    assert_eq!(named(&share("BSE", "795IRFC26", "F")).as_deref(), Some("BSE:795IRFC26@BSE_EQ"));
    assert_eq!(named(&share("NSE", "", "EQ")), None);
    assert_eq!(named(&share("NSE", "", "N2")), None);
    // One whose series is not said has the name if none of the usual one has.
    let id = |rows: &[Row<'_>]| list(rows).unwrap().key("NSE", "X").unwrap().id;
    assert_eq!(id(&[share("NSE", "X", ""), share("NSE", "X", "BE"), share("NSE", "X", "EQ")]), 3);
    assert_eq!(id(&[share("NSE", "X", "BE"), share("NSE", "X", "")]), 2);
}

#[test]
fn securities_have_the_names_that_they_have_at_all_brokers() {
    let mut list = "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_TRADING_SYMBOL,\
                    SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_SERIES\n"
        .to_owned();
    for (number, one) in CASH.iter().enumerate() {
        let Cash { exchange, symbol, series, .. } = one;
        writeln!(list, "{exchange},E,{},EQUITY,{symbol},Any Words,,,,{series}", number + 1).unwrap();
    }
    let list = Instruments::parse_on(list.as_bytes(), Day::new(2026, 7, 28).unwrap()).unwrap();
    assert_cash_names(|exchange, symbol| {
        let (exchange, symbol) = list.name(list.key(exchange, symbol)?)?;
        Some((exchange.to_owned(), symbol.to_owned()))
    });
}

#[test]
fn indices_have_the_names_that_clients_know() {
    for (exchange, theirs, ours) in [
        ("NSE", "NIFTY", "NSE_INDEX:NIFTY"),
        ("NSE", "Nifty 50", "NSE_INDEX:NIFTY"),
        ("NSE", "BANKNIFTY", "NSE_INDEX:BANKNIFTY"),
        ("NSE", "INDIA VIX", "NSE_INDEX:INDIAVIX"),
        ("NSE", "NIFTY NEXT 50", "NSE_INDEX:NIFTYNXT50"),
        ("NSE", "NIFTYMCAP50", "NSE_INDEX:NIFTYMIDCAP50"),
        ("NSE", "Nifty Smallcap 250", "NSE_INDEX:NIFTYSMLCAP250"),
        ("NSE", "NIFTY100 LOW VOLATILITY 30", "NSE_INDEX:NIFTY100LOWVOL30"),
        ("NSE", "NIFTY-GS-10YR", "NSE_INDEX:NIFTYGS10YR"),
        ("BSE", "SENSEX", "BSE_INDEX:SENSEX"),
        ("BSE", "SNSX50", "BSE_INDEX:SENSEX50"),
        ("BSE", "BSE IT", "BSE_INDEX:BSEINFORMATIONTECHNOLOGY"),
        ("BSE", "OILGAS", "BSE_INDEX:BSEOIL&GAS"),
    ] {
        assert_eq!(named(&index(exchange, theirs)).unwrap(), format!("{ours}@IDX_I"));
    }
    // A share of that name is none.
    assert_eq!(named(&share("BSE", "POWER", "A")).as_deref(), Some("BSE:POWER@BSE_EQ"));
    assert_eq!(named(&index("MCX", "MCXBULLDEX")), None);
}

#[test]
fn derivatives_are_named_after_underlying_expiry_and_strike() {
    let future = |exchange, segment, kind, trading_symbol, expiry| {
        let strike = "-0.01000";
        named(&Row { exchange, segment, kind, trading_symbol, expiry, strike, ..NOTHING })
    };
    let option = |exchange, segment, kind, trading_symbol, expiry, strike| {
        let option_type = if str::ends_with(trading_symbol, "PE") { "PE" } else { "CE" };
        named(&Row { exchange, segment, kind, trading_symbol, expiry, strike, option_type, ..NOTHING })
    };
    for (made, wanted) in [
        (
            future("NSE", "D", "FUTIDX", "NIFTY-Aug2026-FUT", "2026-08-25 14:30:00"),
            "NFO:NIFTY25AUG26FUT@NSE_FNO",
        ),
        (
            future("NSE", "D", "FUTSTK", "BAJAJ-AUTO-Aug2026-FUT", "2026-08-25"),
            "NFO:BAJAJ-AUTO25AUG26FUT@NSE_FNO",
        ),
        (future("NSE", "D", "FUTSTK", "M&M-Aug2026-FUT", "2026-08-25"), "NFO:M&M25AUG26FUT@NSE_FNO"),
        (
            option("NSE", "D", "OPTIDX", "NIFTY-Jul2026-24500-CE", "2026-07-28 14:30:00", "24500.00000"),
            "NFO:NIFTY28JUL2624500CE@NSE_FNO",
        ),
        (
            option("NSE", "D", "OPTSTK", "VEDL-Apr2025-292.5-CE", "2025-04-24", "292.50000"),
            "NFO:VEDL24APR25292.5CE@NSE_FNO",
        ),
        (
            option("BSE", "D", "OPTIDX", "SENSEX-04Dec2026-80000-PE", "2026-12-04", "80000.0"),
            "BFO:SENSEX04DEC2680000PE@BSE_FNO",
        ),
        (
            option("NSE", "C", "OPTCUR", "USDINR-Mar2025-83.25-PE", "2025-03-05", "83.25"),
            "CDS:USDINR05MAR2583.25PE@NSE_CURRENCY",
        ),
        (
            future("NSE", "D", "FUTCUR", "USDINR-29Jul2026-FUT", "2026-07-29 14:30:00"),
            "CDS:USDINR29JUL26FUT@NSE_CURRENCY",
        ),
        (
            option("MCX", "M", "OPTFUT", "GOLD-24Nov2026-72000-CE", "2026-11-24 23:59:00", "72000.00000"),
            "MCX:GOLD24NOV2672000CE@MCX_COMM",
        ),
        (
            future("BSE", "C", "FUTCUR", "USDINR-Mar2025-FUT", "2025-03-05"),
            "BCD:USDINR05MAR25FUT@BSE_CURRENCY",
        ),
        (
            future("MCX", "M", "FUTCOM", "CRUDEOIL-18Dec2026-FUT", "2026-12-18 23:30:00"),
            "MCX:CRUDEOIL18DEC26FUT@MCX_COMM",
        ),
    ] {
        let made = made.unwrap();
        assert_eq!(made, wanted);
        let (exchange, symbol) = made.split_once('@').unwrap().0.split_once(':').unwrap();
        assert!(symbol::expiry(exchange, symbol).is_some(), "{wanted}");
    }
    for nonsense in [
        future("NSE", "D", "FUTIDX", "NIFTY-Aug2026-FUT", "0001-01-01"),
        future("NSE", "D", "FUTIDX", "NIFTY-Aug2026-FUT", ""),
        future("NSE", "D", "FUTIDX", "-Aug2026-FUT", "2026-08-25"),
        future("NSE", "D", "FUTIDX", "NIFTY", "2026-08-25"),
        option("NSE", "D", "OPTIDX", "NIFTY-Jul2026-24500-CE", "2026-07-28", "-0.01000"),
        option("NSE", "D", "OPTIDX", "NIFTY-Jul2026-24500-CE", "2026-07-28", "0.00000"),
        option("NSE", "D", "OPTIDX", "NIFTY-Jul2026-24500-CE", "2026-07-28", ""),
        option("NSE", "D", "OPTIDX", "NIFTY-Jul2026-24500-CE", "2026-07-28", "1.2.3"),
        // Commodities of NSE have ids of their own, but no segment in the feed.
        future("NSE", "M", "FUTCOM", "GOLD-Aug2026-FUT", "2026-08-25"),
        option("NSE", "M", "OPTFUT", "GOLD-Aug2026-50000-CE", "2026-08-25", "50000"),
    ] {
        assert_eq!(nonsense, None);
    }
}

#[test]
fn the_symbol_for_people_helps_where_the_other_has_another_form() {
    let future = Row { kind: "FUTSTK", trading_symbol: "FORM OF TOMORROW", expiry: "2026-08-25", ..NOTHING };
    for (custom_symbol, wanted) in [
        ("NIFTY AUG FUT", Some("NFO:NIFTY25AUG26FUT@NSE_FNO")),
        ("NIFTY 25 AUG FUT", Some("NFO:NIFTY25AUG26FUT@NSE_FNO")),
        ("TATA MOTORS 25 AUG 700 CALL", Some("NFO:TATA MOTORS25AUG26FUT@NSE_FNO")),
        ("AUG FUT", None),
        ("25 AUG FUT", None),
        ("NIFTY FUT", None),
        ("", None),
    ] {
        assert_eq!(named(&Row { custom_symbol, ..future }).as_deref(), wanted, "{custom_symbol}");
    }
}
