//! `dhanhq` decodes what Dhan sends: the state after a subscription, and what follows trades.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;
use venues::{Broker as _, Instrument, LEVELS, Level, Mode, PRICE_SCALE, Values, dhan};

use super::{LIMIT, chosen, client::Client, options};

const ACCOUNT: [(&str, &str); 2] = [("client_id", "1000000001"), ("access_token", "token")];

/// The package's last word on each instrument, by segment and number, and then by the type of what it
/// decoded.
type Decoded = BTreeMap<(String, String), Value>;

/// Reads until there is so much of different instruments and types.
async fn read(client: &mut Client, count: usize) -> Decoded {
    let mut decoded = Decoded::new();
    while decoded.len() < count {
        let tick = client.next().await["tick"].clone();
        let name = format!("{}:{}", tick["exchange_segment"], tick["security_id"]);
        let kind = tick["type"].as_str().unwrap_or_else(|| panic!("{tick}")).to_owned();
        assert!(decoded.insert((name, kind), tick).is_none(), "nothing comes twice");
    }
    decoded
}

/// Segment and number, as the package's ticks have them.
fn name(one: &Instrument) -> String {
    let (segment, number) = segment_and_number(one);
    format!("{segment}:{number}")
}

fn segment_and_number(one: &Instrument) -> (u64, String) {
    let key = dhan::Dhan::key(one).unwrap();
    (key >> 32, (key & 0xffff_ffff).to_string())
}

/// What the package makes of a price in single precision.
fn text(price: i64, one: &Instrument) -> Value {
    let divisor = if matches!(one.exchange, "CDS" | "BCD") { 10_000 } else { 100 };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "the broker does the same"
    )]
    let single = ((price / (PRICE_SCALE / divisor)) as f64 / divisor as f64) as f32;
    json!(format!("{single:.2}"))
}

/// The wall clock of India, which the package shows as if it were UTC.
fn clock(nanos: i64) -> Value {
    let seconds = (nanos / 1_000_000_000 + 19_800) % 86_400;
    json!(format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60))
}

fn main_packet(one: &Instrument, mode: Mode, sent: &Values) -> (&'static str, Vec<(&'static str, Value)>) {
    let price = |price| text(price, one);
    let traded = if sent.last_trade_ts_ns == 0 { sent.exchange_ts_ns } else { sent.last_trade_ts_ns };
    let mut expected = vec![("LTP", price(sent.ltp)), ("LTT", clock(traded))];
    if mode == Mode::Ltp {
        return ("Ticker Data", expected);
    }
    expected.extend([
        ("LTQ", json!(sent.last_quantity)),
        ("avg_price", price(sent.average_price)),
        ("volume", json!(sent.volume)),
        ("total_sell_quantity", json!(sent.total_sell_quantity)),
        ("total_buy_quantity", json!(sent.total_buy_quantity)),
        ("open", price(sent.open)),
        ("close", json!("0.00")),
        ("high", price(sent.high)),
        ("low", price(sent.low)),
    ]);
    if mode == Mode::Quote {
        return ("Quote Data", expected);
    }
    let has_range = one.exchange == "NFO";
    let row = |(bid, ask): (Level, Level)| {
        json!({
            "bid_quantity": bid.quantity, "ask_quantity": ask.quantity, "bid_orders": bid.orders,
            "ask_orders": ask.orders, "bid_price": price(bid.price), "ask_price": price(ask.price),
        })
    };
    let rows = sent.bids.padded::<LEVELS>().into_iter().zip(sent.asks.padded::<LEVELS>());
    expected.extend([
        ("OI", json!(sent.oi)),
        ("oi_day_high", json!(if has_range { sent.oi_high } else { 0 })),
        ("oi_day_low", json!(if has_range { sent.oi_low } else { 0 })),
        ("depth", rows.map(row).collect()),
    ]);
    ("Full Data", expected)
}

/// Everything that the package is to decode of an instrument.
fn expected(
    one: &Instrument,
    mode: Mode,
    sent: &Values,
    is_state: bool,
) -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let mut all = vec![main_packet(one, mode, sent)];
    if mode == Mode::Quote && sent.oi != 0 {
        all.push(("OI Data", vec![("OI", json!(sent.oi))]));
    }
    if is_state {
        let close = vec![("prev_close", text(sent.close, one)), ("prev_OI", json!(sent.oi_low))];
        all.push(("Previous Close", close));
    }
    all
}

/// The venue's values of all instruments in a mode.
fn all_sent(venue: &dhan::Venue, instruments: &[Instrument], mode: Mode) -> Vec<(Instrument, Values)> {
    let sent = |one: &Instrument| Some((one.clone(), venue.sent(one.exchange, &one.symbol, mode)?));
    instruments.iter().filter_map(sent).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dhanhq_decodes_what_the_live_feed_sends() {
    for (mode, code) in [(Mode::Ltp, 15), (Mode::Quote, 17), (Mode::Full, 21)] {
        let venue = dhan::Venue::start(options().accepting(&ACCOUNT)).await.unwrap();
        let instruments = chosen(&venue);
        let pairs: Vec<(u64, String)> = instruments.iter().map(segment_and_number).collect();
        let asked = json!({
            "url": format!("ws://{}", venue.address()), "feed": "live", "code": code, "instruments": pairs,
        });
        let Some(mut client) = Client::start("dhan_feed.py", &asked).await else { return };
        let mut fields = 0;
        for round in 0..4 {
            let is_state = round == 0;
            if !is_state {
                venue.trade();
            }
            // How much is to come follows from what each instrument has; a derivative has open interest from
            // the start.
            let derivatives = instruments.iter().filter(|one| one.expiry.is_some()).count();
            let count = instruments.len() * (1 + usize::from(is_state))
                + if mode == Mode::Quote { derivatives } else { 0 };
            let decoded = read(&mut client, count).await;
            let sent = all_sent(&venue, &instruments, mode);
            assert_eq!(sent.len(), instruments.len());
            for (one, values) in &sent {
                for (kind, expected) in expected(one, mode, values, is_state) {
                    let tick = &decoded[&(name(one), kind.to_owned())];
                    for (field, value) in expected {
                        assert_eq!(tick[field], value, "{field} of {}:{}, {kind}", one.exchange, one.symbol);
                        fields += 1;
                    }
                }
            }
        }
        client.tell(&json!(pairs[1..]).to_string()).await;
        until(|| venue.report().subscribed.len() == 1).await;
        venue.trade();
        assert_eq!(client.next().await["tick"]["security_id"].to_string(), pairs[0].1);
        // What is no tick, and a reason to part.
        venue.own(&json!({ "unknown": { "code": 1, "bytes": 40 } })).unwrap();
        venue.own(&json!({ "market_status": "NSE_EQ" })).unwrap();
        venue.own(&json!({ "notice": 805 })).unwrap();
        for (source, tick) in [("live", json!(null)), ("live", json!("Markets Open")), ("close", json!(null))]
        {
            assert_eq!(client.next().await, json!({ "source": source, "tick": tick }));
        }
        assert_eq!(client.next().await, json!({ "source": "live", "tick": null }));
        client.end().await;
        println!("dhanhq, {}: {} instruments, {fields} fields", mode.name(), instruments.len());
    }
}

/// Waits for something that is about to become so.
async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(LIMIT, wait).await.expect("it in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn dhanhq_decodes_what_the_feeds_of_books_send() {
    for (levels, count, path) in [(20, 50_usize, "twentydepth"), (200, 1, "twohundreddepth")] {
        let venue = dhan::Venue::start(options().accepting(&ACCOUNT)).await.unwrap();
        let instruments: Vec<Instrument> =
            venue.some("NFO", count.div_ceil(2)).into_iter().chain(venue.some("NSE", count / 2)).collect();
        assert_eq!(instruments.len(), count);
        let pairs: Vec<(u64, String)> = instruments.iter().map(segment_and_number).collect();
        let asked = json!({
            "url": format!("ws://{}/{path}", venue.address()), "feed": levels.to_string(), "instruments": pairs,
        });
        let Some(mut client) = Client::start("dhan_feed.py", &asked).await else { return };
        let mode = Mode::Deep(levels);
        let mut rows = 0;
        for round in 0..4 {
            if round > 0 {
                venue.trade();
            }
            let decoded = read(&mut client, count * 2).await;
            for (one, values) in all_sent(&venue, &instruments, mode) {
                assert_eq!((values.bids.len(), values.asks.len()), (levels.into(), levels.into()));
                for (kind, side) in [("Bid", &values.bids), ("Ask", &values.asks)] {
                    #[expect(clippy::cast_precision_loss, reason = "the broker does the same")]
                    let row = |level: &Level| {
                        let price = (level.price / 10_000_000) as f64 / 100.0;
                        json!({ "price": price, "quantity": level.quantity, "orders": level.orders })
                    };
                    let expected: Value = side.iter().map(row).collect();
                    let tick = &decoded[&(name(&one), kind.to_owned())];
                    assert_eq!(tick["depth"], expected, "{kind} of {}", one.symbol);
                    rows += side.len();
                }
            }
        }
        client.end().await;
        println!("dhanhq, {levels} levels: {count} instruments, {rows} rows");
    }
}
