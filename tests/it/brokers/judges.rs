//! The brokers' own clients, unmodified, judge whether the simulated brokers speak as the real ones do.

use std::collections::BTreeMap;

use integration_tests::python;
use serde_json::Value;
use venues::{Mode, Options, Values, zerodha};

fn price(price: i64) -> f64 {
    venues::decimal(price).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kite_ticker_decodes_what_the_venue_sent() {
    let options = Options { rate_hz: 0.0, instruments: 5_000, ..Options::default() };
    let accepted = [("api_key", "kitekey"), ("access_token", "kitetoken")];
    let venue = zerodha::Venue::start(options.accepting(&accepted)).await.unwrap();
    let exchanges = ["NSE", "NSE_INDEX", "BSE_INDEX", "NFO", "BSE", "BFO", "CDS", "BCD", "MCX", "NCO"];
    let instruments: Vec<_> = exchanges.iter().flat_map(|exchange| venue.some(exchange, 30)).collect();
    assert!(instruments.len() >= 200, "{}", instruments.len());
    let token = |exchange: &str, symbol: &str| venue.key(exchange, symbol).unwrap().to_string();
    for (mode, word) in [(Mode::Ltp, "ltp"), (Mode::Quote, "quote"), (Mode::Full, "full")] {
        let Some(mut judge) = python::program("kite_ticker.py") else { return };
        judge.env("KITE_API_KEY", "kitekey").env("KITE_ACCESS_TOKEN", "kitetoken");
        judge.args(["--url", &format!("ws://{}", venue.address()), "--mode", word]);
        judge.args(instruments.iter().map(|one| token(one.exchange, &one.symbol)));
        let output = judge.output().await.unwrap();
        assert!(output.status.success(), "{word}: {}", String::from_utf8_lossy(&output.stderr));
        let ticks: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
        for one in &instruments {
            let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
            let tick = &ticks[&token(one.exchange, &one.symbol)];
            compare_kite(tick, &sent, mode, one.exchange.ends_with("_INDEX"));
        }
    }
}

fn compare_kite(tick: &Value, sent: &Values, mode: Mode, is_index: bool) {
    assert_eq!(tick["last_price"].as_f64(), Some(price(sent.ltp)), "{tick}");
    if mode == Mode::Ltp {
        return;
    }
    for (name, value) in [("open", sent.open), ("high", sent.high), ("low", sent.low), ("close", sent.close)]
    {
        assert_eq!(tick["ohlc"][name].as_f64(), Some(price(value)), "{name} of {tick}");
    }
    if is_index {
        return;
    }
    for (name, value) in [
        ("last_traded_quantity", sent.last_quantity),
        ("volume_traded", sent.volume),
        ("total_buy_quantity", sent.total_buy_quantity),
        ("total_sell_quantity", sent.total_sell_quantity),
    ] {
        assert_eq!(tick[name].as_i64(), Some(value), "{name} of {tick}");
    }
    assert_eq!(tick["average_traded_price"].as_f64(), Some(price(sent.average_price)), "{tick}");
    if mode == Mode::Quote {
        return;
    }
    assert_eq!(tick["oi"].as_i64(), Some(sent.oi), "{tick}");
    assert_eq!(tick["exchange_timestamp"].as_i64(), Some(sent.exchange_ts_ns / 1_000_000_000), "{tick}");
    for (side, levels) in [("buy", &sent.bids), ("sell", &sent.asks)] {
        for (row, level) in levels.iter().enumerate() {
            let has = &tick["depth"][side][row];
            assert_eq!(has["price"].as_f64(), Some(price(level.price)), "{side} {row} of {tick}");
            assert_eq!(has["quantity"].as_i64(), Some(level.quantity), "{side} {row} of {tick}");
            assert_eq!(has["orders"].as_u64(), Some(level.orders.into()), "{side} {row} of {tick}");
        }
    }
}
