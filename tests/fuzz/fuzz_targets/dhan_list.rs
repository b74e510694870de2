//! The list of instruments of Dhan.

#![no_main]

use adapter_dhan::list::Instruments;
use adapter_sdk::{instruments::List as _, ist::Day};
use fuzz::{begin_with, bounded, lead_back};
use libfuzzer_sys::fuzz_target;

const LIST: &str = "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,SEM_TRADING_SYMBOL,SEM_LOT_UNITS,SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME
NSE,I,13,INDEX,0,NIFTY,1.0,Nifty 50,,,XX,0.0,NA,INDEX,X,NIFTY
NSE,E,2885,EQUITY,0,RELIANCE,1.0,Reliance,,,,10.0000,NA,ES,EQ,RELIANCE
NSE,D,49081,OPTIDX,0,NIFTY-Dec2026-24500-CE,65,NIFTY 29 DEC 24500 CALL,2026-12-29 14:30:00,24500.00000,CE,5.0000,M,OP,,
";

fuzz_target!(init: begin_with("dhan_list", [LIST.as_bytes().to_vec()]), |input: &[u8]| bounded(input, || {
    if let Ok(list) = Instruments::parse_on(input, Day { year: 2026, month: 7, day: 28 }) {
        lead_back(list.names(), |exchange, symbol| list.key(exchange, symbol), |key| list.name(key));
    }
}));
