use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

fn ask(json: &str) -> Request {
    parse(json.as_bytes(), true).unwrap_or_else(|error| panic!("{json}: {error:?}"))
}

fn refusal(json: &str, authenticated: bool) -> (ErrorCode, String) {
    let error = parse(json.as_bytes(), authenticated).expect_err(json);
    (error.code, error.message.into_owned())
}

fn names(request: &Request) -> Vec<String> {
    let name = |exchange: &str, symbol: &str, suffix: Option<DepthClass>| {
        format!("{exchange} {symbol} {}", suffix.map_or(0, DepthClass::levels))
    };
    let refused = |refused: &RefusedEntry| format!("refused {} {}", refused.exchange, refused.symbol);
    match request {
        Request::Subscribe { entries, .. } => entries
            .iter()
            .map(|e| e.as_ref().map_or_else(refused, |e| name(&e.exchange, &e.symbol, e.suffix)))
            .collect(),
        Request::Unsubscribe { entries, .. } => entries
            .iter()
            .map(|e| e.as_ref().map_or_else(refused, |e| name(&e.exchange, &e.symbol, e.suffix)))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn modes(json: &str) -> Vec<Result<Option<Mode>, ()>> {
    match ask(json) {
        Request::Unsubscribe { entries, .. } => {
            entries.into_iter().map(|entry| entry.map(|entry| entry.mode).map_err(|_| ())).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_of_action_and_type_that_says_something_counts() {
    assert!(matches!(ask(r#"{"type":"ping"}"#), Request::Ping { .. }));
    assert!(matches!(ask(r#"{"action":"","type":"ping"}"#), Request::Ping { .. }));
    assert!(matches!(ask(r#"{"action":null,"type":"ping"}"#), Request::Ping { .. }));
    assert!(matches!(ask(r#"{"action":"get_broker_info","type":"ping"}"#), Request::BrokerInfo));
    for (json, name) in [
        ("{}", "None"),
        (r#"{"action":"Ping"}"#, "Ping"),
        (r#"{"action":5,"type":"ping"}"#, "5"),
        (r#"{"action":["ping"]}"#, r#"["ping"]"#),
    ] {
        let expected = (ErrorCode::InvalidAction, format!("Invalid action: {name}"));
        assert_eq!(refusal(json, false), expected, "{json}");
    }
}

#[test]
fn a_long_action_is_not_repeated_whole() {
    let (_, message) = refusal(&format!(r#"{{"action":"{}"}}"#, "é".repeat(100_000)), true);
    assert_eq!(message, format!("Invalid action: {}...", "é".repeat(64)));
}

#[test]
fn a_pong_is_taken_in_any_form() {
    for json in [r#"{"type":"pong"}"#, r#"{"action":"pong","x":1}"#, "pong", " \"pong\"\n"] {
        assert!(matches!(parse(json.as_bytes(), false), Ok(Request::Pong)), "{json}");
    }
}

#[test]
fn what_is_no_message_is_told_apart_from_what_is_no_json() {
    for json in
        ["", "  ", "nonsense", "{", "[1,", "{}{}", r#"{"action":"ping"} x"#, "{\"a\":NaN}", "{\"\\ud800\":1}"]
    {
        assert_eq!(refusal(json, true).0, ErrorCode::InvalidJson, "{json}");
    }
    for json in ["5", "[]", "null", "\"ping\"", "[{\"action\":\"ping\"}]"] {
        assert_eq!(refusal(json, true).0, ErrorCode::ServerError, "{json}");
    }
    assert_eq!(parse(b"{\"action\":\"\xff\"}", true).unwrap_err().code, ErrorCode::InvalidJson);
}

#[test]
fn the_last_of_two_equal_keys_counts() {
    assert!(matches!(ask(r#"{"action":"pong","action":"ping"}"#), Request::Ping { .. }));
}

#[test]
fn keys_are_accepted_under_both_names_and_never_shown() {
    for json in [
        r#"{"action":"auth","api_key":"s3cret"}"#,
        r#"{"type":"authenticate","api_key":"","apikey":"s3\u0063ret"}"#,
    ] {
        let request = parse(json.as_bytes(), false).unwrap();
        assert!(!format!("{request:?}").contains("s3cret"));
        assert!(
            matches!(&request, Request::Authenticate { api_key, .. } if api_key.expose_secret() == "s3cret")
        );
    }
    for (json, message) in [
        (r#"{"action":"auth"}"#, "API key is required"),
        (r#"{"action":"auth","api_key":""}"#, "API key is required"),
        (r#"{"action":"auth","api_key":null}"#, "API key is required"),
        (r#"{"action":"auth","api_key":77}"#, "Invalid API key"),
    ] {
        assert_eq!(refusal(json, true), (ErrorCode::AuthenticationError, message.to_owned()), "{json}");
    }
    let long = format!(r#"{{"action":"auth","api_key":"{}"}}"#, "k".repeat(MAX_API_KEY_BYTES + 1));
    assert_eq!(refusal(&long, false).1, "Invalid API key");
}

#[test]
fn authentication_is_checked_before_mode_and_mode_before_symbols() {
    let all_wrong = r#"{"action":"subscribe","mode":9,"depth":"x"}"#;
    assert_eq!(
        refusal(all_wrong, false),
        (ErrorCode::NotAuthenticated, "You must authenticate first".to_owned())
    );
    assert_eq!(refusal(all_wrong, true).0, ErrorCode::InvalidMode);
    let no_symbol = (ErrorCode::InvalidParameters, "At least one symbol must be specified".to_owned());
    for json in [
        r#"{"action":"subscribe","depth":"x"}"#,
        r#"{"action":"subscribe","symbol":"SBIN"}"#,
        r#"{"action":"subscribe","exchange":"NSE","symbols":[]}"#,
        r#"{"action":"subscribe","symbols":[ ],"instruments":null}"#,
    ] {
        assert_eq!(refusal(json, true), no_symbol, "{json}");
    }
    for action in
        ["unsubscribe", "unsubscribe_all", "subscribe_orders", "unsubscribe_orders", "get_broker_info"]
    {
        let json = format!(r#"{{"action":"{action}"}}"#);
        assert_eq!(refusal(&json, false).0, ErrorCode::NotAuthenticated, "{action}");
    }
    assert!(parse(br#"{"action":"get_supported_brokers"}"#, false).is_ok());
    assert!(parse(br#"{"action":"ping"}"#, false).is_ok());
}

#[test]
fn modes_are_numbers_or_names() {
    let with =
        |mode: &str| format!(r#"{{"action":"subscribe","symbol":"S","exchange":"NSE","mode":{mode}}}"#);
    for (text, expected) in [
        ("1", Mode::Ltp),
        ("3", Mode::Depth),
        ("\"1\"", Mode::Ltp),
        ("\" quote \"", Mode::Quote),
        ("\"DEPTH\"", Mode::Depth),
        ("\"\\u006ctp\"", Mode::Ltp),
    ] {
        assert!(matches!(ask(&with(text)), Request::Subscribe { mode, .. } if mode == expected), "{text}");
    }
    assert!(matches!(
        ask(r#"{"action":"subscribe","symbol":"S","exchange":"NSE"}"#),
        Request::Subscribe { mode: Mode::Quote, .. }
    ));
    for (text, message) in [
        ("4", "Invalid mode 4; expected 1 (LTP), 2 (Quote), or 3 (Depth)"),
        ("0", "Invalid mode 0; expected 1 (LTP), 2 (Quote), or 3 (Depth)"),
        ("257", "Invalid mode 257; expected 1 (LTP), 2 (Quote), or 3 (Depth)"),
        ("\"full\"", "Invalid mode 'full'; expected 'LTP', 'Quote', or 'Depth' (case-insensitive)"),
        ("\"\"", "Invalid mode ''; expected 'LTP', 'Quote', or 'Depth' (case-insensitive)"),
        ("null", "Mode must be int or str, got NoneType"),
        ("1.0", "Mode must be int or str, got float"),
        ("1e0", "Mode must be int or str, got float"),
        ("true", "Mode must be int or str, got bool (True)"),
        ("[1]", "Mode must be int or str, got list"),
        ("{}", "Mode must be int or str, got dict"),
    ] {
        assert_eq!(refusal(&with(text), true), (ErrorCode::InvalidMode, message.to_owned()), "{text}");
    }
}

#[test]
fn depth_is_rounded_up_to_a_class_and_has_two_names() {
    let of =
        |extra: &str| match ask(&format!(r#"{{"action":"subscribe","symbol":"S","exchange":"NSE"{extra}}}"#))
        {
            Request::Subscribe { depth, .. } => depth.levels(),
            other => panic!("{other:?}"),
        };
    for (extra, levels) in [
        ("", 5),
        (r#","depth":null"#, 5),
        (r#","depth":0"#, 5),
        (r#","depth":20"#, 20),
        (r#","depth":"50""#, 50),
        (r#","depth_level":30"#, 30),
        (r#","depth":6,"depth_level":50"#, 20),
        (r#","depth":18446744073709551615"#, 200),
    ] {
        assert_eq!(of(extra), levels, "{extra}");
    }
    for bad in ["-1", "5.5", "true", "\"deep\"", "[5]", "99999999999999999999"] {
        let json = format!(r#"{{"action":"subscribe","symbol":"S","exchange":"NSE","depth":{bad}}}"#);
        assert_eq!(refusal(&json, true).0, ErrorCode::InvalidParameters, "{bad}");
    }
}

#[test]
fn entries_keep_their_order_and_their_colons() {
    let request = ask(
        r#"{"action":"subscribe","mode":3,"instruments":["NSE:SBIN","INFY","RELIANCE:50","NSE:TCS:20",
            {"symbol":"M:M","exchange":"BSE","mode":"nonsense"},{"symbol":"X:200","exchange":"NFO"},
            {"exchange":"NSE","symbol":"A:5"},"SIM:ABC","NSE:","",{"symbol":"NOEXCH"},{},":50","CRYPTO:\u0042TC"]}"#,
    );
    assert_eq!(
        names(&request),
        [
            "NSE SBIN 0",
            "NSE INFY 0",
            "NSE RELIANCE 50",
            "NSE TCS 20",
            "BSE M:M 0",
            "NFO X 200",
            "NSE A 5",
            "NSE SIM:ABC 0",
            "NSE :50 0",
            "CRYPTO BTC 0"
        ]
    );
    let Request::Subscribe { entries, depth, .. } = request else { panic!() };
    let entry = entries[2].as_ref().unwrap();
    assert_eq!((entry.written_symbol(), entry.depth(depth)), ("RELIANCE:50".into(), DepthClass::Fifty));
    assert_eq!(entries[0].as_ref().unwrap().depth(depth), DepthClass::Five);
}

#[test]
fn a_bad_entry_is_refused_alone() {
    let long = "é".repeat(65);
    let request = ask(&format!(
        r#"{{"action":"subscribe","symbols":[{{"symbol":"OK","exchange":"NSE"}},{{"symbol":"{long}","exchange":"NSE"}},
            {{"symbol":"S","exchange":"{long}"}},"A\u0000B",5,null,[["x"]],{{"symbol":500325,"exchange":"BSE"}},
            {{"symbol":"\ud800","exchange":"NSE"}},{{"symbol":"S","exchange":["NSE"]}},"OK2"]}}"#
    ));
    let expected = [
        "NSE OK 0".to_owned(),
        format!("refused NSE {}", "é".repeat(64)),
        format!("refused {} S", "é".repeat(16)),
        "refused NSE A\0B".to_owned(),
        "refused  ".to_owned(),
        "refused  ".to_owned(),
        "refused  ".to_owned(),
        "refused BSE ".to_owned(),
        "refused NSE ".to_owned(),
        "refused  S".to_owned(),
        "NSE OK2 0".to_owned(),
    ];
    assert_eq!(names(&request), expected);
    assert_eq!(refusal(r#"{"action":"subscribe","symbols":"NSE:SBIN"}"#, true).1, "symbols must be a list");
}

#[test]
fn an_unsubscribe_takes_the_nearest_mode_else_all() {
    let all = Ok(None);
    let one = |mode| Ok(Some(mode));
    assert_eq!(modes(r#"{"action":"unsubscribe","symbol":"S","exchange":"NSE"}"#), [all]);
    assert_eq!(modes(r#"{"action":"unsubscribe","symbol":"S","exchange":"NSE","mode":1}"#), [one(Mode::Ltp)]);
    assert_eq!(
        modes(
            r#"{"action":"unsubscribe","mode":"ltp","symbols":["S",{"symbol":"S","exchange":"NSE","mode":"Depth"},
                {"symbol":"S","exchange":"NSE","mode":9},{"symbol":"S","exchange":"NSE","mode":null}]}"#
        ),
        [one(Mode::Ltp), one(Mode::Depth), Err(()), Err(())]
    );
    assert_eq!(
        modes(
            r#"{"action":"unsubscribe","mode":"full","symbols":["S",{"symbol":"S","exchange":"NSE","mode":2}]}"#
        ),
        [Err(()), one(Mode::Quote)]
    );
    assert_eq!(modes(r#"{"action":"unsubscribe","symbols":["S"]}"#), [all]);
    let single = r#"{"action":"unsubscribe","symbol":"S","exchange":"NSE","mode":"full"}"#;
    assert_eq!(refusal(single, true).0, ErrorCode::InvalidMode);
}

#[test]
fn everything_can_be_unsubscribed_by_action_or_type() {
    for json in [
        r#"{"action":"unsubscribe_all"}"#,
        r#"{"type":"unsubscribe_all"}"#,
        r#"{"action":"unsubscribe","type":"unsubscribe_all"}"#,
    ] {
        assert!(matches!(ask(json), Request::UnsubscribeAll { .. }), "{json}");
    }
    let expected = (ErrorCode::InvalidParameters, "Either symbols or unsubscribe_all is required".to_owned());
    assert_eq!(refusal(r#"{"action":"unsubscribe"}"#, true), expected);
}

#[test]
fn request_ids_are_kept_as_written() {
    let id = |id: &str| match ask(&format!(r#"{{"action":"subscribe_orders","request_id":{id}}}"#)) {
        Request::SubscribeOrders { request_id } => request_id.as_json().map(str::to_owned),
        other => panic!("{other:?}"),
    };
    for text in ["7", "7.50", "1e400", "\"a\\u0062\"", "false", "0", "\"\"", "[1, {\"x\":null}]"] {
        assert_eq!(id(text).as_deref(), Some(text));
    }
    assert_eq!(id("null"), None);
    let long = format!(r#"{{"action":"ping","_pingId":"{}"}}"#, "x".repeat(MAX_ECHO_BYTES));
    assert_eq!(refusal(&long, true).0, ErrorCode::InvalidParameters);
}

#[test]
fn a_list_beyond_the_limit_is_refused_whole() {
    let of =
        |count: usize| format!(r#"{{"action":"subscribe","symbols":[{}]}}"#, vec!["\"S\""; count].join(","));
    assert_eq!(names(&ask(&of(MAX_ENTRIES))).len(), MAX_ENTRIES);
    assert_eq!(refusal(&of(MAX_ENTRIES + 1), true).0, ErrorCode::InvalidParameters);
}

#[test]
fn deep_nesting_does_not_exhaust_the_stack() {
    let deep = format!("{}{}", "[".repeat(400_000), "]".repeat(400_000));
    for json in [
        deep.clone(),
        format!(r#"{{"action":"ping","x":{deep}}}"#),
        format!(r#"{{"action":"subscribe","symbols":{deep}}}"#),
        format!(r#"{{"action":"subscribe","mode":{deep}}}"#),
        format!(r#"{{"action":"subscribe","symbols":[{{"symbol":{deep},"exchange":"NSE"}}]}}"#),
        "{\"a\":".repeat(200_000),
    ] {
        drop(parse(json.as_bytes(), true));
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        prop::sample::select(vec![
            "NSE",
            "SBIN:50",
            "NSE:SBIN",
            "ltp",
            "3",
            "",
            "subscribe",
            "unsubscribe",
            "auth"
        ])
        .prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let keys = vec![
            "action",
            "type",
            "api_key",
            "symbols",
            "instruments",
            "symbol",
            "exchange",
            "mode",
            "depth",
            "request_id",
            "timestamp",
            "_pingId",
            "other",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((prop::sample::select(keys), inner), 0..8).prop_map(|members| {
                serde_json::Value::Object(
                    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
                )
            }),
        ]
    })
}

fn check_invariants(frame: &[u8]) {
    match parse(frame, true) {
        Ok(Request::Subscribe { entries, .. }) => {
            for entry in entries.into_iter().flatten() {
                assert!(!entry.symbol.is_empty() && entry.symbol.len() <= 128);
                assert!(!entry.exchange.is_empty() && entry.exchange.len() <= 32);
                assert!(!entry.symbol.chars().any(char::is_control));
            }
        }
        Ok(_) => {}
        Err(error) => assert!(serde_json::from_slice::<serde_json::Value>(&error.to_bytes()).is_ok()),
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(frame in prop::collection::vec(any::<u8>(), 0..256)) {
        check_invariants(&frame);
    }

    #[test]
    fn random_json_never_panics(json in any_json(), action in prop::sample::select(vec!["subscribe", "unsubscribe", ""])) {
        check_invariants(json.to_string().as_bytes());
        if let serde_json::Value::Object(mut members) = json {
            members.insert("action".to_owned(), action.into());
            check_invariants(serde_json::Value::Object(members).to_string().as_bytes());
        }
    }

    #[test]
    fn a_broken_request_never_panics(cut in 0..120_usize, flip in 0..120_usize, byte: u8) {
        let mut frame =
            br#"{"action":"subscribe","symbols":[{"symbol":"SBIN:50","exchange":"NSE"},"NSE:INFY"],"mode":"LTP","depth":5,"x":1}"#
                .to_vec();
        if let Some(place) = frame.get_mut(flip) {
            *place = byte;
        }
        frame.truncate(frame.len() - cut.min(frame.len()));
        check_invariants(&frame);
    }
}
