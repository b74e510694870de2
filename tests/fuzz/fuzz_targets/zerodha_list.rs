//! The list of instruments of Zerodha.

#![no_main]

use adapter_sdk::instruments::List as _;
use adapter_zerodha::instruments::Instruments;
use fuzz::{begin_with, bounded, lead_back};
use libfuzzer_sys::fuzz_target;

const LIST: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,segment,exchange
408065,1594,INFY,INFOSYS,0,,0,0.05,1,EQ,NSE,NSE
256265,1001,NIFTY 50,NIFTY 50,0,,0,0,0,EQ,INDICES,NSE
12517890,48898,NIFTY26DEC24500CE,\"NIFTY\",0,2026-12-29,24500,0.05,65,CE,NFO-OPT,NFO
12517891,48899,NIFTY26DECFUT,\"NIFTY\",0,2026-12-29,0,0.05,65,FUT,NFO-FUT,NFO
";

fuzz_target!(init: begin_with("zerodha_list", [LIST.as_bytes().to_vec()]), |input: &[u8]| bounded(input, || {
    if let Ok(list) = Instruments::parse(input) {
        lead_back(list.names(), |exchange, symbol| list.key(exchange, symbol), |token| list.name(token));
    }
}));
