//! The broker's package logs in, asks for the address of the socket, and reads what that sends.

use serde_json::{Value, json};
use venues::{
    Broker as _, Instrument, Kind, Mode, Options, Values, decimal,
    upstox::{
        Upstox, Venue,
        message::{DEEP, GREEKS, greeks},
        name,
    },
};

use super::{chosen, options, program, ticks};

fn price(price: i64) -> f64 {
    decimal(price).parse().unwrap()
}

/// A number that the package hands over: those of 64 bits as texts, and zero not at all.
fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::String(text) => text.parse().unwrap(),
        value => value.as_f64().unwrap(),
    }
}

/// Where the package has each value, and what it must be.
fn expected(one: &Instrument, mode: Mode, sent: &Values) -> Vec<(String, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "quantities are below 2^53")]
    let count = |count: i64| count as f64;
    let branch = match mode {
        Mode::Ltp => "",
        GREEKS => "/firstLevelWithGreeks",
        _ if one.kind == Kind::Index => "/fullFeed/indexFF",
        _ => "/fullFeed/marketFF",
    };
    let mut expected = vec![
        (format!("{branch}/ltpc/ltp"), price(sent.ltp)),
        (format!("{branch}/ltpc/cp"), price(sent.close)),
        (format!("{branch}/ltpc/ltq"), count(sent.last_quantity)),
        (format!("{branch}/ltpc/ltt"), count(sent.last_trade_ts_ns / 1_000_000)),
        ("/currentTs".to_owned(), count(sent.exchange_ts_ns / 1_000_000)),
    ];
    if mode == Mode::Ltp {
        return expected;
    }
    if mode != GREEKS {
        let day = format!("{branch}/marketOHLC/ohlc/0");
        expected.push((format!("{day}/open"), price(sent.open)));
        expected.push((format!("{day}/high"), price(sent.high)));
        expected.push((format!("{day}/low"), price(sent.low)));
    }
    if one.kind == Kind::Index {
        return expected;
    }
    expected.push((format!("{branch}/vtt"), count(sent.volume)));
    expected.push((format!("{branch}/oi"), count(sent.oi)));
    if let Some((of_option, iv)) = greeks(one, sent.ltp) {
        expected.push((format!("{branch}/iv"), iv));
        for (greek, value) in [
            ("delta", of_option.delta),
            ("theta", of_option.theta),
            ("gamma", of_option.gamma),
            ("vega", of_option.vega),
            ("rho", of_option.rho),
        ] {
            expected.push((format!("{branch}/optionGreeks/{greek}"), value));
        }
    }
    if mode != GREEKS {
        expected.push((format!("{branch}/atp"), price(sent.average_price)));
        expected.push((format!("{branch}/tbq"), count(sent.total_buy_quantity)));
        expected.push((format!("{branch}/tsq"), count(sent.total_sell_quantity)));
    }
    for (side, rows) in [("bid", &sent.bids), ("ask", &sent.asks)] {
        for (place, row) in rows.iter().enumerate() {
            let level = match mode {
                GREEKS => format!("{branch}/firstDepth"),
                _ => format!("{branch}/marketLevel/bidAskQuote/{place}"),
            };
            expected.push((format!("{level}/{side}P"), price(row.price)));
            expected.push((format!("{level}/{side}Q"), count(row.quantity)));
        }
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn upstox_python_sdk_logs_in_and_hands_over_what_every_mode_sends() {
    let account = [
        ("user_id", "AB1234"),
        ("api_key", "the-app"),
        ("api_secret", "the-secret"),
        ("redirect_uri", "http://127.0.0.1/"),
    ];
    for (word, mode, request_mode) in [
        ("ltpc", Mode::Ltp, Value::Null),
        ("full", Mode::Full, json!("full_d5")),
        ("option_greeks", GREEKS, json!("option_greeks")),
        ("full_d30", Mode::Deep(DEEP), json!("full_d30")),
    ] {
        let Some(command) = program("upstox_feed.py") else { return };
        let venue =
            Venue::start(Options { instruments: 500, ..options() }.accepting(&account)).await.unwrap();
        let mut instruments = chosen(&venue);
        match mode {
            // The broker serves no more.
            Mode::Deep(DEEP) => instruments = instruments.into_iter().step_by(6).take(50).collect(),
            // That is nothing for an index.
            GREEKS => instruments.retain(|one| one.kind != Kind::Index),
            _ => {}
        }
        let page =
            "http://127.0.0.1/?response_type=code&client_id=the-app&redirect_uri=http%3A%2F%2F127.0.0.1%2F";
        let code = venue.answer("code", Some(page)).unwrap();
        let input = json!({
            "api_url": format!("http://{}", venue.address()), "mode": word,
            "code": code.split(['=', '&']).nth(1).unwrap(), "client": "the-app", "secret": "the-secret",
            "redirect": "http://127.0.0.1/", "keys": instruments.iter().filter_map(name).collect::<Vec<_>>(),
        });
        let ticks = ticks(&venue, command, &input).await;
        let mut fields = 0;
        for one in &instruments {
            let tick = &ticks[&name(one).unwrap()];
            assert_eq!(tick.get("requestMode").cloned().unwrap_or_default(), request_mode);
            let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
            for (path, expected) in expected(one, mode, &sent) {
                let has = Some(number(tick.pointer(&path).unwrap_or(&Value::Null)));
                assert_eq!(has, Some(expected), "{path} of {}:{} in {word}", one.exchange, one.symbol);
                fields += 1;
            }
        }
        assert_eq!(ticks["status"]["NSE_EQ"], "NORMAL_OPEN");
        assert_eq!(venue.report().log_ins, [true]);
        println!("{}, {word}: {} instruments, {fields} fields", Upstox::NAME, instruments.len());
    }
}
