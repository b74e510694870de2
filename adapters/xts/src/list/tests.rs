use std::fmt::Write as _;

use adapter_sdk::testing::{CASH, assert_cash_names};
use proptest::prelude::*;

use super::*;

const TODAY: Day = Day { year: 2026, month: 11, day: 30 };

/// A file of rows.
fn file(rows: &str) -> String {
    serde_json::json!({ "type": "success", "code": "s-instrument-0010", "result": rows }).to_string()
}

fn list(text: &str) -> Instruments {
    Instruments::parse_on(text.as_bytes(), TODAY).unwrap()
}

const SHARES: &str = "\
NSECM|1594|8|INFY|INFY-EQ|EQ|INFY-EQ|1100100001594|1600|1400|1|0.05|1|1|INFY|INE009A01021|1|1|INFOSYS LIMITED-EQ|0|-1|-1
NSECM|2031|8|M&M|M&M-EQ|EQ|M&M-EQ|1|1|1|1|0.05|1|1|M&M|INE|1|1|MAHINDRA, AND \"M\"|0|-1|-1
NSECM|8882|8|20MICRONS|20MICRONS-BE|BE|20MICRONS-BE|1|1|1|1|0.05|1|1|20MICRONS|INE|1|1|20 MICRONS|0|-1|-1
NSECM|0|8|NONE|NONE-EQ|EQ|NONE-EQ|1|1|1|1|0.05|1|1|NONE|INE|1|1|NONE|0|-1|-1
";

const DERIVATIVES: &str = "\
NSEFO|35001|1|NIFTY|NIFTY26DECFUT|FUTIDX|NIFTY-FUTIDX|1|1|1|1|0.05|75|1|26000|NIFTY 50|2026-12-29T14:30:00|NIFTY 29DEC2026|1|1|NIFTY26DECFUT
NSEFO|35002|2|NIFTY|NIFTY26D0126000CE|OPTIDX|NIFTY-OPTIDX|1|1|1|1|0.05|75|1|26000|NIFTY 50|2026-12-01T14:30:00|26000|3|NIFTY 01DEC2026 CE 26000|1|1|NIFTY26D0126000CE
NSEFO|35003|2|VEDL|VEDL26DEC292.5PE|OPTSTK|VEDL-OPTSTK|1|1|1|1|0.05|500|1|3063|VEDL|2026-12-29T14:30:00|292.50|4|VEDL 29DEC2026 PE 292.5|1|1|VEDL26DEC292.5PE
NSEFO|35004|4|NIFTY|NIFTY26DEC26JANFUT|FUTIDX|NIFTY-FUTIDX|1|1|1|1|0.05|75|1|26000|NIFTY 50|2026-12-29T14:30:00|NIFTY SPREAD|1|1|NIFTY
NSEFO|35005|1|NIFTY|NIFTY26NOVFUT|FUTIDX|NIFTY-FUTIDX|1|1|1|1|0.05|75|1|26000|NIFTY 50|2026-11-24T14:30:00|NIFTY 24NOV2026|1|1|NIFTY26NOVFUT
NSEFO|35006|2|NIFTY|NIFTYX|OPTIDX|NIFTY-OPTIDX|1|1|1|1|0.05|75|1|26000|NIFTY 50|2026-12-29T14:30:00|free|3|X|1|1|X
51|2001|1|GOLD|GOLD27FEBFUT|FUTCOM|GOLD-FUTCOM|1|1|1|1|1|1|1|-1|GOLD|2027-02-05T23:30:00|GOLD 05FEB2027|1|1|GOLD27FEBFUT
";

#[test]
fn every_row_has_its_name_both_ways() {
    let indices = r#"{"type":"success","result":{"exchangeSegment":1,"indexList":["NIFTY 50_26000","NIFTY BANK_26001","INDIA VIX_26002"]}}"#;
    let sensex = r#"{"type":"success","result":{"exchangeSegment":11,"indexList":["SENSEX_1"]}}"#;
    let lists = [list(&file(SHARES)), list(&file(DERIVATIVES)), list(indices), list(sensex)];
    for (place, exchange, symbol, key) in [
        (0, "NSE", "INFY", "NSE|1594"),
        (0, "NSE", "M&M", "NSE|2031"),
        (0, "NSE", "20MICRONS-BE", "NSE|8882"),
        (1, "NFO", "NIFTY29DEC26FUT", "NFO|35001"),
        (1, "NFO", "NIFTY01DEC2626000CE", "NFO|35002"),
        (1, "NFO", "VEDL29DEC26292.5PE", "NFO|35003"),
        (1, "MCX", "GOLD05FEB27FUT", "MCX|2001"),
        (2, "NSE_INDEX", "NIFTY", "NSE|26000"),
        (2, "NSE_INDEX", "BANKNIFTY", "NSE|26001"),
        (2, "NSE_INDEX", "INDIAVIX", "NSE|26002"),
        (3, "BSE_INDEX", "SENSEX", "BSE|1"),
    ] {
        let found = lists[place].key(exchange, symbol).unwrap();
        assert_eq!(found.to_string(), key, "{exchange}:{symbol}");
        assert_eq!(lists[place].name(found), Some((exchange, symbol)));
    }
    // By which events of indices are told.
    assert_eq!(lists[2].key("NSE_INDEX", "NIFTY 50").unwrap().token, 26_000);
    let counts = |list: &Instruments| (list.skipped(), list.expired(), list.unserved());
    assert_eq!((counts(&lists[0]), counts(&lists[1])), ((1, 0, 0), (1, 1, 1)));
}

#[test]
fn securities_have_the_names_that_they_have_at_all_brokers() {
    let mut rows = String::new();
    for (number, one) in CASH.iter().enumerate() {
        let (segment, number) = (if one.exchange == "BSE" { "BSECM" } else { "NSECM" }, number + 1);
        writeln!(rows, "{segment}|{number}|8|{}|ANY|{}|ANY|1", one.symbol, one.series).unwrap();
    }
    let list = list(&file(&rows));
    assert_cash_names(|exchange, symbol| {
        let (exchange, symbol) = list.name(list.key(exchange, symbol)?)?;
        Some((exchange.to_owned(), symbol.to_owned()))
    });
}

#[test]
fn what_is_no_list_is_refused_and_what_is_torn_is_known() {
    for text in ["", "<html>maintenance</html>", r#"{"type":"success","result":""}"#, r#"{"type":"error"}"#] {
        assert!(Instruments::parse(text.as_bytes()).is_err(), "{text}");
    }
    let whole = file(DERIVATIVES);
    let torn = whole.get(..whole.len() / 2).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list");
    for (text, is_cut_off) in [(whole.as_str(), false), (torn, true)] {
        std::fs::write(&path, text).unwrap();
        let list =
            <Instruments as adapter_sdk::instruments::List>::read(std::slice::from_ref(&path)).unwrap();
        assert_eq!(adapter_sdk::instruments::List::is_cut_off(&list), is_cut_off);
    }
}

#[test]
#[ignore = "a measurement: run it with --release --ignored --nocapture"]
fn how_long_a_hundred_thousand_rows_take() {
    let mut rows = DERIVATIVES.to_owned();
    for n in 0_u32..120_000 {
        let (strike, kind) = (10_000 + n / 2 * 50, 3 + n % 2);
        writeln!(rows, "NSEFO|{}|2|NIFTY|NIFTY26DEC{strike}|OPTIDX|NIFTY-OPTIDX|1|1|1|1|0.05|75|1|26000|NIFTY 50|2026-12-29T14:30:00|{strike}|{kind}|NIFTY 29DEC2026 {strike}|1|1|NIFTY26DEC{strike}", n + 40_000)
            .unwrap();
    }
    let text = file(&rows);
    let started = std::time::Instant::now();
    let list = list(&text);
    println!("{} instruments in {:?}, {} bytes of memory", list.len(), started.elapsed(), list.bytes());
}

proptest! {
    #[test]
    fn rows_before_and_behind_damage_are_read(
        damage in "[^\n]{0,80}",
        place in 1_usize..4,
    ) {
        let whole = list(&file(DERIVATIVES));
        let mut lines: Vec<&str> = DERIVATIVES.lines().collect();
        lines.insert(place, &damage);
        let damaged = list(&file(&lines.join("\n")));
        for (exchange, symbol) in adapter_sdk::instruments::List::names(&whole) {
            prop_assert!(damaged.key(exchange, symbol).is_some(), "{symbol}");
        }
    }
}
