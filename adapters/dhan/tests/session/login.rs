//! Logging in, and tokens that are not good.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use adapter_dhan::Dhan;
use adapter_sdk::{
    AdapterError, Login, Question,
    abi::{ErrorCode, StatusKind},
    testing::{Bench, log_in},
};
use serde_json::json;

use crate::broker::{ACCOUNT, Broker, CLIENT, fields};

fn step(broker: &Broker, pairs: &[(&str, &str)]) -> Result<Login, AdapterError> {
    log_in::<Dhan>(&broker.config(&json!({})), &fields(pairs))
}

fn asked(broker: &Broker, pairs: &[(&str, &str)]) -> Question {
    match step(broker, pairs).unwrap() {
        Login::Ask(question) => question,
        Login::Done(_) => panic!("logged in with {} fields", pairs.len()),
    }
}

/// What is stored connects.
fn connects(broker: &Broker, login: Login) {
    let Login::Done(done) = login else { panic!("asked again") };
    let stored: BTreeMap<&str, &str> = done.iter().collect();
    assert_eq!(stored.keys().copied().collect::<Vec<_>>(), ["access_token", "client_id"]);
    assert_ne!(stored["access_token"], "canary-token");
    let bench =
        Bench::start_with::<Dhan>(&broker.config(&json!({})), &serde_json::to_string(&stored).unwrap());
    bench.unwrap().wait_for_status(StatusKind::CONNECTED);
}

#[test]
fn pin_and_one_time_password_log_in_without_a_person() {
    let broker = Broker::start();
    assert_eq!(asked(&broker, &[]).field, "client_id");
    let pin = asked(&broker, &ACCOUNT[..1]);
    assert!(pin.field == "pin" && pin.is_secret);
    let totp = asked(&broker, &[ACCOUNT[0], ACCOUNT[2]]);
    assert!(totp.field == "totp" && totp.is_secret);
    connects(&broker, step(&broker, &ACCOUNT[..4]).unwrap());

    for (wrong, hint) in [
        ([ACCOUNT[0], ("pin", "111111"), ACCOUNT[3]], "check pin"),
        ([ACCOUNT[0], ACCOUNT[2], ("totp", "000000")], "check totp_secret"),
        ([ACCOUNT[0], ACCOUNT[2], ("totp_secret", "1")], "totp_secret is no base32 text"),
    ] {
        let refused = step(&broker, &wrong).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::AUTH);
        assert!(refused.to_string().contains(hint), "{refused}");
        assert!(!refused.to_string().contains("111111"), "{refused}");
    }
}

#[test]
fn a_broker_that_makes_tokens_slowly_is_not_asked_at_once_again() {
    let broker = Broker::start();
    broker.venue.own(&json!({"slow_tokens": true})).unwrap();
    step(&broker, &ACCOUNT[..4]).unwrap();
    assert_eq!(step(&broker, &ACCOUNT[..4]).unwrap_err().code(), ErrorCode::RATE_LIMITED);
}

#[test]
fn a_person_s_consent_buys_a_token() {
    let broker = Broker::start();
    assert_eq!(asked(&broker, &[ACCOUNT[0], ACCOUNT[4]]).field, "api_secret");
    // As accounts of an OpenAlgo database have it.
    let joined = format!("{CLIENT}:::canary-key");
    let app = [("api_key", joined.as_str()), ACCOUNT[5]];
    let question = asked(&broker, &app);
    assert_eq!(question.field, "token_id");
    let page = question.url.unwrap();
    assert!(page.contains("/login/consentApp-login?consentAppId="), "{page}");
    let refused = step(&broker, &[app[0], app[1], ("token_id", "nonsense")]).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::AUTH);
    assert!(!refused.to_string().contains("canary"), "{refused}");
    let answer = redirected(&page);
    connects(&broker, step(&broker, &[app[0], app[1], ("token_id", &answer)]).unwrap());

    let refused = step(&broker, &[ACCOUNT[0], ACCOUNT[4], ("api_secret", "canary-wrong")]).unwrap_err();
    assert!(
        refused.to_string().contains("api_secret") && !refused.to_string().contains("canary"),
        "{refused}"
    );
}

/// Where the log-in page leads to.
fn redirected(page: &str) -> String {
    let (host, path) = page.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    format!("http://{host}{}", location.trim())
}

#[test]
fn a_token_that_is_refused_ends_the_attempts_and_shows_nowhere() {
    let broker = Broker::start();
    let bench = broker.connect(&json!({}), "canary-of-yesterday");
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("log in again"), "{}", status.message);
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
    bench.change_credentials(&fields(&ACCOUNT[..2]));
    bench.wait_for("a connection", |heard| {
        let failed = heard.statuses.iter().position(|event| event.kind == StatusKind::AUTH_FAILED)?;
        heard.statuses[failed..].iter().find(|event| event.kind == StatusKind::CONNECTED).map(|_| ())
    });
}

#[test]
fn a_token_that_is_refused_without_a_word_is_found_out() {
    let broker = Broker::start();
    broker.venue.own(&json!({"silent": true})).unwrap();
    let bench = broker.connect(&json!({}), "canary-of-yesterday");
    let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
    assert!(status.message.contains("log in again"), "{}", status.message);
    assert!(!format!("{:?}", bench.heard()).contains("canary"));
    bench.change_credentials(&fields(&ACCOUNT[..2]));
    bench.subscribe(1, "NSE", "SBIN", adapter_sdk::Mode::Ltp);
    bench.wait_for_ticks(1, 1);
}

#[test]
fn an_account_without_the_data_api_is_told_so() {
    let broker = Broker::start();
    for is_silent in [false, true] {
        broker.venue.own(&json!({"silent": is_silent})).unwrap();
        broker.venue.own(&json!({"data_plan": false})).unwrap();
        let bench = broker.connect(&json!({}), "canary-token");
        let status = bench.wait_for_status(StatusKind::AUTH_FAILED);
        assert!(status.message.contains("Data API"), "{}", status.message);
    }
}

#[test]
fn reasons_decide_whether_to_come_back() {
    let broker = Broker::start();
    for (reason, kind, code) in [
        (800, StatusKind::DISCONNECTED, ErrorCode::NETWORK),
        (805, StatusKind::DISCONNECTED, ErrorCode::RATE_LIMITED),
        // Not believed at once: the token is good.
        (807, StatusKind::DISCONNECTED, ErrorCode::NETWORK),
        (814, StatusKind::DISCONNECTED, ErrorCode::PROTOCOL),
    ] {
        let bench = broker.connected(&json!({}));
        broker.venue.end(reason);
        let status = bench.wait_for_status(kind);
        assert_eq!(status.code, code, "{reason}: {}", status.message);
        assert_eq!(status.retry_in_ms >= 30_000, code == ErrorCode::RATE_LIMITED, "{reason}: {status:?}");
        if reason == 807 {
            bench.wait_for("another connection", |heard| {
                let connected = heard.statuses.iter().filter(|event| event.kind == StatusKind::CONNECTED);
                (connected.count() > 1).then_some(())
            });
            // It comes again, whatever the REST interface says.
            broker.venue.end(807);
            assert!(bench.wait_for_status(StatusKind::AUTH_FAILED).message.contains("(807)"));
        }
    }
}
