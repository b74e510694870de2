//! Names that brokers have for what they trade.

use super::{Contract, day, month_of, write, write_cash};

/// OpenAlgo's name of what many brokers call `INFY-EQ`, `NIFTY26NOV26C26000`, `NIFTY26NOV26F` or
/// `GOLD05FEB27`, as they do in order updates. None where it is not of that kind: look up in the list whether
/// there is such an instrument.
///
/// ```
/// use adapter_sdk::symbol::of_trading_symbol;
///
/// assert_eq!(of_trading_symbol("NFO", "NIFTY26NOV26C26000").as_deref(), Some("NIFTY26NOV2626000CE"));
/// ```
pub fn of_trading_symbol(exchange: &str, theirs: &str) -> Option<String> {
    let mut name = String::new();
    if matches!(exchange, "NSE" | "BSE") {
        return write_cash(&mut name, exchange, theirs, "").then_some(name);
    }
    // The last day in it: what looks like one may stand in the underlying, and not in a strike.
    let (underlying, expiry, rest) = (0..theirs.len()).rev().find_map(|start| {
        let (underlying, dated) = theirs.split_at_checked(start)?;
        let (expiry, rest) = dated.split_at_checked("26NOV26".len())?;
        // What has digits alone may be a part of a strike.
        expiry.get(2..5).and_then(month_of)?;
        Some((underlying, day(expiry)?, rest))
    })?;
    let contract = match (rest, rest.split_at_checked(1)) {
        ("" | "F", _) => Contract::Future,
        (_, Some(("C", strike))) => Contract::Call { strike },
        (_, Some(("P", strike))) => Contract::Put { strike },
        _ => return None,
    };
    write(&mut name, underlying, expiry, contract).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_translated_where_they_can_be_read() {
        for (exchange, theirs, wanted) in [
            ("NSE", "INFY-EQ", Some("INFY")),
            ("NSE", "20MICRONS-BE", Some("20MICRONS-BE")),
            ("BSE", "INFY", Some("INFY")),
            ("NFO", "NIFTY26NOV26C26000", Some("NIFTY26NOV2626000CE")),
            ("NFO", "VEDL26NOV26P292.5", Some("VEDL26NOV26292.5PE")),
            ("NFO", "NIFTY26NOV26F", Some("NIFTY26NOV26FUT")),
            ("MCX", "GOLD05FEB27", Some("GOLD05FEB27FUT")),
            ("BFO", "SENSEX26D0480000CE", None),
            ("NFO", "", None),
            ("NFO", "é", None),
        ] {
            assert_eq!(of_trading_symbol(exchange, theirs).as_deref(), wanted, "{theirs}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}", exchange in "NSE|NFO|X") {
            let _any = of_trading_symbol(&exchange, &text);
        }
    }
}
