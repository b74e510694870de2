//! What instruments are called, and the files of the list.

use serde_json::{Value, json};

use crate::{
    model::decimal,
    universe::{Instrument, Kind, Universe, angel_index},
};

/// Segments with their numbers, and the exchanges of which they are.
const SEGMENTS: [(&str, u16, &str, &str); 6] = [
    ("NSECM", 1, "NSE", "NSE_INDEX"),
    ("NSEFO", 2, "NFO", ""),
    ("NSECD", 3, "CDS", ""),
    ("BSECM", 11, "BSE", "BSE_INDEX"),
    ("BSEFO", 12, "BFO", ""),
    ("MCXFO", 51, "MCX", ""),
];

/// Segment and number; none for what does not trade at the broker.
pub(super) fn name(one: &Instrument) -> Option<(u16, u32)> {
    let segment = SEGMENTS.iter().find(|segment| segment.2 == one.exchange || segment.3 == one.exchange)?.1;
    let number = match (one.kind, segment) {
        (Kind::Index, 1) => angel_index(&one.name)?.1 % 100_000,
        (Kind::Index, _) => match one.symbol.as_str() {
            "SENSEX" => 1,
            "BANKEX" => 12,
            _ => 47,
        },
        _ => one.number,
    };
    Some((segment, number))
}

/// What instruments of a segment and a number are known by here.
pub(super) fn key_of(segment: u64, number: u64) -> u64 {
    (segment << 32) | number
}

pub(super) fn key(one: &Instrument) -> Option<u64> {
    let (segment, number) = name(one)?;
    Some(key_of(segment.into(), number.into()))
}

/// Instruments of a segment, indices or others.
fn of(universe: &Universe, wanted: u64, is_index: bool) -> impl Iterator<Item = (&Instrument, u32)> {
    universe.all().iter().filter_map(move |one| {
        let (segment, number) = name(one)?;
        (u64::from(segment) == wanted && (one.kind == Kind::Index) == is_index).then_some((one, number))
    })
}

/// The rows of a segment; none when there is no such segment.
pub(super) fn master(universe: &Universe, segment: &str) -> Option<String> {
    let (name, number, ..) = SEGMENTS.iter().find(|known| known.0 == segment)?;
    let rows = of(universe, (*number).into(), false).map(|(one, number)| row(name, one, number));
    Some(rows.collect::<Vec<_>>().join("\n"))
}

fn row(segment: &str, one: &Instrument, number: u32) -> String {
    let (name, tick, lot) = (&one.name, decimal(one.tick), one.lot);
    let is_index = name.contains("NIFTY") || one.exchange == "BFO";
    let of = match one.exchange {
        "CDS" => "CUR",
        "MCX" => "COM",
        _ if is_index => "IDX",
        _ => "STK",
    };
    let common = |kind: u8, description: &str, series: &str| {
        format!(
            "{segment}|{number}|{kind}|{name}|{description}|{series}|{name}-{series}|1100{number}|0|0|100000|{tick}|{lot}|1"
        )
    };
    let expiry = one.expiry.map(|day| format!("{day}T14:30:00")).unwrap_or_default();
    match one.kind {
        Kind::Future => {
            let begin = common(1, &one.symbol, &format!("FUT{of}"));
            format!("{begin}|-1|{name}|{expiry}|{name} FUT|1|1|{}", one.symbol)
        }
        Kind::Call | Kind::Put => {
            let begin = common(2, &one.symbol, &format!("OPT{of}"));
            let (strike, option) = (decimal(one.strike), if one.kind == Kind::Call { 3 } else { 4 });
            format!("{begin}|-1|{name}|{expiry}|{strike}|{option}|{name} {strike}|1|1|{}", one.symbol)
        }
        Kind::Share | Kind::Index => {
            let series = if one.exchange == "BSE" { "A" } else { "EQ" };
            let begin = common(8, &format!("{name}-{series}"), series);
            format!("{begin}|{name}|INE000A00000|1|1|A COMPANY, LIMITED|0|-1|-1")
        }
    }
}

/// The list of indices of a segment.
pub(super) fn indices(universe: &Universe, segment: u64) -> Value {
    let list: Vec<String> =
        of(universe, segment, true).map(|(one, number)| format!("{}_{number}", one.name)).collect();
    json!({ "exchangeSegment": segment, "indexList": list })
}
