//! What trades: instruments of every segment, the same ones for the same size and day.

mod date;

use std::collections::HashMap;

pub use self::date::Date;
use crate::model::PRICE_SCALE;

/// Most instruments that can be asked for.
pub const MOST: usize = 150_000;

/// A day far ahead on which derivatives of every underlying expire, so that their symbols can stand in files.
pub const FAR: Date = Date(22_272);

/// What an instrument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Index,
    Share,
    Future,
    Call,
    Put,
}

/// An instrument.
#[derive(Clone, Debug)]
pub struct Instrument {
    /// Exchange code of the clients, such as `NSE_INDEX`.
    pub exchange: &'static str,
    /// Symbol of the clients.
    pub symbol: String,
    /// What the brokers call an index or a share, and the underlying of a derivative.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Day of expiry of a derivative.
    pub expiry: Option<Date>,
    /// Strike of an option, scaled by [`PRICE_SCALE`]; zero otherwise.
    pub strike: i64,
    /// Smallest price step, scaled.
    pub tick: i64,
    /// Smallest quantity.
    pub lot: i64,
    /// The exchange's number; unique among all exchanges of a kind of segment, and used again in other
    /// segments.
    pub number: u32,
    /// A price to begin with, scaled.
    pub start: i64,
}

/// Indices: exchange, our symbol, Kite's name, Angel's name, number at Kite, number at Angel, price.
const INDICES: [(&str, &str, &str, &str, u32, u32, i64); 10] = [
    ("NSE_INDEX", "NIFTY", "NIFTY 50", "Nifty 50", 1001, 99_926_000, 24_500),
    ("NSE_INDEX", "BANKNIFTY", "NIFTY BANK", "Nifty Bank", 1016, 99_926_009, 51_800),
    ("NSE_INDEX", "FINNIFTY", "NIFTY FIN SERVICE", "Nifty Fin Service", 1007, 99_926_037, 23_700),
    ("NSE_INDEX", "MIDCPNIFTY", "NIFTY MID SELECT", "NIFTY MID SELECT", 1125, 99_926_074, 12_900),
    ("NSE_INDEX", "INDIAVIX", "INDIA VIX", "India VIX", 1035, 99_926_017, 14),
    ("NSE_INDEX", "NIFTYNXT50", "NIFTY NEXT 50", "Nifty Next 50", 1054, 99_926_013, 68_000),
    ("BSE_INDEX", "SENSEX", "SENSEX", "SENSEX", 1, 99_919_000, 80_900),
    ("BSE_INDEX", "BANKEX", "BANKEX", "BANKEX", 54, 99_919_012, 59_000),
    ("BSE_INDEX", "SENSEX50", "SNSX50", "SNSX50", 83, 99_919_047, 26_000),
    ("MCX_INDEX", "MCXBULLDEX", "MCXBULLDEX", "MCXBULLDEX", 3001, 99_920_002, 18_000),
];

/// Shares with their numbers on NSE, which are those of the real ones where those are well known.
const SHARES: [(&str, u32, i64); 40] = [
    ("RELIANCE", 2885, 1_290),
    ("INFY", 1594, 1_907),
    ("SBIN", 3045, 830),
    ("TCS", 11_536, 4_100),
    ("HDFCBANK", 1333, 1_780),
    ("ICICIBANK", 4963, 1_300),
    ("M&M", 2031, 2_950),
    ("M&MFIN", 13_285, 270),
    ("BAJAJ-AUTO", 16_669, 9_000),
    ("UTIAMC", 527, 1_250),
    ("J&KBANK", 5633, 105),
    ("GVT&D", 16_783, 1_800),
    ("ARE&M", 100, 1_020),
    ("COX&KINGS", 17_423, 20),
    ("S&SPOWER", 3075, 320),
    ("MCDOWELL-N", 10_447, 1_450),
    ("AXISBANK", 5900, 1_150),
    ("ITC", 1660, 470),
    ("LT", 11_483, 3_600),
    ("KOTAKBANK", 1922, 1_770),
    ("BHARTIARTL", 10_604, 1_600),
    ("HINDUNILVR", 1394, 2_390),
    ("MARUTI", 10_999, 11_000),
    ("SUNPHARMA", 3351, 1_790),
    ("TITAN", 3506, 3_300),
    ("WIPRO", 3787, 300),
    ("ONGC", 2475, 250),
    ("NTPC", 11_630, 340),
    ("POWERGRID", 14_977, 310),
    ("TATASTEEL", 3499, 140),
    ("TATAMOTORS", 3456, 770),
    ("HCLTECH", 7229, 1_880),
    ("ADANIENT", 25, 2_450),
    ("COALINDIA", 20_374, 390),
    ("IDEA", 14_366, 8),
    ("YESBANK", 11_915, 20),
    ("MRF", 2277, 130_000),
    ("NIFTYBEES", 10_576, 272),
    ("GOLDBEES", 14_428, 64),
    ("63MOONS", 11_457, 840),
];

/// Underlyings of derivatives: exchange, name, lot, price, step between strikes in thousandths, tick in
/// ten-thousandths.
const UNDERLYINGS: [(&str, &str, i64, i64, i64, i64); 16] = [
    ("NFO", "NIFTY", 75, 24_500, 50_000, 500),
    ("NFO", "BANKNIFTY", 35, 51_800, 100_000, 500),
    ("NFO", "RELIANCE", 500, 1_290, 10_000, 500),
    ("NFO", "M&M", 200, 2_950, 50_000, 500),
    ("NFO", "BAJAJ-AUTO", 75, 9_000, 100_000, 500),
    ("NFO", "POWERGRID", 1_900, 310, 2_500, 500),
    ("BFO", "SENSEX", 20, 80_900, 100_000, 500),
    ("BFO", "BANKEX", 30, 59_000, 100_000, 500),
    ("CDS", "USDINR", 1_000, 85, 250, 25),
    ("CDS", "EURINR", 1_000, 90, 250, 25),
    ("BCD", "USDINR", 1_000, 85, 250, 25),
    ("MCX", "CRUDEOIL", 100, 5_900, 50_000, 10_000),
    ("MCX", "GOLDM", 10, 77_000, 500_000, 10_000),
    ("MCX", "NATURALGAS", 1_250, 270, 5_000, 1_000),
    ("NCO", "CRUDEOIL", 100, 5_900, 50_000, 10_000),
    ("NCO", "NATURALGAS", 1_250, 378, 5_000, 1_000),
];

/// Strikes on each side of the price in the smallest universe.
const STRIKES: i64 = 4;

/// The first number of derivatives; each exchange counts from it, so that numbers repeat among segments.
const FIRST_DERIVATIVE: u32 = 35_001;

/// The first number of shares that have made-up names.
const FIRST_STOCK: u32 = 30_000;

/// All instruments, and where each is found.
#[derive(Clone, Debug)]
pub struct Universe {
    instruments: Vec<Instrument>,
    places: HashMap<(&'static str, String), usize>,
}

impl Universe {
    /// At least what every exchange has, and up to `count` instruments, of a day.
    pub fn new(count: usize, today: Date) -> Self {
        let mut universe = Self { instruments: Vec::new(), places: HashMap::new() };
        universe.indices();
        universe.shares(count.min(MOST));
        universe.derivatives(count.min(MOST), today);
        universe
    }

    /// All of them, in a fixed order.
    pub fn all(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The place of an instrument in [`Self::all`].
    pub fn place(&self, exchange: &str, symbol: &str) -> Option<usize> {
        let exchange = EXCHANGES.iter().find(|known| **known == exchange)?;
        self.places.get(&(*exchange, symbol.to_owned())).copied()
    }

    /// Those of which a question of place and exchange is answered with yes.
    pub(crate) fn only(&self, is_wanted: impl Fn(usize, &str) -> bool) -> Self {
        let mut some = Self { instruments: Vec::new(), places: HashMap::new() };
        for (place, instrument) in self.instruments.iter().enumerate() {
            if is_wanted(place, instrument.exchange) {
                some.add(instrument.clone());
            }
        }
        some
    }

    /// Two instruments get each other's number.
    pub fn swap_numbers(&mut self, one: usize, other: usize) {
        let numbers = [one, other].map(|place| self.instruments.get(place).map(|found| found.number));
        if let [Some(first), Some(second)] = numbers {
            for (place, number) in [(one, second), (other, first)] {
                self.instruments.iter_mut().skip(place).take(1).for_each(|found| found.number = number);
            }
        }
    }

    fn add(&mut self, instrument: Instrument) {
        let place = self.instruments.len();
        if self.places.insert((instrument.exchange, instrument.symbol.clone()), place).is_none() {
            self.instruments.push(instrument);
        }
    }

    fn indices(&mut self) {
        for (exchange, symbol, name, _, number, _, start) in INDICES {
            self.add(Instrument {
                exchange,
                symbol: symbol.to_owned(),
                name: name.to_owned(),
                kind: Kind::Index,
                expiry: None,
                strike: 0,
                tick: PRICE_SCALE / 20,
                lot: 1,
                number,
                start: start * PRICE_SCALE,
            });
        }
    }

    fn share(&mut self, exchange: &'static str, symbol: String, number: u32, start: i64) {
        let name = symbol.clone();
        let (tick, lot) = (PRICE_SCALE / 20, 1);
        let start = start * PRICE_SCALE;
        self.add(Instrument {
            exchange,
            symbol,
            name,
            kind: Kind::Share,
            expiry: None,
            strike: 0,
            tick,
            lot,
            number,
            start,
        });
    }

    fn shares(&mut self, count: usize) {
        for (symbol, number, start) in SHARES {
            self.share("NSE", symbol.to_owned(), number, start);
            self.share("BSE", symbol.to_owned(), 500_000 + number, start);
        }
        // Two fifths of a large universe are shares with made-up names.
        let made_up = u32::try_from((count / 5).min(10_000)).unwrap_or(0);
        for place in 1..=made_up {
            let start = 50 + i64::from(place) * 7 % 3_000;
            self.share("NSE", format!("STOCK{place}"), FIRST_STOCK + place, start);
            self.share("BSE", format!("STOCK{place}"), 540_000 + place, start);
        }
    }

    fn derivatives(&mut self, count: usize, today: Date) {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let expiries = expiries(today);
        let chain = |universe: &mut Self, numbers: &mut HashMap<&str, u32>, steps: std::ops::Range<i64>| {
            for &expiry in &expiries {
                for underlying in UNDERLYINGS {
                    let number = numbers.entry(underlying.0).or_insert(FIRST_DERIVATIVE);
                    if steps.start == 0 {
                        universe.add(future(underlying, expiry, *number));
                        *number += 1;
                    }
                    for step in steps.clone() {
                        for signed in [step, -step - 1] {
                            for kind in [Kind::Call, Kind::Put] {
                                if universe.instruments.len() >= count && step >= STRIKES {
                                    return;
                                }
                                if let Some(option) = option(underlying, expiry, signed, kind, *number) {
                                    universe.add(option);
                                    *number += 1;
                                }
                            }
                        }
                    }
                }
            }
        };
        chain(self, &mut numbers, 0..STRIKES);
        let mut step = STRIKES;
        while self.instruments.len() < count && step < 10_000 {
            chain(self, &mut numbers, step..step + 1);
            step += 1;
        }
    }
}

/// The exchange codes of the clients that have instruments here.
pub const EXCHANGES: [&str; 11] =
    ["NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCO", "NSE_INDEX", "BSE_INDEX", "MCX_INDEX"];

/// Angel's name and number of an index, by Kite's name.
pub(crate) fn angel_index(name: &str) -> Option<(&'static str, u32)> {
    let found = INDICES.iter().find(|index| index.2 == name)?;
    Some((found.3, found.5))
}

/// The next four weeks, the last of this month and the two after it, and the far one.
fn expiries(today: Date) -> Vec<Date> {
    let first = today.tuesday();
    let weeks = (0..4).map(|week| Date(first.0 + week * 7));
    let months = (0..14).map(|week| Date(first.0 + week * 7)).filter(|day| day.is_last_in_month());
    let mut all: Vec<Date> = weeks.chain(months).chain([FAR]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

type Underlying = (&'static str, &'static str, i64, i64, i64, i64);

fn future((exchange, name, lot, start, _, tick): Underlying, expiry: Date, number: u32) -> Instrument {
    Instrument {
        exchange,
        symbol: format!("{name}{}FUT", expiry.short()),
        name: name.to_owned(),
        kind: Kind::Future,
        expiry: Some(expiry),
        strike: 0,
        tick: tick * (PRICE_SCALE / 10_000),
        lot,
        number,
        start: start * PRICE_SCALE,
    }
}

/// An option some steps from the price; none below a strike of zero.
fn option(
    (exchange, name, lot, start, width, tick): Underlying,
    expiry: Date,
    step: i64,
    kind: Kind,
    number: u32,
) -> Option<Instrument> {
    let at_the_money = start * 1_000 / width * width;
    let strike = (at_the_money + step * width) * (PRICE_SCALE / 1_000);
    if strike <= 0 {
        return None;
    }
    let right = if kind == Kind::Call { "CE" } else { "PE" };
    let tick = tick * (PRICE_SCALE / 10_000);
    let start = (start * PRICE_SCALE / 100 / tick).max(1) * tick;
    Some(Instrument {
        exchange,
        symbol: format!("{name}{}{}{right}", expiry.short(), crate::model::decimal(strike)),
        name: name.to_owned(),
        kind,
        expiry: Some(expiry),
        strike,
        tick,
        lot,
        number,
        start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exchange_has_instruments_and_numbers_are_unique_in_it() {
        let universe = Universe::new(20_000, Date(20_783));
        assert_eq!(universe.all().len(), 20_000);
        for exchange in EXCHANGES {
            let mut numbers: Vec<u32> =
                universe.all().iter().filter(|one| one.exchange == exchange).map(|one| one.number).collect();
            assert!(!numbers.is_empty(), "{exchange}");
            let all = numbers.len();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), all, "{exchange}");
        }
    }

    #[test]
    fn what_stands_in_files_is_in_the_smallest_universe() {
        let universe = Universe::new(0, Date(20_783));
        for (exchange, symbol) in [
            ("NSE", "M&M"),
            ("NFO", "NIFTY24DEC3024500CE"),
            ("NFO", "POWERGRID24DEC30312.5PE"),
            ("CDS", "USDINR24DEC30FUT"),
            ("CDS", "USDINR24DEC3085.25CE"),
            ("NSE_INDEX", "NIFTY"),
        ] {
            assert!(universe.place(exchange, symbol).is_some(), "{symbol}");
        }
        assert!(universe.place("NSE", "NOSUCH").is_none());
    }

    #[test]
    fn it_grows_to_the_largest() {
        assert_eq!(Universe::new(MOST, Date(20_783)).all().len(), MOST);
    }
}
