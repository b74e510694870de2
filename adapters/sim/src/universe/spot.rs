//! Shares, indices and crypto pairs: what has a price of its own.

use super::{Instrument, Kind, Spot, from_paise};
use crate::market::random;

/// Names and prices; the data's own comments describe it.
const EQUITIES: &str = include_str!("equities.txt");

/// The line after which a share trades on NSE only.
const END_OF_BSE: &str = "# Middle-sized";

/// Exchange, symbol, value in hundredths, scale of one step in parts per billion.
const INDICES: [(&str, &str, i64, i64); 33] = [
    ("NSE_INDEX", "NIFTY", 2_600_000, 60_000),
    ("NSE_INDEX", "BANKNIFTY", 5_850_000, 70_000),
    ("NSE_INDEX", "FINNIFTY", 2_740_000, 70_000),
    ("NSE_INDEX", "MIDCPNIFTY", 1_380_000, 80_000),
    ("NSE_INDEX", "NIFTYNXT50", 6_950_000, 80_000),
    ("NSE_INDEX", "INDIAVIX", 1_325, 900_000),
    ("NSE_INDEX", "NIFTY100", 2_660_000, 60_000),
    ("NSE_INDEX", "NIFTY200", 1_450_000, 60_000),
    ("NSE_INDEX", "NIFTY500", 2_390_000, 60_000),
    ("NSE_INDEX", "NIFTYALPHA50", 5_000_000, 90_000),
    ("NSE_INDEX", "NIFTYAUTO", 2_750_000, 90_000),
    ("NSE_INDEX", "NIFTYCOMMODITIES", 945_000, 80_000),
    ("NSE_INDEX", "NIFTYCONSUMPTION", 1_230_000, 70_000),
    ("NSE_INDEX", "NIFTYENERGY", 3_580_000, 80_000),
    ("NSE_INDEX", "NIFTYFMCG", 5_550_000, 60_000),
    ("NSE_INDEX", "NIFTYINFRA", 945_000, 80_000),
    ("NSE_INDEX", "NIFTYIT", 3_650_000, 90_000),
    ("NSE_INDEX", "NIFTYMEDIA", 147_500, 100_000),
    ("NSE_INDEX", "NIFTYMETAL", 1_040_000, 100_000),
    ("NSE_INDEX", "NIFTYPHARMA", 2_240_000, 80_000),
    ("NSE_INDEX", "NIFTYPSE", 995_000, 80_000),
    ("NSE_INDEX", "NIFTYPSUBANK", 845_000, 100_000),
    ("NSE_INDEX", "NIFTYPVTBANK", 2_840_000, 80_000),
    ("NSE_INDEX", "NIFTYREALTY", 93_500, 110_000),
    ("BSE_INDEX", "SENSEX", 8_500_000, 60_000),
    ("BSE_INDEX", "BANKEX", 6_560_000, 70_000),
    ("BSE_INDEX", "SENSEX50", 2_720_000, 60_000),
    ("MCX_INDEX", "MCXBULLDEX", 2_950_000, 80_000),
    ("MCX_INDEX", "MCXMETLDEX", 1_900_000, 80_000),
    ("GLOBAL_INDEX", "GIFTNIFTY", 2_611_000, 60_000),
    ("GLOBAL_INDEX", "HANGSENG", 2_580_000, 80_000),
    ("GLOBAL_INDEX", "JAPAN225", 4_950_000, 80_000),
    ("GLOBAL_INDEX", "US30", 4_660_000, 50_000),
];

/// Symbol and price in hundredths.
const CRYPTO: [(&str, i64); 20] = [
    ("BTC_INR", 825_000_000),
    ("ETH_INR", 27_500_000),
    ("SOL_INR", 1_230_000),
    ("XRP_INR", 19_500),
    ("BNB_INR", 7_650_000),
    ("DOGE_INR", 1_410),
    ("ADA_INR", 4_150),
    ("MATIC_INR", 1_850),
    ("LTC_INR", 760_000),
    ("USDT_INR", 9_050),
    ("BTC_USDT", 9_150_000),
    ("ETH_USDT", 305_000),
    ("SOL_USDT", 13_650),
    ("XRP_USDT", 215),
    ("BNB_USDT", 84_500),
    ("AVAX_USDT", 1_410),
    ("LINK_USDT", 1_290),
    ("DOT_USDT", 540),
    ("LTC_USDT", 8_450),
    ("TRX_INR", 2_600),
];

/// The instruments of this module.
pub(super) fn instruments() -> impl Iterator<Item = Instrument> {
    equities().chain(indices()).chain(crypto())
}

fn equities() -> impl Iterator<Item = Instrument> {
    let (on_both, _) = EQUITIES.split_once(END_OF_BSE).unwrap_or((EQUITIES, ""));
    let of = |exchange| move |(symbol, paise)| equity(exchange, symbol, paise);
    parse(EQUITIES).map(of("NSE")).chain(parse(on_both).map(of("BSE")))
}

/// Tickers with their prices in hundredths.
fn parse(list: &str) -> impl Iterator<Item = (&str, i64)> {
    list.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_ascii_whitespace).map(|entry| {
        match entry.split_once('=') {
            Some((symbol, price)) => (symbol, price.replace('.', "").parse().unwrap_or(10_000)),
            None => (entry, price_from_name(entry)),
        }
    })
}

/// Some price in hundredths, from 20.00 to about 5,000.00; small ones are the more frequent ones.
fn price_from_name(symbol: &str) -> i64 {
    let number = random::mix(random::hash(symbol));
    let paise = 2_000 + random::reduce(number, 100_000) * (1 + random::reduce(random::mix(number), 5));
    paise - paise % 5
}

fn equity(exchange: &'static str, symbol: &str, paise: i64) -> Instrument {
    Instrument {
        exchange,
        symbol: symbol.to_owned(),
        kind: Kind::Equity,
        tick: from_paise(5),
        lot: 1,
        spot: Spot {
            // The share's path at BSE is that at NSE: one company, two venues.
            name: format!("NSE:{symbol}"),
            price: from_paise(paise),
            step_ppb: 150_000,
            volatility_permille: 280,
        },
    }
}

fn indices() -> impl Iterator<Item = Instrument> {
    INDICES.into_iter().map(|(exchange, symbol, value, step_ppb)| Instrument {
        exchange,
        symbol: symbol.to_owned(),
        kind: Kind::Index,
        tick: from_paise(1),
        lot: 1,
        spot: Spot {
            name: format!("{exchange}:{symbol}"),
            price: from_paise(value),
            step_ppb,
            volatility_permille: 130,
        },
    })
}

fn crypto() -> impl Iterator<Item = Instrument> {
    CRYPTO.into_iter().map(|(symbol, paise)| Instrument {
        exchange: "CRYPTO",
        symbol: symbol.to_owned(),
        kind: Kind::Crypto,
        tick: from_paise(1),
        lot: 1,
        spot: Spot {
            name: format!("CRYPTO:{symbol}"),
            price: from_paise(paise),
            step_ppb: 250_000,
            volatility_permille: 600,
        },
    })
}
