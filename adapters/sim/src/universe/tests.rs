use std::collections::HashSet;

use super::*;

fn universe() -> Universe {
    Universe::new(Date::new(2025, 12, 1))
}

#[test]
fn at_least_two_thousand_instruments_trade_and_some_on_each_exchange() {
    let universe = universe();
    assert!(universe.instruments().len() >= 2_000, "{}", universe.instruments().len());
    for exchange in EXCHANGES {
        assert!(
            universe.instruments().iter().any(|instrument| instrument.exchange == exchange),
            "no instrument on {exchange}"
        );
    }
}

#[test]
fn names_that_people_try_first_are_there() {
    let universe = universe();
    let names = [
        ("NSE", "RELIANCE"),
        ("NSE", "M&M"),
        ("NSE", "BAJAJ-AUTO"),
        ("BSE", "SBIN"),
        ("NSE_INDEX", "NIFTY"),
        ("NSE_INDEX", "INDIAVIX"),
        ("BSE_INDEX", "SENSEX"),
        ("CRYPTO", "SOL_INR"),
        ("NFO", "NIFTY30DEC25FUT"),
        ("NFO", "NIFTY27JAN26FUT"),
        ("NFO", "NIFTY02DEC2526000CE"),
        ("NFO", "NIFTY09DEC2525950PE"),
        ("NFO", "BANKNIFTY30DEC2558500PE"),
        ("NFO", "SBIN30DEC25890CE"),
        ("BFO", "SENSEX04DEC2585000CE"),
        ("MCX", "CRUDEOIL19DEC25FUT"),
        ("CDS", "USDINR26DEC25FUT"),
    ];
    for (exchange, symbol) in names {
        assert!(universe.find(exchange, symbol).is_some(), "{exchange}:{symbol} is missing");
    }
    assert!(universe.find("NSE", "NIFTY").is_none());
    assert!(universe.find("nse", "SBIN").is_none());
}

#[test]
fn every_name_is_found_once_and_leads_to_its_instrument() {
    let universe = universe();
    let mut seen = HashSet::new();
    for (position, instrument) in universe.instruments().iter().enumerate() {
        assert!(seen.insert(instrument.name()), "{} stands there twice", instrument.name());
        let (found, same) = universe.find(instrument.exchange, &instrument.symbol).expect("listed");
        assert_eq!((found, same), (position, instrument));
    }
}

#[test]
fn names_are_plain_and_values_are_usable() {
    for instrument in universe().instruments() {
        let name = instrument.name();
        assert!(
            instrument
                .symbol
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"&-_".contains(&byte)),
            "{name}"
        );
        assert!(instrument.tick > 0 && instrument.lot > 0, "{name}");
        assert!(instrument.spot.price >= instrument.tick * 20, "{name} is too cheap for its tick");
        if instrument.exchange != "CRYPTO" {
            assert!(!instrument.symbol.contains('_'), "{name}");
        }
    }
}

#[test]
fn the_same_date_gives_the_same_list() {
    assert_eq!(universe().instruments(), universe().instruments());
}

#[test]
fn a_name_that_is_taken_is_not_added_again() {
    let mut universe = universe();
    let again = universe.instruments()[0].clone();
    let before = universe.instruments().len();
    assert!(!universe.add(again));
    assert_eq!(universe.instruments().len(), before);
}

#[test]
fn a_chain_stands_on_the_price_of_its_underlying() {
    let universe = universe();
    let spot = |exchange, symbol| &universe.find(exchange, symbol).expect("listed").1.spot;
    assert_eq!(spot("NFO", "BANKNIFTY30DEC2558500PE"), spot("NSE_INDEX", "BANKNIFTY"));
    assert_eq!(spot("NFO", "SBIN30DEC25FUT"), spot("BSE", "SBIN"));
    assert_ne!(spot("MCX", "GOLD05DEC25FUT"), spot("MCX", "GOLDM05DEC25FUT"));
}
