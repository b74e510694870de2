//! The maker's npm package for Symphony XTS logs in, subscribes and hands over what the socket sends as
//! JSON, whole and as what has changed. It needs Node.js, and its packages below `tests/clients/node`,
//! which `npm ci` there gets.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::process::Command;
use venues::{
    ABSENT, Broker as _, Instrument, Kind, Mode, Options, Values, decimal,
    xts::{Brand, FivePaisa, Venue, Wisdom, Xts},
};

use super::{chosen, options, ticks};

/// The program; none where Node.js or the packages are missing.
fn node(name: &str, folder: &Path) -> Option<Command> {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/node");
    let has_all = programs.join("node_modules/xts-marketdata-api").is_dir();
    let is_required = std::env::var_os("TICKHOST_REQUIRE_CLIENTS").is_some();
    assert!(has_all || !is_required, "TICKHOST_REQUIRE_CLIENTS is set, but {name} has no packages: npm ci");
    if !has_all {
        #[expect(clippy::print_stderr, reason = "a skipped test must not look like one that ran")]
        {
            eprintln!("SKIPPED: {name} needs Node.js and `npm ci` in tests/clients/node, see .ci/run");
        }
        return None;
    }
    let mut command = Command::new("node");
    // It writes a log of its own where it is started.
    command.arg(programs.canonicalize().unwrap().join(name)).current_dir(folder).env("TZ", "Asia/Kolkata");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Some(command)
}

fn name<B: Brand>(one: &Instrument) -> (u64, u64) {
    let key = Xts::<B>::key(one).unwrap();
    (key >> 32, key & u64::from(u32::MAX))
}

/// A number, which the package hands over as a text where it came in one.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// What stands in a tick, by the names of the package.
fn expected(one: &Instrument, sent: &Values) -> Vec<(&'static str, f64)> {
    let price = |price| decimal(price).parse::<f64>().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "quantities are below 2^53")]
    let count = |count: i64| count as f64;
    if one.kind == Kind::Index {
        return vec![
            ("/IndexValue", price(sent.ltp)),
            ("/OpeningIndex", price(sent.open)),
            ("/HighIndexValue", price(sent.high)),
            ("/LowIndexValue", price(sent.low)),
            ("/ClosingIndex", price(sent.close)),
        ];
    }
    vec![
        ("/Touchline/LastTradedPrice", price(sent.ltp)),
        ("/Touchline/LastTradedQunatity", count(sent.last_quantity)),
        ("/Touchline/TotalBuyQuantity", count(sent.total_buy_quantity)),
        ("/Touchline/TotalSellQuantity", count(sent.total_sell_quantity)),
        ("/Touchline/TotalTradedQuantity", count(sent.volume)),
        ("/Touchline/AverageTradedPrice", price(sent.average_price)),
        ("/Touchline/Open", price(sent.open)),
        ("/Touchline/High", price(sent.high)),
        ("/Touchline/Low", price(sent.low)),
        ("/Touchline/Close", price(sent.close)),
    ]
}

/// Compares a tick with what was sent, and counts the values.
fn compare(one: &Instrument, tick: &Value, sent: &Values, is_merged: bool) -> usize {
    let mut fields = 0;
    let mut same = |path: &str, wanted: f64| {
        let has = tick.pointer(path).and_then(number);
        assert_eq!(has, Some(wanted), "{path} of {}:{}", one.exchange, one.symbol);
        fields += 1;
    };
    // What has changed of an index the package merges into that of any other: the value itself is always new.
    let known =
        expected(one, sent).into_iter().take(if is_merged && one.kind == Kind::Index { 1 } else { 99 });
    for (path, wanted) in known {
        same(path, wanted);
    }
    if one.kind != Kind::Index {
        for (name, side) in [("Bids", &sent.bids), ("Asks", &sent.asks)] {
            for (place, level) in side.iter().enumerate() {
                same(&format!("/{name}/{place}/Price"), decimal(level.price).parse().unwrap());
                #[expect(clippy::cast_precision_loss, reason = "quantities are below 2^53")]
                same(&format!("/{name}/{place}/Size"), level.quantity as f64);
                same(&format!("/{name}/{place}/TotalOrders"), f64::from(level.orders));
            }
        }
        // A time is a date of the package's; it is the moment that was sent, to the second.
        let at = tick.pointer("/Touchline/LastUpdateTime").and_then(Value::as_str).unwrap();
        assert_eq!(at.get(..19), Some(utc(sent.exchange_ts_ns).as_str()), "{}", one.symbol);
    }
    fields
}

/// A time in the form of the package, to the second.
fn utc(nanos: i64) -> String {
    assert!(nanos != ABSENT);
    let seconds = nanos / 1_000_000_000;
    let (year, month, day) = adapter_time::ist::named(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

#[expect(clippy::print_stdout, reason = "it says what was compared")]
async fn hands_over<B: Brand>(broadcast: &str) {
    let folder = std::env::temp_dir().join(format!("xts-judge-{}-{}", B::RULES.name, std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let Some(command) = node("xts_socket.js", &folder) else { return };
    let account = [("user_id", "XTS001"), ("app_key", "the-app"), ("secret_key", "the-secret")];
    let venue =
        Venue::<B>::start(Options { instruments: 500, ..options() }.accepting(&account)).await.unwrap();
    let instruments = chosen(&venue);
    let of = |is_wanted: &dyn Fn(&Instrument) -> bool| -> Value {
        let wanted = instruments.iter().filter(|one| is_wanted(one)).map(|one| {
            let (segment, number) = name::<B>(one);
            json!({ "exchangeSegment": segment, "exchangeInstrumentID": number })
        });
        wanted.collect()
    };
    let (_, url) = Xts::<B>::addresses(venue.address()).remove(0);
    let input = json!({
        "url": url, "app_key": "the-app", "secret": "the-secret", "broadcast": broadcast, "count": 2,
        "depth": of(&|one| one.kind != Kind::Index), "indices": of(&|one| one.kind == Kind::Index),
        "interest": of(&|one| one.expiry.is_some()),
    });
    let trades = async {
        while venue.report().subscribed.len() < instruments.len() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if broadcast == "Partial" {
            // The package merges changes into a whole message of the socket.
            for one in instruments.iter().filter(|one| one.kind != Kind::Index) {
                let values = venue.sent(one.exchange, &one.symbol, Mode::Full).unwrap();
                venue.send(&[(one.exchange, one.symbol.as_str(), Mode::Full, values)]).unwrap();
            }
        }
        venue.trade();
        venue.trade();
        std::future::pending::<()>().await;
    };
    let ticks = tokio::select! {
        ticks = ticks(&venue, command, &input) => ticks,
        () = trades => unreachable!("it goes on for ever"),
    };
    let mut fields = 0;
    for one in &instruments {
        let (segment, number) = name::<B>(one);
        let is_index = one.kind == Kind::Index;
        let (code, known) = if is_index { (1_504, one.name.clone()) } else { (1_502, number.to_string()) };
        let tick = ticks.get(&format!("{code}|{segment}|{known}"));
        let tick = tick.unwrap_or_else(|| panic!("no tick of {}", one.symbol));
        let mode = if is_index { Mode::Quote } else { Mode::Full };
        let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
        fields += compare(one, tick, &sent, broadcast == "Partial");
        if one.expiry.is_some() {
            let interest = &ticks[&format!("1510|{segment}|{number}")]["OpenInterest"];
            #[expect(clippy::cast_precision_loss, reason = "quantities are below 2^53")]
            let wanted = sent.oi as f64;
            assert_eq!(self::number(interest), Some(wanted), "{}", one.symbol);
            fields += 1;
        }
    }
    assert_eq!(venue.report().log_ins, [true]);
    println!("xts-marketdata-api, {broadcast}: {} instruments, {fields} fields", instruments.len());
    _ = std::fs::remove_dir_all(&folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn xts_marketdata_api_hands_over_whole_messages() {
    hands_over::<FivePaisa>("Full").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn xts_marketdata_api_hands_over_what_has_changed() {
    hands_over::<Wisdom>("Partial").await;
}
