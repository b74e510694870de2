//! `dhanhq` logs in to Dhan, and reads the list of instruments.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, time::timeout};
use venues::{Broker as _, EXCHANGES, Kind, angel, dhan};

use super::{LIMIT, options, program};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

const ACCOUNT: [(&str, &str); 6] = [
    ("client_id", "1000000001"),
    ("access_token", "token"),
    ("pin", "123456"),
    ("totp_secret", SECRET),
    ("api_key", "app"),
    ("api_secret", "secret"),
];

/// Exchange, segment and number of a row.
type Key = (String, String, u64);

/// Exchange and segment of the list.
fn segment(exchange: &str) -> (&'static str, &'static str) {
    match exchange {
        "NSE" => ("NSE", "E"),
        "BSE" => ("BSE", "E"),
        "NFO" => ("NSE", "D"),
        "BFO" => ("BSE", "D"),
        "CDS" => ("NSE", "C"),
        "BCD" => ("BSE", "C"),
        "MCX" => ("MCX", "M"),
        "NSE_INDEX" => ("NSE", "I"),
        "BSE_INDEX" => ("BSE", "I"),
        other => panic!("{other} is not of Dhan"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dhanhq_logs_in_and_reads_the_list() {
    let Some(mut command) = program("dhan_login.py") else { return };
    let venue = dhan::Venue::start(options().accepting(&ACCOUNT)).await.unwrap();
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let asked = json!({
        "url": format!("http://{}", venue.address()), "token": "token", "pin": "123456",
        "totp": angel::totp(SECRET, seconds), "app_id": "app", "app_secret": "secret",
    });
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{asked}\n").as_bytes()).await.unwrap();
    let output = timeout(LIMIT, child.wait_with_output()).await.expect("an end in time").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let got: Value = serde_json::from_slice(&output.stdout).unwrap();
    for way in ["one_time_password", "renewal", "consent"] {
        let token = got[way]["accessToken"].as_str().unwrap_or_else(|| panic!("{}", got[way]));
        assert!(token.starts_with("eyJ"), "{token}");
    }
    assert_eq!(got["profile"]["dhanClientId"], "1000000001");

    let text = |cell: &Value| cell.as_str().unwrap_or_default().to_owned();
    let mut rows: BTreeMap<Key, &[Value]> = BTreeMap::new();
    for row in got["rows"].as_array().unwrap() {
        let row = row.as_array().unwrap();
        let key = (text(&row[0]), text(&row[1]), row[2].as_u64().unwrap());
        assert!(rows.insert(key, &row[3..]).is_none(), "{row:?} is there twice");
    }
    let all: Vec<_> = EXCHANGES.iter().flat_map(|exchange| venue.some(exchange, usize::MAX)).collect();
    let mut count = 0;
    for one in all {
        let Some(key) = dhan::Dhan::key(&one) else { continue };
        let (exchange, segment) = segment(one.exchange);
        let row = rows.get(&(exchange.to_owned(), segment.to_owned(), key & 0xffff_ffff));
        let row = row.unwrap_or_else(|| panic!("no row of {}", one.symbol));
        #[expect(clippy::cast_precision_loss, reason = "lots and strikes are small")]
        let (lot, strike) = (one.lot as f64, one.strike as f64 / 1e9);
        assert_eq!(row[0].as_f64(), Some(lot), "{}", one.symbol);
        count += 1;
        let Some(expiry) = one.expiry else { continue };
        assert!(text(&row[3]).starts_with(&expiry.to_string()), "{}: {}", one.symbol, row[3]);
        match one.kind {
            Kind::Call | Kind::Put => assert_eq!(row[1].as_f64(), Some(strike), "{}", one.symbol),
            _ => assert_eq!(row[1].as_f64(), Some(-0.01), "{}", one.symbol),
        }
        let right = match one.kind {
            Kind::Call => "CE",
            Kind::Put => "PE",
            _ => "XX",
        };
        assert_eq!(row[2], right, "{}", one.symbol);
    }
    assert!(count >= 1_900, "{count}");
    println!("dhanhq: {count} instruments of {} rows", rows.len());
}
