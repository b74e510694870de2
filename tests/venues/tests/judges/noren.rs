//! The packages of the Noren family hand over what it sends: those of its maker, which several of the brokers
//! give out, and those of Alice Blue and Definedge.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use venues::{
    Broker as _, Instrument, Kind, Mode, Options, Values,
    angel::totp,
    decimal,
    noren::{AliceBlue, Brand, Definedge, Noren, Shoonya, Zebu},
};

use super::{chosen, options, program, ticks};

type Venue<B> = venues::noren::Venue<B>;

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

fn key<B: Brand>(one: &Instrument) -> String {
    let exchange = one.exchange.trim_end_matches("_INDEX");
    format!("{exchange}|{}", Noren::<B>::key(one).unwrap() & u64::from(u32::MAX))
}

/// A package subscribes instruments of all exchanges, in the channel of quotes and in that of books. `input`
/// is what it is told besides, and `check` sees what else it said.
#[expect(clippy::print_stdout, reason = "it says what was compared")]
async fn hands_over<B: Brand>(
    script: &str,
    account: &[(&str, &str)],
    input: impl Fn(&Venue<B>) -> Value,
    check: impl Fn(&Venue<B>, &BTreeMap<String, Value>),
) {
    for (mode, name, kind) in [(Mode::Quote, "touchline", "tk"), (Mode::Full, "depth", "dk")] {
        let Some(command) = program(script) else { return };
        // With a message of an order, again and again: a package may open the socket for them late.
        let venue =
            Venue::<B>::start(Options { instruments: 500, ..options() }.accepting(account)).await.unwrap();
        let instruments = chosen(&venue);
        let mut input = input(&venue);
        for (name, address) in Noren::<B>::addresses(venue.address()) {
            input[name] = address.into();
        }
        input["mode"] = name.into();
        input["keys"] = instruments.iter().map(key::<B>).collect();
        let orders = async {
            loop {
                venue.order(&json!({ "norenordno": "26113007450306", "status": "COMPLETE" }));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let ticks = tokio::select! {
            ticks = ticks(&venue, command, &input) => ticks,
            () = orders => unreachable!("it goes on for ever"),
        };
        let mut fields = 0;
        for one in &instruments {
            let tick = ticks.get(&key::<B>(one)).unwrap_or_else(|| panic!("no tick of {}", one.symbol));
            assert_eq!(tick["t"], kind);
            let sent = venue.sent(one.exchange, &one.symbol, mode).unwrap();
            for (field, expected) in expected(one, mode, &sent) {
                let has = tick[&field].as_str().and_then(|text| text.parse::<f64>().ok());
                assert_eq!(has, Some(expected), "{field} of {}:{} in {name}", one.exchange, one.symbol);
                fields += 1;
            }
        }
        check(&venue, &ticks);
        println!("{script}, {name}: {} instruments, {fields} fields", instruments.len());
    }
}

fn one_log_in<B: Brand>(venue: &Venue<B>) {
    assert_eq!(venue.report().log_ins, [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn noren_rest_api_py_hands_over_what_the_family_sends() {
    let account = [("user_id", "FA0001"), ("access_token", "token")];
    let input = |_: &_| json!({});
    hands_over::<Shoonya>("noren_api.py", &account, input, |venue, _| one_log_in(venue)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn noren_rest_api_exchanges_a_code_and_hands_over_what_the_family_sends() {
    let account = [("user_id", "FA0001"), ("api_key", "the-app"), ("api_secret", "the-secret")];
    let input = |venue: &Venue<Zebu>| {
        let page = venue.answer("code", Some("http://127.0.0.1/authorize?client_id=the-app")).unwrap();
        let code = page.split(['=', '&']).nth(1).unwrap();
        json!({ "code": code, "client": "the-app", "secret": "the-secret", "user": "FA0001" })
    };
    hands_over::<Zebu>("noren_oauth.py", &account, input, |venue, _| one_log_in(venue)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pya3_hands_over_what_alice_blue_sends_and_an_order() {
    let account = [("user_id", "1234567"), ("access_token", "session")];
    let input = |_: &_| json!({ "user": "1234567", "session": "session" });
    hands_over::<AliceBlue>("pya3_socket.py", &account, input, |venue, ticks| {
        one_log_in(venue);
        assert_eq!(ticks["order"]["norenordno"], "26113007450306");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pyintegrate_logs_in_reads_the_list_and_hands_over_what_definedge_sends() {
    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    let account = [
        ("user_id", "FA0001"),
        ("api_key", "the-app"),
        ("api_secret", "the-secret"),
        ("totp_secret", SECRET),
    ];
    let input = |_: &_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        json!({ "token": "the-app", "secret": "the-secret", "totp": totp(SECRET, now.as_secs()) })
    };
    hands_over::<Definedge>("integrate_socket.py", &account, input, |venue, ticks| {
        one_log_in(venue);
        assert!(ticks["list"].as_u64().unwrap() >= 400, "{}", ticks["list"]);
    })
    .await;
}
