//! The symbol master: a file for each kind of segment, as CSV without a header.

use std::fmt::Write as _;

use adapter_time::ist::unix_seconds_of;

use super::names::{fytoken, number, segment_of, ticker};
use crate::{
    model::{decimal, now_ns},
    universe::{Date, Instrument, Kind, Universe},
};

/// Names of the files.
const FILES: [&str; 7] = ["NSE_CM", "NSE_FO", "NSE_CD", "NSE_COM", "BSE_CM", "BSE_FO", "MCX_COM"];

/// A file by its name; none when there is none.
pub(super) fn csv(universe: &Universe, name: &str) -> Option<String> {
    FILES.contains(&name).then(|| {
        let mut csv = String::new();
        for one in universe.all() {
            if segment_of(one).is_some_and(|segment| segment.file == name) {
                row(universe, &mut csv, one);
            }
        }
        csv
    })
}

fn row(universe: &Universe, csv: &mut String, one: &Instrument) {
    let (Some(segment), Some(fytoken), Some(ticker)) = (segment_of(one), fytoken(one), ticker(one)) else {
        return;
    };
    let under = underlying(universe, one);
    let exchange = segment.digits / 100;
    let is_option = matches!(one.kind, Kind::Call | Kind::Put);
    let strike = if is_option { point(&decimal(one.strike)) } else { "-1.0".to_owned() };
    let right = match one.kind {
        Kind::Call => "CE",
        Kind::Put => "PE",
        _ => "XX",
    };
    // In these segments it is one, whatever a contract is of.
    let lot = if matches!(one.exchange, "CDS" | "MCX" | "NCO") { 1 } else { one.lot };
    let (under_number, under_token) = match under {
        Some(under) => (number(under).to_string(), fytokens(under)),
        None if one.expiry.is_some() => ("0".to_owned(), String::new()),
        None => (number(one).to_string(), String::new()),
    };
    // Writing to a string cannot fail.
    _ = writeln!(
        csv,
        "{fytoken},{},{},{lot},{},{},{},{},{},{ticker},{exchange},{},{},{},{under_number},{strike},{right},{under_token},\
         None,0,0.0",
        description(one),
        kind(one),
        decimal(one.tick),
        if one.kind == Kind::Share { format!("IN9{:09}", one.number) } else { String::new() },
        session(one),
        Date::at(now_ns() / 1_000_000_000),
        one.expiry.map(|day| closing(one, day).to_string()).unwrap_or_default(),
        segment.digits % 100,
        number(one),
        one.name,
    );
}

fn fytokens(one: &Instrument) -> String {
    fytoken(one).unwrap_or_default()
}

/// Numbers of this list have a place behind the point at least.
fn point(decimal: &str) -> String {
    if decimal.contains('.') { decimal.to_owned() } else { format!("{decimal}.0") }
}

/// The index or the share that a derivative is of, where it is one of this list.
fn underlying<'a>(universe: &'a Universe, one: &Instrument) -> Option<&'a Instrument> {
    one.expiry?;
    let exchange = if one.exchange == "BFO" { "BSE" } else { "NSE" };
    let place = universe
        .place(&format!("{exchange}_INDEX"), &one.name)
        .or_else(|| universe.place(exchange, &one.name))?;
    universe.all().get(place)
}

/// `NIFTY 29 Sep 26 29200 CE`.
fn description(one: &Instrument) -> String {
    let Some(day) = one.expiry else {
        return if one.kind == Kind::Index { one.name.clone() } else { format!("{} LIMITED", one.name) };
    };
    let (year, _, number) = day.civil();
    let month = day.month_name();
    let (first, rest) = month.split_at_checked(1).unwrap_or((month, ""));
    let day = format!("{number:02} {first}{} {:02}", rest.to_lowercase(), year % 100);
    match one.kind {
        Kind::Call => format!("{} {day} {} CE", one.name, decimal(one.strike)),
        Kind::Put => format!("{} {day} {} PE", one.name, decimal(one.strike)),
        _ => format!("{} {day} FUT", one.name),
    }
}

/// When a contract ends on its last day, in seconds since the Unix epoch.
fn closing(one: &Instrument, day: Date) -> i64 {
    let (hour, minute): (u32, u32) = match one.exchange {
        "CDS" => (12, 30),
        "MCX" | "NCO" => (23, 30),
        _ => (15, 40),
    };
    unix_seconds_of(day.0, hour * 3_600 + minute * 60)
}

fn session(one: &Instrument) -> &'static str {
    match one.exchange {
        "CDS" => "0900-1700:",
        "MCX" | "NCO" => "0900-2330:",
        "NFO" | "BFO" => "0915-1540|1815-1915:",
        _ => "0915-1530|1815-1915:",
    }
}

/// The broker's number for what an instrument is.
fn kind(one: &Instrument) -> u8 {
    let is_option = matches!(one.kind, Kind::Call | Kind::Put);
    match (one.kind, one.exchange) {
        (Kind::Index, _) => 10,
        (Kind::Share, "NSE") if one.name.ends_with("BEES") => 9,
        (Kind::Share, _) => 0,
        (_, "CDS") => 16 + if is_option { 3 } else { 0 },
        (_, "MCX" | "NCO") => 30 + u8::from(is_option),
        _ => {
            let is_index = matches!(one.name.as_str(), "NIFTY" | "BANKNIFTY" | "SENSEX" | "BANKEX");
            match (is_option, is_index) {
                (false, true) => 11,
                (false, false) => 13,
                (true, true) => 14,
                (true, false) => 15,
            }
        }
    }
}
