//! Everything that trades on the synthetic exchange, and how an instrument is found by name.
//!
//! The list depends on the date alone: shares, indices and crypto pairs always carry the same names, futures
//! and option chains those of the next expiries. It is made once, when an instance is created.

mod calendar;
mod derivatives;
mod spot;

use std::collections::HashMap;

pub use calendar::{Date, Weekday};

/// Units of a price of 1.0, as in the plugin ABI.
pub const PRICE_SCALE: i64 = adapter_abi::PRICE_SCALE;

/// The exchange codes that `OpenAlgo` clients use. Each of them has instruments here.
pub const EXCHANGES: [&str; 14] = [
    "NSE",
    "BSE",
    "NFO",
    "BFO",
    "MCX",
    "CDS",
    "BCD",
    "NCDEX",
    "NCO",
    "NSE_INDEX",
    "BSE_INDEX",
    "MCX_INDEX",
    "GLOBAL_INDEX",
    "CRYPTO",
];

/// One instrument and what its prices follow from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// One of [`EXCHANGES`].
    pub exchange: &'static str,
    /// The symbol in `OpenAlgo`'s convention.
    pub symbol: String,
    /// What it is.
    pub kind: Kind,
    /// Smallest price step, scaled by [`PRICE_SCALE`]. Positive.
    pub tick: i64,
    /// Smallest quantity, in the exchange's unit. Positive.
    pub lot: i64,
    /// The price that its own price moves with: its own for what is no derivative.
    pub spot: Spot,
}

impl Instrument {
    /// The name that prices are seeded with: `EXCHANGE:SYMBOL`.
    pub fn name(&self) -> String {
        format!("{}:{}", self.exchange, self.symbol)
    }
}

/// A price that one or more instruments move with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// What its path is seeded with. Instruments that share it move alike.
    pub name: String,
    /// The price that it moves around, scaled by [`PRICE_SCALE`]. Positive.
    pub price: i64,
    /// Scale of one step, in parts per billion of the price.
    pub step_ppb: i64,
    /// Yearly volatility for pricing options, in thousandths.
    pub volatility_permille: i64,
}

/// What an instrument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A share: volume, book and circuit limits.
    Equity,
    /// An index: neither volume nor book.
    Index,
    /// A currency pair that trades day and night: no circuit limits.
    Crypto,
    /// A future: open interest, and a premium over the spot that grows with time to expiry.
    Future {
        /// Days to expiry.
        days: i64,
    },
    /// An option on the spot.
    Option {
        /// Which right it gives.
        right: Right,
        /// Strike price, scaled by [`PRICE_SCALE`].
        strike: i64,
        /// Days to expiry.
        days: i64,
    },
}

impl Kind {
    /// Whether it is traded itself, and so has a book.
    pub const fn has_book(self) -> bool {
        !matches!(self, Self::Index)
    }

    /// Whether it has open interest.
    pub const fn is_derivative(self) -> bool {
        matches!(self, Self::Future { .. } | Self::Option { .. })
    }
}

/// What an option gives a right to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To buy: `CE`.
    Call,
    /// To sell: `PE`.
    Put,
}

/// All instruments of one instance.
#[derive(Clone, Debug)]
pub struct Universe {
    instruments: Vec<Instrument>,
    by_name: HashMap<&'static str, HashMap<String, usize>>,
}

impl Universe {
    /// The instruments of a day, at least 2,000.
    pub fn new(today: Date) -> Self {
        let mut universe = Self { instruments: Vec::new(), by_name: HashMap::new() };
        for instrument in spot::instruments() {
            universe.add(instrument);
        }
        for instrument in derivatives::instruments(today, &universe) {
            universe.add(instrument);
        }
        universe
    }

    /// Adds an instrument. Returns whether its name was free; if not, nothing changes.
    pub fn add(&mut self, instrument: Instrument) -> bool {
        let symbols = self.by_name.entry(instrument.exchange).or_default();
        if symbols.contains_key(&instrument.symbol) {
            return false;
        }
        symbols.insert(instrument.symbol.clone(), self.instruments.len());
        self.instruments.push(instrument);
        true
    }

    /// The instrument with this name, if there is one, by its position in [`Self::instruments`].
    pub fn find(&self, exchange: &str, symbol: &str) -> Option<(usize, &Instrument)> {
        let position = *self.by_name.get(exchange)?.get(symbol)?;
        self.instruments.get(position).map(|instrument| (position, instrument))
    }

    /// Every instrument, in an order that is the same for the same date.
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }
}

/// The code of [`EXCHANGES`] that equals `code`.
pub fn exchange_code(code: &str) -> Option<&'static str> {
    EXCHANGES.into_iter().find(|known| *known == code)
}

/// A price given in hundredths, scaled by [`PRICE_SCALE`].
const fn from_paise(paise: i64) -> i64 {
    paise.saturating_mul(PRICE_SCALE / 100)
}

#[cfg(test)]
mod tests;
