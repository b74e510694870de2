//! The broker's list of instruments, as a file and for the venue itself.

use std::{fmt::Write as _, sync::LazyLock};

/// An instrument: token, the broker's segment and symbol, the suite's exchange and symbol.
type Row = (u32, &'static str, String, &'static str, String);

/// Those that the profile names: segment, the broker's symbol, exchange, the suite's symbol.
const NAMED: [(&str, &str, &str, &str); 7] = [
    ("nse_eq", "SBIN", "NSE", "SBIN"),
    ("nse_ix", "Nifty 50", "NSE_INDEX", "NIFTY"),
    ("nse_fo", "NIFTY30DEC9924500CE", "NFO", "NIFTY30DEC9924500CE"),
    ("crypto", "BTC_INR", "CRYPTO", "BTC_INR"),
    ("nse_eq", "BAJAJ-AUTO", "NSE", "BAJAJ-AUTO"),
    ("nse_eq", "M&M", "NSE", "M&M"),
    ("nse_ix", "Nifty Midcap 50", "NSE_INDEX", "NIFTY MIDCAP 50"),
];

/// How many more there are: STOCK1 and so on.
const STOCKS: u32 = 500;

/// Tokens begin here.
const FIRST: u32 = 1_001;

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let named = NAMED
        .iter()
        .map(|&(segment, theirs, exchange, ours)| (segment, theirs.to_owned(), exchange, ours.to_owned()));
    let stocks = (1..=STOCKS).map(|n| ("nse_eq", format!("STOCK{n}"), "NSE", format!("STOCK{n}")));
    let all = (FIRST..).zip(named.chain(stocks));
    all.map(|(token, (segment, theirs, exchange, ours))| (token, segment, theirs, exchange, ours)).collect()
});

/// The file.
pub(crate) fn csv() -> String {
    let mut text = String::from("token,segment,symbol\n");
    for (token, segment, theirs, ..) in ROWS.iter() {
        // A text takes everything.
        _ = writeln!(text, "{token},{segment},{theirs}");
    }
    text
}

/// The token of an instrument of the suite.
pub(crate) fn token_of(exchange: &str, symbol: &str) -> Option<u32> {
    let mut rows = ROWS.iter();
    rows.find(|(.., of, ours)| *of == exchange && ours == symbol).map(|(token, ..)| *token)
}

/// The suite's exchange and symbol of a token.
pub(crate) fn instrument_of(token: u32) -> Option<(String, String)> {
    let (.., exchange, symbol) = ROWS.iter().find(|(one, ..)| *one == token)?;
    Some(((*exchange).to_owned(), symbol.clone()))
}
