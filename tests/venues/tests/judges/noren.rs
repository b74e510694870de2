//! `NorenRestApiPy` hands over what the Noren family sends: the package of its maker, which several of the brokers give out.

use serde_json::{Value, json};
use venues::{
    Broker as _, Instrument, Kind, Mode, Values, decimal,
    noren::{Noren, Shoonya},
};

use super::{chosen, options, program, ticks};

type Venue = venues::noren::Venue<Shoonya>;

/// What stands in a message, by the names of the documents; prices as numbers.
fn expected(one: &Instrument, mode: Mode, sent: &Values) -> Vec<(String, f64)> {
    let price = |price| decimal(price).parse::<f64>().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "quantities are below 2^53")]
    let count = |count: i64| count as f64;
    let mut expected = vec![
        ("lp", price(sent.ltp)),
        ("o", price(sent.open)),
        ("h", price(sent.high)),
        ("l", price(sent.low)),
        ("c", price(sent.close)),
        ("ft", count(sent.exchange_ts_ns / 1_000_000_000)),
    ];
    if one.kind != Kind::Index {
        expected.extend([
            ("ap", price(sent.average_price)),
            ("v", count(sent.volume)),
            ("ltq", count(sent.last_quantity)),
            ("tbq", count(sent.total_buy_quantity)),
            ("tsq", count(sent.total_sell_quantity)),
            ("uc", price(sent.upper_circuit)),
            ("lc", price(sent.lower_circuit)),
        ]);
    }
    if one.expiry.is_some() {
        expected.push(("oi", count(sent.oi)));
    }
    let mut expected: Vec<(String, f64)> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if one.kind != Kind::Index {
        let levels = if mode == Mode::Full { venues::LEVELS } else { 1 };
        for (side, rows) in [('b', &sent.bids), ('s', &sent.asks)] {
            for (place, row) in rows.iter().take(levels).enumerate() {
                expected.push((format!("{side}p{}", place + 1), price(row.price)));
                expected.push((format!("{side}q{}", place + 1), count(row.quantity)));
                if mode == Mode::Full {
                    expected.push((format!("{side}o{}", place + 1), f64::from(row.orders)));
                }
            }
        }
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn noren_rest_api_py_hands_over_what_the_family_sends() {
    for (mode, name, kind) in [(Mode::Quote, "touchline", "tk"), (Mode::Full, "depth", "dk")] {
        let Some(command) = program("noren_api.py") else { return };
        let account = [("user_id", "FA0001"), ("access_token", "token")];
        let venue = Venue::start(options().accepting(&account)).await.unwrap();
        let instruments = chosen(&venue);
        let key = |one: &Instrument| {
            let key = Noren::<Shoonya>::key(one).unwrap();
            let exchange = one.exchange.trim_end_matches("_INDEX");
            format!("{exchange}|{}", key & u64::from(u32::MAX))
        };
        let keys: Vec<String> = instruments.iter().map(key).collect();
        let [(_, url), ..] = &Noren::<Shoonya>::addresses(venue.address())[..] else { panic!("no address") };
        let input = json!({ "url": url, "mode": name, "keys": keys });
        let ticks = ticks(&venue, command, &input).await;
        let mut fields = 0;
        for one in &instruments {
            let tick = ticks.get(&key(one)).unwrap_or_else(|| panic!("no tick of {}", one.symbol));
            assert_eq!(tick["t"], kind);
            let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
            for (field, expected) in expected(one, mode, &sent) {
                let has = tick[&field].as_str().and_then(|text| text.parse::<f64>().ok());
                assert_eq!(has, Some(expected), "{field} of {}:{} in {name}", one.exchange, one.symbol);
                fields += 1;
            }
        }
        let log_ins: Value = json!(venue.report().log_ins);
        assert_eq!(log_ins, json!([true]));
        println!("NorenRestApiPy, {name}: {} instruments, {fields} fields", instruments.len());
    }
}
