//! Lists of brokers with Symphony XTS.

#![no_main]

use adapter_sdk::instruments::List as _;
use adapter_xts::list::Instruments;
use fuzz::{begin_with, bounded, lead_back};
use libfuzzer_sys::fuzz_target;

const LISTS: [&str; 3] = [
    r#"{"type":"success","result":"NSECM|1594|8|INFY|INFY-EQ|EQ|INFY-EQ|1|1600|1400|1|0.05|1|1|INFY|INE|1|1|INFOSYS, \"LTD\"\nNSECM|8882|8|20MICRONS|X|BE|X|1"}"#,
    r#"{"type":"success","result":"NSEFO|35001|1|NIFTY|X|FUTIDX|X|1|1|1|1|0.05|75|1|26000|NIFTY 50|2030-12-24T14:30:00|X\nNSEFO|35002|2|NIFTY|X|OPTIDX|X|1|1|1|1|0.05|75|1|26000|NIFTY 50|2030-12-24T14:30:00|26000|3|X"}"#,
    r#"{"type":"success","result":{"exchangeSegment":1,"indexList":["NIFTY 50_26000","NIFTY BANK_26001"]}}"#,
];

fuzz_target!(init: begin_with("xts_list", LISTS.map(|list| list.as_bytes().to_vec())), |input: &[u8]| bounded(input, || {
    if let Ok(list) = Instruments::parse(input) {
        lead_back(list.names(), |exchange, symbol| list.key(exchange, symbol), |key| list.name(key));
    }
}));
