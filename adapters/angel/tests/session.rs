//! The whole adapter on a fake host, against a small broker.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking, and tell what they compared"
)]

#[path = "session/venue.rs"]
mod venue;

use std::time::{Duration, SystemTime};

use adapter_angel::AngelOne;
use adapter_sdk::{
    Login, Mode,
    abi::{ErrorCode, OutcomeCode, StatusKind, field},
    serde_json::{Value, json},
    testing::{self, Bench, Published},
};

use self::venue::Venue;

const CREDENTIALS: &str = r#"{"client_code":"A123456","api_key":"key-of-the-app","auth_token":"jwt.of.today","feed_token":"feed-of-today"}"#;

fn row(token: &str, symbol: &str, name: &str, kind: &str, segment: &str) -> Value {
    json!({"token": token, "symbol": symbol, "name": name, "expiry": "28JUL2099", "strike": "-1.000000",
        "lotsize": "1", "instrumenttype": kind, "exch_seg": segment, "tick_size": "5.000000"})
}

fn list() -> Value {
    json!([
        row("3045", "SBIN-EQ", "SBIN", "", "NSE"),
        row("3045", "GOLD28JULFUT", "GOLD", "FUTCOM", "MCX"),
        row("99926000", "Nifty 50", "NIFTY", "AMXIDX", "NSE"),
        row("1", "USDINR28JULFUT", "USDINR", "FUTCUR", "CDS"),
    ])
}

/// A packet whose values are all 0 but the price.
fn packet(mode: u8, segment: u8, token: &str, price: i64) -> Vec<u8> {
    let mut bytes = vec![mode, segment];
    bytes.extend_from_slice(token.as_bytes());
    bytes.resize(43, 0);
    bytes.extend_from_slice(&price.to_le_bytes());
    bytes.resize([51, 123, 379][usize::from(mode) - 1], 0);
    bytes
}

fn start(venue: &Venue, cache: &tempfile::TempDir) -> Bench {
    Bench::start_with::<AngelOne>(&venue.config(cache.path()).to_string(), CREDENTIALS).unwrap()
}

#[test]
fn instruments_are_found_subscribed_and_never_mixed_up() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let bench = start(&venue, &cache);
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    assert!(bench.subscribe(2, "MCX", "GOLD28JUL99FUT", Mode::Quote).code.is_taken());
    let index = bench.subscribe(3, "NSE_INDEX", "NIFTY", Mode::Depth);
    assert_eq!((index.code, index.depth), (OutcomeCode::ACCEPTED, 0));
    let currency = bench.subscribe_depth(4, "CDS", "USDINR28JUL99FUT", Mode::Depth, 20);
    assert_eq!((currency.code, currency.depth), (OutcomeCode::ACCEPTED, 5));
    let unknown = bench.subscribe(5, "NSE", "NOSUCH", Mode::Ltp);
    assert_eq!(unknown.code, OutcomeCode::UNKNOWN_INSTRUMENT);

    bench.wait_for_status(StatusKind::CONNECTED);
    venue.wait("every pair", |state| {
        let all = state.requests.iter().flat_map(|(action, mode, tokens)| {
            tokens.iter().map(move |token| format!("{action}/{mode}/{token}"))
        });
        let mut all: Vec<String> = all.collect();
        all.sort();
        (all == ["1/1/1:3045", "1/2/5:3045", "1/3/13:1", "1/3/1:99926000"]).then_some(())
    });
    // The same token on two exchanges, and one that nobody wants.
    venue.send(packet(1, 3, "3045", 1));
    venue.send(packet(1, 1, "3045", 55_125));
    venue.send(packet(2, 5, "3045", 7_200_050));
    venue.send(packet(3, 1, "99926000", 2_350_000));
    venue.send(packet(3, 13, "1", 847_525_000));

    let ltp = |instrument| match bench.wait_for_ticks(instrument, 1).remove(0) {
        Published::Ltp(tick) => (1, tick.ltp, tick.fields & field::VOLUME),
        Published::Quote(quote) => (2, quote.ltp, quote.fields & field::VOLUME),
        Published::Depth(quote, ..) => (3, quote.ltp, quote.fields & field::VOLUME),
    };
    assert_eq!(ltp(1), (1, 551_250_000_000, 0));
    assert_eq!(ltp(2), (2, 72_000_500_000_000, field::VOLUME));
    // An index has no volume, whatever its packet is filled with.
    assert_eq!(ltp(3), (3, 23_500_000_000_000, 0));
    assert_eq!(ltp(4), (3, 84_752_500_000, field::VOLUME));
    assert_eq!(bench.heard().ticks.len(), 4);

    let handshake = venue.wait("a handshake", |state| state.handshakes.first().cloned());
    let header =
        |name: &str| handshake.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(header("authorization"), Some("Bearer jwt.of.today"));
    assert_eq!(header("x-api-key"), Some("key-of-the-app"));
    assert_eq!(header("x-client-code"), Some("A123456"));
    assert_eq!(header("x-feed-token"), Some("feed-of-today"));
}

#[test]
fn two_names_of_one_instrument_tick_each_under_its_own_number() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let bench = start(&venue, &cache);
    bench.wait_for_status(StatusKind::CONNECTED);
    bench.subscribe(1, "NSE", "SBIN", Mode::Quote);
    let token = vec!["1:3045".to_owned()];
    assert_eq!(venue.requests(1), [(1, 2, token.clone())]);
    // The broker sends the state of the second one too only when it is asked again, and takes no pair twice.
    bench.subscribe(2, "NSE", "SBIN-EQ", Mode::Quote);
    assert_eq!(venue.requests(3)[1..], [(0, 2, token.clone()), (1, 2, token)]);
    venue.send(packet(2, 1, "3045", 55_125));
    for number in [1, 2] {
        bench.wait_for_ticks(number, 1);
    }
    bench.unsubscribe(&[1]);
    bench.forget();
    venue.send(packet(2, 1, "3045", 55_130));
    bench.wait_for_ticks(2, 1);
    assert_eq!(venue.requests(3).len(), 3, "the other one goes on");
}

#[test]
fn a_mode_changes_without_a_gap() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let bench = start(&venue, &cache);
    bench.wait_for_status(StatusKind::CONNECTED);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    let token = vec!["1:3045".to_owned()];
    // What changes before it was said is not said.
    assert_eq!(venue.requests(1), [(1, 1, token.clone())]);
    bench.subscribe(1, "NSE", "SBIN", Mode::Depth);
    assert_eq!(venue.requests(3), [(1, 1, token.clone()), (1, 3, token.clone()), (0, 1, token)]);
    // One of the old mode, that was under way.
    venue.send(packet(1, 1, "3045", 55_125));
    venue.send(packet(3, 1, "3045", 55_130));
    let ticks = bench.wait_for_ticks(1, 2);
    assert!(matches!(ticks[..], [Published::Ltp(_), Published::Depth(..)]), "{ticks:?}");
    bench.unsubscribe(&[1]);
    assert_eq!(venue.requests(4)[3], (0, 3, vec!["1:3045".to_owned()]));
}

#[test]
fn too_many_subscriptions_are_told_of_those_that_were_too_many() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let bench = start(&venue, &cache);
    bench.wait_for_status(StatusKind::CONNECTED);
    bench.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    // Alone in its request.
    venue.requests(1);
    bench.subscribe(3, "NSE_INDEX", "NIFTY", Mode::Ltp);
    let correlation = venue.wait("both requests", |state| state.correlations.get(1).cloned());
    let refusal = json!({"correlationID": correlation, "errorCode": "E1002",
        "errorMessage": "Invalid Request. Subscription Limit Exceeded"});
    venue.send(refusal.to_string());
    let outcome = bench.wait_for("the outcome", |heard| {
        heard.outcomes.iter().find(|(request, _)| *request == 0).map(|(_, outcome)| outcome.clone())
    });
    assert_eq!((outcome.instrument, outcome.code), (3, OutcomeCode::CAPACITY));
    // The other one goes on.
    venue.send(packet(1, 1, "3045", 55_125));
    bench.wait_for_ticks(1, 1);
    // What no document names is ignored, and what makes no sense is counted.
    venue.send("hello".to_owned());
    venue.send(vec![9_u8; 60]);
    venue.send(packet(1, 1, "3045", 55_130));
    bench.wait_for_ticks(1, 2);
    assert_eq!(bench.health().undecodable, 1);
}

#[test]
fn refused_handshakes_say_what_to_do_and_show_no_secret() {
    for (status, message, kind, code, said) in [
        (
            401,
            "Invalid Header - Invalid Feed Token",
            StatusKind::AUTH_FAILED,
            ErrorCode::AUTH,
            "feed token: log in again",
        ),
        (401, "Invalid Header - Invalid API Key", StatusKind::AUTH_FAILED, ErrorCode::AUTH, "check api_key"),
        (
            401,
            "Invalid Header - Invalid Client Code",
            StatusKind::AUTH_FAILED,
            ErrorCode::AUTH,
            "check client_code",
        ),
        (403, "jwt.of.today", StatusKind::AUTH_FAILED, ErrorCode::AUTH, "log in again"),
        (
            429,
            "Invalid Request. Connection Limit Exceeded.",
            StatusKind::DISCONNECTED,
            ErrorCode::RATE_LIMITED,
            "three connections",
        ),
    ] {
        let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
        venue.change(|state| state.refusal = Some((status, message)));
        let bench = start(&venue, &cache);
        let event = bench.wait_for_status(kind);
        assert_eq!(event.code, code, "{event:?}");
        assert!(event.message.contains(said), "{event:?}");
        let heard = format!("{:?}", bench.heard());
        for secret in ["jwt.of.today", "feed-of-today", "key-of-the-app"] {
            assert!(!heard.contains(secret), "{secret} in {heard}");
        }
    }
}

#[test]
fn silence_is_noticed() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let mut config = venue.config(cache.path());
    config["stall_seconds"] = json!(0.5);
    let bench = Bench::start_with::<AngelOne>(&config.to_string(), CREDENTIALS).unwrap();
    // Where nothing is traded, the answers to heartbeats keep the connection.
    venue.wait("five heartbeats", |state| (state.beats >= 5).then_some(()));
    assert!(bench.heard().statuses.iter().all(|event| event.kind != StatusKind::DISCONNECTED));
    venue.change(|state| state.is_mute = true);
    let event = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert!(event.message.contains("said nothing for 500ms"), "{event:?}");
}

#[test]
fn a_list_of_yesterday_serves_nobody_and_that_of_today_does_as_soon_as_it_comes() {
    let (venue, cache) = (Venue::start(&json!([])), tempfile::tempdir().unwrap());
    let old = json!([row("77", "SBIN-EQ", "SBIN", "", "NSE"), row("3045", "OLD-EQ", "OLD", "", "NSE")]);
    let config = venue.config(cache.path());
    let url = config["instruments_url"].as_str().unwrap();
    let path = adapter_sdk::instruments::InstrumentFile::new(Some(cache.path()), "angel", url).path();
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, old.to_string()).unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(48)).unwrap();

    let bench = start(&venue, &cache);
    let event = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert!(event.message.contains("list of instruments has none"), "{event:?}");
    venue.change(|state| {
        assert!(state.handshakes.is_empty() && state.requests.is_empty());
        state.list = list().to_string();
    });
    bench.wait_for_status(StatusKind::CONNECTED);
    assert_eq!(bench.subscribe(2, "NSE", "OLD", Mode::Ltp).code, OutcomeCode::UNKNOWN_INSTRUMENT);
    assert!(bench.subscribe(1, "NSE", "SBIN", Mode::Ltp).code.is_taken());
    venue.wait("the new token without the old one", |state| {
        let tokens: Vec<&String> = state.requests.iter().flat_map(|(.., tokens)| tokens).collect();
        (!tokens.is_empty()).then(|| assert_eq!(tokens, ["1:3045"]))
    });
    venue.send(packet(1, 1, "77", 1));
    venue.send(packet(1, 1, "3045", 55_125));
    let ticks = bench.wait_for_ticks(1, 1);
    assert!(matches!(ticks[..], [Published::Ltp(tick)] if tick.ltp == 551_250_000_000), "{ticks:?}");
    assert_eq!(bench.heard().ticks.len(), 1);
    assert!(std::fs::read_to_string(&path).unwrap().contains("GOLD"));
}

#[test]
fn without_a_list_nothing_is_subscribed_and_the_account_is_not_blamed() {
    let (venue, cache) = (Venue::start(&json!([])), tempfile::tempdir().unwrap());
    let bench = start(&venue, &cache);
    let event = bench.wait_for_status(StatusKind::DISCONNECTED);
    assert_eq!(event.code, ErrorCode::PROTOCOL, "{event:?}");
    assert!(event.message.contains("list of instruments has none"), "{event:?}");
    venue.change(|state| assert!(state.handshakes.is_empty()));
}

#[test]
fn order_updates_come_once_for_an_account_and_go_on_when_their_connection_ends() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let mut config = venue.config(cache.path());
    config["orders"] = json!(true);
    let start = || Bench::start_with::<AngelOne>(&config.to_string(), CREDENTIALS).unwrap();
    let first = start();
    venue.wait("the order socket", |state| (state.orders_open == 1).then_some(()));
    let second = start();
    second.wait_for_status(StatusKind::CONNECTED);
    second.subscribe(1, "NSE", "SBIN", Mode::Ltp);
    venue.requests(1);
    let order = |number: u32| {
        json!({"user-id": "A123456", "status-code": "200", "order-status": "AB05", "error-message": "",
            "orderData": {"orderid": number.to_string(), "exchange": "NSE", "symboltoken": "3045",
                "tradingsymbol": "SBIN-EQ", "transactiontype": "BUY", "quantity": "5", "ordertype": "MARKET",
                "producttype": "INTRADAY", "price": 0.0, "filledshares": "5", "averageprice": 551.25}})
        .to_string()
    };
    venue.send_order(&order(1));
    let told: Value =
        first.wait_for("an order", |heard| heard.orders.first().map(|json| json.parse().unwrap()));
    assert_eq!((&told["symbol"], &told["order_status"]), (&json!("SBIN"), &json!("complete")));
    assert_eq!((&told["product"], &told["filled_quantity"]), (&json!("MIS"), &json!(5)));
    venue.change(|state| assert_eq!(state.orders_opened, 1));
    assert_eq!(second.heard().orders.len(), 0);

    drop(first);
    venue.wait("the other connection's order socket", |state| {
        (state.orders_opened == 2 && state.orders_open == 1).then_some(())
    });
    venue.send_order(&order(2));
    second.wait_for("an order", |heard| heard.orders.first().cloned());
}

fn granted(number: u32) -> (u16, Value) {
    let data = json!({"jwtToken": format!("jwt-{number}"), "refreshToken": format!("refresh-{number}"),
        "feedToken": format!("feed-{number}")});
    (200, json!({"status": true, "message": "SUCCESS", "errorcode": "", "data": data}))
}

fn refused(code: &str, message: &str) -> (u16, Value) {
    (200, json!({"status": false, "message": message, "errorcode": code, "data": null}))
}

fn stored(login: &Login) -> Vec<(String, String)> {
    let Login::Done(fields) = login else { panic!("{login:?}") };
    fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn with_everything_stored_it_logs_in_by_itself_and_refreshes_first() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let config = venue.config(cache.path()).to_string();
    let mut fields = json!({"client_code": "A123456", "api_key": "key-of-the-app", "pin": "4321",
        "totp_secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"});
    venue.change(|state| state.answers.push_back(granted(1)));
    let login = testing::log_in::<AngelOne>(&config, &fields.to_string()).unwrap();
    let tokens = stored(&login);
    assert!(tokens.contains(&("auth_token".to_owned(), "jwt-1".to_owned())), "{tokens:?}");
    assert!(tokens.contains(&("feed_token".to_owned(), "feed-1".to_owned())), "{tokens:?}");
    assert!(!tokens.iter().any(|(name, _)| name == "pin"), "{tokens:?}");
    assert!(!format!("{login:?}").contains("jwt-1"));
    let (path, headers, body) = venue.wait("the log-in", |state| state.posts.first().cloned());
    assert_eq!(path, "/rest/auth/angelbroking/user/v1/loginbypassword");
    for header in [
        "x-usertype: user",
        "x-sourceid: web",
        "x-privatekey: key-of-the-app",
        "x-macaddress: ",
        "x-clientlocalip: ",
        "x-clientpublicip: ",
    ] {
        assert!(headers.contains(header), "{header} in {headers}");
    }
    assert_eq!((&body["clientcode"], &body["password"]), (&json!("A123456"), &json!("4321")));
    let totp = body["totp"].as_str().unwrap();
    assert!(totp.len() == 6 && totp.bytes().all(|byte| byte.is_ascii_digit()), "{totp}");

    // The next day: the refresh token is tried first, and once.
    for (name, value) in tokens {
        fields[name] = json!(value);
    }
    venue.change(|state| state.answers.push_back(granted(2)));
    let tokens = stored(&testing::log_in::<AngelOne>(&config, &fields.to_string()).unwrap());
    assert!(tokens.contains(&("auth_token".to_owned(), "jwt-2".to_owned())), "{tokens:?}");
    assert!(tokens.contains(&("refresh_token".to_owned(), String::new())), "{tokens:?}");
    let (path, headers, body) = venue.wait("the refresh", |state| state.posts.get(1).cloned());
    assert_eq!(path, "/rest/auth/angelbroking/jwt/v1/generatetokens");
    assert!(headers.contains("authorization: bearer jwt-1"), "{headers}");
    assert_eq!(body, json!({"refreshToken": "refresh-1"}));

    // A refresh token that is not taken any more is no reason to stop.
    venue.change(|state| state.answers.extend([refused("AB8050", "Invalid Refresh Token"), granted(3)]));
    let tokens = stored(&testing::log_in::<AngelOne>(&config, &fields.to_string()).unwrap());
    assert!(tokens.contains(&("auth_token".to_owned(), "jwt-3".to_owned())), "{tokens:?}");
    venue.change(|state| state.answers.extend([(404, json!([])), granted(4)]));
    let tokens = stored(&testing::log_in::<AngelOne>(&config, &fields.to_string()).unwrap());
    assert!(tokens.contains(&("auth_token".to_owned(), "jwt-4".to_owned())), "{tokens:?}");
}

#[test]
fn what_is_missing_is_asked_for_one_by_one() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let config = venue.config(cache.path()).to_string();
    let mut fields = json!({});
    for (field, answer, is_secret) in [
        ("api_key", "key", true),
        ("client_code", "A1", false),
        ("pin", "4321", true),
        ("totp", "123456", true),
    ] {
        let login = testing::log_in::<AngelOne>(&config, &fields.to_string()).unwrap();
        let Login::Ask(question) = login else { panic!("{login:?}") };
        assert_eq!((question.field.as_str(), question.is_secret), (field, is_secret));
        fields[field] = json!(answer);
    }
    venue.change(|state| state.answers.push_back(granted(1)));
    stored(&testing::log_in::<AngelOne>(&config, &fields.to_string()).unwrap());
    let (_, _, body) = venue.wait("the log-in", |state| state.posts.first().cloned());
    assert_eq!(body, json!({"clientcode": "A1", "password": "4321", "totp": "123456"}));
}

#[test]
fn refused_log_ins_have_their_class_and_repeat_nothing() {
    let (venue, cache) = (Venue::start(&list()), tempfile::tempdir().unwrap());
    let config = venue.config(cache.path()).to_string();
    let fields = r#"{"client_code":"A123456","api_key":"key-of-the-app","pin":"4321","totp":"123456"}"#;
    for (answer, code, said) in [
        (refused("AB1050", "Invalid totp 123456"), ErrorCode::AUTH, "clock"),
        (refused("AB1007", "Invalid pin 4321"), ErrorCode::AUTH, "PIN"),
        (refused("", "key-of-the-app"), ErrorCode::AUTH, "check client_code"),
        ((403, json!("Access denied because of exceeding access rate")), ErrorCode::RATE_LIMITED, "403"),
        ((429, json!({})), ErrorCode::RATE_LIMITED, "429"),
        ((503, json!({})), ErrorCode::NETWORK, "503"),
        ((401, json!("x")), ErrorCode::AUTH, "401"),
        ((200, json!({"status": true, "data": {}})), ErrorCode::PROTOCOL, "without tokens"),
        ((200, json!([])), ErrorCode::PROTOCOL, "JSON"),
    ] {
        venue.change(|state| state.answers.push_back(answer.clone()));
        let error = testing::log_in::<AngelOne>(&config, fields).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.code(), code, "{answer:?}: {text}");
        assert!(text.contains(said), "{answer:?}: {text}");
        for secret in ["123456", "4321", "key-of-the-app"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
