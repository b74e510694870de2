use std::fmt::Write as _;

use proptest::prelude::*;

use adapter_sdk::{AdapterError, instruments::List as _};

use super::*;

const CASH: &str = "\
10100000003045,STATE BANK OF INDIA,0,1,0.05,,0915-1530|1815-1915:,2026-10-03,,NSE:SBIN-EQ,10,10,3045,SBIN,3045,-1.0,XX,None,None,0,0.0
10100000009999,STATE BANK OF INDIA BE,0,1,0.05,,0915-1530:,2026-10-03,,NSE:SBIN-BE,10,10,9999,SBIN,3045,-1.0,XX,None,None,0,0.0
10100000002031,\"MAHINDRA & MAHINDRA, LTD\",0,1,0.05,,0915-1530:,2026-10-03,,NSE:M&M-EQ,10,10,2031,M&M,2031,-1.0,XX,None,None,0,0.0
101000000026000,NIFTY 50,10,1,0.05,,0915-1530|1815-1915:,2026-10-03,,NSE:NIFTY50-INDEX,10,10,26000,NIFTY,26000,-1.0,XX,101000000026000,None,0,0.0
101000000026008,NIFTY IT,10,1,0.05,,0915-1530|1815-1915:,2026-10-03,,NSE:NIFTYIT-INDEX,10,10,26008,CNXIT,26008,-1.0,XX,101000000026008,None,0,0.0
1010000000777,BOND,2,1,0.05,,0915-1530:,2026-10-03,,NSE:BOND-N1,10,10,777,BOND,777,-1.0,XX,None,None,0,0.0
10100000004444,OF ANOTHER NUMBER,0,1,0.05,,0915-1530:,2026-10-03,,NSE:OTHER-EQ,10,10,4445,OTHER,4445,-1.0,XX,None,None,0,0.0
10100000004446,OF ANOTHER EXCHANGE,0,1,0.05,,0915-1530:,2026-10-03,,NSE:ODD-EQ,12,10,4446,ODD,4446,-1.0,XX,None,None,0,0.0
1010000000778,OF NO KIND,99,1,0.05,,0915-1530:,2026-10-03,,NSE:NOKIND-EQ,10,10,778,NOKIND,778,-1.0,XX,None,None,0,0.0
short,row
";

const DERIVATIVES: &str = "\
101126092968407,NIFTY 29 Sep 26 FUT,11,65,0.1,,0915-1540|1815-1915:,2026-09-09,1790676600,NSE:NIFTY26SEPFUT,10,11,68407,NIFTY,26000,-1.0,XX,101000000026000,None,0,0.0
101126092935086,NIFTY 29 Sep 26 29200 CE,14,65,0.05,,0915-1540|1815-1915:,2026-09-09,1790676600,NSE:NIFTY26SEP29200CE,10,11,35086,NIFTY,26000,29200.0,CE,101000000026000,None,0,0.0
";

fn load(lists: &[&str]) -> Result<Instruments, AdapterError> {
    Instruments::parse_all(lists.iter().map(|list| list.as_bytes()))
}

#[test]
fn lists_become_names_in_both_directions() {
    let list = load(&[CASH, DERIVATIVES]).unwrap();
    for (exchange, symbol, fytoken, ticker) in [
        ("NSE", "SBIN", "10100000003045", "NSE:SBIN-EQ"),
        ("NSE", "SBIN-BE", "10100000009999", "NSE:SBIN-BE"),
        ("NSE", "BOND-N1", "1010000000777", "NSE:BOND-N1"),
        ("NSE", "M&M", "10100000002031", "NSE:M&M-EQ"),
        ("NSE_INDEX", "NIFTY", "101000000026000", "NSE:NIFTY50-INDEX"),
        ("NSE_INDEX", "CNXIT", "101000000026008", "NSE:NIFTYIT-INDEX"),
        ("NFO", "NIFTY29SEP26FUT", "101126092968407", "NSE:NIFTY26SEPFUT"),
        ("NFO", "NIFTY29SEP2629200CE", "101126092935086", "NSE:NIFTY26SEP29200CE"),
    ] {
        let found = list.key(exchange, symbol).unwrap();
        assert_eq!(found.to_string(), fytoken, "{symbol}");
        assert_eq!(list.name(found), Some((exchange, symbol)));
        assert_eq!(list.own_name(found), ticker.split_once(':'));
    }
    // An index has the name of its symbol too.
    assert_eq!(list.key("NSE_INDEX", "NIFTYIT"), list.key("NSE_INDEX", "CNXIT"));
    // What does not agree with its own number is not shown under it.
    assert_eq!((list.key("NSE", "OTHER"), list.key("NSE", "ODD")), (None, None));
    assert_eq!((list.len(), list.unserved(), list.skipped()), (9, 1, 3));
}

#[test]
fn the_usual_series_has_the_better_claim_wherever_it_stands() {
    let mut lines: Vec<&str> = CASH.lines().collect();
    lines.swap(0, 1);
    let list = load(&[&lines.join("\n")]).unwrap();
    assert_eq!(list.key("NSE", "SBIN").unwrap().to_string(), "10100000003045");
}

#[test]
fn the_first_row_counts_behind_a_mark_of_the_byte_order() {
    let list = load(&[&format!("\u{feff}{CASH}")]).unwrap();
    assert_eq!(list.key("NSE", "SBIN").unwrap().to_string(), "10100000003045");
}

#[test]
fn a_list_that_is_none_is_refused_although_the_others_are_fine() {
    for other in ["", "<html>maintenance</html>\n", "a,b\n", CASH.lines().last().unwrap()] {
        let error = load(&[CASH, other]).unwrap_err().to_string();
        assert!(error.contains("has none that can be used"), "{other}: {error}");
    }
    assert!(load(&[]).is_err());
}

#[test]
fn a_damaged_cell_costs_itself_or_its_row_and_never_those_behind_it() {
    let row = |fytoken: &str, name: &str, symbol: &str| {
        let token = fytoken.get(10..).unwrap();
        format!(
            "{fytoken},{name},0,1,0.05,,0915-1530:,2026-10-03,,NSE:{symbol}-EQ,10,10,{token},{symbol},{token},-1.0,XX,None,None,0,0.0"
        )
    };
    let (before, behind) = (row("10100000007", "X", "BEFORE"), row("10100000009", "X", "BEHIND"));
    for (damaged, is_kept) in [
        (row("10100000008", "\"NEVER CLOSED", "DAMAGED"), true),
        (row("10100000008", "5\" PIPES", "DAMAGED"), true),
        (row("10100000008", "\"NEVER CLOSED, LTD", "DAMAGED"), false),
        (row("1010000000NaN", "X", "DAMAGED"), false),
    ] {
        let list = load(&[&[before.as_str(), &damaged, &behind, ""].join("\n")]).unwrap();
        assert!(list.key("NSE", "BEFORE").is_some() && list.key("NSE", "BEHIND").is_some(), "{damaged}");
        assert_eq!(list.key("NSE", "DAMAGED").is_some(), is_kept, "{damaged}");
        assert_eq!(list.skipped(), usize::from(!is_kept), "{damaged}");
    }
}

#[test]
fn one_file_of_several_costs_itself_and_what_is_missing_is_taken_from_the_last_good_list() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (cash, derivatives) = (file("cash", CASH), file("derivatives", DERIVATIVES));
    let last = Instruments::read(&[cash.clone(), derivatives]).unwrap();
    let mut list = Instruments::read(&[cash, file("empty", "")]).unwrap();
    assert_eq!((list.len(), list.skipped()), (last.len() - 2, last.skipped() + 1));
    assert!(Instruments::read(&[file("empty", "")]).is_err(), "alone it is no list");
    assert_eq!(list.hold(&last, &|exchange, symbol| exchange == "NFO" && symbol.ends_with("FUT")), 1);
    let future = list.key("NFO", "NIFTY29SEP26FUT").unwrap();
    assert_eq!(list.own_name(future), Some(("NSE", "NIFTY26SEPFUT")));
    assert_eq!(list.key("NFO", "NIFTY29SEP2629200CE"), None);
    assert_eq!(list.hold(&last, &|_, _| false), 0);
}

#[test]
#[ignore = "a measurement: run it with --release --ignored --nocapture"]
fn how_long_a_hundred_thousand_rows_take() {
    let mut text = String::new();
    for number in 1..=120_000 {
        let (strike, kind) = (10_000 + number / 2 * 50, if number % 2 == 0 { "CE" } else { "PE" });
        writeln!(
            text,
            "1011260929{number},NIFTY 29 Sep 26 {strike} {kind},14,65,0.05,,0915-1540|1815-1915:,2026-09-09,1790676600,NSE:NIFTY26SEP{strike}{kind},10,11,{number},NIFTY,26000,{strike}.0,{kind},101000000026000,None,0,0.0"
        )
        .unwrap();
    }
    let begun = std::time::Instant::now();
    let mut list = None;
    let counts = allocation_counter::measure(|| list = load(&[&text]).ok());
    let (took, list) = (begun.elapsed(), list.unwrap());
    println!(
        "{} instruments of {} KiB in {took:?}: {} KiB, at most {} KiB meanwhile",
        list.len(),
        text.len() >> 10,
        list.summary().bytes >> 10,
        counts.bytes_max >> 10
    );
    assert_eq!(list.len(), 120_000);
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..900) {
        _ = Instruments::parse_all([bytes.as_slice()]);
        let mut list = CASH.as_bytes().to_vec();
        let at = cut.min(list.len());
        list.splice(at..at, bytes);
        _ = Instruments::parse_all([list.as_slice()]);
    }
}
