//! A list of instruments as long as the broker's: how long it takes to read, and how much memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by panicking, and tell what they compared"
)]

use std::{
    io::{BufWriter, Write as _},
    time::Instant,
};

use adapter_angel::list::Instruments;
use adapter_sdk::instruments::List as _;

const ROWS: u32 = 150_000;

/// Rows like the broker's: mostly options, some futures and shares, and exchanges that the streaming API
/// lacks.
fn write(file: &std::fs::File) -> std::io::Result<()> {
    let mut out = BufWriter::new(file);
    write!(out, "[")?;
    for number in 0..ROWS {
        let comma = if number == 0 { "" } else { "," };
        let (symbol, name, expiry, strike, kind, segment) = match number % 10 {
            0 => {
                (format!("STOCK{number}-EQ"), format!("STOCK{number}"), "", "-1.000000".to_owned(), "", "NSE")
            }
            1 => (format!("STOCK{number}"), format!("STOCK{number}"), "", "-1.000000".to_owned(), "", "BSE"),
            2 => {
                let name = format!("GOODS{number}");
                (format!("{name}26JULFUT"), name, "20JUL2026", "-1.000000".to_owned(), "FUTCOM", "NCO")
            }
            3 => {
                let strike = format!("{number}00.000000");
                (format!("SENSEX26721{number}CE"), "SENSEX".to_owned(), "21JUL2026", strike, "OPTIDX", "BFO")
            }
            _ => {
                let strike = format!("{number}00.000000");
                (format!("NIFTY28JUL26{number}CE"), "NIFTY".to_owned(), "28JUL2026", strike, "OPTIDX", "NFO")
            }
        };
        write!(
            out,
            r#"{comma}{{"token":"{number}","symbol":"{symbol}","name":"{name}","expiry":"{expiry}","strike":"{strike}","lotsize":"75","instrumenttype":"{kind}","exch_seg":"{segment}","tick_size":"5.000000","freeze_qty":"1801","is_cas_enabled":false}}"#
        )?;
    }
    write!(out, "]")?;
    out.flush()
}

#[test]
fn a_list_of_150_000_rows_takes_little_memory() {
    let file = tempfile::NamedTempFile::new().unwrap();
    write(file.as_file()).unwrap();
    let file_kib = file.as_file().metadata().unwrap().len() / 1_024;
    let (mut list, files) = (None, [file.path().to_owned()]);
    let begun = Instant::now();
    let counts = allocation_counter::measure(|| list = Some(Instruments::read(&files).unwrap()));
    let took = begun.elapsed();
    let list = list.unwrap();
    let (table_kib, most_kib) = (list.bytes() / 1_024, counts.bytes_max / 1_024);
    println!(
        "{ROWS} rows of {file_kib} KiB in {took:?}: a table of {table_kib} KiB, at most {most_kib} KiB meanwhile"
    );
    assert_eq!((list.len(), list.unserved(), list.skipped()), (135_000, 15_000, 0));
    // Each way: the last of its kind is found.
    let key = list.key("BFO", "SENSEX21JUL26149993CE").unwrap();
    assert_eq!(list.name(key), Some(("BFO", "SENSEX21JUL26149993CE")));
    assert!(list.bytes() < 12 << 20, "{table_kib} KiB");
    assert!(counts.bytes_max < 40 << 20, "{most_kib} KiB: the file stood in memory as a whole");
}
