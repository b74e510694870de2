//! Logging in against a broker of this test's own: what follows which answer.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    thread::{self, JoinHandle},
    time::Duration,
};

use adapter_angel::AngelOne;
use adapter_sdk::{AdapterError, Login, abi::ErrorCode, testing};
use serde_json::{Value, json};

const LOG_IN: &str = "/rest/auth/angelbroking/user/v1/loginByPassword";
const REFRESH: &str = "/rest/auth/angelbroking/jwt/v1/generateTokens";

/// A broker that gives one answer after the other, and then says what it was asked.
fn broker(answers: Vec<(&'static str, String)>) -> (String, JoinHandle<Vec<(String, String)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let api_url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let serve = |(status, body): (&str, String)| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (Vec::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().unwrap();
                }
                head.push(line);
            }
            let mut sent = vec![0; length];
            reader.read_exact(&mut sent).unwrap();
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            let path = head[0].split(' ').nth(1).unwrap().to_owned();
            (path, String::from_utf8(sent).unwrap())
        };
        answers.into_iter().map(serve).collect()
    });
    (json!({ "api_url": api_url }).to_string(), asked)
}

/// One log-in with these fields: what is stored after it, or why it failed.
fn log_in(config: &str, fields: &[(&str, &str)]) -> Result<BTreeMap<String, String>, AdapterError> {
    let fields: BTreeMap<_, _> = fields.iter().copied().collect();
    match testing::log_in::<AngelOne>(config, &json!(fields).to_string())? {
        Login::Done(fields) => {
            Ok(fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        }
        Login::Ask(question) => panic!("asked for {}", question.field),
    }
}

fn tokens() -> String {
    r#"{"status":true,"message":"SUCCESS","errorcode":"","data":{"jwtToken":"j","refreshToken":"r2","feedToken":"f"}}"#
        .to_owned()
}

const STORED: [(&str, &str); 6] = [
    ("api_key", "k"),
    ("client_code", "A123456"),
    ("pin", "4711"),
    ("totp_secret", "GEZDGNBVGY3TQOJQ"),
    ("auth_token", "old"),
    ("refresh_token", "r1"),
];

#[test]
fn a_refresh_token_that_is_taken_saves_the_log_in() {
    let (config, asked) = broker(vec![("200 OK", tokens())]);
    let fields = log_in(&config, &STORED).unwrap();
    assert_eq!(fields.get("auth_token").map(String::as_str), Some("j"));
    assert_eq!(fields.get("feed_token").map(String::as_str), Some("f"));
    assert_eq!(asked.join().unwrap(), [(REFRESH.to_owned(), r#"{"refreshToken":"r1"}"#.to_owned())]);
}

#[test]
fn whatever_a_refresh_is_refused_with_a_full_log_in_follows() {
    for (status, body) in [
        ("403 Forbidden", "<html>Forbidden</html>"),
        ("401 Unauthorized", ""),
        ("404 Not Found", "no such page"),
        ("200 OK", r#"{"success":false,"message":"Invalid Token","errorCode":"AG8001","data":""}"#),
        ("200 OK", r#"{"status":true,"message":"SUCCESS","errorcode":"","data":null}"#),
        ("200 OK", "<html>"),
    ] {
        let (config, asked) = broker(vec![(status, body.to_owned()), ("200 OK", tokens())]);
        let fields = log_in(&config, &STORED).unwrap_or_else(|error| panic!("{status} {body}: {error}"));
        assert_eq!(fields.get("refresh_token").map(String::as_str), Some("r2"));
        let asked = asked.join().unwrap();
        assert_eq!((asked[0].0.as_str(), asked[1].0.as_str()), (REFRESH, LOG_IN), "{status} {body}");
        let sent: Value = serde_json::from_str(&asked[1].1).unwrap();
        assert_eq!((&sent["clientcode"], &sent["password"]), (&"A123456".into(), &"4711".into()));
        assert_eq!(sent["totp"].as_str().map(str::len), Some(6));
    }
}

#[test]
fn a_broker_that_is_busy_is_left_alone() {
    for status in ["429 Too Many Requests", "503 Service Unavailable"] {
        let (config, asked) = broker(vec![(status, String::new())]);
        let error = log_in(&config, &STORED).unwrap_err();
        assert_ne!(error.code(), ErrorCode::AUTH, "{status}");
        assert_eq!(asked.join().unwrap().len(), 1);
    }
}

#[test]
fn refusals_of_the_log_in_keep_their_kind() {
    for (status, body, code) in [
        ("403 Forbidden", "<html>", ErrorCode::RATE_LIMITED),
        ("401 Unauthorized", "", ErrorCode::AUTH),
        (
            "200 OK",
            r#"{"status":false,"message":"Invalid totp","errorcode":"AB1050","data":null}"#,
            ErrorCode::AUTH,
        ),
        ("200 OK", r#"{"status":true,"message":"SUCCESS","errorcode":"","data":null}"#, ErrorCode::PROTOCOL),
    ] {
        let (config, asked) = broker(vec![(status, body.to_owned())]);
        let error = log_in(&config, &STORED[..5]).unwrap_err();
        assert_eq!(error.code(), code, "{status} {body}: {error}");
        assert!(!error.to_string().contains("4711"));
        assert_eq!(asked.join().unwrap()[0].0, LOG_IN);
    }
}
