//! `kiteconnect` decodes what Kite sends.

use serde_json::{Value, json};
use venues::{Broker as _, Instrument, Kind, LEVELS, Level, Mode, Side, Values, zerodha};

use super::{chosen, float, options, program, ticks};

fn kite_expected(one: &Instrument, mode: Mode, sent: &Values) -> Vec<(&'static str, Value)> {
    let divisor = match one.exchange {
        "CDS" => 10_000_000,
        "BCD" | "NCO" => 10_000,
        _ => 100,
    };
    let price = |price| float(price, divisor);
    let is_index = one.kind == Kind::Index;
    let mut expected = vec![("last_price", price(sent.ltp)), ("tradable", json!(!is_index))];
    if mode == Mode::Ltp {
        return expected;
    }
    let day = [("open", sent.open), ("high", sent.high), ("low", sent.low), ("close", sent.close)];
    expected.push(("ohlc", day.into_iter().map(|(name, value)| (name.to_owned(), price(value))).collect()));
    if mode == Mode::Full {
        expected.push(("exchange_timestamp", json!(sent.exchange_ts_ns / 1_000_000_000)));
    }
    if is_index {
        return expected;
    }
    expected.extend([
        ("last_traded_quantity", json!(sent.last_quantity)),
        ("average_traded_price", price(sent.average_price)),
        ("volume_traded", json!(sent.volume)),
        ("total_buy_quantity", json!(sent.total_buy_quantity)),
        ("total_sell_quantity", json!(sent.total_sell_quantity)),
    ]);
    if mode == Mode::Full {
        let side = |levels: &Side| -> Value {
            let row = |level: &Level| json!({ "quantity": level.quantity, "price": price(level.price), "orders": level.orders });
            levels.padded::<LEVELS>().iter().map(row).collect()
        };
        expected.extend([
            ("last_trade_time", json!(sent.last_trade_ts_ns / 1_000_000_000)),
            ("oi", json!(sent.oi)),
            ("oi_day_high", json!(sent.oi_high)),
            ("oi_day_low", json!(sent.oi_low)),
            ("depth", json!({ "buy": side(&sent.bids), "sell": side(&sent.asks) })),
        ]);
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn kiteconnect_decodes_what_kite_sends() {
    for (mode, name) in [(Mode::Ltp, "ltp"), (Mode::Quote, "quote"), (Mode::Full, "full")] {
        let Some(command) = program("kite_ticker.py") else { return };
        let account = [("api_key", "key"), ("access_token", "token")];
        let venue = zerodha::Venue::start(options().accepting(&account)).await.unwrap();
        let instruments = chosen(&venue);
        let keys: Vec<u64> = instruments.iter().filter_map(zerodha::Kite::key).collect();
        let input = json!({ "url": format!("ws://{}", venue.address()), "mode": name, "tokens": keys });
        let ticks = ticks(&venue, command, &input).await;
        let mut fields = 0;
        for one in &instruments {
            let key = zerodha::Kite::key(one).unwrap();
            let tick = ticks.get(&key.to_string()).unwrap_or_else(|| panic!("no tick of {}", one.symbol));
            let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
            assert_eq!(tick["mode"], name);
            for (field, expected) in kite_expected(one, mode, &sent) {
                assert_eq!(tick[field], expected, "{field} of {}:{} in {name}", one.exchange, one.symbol);
                fields += 1;
            }
        }
        println!("kiteconnect, {name}: {} instruments, {fields} fields", instruments.len());
    }
}
