//! The list of instruments of Angel.

#![no_main]

use adapter_angel::list::Instruments;
use adapter_sdk::instruments::List as _;
use fuzz::{begin_with, bounded, lead_back};
use libfuzzer_sys::fuzz_target;

const LIST: &str = r#"[{"token":"3045","symbol":"SBIN-EQ","name":"SBIN","expiry":"","strike":"-1.000000","lotsize":"1","instrumenttype":"","exch_seg":"NSE","tick_size":"5.000000"},
{"token":"99926000","symbol":"Nifty 50","name":"NIFTY","expiry":"","strike":"0.000000","lotsize":"1","instrumenttype":"AMXIDX","exch_seg":"NSE","tick_size":"0.000000"},
{"token":"35086","symbol":"NIFTY29DEC2624500CE","name":"NIFTY","expiry":"29DEC2026","strike":"2450000.000000","lotsize":"65","instrumenttype":"OPTIDX","exch_seg":"NFO","tick_size":"5.000000"}]"#;

fuzz_target!(init: begin_with("angel_list", [LIST.as_bytes().to_vec()]), |input: &[u8]| bounded(input, || {
    if let Ok(list) = Instruments::parse(input) {
        lead_back(list.names(), |exchange, symbol| list.key(exchange, symbol), |key| list.name(key));
    }
}));
