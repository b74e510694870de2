//! Lists of the Noren family, in all their layouts.

#![no_main]

use adapter_noren::list::Instruments;
use adapter_sdk::instruments::List as _;
use fuzz::{begin_with, bounded, lead_back};
use libfuzzer_sys::fuzz_target;

const LISTS: [&str; 4] = [
    "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n\
     NFO,35002,75,NIFTY,NIFTY24DEC30C26000,24-DEC-2030,OPTIDX,CE,26000,0.05,\n\
     BFO,35003,20,BSXFUT,SENSEX24DEC30F,24-DEC-2030,FUTIDX,XX,0,0.05,\n",
    "Exchange,Token,Lotsize,Symbol,Tradingsymbol,Instrument,Expiry,Strike,Optiontype\n\
     NSE,26000,1,Nifty 50,NIFTY INDEX,INDEX,,,\nBSE,501594,1,INFY,INFY,A,,,\n",
    "NSE,1594,INFY,INFY-EQ,EQ,,5,1,,0,2,1,INE009A01021,1,INFOSYS\n\
     CDS,1001,USDINR,USDINR24DEC30C85.25,OPTCUR,24122030,25,1,CE,852500,4,1,,1,\n",
    "exch,symbol,token\nNSE,NIFTY 50,99926000\nBSE,BSE CD,9994.0\n",
];

fuzz_target!(init: begin_with("noren_list", LISTS.map(|list| list.as_bytes().to_vec())), |input: &[u8]| bounded(input, || {
    if let Ok(list) = Instruments::parse(input) {
        lead_back(list.names(), |exchange, symbol| list.key(exchange, symbol), |key| list.name(key));
    }
}));
