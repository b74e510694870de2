//! The compact list of instruments, as CSV.

use std::fmt::Write as _;

use super::packet;
use crate::{
    model::{PRICE_SCALE, decimal},
    universe::{Instrument, Kind, Universe},
};

const HEAD: &str = "SEM_EXM_EXCH_ID,SEM_SEGMENT,SEM_SMST_SECURITY_ID,SEM_INSTRUMENT_NAME,SEM_EXPIRY_CODE,\
                    SEM_TRADING_SYMBOL,SEM_LOT_UNITS,SEM_CUSTOM_SYMBOL,SEM_EXPIRY_DATE,SEM_STRIKE_PRICE,\
                    SEM_OPTION_TYPE,SEM_TICK_SIZE,SEM_EXPIRY_FLAG,SEM_EXCH_INSTRUMENT_TYPE,SEM_SERIES,SM_SYMBOL_NAME\n";

/// Added to the number of a share for that of its other series.
const OTHER_SERIES: u32 = 700_000;

/// The list.
pub(super) fn compact(universe: &Universe) -> String {
    let mut csv = String::with_capacity(HEAD.len() + universe.all().len() * 120);
    csv.push_str(HEAD);
    for one in universe.all().iter().filter(|one| packet::segment(one).is_some()) {
        match one.kind {
            Kind::Index => index(&mut csv, one),
            Kind::Share => shares(&mut csv, one),
            _ => derivative(&mut csv, one),
        }
    }
    csv
}

fn index(csv: &mut String, one: &Instrument) {
    let Some((name, number)) = packet::index(one) else { return };
    let exchange = one.exchange.trim_end_matches("_INDEX");
    // Writing to a string cannot fail.
    _ = writeln!(
        csv,
        "{exchange},I,{number},INDEX,0,{name},1.0,{},0001-01-01,,XX,0.0500,,INDEX,X,{name}",
        one.name
    );
}

/// A share, and under the same symbol a series of it in which hardly anybody trades.
fn shares(csv: &mut String, one: &Instrument) {
    let (exchange, symbol, number) = (one.exchange, &one.symbol, one.number);
    let mut row = |number: u32, series: &str| {
        _ = writeln!(
            csv,
            "{exchange},E,{number},EQUITY,0,{symbol},1.0,{symbol} Industries,,,,{},NA,ES,{series},{symbol} LTD",
            tick(one),
        );
    };
    if exchange == "BSE" {
        return row(number, "A");
    }
    // Neither is always the first of the two.
    let is_first = number % 2 == 0;
    if is_first {
        row(OTHER_SERIES + number, "BL");
    }
    row(number, "EQ");
    if !is_first {
        row(OTHER_SERIES + number, "BL");
    }
}

fn derivative(csv: &mut String, one: &Instrument) {
    let Some(expiry) = one.expiry else { return };
    let (exchange, segment) = match one.exchange {
        "NFO" => ("NSE", "D"),
        "BFO" => ("BSE", "D"),
        "CDS" => ("NSE", "C"),
        "BCD" => ("BSE", "C"),
        _ => ("MCX", "M"),
    };
    let (year, _, day) = expiry.civil();
    let (name, month) = (&one.name, expiry.month_name());
    let titled =
        month.get(..1).unwrap_or_default().to_owned() + &month.get(1..).unwrap_or_default().to_lowercase();
    let strike = decimal(one.strike);
    let (right, word) = match one.kind {
        Kind::Call => ("CE", "CALL"),
        Kind::Put => ("PE", "PUT"),
        _ => ("XX", "FUT"),
    };
    // The first of these is the same for all expiries in a month; the second has no year.
    let (trading, custom, strike) = if right == "XX" {
        (format!("{name}-{titled}{year}-FUT"), format!("{name} {month} FUT"), "-0.01000".to_owned())
    } else {
        let trading = format!("{name}-{titled}{year}-{strike}-{right}");
        let places = one.strike % PRICE_SCALE / 10_000;
        (
            trading,
            format!("{name} {day:02} {month} {strike} {word}"),
            format!("{}.{places:05}", one.strike / PRICE_SCALE),
        )
    };
    let time = if segment == "M" { "23:30:00" } else { "14:30:00" };
    let flag = if expiry.is_last_in_month() { "M" } else { "W" };
    let kind = kind(one, segment);
    let (its_kind, mnemonic) = match (right, segment) {
        ("XX", "M") => (kind, name.as_str()),
        ("XX", _) => (kind, ""),
        (_, "M") => ("OP", name.as_str()),
        _ => ("OP", ""),
    };
    _ = writeln!(
        csv,
        "{exchange},{segment},{},{kind},{},{trading},{}.0,{custom},{} {time},{strike},{right},{},{flag},{its_kind},,{mnemonic}",
        one.number,
        i32::from(segment == "M"),
        one.lot,
        expiry,
        tick(one),
    );
}

/// In hundredths; in rupees where that would be less than one.
fn tick(one: &Instrument) -> String {
    let hundredths = one.tick * 100;
    let shown = if hundredths < PRICE_SCALE { one.tick } else { hundredths };
    format!("{}.{:04}", shown / PRICE_SCALE, shown % PRICE_SCALE / 100_000)
}

fn kind(one: &Instrument, segment: &str) -> &'static str {
    let is_option = matches!(one.kind, Kind::Call | Kind::Put);
    match (segment, is_option) {
        ("C", true) => "OPTCUR",
        ("C", false) => "FUTCUR",
        ("M", true) => "OPTFUT",
        ("M", false) => "FUTCOM",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::universe::Date;

    #[test]
    fn rows_are_dhans() {
        let list = compact(&Universe::new(0, Date(20_783)));
        assert!(list.lines().all(|line| line.split(',').count() == 16));
        for row in [
            "NSE,I,13,INDEX,0,NIFTY,1.0,NIFTY 50,0001-01-01,,XX,0.0500,,INDEX,X,NIFTY",
            "NSE,I,21,INDEX,0,INDIA VIX,1.0,INDIA VIX,0001-01-01,,XX,0.0500,,INDEX,X,INDIA VIX",
            "NSE,E,2885,EQUITY,0,RELIANCE,1.0,RELIANCE Industries,,,,5.0000,NA,ES,EQ,RELIANCE LTD",
            "NSE,E,702885,EQUITY,0,RELIANCE,1.0,RELIANCE Industries,,,,5.0000,NA,ES,BL,RELIANCE LTD",
        ] {
            assert!(list.lines().any(|line| line == row), "{row}");
        }
        for part in [
            ",FUTIDX,0,NIFTY-Dec2030-FUT,75.0,NIFTY DEC FUT,2030-12-24 14:30:00,-0.01000,XX,5.0000,W,FUTIDX,,",
            ",OPTSTK,0,POWERGRID-Dec2030-312.5-PE,1900.0,POWERGRID 24 DEC 312.5 PUT,2030-12-24 14:30:00,312.50000,PE,5.0000,W,OP,,",
            ",OPTCUR,0,USDINR-Dec2030-85.25-CE,1000.0,USDINR 24 DEC 85.25 CALL,2030-12-24 14:30:00,85.25000,CE,0.0025,W,OP,,",
            ",FUTCOM,1,CRUDEOIL-Dec2030-FUT,100.0,CRUDEOIL DEC FUT,2030-12-24 23:30:00,-0.01000,XX,100.0000,W,FUTCOM,,CRUDEOIL",
        ] {
            assert!(list.contains(part), "{part}");
        }
        assert!(!list.contains("MCXBULLDEX"));
        // Numbers are unique in their segment.
        let mut keys: Vec<(&str, &str, &str)> = list
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>())
            .map(|cells| (if cells[1] == "I" { "" } else { cells[0] }, cells[1], cells[2]))
            .collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
