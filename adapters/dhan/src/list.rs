//! The broker's list of instruments: a CSV file of some two hundred thousand rows.

use adapter_sdk::{
    instruments::{Catalog, Names, Sheet},
    ist::Day,
    symbol::Contract,
};

use crate::{
    names::{place, underlying},
    segment::{Key, Segment},
};

/// The instruments of a list, by OpenAlgo's names and by the broker's key.
pub type Instruments = Catalog<DhanList, 10>;

/// The layout of the list.
#[derive(Debug)]
pub struct DhanList;

impl Sheet<10> for DhanList {
    type Key = Key;

    const COLUMNS: [&'static str; 10] = [
        "SEM_SMST_SECURITY_ID",
        "SEM_EXM_EXCH_ID",
        "SEM_SEGMENT",
        "SEM_INSTRUMENT_NAME",
        "SEM_TRADING_SYMBOL",
        "SEM_CUSTOM_SYMBOL",
        "SEM_EXPIRY_DATE",
        "SEM_STRIKE_PRICE",
        "SEM_OPTION_TYPE",
        "SEM_SERIES",
    ];

    fn begin(_today: Day) -> Self {
        Self
    }

    fn row(&mut self, cells: [Option<&str>; 10], names: &mut Names<Key>) -> Option<()> {
        let [id, exchange, segment, kind, symbol, custom_symbol, expiry, strike, option_type, series] = cells;
        let (kind, symbol, expiry, strike) = (kind?, symbol?, expiry?, strike?);
        let (option_type, series) = (option_type?, series?);
        let (exchange, segment) = place(exchange?, segment?, kind)?;
        let key = Key { segment, id: security_id(id?)? };
        match segment {
            Segment::Index => names.add_index(exchange, symbol, key),
            Segment::NseEquity | Segment::BseEquity => names.add_cash(exchange, symbol, series, key),
            _ => {
                let is_future = kind.starts_with("FUT");
                let contract =
                    if is_future { Contract::Future } else { Contract::option(option_type, strike)? };
                // It is for people, and a second way to the underlying.
                let underlying = underlying(symbol, custom_symbol.unwrap_or_default())?;
                let expiry = day(expiry)?;
                if names.has_expired(expiry) {
                    return Some(());
                }
                names.add_derivative(exchange, underlying, expiry, contract, key)
            }
        }
    }
}

/// When a contract expires: a date, with a time behind it or not.
fn day(text: &str) -> Option<Day> {
    text.split([' ', 'T']).next()?.parse().ok()
}

/// Requests have it as text, packets as a number: only what is the same in both can be told apart.
fn security_id(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use adapter_sdk::{AdapterError, instruments::List as _};
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = "\
SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,SEM_LOT_UNITS,\
SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,\
SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME
NSE,I,13,INDEX,0,NIFTY,1.0,Nifty 50,0001-01-01,,XX,0.0500,,INDEX,X,NIFTY
NSE,I,38,INDEX,0,NIFTY NEXT 50,1.0,Nifty Next 50,0001-01-01,,XX,0.0500,,INDEX,X,NIFTY NEXT 50
BSE,I,51,INDEX,0,SENSEX,1.0,Sensex,0001-01-01,,XX,0.0500,,INDEX,X,SENSEX
NSE,E,9001,EQUITY,0,RELIANCE,1.0,Reliance Bond,,,,10.0000,NA,ES,N2,RELIANCE INDUSTRIES LTD
NSE,E,9002,EQUITY,0,RELIANCE,1.0,Reliance Industries,,,,10.0000,NA,ES,BE,RELIANCE INDUSTRIES LTD
NSE,E,2885,EQUITY,0,RELIANCE,1.0,Reliance Industries,,,,10.0000,NA,ES,EQ,RELIANCE INDUSTRIES LTD
BSE,E,2885,EQUITY,0,OTHER,1.0,Other,,,,10.0000,NA,ES,A,\"OTHER, LTD\"
NSE,D,58072,FUTIDX,0,NIFTY-Aug2026-FUT,65,NIFTY AUG FUT,2026-08-25 14:30:00,-0.01000,XX,10.0000,M,FUTIDX,,
NSE,D,49081,OPTIDX,0,NIFTY-Jul2026-24500-CE,65.0,NIFTY 28 JUL 24500 CALL,2026-07-28 14:30:00,24500.00000,CE,5.0000,M,OP,,
NSE,D,58071,FUTIDX,0,NIFTY-Jun2026-FUT,65,NIFTY JUN FUT,2026-06-30 14:30:00,-0.01000,XX,10.0000,M,FUTIDX,,
NSE,M,58072,FUTCOM,0,GOLD-Aug2026-FUT,1,GOLD AUG FUT,2026-08-25 14:30:00,-0.01000,XX,10.0000,M,FUTCOM,,
NSE,E,x,EQUITY,0,BAD,1.0,Bad,,,,10.0000,NA,ES,EQ,BAD
NSE,E,007,EQUITY,0,ZEROS,1.0,Zeros,,,,10.0000,NA,ES,EQ,ZEROS
NSE,E,1
";

    /// A day on which the contracts of June have expired, and those of July have not.
    fn today() -> Day {
        Day::new(2026, 7, 28).unwrap()
    }

    fn read(text: &str) -> Result<Instruments, AdapterError> {
        Instruments::parse_on(text.as_bytes(), today())
    }

    #[test]
    fn a_list_becomes_names_in_both_directions() {
        let list = read(LIST).unwrap();
        for (exchange, symbol, segment, id) in [
            ("NSE_INDEX", "NIFTY", Segment::Index, 13),
            ("NSE_INDEX", "NIFTYNXT50", Segment::Index, 38),
            ("BSE_INDEX", "SENSEX", Segment::Index, 51),
            ("NSE", "RELIANCE", Segment::NseEquity, 2885),
            ("NSE", "RELIANCE-BE", Segment::NseEquity, 9002),
            ("NSE", "RELIANCE-N2", Segment::NseEquity, 9001),
            // The same id in another segment is something else.
            ("BSE", "OTHER", Segment::BseEquity, 2885),
            ("NFO", "NIFTY25AUG26FUT", Segment::NseDerivatives, 58_072),
            ("NFO", "NIFTY28JUL2624500CE", Segment::NseDerivatives, 49_081),
        ] {
            let key = Key { segment, id };
            assert_eq!(list.key(exchange, symbol), Some(key), "{symbol}");
            assert_eq!(list.name(key), Some((exchange, symbol)));
        }
        // The broker's name of an index works too.
        assert_eq!(list.key("NSE_INDEX", "NIFTY NEXT 50"), list.key("NSE_INDEX", "NIFTYNXT50"));
        assert_eq!(list.key("NFO", "NIFTY30JUN26FUT"), None);
        assert_eq!((list.summary().instruments, list.skipped(), list.expired()), (10, 4, 1));
    }

    #[test]
    fn columns_are_found_by_name() {
        let list = "SEM_SERIES,NEW,SEM_OPTION_TYPE,SEM_STRIKE_PRICE,SEM_EXPIRY_DATE,SEM_CUSTOM_SYMBOL,SEM_TRADING_SYMBOL,\
                    SEM_INSTRUMENT_NAME,SEM_SMST_SECURITY_ID,SEM_SEGMENT,SEM_EXM_EXCH_ID\n\
                    EQ,?,,,,State Bank,SBIN,EQUITY,3045,E,NSE\n";
        let key = Key { segment: Segment::NseEquity, id: 3045 };
        assert_eq!(read(list).unwrap().key("NSE", "SBIN"), Some(key));
        // A mark of the byte order may come before the first one, and lines may end as on Windows.
        let marked = format!("\u{feff}{list}").replace('\n', "\r\n");
        assert_eq!(read(&marked).unwrap().key("NSE", "SBIN"), Some(key));
    }

    #[test]
    fn a_damaged_cell_costs_itself_or_its_row_and_never_those_behind_it() {
        let row = |id, name, rest: &str| {
            format!("NSE,E,{id},EQUITY,0,{name},1.0,{name},,,,10.0000,NA,ES,EQ,{rest}")
        };
        let header = LIST.lines().next().unwrap();
        for (damaged, is_kept) in [
            (row("8", "DAMAGED", "\"NEVER CLOSED"), true),
            (row("8", "DAMAGED", "NEVER OPENED\""), true),
            (row("8", "\"DAMAGED", "LTD"), true),
            (row("8", "DAMAGED", "\"NEVER CLOSED, LTD"), false),
            (row("NaN", "DAMAGED", "LTD"), false),
            (row("8", "DAMAGED", "LTD").replace(",ES,EQ,LTD", ""), false),
        ] {
            let text = [header, &row("7", "BEFORE", "X"), &damaged, &row("9", "BEHIND", "X"), ""].join("\n");
            let list = read(&text).unwrap();
            let id = |symbol| list.key("NSE", symbol).map(|key| key.id);
            assert_eq!((id("BEFORE"), id("BEHIND")), (Some(7), Some(9)), "{damaged}");
            assert_eq!(id("DAMAGED"), is_kept.then_some(8), "{damaged}");
            assert_eq!(list.skipped(), usize::from(!is_kept), "{damaged}");
        }
        // A file that was cut off in its last row.
        let whole = [header, &row("7", "BEFORE", "X"), &row("9", "BEHIND", "X")].join("\n");
        for length in whole.len() - 30..whole.len() - 2 {
            let list = read(whole.get(..length).unwrap()).unwrap();
            assert_eq!((list.len(), list.skipped()), (1, 1), "{length}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let refused = |text: &str| read(text).unwrap_err().to_string();
        assert!(refused("<html>maintenance</html>").contains("no column SEM_SMST_SECURITY_ID"));
        assert!(refused("").contains("no column"));
        assert!(refused(LIST.lines().next().unwrap()).contains("has none"));
    }

    #[test]
    #[ignore = "a measurement: run it with --release --ignored --nocapture"]
    fn how_long_two_hundred_thousand_rows_take() {
        use std::fmt::Write as _;
        let mut text = LIST.lines().next().unwrap().to_owned() + "\n";
        for n in 0_u32..200_000 {
            let (id, strike) = (n + 1, 10_000 + n / 2 * 50);
            let (kind, word) = if n % 2 == 0 { ("CE", "CALL") } else { ("PE", "PUT") };
            writeln!(
                text,
                "NSE,D,{id},OPTIDX,0,NIFTY-Jul2026-{strike}-{kind},65.0,NIFTY 28 JUL {strike} {word},2026-07-28 14:30:00,\
                 {strike}.00000,{kind},5.0000,M,OP,,"
            )
            .unwrap();
        }
        let started = std::time::Instant::now();
        let list = read(&text).unwrap();
        println!("{:?} of {} bytes in {:?}", list.summary(), text.len(), started.elapsed());
        assert_eq!(list.summary().instruments, 200_000);
    }

    proptest! {
        #[test]
        fn rows_before_and_behind_damage_are_read(
            damage in proptest::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..80),
            place in 1_usize..12,
        ) {
            let mut lines: Vec<&[u8]> = LIST.lines().take(12).map(str::as_bytes).collect();
            lines.insert(place, &damage);
            let list = Instruments::parse_on(lines.join(&b'\n').as_slice(), today()).unwrap();
            for (exchange, symbol) in [("NSE_INDEX", "NIFTY"), ("NSE", "RELIANCE"), ("BSE", "OTHER"), ("NFO", "NIFTY25AUG26FUT")] {
                prop_assert!(list.key(exchange, symbol).is_some(), "{symbol}");
            }
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..2_000) {
            let _any = Instruments::parse_on(bytes.as_slice(), today());
            let mut list = LIST.as_bytes().to_vec();
            let at = cut.min(list.len());
            list.splice(at..at, bytes);
            let _any = Instruments::parse_on(list.as_slice(), today());
        }
    }
}
