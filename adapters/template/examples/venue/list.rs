//! The broker's list of instruments, as a file and for the venue itself.

use std::{fmt::Write as _, sync::LazyLock};

use adapter_conformance::Name;
use adapter_venue::Listing;

/// An instrument: its token at first, the broker's segment and symbol, the suite's name.
type Row = (u32, &'static str, String, Name);

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
    let name = |exchange: &str, symbol: String| Name { exchange: exchange.to_owned(), symbol };
    let named = NAMED.iter().map(|&(segment, theirs, exchange, ours)| {
        (segment, theirs.to_owned(), name(exchange, ours.to_owned()))
    });
    let stocks = (1..=STOCKS).map(|n| ("nse_eq", format!("STOCK{n}"), name("NSE", format!("STOCK{n}"))));
    let all = (FIRST..).zip(named.chain(stocks));
    all.map(|(token, (segment, theirs, name))| (token, segment, theirs, name)).collect()
});

/// The file, as the suite wants it at the moment.
pub(crate) fn csv(listing: &Listing) -> String {
    let mut text = String::from("token,segment,symbol\n");
    for (_, segment, theirs, name) in ROWS.iter().filter(|(.., name)| listing.has(name)) {
        if let Some(token) = token_of(listing, name) {
            // A text takes everything.
            _ = writeln!(text, "{token},{segment},{theirs}");
        }
    }
    text
}

/// The token of an instrument of the suite, whether the list has it or not.
pub(crate) fn token_of(listing: &Listing, name: &Name) -> Option<u32> {
    let first = listing.swapped(name);
    ROWS.iter().find(|(.., one)| *one == first).map(|(token, ..)| *token)
}

/// The instrument of a token.
pub(crate) fn instrument_of(listing: &Listing, token: u32) -> Option<Name> {
    let (.., name) = ROWS.iter().find(|(one, ..)| *one == token)?;
    Some(listing.swapped(name))
}
