//! Lists of instruments; the first byte says of which broker. Whatever stands in one, a name and a number that belong
//! together do so in both directions: or the price of one instrument would be shown for another.

#![no_main]

use std::fmt::Debug;

use adapter_sdk::{instruments::List as _, ist::Day};
use fuzz::{begin_with, bounded};
use libfuzzer_sys::fuzz_target;

const ZERODHA: &str = "0instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
12517890,48898,NIFTY26DEC24500CE,\"NIFTY\",0,2026-12-29,24500,0.05,65,CE,NFO-OPT,NFO
12517891,48899,NIFTY26DECFUT,\"NIFTY\",0,2026-12-29,0,0.05,65,FUT,NFO-FUT,NFO
";
const ANGEL: &str = r#"1[{"token":"3045","symbol":"SBIN-EQ","name":"SBIN","expiry":"","strike":"-1.000000","lotsize":"1","instrumenttype":"","exch_seg":"NSE","tick_size":"5.000000"},
{"token":"99926000","symbol":"Nifty 50","name":"NIFTY","expiry":"","strike":"0.000000","lotsize":"1","instrumenttype":"AMXIDX","exch_seg":"NSE","tick_size":"0.000000"},
{"token":"35086","symbol":"NIFTY29DEC2624500CE","name":"NIFTY","expiry":"29DEC2026","strike":"2450000.000000","lotsize":"65","instrumenttype":"OPTIDX","exch_seg":"NFO","tick_size":"5.000000"}]"#;
const DHAN: &str = "2SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,SEM_LOT_UNITS,SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME
NSE,I,13,INDEX,0,NIFTY,1.0,Nifty 50,,,XX,0.0,NA,INDEX,X,NIFTY
NSE,E,2885,EQUITY,0,RELIANCE,1.0,Reliance,,,,10.0000,NA,ES,EQ,RELIANCE
NSE,D,49081,OPTIDX,0,NIFTY-Dec2026-24500-CE,65,NIFTY 29 DEC 24500 CALL,2026-12-29 14:30:00,24500.00000,CE,5.0000,M,OP,,
";
const FYERS: &str = "3101000000026000,NIFTY 50,10,1,0.05,,0915-1530|1815-1915:,2026-10-03,,NSE:NIFTY50-INDEX,10,10,26000,NIFTY,26000,-1.0,XX,101000000026000,None,0,0.0
10100000003045,STATE BANK OF INDIA,0,1,0.05,,0915-1530|1815-1915:,2026-10-03,,NSE:SBIN-EQ,10,10,3045,SBIN,3045,-1.0,XX,None,None,0,0.0
101126092935086,NIFTY 29 Sep 26 29200 CE,14,65,0.05,,0915-1540|1815-1915:,2026-09-09,1790676600,NSE:NIFTY26SEP29200CE,10,11,35086,NIFTY,26000,29200.0,CE,101000000026000,None,0,0.0
";

/// The name that a number has leads back to the number.
fn check<'a, K: Copy + Debug + PartialEq>(
    names: impl Iterator<Item = (&'a str, &'a str)>,
    key: impl Fn(&str, &str) -> Option<K>,
    name: impl Fn(K) -> Option<(&'a str, &'a str)>,
) {
    for (exchange, symbol) in names {
        let number = key(exchange, symbol).expect("what is listed has a number");
        if let Some((exchange, symbol)) = name(number) {
            assert_eq!(key(exchange, symbol), Some(number), "{exchange}:{symbol}");
        }
    }
}

fn seeds() -> [Vec<u8>; 4] {
    [ZERODHA, ANGEL, DHAN, FYERS].map(|list| list.as_bytes().to_vec())
}

fuzz_target!(init: begin_with("lists", seeds()), |input: &[u8]| bounded(input, || {
    let Some((broker, list)) = input.split_first() else { return };
    match broker % 4 {
        0 => {
            let Ok(list) = adapter_zerodha::instruments::Instruments::parse(list) else { return };
            check(list.names(), |exchange, symbol| list.token(exchange, symbol), |token| list.name(token));
        }
        1 => {
            let Ok(list) = adapter_angel::list::List::parse(list) else { return };
            check(list.names(), |exchange, symbol| list.table.get(exchange, symbol), |key| list.table.name(key));
        }
        2 => {
            let today = Day { year: 2026, month: 7, day: 28 };
            let Ok(list) = adapter_dhan::list::Instruments::read(list, today) else { return };
            check(list.names(), |exchange, symbol| list.key(exchange, symbol), |key| list.name(key));
        }
        _ => {
            let Ok(list) = adapter_fyers::instruments::Instruments::load([list]) else { return };
            check(list.names(), |exchange, symbol| list.fytoken(exchange, symbol), |token| list.name(token));
        }
    }
}));
