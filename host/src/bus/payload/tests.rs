use proptest::prelude::*;
use tickhost_core::model::{MAX_DEPTH_LEVELS, ORDERS_ABSENT, PRICE_SCALE, greek};

use super::*;

/// Every tick of a body, as (kind, exchange, symbol, mode, quote, levels).
fn ticks(body: &str) -> Result<Vec<(Body, String, Record)>, serde_json::Error> {
    let mut out = Vec::new();
    let mut record = Record::default();
    read(body.as_bytes(), &mut record, &mut Vec::new(), &mut |kind, names, record| {
        let names = format!(
            "{}:{} {:?}",
            names.exchange.as_deref().unwrap_or("-"),
            names.symbol.as_deref().unwrap_or("-"),
            names.mode.map(|named| named.0)
        );
        let copy = Record {
            quote: record.quote,
            buy: record.buy.clone(),
            sell: record.sell.clone(),
            book: record.book,
            has_greeks: record.has_greeks,
            greeks: record.greeks,
            faults: record.faults,
        };
        out.push((kind, names, copy));
    })?;
    Ok(out)
}

fn tick(body: &str) -> Record {
    let mut ticks = ticks(body).unwrap();
    assert_eq!(ticks.len(), 1);
    ticks.remove(0).2
}

#[test]
fn every_alias_means_the_same() {
    for (names, expected) in [
        (&["last_quantity", "ltq", "last_trade_quantity", "last_traded_quantity"][..], field::LAST_QUANTITY),
        (&["average_price", "avg_trade_price", "atp"], field::AVERAGE_PRICE),
        (&["percent_change", "change_percent", "price_change_percent"], field::CHANGE_PERCENT),
        (&["change", "price_change"], field::CHANGE),
        (&["oi", "open_interest"], field::OI),
        (&["bid", "bid_price"], field::BID_PRICE),
        (&["ask", "ask_price"], field::ASK_PRICE),
        (&["bid_qty", "bid_quantity", "bid_size"], field::BID_SIZE),
        (&["ask_qty", "ask_quantity", "ask_size"], field::ASK_SIZE),
        (&["totalbuyqty", "total_buy_quantity"], field::TOTAL_BUY_QUANTITY),
        (&["totalsellqty", "total_sell_quantity"], field::TOTAL_SELL_QUANTITY),
    ] {
        for name in names {
            let record = tick(&format!(r#"{{"{name}": 7}}"#));
            assert_eq!(record.quote.fields, expected, "{name}");
        }
    }
}

#[test]
fn units_and_types_are_made_the_same() {
    let record = tick(
        r#"{"symbol":"NSE:SBIN-EQ","ltp":"625.5","volume":1500000.0,"open":620,"timestamp":1705294800,
            "ltt":1705294800123,"oi":null,"mode":"full","last_trade_time":"10:15:30","high":""}"#,
    );
    let quote = record.quote;
    assert_eq!((quote.ltp, quote.open, quote.volume), (625_500_000_000, 620_000_000_000, 1_500_000));
    assert_eq!(quote.exchange_ts_ns, 1_705_294_800_000_000_000);
    assert_eq!(quote.last_trade_ts_ns, 1_705_294_800_123_000_000);
    let expected = field::LTP | field::OPEN | field::VOLUME | field::EXCHANGE_TS | field::LAST_TRADE_TS;
    assert_eq!((quote.fields, record.faults), (expected, Faults::default()));
}

#[test]
fn a_price_of_zero_is_unknown_and_a_change_of_zero_is_none() {
    let quote = tick(r#"{"open":0,"high":0.0,"low":"0","close":0,"atp":0,"bid":0,"ask":0,"upper_circuit":0,"prev_close":0,"change":0,"change_percent":0.0,"oi":0}"#).quote;
    assert_eq!(quote.fields, field::CHANGE | field::CHANGE_PERCENT | field::OI);
    assert_eq!(tick(r#"{"ltp":0,"volume":0}"#).quote.fields, field::VOLUME);
    assert_eq!(tick(r#"{"ltp":0.0}"#).quote.fields, 0);
}

#[test]
fn a_value_that_cannot_be_read_does_not_cost_the_others() {
    let record = tick(r#"{"ltp":625.5,"volume":"many","oi":[1],"high":{"a":1},"low":true,"close":1e17}"#);
    assert_eq!((record.quote.fields, record.faults.unreadable), (field::LTP, 5));
}

#[test]
fn books_lose_their_padding_and_nothing_else() {
    let record = tick(
        r#"{"ltp":1,"depth":{"timestamp":5,"buy":[{"price":99.95,"quantity":10,"orders":3},{"price":99.9,"quantity":5.0},
            {"price":0,"quantity":0,"orders":0}],"sell":[{"price":100.05,"qty":1,"orders":0}]}}"#,
    );
    assert_eq!(record.book, Book::Known);
    let level = |price, quantity, orders| DepthLevel { price, quantity, orders, reserved: 0 };
    assert_eq!(record.buy, [level(99_950_000_000, 10, 3), level(99_900_000_000, 5, ORDERS_ABSENT)]);
    assert_eq!(record.sell, [level(100_050_000_000, 1, 0)]);
    let record = tick(r#"{"bids":[{"price":1,"quantity":2}],"asks":[]}"#);
    assert_eq!((record.buy.len(), record.sell.len(), record.book), (1, 0, Book::Known));
}

#[test]
fn a_book_with_an_unreadable_level_is_left_out() {
    for book in [
        r#"{"buy":[{"price":1,"quantity":2},{"price":"x","quantity":2}],"sell":[]}"#,
        r#"{"buy":[{"price":1}],"sell":[]}"#,
        r#"{"buy":[7],"sell":[]}"#,
        r#"{"buy":{},"sell":[]}"#,
        r"[]",
        r#""book""#,
    ] {
        let record = tick(&format!(r#"{{"ltp":5,"depth":{book}}}"#));
        assert_eq!((record.book, record.faults.books), (Book::LeftOut, 1), "{book}");
        assert!(record.buy.is_empty(), "{book}");
        assert_eq!(record.quote.fields, field::LTP);
    }
    let record = tick(r#"{"ltp":5,"depth":null}"#);
    assert_eq!((record.book, record.faults), (Book::Absent, Faults::default()));
}

#[test]
fn a_side_has_at_most_two_hundred_levels() {
    let levels = vec![r#"{"price":1,"quantity":1}"#; 300].join(",");
    assert_eq!(tick(&format!(r#"{{"bids":[{levels}]}}"#)).buy.len(), 200);
}

#[test]
fn batches_name_their_ticks() {
    let ticks = ticks(
        r#"[{"symbol":"SBIN","exchange":"NSE","ltp":1},{"ltp":2,"mode":2,"exchange":"BSE","symbol":"TC\u0053"},
            {"mode":"tick"},{}]"#,
    )
    .unwrap();
    let names: Vec<&str> = ticks.iter().map(|(_, names, _)| names.as_str()).collect();
    assert_eq!(names, ["NSE:SBIN None", "BSE:TCS Some(Some(Quote))", "-:- Some(None)", "-:- None"]);
    assert!(ticks.iter().all(|(kind, ..)| *kind == Body::Batch));
    // Nothing of one tick is left for the next.
    assert_eq!(ticks[1].2.quote.ltp, 2_000_000_000);
    assert!(ticks[3].2.is_empty());
}

/// Found by the fuzzer: such an element passed for a tick of an exchange without a name.
#[test]
fn an_empty_name_in_a_batch_is_none() {
    let ticks =
        ticks(r#"[{"exchange":"","symbol":"A","ltp":1},{"exchange":"NSE","symbol":"","ltp":1}]"#).unwrap();
    let names: Vec<&str> = ticks.iter().map(|(_, names, _)| names.as_str()).collect();
    assert_eq!(names, ["-:A None", "NSE:- None"]);
}

#[test]
fn what_is_no_tick_is_refused() {
    for body in ["", "{", "7", "null", "\"x\"", "{}x", "[7", "{\"a\":\"\u{1}\"}"] {
        assert!(ticks(body).is_err(), "{body}");
    }
    let deep = format!("{{\"ltp\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    // Passed over without recursion, however deep.
    assert_eq!((tick(&deep).quote.fields, tick(&deep).faults.unreadable), (0, 1));
}

#[test]
fn greeks_are_those_of_their_object_and_volatility_stands_beside_it() {
    let record = tick(
        r#"{"ltp":142.35,"greeks":{"delta":0.5234,"gamma":"0.0012","theta":-11.84,"vega":null,"iv":{"a":[1]},"rho":0},
        "implied_volatility":14.5}"#,
    );
    let greeks = record.greeks;
    let fields = greek::DELTA | greek::GAMMA | greek::THETA | greek::RHO | greek::IMPLIED_VOLATILITY;
    assert_eq!((record.has_greeks, greeks.fields), (true, fields));
    let values = [greeks.delta, greeks.gamma, greeks.theta, greeks.rho, greeks.implied_volatility];
    assert_eq!(values, [523_400_000, 1_200_000, -11_840_000_000, 0, 14_500_000_000]);
    assert_eq!(record.faults, Faults::default());
    // Each replaces all, so that an object without any says that there are none, and no member says nothing.
    assert!(tick(r#"{"ltp":1,"greeks":{}}"#).has_greeks && !tick(r#"{"greeks":{}}"#).is_empty());
    for nothing in [r#"{"ltp":1}"#, r#"{"ltp":1,"greeks":null}"#, r#"{"ltp":1,"implied_volatility":0}"#] {
        assert!(!tick(nothing).has_greeks, "{nothing}");
    }
}

#[test]
fn greeks_that_cannot_be_read_cost_themselves_and_are_counted() {
    let record = tick(
        r#"{"ltp":1,"greeks":{"delta":"NaN","gamma":[],"vega":1e300,"theta":-1},"implied_volatility":"x"}"#,
    );
    assert_eq!((record.greeks.fields, record.greeks.theta), (greek::THETA, -PRICE_SCALE));
    assert_eq!((record.faults.unreadable, record.faults.not_finite), (3, 1));
    let record = tick(r#"{"ltp":1,"greeks":[0.5]}"#);
    assert_eq!((record.has_greeks, record.faults.unreadable), (false, 1));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut record = Record::default();
        let _read = read(&body, &mut record, &mut Vec::new(), &mut |_, _, _| {});
    }

    #[test]
    fn no_json_makes_it_panic(
        name in "ltp|volume|timestamp|depth|bids|symbol|mode|oi",
        value in "-?[0-9]{1,25}(\\.[0-9]{1,5})?(e-?[0-9]{1,3})?|-?NaN|\"[a-z0-9:.]{0,9}\"|null|true|\\[\\{\"price\":-1,\"quantity\":1e3\\}\\]|\\{\"buy\":\\[\\]\\}",
    ) {
        let mut record = Record::default();
        let body = format!("{{\"{name}\":{value}}}");
        let _read = read(body.as_bytes(), &mut record, &mut Vec::new(), &mut |_, _, record| {
            assert!(record.buy.len() <= usize::from(MAX_DEPTH_LEVELS));
        });
    }
}
