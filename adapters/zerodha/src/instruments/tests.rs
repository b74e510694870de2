use std::fmt::Write as _;

use adapter_sdk::{
    symbol,
    testing::{CASH, assert_cash_names},
};
use proptest::prelude::*;

use super::*;

const LIST: &str = "\
instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
408065,1594,INFY,INFOSYS,0.0,,0.0,0.05,1,EQ,NSE,NSE
519937,2031,M&M,\"MAHINDRA & MAHINDRA, LTD\",0,,0,0.05,1,EQ,NSE,NSE
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
288265,1126,NIFTY50 VALUE 20,NIFTY50 VALUE 20,0,,0,0,0,EQ,INDICES,NSE
265,1,SENSEX,BSE SENSEX,0,,0,0,0,EQ,INDICES,BSE
12517890,48898,NIFTY26DECFUT,NIFTY,0,2026-12-29,0,0.05,75,FUT,NFO-FUT,NFO
12600578,49221,NIFTY26D0126000CE,NIFTY,0,2026-12-01,26000,0.05,75,CE,NFO-OPT,NFO
x,1,BAD,BAD,0,,0,0,0,EQ,NSE,NSE
1,1,SHORT
7,1,STRANGE,STRANGE,0,,0,0,0,EQ,NYSE,NYSE
9,1,NODATE,NODATE,0,,0,0,0,FUT,NFO-FUT,NFO
";

#[test]
fn a_list_becomes_names_in_both_directions() {
    let list = Instruments::parse(LIST.as_bytes()).unwrap();
    for (exchange, symbol, token) in [
        ("NSE", "INFY", 408_065),
        ("NSE", "M&M", 519_937),
        ("NSE_INDEX", "NIFTY", 256_265),
        ("NSE_INDEX", "NIFTY50VALUE20", 288_265),
        ("BSE_INDEX", "SENSEX", 265),
        ("NFO", "NIFTY29DEC26FUT", 12_517_890),
        ("NFO", "NIFTY01DEC2626000CE", 12_600_578),
    ] {
        assert_eq!(list.key(exchange, symbol), Some(token), "{symbol}");
        assert_eq!(list.name(token), Some((exchange, symbol)));
    }
    // The broker's names of indices work too.
    assert_eq!(list.key("NSE_INDEX", "NIFTY 50"), Some(256_265));
    assert_eq!(list.key("NSE", "NIFTY"), None);
    assert_eq!((list.len(), list.skipped()), (9, 4));
}

#[test]
fn columns_are_found_by_name() {
    let list = "new,exchange,segment,instrument_type,strike,expiry,name,tradingsymbol,instrument_token\n\
                    ?,NSE,NSE,EQ,0,,INFOSYS,INFY,408065\n";
    assert_eq!(Instruments::parse(list.as_bytes()).unwrap().key("NSE", "INFY"), Some(408_065));
}

#[test]
fn a_damaged_cell_costs_itself_or_its_row_and_never_those_behind_it() {
    let (before, behind) =
        ("7,7,BEFORE,BEFORE,0,,0,0.05,1,EQ,NSE,NSE", "9,9,BEHIND,BEHIND,0,,0,0.05,1,EQ,NSE,NSE");
    let header = LIST.lines().next().unwrap();
    for (row, is_kept) in [
        ("8,8,DAMAGED,\"A NAME THAT IS NEVER CLOSED,0,,0,0.05,1,EQ,NSE,NSE", true),
        ("8,8,DAMAGED,5\" PIPES,0,,0,0.05,1,EQ,NSE,NSE", true),
        ("8,8,DAMAGED,\"NEVER CLOSED, LTD,0,,0,0.05,1,EQ,NSE,NSE", false),
        ("8,8,\"DAMAGED,X,0,NaN,Infinity,0.05,1,EQ,NSE,NSE", true),
        ("8\",8,DAMAGED,X,0,,0,0.05,1,EQ,NSE", false),
        ("NaN,8,DAMAGED,X,0,,0,0.05,1,EQ,NSE,NSE", false),
        ("8,8,DAMAGED,X,0,,NaN,0.05,1,CE,NFO-OPT,NFO", false),
    ] {
        let text = format!("{header}\n{before}\n{row}\n{behind}\n");
        let list = Instruments::parse(text.as_bytes()).unwrap();
        assert_eq!((list.key("NSE", "BEFORE"), list.key("NSE", "BEHIND")), (Some(7), Some(9)), "{row}");
        assert_eq!(list.key("NSE", "DAMAGED"), is_kept.then_some(8), "{row}");
        assert_eq!((list.len(), list.skipped()), if is_kept { (3, 0) } else { (2, 1) }, "{row}");
    }
    let mut invalid = format!("{header}\n8,8,DAMAGED,").into_bytes();
    invalid.extend(b"\xff,0,,0,0.05,1,EQ,NSE,NSE\n");
    assert_eq!(Instruments::parse(invalid.as_slice()).unwrap().key("NSE", "DAMAGED"), Some(8));
}

#[test]
fn what_is_no_list_is_refused() {
    let refused = |text: &str| Instruments::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(refused("<html>maintenance</html>").contains("no column instrument_token"));
    assert!(refused("").contains("no column"));
    assert!(refused(LIST.lines().next().unwrap()).contains("has none"));
}

#[test]
#[ignore = "a measurement: run it with --release --ignored --nocapture"]
fn how_long_a_hundred_thousand_rows_take() {
    use std::fmt::Write as _;
    let mut text = LIST.lines().next().unwrap().to_owned() + "\n";
    for n in 0_u32..120_000 {
        let (token, strike) = ((n + 1) << 8 | 2, 10_000 + n / 2 * 50);
        let kind = if n % 2 == 0 { "CE" } else { "PE" };
        writeln!(
            text,
            "{token},{n},NIFTY26DEC{strike}{kind},NIFTY,0,2026-12-29,{strike}.0,0.05,75,{kind},NFO-OPT,NFO"
        )
        .unwrap();
    }
    let started = std::time::Instant::now();
    let list = Instruments::parse(text.as_bytes()).unwrap();
    println!(
        "{} instruments of {} bytes in {:?}, {} bytes of memory",
        list.len(),
        text.len(),
        started.elapsed(),
        list.bytes()
    );
    assert_eq!(list.len(), 120_000);
}

/// The cells of a row behind its token, in the order of the columns.
type Row<'a> = [&'a str; 7];

fn row<'a>(tradingsymbol: &'a str, segment: &'a str, exchange: &'a str) -> Row<'a> {
    [tradingsymbol, "", "", "0", "EQ", segment, exchange]
}

/// The name of the only row of a list.
fn named(row: &Row<'_>) -> Option<(String, String)> {
    let text = format!("{}\n1,{}\n", KiteList::COLUMNS.join(","), row.join(","));
    let list = Instruments::parse(text.as_bytes()).ok()?;
    list.name(1).map(|(exchange, symbol)| (exchange.to_owned(), symbol.to_owned()))
}

#[test]
fn stocks_keep_their_names() {
    for symbol in ["SBIN", "BAJAJ-AUTO", "M&M", "20MICRONS-BE"] {
        assert_eq!(named(&row(symbol, "NSE", "NSE")), Some(("NSE".to_owned(), symbol.to_owned())));
    }
    assert_eq!(named(&row("X", "NYSE", "NYSE")), None);
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
        named(&["ANY", name, expiry, strike, instrument_type, segment, exchange])
            .map(|(exchange, symbol)| format!("{exchange}:{symbol}"))
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
        assert_eq!((exchange.as_str(), symbol.as_str()), wanted);
    }
    // A stock of that name is none.
    assert_eq!(named(&row("POWER", "BSE", "BSE")), Some(("BSE".to_owned(), "POWER".to_owned())));
}

proptest! {
    #[test]
    fn rows_before_and_behind_damage_are_read(
        damage in proptest::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..80),
        place in 1_usize..8,
    ) {
        let mut lines: Vec<&[u8]> = LIST.lines().take(8).map(str::as_bytes).collect();
        lines.insert(place, &damage);
        let list = Instruments::parse(lines.join(&b'\n').as_slice()).unwrap();
        for (exchange, symbol) in [("NSE", "INFY"), ("NSE", "M&M"), ("NSE_INDEX", "NIFTY"), ("BSE_INDEX", "SENSEX"), ("NFO", "NIFTY01DEC2626000CE")] {
            prop_assert!(list.key(exchange, symbol).is_some(), "{symbol}");
        }
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..900) {
        let _any = Instruments::parse(bytes.as_slice());
        let mut list = LIST.as_bytes().to_vec();
        let at = cut.min(list.len());
        list.splice(at..at, bytes);
        let _any = Instruments::parse(list.as_slice());
    }
}
