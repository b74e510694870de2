//! How Fyers names what trades: tickers, fytokens and topics.

use std::collections::HashMap;

use crate::{
    model::decimal,
    universe::{Date, Instrument, Kind, Universe},
};

/// A kind of segment of an exchange.
#[derive(Debug)]
pub(super) struct Segment {
    /// Exchange code of the clients.
    exchange: &'static str,
    /// The first four digits of its fytokens.
    pub digits: u16,
    /// Its name in topics.
    pub name: &'static str,
    /// What its tickers begin with.
    prefix: &'static str,
    /// File of the symbol master that lists it.
    pub file: &'static str,
    /// Decimal places of its prices, before the multiplier.
    pub precision: u8,
    /// What prices are multiplied with besides.
    pub multiplier: u16,
}

const fn segment(
    exchange: &'static str,
    digits: u16,
    name: &'static str,
    prefix: &'static str,
    file: &'static str,
    (precision, multiplier): (u8, u16),
) -> Segment {
    Segment { exchange, digits, name, prefix, file, precision, multiplier }
}

/// All of them. The broker has no list of BSE's currencies and no index of MCX. Most prices have two places;
/// the others differ so that nobody gets by with dividing by a hundred.
const SEGMENTS: [Segment; 9] = [
    segment("NSE", 1010, "nse_cm", "NSE", "NSE_CM", (2, 1)),
    segment("NSE_INDEX", 1010, "nse_cm", "NSE", "NSE_CM", (2, 1)),
    segment("BSE", 1210, "bse_cm", "BSE", "BSE_CM", (2, 1)),
    segment("BSE_INDEX", 1210, "bse_cm", "BSE", "BSE_CM", (2, 1)),
    segment("NFO", 1011, "nse_fo", "NSE", "NSE_FO", (2, 1)),
    segment("BFO", 1211, "bse_fo", "BSE", "BSE_FO", (2, 1)),
    segment("CDS", 1012, "cde_fo", "NSE", "NSE_CD", (2, 100)),
    segment("NCO", 1020, "nse_com", "NSE", "NSE_COM", (0, 100)),
    segment("MCX", 1120, "mcx_fo", "MCX", "MCX_COM", (2, 1)),
];

impl Segment {
    /// Units of a price of 1.
    pub(super) fn divisor(&self) -> i64 {
        10_i64.pow(u32::from(self.precision)) * i64::from(self.multiplier)
    }
}

/// Indices: exchange, the clients' symbol, ticker, number, and the name in topics, which follows no rule.
const INDICES: [(&str, &str, &str, u32, &str); 9] = [
    ("NSE_INDEX", "NIFTY", "NSE:NIFTY50-INDEX", 26_000, "Nifty 50"),
    ("NSE_INDEX", "BANKNIFTY", "NSE:NIFTYBANK-INDEX", 26_009, "Nifty Bank"),
    ("NSE_INDEX", "FINNIFTY", "NSE:FINNIFTY-INDEX", 26_037, "Nifty Fin Service"),
    ("NSE_INDEX", "MIDCPNIFTY", "NSE:MIDCPNIFTY-INDEX", 26_074, "NIFTY MID SELECT"),
    ("NSE_INDEX", "INDIAVIX", "NSE:INDIAVIX-INDEX", 26_017, "India VIX"),
    ("NSE_INDEX", "NIFTYNXT50", "NSE:NIFTYNXT50-INDEX", 26_013, "Nifty Next 50"),
    ("BSE_INDEX", "SENSEX", "BSE:SENSEX-INDEX", 1, "SENSEX"),
    ("BSE_INDEX", "BANKEX", "BSE:BANKEX-INDEX", 12, "BANKEX"),
    ("BSE_INDEX", "SENSEX50", "BSE:SNSX50-INDEX", 47, "SNSX50"),
];

type Index = &'static (&'static str, &'static str, &'static str, u32, &'static str);

fn index(one: &Instrument) -> Option<Index> {
    INDICES.iter().find(|index| (index.0, index.1) == (one.exchange, one.symbol.as_str()))
}

/// The segment of an instrument; none when it does not trade here.
pub(super) fn segment_of(one: &Instrument) -> Option<&'static Segment> {
    let segment = SEGMENTS.iter().find(|segment| segment.exchange == one.exchange)?;
    (one.kind != Kind::Index || index(one).is_some()).then_some(segment)
}

/// The exchange's number.
pub(super) fn number(one: &Instrument) -> u32 {
    index(one).map_or(one.number, |index| index.3)
}

/// Digits of a segment and number in one.
pub(super) const fn key(digits: u16, number: u32) -> u64 {
    (digits as u64) << 32 | number as u64
}

/// `10100000003045`: segment, expiry, number.
pub(super) fn fytoken(one: &Instrument) -> Option<String> {
    let expiry = one.expiry.map_or_else(
        || "000000".to_owned(),
        |day| {
            let (year, month, day) = day.civil();
            format!("{:02}{month:02}{day:02}", year % 100)
        },
    );
    Some(format!("{}{expiry}{}", segment_of(one)?.digits, number(one)))
}

/// What Fyers calls an instrument, such as `NSE:SBIN-EQ`; none when it does not trade there.
pub fn ticker(one: &Instrument) -> Option<String> {
    let prefix = segment_of(one)?.prefix;
    let period = one.expiry.map(Date::period).unwrap_or_default();
    let (name, strike) = (&one.name, decimal(one.strike));
    Some(match one.kind {
        Kind::Index => index(one)?.2.to_owned(),
        Kind::Share if prefix == "NSE" => format!("{prefix}:{name}-EQ"),
        Kind::Share => format!("{prefix}:{name}-A"),
        Kind::Future => format!("{prefix}:{name}{period}FUT"),
        Kind::Call => format!("{prefix}:{name}{period}{strike}CE"),
        Kind::Put => format!("{prefix}:{name}{period}{strike}PE"),
    })
}

/// The instruments of tickers that there are, by ticker.
pub(super) fn by_ticker<'a>(universe: &Universe, tickers: &[&'a str]) -> HashMap<&'a str, usize> {
    let mut wanted: HashMap<&str, &'a str> = tickers.iter().map(|ticker| (*ticker, *ticker)).collect();
    let all = universe.all().iter().enumerate();
    all.filter_map(|(place, one)| Some((wanted.remove(ticker(one)?.as_str())?, place))).collect()
}

/// Tickers of the indices with their names in topics.
pub(super) fn index_names() -> impl Iterator<Item = (&'static str, &'static str)> {
    INDICES.iter().map(|index| (index.2, index.4))
}

/// What a topic tells of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feed {
    /// A book of five levels.
    Depth,
    /// Prices of an index.
    Index,
    /// Prices of anything else.
    Scrip,
}

impl Feed {
    const ALL: [Self; 3] = [Self::Depth, Self::Index, Self::Scrip];

    /// Its name in topics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Depth => "dp",
            Self::Index => "if",
            Self::Scrip => "sf",
        }
    }

    /// The feed of an instrument's prices.
    pub(super) fn of_prices(one: &Instrument) -> Self {
        if one.kind == Kind::Index { Self::Index } else { Self::Scrip }
    }
}

/// `sf|nse_cm|3045`, or `if|nse_cm|Nifty 50`; none when there is no such topic.
pub(super) fn topic(feed: Feed, one: &Instrument) -> Option<String> {
    let segment = segment_of(one)?.name;
    let is_index = one.kind == Kind::Index;
    if is_index != (feed == Feed::Index) {
        return None;
    }
    Some(format!("{}|{segment}|{}", feed.name(), token(one)))
}

/// The last part of a topic.
pub(super) fn token(one: &Instrument) -> String {
    index(one).map_or_else(|| one.number.to_string(), |index| index.4.to_owned())
}

/// What a topic of a client means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An instrument with this key.
    Key(u64),
    /// An index, by exchange and symbol.
    Index(&'static str, &'static str),
}

/// Takes a topic apart; none when it can be none. The case of names matters.
pub(super) fn meaning(topic: &str) -> Option<(Feed, Meaning)> {
    let (feed, rest) = topic.split_once('|')?;
    let (name, token) = rest.split_once('|')?;
    let feed = Feed::ALL.into_iter().find(|known| known.name() == feed)?;
    let mut segments = SEGMENTS.iter().filter(|segment| segment.name == name);
    if feed == Feed::Index {
        let found = INDICES
            .iter()
            .find(|index| index.4 == token && segments.clone().any(|segment| segment.exchange == index.0))?;
        return Some((feed, Meaning::Index(found.0, found.1)));
    }
    Some((feed, Meaning::Key(key(segments.next()?.digits, token.parse().ok()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fyers() {
        let universe = Universe::new(0, Date(20_783));
        for (exchange, symbol, expected) in [
            ("NSE", "SBIN", ("10100000003045", "NSE:SBIN-EQ", Some("sf|nse_cm|3045"))),
            ("BSE", "M&M", ("1210000000502031", "BSE:M&M-A", Some("sf|bse_cm|502031"))),
            ("NSE_INDEX", "NIFTY", ("101000000026000", "NSE:NIFTY50-INDEX", None)),
        ] {
            let one = &universe.all()[universe.place(exchange, symbol).unwrap()];
            let topic = topic(Feed::Scrip, one);
            let found = (fytoken(one).unwrap(), ticker(one).unwrap());
            assert_eq!((found.0.as_str(), found.1.as_str(), topic.as_deref()), expected);
        }
        let option = &universe.all()[universe.place("NFO", "NIFTY24DEC3024500CE").unwrap()];
        assert_eq!(ticker(option).unwrap(), "NSE:NIFTY30D2424500CE");
        assert!(fytoken(option).unwrap().starts_with("1011301224"));
        let [bcd, mcx] = [("BCD", "USDINR24DEC30FUT"), ("MCX_INDEX", "MCXBULLDEX")]
            .map(|(exchange, symbol)| &universe.all()[universe.place(exchange, symbol).unwrap()]);
        assert_eq!((fytoken(bcd), topic(Feed::Index, mcx)), (None, None));
    }

    #[test]
    fn tickers_and_fytokens_name_one_instrument() {
        let universe = Universe::new(20_000, Date(20_783));
        for name in [ticker, fytoken] {
            let names: Vec<String> = universe.all().iter().filter_map(name).collect();
            let distinct: std::collections::HashSet<&String> = names.iter().collect();
            assert_eq!(distinct.len(), names.len());
            assert!(names.len() > 15_000);
        }
    }

    #[test]
    fn topics_mean_what_they_say() {
        assert_eq!(meaning("sf|nse_cm|3045"), Some((Feed::Scrip, Meaning::Key(key(1010, 3045)))));
        assert_eq!(meaning("dp|mcx_fo|7"), Some((Feed::Depth, Meaning::Key(key(1120, 7)))));
        let nifty = Meaning::Index("NSE_INDEX", "NIFTY");
        assert_eq!(meaning("if|nse_cm|Nifty 50"), Some((Feed::Index, nifty)));
        for wrong in
            ["if|nse_cm|NIFTY 50", "if|bse_cm|Nifty 50", "xx|nse_cm|1", "sf|nse|1", "sf|nse_cm|x", "sf", ""]
        {
            assert_eq!(meaning(wrong), None, "{wrong}");
        }
    }
}
