//! Keys of instruments, and the list.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use crate::{
    model::decimal,
    universe::{Instrument, Kind, Universe, angel_index},
};

/// Our exchanges with the broker's segments, whose places are a part of what instruments are known by here.
pub(super) const SEGMENTS: [(&str, &str); 10] = [
    ("NSE", "NSE_EQ"),
    ("BSE", "BSE_EQ"),
    ("NFO", "NSE_FO"),
    ("BFO", "BSE_FO"),
    ("CDS", "NCD_FO"),
    ("BCD", "BCD_FO"),
    ("MCX", "MCX_FO"),
    ("NCO", "NSE_COM"),
    ("NSE_INDEX", "NSE_INDEX"),
    ("BSE_INDEX", "BSE_INDEX"),
];

fn place(one: &Instrument) -> Option<usize> {
    SEGMENTS.iter().position(|(exchange, _)| *exchange == one.exchange)
}

/// What an instrument is known by here; none for what does not trade at the broker.
pub(super) fn key(one: &Instrument) -> Option<u64> {
    Some((u64::try_from(place(one)?).ok()? << 32) | u64::from(one.number))
}

/// The broker's key. A share has its ISIN in it, an index its name.
pub(super) fn name(one: &Instrument) -> Option<String> {
    let (_, segment) = SEGMENTS.get(place(one)?)?;
    Some(match one.kind {
        Kind::Share => format!("{segment}|{}", isin(one.number)),
        Kind::Index => format!("{segment}|{}", index(one)),
        _ => format!("{segment}|{}", one.number),
    })
}

fn isin(number: u32) -> String {
    format!("INE{number:06}A01")
}

fn index(one: &Instrument) -> &str {
    match one.exchange {
        "NSE_INDEX" => angel_index(&one.name).map_or(&*one.symbol, |(name, _)| name),
        _ => &one.symbol,
    }
}

/// The place in a universe of what has this key.
pub(super) fn find(universe: &Universe, by_key: impl Fn(u64) -> Option<usize>, text: &str) -> Option<usize> {
    let (segment, name_of) = text.split_once('|')?;
    let place = SEGMENTS.iter().position(|(_, known)| *known == segment)?;
    if segment.ends_with("_INDEX") {
        // They come first.
        let mut all = universe.all().iter();
        return all.position(|one| one.kind == Kind::Index && name(one).as_deref() == Some(text));
    }
    let number: u32 = match name_of.strip_prefix("INE") {
        Some(isin) => isin.strip_suffix("A01")?.parse().ok()?,
        None => name_of.parse().ok()?,
    };
    let found = by_key((u64::try_from(place).ok()? << 32) | u64::from(number))?;
    universe.all().get(found).and_then(name).filter(|known| known == text).map(|_| found)
}

fn row(one: &Instrument) -> Option<String> {
    let key = name(one)?;
    let (segment, _) = key.split_once('|')?;
    let name = &one.name;
    let exchange = match one.exchange {
        "NFO" | "CDS" | "NCO" | "NSE_INDEX" => "NSE",
        "BFO" | "BCD" | "BSE_INDEX" => "BSE",
        other => other,
    };
    let of = |kind: &str| {
        let day = one.expiry.map(crate::Date::short).unwrap_or_default();
        let parts = [day.get(..2)?, day.get(2..5)?, day.get(5..)?].join(" ");
        let strike = if one.strike == 0 { String::new() } else { format!("{} ", decimal(one.strike)) };
        Some(format!("{} {strike}{kind} {parts}", one.name))
    };
    let (kind, symbol) = match one.kind {
        Kind::Index => ("INDEX", one.symbol.clone()),
        Kind::Share if one.exchange == "NSE" => ("EQ", one.symbol.clone()),
        Kind::Share => ("A", one.symbol.clone()),
        Kind::Future => ("FUT", of("FUT")?),
        Kind::Call => ("CE", of("CE")?),
        Kind::Put => ("PE", of("PE")?),
    };
    let more = match one.expiry {
        // Up to the last second of the day in India.
        Some(day) => format!(
            r#","expiry":{},"strike_price":{},"underlying_symbol":"{name}","asset_symbol":"{name}","weekly":false"#,
            day.0 * 86_400_000 + 66_599_000,
            decimal(one.strike),
        ),
        None if one.kind == Kind::Share => format!(r#","isin":"{}","short_name":"{name}""#, isin(one.number)),
        None => String::new(),
    };
    // No name has anything that JSON would write in another way; a tick is in paise.
    Some(format!(
        r#"{{"segment":"{segment}","name":"{name}","exchange":"{exchange}","instrument_type":"{kind}","instrument_key":"{key}","exchange_token":"{}","lot_size":{},"freeze_quantity":100000.0,"tick_size":{},"trading_symbol":"{symbol}"{more}}}"#,
        one.number,
        one.lot,
        decimal(one.tick * 100),
    ))
}

/// The list, packed.
pub(super) fn list(universe: &Universe) -> std::io::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let mut separator = "[";
    for row in universe.all().iter().filter_map(row) {
        write!(packed, "{separator}{row}")?;
        separator = ",";
    }
    packed.write_all(if separator == "[" { b"[]" } else { b"]" })?;
    packed.finish()
}
