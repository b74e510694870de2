use adapter_sdk::{Price, symbol::Exchange};

use super::*;
use crate::wire::Key;

fn tick(json: &str) -> adapter_sdk::Tick {
    read(json, None).unwrap().tick
}

#[test]
fn an_odd_member_costs_itself_and_no_other() {
    let whole = r#"{"MessageCode":1502,"ExchangeSegment":1,"ExchangeInstrumentID":22,"Bids":[{"Size":5,"Price":100.5,"TotalOrders":2}],"Touchline":{"LastTradedPrice":101.5,"Open":99}}"#;
    let known = read(whole, None).unwrap();
    assert_eq!(known.about, About::Instrument(Key { exchange: Exchange::Nse, token: 22 }));
    assert_eq!(known.rows[0][0].price, Price::parse("100.5"));
    for (from, to) in [
        ("99", "null"),
        ("99", "[1,{}]"),
        ("99", r#"{"a":[]}"#),
        ("99", r#""x""#),
        ("99", "true"),
        ("99", "1e99"),
    ] {
        let odd = whole.replace(from, to);
        let odd = read(&odd, None).unwrap();
        assert_eq!(odd.tick, adapter_sdk::Tick::new(0).ltp(Price::parse("101.5").unwrap()), "{to}");
    }
    for to in ["null", "7", "-7", "1.5", r#""x""#, "false", "{}", "[7]", "[null]"] {
        let odd = whole.replace(r#"[{"Size":5,"Price":100.5,"TotalOrders":2}]"#, to);
        let odd = read(&odd, None).unwrap();
        assert_eq!((odd.tick, odd.rows[0][0].price), (known.tick, None), "{to}");
        let odd = whole.replace(r#"{"LastTradedPrice":101.5,"Open":99}"#, to);
        assert_eq!(read(&odd, None).unwrap().rows, known.rows, "{to}");
    }
    for none in [
        "",
        "7",
        "{",
        "[]",
        r#"{"MessageCode":1502}"#,
        r#"{"MessageCode":1505,"ExchangeSegment":1,"ExchangeInstrumentID":22}"#,
    ] {
        assert!(read(none, None).is_none(), "{none}");
    }
    // It is behind what a message is.
    assert!(read(&format!("{whole}x"), None).is_none());
}

#[test]
fn what_stands_within_counts_before_what_stands_at_the_top() {
    let json = r#"{"MessageCode":1501,"ExchangeSegment":1,"ExchangeInstrumentID":22,"LastTradedPrice":1,"Open":2,
        "Touchline":{"LastTradedPrice":3,"Open":null,"Touchline":{"Open":9}}}"#;
    let price = |text| Price::parse(text).unwrap();
    assert_eq!(tick(json), adapter_sdk::Tick::new(0).ltp(price("3")).open(price("2")));
}

#[test]
fn an_index_has_a_name_and_its_close_is_that_of_the_day_before_or_none() {
    let json = r#"{"MessageCode":1504,"ExchangeSegment":1,"ExchangeInstrumentID":0,"ExchangeTimeStamp":1205682355,"IndexName":"NIFTY 50",
        "IndexValue":10195.15,"OpeningIndex":10345.15,"ClosingIndex":10195.15,"HighIndexValue":10346.3,"LowIndexValue":10180.25,"PercentChange":1.59}"#;
    let news = read(json, None).unwrap();
    assert_eq!(news.about, About::Index(Exchange::Nse, "NIFTY 50"));
    let price = |text| Price::parse(text).unwrap();
    let wanted = adapter_sdk::Tick::new(0)
        .ltp(price("10195.15"))
        .open(price("10345.15"))
        .high(price("10346.3"))
        .low(price("10180.25"))
        .change_percent(price("1.59"))
        .exchange_ts_ns(crate::wire::time(Exchange::Nse, 1_205_682_355).unwrap());
    assert_eq!(news.tick, wanted);
    let right = json.replace(r#""ClosingIndex":10195.15"#, r#""ClosingIndex":10035.58"#);
    assert_eq!(tick(&right), wanted.close(price("10035.58")));
    assert!(read(&json.replace("NIFTY 50", r"NIFTY\u0020"), None).is_none());
}

#[test]
fn the_longest_message_is_read_without_an_allocation() {
    let row = r#"{"Size":77200,"Price":22605.05,"TotalOrders":12,"BuyBackMarketMaker":0}"#;
    let rows = [row; 5].join(",");
    let json = format!(
        r#"{{"MessageCode":1502,"ExchangeSegment":1,"ExchangeInstrumentID":22,"Bids":[{rows}],"Asks":[{rows}],
        "Touchline":{{"BidInfo":{row},"AskInfo":{row},"LastTradedPrice":1.5,"LastTradedQunatity":5,"PercentChange":-0.5}}}}"#
    );
    let used = allocation_counter::measure(|| {
        assert!(read(&json, None).unwrap().rows[1][4].price.is_some());
    });
    assert_eq!(used.count_total, 0);
}
