//! Futures and option chains, named as `OpenAlgo` names them.
//!
//! A future is `SYMBOL` + `DDMMMYY` + `FUT`, an option `SYMBOL` + `DDMMMYY` + strike + `CE` or `PE`.

use std::collections::BTreeSet;

use super::{Date, Instrument, Kind, PRICE_SCALE, Right, Spot, Universe, Weekday, from_paise};

/// Something with futures, and options where `strikes_each_side` is not 0.
struct Underlying {
    exchange: &'static str,
    symbol: &'static str,
    spot: Spot,
    expiry: Expiry,
    /// Tick size, scaled.
    tick: i64,
    lot: i64,
    /// Distance of strikes in whole units of the price.
    strike_step: i64,
    strikes_each_side: i64,
}

/// When contracts end.
#[derive(Clone, Copy)]
enum Expiry {
    /// Options each week, futures and options at the end of each month.
    Weekly(Weekday),
    /// At the last such weekday of each month.
    Monthly(Weekday),
    /// On this day of each month.
    OnDay(i64),
}

/// How many expiries of each kind are listed.
const EXPIRIES: usize = 2;

const TICK_5_PAISE: i64 = from_paise(5);
const TICK_RUPEE: i64 = PRICE_SCALE;
const TICK_CURRENCY: i64 = PRICE_SCALE / 400; // 0.0025

/// The instruments of this module on a day. `spots` has what they may be derived from.
pub(super) fn instruments(today: Date, spots: &Universe) -> Vec<Instrument> {
    let mut listed = Vec::new();
    for underlying in underlyings(spots) {
        listed.extend(underlying.futures(today));
        listed.extend(underlying.options(today));
    }
    listed
}

fn underlyings(spots: &Universe) -> Vec<Underlying> {
    let nse = Weekday::Tuesday;
    let chains = [
        ("NFO", ("NSE_INDEX", "NIFTY"), Expiry::Weekly(nse), 75, 50, 25),
        ("NFO", ("NSE_INDEX", "BANKNIFTY"), Expiry::Monthly(nse), 35, 100, 25),
        ("NFO", ("NSE", "RELIANCE"), Expiry::Monthly(nse), 500, 10, 12),
        ("NFO", ("NSE", "SBIN"), Expiry::Monthly(nse), 750, 10, 12),
        ("BFO", ("BSE_INDEX", "SENSEX"), Expiry::Weekly(Weekday::Thursday), 20, 100, 10),
    ];
    let mut all: Vec<_> = chains
        .into_iter()
        .filter_map(|(exchange, (market, symbol), expiry, lot, strike_step, strikes_each_side)| {
            let (_, listed) = spots.find(market, symbol)?;
            Some(Underlying {
                exchange,
                symbol,
                spot: listed.spot.clone(),
                expiry,
                tick: TICK_5_PAISE,
                lot,
                strike_step,
                strikes_each_side,
            })
        })
        .collect();
    all.extend([
        commodity("MCX", "CRUDEOIL", 530_000, 19, TICK_RUPEE, 100),
        commodity("MCX", "GOLD", 12_500_000, 5, TICK_RUPEE, 100),
        commodity("MCX", "GOLDM", 12_450_000, 5, TICK_RUPEE, 10),
        commodity("MCX", "SILVER", 15_600_000, 5, TICK_RUPEE, 30),
        commodity("MCX", "SILVERM", 15_620_000, 28, TICK_RUPEE, 5),
        commodity("MCX", "NATURALGAS", 40_500, 25, from_paise(10), 1250),
        commodity("MCX", "COPPER", 100_500, 28, TICK_5_PAISE, 2500),
        commodity("MCX", "ZINC", 30_200, 28, TICK_5_PAISE, 5000),
        commodity("MCX", "ALUMINIUM", 26_900, 28, TICK_5_PAISE, 5000),
        commodity("MCX", "LEAD", 18_200, 28, TICK_5_PAISE, 5000),
        commodity("NCO", "GOLD", 12_510_000, 5, TICK_RUPEE, 100),
        commodity("NCDEX", "GUARSEED10", 480_000, 20, TICK_RUPEE, 5),
        commodity("NCDEX", "JEERAUNJHA", 2_080_000, 20, from_paise(500), 3),
        commodity("NCDEX", "DHANIYA", 870_000, 20, from_paise(200), 5),
        currency("CDS", "USDINR", 8_925),
        currency("CDS", "EURINR", 10_320),
        currency("CDS", "GBPINR", 11_730),
        currency("CDS", "JPYINR", 5_720),
        currency("BCD", "USDINR", 8_925),
    ]);
    all
}

fn commodity(
    exchange: &'static str,
    symbol: &'static str,
    paise: i64,
    day: i64,
    tick: i64,
    lot: i64,
) -> Underlying {
    Underlying {
        exchange,
        symbol,
        spot: own_spot(symbol, paise, 120_000),
        expiry: Expiry::OnDay(day),
        tick,
        lot,
        strike_step: 0,
        strikes_each_side: 0,
    }
}

fn currency(exchange: &'static str, symbol: &'static str, paise: i64) -> Underlying {
    Underlying {
        exchange,
        symbol,
        spot: own_spot(symbol, paise, 25_000),
        expiry: Expiry::OnDay(27),
        tick: TICK_CURRENCY,
        lot: 1000,
        strike_step: 0,
        strikes_each_side: 0,
    }
}

/// The price of something that has no instrument of its own here: only futures of it are listed, and no
/// options, so that its volatility is without effect.
fn own_spot(symbol: &str, paise: i64, step_ppb: i64) -> Spot {
    Spot { name: symbol.to_owned(), price: from_paise(paise), step_ppb, volatility_permille: 250 }
}

impl Underlying {
    fn futures(&self, today: Date) -> Vec<Instrument> {
        self.monthly_expiries(today)
            .into_iter()
            .map(|expiry| {
                let symbol = format!("{}{expiry}FUT", self.symbol);
                self.instrument(symbol, Kind::Future { days: today.days_until(expiry) })
            })
            .collect()
    }

    fn options(&self, today: Date) -> Vec<Instrument> {
        let mut expiries: BTreeSet<Date> = self.monthly_expiries(today).into_iter().collect();
        if let Expiry::Weekly(weekday) = self.expiry {
            expiries.extend(today.weekly(weekday, EXPIRIES));
        }
        let mut listed = Vec::new();
        for expiry in expiries {
            let days = today.days_until(expiry);
            for strike in self.strikes() {
                for (right, suffix) in [(Right::Call, "CE"), (Right::Put, "PE")] {
                    let symbol = format!("{}{expiry}{strike}{suffix}", self.symbol);
                    let strike = strike.saturating_mul(PRICE_SCALE);
                    listed.push(self.instrument(symbol, Kind::Option { right, strike, days }));
                }
            }
        }
        listed
    }

    /// Strikes in whole units of the price, around the spot price.
    fn strikes(&self) -> impl Iterator<Item = i64> {
        let step = self.strike_step.max(1);
        let middle = self.spot.price / PRICE_SCALE / step * step;
        let count = self.strikes_each_side;
        (-count..=count).filter(move |_| count > 0).map(move |offset| middle + offset * step)
    }

    fn monthly_expiries(&self, today: Date) -> Vec<Date> {
        match self.expiry {
            Expiry::Weekly(weekday) | Expiry::Monthly(weekday) => today.monthly(weekday, EXPIRIES),
            Expiry::OnDay(day) => today.monthly_on_day(day, EXPIRIES),
        }
    }

    fn instrument(&self, symbol: String, kind: Kind) -> Instrument {
        Instrument {
            exchange: self.exchange,
            symbol,
            kind,
            tick: self.tick,
            lot: self.lot,
            spot: self.spot.clone(),
        }
    }
}
