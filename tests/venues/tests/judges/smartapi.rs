//! `smartapi-python` decodes what Angel One sends.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, time::timeout};
use venues::{Broker as _, Instrument, Kind, LEVELS, Level, Mode, PRICE_SCALE, Values, angel};

use super::{LIMIT, chosen, options, program, ticks};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[tokio::test(flavor = "multi_thread")]
async fn smartapi_logs_in_and_asks_for_the_profile() {
    let Some(mut command) = program("smart_login.py") else { return };
    let account = [("client_code", "A1"), ("api_key", "key"), ("pin", "1234"), ("totp_secret", SECRET)];
    let venue = angel::Venue::start(options().accepting(&account)).await.unwrap();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let asked = json!({
        "url": format!("http://{}", venue.address()), "pin": "1234", "totp": angel::totp(SECRET, seconds),
    });
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{asked}\n").as_bytes()).await.unwrap();
    let output = timeout(LIMIT, child.wait_with_output()).await.expect("an end in time").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let got: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    // The package adds its tokens to the profile.
    for token in ["jwtToken", "refreshToken", "feedToken"] {
        assert!(got["log_in"]["data"][token].as_str().unwrap().contains("eyJ"), "{}", got["log_in"]);
    }
    for answer in ["log_in", "profile"] {
        assert_eq!(got[answer]["data"]["clientcode"], "A1", "{}", got[answer]);
    }
    assert_eq!((&got["renewal"]["status"], &got["wrong_pin"]["errorcode"]), (&json!(true), &json!("AB1007")));
}

fn angel_expected(one: &Instrument, mode: Mode, sent: &Values) -> Vec<(&'static str, Value)> {
    let divisor = if one.exchange == "CDS" { 10_000_000 } else { 100 };
    let price = |price: i64| json!(price / (PRICE_SCALE / divisor));
    let milliseconds = sent.exchange_ts_ns / 1_000_000;
    // The venue counts by its clock; indices have no sequence.
    let sequence = if one.kind == Kind::Index { 0 } else { milliseconds };
    let mut expected = vec![
        ("last_traded_price", price(sent.ltp)),
        ("exchange_timestamp", json!(milliseconds)),
        ("sequence_number", json!(sequence)),
    ];
    if mode == Mode::Ltp {
        return expected;
    }
    #[expect(clippy::cast_precision_loss, reason = "the broker writes these as floating point")]
    expected.extend([
        ("last_traded_quantity", json!(sent.last_quantity)),
        ("average_traded_price", price(sent.average_price)),
        ("volume_trade_for_the_day", json!(sent.volume)),
        ("total_buy_quantity", json!(sent.total_buy_quantity as f64)),
        ("total_sell_quantity", json!(sent.total_sell_quantity as f64)),
        ("open_price_of_the_day", price(sent.open)),
        ("high_price_of_the_day", price(sent.high)),
        ("low_price_of_the_day", price(sent.low)),
        ("closed_price", price(sent.close)),
    ]);
    if mode == Mode::Full {
        let side = |flag: u8, levels: &[Level]| -> Value {
            let row = |level: &Level| json!({ "flag": flag, "quantity": level.quantity, "price": price(level.price), "no of orders": level.orders });
            levels.iter().map(row).collect()
        };
        expected.extend([
            ("last_traded_timestamp", json!(sent.last_trade_ts_ns / 1_000_000_000)),
            ("open_interest", json!(sent.oi)),
            ("upper_circuit_limit", price(sent.upper_circuit)),
            ("lower_circuit_limit", price(sent.lower_circuit)),
            ("52_week_high_price", price(sent.high)),
            ("52_week_low_price", price(sent.low)),
        ]);
        // Those of an index all say that they are asks, which is what the broker sends.
        let (buy, sell) = if one.kind == Kind::Index {
            (json!([]), side(0, &[Level::default(); LEVELS * 2]))
        } else {
            (side(1, &sent.bids.padded::<LEVELS>()), side(0, &sent.asks.padded::<LEVELS>()))
        };
        expected.extend([("best_5_buy_data", buy), ("best_5_sell_data", sell)]);
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn smartapi_decodes_what_angel_sends() {
    for (mode, number) in [(Mode::Ltp, 1), (Mode::Quote, 2), (Mode::Full, 3)] {
        let Some(command) = program("smart_web_socket.py") else { return };
        let account =
            [("client_code", "A1"), ("api_key", "key"), ("auth_token", "jwt"), ("feed_token", "feed")];
        let venue = angel::Venue::start(options().accepting(&account)).await.unwrap();
        let instruments = chosen(&venue);
        // Exchange type in the upper half, number in the lower.
        let name = |one: &Instrument| {
            let key = angel::Smart::key(one).unwrap();
            (key >> 32, (key & 0xffff_ffff).to_string())
        };
        let mut lists: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for one in &instruments {
            let (segment, token) = name(one);
            lists.entry(segment).or_default().push(token);
        }
        let lists: Vec<Value> = lists
            .into_iter()
            .map(|(segment, tokens)| json!({ "exchangeType": segment, "tokens": tokens }))
            .collect();
        let input = json!({
            "url": format!("ws://{}/smart-stream", venue.address()), "mode": number, "lists": lists,
            "count": instruments.len(),
        });
        let ticks = ticks(&venue, command, &input).await;
        let mut fields = 0;
        for one in &instruments {
            let (segment, token) = name(one);
            let key = format!("{segment}:{token}");
            let tick = ticks.get(&key).unwrap_or_else(|| panic!("no tick of {}", one.symbol));
            let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
            for (field, expected) in angel_expected(one, mode, &sent) {
                assert_eq!(
                    tick[field], expected,
                    "{field} of {}:{} in mode {number}",
                    one.exchange, one.symbol
                );
                fields += 1;
            }
        }
        println!("smartapi-python, mode {number}: {} instruments, {fields} fields", instruments.len());
    }
}
