//! The list of instruments, as one array of JSON objects whose values are texts.

use serde_json::json;

use super::packet;
use crate::{
    model::{PRICE_SCALE, decimal},
    universe::{Date, Instrument, Kind, Universe, angel_index},
};

/// The list.
pub(super) fn master(universe: &Universe) -> String {
    let mut text = String::with_capacity(universe.all().len() * 240);
    text.push('[');
    for one in universe.all().iter().filter(|one| one.exchange != "BCD") {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&row(one).to_string());
    }
    text.push(']');
    text
}

fn row(one: &Instrument) -> serde_json::Value {
    let segment = one.exchange.trim_end_matches("_INDEX");
    let (symbol, name) = match one.kind {
        Kind::Index => {
            let symbol = angel_index(&one.name).map_or(one.name.as_str(), |index| index.0);
            // An index of MCX has the clients' symbol; those of the others have the broker's names.
            (symbol.to_owned(), symbol.to_owned())
        }
        Kind::Share if segment == "NSE" => (format!("{}-EQ", one.symbol), one.name.clone()),
        Kind::Share => (one.symbol.clone(), one.name.clone()),
        _ if segment == "NFO" => (one.symbol.clone(), one.name.clone()),
        _ => (own_symbol(one), one.name.clone()),
    };
    let hundredths = if segment == "CDS" { 10_000_000 } else { 100 };
    let strike = match one.kind {
        Kind::Call | Kind::Put => format!("{}.000000", one.strike / (PRICE_SCALE / hundredths)),
        Kind::Index => "0.000000".to_owned(),
        _ => "-1.000000".to_owned(),
    };
    let paise = one.tick * 100;
    json!({
        "token": packet::number(one).to_string(), "symbol": symbol, "name": name,
        "expiry": one.expiry.map(long).unwrap_or_default(), "strike": strike, "lotsize": one.lot.to_string(),
        "instrumenttype": kind(one, segment), "exch_seg": segment,
        "tick_size": format!("{}.{:06}", paise / PRICE_SCALE, paise % PRICE_SCALE / 1_000),
        "freeze_qty": "1", "is_cas_enabled": false,
    })
}

/// `24DEC2030`.
fn long(day: Date) -> String {
    let (year, _, number) = day.civil();
    format!("{number:02}{}{year}", day.month_name())
}

/// What the broker calls derivatives outside of NFO, which is not what the clients call them.
fn own_symbol(one: &Instrument) -> String {
    let day = one.expiry.map(Date::short).unwrap_or_default();
    let strike = if one.strike == 0 { String::new() } else { decimal(one.strike) };
    let end = match one.kind {
        Kind::Call => "CE",
        Kind::Put => "PE",
        _ => "FUT",
    };
    format!("{}{strike}{day}{end}", one.name)
}

fn kind(one: &Instrument, segment: &str) -> &'static str {
    let is_option = matches!(one.kind, Kind::Call | Kind::Put);
    match (one.kind, segment) {
        (Kind::Index, _) => "AMXIDX",
        (Kind::Share, _) => "",
        (_, "CDS") if is_option => "OPTCUR",
        (_, "CDS") => "FUTCUR",
        (_, "MCX" | "NCO") if is_option => "OPTFUT",
        (_, "MCX" | "NCO") => "FUTCOM",
        _ => {
            let is_index = matches!(one.name.as_str(), "NIFTY" | "BANKNIFTY" | "SENSEX" | "BANKEX");
            match (is_option, is_index) {
                (true, true) => "OPTIDX",
                (true, false) => "OPTSTK",
                (false, true) => "FUTIDX",
                (false, false) => "FUTSTK",
            }
        }
    }
}
