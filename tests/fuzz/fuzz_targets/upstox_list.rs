//! The list of Upstox, and orders, which name instruments by its keys.

#![no_main]

use adapter_sdk::{instruments::List as _, read::Odd};
use adapter_upstox::{
    list::Instruments,
    order::{self, Said},
};
use fuzz::{begin_with, bounded, lead_back};
use libfuzzer_sys::fuzz_target;

const LIST: &str = r#"[{"segment":"NSE_EQ","isin":"INE002A01018","instrument_type":"EQ","instrument_key":"NSE_EQ|INE002A01018","trading_symbol":"RELIANCE"},
{"segment":"NSE_INDEX","name":"Nifty 50","instrument_type":"INDEX","instrument_key":"NSE_INDEX|Nifty 50","trading_symbol":"NIFTY"},
{"segment":"NSE_FO","name":"NIFTY","expiry":1924367399000,"instrument_type":"CE","underlying_symbol":"NIFTY","instrument_key":"NSE_FO|43885","strike_price":24500.0},
{"segment":"NCD_FO","expiry":1924367399000,"instrument_type":"FUT","asset_symbol":"USDINR","instrument_key":"NCD_FO|14366","strike_price":0.0}]"#;

const ORDER: &str = r#"{"update_type":"order","order_id":"1","instrument_token":"NSE_EQ|INE002A01018","quantity":75,"product":"D","status":"open"}"#;

fuzz_target!(init: begin_with("upstox_list", [LIST, ORDER].map(|text| text.as_bytes().to_vec())), |input: &[u8]| bounded(input, || {
    if let Ok(list) = Instruments::parse(input) {
        lead_back(list.names(), |exchange, symbol| list.key(exchange, symbol), |key| list.name(key));
    }
    let Ok(list) = Instruments::parse(LIST.as_bytes()) else { return };
    if let Ok(text) = std::str::from_utf8(input)
        && let Said::Order(update) = order::read(text, &Odd::new(), &list)
    {
        let quantities = [update.quantity, update.filled_quantity, update.pending_quantity];
        assert!(quantities.into_iter().flatten().all(|quantity| quantity >= 0));
        assert!([update.price, update.trigger_price, update.average_price].into_iter().flatten().all(f64::is_finite));
        assert!(!update.orderid.is_empty());
    }
}));
