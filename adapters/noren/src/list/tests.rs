use std::fmt::Write as _;

use adapter_sdk::{
    instruments::List as _,
    testing::{CASH, assert_cash_names},
};
use proptest::prelude::*;

use super::*;

const TODAY: Day = Day { year: 2026, month: 11, day: 30 };

fn list(text: &str) -> Instruments {
    Instruments::parse_on(text.as_bytes(), TODAY).unwrap()
}

/// The lists of all brokers with the same instruments in them, as far as they have them, each as the broker
/// writes it.
const SHOONYA: [&str; 4] = [
    "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n\
     NSE,26000,1,Nifty 50,NIFTY INDEX,INDEX,0.05,\n\
     NSE,26009,1,Nifty Bank,NIFTY BANK,INDEX,0.05,\n\
     NSE,1594,1,INFY,INFY-EQ,EQ,0.05,\n\
     NSE,2031,1,M&M,M&M-EQ,EQ,0.05,\n\
     NSE,8882,1,20MICRONS,20MICRONS-BE,BE,0.05,\n\
     NSE,9,1,,,,0,\n",
    "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n\
     NFO,35001,75,NIFTY,NIFTY29DEC26F,29-DEC-2026,FUTIDX,XX,0,0.05,\n\
     NFO,35002,75,NIFTY,NIFTY01DEC26C26000,01-DEC-2026,OPTIDX,CE,26000,0.05,\n\
     NFO,35003,500,VEDL,VEDL29DEC26P292.5,29-DEC-2026,OPTSTK,PE,292.50,0.05,\n\
     NFO,35004,75,NIFTY,NIFTY24NOV26F,24-NOV-2026,FUTIDX,XX,0,0.05,\n\
     NFO,35005,75,NIFTY,NIFTYX,never,FUTIDX,XX,0,0.05,\n\
     NFO,35006,75,NIFTY,NIFTYX,29-DEC-2026,OPTIDX,CE,free,0.05,\n",
    "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n\
     BSE,501594,1,INFOSYS LTD,INFY,A,0.05,\n\
     BSE,502031,1,M&M,M&M,A,0.05,\n",
    "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,StrikePrice,TickSize,\n\
     BFO,35001,20,BSXFUT,SENSEX26DECFUT,31-DEC-2026,FUTIDX,0,0.05,\n\
     BFO,35002,20,BSXOPT,SENSEX26D0380000CE,03-DEC-2026,OPTIDX,80000,0.05,\n",
];

const FLATTRADE: &str = "Exchange,Token,Lotsize,Symbol,Tradingsymbol,Instrument,Expiry,Strike,Optiontype\n\
     NFO,35002,75,NIFTY,NIFTY01DEC26C26000,OPTIDX,01-DEC-2026,26000.0,CE\n\
     NFO,35001,75,NIFTY,NIFTY29DEC26F,FUTIDX,29-DEC-2026,0.0,XX\n\
     NSE,26000,1,Nifty 50,Nifty 50,INDEX,,,\n\
     BSE,1,1,SENSEX,SENSEX,UNDIND,,,\n\
     BSE,501594,1,INFY,INFY,A,,,\n";

const DEFINEDGE: &str = "NSE,26000,Nifty 50,Nifty 50,IDX,,5,1,,0,2,1,,1,\n\
     NSE,1594,INFY,INFY-EQ,EQ,,5,1,,0,2,1,INE009A01021,1,INFOSYS LIMITED\n\
     NFO,35002,NIFTY,NIFTY01DEC26C26000,OPTIDX,01122026,5,75,CE,2600000,2,1,,1,\n\
     NFO,35003,VEDL,VEDL29DEC26P292.5,OPTSTK,29122026,5,500,PE,29250,2,1,,1,\n\
     CDS,1001,USDINR,USDINR29DEC26C85.25,OPTCUR,29122026,25,1,CE,852500,4,1,,1,\n\
     MCX,2001,GOLD,GOLD05FEB27,FUTCOM,5022027,100,1,XX,0,2,1,,1,\n\
     NFO,35009,VEDL,VEDLX,OPTSTK,29122026,5,500,PE,29250,2,0,,1,\n\
     NFO,35010,VEDL,VEDLX,OPTSTK,29122026,5,500,PE,29250,99,1,,1,\n";

const ALICE_BLUE: [&str; 4] = [
    "Exch,Exchange Segment,Symbol,Token,Instrument Type,Option Type,Strike Price,Instrument Name,Formatted Ins Name,Trading Symbol,Group Name,Expiry Date,Lot Size,Tick Size\n\
     NSE,nse_cm,INFY,1594.0,,,,INFOSYS,INFY EQ,INFY-EQ,EQ,,1,0.05\n\
     NSE,nse_cm,20MICRONS,8882,,,,20 MICRONS,20MICRONS BE,20MICRONS-BE,BE,,1,0.05\n",
    "Exch,Exchange Segment,Symbol,Token,Instrument Type,Option Type,Strike Price,Instrument Name,Formatted Ins Name,Trading Symbol,Group Name,Expiry Date,Lot Size,Tick Size\n\
     NFO,nse_fo,NIFTY,35002.0,OPTIDX,CE,26000.0,NIFTY,NIFTY 01DEC26 26000 CE,NIFTY01DEC26C26000,,2026-12-01,75,0.05\n\
     NFO,nse_fo,NIFTY,35001,FUTIDX,,0,NIFTY,NIFTY 29DEC26 FUT,NIFTY29DEC26F,,2026-12-29,75,0.05\n\
     NFO,nse_fo,OLD,999123,FUTIDX,,0,OLD,OLD 29DEC26 FUT,OLD29DEC26F,,2026-12-29,75,0.05\n",
    "Exch,Exchange Segment,Symbol,Token,Instrument Type,Option Type,Strike Price,Instrument Name,Trading Symbol,Expiry Date,Lot Size,Tick Size\n\
     MCX,mcx_idx,MCXBULLDEX,3001,,,,MCXBULLDEX,MCXBULLDEX,,1,1\n\
     MCX,mcx_fo,GOLD,2001,FUTCOM,,0,GOLD,GOLD05FEB27,2027-02-05,1,1\n",
    "exch,symbol,token\n\
     NSE,NIFTY 50,99926000\n\
     NSE,NIFTY BANK,99926009.0\n\
     BSE,BSE CD,9994\n\
     MCX,MCXBULLDEX,9993001\n",
];

#[test]
fn lists_of_all_brokers_give_the_same_names() {
    let of_one = |texts: &[&str], names: &[(&str, &str, &str)], skipped: usize, expired: usize| {
        let (mut left_out, mut over, mut unserved) = (0, 0, 0);
        let lists: Vec<Instruments> = texts.iter().map(|text| list(text)).collect();
        for (exchange, symbol, key) in names {
            let found = lists.iter().find_map(|list| list.key(exchange, symbol));
            assert_eq!(found.map(|key| key.to_string()).as_deref(), Some(*key), "{exchange}:{symbol}");
        }
        for list in &lists {
            left_out += list.skipped();
            over += list.expired();
            unserved += list.unserved();
        }
        // Indices of commodities.
        let commodities = texts.iter().flat_map(|text| text.lines()).filter(|row| row.contains("MCXBULLDEX"));
        assert_eq!((left_out, over, unserved), (skipped, expired, commodities.count()), "{texts:?}");
    };
    of_one(
        &SHOONYA,
        &[
            ("NSE_INDEX", "NIFTY", "NSE|26000"),
            ("NSE_INDEX", "BANKNIFTY", "NSE|26009"),
            ("NSE", "INFY", "NSE|1594"),
            ("NSE", "M&M", "NSE|2031"),
            ("NSE", "20MICRONS-BE", "NSE|8882"),
            ("NFO", "NIFTY29DEC26FUT", "NFO|35001"),
            ("NFO", "NIFTY01DEC2626000CE", "NFO|35002"),
            ("NFO", "VEDL29DEC26292.5PE", "NFO|35003"),
            ("BSE", "INFY", "BSE|501594"),
            ("BSE_INDEX", "SENSEX", "BSE|1"),
            ("BSE_INDEX", "BANKEX", "BSE|12"),
            ("BFO", "SENSEX31DEC26FUT", "BFO|35001"),
            ("BFO", "SENSEX03DEC2680000CE", "BFO|35002"),
        ],
        3,
        1,
    );
    of_one(
        &[FLATTRADE],
        &[
            ("NFO", "NIFTY01DEC2626000CE", "NFO|35002"),
            ("NFO", "NIFTY29DEC26FUT", "NFO|35001"),
            ("NSE_INDEX", "NIFTY", "NSE|26000"),
            ("BSE_INDEX", "SENSEX", "BSE|1"),
        ],
        0,
        0,
    );
    of_one(
        &[DEFINEDGE],
        &[
            ("NSE_INDEX", "NIFTY", "NSE|26000"),
            ("NSE", "INFY", "NSE|1594"),
            ("NFO", "NIFTY01DEC2626000CE", "NFO|35002"),
            ("NFO", "VEDL29DEC26292.5PE", "NFO|35003"),
            ("CDS", "USDINR29DEC2685.25CE", "CDS|1001"),
            ("MCX", "GOLD05FEB27FUT", "MCX|2001"),
        ],
        2,
        0,
    );
    of_one(
        &ALICE_BLUE,
        &[
            ("NSE", "INFY", "NSE|1594"),
            ("NSE", "20MICRONS-BE", "NSE|8882"),
            ("NFO", "NIFTY01DEC2626000CE", "NFO|35002"),
            ("NFO", "NIFTY29DEC26FUT", "NFO|35001"),
            // The digits of the prefix are a part of it elsewhere.
            ("NFO", "OLD29DEC26FUT", "NFO|999123"),
            ("MCX", "GOLD05FEB27FUT", "MCX|2001"),
            ("NSE_INDEX", "NIFTY", "NSE|26000"),
            ("NSE_INDEX", "BANKNIFTY", "NSE|26009"),
            ("BSE_INDEX", "BSECONSUMERDURABLES", "BSE|4"),
        ],
        0,
        0,
    );
}

#[test]
fn securities_have_the_names_that_they_have_at_all_brokers() {
    let mut usual = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n".to_owned();
    let mut grouped = "Exch,Token,Symbol,Trading Symbol,Instrument Type,Group Name\n".to_owned();
    for (number, one) in CASH.iter().enumerate() {
        let (exchange, series, number) = (one.exchange, one.series, number + 1);
        let theirs =
            if exchange == "BSE" { one.symbol.to_owned() } else { format!("{}-{series}", one.symbol) };
        writeln!(usual, "{exchange},{number},1,ANY,{theirs},{series},0.05,").unwrap();
        writeln!(grouped, "{exchange},{number},{},{theirs},,{series}", one.symbol).unwrap();
    }
    for text in [usual, grouped] {
        let list = list(&text);
        assert_cash_names(|exchange, symbol| {
            let (exchange, symbol) = list.name(list.key(exchange, symbol)?)?;
            Some((exchange.to_owned(), symbol.to_owned()))
        });
    }
}

#[test]
fn what_is_no_list_is_refused() {
    for (text, said) in [
        ("", "no column Exchange or Exch"),
        ("<html>maintenance</html>", "no column Exchange or Exch"),
        ("Exchange,Token,LotSize\n", "no column Symbol"),
        ("Exchange,Token,Symbol\n", "has none"),
        ("NYSE,1,A,A,EQ,,5,1,,0,2,1\n", "no column"),
    ] {
        let error = Instruments::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
#[ignore = "a measurement: run it with --release --ignored --nocapture"]
fn how_long_a_hundred_thousand_rows_take() {
    let mut text = DEFINEDGE.to_owned();
    for n in 0_u32..120_000 {
        let (strike, kind) = (10_000 + n / 2 * 50, if n % 2 == 0 { "CE" } else { "PE" });
        writeln!(text, "NFO,{},NIFTY,ANY,OPTIDX,29122026,5,75,{kind},{}00,2,1,,1,", n + 40_000, strike)
            .unwrap();
    }
    let started = std::time::Instant::now();
    let list = list(&text);
    println!("{} instruments in {:?}, {} bytes of memory", list.len(), started.elapsed(), list.bytes());
}

proptest! {
    #[test]
    fn rows_before_and_behind_damage_are_read(
        damage in proptest::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..80),
        place in 1_usize..6,
    ) {
        for text in [DEFINEDGE, FLATTRADE, SHOONYA[1], ALICE_BLUE[1]] {
            let whole: Vec<(String, String)> = list(text).names().map(|(one, two)| (one.to_owned(), two.to_owned())).collect();
            let mut lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
            lines.insert(place.min(lines.len() - 1), &damage);
            let mut damaged = lines.join(&b'\n');
            damaged.push(b'\n');
            let damaged = Instruments::parse_on(damaged.as_slice(), TODAY).unwrap();
            for (exchange, symbol) in &whole {
                prop_assert!(damaged.key(exchange, symbol).is_some(), "{symbol}");
            }
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,20}", number in "[0-9]{0,20}") {
        let _any = (super::number(&number), leading(&text), rupees(&number, Some(&text), Some(&number)));
        let row = format!("NFO,7,A,B,OPTIDX,29122026,5,1,CE,{number},{number},{text}\nNSE,1,A,A,EQ,,,,,,,\n");
        let _any = Instruments::parse(row.as_bytes());
    }
}
