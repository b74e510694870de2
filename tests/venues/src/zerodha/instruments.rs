//! The list of instruments, as CSV.

use std::fmt::Write as _;

use super::packet;
use crate::{
    model::decimal,
    universe::{Instrument, Kind, Universe},
};

const HEAD: &str = "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,\
                    instrument_type,segment,exchange\n";

/// The whole list, or that of an exchange.
pub(super) fn csv(universe: &Universe, exchange: Option<&str>) -> String {
    let mut csv = String::with_capacity(HEAD.len() + universe.all().len() * 100);
    csv.push_str(HEAD);
    for one in universe.all() {
        let its = one.exchange.trim_end_matches("_INDEX");
        if exchange.is_none_or(|wanted| wanted == its) {
            row(&mut csv, one, its);
        }
    }
    csv
}

fn row(csv: &mut String, one: &Instrument, exchange: &str) {
    let Some(token) = packet::token(one) else { return };
    let expiry = one.expiry.map(|day| day.to_string()).unwrap_or_default();
    let (kind, segment) = match one.kind {
        Kind::Index => ("EQ", "INDICES".to_owned()),
        Kind::Share => ("EQ", exchange.to_owned()),
        Kind::Future => ("FUT", format!("{exchange}-FUT")),
        Kind::Call => ("CE", format!("{exchange}-OPT")),
        Kind::Put => ("PE", format!("{exchange}-OPT")),
    };
    let (tick, lot) =
        if one.kind == Kind::Index { ("0".to_owned(), 0) } else { (decimal(one.tick), one.lot) };
    // Names of companies have commas in them.
    let name =
        if one.kind == Kind::Share { format!("\"{}, LTD\"", one.name) } else { format!("\"{}\"", one.name) };
    // Writing to a string cannot fail.
    _ = writeln!(
        csv,
        "{token},{},{},{name},0,{expiry},{},{tick},{lot},{kind},{segment},{exchange}",
        token >> 8,
        symbol(one),
        decimal(one.strike),
    );
}

/// Kite's own symbol, which is not that of the clients for derivatives.
fn symbol(one: &Instrument) -> String {
    let Some(expiry) = one.expiry else { return one.name.clone() };
    let right = match one.kind {
        Kind::Call => "CE",
        Kind::Put => "PE",
        _ => return format!("{}{}FUT", one.name, expiry.period()),
    };
    format!("{}{}{}{right}", one.name, expiry.period(), decimal(one.strike))
}
