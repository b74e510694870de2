//! The broker's list: names both ways, odd rows, and what a list as long as the broker's takes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they compared"
)]

use std::{io::Write as _, time::Instant};

use adapter_sdk::{AdapterError, instruments::List as _};
use adapter_upstox::{key::Key, list::Instruments};
use flate2::{Compression, write::GzEncoder};

/// Rows as the broker has them, of every kind.
const LIST: &str = r#"[
{"segment":"NSE_EQ","name":"RELIANCE INDUSTRIES LTD","exchange":"NSE","isin":"INE002A01018","instrument_type":"EQ","instrument_key":"NSE_EQ|INE002A01018","lot_size":1,"freeze_quantity":100000.0,"exchange_token":"2885","tick_size":10.0,"trading_symbol":"RELIANCE","short_name":"Reliance","security_type":"NORMAL"},
{"segment":"NSE_EQ","name":"MAHINDRA & MAHINDRA LTD","exchange":"NSE","isin":"INE101A01026","instrument_type":"EQ","instrument_key":"NSE_EQ|INE101A01026","lot_size":1,"exchange_token":"2031","tick_size":5.0,"trading_symbol":"M&M"},
{"segment":"NSE_EQ","name":"SOMETHING","exchange":"NSE","isin":"INE000A01001","instrument_type":"BE","instrument_key":"NSE_EQ|INE000A01001","exchange_token":"9","tick_size":5.0,"trading_symbol":"SOMETHING"},
{"segment":"BSE_EQ","name":"INFOSYS LTD","exchange":"BSE","isin":"INE009A01021","instrument_type":"A","instrument_key":"BSE_EQ|INE009A01021","exchange_token":"500209","tick_size":5.0,"trading_symbol":"INFY"},
{"segment":"NSE_INDEX","name":"Nifty 50","exchange":"NSE","instrument_type":"INDEX","instrument_key":"NSE_INDEX|Nifty 50","exchange_token":"26000","trading_symbol":"NIFTY"},
{"segment":"NSE_INDEX","name":"India VIX","exchange":"NSE","instrument_type":"INDEX","instrument_key":"NSE_INDEX|India VIX","exchange_token":"26017","trading_symbol":"INDIA VIX"},
{"segment":"BSE_INDEX","name":"SENSEX","exchange":"BSE","instrument_type":"INDEX","instrument_key":"BSE_INDEX|SENSEX","exchange_token":"1","trading_symbol":"SENSEX"},
{"weekly":false,"segment":"NSE_FO","name":"NIFTY","exchange":"NSE","expiry":1924367399000,"instrument_type":"FUT","asset_symbol":"NIFTY","underlying_symbol":"NIFTY","instrument_key":"NSE_FO|35001","lot_size":75,"freeze_quantity":1800.0,"exchange_token":"35001","minimum_lot":75,"tick_size":5.0,"asset_type":"INDEX","trading_symbol":"NIFTY FUT 24 DEC 30","strike_price":0.0},
{"weekly":true,"segment":"NSE_FO","name":"NIFTY","exchange":"NSE","expiry":1924367399000,"instrument_type":"CE","underlying_symbol":"NIFTY","instrument_key":"NSE_FO|43885","exchange_token":"43885","tick_size":5.0,"trading_symbol":"NIFTY 24500 CE 24 DEC 30","strike_price":24500.0},
{"segment":"NSE_FO","name":"BAJAJ AUTO LTD","exchange":"NSE","expiry":1924367399000,"instrument_type":"PE","asset_symbol":"BAJAJ-AUTO","instrument_key":"NSE_FO|43886","exchange_token":"43886","trading_symbol":"BAJAJ-AUTO 9000 PE 24 DEC 30","strike_price":9000},
{"segment":"BSE_FO","name":"SENSEX","exchange":"BSE","expiry":1924367399000,"instrument_type":"CE","underlying_symbol":"SENSEX","instrument_key":"BSE_FO|861200","exchange_token":"861200","trading_symbol":"SENSEX 80900 CE 24 DEC 30","strike_price":80900.0},
{"segment":"NCD_FO","name":"USDINR","exchange":"NSE","expiry":1924367399000,"instrument_type":"PE","underlying_symbol":"USDINR","instrument_key":"NCD_FO|14366","exchange_token":"14366","tick_size":0.25,"trading_symbol":"USDINR 85.25 PE 24 DEC 30","strike_price":85.25},
{"segment":"BCD_FO","name":"USDINR","exchange":"BSE","expiry":1924367399000,"instrument_type":"FUT","underlying_symbol":"USDINR","instrument_key":"BCD_FO|1","exchange_token":"1","trading_symbol":"USDINR FUT 24 DEC 30","strike_price":0.0},
{"segment":"MCX_FO","name":"CRUDEOIL","exchange":"MCX","expiry":1924367399000,"instrument_type":"FUT","underlying_symbol":"CRUDEOIL","instrument_key":"MCX_FO|435697","exchange_token":"435697","trading_symbol":"CRUDEOIL FUT 24 DEC 30","strike_price":0.0},
{"segment":"NSE_COM","name":"GOLD","exchange":"NSE","expiry":1924367399000,"instrument_type":"FUT","underlying_symbol":"GOLD","instrument_key":"NSE_COM|7","exchange_token":"7","trading_symbol":"GOLD FUT 24 DEC 30","strike_price":0.0},
{"segment":"NSE_FO","name":"NIFTY","exchange":"NSE","expiry":1577836799000,"instrument_type":"FUT","underlying_symbol":"NIFTY","instrument_key":"NSE_FO|1","trading_symbol":"NIFTY FUT 31 DEC 19"},
{"segment":"MCX_INDEX","name":"MCXBULLDEX","exchange":"MCX","instrument_type":"INDEX","instrument_key":"MCX_INDEX|MCXBULLDEX","trading_symbol":"MCXBULLDEX"},
{"segment":"NSE_FO","expiry":"soon","instrument_type":"FUT","underlying_symbol":"NIFTY","instrument_key":"NSE_FO|2","trading_symbol":"NIFTY FUT"},
{"segment":"NSE_FO","expiry":1924367399000,"instrument_type":"SPREAD","underlying_symbol":"NIFTY","instrument_key":"NSE_FO|3","trading_symbol":"NIFTY"},
{"segment":"NSE_EQ","instrument_type":"EQ","instrument_key":"NSE_EQ|A NAME OF MORE THAN THIRTY-TWO CHARACTERS","trading_symbol":"LONG"},
{"segment":"NSE_EQ","instrument_type":"EQ","instrument_key":null,"trading_symbol":"NONE"}
]"#;

#[test]
fn every_kind_of_instrument_is_found_both_ways() {
    let list = Instruments::parse(LIST.as_bytes()).unwrap();
    for (exchange, symbol, key) in [
        ("NSE", "RELIANCE", "NSE_EQ|INE002A01018"),
        ("NSE", "M&M", "NSE_EQ|INE101A01026"),
        ("NSE", "SOMETHING-BE", "NSE_EQ|INE000A01001"),
        ("BSE", "INFY", "BSE_EQ|INE009A01021"),
        ("NSE_INDEX", "NIFTY", "NSE_INDEX|Nifty 50"),
        ("NSE_INDEX", "INDIAVIX", "NSE_INDEX|India VIX"),
        ("BSE_INDEX", "SENSEX", "BSE_INDEX|SENSEX"),
        ("NFO", "NIFTY24DEC30FUT", "NSE_FO|35001"),
        ("NFO", "NIFTY24DEC3024500CE", "NSE_FO|43885"),
        ("NFO", "BAJAJ-AUTO24DEC309000PE", "NSE_FO|43886"),
        ("BFO", "SENSEX24DEC3080900CE", "BSE_FO|861200"),
        ("CDS", "USDINR24DEC3085.25PE", "NCD_FO|14366"),
        ("BCD", "USDINR24DEC30FUT", "BCD_FO|1"),
        ("MCX", "CRUDEOIL24DEC30FUT", "MCX_FO|435697"),
        ("NCO", "GOLD24DEC30FUT", "NSE_COM|7"),
    ] {
        let key = Key::parse(key).unwrap();
        assert_eq!(list.key(exchange, symbol), Some(key), "{symbol}");
        assert_eq!(list.name(key), Some((exchange, symbol)));
    }
    // By the broker's own name too.
    assert_eq!(list.key("NSE_INDEX", "Nifty 50"), Key::parse("NSE_INDEX|Nifty 50"));
    assert_eq!((list.expired(), list.unserved(), list.skipped()), (1, 1, 4));
}

#[test]
fn what_is_no_list_is_refused_and_one_that_ends_early_is_told() {
    for text in ["", "[", "{}", "[]", "<html>maintenance</html>", r#"{"status":"error","errors":[{"a":1}]}"#]
    {
        let error: AdapterError = Instruments::parse(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("has none that can be used"), "{text}: {error}");
    }
    let half = Instruments::parse(&LIST.as_bytes()[..LIST.len() / 2]).unwrap();
    assert!(half.is_cut_off() && half.key("NSE", "RELIANCE").is_some());
    let broken = LIST.replacen("\"trading_symbol\":\"RELIANCE\"", "\"trading_symbol\":NaN", 1);
    let list = Instruments::parse(broken.as_bytes()).unwrap();
    assert!(list.key("NSE", "RELIANCE").is_none() && list.key("NSE", "M&M").is_some());
}

const ROWS: u32 = 100_000;

/// Mostly options, as at the broker, packed as it is there.
fn write(file: &std::fs::File) -> std::io::Result<()> {
    let mut out = GzEncoder::new(file, Compression::fast());
    for number in 0..ROWS {
        let begin = if number == 0 { "[" } else { ",\n" };
        let row = match number % 10 {
            0 => format!(
                r#"{{"segment":"NSE_EQ","name":"STOCK {number} LTD","exchange":"NSE","isin":"INE{number:06}A01","instrument_type":"EQ","instrument_key":"NSE_EQ|INE{number:06}A01","lot_size":1,"freeze_quantity":100000.0,"exchange_token":"{number}","tick_size":5.0,"trading_symbol":"STOCK{number}","short_name":"STOCK{number}","security_type":"NORMAL"}}"#
            ),
            _ => format!(
                r#"{{"weekly":false,"segment":"NSE_FO","name":"NIFTY","exchange":"NSE","expiry":1924367399000,"instrument_type":"CE","asset_symbol":"NIFTY","underlying_symbol":"NIFTY","instrument_key":"NSE_FO|{number}","lot_size":75,"freeze_quantity":1800.0,"exchange_token":"{number}","minimum_lot":75,"asset_key":"NSE_INDEX|Nifty 50","underlying_key":"NSE_INDEX|Nifty 50","tick_size":5.0,"asset_type":"INDEX","underlying_type":"INDEX","trading_symbol":"NIFTY {number} CE 24 DEC 30","strike_price":{number}.0}}"#
            ),
        };
        write!(out, "{begin}{row}")?;
    }
    write!(out, "]")?;
    out.finish()?;
    Ok(())
}

#[test]
fn a_list_of_100_000_rows_takes_little_memory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    write(file.as_file()).unwrap();
    let (mut list, files) = (None, [file.path().to_owned()]);
    let begun = Instant::now();
    let counts = allocation_counter::measure(|| list = Some(Instruments::read(&files).unwrap()));
    let took = begun.elapsed();
    let list = list.unwrap();
    let (table_kib, most_kib) = (list.bytes() / 1_024, counts.bytes_max / 1_024);
    println!("{ROWS} rows in {took:?}: a table of {table_kib} KiB, at most {most_kib} KiB meanwhile");
    assert_eq!((list.len(), list.skipped()), (100_000, 0));
    let key = list.key("NFO", "NIFTY24DEC3099999CE").unwrap();
    assert_eq!(list.name(key), Some(("NFO", "NIFTY24DEC3099999CE")));
    assert!(list.bytes() < 12 << 20, "{table_kib} KiB");
    assert!(counts.bytes_max < 40 << 20, "{most_kib} KiB: the file stood in memory as a whole");
}
