//! The broker's list of instruments: a CSV file of some hundred thousand rows.

use adapter_sdk::{
    instruments::{Catalog, Names, Sheet},
    ist::Day,
};

use crate::names::Row;

/// The instruments of a list, by OpenAlgo's names and by the broker's token.
pub type Instruments = Catalog<KiteList, 8>;

/// The layout of the list.
#[derive(Debug)]
pub struct KiteList {
    /// Kept for its room.
    symbol: String,
}

impl Sheet<8> for KiteList {
    type Key = u32;

    const COLUMNS: [&'static str; 8] = [
        "instrument_token",
        "tradingsymbol",
        "name",
        "expiry",
        "strike",
        "instrument_type",
        "segment",
        "exchange",
    ];

    /// It has about 8 MB.
    const MAX_BYTES: u64 = 64 << 20;
    const MAX_ROWS: usize = 1_000_000;

    fn begin(_today: Day) -> Self {
        Self { symbol: String::new() }
    }

    fn row(&mut self, cells: [Option<&str>; 8], names: &mut Names<u32>) -> Option<()> {
        let [token, tradingsymbol, name, expiry, strike, instrument_type, segment, exchange] = cells;
        let row = Row {
            tradingsymbol: tradingsymbol?,
            // What a share does not need it may lack.
            name: name.unwrap_or_default(),
            expiry: expiry.unwrap_or_default(),
            strike: strike.unwrap_or_default(),
            instrument_type: instrument_type?,
            segment: segment?,
            exchange: exchange?,
        };
        let token = token?.parse().ok().filter(|token| *token > 0)?;
        let exchange = row.exchange()?;
        if !row.write_symbol(&mut self.symbol) {
            return None;
        }
        names.add(exchange, &self.symbol, token);
        if row.is_index() && row.tradingsymbol != self.symbol {
            // The broker's names of indices work too.
            names.add_unless_taken(1, exchange, row.tradingsymbol, token);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
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
}
