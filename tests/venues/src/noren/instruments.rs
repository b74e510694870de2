//! The lists of instruments, in the form of each broker.

use std::{fmt::Write as _, io::Write as _};

use flate2::{Compression, Crc, write::DeflateEncoder};

use super::{Layout, Rules};
use crate::{
    model::{PRICE_SCALE, decimal},
    universe::{Instrument, Kind, Universe, angel_index},
};

/// Exchanges by their codes, whose places are a part of what instruments are known by here.
const EXCHANGES: [&str; 7] = ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX"];

/// What an instrument of an exchange and a token is known by.
pub(super) fn key_of(exchange: &str, token: u32) -> Option<u64> {
    let place = EXCHANGES.iter().position(|known| *known == exchange)?;
    Some((u64::try_from(place).ok()? << 32) | u64::from(token))
}

/// Exchange and token on the socket; none for what does not trade at the broker.
pub(super) fn name(rules: &Rules, one: &Instrument) -> Option<(&'static str, u32)> {
    let exchange = one.exchange.trim_end_matches("_INDEX");
    let token = match (one.kind, exchange, one.symbol.as_str()) {
        (Kind::Index, "NSE", _) => angel_index(&one.name)?.1 % 100_000,
        (Kind::Index, "BSE", "SENSEX") => 1,
        (Kind::Index, "BSE", "BANKEX") => 12,
        // The lists of most have no other index of BSE.
        (Kind::Index, "BSE", _) if rules.layout == Layout::Archives => return None,
        (Kind::Index, "BSE", _) => 47,
        (Kind::Index, ..) => return None,
        _ => one.number,
    };
    let is_served = exchange != "BCD" || rules.layout == Layout::Exchanges;
    let exchange = EXCHANGES.into_iter().find(|known| *known == exchange).filter(|_| is_served)?;
    Some((exchange, token))
}

pub(super) fn key(rules: &Rules, one: &Instrument) -> Option<u64> {
    let (exchange, token) = name(rules, one)?;
    key_of(exchange, token)
}

/// The broker's own symbol.
pub(super) fn theirs(one: &Instrument) -> String {
    let day = one.expiry.map(crate::Date::short).unwrap_or_default();
    let strike = decimal(one.strike);
    match (one.kind, one.exchange) {
        (Kind::Index, _) if one.symbol == "NIFTY" => "NIFTY INDEX".to_owned(),
        (Kind::Index, _) | (Kind::Share, "BSE") => one.name.clone(),
        (Kind::Share, _) => format!("{}-EQ", one.name),
        (Kind::Future, "MCX") => format!("{}{day}", one.name),
        (Kind::Future, _) => format!("{}{day}F", one.name),
        // At BSE the exchange's own form.
        (Kind::Call, "BFO") => format!("{}{day}{strike}CE", one.name),
        (Kind::Put, "BFO") => format!("{}{day}{strike}PE", one.name),
        (Kind::Call, _) => format!("{}{day}C{strike}", one.name),
        (Kind::Put, _) => format!("{}{day}P{strike}", one.name),
    }
}

/// What kind of thing it is, and what kind of option.
fn kinds(one: &Instrument) -> (String, &'static str) {
    let of = match one.exchange {
        "CDS" | "BCD" => "CUR",
        "MCX" if one.kind == Kind::Future => "COM",
        "MCX" => "FUT",
        _ if one.name.contains("NIFTY") || one.exchange == "BFO" => "IDX",
        _ => "STK",
    };
    match (one.kind, one.exchange) {
        (Kind::Index, "BSE_INDEX") => ("UNDIND".to_owned(), ""),
        (Kind::Index, _) => ("INDEX".to_owned(), ""),
        (Kind::Share, "BSE") => ("A".to_owned(), ""),
        (Kind::Share, _) => ("EQ".to_owned(), ""),
        (Kind::Future, _) => (format!("FUT{of}"), "XX"),
        (Kind::Call, _) => (format!("OPT{of}"), "CE"),
        (Kind::Put, _) => (format!("OPT{of}"), "PE"),
    }
}

/// A file of the list; none when the broker has no such file.
pub(super) fn file(rules: &Rules, universe: &Universe, file: &str) -> Option<Vec<u8>> {
    let its = |exchange: &'static str| {
        universe.all().iter().filter(move |one| name(rules, one).is_some_and(|(its, _)| its == exchange))
    };
    let exchange = |code: &str| EXCHANGES.into_iter().find(|known| *known == code);
    match rules.layout {
        Layout::Archives => {
            let code = exchange(file.strip_suffix("_symbols.txt.zip")?)?;
            // An index of BSE is served, and not listed.
            let listed = its(code).filter(|one| one.exchange != "BSE_INDEX");
            Some(zip(&format!("{code}_symbols.txt"), archive(rules, code, listed).as_bytes()))
        }
        Layout::Sheets => sheet(rules, universe, file).map(String::into_bytes),
        Layout::Places => {
            (file == "allmaster.zip").then(|| zip("allmaster.csv", places(rules, universe).as_bytes()))
        }
        Layout::Exchanges if file == "INDICES.csv" => {
            let mut text = "exch,symbol,token\n".to_owned();
            for one in universe.all().iter().filter(|one| one.kind == Kind::Index) {
                let Some((exchange, token)) = name(rules, one) else { continue };
                // Writing to a text cannot fail.
                _ = writeln!(text, "{exchange},{},999{token}", one.name);
            }
            Some(text.into_bytes())
        }
        Layout::Exchanges => {
            let code = exchange(file.strip_suffix(".csv")?)?;
            let listed = its(code).filter(|one| one.kind != Kind::Index);
            Some(exchanges(rules, code, listed).into_bytes())
        }
    }
}

fn archive<'a>(rules: &Rules, exchange: &str, listed: impl Iterator<Item = &'a Instrument>) -> String {
    let is_cash = matches!(exchange, "NSE" | "BSE");
    let mut text = match exchange {
        "NSE" | "BSE" => "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,\n",
        "BFO" => "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,StrikePrice,TickSize,\n",
        "CDS" => "Exchange,Token,LotSize,Precision,Multiplier,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n",
        "MCX" => "Exchange,Token,LotSize,GNGD,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n",
        _ => "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,\n",
    }
    .to_owned();
    if rules.name == "tradesmart" {
        text = text.replace("StrikePrice,", "Strike,");
    }
    for one in listed {
        let Some((_, token)) = name(rules, one) else { continue };
        let (kind, option) = kinds(one);
        let (lot, theirs, tick) = (one.lot, theirs(one), decimal(one.tick));
        _ = write!(text, "{exchange},{token},{lot},");
        match exchange {
            "CDS" => text.push_str("4,1,"),
            "MCX" => text.push_str("1,"),
            _ => {}
        }
        // The code of the product, at BSE.
        let symbol = if exchange == "BFO" {
            if one.kind == Kind::Future { "BSXFUT" } else { "BSXOPT" }
        } else {
            &one.name
        };
        let day = one.expiry.map(long_day).unwrap_or_default();
        _ = match (is_cash, exchange) {
            (true, _) => writeln!(text, "{symbol},{theirs},{kind},{tick},"),
            (_, "BFO") => writeln!(text, "{symbol},{theirs},{day},{kind},{},{tick},", strike(one)),
            _ => writeln!(text, "{symbol},{theirs},{day},{kind},{option},{},{tick},", strike(one)),
        };
    }
    text
}

fn strike(one: &Instrument) -> String {
    if one.strike == 0 { "0".to_owned() } else { format!("{:.2}", strike_of(one)) }
}

#[expect(clippy::cast_precision_loss, reason = "strikes are far below 2^53")]
fn strike_of(one: &Instrument) -> f64 {
    one.strike as f64 / PRICE_SCALE as f64
}

/// `24-DEC-2030`.
fn long_day(day: crate::Date) -> String {
    let (year, _, number) = day.civil();
    format!("{number:02}-{}-{year}", day.month_name())
}

fn sheet(rules: &Rules, universe: &Universe, file: &str) -> Option<String> {
    let is_index = |one: &Instrument| kinds(one).0.ends_with("IDX");
    let is_wanted: fn(&Instrument, bool) -> bool = match file {
        "NSE_Equity.csv" => |one, _| matches!(one.exchange, "NSE" | "NSE_INDEX"),
        "BSE_Equity.csv" => |one, _| matches!(one.exchange, "BSE" | "BSE_INDEX"),
        "Nfo_Equity_Derivatives.csv" => |one, is_index| one.exchange == "NFO" && !is_index,
        "Nfo_Index_Derivatives.csv" => |one, is_index| one.exchange == "NFO" && is_index,
        "Currency_Derivatives.csv" => |one, _| one.exchange == "CDS",
        "Commodity.csv" => |one, _| one.exchange == "MCX",
        // It is there, and has nothing in it but one row of nothing.
        "Bfo_Equity_Derivatives.csv" => |one, _| one.exchange == "BFO" && one.name == "BANKEX",
        "Bfo_Index_Derivatives.csv" => |one, _| one.exchange == "BFO" && one.name != "BANKEX",
        _ => return None,
    };
    let mut text =
        "Exchange,Token,Lotsize,Symbol,Tradingsymbol,Instrument,Expiry,Strike,Optiontype\n".to_owned();
    for one in universe.all().iter().filter(|one| is_wanted(one, is_index(one))) {
        let Some((exchange, token)) = name(rules, one) else { continue };
        let (kind, option) = kinds(one);
        let day = one.expiry.map(long_day).unwrap_or_default();
        let (lot, theirs) = (one.lot, theirs(one));
        _ = writeln!(
            text,
            "{exchange},{token},{lot},{},{theirs},{kind},{day},{:?},{option}",
            one.name,
            strike_of(one)
        );
    }
    Some(text)
}

/// Strikes are whole numbers, of which two more columns say what they are worth.
fn places(rules: &Rules, universe: &Universe) -> String {
    let mut text = String::new();
    for one in universe.all() {
        let Some((exchange, token)) = name(rules, one) else { continue };
        let (kind, option) = kinds(one);
        let kind = if one.kind == Kind::Index { "IDX" } else { &kind };
        let decimals = if exchange == "CDS" { 4 } else { 2 };
        let scale = PRICE_SCALE / 10_i64.pow(decimals);
        let day = one.expiry.map(|day| {
            let (year, month, number) = day.civil();
            // Written by a program that takes it for a number.
            format!("{number}{month:02}{year}")
        });
        let theirs = if one.kind == Kind::Index { one.name.clone() } else { theirs(one) };
        _ = writeln!(
            text,
            "{exchange},{token},{},{theirs},{kind},{},{},{},{option},{},{decimals},1,,1,A COMPANY",
            one.name,
            day.unwrap_or_default(),
            one.tick / scale,
            one.lot,
            one.strike / scale,
        );
    }
    text
}

fn exchanges<'a>(rules: &Rules, exchange: &str, listed: impl Iterator<Item = &'a Instrument>) -> String {
    let mut text =
        "Exch,Exchange Segment,Symbol,Token,Instrument Type,Option Type,Strike Price,Instrument Name,\
                    Formatted Ins Name,Trading Symbol,Group Name,Expiry Date,Lot Size,Tick Size\n"
            .to_owned();
    if exchange == "MCX" {
        text.push_str("MCX,mcx_idx,MCXBULLDEX,9993001,,,,MCXBULLDEX,MCXBULLDEX,MCXBULLDEX,,,1,1\n");
    }
    for one in listed {
        let Some((_, token)) = name(rules, one) else { continue };
        let (kind, option) = kinds(one);
        let is_share = one.kind == Kind::Share;
        let (kind, group) = if is_share { ("", kind.as_str()) } else { (kind.as_str(), "") };
        let option = if option == "XX" { "" } else { option };
        let day = one.expiry.map(|day| day.to_string()).unwrap_or_default();
        let (symbol, theirs, lot, tick) = (&one.name, theirs(one), one.lot, decimal(one.tick));
        // Numbers went through a program that made decimals of them.
        _ = writeln!(
            text,
            "{exchange},{}_{},{symbol},{token}.0,{kind},{option},{:?},{symbol},{symbol},{theirs},{group},{day},{lot},{tick}",
            exchange.to_lowercase(),
            if is_share { "cm" } else { "fo" },
            strike_of(one),
        );
    }
    text
}

/// An archive of one file.
fn zip(name: &str, text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail.
    let packed = encoder.write_all(text).and_then(|()| encoder.finish()).unwrap_or_default();
    let mut crc = Crc::new();
    crc.update(text);
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_le_bytes();
    // Version, flags, method, time, date; checksum, both sizes; lengths of the name and of what else is said.
    let common = [
        &[20, 0, 0, 0, 8, 0, 0, 0, 0x21, 0x5c][..],
        &crc.sum().to_le_bytes(),
        &length(packed.len()),
        &length(text.len()),
        &short(name.len()),
        &[0, 0],
    ]
    .concat();
    let local = [b"PK\x03\x04", common.as_slice(), name.as_bytes(), &packed].concat();
    let central = [b"PK\x01\x02\x14\x00", common.as_slice(), &[0; 14], name.as_bytes()].concat();
    let ends = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &length(central.len())[..], &length(local.len()), &[0, 0]]
        .concat();
    [local, central, ends].concat()
}
