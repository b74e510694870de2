//! The list of instruments of Fyers.

#![no_main]

use adapter_fyers::instruments::Instruments;
use adapter_sdk::instruments::List as _;
use fuzz::{begin_with, bounded, lead_back};
use libfuzzer_sys::fuzz_target;

const LIST: &str = "101000000026000,NIFTY 50,10,1,0.05,,0915-1530|1815-1915:,2026-10-03,,NSE:NIFTY50-INDEX,10,10,26000,NIFTY,26000,-1.0,XX,101000000026000,None,0,0.0
10100000003045,STATE BANK OF INDIA,0,1,0.05,,0915-1530|1815-1915:,2026-10-03,,NSE:SBIN-EQ,10,10,3045,SBIN,3045,-1.0,XX,None,None,0,0.0
101126092935086,NIFTY 29 Sep 26 29200 CE,14,65,0.05,,0915-1540|1815-1915:,2026-09-09,1790676600,NSE:NIFTY26SEP29200CE,10,11,35086,NIFTY,26000,29200.0,CE,101000000026000,None,0,0.0
";

fuzz_target!(init: begin_with("fyers_list", [LIST.as_bytes().to_vec()]), |input: &[u8]| bounded(input, || {
    if let Ok(list) = Instruments::parse_all([input]) {
        lead_back(list.names(), |exchange, symbol| list.key(exchange, symbol), |token| list.name(token));
    }
}));
